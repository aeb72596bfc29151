"""How long a search may go on: the promise that `time_limit` covers everything from call to return."""

from __future__ import annotations

import time

from automl.strategies.base import Proposal

_RESERVE = 0.3  # seconds kept for the last outcomes, the report rows and the board
_RESERVE_SHARE = 0.002
_MOST_RESERVED = 0.2  # of the time limit, for the end of what trials run on
_BASELINE_SHARE = 0.25  # of the time limit, for one baseline on one worker
_LEAST_SHARE, _FULL_SHARE = 0.05, 0.3  # of the time limit, for one configuration on one worker


class Limits:
    """The time a search has, from the moment the user called.

    time_limit: seconds, or None. started: `time.time()` of the call. spent: seconds that earlier runs of a resumed search used.
    reserve: seconds that it takes to leave what trials run on.
    """

    def __init__(self, time_limit: float | None, started: float, spent: float = 0.0, reserve: float = 0.0) -> None:
        self.time_limit = time_limit
        self.started = started
        self.spent = spent
        self.reserve = _RESERVE + (0.0 if time_limit is None else min(reserve, _MOST_RESERVED * time_limit))
        self.stopped = ""

    @property
    def deadline(self) -> float | None:
        """When trials must end, in `time.time()` seconds; None without a limit."""
        if self.time_limit is None:
            return None
        return self.started + self.time_limit - self.spent - self.reserve - _RESERVE_SHARE * self.time_limit

    def allowance(self, proposal: Proposal | str) -> float | None:
        """Return the seconds that a proposal may take: a share of the time limit that grows with its share of a full training.

        A baseline (its name) has a fixed share.

        A network so slow that it needs more costs the search more than it can bring. None without a limit, and for the default
        (number 0), by which trainings were planned: it isn't cut short by a machine that got busier since.
        """
        if self.time_limit is None:
            return None
        if isinstance(proposal, str):
            return self.time_limit * _BASELINE_SHARE
        if proposal.number == 0:
            return None
        return self.time_limit * (_LEAST_SHARE + _FULL_SHARE * (proposal.stop - proposal.start) / proposal.total)

    def elapsed(self) -> float:
        """Return the seconds used so far, those of earlier runs included."""
        return self.spent + time.time() - self.started

    def remaining(self) -> float:
        """Return the seconds left for trials; infinite without a limit."""
        return float("inf") if self.deadline is None else self.deadline - time.time()

    def open(self) -> bool:
        """Whether a trial may still begin."""
        return not self.stopped and self.remaining() > 0

    def stop(self, reason: str) -> None:
        """Let nothing more begin, for the reason in `stopped`."""
        self.stopped = reason
