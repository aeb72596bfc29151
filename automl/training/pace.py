"""How fast this machine trains: a rehearsal of a few steps, from which a search with a time limit plans its trainings."""

from __future__ import annotations

import time

import torch

from automl.task import Task
from automl.training.feed import as_inputs, row_values
from automl.training.learner import own_randomness
from automl.training.networks import build_network, device_for, forward, mixed_precision, one_thread, predict
from automl.training.rows import Rows
from search_spaces.configuration import Configuration
from search_spaces.losses import row_losses

_WARM, _STEPS = 1, 8
_ENOUGH = 0.6  # seconds after which fewer steps will do
_OPTIMIZER = 1.3  # a step with its optimizer, against one without: loading torch's optimizers would take longer than all of this
_FORWARD = 3  # passes forward that a step takes as long as
_ROWS = 4096  # predicted to time scoring
_VALUES = 2**21  # of the stored features in a rehearsed batch


def epoch_seconds(configuration: Configuration, task: Task) -> float:
    """Return the seconds of an epoch on the first fold, scoring included, with one thread on this machine as busy as it is.

    Raises what `Architecture.build` and the network raise.
    """
    fold, recipe, device = task.folds[0], configuration.recipe, device_for(task)
    with one_thread(), own_randomness(device):
        batch = min(recipe.batch_size, max(2, _VALUES // row_values(task.features)))  # of large images a whole one takes minutes
        rows = Rows.of(task, fold.fit[: (_WARM + _STEPS) * batch], fold.outputs, device)
        network = build_network(configuration.architecture, fold.inputs, fold.outputs, seed=0).to(device).train()
        times: list[float] = []
        generators = torch.Generator().manual_seed(0), torch.Generator(device).manual_seed(0)
        while len(times) < _WARM + _STEPS and sum(times) < _ENOUGH:
            began = time.perf_counter()
            for stored, target, _ in rows.batches(batch, generators[0]):
                inputs, _ = configuration.augmentation.apply(as_inputs(stored), fold.inputs, generators[1])
                with mixed_precision(device):
                    outputs = forward(network, inputs)
                loss = row_losses(recipe.loss, outputs.float(), target).mean()
                loss.backward()  # type: ignore[no-untyped-call]
                loss.item()
                times.append(time.perf_counter() - began)
                began = time.perf_counter()
                if sum(times) > _ENOUGH:
                    break
        typical = sorted(times[_WARM:] or times)[len(times[_WARM:] or times) // 2]
        scored = min(len(rows), _ROWS, max(1, len(next(rows.features.blocks())[0])))
        seconds = typical * scored / batch / _FORWARD
        if seconds < _ENOUGH:
            began = time.perf_counter()
            predict(network, rows.features, fold.outputs, rows=scored)
            seconds = time.perf_counter() - began
    steps = max(1, round(len(fold.fit) / batch))
    return steps * _OPTIMIZER * typical + seconds * len(fold.choose) / scored
