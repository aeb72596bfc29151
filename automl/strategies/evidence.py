"""What a Bayesian search has seen, and the model of it: a capped choice of observations, warped, with hyperparameters.

Everything here is a function of what began and of the results in the order in which they were told, so a search that is resumed
has the same model as one that went on. Hyperparameters are fitted to the first m results only, where m grows by a factor; they
need no fit between, and a resumed search makes just the last one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic

import numpy as np
from numpy.typing import NDArray

from automl.strategies.base import F, Result
from automl.strategies.candidates import Rows
from automl.strategies.decision_tree import Sketch, Tree
from automl.strategies.gaussian_process import Belief, Data, Kernel, Posterior, fitted, usual_scale
from automl.strategies.tree_features import Columns
from automl.strategies.warping import Warp
from search_spaces.language import Space

__all__ = ["Evidence", "Model"]

Array = NDArray[np.float64]

MOST = 250  # observations in a model
BEST, RECENT = 120, 60
PENDING = 50
GROWTH = 1.15  # of the number of results between two fits of hyperparameters
EVERY = 20  # results up to which each one makes a fit


@dataclass(frozen=True)
class Seen:
    """An observation. t: log epochs / log total, 1 where more epochs can't help; loss: None where it failed."""

    number: int
    t: float
    loss: float | None


@dataclass(frozen=True)
class Active:
    """The columns of a model. at: which of all columns; groups: of each; names: of the groups."""

    at: NDArray[np.intp]
    groups: NDArray[np.intp]
    names: tuple[str, ...]


class Evidence(Generic[F]):
    """What began and what was observed."""

    def __init__(self, space: Space[F]) -> None:
        self.tree = Tree(space)
        self.columns = Columns()
        self.sketches: dict[int, Sketch] = {}
        self.seen: list[Seen] = []
        self.identities: set[tuple[object, ...]] = set()
        self._rows: dict[int, Array] = {}
        self._fits: dict[int, tuple[Kernel, tuple[str, ...]]] = {}

    def begin(self, number: int, configuration: F) -> None:
        """Take a configuration for running."""
        if number not in self.sketches:
            sketch = self.sketches[number] = self.tree.of(configuration)
            self._rows[number] = self.columns.row(sketch)
            self.identities.add(sketch.identity)

    def observe(self, result: Result[F]) -> None:
        """Learn what became of a proposal."""
        proposal = result.proposal
        t = 1.0 if result.ended else progress(proposal.stop, proposal.total)
        self.seen.append(Seen(proposal.number, t, result.loss))

    def model(self, pending: Iterable[tuple[int, float]]) -> Model:
        """Return a model of all that was seen, which takes its own guess for the outcome of `pending`: (number, t)."""
        kernel, names = self._hyperparameters(milestone(len(self.seen)))
        chosen, values = self._chosen(self.seen)
        active = self._active(seen.number for seen in chosen)
        index = {name: i for i, name in enumerate(names)}
        usual = usual_scale(len(names))
        scales = np.array([kernel.scales[index[name]] if name in index else usual for name in active.names])
        kernel = Kernel(scales, **{name: getattr(kernel, name) for name in KEPT})
        model = Model(self.columns, active, kernel, usual)
        model.learn(self._data(chosen, values, active), chosen)
        waiting = list(pending)[-PENDING:]
        if waiting:
            guess = model.believed(self.features(number for number, _ in waiting), np.array([t for _, t in waiting])).mean
            both = [*chosen, *(Seen(number, t, None) for number, t in waiting)]
            active = self._active(seen.number for seen in both)
            model = Model(self.columns, active, kernel_for(kernel, model.active, active, usual), usual)
            model.learn(self._data(both, np.concatenate([values, guess]), active), chosen)
        return model

    def features(self, numbers: Iterable[int]) -> Array:
        """Return features (rows, all columns) of configurations that began."""
        rows = [self._rows[number] for number in numbers]
        features = np.zeros((len(rows), len(self.columns.names)))
        for i, row in enumerate(rows):
            features[i, : len(row)] = row
        return features

    def _hyperparameters(self, count: int) -> tuple[Kernel, tuple[str, ...]]:
        if count not in self._fits:
            chosen, values = self._chosen(self.seen[:count])
            active = self._active(seen.number for seen in chosen)
            self._fits = {count: (fitted(self._data(chosen, values, active), len(active.names)), active.names)}
        return self._fits[count]

    def _data(self, chosen: Sequence[Seen], values: Array, active: Active) -> Data:
        x = self.features(seen.number for seen in chosen)[:, active.at]
        return Data(x, np.array([seen.t for seen in chosen]), values, active.groups)

    def _active(self, numbers: Iterable[int]) -> Active:
        """Return the columns that these configurations use, by name."""
        used = np.flatnonzero((self.features(dict.fromkeys(numbers)) != 0).any(axis=0))
        at = np.array(sorted(used.tolist(), key=self.columns.names.__getitem__), dtype=np.intp)
        names = tuple(sorted({self.columns.groups[i] for i in at}))
        index = {name: i for i, name in enumerate(names)}
        return Active(at, np.array([index[self.columns.groups[i]] for i in at], dtype=np.intp), names)

    def _chosen(self, seen: Sequence[Seen]) -> tuple[list[Seen], Array]:
        """Return at most `MOST` of some observations, and their warped losses; failures are as bad as the worst."""
        losses = np.array([entry.loss for entry in seen if entry.loss is not None])
        if not len(losses):
            return list(seen[-MOST:]), np.zeros(len(seen[-MOST:]))
        worst = float(losses.max())
        every = np.array([worst if entry.loss is None else entry.loss for entry in seen])
        kept = np.arange(len(seen))
        if len(seen) > MOST:
            best = np.argsort(every, kind="stable")[:BEST]
            left = np.setdiff1d(kept[:-RECENT], best)
            spread = left[np.linspace(0, len(left) - 1, MOST - BEST - RECENT).astype(int)]
            kept = np.unique(np.concatenate([best, kept[-RECENT:], spread]))
        return [seen[i] for i in kept.tolist()], Warp.of(every[kept])(every[kept])


