"""Optuna's samplers over nested spaces: that they learn, what they are told, that they are quiet; a user's own."""

import logging
import random
import warnings
from collections.abc import Callable
from dataclasses import replace

import optuna
import pytest

from automl.errors import OptionError
from automl.strategies import strategy_for, strategy_name
from automl.strategies.base import Plan, Result, Strategy
from automl.strategies.checked import Checked
from automl.strategies.optuna_suggester import GaussianProcess, StudySuggester, cmaes, nsga2
from automl.strategies.ranking import ENOUGH
from automl.testing import example_space
from search_spaces.configuration import Configuration
from search_spaces.language import Float, Searchable, Space
from search_spaces.mlp import MLP


class Bowl(Searchable):
    """A flat space, whose best is known."""

    x: float = Float(-1.0, 1.0)
    y: float = Float(-1.0, 1.0)

    @property
    def height(self) -> float:
        return (self.x - 0.3) ** 2 + (self.y + 0.4) ** 2


def network(configuration: Configuration) -> MLP:
    assert isinstance(configuration.architecture, MLP)
    return configuration.architecture


def nested(configuration: Configuration) -> float:
    return network(configuration).dropout + abs(len(network(configuration).blocks) - 4)


def searched(strategy: Strategy, loss: Callable[[Configuration], float], asks: int) -> list[float]:
    losses = []
    for _ in range(asks):
        (proposal,) = strategy.ask(1)
        losses.append(loss(proposal.configuration))
        strategy.tell([Result(proposal, losses[-1], ended=True)])
    return losses


def full(name: str, seed: int = 0) -> Strategy:
    return strategy_for(name, example_space(), Plan(9, seed=seed, schedule="full"))


@pytest.mark.parametrize(("name", "asks"), [("nsga2", 200), ("cmaes", 100)])
def test_they_learn_in_a_nested_space(name: str, asks: int):
    ours, at_random = (searched(full(which), nested, asks)[-50:] for which in (name, "random"))
    assert sum(ours) < 0.7 * sum(at_random)


@pytest.mark.parametrize(("name", "asks"), [("nsga2", 200), ("cmaes", 60), ("gp", 20)])
def test_they_find_the_bottom_of_a_bowl(name: str, asks: int):
    strategy = strategy_for(name, Space(Bowl), Plan(9, schedule="full"))
    found = []
    for _ in range(asks):
        (proposal,) = strategy.ask(1)
        found.append(proposal.configuration.height)
        strategy.tell([Result(proposal, found[-1], ended=True)])
    assert min(found) < 0.01


def test_a_gaussian_process_sees_a_bounded_history(monkeypatch: pytest.MonkeyPatch):
    from automl.strategies import optuna_suggester

    monkeypatch.setattr(optuna_suggester, "BEST", 6)
    monkeypatch.setattr(optuna_suggester, "RECENT", 4)
    suggester = GaussianProcess(example_space(), Plan(9))
    for proposal in full("random").ask(30):
        suggester.begin(proposal.number, proposal.configuration)
        suggester.observe(Result(proposal, float(proposal.number) if proposal.number else None, ended=True))
    trials = suggester._study(0).get_trials(deepcopy=False)
    assert [trial.value for trial in trials] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 26.0, 27.0, 28.0, 29.0]
    assert len({tuple(trial.params) for trial in trials}) == 1


def test_a_gaussian_process_knows_what_runs_and_what_breaks_limits():
    suggester = GaussianProcess(example_space(), Plan(9))
    for proposal in full("random").ask(ENOUGH + 4):
        suggester.begin(proposal.number, proposal.configuration)
        if proposal.number < ENOUGH:
            suggester.observe(Result(proposal, float(proposal.number), ended=True))
        elif proposal.number == ENOUGH:
            suggester.observe(Result(proposal, None, ended=True, violation=3.0))
        elif proposal.number == ENOUGH + 1:
            suggester.observe(Result(proposal, None, ended=True))
    trials = suggester._study(0).get_trials(deepcopy=False)
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * (ENOUGH + 2) + ["RUNNING"] * 2
    assert [trial.constraints["limits"] for trial in trials[: ENOUGH + 2]] == [0.0] * ENOUGH + [3.0, 0.0]
    assert [trial.value for trial in trials[ENOUGH : ENOUGH + 2]] == [ENOUGH - 1.0] * 2


@pytest.mark.parametrize("name", ["tpe", "nsga2", "gp"])
def test_several_objectives(name: str):
    strategy = strategy_for(name, Space(Bowl), Plan(9, schedule="full", objectives=2))
    for _ in range(13 if name == "gp" else 60):
        (proposal,) = strategy.ask(1)
        made = proposal.configuration
        strategy.tell([Result(proposal, made.x**2, ended=True, others=((made.x - 1) ** 2 + made.y**2,))])
    assert -1 <= made.x <= 1


def test_cmaes_refuses_several_objectives_and_names_who_takes_them():
    plan: Plan[Configuration] = Plan(9, objectives=2)
    with pytest.raises(OptionError, match=r"CMA-ES serves one objective, got 2; strategies for several are .*nsga2"):
        strategy_for("cmaes", example_space(), plan)
    with pytest.raises(OptionError, match="one objective"):
        strategy_for(optuna.samplers.CmaEsSampler(), example_space(), plan)


