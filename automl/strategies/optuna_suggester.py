"""Optuna's samplers as suggesters over nested spaces: Gaussian process, CMA-ES, NSGA-II, or any that a user brings.

These samplers model what all trials have in common, and draw the rest at random; of nested configurations that is little. So they
are shown a flat space: every path that the space can reach (at most `PATHS`), where a configuration stands at the default of what
it lacks. A drawn configuration uses of a suggestion what it opens. CMA-ES moves numbers and ordered options only: kinds and other
unordered options are random there, as in Optuna.

`gp` is fitted anew for each suggestion, to a capped history. The others keep their state in the trials of a study. It is fed here
with what was told, in that order: a suggestion is a function of the history, so a resumed search goes on as it would have.
"""

from __future__ import annotations

import copy
import random
from bisect import bisect, insort
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeAlias

from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, NSGAIISampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState

from automl.errors import OptionError
from automl.strategies.base import F, Plan, Result, Suggester
from automl.strategies.coding import coded
from automl.strategies.history import Point, Told
from automl.strategies.modelled import Modelled
from automl.strategies.optuna_samplers import LIMITS, Distributions, distribution, drawn, known_trial, new_study, quiet
from search_spaces.base import Infeasible, Leaf
from search_spaces.language import Space
from search_spaces.narrowing import every_path
from search_spaces.variation import sample

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study

__all__ = ["StudySuggester", "cmaes", "gp", "nsga2"]

PATHS = 150  # of a flat space: bounds the time of a suggestion, and the state of CMA-ES
PATHS_OF_GP = 20  # with 30 a suggestion takes twice as long as with 20, some ten seconds
BEST, RECENT = 60, 40  # configurations that a Gaussian process sees
PENDING = 20
TRIES = 10  # infeasible draws before one is drawn at random

Seeded: TypeAlias = Callable[[int], BaseSampler]


def gp(space: Space[F], plan: Plan[F]) -> Suggester[F]:
    """Return Optuna's Gaussian process with expected improvement; for several objectives, of hypervolume."""
    return GaussianProcess(space, plan)


def cmaes(space: Space[F], plan: Plan[F]) -> Suggester[F]:
    """Return Optuna's CMA-ES (Hansen & Ostermeier 2001). Raises `OptionError` for several objectives."""
    return StudySuggester(space, plan, lambda seed: CmaEsSampler(seed=seed, warn_independent_sampling=False))


def nsga2(space: Space[F], plan: Plan[F]) -> Suggester[F]:
    """Return Optuna's NSGA-II (Deb et al. 2002), for one objective or several."""
    return StudySuggester(space, plan, lambda seed: NSGAIISampler(seed=seed))


class _Flat(Generic[F]):
    """A nested space as a flat one (see the top of this module). over: the distribution of each path."""

    def __init__(self, space: Space[F]) -> None:
        found = every_path(space.family, "", space.searched, everything=False)
        leaves = {path: space.searched(path, domain) for path, domain in found if isinstance(domain, Leaf)}
        self._leaves = {path: leaf for path, leaf in list(leaves.items())[:PATHS] if isinstance(leaf, Leaf)}
        self._usual = {path: coded(leaf, leaf.default) for path, leaf in self._leaves.items()}
        self.over: Distributions = {path: distribution(leaf) for path, leaf in self._leaves.items()}

    def point(self, point: Point) -> Point:
        """Return a point of the flat space."""
        return {path: point.get(path, usual) for path, usual in self._usual.items()}

    def coded(self, configuration: F) -> Point:
        """Return a configuration as a point of the flat space."""
        made = dict(configuration.decisions())
        return self.point({path: coded(leaf, made[path]) for path, leaf in self._leaves.items() if path in made})


