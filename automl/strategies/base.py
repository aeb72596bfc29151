"""The seam between a search and whoever decides what runs next."""

from __future__ import annotations

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

    `ended`: more epochs can't help (it stopped early, reached `total`, or failed), so it must not be continued.
    """

    proposal: Proposal
    loss: float | None
    ended: bool


class Strategy(Protocol):
    """Decides what runs next. Deterministic: the same seed and the same calls give the same proposals.

    The study calls `ask` whenever a worker is free or about to be, `tell` once for each proposal in order of completion, and, when it
    resumes a search, `adopt` for what an earlier process proposed (before any `ask`), followed by `tell` for what finished.
    Randomness is derived from the seed and the configuration's number, so a resumed search goes on as it would have.
    """

    @property
    def done(self) -> bool:
        """Whether no further proposal will ever come (counting what is still untold)."""
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
