"""Trials on a Ray cluster, as tasks of Ray Core: one for each cohort, as many as the nodes that are there now can hold.

What goes wrong with a node isn't the trial's fault: what ran there is run again, elsewhere if possible, a few times. Ray's own
retries are off, because they say nothing and know no end.
"""

from __future__ import annotations

import contextlib
import math
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, cast

import automl
from automl.errors import RunError
from automl.executors.base import Node, TrialCrashed, WorkersGone
from automl.executors.cluster import Cluster, Machine
from automl.executors.files import write_files
from automl.executors.remote import Answer, Began, Bell, Job, run_cohort, salvage
from automl.executors.shares import Packing
from automl.executors.shelf import Shelf
from automl.executors.wire import outcome_from_dict
from automl.task_folder import read_arrays
from automl.trial import Outcome, Status, Trial, trial_to_dict

GRACE = 1.0  # seconds beyond its deadline before a cohort is killed
RETRIES = 3  # runs again of a cohort whose worker or node was lost
RETRIES_HUNG = 1  # and of one that had to be killed
HUNG_LEAST, HUNG_TIMES = 600.0, 20.0  # without deadlines: seconds, and times the slowest pace so far
AHEAD = 4  # one cohort waits for so many that run
_LAST = 5.0  # seconds for what is cancelled to end
_HEAD = "node:__internal_head__"


@dataclass(frozen=True)
class Terms:
    """How a search uses a cluster.

    workers: cohorts at the same time, 0 for as many as fit. families: pickled. storage: URL, or "". packing: what each takes.
    """

    workers: int
    families: str
    storage: str
    packing: Packing


@dataclass
class _Cohort:
    """Trials under way. began: what the worker that runs it said, None while it waits. started: `time.time()` here."""

    trials: list[Trial]
    answer: Any = None
    weights: Any = None
    attempt: int = 0
    began: Began | None = None
    started: float = 0.0
    is_late: bool = False
    avoided: list[str] = field(default_factory=list)

    @property
    def deadline(self) -> float:
        """When the last of its trials must end."""
        return max((math.inf if trial.deadline is None else trial.deadline) for trial in self.trials)

    def kill_in(self, pace: float) -> float:
        """Return the seconds until it has to be killed. pace: the most seconds that an epoch took so far, all folds together."""
        if self.is_late:
            return math.inf
        end = self.deadline
        if self.began is not None:
            allowance = sum((math.inf if trial.allowance is None else trial.allowance) for trial in self.trials)
            if math.isinf(allowance) and math.isinf(end) and pace:
                allowance = max(HUNG_LEAST, HUNG_TIMES * pace * (self.trials[0].stop - self.trials[0].start))
            end = min(end, self.started + allowance)
        return end + GRACE - time.time()


