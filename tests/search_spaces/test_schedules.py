"""Schedules are functions of progress: known values, warm-up, no jumps but where a step belongs."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.schedules import DIVISOR, FINAL_DIVISOR, START, Constant, Cosine, OneCycle, Schedule, Step


@pytest.mark.parametrize(
    ("schedule", "start", "middle", "end"),
    [
        (Cosine(warmup=0.0), 1.0, 0.5, 0.0),
        (Constant(warmup=0.0), 1.0, 1.0, 1.0),
        (Step(warmup=0.0, drops=2, drop=0.1), 1.0, 0.1, 0.01),
        (OneCycle(warmup=0.5), 1 / DIVISOR, 1.0, 1 / (DIVISOR * FINAL_DIVISOR)),
    ],
)
def test_values_at_start_middle_and_end(schedule: Schedule, start: float, middle: float, end: float):
    factors = [schedule.factor(progress) for progress in (0.0, 0.5, 1.0)]
    assert factors == pytest.approx([start, middle, end], abs=1e-12)


@pytest.mark.parametrize("schedule", [Cosine(warmup=0.2), Constant(warmup=0.2), Step(warmup=0.2, drops=1)])
def test_warm_up_rises_linearly_to_one(schedule: Schedule):
    factors = [schedule.factor(progress) for progress in (0.0, 0.1, 0.2)]
    assert factors == pytest.approx([START, (START + 1) / 2, 1.0])


def test_cosine_is_a_half_cosine_after_the_warm_up():
    assert Cosine(warmup=0.2).factor(0.6) == pytest.approx(0.5)


def test_step_drops_at_evenly_spaced_points():
    schedule = Step(warmup=0.0, drops=3, drop=0.5)
    assert [schedule.factor(progress) for progress in (0.24, 0.26, 0.51, 0.76, 1.0)] == [1.0, 0.5, 0.25, 0.125, 0.125]


@pytest.mark.parametrize("family", [Cosine, Constant, Step, OneCycle])
@given(progress=st.floats(0.0, 1.0), warmup=st.floats(0.1, 0.2))
def test_factors_stay_between_zero_and_one(family: type[Schedule], progress: float, warmup: float):
    assert 0.0 <= family(warmup=warmup).factor(progress) <= 1.0


@pytest.mark.parametrize("schedule", [Cosine(), Constant(), OneCycle()])
def test_no_jumps(schedule: Schedule):
    factors = [schedule.factor(i / 1000) for i in range(1001)]
    assert max(abs(a - b) for a, b in itertools.pairwise(factors)) < 0.05
