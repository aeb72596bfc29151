"""What our training loop costs beside the training itself.

Times one epoch of `automl.training.loop.train_epoch` against the same steps in a tight loop written by hand, which has no
schedule, no deadline, no penalties, no clipping and no check of the loss: batches by index, forward, backward, fused AdamW.
Both train the same kind of network from the same weights on the same rows. They take turns within one process, and who goes
first alternates; the figure is the ratio of the two times of each turn, its median and quartiles over all turns. The share of
scoring (predictions for the choose rows and the metric) in an epoch is printed beside it. Times are seconds of the CPU, which
other processes on the machine change less than seconds of the clock.

    python results/training_step/measure.py          # about four minutes

Data: 20,000 generated rows, 10 numbers and 4 categories, two classes; 2,000 generated images, 32 x 32 pixels in colour, ten
classes (both loops turn the bytes of a batch into channels-last floats, neither augments). Seed 0. One torch thread. Writes
results.json and README.md beside this script.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from automl.task import DataOptions, Task, make_task
from automl.training.clock import Clock
from automl.training.course import Exam
from automl.training.learner import Learner
from automl.training.loop import train_epoch
from automl.training.networks import CPU
from automl.training.rows import Rows
from search_spaces.configuration import Configuration
from search_spaces.convnet import VGG
from search_spaces.mlp import MLP, Plain
from search_spaces.optimizers import Recipe
from search_spaces.resnet import ResNet

HERE = Path(__file__).parent
TURNS = 25
TABLE_CASES = {
    "one block of width 16, batch 32": Configuration(architecture=MLP(blocks=(Plain(width=16),)), recipe=Recipe(batch_size=32)),
    "one block of width 64, batch 256": Configuration(architecture=MLP(blocks=(Plain(width=64),))),
    "the default MLP, batch 256": Configuration(),
    "four blocks of width 512, batch 256": Configuration(architecture=MLP(blocks=(Plain(width=512),) * 4)),
}
IMAGE_CASES = {
    "the default ResNet, images, batch 128": Configuration(architecture=ResNet(), recipe=Recipe(batch_size=128)),
    "the default VGG, images, batch 128": Configuration(architecture=VGG(), recipe=Recipe(batch_size=128)),
}


def generated_task() -> Task:
    """Return a task of 20,000 rows."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(20_000, 10)), columns=[f"x{i}" for i in range(10)])
    for i in range(4):
        frame[f"c{i}"] = rng.choice(list("abcdefgh"), 20_000)
    frame["y"] = np.where(frame.x0 * frame.x1 + frame.x2 + (frame.c0 == "a") + rng.normal(size=20_000) > 0, "yes", "no")
    return make_task(frame, DataOptions(target="y"))


def generated_images() -> Task:
    """Return a task of 2,000 images."""
    rng = np.random.default_rng(0)
    return make_task((rng.integers(0, 256, (2000, 32, 32, 3), np.uint8), np.arange(2000) % 10), DataOptions())


def tensors(task: Task) -> tuple[tuple[Tensor, ...], Tensor]:
    """Return the features and the targets of the fit rows."""
    fit = task.folds[0].fit
    features = (torch.tensor(np.asarray(stored[fit])) for stored in task.features)
    longs = (feature.long() if feature.dtype == torch.int32 else feature for feature in features)
    return tuple(longs), torch.tensor(task.target[fit])


def as_floats(images: Tensor) -> Tensor:
    """Return a batch of images as a network takes it."""
    return images.permute(0, 3, 1, 2).float()


def tight_epoch(
    network: nn.Module, optimizer: torch.optim.Optimizer, features: tuple[Tensor, ...], target: Tensor, batch_size: int
) -> None:
    """Train one epoch by hand."""
    network.train()
    for index in torch.randperm(len(target)).split(batch_size):
        batch = [feature[index] for feature in features]
        inputs = [as_floats(batch[0])] if len(batch) == 1 else batch
        optimizer.zero_grad()
        loss = functional.cross_entropy(network(*inputs), target[index])
        loss.backward()
        optimizer.step()


def turns(task: Task, configuration: Configuration) -> Iterator[tuple[float, float, float]]:
    """Yield for each turn the milliseconds of a tight step, of one of ours, and of scoring once."""
    fold = task.folds[0]
    rows, exam = Rows.of(task, fold.fit, fold.outputs, CPU), Exam.of(task, fold, CPU)
    ours, theirs = (Learner(configuration, fold.inputs, fold.outputs, 0, CPU) for _ in range(2))
    own = tensors(task)
    # The last batch of the tight loop is a small one, ours are of one size: both divide by the steps that the rows make.
    steps = len(rows) / configuration.recipe.batch_size
    batch_size, clock = configuration.recipe.batch_size, Clock(time.time() + 3600)

    def tight() -> float:
        began = time.process_time()
        tight_epoch(theirs.network, theirs.optimizer, *own, batch_size)
        return 1e3 * (time.process_time() - began) / steps

    def loop(turn: int) -> float:
        began = time.process_time()
        train_epoch(ours, rows, turn + 2, TURNS + 1, clock)
        return 1e3 * (time.process_time() - began) / steps

    tight(), train_epoch(ours, rows, 1, TURNS + 1, clock)
    for turn in range(TURNS):
        first, second = (tight(), loop(turn)) if turn % 2 else (loop(turn), tight())
        began = time.process_time()
        exam.score(exam.predict(ours.network))
        scoring = 1e3 * (time.process_time() - began)
        yield (first, second, scoring) if turn % 2 else (second, first, scoring)


def measure(task: Task, configuration: Configuration) -> dict[str, Any]:
    """Return the figures of one case."""
    timed = list(turns(task, configuration))
    ratios = [ours / tight for tight, ours, _ in timed]
    tight, ours, scoring = (statistics.median(column) for column in zip(*timed, strict=True))
    low, middle, high = statistics.quantiles(ratios, n=4)
    steps = Rows.of(task, task.folds[0].fit, task.folds[0].outputs, CPU).steps(configuration.recipe.batch_size)
    share = scoring / (scoring + steps * ours)
    return {"tight_ms": tight, "ours_ms": ours, "ratio": middle, "quartiles": [low, high], "scoring_share": share}


def machine() -> str:
    """Return what it ran on."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy"))
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {libraries}"


def main() -> None:
    """Measure all cases, print them, and write the files."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    lines = [
        "| network | tight loop, ms a step | ours, ms a step | ratio (quartiles) | scoring, share of an epoch |",
        "|---|--:|--:|--:|--:|",
    ]
    found = {}
    cases = [(generated_task(), TABLE_CASES), (generated_images(), IMAGE_CASES)]
    for name, configuration, task in [(name, made, task) for task, group in cases for name, made in group.items()]:
        found[name] = case = measure(task, configuration)
        low, high = case["quartiles"]
        times = f"{case['tight_ms']:.3f} | {case['ours_ms']:.3f} | {case['ratio']:.3f} ({low:.3f} to {high:.3f})"
        lines.append(f"| {name} | {times} | {case['scoring_share']:.1%} |")
        print(lines[-1], flush=True)
    (HERE / "results.json").write_text(json.dumps({"machine": machine(), "turns": TURNS, "cases": found}, indent=1) + "\n")
    text = f"# One training step against a tight loop\n\n{__doc__}\n{machine()}; {TURNS} turns.\n\n" + "\n".join(lines) + "\n"
    (HERE / "README.md").write_text(text)


if __name__ == "__main__":
    main()
