"""What zero-cost proxies say of networks for images, beside what their size says, and what they cost.

`cells`: random cells of NAS-Bench-201. Their networks are built with one cell in a stage instead of five, 8 channels, for images
of 16 x 16 (every second pixel of CIFAR-10), batches of 16: a proxy then costs some 20 ms instead of some hundred. `published`
does the same with the published skeleton and images of 32 x 32, to show what that changes. The judge is the test accuracy after
200 epochs, of which the table has the mean over seeds.

`own`: random architectures of our VGG and ResNet, narrowed to CIFAR-10 as a search does, each trained with its default recipe on
600 images for 6 epochs; the judge is the accuracy on 1,000 others. Proxies see a batch of 32. Networks of more than 6 million
multiplications are drawn again.

Rank correlations (Spearman's) come with 95 % bootstrap intervals over networks. Milliseconds are of the CPU, one thread, the
building of the network included.

    python results/proxies/measure.py DATA_FOLDER cells published own          # 5 minutes of one core
    python results/proxies/replay.py DATA_FOLDER                               # then: what filters bring on the table

DATA_FOLDER holds nas/nasbench201.npz and images/cifar10_small.npz. Writes <part>.csv and correlations.md beside this script.
Seed 0.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from proxies import PROXIES
from scipy.stats import spearmanr
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from automl.task import DataOptions, Task, make_task
from automl.training.course import Span
from automl.training.loop import train
from automl.training.networks import build_network, one_thread
from search_spaces.base import Infeasible
from search_spaces.cell import EDGES, NASBENCH201, Cell
from search_spaces.configuration import Configuration, space_for
from search_spaces.convnet import VGG
from search_spaces.language import Architecture
from search_spaces.resnet import ResNet
from search_spaces.spec import Classes, Image
from search_spaces.variation import sample

HERE = Path(__file__).parent
CELLS, PUBLISHED, OWN = 1000, 40, 16
FIT, CHOOSE, EPOCHS = 600, 1000, 6
MOST = 6_000_000  # multiplications for an image
CLASSES = Classes((500,) * 10)
SIZES = ("parameters", "multiplications")
JUDGES = {"cells": ("cifar10_test200", "cifar100_test200"), "published": ("cifar10_test200", "cifar100_test200")}


@dataclass(frozen=True)
class Skeleton:
    """How much of a network is built around a cell, for images of so many pixels a side, and the images of a batch."""

    pixels: int
    batch: int
    overrides: dict[str, object]


SMALL = Skeleton(16, 16, {**NASBENCH201, "cells": 1, "width": 8})
WHOLE = Skeleton(32, 16, dict(NASBENCH201))


def spec(pixels: int) -> Image:
    """Return square colour images with about the statistics of CIFAR-10."""
    return Image(pixels, pixels, 3, "uint8", (125.0, 123.0, 114.0), (63.0, 62.0, 67.0), ("horizontal",), 5000)


@cache
def batch_of(path: Path, pixels: int, rows: int) -> tuple[Tensor, Tensor]:
    """Return images and labels of CIFAR-10, at every second pixel where fewer are wanted."""
    with np.load(path, allow_pickle=False) as data:
        x, y = data["x_train"][:rows], data["y_train"][:rows].astype(np.int64)
    step = x.shape[1] // pixels
    return torch.from_numpy(x[:, ::step, ::step].transpose(0, 3, 1, 2).astype(np.float32)), torch.from_numpy(y)


def cell(operations: list[str], skeleton: Skeleton) -> Cell:
    """Return the architecture with these operations."""
    edges = {f"edge_{start}{end}": name for (start, end), name in zip(EDGES, operations, strict=True)}
    return Cell.from_dict({**skeleton.overrides, **edges})


def proxy(name: str, build: Callable[[], nn.Module], batch: tuple[Tensor, Tensor]) -> tuple[float, float]:
    """Return a proxy of a network, and the milliseconds of the CPU that it took."""
    began = time.process_time()
    value = PROXIES[name](build(), *batch)
    return value, 1000 * (time.process_time() - began)


def proxies(build: Callable[[], nn.Module], batch: tuple[Tensor, Tensor]) -> dict[str, float]:
    """Return all proxies of a network, and what each took."""
    found: dict[str, float] = {}
    for name in PROXIES:
        found[name], found[f"{name}, ms"] = proxy(name, build, batch)
    return found


def cells(data: Path, skeleton: Skeleton, count: int) -> Iterator[dict[str, Any]]:
    """Yield the figures of random cells of the table."""
    with np.load(data / "nas/nasbench201.npz", allow_pickle=False) as file:
        table = {name: file[name] for name in file.files}
    names, batch = table["ops"].tolist(), batch_of(data / "images/cifar10_small.npz", skeleton.pixels, skeleton.batch)
    for row in np.random.default_rng(0).choice(len(table["arch"]), count, replace=False):
        architecture = cell([names[index] for index in table["arch"][row]], skeleton)
        yield {
            "row": int(row),
            "parameters": int(table["params_c10"][row]),
            "multiplications": int(table["conv_macs_c10"][row]),
            **proxies(lambda: build_network(architecture, spec(skeleton.pixels), CLASSES, 0), batch),  # noqa: B023  called at once
            **{judge: float(table[judge][row]) for judge in JUDGES["cells"]},
        }


def cifar10(data: Path) -> Task:
    """Return a task of some images of CIFAR-10."""
    with np.load(data / "images/cifar10_small.npz", allow_pickle=False) as file:
        x, y = file["x_train"], file["y_train"]
    judge = (x[FIT : FIT + CHOOSE], y[FIT : FIT + CHOOSE])
    return make_task((x[:FIT], y[:FIT]), DataOptions(inputs="images", validation=judge, test=judge))


def multiplications(architecture: Architecture) -> int:
    """Return those in convolutions and matrix products for one image."""
    with torch.device("meta"):
        network, image = architecture.build(spec(32), CLASSES).eval(), torch.empty(1, 3, 32, 32)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    return int(counter.get_total_flops()) // 2


def drawn(task: Task, family: type[Architecture]) -> Iterator[Configuration]:
    """Yield the default of a family, then networks with random architectures and its default recipe."""
    fold, rng = task.folds[0], random.Random(f"proxies/{family.__name__}")
    space = space_for(fold.inputs, fold.outputs, task.losses, (family,))
    usual = space.default()
    yield usual
    while True:
        architecture = sample(space, rng).architecture
        try:
            affordable = multiplications(architecture) <= MOST
        except Infeasible:
            continue
        if affordable:
            yield Configuration(architecture=architecture, recipe=usual.recipe, augmentation=usual.augmentation)


def own(data: Path) -> Iterator[dict[str, Any]]:
    """Yield the figures of random networks of our own families."""
    task = cifar10(data)
    fold, batch = task.folds[0], batch_of(data / "images/cifar10_small.npz", 32, 32)
    for family in (VGG, ResNet):
        for _, configuration in zip(range(OWN), drawn(task, family), strict=False):
            architecture = configuration.architecture
            began = time.process_time()
            trained = train(configuration, task, fold, Span(0, 0, EPOCHS, EPOCHS))
            yield {
                "family": family.__name__,
                "parameters": trained.parameters,
                "multiplications": multiplications(architecture),
                **proxies(lambda: build_network(architecture, fold.inputs, fold.outputs, 0), batch),  # noqa: B023  called at once
                "accuracy": trained.progress.best_score,
                "seconds of training": round(time.process_time() - began, 2),
            }


PARTS: dict[str, Callable[[Path], Iterator[dict[str, Any]]]] = {
    "cells": lambda data: cells(data, SMALL, CELLS),
    "published": lambda data: cells(data, WHOLE, PUBLISHED),
    "own": own,
}


def measured(name: str, data: Path) -> None:
    """Write the figures of a part, as they come."""
    rows = []
    for row in PARTS[name](data):
        rows.append({key: round(value, 5) if isinstance(value, float) else value for key, value in row.items()})
        if len(rows) % 10 == 0:
            pd.DataFrame(rows).to_csv(HERE / f"{name}.csv", index=False)
    pd.DataFrame(rows).to_csv(HERE / f"{name}.csv", index=False)


def correlation(frame: pd.DataFrame, name: str, judge: str) -> str:
    """Return a rank correlation with its interval."""
    rng = np.random.default_rng(0)
    known = frame[frame[judge].notna()]
    draws = (known.iloc[rng.integers(0, len(known), len(known))] for _ in range(500))
    bounds = np.nanquantile([spearmanr(draw[name], draw[judge]).statistic for draw in draws], (0.025, 0.975))
    return f"{spearmanr(known[name], known[judge]).statistic:.2f} ({bounds[0]:.2f}, {bounds[1]:.2f})"


def correlations() -> str:
    """Return the table of all parts that were measured."""
    lines = ["| networks | judge | " + " | ".join((*SIZES, *PROXIES)) + " |", "|---|---|" + "--:|" * (len(SIZES) + len(PROXIES))]
    for measure in (name for name in PARTS if (HERE / f"{name}.csv").exists()):
        whole = pd.read_csv(HERE / f"{measure}.csv").replace(-np.inf, -1e9)
        groups = list(whole.groupby("family", sort=False)) if measure == "own" else [(measure, whole)]
        for name, frame in groups:
            for judge in JUDGES.get(measure, ("accuracy",)):
                figures = [correlation(frame, column, judge) for column in (*SIZES, *PROXIES)]
                lines.append(f"| {len(frame)} {name} | {judge} | {' | '.join(figures)} |")
            cost = [f"{frame[f'{column}, ms'].median():.0f}" for column in PROXIES]
            lines.append(f"| {len(frame)} {name} | median ms | | | {' | '.join(cost)} |")
    return "\n".join(lines) + "\n"


def part(name: str) -> str:
    """Return the name of a part. Raises `ValueError` for any other."""
    if name not in PARTS:
        raise ValueError(name)
    return name


def main() -> None:
    """Measure the parts that are named, then make the table anew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("parts", nargs="*", type=part, help=", ".join(PARTS))
    options = parser.parse_args()
    with one_thread():
        for name in options.parts:
            measured(name, options.data)
    (HERE / "correlations.md").write_text(correlations())


if __name__ == "__main__":
    main()
