import math

import pytest

from automl.backlog import Backlog
from automl.durations import Durations
from automl.strategies.base import Proposal
from automl.trial import Outcome
from search_spaces.configuration import Configuration


def proposal(number, epochs=3):
    return Proposal(number, Configuration(), 0, epochs, 9)


@pytest.fixture
def backlog():
    """Return a function that makes a backlog; an epoch takes a second."""

    def make(workers=4, n_trials=None, begun=0):
        durations = Durations()
        durations.learn(proposal(0), [Outcome(0, "finished", score=0.5, seconds=3.0, curve=((0, 0.5), (1, 0.5), (2, 0.5)))])
        made = Backlog(workers, n_trials, durations)
        made.know([proposal(number) for number in range(begun)])
        return made

    return make


def numbers(proposals):
    return [each.number for each in proposals]


def test_in_the_middle_of_a_search_nothing_waits_and_the_order_is_the_strategys(backlog):
    middle = backlog(n_trials=40, begun=20)
    assert middle.wanting(2, math.inf) == 2
    middle.add([proposal(20, 1), proposal(21, 9)], 0.0)
    assert numbers(middle.take(2, math.inf)) == [20, 21]
    assert middle.left == 0


def test_near_the_last_trial_some_are_known_ahead_and_the_longest_goes_first(backlog):
    end = backlog(n_trials=24, begun=20)
    assert end.wanting(1, math.inf) == 5
    end.add([proposal(20, 1), proposal(21, 3), proposal(22, 9), proposal(23, 2)], 0.0)
    assert numbers(end.take(1, math.inf)) == [22]
    assert end.wanting(1, math.inf) == 2
    end.add([], 0.0)
    assert numbers(end.take(2, math.inf)) == [21, 23]
    assert numbers(end.take(1, math.inf)) == [20]


@pytest.mark.parametrize(("n_trials", "ahead"), [(4, 1), (12, 3), (16, 4), (80, 4)])
def test_no_more_than_a_quarter_of_a_search_is_thought_of_ahead(backlog, n_trials, ahead):
    assert backlog(n_trials=n_trials, begun=n_trials - 1).wanting(1, math.inf) == 1 + ahead


def test_one_worker_needs_no_order(backlog):
    alone = backlog(workers=1, n_trials=4, begun=2)
    assert alone.wanting(1, math.inf) == 1
    alone.add([proposal(2, 1), proposal(3, 9)], 0.0)
    assert numbers(alone.take(2, math.inf)) == [2, 3]


def test_near_the_end_of_the_time_the_longest_that_fits_goes_first(backlog):
    ending = backlog()
    ending.add([proposal(0, 9), proposal(1, 3)], 0.0)
    assert numbers(ending.take(2, 100.0)) == [0, 1]
    assert ending.wanting(1, 9.5) == 1
    assert ending.wanting(1, 8.5) == 5
    ending.add([proposal(2, 1), proposal(3, 9), proposal(4, 8), proposal(5, 4)], 0.0)
    assert numbers(ending.take(1, 8.5)) == [4]
    assert ending.dropped == 1
    assert numbers(ending.take(1, 3.5)) == [2]
    assert (ending.dropped, ending.left) == (2, 2)


def test_no_more_is_asked_for_than_is_thought_of_in_time(backlog):
    thinking = backlog(workers=1)
    assert thinking.wanting(5, 1.0) == 5
    thinking.add([proposal(0), proposal(1)], 4.0)
    thinking.add([], 9.0)
    thinking.take(2, 100.0)
    assert [thinking.wanting(5, remaining) for remaining in (100.0, math.inf, 7.0, 1.9, -1.0)] == [5, 5, 3, 0, 0]


def test_a_slow_strategy_thinks_ahead_for_a_second_at_most(backlog):
    slow = backlog(workers=16, n_trials=100, begun=95)
    slow.add([proposal(95)], 0.2)
    slow.take(1, math.inf)
    assert slow.wanting(2, math.inf) == 5
    assert slow.wanting(7, math.inf) == 7
