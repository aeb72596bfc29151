"""What a filter by a proxy brings to searches on the table of NAS-Bench-201, beside filters by the size of a network.

A search sees the validation accuracy after 12 epochs on CIFAR-100, and its answer, the best seen so far, is judged by the test
accuracy after 200 epochs: regret is how far that is below the best cell of the table, in points. With a filter
(`automl.strategies.filtered`), a search thinks of four cells each time and trains the one with the greatest score. synflow as in
`measure.py`.

    python results/proxies/replay.py DATA_FOLDER           # four minutes for synflow of all cells, then less than one

Writes synflow.npy (all 15,625 cells, in the order of the table), replay.csv (regret of each seed) and replay.md. In brackets:
the 95 % interval of the difference from no filter, paired bootstrap over 20 seeds.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measure import CLASSES, SMALL, batch_of, cell, spec
from numpy.typing import NDArray
from proxies import synflow

from automl.strategies.base import Plan, Proposal, Result, Suggester
from automl.strategies.evolution import Evolution
from automl.strategies.filtered import TRIED, Filtered
from automl.strategies.random_search import RandomSearch
from automl.training.networks import build_network, one_thread
from search_spaces.cell import NASBENCH201, Cell
from search_spaces.language import Space

HERE = Path(__file__).parent
SYNFLOW = HERE / "synflow.npy"
SEEDS = 20
BUDGETS = (20, 50, 100)
SPACE = Space(Cell, NASBENCH201)
STRATEGIES = {"random": RandomSearch, "evolution": Evolution}

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """What is known of all cells, in the table's order: found by their operations."""

    rows: dict[tuple[str, ...], int]
    seen: Scores
    judged: Scores
    scores: dict[str, Scores]

    @classmethod
    def read(cls, data: Path) -> Table:
        """Return the table, with synflow computed where that was never done."""
        with np.load(data / "nas/nasbench201.npz", allow_pickle=False) as file:
            table = {name: file[name] for name in file.files}
        names = table["ops"].tolist()
        cells = [tuple(names[index] for index in row) for row in table["arch"]]
        if not SYNFLOW.exists():
            np.save(SYNFLOW, synflows(cells, data))
        scores = {
            "parameters": table["params_c10"].astype(np.float64),
            "multiplications": table["conv_macs_c10"].astype(np.float64),
            "synflow": np.load(SYNFLOW).astype(np.float64),
        }
        rows = {operations: row for row, operations in enumerate(cells)}
        return cls(rows, table["cifar100_val12"].astype(float), table["cifar100_test200"].astype(float), scores)

    def row(self, architecture: Cell) -> int:
        """Return where a cell stands."""
        return self.rows[architecture.operations]


def synflows(cells: list[tuple[str, ...]], data: Path) -> NDArray[np.float32]:
    """Return synflow of cells in the small skeleton."""
    batch = batch_of(data / "images/cifar10_small.npz", SMALL.pixels, SMALL.batch)
    networks = (build_network(cell(list(operations), SMALL), spec(SMALL.pixels), CLASSES, 0) for operations in cells)
    return np.array([synflow(network, *batch) for network in networks], np.float32)


def search(table: Table, strategy: str, by: str | None, seed: int) -> list[float]:
    """Return the regrets of a search at all budgets."""
    suggester: Suggester[Cell] = STRATEGIES[strategy](SPACE, Plan(1, seed))
    if by is not None:
        suggester = Filtered(suggester, lambda one: float(table.scores[by][table.row(one)]))
    regrets, answer = list[float](), -1
    for number in range(max(BUDGETS)):
        chosen = suggester.suggest(number)
        row = table.row(chosen)
        suggester.begin(number, chosen)
        suggester.observe(Result(Proposal(number, chosen, 0, 1, 1), 100.0 - float(table.seen[row]), ended=True))
        answer = row if answer < 0 or table.seen[row] > table.seen[answer] else answer
        if number + 1 in BUDGETS:
            regrets.append(float(table.judged.max() - table.judged[answer]))
    return regrets


def replayed(table: Table) -> pd.DataFrame:
    """Return the regrets of all searches."""
    rows: list[dict[str, Any]] = []
    for strategy in STRATEGIES:
        for by in (None, *table.scores):
            for seed in range(SEEDS):
                found = zip(BUDGETS, search(table, strategy, by, seed), strict=True)
                name = "no filter" if by is None else f"{by}, best of {TRIED}"
                rows += [
                    {"strategy": strategy, "filter": name, "seed": seed, "trainings": budget, "regret": round(regret, 3)}
                    for budget, regret in found
                ]
    return pd.DataFrame(rows)


def markdown(frame: pd.DataFrame) -> str:
    """Return the mean regrets, and the paired differences from no filter."""
    rng = np.random.default_rng(0)
    lines = [
        "| strategy | filter | " + " | ".join(f"{budget} trainings" for budget in BUDGETS) + " |",
        "|---|---|" + "--:|" * len(BUDGETS),
    ]
    for strategy, own in frame.groupby("strategy", sort=False):
        plain = own[own["filter"] == "no filter"].pivot_table(index="seed", columns="trainings", values="regret")
        for name, part in own.groupby("filter", sort=False):
            regret = part.pivot_table(index="seed", columns="trainings", values="regret")
            cells = []
            for budget in BUDGETS:
                difference = (regret[budget] - plain[budget]).to_numpy()
                low, high = np.quantile(rng.choice(difference, (10_000, SEEDS)).mean(1), (0.025, 0.975))
                cells.append(f"{regret[budget].mean():.2f}" + ("" if name == "no filter" else f" ({low:+.2f}, {high:+.2f})"))
            lines.append(f"| {strategy} | {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Replay, and write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    with one_thread():
        frame = replayed(Table.read(parser.parse_args().data))
    frame.to_csv(HERE / "replay.csv", index=False)
    (HERE / "replay.md").write_text(markdown(frame))
    print(markdown(frame))


if __name__ == "__main__":
    main()
