"""One step of a Bayesian search: candidates, what is believed of them, and which of them is the most promising.

A step sees one model. Where several configurations are chosen in it, each is believed to turn out as expected (the kriging
believer; Ginsbourger et al. 2010), which costs little beside the model.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Generic

import numpy as np
from numpy.typing import NDArray

from automl.strategies.acquisition import log_improvement
from automl.strategies.base import F
from automl.strategies.candidates import Candidates, Rows, sketched
from automl.strategies.decision_tree import Sketch
from automl.strategies.evidence import Evidence, weights
from automl.strategies.gaussian_process import Belief
from search_spaces.base import Infeasible

__all__ = ["Step"]

Array = NDArray[np.float64]

LEADERS = 5  # configurations that candidates are drawn around
REFINED = 5  # of the best candidates that are improved by small steps
STEPS = 30
ROUNDS = 2
LEFT = 100  # candidates that stay, and more where many are wanted


class Step(Generic[F]):
    """Candidates for new configurations, and some that began and could go on, on one scale.

    pending: (number, t) of what is being trained. paused: what could go on. wanted: how many will be chosen. weighing: of the
    objectives. sketches: the candidates, best first.
    """

    def __init__(
        self,
        evidence: Evidence[F],
        rng: random.Random,
        pending: Sequence[tuple[int, float]],
        paused: Sequence[int] = (),
        wanted: int = 1,
    ) -> None:
        self._evidence = evidence
        self._model, known = evidence.model(pending, weights(evidence.objectives, rng))
        means = self._full(evidence.features(known)).mean
        order = np.argsort(means, kind="stable")
        self.best = float(means[order[0]])
        candidates = Candidates(evidence.tree, rng)
        around = candidates.around([evidence.sketches[known[i]] for i in order[:LEADERS]])
        self.sketches = self._promising(candidates, around, LEFT + 3 * wanted)
        features = self._encoded(sketched(self.sketches))
        self.belief = self._full(np.concatenate([features, evidence.features(paused)]))

    @property
    def scores(self) -> Array:
        """Logarithms of the expected improvement: of all candidates, then of those that are paused."""
        return log_improvement(self.belief.mean, self.belief.deviation, self.best)

    def believe(self, i: int) -> None:
        """Take candidate `i` for trained, with what is expected of it."""
        self.belief.believe(i)
        self.best = min(self.best, float(self.belief.mean[i]))

    def build(self, i: int, refused: Counter[str]) -> F | None:
        """Return the configuration that candidate `i` stands for, or None where it makes no network."""
        try:
            return self._evidence.tree.build(self.sketches[i])
        except Infeasible as error:
            refused[str(error)] += 1
            return None

    def _promising(self, candidates: Candidates[F], rows: Rows, count: int) -> list[Sketch]:
        """Return the best of some candidates and of small steps from them, without any that began; at most `count`."""
        found: dict[tuple[object, ...], tuple[float, Sketch]] = {}
        best: list[tuple[float, Sketch]] = []
        for left in reversed(range(ROUNDS + 1)):
            belief = self._full(self._encoded(rows))
            scores = log_improvement(belief.mean, belief.deviation, self.best)
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

    def _encoded(self, rows: Rows) -> Array:
        return self._evidence.columns.encoded(rows.layout, rows.units)

    def _full(self, features: Array) -> Belief:
        return self._model.believed(features, np.ones(len(features)))
