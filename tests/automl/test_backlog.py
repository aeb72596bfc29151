import math

import pytest

from automl.backlog import Backlog
from automl.durations import Durations
from automl.strategies.base import Proposal
from automl.trial import Outcome
from search_spaces.configuration import Configuration

WORKERS = 4


def proposal(number, epochs=3):
    return Proposal(number, Configuration(), 0, epochs, 9)


@pytest.fixture
def backlog():
    """Return a function that makes a backlog with proposals of so many epochs, a second each; the longest training took three."""

    def make(epochs=(), n_trials=None, begun=0):
        durations = Durations()
        durations.learn(proposal(99), [Outcome(0, "finished", score=0.5, seconds=3.0, curve=((1, 0.5), (2, 0.5), (3, 0.5)))])
        made = Backlog(n_trials, durations)
        for number, each in enumerate(epochs, start=begun):
            made.add(proposal(number, each))
        return made

    return make


def numbers(proposals):
    return [each.number for each in proposals]


def test_in_the_middle_of_a_search_nothing_waits_here_and_the_order_is_the_strategys(backlog):
    middle = backlog((1, 9, 3), n_trials=40, begun=20)
    assert numbers(middle.take(3, 1, WORKERS, math.inf)) == [20, 21, 22]
    assert middle.left == 0


def test_near_the_last_trial_all_but_one_wait_here_and_the_longest_goes_first(backlog):
    end = backlog((1, 3, 9), n_trials=24, begun=20)
    assert numbers(end.take(3, 0, WORKERS, math.inf)) == [22]
    assert numbers(end.take(2, -1, WORKERS, math.inf)) == []
    assert end.wanting(3, math.inf) == 1
    end.add(proposal(23, 2))
    assert numbers(end.take(3, 1, WORKERS, math.inf)) == [21, 23]
    assert (end.left, end.wanting(1, math.inf)) == (1, 0)


@pytest.mark.parametrize(("begun", "taken"), [(29, [29, 30]), (30, [31])])
def test_the_end_begins_two_rounds_before_the_last_trial(backlog, begun, taken):
    assert numbers(backlog((1, 9), n_trials=40, begun=begun).take(2, 0, WORKERS, math.inf)) == taken


def test_what_the_strategy_has_no_more_of_is_sorted(backlog):
    short = backlog((1, 9))
    short.learn_thinking(0.1, proposals=2, wanting=3)
    assert numbers(short.take(4, 3, WORKERS, math.inf)) == [1, 0]


def test_one_place_needs_no_order(backlog):
    assert numbers(backlog((1, 9), n_trials=4, begun=2).take(2, 0, 1, math.inf)) == [2, 3]


def test_near_the_end_of_the_time_the_longest_that_fits_goes_first(backlog):
    ending = backlog((3, 2))
    assert numbers(ending.take(2, 0, WORKERS, 6.5)) == [0, 1]
    for number, epochs in enumerate((1, 9, 4, 3), start=2):
        ending.add(proposal(number, epochs))
    assert numbers(ending.take(4, 0, WORKERS, 5.5)) == [4]
    assert (ending.dropped, numbers(ending.waiting)) == (1, [5, 2])
    assert numbers(ending.take(4, 0, WORKERS, 2.5)) == [2]
    assert (ending.dropped, ending.left) == (2, 2)


def test_a_long_one_that_waits_makes_it_the_end(backlog):
    ending = backlog((9,))
    assert numbers(ending.take(1, 1, WORKERS, 8.5)) == []
    assert ending.dropped == 1


def test_what_is_learnt_while_a_proposal_waits_counts():
    ending = Backlog()
    ending.add(proposal(0, 9))
    assert ending.take(0, 0, WORKERS, 5.0) == []
    assert ending.dropped == 0
    ending.durations.learn(proposal(99, 1), [Outcome(0, "finished", score=0.5, seconds=3.0, curve=((1, 0.5),))])
    assert ending.take(1, 1, WORKERS, 20.0) == []
    assert ending.dropped == 1


def test_no_more_is_asked_for_than_is_thought_of_in_time(backlog):
    thinking = backlog()
    assert thinking.wanting(5, 1.0) == 5
    thinking.learn_thinking(4.0, proposals=2, wanting=2)
    thinking.learn_thinking(9.0, proposals=0, wanting=2)
    assert [thinking.wanting(5, remaining) for remaining in (100.0, math.inf, 7.0, 1.9, -1.0)] == [5, 5, 3, 0, 0]
