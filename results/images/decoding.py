"""Whether decoding images in the background starves training.

The training images of a set are written into a folder as files, one subfolder for each class. The default ResNet trains on
them in two ways: from memory, decoded once before (`image_memory=None`), and with the files decoded on the way, by threads some
batches ahead (`image_memory=0`). Both train the same network from the same weights on the same rows, with one torch thread. They
take turns within one process, an epoch each, and who goes first alternates; figures are medians over all turns, and the ratio is
taken within each turn. After each turn the decoding threads deliver an epoch of batches that nobody trains on: their own speed.

Seconds are of the clock, since waiting is the question, so the machine must have nothing else to do: the threads have the cores
beside the training one. The last column is what decoding costs where each core has a training of its own: seconds of the CPU in
all threads for an epoch, files against memory.

    python results/images/decoding.py IMAGES_FOLDER               # about three minutes
    python results/images/decoding.py IMAGES_FOLDER --images 500 --turns 1

IMAGES_FOLDER holds cifar10_small.npz, whose 5,000 training images become PNG and JPEG files of 32 x 32 pixels, and JPEG files of
256 x 256 pixels (enlarged, so smoother and somewhat quicker to decode than photographs) that are decoded to 64 x 64. JPEG quality
is 90. The files were just written, so the disk is not measured. Seed 0. Writes decoding.json (raw) and decoding.md (table) beside
this script.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Picture

from automl.task import DataOptions, Task, make_task
from automl.training.clock import Clock
from automl.training.feed import Decoded, Resident
from automl.training.learner import Learner
from automl.training.loop import train_epoch
from automl.training.networks import CPU
from automl.training.rows import Rows
from search_spaces.configuration import Configuration, space_for
from search_spaces.resnet import ResNet

HERE = Path(__file__).parent
WARM = 4  # batches before anything is timed
QUALITY = 90


@dataclass(frozen=True)
class Case:
    """Files of one kind. suffix: their format. side: pixels of both sides. size: the side they are decoded to; None: the same."""

    name: str
    suffix: str
    side: int
    size: int | None = None


CASES = (
    Case("PNG, 32 x 32", "png", 32),
    Case("JPEG, 32 x 32", "jpg", 32),
    Case("JPEG, 256 x 256, decoded to 64 x 64", "jpg", 256, 64),
)


def write_files(images: NDArray[np.uint8], labels: NDArray[Any], folder: Path, case: Case) -> int:
    """Write an image for each row into the folder of its class; return the bytes of all files."""
    for label in set(labels.tolist()):
        (folder / str(label)).mkdir(parents=True)
    written = 0
    for number, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
        path = folder / str(label) / f"{number:06d}.{case.suffix}"
        enlarged = Picture.fromarray(image).resize((case.side, case.side), Picture.Resampling.BICUBIC)
        enlarged.save(path, quality=QUALITY)  # which PNG has no use for
        written += path.stat().st_size
    return written


def read(folder: Path, case: Case, image_memory: float | None) -> tuple[Task, float]:
    """Return the task that a folder makes, and the seconds that it took: either way each file is decoded once."""
    began = time.perf_counter()
    task = make_task(folder, DataOptions(image_size=case.size, image_memory=image_memory))
    return task, time.perf_counter() - began


class Way:
    """A network in training, with its own way to the images."""

    def __init__(self, configuration: Configuration, task: Task, epochs: int) -> None:
        fold = task.folds[0]
        self.epochs, self.epoch = epochs, 0
        self.learner = Learner(configuration, fold.inputs, fold.outputs, 0, CPU)
        self.rows = Rows.of(task, fold.fit, fold.outputs, CPU)
        few = fold.fit[: WARM * configuration.recipe.batch_size]
        train_epoch(self.learner, Rows.of(task, few, fold.outputs, CPU), 1, epochs, Clock(None))

    def train(self) -> tuple[float, float]:
        """Train an epoch; return its seconds, and those of the CPU in all threads."""
        self.epoch += 1
        began, began_cpu = time.perf_counter(), time.process_time()
        train_epoch(self.learner, self.rows, self.epoch, self.epochs, Clock(None))
        return time.perf_counter() - began, time.process_time() - began_cpu

    def deliver(self) -> float:
        """Ask for an epoch of batches and let them be; return the seconds."""
        began = time.perf_counter()
        for _ in self.rows.batches(self.learner.recipe.batch_size, self.learner.batches):
            pass
        return time.perf_counter() - began


def measure(memory: Task, files: Task, turns: int) -> dict[str, Any]:
    """Return the figures of one kind of files."""
    fold = memory.folds[0]
    assert np.array_equal(fold.fit, files.folds[0].fit)
    configuration = space_for(fold.inputs, fold.outputs, memory.losses, (ResNet,)).default()
    ways = Way(configuration, memory, turns), Way(configuration, files, turns)
    assert isinstance(ways[0].rows.features, Resident)
    assert isinstance(ways[1].rows.features, Decoded)
    timed = []
    for turn in range(turns):
        first, second = ways[turn % 2].train(), ways[1 - turn % 2].train()
        alone = ways[1].deliver()
        timed.append((second, first, alone) if turn % 2 else (first, second, alone))
    images = len(fold.fit)
    ratios = [held[0] / decoded[0] for held, decoded, _ in timed]
    return {
        "fit images": images,
        "batch size": configuration.recipe.batch_size,
        "memory, images a second": statistics.median(images / held[0] for held, _, _ in timed),
        "files, images a second": statistics.median(images / decoded[0] for _, decoded, _ in timed),
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "decoding alone, images a second": statistics.median(images / alone for _, _, alone in timed),
        "CPU, ratio": statistics.median(decoded[1] / held[1] for held, decoded, _ in timed),
    }


def line(case: Case, found: dict[str, Any]) -> str:
    """Return a row of the Markdown table."""
    speeds = " | ".join(f"{found[f'{name}, images a second']:,.0f}" for name in ("memory", "files", "decoding alone"))
    ratio = f"{found['ratio']:.3f} ({min(found['ratios']):.3f} to {max(found['ratios']):.3f})"
    return f"| {case.name} | {found['megabytes']:.1f} | {speeds} | {ratio} | {found['CPU, ratio']:.2f} |"


def machine() -> str:
    """Return what it ran on."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "pillow", "numpy"))
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {libraries}"


