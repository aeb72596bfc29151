"""A process for each cohort of trials: one that hangs or crashes is killed alone, and deadlines are kept whatever trials do."""

from __future__ import annotations

import math
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from automl.errors import RunError
from automl.executors.base import Node, TrialCrashed
from automl.executors.handle import Zygote
from automl.executors.logs import WORKERS, log_of
from automl.executors.times import GRACE, allowance_of, deadline_of
from automl.executors.wire import Inbox, families_to_text, outcome_from_dict
from automl.trial import Outcome, Status, Trial, trial_to_dict
from search_spaces.domains import Families

_LONG = 3600.0  # seconds; what the system takes for "for ever" has limits


@dataclass
class _Cohort:
    """Trials under way. started: `time.time()`, None while they wait for a worker."""

    trials: list[Trial]
    pipe: int
    inbox: Inbox = field(default_factory=Inbox)
    started: float | None = None
    is_late: bool = False

    def kill_in(self) -> float:
        """Return the seconds until it has to be killed."""
        if self.is_late:
            return math.inf
        end = deadline_of(self.trials)
        if self.started is not None:
            end = min(end, self.started + allowance_of(self.trials))
        return end + GRACE - time.time()


class ProcessesExecutor:
    """Runs each cohort in a child of the zygote, on one thread.

    What a cohort prints goes to a file of its own in logs/, beside the checkpoints. families: the user's own, from a script, a
    notebook or an importable module. workers: cohorts at the same time. zygote: one that was started earlier; it ends with the
    executor.
    """

    def __init__(
        self, task_folder: Path, checkpoints_root: Path, families: Families = (), workers: int = 1, zygote: Zygote | None = None
    ) -> None:
        pickled = families_to_text(families)
        self._workers = workers
        self._cohorts: dict[int, _Cohort] = {}
        self._submitted = 0
        self._ended: list[tuple[int, list[Outcome]]] = []
        self._failure: Exception | None = None
        self._is_stopped = False
        self._zygote = zygote or Zygote.start()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._zygote.control, selectors.EVENT_READ)
        self._folder = checkpoints_root.absolute().parent
        setup = {
            "folder": str(self._folder),
            "path": [str(Path(entry).absolute()) for entry in sys.path],
            "families": pickled,
            "task": str(task_folder.absolute()),
            "checkpoints": str(checkpoints_root.absolute()),
            "workers": workers,
        }
        self._zygote.set_up(self._folder / WORKERS, setup)

    def room(self) -> int:
        return 0 if self._is_stopped else self.free() + 1

    def free(self) -> int:
        return self._workers - len(self._cohorts)

    def submit(self, trials: Sequence[Trial]) -> int:
        if self._is_stopped:
            raise RunError("the executor must be running to take trials, but was stopped; make another")
        self._submitted += 1
        ticket = self._submitted
        ours, theirs = os.pipe()
        try:
            message = {"kind": "run", "ticket": ticket, "trials": [trial_to_dict(trial) for trial in trials]}
            self._zygote.send(message, theirs)
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        os.set_blocking(ours, False)
        self._selector.register(ours, selectors.EVENT_READ, ticket)
        self._cohorts[ticket] = _Cohort(list(trials), ours)
        return ticket

    def wait(self, seconds: float) -> list[tuple[int, list[Outcome]]]:
        until = time.monotonic() + seconds
        while self._cohorts and not self._ended and self._failure is None:
            left = min([_LONG, until - time.monotonic(), *(cohort.kill_in() for cohort in self._cohorts.values())])
            for key, _ in self._selector.select(max(left, 0.0)):
                if key.data is None:
                    self._hear()
                elif key.data in self._cohorts:
                    self._read(key.data)
            self._kill_late()
            if time.monotonic() >= until:
                break
        if not self._ended and self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        ended, self._ended = self._ended, []
        return ended

    def nodes(self) -> tuple[Node, ...]:
        return ()

    def news(self) -> list[str]:
        return []

    def keep(self, closed: frozenset[int], best: frozenset[int]) -> None:
        """Do nothing: trials write into the folder of the run themselves."""

    def stop(self) -> None:
        self._is_stopped = True
        self._zygote.stop()
        for ticket in list(self._cohorts):
            self._forget(ticket)
        self._selector.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _hear(self) -> None:
        """Take what the zygote has to say. A failure is kept until the cohorts that ended before it are handed over."""
        try:
            messages = self._zygote.receive()
        except RunError as error:
            self._failure = error
            return
        for message in messages:
            cohort = self._cohorts.get(message["ticket"])
            if cohort is None:
                continue
            if message["kind"] == "started":
                cohort.started = message["time"]
            elif not self._read(message["ticket"]):
                self._lose(message["ticket"], message["code"])

    def _read(self, ticket: int) -> bool:
        """Take what a child has sent so far; whether its cohort ended with that."""
        cohort = self._cohorts[ticket]
        try:
            while data := os.read(cohort.pipe, 1 << 16):
                for message in cohort.inbox.take(data):
                    self._end(ticket, message)
                    return True
        except BlockingIOError:
            return False
        if cohort.pipe in self._selector.get_map():
            self._selector.unregister(cohort.pipe)  # the zygote will say how the child ended
        return False

    def _end(self, ticket: int, message: dict[str, Any]) -> None:
        cohort = self._forget(ticket)
        if "crash" in message:
            self._failure = TrialCrashed(f"running trials {[trial.number for trial in cohort.trials]} raised\n{message['crash']}")
        else:
            self._ended.append((ticket, [outcome_from_dict(outcome) for outcome in message["outcomes"]]))

    def _lose(self, ticket: int, code: int) -> None:
        """End a cohort whose child died before it could say what came of it."""
        cohort = self._forget(ticket)
        status: Status = "timeout" if cohort.is_late else "killed"
        reason = _cause(code, self._log_of(cohort))
        if cohort.is_late:
            late = f"still running {GRACE:g} s after its deadline"
            reason = "no worker was free before its deadline" if cohort.started is None else late
        seconds = 0.0 if cohort.started is None else time.time() - cohort.started
        share, host = seconds / len(cohort.trials), "" if cohort.started is None else socket.gethostname()
        lost = [Outcome(trial.number, status, reason, seconds=share, host=host) for trial in cohort.trials]
        self._ended.append((ticket, lost))

    def _log_of(self, cohort: _Cohort) -> str:
        """Return the file that may say why a child died, below the run's folder; "" where there is none."""
        own = log_of(cohort.trials[0].number)
        if (self._folder / own).exists():
            return own
        return WORKERS if cohort.started is None else ""

    def _forget(self, ticket: int) -> _Cohort:
        cohort = self._cohorts.pop(ticket)
        if cohort.pipe in self._selector.get_map():
            self._selector.unregister(cohort.pipe)
        os.close(cohort.pipe)
        return cohort

    def _kill_late(self) -> None:
        for ticket, cohort in list(self._cohorts.items()):
            if cohort.kill_in() <= 0:
                cohort.is_late = True
                try:
                    self._zygote.send({"kind": "kill", "ticket": ticket})
                except RunError as error:
                    self._failure = error
                if cohort.started is None:  # the zygote may still be loading, and won't answer in time
                    self._lose(ticket, 0)


def _cause(code: int, log: str) -> str:
    """Say why a child died, by its exit code; `log` is the file with what it printed, "" if that is nothing."""
    if code == -signal.SIGKILL:
        return "the process was killed (signal 9), by the system if memory ran out"
    if code < 0:
        where = f"{log} says where" if log else "it printed nothing"
        return f"the process died of signal {-code} ({signal.Signals(-code).name}); {where}"
    return f"the process ended itself with exit code {code}; {f'{log} may say why' if log else 'it printed nothing'}"
