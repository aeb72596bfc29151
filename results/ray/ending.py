"""How long machines stand idle at the end of a search, with and without a backlog of which the longest goes first.

    python -m results.ray.ending collect --networks 200 --data images
    python -m results.ray.ending collect --networks 200 --data table
    python -m results.ray.ending replay
    python -m results.ray.ending table         # writes ending.md

collect: trains random networks of all families for images, or for tables, on scikit-learn's digits, one epoch each, one after the
other, and writes what they are and how long they took to ending-images.jsonl and ending-table.jsonl beside this script.

replay: puts these trainings, in random orders, on 4, 8 and 32 made-up workers in simulated time. Half as many as run wait, as on
a Ray cluster. The backlog is the search's own (`automl.backlog`), with durations learnt as trainings end. `none`, only where
trials are counted: proposals begin as they come. `median`: all new networks are taken to be equally long, as if they were
of a user's own family. `known`: the true durations, the best that any forecast could do.

trials: a search of 5 and of 20 trainings for each worker. Figure: the wall time by the sum of all durations through the workers,
less 1. time: a search of as much time as 5 and 20 trainings take on average, with as many proposals as it wants. Figure: the
share of all workers' time that was idle or went into trainings that the end cut off.

Appends to ending.csv.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import math
import random
import statistics
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import automl
from automl.backlog import Backlog
from automl.durations import Durations
from automl.executors.ray import AHEAD
from automl.strategies.base import Proposal
from automl.task import Fold
from automl.trial import Outcome
from results.comparing import Row, append, read, table
from results.ray.common import HERE, machine
from search_spaces.configuration import FAMILIES, Configuration

DATA = ("images", "table")
WORKERS = (4, 8, 32)
EACH = (5, 20)
ORDERS, SEED = 20, 0
PATIENCE = 5  # proposals that don't fit, before no more are asked for until something ends
SPARE = 30  # times as many proposals as fit on average
LIMITS = {
    "trials": "A number of trials: overshoot, the mean of all orders (the same in a line) and its standard error.",
    "time": "A time limit: the share of the workers' time that was idle or cut off.",
}
BACKLOGS = ("none", "median", "ours", "known")


@dataclass(frozen=True)
class Training:
    """A network, its number of parameters, and the seconds that an epoch of it took."""

    configuration: Configuration
    parameters: int
    seconds: float


def digits(data: str) -> Any:
    """Return scikit-learn's digits: images (1797, 8, 8) of bytes and what they show, or a table of 64 columns and a target."""
    from sklearn.datasets import load_digits

    if data == "table":
        return load_digits(as_frame=True).frame
    loaded = load_digits()
    return loaded.images.astype("uint8"), loaded.target


def target(data: str) -> str | None:
    """Return the column to learn."""
    return "target" if data == "table" else None


def collect(data: str, networks: int) -> None:
    """Train networks, and write what they took."""
    with tempfile.TemporaryDirectory() as folder:
        result = automl.search(
            digits(data),
            target=target(data),
            n_trials=networks,
            epochs=1,
            folds=1,
            strategy="random",
            schedule="full",
            portfolio=False,
            baselines=False,
            workers=1,
            seed=SEED,
            out=Path(folder) / "run",
        )
        with (HERE / f"ending-{data}.jsonl").open("w", encoding="utf-8") as file:
            for record in result.run.store.records():
                if isinstance(record.proposal, Proposal) and record.outcomes and record.outcomes[0].curve:
                    (outcome,) = record.outcomes
                    took = {"seconds": outcome.seconds, "parameters": outcome.parameters}
                    file.write(json.dumps({**took, "configuration": record.proposal.configuration.to_dict()}) + "\n")


def trainings(data: str) -> list[Training]:
    """Return what `collect` wrote."""
    lines = [json.loads(line) for line in (HERE / f"ending-{data}.jsonl").read_text(encoding="utf-8").splitlines()]
    return [
        Training(Configuration.from_dict(line["configuration"], FAMILIES), line["parameters"], line["seconds"]) for line in lines
    ]


def backlog_of(kind: str, drawn: list[Training], fold: Fold) -> Backlog:
    """Return a backlog of one of `BACKLOGS`."""
    durations = Durations(fold if kind == "ours" else None)
    if kind == "known":
        for number, training in enumerate(drawn):
            durations.learn(proposal_of(number, training), [outcome_of(number, training)])
    return Backlog(len(drawn), durations)


def proposal_of(number: int, training: Training) -> Proposal:
    """Return the proposal of one epoch."""
    return Proposal(number, training.configuration, 0, 1, 1)


def outcome_of(number: int, training: Training) -> Outcome:
    """Return what came of it."""
    return Outcome(number, "finished", score=0.5, seconds=training.seconds, curve=((1, 0.5),), parameters=training.parameters)


