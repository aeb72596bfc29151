from dataclasses import replace

import numpy as np
import pytest


@pytest.fixture(scope="session")
def toy_task():
    """Return a function that makes a task of three numbers (one with gaps) and a category, without reading any data."""

    def make(kind="binary", rows=300, *, metric=None, choose=None, seed=0, **changes):
        from automl.data.columns import Category, Columns, Encoded, Number, Ruler
        from automl.data.statistics import describe_inputs, describe_target
        from automl.metrics import default_metric
        from automl.task import Fold, Task
        from search_spaces.losses import CLASS_LOSSES, VALUE_LOSSES

        rng = np.random.default_rng(seed)
        numeric = rng.normal(size=(rows, 3)).astype(np.float32) * [1, 10, 1e4] + [0, 5, 1e4]
        codes = rng.integers(1, 5, size=(rows, 1)).astype(np.int32)
        signal = numeric[:, 0] + numeric[:, 1] / 10 + codes[:, 0] + rng.normal(size=rows) / 4
        numeric[rng.random(rows) < 0.1, 2] = np.nan
        classes, target = (), signal * 100 + 1e6
        if kind != "regression":
            classes = ("no", "yes") if kind == "binary" else ("a", "b", "c")
            target = np.digitize(signal, np.quantile(signal, np.arange(1, len(classes)) / len(classes)))
        everything, chosen = np.arange(rows), np.arange(0, rows, 3) if choose is None else np.asarray(choose)
        fit = np.setdiff1d(everything, chosen)
        numbers = tuple(Number(name, "", Ruler(-1e9, 1e9)) for name in ("x", "y", "z"))
        columns = Columns(("x", "y", "z", "c"), (*numbers, Category("c", ("p", "q", "r", "s"))))
        encoded = Encoded(numeric.astype(np.float32), codes)
        outputs = describe_target(target, fit, classes)
        fold = Fold(fit, chosen, describe_inputs(encoded, fit, columns, target, outputs), outputs)
        task = Task(
            kind=kind,
            metric=metric or default_metric(kind).name,
            losses=VALUE_LOSSES if kind == "regression" else CLASS_LOSSES,
            features=tuple(encoded),
            target=target,
            loss_weight=None,
            score_weight=None,
            folds=(fold,),
            report=np.zeros(0, np.int64),
            encoder=columns,
            classes=classes,
            target_name="t",
        )
        return replace(task, **changes, fingerprint="") if changes else task

    return make


@pytest.fixture(scope="session")
def toy_configuration():
    """Return a function that makes the configuration of a small network for a toy task."""

    def make(kind="binary", normalisation="batch", dropout=0.2, **recipe):
        from search_spaces.configuration import Configuration
        from search_spaces.losses import MSE, CrossEntropy
        from search_spaces.mlp import MLP, Plain
        from search_spaces.optimizers import Recipe

        mlp = MLP(normalisation=normalisation, dropout=dropout, blocks=(Plain(width=16),))
        loss = MSE() if kind == "regression" else CrossEntropy()
        return Configuration(architecture=mlp, recipe=Recipe(**{"batch_size": 32, "loss": loss, **recipe}))

    return make


@pytest.fixture(scope="session")
def toy_images():
    """Return a function that makes a task of small images: stripes of four kinds, or how bright they are."""

    def make(kind="multiclass", rows=360, channels=1, *, files=None, seed=0):
        from automl.data.image_format import ImageFormat
        from automl.data.pictures import Pictures
        from automl.data.statistics import describe_inputs, describe_target
        from automl.metrics import default_metric
        from automl.task import Fold, Task
        from search_spaces.losses import CLASS_LOSSES, VALUE_LOSSES

        rng = np.random.default_rng(seed)
        stripes, light = rng.integers(0, 4, rows), rng.integers(50, 170, rows)
        images = rng.integers(0, 80, (rows, 8, 8, channels)).astype(np.uint8)
        down, along = np.mgrid[:8, :8]
        bright = np.array([down % 4 < 2, along % 4 < 2, (down + along) % 4 < 2, (down + along) % 2 < 1])
        images += (bright[stripes] * light[:, None, None])[..., None].astype(np.uint8)
        form, features = ImageFormat(8, 8, channels), (images,)
        if files is not None:
            from PIL import Image

            paths = [str(files / f"{i:03}.png") for i in range(rows)]
            for path, image in zip(paths, images, strict=True):
                Image.fromarray(image[..., 0] if channels == 1 else image).save(path)
            features = (Pictures(np.array(paths), form),)
        classes = () if kind == "regression" else ("a", "b", "c", "d")
        target = stripes if classes else light.astype(np.float64)
        chosen = np.arange(0, rows, 3)
        fit = np.setdiff1d(np.arange(rows), chosen)
        outputs = describe_target(target, fit, classes)
        return Task(
            kind=kind,
            metric=default_metric(kind).name,
            losses=CLASS_LOSSES if classes else VALUE_LOSSES,
            features=features,
            target=target,
            loss_weight=None,
            score_weight=None,
            folds=(Fold(fit, chosen, describe_inputs(features, fit, form, target, outputs), outputs),),
            report=np.zeros(0, np.int64),
            encoder=form,
            classes=classes,
            target_name="t",
        )

    return make


@pytest.fixture(scope="session")
def sales():
    """Return a function that makes a table to be searched: two numbers, a category and the target `sold`, yes or no."""

    def make(rows=240, seed=0):
        import pandas as pd

        rng = np.random.default_rng(seed)
        columns = {"size": rng.normal(size=rows), "age": rng.integers(18, 80, rows), "colour": rng.choice(["red", "green"], rows)}
        frame = pd.DataFrame(columns)
        frame["sold"] = np.where(frame["size"] + (frame["colour"] == "red") + 0.3 * rng.normal(size=rows) > 0.5, "yes", "no")
        return frame

    return make


@pytest.fixture(scope="session")
def searched(tmp_path_factory, sales):
    """Return the result of a search of three networks and all baselines on `sales`; nobody may change its folder."""
    import automl

    out = tmp_path_factory.mktemp("searched") / "run"
    options = {"n_trials": 3, "epochs": 3, "folds": 1, "workers": 1, "executor": "inline", "verbose": False}
    return automl.search(sales(), target="sold", out=out, **options)
