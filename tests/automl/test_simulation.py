"""Simulated time: costs add up, workers overlap, what doesn't fit is lost, equal seeds give equal runs."""

import math
import re
from dataclasses import dataclass
from typing import Any, cast

import pytest

from automl.errors import OptionError
from automl.strategies.base import Plan
from automl.testing import Measurement, Simulation, example_space, simulate
from search_spaces.configuration import Configuration
from search_spaces.language import Space

EPOCHS = 9


@dataclass
class Made:
    """The larger the batches and the later the epoch, the better; where it is `failing`, what stops at epoch 3 fails."""

    space: Space[Configuration]
    epochs: int = EPOCHS
    failing: bool = False

    def train(self, configuration: Configuration, start: int, stop: int, seed: int) -> Measurement:
        rate = dict(configuration.decisions())["recipe/batch_size"]
        loss = None if self.failing and stop == 3 else 1 / rate + 1 / stop + seed
        return Measurement(loss, seconds=stop - start)


@pytest.fixture(scope="module")
def space() -> Space[Configuration]:
    return example_space()


def run(space: Space[Configuration], **options) -> Simulation:
    return simulate("random", Made(space), **{"budget": 100.0, "plan": Plan(EPOCHS, schedule="full"), **options})


def test_one_worker_trains_one_after_the_other(space):
    simulation = run(space)
    assert [event.time for event in simulation.events] == [9.0 * i for i in range(1, 12)]
    assert [event.spent for event in simulation.events] == [event.time for event in simulation.events]


def test_a_training_beyond_the_budget_is_charged_and_lost(space):
    assert run(space).proposed == 12
    assert len(run(space, budget=9.0).events) == 1
    assert run(space, budget=8.9).events == []


def test_workers_share_the_budget_and_overlap(space):
    simulation = run(space, workers=4)
    assert [event.time for event in simulation.events] == [9.0] * 4 + [18.0] * 4 + [27.0] * 3
    assert simulation.events[-1].spent == 99.0


def test_a_thousand_workers_begin_at_once(space):
    simulation = run(space, workers=1000, budget=9000.0)
    assert {event.time for event in simulation.events} == {9.0}
    assert len(simulation.events) == 1000


def test_equal_seeds_give_equal_runs_and_others_differ(space):
    first, second, other = (run(space, workers=3, seed=seed).events for seed in (1, 1, 2))
    assert first == second
    assert [event.proposal for event in first] != [event.proposal for event in other]


def test_a_plan_with_an_end_ends(space):
    assert len(run(space, plan=Plan(EPOCHS, n_trials=3, schedule="full")).events) == 3


def test_halving_pays_for_added_epochs_only_and_drops_what_failed(space):
    halving = Plan(EPOCHS, schedule="halving")
    events = run(space, plan=halving).events
    paid = [event.proposal.stop - event.proposal.start for event in events]
    assert [event.result.seconds for event in events] == paid
    failing = simulate("random", Made(space, failing=True), budget=100.0, plan=halving).events
    assert {event.proposal.stop for event in failing if event.result.loss is None} == {3}
    assert max(event.proposal.stop for event in failing) == 3


def test_best_is_the_lowest_of_the_longest(space):
    best = run(space, plan=Plan(EPOCHS, schedule="halving")).best()
    assert best is not None
    assert best.proposal.stop == EPOCHS
    assert Simulation().best() is None


def test_a_strategy_may_be_a_function(space):
    from automl.strategies import strategy_for

    simulation = simulate(lambda space, plan: strategy_for("random", space, plan), Made(space), budget=30.0)
    assert simulation.events


@dataclass
class Free(Made):
    """Refuses everything, at no cost."""

    def train(self, configuration: Configuration, start: int, stop: int, seed: int) -> Measurement:
        return Measurement(None, seconds=0.0, violation=1.0)


