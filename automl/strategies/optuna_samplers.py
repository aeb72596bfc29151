"""Optuna behind our strategies: suggestions out of a study that is rebuilt for each of them.

In memory, from what is known: so a suggestion is a function of knowledge and seed, a resumed search goes on as it would have, and
the history can be capped. This module imports Optuna, which takes most of a second; import it where it is needed.
"""

from __future__ import annotations

import copy
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial, Trial, TrialState

from automl.strategies.base import F
from automl.strategies.coding import decoded
from search_spaces.base import Infeasible, Leaf, Scalar, SpaceError
from search_spaces.language import Space
from search_spaces.leaves import FloatRange, IntRange, Options

if TYPE_CHECKING:
    from optuna.study import Study

Point: TypeAlias = "dict[str, float]"
Distributions: TypeAlias = "dict[str, BaseDistribution]"

_SOMETIME = datetime(2000, 1, 1, tzinfo=UTC)  # Optuna wants times of its trials, and doesn't use them here


class Model:
    """TPE over points, each a number for each of its paths (see `coding`).

    leaves: of every path. told: points with their place in a ranking (0 is best), None where they failed. running: points without
    a result, which are avoided ("constant liar").
    """

    def __init__(
        self, leaves: Mapping[str, Leaf], told: Sequence[tuple[Point, int | None]], running: Sequence[Point], seed: int
    ) -> None:
        self._distributions = {path: distribution(leaf) for path, leaf in leaves.items()}
        trials = [self._trial(point, place) for point, place in told]
        with _quiet():
            tpe = TPESampler(multivariate=True, constant_liar=True, n_startup_trials=0, seed=seed)
            self._study = optuna.create_study(sampler=_Grouped(tpe, groups(trials)))
            self._study.add_trials(trials + [self._trial(point, None, TrialState.RUNNING) for point in running])

    def draw(self, space: Space[F]) -> F:
        """Return a configuration, another one each time. Raises `Infeasible` where it makes no network."""
        with _quiet():
            trial = self._study.ask()
            try:
                return space.draw(lambda path, leaf: _suggested(trial, path, leaf))
            except Infeasible:
                self._study.tell(trial, state=TrialState.FAIL)
                raise

    def _trial(self, point: Point, place: int | None, unplaced: TrialState = TrialState.PRUNED) -> FrozenTrial:
        state = unplaced if place is None else TrialState.COMPLETE
        return _Known(
            number=-1,
            trial_id=-1,
            state=state,
            value=place,
            datetime_start=_SOMETIME,
            datetime_complete=_SOMETIME if state.is_finished() else None,
            params=point,
            distributions={path: self._distributions[path] for path in point},
            user_attrs={},
            system_attrs={},
            intermediate_values={},
        )


class _Known(FrozenTrial):
    """A trial that is never changed, so that a study needn't copy its contents."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return copy.copy(self)


class _Grouped(BaseSampler):
    """TPE for nested spaces: what always occurs together is modelled together, as by Optuna's `group=True`.

    Optuna itself draws from all groups for each trial, those of families that weren't chosen too; here a group is drawn when the
    first of its parameters is asked for, so the cost doesn't grow with the number of families.
    """

    def __init__(self, tpe: TPESampler, groups: Sequence[Distributions]) -> None:
        self._tpe = tpe
        self._groups = {path: group for group in groups for path in group}
        self._drawn: dict[str, Any] = {}

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._drawn = {}

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> Distributions:
        return {}

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: Distributions) -> dict[str, Any]:
        return {}

    def sample_independent(self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution) -> Any:
        if param_name not in self._groups:
            return self._tpe.sample_independent(study, trial, param_name, param_distribution)
        if param_name not in self._drawn:
            self._drawn |= self._tpe.sample_relative(study, trial, self._groups[param_name])
        return self._drawn[param_name]


def groups(trials: Sequence[FrozenTrial]) -> list[Distributions]:
    """Return the parameters of all trials, in groups that occur in the same trials; without those that have just one value."""
    seen: defaultdict[str, int] = defaultdict(int)
    known: Distributions = {}
    for i, trial in enumerate(trials):
        known |= trial.distributions
        for path in trial.distributions:
            seen[path] |= 1 << i
    grouped: defaultdict[int, Distributions] = defaultdict(dict)
    for path in sorted(known):
        if not known[path].single():
            grouped[seen[path]][path] = known[path]
    return list(grouped.values())


def distribution(leaf: Leaf) -> FloatDistribution | IntDistribution | CategoricalDistribution:
    """Return Optuna's distribution over the codes of a leaf. Ordered options are numbers: neighbours are alike."""
    if isinstance(leaf, FloatRange):
        return FloatDistribution(leaf.low, leaf.high, log=leaf.log)
    if isinstance(leaf, IntRange):
        return IntDistribution(leaf.low // leaf.multiple_of, leaf.high // leaf.multiple_of, log=leaf.log)
    if isinstance(leaf, Options):
        last = len(leaf.values) - 1
        return IntDistribution(0, last) if leaf.ordered else CategoricalDistribution(range(last + 1))
    raise SpaceError(f"a leaf must be an IntRange, FloatRange or Options to be modelled, got {type(leaf).__name__}")


def _suggested(trial: Trial, path: str, leaf: Leaf) -> Scalar:
    over = distribution(leaf)
    if isinstance(over, FloatDistribution):
        return trial.suggest_float(path, over.low, over.high, log=over.log)
    if isinstance(over, IntDistribution):
        return decoded(leaf, trial.suggest_int(path, over.low, over.high, log=over.log))
    return decoded(leaf, trial.suggest_categorical(path, range(len(over.choices))))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Optuna's notes on each study and on what is experimental, for as long as we use it."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
