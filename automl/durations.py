"""How long proposals will train, learnt from those that ended."""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from automl.strategies.base import Proposal
from automl.task import Fold
from automl.training.measuring import parameters_of
from automl.training.networks import NetworkFault
from automl.trial import Outcome
from search_spaces.configuration import FAMILIES, Configuration
from search_spaces.domains import Infeasible

__all__ = ["Durations"]

Array: TypeAlias = NDArray[np.float64]

LEAST, MOST = 8, 300  # configurations that a model of paces is fitted to
PENALTY = 1.0
LATELY = 50  # trainings that count for the longest


@dataclass(frozen=True)
class _Traits:
    """What the pace of a network mostly depends on."""

    parameters: int
    batch_size: int
    augmentation: str
    family: str

    @classmethod
    def of(cls, configuration: Configuration, parameters: int) -> Self:
        architecture, augmentation = type(configuration.architecture).__name__, type(configuration.augmentation).__name__
        return cls(parameters, configuration.recipe.batch_size, augmentation, architecture)


class Durations:
    """Tells how long a proposal will train: by the pace (seconds an epoch, all folds together) of its own configuration, if seen.

    Else by a ridge regression of the logarithm of the pace on those of the number of parameters and of the batch size, on the
    family and on whether rows are augmented, as far as enough were seen; its guess is kept between the fastest and the slowest so
    far. Else by the median of all. A pass of pretraining is taken to be as long as an epoch.

    fold: what networks are made for, to count their parameters; those of users' own families, whose code runs in workers only,
    aren't made, and have the median.
    """

    def __init__(self, fold: Fold | None = None) -> None:
        self._fold = fold
        self._paces: dict[int, float] = {}
        self._traits: dict[int, _Traits] = {}
        self._counts: dict[int, int] = {}
        self._lately: deque[float] = deque(maxlen=LATELY)
        self._middle: float | None = None
        self._model: _Ridge | None = None

    @property
    def longest(self) -> float:
        """The seconds that the longest of the last trainings took; 0 while nothing is known."""
        return max(self._lately, default=0.0)

    def learn(self, proposal: Proposal, outcomes: Sequence[Outcome]) -> None:
        """Take the pace from the outcomes of a proposal."""
        epochs = sum(len(outcome.curve) for outcome in outcomes) / len(outcomes)
        seconds = sum(outcome.seconds for outcome in outcomes)
        if not epochs or not seconds > 0:
            return
        self._lately.append(seconds)
        self._paces[proposal.number] = seconds / (epochs + _passes(proposal))
        self._middle = self._model = None
        self._counts.pop(proposal.number, None)
        if outcomes[0].parameters:
            self._traits[proposal.number] = _Traits.of(proposal.configuration, outcomes[0].parameters)

    def roughly(self, proposal: Proposal) -> float:
        """Return the seconds this proposal will take, without a look at its network; 0 while nothing is known."""
        if not self._paces:
            return 0.0
        if self._middle is None:
            self._middle = statistics.median(self._paces.values())
        return (self._paces.get(proposal.number) or self._middle) * _length(proposal)

    def seconds(self, proposal: Proposal) -> float:
        """Return the seconds this proposal will take; 0 while nothing is known.

        The first time that takes some hundredths of a second, a tenth at times, to make its network.
        """
        if proposal.number in self._paces or len(self._traits) < LEAST:
            return self.roughly(proposal)
        if proposal.number not in self._counts:
            self._counts[proposal.number] = self._count(proposal.configuration)
        parameters = self._counts[proposal.number]
        if not parameters:
            return self.roughly(proposal)
        return self._fitted().pace(_Traits.of(proposal.configuration, parameters)) * _length(proposal)

    def _count(self, configuration: Configuration) -> int:
        """Return the number of parameters of a network; 0 where it can't be made, or not here."""
        if self._fold is None or type(configuration.architecture) not in FAMILIES:
            return 0
        try:
            return parameters_of(configuration.architecture, self._fold)
        except (Infeasible, NetworkFault, MemoryError, RuntimeError):
            return 0  # the trial will say what is wrong with it

    def _fitted(self) -> _Ridge:
        if self._model is None:
            numbers = list(self._traits)[-MOST:]
            logs = np.log([self._paces[number] for number in numbers])
            self._model = _Ridge.fitted([self._traits[number] for number in numbers], logs)
        return self._model


@dataclass(frozen=True)
class _Ridge:
    """A linear model with a quadratic penalty. Not scikit-learn's: to load that takes a second in the middle of a search."""

    kinds: tuple[str, ...]
    means: Array
    slopes: Array
    middle: float
    ends: tuple[float, float]

    @classmethod
    def fitted(cls, traits: Sequence[_Traits], logs: Array) -> Self:
        """Return the model for networks with such paces, as logarithms (networks,)."""
        kinds = tuple(dict.fromkeys(kind for one in traits for kind in (one.family, one.augmentation)))
        rows = np.array([_row(one, kinds) for one in traits])
        means, middle = rows.mean(axis=0), float(logs.mean())
        centred = rows - means
        slopes = np.linalg.solve(centred.T @ centred + PENALTY * np.eye(len(means)), centred.T @ (logs - middle))
        return cls(kinds, means, slopes, middle, (float(logs.min()), float(logs.max())))

    def pace(self, traits: _Traits) -> float:
        """Return the pace of a network, no faster and no slower than those it is fitted to."""
        low, high = self.ends
        guess = self.middle + float((_row(traits, self.kinds) - self.means) @ self.slopes)
        return math.exp(min(max(guess, low), high))


def _row(traits: _Traits, kinds: tuple[str, ...]) -> Array:
    sizes = [math.log(traits.parameters), math.log(traits.batch_size)]
    return np.array([*sizes, *(float(kind in (traits.family, traits.augmentation)) for kind in kinds)])


def _length(proposal: Proposal) -> int:
    """Return epochs and passes of pretraining."""
    return proposal.stop - proposal.start + _passes(proposal)


def _passes(proposal: Proposal) -> int:
    return 0 if proposal.start else proposal.configuration.recipe.pretraining.passes()
