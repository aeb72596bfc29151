"""Several targets at once: numbers, or labels each of which a row may have; from the data to a file that others can run."""

import json
import subprocess
import sys

import numpy as np
import onnxruntime
import pandas as pd
import pytest

import automl
from automl.data.options import DataOptions
from automl.errors import DataError, OptionError
from automl.metrics import metric
from automl.task import make_task
from search_spaces.spec import Labels, Vector

ROWS = 240
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, 3)).astype(np.float32)
NUMBERS = pd.DataFrame(
    {"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "sum": 100 + X[:, 0] + X[:, 1], "difference": X[:, 0] - X[:, 2]}
)
LABELS = NUMBERS.assign(sum=NUMBERS["sum"] > 100, difference=(NUMBERS["difference"] > 1).astype(int))
TARGETS = ["sum", "difference"]
SHORT = {"n_trials": 1, "epochs": 9, "folds": 1, "workers": 1, "executor": "inline", "verbose": False, "families": ["MLP"]}


def test_columns_become_a_vector_or_labels():
    task = make_task(NUMBERS, DataOptions(target=TARGETS))
    assert (task.kind, task.metric, task.targets, task.classes) == ("regression", "rmse", ("sum", "difference"), ())
    outputs = task.folds[0].outputs
    assert isinstance(outputs, Vector)
    np.testing.assert_allclose(outputs.mean, task.target[task.folds[0].fit].mean(0))
    labels = make_task(LABELS, DataOptions(target=TARGETS))
    assert (labels.kind, labels.metric, labels.target.dtype) == ("multilabel", "roc_auc", np.int64)
    outputs = labels.folds[0].outputs
    assert isinstance(outputs, Labels)
    assert outputs.counts == tuple(labels.target[labels.folds[0].fit].sum(0))


def test_a_matrix_beside_its_features_is_the_same():
    frame = make_task(NUMBERS, DataOptions(target=TARGETS))
    pair = make_task((NUMBERS[["a", "b", "c"]], NUMBERS[TARGETS]), DataOptions())
    assert pair.targets == frame.targets
    np.testing.assert_array_equal(pair.target, frame.target)
    assert make_task((X, NUMBERS[TARGETS].to_numpy()), DataOptions()).targets == ("target_0", "target_1")
    assert make_task((X, NUMBERS[TARGETS].to_numpy()), DataOptions(target=["u", "v"])).targets == ("u", "v")


@pytest.mark.parametrize(
    ("data", "options", "error", "words"),
    [
        (NUMBERS.assign(sum="x"), {"target": TARGETS}, DataError, "must all be numbers, or all be labels .*'sum' hold others"),
        (LABELS.assign(sum=1), {"target": TARGETS}, DataError, "two different values each, but 'sum'"),
        (NUMBERS, {"target": TARGETS, "kind": "multilabel"}, DataError, "0 and 1 alone .*task='regression'"),
        (NUMBERS, {"target": TARGETS, "kind": "binary"}, OptionError, "one of multilabel, regression, got 'binary'"),
        (NUMBERS, {"target": "sum", "kind": "multilabel"}, OptionError, "needs several targets"),
        (NUMBERS, {"target": ["sum", "diference"]}, DataError, "did you mean 'difference'"),
        (NUMBERS, {"target": [*TARGETS, "a", "b", "c"]}, DataError, "a column besides the target"),
        (LABELS, {"target": TARGETS, "metric": "rmse"}, OptionError, "must be one of accuracy, f1"),
        (LABELS, {"target": TARGETS, "class_weight": "balanced"}, OptionError, "class_weight must be left out"),
        ((X, np.eye(ROWS)[:, :3]), {"target": ["u", "v"]}, DataError, "must name each of the 3 columns"),
        ((X, np.eye(3)[RNG.integers(0, 3, ROWS)]), {}, DataError, r"use y.argmax\(1\)"),
    ],
)
def test_targets_that_cannot_be_together_are_one_clear_error(data, options, error, words):
    with pytest.raises(error, match=words):
        make_task(data, DataOptions(**options))


def test_rows_without_all_targets_are_left_out():
    frame = NUMBERS.copy()
    frame.loc[3, "sum"] = np.nan
    frame.loc[5, "difference"] = np.inf
    task = make_task(frame, DataOptions(target=TARGETS))
    assert len(task.target) == ROWS - 2
    assert "2 of 240 rows have no target 'sum, difference'" in task.notices[0]


def test_scores_are_those_of_scikit_learn():
    from sklearn import metrics

    truth, guess, weight = RNG.normal(size=(50, 3)), RNG.normal(size=(50, 3)), RNG.random(50)
    assert metric("rmse", "regression").score(truth, guess, weight) == pytest.approx(
        np.sqrt(metrics.mean_squared_error(truth, guess, sample_weight=weight))
    )
    assert metric("r2", "regression").score(truth, guess) == pytest.approx(metrics.r2_score(truth, guess))
    labels, shares = (truth > 0).astype(int), RNG.random((50, 3))
    said = shares >= 0.5
    for name, expected in {
        "accuracy": metrics.accuracy_score(labels, said),
        "f1": metrics.f1_score(labels, said, average="macro"),
        "roc_auc": metrics.roc_auc_score(labels, shares),
        "average_precision": metrics.average_precision_score(labels, shares),
        "log_loss": np.mean([metrics.log_loss(labels[:, i], shares[:, i]) for i in range(3)]),
    }.items():
        assert metric(name, "multilabel").score(labels, shares) == pytest.approx(expected), name


@pytest.fixture(scope="module")
def searches(tmp_path_factory):
    """Return a search for numbers and one for labels."""
    folder = tmp_path_factory.mktemp("several")
    return {
        name: automl.search(frame, target=TARGETS, out=folder / name, **SHORT)
        for name, frame in (("numbers", NUMBERS), ("labels", LABELS))
    }


@pytest.mark.parametrize("kind", ["numbers", "labels"])
def test_a_search_gives_a_model_of_all_targets(searches, kind, tmp_path):
    result, frame = searches[kind], {"numbers": NUMBERS, "labels": LABELS}[kind]
    assert set(result.leaderboard()["model"]) == {"MLP #0", "linear", "mean"}
    assert result.leaderboard()["status"].isin(["finished", "stopped"]).all()
    model = result.best
    predicted = model.predict(frame)
    assert predicted.shape == (ROWS, 2)
    assert model.evaluate(frame)[model.metric] == pytest.approx(
        metric(model.metric, model.kind).score(
            frame[TARGETS].to_numpy(np.float64), model.predict_proba(frame) if kind == "labels" else predicted
        )
    )
    if kind == "labels":
        np.testing.assert_array_equal(predicted, model.predict_proba(frame) >= 0.5)
    else:
        assert abs(predicted[:, 0].mean() - 100) < 5
    model.export(tmp_path / "model")
    loaded = automl.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(frame), predicted)
    session = onnxruntime.InferenceSession(tmp_path / "model" / "model.onnx")
    (written,) = session.run(None, {"numeric": np.asarray(model.encoder.transform(frame)[0])})
    shares = model.predict_proba(frame) if kind == "labels" else predicted
    np.testing.assert_allclose(written, shares, atol=1e-4)
    assert "sum" in (tmp_path / "model" / "README.md").read_text()


