"""Bayesian search by Optuna's TPE: what is asked of it, and what it is told under halving.

Losses at different epochs can't be compared, so TPE is told an order, not losses: that of `ranking`. Failures come last, without
a value (Optuna's pruned trials): the model learns to avoid what runs out of memory.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Generic

from automl.strategies.base import F, Plan, Result
from automl.strategies.coding import coded
from automl.strategies.ranking import ENOUGH, Trace, ranked
from automl.strategies.start import start
from search_spaces.base import Infeasible, Leaf, Scalar
from search_spaces.language import Space
from search_spaces.variation import sample

BEST, RECENT = 100, 150  # configurations that the model sees: bounds the time of a suggestion
PENDING = 50
TRIES = 10  # infeasible draws from the model before one is drawn at random


class TPE(Generic[F]):
    """A suggester: tree-structured Parzen estimators (Bergstra et al. 2011; multivariate, Falkner et al. 2018), from Optuna.

    Before `ENOUGH` configurations have a loss (Optuna's `n_startup_trials`) there is nothing to model: see `start`.
    """

    def __init__(self, space: Space[F], plan: Plan[F]) -> None:
        self._space = space
        self._seed = plan.seed
        self._points: dict[int, dict[str, float]] = {}
        self._leaves: dict[str, Leaf] = {}
        self._traces: dict[int, Trace] = {}
        self._refused: Counter[str] = Counter()

    @property
    def infeasible(self) -> int:
        """How many draws made no network and were drawn again."""
        return self._refused.total()

    def begin(self, number: int, configuration: F) -> None:
        """Take a configuration for running until something is observed of it."""
        made = dict(configuration.decisions())
        point = self._points[number] = {}

        def choose(path: str, leaf: Leaf) -> Scalar:
            self._leaves[path] = leaf
            point[path] = coded(leaf, made[path])
            return made[path]

        self._space.draw(choose)

    def observe(self, result: Result[F]) -> None:
        """Learn from a result."""
        trace = self._traces.setdefault(result.proposal.number, Trace())
        trace.ended = trace.ended or result.ended
        if result.loss is None:
            trace.failed = True
        else:
            trace.losses[result.proposal.stop] = result.loss

    def suggest(self, number: int) -> F:
        """Return a configuration. Raises `Infeasible` where a bounded number of draws made no network."""
        rng = random.Random(f"tpe/{self._seed}/{number}")
        if sum(not trace.failed for trace in self._traces.values()) >= ENOUGH:
            from automl.strategies.optuna_samplers import Model  # Optuna takes most of a second to import

            model = Model(self._leaves, self._told(), self._running(), rng.getrandbits(32))
            for _ in range(TRIES):
                try:
                    return model.draw(self._space)
                except Infeasible as error:
                    self._refused[str(error)] += 1
            return sample(self._space, rng, self._refused)
        return start(self._space, number, rng, self._refused)

    def _told(self) -> list[tuple[dict[str, float], int | None]]:
        """Return what the model sees, by number: points, and their place in the ranking or None where they failed."""
        ranking = ranked(self._traces)
        recent = sorted(self._traces.keys() - ranking[:BEST])[-RECENT:]
        places: dict[int, int | None] = {number: place for place, number in enumerate(ranking)}
        return [(self._points[number], places.get(number)) for number in sorted({*ranking[:BEST], *recent})]

    def _running(self) -> list[dict[str, float]]:
        return [self._points[number] for number in sorted(self._points.keys() - self._traces.keys())[-PENDING:]]
