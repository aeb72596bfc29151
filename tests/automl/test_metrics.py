import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from automl.errors import OptionError
from automl.metrics import METRICS, TASK_KINDS, default_metric, metric

CLASS_METRICS = [name for name, known in METRICS.items() if known.needs != "values"]


def sklearn_score(name, target, prediction, weight):
    binary = prediction.ndim == 2 and prediction.shape[1] == 2
    labels = prediction.argmax(1) if prediction.ndim == 2 else None
    positive = prediction[:, 1] if binary else None
    one_hot = np.eye(prediction.shape[1])[target] if prediction.ndim == 2 else None
    return {
        "accuracy": lambda: sk.accuracy_score(target, labels, sample_weight=weight),
        "balanced_accuracy": lambda: sk.balanced_accuracy_score(target, labels, sample_weight=weight),
        "f1": lambda: sk.f1_score(target, labels, average="binary" if binary else "macro", sample_weight=weight, zero_division=0),
        "roc_auc": lambda: sk.roc_auc_score(
            target if binary else one_hot, positive if binary else prediction, average="macro", sample_weight=weight
        ),
        "average_precision": lambda: sk.average_precision_score(
            target if binary else one_hot, positive if binary else prediction, sample_weight=weight
        ),
        "log_loss": lambda: sk.log_loss(target, prediction, sample_weight=weight, labels=np.arange(prediction.shape[1])),
        "rmse": lambda: sk.root_mean_squared_error(target, prediction, sample_weight=weight),
        "mae": lambda: sk.mean_absolute_error(target, prediction, sample_weight=weight),
        "mse": lambda: sk.mean_squared_error(target, prediction, sample_weight=weight),
        "r2": lambda: sk.r2_score(target, prediction, sample_weight=weight),
    }[name]()


def probabilities(rng, rows, width, ties):
    raw = rng.dirichlet(np.ones(width), size=rows)
    return np.round(raw, 1) / np.round(raw, 1).sum(1, keepdims=True) if ties else raw


@pytest.mark.parametrize("name", CLASS_METRICS)
@given(st.integers(0, 10**6), st.sampled_from([2, 3, 7]), st.booleans(), st.booleans())
@settings(max_examples=25)
def test_scores_of_classes_are_those_of_scikit_learn(name, seed, width, ties, weighted):
    rng = np.random.default_rng(seed)
    target = np.r_[np.arange(width), rng.integers(0, width, size=rng.integers(5, 80))]  # every class occurs
    prediction = probabilities(rng, len(target), width, ties)
    weight = rng.choice([0.5, 1.0, 3.0], size=len(target)) if weighted else None
    ours = metric(name, "binary" if width == 2 else "multiclass").score(target, prediction, weight)
    assert ours == pytest.approx(sklearn_score(name, target, prediction, weight), abs=1e-9)


@pytest.mark.parametrize("name", ["rmse", "mae", "mse", "r2"])
@given(st.integers(0, 10**6), st.booleans(), st.sampled_from([1e-6, 1.0, 1e8]))
@settings(max_examples=25)
def test_scores_of_values_are_those_of_scikit_learn(name, seed, weighted, scale):
    rng = np.random.default_rng(seed)
    target = rng.normal(size=rng.integers(3, 80)) * scale + scale
    prediction = (target + rng.normal(size=len(target)) * scale).astype(np.float32)
    weight = rng.choice([0.0, 1.0, 3.0], size=len(target), p=[0.1, 0.5, 0.4]) if weighted else None
    if weight is not None:
        weight[:3] = 1.0
    ours = metric(name, "regression").score(target, prediction, weight)
    assert ours == pytest.approx(sklearn_score(name, target, prediction, weight), rel=1e-7)


@pytest.mark.parametrize("name", list(METRICS))
@given(st.integers(0, 10**6))
@settings(max_examples=10)
def test_a_weight_is_a_number_of_copies_and_draws_are_scored_alike(name, seed):
    rng = np.random.default_rng(seed)
    width = 1 if METRICS[name].needs == "values" else int(rng.choice([2, 4]))
    target = rng.normal(size=40) if width == 1 else np.r_[np.arange(width), rng.integers(0, width, 40 - width)]
    prediction = rng.normal(size=40) if width == 1 else probabilities(rng, 40, width, ties=True)
    draws = rng.integers(0, 3, size=(5, 40)).astype(np.float64)
    draws[:, :4] = 1
    scores = METRICS[name].scores(target, prediction, draws)
    for score, draw in zip(scores, draws, strict=True):
        copies = np.repeat(np.arange(40), draw.astype(int))
        assert METRICS[name].score(target[copies], prediction[copies]) == pytest.approx(score, nan_ok=True)
        assert METRICS[name].score(target, prediction, draw) == pytest.approx(score, nan_ok=True)