def test_the_command_line_names_each_target(searches, tmp_path):
    NUMBERS.head(7).to_csv(tmp_path / "rows.csv", index=False)
    searches["labels"].best.save(tmp_path / "model")
    command = [sys.executable, "-m", "automl", "predict", str(tmp_path / "model"), str(tmp_path / "rows.csv"), "--probabilities"]
    came = json.loads(subprocess.run([*command, "--json"], capture_output=True, text=True, check=True).stdout)
    assert list(came[0]) == ["sum", "difference", "probability_sum", "probability_difference"]


def test_targets_to_score_are_matched_by_name(searches):
    model, features = searches["numbers"].best, NUMBERS[["a", "b", "c"]]
    expected = model.evaluate(NUMBERS)
    assert model.evaluate((features, NUMBERS[TARGETS[::-1]])) == expected
    assert model.evaluate((features, NUMBERS[TARGETS].to_numpy())) == expected
    for wrong, came in ((NUMBERS["sum"], "one column"), (NUMBERS[["sum", "a"]], "'sum', 'a'"), (NUMBERS[["a", "b", "c"]], "'c'")):
        with pytest.raises(DataError, match=f"must hold the targets 'sum', 'difference', as in training, got .*{came}"):
            model.evaluate((features * 2, wrong))


def test_a_refit_predicts_all_targets(searches):
    assert searches["numbers"].refit().predict(NUMBERS).shape == (ROWS, 2)


def test_rare_labels_are_in_every_role():
    frame = LABELS.assign(rare=np.arange(ROWS) % 40 == 0)
    task = make_task(frame, DataOptions(target=[*TARGETS, "rare"], folds=1, validation=None))
    [fold] = task.folds
    assert all(task.target[rows, 2].sum() for rows in (fold.fit, fold.choose, task.report))
