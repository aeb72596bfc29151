"""What the default of each family for images costs and learns, all with the same seconds of training, beside the baselines.

A family's default is that of the space that a search with this family alone would have: `space_for(..., (family,)).default()`,
architecture, recipe and augmentation narrowed to the images. Each trains for BUDGET seconds of the CPU, one thread: an epoch's
seconds are measured on some batches first, and the schedule is laid over as many epochs as fit (the count is rounded, at least
one). 80 % of x_train are fitted; the other 20 % are scored after each epoch, outside the budget, and choose the best one; its
weights are scored on x_test once. The baselines are fitted on the same 80 %, to their own end. Seconds are of the CPU, which
other processes on the machine change less than those of the clock.

Parameters are counted, and so are multiplications (MACs) for one image in convolutions and matrix products, by torch's flop
counter (which says twice as many) on the meta device: there attention is made of plain products, so they are in, while on a CPU
the counter would leave them out. Normalisation, activations and pooling aren't counted.

    python results/images/families.py IMAGES_FOLDER               # 60 s each, about a quarter of an hour
    python results/images/families.py IMAGES_FOLDER --budget 5 --only mnist_small

IMAGES_FOLDER holds mnist_small.npz (10,000 and 2,000 images) and cifar10_small.npz (5,000 and 1,000). Seed 0: the standard error
of a score on x_test is about 0.003 and 0.015, and other seeds differ besides. Writes families.json (raw) and families.md (table)
beside this script.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from automl.baselines import baseline_names, fit_baseline
from automl.metrics import metric
from automl.task import DataOptions, Fold, Task, make_task
from automl.training.clock import Clock
from automl.training.course import Exam
from automl.training.learner import Learner, own_randomness
from automl.training.loop import train_epoch
from automl.training.networks import CPU, build_network, one_thread, predict_network
from automl.training.rows import Rows
from search_spaces.configuration import FAMILIES, Configuration, families_for, space_for
from search_spaces.language import Architecture
from search_spaces.spec import Image

HERE = Path(__file__).parent
SETS = ("mnist_small", "cifar10_small")
WARM, TIMED = 4, 16  # batches: the first ones are slow, the others are timed
COLUMNS = ("model", "parameters", "MACs", "images a second", "epochs", "seconds of training", "validation", "test")


def macs(architecture: Architecture, fold: Fold) -> int:
    """Return the multiplications in convolutions and matrix products for one image."""
    inputs = fold.inputs
    assert isinstance(inputs, Image)
    with torch.device("meta"):
        network = architecture.build(inputs, fold.outputs).eval()
        image = torch.empty(1, inputs.channels, inputs.height, inputs.width)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    return int(counter.get_total_flops()) // 2


def epoch_seconds(configuration: Configuration, task: Task, seed: int) -> float:
    """Return the seconds of the CPU that training on all fit rows once takes, judged by some batches."""
    fold, size = task.folds[0], configuration.recipe.batch_size
    learner = Learner(configuration, fold.inputs, fold.outputs, seed, CPU)
    warm, timed = (Rows.of(task, fold.fit[: batches * size], fold.outputs, CPU) for batches in (WARM, TIMED))
    train_epoch(learner, warm, 1, 2, Clock(None))
    began = time.process_time()
    train_epoch(learner, timed, 2, 2, Clock(None))
    return (time.process_time() - began) * len(fold.fit) / len(timed)


def trained(configuration: Configuration, task: Task, budget: float, seed: int) -> dict[str, Any]:
    """Return what training for so many seconds gives."""
    fold = task.folds[0]
    with one_thread(), own_randomness(CPU):
        epochs = max(1, round(budget / epoch_seconds(configuration, task, seed)))
        learner = Learner(configuration, fold.inputs, fold.outputs, seed, CPU)
        rows, exam = Rows.of(task, fold.fit, fold.outputs, CPU), Exam.of(task, fold, CPU)
        seconds, curve, best = 0.0, list[float](), learner.judged_weights()
        for epoch in range(1, epochs + 1):
            began = time.process_time()
            train_epoch(learner, rows, epoch, epochs, Clock(None))
            seconds += time.process_time() - began
            curve.append(exam.score(exam.predict(learner.judged)))
            if curve[-1] == max(curve) and curve.count(curve[-1]) == 1:
                best = learner.judged_weights()
        network = build_network(configuration.architecture, fold.inputs, fold.outputs, seed)
        network.load_state_dict(best)
        predictions = predict_network(network, task.features, fold.outputs, task.report)
    return {
        "parameters": learner.size,
        "images a second": epochs * len(fold.fit) / seconds,
        "epochs": epochs,
        "best epoch": int(np.argmax(curve)) + 1,
        "seconds of training": seconds,
        "validation": max(curve),
        "test": metric(task.metric, task.kind).score(task.target[task.report], predictions),
        "curve": curve,
        "configuration": configuration.to_dict(),
    }


def family_row(family: type[Architecture], task: Task, budget: float, seed: int) -> dict[str, Any]:
    """Return the figures of a family's default."""
    fold = task.folds[0]
    configuration = space_for(fold.inputs, fold.outputs, task.losses, (family,)).default()
    return {
        "model": family.__name__,
        "MACs": macs(configuration.architecture, fold),
        **trained(configuration, task, budget, seed),
    }


