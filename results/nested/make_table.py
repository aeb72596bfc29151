"""Train configurations of our own space of multilayer perceptrons on a table once, and record how each went.

The recorded trainings stand in for real ones when search strategies are compared (run.py): thousands of searches in minutes.

The rows are drawn once from the table: 640 fit and 640 choose. The space is the one that a search with halving has on them with
`MLP` alone (`space_for`, schedules cosine and constant), but for layers wider than 256, batches of 32 rows and pretraining, which
would take most of the time. Each configuration is trained for 18 epochs by the project's own training loop, one thread, one seed;
it may stop early, as in a search. Recorded: the decisions, the loss on the choose rows after each epoch (RMSE, or log loss), the
seconds of the CPU, the parameters, what became of it.

Half of the configurations are drawn at random. The other half are near the good ones, so that the region where searches spend
their time is covered too: one to five changes (mutations, moves of blocks) of the default, of one of the best so far (a tenth, at
most 30), or of a crossover of two of them, a third each. Whoever fits a model to the table has to know that it isn't a plain
random sample.

    python -m results.nested.make_table kin8nm.csv --target y
    python -m results.nested.make_table letter.csv --target class

Appends to <table>.jsonl in --out (default: this folder) and goes on where it stopped; when all are there it packs them into
<table>.jsonl.gz, beside <table>.space.json, which is what the space is made of. About a second for each configuration. Seed 0.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from automl.metrics import metric
from automl.task import DataOptions, Task, make_task
from automl.training.course import Span, Trained
from automl.training.loop import train
from automl.training.networks import NetworkFault, one_thread
from search_spaces.configuration import Configuration, space_for
from search_spaces.language import Choice, Infeasible, Int, OneOf, Space
from search_spaces.mlp import MLP
from search_spaces.pretraining import NoPretraining
from search_spaces.storing import space_overrides_to_dict
from search_spaces.variation import crossover, mutate, rearrange, replay, sample

HERE = Path(__file__).parent
FIT, CHOOSE, UNUSED = 640, 640, 100  # a task wants rows for its report; nothing looks at them here
EPOCHS = 18
LIMIT = 300.0  # seconds of a training, which none comes near
WIDEST, BATCHES = 256, (64, 128)
BEST = 30  # at most, and a tenth of all
CHANGES = (1, 5)
DIGITS = 6
METRICS = {"regression": "rmse", "classes": "log_loss"}

Record = dict[str, Any]


def task_of(path: Path, target: str) -> Task:
    """Return the task of FIT and CHOOSE rows of a table, drawn with seed 0."""
    rows = pd.read_csv(path).sample(FIT + CHOOSE + UNUSED, random_state=0).reset_index(drop=True)
    kind = "regression" if rows[target].dtype.kind == "f" else "classes"
    options = DataOptions(target=target, metric=METRICS[kind], validation=rows[FIT:-UNUSED], test=rows[-UNUSED:])
    return make_task(rows[:FIT], options)


def space_of(task: Task) -> Space[Configuration]:
    """Return the space of multilayer perceptrons for a task, with schedules that suit halving, less what takes longest."""
    fold = task.folds[0]
    overrides = {
        "recipe/schedule/kind": Choice("Cosine", "Constant"),
        "recipe/batch_size": Choice(*BATCHES, ordered=True, default=64),
        "recipe/pretraining": OneOf(NoPretraining),
        "architecture/MLP/blocks/*/width": Int(16, WIDEST),
    }
    return space_for(fold.inputs, fold.outputs, task.losses, families=(MLP,), overrides=overrides)


def drawn(space: Space[Configuration], number: int, records: list[Record]) -> tuple[str, Configuration]:
    """Return how a configuration was found, and the configuration; `records` are all with smaller numbers."""
    rng = random.Random(f"nested/{number}")
    if number == 0:
        return "default", space.default()
    if number % 2:
        return "random", sample(space, rng)
    scored = sorted((record for record in records if record["curve"]), key=lambda record: min(record["curve"]))
    best = [replay(space, record["decisions"]) for record in scored[: max(2, min(BEST, len(scored) // 10))]]
    way = rng.choice(("default", "best", "crossover"))
    if way == "crossover" and len(best) > 1:
        parent = crossover(space, *rng.sample(best, 2), rng)
    else:
        parent = rng.choice(best) if way == "best" and best else space.default()
    for _ in range(rng.randint(*CHANGES)):
        change: Callable[..., Configuration] = rearrange if rng.random() < 1 / 4 else mutate
        parent = change(space, parent, rng)
    return f"near {way}", parent


def trained(configuration: Configuration, task: Task, number: int) -> Record:
    """Train once; return what is recorded beside the configuration. curve: the loss after each epoch that was trained."""
    began, clock = time.perf_counter(), time.process_time()
    outcome: Trained | None = None
    try:
        span = Span(number, 0, EPOCHS, EPOCHS, time.time() + LIMIT)
        outcome = train(configuration, task, task.folds[0], span)
        status = str(outcome.ending)
    except Infeasible:
        status = "infeasible"
    except NetworkFault:
        status = "error"
    as_loss = metric(task.metric, task.kind).loss
    curve = [float(f"{as_loss(score):.{DIGITS}g}") for _, score in outcome.curve] if outcome is not None else []
    return {
        "status": status,
        "curve": curve,
        "seconds": round(time.process_time() - clock, 4),
        "elapsed": round(time.perf_counter() - began, 4),
        "parameters": 0 if outcome is None else outcome.parameters,
    }


def rounded(configuration: Configuration, space: Space[Configuration]) -> Configuration:
    """Return the configuration with its numbers rounded, so that the record is short and is what was trained."""
    made = {path: float(f"{value:.4g}") if isinstance(value, float) else value for path, value in configuration.decisions()}
    return space.draw(lambda path, leaf: made[path] if made[path] in leaf else leaf.closest(made[path]))


def run(path: Path, target: str, count: int, out: Path) -> None:
    """Train what is missing of `count` configurations; pack the table when all are there."""
    task = task_of(path, target)
    space, file = space_of(task), out / f"{path.stem}.jsonl"
    stored = {"space": space_overrides_to_dict(space), "epochs": EPOCHS, "metric": task.metric, "rows": [FIT, CHOOSE]}
    (out / f"{path.stem}.space.json").write_text(json.dumps(stored, indent=1) + "\n")
    records: list[Record] = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    with file.open("a") as stream, one_thread():
        for number in range(len(records), count):
            origin, configuration = drawn(space, number, records)
            configuration = rounded(configuration, space)
            made = dict(configuration.decisions())
            records.append({"number": number, "origin": origin, **trained(configuration, task, number), "decisions": made})
            stream.write(json.dumps(records[-1], separators=(",", ":")) + "\n")
            stream.flush()
    with gzip.GzipFile(out / f"{path.stem}.jsonl.gz", "wb", mtime=0) as packed:
        packed.write(file.read_bytes())
    losses = np.array([min(record["curve"]) for record in records if record["curve"]])
    print(
        f"{path.stem}: {len(records)} trained, {len(losses)} with a loss, best {losses.min():.4g}, median {np.median(losses):.4g}"
    )


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description="Train configurations of the space of multilayer perceptrons on a table.")
    parser.add_argument("path", type=Path)
    parser.add_argument("--target", required=True)
    parser.add_argument("--count", type=int, default=1500)
    parser.add_argument("--out", type=Path, default=HERE)
    given = parser.parse_args()
    run(given.path, given.target, given.count, given.out)


if __name__ == "__main__":
    main()