class RayExecutor:
    """Runs each cohort as a task."""

    def __init__(self, run: Path, cluster: Cluster, terms: Terms) -> None:
        import ray

        from automl.storage import Storage

        self._notices: list[str] = []
        self._run, self._cluster, self._terms = run, cluster, terms
        self._shelf = Shelf(run / "checkpoints", Storage(terms.storage) if terms.storage else None)
        self._cohorts: dict[int, _Cohort] = {}
        self._submitted = 0
        self._ended: list[tuple[int, list[Outcome]]] = []
        self._failure: Exception | None = None
        self._is_stopped = False
        self._pace = 0.0
        header, arrays = read_arrays(run / "task")
        self._job = ray.put(Job(automl.__version__, header, arrays, terms.families, terms.storage))
        self._run_cohort = ray.remote(run_cohort)
        self._bell = self._hung_up(ray)
        self._news = self._bell.news.remote()

    def room(self) -> int:
        if self._is_stopped:
            return 0
        slots = self._slots()
        return max(0, slots + max(1, slots // AHEAD) - len(self._cohorts))

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
        self._cohorts[self._submitted] = _Cohort(list(trials))
        self._launch(self._submitted)
        return self._submitted

    def wait(self, seconds: float) -> list[tuple[int, list[Outcome]]]:
        until = time.monotonic() + seconds
        while self._cohorts and not self._ended and self._failure is None:
            self._machines()
            left = min([until - time.monotonic(), 1.0, *(cohort.kill_in(self._pace) for cohort in self._cohorts.values())])
            self._take(max(left, 0.0))
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
        import ray

        with contextlib.suppress(Exception):  # the cluster may be gone
            for cohort in self._cohorts.values():
                ray.cancel(cohort.answer, force=True)
            if self._cohorts:
                ray.wait([cohort.answer for cohort in self._cohorts.values()], num_returns=len(self._cohorts), timeout=_LAST)
            sweeping = [self._salvage(cohort.began) for cohort in self._cohorts.values() if cohort.began is not None]
            ray.wait(sweeping, num_returns=len(sweeping), timeout=_LAST) if sweeping else None
            ray.kill(self._bell)
        self._cohorts.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _hung_up(self, ray: Any) -> Any:
        """Return the bell, on the head of the cluster if possible: that one must live anyway."""
        options: dict[str, Any] = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1}
        head = [machine.id for machine in self._machines() if _HEAD in machine.resources]
        if head:
            options["scheduling_strategy"] = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(head[0], soft=True)
        return ray.remote(Bell).options(**options).remote()

    def _machines(self) -> list[Machine]:
        try:
            return self._cluster.machines()
        except WorkersGone as error:
            self._failure = error
            return []

    def _slots(self) -> int:
        machines = self._machines()
        slots = self._terms.packing.share(machines).slots(machines)
        return min(slots, self._terms.workers) if self._terms.workers else slots

    def _launch(self, ticket: int) -> None:
        """Give a cohort to the cluster, for the first time or again."""
        cohort = self._cohorts[ticket]
        cohort.began, cohort.is_late = None, False
        first = cohort.trials[0]
        options: dict[str, Any] = {"num_returns": 2, "max_retries": 0, **self._terms.packing.share(self._machines()).options}
        if cohort.avoided:
            options["scheduling_strategy"] = _elsewhere(cohort.avoided)
        earlier = self._shelf.earlier(first.configuration_number) if first.start else []
        call = {"ticket": ticket, "attempt": cohort.attempt, "bell": self._bell}
        trials = [trial_to_dict(trial) for trial in cohort.trials]
        cohort.answer, cohort.weights = self._run_cohort.options(**options).remote([self._job], trials, earlier, call)

    def _take(self, seconds: float) -> None:
        """Take what comes within some seconds: news of what began, and answers."""
        import ray

        tickets = {cohort.answer: ticket for ticket, cohort in self._cohorts.items()}
        refs = [self._news, *tickets]
        ready, _ = ray.wait(refs, num_returns=1, timeout=seconds)
        if ready:
            ready, _ = ray.wait(refs, num_returns=len(refs), timeout=0)
        if self._news in ready:
            self._hear()
        for ref in ready:
            if ref in tickets:
                self._read(tickets[ref])

    def _hear(self) -> None:
        import ray

        with contextlib.suppress(ray.exceptions.RayError):  # the bell's node died; it hangs elsewhere now
            news: list[Began] = cast(Any, ray).get(self._news)
            for began in news:
                cohort = self._cohorts.get(began["ticket"])
                if cohort is not None and cohort.attempt == began["attempt"]:
                    cohort.began, cohort.started = began, time.time()
        self._news = self._bell.news.remote()

    def _read(self, ticket: int) -> None:
        import ray

        cohort = self._cohorts[ticket]
        try:
            answer: Answer = ray.get(cohort.answer)
        except ray.exceptions.RayTaskError as error:
            del self._cohorts[ticket]
            self._failure = TrialCrashed(f"running trials {[trial.number for trial in cohort.trials]} raised\n{error}")
        except ray.exceptions.RayError as error:
            self._lose(ticket, error)
        else:
            self._end(ticket, answer)

    def _end(self, ticket: int, answer: Answer) -> None:
        cohort = self._cohorts.pop(ticket)
        first = cohort.trials[0]
        self._log(first, answer["log"])
        if answer["crash"]:
            self._failure = TrialCrashed(f"running trials {[trial.number for trial in cohort.trials]} raised\n{answer['crash']}")
            return
        outcomes = [outcome_from_dict(outcome) for outcome in answer["outcomes"]]
        write_files(self._run / "checkpoints", answer["predictions"])
        self._shelf.put(first.configuration_number, cohort.weights)
        if isinstance(first.configuration, str):
            self._shelf.fetch(first.configuration_number)  # a baseline's weights are kept whatever comes
        elif all(outcome.status == "finished" for outcome in outcomes):
            self._pace = max(self._pace, sum(outcome.seconds for outcome in outcomes) / max(1, first.stop - first.start))
        self._terms.packing.learn(outcomes, answer["device_bytes"])
        self._ended.append((ticket, outcomes))

    def _lose(self, ticket: int, error: Exception) -> None:
        """Run a cohort again whose worker or node died, or that had to be killed; or end it, if that happened too often."""
        cohort = self._cohorts[ticket]
        self._salvaged(cohort)
        cohort.attempt += 1
        is_over = time.time() >= cohort.deadline
        if not is_over and cohort.attempt <= (RETRIES_HUNG if cohort.is_late else RETRIES):
            if cohort.began is not None:
                cohort.avoided.append(cohort.began["node"])
            where = f" on {cohort.began['host']}" if cohort.began is not None else ""
            self._notices.append(f"{_named(cohort)} runs again: {_cause(cohort, error)}{where}")
            self._launch(ticket)
            return
        del self._cohorts[ticket]
        status: Status = "timeout" if cohort.is_late or is_over else "out_of_memory" if _is_memory(error) else "killed"
        share = (time.time() - cohort.started) / len(cohort.trials) if cohort.began is not None else 0.0
        reason = _cause(cohort, error) if cohort.attempt == 1 else f"{_cause(cohort, error)}, {cohort.attempt} times"
        host = cohort.began["host"] if cohort.began is not None else ""
        self._ended.append((ticket, [Outcome(trial.number, status, reason, seconds=share, host=host) for trial in cohort.trials]))

    def _kill_late(self) -> None:
        import ray

        for ticket, cohort in list(self._cohorts.items()):
            if cohort.kill_in(self._pace) <= 0:
                cohort.is_late = True
                ray.cancel(cohort.answer, force=True)
                if cohort.began is None:  # it never ran: nothing will answer in time
                    self._lose(ticket, RunError("no worker was free before its deadline"))

    def _salvaged(self, cohort: _Cohort) -> None:
        """Keep what a killed worker had printed, and leave nothing of it on its node, if that still lives."""
        import ray

        if cohort.began is not None and cohort.began["node"] in {machine.id for machine in self._machines()}:
            with contextlib.suppress(ray.exceptions.RayError):
                self._log(cohort.trials[0], ray.get(self._salvage(cohort.began), timeout=_LAST))

    def _salvage(self, began: Began) -> Any:
        """Return a reference to the log of a worker that is no more; its folder is deleted."""
        import ray

        if began["host"] == socket.gethostname() and self._cluster.is_own:
            return ray.put(salvage(began["folder"]))
        affinity = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(began["node"], soft=False)
        return ray.remote(salvage).options(num_cpus=0, max_retries=0, scheduling_strategy=affinity).remote(began["folder"])

    def _log(self, first: Trial, text: str) -> None:
        if text:
            path = self._run / "logs" / f"trial-{first.number:05d}.log"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                file.write(text)


def _elsewhere(nodes: Iterable[str]) -> Any:
    """Return a strategy of Ray's that takes other nodes, where there are any."""
    from ray.util.scheduling_strategies import NodeLabelSchedulingStrategy, NotIn

    return NodeLabelSchedulingStrategy(hard={}, soft={"ray.io/node-id": cast(Any, NotIn)(*dict.fromkeys(nodes))})


def _named(cohort: _Cohort) -> str:
    first = cohort.trials[0]
    return first.configuration if isinstance(first.configuration, str) else f"#{first.configuration_number}"


def _is_memory(error: Exception) -> bool:
    return type(error).__name__ == "OutOfMemoryError"


def _cause(cohort: _Cohort, error: Exception) -> str:
    """Say why a cohort was lost."""
    if cohort.is_late:
        return str(error) if cohort.began is None else "it was still running after its time and had to be killed"
    known = {
        "NodeDiedError": "its node died",
        "OutOfMemoryError": "its node ran out of memory, and it was killed",
        "WorkerCrashedError": "its process died",
        "LocalRayletDiedError": "its node died",
        "TaskCancelledError": "it was cancelled",
    }
    return known.get(type(error).__name__, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")
