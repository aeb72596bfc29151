"""How well an executor on a Ray cluster keeps its slots busy: trials that sleep for a second, on nodes that are made up.

    python -m results.ray.scaling cluster
    python -m results.ray.scaling simulation
    python -m results.ray.scaling table         # writes scaling.md

cluster: four nodes (`ray.cluster_utils.Cluster`) of 1, 2, 4 and 8 made-up CPUs, all on one machine; one slot and two are a node
or two of one CPU. A trial is of a user's family whose network sleeps for a second when it is built and then says that it is
infeasible: it goes the way of every trial, but takes hardly any CPU. In a round that isn't counted, all workers load their
libraries. Efficiency: trials x 1 s / slots, by the wall time from the first submission to the last outcome, the end included in
which ever fewer are at work. A second series has other values of `automl.executors.ray.AHEAD`, with 32 slots.

simulation: a driver with up to 1,000 workers in simulated time. How long trainings take, relative to one another, and how long
the strategy thinks about each, is taken from `automl.simulation.simulate`; beside that the driver is busy with each trial for the
time that overhead.py has measured of it. A driver does one thing after the other; a worker takes what waits in the queue.
Efficiency: the work done by the moment at which the last training began, by workers x that time.

Appends to scaling.csv and simulation.csv beside this script.
"""

from __future__ import annotations

import argparse
import heapq
import os
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from automl.executors import ray as executors_ray
from automl.executors.cluster import Cluster
from automl.executors.ray_setup import set_up
from automl.simulation import simulate
from automl.strategies.base import Plan
from automl.trial import Trial
from results.comparing import Row, append, read, table
from results.ray.common import HERE, LOOPBACK, executor_on, fed, load, machine
from results.scaling.run import EPOCHS, MadeUp
from search_spaces.configuration import Configuration
from search_spaces.domains import Infeasible
from search_spaces.language import Architecture, Float, Int
from search_spaces.spec import Inputs, Outputs

SIZES = ((1, 1), (2, 1), (4, 1), (4, 2), (4, 4), (4, 8))  # nodes, and CPUs of each
AHEADS = (1, 2, 8)
SECONDS = 1.0
COMING = Path(tempfile.mkdtemp(prefix="coming-"))  # a file for each worker that has come to its first trial

WORKERS = {1: 300, 10: 300, 100: 3000, 1000: 20_000}  # and configurations
TRAININGS = (1.0, 10.0, 60.0)  # mean seconds


class Sleeper(Architecture):
    """A family that waits until so many of it have come, sleeps, and makes nothing."""

    seconds: float = Float(0.0, 60.0)
    together: int = Int(0, 1000)

    def build(self, inputs: Inputs, outputs: Outputs) -> nn.Module:
        """Sleep."""
        if self.together:
            (COMING / str(os.getpid())).touch()
            while len(list(COMING.iterdir())) < self.together:
                time.sleep(0.2)
        time.sleep(self.seconds)
        raise Infeasible("it only sleeps")


def sleeping(count: int, first: int = 0, together: int = 0) -> Iterator[Trial]:
    """Yield trials that sleep."""
    configuration = Configuration(architecture=Sleeper(seconds=SECONDS, together=together))
    for number in range(first, first + count):
        yield Trial(number, number, configuration, 0, 0, 1, 1, 0, None)


@contextmanager
def made_up(nodes: int, cpus: int) -> Iterator[Cluster]:
    """Yield a cluster of made-up nodes whose workers have loaded their libraries."""
    os.environ.update(LOOPBACK)
    set_up("auto")
    from ray.cluster_utils import Cluster as MadeUpCluster

    made: Any = MadeUpCluster(initialize_head=True, head_node_args={"num_cpus": cpus, "include_dashboard": False})
    for _ in range(nodes - 1):
        made.add_node(num_cpus=cpus)
    for path in COMING.iterdir():
        path.unlink()
    try:
        with Cluster.connect(made.address) as cluster:
            with executor_on(cluster, (Sleeper,)) as executor:
                fed(executor, sleeping(nodes * cpus, together=nodes * cpus))
            yield cluster
    finally:
        made.shutdown()


def measured(cluster: Cluster, slots: int, each: int, ahead: int) -> Row:
    """Run so many trials for each slot, and return what came of it."""
    usual, executors_ray.AHEAD = executors_ray.AHEAD, ahead
    with executor_on(cluster, (Sleeper,)) as executor:
        fed(executor, sleeping(slots))  # each worker reads the task
        before, began, busy = load(), time.perf_counter(), time.process_time()
        outcomes = fed(executor, sleeping(each * slots, slots))
        wall, busy = time.perf_counter() - began, time.process_time() - busy
    executors_ray.AHEAD = usual
    assert len(outcomes) == each * slots
    assert {outcome.status for outcome in outcomes} == {"infeasible"}
    return {
        "slots": slots,
        "ahead": ahead,
        "trials": len(outcomes),
        "wall_s": round(wall, 3),
        "efficiency": round(each * SECONDS / wall, 4),
        "trial_s": round(statistics.mean(outcome.seconds for outcome in outcomes), 4),
        "driver_cpu_ms": round(1000 * busy / len(outcomes), 2),
        "load_before": before,
    }