def main() -> None:
    """Measure all kinds of files, print them, and write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--images", dest="number", type=int, default=5000)
    parser.add_argument("--turns", type=int, default=8)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = np.load(options.images / "cifar10_small.npz", allow_pickle=False)
    images, labels = data["x_train"][: options.number], data["y_train"][: options.number]
    head = [
        "files",
        "MB",
        "from memory, images a second",
        "from files",
        "decoding alone",
        "files / memory (range)",
        "CPU, files / memory",
    ]
    lines, found = [f"| {' | '.join(head)} |", "|---|" + "--:|" * (len(head) - 1)], {}
    for case in CASES:
        with tempfile.TemporaryDirectory() as place:
            written = write_files(images, labels, Path(place) / "images", case)
            (memory, held), (files, checked) = (read(Path(place) / "images", case, limit) for limit in (None, 0))
            seconds = {"decoded at once, seconds": held, "checked at once, seconds": checked}
            found[case.name] = {"megabytes": written / 1e6, **seconds, **measure(memory, files, options.turns)}
        lines.append(line(case, found[case.name]))
        print(lines[-1], flush=True)
    raw = {"machine": machine(), "turns": options.turns, "seed": 0, "cases": found}
    (HERE / "decoding.json").write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")
    about = f"{options.turns} turns, one torch thread; `python results/images/decoding.py IMAGES_FOLDER`; how: see the script."
    (HERE / "decoding.md").write_text("\n".join([about, "", *lines, "", machine(), ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
