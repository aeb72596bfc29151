"""Bayesian search by Optuna's TPE: what is asked of it, and what it is told under halving.

Losses at different epochs can't be compared, so TPE is told an order, not losses: that of `ranking`. Failures come last, without
a value (Optuna's pruned trials): the model learns to avoid what runs out of memory. What breaks hard limits comes behind even
those, in the order of by how much. Several objectives are modelled as Optuna does (Ozaki et al. 2022): those that the fewest
dominate count as good.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Generic

from automl.strategies.base import F, Plan, Result
from automl.strategies.history import History
from automl.strategies.ranking import ENOUGH
from automl.strategies.start import start
from search_spaces.base import Infeasible
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
        self._objectives = plan.objectives
        self._history = History(space, plan.objectives)
        self._refused: Counter[str] = Counter()

    @property
    def infeasible(self) -> int:
        """How many draws made no network and were drawn again."""
        return self._refused.total()

    def begin(self, number: int, configuration: F) -> None:
        """Take a configuration for running until something is observed of it."""
        self._history.begin(number, configuration)

    def observe(self, result: Result[F]) -> None:
        """Learn from a result."""
        self._history.observe(result)

    def suggest(self, number: int) -> F:
        """Return a configuration. Raises `Infeasible` where a bounded number of draws made no network."""
        rng = random.Random(f"tpe/{self._seed}/{number}")
        if self._history.scored < ENOUGH:
            return start(self._space, number, rng, self._refused)
        from automl.strategies.optuna_samplers import Model  # Optuna takes most of a second to import

        told, running = self._history.told(BEST, RECENT), self._history.running(PENDING)
        model = Model(self._history.leaves, told, running, rng.getrandbits(32), self._objectives)
        for _ in range(TRIES):
            try:
                return model.draw(self._space)
            except Infeasible as error:
                self._refused[str(error)] += 1
        return sample(self._space, rng, self._refused)
