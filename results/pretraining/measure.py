"""Measure whether pretraining helps a network that has few labelled rows.

For each table and seed: some rows with labels, others without, and others to be scored, drawn at random (none is in two parts).
The network is the default MLP with the default recipe for so many rows; it is trained on the labelled rows for a fixed number of
epochs, and its last weights are scored by their accuracy. What differs is the pretraining before that, of the same weights:

- plain, denoising (masking a fifth of the values), layerwise (denoising, stage by stage): on the labelled rows, which is what
  `automl.search` offers, as its fit rows are all labelled;
- "unlabelled": denoising and layerwise on the labelled and the unlabelled rows, of which the labels play no part. No option of
  a search does this: it says what pretraining could bring if rows without labels were taken.

Columns are scaled by what the labelled rows say, in all of them. Differences to no pretraining are paired by seed: same rows,
same weights to begin with, same batches. Intervals are Student's, 95 %, over the seeds; a difference counts as shown where the
interval at 95 % for all comparisons together (Bonferroni) leaves out 0.

    python results/pretraining/measure.py TABLES_FOLDER              # 10 seeds; some minutes
    python results/pretraining/measure.py TABLES_FOLDER --seeds 3 --only splice

TABLES_FOLDER holds adult.csv, letter.csv and splice.csv, none of which was used to choose a default. Writes results.json (raw)
and results.md (table) beside this script.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from automl.data.statistics import describe_inputs, describe_outputs
from automl.metrics import metric
from automl.task import DataOptions, Fold, Task, make_task
from automl.training.clock import Clock
from automl.training.learner import Learner, own_randomness
from automl.training.loop import train_epoch
from automl.training.networks import CPU, one_thread, predict_network
from automl.training.pretraining import pretrain
from automl.training.rows import Rows
from search_spaces.configuration import space_for
from search_spaces.mlp import MLP
from search_spaces.pretraining import Autoencoding, Masking, NoNoise, NoPretraining, Pretraining

HERE = Path(__file__).parent
TABLES = {"adult": "income", "letter": "class", "splice": "Class"}
MOST_ROWS = 8000  # of a table
SCORED, UNLABELLED = 1500, 1000
EPOCHS = 100  # of training, and of pretraining on labelled rows
FEWER_EPOCHS = 20  # of pretraining on all rows, which are about ten times as many
ARMS: dict[str, tuple[Pretraining, bool]] = {
    "none": (NoPretraining(), False),
    "plain": (Autoencoding(noise=NoNoise(), epochs=EPOCHS), False),
    "denoising": (Autoencoding(noise=Masking(), epochs=EPOCHS), False),
    "layerwise": (Autoencoding(noise=Masking(), epochs=EPOCHS, layerwise=True), False),
    "denoising, unlabelled": (Autoencoding(noise=Masking(), epochs=FEWER_EPOCHS), True),
    "layerwise, unlabelled": (Autoencoding(noise=Masking(), epochs=FEWER_EPOCHS, layerwise=True), True),
}


@dataclass(frozen=True)
class Draw:
    """The rows of one seed: with labels, without, and to be scored."""

    labelled: np.ndarray[Any, np.dtype[np.int64]]
    unlabelled: np.ndarray[Any, np.dtype[np.int64]]
    scored: np.ndarray[Any, np.dtype[np.int64]]


def task_of(path: Path, target: str) -> Task:
    """Return a table as a task, of which only the features and the target are used."""
    frame = pd.read_csv(path)
    return make_task(frame.sample(min(len(frame), MOST_ROWS), random_state=0), DataOptions(target=target, seed=0))


def draw(task: Task, labelled: int, seed: int) -> Draw:
    """Return the rows of a seed."""
    order = np.random.default_rng(seed).permutation(len(task.target))
    first, second, third, _ = np.split(order, np.cumsum([labelled, UNLABELLED, SCORED]))
    return Draw(np.sort(first), np.sort(second), np.sort(third))


def score(task: Task, rows: Draw, arm: str, seed: int) -> dict[str, float]:
    """Return what one training gives."""
    outputs = describe_outputs(task, rows.labelled)
    inputs = describe_inputs(task.features, rows.labelled, task.encoder, task.target, outputs)
    fold, (how, with_unlabelled) = Fold(rows.labelled, rows.scored, inputs, outputs), ARMS[arm]
    configuration = space_for(inputs, outputs, task.losses, (MLP,)).default()
    configuration = replace(configuration, recipe=replace(configuration.recipe, pretraining=how))
    seen = np.sort(np.concatenate([rows.labelled, rows.unlabelled])) if with_unlabelled else rows.labelled
    began = time.process_time()
    with one_thread(), own_randomness(CPU):
        learner = Learner(configuration, fold.inputs, fold.outputs, seed, CPU)
        errors = pretrain(learner, Rows.of(task, seen, outputs, CPU), seed, Clock(None)).errors
        pretraining = time.process_time() - began
        labelled = Rows.of(task, rows.labelled, outputs, CPU)
        for epoch in range(1, EPOCHS + 1):
            train_epoch(learner, labelled, epoch, EPOCHS, Clock(None))
        seconds = time.process_time() - began
        predictions = predict_network(learner.judged.eval(), task.features, outputs, rows.scored)
    accuracy = metric("accuracy", task.kind).score(task.target[rows.scored], predictions)
    found = {"accuracy": accuracy, "seconds": seconds, "pretraining seconds": pretraining}
    return {**found, "first error": errors[0][0], "last error": errors[-1][-1]} if errors else found


def compared(found: dict[str, list[dict[str, float]]], comparisons: int) -> list[dict[str, Any]]:
    """Return for each way of pretraining its mean accuracy and the paired difference to none, with intervals."""
    base = np.array([row["accuracy"] for row in found["none"]])
    rows: list[dict[str, Any]] = []
    for arm, runs in found.items():
        accuracy = np.array([row["accuracy"] for row in runs])
        row = {"arm": arm, "accuracy": float(accuracy.mean()), "seconds": float(np.mean([run["seconds"] for run in runs]))}
        if arm != "none":
            difference = accuracy - base
            spread = float(difference.std(ddof=1) / np.sqrt(len(difference)))
            single, every = (float(stats.t.ppf(1 - 0.025 / many, len(difference) - 1)) * spread for many in (1, comparisons))
            mean = float(difference.mean())
            shown = "helps" if mean > every else "harms" if mean < -every else "not shown"
            row |= {"difference": mean, "low": mean - single, "high": mean + single, "verdict": shown}
        rows.append(row)
    return rows


def line(table: str, labelled: int, row: dict[str, Any]) -> str:
    """Return a row of the Markdown table."""
    cells = [table, str(labelled), row["arm"], f"{row['accuracy']:.4f}"]
    cells += [f"{row['difference']:+.4f}", f"{row['low']:+.4f} to {row['high']:+.4f}"] if "difference" in row else ["", ""]
    cells += [row.get("verdict", ""), f"{row['seconds']:.2f}"]
    return f"| {' | '.join(cells)} |"


def machine() -> str:
    """Return what it ran on."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "pandas", "scipy"))
    return f"{platform.machine()}, one thread, Python {platform.python_version()}, {libraries}"


