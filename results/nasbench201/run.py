"""Search the cells of NAS-Bench-201 for CIFAR-100 with strategies by name, and record who leads after so many evaluations.

An evaluation is a training of 12 epochs, of which the validation accuracy is observed; who leads (the best observed) is judged by
the test accuracy after 200 epochs, mean over seeds of the published trainings. Regret is in points, to the best test accuracy of
the table. All trainings are in full, one worker; equal cells that are written differently aren't merged.

    python -m results.nasbench201.run nasbench201.npz --strategies auto bayes evolution tpe random --seeds 20
    python -m results.nasbench201.run nasbench201.npz --table             # writes table.md

The space is six choices among the five operations. What is tried first is its default: of `--space plain` the cell without any
operation, so that nothing is given away; of `--space cell` (rows `<strategy>, own default`) our family `Cell`, whose default is a
residual block, a good cell. Appends to raw.csv beside this script and leaves out what is there. Set OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from automl.simulation import Measurement, simulate
from automl.strategies.base import Plan
from results.comparing import Row, difference, interval, machine, read, run_cells, seconds_of, standings, table
from search_spaces.cell import NASBENCH201, OPERATIONS, Cell
from search_spaces.language import Choice, Searchable, Space

HERE = Path(__file__).parent
BUDGETS = (50, 100, 300)
DATA = "cifar100"
EPOCHS = 12
OWN = ", own default"
FROM_LITERATURE = {
    "random": (2.7, 2.7, 1.9),
    "evolution": (1.9, 1.0, 0.8),
    "local search": (2.0, 1.1, 0.65),
    "TPE": (1.2, 0.9, 1.0),
}


class Edges(Searchable):
    """The operations of the six edges, without a word on which is good."""

    edge_01: str = Choice(*OPERATIONS)
    edge_02: str = Choice(*OPERATIONS)
    edge_12: str = Choice(*OPERATIONS)
    edge_03: str = Choice(*OPERATIONS)
    edge_13: str = Choice(*OPERATIONS)
    edge_23: str = Choice(*OPERATIONS)


class Table:
    """The published accuracies, in percent, by the operations of a cell. path: of the table."""

    def __init__(self, path: Path) -> None:
        with np.load(path, allow_pickle=False) as stored:
            names = stored["ops"].tolist()
            self._rows = {tuple(names[code] for code in cell): row for row, cell in enumerate(stored["arch"])}
            self._seen = stored[f"{DATA}_val12"].astype(float)
            self._judged = stored[f"{DATA}_test200"].astype(float)

    @cached_property
    def best(self) -> float:
        """The best test accuracy after 200 epochs."""
        return float(self._judged.max())

    def observed(self, configuration: Searchable) -> float:
        """Return the validation accuracy after 12 epochs."""
        return float(self._seen[self._row(configuration)])

    def judged(self, configuration: Searchable) -> float:
        """Return the test accuracy after 200 epochs."""
        return float(self._judged[self._row(configuration)])

    def _row(self, configuration: Searchable) -> int:
        made = dict(configuration.decisions())
        return self._rows[tuple(str(made[name]) for name in Edges.domains)]


class Cells:
    """The table as a `Benchmark`: each evaluation costs 1."""

    epochs = EPOCHS

    def __init__(self, published: Table, space: Space[Any]) -> None:
        self.space = space
        self._table = published

    def train(self, configuration: Searchable, start: int, stop: int, seed: int) -> Measurement:
        """Return the error after 12 epochs, in percent."""
        assert (start, stop) == (0, EPOCHS), "the table holds whole trainings"
        return Measurement(100 - self._table.observed(configuration), 1.0)


def measured(published: Table, cell: tuple[str, str, int]) -> Iterator[Row]:
    """Yield a row for each budget of a search."""
    name, task, seed = cell
    space: Space[Any] = Space(Cell, NASBENCH201) if name.endswith(OWN) else Space(Edges)
    plan: Plan[Any] = Plan(EPOCHS, schedule="full")
    simulation = simulate(name.removesuffix(OWN), Cells(published, space), budget=BUDGETS[-1], seed=seed, plan=plan)
    for budget, leader in zip(BUDGETS, standings(simulation.events, BUDGETS), strict=True):
        assert leader is not None
        assert isinstance(leader.configuration, Searchable)
        yield {
            "strategy": name,
            "task": task,
            "seed": seed,
            "budget": budget,
            "regret": round(published.best - published.judged(leader.configuration), 4),
            "observed": round(published.observed(leader.configuration), 4),
            "trials": leader.trials,
            "seconds": round(seconds_of(simulation), 2),
        }


def page(raw: Path) -> str:
    """Return the tables of raw figures."""
    figures: dict[str, dict[int, dict[tuple[str, int], float]]] = {}
    for row in read(raw):
        of = figures.setdefault(row["strategy"], {}).setdefault(int(row["budget"]), {})
        of[row["task"], int(row["seed"])] = float(row["regret"])
    rows = [[name, *(interval(of[budget]) for budget in BUDGETS), len(of[BUDGETS[0]])] for name, of in figures.items()]
    rows.sort(key=lambda row: row[1].mean)
    rows += [[f"{name} (given figures)", *values, "-"] for name, values in FROM_LITERATURE.items()]
    gaps: list[list[object]] = []
    for name, of in figures.items():
        pairs = [difference(figures.get("auto", {}).get(budget, {}), of[budget]) for budget in BUDGETS]
        if name != "auto" and not name.endswith(OWN) and None not in pairs:
            gaps.append([name, *(pair.signed for pair in pairs if pair is not None)])
    budgets = [f"{budget}" for budget in BUDGETS]
    return "\n".join(
        [
            "# NAS-Bench-201, CIFAR-100\n",
            "Regret in points of test accuracy after 200 epochs, at 50, 100 and 300 evaluations; mean [95 % interval].",
            f"{machine()}.\n",
            table(["strategy", *budgets, "seeds"], rows),
            "Regret of `auto` less that of others, paired by seed; below 0: better than the other.\n",
            table(["other", *budgets], gaps),
        ]
    )


def main() -> None:
    """Read the command line and search, or write the table."""
    parser = argparse.ArgumentParser(description="Search the cells of NAS-Bench-201.")
    parser.add_argument("path", type=Path, help="nasbench201.npz")
    parser.add_argument("--strategies", nargs="*", default=[])
    parser.add_argument("--space", choices=("plain", "cell"), default="plain")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--out", type=Path, default=HERE / "raw.csv")
    parser.add_argument("--share", default="1/1")
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    published, suffix = Table(given.path), OWN if given.space == "cell" else ""
    cells = [(name + suffix, DATA, seed) for seed in range(given.first, given.seeds) for name in given.strategies]
    last = BUDGETS[-1]
    run_cells(given.out, cells, lambda *cell: measured(published, cell), last, given.share)
    if given.table:
        (given.out.parent / "table.md").write_text(page(given.out))


if __name__ == "__main__":
    main()
