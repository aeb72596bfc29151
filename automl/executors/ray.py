"""Trials on a Ray cluster, as tasks of Ray Core: one for each cohort, as many as the nodes that are there now can hold.

What goes wrong with a node isn't the trial's fault: what ran there is run again, elsewhere if possible, a few times. Ray's own
retries are off, because they say nothing and know no end.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from automl.errors import RunError
from automl.executors.base import Node, TrialCrashed, WorkersGone
from automl.executors.cluster import Cluster, Machine
from automl.executors.cohorts import Cohort
from automl.executors.files import write_files
from automl.executors.logs import log_of
from automl.executors.remote import Answer, salvage
from automl.executors.shares import Packing
from automl.executors.shelf import Shelf
from automl.executors.tasks import Tasks, not_installed
from automl.executors.wire import outcome_from_dict
from automl.storage import Storage
from automl.trial import Outcome, Trial

AHEAD = 2  # one cohort waits for so many that run
_LAST_NEWS = 0.5  # seconds for the news of what died as soon as it began


@dataclass(frozen=True)
class Terms:
    """How a search uses a cluster.

    workers: cohorts at the same time, 0 for as many as fit. families: pickled. storage: URL, or "". packing: what each takes.
    """

    workers: int
    families: str
    storage: str
    packing: Packing


class RayExecutor:
    """Runs each cohort as a task. Raises `RunError` where the cluster can't run any."""

    def __init__(self, run: Path, cluster: Cluster, terms: Terms) -> None:
        import ray.exceptions

        self._errors = ray.exceptions
        self._run, self._cluster, self._terms = run, cluster, terms
        self._tasks = Tasks(run, cluster, terms.families, terms.storage)
        self._shelf = Shelf(run / "checkpoints", Storage(terms.storage) if terms.storage else None)
        self._cohorts: dict[int, Cohort] = {}
        self._sweeping: dict[object, Trial] = {}
        self._submitted = 0
        self._ended: list[tuple[int, list[Outcome]]] = []
        self._failure: Exception | None = None
        self._notices: list[str] = []
        self._is_stopped = False
        self._has_answered = False
        self._is_waiting = False
        self._is_unkept = False
        self._pace = 0.0

    def room(self) -> int:
        if self._is_stopped:
            return 0
        slots, workers = self._slots(), self._terms.workers
        ahead = 0 if 0 < workers < slots else max(1, slots // AHEAD)  # with fewer, none would wait: Ray has places for it
        return max(0, self.free() + ahead)

    def free(self) -> int:
        slots = self._slots()
        return min(slots, self._terms.workers or slots) - len(self._cohorts)

    def nodes(self) -> tuple[Node, ...]:
        running: dict[str, list[int]] = {}
        for ticket, cohort in self._cohorts.items():
            if cohort.began is not None:
                running.setdefault(cohort.began["node"], []).append(ticket)
        return tuple(machine.node(running.get(machine.id, ())) for machine in self._machines())

    def submit(self, trials: Sequence[Trial]) -> int:
        if self._is_stopped:
            raise RunError("the executor must be running to take trials, but was stopped; make another")
        self._submitted += 1
        self._cohorts[self._submitted] = Cohort(list(trials))
        self._launch(self._submitted)
        return self._submitted

    def wait(self, seconds: float) -> list[tuple[int, list[Outcome]]]:
        until = time.monotonic() + seconds
        while self._cohorts and not self._ended and self._failure is None:
            left = min([until - time.monotonic(), 1.0, *(cohort.kill_in(self._pace) for cohort in self._cohorts.values())])
            try:
                self._cluster.machines()
                self._take(max(left, 0.0))
            except WorkersGone as error:
                self._failure = error
            self._kill_late()
            if time.monotonic() >= until:
                break
        if not self._ended and self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        ended, self._ended = self._ended, []
        return ended

    def news(self) -> list[str]:
        news, self._notices = self._notices, []
        return news

    def keep(self, closed: frozenset[int], best: frozenset[int]) -> None:
        for number in sorted(best):
            if not self._shelf.fetch(number):
                self._notices.append(f"the weights of #{number} were lost with the node that held them")
        for number in closed - best:
            self._shelf.drop(number)

    def stop(self) -> None:
        if self._is_stopped:
            return
        self._is_stopped = True
        with contextlib.suppress(self._errors.RayError, ConnectionError, WorkersGone):  # the cluster may be gone
            self._tasks.cancel_all(self._cohorts.values())
            for cohort in self._cohorts.values():
                self._sweep(cohort)
            self._tasks.close(list(self._sweeping))
            for ref in self._tasks.ready(list(self._sweeping), 0.0) if self._sweeping else ():
                self._swept(ref)
        self._cohorts.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _slots(self) -> int:
        """Return how many cohorts the nodes can hold now, and say so once where that is none: an autoscaler may add one."""
        machines = self._machines()
        share = self._terms.packing.share(machines)
        slots = share.slots(machines)
        if self._failure is None and not slots and not self._is_waiting:
            self._notices.append(f"no node of the cluster can hold a trial, which takes {share}: waiting for one that can")
        self._is_waiting = not slots
        return slots

    def _machines(self) -> list[Machine]:
        try:
            return self._cluster.machines()
        except WorkersGone as error:
            self._failure = error
            return []

    def _say_what_is_unkept(self, why: str) -> None:
        """Say once that the storage doesn't take checkpoints, and again when that comes back."""
        if why and not self._is_unkept:
            self._notices.append(f"{why}; checkpoints stay in the memory of the cluster meanwhile")
        self._is_unkept = bool(why)

    def _launch(self, ticket: int) -> None:
        cohort = self._cohorts[ticket]
        first = cohort.trials[0]
        earlier = self._shelf.earlier(first.configuration_number) if first.start else []
        self._tasks.begin(ticket, cohort, self._terms.packing.share(self._machines()), earlier)

    def _take(self, seconds: float) -> None:
        """Take what comes within some seconds: news of what began, answers, and logs of what was killed."""
        tickets = {cohort.answer: ticket for ticket, cohort in self._cohorts.items()}
        ready = self._tasks.ready([self._tasks.news, *tickets, *self._sweeping], seconds)
        if self._tasks.news in ready:
            self._hear()
        for ref in ready:
            if ref in tickets:
                self._read(tickets[ref])
            elif ref in self._sweeping:
                self._swept(ref)

    def _hear(self) -> None:
        for began in self._tasks.heard():
            cohort = self._cohorts.get(began["ticket"])
            if cohort is not None and cohort.attempt == began["attempt"]:
                cohort.began, cohort.started = began, time.time()

    def _read(self, ticket: int) -> None:
        cohort = self._cohorts[ticket]
        try:
            answer: Answer = self._tasks.got(cohort.answer)
        except self._errors.RayTaskError as error:
            if "No module named" in str(error):
                self._lose(ticket, RunError(not_installed(error)))
            else:
                self._crash(ticket, str(error))
        except self._errors.RayError as error:
            self._lose(ticket, error)
        else:
            self._end(ticket, answer)

    def _crash(self, ticket: int, text: str) -> None:
        numbers = [trial.number for trial in self._cohorts.pop(ticket).trials]
        self._failure = TrialCrashed(f"running trials {numbers} raised\n{text}")

    def _end(self, ticket: int, answer: Answer) -> None:
        cohort = self._cohorts[ticket]
        first = cohort.trials[0]
        self._log(first, answer["log"])
        if answer["crash"]:
            self._crash(ticket, answer["crash"])
        elif answer["lost"]:
            self._lose(ticket, RunError(answer["lost"]))
        else:
            del self._cohorts[ticket]
            self._has_answered = True
            outcomes = [outcome_from_dict(outcome) for outcome in answer["outcomes"]]
            write_files(self._run / "checkpoints", answer["predictions"])
            is_stored = bool(self._terms.storage) and not answer["unkept"]
            self._shelf.put(first.configuration_number, cohort.weights, is_stored=is_stored)
            self._say_what_is_unkept(answer["unkept"])
            if isinstance(first.configuration, str):
                self._shelf.fetch(first.configuration_number)  # a baseline's weights are kept whatever comes
            elif all(outcome.status == "finished" for outcome in outcomes):
                self._pace = max(self._pace, sum(outcome.seconds for outcome in outcomes) / max(1, first.stop - first.start))
            self._terms.packing.learn(outcomes, answer["device_bytes"], cohort.share)
            self._ended.append((ticket, outcomes))

    def _lose(self, ticket: int, error: Exception) -> None:
        """Run a cohort again whose worker or node died, or that had to be killed; or end it, if that happened too often."""
        cohort = self._cohorts[ticket]
        if cohort.began is None and not cohort.is_late and self._tasks.ready([self._tasks.news], _LAST_NEWS):
            self._hear()  # news of a beginning may be slower than those of its end
        cohort.attempt += 1
        self._sweep(cohort)
        if cohort.began is not None:
            cohort.avoided.append(cohort.began["node"])
        if cohort.may_run_again:
            self._notices.append(f"{cohort.name} runs again: {cohort.cause(error)}")
            self._launch(ticket)
            return
        del self._cohorts[ticket]
        if isinstance(error, RunError) and not cohort.is_late and not self._has_answered:
            self._failure = error  # no node can run any
        else:
            self._ended.append((ticket, cohort.lost(error)))

    def _kill_late(self) -> None:
        for ticket, cohort in list(self._cohorts.items()):
            if cohort.kill_in(self._pace) > 0:
                continue
            was_late, cohort.is_late = cohort.is_late, True
            if not was_late:
                cohort.killed = time.time()
                self._tasks.cancel(cohort)
            if was_late or cohort.began is None:  # its node doesn't answer; or it never ran: nothing will
                self._lose(ticket, RunError("no worker was free before its deadline"))

    def _sweep(self, cohort: Cohort) -> None:
        """Leave nothing on the node of a worker that is no more, and keep what it had printed."""
        if cohort.began is None:
            return
        if self._cluster.is_own:
            self._log(cohort.trials[0], salvage(cohort.began["folder"]))
            return
        log = self._tasks.sweep(cohort.began)
        if log is not None:
            self._sweeping[log] = cohort.trials[0]

    def _swept(self, log: object) -> None:
        with contextlib.suppress(self._errors.RayError):  # its node died too
            self._log(self._sweeping[log], str(self._tasks.got(log)))
        del self._sweeping[log]

    def _log(self, first: Trial, text: str) -> None:
        if text:
            path = self._run / log_of(first.number)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                file.write(text)
