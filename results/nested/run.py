"""Replay searches over our space of multilayer perceptrons, and record who leads at each budget.

Trainings are those of the recorded tables (make_table.py), as a forest tells them (outcomes.py). The budget is in full trainings,
counted in epochs; rules as for LCBench (results/lcbench/run.py). Regret: 0 is the lowest loss that a long search finds in the
forest, 1 the median of random configurations.

    python -m results.nested.run --strategies auto evolution/full tpe/full random/full optuna-tpe-group --seeds 10
    python -m results.nested.run --table                                    # writes table.md

Strategies: names with a schedule, `bayes/full`; and Optuna's TPE as Optuna has it (multivariate, grouped, constant liar), in a
plain study: `optuna-tpe-group` trains everything in full, `optuna-tpe-group+hyperband` under its Hyperband pruner. All begin with
the space's default, Optuna too. Appends to raw.csv beside this script and leaves out what is there. Set OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from automl.simulation import Simulation, simulate
from automl.strategies.base import Plan
from results.comparing import (
    Figures,
    Row,
    difference,
    interval,
    machine,
    ranks,
    read,
    run_cells,
    seconds_of,
    split_name,
    standings,
    table,
)
from results.nested.outcomes import HERE, TABLES, Outcomes, references_of
from search_spaces.configuration import Configuration

BUDGETS = (5, 10, 20, 50, 100)
OPTUNA, HYPERBAND = "optuna-tpe-group", "+hyperband"


def optuna_search(benchmark: Outcomes, budget: float, seed: int, *, hyperband: bool) -> Simulation[Configuration]:
    """Search with Optuna's TPE for nested spaces."""
    import optuna

    from results.optuna_study import search

    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    sampler = optuna.samplers.TPESampler(multivariate=True, group=True, constant_liar=True, seed=seed)
    pruner = optuna.pruners.HyperbandPruner(2, benchmark.epochs) if hyperband else None
    return search(benchmark, sampler, budget, pruner, benchmark.space.default())


@cache
def benchmark_of(folder: Path, name: str) -> Outcomes:
    """Return a fitted table."""
    return Outcomes(name, folder)


def measured(folder: Path, budget: int, cell: tuple[str, str, int]) -> Iterator[Row]:
    """Yield a row for each budget of a search; `loss` is of who leads, after the last epoch."""
    name, task, seed = cell
    benchmark = benchmark_of(folder, task)
    epochs = benchmark.epochs
    if name.startswith(OPTUNA):
        simulation = optuna_search(benchmark, budget * epochs, seed, hyperband=name.endswith(HYPERBAND))
    else:
        strategy, schedule = split_name(name)
        plan: Plan[Any] = Plan(epochs, schedule=schedule)
        simulation = simulate(strategy, benchmark, budget=budget * epochs, seed=seed, plan=plan)
    budgets = [each for each in BUDGETS if each <= budget]
    for each, leader in zip(budgets, standings(simulation.events, [each * epochs for each in budgets]), strict=True):
        assert leader is not None
        assert isinstance(leader.configuration, Configuration)
        yield {
            "strategy": name,
            "task": task,
            "seed": seed,
            "budget": each,
            "loss": round(float(benchmark.curve(leader.configuration)[-1]), 6),
            "highest": leader.stop,
            "trials": leader.trials,
            "seconds": round(seconds_of(simulation), 2),
        }


def page(raw: Path, folder: Path, against: str) -> str:
    """Return the tables of raw figures."""
    known = {name: references_of(folder, name) for name in TABLES}
    board: dict[int, dict[str, dict[tuple[str, int], float]]] = {budget: {} for budget in BUDGETS}
    for row in read(raw):
        best, median = known[row["task"]]["best"], known[row["task"]]["median"]
        of = board[int(row["budget"])].setdefault(row["strategy"], {})
        of[row["task"], int(row["seed"])] = (float(row["loss"]) - best) / (median - best)
    budgets = [f"{budget}" for budget in BUDGETS]
    sections = ["# Nested: our space of multilayer perceptrons, replayed\n", machine() + ".\n", "## The forests\n"]
    sections.append(table(["table", *next(iter(known.values()))], [[name, *of.values()] for name, of in known.items()]))
    sections += ["## Regret\n", "Mean [95 % interval] over both tables and the seeds.\n", _grid(board)]
    sections += [f"### {task}\n\n{_grid(_only(board, task))}" for task in TABLES]
    sections += ["## Mean rank\n", _grid({budget: ranks(of) for budget, of in board.items() if of})]
    for other in (OPTUNA, against):
        sections += [f"## Paired: regret of each less that of `{other}`\n", "Below 0: better than it.\n"]
        sections.append(table(["strategy", *budgets], _paired(board, other)))
    return "\n".join(sections)


def _only(board: dict[int, dict[str, Any]], task: str) -> dict[int, dict[str, Figures]]:
    return {
        budget: {name: {cell: value for cell, value in of.items() if cell[0] == task} for name, of in names.items()}
        for budget, names in board.items()
    }


def _grid(board: Any) -> str:
    means = {budget: {name: interval(of) for name, of in names.items() if of} for budget, names in board.items()}
    every = sorted({name for names in means.values() for name in names}, key=lambda name: means[50][name].mean)
    head = ["strategy", *(f"{budget}" for budget in means), "seeds"]
    cells = {name: len({seed for _, seed in board[50][name]}) for name in every}
    return table(head, [[name, *(means[budget].get(name, "-") for budget in means), cells[name]] for name in every])


def _paired(board: Any, other: str) -> Iterator[list[object]]:
    for name in board[50]:
        if name != other:
            pairs = [difference(board[budget].get(name, {}), board[budget].get(other, {})) for budget in BUDGETS]
            yield [name, *("-" if pair is None else f"{pair.signed} ({pair.cells})" for pair in pairs)]


def main() -> None:
    """Read the command line and search, or write the tables."""
    parser = argparse.ArgumentParser(description="Replay searches over our space of multilayer perceptrons.")
    parser.add_argument("--strategies", nargs="*", default=[])
    parser.add_argument("--tables", nargs="+", default=list(TABLES))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--budget", type=int, default=100, help="in full trainings")
    parser.add_argument("--folder", type=Path, default=HERE, help="of the recorded tables")
    parser.add_argument("--out", type=Path, default=HERE / "raw.csv")
    parser.add_argument("--share", default="1/1")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--against", default="auto", help="a second strategy that all are compared with")
    given = parser.parse_args()
    cells = [(name, task, seed) for seed in range(given.first, given.seeds) for name in given.strategies for task in given.tables]
    last = max(budget for budget in BUDGETS if budget <= given.budget)
    run_cells(given.out, cells, lambda *cell: measured(given.folder, given.budget, cell), last, given.share)
    if given.table:
        (given.out.parent / "table.md").write_text(page(given.out, given.folder, given.against))


if __name__ == "__main__":
    main()
