"""Proposals that wait to begin. Near the end of a search they wait here, not where trials run, and the longest go first.

So the machines are at work until the end, and none trains a long network alone when all others are done: the rule of the longest
processing time (Graham, "Bounds on Multiprocessing Timing Anomalies", 1969), as far as the future is known. No more is thought of
ahead for that: what comes later is thought of with more results.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from automl.durations import Durations
from automl.strategies.base import Proposal

__all__ = ["Backlog"]

_NEAR = 2  # the last so many rounds of a search are its end


@dataclass
class Backlog:
    """Proposals that the strategy made and nobody trains yet.

    workers: how many train at the same time. n_trials: configurations of the search, None for no end. dropped: how many would
    have taken longer than the time that was left.
    """

    workers: int = 1
    n_trials: int | None = None
    durations: Durations = field(default_factory=Durations)
    waiting: list[Proposal] = field(default_factory=list)
    dropped: int = 0
    _expected: dict[tuple[int, int], float] = field(default_factory=dict)
    _are_last: bool = False
    _known: int = 0
    _thought: float = 0.0

    @property
    def left(self) -> int:
        """How many proposals didn't begin, and won't without more time."""
        return self.dropped + len(self.waiting)

    def wanting(self, room: int, remaining: float) -> int:
        """Return for how many proposals to ask, where there is room for so many.

        No more than the strategy can think of in the seconds that remain, if it thinks as long of each as it did in its last ask.
        """
        wanting = max(0, room - len(self.waiting))
        return max(0, int(min(wanting, remaining / self._thought))) if self._thought else wanting

    def add(self, proposals: Sequence[Proposal], seconds: float, *, are_last: bool = False) -> None:
        """Take what the strategy thought of in so many seconds. are_last: it has no more, or not before results come."""
        self._are_last = are_last
        if proposals:
            self._thought = seconds / len(proposals)
        self.waiting += proposals
        self.know(proposals)

    def know(self, proposals: Sequence[Proposal]) -> None:
        """Count configurations that began earlier."""
        self._known = max([self._known, *(proposal.number + 1 for proposal in proposals)])

    def take(self, room: int, free: int, remaining: float) -> list[Proposal]:
        """Return what begins now, at most `room` proposals.

        free: how many would be trained at once. Near the end only those are returned, the longest first, and one that waits where
        trials run, so that nobody is idle until the search hears of it. What would take longer than the seconds that remain is
        dropped.
        """
        if self._is_ending(remaining):
            expected = {(each.number, each.stop): self._expected_of(each) for each in self.waiting}
            fitting = [each for each in self.waiting if expected[each.number, each.stop] <= remaining]
            self.dropped += len(self.waiting) - len(fitting)
            self._expected, self.waiting = expected, fitting
            if self.workers > 1:
                self.waiting.sort(key=self._expected_of, reverse=True)
                room = max(0, min(room, free + 1))
        taken, self.waiting = self.waiting[:room], self.waiting[room:]
        return taken

    def _expected_of(self, proposal: Proposal) -> float:
        """Return the seconds that a proposal was expected to take when it was first looked at."""
        known = self._expected.get((proposal.number, proposal.stop))
        return self.durations.seconds(proposal) if known is None else known

    def _is_ending(self, remaining: float) -> bool:
        """Whether the order, and the time that is left, begin to matter."""
        if self._are_last or (self.n_trials is not None and self.n_trials - self._known <= _NEAR * self.workers):
            return True
        longest = max([self.durations.longest, *(self.durations.roughly(proposal) for proposal in self.waiting)])
        return remaining < _NEAR * longest
