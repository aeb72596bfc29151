"""Defaults that depend on the task: how long a full training is, and what is searched where trainings pause."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from automl.options import SearchOptions
from automl.task import Task
from automl.training.networks import NetworkFault
from automl.training.pace import epoch_seconds
from search_spaces.configuration import FAMILIES, Configuration, families_for, space_for
from search_spaces.domains import Infeasible, Options, SpaceError
from search_spaces.language import Architecture, Choice, Space
from search_spaces.spec import Mixed, Table

_ROWS_SEEN = 1_200_000  # a full training shows the network about as many rows, repeats counted
_FEWEST, _MOST = 9, 243  # epochs
_USUAL_STEP = 0.002  # seconds
_STEPS = 1000  # a full training may have as many, however short the time
_SHARE = 1 / 6  # of the time limit that a full training of the default may take
_LONGEST_SHARE = 1 / 4  # and one with a smaller batch

_IMAGE_EPOCHS = (3, 6, 9, 12, 15, 18, 24, 27, 36, 45, 54, 81, 108, 162, 243)
_IMAGES_SEEN = 300_000  # by a full training without a time limit, repeats counted, but for
_FEWEST_UNLIMITED = 18  # epochs
_IMAGE_SHARE = 0.4  # of the time limit: networks of images learn most when the rate falls, so a few long trainings pay

_PATIENT_SCHEDULES = ("Cosine", "Constant")  # where trainings pause: one-cycle's early rungs rank badly


@dataclass(frozen=True)
class Pace:
    """What a full training of the default costs: fit rows and steps in an epoch of a fold, seconds of an epoch of all folds."""

    rows: int
    steps: int
    seconds: float


def pace_of(task: Task, default: Configuration) -> Pace:
    """Measure the pace of a task's default configuration on this machine; one that fails is taken to be of usual size."""
    rows = len(task.folds[0].fit)
    steps = max(1, round(rows / default.recipe.batch_size))
    try:
        seconds = epoch_seconds(default, task)
    except (Infeasible, NetworkFault, MemoryError, RuntimeError):
        seconds = steps * _USUAL_STEP  # the trial will say what is wrong with it
    return Pace(rows, steps, len(task.folds) * seconds)


def _rehearsable(space: Space[Configuration], task: Task) -> Configuration:
    """Return the space's default, or ours where that is of a user's own family: its code runs in workers only."""
    ours = space_for(task.folds[0].inputs, task.folds[0].outputs, task.losses).default()
    try:
        default = space.default()
    except Infeasible:
        return ours
    return default if type(default.architecture) in FAMILIES else replace(default, architecture=ours.architecture)


def full_training(pace: Pace, time_limit: float | None) -> int:
    """Return the epochs of a full training in a search of so many seconds.

    A power of three, so that rungs are whole epochs; fewer where the search would have time for a few trainings only.
    """
    most = math.inf if time_limit is None else time_limit * _SHARE
    epochs = _FEWEST
    while epochs < _MOST and epochs * 2 * pace.rows < _ROWS_SEEN:
        if epochs * 3 * pace.steps > _STEPS and epochs * 2 * pace.seconds > most:
            break
        epochs *= 3
    return epochs


def image_training(pace: Pace, time_limit: float | None) -> int:
    """Return the epochs of a full training on images in a search of so many seconds."""
    if time_limit is None:
        fitting = [epochs for epochs in _IMAGE_EPOCHS if epochs <= max(_FEWEST_UNLIMITED, _IMAGES_SEEN / pace.rows)]
    else:
        fitting = [epochs for epochs in _IMAGE_EPOCHS if epochs * pace.seconds <= time_limit * _IMAGE_SHARE]
    return max(fitting, default=_IMAGE_EPOCHS[0])


def affordable_batches(sizes: Sequence[int], usual: int, training_seconds: float, time_limit: float) -> Sequence[int]:
    """Return those batch sizes whose full trainings fit into the time limit, at least the usual one and those above.

    training_seconds: of a full training with the usual size; one with half of it has twice the steps.
    """
    return [size for size in sizes if size >= usual or training_seconds * usual / size <= time_limit * _LONGEST_SHARE]


def searched_space(
    task: Task, options: SearchOptions, families: tuple[type[Architecture], ...], given: Mapping[str, object]
) -> tuple[Space[Configuration], int]:
    """Return the space for a task, and the epochs of a full training.

    Raises `SpaceError` where the user's overrides, `given`, don't fit into the space.
    """
    fold = task.folds[0]
    ours: dict[str, object] = {"recipe/schedule/kind": Choice(*_PATIENT_SCHEDULES)} if options.schedule != "full" else {}
    families = families_for(fold.inputs, fold.outputs, families)
    try:
        space = space_for(fold.inputs, fold.outputs, task.losses, families, {**ours, **given})
    except SpaceError as error:
        raise SpaceError(f"space: {error}") from None
    planned = full_training if isinstance(fold.inputs, Table | Mixed) else image_training
    if options.time_limit is None:
        return space, options.epochs or planned(Pace(len(fold.fit), 1, 0.0), None)
    default = _rehearsable(space, task)
    pace = pace_of(task, default)
    epochs = options.epochs or planned(pace, options.time_limit)
    if "recipe/batch_size" not in given:
        sizes = [cast(int, size) for size in cast(Options, space.leaves()["recipe/batch_size"]).values]
        usual = default.recipe.batch_size
        ours["recipe/batch_size"] = Choice(
            *affordable_batches(sizes, usual, epochs * pace.seconds, options.time_limit), ordered=True, default=usual
        )
    return space_for(fold.inputs, fold.outputs, task.losses, families, {**ours, **given}), epochs
