import hashlib
import json
import os
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

# Nodes on loopback, and dead ones found within two seconds; read by Ray when it starts.
ENVIRONMENT = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "2",
    "RAY_memory_monitor_refresh_ms": "100",
    "RAY_worker_lease_timeout_milliseconds": "500",
}


@pytest.fixture(scope="session")
def made_cluster():
    """Return a Ray cluster of one node with two CPUs, to which nodes can be added, and a connection to it."""
    if sys.platform != "linux":
        pytest.skip("a made-up Ray cluster of several nodes needs Linux")
    os.environ.update(ENVIRONMENT)
    from automl.executors.cluster import Cluster
    from automl.executors.ray_setup import restore, set_up

    before = set_up("auto")
    from ray.cluster_utils import Cluster as MadeUp

    made = MadeUp(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("automl.executors.cluster.LOOK", 0.2)
        with Cluster.connect(made.address) as cluster:
            yield made, cluster
    made.shutdown()
    restore(before)
    for name in ENVIRONMENT:
        del os.environ[name]


# As format 2 had it: without host, device, peak_bytes and utilisation.
OUTCOMES_2 = """
CREATE TABLE outcomes_2 (
    place INTEGER PRIMARY KEY, ended_at REAL NOT NULL, trial INTEGER NOT NULL UNIQUE REFERENCES trials (number),
    status TEXT NOT NULL, reason TEXT NOT NULL, score REAL, epochs INTEGER NOT NULL, best_epoch INTEGER NOT NULL,
    seconds REAL NOT NULL, parameters INTEGER NOT NULL, predict_ms REAL NOT NULL, curve TEXT NOT NULL,
    weight_bytes INTEGER NOT NULL, latency_ms REAL NOT NULL, memory_bytes INTEGER NOT NULL, violation REAL NOT NULL
);
INSERT INTO outcomes_2 SELECT place, ended_at, trial, status, reason, score, epochs, best_epoch, seconds, parameters, predict_ms,
    curve, weight_bytes, latency_ms, memory_bytes, violation FROM outcomes;
DROP TABLE outcomes;
ALTER TABLE outcomes_2 RENAME TO outcomes;
PRAGMA user_version = 2;
"""


@pytest.fixture(scope="session")
def to_format_2():
    """Return a function that makes the record in a run's folder one that the version of format 2 would have written."""

    def turn(folder):
        with closing(sqlite3.connect(folder / "run.db")) as connection:
            connection.executescript(OUTCOMES_2)

    return turn


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


@pytest.fixture(scope="session")
def stripes():
    """Return a function that makes images `(rows, height, width, channels)` to be searched, and their labels, sorted."""

    def make(rows=120, height=8, width=10, channels=3, seed=0):
        rng = np.random.default_rng(seed)
        down, along = np.mgrid[:height, :width]
        bright = np.array([down % 4 < 2, along % 4 < 2, (down + along) % 4 < 2])
        kinds = np.arange(rows) * 3 // rows
        images = rng.integers(0, 90, (rows, height, width, channels)).astype(np.uint8)
        images += (bright[kinds] * rng.integers(60, 160, (rows, 1, 1)))[..., None].astype(np.uint8)
        return images, np.array(["across", "down", "slanted"])[kinds]

    return make


@pytest.fixture(scope="session")
def write_photos():
    """Return a function that writes images as `photos/CLASS/NUMBER.png`, and a table `photos.csv` of their paths and kinds."""

    def write(folder, images, labels):
        import pandas as pd
        from PIL import Image

        names = [f"photos/{label}/{position:03}.png" for position, label in enumerate(labels)]
        for name, image in zip(names, images, strict=True):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.squeeze()).save(folder / name)
        pd.DataFrame({"photo": names, "kind": labels}).to_csv(folder / "photos.csv", index=False)
        return folder

    return write


class Done(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def command_line(monkeypatch, capsys, tmp_path):
    """Return a function that runs the command line in an empty folder."""
    from automl.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["automl", *map(str, words)])
        with pytest.raises(SystemExit) as ending:
            main()
        return Done(ending.value.code or 0, *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def altered():
    """Return a function that alters a model's manifest and puts the hashes right again, as an attacker would."""

    def alter(folder, entries=()):
        manifest = json.loads((folder / "model.json").read_text())
        for path, value in dict(entries).items():
            *outer, last = [int(part) if part.isdigit() else part for part in path.split("/")]
            place = manifest
            for part in outer:
                place = place[part]
            place[last] = value
        for name, described in manifest["files"].items() if isinstance(manifest.get("files"), dict) else ():
            if (folder / name).is_file():
                content = (folder / name).read_bytes()
                described.update(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
        rest = {name: value for name, value in manifest.items() if name != "sha256"}
        manifest["sha256"] = hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
        (folder / "model.json").write_text(json.dumps(manifest))

    return alter
