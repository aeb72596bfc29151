"""Defaults that depend on the task: how long a full training is, and what is searched under halving."""

from __future__ import annotations

from collections.abc import Mapping

from automl.options import SearchOptions
from automl.task import Task
from search_spaces.configuration import Configuration, space_for
from search_spaces.domains import SpaceError
from search_spaces.language import Architecture, Choice, Space

_ROWS_SEEN = 1_200_000  # a full training shows the network about as many rows, repeats counted
_FEWEST, _MOST = 9, 243  # epochs

_PATIENT_SCHEDULES = ("Cosine", "Constant")  # under halving: one-cycle's early rungs rank badly


def default_epochs(rows: int) -> int:
    """Return the epochs of a full training on so many fit rows: a power of three, so that rungs are whole epochs."""
    epochs = _FEWEST
    while epochs < _MOST and epochs * 2 * rows < _ROWS_SEEN:
        epochs *= 3
    return epochs


def searched_space(
    task: Task, options: SearchOptions, families: tuple[type[Architecture], ...], given: Mapping[str, object]
) -> Space[Configuration]:
    """Return the space for a task. Raises `SpaceError` where the user's overrides, `given`, don't fit into it."""
    fold = task.folds[0]
    overrides: dict[str, object] = {}
    if options.halving:
        overrides["recipe/schedule/kind"] = Choice(*_PATIENT_SCHEDULES)
    try:
        return space_for(fold.inputs, fold.outputs, task.losses, families, {**overrides, **given})
    except SpaceError as error:
        raise SpaceError(f"space: {error}") from error
