"""A deadline, less the time that a trial still needs once training ends."""

from __future__ import annotations

import math
import time

_SLACK = 0.02  # seconds to hand the outcome over
_MARGIN = 1.5  # times the last scoring: the next may take longer on a busy machine
_BYTES_PER_SECOND = 2e8  # a careful guess of how fast a checkpoint is written


class Clock:
    """Tells whether training must end now, so that what was trained can still be scored and saved in time.

    deadline: in `time.time()` seconds, or None.
    """

    def __init__(self, deadline: float | None) -> None:
        self._deadline = math.inf if deadline is None else deadline
        self._limit = self._deadline

    def reserve(self, scoring: float, saved_bytes: int) -> None:
        """Keep time for one more scoring (seconds, as last measured) and for writing a checkpoint."""
        self._limit = self._deadline - _MARGIN * scoring - saved_bytes / _BYTES_PER_SECOND - _SLACK

    def over(self) -> bool:
        """Whether training must end now."""
        return time.time() >= self._limit

    def left(self) -> float:
        """Return the seconds left for training, not below 0; infinite without a deadline."""
        return max(0.0, self._limit - time.time())

    def fits(self, seconds: float) -> bool:
        """Whether something that takes so long can still be done."""
        return time.time() + seconds <= self._limit
