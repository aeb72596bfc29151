"""One step of a Bayesian search: candidates, what is believed of them, and which of them is the most promising.

What is promised is that a configuration is better at full budget than the best that was trained so far. A step of training is
worth as much of this as it can tell: the expected improvement of the mean that the model will have after it (the knowledge
gradient of Frazier et al. 2009, of that one configuration). Trained in full that is expected improvement; of what is already
known from paused neighbours it is nothing. It is divided by the epochs that are expected to be spent: those of the step, and
those until full budget as likely as the mean will be better than the best.

Where several configurations are chosen in a step, each is believed to turn out as expected (the kriging believer; Ginsbourger et
al. 2010), which costs little beside the model.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from automl.strategies.acquisition import log_improvement
from automl.strategies.base import F
from automl.strategies.candidates import Candidates, Rows, sketched
from automl.strategies.decision_tree import Sketch
from automl.strategies.evidence import Evidence, progress, weights
from automl.strategies.gaussian_process import Belief
from search_spaces.base import Infeasible

__all__ = ["Paused", "Step"]

Array = NDArray[np.float64]

LEADERS = 5  # configurations that candidates are drawn around
REFINED = 5  # of the best candidates that are improved by small steps
STEPS = 30
ROUNDS = 2
LEFT = 100  # candidates that stay, and more where many are wanted
COST = 1.0  # power of the expected epochs


@dataclass(frozen=True)
class Paused:
    """A configuration that could go on from epoch `reached` to `stop`."""

    number: int
    reached: int
    stop: int


class Step(Generic[F]):
    """Candidates for new configurations, and some that began and could go on, on one scale.

    pending: (number, t) of what is being trained. first: the epoch where new configurations pause, of `total`. wanted: how many
    will be chosen. sketches: the candidates, best first.
    """

    def __init__(
        self, evidence: Evidence[F], rng: random.Random, pending: Sequence[tuple[int, float]], epochs: tuple[int, int]
    ) -> None:
        self._evidence = evidence
        self._first, self._total = epochs
        self._model, known = evidence.model(pending, weights(evidence.objectives, rng))
        means = self._model.mean(evidence.features(known), np.ones(len(known)))
        order = np.argsort(means, kind="stable")
        full = [float(means[i]) for i, number in enumerate(known) if number in evidence.full]
        self.best = min(full, default=float(means[order[0]]))
        self._leaders = [evidence.sketches[known[i]] for i in order[:LEADERS]]
        self._rng = rng

    def weigh(self, paused: Sequence[Paused], wanted: int) -> None:
        """Draw candidates, and compare them with those that are paused."""
        self.sketches = self._promising(Candidates(self._evidence.tree, self._rng), LEFT + 3 * wanted)
        new = len(self.sketches)
        features = np.concatenate([self._encoded(sketched(self.sketches)), self._evidence.features(one.number for one in paused)])
        self._reached = np.array([0] * new + [one.reached for one in paused])
        self._stops = np.array([self._first] * new + [one.stop for one in paused])
        self._belief = self._believed(features, self._stops)

    @property
    def scores(self) -> Array:
        """Logarithms of what is promised per epoch: of all candidates, then of those that are paused."""
        return self._scored(self._belief, self._reached, self._stops)

    def believe(self, i: int) -> None:
        """Take candidate `i` for trained, with what is expected of it."""
        self._belief.believe(i)

    def build(self, i: int, refused: Counter[str]) -> F | None:
        """Return the configuration that candidate `i` stands for, or None where it makes no network."""
        try:
            return self._evidence.tree.build(self.sketches[i])
        except Infeasible as error:
            refused[str(error)] += 1
            return None

    def _promising(self, candidates: Candidates[F], count: int) -> list[Sketch]:
        """Return the best of some candidates and of small steps from them, without any that began; at most `count`."""
        found: dict[tuple[object, ...], tuple[float, Sketch]] = {}
        rows, best = candidates.around(self._leaders), list[tuple[float, Sketch]]()
        for left in reversed(range(ROUNDS + 1)):
            stops = np.full(len(rows), self._first)
            scores = self._scored(self._believed(self._encoded(rows), stops), np.zeros(len(rows)), stops)
            fresh = 0
            for i in np.argsort(-scores, kind="stable").tolist():
                sketch = rows.sketch(i)
                identity = sketch.identity
                if identity not in self._evidence.identities and identity not in found:
                    found[identity] = float(scores[i]), sketch
                    fresh += 1
                if fresh == count:
                    break
            best = sorted(found.values(), key=lambda scored: -scored[0])[:count]
            if left and best:
                rows = candidates.near([sketch for _, sketch in best[:REFINED]], STEPS)
        return [sketch for _, sketch in best]

    def _scored(self, belief: Belief, reached: Array, stops: Array) -> Array:
        gain = belief.gain
        chances = ndtr((self.best - belief.mean) / gain)
        costs = stops - reached + chances * (self._total - stops)
        return np.asarray(log_improvement(belief.mean, gain, self.best) - COST * np.log(costs))

    def _believed(self, features: Array, stops: Array) -> Belief:
        rungs, at = np.unique(stops, return_inverse=True)
        return self._model.belief(features, np.array([progress(int(rung), self._total) for rung in rungs])[at])

    def _encoded(self, rows: Rows) -> Array:
        return self._evidence.columns.encoded(rows.layout, rows.units)
