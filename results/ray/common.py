"""What the measurements on Ray clusters share: a tiny task, how a search feeds an executor, and what was measured where."""

from __future__ import annotations

import os
import platform
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from automl.data.options import DataOptions
from automl.executors.base import Executor
from automl.executors.cluster import Cluster
from automl.executors.ray import RayExecutor, Terms
from automl.executors.shares import Packing
from automl.executors.wire import families_to_text
from automl.task import Task, make_task
from automl.trial import Outcome, Trial
from search_spaces.domains import Families

HERE = Path(__file__).parent
ROWS, SEED = 300, 0

# Read by Ray when it starts. LOOPBACK: all of a made-up cluster stays on this machine. QUICK: nodes that died are found within
# two seconds, as in our tests, where Ray's own settings take about ten.
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
QUICK = {
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "2",
}


def tiny_data() -> pd.DataFrame:
    """Return a table of 300 rows: two numbers, a category, and the target `y`, yes or no."""
    chance = np.random.default_rng(SEED)
    numbers, kinds = chance.normal(size=(ROWS, 2)), chance.choice(["p", "q"], ROWS)
    target = np.where(numbers[:, 0] + (kinds == "p") > chance.normal(size=ROWS) / 4, "yes", "no")
    return pd.DataFrame({"a": numbers[:, 0], "b": numbers[:, 1], "c": kinds, "y": target})


def tiny_task() -> Task:
    """Return the same as a task with one fold."""
    return make_task(tiny_data(), DataOptions(target="y", folds=1))


@contextmanager
def executor_on(cluster: Cluster, families: Families = (), workers: int = 0, cpus: float = 1.0) -> Iterator[RayExecutor]:
    """Yield an executor for the tiny task, with a folder of its own. workers: at most, 0 for as many as fit; cpus: of a trial."""
    with TemporaryDirectory(prefix="results-ray-") as folder:
        tiny_task().save(Path(folder) / "task")
        terms = Terms(workers, families_to_text(families), "", Packing(cpus, 0.0, uses_gpu=False))
        with RayExecutor(Path(folder), cluster, terms) as executor:
            yield executor


def fed(executor: Executor, trials: Iterable[Trial]) -> list[Outcome]:
    """Run trials as a search does: submit while there is room, wait, and again; return outcomes in the order of their ends."""
    waiting, running, outcomes = deque(trials), 0, list[Outcome]()
    while waiting or running:
        while waiting and executor.room() > 0:
            executor.submit([waiting.popleft()])
            running += 1
        for _, ended in executor.wait(0.5):
            outcomes += ended
            running -= 1
    return outcomes


def load() -> float:
    """Return how many processes wanted to run in the last minute."""
    return round(os.getloadavg()[0], 2)


def machine() -> str:
    """Return what figures were made with."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("ray", "torch", "numpy"))
    cores, python = os.cpu_count(), platform.python_version()
    return f"{platform.machine()}, {cores} CPU cores, one thread for each process, Python {python}, {libraries}"