def write(found: dict[tuple[str, int], dict[str, list[dict[str, float]]]], seeds: int, options: argparse.Namespace) -> None:
    """Write what was measured so far."""
    comparisons = len(options.only) * len(options.labelled) * (len(ARMS) - 1)
    raw = [{"table": table, "labelled": labelled, "runs": runs} for (table, labelled), runs in found.items()]
    (HERE / "results.json").write_text(json.dumps({"machine": machine(), "seeds": seeds, "sets": raw}, indent=1) + "\n")
    sizes = " ".join(map(str, options.labelled))
    command = f"`python results/pretraining/measure.py TABLES_FOLDER --seeds {seeds} --labelled {sizes}`"
    text = [f"{command}; what is measured, and how: see the script. Seconds are of the CPU: a training and its pretraining.", ""]
    text += ["| table | labelled rows | pretraining | accuracy | difference to none | 95 % interval | shown | seconds |"]
    text += ["|---|--:|---|--:|--:|--:|---|--:|"]
    for (table, labelled), runs in found.items():
        text += [line(table, labelled, row) for row in compared(runs, comparisons)]
    (HERE / "results.md").write_text("\n".join([*text, "", machine(), ""]))


def main() -> None:
    """Measure all arms on all tables, and write after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--labelled", type=int, nargs="+", default=[100])
    parser.add_argument("--only", nargs="+", default=list(TABLES))
    options = parser.parse_args()
    found: dict[tuple[str, int], dict[str, list[dict[str, float]]]] = {}
    for table in options.only:
        task = task_of(options.tables / f"{table}.csv", TABLES[table])
        for labelled in options.labelled:
            draws = [draw(task, labelled, seed) for seed in range(options.seeds)]
            found[table, labelled] = {arm: [score(task, rows, arm, i) for i, rows in enumerate(draws)] for arm in ARMS}
            for row in compared(found[table, labelled], len(options.only) * len(options.labelled) * (len(ARMS) - 1)):
                print(line(table, labelled, row), flush=True)
            write(found, options.seeds, options)


if __name__ == "__main__":
    main()
