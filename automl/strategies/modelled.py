"""What suggesters share that make a new model of the history for each suggestion."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from typing import ClassVar, Generic

from automl.strategies.base import F, Plan, Result
from automl.strategies.history import History
from automl.strategies.ranking import ENOUGH
from automl.strategies.start import start
from search_spaces.base import Infeasible
from search_spaces.language import Space
from search_spaces.variation import sample

__all__ = ["Modelled"]


class Modelled(ABC, Generic[F]):
    """A suggester. Before `ENOUGH` configurations have a loss (Optuna's `n_startup_trials`) nothing is modelled: see `start`.

    A suggestion depends on the history, the plan's seed and the number alone. name: tells its chance from that of others. tries:
    infeasible draws from a model before a configuration is drawn at random.
    """

    name: ClassVar[str]
    tries: ClassVar[int]

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
        rng = random.Random(f"{self.name}/{self._seed}/{number}")
        if self._history.scored < ENOUGH:
            return start(self._space, number, rng, self._refused)
        draw = self._model(rng.getrandbits(32))
        for _ in range(self.tries):
            try:
                return draw()
            except Infeasible as error:
                self._refused[str(error)] += 1
        return sample(self._space, rng, self._refused)

    @abstractmethod
    def _model(self, seed: int) -> Callable[[], F]:
        """Return what draws a configuration from a model of the history, and raises `Infeasible` where it makes no network."""
