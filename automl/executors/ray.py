"""Trials on a Ray cluster, as tasks of Ray Core: one for each cohort, as many as the nodes that are there now can hold.

What goes wrong with a node isn't the trial's fault: what ran there is run again, elsewhere if possible, a few times. Ray's own
retries are off, because they say nothing and know no end.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

import automl
from automl.errors import RunError
from automl.executors.base import Node, TrialCrashed, WorkersGone
from automl.executors.cluster import Cluster, Machine
from automl.executors.cohorts import Cohort
from automl.executors.files import write_files
from automl.executors.logs import log_of
from automl.executors.remote import Answer, Began, Bell, Job, run_cohort, salvage
from automl.executors.shares import Packing
from automl.executors.shelf import Shelf
from automl.executors.wire import outcome_from_dict
from automl.task_folder import read_arrays
from automl.trial import Outcome, Trial, trial_to_dict

AHEAD = 4  # one cohort waits for so many that run
_LAST = 5.0  # seconds for what is cancelled to end
_LAST_NEWS = 0.5  # seconds for the news of what died as soon as it began
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


class RayExecutor:
    """Runs each cohort as a task."""

    def __init__(self, run: Path, cluster: Cluster, terms: Terms) -> None:
        import ray
        import ray.util.scheduling_strategies

        from automl.storage import Storage

        self._ray: Any = ray
        self._notices: list[str] = []
        self._run, self._cluster, self._terms = run, cluster, terms
        self._shelf = Shelf(run / "checkpoints", Storage(terms.storage) if terms.storage else None)
        self._cohorts: dict[int, Cohort] = {}
        self._submitted = 0
        self._ended: list[tuple[int, list[Outcome]]] = []
        self._failure: Exception | None = None
        self._sweeping: dict[Any, Trial] = {}
        self._is_stopped = False
        self._pace = 0.0
        header, arrays = read_arrays(run / "task")
        try:
            self._job = self._ray.put(Job(automl.__version__, header, arrays, terms.families, terms.storage))
        except ModuleNotFoundError as error:  # through ray:// the head reads it
            raise RunError(_not_installed(error)) from error
        self._run_cohort = self._ray.remote(run_cohort)
        self._bell = self._hung_up()
        self._news = self._bell.news.remote()

    def room(self) -> int:
        if self._is_stopped:
            return 0
        machines, workers = self._machines(), self._terms.workers
        slots = self._terms.packing.share(machines).slots(machines)
        most = workers if 0 < workers < slots else slots + max(1, slots // AHEAD)  # below, none would wait: Ray has places for it
        return max(0, most - len(self._cohorts))

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
            self._machines()
            left = min([until - time.monotonic(), 1.0, *(cohort.kill_in(self._pace) for cohort in self._cohorts.values())])
            answers = [cohort.answer for cohort in self._cohorts.values()]
            self._take([self._news, *answers, *self._sweeping], max(left, 0.0))
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
        with contextlib.suppress(Exception):  # the cluster may be gone
            self._cancel_all()
            self._ray.kill(self._bell)
        self._cohorts.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _cancel_all(self) -> None:
        """Kill what runs, and see that nothing is left of it."""
        answers = [cohort.answer for cohort in self._cohorts.values()]
        for answer in answers:
            self._ray.cancel(answer, force=True)
        if answers:
            self._ray.wait(answers, num_returns=len(answers), timeout=_LAST)
        for cohort in self._cohorts.values():
            if cohort.began is not None:
                self._sweep(cohort.began, cohort.trials[0])
        until = time.monotonic() + _LAST
        while self._sweeping and time.monotonic() < until:
            self._take(list(self._sweeping), until - time.monotonic())

    def _hung_up(self) -> Any:
        """Return the bell, on the head of the cluster if possible: that one must live anyway."""
        options: dict[str, Any] = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1}
        head = [machine.id for machine in self._machines() if _HEAD in machine.resources]
        if head:
            affinity = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
            options["scheduling_strategy"] = affinity(head[0], soft=True)
        return self._ray.remote(Bell).options(**options).remote()

    def _machines(self) -> list[Machine]:
        try:
            return self._cluster.machines()
        except WorkersGone as error:
            self._failure = error
            return []

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

    def _take(self, refs: list[Any], seconds: float) -> None:
        """Take what comes within some seconds: news of what began, answers, and logs of what was killed."""
        ready, _ = self._ray.wait(refs, num_returns=1, timeout=seconds)
        if ready:
            ready, _ = self._ray.wait(refs, num_returns=len(refs), timeout=0)
        if self._news in ready:
            self._hear()
        tickets = {cohort.answer: ticket for ticket, cohort in self._cohorts.items()}
        for ref in ready:
            if ref in tickets:
                self._read(tickets[ref])
            elif ref in self._sweeping:
                with contextlib.suppress(self._ray.exceptions.RayError):  # its node died too
                    self._log(self._sweeping[ref], self._ray.get(ref))
                del self._sweeping[ref]

    def _take_news(self, seconds: float) -> None:
        """Wait for news of what began: they may be slower than those of its end."""
        if self._ray.wait([self._news], timeout=seconds)[0]:
            self._hear()

    def _hear(self) -> None:
        with contextlib.suppress(self._ray.exceptions.RayError):  # the bell's node died; it hangs elsewhere now
            news: list[Began] = self._ray.get(self._news)
            for began in news:
                cohort = self._cohorts.get(began["ticket"])
                if cohort is not None and cohort.attempt == began["attempt"]:
                    cohort.began, cohort.started = began, time.time()
        self._news = self._bell.news.remote()

    def _read(self, ticket: int) -> None:
        cohort = self._cohorts[ticket]
        try:
            answer: Answer = self._ray.get(cohort.answer)
        except self._ray.exceptions.RayTaskError as error:
            del self._cohorts[ticket]
            numbers = [trial.number for trial in cohort.trials]
            is_lacking = "No module named 'automl" in str(error)
            self._failure = (
                RunError(_not_installed(error)) if is_lacking else TrialCrashed(f"running trials {numbers} raised\n{error}")
            )
        except self._ray.exceptions.RayError as error:
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
        if cohort.began is None and not cohort.is_late:
            self._take_news(_LAST_NEWS)
        cohort.attempt += 1
        if cohort.began is not None:
            self._sweep(cohort.began, cohort.trials[0])
            cohort.avoided.append(cohort.began["node"])
        if cohort.may_run_again:
            self._notices.append(f"{cohort.name} runs again: {cohort.cause(error)}")
            self._launch(ticket)
        else:
            del self._cohorts[ticket]
            self._ended.append((ticket, cohort.lost(error)))

    def _kill_late(self) -> None:
        for ticket, cohort in list(self._cohorts.items()):
            if cohort.kill_in(self._pace) <= 0:
                cohort.is_late = True
                self._ray.cancel(cohort.answer, force=True)
                if cohort.began is None:  # it never ran: nothing will answer in time
                    self._lose(ticket, RunError("no worker was free before its deadline"))

    def _sweep(self, began: Began, first: Trial) -> None:
        """Have the folder of a worker that is no more deleted, and what it had printed brought here, if its node still lives."""
        if self._cluster.is_own:
            self._log(first, salvage(began["folder"]))
        elif began["node"] in {machine.id for machine in self._machines()}:
            affinity = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(began["node"], soft=False)
            options = {"num_cpus": 0, "max_retries": 0, "scheduling_strategy": affinity}
            self._sweeping[self._ray.remote(salvage).options(**options).remote(began["folder"])] = first

    def _log(self, first: Trial, text: str) -> None:
        if text:
            path = self._run / log_of(first.number)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                file.write(text)


def _not_installed(error: Exception) -> str:
    said = str(error).strip().splitlines()[-1]
    return f"automl {automl.__version__} and what it needs must be installed on every node of the cluster, but: {said}"


def _elsewhere(nodes: Iterable[str]) -> Any:
    """Return a strategy of Ray's that takes other nodes, where there are any."""
    from ray.util.scheduling_strategies import NodeLabelSchedulingStrategy, NotIn

    return NodeLabelSchedulingStrategy(hard={}, soft={"ray.io/node-id": cast(Any, NotIn)(*dict.fromkeys(nodes))})