class GaussianProcess(Modelled[F]):
    """A suggester: `optuna.samplers.GPSampler`, fitted anew for each suggestion.

    It sees the `BEST` and the `RECENT` latest configurations, and of the paths that differ among them the `PATHS_OF_GP` that most
    have opened, so a suggestion takes seconds at most, however long the search; all others are random. Failures count as bad as
    the worst that it sees. What breaks hard limits is a constraint of its own.
    """

    name = "gp"
    tries = 2  # each is a new fit

    @cached_property
    def _flat(self) -> _Flat[F]:
        return _Flat(self._space)

    def _model(self, seed: int) -> Callable[[], F]:
        with quiet():
            study = self._study(seed)

        def draw() -> F:
            with quiet():
                return drawn(study.ask(), study, self._space)

        return draw

    def _study(self, seed: int) -> Study:
        told = self._history.told(BEST, RECENT)
        worst = tuple(map(max, zip(*(one.values for one in told if one.values is not None), strict=True)))
        shown = [Told(self._flat.point(one.point), one.values or worst, one.violation) for one in told]
        opened = Counter(path for one in told for path in one.point)
        varied = [path for path in self._flat.over if len({one.point[path] for one in shown}) > 1]
        over = {path: self._flat.over[path] for path in sorted(varied, key=lambda path: -opened[path])[:PATHS_OF_GP]}
        trials = [known_trial(_only(one, over), over) for one in shown]
        if any(one.violation > 0 for one in shown):
            for one, trial in zip(shown, trials, strict=True):
                if one.violation <= 0:
                    trial.set_constraint(LIMITS, 0.0)
        pending = [Told(self._flat.point(point), None) for point in self._history.running(PENDING)]
        sampler = GPSampler(seed=seed, n_startup_trials=0, independent_sampler=RandomSampler(seed=seed))
        study = new_study(sampler, self._objectives)
        study.add_trials(trials + [known_trial(_only(one, over), over, TrialState.RUNNING) for one in pending])
        return study


def _only(told: Told, over: Distributions) -> Told:
    return Told({path: told.point[path] for path in over}, told.values, told.violation)


