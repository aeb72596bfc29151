"""Where trials run. Every executor gives equal outcomes for equal trials; the study knows only `base.Executor`.

    processes   a process for each cohort of trials, forked from a zygote: one that hangs or crashes is killed alone. Needs Linux.
    ray         a task of a Ray cluster for each cohort, where a cluster is named
    inline      in this process, one after the other: for debugging, tiny runs, and systems without a safe fork

On macOS, fork is unsafe once system libraries have been used; Windows has none. There trials run inline.
"""

from __future__ import annotations

import math
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from automl.errors import OptionError

if TYPE_CHECKING:
    from automl.executors.base import Executor
    from automl.executors.cluster import Cluster
    from automl.executors.handle import Zygote
    from automl.executors.shares import Share
    from search_spaces.domains import Families

__all__ = ["OnCluster", "Workers", "default_executor"]


def default_executor() -> str:
    """Return "processes" where trials can have processes of their own, "inline" elsewhere."""
    return "processes" if sys.platform == "linux" and hasattr(os, "fork") else "inline"


@dataclass(frozen=True)
class OnCluster:
    """How to use a Ray cluster.

    address: "auto", "local", "ray://host:port" or "host:port". cpus, gpus: that a trial takes; gpus may be "auto".
    """

    address: str
    cpus: float = 1.0
    gpus: float | str = "auto"


class Workers:
    """Those who will run trials, called before there is work: they load their libraries while the data are read.

    executor: "processes" or "inline". families: the user's own. cluster: where trials run instead, if anywhere; it is joined at
    once (`OptionError` where that fails). notice: what the user should know, or "". Leave its `with`, and no process is left.
    """

    def __init__(self, executor: str, families: Families = (), cluster: OnCluster | None = None, workers: int = 0) -> None:
        from automl.executors.handle import Zygote

        self.notice = ""
        self._families = families
        self._zygote: Zygote | None = None
        self._terms = cluster
        self._cluster: Cluster | None = None
        if cluster is not None:
            from automl.executors.cluster import Cluster

            self._cluster = Cluster.connect(cluster.address, math.ceil(workers * cluster.cpus))
            self.notice = self._cluster.described()
            if self._cluster.is_own and not self._slots():
                self._cluster.__exit__()
                raise OptionError(
                    f"cpus_per_trial and gpus_per_trial must fit on this machine, but a trial takes {self._share()}, and this "
                    f"is a {self.notice}; ask for less, or name a larger cluster"
                )
        elif executor == "processes" and default_executor() == "processes":
            self._zygote = Zygote.start()
        elif executor == "processes":
            self.notice = (
                f"trials run one after the other in this process: processes of their own need Linux, this is {sys.platform}"
            )

    def executor(self, folder: Path, workers: int, storage: str = "") -> Executor:
        """Return the executor for the run in `folder`, with at most so many cohorts of trials at the same time.

        storage: URL of the place for checkpoints that all nodes reach, or "".
        """
        task, checkpoints = folder / "task", folder / "checkpoints"
        if self._terms is not None:
            return self._on_cluster(folder, self._terms, workers, storage)
        if self._zygote is None:
            from automl.executors.inline import InlineExecutor

            return InlineExecutor(task, checkpoints)
        from automl.executors.processes import ProcessesExecutor

        return ProcessesExecutor(task, checkpoints, self._families, workers, self._zygote)

    @property
    def closing(self) -> float:
        """The seconds that it takes to leave, beside what the last outcomes take."""
        return 0.0 if self._cluster is None else self._cluster.closing

    def capacity(self, workers: int) -> int:
        """Return how many cohorts will run at the same time; `workers`: at most, 0 for as many as fit."""
        if self._terms is None or self._cluster is None:
            return workers
        slots = max(1, self._slots())
        return min(slots, workers) if workers else slots

    def _share(self) -> Share:
        """Return what a trial takes, as far as the user said."""
        from automl.executors.shares import Share

        assert self._terms is not None
        return Share(self._terms.cpus, self._terms.gpus if isinstance(self._terms.gpus, int | float) else 0.0)

    def _slots(self) -> int:
        """Return how many trials the cluster can hold."""
        assert self._cluster is not None
        return self._share().slots(self._cluster.machines())

    def _on_cluster(self, folder: Path, terms: OnCluster, workers: int, storage: str) -> Executor:
        from automl.executors.ray import RayExecutor, Terms
        from automl.executors.shares import Packing
        from automl.executors.wire import families_to_text
        from automl.task import Task
        from automl.training.networks import trains_on_gpu

        packing = Packing(terms.cpus, terms.gpus, uses_gpu=trains_on_gpu(Task.load(folder / "task")))
        assert self._cluster is not None
        return RayExecutor(folder, self._cluster, Terms(workers, families_to_text(self._families), storage, packing))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._cluster is not None:
            self._cluster.__exit__()
        if self._zygote is not None:
            self._zygote.stop()