@pytest.mark.parametrize("make", [cmaes, nsga2])
def test_under_halving_the_first_loss_is_told_and_failures_are_not(make: Callable[..., StudySuggester]):
    suggester = make(example_space(), Plan(9))
    for proposal in strategy_for("random", example_space(), Plan(9, schedule="halving")).ask(4):
        suggester.begin(proposal.number, proposal.configuration)
        failed = proposal.number == 1
        suggester.observe(Result(proposal, None if failed else float(proposal.number), ended=failed, violation=2.0 * failed))
        suggester.observe(Result(proposal, 100.0, ended=True))
    trials = suggester._study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE])
    assert [trial.value for trial in trials] == [0.0, 0.0, 2.0, 3.0]
    assert [trial.constraints["limits"] for trial in trials] == [0.0, 2.0, 0.0, 0.0]


def test_what_was_refused_before_anything_succeeded_is_told_with_the_first_values():
    suggester = nsga2(example_space(), Plan(9))
    assert isinstance(suggester, StudySuggester)
    for proposal in full("random").ask(4):
        refused = proposal.number < 2
        loss = None if refused else float(proposal.number)
        suggester.observe(Result(proposal, loss, ended=True, violation=1.0 + proposal.number if refused else 0.0))
    trials = suggester._study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE])
    assert [(trial.value, trial.constraints["limits"]) for trial in trials] == [(2.0, 0.0), (2.0, 1.0), (2.0, 2.0), (3.0, 0.0)]


def test_where_first_rungs_differ_places_are_told():
    suggester = nsga2(example_space(), Plan(9, schedule="hyperband"))
    assert isinstance(suggester, StudySuggester)
    for proposal in strategy_for("random", example_space(), Plan(9, schedule="hyperband")).ask(6):
        suggester.observe(Result(proposal, 1.0 / proposal.stop + proposal.number, ended=True))
    values = [trial.value for trial in suggester._study.trials if trial.value is not None]
    assert all(0 < value < 1 for value in values)


class Recorded(optuna.samplers.BaseSampler):
    """A sampler that a user wrote, with the smallest interface there is."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.after: list[tuple[int, str, list[float] | None]] = []

    def after_trial(self, study, trial, state, values):
        study._storage.set_trial_system_attr(trial._trial_id, "noted", trial.number)  # as Optuna's own do
        self.after.append((trial.number, state.name, values))

    def infer_relative_search_space(self, study, trial):
        return {}

    def sample_relative(self, study, trial, search_space):
        return {}

    def sample_independent(self, study, trial, param_name, param_distribution):
        done = study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE])
        self.seen.append(len(done))
        return param_distribution.to_external_repr(getattr(param_distribution, "high", 0))


def test_a_sampler_that_a_user_wrote():
    sampler = Recorded()
    strategy = strategy_for(sampler, Space(Bowl), Plan(9, schedule="full"))
    for _ in range(3):
        (proposal,) = strategy.ask(1)
        strategy.tell([Result(proposal, 0.5, ended=True)])
    assert proposal.configuration == Bowl(x=1.0, y=1.0)
    assert sampler.seen == [1, 1, 2, 2]
    assert sampler.after == [(number, "COMPLETE", [0.5]) for number in range(3)]


@pytest.mark.parametrize(
    "sampler",
    [
        lambda: optuna.samplers.CmaEsSampler(seed=1),
        lambda: optuna.samplers.NSGAIISampler(seed=1, population_size=10),
        lambda: optuna.samplers.TPESampler(seed=1, n_startup_trials=15),
        lambda: optuna.samplers.RandomSampler(seed=1),
    ],
)
def test_samplers_of_optuna_s_as_a_user_makes_them(sampler: Callable[[], optuna.samplers.BaseSampler]):
    first, second = (searched(strategy_for(sampler(), example_space(), Plan(9)), nested, 20) for _ in range(2))
    assert first == second
    assert len(set(first)) > 8


def test_names_of_what_is_given():
    def mine(space: Space[Configuration], plan: Plan) -> Strategy:
        return strategy_for("random", space, replace(plan, schedule="full"))

    assert strategy_name(optuna.samplers.CmaEsSampler()) == "optuna:CmaEsSampler"
    assert strategy_name(mine).startswith("own:")
    assert strategy_name("tpe") == "tpe"
    assert isinstance(strategy_for(mine, example_space(), Plan(9)), Checked)
    assert strategy_name("optuna:CmaEsSampler", is_record=True) == "optuna:CmaEsSampler"
    with pytest.raises(OptionError, match=r"must be one of auto, .* got 'optuna:CmaEsSampler'"):
        strategy_for("optuna:CmaEsSampler", example_space(), Plan(9))
    with pytest.raises(OptionError, match=r"must be one of auto, .* got 3"):
        strategy_name(3)


@pytest.mark.parametrize(("name", "asks"), [("cmaes", 30), ("nsga2", 70), ("gp", 12)])
def test_nothing_global_is_changed(name: str, asks: int, capfd: pytest.CaptureFixture[str]):
    import numpy as np
    import torch

    def state() -> tuple[object, ...]:
        numbers = np.random.get_state()  # noqa: NPY002 - the global state is what must stay
        return (
            random.getstate(),
            numbers[1].tobytes(),  # type: ignore[union-attr]
            torch.get_rng_state().numpy().tobytes(),
            torch.get_num_threads(),
            optuna.logging.get_verbosity(),
            logging.getLogger("optuna").level,
            list(warnings.filters),
        )

    before = state()
    searched(full(name), nested, asks)
    assert state() == before
    assert capfd.readouterr() == ("", "")
