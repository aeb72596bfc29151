"""Search LCBench with strategies by name, in simulated time, and record who leads at each budget.

    python -m results.lcbench.run --strategies auto bayes evolution tpe random --tasks held --seeds 10

The budget is in full trainings (52 epochs), counted in epochs: a stopped training costs what it ran, going on costs what is
added, and a training that doesn't fit into what is left is charged and lost. One worker. One search with the whole budget is read
off at smaller ones. Who leads is judged by the accuracy after 52 epochs; see `comparing.standings` for who that is.

Strategies: names as for `automl.search(strategy=)`, with a schedule behind a slash where it isn't the strategy's own: `tpe/full`,
`random/hyperband`; and `optuna-gp`, Optuna's GPSampler in a plain study. Appends to raw.csv beside this script and leaves out
what is there; `--share 1/2` and `--share 2/2` are two processes that share the work. Set OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from automl.simulation import Simulation, simulate
from automl.strategies.base import Plan
from results.comparing import Row, run_cells, seconds_of, split_name, standings
from results.lcbench.surrogate import DEV, EPOCHS, HELD, LCBench, Surrogate, Tuning

HERE = Path(__file__).parent
BUDGETS = (5, 10, 20, 50, 100, 200)
TASKS = {"dev": DEV, "held": HELD}
OPTUNA_GP = "optuna-gp"


def optuna_gp(benchmark: LCBench, budget: float, seed: int) -> Simulation[Tuning]:
    """Search with Optuna's Gaussian process, as it is when nothing is set."""
    from optuna.samplers import GPSampler

    from results.optuna_study import search

    return search(benchmark, GPSampler(seed=seed), budget)


def measured(surrogate: Surrogate, budget: int, cell: tuple[str, str, int]) -> Iterator[Row]:
    """Yield a row for each budget of a search: `accuracy` is of who leads, after 52 epochs, empty where nobody does."""
    name, task, seed = cell
    strategy, schedule = split_name(name)
    benchmark = LCBench(surrogate, task)
    if name == OPTUNA_GP:
        simulation = optuna_gp(benchmark, budget * EPOCHS, seed)
    else:
        plan: Plan[Tuning] = Plan(EPOCHS, schedule=schedule)
        simulation = simulate(strategy, benchmark, budget=budget * EPOCHS, seed=seed, plan=plan)
    budgets = [each for each in BUDGETS if each <= budget]
    for each, leader in zip(budgets, standings(simulation.events, [each * EPOCHS for each in budgets]), strict=True):
        final = "" if leader is None else round(100 - benchmark.curve(cast(Tuning, leader.configuration))[-1], 4)
        yield {
            "strategy": name,
            "task": task,
            "seed": seed,
            "budget": each,
            "accuracy": final,
            "highest": 0 if leader is None else leader.stop,
            "trials": 0 if leader is None else leader.trials,
            "seconds": round(seconds_of(simulation), 2),
        }


def main() -> None:
    """Read the command line and search."""
    parser = argparse.ArgumentParser(description="Search LCBench with strategies by name.")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/hpo/lcbench"), help="folder of model.onnx")
    parser.add_argument("--strategies", nargs="+", required=True)
    parser.add_argument("--tasks", nargs="+", default=["held"], help="dev, held, or numbers of tasks")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--budget", type=int, default=200, help="in full trainings")
    parser.add_argument("--out", type=Path, default=HERE / "raw.csv")
    parser.add_argument("--share", default="1/1")
    given = parser.parse_args()
    tasks = [task for part in given.tasks for task in TASKS.get(part, (part,))]
    surrogate = Surrogate(given.data)
    cells = [(name, task, seed) for seed in range(given.first, given.seeds) for name in given.strategies for task in tasks]
    last = max(budget for budget in BUDGETS if budget <= given.budget)
    run_cells(given.out, cells, lambda *cell: measured(surrogate, given.budget, cell), last, given.share)


if __name__ == "__main__":
    main()