class _Seat(BaseSampler):
    """Where a study has its sampler: the one that sits here draws for the next trial.

    The space that it models is asked for once: all trials of a study have the same paths, and looking for what they have in
    common would cost more the longer a search is.
    """

    def __init__(self, sampler: BaseSampler) -> None:
        self.sampler = sampler
        self.number = 0
        self._modelled: Distributions = {}

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> Distributions:
        self._modelled = self._modelled or self.sampler.infer_relative_search_space(study, self._seen(trial))
        return self._modelled

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: Distributions) -> dict[str, Any]:
        return self.sampler.sample_relative(study, self._seen(trial), search_space)

    def sample_independent(self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution) -> Any:
        return self.sampler.sample_independent(study, self._seen(trial), param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self.sampler.before_trial(study, self._seen(trial))

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        if state != TrialState.FAIL:  # as all trials do that only ask
            self.sampler.after_trial(study, self._seen(trial), state, values)

    def _seen(self, trial: FrozenTrial) -> FrozenTrial:
        """Return the trial under a number of ours: some samplers make chance of it, and in Optuna's each ask counts."""
        seen = copy.copy(trial)
        seen.number = self.number
        return seen


class StudySuggester(Generic[F]):
    """A suggester: a sampler whose state is in the trials of a study, which knows of each configuration what came of it first.

    sampler: a function from a seed to a sampler, which then is a new one for each suggestion, and for each result so that it
    notes of that trial what it would have noted now (its generation); or a user's own, which is used as it is: its own seed
    counts, and after a search was resumed its draws are others than they would have been.

    A sampler can't be told twice, so under halving it is told the loss at the first rung. Where first rungs differ (Hyperband) it
    is told which share of the earlier ones of the same rung were better. Failures aren't told; what breaks hard limits has the
    worst values so far, once there are some, and a constraint. Raises `OptionError` where the sampler serves one objective only.
    """

    def __init__(self, space: Space[F], plan: Plan[F], sampler: Seeded | BaseSampler) -> None:
        made = sampler if isinstance(sampler, BaseSampler) else sampler(plan.seed)
        if plan.objectives > 1 and isinstance(made, CmaEsSampler):
            raise OptionError(
                f"CMA-ES serves one objective, got {plan.objectives}; strategies for several are auto, evolution, nsga2, gp, tpe "
                "and random"
            )
        self._space = space
        self._plan = plan
        self._make = None if isinstance(sampler, BaseSampler) else sampler
        self._name = type(made).__name__
        self._flat = _Flat(space)
        self._seat = _Seat(made)
        with quiet():
            self._study = new_study(self._seat, plan.objectives)
        self._noted: dict[int, dict[str, Any]] = {}  # by a user's own sampler, of what it suggested
        self._told: set[int] = set()
        self._firsts: dict[int, list[float]] = {}
        self._worst: tuple[float, ...] | None = None
        self._refusals: list[Result[F]] = []  # before there were values
        self._refused: Counter[str] = Counter()

    @property
    def infeasible(self) -> int:
        """How many draws made no network and were drawn again."""
        return self._refused.total()

    def begin(self, number: int, configuration: F) -> None:
        """Learn nothing: these samplers don't look at what is running."""

    def suggest(self, number: int) -> F:
        """Return a configuration. Raises `Infeasible` where a bounded number of draws made no network."""
        rng = random.Random(f"{self._name}/{self._plan.seed}/{number}")
        for _ in range(TRIES):
            made: list[F] = []
            try:
                self._noted[number] = self._ask(number, rng, made)
                return made[0]
            except Infeasible as error:
                self._refused[str(error)] += 1
        return sample(self._space, rng, self._refused)

    def observe(self, result: Result[F]) -> None:
        """Learn from what came of a configuration first."""
        number = result.proposal.number
        if number in self._told:
            return
        self._told.add(number)
        values = self._values(result)
        if values is None:
            self._refusals += [result] if result.violation > 0 else []
            return
        waiting, self._refusals = self._refusals, []
        for each in (result, *waiting):
            self._tell(each, values)

    def _tell(self, result: Result[F], values: tuple[float, ...]) -> None:
        """Tell the sampler of a configuration; a user's own as if the study had run its trial."""
        number, is_own = result.proposal.number, self._make is None
        noted = self._noted.pop(number, {})
        if not is_own:
            noted = self._ask(number, random.Random(f"{self._name}/{self._plan.seed}/{number}/told"), None)
        told = Told(self._flat.coded(result.proposal.configuration), None if is_own else values, result.violation)
        trial = known_trial(told, self._flat.over, TrialState.RUNNING, attributes=noted)
        if result.violation <= 0:
            trial.set_constraint(LIMITS, 0.0)
        with quiet():
            self._study.add_trial(trial)
            if is_own:
                self._seat.number = number
                self._study.tell(self._study.get_trials(deepcopy=False)[-1].number, values)

    def _ask(self, number: int, rng: random.Random, made: list[F] | None) -> dict[str, Any]:
        """Return what the sampler notes of a new trial, which is of no further use; put what it suggests into `made`."""
        if self._make is not None:
            self._seat.sampler = self._make(rng.getrandbits(32))
        self._seat.number = number
        with quiet():
            trial = self._study.ask()
            if made is None:
                _ = trial.relative_params  # until these are wanted the sampler isn't asked
            else:
                made.append(drawn(trial, self._study, self._space))
            self._study.tell(trial, state=TrialState.FAIL)
        return dict(self._study.get_trials(deepcopy=False)[-1].system_attrs)

    def _values(self, result: Result[F]) -> tuple[float, ...] | None:
        """Return what the sampler is told, None for a failure."""
        if result.values is None or len(result.values) != self._plan.objectives:
            return self._worst if result.violation > 0 else None
        loss, *others = result.values
        if self._plan.schedule == "hyperband":
            earlier = self._firsts.setdefault(result.proposal.stop, [])
            better = (bisect(earlier, loss) + 0.5) / (len(earlier) + 1)
            insort(earlier, loss)
            loss = better
        values = (loss, *others)
        self._worst = values if self._worst is None else tuple(map(max, self._worst, values))
        return values
