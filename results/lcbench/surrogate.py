"""The LCBench surrogate of YAHPO Gym as a benchmark of the project: networks on 34 OpenML tasks, tuned in seven parameters.

Zimmer et al., "Auto-PyTorch Tabular" (2021) trained 2,000 configurations for each of the tasks for 52 epochs; Pfisterer et al.,
"YAHPO Gym" (2022) fitted a network to them, which is published as an ONNX file that takes raw values. The loss is 100 less the
accuracy on validation rows, in percent; the cost of a training is its epochs. Nothing of it is random.
"""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.simulation import Measurement
from search_spaces.language import Float, Int, Searchable, Space

HERE = Path(__file__).parent
EPOCHS = 52
ACCURACY = 1  # of the surrogate's outputs
DEV = ("167168", "189873", "189906", "3945", "126025", "146212", "167190", "168330")
HELD = ("7593", "126029", "167104", "167152", "168329", "168910", "189862", "189866")


class Tuning(Searchable):
    """What LCBench tunes, with the ranges and defaults of YAHPO's config_space.json, in the order of the surrogate's inputs."""

    batch_size: int = Int(16, 512, log=True, default=91)
    learning_rate: float = Float(1e-4, 0.1, log=True, default=0.0031622777)
    momentum: float = Float(0.1, 0.99, default=0.545)
    weight_decay: float = Float(1e-5, 0.1, default=0.050005)
    num_layers: int = Int(1, 5, default=3)
    max_units: int = Int(64, 1024, log=True, default=256)
    max_dropout: float = Float(0.0, 1.0, default=0.5)


class Surrogate:
    """The published model. folder: holds model.onnx and encoding.json."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._codes: dict[str, int] = json.loads((folder / "encoding.json").read_text())["OpenML_task_id"]

    @cached_property
    def _session(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        return onnxruntime.InferenceSession(str(self._folder / "model.onnx"), options, providers=["CPUExecutionProvider"])

    def accuracies(self, task: str, configuration: Tuning) -> NDArray[np.float64]:
        """Return the validation accuracy after each epoch, in percent, `(EPOCHS,)`."""
        values = [float(value) for _, value in configuration.decisions()]
        rows = np.column_stack([np.arange(1, EPOCHS + 1), np.tile(values, (EPOCHS, 1))]).astype(np.float32)
        given = {"x_cat": np.full((EPOCHS, 1), self._codes[task], np.int32), "x_cont": rows}
        found: NDArray[np.float64] = self._session.run(None, given)[0][:, ACCURACY].astype(np.float64)
        return found


class LCBench:
    """A task as a `Benchmark`: a training costs its epochs, and going on costs only those that are added."""

    epochs = EPOCHS

    def __init__(self, surrogate: Surrogate, task: str) -> None:
        self.space = Space(Tuning)
        self._surrogate = surrogate
        self._task = task
        self._curves: dict[Tuning, list[float]] = {}

    def train(self, configuration: Tuning, start: int, stop: int, seed: int) -> Measurement:
        """Return what the surrogate says."""
        return Measurement(self.curve(configuration)[stop - 1], float(stop - start))

    def curve(self, configuration: Tuning) -> list[float]:
        """Return the loss after each epoch."""
        if configuration not in self._curves:
            self._curves[configuration] = (100 - self._surrogate.accuracies(self._task, configuration)).tolist()
        return self._curves[configuration]


def references() -> dict[str, dict[str, float]]:
    """Return of each task the accuracies that regrets are measured by: best, best_random, median."""
    found: dict[str, dict[str, float]] = json.loads((HERE / "references.json").read_text())
    return found
