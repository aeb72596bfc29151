"""What the comparisons of search strategies share: who leads at a budget, cells of raw figures, bootstrap intervals, ranks.

A cell is a task and a seed. All figures are lower-is-better. A mean is that over tasks of each task's mean over its seeds.
Intervals are of 95 %, from 2,000 bootstrap samples: tasks are drawn, then seeds within each of them (seeds alone where there are
too few tasks to draw from). Differences are paired by cell, over the cells that both have.
"""

from __future__ import annotations

import csv
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TypeAlias

import numpy as np

from automl.simulation import Event, Simulation
from automl.strategies.base import F, Schedule

SAMPLES = 2000
LEVEL = (0.025, 0.975)
FEW_TASKS = 3

Cell: TypeAlias = tuple[str, int]
Figures: TypeAlias = Mapping[Cell, float]
Row: TypeAlias = dict[str, object]


@dataclass(frozen=True)
class Standing:
    """Who leads at a budget: the configuration with the best loss observed among the longest trainings so far.

    stop: the epochs of the longest trainings. trials: configurations of which something was observed.
    """

    configuration: object
    stop: int
    trials: int


@dataclass(frozen=True)
class Interval:
    """A mean with its bootstrap interval, over so many cells."""

    mean: float
    low: float
    high: float
    cells: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"

    @property
    def signed(self) -> str:
        """The interval as text, of a difference."""
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def standings(events: Sequence[Event[F]], budgets: Sequence[float]) -> list[Standing | None]:
    """Return who leads at each budget (ascending, in what trainings cost); None where nothing has a loss by then."""
    found: list[Standing | None] = []
    leader: Standing | None = None
    best, stop, at = np.inf, 0, 0
    seen: set[int] = set()
    for budget in budgets:
        while at < len(events) and events[at].spent <= budget + 1e-6:
            result, at = events[at].result, at + 1
            seen.add(result.proposal.number)
            reached = (-result.proposal.stop, np.inf if result.loss is None else result.loss)
            if result.loss is not None and reached < (-stop, best):
                stop, best = result.proposal.stop, result.loss
                leader = Standing(result.proposal.configuration, stop, 0)
        found.append(None if leader is None else Standing(leader.configuration, leader.stop, len(seen)))
    return found


def seconds_of(simulation: Simulation[F]) -> float:
    """Return the seconds of real time that the strategy took."""
    return sum(simulation.asks) + sum(simulation.tells)


def split_name(name: str) -> tuple[str, Schedule]:
    """Return strategy and schedule of a name like `tpe/full`; the schedule is "auto" where none is given."""
    strategy, _, schedule = name.partition("/")
    assert schedule in {"", "auto", "full", "halving", "hyperband", "median"}, f"no schedule {schedule!r}"
    return strategy, schedule or "auto"  # type: ignore[return-value]


def run_cells(
    path: Path, cells: Sequence[tuple[str, str, int]], measure: Callable[[str, str, int], Iterable[Row]], last: int, share: str
) -> None:
    """Append the rows of each cell (strategy, task, seed) to a file, but for those of which there is a row for the budget `last`.

    share: "1/2" takes every other cell, so that two processes can work at the same time.
    """
    part, parts = map(int, share.split("/"))
    finished = {(row["strategy"], row["task"], int(row["seed"])) for row in read(path) if int(row["budget"]) >= last}
    for strategy, task, seed in cells[part - 1 :: parts]:
        if (strategy, task, seed) not in finished:
            rows = list(measure(strategy, task, seed))
            append(path, rows)
            print(*rows[-1].values(), flush=True)


def read(path: Path) -> list[dict[str, str]]:
    """Return the rows of a file; none where it isn't there."""
    if not path.exists():
        return []
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def append(path: Path, rows: Sequence[Row]) -> None:
    """Append rows to a file, below a header."""
    is_new = not path.exists()
    with path.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        if is_new:
            writer.writeheader()
        writer.writerows(rows)


def interval(figures: Figures) -> Interval:
    """Return the mean of figures and its interval, drawn anew in each of `SAMPLES` bootstrap samples."""
    tasks = sorted({task for task, _ in figures})
    groups = [np.array([value for (name, _), value in sorted(figures.items()) if name == task]) for task in tasks]
    chance = np.random.default_rng(0)
    means = np.stack([group[chance.integers(len(group), size=(SAMPLES, len(tasks), len(group)))].mean(2) for group in groups])
    drawn = np.broadcast_to(np.arange(len(tasks)), (SAMPLES, len(tasks)))
    if len(tasks) > FEW_TASKS:
        drawn = chance.integers(len(tasks), size=(SAMPLES, len(tasks)))
    samples = means[drawn, np.arange(SAMPLES)[:, None], np.arange(len(tasks))].mean(1)
    low, high = np.quantile(samples, LEVEL)
    return Interval(float(np.mean([group.mean() for group in groups])), float(low), float(high), len(figures))


def difference(ours: Figures, theirs: Figures) -> Interval | None:
    """Return how much lower (below 0) or higher ours are than theirs, over the cells that both have; None without such cells."""
    both = {cell: value - theirs[cell] for cell, value in ours.items() if cell in theirs}
    return interval(both) if both else None


def ranks(figures: Mapping[str, Figures]) -> dict[str, dict[Cell, float]]:
    """Return the rank of each name in each cell that all have, from 1; equal figures share their mean rank."""
    cells = set.intersection(*(set(values) for values in figures.values()))
    found: dict[str, dict[Cell, float]] = {name: {} for name in figures}
    for cell in cells:
        values = np.array([of[cell] for of in figures.values()])
        for name, value in zip(figures, values, strict=True):
            found[name][cell] = 1 + float((values < value).sum()) + ((values == value).sum() - 1) / 2
    return found


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def machine() -> str:
    """Return what the figures were made with."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "scipy", "scikit-learn", "optuna"))
    return f"{platform.machine()}, 2 CPU cores, one thread for each process, Python {platform.python_version()}, {libraries}"
