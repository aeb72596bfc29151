"""Proposals that wait to begin. Near the end of a search they wait here, not where trials run, and the longest go first.

That is the rule of the longest processing time (Graham, "Bounds on Multiprocessing Timing Anomalies", 1969), as far as the future
is known. No more is thought of ahead for it: what comes later is thought of with more results. With a time limit fewer trainings
are cut off by the end; with a number of trials it helps little (results/ray).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import itemgetter

from automl.durations import Durations
from automl.strategies.base import Proposal

__all__ = ["Backlog"]

_NEAR = 2  # the last so many rounds of a search are its end


@dataclass
class Backlog:
    """Proposals that the strategy made and nobody trains yet.

    n_trials: configurations of the search, None for no end. dropped: how many would have taken longer than the time that was
    left.
    """

    n_trials: int | None = None
    durations: Durations = field(default_factory=Durations)
    waiting: list[Proposal] = field(default_factory=list)
    dropped: int = 0
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

    def learn_thinking(self, seconds: float, proposals: int, wanting: int) -> None:
        """Take from an ask for `wanting` proposals how long the strategy thinks of one, and whether it has more for now."""
        self._are_last = proposals < wanting
        if proposals:
            self._thought = seconds / proposals

    def add(self, proposal: Proposal) -> None:
        """Let a proposal wait. By its number the search sees how far it is."""
        self.waiting.append(proposal)
        self._known = max(self._known, proposal.number + 1)

    def take(self, room: int, free: int, places: int, remaining: float) -> list[Proposal]:
        """Return what begins now, at most `room` proposals.

        places: how many are trained at the same time; free: those of them that are free, less what waits for one. Near the end
        only `free` are returned, the longest first, and one that waits where trials run, so that nobody is idle until the search
        hears of it. What would take longer than the seconds that remain is dropped.
        """
        if self.waiting and self._is_ending(places, remaining):
            expected = [(self.durations.seconds(proposal), proposal) for proposal in self.waiting]
            fitting = [(seconds, proposal) for seconds, proposal in expected if seconds <= remaining]
            self.dropped += len(expected) - len(fitting)
            if places > 1:
                fitting.sort(key=itemgetter(0), reverse=True)
                room = max(0, min(room, free + 1))
            self.waiting = [proposal for _, proposal in fitting]
        taken, self.waiting = self.waiting[:room], self.waiting[room:]
        return taken

    def _is_ending(self, places: int, remaining: float) -> bool:
        """Whether the order, and the time that is left, begin to matter."""
        if self._are_last or (self.n_trials is not None and self.n_trials - self._known <= _NEAR * places):
            return True
        longest = max([self.durations.longest, *(self.durations.roughly(proposal) for proposal in self.waiting)])
        return remaining < _NEAR * longest
