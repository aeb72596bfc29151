"""How fast this machine trains: a rehearsal of a few steps, from which a search with a time limit plans its trainings."""

from __future__ import annotations

import time

import torch

from automl.task import Task
from automl.training.learner import own_randomness
from automl.training.networks import CPU, build_network, forward, one_thread, predict
from automl.training.rows import Rows
from search_spaces.configuration import Configuration

_WARM, _STEPS = 2, 6
_OPTIMIZER = 1.3  # a step with its optimizer, against one without: loading torch's optimizers would take longer than all of this
_ROWS = 4096  # predicted to time scoring


def epoch_seconds(configuration: Configuration, task: Task) -> float:
    """Return the seconds of an epoch on the first fold, scoring included, with one thread on this machine as busy as it is.

    Raises what `Architecture.build` and the network raise.
    """
    fold, recipe = task.folds[0], configuration.recipe
    with one_thread(), own_randomness(CPU):
        few = fold.fit[: (_WARM + _STEPS) * recipe.batch_size]
        rows = Rows.of(task, few, fold.outputs, CPU)
        network = build_network(configuration.architecture, fold.inputs, fold.outputs, seed=0).train()
        times: list[float] = []
        generator = torch.Generator().manual_seed(0)
        while len(times) < _WARM + _STEPS:
            for numeric, categorical, target, _ in rows.batches(recipe.batch_size, generator):
                began = time.perf_counter()
                recipe.loss(forward(network, numeric, categorical), target).mean().backward()  # type: ignore[no-untyped-call]
                times.append(time.perf_counter() - began)
        began = time.perf_counter()
        scored = min(len(rows), _ROWS)
        predict(network, rows.numeric[:scored], rows.categorical[:scored], fold.outputs)
        scoring = (time.perf_counter() - began) * max(1.0, len(fold.choose) / scored)
    steps = max(1, round(len(fold.fit) / recipe.batch_size))
    return steps * _OPTIMIZER * sorted(times)[len(times) // 2] + scoring
