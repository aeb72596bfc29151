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
    """Return a function that makes a backlog; an epoch takes a second, and the longest training took three."""

    def make(workers=4, n_trials=None, begun=0):
        durations = Durations()
        durations.learn(proposal(0), [Outcome(0, "finished", score=0.5, seconds=3.0, curve=((0, 0.5), (1, 0.5), (2, 0.5)))])
        made = Backlog(workers, n_trials, durations)
        made.know([proposal(number) for number in range(begun)])
        return made

    return make


def numbers(proposals):
    return [each.number for each in proposals]


def test_in_the_middle_of_a_search_nothing_waits_here_and_the_order_is_the_strategys(backlog):
    middle = backlog(n_trials=40, begun=20)
    assert middle.wanting(3, math.inf) == 3
    middle.add([proposal(20, 1), proposal(21, 9), proposal(22, 3)], 0.0)
    assert numbers(middle.take(3, 1, math.inf)) == [20, 21, 22]
    assert middle.left == 0


def test_near_the_last_trial_all_but_one_wait_here_and_the_longest_goes_first(backlog):
    end = backlog(n_trials=24, begun=20)
    end.add([proposal(20, 1), proposal(21, 3), proposal(22, 9)], 0.0)
    assert numbers(end.take(3, 0, math.inf)) == [22]
    assert numbers(end.take(2, -1, math.inf)) == []
    assert end.wanting(3, math.inf) == 1
    end.add([proposal(23, 2)], 0.0)
    assert numbers(end.take(3, 1, math.inf)) == [21, 23]
    assert (end.left, end.wanting(1, math.inf)) == (1, 0)


@pytest.mark.parametrize(("begun", "taken"), [(31, [0, 1]), (32, [1])])
def test_the_end_begins_two_rounds_before_the_last_trial(backlog, begun, taken):
    search = backlog(n_trials=40, begun=begun)
    search.add([proposal(0, 1), proposal(1, 9)], 0.0)
    assert numbers(search.take(2, 0, math.inf)) == taken


def test_what_the_strategy_has_no_more_of_is_sorted(backlog):
    short = backlog()
    short.add([proposal(0, 1), proposal(1, 9)], 0.0, are_last=True)
    assert numbers(short.take(4, 3, math.inf)) == [1, 0]


def test_one_worker_needs_no_order(backlog):
    alone = backlog(workers=1, n_trials=4, begun=2)
    alone.add([proposal(2, 1), proposal(3, 9)], 0.0)
    assert numbers(alone.take(2, 0, math.inf)) == [2, 3]


def test_near_the_end_of_the_time_the_longest_that_fits_goes_first(backlog):
    ending = backlog()
    ending.add([proposal(0, 3), proposal(1, 2)], 0.0)
    assert numbers(ending.take(2, 0, 6.5)) == [0, 1]
    ending.add([proposal(2, 1), proposal(3, 9), proposal(4, 4), proposal(5, 3)], 0.0)
    assert numbers(ending.take(4, 0, 5.5)) == [4]
    assert (ending.dropped, numbers(ending.waiting)) == (1, [5, 2])
    assert numbers(ending.take(4, 0, 2.5)) == [2]
    assert (ending.dropped, ending.left) == (2, 2)


def test_a_long_one_that_waits_makes_it_the_end(backlog):
    ending = backlog()
    ending.add([proposal(1, 9)], 0.0)
    assert numbers(ending.take(1, 1, 8.5)) == []
    assert ending.dropped == 1


def test_no_more_is_asked_for_than_is_thought_of_in_time(backlog):
    thinking = backlog()
    assert thinking.wanting(5, 1.0) == 5
    thinking.add([proposal(0), proposal(1)], 4.0)
    thinking.add([], 9.0)
    thinking.take(2, 2, 100.0)
    assert [thinking.wanting(5, remaining) for remaining in (100.0, math.inf, 7.0, 1.9, -1.0)] == [5, 5, 3, 0, 0]