def test_classes_that_do_not_occur_are_left_out_of_averages():
    rng = np.random.default_rng(0)
    target = rng.integers(0, 3, 50)
    prediction = np.c_[probabilities(rng, 50, 3, ties=False) * 0.9, np.full(50, 0.1)]
    for name in ("roc_auc", "average_precision", "balanced_accuracy"):
        alone = METRICS[name].score(target, prediction[:, :3])
        assert METRICS[name].score(target, prediction) == pytest.approx(alone)


def test_the_binary_area_needs_both_classes():
    assert math.isnan(METRICS["roc_auc"].score(np.ones(5, int), np.full((5, 2), 0.5)))
    assert METRICS["roc_auc"].score(np.array([0, 1]), np.full((2, 2), 0.5)) == 0.5


@pytest.mark.parametrize("name", list(METRICS))
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_undefined_is_nan(name, bad):
    values = METRICS[name].needs == "values"
    target = np.array([0.0, 1.0, 2.0]) if values else np.array([0, 1, 0])
    prediction = np.array([0.0, 1.0, 1.0]) if values else np.array([[0.6, 0.4], [0.1, 0.9], [0.3, 0.7]])
    assert math.isfinite(METRICS[name].score(target, prediction))
    broken = prediction.copy()
    broken[(0,) * broken.ndim] = bad
    assert math.isnan(METRICS[name].score(target, broken))
    assert math.isnan(METRICS[name].score(target, prediction, np.zeros(3)))
    assert math.isnan(METRICS[name].score(target[:0], prediction[:0]))


def test_extreme_values_give_no_warning():
    huge = np.array([1e200, -1e200])
    assert math.isnan(METRICS["rmse"].score(huge, -huge))
    assert METRICS["mae"].score(huge, -huge) == 2e200
    assert math.isnan(METRICS["r2"].score(np.full(3, 0.1), np.zeros(3)))
    certain = np.array([[1, 0], [0, 1]], dtype=np.float32)
    assert METRICS["log_loss"].score(np.array([0, 1]), certain) == pytest.approx(0, abs=1e-6)
    assert METRICS["log_loss"].score(np.array([1, 0]), certain) == pytest.approx(-math.log(np.finfo(np.float32).eps))


def test_shapes_must_fit():
    with pytest.raises(ValueError, match="3 rows can't be scored"):
        METRICS["accuracy"].score(np.zeros(3, int), np.zeros((2, 2)))
    with pytest.raises(ValueError, match="can't be scored"):
        METRICS["accuracy"].score(np.zeros(3, int), np.zeros(3))
    with pytest.raises(ValueError, match="can't be scored"):
        METRICS["rmse"].score(np.zeros(3), np.zeros((3, 1)))


def test_loss_is_lower_for_the_better():
    assert METRICS["accuracy"].loss(0.9) < METRICS["accuracy"].loss(0.8)
    assert METRICS["rmse"].loss(0.8) < METRICS["rmse"].loss(0.9)


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("auc", "binary", "did you mean 'roc_auc'"),
        ("acuracy", "multiclass", "did you mean 'accuracy'"),
        ("rsme", "regression", "metric of a regression task must be one of rmse, mae, mse, r2, got 'rsme'; did you mean 'rmse'"),
        ("rmse", "binary", "it scores regression and forecast tasks"),
        ("roc_auc", "regression", "it scores binary and multiclass and multilabel tasks"),
    ],
)
def test_an_unknown_metric_is_an_option_error(name, kind, text):
    with pytest.raises(OptionError, match="must be one of") as caught:
        metric(name, kind)
    assert text in str(caught.value)


def test_every_kind_of_task_has_a_default():
    assert [default_metric(kind).name for kind in TASK_KINDS] == [
        "roc_auc",
        "accuracy",
        "rmse",
        "roc_auc",
        "mae",
        "reconstruction_error",
    ]
    assert all(metric(default_metric(kind).name, kind) is default_metric(kind) for kind in TASK_KINDS)
