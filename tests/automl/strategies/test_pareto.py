"""Fronts hold whom nobody dominates, crowding favours the lonely, the volume is an area."""

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl.strategies.pareto import crowding, dominates, front, fronts, hypervolume

NUMBERS = st.integers(0, 6).map(float) | st.floats(-1e6, 1e6)
WHOLE = st.integers(0, 20).map(float)  # areas of these are exact
PAIRS = st.lists(st.tuples(WHOLE, WHOLE), max_size=30)
POINTS = st.integers(1, 4).flatmap(lambda width: st.lists(st.tuples(*[NUMBERS] * width), max_size=30))


@given(POINTS)
def test_a_front_holds_exactly_whom_nobody_dominates(points):
    assert front(points) == [i for i, a in enumerate(points) if not any(dominates(b, a) for b in points)]


@given(POINTS)
def test_fronts_hold_everyone_once_and_each_is_dominated_by_the_one_before(points):
    sorted_ = fronts(points)
    assert sorted(i for each in sorted_ for i in each) == list(range(len(points)))
    for better, worse in itertools.pairwise(sorted_):
        assert all(any(dominates(points[a], points[b]) for a in better) for b in worse)
    for each in sorted_:
        assert not any(dominates(points[a], points[b]) for a in each for b in each)


def test_fronts_of_many_are_made_as_those_of_few(monkeypatch):
    chance = random.Random(0)
    points = [(chance.randrange(9), chance.randrange(9), chance.randrange(9)) for _ in range(200)]
    at_once = fronts(points)
    monkeypatch.setattr("automl.strategies.pareto.MATRIX", 20)
    assert fronts(points) == at_once


@given(POINTS)
def test_domination_is_an_order(points):
    for a in points[:8]:
        assert not dominates(a, a)
        for b in points[:8]:
            assert not (dominates(a, b) and dominates(b, a))
            for c in points[:8]:
                assert dominates(a, c) or not (dominates(a, b) and dominates(b, c))


def test_without_objectives_all_are_equal():
    assert fronts([(), (), ()]) == [[0, 1, 2]]


def test_with_one_objective_the_front_is_the_best():
    assert front([(3.0,), (1.0,), (2.0,), (1.0,)]) == [1, 3]


def test_nobody_has_no_front():
    assert front([]) == []
    assert fronts([]) == []
    assert crowding([]) == []
    assert hypervolume([], (1.0, 1.0)) == 0.0


def test_the_ends_of_a_front_are_the_loneliest_then_who_has_room():
    distances = crowding([(0.0, 10.0), (1.0, 9.0), (2.0, 8.0), (6.0, 4.0), (10.0, 0.0)])
    assert distances == [math.inf, 0.4, 1.0, 1.6, math.inf]


def test_crowding_of_equal_points_is_nothing():
    assert crowding([(1.0, 2.0)] * 3) == [0.0] * 3


def test_the_volume_of_steps():
    assert hypervolume([(1.0, 3.0), (2.0, 1.0)], (4.0, 4.0)) == 3 * 1 + 2 * 2
    assert hypervolume([(5.0, 0.0), (0.0, 4.0)], (4.0, 4.0)) == 0.0


@given(PAIRS, st.tuples(WHOLE, WHOLE))
def test_only_the_front_has_a_volume_and_more_points_have_no_less(points, reference):
    whole = hypervolume(points, reference)
    assert whole >= 0
    assert hypervolume([points[i] for i in front(points)], reference) == whole
    assert hypervolume(points[1:], reference) <= whole


def test_a_volume_is_of_two_objectives():
    with pytest.raises(ValueError, match="two objectives"):
        hypervolume([(1.0, 2.0, 3.0)], (4.0, 4.0))
