import math

import numpy as np
import pytest

from automl.bias import bootstrap_interval, corrected_score
from automl.metrics import METRICS


def useless(configurations, rows, seed):
    """Predictions of configurations that know nothing, and a target."""
    rng = np.random.default_rng(seed)
    positive = rng.random((configurations, rows))
    return rng.integers(0, 2, rows), np.stack([1 - positive, positive], axis=2)


@pytest.mark.parametrize("name", ["accuracy", "roc_auc"])
def test_the_winner_of_many_useless_ones_is_seen_through(name):
    metric = METRICS[name]
    naive, corrected = [], []
    for seed in range(12):
        target, predictions = useless(60, 120, seed)
        naive.append(max(metric.score(target, prediction) for prediction in predictions))
        corrected.append(corrected_score(metric, target, predictions, resamples=200, seed=seed)[0])
    assert np.mean(naive) > 0.58  # what choosing alone makes of luck
    assert np.mean(corrected) == pytest.approx(0.5, abs=0.02)


def test_a_clear_winner_keeps_its_score():
    target, predictions = useless(10, 300, 0)
    sure = np.where(np.arange(300) < 270, target, 1 - target)
    predictions[3] = np.stack([1 - sure, sure], axis=1)
    value, low, high = corrected_score(METRICS["accuracy"], target, predictions)
    assert value == pytest.approx(0.9, abs=0.005)
    assert low < value < high


def test_losses_are_corrected_upwards():
    rng = np.random.default_rng(0)
    target = rng.normal(size=100)
    predictions = rng.normal(size=(50, 100)) * 0.3
    best = min(METRICS["rmse"].score(target, prediction) for prediction in predictions)
    assert corrected_score(METRICS["rmse"], target, predictions)[0] > best


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(150):
        hits = rng.random(200) < 0.8
        prediction = np.stack([hits, ~hits], axis=1).astype(float)
        low, high = bootstrap_interval(METRICS["accuracy"], np.zeros(200, int), prediction, resamples=200)
        covered.append(low <= 0.8 <= high)
    assert 0.88 <= np.mean(covered) <= 1.0


def test_weights_count():
    target, [prediction] = useless(1, 400, 0)
    right = prediction.argmax(1) == target
    low, high = bootstrap_interval(METRICS["accuracy"], target, prediction, weight=right.astype(np.float32))
    assert low == high == 1.0
    assert corrected_score(METRICS["accuracy"], target, prediction[None], weight=right.astype(np.float32))[0] == 1.0


def test_the_same_seed_gives_the_same_figures():
    target, predictions = useless(5, 100, 0)
    one, two, three = (corrected_score(METRICS["roc_auc"], target, predictions, resamples=50, seed=seed) for seed in (1, 1, 2))
    assert one == two != three
    ends = [bootstrap_interval(METRICS["roc_auc"], target, predictions[0], resamples=50, seed=seed) for seed in (1, 1, 2)]
    assert ends[0] == ends[1] != ends[2]


def test_many_rows_are_drawn_in_portions():
    target, predictions = useless(1, 60_000, 0)
    low, high = bootstrap_interval(METRICS["accuracy"], target, predictions[0], resamples=20)
    score = METRICS["accuracy"].score(target, predictions[0])
    assert low < score < high
    assert high - low < 0.02


def test_failed_configurations_never_win_and_undefined_scores_are_nan():
    target, predictions = useless(3, 80, 0)
    predictions[1] = math.nan
    alone = corrected_score(METRICS["accuracy"], target, predictions[[0, 2]])
    assert corrected_score(METRICS["accuracy"], target, predictions) == alone
    assert all(map(math.isnan, corrected_score(METRICS["roc_auc"], np.ones(80, int), predictions)))
    assert all(map(math.isnan, bootstrap_interval(METRICS["roc_auc"], np.ones(80, int), predictions[0])))
    assert all(map(math.isnan, bootstrap_interval(METRICS["accuracy"], target[:0], predictions[0, :0])))
