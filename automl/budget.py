"""Defaults that depend on the task: how long a full training is, and what is searched under halving."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import cast

from automl.options import SearchOptions
from automl.task import Task
from search_spaces.configuration import Configuration, space_for
from search_spaces.domains import Options, SpaceError
from search_spaces.language import Architecture, Choice, Space

_ROWS_SEEN = 1_200_000  # a full training shows the network about as many rows, repeats counted
_FEWEST, _MOST = 9, 243  # epochs
_BATCH, _SHORTEST = 256, 4  # rows and steps: an epoch of the default has a step for each batch, and at least so many
_STEPS = 1000  # a full training may have as many, however short the time
_STEP_SECONDS = 0.0015  # of the default network on one core, scoring included
_SHARE = 1 / 6  # of the time limit that a full training of the default may take
_LONGEST_SHARE = 1 / 5  # and one with a smaller batch

_PATIENT_SCHEDULES = ("Cosine", "Constant")  # under halving: one-cycle's early rungs rank badly


def default_epochs(rows: int, folds: int, time_limit: float | None) -> int:
    """Return the epochs of a full training on so many fit rows in each fold, in a search of so many seconds.

    A power of three, so that rungs are whole epochs; fewer where the search would have time for a few trainings only.
    """
    steps = max(rows / _BATCH, _SHORTEST)
    seconds = math.inf if time_limit is None else time_limit * _SHARE
    epochs = _FEWEST
    while epochs < _MOST and epochs * 2 * rows < _ROWS_SEEN:
        if epochs * 3 * steps > _STEPS and epochs * 2 * steps * folds * _STEP_SECONDS > seconds:
            break
        epochs *= 3
    return epochs


def _batch_sizes(space: Space[Configuration], rows: int, options: SearchOptions) -> object | None:
    """Return the batch sizes whose full trainings fit into the time limit, or None where all do."""
    sizes = [cast(int, size) for size in cast(Options, space.leaves()["recipe/batch_size"]).values]
    if options.time_limit is None or options.epochs is None:
        return None
    most = options.time_limit * _LONGEST_SHARE / _STEP_SECONDS
    affordable = [size for size in sizes if options.epochs * rows / size <= most] or [max(sizes)]
    usual = space.default().recipe.batch_size
    return Choice(*affordable, ordered=True, default=usual if usual in affordable else min(affordable))


def searched_space(
    task: Task, options: SearchOptions, families: tuple[type[Architecture], ...], given: Mapping[str, object]
) -> Space[Configuration]:
    """Return the space for a task. Raises `SpaceError` where the user's overrides, `given`, don't fit into it."""
    fold = task.folds[0]
    ours: dict[str, object] = {}
    if options.halving:
        ours["recipe/schedule/kind"] = Choice(*_PATIENT_SCHEDULES)
    usual = space_for(fold.inputs, fold.outputs, task.losses, families)
    sizes = _batch_sizes(usual, len(fold.fit), options)
    if sizes is not None:
        ours["recipe/batch_size"] = sizes
    try:
        return space_for(fold.inputs, fold.outputs, task.losses, families, {**ours, **given})
    except SpaceError as error:
        raise SpaceError(f"space: {error}") from error
