import time

from automl.limits import Limits
from automl.strategies.base import Proposal
from search_spaces.configuration import Configuration


def proposal(number, start=0, stop=3):
    return Proposal(number, Configuration(), start, stop, 9)


def test_without_a_time_limit_the_search_stays_open_until_it_is_stopped():
    limits = Limits(None, time.time())
    assert limits.deadline is None
    assert limits.open()
    limits.stop("enough")
    assert not limits.open()


def test_trials_end_before_the_limit_does():
    started = time.time()
    limits = Limits(60.0, started)
    assert started + 58 < limits.deadline < started + 60
    assert not Limits(60.0, started - 61).open()


def test_what_an_earlier_run_spent_counts():
    assert not Limits(60.0, time.time(), spent=60.0).open()
    assert Limits(60.0, time.time(), spent=60.0).elapsed() >= 60.0


def test_an_allowance_grows_with_the_share_of_a_full_training():
    limits = Limits(100.0, time.time())
    assert limits.allowance(proposal(1, 0, 1)) < limits.allowance(proposal(1, 1, 9)) < 50
    assert limits.allowance(proposal(0)) is None
    assert Limits(None, time.time()).allowance(proposal(1)) is None