def on_clusters(sizes: Sequence[tuple[int, int]], each: int, repeats: int) -> None:
    """Measure both series, and append."""
    usual = executors_ray.AHEAD
    for nodes, cpus in sizes:
        slots = nodes * cpus
        others = AHEADS if (nodes, cpus) == SIZES[-1] else ()
        with made_up(nodes, cpus) as cluster:
            for ahead in [usual] * repeats + [*others]:
                row = measured(cluster, slots, each, ahead)
                append(HERE / "scaling.csv", [row])
                print(*row.values(), flush=True)


def replayed(trainings: Sequence[float], thinking: Sequence[float], workers: int) -> float:
    """Return the efficiency of a driver that is busy for `thinking` with each of these trainings, in seconds."""
    ahead = max(1, workers // executors_ray.AHEAD)
    queue: deque[float] = deque()
    free, ends, ended = workers, list[float](), deque([0.0] * (workers + ahead))
    begun: list[tuple[float, float]] = []
    driver = 0.0
    for training, thought in zip(trainings, thinking, strict=True):
        while not ended:  # the driver waits for something to end
            ended.append(heapq.heappop(ends))
            free += 1
            if queue:
                begin(ended[-1], queue.popleft(), ends, begun)
                free -= 1
        driver = max(driver, ended.popleft()) + thought
        while ends and ends[0] <= driver:
            ended.append(heapq.heappop(ends))
            free += 1
            if queue:
                begin(ended[-1], queue.popleft(), ends, begun)
                free -= 1
        if free:
            begin(driver, training, ends, begun)
            free -= 1
        else:
            queue.append(training)
    last = max(start for start, _ in begun)
    return sum(min(training, last - start) for start, training in begun) / (workers * last)


def begin(now: float, training: float, ends: list[float], begun: list[tuple[float, float]]) -> None:
    """Let a worker begin a training."""
    heapq.heappush(ends, now + training)
    begun.append((now, training))


def in_simulation(handling: float) -> None:
    """Simulate drivers, and append. handling: milliseconds that the driver is busy with a trial, beside its strategy."""
    for workers, configurations in WORKERS.items():
        plan: Plan[Configuration] = Plan(EPOCHS, n_trials=configurations)
        simulation = simulate("auto", MadeUp(), workers=workers, budget=1e12, plan=plan)
        costs = [event.result.seconds for event in simulation.events]
        thought = (sum(simulation.asks) + sum(simulation.tells)) / simulation.proposed
        for seconds in TRAININGS:
            scale = seconds / statistics.mean(costs)
            trainings = [cost * scale for cost in costs]
            found = replayed(trainings, [thought + handling / 1000] * len(trainings), workers)
            shown: Row = {
                "workers": workers,
                "trainings": len(trainings),
                "training_s": seconds,
                "strategy_ms": round(1000 * thought, 2),
                "handling_ms": handling,
                "efficiency": round(found, 4),
            }
            append(HERE / "simulation.csv", [shown])


def page() -> str:
    """Return the tables of both files."""
    names = ("efficiency", "trial_s", "driver_cpu_ms")
    groups: dict[tuple[int, int, int], list[dict[str, str]]] = {}
    for row in read(HERE / "scaling.csv"):
        groups.setdefault((int(row["slots"]), int(row["ahead"]), int(row["trials"])), []).append(row)
    cells: list[list[object]] = []
    for group, rows in sorted(groups.items()):
        medians = [f"{statistics.median(float(row[name]) for row in rows):.3f}" for name in names]
        cells.append([*group, *medians, ", ".join(f"{row['efficiency']} ({row['load_before']})" for row in rows)])
    head = [
        "slots",
        "one waits for so many",
        "trials",
        "efficiency",
        "seconds of a trial",
        "driver's CPU ms a trial",
        "each (load)",
    ]
    simulated: dict[str, dict[str, str]] = {}
    for row in read(HERE / "simulation.csv"):
        shown = simulated.setdefault(row["workers"], {"trainings": row["trainings"], "strategy": row["strategy_ms"]})
        shown[row["training_s"]] = row["efficiency"]
    handling = {row["handling_ms"] for row in read(HERE / "simulation.csv")}
    second = ["workers", "trainings", "strategy ms a training", *(f"efficiency at {mean:g} s" for mean in TRAININGS)]
    return "\n".join(
        [
            "# How busy the slots of a cluster are kept\n",
            f"{machine()}. Load of the machine before each measurement in brackets: that of loading the workers is in it.\n",
            "## Trials that sleep for a second, on nodes that are made up\n",
            table(head, cells),
            f"## Simulated workers, trainings of 1, 10 and 60 seconds, {', '.join(handling)} ms of driver for each\n",
            table(second, [[workers, *row.values()] for workers, row in simulated.items()]),
        ]
    )


def main() -> None:
    """Read the command line, and measure or write the tables."""
    parser = argparse.ArgumentParser(description="Measure how well slots are kept busy.")
    parser.add_argument("what", choices=("cluster", "simulation", "table"))
    parser.add_argument("--each", type=int, default=20, help="trials for each slot")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="*", default=range(len(SIZES)), help="places in SIZES")
    parser.add_argument("--handling", type=float, default=5.0, help="milliseconds that the driver is busy with a trial")
    given = parser.parse_args()
    if given.what == "cluster":
        on_clusters([SIZES[place] for place in given.sizes], given.each, given.repeats)
    elif given.what == "simulation":
        in_simulation(given.handling)
    else:
        (HERE / "scaling.md").write_text(page())


if __name__ == "__main__":
    main()