@dataclass
class Machines:
    """Workers in simulated time. busy: (when it ends, number) of what is trained; queue: what waits at the workers."""

    workers: int
    drawn: list[Training]
    now: float = 0.0
    busy: list[tuple[float, int]] = field(default_factory=list)
    queue: deque[Proposal] = field(default_factory=deque)

    @property
    def free(self) -> int:
        """Places less what waits for one."""
        return self.workers - len(self.busy) - len(self.queue)

    @property
    def room(self) -> int:
        """Places, and those for what waits."""
        return self.free + max(1, self.workers // AHEAD)

    def begin(self, proposals: Iterable[Proposal]) -> None:
        """Take proposals, and begin what there is a place for."""
        self.queue.extend(proposals)
        while self.queue and len(self.busy) < self.workers:
            number = self.queue.popleft().number
            heapq.heappush(self.busy, (self.now + self.drawn[number].seconds, number))

    def end(self, backlog: Backlog) -> int:
        """Let the next training end."""
        self.now, ended = heapq.heappop(self.busy)
        backlog.durations.learn(proposal_of(ended, self.drawn[ended]), [outcome_of(ended, self.drawn[ended])])
        return ended


def ask(backlog: Backlog, proposals: list[Proposal], wanting: int) -> None:
    """Let proposals wait that were thought of in no time."""
    backlog.learn_thinking(0.0, len(proposals), wanting)
    for proposal in proposals:
        backlog.add(proposal)


def fed(machines: Machines, backlog: Backlog, coming: Iterator[Proposal], left: float, places: int) -> None:
    """Begin what waits and ask for more, as the study does after something ended: until too many in a row don't fit."""
    dropped, is_hopeless = backlog.dropped, False
    while True:
        begun = backlog.take(machines.room, machines.free, places, left)
        machines.begin(begun)
        is_hopeless |= backlog.dropped >= dropped + PATIENCE
        wanting = 0 if is_hopeless else backlog.wanting(machines.room, left)
        asked = list(itertools.islice(coming, wanting))
        if wanting:
            ask(backlog, asked, wanting)
        if not begun and not asked:
            return


def counted(backlog: Backlog, workers: int, drawn: list[Training], *, is_sorted: bool) -> float:
    """Return the overshoot of a search of these trainings, proposed in this order."""
    machines, coming = Machines(workers, drawn), (proposal_of(*pair) for pair in enumerate(drawn))
    places = workers if is_sorted else 1
    fed(machines, backlog, coming, math.inf, places=places)
    while machines.busy:
        machines.end(backlog)
        fed(machines, backlog, coming, math.inf, places=places)
    assert not backlog.waiting
    return machines.now * workers / sum(training.seconds for training in drawn) - 1


def timed(backlog: Backlog, workers: int, drawn: list[Training], limit: float) -> float:
    """Return the share of the workers' time in which nothing was trained to its end, within a limit in seconds."""
    machines, coming, finished = Machines(workers, drawn), (proposal_of(*pair) for pair in enumerate(drawn)), 0.0
    fed(machines, backlog, coming, limit, places=workers)
    while machines.busy and machines.busy[0][0] <= limit:
        finished += drawn[machines.end(backlog)].seconds
        fed(machines, backlog, coming, limit - machines.now, places=workers)
    return 1 - finished / (workers * limit)


def replay() -> None:
    """Replay all orders on all numbers of workers, and append."""
    from automl.data.options import DataOptions
    from automl.task import make_task

    for data in DATA:
        found, fold = trainings(data), make_task(digits(data), DataOptions(target=target(data), folds=1)).folds[0]
        mean = statistics.mean(training.seconds for training in found)
        for limit, workers, each, kind in itertools.product(LIMITS, WORKERS, EACH, BACKLOGS):
            figures = []
            for order in range(ORDERS if (limit, kind) != ("time", "none") else 0):
                count = each * workers * (1 if limit == "trials" else SPARE)
                drawn = random.Random(f"{SEED}/{order}").choices(found, k=count)
                backlog = backlog_of(kind, drawn, fold)
                if limit == "trials":
                    figures.append(counted(backlog, workers, drawn, is_sorted=kind != "none"))
                else:
                    backlog.n_trials = None
                    figures.append(timed(backlog, workers, drawn, each * mean))
            if figures:
                append(HERE / "ending.csv", [row_of((data, limit, workers, each, kind), figures)])
                print(data, limit, workers, each, kind, round(statistics.mean(figures), 4), flush=True)


def row_of(group: tuple[str, str, int, int, str], figures: list[float]) -> Row:
    """Return the row of a file for orders that gave these figures."""
    mean, error = statistics.mean(figures), statistics.stdev(figures) / math.sqrt(len(figures))
    named = dict(zip(("data", "limit", "workers", "each", "backlog"), group, strict=True))
    return {**named, "orders": len(figures), "figure": round(mean, 4), "error": round(error, 4)}


def page() -> str:
    """Return the tables."""
    parts = ["# How long machines stand idle at the end of a search\n", f"{machine()}.\n"]
    rows = read(HERE / "ending.csv")
    for data in DATA:
        seconds = [training.seconds for training in trainings(data)]
        shortest, middle, longest = min(seconds), statistics.median(seconds), max(seconds)
        spread = statistics.stdev(map(math.log, seconds))
        took = f"{shortest:.2f} to {longest:.2f} s, median {middle:.2f}, standard deviation of the logarithm {spread:.2f}"
        parts.append(f"## Digits as {data}: {len(seconds)} networks, {took}\n")
        for limit, said in LIMITS.items():
            shown: dict[tuple[str, str], dict[str, str]] = {}
            for row in rows:
                if (row["data"], row["limit"]) == (data, limit):
                    shown.setdefault((row["workers"], row["each"]), {})[row["backlog"]] = f"{row['figure']} ± {row['error']}"
            cells = [[*group, *(found.get(kind, "") for kind in BACKLOGS)] for group, found in shown.items()]
            parts += [f"{said}\n", table(["workers", "trainings for each", *BACKLOGS], cells)]
    return "\n".join(parts)


def main() -> None:
    """Read the command line, and measure or write the table."""
    parser = argparse.ArgumentParser(description="Measure how long machines stand idle at the end of a search.")
    parser.add_argument("what", choices=("collect", "replay", "table"))
    parser.add_argument("--networks", type=int, default=200)
    parser.add_argument("--data", choices=DATA, default="images")
    given = parser.parse_args()
    if given.what == "collect":
        collect(given.data, given.networks)
    elif given.what == "replay":
        replay()
    else:
        (HERE / "ending.md").write_text(page())


if __name__ == "__main__":
    main()
