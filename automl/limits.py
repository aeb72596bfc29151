"""How long a search may go on, and what still fits: the promise that `time_limit` covers everything from call to return."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

from automl.strategies.base import Proposal
from automl.trial import Outcome

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


class Forecast:
    """Tells how long a proposal will train, from the epochs seen: its own configuration's, else the median of all.

    And how long the strategy will think of it: as long as of those of its last ask.

    A pass of pretraining is taken to be as long as an epoch.
    """

    def __init__(self) -> None:
        self._paces: dict[int, float] = {}
        self._thought = 0.0

    def learn_thinking(self, seconds: float, proposals: int) -> None:
        """Take from an ask how long the strategy thinks of a proposal."""
        if proposals:
            self._thought = seconds / proposals

    def askable(self, room: int, remaining: float) -> int:
        """Return how many proposals, at most `room`, the strategy will think of in the seconds that remain."""
        return max(0, int(min(room, remaining / self._thought))) if self._thought > 0 else room

    def learn(self, proposal: Proposal, outcomes: Sequence[Outcome]) -> None:
        """Take the pace (seconds an epoch, all folds together) from the outcomes of a proposal."""
        epochs = sum(len(outcome.curve) for outcome in outcomes) / len(outcomes)
        if epochs:
            self._paces[proposal.number] = sum(outcome.seconds for outcome in outcomes) / (epochs + _passes(proposal))

    def seconds(self, proposal: Proposal) -> float:
        """Return the seconds this proposal will take; 0 while nothing is known."""
        if not self._paces:
            return 0.0
        pace = self._paces.get(proposal.number) or statistics.median(self._paces.values())
        return pace * (proposal.stop - proposal.start + _passes(proposal))


def _passes(proposal: Proposal) -> int:
    return 0 if proposal.start else proposal.configuration.recipe.pretraining.passes()
