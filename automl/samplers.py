"""Our strategies as samplers of Optuna, for a study of the user's own.

    study = optuna.create_study(sampler=EvolutionSampler(seed=0), directions=["minimize", "minimize"])
    study.optimize(objective, n_trials=200)

The objective asks for its parameters as always; the space is read off the trials (`study_space`), nested where a categorical
parameter decides what else is asked for. The first `startup` trials, and parameters that the trials haven't shown, are random.

Several objectives, directions, constraints (`trial.set_constraint`), and what was pruned or failed are respected. A pruned trial
counts by its last reported value, behind those that came further. Of a trial that broke a constraint its values aren't looked at:
evolution knows by how much it was broken and puts it behind all that broke none, Bayesian search takes it for a failure.
Suggestions depend on the seed, the trial's number and what the finished trials asked for, so a study with one worker goes on from
a storage as it would have gone on.

This module imports Optuna, which takes most of a second; nothing else of automl needs it for this.
"""

from __future__ import annotations

import random
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from automl.errors import OptionError
from automl.strategies.base import Plan, Proposal, Result, Suggester
from automl.strategies.bayes import Bayes
from automl.strategies.evolution import Evolution, Variant, sentence
from automl.study_space import Outline, Profile, StudySpace, leaf_of, outline, to_leaf, to_parameter
from search_spaces.base import plain
from search_spaces.language import Searchable, Space

if TYPE_CHECKING:
    from optuna.study import Study

__all__ = ["BayesSampler", "EvolutionSampler"]

STARTUP = 10
WHOLE = 10**9  # the epoch at which complete trials are compared: beyond the steps of any pruned one
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)

_turn = threading.Lock()  # trials of `n_jobs` threads share a sampler; it isn't a sampler's own, so that studies can be copied


class StudySampler(BaseSampler, ABC):
    """What our samplers share: one suggester, told of all finished trials, made anew when the trials show another space.

    seed: of all chance; None for another one each time. startup: finished trials before the first suggestion.
    """

    _several: ClassVar[bool] = True

    def __init__(self, *, seed: int | None = None, startup: int = STARTUP) -> None:
        startup, seed = plain(startup), plain(seed)
        if type(startup) is not int or startup < 1:
            raise OptionError(f"startup must be a whole number, at least 1, got {startup!r}")
        if seed is not None and (type(seed) is not int or seed < 0):
            raise OptionError(f"seed must be a whole number, at least 0, or None, got {seed!r}")
        self._seed = random.SystemRandom().getrandbits(32) if seed is None else seed
        self._startup = startup
        self._known: _Known | None = None

    @abstractmethod
    def _suggester(self, space: Space[Searchable], plan: Plan[Searchable]) -> Suggester[Searchable]:
        """Return a new suggester."""

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return all parameters that the finished trials show, nothing before there are enough of them."""
        with _turn:
            known = self._told(study)
            return dict(known.over) if len(known.told) >= self._startup else {}

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        """Return a value for each of these parameters; those that the suggestion leaves out are random."""
        suggested: dict[str, Any] = {}
        with _turn:
            known = self._told(study)
            if search_space and len(known.told) >= self._startup:
                suggested = known.suggest(trial.number)
        same = {name for name, over in search_space.items() if known.over.get(name) == over}
        return {
            name: suggested[name] if name in suggested and name in same else self._random(trial, name, over)
            for name, over in search_space.items()
        }

    def sample_independent(self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution) -> Any:
        """Return a random value. Raises `ValueError` for several objectives where the sampler serves one."""
        self._check(study)
        return self._random(trial, param_name, param_distribution)

    def reseed_rng(self) -> None:
        """Take another seed."""
        with _turn:
            self._seed = random.SystemRandom().getrandbits(32)
            self._known = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_known": None}  # which the study's trials give again

    def _check(self, study: Study) -> None:
        if not self._several:
            self._raise_error_if_multi_objective(study)

    def _random(self, trial: FrozenTrial, name: str, over: BaseDistribution) -> Any:
        return at_random(f"study/{self._seed}/{trial.number}/{name}", over)

    def _told(self, study: Study) -> _Known:
        """Return what is known after all trials that are finished."""
        self._check(study)
        if self._known is None or self._known.study_name != study.study_name:
            self._known = _Known(study.study_name, study.directions, self._seed)
        trials = study.get_trials(deepcopy=False, states=FINISHED)
        new = [trial for trial in trials if trial.number not in self._known.told]
        if self._known.show(new) or self._known.suggester is None:
            plan: Plan[Searchable] = Plan(WHOLE, self._seed, objectives=len(study.directions))
            self._known.begin(lambda space: self._suggester(space, plan))
            new = trials
        for trial in new:
            self._known.tell(trial)
        return self._known


class EvolutionSampler(StudySampler):
    """`automl.strategies.evolution`: of one objective, or NSGA-II of several.

    seed, startup: see `StudySampler`. variant: "aging", "elitist" or "annealed", of one objective. population: how many survive.
    """

    def __init__(
        self, *, seed: int | None = None, startup: int = STARTUP, variant: Variant = "aging", population: int | None = None
    ) -> None:
        """Raise `OptionError` for an option that isn't one."""
        super().__init__(seed=seed, startup=startup)
        sentence(variant, population)
        self._variant: Variant = variant
        self._population = population

    def _suggester(self, space: Space[Searchable], plan: Plan[Searchable]) -> Suggester[Searchable]:
        return Evolution(space, plan, self._variant, self._population)


