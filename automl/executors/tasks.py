"""What the driver of a search says to Ray: begin, cancel, sweep up, and what is new."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import automl
from automl.errors import RunError
from automl.executors.base import WorkersGone
from automl.executors.bell import Began, Bell
from automl.executors.cluster import Cluster
from automl.executors.cohorts import Cohort
from automl.executors.remote import Job, run_cohort, salvage
from automl.executors.shares import Share
from automl.task_folder import read_arrays
from automl.trial import trial_to_dict

_BELL = 60.0  # seconds for the first actor of the search to start
_LAST, _LAST_HERE = 5.0, 0.5  # seconds for what is cancelled to end, on a cluster and on one of our own
_HEAD = "node:__internal_head__"


class Tasks:
    """The tasks of one search. families: pickled. storage: URL, or "". The data of `run` travel once, when this is made.

    Raises `RunError` where the cluster can't hold them, or lacks automl.
    """

    def __init__(self, run: Path, cluster: Cluster, families: str, storage: str) -> None:
        import ray
        import ray.util.scheduling_strategies

        self._ray: Any = ray
        self._cluster = cluster
        header, arrays = read_arrays(run / "task")
        try:
            self._job = self._ray.put(Job(automl.__version__, header, arrays, families, storage))
            self._bell = self._hung_up()
            self._ahead = self._clock_ahead()
        except (ModuleNotFoundError, self._ray.exceptions.RayError) as error:  # through ray:// the head reads the first of them
            raise RunError(not_installed(error)) from error
        self._run_cohort = self._ray.remote(run_cohort)
        self._run_alone = self._ray.remote(max_calls=1)(run_cohort)
        self._salvage = self._ray.remote(num_cpus=0, max_retries=0)(salvage)
        self._first = self._salvage.remote("")  # Ray learns of a function at its first call, for which the head must be there
        self.news = self._bell.news.remote()

    def begin(self, ticket: int, cohort: Cohort, share: Share, earlier: Sequence[Any]) -> None:
        """Give a cohort to the cluster, for the first time or again.

        A process that has used a GPU holds on to that one, whatever it is given next: so it ends with its cohort.
        """
        cohort.began, cohort.is_late, cohort.share = None, False, share
        options: dict[str, Any] = {"num_returns": 2, "max_retries": 0, **share.options}
        if cohort.avoided:
            options["scheduling_strategy"] = _elsewhere(cohort.avoided)
        call = {"ticket": ticket, "attempt": cohort.attempt, "bell": self._bell, "ahead": self._ahead}
        trials = [trial_to_dict(trial) for trial in cohort.trials]
        task = self._run_alone if share.gpus else self._run_cohort
        cohort.answer, cohort.weights = task.options(**options).remote([self._job], trials, earlier, call)

    def ready(self, references: list[Any], seconds: float) -> list[Any]:
        """Return those that are there, as soon as one is, at the latest after some seconds. Raises `WorkersGone`."""
        if not self._ray.is_initialized():
            raise WorkersGone("the connection to the cluster must last until the search ends, but was closed; resume the search")
        try:
            ready, _ = self._ray.wait(references, num_returns=1, timeout=seconds)
            if ready:
                ready, _ = self._ray.wait(references, num_returns=len(references), timeout=0)
        except ConnectionError as error:
            raise WorkersGone(
                f"the connection to the cluster must last until the search ends, but: {error}; resume the search"
            ) from error
        return list(ready)

    def heard(self) -> list[Began]:
        """Return the news that are ready, and ask for more."""
        news: list[Began] = []
        with contextlib.suppress(self._ray.exceptions.RayError):  # the bell's node died; it hangs elsewhere now
            news = self._ray.get(self.news)
        self.news = self._bell.news.remote()
        return news

    def got(self, reference: Any) -> Any:
        """Return what is ready. Raises what Ray raises."""
        return self._ray.get(reference)

    def cancel(self, cohort: Cohort) -> None:
        """Kill what runs, at once."""
        with contextlib.suppress(self._ray.exceptions.RayError, ConnectionError, ValueError):
            self._ray.cancel(cohort.answer, force=True)

    def sweep(self, began: Began) -> Any | None:
        """Delete the folder of a worker that is no more; return a reference to what it had printed, unless its node is gone."""
        if not self._cluster.answers or began["node"] not in {machine.id for machine in self._cluster.machines()}:
            return None
        affinity = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(began["node"], soft=False)
        return self._salvage.options(scheduling_strategy=affinity).remote(began["folder"])

    def cancel_all(self, cohorts: Iterable[Cohort]) -> None:
        """Kill what runs and wait, some seconds at most, until it is gone."""
        running = list(cohorts)
        for cohort in running:
            self.cancel(cohort)
        if running and self._cluster.answers:
            answers = [cohort.answer for cohort in running]
            self._ray.wait(answers, num_returns=len(answers), timeout=_LAST_HERE if self._cluster.is_own else _LAST)

    def close(self, sweeping: Sequence[Any]) -> None:
        """Wait, some seconds at most, until all is swept up, and take down the bell."""
        if sweeping and self._cluster.answers:
            self._ray.wait(list(sweeping), num_returns=len(sweeping), timeout=_LAST)
        self._bell.close.remote()
        self._ray.wait([self.news, self._first], num_returns=2, timeout=_LAST_HERE)  # Ray would complain of what waits
        self._ray.kill(self._bell)

    def _hung_up(self) -> Any:
        """Return the bell, on the head of the cluster if possible: that one must live anyway."""
        options: dict[str, Any] = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1}
        head = [machine.id for machine in self._cluster.machines() if _HEAD in machine.resources]
        if head:
            affinity = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
            options["scheduling_strategy"] = affinity(head[0], soft=True)
        return self._ray.remote(Bell).options(**options).remote()

    def _clock_ahead(self) -> float:
        """Return by how many seconds the clock of the bell is ahead of this one; that of this machine isn't."""
        if self._cluster.is_own:
            return 0.0
        self._ray.get(self._bell.now.remote(), timeout=_BELL)  # it has to start first
        sent = time.time()
        there = float(self._ray.get(self._bell.now.remote(), timeout=_BELL))
        return there - (sent + time.time()) / 2


def not_installed(error: Exception) -> str:
    """Say that the nodes can't run trials."""
    said = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
    return f"automl {automl.__version__} and what it needs must be installed on every node of the cluster, but: {said}"


def _elsewhere(nodes: Iterable[str]) -> Any:
    """Return a strategy of Ray's that takes other nodes, where there are any."""
    from ray.util.scheduling_strategies import NodeLabelSchedulingStrategy, NotIn

    differing: Any = NotIn
    return NodeLabelSchedulingStrategy(hard={}, soft={"ray.io/node-id": differing(*dict.fromkeys(nodes))})
