"""The seam below a search: somewhere to run trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from automl.errors import RunError

if TYPE_CHECKING:
    from automl.trial import Outcome, Trial


class TrialCrashed(RuntimeError):
    """An exception left `run_trials`: a bug of ours, with its traceback. What goes wrong with a configuration is an outcome."""


@dataclass(frozen=True)
class Node:
    """A machine of a cluster. name: its host. tickets: of the cohorts that run there now."""

    name: str
    cpus: float
    gpus: float
    tickets: tuple[int, ...]


class WorkersGone(RunError):
    """The machines that run trials are gone, through no fault of the search: it ends with what it has."""


class Executor(Protocol):
    """Runs cohorts: trials that belong together, one after the other in one place, each with an outcome whatever happens to them.

    A cohort that outlives the latest deadline of its trials by a second is killed, where the executor can ("timeout"); one whose
    process dies is "killed". The search loop calls `submit` while there is room, then `wait`, and `stop` at the end.
    """

    def room(self) -> int:
        """Return how many more cohorts may be submitted now: enough to keep every worker busy, with one or more waiting."""
        ...

    def free(self) -> int:
        """Return how many places are free, less the cohorts that wait for one: below 0 where more wait than that."""
        ...

    def submit(self, trials: Sequence[Trial]) -> int:
        """Take a cohort to run, at least one trial, and return its ticket."""
        ...

    def wait(self, seconds: float) -> list[tuple[int, list[Outcome]]]:
        """Return the cohorts that ended, by ticket, each with an outcome for every trial in the order of submission.

        Returns as soon as one ended, when the time is over (then empty), and at once where nothing is running. Inline, this is
        where trials run, as long as it takes. Raises `TrialCrashed` for a bug, `RunError` where trials can't be run any more
        (`WorkersGone`: because the cluster is gone).
        """
        ...

    def nodes(self) -> tuple[Node, ...]:
        """Return the machines of the cluster; empty where trials run on this machine alone."""
        ...

    def news(self) -> list[str]:
        """Return what a user should know of machines and trials that were lost, a line each, since the last call."""
        ...

    def keep(self, closed: frozenset[int], best: frozenset[int]) -> None:
        """See to it that the checkpoints of the best configurations (by number) lie in the folder of the run.

        Those of others that are closed, which nobody will go on with, may be forgotten wherever else they are.
        """
        ...

    def stop(self) -> None:
        """Kill what runs and leave nothing behind. Stopping twice does nothing."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...
