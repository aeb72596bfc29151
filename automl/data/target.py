"""What is to be learnt from a target column: which task it makes, and its classes as codes with the labels they came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from automl.metrics import TaskKind

Label: TypeAlias = str | int | float | bool


@dataclass(frozen=True)
class Target:
    """A target as a model sees it: `values` int64 codes of `classes`, or float64 values where `classes` is empty."""

    values: np.ndarray
    classes: tuple[Label, ...]


def detect_task(target: pd.Series, override: str | None = None) -> tuple[TaskKind, str]:
    """Return the kind of task and one line that says why. Raises `DataError` or `OptionError` where it can't be."""
    raise NotImplementedError


def encode_target(target: pd.Series, kind: TaskKind, classes: tuple[Label, ...] = ()) -> Target:
    """Return the target's codes or values. With `classes` (of an earlier call), a label that isn't among them is a `DataError`."""
    raise NotImplementedError
