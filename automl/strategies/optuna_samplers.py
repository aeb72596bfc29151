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
from automl.strategies.history import Point, Told
from search_spaces.base import Infeasible, Leaf, Scalar, SpaceError
from search_spaces.language import Space
from search_spaces.leaves import FloatRange, IntRange, Options

if TYPE_CHECKING:
    from optuna.study import Study

Distributions: TypeAlias = "dict[str, BaseDistribution]"

LIMITS = "limits"  # the name of the constraint that stands for all hard limits

_SOMETIME = datetime(2000, 1, 1, tzinfo=UTC)  # Optuna wants times of its trials, and doesn't use them here


class Model:
    """TPE over points, each a number for each of its paths (see `coding`).

    leaves: of every path. told: points with their place in a ranking (0 is best) and further objectives. running: points without
    a result, which are avoided ("constant liar").
    """

    def __init__(
        self, leaves: Mapping[str, Leaf], told: Sequence[Told], running: Sequence[Point], seed: int, objectives: int = 1
    ) -> None:
        over = {path: distribution(leaf) for path, leaf in leaves.items()}
        trials = [known_trial(one, over) for one in told]
        with quiet():
            tpe = TPESampler(multivariate=True, constant_liar=True, n_startup_trials=0, seed=seed)
            self._study = new_study(_Grouped(tpe, groups(trials)), objectives)
            self._study.add_trials(trials + [known_trial(Told(point, None), over, TrialState.RUNNING) for point in running])

    def draw(self, space: Space[F]) -> F:
        """Return a configuration, another one each time. Raises `Infeasible` where it makes no network."""
        with quiet():
            return drawn(self._study.ask(), self._study, space)


def new_study(sampler: BaseSampler, objectives: int) -> Study:
    """Return a study in memory that minimises each objective."""
    return optuna.create_study(directions=["minimize"] * objectives, sampler=sampler)


def drawn(trial: Trial, study: Study, space: Space[F]) -> F:
    """Return the configuration that a trial suggests. Raises `Infeasible` where it makes no network; the trial then failed."""
    try:
        return space.draw(lambda path, leaf: _suggested(trial, path, leaf))
    except Infeasible:
        study.tell(trial, state=TrialState.FAIL)
        raise


def known_trial(
    told: Told, over: Mapping[str, BaseDistribution], unscored: TrialState = TrialState.PRUNED, attributes: Mapping[str, Any] = {}
) -> FrozenTrial:
    """Return a point as a trial of Optuna's, `unscored` where it has no values. attributes: what the sampler noted of it."""
    state = unscored if told.values is None else TrialState.COMPLETE
    trial = _Known(
        number=-1,
        trial_id=-1,
        state=state,
        value=None,
        values=told.values,
        datetime_start=_SOMETIME,
        datetime_complete=_SOMETIME if state.is_finished() else None,
        params=told.point,
        distributions={path: over[path] for path in told.point},
        user_attrs={},
        system_attrs=dict(attributes),
        intermediate_values={},
    )
    if told.violation > 0:
        trial.set_constraint(LIMITS, told.violation)
    return trial


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
def quiet() -> Iterator[None]:
    """Silence Optuna's notes on each study, on what is experimental, and on samplers that leave constraints out."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            warnings.filterwarnings("ignore", "Constraints have been set, but", UserWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
