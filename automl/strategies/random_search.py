"""Random search: the strategy to beat (Bergstra & Bengio 2012)."""

from __future__ import annotations

import random
from collections import Counter
from typing import Generic

from automl.strategies.base import F, Plan, Result
from search_spaces.language import Space
from search_spaces.variation import sample


class RandomSearch(Generic[F]):
    """A suggester that draws every decision at random, each configuration from a generator of its own."""

    def __init__(self, space: Space[F], plan: Plan[F]) -> None:
        self._space = space
        self._seed = plan.seed
        self._refused: Counter[str] = Counter()

    @property
    def infeasible(self) -> int:
        """How many draws made no network and were drawn again."""
        return self._refused.total()

    def suggest(self, number: int) -> F:
        """Return a configuration. Raises `Infeasible` where `search_spaces.variation.REDRAWS` draws in a row made no network."""
        return sample(self._space, random.Random(f"random/{self._seed}/{number}"), self._refused)

    def begin(self, number: int, configuration: F) -> None:
        """Learn nothing."""

    def observe(self, result: Result[F]) -> None:
        """Learn nothing."""
