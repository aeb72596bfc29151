"""Trials under way on a cluster: when they have to be killed, whether they run again, and what is said of them."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from automl.errors import RunError
from automl.executors.shares import Share
from automl.executors.times import GRACE, allowance_of, deadline_of
from automl.trial import Outcome, Status, Trial

if TYPE_CHECKING:
    from automl.executors.bell import Began

RETRIES = 3  # runs again of a cohort whose worker or node was lost
RETRIES_HUNG = 1  # and of one that had to be killed
UNANSWERED = 10.0  # seconds for a cohort to be dead after it was killed; then its node is taken for gone
_MEMORY = "OutOfMemoryError"
_CAUSES = {
    "NodeDiedError": "its node died",
    "LocalRayletDiedError": "its node died",
    _MEMORY: "its node ran out of memory, and it was killed",
    "WorkerCrashedError": "its process died",
    "TaskCancelledError": "it was cancelled",
}
HUNG_LEAST, HUNG_TIMES = 600.0, 20.0  # without deadlines: seconds, and times the slowest pace so far


@dataclass
class Cohort:
    """Trials under way. began: what the worker that runs it said, None while it waits. started, killed: `time.time()` here."""

    trials: list[Trial]
    answer: Any = None
    weights: Any = None
    attempt: int = 0
    began: Began | None = None
    started: float = 0.0
    is_late: bool = False
    killed: float = 0.0
    share: Share = field(default_factory=Share)
    avoided: list[str] = field(default_factory=list)

    @property
    def deadline(self) -> float:
        """When the last of its trials must end."""
        return deadline_of(self.trials)

    def kill_in(self, pace: float) -> float:
        """Return the seconds until it has to be killed. pace: the most seconds that an epoch took so far, all folds together."""
        if self.is_late:
            return self.killed + UNANSWERED - time.time()
        end = self.deadline
        if self.began is not None:
            allowance = allowance_of(self.trials)
            if math.isinf(allowance) and math.isinf(end) and pace:
                allowance = max(HUNG_LEAST, HUNG_TIMES * pace * (self.trials[0].stop - self.trials[0].start))
            end = min(end, self.started + allowance)
        return end + GRACE - time.time()

    @property
    def name(self) -> str:
        """What it is called where the user sees it."""
        first = self.trials[0]
        return first.configuration if isinstance(first.configuration, str) else f"#{first.configuration_number}"

    @property
    def may_run_again(self) -> bool:
        """Whether it was lost no more than a few times, and there is time left. A deadline isn't moved by what happened."""
        return time.time() < self.deadline and self.attempt <= (RETRIES_HUNG if self.is_late else RETRIES)

    def cause(self, error: Exception) -> str:
        """Say why it was lost."""
        if self.is_late:
            return str(error) if self.began is None else "it was still running after its time and had to be killed"
        if isinstance(error, RunError):
            return str(error)
        known = _CAUSES.get(type(error).__name__, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")
        return f"{known} on {self.began['host']}" if self.began is not None else known

    def lost(self, error: Exception) -> list[Outcome]:
        """Return what became of its trials after it was lost for the last time."""
        is_over, is_memory = time.time() >= self.deadline, type(error).__name__ == _MEMORY
        status: Status = "timeout" if self.is_late or is_over else "out_of_memory" if is_memory else "killed"
        reason = self.cause(error) if self.attempt == 1 else f"{self.cause(error)}, {self.attempt} times"
        share = (time.time() - self.started) / len(self.trials) if self.began is not None else 0.0
        host = self.began["host"] if self.began is not None else ""
        return [Outcome(trial.number, status, reason, seconds=share, host=host) for trial in self.trials]
