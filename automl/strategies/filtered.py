"""A filter around any suggester: of several configurations that it thinks of, the one that promises most is trained.

For promises that cost next to nothing (Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", 2021, section 4.3). Nothing
here filters unless it is asked to: of cells in one skeleton, trained for one number of epochs, their size promises as much as
any proxy that was measured, and helps a search (results/proxies); larger networks take longer, so a time limit is another matter.

    def strategy(space, plan):
        return Halving(Filtered(Evolution(space, plan), weights), space, plan)

    def weights(configuration):  # of a cell's convolutions
        operations = configuration.architecture.operations
        return 9.0 * operations.count("nor_conv_3x3") + operations.count("nor_conv_1x1")

    automl.search("images/", families=["Cell"], strategy=strategy)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic

from automl.strategies.base import F, Result, Suggester
from search_spaces.base import Infeasible

TRIED = 4
STRIDE = 3_000_000  # between the numbers under which further ones are asked for: a multiple of the periods that suggesters have


class Filtered(Generic[F]):
    """A suggester that asks another one for `tried` configurations, and suggests the one that promises most.

    promise: what a configuration promises, more is better; None where nothing can be said. Where that is so of the first one, it
    is suggested, and elsewhere it is compared with those only of which something can be said: how often each family comes stays
    as the other suggester has it.
    """

    def __init__(self, suggester: Suggester[F], promise: Callable[[F], float | None], tried: int = TRIED) -> None:
        """Wrap a suggester that draws another configuration for another number. Raises `ValueError` for `tried` below 1."""
        if tried < 1:
            raise ValueError(f"tried must be at least 1, got {tried}")
        self._suggester, self._promise, self._tried = suggester, promise, tried

    @property
    def infeasible(self) -> int:
        """How many draws made no network and were drawn again."""
        return self._suggester.infeasible

    def suggest(self, number: int) -> F:
        """Return a configuration. Raises `Infeasible` where a bounded number of draws made no network."""
        chosen = self._suggester.suggest(number)
        best = self._promise(chosen)
        for i in range(1, self._tried if best is not None else 1):
            try:
                other = self._suggester.suggest(number + i * STRIDE)
            except Infeasible:
                continue
            promise = self._promise(other)
            if promise is not None and best is not None and promise > best:
                chosen, best = other, promise
        return chosen

    def begin(self, number: int, configuration: F) -> None:
        """Learn that a configuration is being trained."""
        self._suggester.begin(number, configuration)

    def observe(self, result: Result[F]) -> None:
        """Learn from a result."""
        self._suggester.observe(result)
