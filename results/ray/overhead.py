"""What a trial on a Ray cluster costs beside itself: 1,000 trivial ones by our executor, by Ray Tune, and without either.

    python -m results.ray.overhead measure
    python -m results.ray.overhead table        # writes overhead.md

A trial fits the baseline `majority` on a table of 300 rows, and writes its checkpoint and predictions, as in a search. Ways to
run many of them, all in one run, a few times in turn:

    loop       one after the other in this process, without Ray
    tasks      plain tasks of Ray Core, all submitted at once
    executor   `RayExecutor` as a search drives it: room, submit, wait
    tune       `ray.tune.Tuner` with the same trial as its trainable, and its default settings
    tune, reused   the same with `reuse_actors=True`, so that not each trial has to start a process and load torch

The cluster is started by `Cluster.connect("local")`, with 2 CPUs and with 1. Workers have loaded their libraries before; those of
Tune load them with each trial, or at the begin. Overhead of a trial: wall time / trials - the trial's own seconds / workers.

Appends to overhead.csv beside this script.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from automl.executors.cluster import Cluster
from automl.executors.ray import RayExecutor
from automl.task import Task
from automl.training.checkpoint import Checkpoints
from automl.trial import Trial, run_trials
from results.comparing import Row, append, read, table
from results.ray.common import HERE, executor_on, fed, load, machine, tiny_task

WARM = 40
WAYS = ("loop", "tasks", "executor", "tune", "tune, reused")


def trivial(number: int) -> Trial:
    """Return a trial that is over at once."""
    return Trial(number, number, "majority", 0, 0, 1, 1, 0, None)


def seconds_of(task: Task, number: int) -> float:
    """Run a trial in this process, and return the seconds that it took by its own account."""
    with tempfile.TemporaryDirectory() as folder:
        return run_trials([trivial(number)], task, Checkpoints(Path(folder)))[0].seconds


def by_loop(task: Task, numbers: Sequence[int]) -> list[float]:
    """Run trials one after the other."""
    return [seconds_of(task, number) for number in numbers]


def by_tasks(task: Task, numbers: Sequence[int]) -> list[float]:
    """Run trials as tasks of Ray Core."""
    import ray

    run, shared = ray.remote(seconds_of), ray.put(task)
    found: list[float] = ray.get([run.remote(shared, number) for number in numbers])
    return found


def by_executor(executor: RayExecutor, numbers: Sequence[int]) -> list[float]:
    """Run trials as a search does."""
    outcomes = fed(executor, map(trivial, numbers))
    assert {outcome.status for outcome in outcomes} == {"finished"}
    return [outcome.seconds for outcome in outcomes]


def by_tune(task: Task, numbers: Sequence[int], *, reused: bool) -> list[float]:
    """Run trials by Ray Tune."""
    from ray import tune

    def trainable(config: dict[str, Any], shared: Task) -> None:
        tune.report({"seconds": seconds_of(shared, config["number"])})

    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            tune.with_parameters(trainable, shared=task),
            param_space={"number": tune.grid_search(list(numbers))},
            tune_config=tune.TuneConfig(reuse_actors=reused),
            run_config=tune.RunConfig(storage_path=folder, name="measured", verbose=0),
        )
        results = tuner.fit()
    assert not results.errors
    return [(results[i].metrics or {})["seconds"] for i in range(len(results))]


def measured(way: str, workers: int, numbers: Sequence[int], run: Callable[[Sequence[int]], list[float]]) -> Row:
    """Return what a way to run these trials took."""
    before, began, busy = load(), time.perf_counter(), time.process_time()
    own = run(numbers)
    wall, busy = time.perf_counter() - began, time.process_time() - busy
    count = len(numbers)
    assert len(own) == count
    return {
        "way": way,
        "workers": workers,
        "trials": count,
        "wall_ms": round(1000 * wall / count, 3),
        "own_ms": round(1000 * statistics.mean(own), 3),
        "overhead_ms": round(1000 * (wall / count - statistics.mean(own) / workers), 3),
        "process_cpu_ms": round(1000 * busy / count, 3),
        "load_before": before,
    }


def rows(workers: int, trials: int, tuned: int, repeats: int) -> Iterator[Row]:
    """Yield the rows of all ways on a cluster of so many CPUs."""
    task = tiny_task()
    with Cluster.connect("local", workers) as cluster, executor_on(cluster) as executor:
        by_tasks(task, range(WARM))
        by_executor(executor, range(WARM))
        for repeat in range(repeats):
            first = WARM + repeat * trials
            numbers, few = range(first, first + trials), range(first, first + tuned)
            if workers == 1:
                yield measured("loop", 1, numbers, lambda given: by_loop(task, given))
            yield measured("tasks", workers, numbers, lambda given: by_tasks(task, given))
            yield measured("executor", workers, numbers, lambda given: by_executor(executor, given))
            for reused in (False, True) if tuned else ():
                run = lambda given, reused=reused: by_tune(task, given, reused=reused)  # noqa: E731
                yield measured("tune, reused" if reused else "tune", workers, few, run)
                by_executor(executor, range(-1 - WARM, -1))  # Tune's processes took the places of ours
                by_tasks(task, range(WARM))


def page() -> str:
    """Return the table."""
    groups: dict[tuple[int, int], list[dict[str, str]]] = {}
    for row in read(HERE / "overhead.csv"):
        groups.setdefault((int(row["workers"]), WAYS.index(row["way"])), []).append(row)
    cells: list[list[object]] = []
    for (workers, way), of in sorted(groups.items()):
        median = {name: statistics.median(float(row[name]) for row in of) for name in ("wall_ms", "own_ms", "overhead_ms")}
        ours = statistics.median(float(row["overhead_ms"]) for row in groups[workers, WAYS.index("executor")])
        each = ", ".join(f"{float(row['overhead_ms']):.1f}" for row in of)
        shown = [f"{value:.1f}" for value in median.values()]
        cells.append([workers, WAYS[way], of[0]["trials"], *shown, f"{median['overhead_ms'] / ours:.1f}", each])
    head = ["workers", "way", "trials", "wall ms a trial", "of its own ms", "overhead ms", "times ours", "overhead, each repeat"]
    loads = [float(row["load_before"]) for row in read(HERE / "overhead.csv")]
    return "\n".join(
        [
            "# Trivial trials on a local cluster: medians of the repeats\n",
            f"{machine()}. Load of the machine before each measurement, itself included: {min(loads)} to {max(loads)}.\n",
            table(head, cells),
        ]
    )


def main() -> None:
    """Read the command line, and measure or write the table."""
    parser = argparse.ArgumentParser(description="Measure what a trial on a Ray cluster costs.")
    parser.add_argument("what", choices=("measure", "table"))
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--tuned", type=int, default=50, help="trials by Ray Tune, which takes long; 0 leaves it out")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="*", default=[2, 1])
    given = parser.parse_args()
    if given.what == "table":
        (HERE / "overhead.md").write_text(page())
        return
    for workers in given.workers:
        for row in rows(workers, given.trials, given.tuned, given.repeats):
            append(HERE / "overhead.csv", [row])
            print(*row.values(), flush=True)


if __name__ == "__main__":
    main()