def test_a_search_without_costs_ends_all_the_same(space, monkeypatch):
    monkeypatch.setattr("automl.simulation.MOST_FREE", 20)
    with pytest.raises(OptionError, match="20 trainings in a row cost 0"):
        simulate("random", Free(space), budget=1.0)
    assert len(simulate("random", Free(space), budget=1.0, plan=Plan(EPOCHS, n_trials=19)).events) == 19


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "workers must be a whole number from 1 .*got 0"),
        ({"workers": 10**9}, "workers must be"),
        ({"workers": True}, "workers must be .*got True"),
        ({"workers": 2.0}, "workers must be .*got 2.0"),
        ({"budget": 0.0}, "budget must be a number above 0"),
        ({"seed": "a"}, "seed must be a whole number, at least 0, got 'a'"),
        ({"seed": -1}, "seed must be a whole number, at least 0, got -1"),
        ({"plan": {}}, "plan must be a Plan, got {}"),
        ({"budget": math.nan}, "budget must be"),
        ({"budget": "100"}, "budget must be .*got '100'"),
        ({"plan": Plan(EPOCHS, schedule=cast(Any, "halvin"))}, "schedule must be one of auto, .*did you mean 'halving'"),
    ],
)
def test_what_makes_no_sense_is_refused(space, options, message):
    with pytest.raises(OptionError, match=message):
        run(space, **options)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epochs": 0}, "epochs must be a whole number, at least 1, got 0"),
        ({"n_trials": "x"}, "n_trials must be a whole number, at least 1, got 'x'"),
        ({"n_trials": -1}, "n_trials must be a whole number, at least 1, got -1"),
        ({"objectives": 0}, "objectives must be a whole number, at least 1, got 0"),
        ({"enqueue": None}, "enqueue must be a tuple of configurations, got None"),
        ({"prior": "x"}, "prior must be a dict of path: value, got 'x'"),
        ({"prior": {3: 1}}, "prior must be a dict of path: value, got {3: 1}"),
    ],
)
def test_what_is_no_plan_is_refused(given, message):
    with pytest.raises(OptionError, match=f"Plan: {re.escape(message)}"):
        Plan(**{"epochs": EPOCHS, **given})


@pytest.mark.parametrize("benchmark", [None, Free, object()])
def test_what_is_no_benchmark_is_refused(benchmark):
    with pytest.raises(OptionError, match=r"benchmark must .*(give Free\(\)|method train)"):
        simulate("random", benchmark, budget=9.0)


@pytest.mark.parametrize("epochs", [0, 2.5, True, None])
def test_a_benchmark_has_a_whole_number_of_epochs(space, epochs):
    with pytest.raises(OptionError, match=f"benchmark.epochs must be .*got {epochs}"):
        simulate("random", Made(space, epochs), budget=100.0)


@dataclass
class Given(Made):
    """Returns what it was given, whatever that is."""

    measured: Any = None

    def train(self, configuration: Configuration, start: int, stop: int, seed: int) -> Measurement:
        return cast(Measurement, self.measured)


@pytest.mark.parametrize(
    ("measured", "message"),
    [
        (0.5, "must return a Measurement, got 0.5"),
        (Measurement(0.5, -1.0), "seconds must be .*got -1.0"),
        (Measurement(0.5, math.nan), "seconds must be .*got nan"),
        (Measurement(0.5, math.inf), "seconds must be .*got inf"),
        (Measurement(0.5, cast(Any, "1")), "seconds must be .*got '1'"),
        (Measurement(None, 1.0, violation=-1.0), "violation must be .*got -1.0"),
        (Measurement(None, 1.0, violation=math.nan), "violation must be .*got nan"),
        (Measurement(cast(Any, "low"), 1.0), "loss must be .*got 'low'"),
        (Measurement(0.5, 1.0, cast(Any, 3.0)), "others must be a tuple of numbers, got 3.0"),
        (Measurement(0.5, 1.0, (1.0,), violation=3.0), "loss must be None where a limit was broken, by 3.0, got 0.5"),
        (Measurement(None, 1.0, violation=math.inf), "violation must be a finite number"),
        (Measurement(0.5, 1.0, (1.0,), ended=cast(Any, "no")), "ended must be True or False, got 'no'"),
        (Measurement(0.5, 1.0, (1.0, 2.0)), "others must have 1 of the plan's 2 objectives, got 2"),
        (Measurement(0.5, 1.0), "others must have 1 of the plan's 2 objectives, got 0"),
    ],
)
def test_a_measurement_that_makes_no_sense_is_refused(space, measured, message):
    benchmark = Given(space, measured=measured)
    with pytest.raises(OptionError, match=f"benchmark.train for proposal 0 from epoch 0 to 9.*{message}"):
        simulate("random", benchmark, budget=100.0, plan=Plan(EPOCHS, schedule="full", objectives=2))


def test_what_failed_needs_no_further_objectives(space):
    benchmark = Given(space, measured=Measurement(None, 1.0))
    plan: Plan[Configuration] = Plan(EPOCHS, n_trials=2, schedule="full", objectives=2)
    assert len(simulate("random", benchmark, budget=100.0, plan=plan).events) == 2