def baseline_row(name: str, task: Task, seed: int) -> dict[str, Any]:
    """Return the figures of a baseline."""
    fold, scoring = task.folds[0], metric(task.metric, task.kind)
    began = time.process_time()
    fitted = fit_baseline(name, task, fold, seed)
    return {
        "model": name,
        "parameters": fitted.parameters or None,
        "seconds of training": time.process_time() - began,
        "validation": scoring.score(task.target[fold.choose], fitted.predictions),
        "test": scoring.score(task.target[task.report], fitted.report),
        "note": fitted.reason,
    }


def measured(task: Task, budget: float, seed: int) -> Iterator[dict[str, Any]]:
    """Yield the rows of one set of images, the baselines first."""
    for name in baseline_names(task):
        yield baseline_row(name, task, seed)
    for family in families_for(task.folds[0].inputs, task.folds[0].outputs, FAMILIES):
        yield family_row(family, task, budget, seed)


def line(row: dict[str, Any]) -> str:
    """Return a row of the Markdown table."""
    places = {"images a second": 0, "seconds of training": 1, "validation": 4, "test": 4}
    cells = []
    for name in COLUMNS:
        value = row.get(name)
        number = f"{value:,.{places[name]}f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else value
        cells.append(number or "")
    return f"| {' | '.join(cells)} |"


def machine() -> str:
    """Return what it ran on."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "scikit-learn", "numpy"))
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {libraries}"


def write(found: dict[str, list[dict[str, Any]]], budget: float, seed: int) -> None:
    """Write what was measured so far."""
    raw = {"machine": machine(), "budget": budget, "seed": seed, "sets": found}
    (HERE / "families.json").write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")
    command = f"`python results/images/families.py IMAGES_FOLDER --budget {budget:g}`, one thread, seed {seed}"
    text = [f"{command}; what is measured, and how: see the script.", ""]
    for name, rows in found.items():
        heading = f"| {' | '.join([name, *COLUMNS[1:]])} |"
        text += [heading, "|---|" + "--:|" * (len(COLUMNS) - 1), *map(line, rows), ""]
    (HERE / "families.md").write_text("\n".join([*text, machine(), ""]), encoding="utf-8")


def main() -> None:
    """Measure all families and baselines on all sets, and write after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--budget", type=float, default=60.0)
    parser.add_argument("--only", nargs="+", default=list(SETS))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found: dict[str, list[dict[str, Any]]] = {}
    for name in options.only:
        task = make_task(options.images / f"{name}.npz", DataOptions(seed=options.seed))
        found[name] = []
        for row in measured(task, options.budget, options.seed):
            found[name].append(row)
            print(line(row), flush=True)
            write(found, options.budget, options.seed)


if __name__ == "__main__":
    main()
