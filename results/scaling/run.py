"""How long strategies think: what an ask and a tell cost after so many trials, and what a driver with many workers gets through.

    python -m results.scaling.run asks --strategies random/full tpe/full bayes bayes/full evolution/full gp/full
    python -m results.scaling.run drivers --strategies auto random evolution
    python -m results.scaling.run table                                     # writes table.md

The space is that of a small table with multilayer perceptrons (`automl.testing.example_space`), the losses are made up.

asks: a strategy takes over a history of 10 to 10,000 random configurations (as a search that is resumed: `adopt` and `tell`), of
which, unless the schedule is full, a third went on to each further rung; then it is asked for one proposal and told its loss,
again and again. Milliseconds of the CPU, the median and the slowest. Under halving most asks continue something and cost nothing,
so schedules are full here but for `bayes`, which thinks about each continuation. Optuna's GP stops at 1,000.

drivers: `simulate` with 1 to 1,000 workers, trainings of random length; proposals by second of real time, the benchmark included.

Appends to asks.csv and drivers.csv beside this script and leaves out what is there. Set OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from automl.simulation import Measurement, simulate
from automl.strategies import strategy_for
from automl.strategies.base import Plan, Proposal, Result, Strategy
from automl.strategies.halving import rungs
from automl.testing import example_space
from results.comparing import Row, append, machine, read, split_name, table
from search_spaces.configuration import Configuration
from search_spaces.variation import sample

HERE = Path(__file__).parent
EPOCHS = 9
TRIALS = (10, 100, 200, 1000, 10_000)
MOST = {"gp": 1000}  # trials that a strategy is tried with
REPEATS, PATIENCE = 21, 60.0  # asks, and the seconds after which no further one is begun
WORKERS = (1, 10, 100, 1000)
PROPOSALS = {1: 300, 10: 300, 100: 1000, 1000: 5000}


def loss_of(configuration: Configuration, epoch: int) -> float:
    """Return a made-up loss: what each decision adds, less the more epochs."""
    parts = [random.Random(f"{path}={value}").random() for path, value in configuration.decisions()]
    return sum(parts) / len(parts) + 1 / epoch


class MadeUp:
    """Made-up trainings as a `Benchmark`: an epoch costs 0.5 to 1.5."""

    epochs = EPOCHS

    def __init__(self) -> None:
        self.space = example_space()

    def train(self, configuration: Configuration, start: int, stop: int, seed: int) -> Measurement:
        """Return the made-up loss."""
        pace = 0.5 + random.Random(f"{seed}/{configuration}").random()
        return Measurement(loss_of(configuration, stop), pace * (stop - start))


def resumed(name: str, trials: int) -> Strategy[Configuration]:
    """Return a strategy that has taken over a history of so many configurations."""
    strategy_name, schedule = split_name(name)
    space, rng = example_space(), random.Random(f"scaling/{trials}")
    strategy = strategy_for(strategy_name, space, Plan(EPOCHS, schedule=schedule))
    stops = (EPOCHS,) if schedule == "full" else rungs(EPOCHS)
    for number in range(trials):
        configuration = sample(space, rng) if number else space.default()
        start = 0
        for level, stop in enumerate(stops):
            if level == 0 or rng.random() < 1 / 3:
                proposal = Proposal(number, configuration, start, stop, EPOCHS)
                strategy.adopt([proposal])
                strategy.tell([told(proposal)])
                start = stop
            else:
                break
    return strategy


def told(proposal: Proposal[Configuration]) -> Result[Configuration]:
    """Return the result of a proposal."""
    return Result(proposal, loss_of(proposal.configuration, proposal.stop), ended=proposal.stop == proposal.total)


def asks(name: str, trials: int) -> Row:
    """Return what an ask and a tell cost after so many trials."""
    began = time.process_time()
    strategy = resumed(name, trials)
    taken_over = time.process_time() - began
    seconds: list[float] = []
    while len(seconds) < REPEATS and sum(seconds) < PATIENCE:
        began = time.process_time()
        (proposal,) = strategy.ask(1)
        between = time.process_time()
        result = told(proposal)
        thought = time.process_time()
        strategy.tell([result])
        seconds.append(between - began + time.process_time() - thought)
    return {
        "strategy": name,
        "trials": trials,
        "median_ms": round(1000 * statistics.median(seconds), 3),
        "slowest_ms": round(1000 * max(seconds), 3),
        "asks": len(seconds),
        "resume_s": round(taken_over, 2),
    }


def drivers(name: str, workers: int) -> Row:
    """Return how many proposals a driver with so many workers makes in a second."""
    strategy, schedule = split_name(name)
    count = PROPOSALS[workers]
    plan: Plan[Configuration] = Plan(EPOCHS, n_trials=count, schedule=schedule)
    began = time.perf_counter()
    simulation = simulate(strategy, MadeUp(), workers=workers, budget=1e12, plan=plan)
    seconds = time.perf_counter() - began
    return {
        "strategy": name,
        "workers": workers,
        "proposals": simulation.proposed,
        "per_second": round(simulation.proposed / seconds, 1),
        "thinking": round((sum(simulation.asks) + sum(simulation.tells)) / seconds, 3),
    }


def measure(what: str, names: list[str], out: Path) -> None:
    """Append what is missing of a file."""
    path, key = out / f"{what}.csv", "trials" if what == "asks" else "workers"
    finished = {(row["strategy"], int(row[key])) for row in read(path)}
    for name in names:
        for size in TRIALS if what == "asks" else WORKERS:
            if (name, size) not in finished and size <= MOST.get(name.split("/")[0], size):
                append(path, [asks(name, size) if what == "asks" else drivers(name, size)])


def page(out: Path) -> str:
    """Return the tables of both files."""
    first: dict[str, dict[int, str]] = {}
    for row in read(out / "asks.csv"):
        first.setdefault(row["strategy"], {})[int(row["trials"])] = (
            f"{float(row['median_ms']):.1f} ({float(row['slowest_ms']):.0f})"
        )
    second: dict[str, dict[int, str]] = {}
    for row in read(out / "drivers.csv"):
        second.setdefault(row["strategy"], {})[int(row["workers"])] = f"{float(row['per_second']):.0f}"
    return "\n".join(
        [
            "# How long strategies think\n",
            machine() + ".\n",
            "## An ask and a tell, median (slowest) milliseconds, by the number of earlier trials\n",
            table(["strategy", *map(str, TRIALS)], _rows(first, TRIALS)),
            "## Proposals by second of a driver, by the number of simulated workers\n",
            table(["strategy", *map(str, WORKERS)], _rows(second, WORKERS)),
        ]
    )


def _rows(found: dict[str, dict[int, str]], sizes: tuple[int, ...]) -> Iterator[list[str]]:
    for name, of in found.items():
        yield [name, *(of.get(size, "-") for size in sizes)]


def main() -> None:
    """Read the command line and measure, or write the tables."""
    parser = argparse.ArgumentParser(description="Measure how long strategies think.")
    parser.add_argument("what", choices=("asks", "drivers", "table"))
    parser.add_argument("--strategies", nargs="*", default=[])
    parser.add_argument("--out", type=Path, default=HERE)
    given = parser.parse_args()
    if given.what == "table":
        (given.out / "table.md").write_text(page(given.out))
    else:
        measure(given.what, given.strategies, given.out)


if __name__ == "__main__":
    main()