class BayesSampler(StudySampler):
    """`automl.strategies.bayes`: a Gaussian process on the tree of decisions, for one objective."""

    _several = False

    def _suggester(self, space: Space[Searchable], plan: Plan[Searchable]) -> Suggester[Searchable]:
        return Bayes(space, plan)


class _Known:
    """What is known of a study: its parameters as a space, and a suggester that was told of its finished trials.

    over: the distribution of each parameter, as wide as it was in any trial. told: numbers of trials.
    """

    def __init__(self, study_name: str, directions: Sequence[StudyDirection], seed: int) -> None:
        self.study_name = study_name
        self.over: dict[str, BaseDistribution] = {}
        self.told: set[int] = set()
        self.suggester: Suggester[Searchable] | None = None
        self._signs = [-1.0 if direction == StudyDirection.MAXIMIZE else 1.0 for direction in directions]
        self._profiles: dict[Profile, None] = {}
        self._outline = Outline((), ())
        self._seed = seed
        self._steps = 1

    def show(self, trials: Sequence[FrozenTrial]) -> bool:
        """Look at the parameters of trials; return whether the space has to be made anew."""
        before = dict(self.over), len(self._profiles)
        for trial in trials:
            open_ = {name: over for name, over in trial.distributions.items() if not over.single()}
            for name, over in open_.items():
                self.over[name] = widened(self.over.get(name, over), over)
            kinds = {name: over for name, over in open_.items() if isinstance(over, CategoricalDistribution)}
            choices = frozenset((name, to_leaf(over, trial.params[name])) for name, over in kinds.items())
            self._profiles[Profile(frozenset(open_), choices)] = None
        if before == (self.over, len(self._profiles)):
            return False
        found = outline(list(self._profiles), self.over)
        changed = before[0] != self.over or found != self._outline
        self._outline = found
        return changed

    def begin(self, make: Callable[[Space[Searchable]], Suggester[Searchable]]) -> None:
        """Make the space and a suggester over it, which is told of nothing yet."""
        self._space = StudySpace(self._outline, self.over)
        self.suggester = make(self._space.space)
        self.told = set()
        self._steps = 1

    def tell(self, trial: FrozenTrial) -> None:
        """Learn from a finished trial. What it didn't ask for is random, or a model would take the default for what counts."""
        assert self.suggester is not None
        self.told.add(trial.number)
        left = {name: over for name, over in self.over.items() if name not in trial.params}
        drawn = {name: at_random(f"left/{self._seed}/{trial.number}/{name}", over) for name, over in left.items()}
        member = self._space.member({**drawn, **trial.params})
        self.suggester.begin(trial.number, member)
        self.suggester.observe(self._result(trial, member))

    def suggest(self, number: int) -> dict[str, Any]:
        """Return parameters for a new trial."""
        assert self.suggester is not None
        member = self.suggester.suggest(number)
        self.suggester.begin(number, member)
        return self._space.parameters(member)

    def _result(self, trial: FrozenTrial, member: Searchable) -> Result[Searchable]:
        if trial.state == TrialState.PRUNED and trial.intermediate_values:
            step, value = max(trial.intermediate_values.items())
            stop = max(1, step + 1)
            self._steps = max(self._steps, stop)
            return Result(Proposal(trial.number, member, 0, stop, self._steps + 1), self._signs[0] * value, ended=False)
        whole = Proposal(trial.number, member, 0, WHOLE, WHOLE)
        if trial.state != TrialState.COMPLETE:
            return Result(whole, None, ended=True)
        broken = sum(max(0.0, value) for value in trial.constraints.values())
        if broken > 0:
            return Result(whole, None, ended=True, violation=broken)
        loss, *others = (sign * value for sign, value in zip(self._signs, trial.values, strict=True))
        return Result(whole, loss, ended=True, others=tuple(others))


def at_random(seed: str, over: BaseDistribution) -> Any:
    """Return a random value of a parameter; the same for the same seed."""
    return to_parameter(over, leaf_of(over).sample(random.Random(seed)))


def widened(one: BaseDistribution, other: BaseDistribution) -> BaseDistribution:
    """Return a distribution over the values of both, or the second where they aren't of one kind and scale without steps."""
    if isinstance(one, FloatDistribution) and isinstance(other, FloatDistribution):
        low, high = min(one.low, other.low), max(one.high, other.high)
        return FloatDistribution(low, high, log=one.log) if one.log == other.log and one.step is other.step is None else other
    if isinstance(one, IntDistribution) and isinstance(other, IntDistribution):
        low, high = min(one.low, other.low), max(one.high, other.high)
        return IntDistribution(low, high, log=one.log) if one.log == other.log and one.step == other.step == 1 else other
    return other
