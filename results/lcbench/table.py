"""Tables of raw.csv (what was run here) beside peers.csv (other tools): regret, clipped regret, rank, with bootstrap intervals.

    python -m results.lcbench.table                      # writes table.md (tasks HELD) beside this script
    python -m results.lcbench.table --tasks dev          # writes table_dev.md

Regret is (best - accuracy) / (best - median): 0 is the best value known of a task, 1 the median of random configurations. The
clipped regret has the best of 200,000 random configurations in the place of the best known, and is at least 0. Where nobody leads
yet it is 1.5. Ranks are over seeds 0 to 4, among all who have these cells.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from results.comparing import Figures, Interval, difference, interval, machine, ranks, read, table
from results.lcbench.run import BUDGETS, OPTUNA_GP, TASKS
from results.lcbench.surrogate import HERE, references

NOBODY = 1.5
RANKED = 5  # seeds
COMPLETE = 5  # seeds of each task, below which a strategy stands in the paired table alone
PEERS = {
    "random": "random (peer)",
    "optuna-tpe": "Optuna TPE",
    "optuna-tpe+hyperband": "Optuna TPE + Hyperband",
    OPTUNA_GP: "Optuna GP",
    "optuna-cmaes": "Optuna CMA-ES",
    "optuna-nsga2": "Optuna NSGA-II",
    "aging-evolution": "aging evolution (peer)",
    "aging-reflect": "aging evolution, reflecting (peer)",
    "syne-asha": "ASHA (Syne Tune)",
    "dehb": "DEHB",
    "hyperband-ref": "Hyperband (peer)",
    "neps-auto(hyperband)": "NePS Hyperband",
    "neps-bo": "NePS BO",
    "neps-priorband": "NePS PriorBand",
    "smac-hpo": "SMAC",
    "smac-mf": "SMAC multi-fidelity",
    "deephyper-cbo": "DeepHyper",
}

Measure: TypeAlias = Callable[[str, float], float]
Board: TypeAlias = dict[int, dict[str, dict[tuple[str, int], float]]]  # accuracy by budget, strategy and cell


def accuracies(raw: Path, tasks: tuple[str, ...]) -> tuple[Board, list[str]]:
    """Return the accuracies of all who lead, NaN where nobody does, and the names of our own strategies.

    Cells of Optuna's GP in peers.csv are left out where they were run again.
    """
    board: Board = {budget: defaultdict(dict) for budget in BUDGETS}
    ours: dict[str, None] = {}
    for row in read(raw):
        if row["task"] in tasks:
            name = row["strategy"]
            if name == OPTUNA_GP:
                name = PEERS[name]
            else:
                ours[name] = None
            board[int(row["budget"])][name][row["task"], int(row["seed"])] = float(row["accuracy"] or "nan")
    for row in read(HERE / "peers.csv"):
        for budget in BUDGETS:
            value = row.get(f"at_{budget}")
            if value and row["task"] in tasks:
                board[budget][PEERS[row["strategy"]]].setdefault((row["task"], int(row["seed"])), float(value))
    return board, [*ours]


def regrets(board: Board) -> tuple[Board, Board]:
    """Return regret and clipped regret in the place of accuracies."""
    known = references()

    def plain(task: str, accuracy: float) -> float:
        of = known[task]
        return (of["best"] - accuracy) / (of["best"] - of["median"]) if math.isfinite(accuracy) else NOBODY

    def clipped(task: str, accuracy: float) -> float:
        of = known[task]
        return (
            max(0.0, (of["best_random"] - accuracy) / (of["best_random"] - of["median"])) if math.isfinite(accuracy) else NOBODY
        )

    return _measured(board, plain), _measured(board, clipped)


def _measured(board: Board, measure: Measure) -> Board:
    return {
        budget: {name: {cell: measure(cell[0], value) for cell, value in of.items()} for name, of in names.items()}
        for budget, names in board.items()
    }


def complete(figures: Figures, tasks: tuple[str, ...]) -> bool:
    """Whether there are enough seeds of each task."""
    return all((task, seed) in figures for task in tasks for seed in range(COMPLETE))


def grid(board: Board, tasks: tuple[str, ...], *, ranked: bool = False) -> str:
    """Return the table of means by budget, of all who have enough cells, in the order of the budget of 50."""
    shown: dict[int, dict[str, Figures]] = {}
    for budget, names in board.items():
        shown[budget] = {name: of for name, of in names.items() if complete(of, tasks)}
        if ranked and shown[budget]:
            few = {name: {cell: value for cell, value in of.items() if cell[1] < RANKED} for name, of in shown[budget].items()}
            shown[budget] = dict(ranks(few))
    means = {budget: {name: interval(of) for name, of in names.items()} for budget, names in shown.items()}
    every = dict.fromkeys(
        name for budget in (50, *BUDGETS) for name in sorted(means[budget], key=lambda n: means[budget][n].mean)
    )
    rows = [[name, *(means[budget].get(name, "-") for budget in BUDGETS)] for name in every]
    return table(["strategy", *(f"{budget}" for budget in BUDGETS)], rows)


def _best_first(means: Mapping[str, Interval]) -> list[str]:
    return sorted(means, key=lambda name: means[name].mean)


def paired(board: Board, name: str) -> Iterator[list[object]]:
    """Yield a row for each other: how much higher the figures of `name` are at each budget, in cells that both have."""
    others = dict.fromkeys(other for names in board.values() for other in names if other != name)
    for other in others:
        row: list[object] = [other]
        for budget in BUDGETS:
            found = difference(board[budget].get(name, {}), board[budget].get(other, {}))
            row.append("-" if found is None else f"{found.signed} ({found.cells})")
        yield row


def claims(plain: Board, clipped: Board, name: str) -> Iterator[str]:
    """Yield what was to be shown, and what came of it."""
    tpe = difference(plain[20].get(name, {}), plain[200].get(PEERS["optuna-tpe"], {}))
    if tpe is not None:
        yield f"- Regret of `{name}` at 20 less that of Optuna TPE at 200 (to be at most 0): {tpe.signed}, {tpe.cells} cells."
    gp = difference(clipped[50].get(name, {}), clipped[50].get(PEERS[OPTUNA_GP], {}))
    if gp is not None:
        yield f"- Clipped regret of `{name}` at 50 less that of Optuna GP (to be below 0): {gp.signed}, {gp.cells} cells."
    for budget in BUDGETS:
        pairs = {other: difference(plain[budget].get(name, {}), of) for other, of in plain[budget].items() if other != name}
        found = [(gap.mean, other, gap) for other, gap in pairs.items() if gap is not None]
        if found:
            _, other, gap = max(found, key=lambda entry: entry[0])
            yield f"- At {budget} the strongest other in paired regret is {other}: {gap.signed}, {gap.cells} cells."


def page(raw: Path, split: str, name: str) -> str:
    """Return the whole page."""
    tasks = TASKS[split]
    board, ours = accuracies(raw, tasks)
    plain, clipped = regrets(board)
    budgets = [f"{budget}" for budget in BUDGETS]
    return "\n".join(
        [
            f"# LCBench, {len(tasks)} tasks ({split.upper()})\n",
            f"Ours: {', '.join(f'`{each}`' for each in ours)}; {machine()}.",
            "Optuna GP was run here too, the others are from peers.csv.",
            "Columns: budget in full trainings. Mean [95 % interval] over tasks and seeds.\n",
            *claims(plain, clipped, name),
            "\n## Regret\n",
            grid(plain, tasks),
            "## Clipped regret\n",
            grid(clipped, tasks),
            "## Mean rank\n",
            grid(plain, tasks, ranked=True),
            f"## Paired: regret of `{name}` less that of others\n",
            "Below 0: better than the other. In brackets the number of cells (task, seed) that both have.\n",
            table(["other", *budgets], paired(plain, name)),
            f"## Paired: clipped regret of `{name}` less that of others\n",
            table(["other", *budgets], paired(clipped, name)),
        ]
    )


def main() -> None:
    """Read the command line and write the page."""
    parser = argparse.ArgumentParser(description="Write the tables of LCBench.")
    parser.add_argument("--raw", type=Path, default=HERE / "raw.csv")
    parser.add_argument("--tasks", choices=sorted(TASKS), default="held")
    parser.add_argument("--ours", default="auto", help="the strategy that is compared with all others")
    given = parser.parse_args()
    name = "table.md" if given.tasks == "held" else f"table_{given.tasks}.md"
    (given.raw.parent / name).write_text(page(given.raw, given.tasks, given.ours))


if __name__ == "__main__":
    main()
