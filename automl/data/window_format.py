"""What all windows of a series are made to be, so that its future can be forecast: all that a model keeps of the data.

The state alone lives here, so that a saved model is read without pandas; `automl.data.windows` does the work.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from automl.data.columns import Columns
from automl.data.time_steps import CYCLES, NUMBERS, UNITS, Step, TimeAxis
from automl.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

KIND = "forecast"
CHANNEL = 0  # the target's
LARGEST = 2**20  # steps of a context or horizon; beyond, a window outgrows what a network can take
_FORMAT = 1
_MOST_TIME = 2.0**62  # microseconds ahead, half of what times can be


@dataclass(frozen=True)
class WindowFormat:
    """Windows of `context` steps, from each of which the next `horizon` values of the column `target` are predicted.

    columns: further columns that become channels; each category is a channel of its own, 1 where it holds. axis: what says when
    rows were; None where their order does. cycles: those of the calendar (see `automl.data.time_steps.CYCLES`) that each step's
    place in is a channel of sines and one of cosines. season: the steps after which the series repeats itself, 1 if it doesn't.
    scale: the mean absolute error, in the rows that trained, of saying again what was one season before: that of MASE; 0 where
    there is none. Raises `ModelError` for a form that can't be.
    """

    target: str
    columns: Columns
    axis: TimeAxis | None
    context: int
    horizon: int
    season: int
    cycles: tuple[str, ...]
    scale: float

    def __post_init__(self) -> None:
        for name in ("context", "horizon", "season"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= LARGEST:
                raise ModelError(f"forecast: {name} must be a whole number from 1 to {LARGEST}, got {value!r}")
        if not isinstance(self.target, str):
            raise ModelError(f"forecast: target must be the name of a column, got {self.target!r}")
        if not set(self.cycles) <= set(CYCLES):
            raise ModelError(f"forecast: cycles must be of {', '.join(CYCLES)}, got {self.cycles!r}")
        if not (isinstance(self.scale, float) and math.isfinite(self.scale) and self.scale >= 0):
            raise ModelError(f"forecast: scale must be a number, 0 or more, got {self.scale!r}")
        axis = self.axis
        if axis is not None and axis.step is not None:
            _check_step(axis.step, axis.form, self.horizon)
        if self.cycles and (axis is None or axis.step is None or axis.step.length is None):
            raise ModelError(f"forecast: cycles need steps of time, got {self.cycles!r} without")

    @property
    def channels(self) -> tuple[str, ...]:
        """Return the names of the channels, that of the target first."""
        ours = self.columns
        codes = [f"{name}={one}" for name, known in zip(ours.categorical, ours.categories, strict=True) for one in known]
        return (self.target, *ours.numeric, *codes, *(f"{cycle}.{wave}" for cycle in self.cycles for wave in ("sin", "cos")))

    def transform(self, data: object) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the last window of a history, after which the forecast begins: values `(1, context, channels)`, its length.

        data: a DataFrame or path with the columns of training, at least `context` steps; further rows without a target at its end
        are left out. Raises `DataError` for anything else.
        """
        from automl.data.window_encode import last_window

        return last_window(self, data)

    def future(self, data: object) -> tuple[str, NDArray[Any]]:
        """Return what the steps are called that are forecast after a history, and when they are: times, or 1 to `horizon`."""
        from automl.data.window_encode import future_steps

        return future_steps(self, data)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON data."""
        return {
            "kind": KIND,
            "format": _FORMAT,
            "target": self.target,
            "columns": self.columns.to_dict(),
            "axis": _axis_to_dict(self.axis),
            "context": self.context,
            "horizon": self.horizon,
            "season": self.season,
            "cycles": list(self.cycles),
            "scale": self.scale,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> WindowFormat:
        """Return the form that `to_dict` wrote. Raises `ModelError` for anything else."""
        try:
            if data["kind"] != KIND:
                raise ModelError(f"forecast: kind must be {KIND!r}, got {data['kind']!r}")
            if data["format"] != _FORMAT:
                raise ModelError(f"forecast: format must be {_FORMAT}, got {data['format']!r}; a newer automl may read it")
            steps = (data["context"], data["horizon"], data["season"])
            columns, cycles = Columns.from_dict(data["columns"]), tuple(data["cycles"])
            return cls(data["target"], columns, _axis_from_dict(data["axis"]), *steps, cycles, data["scale"])
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
            if isinstance(error, ModelError):
                raise
            raise ModelError(f"forecast: must be what automl wrote, but {type(error).__name__}: {error}") from error


def _check_step(step: Step, form: str, horizon: int) -> None:
    """Raise `ModelError` for a step that no series of times keeps, or that leads beyond all times."""
    if step.unit not in UNITS or (step.unit == "numbers") != (form == NUMBERS):
        raise ModelError(f"forecast: step must be of {', '.join(UNITS)}, numbers for a column of numbers alone, got {step!r}")
    if step.length is None:
        if not (step.size > 0 and math.isfinite(step.size * horizon)):
            raise ModelError(f"forecast: step must be a number, more than 0, got {step!r}")
    elif not (step.size >= 1 and step.size.is_integer() and step.length * horizon <= _MOST_TIME):
        raise ModelError(f"forecast: step must be a whole number of {step.unit}, at least 1, got {step!r}")


def _axis_to_dict(axis: TimeAxis | None) -> dict[str, Any] | None:
    if axis is None:
        return None
    step = None if axis.step is None else {"unit": axis.step.unit, "size": axis.step.size}
    return {"column": axis.column, "form": axis.form, "step": step}


def _axis_from_dict(data: Mapping[str, Any] | None) -> TimeAxis | None:
    if data is None:
        return None
    step = None if data["step"] is None else Step(str(data["step"]["unit"]), float(data["step"]["size"]))
    return TimeAxis(str(data["column"]), str(data["form"]), step)