KEPT = ("shared_scale", "curve_scale", "shared", "steady", "curve", "noise")


def kernel_for(kernel: Kernel, old: Active, new: Active, usual: float) -> Kernel:
    """Return a kernel for other columns."""
    known = dict(zip(old.names, kernel.scales.tolist(), strict=True))
    scales = np.array([known.get(name, usual) for name in new.names])
    return Kernel(scales, **{name: getattr(kernel, name) for name in KEPT})


class Model:
    """A posterior, and the columns that it is over."""

    def __init__(self, columns: Columns, active: Active, kernel: Kernel, usual: float) -> None:
        self.active = active
        self.kernel = kernel
        self._columns = columns
        self._usual = usual

    def learn(self, data: Data, chosen: Sequence[Seen]) -> None:
        """Condition on observations; `chosen` are those that aren't guesses."""
        self.chosen = chosen
        self.posterior = Posterior(self.kernel, data)

    def believed(self, features: Array, t: Array) -> Belief:
        """Return what is believed of configurations; features: (rows, all columns), t: (rows,)."""
        active = self.active
        others = np.setdiff1d(np.flatnonzero((features != 0).any(axis=0)), active.at)
        others = np.array(sorted(others.tolist(), key=self._columns.names.__getitem__), dtype=np.intp)
        known = dict(zip(active.names, self.kernel.scales.tolist(), strict=True))
        scales = np.array([known.get(self._columns.groups[i], self._usual) for i in others])
        z = np.concatenate([features[:, active.at] / self.kernel.scales[active.groups], features[:, others] / scales], axis=1)
        return self.posterior.at(z, t)

    def encoded(self, rows: Rows) -> Array:
        """Return features (rows, all columns) of candidates."""
        return self._columns.encoded(rows.layout, rows.units)


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
