"""A search on a made-up Ray cluster of which a node is killed, and another joins later, beside the same search left alone.

    python -m results.ray.faults measure            # dead nodes are found within two seconds, as in our tests
    python -m results.ray.faults measure --plain    # with Ray's own settings
    python -m results.ray.faults table              # writes faults.md

`automl.search` with 48 random configurations of a user's family, a multilayer perceptron that sleeps for two seconds when it is
built and is then trained for two epochs, on two nodes of two CPUs each. Undisturbed; then once more, and a node is killed
(`remove_node(allow_graceful=False)`) when a quarter of the trials are done, and another one joins when half of them are.

Ideal time: when the seconds of all trials (baselines too, as the disturbed search recorded them) would be done if each slot that
is there were always at work, from the moment at which the first trial began. So the time until the death is noticed, what was
lost with the node, the libraries that workers load, on the new node too, and the end come on top; the start doesn't.
Beside it stands by how much the disturbed search took longer than the undisturbed one than the slots that were missing explain.
Equal: status, score, epochs, parameters and the whole curve of each configuration. Lost: a trial that had ended before the death,
and isn't on the record with the outcome that it had then.

Appends to faults.csv beside this script.
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

import automl
from automl.executors.ray_setup import set_up
from automl.progress import Progress
from automl.store import Record
from automl.trial import Outcome
from results.comparing import Row, append, read, table
from results.ray.common import HERE, LOOPBACK, QUICK, SEED, load, machine, tiny_data
from search_spaces.language import Architecture, Choice, Int
from search_spaces.mlp import MLP, Plain
from search_spaces.spec import Inputs, Outputs

TRIALS, SLEEP = 48, 2.0
KILL, JOIN = TRIALS // 4, TRIALS // 2  # trials that have ended
CPUS = 2  # of each node


class Slow(Architecture):
    """A small perceptron that takes its time."""

    width: int = Int(8, 64)
    normalisation: str = Choice("none", "batch")

    def build(self, inputs: Inputs, outputs: Outputs) -> nn.Module:
        """Return the network, later."""
        time.sleep(SLEEP)
        return MLP(blocks=(Plain(width=self.width),)).build(inputs, outputs)


@dataclass
class Trouble:
    """A callback that kills a node, and lets another join.

    folder: of the search. moments: `time.time()` of what happened. done: what had ended just before. news: what the search said.
    """

    made: Any
    victim: Any
    folder: Path
    moments: dict[str, float] = field(default_factory=dict)
    done: dict[int, tuple[Outcome, ...]] = field(default_factory=dict)
    news: list[str] = field(default_factory=list)

    def __call__(self, progress: Progress) -> None:
        """Do what is due."""
        self.news += progress.news
        if any("again" in line for line in progress.news):
            self.moments.setdefault("noticed", time.time())
        is_busy = all(len(place.running) == CPUS for place in progress.nodes)  # or nothing might be lost with the node
        if progress.ended >= KILL and is_busy and "killed" not in self.moments:
            self.done = outcomes_of(automl.SearchResult.open(self.folder, [Slow]).run.store.records())
            self.moments["killed"] = time.time()
            self.made.remove_node(self.victim, allow_graceful=False)
        if progress.ended >= JOIN and "killed" in self.moments and "joined" not in self.moments:
            self.made.add_node(num_cpus=CPUS)  # meanwhile the search stands still, too
            self.moments["joined"] = time.time()


def outcomes_of(records: Iterable[Record]) -> dict[int, tuple[Outcome, ...]]:
    """Return the outcomes of what has ended, by the number of the first trial."""
    return {record.trials[0].number: record.outcomes for record in records if record.outcomes}


@dataclass(frozen=True)
class Search:
    """What a search left: from `time.time()` to `time.time()`."""

    began: float
    ended: float
    records: list[Record]

    @property
    def work(self) -> float:
        """Seconds of all trials."""
        return sum(outcome.seconds for record in self.records for outcome in record.outcomes)

    @property
    def first(self) -> float:
        """When the first trial began."""
        return min(record.ended - sum(o.seconds for o in record.outcomes) for record in self.records if record.ended is not None)

    @property
    def board(self) -> dict[int, list[tuple[object, ...]]]:
        """What is comparable of each configuration, by its number."""
        return {
            record.proposal.number: [(o.status, o.score, o.epochs, o.best_epoch, o.parameters, o.curve) for o in record.outcomes]
            for record in self.records
            if not isinstance(record.proposal, str)
        }


def searched(address: str, folder: Path, *callbacks: Trouble) -> Search:
    """Search in a folder, and return what came of it."""
    began = time.time()
    result = automl.search(
        tiny_data(),
        target="y",
        families=[Slow],
        strategy="random",
        schedule="full",
        n_trials=TRIALS,
        epochs=2,
        folds=1,
        seed=SEED,
        cluster=address,
        out=folder,
        callbacks=list(callbacks),
        verbose=False,
    )
    return Search(began, time.time(), result.run.store.records())


def ideal(work: float, began: float, moments: dict[str, float]) -> float:
    """Return the seconds from the begin in which slots that are always at work do this work."""
    killed, joined = moments["killed"] - began, moments["joined"] - began
    before, between = 2 * CPUS * killed, CPUS * (joined - killed)
    if work <= before + between:
        return killed + (work - before) / CPUS
    return joined + (work - before - between) / (2 * CPUS)


def measured(*, plain: bool) -> Row:
    """Return the figures of both searches."""
    os.environ.update(LOOPBACK if plain else LOOPBACK | QUICK)
    set_up("auto")
    from ray.cluster_utils import Cluster as MadeUpCluster

    before = load()
    made: Any = MadeUpCluster(initialize_head=True, head_node_args={"num_cpus": CPUS, "include_dashboard": False})
    try:
        with tempfile.TemporaryDirectory() as folder:
            trouble = Trouble(made, made.add_node(num_cpus=CPUS), Path(folder) / "stormy")
            calm = searched(made.address, Path(folder) / "calm")
            stormy = searched(made.address, Path(folder) / "stormy", trouble)
    finally:
        made.shutdown()
    moments, kept = trouble.moments, outcomes_of(stormy.records)
    wall, least = stormy.ended - stormy.first, ideal(stormy.work, stormy.first, moments)
    missing = (moments["joined"] - moments["killed"]) / 2
    return {
        "settings": "Ray's own" if plain else "quick",
        "trials": len(stormy.board),
        "work_s": round(stormy.work, 2),
        "start_s": round(stormy.first - stormy.began, 2),
        "undisturbed_ideal_s": round(calm.work / (2 * CPUS), 2),
        "undisturbed_s": round(calm.ended - calm.first, 2),
        "killed_at_s": round(moments["killed"] - stormy.first, 2),
        "noticed_after_s": round(moments.get("noticed", math.nan) - moments["killed"], 2),
        "joined_at_s": round(moments["joined"] - stormy.first, 2),
        "ideal_s": round(least, 2),
        "wall_s": round(wall, 2),
        "beyond_ideal_s": round(wall - least, 2),
        "beyond_undisturbed_s": round(wall - (calm.ended - calm.first) - missing, 2),
        "ran_again": sum("again" in line for line in trouble.news),
        "done_before": len(trouble.done),
        "lost": sum(kept.get(number) != outcomes for number, outcomes in trouble.done.items()),
        "equal": sum(stormy.board.get(number) == outcomes for number, outcomes in calm.board.items()),
        "load_before": before,
    }


def page() -> str:
    """Return the table: a column for each measurement."""
    rows = read(HERE / "faults.csv")
    cells = [[name.replace("_s", " (s)") if name.endswith("_s") else name, *(row[name] for row in rows)] for name in rows[0]]
    cells = [[str(cell).replace("_", " ") for cell in line] for line in cells]
    return "\n".join(["# A node killed in mid-search, another added\n", machine() + ".\n", table(cells[0], cells[1:])])


def main() -> None:
    """Read the command line, and measure or write the table."""
    parser = argparse.ArgumentParser(description="Kill a node in mid-search, and add another.")
    parser.add_argument("what", choices=("measure", "table"))
    parser.add_argument("--plain", action="store_true", help="leave Ray's settings as they are")
    given = parser.parse_args()
    if given.what == "table":
        (HERE / "faults.md").write_text(page())
    else:
        row = measured(plain=given.plain)
        append(HERE / "faults.csv", [row])
        print(row)


if __name__ == "__main__":
    main()
