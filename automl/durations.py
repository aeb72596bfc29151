"""How long proposals will train, learnt from those that ended."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from automl.strategies.base import Proposal
from automl.strategies.decision_tree import Tree
from automl.strategies.evidence import milestone, one_thread
from automl.strategies.tree_features import Columns
from automl.trial import Outcome
from search_spaces.configuration import Configuration
from search_spaces.language import Space

__all__ = ["Durations"]

Array: TypeAlias = NDArray[np.float64]

LEAST, MOST = 8, 300  # configurations that a model of paces is fitted to
PENALTY = 1.0


class Durations:
    """Tells how long a proposal will train: by the pace (seconds an epoch, all folds together) of its own configuration, if seen.

    Else by a ridge regression of the logarithm of the pace on the decisions of configurations, as far as `space` is known and
    enough were seen; its guess is kept between the slowest and the fastest so far. Else by the median of all.

    A pass of pretraining is taken to be as long as an epoch.
    """

    def __init__(self, space: Space[Configuration] | None = None) -> None:
        self._tree = None if space is None else Tree(space)
        self._columns = Columns()
        self._rows: dict[int, Array] = {}
        self._paces: dict[int, float] = {}
        self._model: tuple[int, _Ridge] | None = None

    def learn(self, proposal: Proposal, outcomes: Sequence[Outcome]) -> None:
        """Take the pace from the outcomes of a proposal."""
        epochs = sum(len(outcome.curve) for outcome in outcomes) / len(outcomes)
        if not epochs:
            return
        self._paces[proposal.number] = sum(outcome.seconds for outcome in outcomes) / (epochs + _passes(proposal))
        if self._tree is not None and proposal.number not in self._rows:
            self._rows[proposal.number] = self._columns.row(self._tree.of(proposal.configuration))

    def seconds(self, proposal: Proposal) -> float:
        """Return the seconds this proposal will take; 0 while nothing is known."""
        if not self._paces:
            return 0.0
        pace = self._paces.get(proposal.number) or self._guess(proposal.configuration)
        return pace * (proposal.stop - proposal.start + _passes(proposal))

    def _guess(self, configuration: Configuration) -> float:
        if self._tree is None or len(self._rows) < LEAST:
            return statistics.median(self._paces.values())
        row = self._columns.row(self._tree.of(configuration))
        return self._fitted()(row)

    def _fitted(self) -> _Ridge:
        """Return the model of the first configurations that were seen; it is fitted again when there are so and so many more."""
        known = list(self._rows)[: milestone(len(self._rows))][-MOST:]
        if self._model is None or self._model[0] != known[-1]:
            rows = np.zeros((len(known), len(self._columns.names)))
            for i, number in enumerate(known):
                rows[i, : len(self._rows[number])] = self._rows[number]  # what a configuration lacks is 0
            self._model = known[-1], _Ridge.fitted(rows, np.log([self._paces[number] for number in known]))
        return self._model[1]


@dataclass(frozen=True)
class _Ridge:
    """A linear model with a quadratic penalty. Not scikit-learn's: to load that takes a second in the middle of a search."""

    means: Array
    slopes: Array
    middle: float
    ends: tuple[float, float]

    @classmethod
    def fitted(cls, rows: Array, logs: Array) -> Self:
        """Return the model for `rows` (configurations, columns) with so long paces, as logarithms (configurations,)."""
        means, middle = rows.mean(axis=0), float(logs.mean())
        centred = rows - means
        with one_thread():
            slopes = np.linalg.solve(centred.T @ centred + PENALTY * np.eye(len(means)), centred.T @ (logs - middle))
        return cls(means, slopes, middle, (float(logs.min()), float(logs.max())))

    def __call__(self, row: Array) -> float:
        """Return the pace of a configuration; columns that no one had when this was fitted tell nothing."""
        full = np.zeros(len(self.means))
        common = min(len(row), len(full))
        full[:common] = row[:common]
        low, high = self.ends
        return math.exp(min(max(self.middle + float((full - self.means) @ self.slopes), low), high))


def _passes(proposal: Proposal) -> int:
    return 0 if proposal.start else proposal.configuration.recipe.pretraining.passes()
