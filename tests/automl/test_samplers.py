"""Our strategies as Optuna's samplers: Optuna's own conformance tests, and what define-by-run studies ask for beside."""

import copy
import pickle
from collections.abc import Callable

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)
from optuna.trial import Trial, TrialState

from automl.errors import OptionError
from automl.samplers import BayesSampler, EvolutionSampler
from automl.study_space import Outline, Profile, StudySpace, outline

optuna.logging.set_verbosity(optuna.logging.ERROR)

SAMPLERS = (EvolutionSampler, BayesSampler)


class TestEvolutionConforms(BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    """The tests of Optuna for samplers of its own."""

    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: EvolutionSampler(startup=1)


class TestBayesConforms(BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    """The same for the other, which serves one objective."""

    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: BayesSampler(startup=1)


def nested(trial: Trial) -> float:
    """Best: kind "b", of which slope is near 0.1 and steps are 3 of 1 to 5, each near 1."""
    if trial.suggest_categorical("kind", ["a", "b", "c"]) == "b":
        slope = trial.suggest_float("slope", 1e-3, 1.0, log=True)
        steps = trial.suggest_int("steps", 1, 5)
        sizes = [trial.suggest_float(f"size {i}", 0.0, 1.0) for i in range(steps)]
        return abs(slope - 0.1) + abs(steps - 3) + sum(1 - size for size in sizes)
    return 3.0 + trial.suggest_int("other", 0, 10, step=5) / 10


def best(sampler: BaseSampler, n_trials: int) -> float:
    study = optuna.create_study(sampler=sampler)
    study.optimize(nested, n_trials=n_trials)
    return study.best_value


@pytest.mark.parametrize(("sampler", "n_trials"), [(EvolutionSampler, 100), (BayesSampler, 40)])
def test_a_nested_study_is_solved_far_better_than_at_random(sampler, n_trials):
    ours = sum(best(sampler(seed=seed), n_trials) for seed in range(3))
    theirs = sum(best(RandomSampler(seed=seed), n_trials) for seed in range(3))
    assert ours < 0.6 * theirs


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_equal_seeds_give_equal_studies_and_other_seeds_others(sampler):
    params = []
    for seed in (0, 0, 1):
        study = optuna.create_study(sampler=sampler(seed=seed))
        study.optimize(nested, n_trials=16)
        params.append([trial.params for trial in study.trials])
    assert params[0] == params[1] != params[2]


def flat(trial: Trial) -> float:
    return (trial.suggest_float("x", -1, 1) - 0.5) ** 2 + trial.suggest_categorical("c", [0, 1])


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_another_process_goes_on_as_the_first_one_would_have(sampler):
    whole, part = (optuna.create_study(sampler=sampler(seed=3)) for _ in range(2))
    whole.optimize(flat, n_trials=20)
    part.optimize(flat, n_trials=15)
    part.sampler = sampler(seed=3)
    part.optimize(flat, n_trials=5)
    assert [trial.params for trial in whole.trials] == [trial.params for trial in part.trials]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_maximising_goes_up(sampler):
    study = optuna.create_study(sampler=sampler(seed=0), direction="maximize")
    study.optimize(lambda trial: -flat(trial), n_trials=40)
    assert study.best_value > -0.01


def test_a_front_of_two_directions():
    def objective(trial: Trial) -> tuple[float, float]:
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        return x + y, x - y

    study = optuna.create_study(sampler=EvolutionSampler(seed=0), directions=["minimize", "maximize"])
    study.optimize(objective, n_trials=80)
    late = study.trials[40:]
    assert sum(trial.params["y"] < 0.1 for trial in late) > 10 or sum(trial.params["x"] > 0.9 for trial in late) > 10
    assert len(study.best_trials) >= 5


@pytest.mark.parametrize(("sampler", "n_trials"), [(EvolutionSampler, 60), (BayesSampler, 40)])
def test_constraints_are_kept_though_it_is_better_to_break_them(sampler, n_trials):
    def objective(trial: Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        trial.set_constraint("enough", 0.8 - x)
        return x + trial.suggest_float("y", 0, 1)

    study = optuna.create_study(sampler=sampler(seed=0))
    study.optimize(objective, n_trials=n_trials)
    late = study.trials[n_trials // 2 :]
    assert sum(trial.params["x"] >= 0.8 for trial in late) > len(late) / 2


def ragged(trial: Trial) -> float:
    """Some parameters have bounds that others decide, and some are asked for only as often as another one says."""
    n = trial.suggest_int("n", 1, 3)
    k = trial.suggest_int("k", 1, n)
    return sum(trial.suggest_float(f"w{i}", 0, 1) for i in range(n)) - k


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_what_was_asked_for_is_learned_not_what_was_suggested(sampler):
    study = optuna.create_study(sampler=sampler(seed=0))
    study.optimize(ragged, n_trials=25)
    for number in range(12, 25):  # each is what a sampler suggests that knows of the trials before alone
        other = optuna.create_study(sampler=sampler(seed=0))
        other.add_trials(study.trials[:number])
        other.optimize(ragged, n_trials=1)
        assert other.trials[-1].params == study.trials[number].params


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_pruned_and_failed_trials_are_survived(sampler):
    def objective(trial: Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        if x > 0.8:
            raise ValueError("too much")
        for step in range(3):
            trial.report(x, step)
            if x > 0.5:
                raise optuna.TrialPruned
        return x

    study = optuna.create_study(sampler=sampler(seed=0))
    study.optimize(objective, n_trials=30, catch=(ValueError,))
    states = [trial.state for trial in study.trials]
    assert {TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL} == set(states)
    assert states[15:].count(TrialState.COMPLETE) > 10


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_sampler_is_copied_and_pickled_with_its_study(sampler):
    study = optuna.create_study(sampler=sampler(seed=0))
    study.optimize(flat, n_trials=12)
    for other in (copy.deepcopy(study), pickle.loads(pickle.dumps(study))):  # noqa: S301 - ours, as Optuna's users do
        other.optimize(flat, n_trials=2)
        assert len(other.trials) == 14


def test_a_sampler_serves_one_study_after_the_other():
    sampler = EvolutionSampler(seed=0)
    for objective in (flat, nested, flat):
        study = optuna.create_study(sampler=sampler)
        study.optimize(objective, n_trials=15)
        assert len(study.trials) == 15


def test_options_are_checked():
    with pytest.raises(OptionError, match="startup must be a whole number, at least 1"):
        EvolutionSampler(startup=0)
    with pytest.raises(OptionError, match="startup must be a whole number, at least 1, got 'x'"):
        EvolutionSampler(startup="x")
    assert EvolutionSampler(seed=np.int64(3), startup=np.int32(4), population=np.int64(5))._seed == 3
    for odd in ("a", -1, True):
        with pytest.raises(OptionError, match=f"seed must be a whole number, at least 0, or None, got {odd!r}"):
            EvolutionSampler(seed=odd)
    with pytest.raises(OptionError, match="variant must be one of"):
        EvolutionSampler(variant="anealed")


def test_steps_of_one_are_steps():
    over = {"x": FloatDistribution(2.0, 6.0, step=1.0), "n": IntDistribution(3, 9)}
    space = StudySpace(Outline(("n", "x"), ()), over)
    for parameters in ({"x": 2.0, "n": 3}, {"x": 5.0, "n": 7}):
        assert space.parameters(space.member(parameters)) == parameters


OVER = {
    "kind": CategoricalDistribution(["a", "b"]),
    "x": FloatDistribution(0.0, 1.0, step=0.25),
    "y": IntDistribution(2, 8, step=3),
    "more": CategoricalDistribution([None, True]),
    "z": FloatDistribution(0.0, 1.0),
}


def test_what_a_choice_decides_becomes_a_family():
    shown = [
        Profile(frozenset({"kind", "x"}), frozenset({("kind", 0)})),
        Profile(frozenset({"kind", "y", "more"}), frozenset({("kind", 1), ("more", 0)})),
        Profile(frozenset({"kind", "y", "more", "z"}), frozenset({("kind", 1), ("more", 1)})),
    ]
    inner = Outline(("y",), (("more", (Outline((), ()), Outline(("z",), ()))),))
    found = outline(shown, OVER)
    assert found == Outline((), (("kind", (Outline(("x",), ()), inner)),))
    space = StudySpace(found, OVER)
    for parameters in (
        {"kind": "a", "x": 0.75},
        {"kind": "b", "y": 5, "more": None},
        {"kind": "b", "y": 8, "more": True, "z": 0.5},
    ):
        assert space.parameters(space.member(parameters)) == parameters


def test_what_comes_and_goes_for_other_reasons_is_always_there():
    shown = [Profile(frozenset({"x"}), frozenset()), Profile(frozenset({"x", "z"}), frozenset())]
    assert outline(shown, OVER) == Outline(("x", "z"), ())
