"""Proposals that wait to begin: near the end of a search there are more of them than room, and the longest go first.

So the machines are at work until the end, and none trains a long network alone when all others are done: the rule of the longest
processing time (Graham, "Bounds on Multiprocessing Timing Anomalies", 1969), as far as the future is known. What is thought of
ahead is thought of with fewer results, so that begins late, and only where several train at the same time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from automl.durations import Durations
from automl.strategies.base import Proposal

__all__ = ["Backlog"]

_SHARE = 4  # at most one of so many configurations is thought of ahead
_LEISURE = 1.0  # seconds that the strategy may think ahead while there is room
_LATELY = 50  # proposals, the longest of which tells when the end is near


class Waiting(NamedTuple):
    """A proposal, and the seconds that it was expected to take when it was made."""

    proposal: Proposal
    seconds: float


@dataclass
class Backlog:
    """Proposals that the strategy made and nobody trains yet.

    workers: how many train at the same time. n_trials: configurations of the search, None for no end. dropped: how many would
    have taken longer than the time that was left.
    """

    workers: int = 1
    n_trials: int | None = None
    durations: Durations = field(default_factory=Durations)
    waiting: list[Waiting] = field(default_factory=list)
    dropped: int = 0
    _are_last: bool = False
    _known: int = 0
    _thought: float = 0.0
    _lately: deque[float] = field(default_factory=lambda: deque(maxlen=_LATELY))

    @property
    def left(self) -> int:
        """How many proposals didn't begin, and won't without more time."""
        return self.dropped + len(self.waiting)

    def wanting(self, room: int, remaining: float) -> int:
        """Return for how many proposals to ask: those that there is room for, near the end some more.

        No more than the strategy can think of in the seconds that remain, if it thinks as long of each as it did in its last ask.
        """
        least = max(0, room - len(self.waiting))
        ahead = self._ahead(room, remaining)
        most = max(0, room + ahead - len(self.waiting))
        if not self._thought:
            return most
        return max(0, int(min(max(least, min(most, _LEISURE / self._thought)), remaining / self._thought)))

    def add(self, proposals: Sequence[Proposal], seconds: float, *, are_last: bool = False) -> None:
        """Take what the strategy thought of in so many seconds. are_last: it has no more, or not before results come."""
        self._are_last = are_last
        if proposals:
            self._thought = seconds / len(proposals)
        self.waiting += [Waiting(proposal, self.durations.seconds(proposal)) for proposal in proposals]
        self.know(proposals)

    def know(self, proposals: Sequence[Proposal]) -> None:
        """Count configurations that began earlier."""
        self._known = max([self._known, *(proposal.number + 1 for proposal in proposals)])

    def take(self, room: int, remaining: float) -> list[Proposal]:
        """Return what begins now, at most `room` proposals. What would take longer than the seconds that remain is dropped."""
        if self.workers > 1 and (self._are_last or self._ahead(room, remaining)):
            self.waiting.sort(key=lambda waiting: waiting.seconds, reverse=True)
        fitting = [waiting for waiting in self.waiting if waiting.seconds <= remaining]
        self.dropped += len(self.waiting) - len(fitting)
        taken, self.waiting = fitting[:room], fitting[room:]
        self._lately.extend(waiting.seconds for waiting in taken)
        return [waiting.proposal for waiting in taken]

    def _ahead(self, room: int, remaining: float) -> int:
        """Return how many more proposals than there is room for should be known: none but near the end."""
        if self.workers < 2:
            return 0
        if self.n_trials is not None:
            ahead = min(self.workers, self.n_trials // _SHARE)
            if self.n_trials - self._known <= room + ahead:
                return ahead
        return self.workers if remaining < max(self._lately, default=0.0) else 0
