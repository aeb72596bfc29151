from dataclasses import replace

import numpy as np
import pytest


@pytest.fixture(scope="session")
def toy_task():
    """Return a function that makes a task of three numbers (one with gaps) and a category, without reading any data."""

    def make(kind="binary", rows=300, *, metric=None, choose=None, seed=0, **changes):
        from automl.data.columns import Category, Columns, Encoded, Number, Ruler
        from automl.data.statistics import describe_table, describe_target
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
        fold = Fold(fit, chosen, describe_table(encoded, fit, columns), describe_target(target, fit, classes))
        task = Task(
            kind=kind,
            metric=metric or default_metric(kind).name,
            losses=VALUE_LOSSES if kind == "regression" else CLASS_LOSSES,
            numeric=encoded.numeric,
            categorical=encoded.categorical,
            target=target,
            loss_weight=None,
            score_weight=None,
            folds=(fold,),
            report=np.zeros(0, np.int64),
            columns=columns,
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
