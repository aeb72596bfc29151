import math
import time

import pytest

from automl.limits import Forecast, Limits
from automl.strategies.base import Proposal
from automl.trial import Outcome
from search_spaces.configuration import Configuration
from search_spaces.optimizers import Autoencoding, Recipe


def proposal(number, start=0, stop=3):
    return Proposal(number, Configuration(), start, stop, 9)


def outcome(seconds, epochs):
    return Outcome(0, "finished", score=0.5, seconds=seconds, curve=tuple((epoch, 0.5) for epoch in range(epochs)))


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


def test_a_forecast_knows_nothing_at_first():
    assert Forecast().seconds(proposal(0)) == 0.0


def test_a_forecast_takes_the_pace_of_the_configuration_before_that_of_others():
    forecast = Forecast()
    forecast.learn(proposal(0), [outcome(3.0, 3)])
    forecast.learn(proposal(1), [outcome(30.0, 3)])
    forecast.learn(proposal(2), [outcome(6.0, 3)])
    assert forecast.seconds(proposal(0, 3, 9)) == pytest.approx(6.0)
    assert forecast.seconds(proposal(9, 0, 3)) == pytest.approx(6.0)


def test_folds_add_up():
    forecast = Forecast()
    forecast.learn(proposal(0), [outcome(3.0, 3), outcome(3.0, 3)])
    assert forecast.seconds(proposal(0)) == pytest.approx(6.0)


def test_pretraining_counts_where_a_training_begins():
    made_of = Configuration(recipe=Recipe(pretraining=Autoencoding(epochs=7)))
    forecast = Forecast()
    forecast.learn(Proposal(0, made_of, 0, 3, 9), [outcome(10.0, 3)])
    assert forecast.seconds(Proposal(0, made_of, 3, 9, 9)) == pytest.approx(6.0)
    assert forecast.seconds(Proposal(1, made_of, 0, 3, 9)) == pytest.approx(10.0)
    assert forecast.seconds(proposal(2, 0, 3)) == pytest.approx(3.0)


def test_an_outcome_without_epochs_teaches_nothing():
    forecast = Forecast()
    forecast.learn(proposal(0), [outcome(1.0, 0)])
    assert forecast.seconds(proposal(0)) == 0.0


def test_an_allowance_grows_with_the_share_of_a_full_training():
    limits = Limits(100.0, time.time())
    assert limits.allowance(proposal(1, 0, 1)) < limits.allowance(proposal(1, 1, 9)) < 50
    assert limits.allowance(proposal(0)) is None
    assert Limits(None, time.time()).allowance(proposal(1)) is None


def test_no_more_is_asked_for_than_is_thought_of_in_time():
    forecast = Forecast()
    assert forecast.askable(5, 1.0) == 5
    forecast.learn_thinking(4.0, 2)
    forecast.learn_thinking(9.0, 0)
    assert [forecast.askable(5, remaining) for remaining in (100.0, math.inf, 7.0, 1.9, -1.0)] == [5, 5, 3, 0, 0]
