"""A running mean of weights forgets where training began, and follows what it is told to, however long training is."""

import itertools

import pytest

from search_spaces.averaging import EMA, Averaging, NoAveraging

EVERY = [NoAveraging(), EMA(), EMA(span=0.002), EMA(span=0.1)]


def mean_of(averaging: Averaging, values: list[float], steps: int, before: float = 1e9) -> list[float]:
    """The mean after each step, where the value before training was `before`."""
    mean, means = before, []
    for step, value in enumerate(values, 1):
        weight = averaging.weight(step, steps)
        mean = mean + weight * (value - mean) if weight < 1 else value
        means.append(mean)
    return means


@pytest.mark.parametrize("averaging", EVERY, ids=repr)
@pytest.mark.parametrize("steps", [1, 2, 7, 300, 100_000])
def test_weights_are_shares_that_never_rise(averaging: Averaging, steps: int):
    weights = [averaging.weight(step, steps) for step in range(1, min(steps, 2000) + 1)]
    assert weights[0] == 1.0
    assert all(0 < weight <= 1 for weight in weights)
    assert all(later <= earlier for earlier, later in itertools.pairwise(weights))


@pytest.mark.parametrize("averaging", EVERY, ids=repr)
def test_weights_before_training_are_no_part_of_it(averaging: Averaging):
    assert mean_of(averaging, [3.0] * 50, 1000) == pytest.approx([3.0] * 50)


def test_only_no_averaging_is_inactive():
    assert [averaging.is_active for averaging in EVERY] == [False, True, True, True]
    assert mean_of(NoAveraging(), [1.0, 5.0, 2.0], 3) == [1.0, 5.0, 2.0]


@pytest.mark.parametrize("steps", [500, 5_000, 50_000])
@pytest.mark.parametrize("span", [0.002, 0.02, 0.1])
def test_the_span_is_a_share_of_the_full_training(span: float, steps: int):
    """On a ramp of slope 1 an average lags behind by its memory, here as a share of the training."""
    lag = 1.0 - mean_of(EMA(span=span), [step / steps for step in range(1, steps + 1)], steps)[-1]
    assert lag == pytest.approx(span, rel=0.05, abs=1 / steps)


def test_early_scores_are_those_of_recent_weights():
    steps = 10_000
    means = mean_of(EMA(span=0.1), [float(step) for step in range(1, steps + 1)], steps)
    assert all(means[step - 1] > 0.85 * step for step in range(20, 1000))


def test_a_rung_is_a_part_of_the_full_training():
    whole = [EMA().weight(step, 900) for step in range(1, 901)]
    assert [EMA().weight(step, 900) for step in range(301, 601)] == whole[300:600]


def test_json():
    assert EMA().to_dict() == {"family": "EMA", "span": 0.02}
    assert NoAveraging.from_dict(NoAveraging().to_dict()) == NoAveraging()
