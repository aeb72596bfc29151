"""The seam between a search and whoever decides what runs next."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from search_spaces.configuration import Configuration


@dataclass(frozen=True)
class Proposal:
    """Train configuration `number` from epoch `start` to epoch `stop` of `total`; `start > 0` continues an earlier proposal."""

    number: int
    configuration: Configuration
    start: int
    stop: int
    total: int


@dataclass(frozen=True)
class Result:
    """What became of a proposal. `loss` is lower-is-better, whatever the metric; None: it failed.

    `ended`: more epochs can't help (it stopped early, reached `total`, or failed), so it must not be continued. A loss that isn't
    finite becomes None, and what failed has ended.
    """

    proposal: Proposal
    loss: float | None
    ended: bool

    def __post_init__(self) -> None:
        if self.loss is None or not math.isfinite(self.loss):
            object.__setattr__(self, "loss", None)
            object.__setattr__(self, "ended", True)


@dataclass(frozen=True)
class Plan:
    """What a strategy has to keep to.

    epochs: of a full training. seed: all chance comes from it. n_trials: the number of configurations, None for no end.
    halving: whether trainings begin short, and only the best go on. enqueue: configurations to try right after the default.
    """

    epochs: int
    seed: int = 0
    n_trials: int | None = None
    halving: bool = True
    enqueue: tuple[Configuration, ...] = ()


class Suggester(Protocol):
    """Thinks of configurations. It knows nothing of rungs: a schedule (`FullTraining`, `Halving`) says how long each is trained.

    Deterministic: a suggestion depends on the seed, the number and the *sets* of what began and was observed, not on their order.
    """

    @property
    def infeasible(self) -> int:
        """How many draws made no network and were drawn again."""
        ...

    def suggest(self, number: int) -> Configuration:
        """Return the configuration for a number. Raises `Infeasible` where a bounded number of draws found none."""
        ...

    def begin(self, number: int, configuration: Configuration) -> None:
        """Learn that a configuration, suggested here or not, is being trained."""
        ...

    def observe(self, result: Result) -> None:
        """Learn from a result."""
        ...


class Strategy(Protocol):
    """Decides what runs next. Deterministic: the same seed and the same calls give the same proposals.

    The study calls `ask` whenever a worker is free or about to be, `tell` once for each proposal in order of completion. When it
    resumes a search, it first calls `adopt` for what an earlier process proposed, then `tell` for what of it finished.
    Randomness is derived from the seed and the configuration's number, so a resumed search goes on as it would have.
    """

    @property
    def done(self) -> bool:
        """Whether no further proposal will ever come (counting what is still untold)."""
        ...

    @property
    def infeasible(self) -> int:
        """How many draws made no network and were drawn again."""
        ...

    @property
    def closed(self) -> frozenset[int]:
        """Numbers of configurations that will never be continued: their checkpoints may go."""
        ...

    def ask(self, room: int) -> list[Proposal]:
        """Return at most `room` proposals; an empty list means: nothing until something is told."""
        ...

    def tell(self, results: Sequence[Result]) -> None:
        """Learn from results."""
        ...

    def adopt(self, proposals: Sequence[Proposal]) -> None:
        """Take over proposals that were asked in an earlier process, as if this object had made them."""
        ...
