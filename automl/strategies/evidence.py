"""What a Bayesian search has seen, and the model of it: a capped choice of observations, warped, with hyperparameters.

Everything here is a function of what began and of the results in the order in which they were told, so a search that is resumed
has the same model as one that went on. Hyperparameters are fitted to the first m results only, where m grows by a factor; they
need no fit between, and a resumed search makes just the last one.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from automl.strategies.base import F, Result
from automl.strategies.decision_tree import Sketch, Tree
from automl.strategies.surrogate import Hyperparameters, Points, Surrogate, learned
from automl.strategies.tree_features import Columns
from automl.strategies.warping import Warp, scalarised
from search_spaces.language import Space

__all__ = ["Evidence", "Seen", "one_thread", "progress", "weights"]

Array = NDArray[np.float64]

MOST = 250  # observations in a model
BEST, RECENT = 120, 60
PENDING = 50
GROWTH = 1.15  # of the number of results between two fits of hyperparameters
EVERY = 20  # results up to which each one makes a fit


@dataclass(frozen=True)
class Seen:
    """An observation. t: log epochs / log total, 1 where more epochs can't help; values: of all objectives, None: it failed."""

    number: int
    t: float
    values: tuple[float, ...] | None


class Evidence(Generic[F]):
    """What began and what was observed.

    sketches: of what began, by number. identities: of these. waiting: what began and has no observation yet. seen: observations
    in the order of telling. objectives: how many there are.
    """

    def __init__(self, space: Space[F], objectives: int) -> None:
        self.tree = Tree(space)
        self.columns = Columns()
        self.sketches: dict[int, Sketch] = {}
        self.identities: set[tuple[object, ...]] = set()
        self.waiting: dict[int, None] = {}
        self.full: set[int] = set()
        self.seen: list[Seen] = []
        self.objectives = objectives
        self._rows: dict[int, Array] = {}
        self._fit: tuple[int, Hyperparameters] | None = None

    def begin(self, number: int, configuration: F) -> None:
        """Take a configuration for running; of two with one number the second counts."""
        sketch, known = self.tree.of(configuration), self.sketches.get(number)
        if known is not None and known.identity == sketch.identity:
            return
        self.sketches[number] = sketch
        self._rows[number] = self.columns.row(sketch)
        if known is None:
            self.waiting[number] = None
        elif all(other.identity != known.identity for other in self.sketches.values()):
            self.identities.discard(known.identity)
        self.identities.add(sketch.identity)

    def observe(self, result: Result[F]) -> None:
        """Learn what became of a proposal that began."""
        proposal, values = result.proposal, result.values
        if values is not None and len(values) != self.objectives:
            values = None
        t = 1.0 if result.ended else progress(proposal.stop, proposal.total)
        self.seen.append(Seen(proposal.number, t, values))
        if t == 1.0 and values is not None:
            self.full.add(proposal.number)
        self.waiting.pop(proposal.number, None)

    def model(self, pending: Sequence[tuple[int, float]], weighing: Sequence[float]) -> tuple[Surrogate, list[int]]:
        """Return a model of all that was seen, and the numbers of the configurations in it.

        It takes its own guess for the outcome of the last `PENDING` of `pending`: (number, t). weighing: of the objectives.
        """
        hyperparameters = self._hyperparameters(milestone(len(self.seen)))
        points, numbers = self.chosen(weighing)
        model = Surrogate(self.columns, hyperparameters, points)
        waiting = list(pending)[-PENDING:]
        if waiting:
            features, t = self.features(number for number, _ in waiting), np.array([t for _, t in waiting])
            guess = Points(features, t, model.mean(features, t))
            model = Surrogate(self.columns, hyperparameters, points.and_others(guess))
        return model, list(dict.fromkeys(numbers))

    def features(self, numbers: Iterable[int]) -> Array:
        """Return features (rows, all columns) of configurations that began."""
        rows = [self._rows[number] for number in numbers]
        features = np.zeros((len(rows), len(self.columns.names)))
        for i, row in enumerate(rows):
            features[i, : len(row)] = row
        return features

    def _hyperparameters(self, count: int) -> Hyperparameters:
        """Return the hyperparameters for the first `count` observations."""
        if self._fit is None or self._fit[0] != count:
            weighing = weights(self.objectives, random.Random(count))
            self._fit = count, learned(self.columns, self.chosen(weighing, count)[0])
        return self._fit[1]

    def chosen(self, weighing: Sequence[float], count: int | None = None) -> tuple[Points, list[int]]:
        """Return at most `MOST` of the first `count` observations, and of which configurations they are.

        These are the best, the latest, and some of the others. Failures count as bad as the worst.
        """
        seen = self.seen[:count]
        losses = scalarised([entry.values for entry in seen], weighing)
        kept = np.arange(len(seen))
        if len(seen) > MOST:
            best = np.argsort(losses, kind="stable")[:BEST]
            left = np.setdiff1d(kept[:-RECENT], best)
            spread = left[np.linspace(0, len(left) - 1, MOST - BEST - RECENT).astype(int)]
            kept = np.unique(np.concatenate([best, kept[-RECENT:], spread]))
        chosen = [seen[i] for i in kept.tolist()]
        numbers = [entry.number for entry in chosen]
        y = Warp.of(losses[kept])(losses[kept])
        return Points(self.features(numbers), np.array([entry.t for entry in chosen]), y), numbers


def progress(stop: int, total: int) -> float:
    """Return how far a training came, on a logarithmic scale: 1 at its end."""
    return math.log(stop) / math.log(total) if total > 1 else 1.0


def milestone(count: int) -> int:
    """Return how many of the first `count` results hyperparameters are fitted to."""
    at = EVERY
    if count <= at:
        return count
    while math.ceil(at * GROWTH) <= count:
        at = math.ceil(at * GROWTH)
    return at


def weights(objectives: int, rng: random.Random) -> tuple[float, ...]:
    """Return random weights that sum to 1, all equally likely."""
    cuts = sorted(rng.random() for _ in range(objectives - 1))
    return tuple(b - a for a, b in zip((0.0, *cuts), (*cuts, 1.0), strict=True))


@cache
def _pools() -> Any:
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    return ThreadpoolController()


def one_thread() -> Any:
    """Return a context in which linear algebra uses one thread: matrices are small, and results don't depend on how many run."""
    return _pools().limit(limits=1)
