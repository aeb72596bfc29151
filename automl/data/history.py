"""A table as a series: which column says when, and its rows in the order of time, one for each step.

Nothing here looks ahead: the order and the step of the times are known before the first value is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from automl.data.judging import judge
from automl.data.load import Table, as_target, read_table
from automl.data.names import listed
from automl.data.plain import plain
from automl.data.time_steps import MOST_STEPS, NUMBERS, TimeAxis, Times, find_step
from automl.data.values import find_form, read_numbers, read_times
from automl.errors import DataError, OptionError, nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CROWDED = 0.2  # share of rows with the time of another from which they are several series
_SPARSE, _SLACK = 4, 1000  # a history may have so many times the steps that it has rows, and so many more


@dataclass(frozen=True, eq=False)
class History:
    """Rows in the order of time. frame: with index 0..rows-1. positions: int64 (rows,), the step of each, ascending.

    steps: from position 0 to the last row, those without a row too. times: of the rows, None where nothing says when they were.
    rows: int64, the positions of the rows in the user's data. notices: one line each.
    """

    frame: pd.DataFrame
    positions: NDArray[np.int64]
    times: Times | None
    rows: NDArray[np.int64]
    notices: tuple[str, ...]

    @property
    def steps(self) -> int:
        """Return the number of steps."""
        return int(self.positions[-1]) + 1 if len(self.positions) else 0

    def head(self, rows: int) -> History:
        """Return the first rows."""
        return self._taken(slice(None, rows))

    def tail(self, steps: int) -> History:
        """Return the rows of the last steps, of which the first has a position so that there are as many."""
        last = max(0, self.steps - steps)
        return self._taken(slice(int(np.searchsorted(self.positions, last)), None), last)

    def _taken(self, rows: slice, origin: int = 0) -> History:
        times = None if self.times is None else self.times[rows]
        frame = self.frame.iloc[rows].reset_index(drop=True)
        return History(frame, self.positions[rows] - origin, times, self.rows[rows], self.notices)

    def check_dense(self, axis: TimeAxis | None) -> None:
        """Raise `DataError` for more steps without a row than memory should be taken for."""
        if axis is not None and self.steps > _SPARSE * len(self.positions) + _SLACK:
            rows = f"{len(self.positions)} rows span {self.steps} steps"
            raise DataError(f"{axis.column}: rows must be {axis.step} apart, as in training, but {rows}")

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return values of the rows `(rows, ...)` as values of the steps `(steps, ...)`, NaN where a step has no row."""
        if self.steps == len(values):
            return values
        spread = np.full((self.steps, *values.shape[1:]), np.nan, values.dtype)
        spread[self.positions] = values
        return spread


# ------------------------------------------------------------------------------------------------------------------ reading


def read_rows(data: Any, target: Any, time: str | None = None) -> tuple[Table, str]:
    """Return the table of a series, its target among the columns, and the name of the target.

    data: what `read_table` takes, a Series or an array `(steps,)` of the target alone, or (X, y). An index of times becomes a
    column, called `time`, where the data don't have one of this name. Raises `DataError`.
    """
    if isinstance(data, tuple):
        return _pair(data, target, time)
    table = read_table(_framed(data, time))
    return table, _target(table, target, time)


def _pair(data: tuple[Any, ...], target: Any, time: str | None) -> tuple[Table, str]:
    if len(data) != 2:
        raise DataError(f"data: a tuple must be (X, y), got {len(data)} parts")
    table, values = read_table(_framed(data[0], time)), as_target(data[1], target)
    if isinstance(values, pd.DataFrame):
        raise DataError(f"target: must be one column to forecast, got {values.shape[1]}; search once for each")
    if len(table.frame) != len(values):
        raise DataError(f"X and y must have the same length, got {len(table.frame)} and {len(values)} rows")
    name = str(values.name)
    if name in table.frame:
        raise DataError(f"X must not hold the target, but it has a column {name!r}; drop it")
    return replace(table, frame=table.frame.assign(**{name: values.to_numpy()}), labels=(*table.labels, values.name)), name


def _framed(data: Any, time: str | None) -> Any:
    """Return values of the target alone as a frame of one column, and an index of times as a column; all else as it is."""
    if getattr(data, "ndim", 0) == 1 and not isinstance(data, pd.DataFrame):
        series = data if isinstance(data, pd.Series) else pd.Series(np.asarray(data))
        data = series.to_frame("target" if series.name is None else series.name)
    return _with_index(data, time)


def _with_index(data: Any, time: str | None) -> Any:
    """Return a frame whose index holds times with them as its first column."""
    if not isinstance(data, pd.DataFrame) or not isinstance(data.index, (pd.DatetimeIndex, pd.PeriodIndex)):
        return data
    name = time if time is not None else str(data.index.name or "time")
    if name in map(str, data.columns):
        return data
    index = data.index.to_timestamp() if isinstance(data.index, pd.PeriodIndex) else data.index
    return pd.concat([pd.Series(index, name=name), data.reset_index(drop=True)], axis=1)


def _target(table: Table, target: Any, time: str | None) -> str:
    """Return the name of the target's column; a table of one column needs none."""
    names = list(table.frame.columns)
    if isinstance(target, (list, tuple)) and len(target) == 1:
        target = target[0]
    if isinstance(target, (list, tuple)):
        raise DataError(
            f"target: must be one column to forecast, got {listed([str(name) for name in target])}; search once for each"
        )
    if target is None:
        others = [name for name in names if name != time and judge(name, plain(table.frame[name])).kind != "datetime"]
        if len(others) == 1:
            return str(others[0])
        raise DataError(f"target: must name the column to forecast, got None; the columns are {listed(names)}")
    matches = [name for name, label in zip(names, table.labels, strict=True) if type(label) is type(target) and label == target]
    matches = matches or [name for name in names if name == str(target).strip()]
    if len(matches) != 1:
        raise DataError(f"target: {target!r} must be one of the columns {listed(names)}{nearest(target, names)}")
    return str(matches[0])


# -------------------------------------------------------------------------------------------------------------------- times


def find_axis(frame: pd.DataFrame, target: str, wanted: Any) -> TimeAxis | None:
    """Return the column that says when (its step is still to be found): the one wanted, or the first that holds times.

    Raises `OptionError` and `DataError` for one that is wanted but can't be.
    """
    names = [str(name) for name in frame.columns if name != target]
    if wanted is None:
        found = {name: judge(name, plain(frame[name])) for name in names if not _is_plain_number(frame[name])}
        return next((TimeAxis(name, kind.form, None) for name, kind in found.items() if kind.kind == "datetime"), None)
    if not isinstance(wanted, (str, int)) or isinstance(wanted, bool):
        raise OptionError(f"time_column must be the name of a column for a forecast, got {type(wanted).__name__}")
    if str(wanted) not in names:
        raise DataError(
            f"time_column must name a column other than the target ({listed(names)}), got {wanted!r}{nearest(wanted, names)}"
        )
    column = plain(frame[str(wanted)])
    kind = judge(str(wanted), column)
    if kind.kind == "datetime":
        return TimeAxis(str(wanted), kind.form, None)
    if column.storage not in {"complex", "nested", "time"} and np.isfinite(read_numbers(column)).all():
        return TimeAxis(str(wanted), NUMBERS, None)
    words = [str(word) for word in column.words]
    form = find_form(words, 1.0)[0] if column.storage in {"words", "category"} and words else ""
    if not form and column.storage != "time":
        came = repr(frame[str(wanted)].iloc[0]) if len(frame) else "nothing"
        raise DataError(f"time_column must hold numbers or times in every row, got {came} and others")
    return TimeAxis(str(wanted), form, None)


def _is_plain_number(series: pd.Series[Any]) -> bool:
    return bool(pd.api.types.is_float_dtype(series.dtype) or pd.api.types.is_bool_dtype(series.dtype))


def in_order(table: Table, axis: TimeAxis | None) -> tuple[History, TimeAxis | None]:
    """Return the rows of a table in the order of time, and the axis with the step that they keep.

    Without an axis rows are in order as they come. Rows without a time are left out, of several with one time the last is kept.
    Raises `DataError` where so many share their times that they must be several series.
    """
    if axis is None:
        rows = np.arange(len(table.frame))
        return History(table.frame, rows, None, rows, ("no column of times: rows are taken as steps, in their order",)), None
    frame, times, rows, notices = _sorted(table.frame, axis)
    step = find_step(times)
    positions = np.arange(len(times)) if step is None else step.positions(times, times[0])
    if step is None and len(times) > 1:
        notices.append(f"{axis.column}: keeps to no regular step; rows are taken as steps, in the order of time")
    elif len(positions) and len(positions) <= positions[-1]:
        empty = int(positions[-1]) + 1 - len(positions)
        notices.append(f"{axis.column}: {empty} of {int(positions[-1]) + 1} steps of {step} have no row; they count as missing")
    return History(frame, positions, times, rows, tuple(notices)), replace(axis, step=step)


def in_known_order(table: Table, axis: TimeAxis | None) -> History:
    """Return the rows of new data in the order of time, at the step of training.

    Data without the column of times are taken in their order.
    """
    if axis is None or axis.column not in table.frame:
        rows = np.arange(len(table.frame))
        return History(table.frame, rows, None, rows, ())
    frame, times, rows, notices = _sorted(table.frame, axis)
    _check_span(times, axis)
    positions = np.arange(len(times)) if axis.step is None or not len(times) else axis.step.positions(times, times[0])
    kept = np.append(np.diff(positions) > 0, True)[: len(positions)]
    return History(frame[kept].reset_index(drop=True), positions[kept], times[kept], rows[kept], tuple(notices))


def _check_span(times: Times, axis: TimeAxis) -> None:
    """Raise `DataError` for numbers that lie more steps apart than can be counted."""
    if axis.form == NUMBERS and axis.step is not None and len(times):
        first, last = times[0], times[-1]
        if last / MOST_STEPS - first / MOST_STEPS > axis.step.size:
            raise DataError(f"{axis.column}: rows must be {axis.step} apart, as in training, got {first:g} to {last:g}")


def read_axis(frame: pd.DataFrame, axis: TimeAxis) -> tuple[Times, NDArray[np.bool_]]:
    """Return the times of all rows, and which are missing."""
    column = plain(frame[axis.column])
    if axis.form == NUMBERS:
        numbers = read_numbers(column) if column.storage not in {"complex", "nested"} else np.full(len(frame), np.nan)
        return np.where(np.isfinite(numbers), numbers, 0.0), ~np.isfinite(numbers)
    if column.storage in {"complex", "nested", "duration", "boolean", "empty"}:
        return np.zeros(len(frame), np.int64), np.ones(len(frame), bool)
    moments = read_times(column, axis.form)
    missing = np.isnat(moments)
    return np.where(missing, np.datetime64(0, "us"), moments).astype("datetime64[us]").astype(np.int64), missing


def _sorted(frame: pd.DataFrame, axis: TimeAxis) -> tuple[pd.DataFrame, Times, NDArray[np.int64], list[str]]:
    """Return the rows with a time of their own in its order, their times, their positions in the data, and notices."""
    times, missing = read_axis(frame, axis)
    if len(times) and missing.all():
        raise DataError(f"{axis.column}: must hold {'numbers' if axis.form == NUMBERS else 'times'}, got none that can be read")
    notices = []
    if missing.any():
        notices.append(f"{axis.column}: {int(missing.sum())} of {len(missing)} rows have no time; they are left out")
    rows = np.flatnonzero(~missing)
    if (np.diff(times[rows]) < 0).any():
        notices.append(f"{axis.column}: the rows were not in the order of time; they are sorted")
    rows = rows[np.argsort(times[rows], kind="stable")]
    ends = np.append(np.diff(times[rows]) > 0, True)[: len(rows)]
    repeated = int((~ends).sum())
    if repeated > _CROWDED * len(rows):
        raise DataError(
            f"{axis.column}: data to forecast must be one series, but {repeated} of {len(rows)} rows have the time of another; "
            "give the rows of one series"
        )
    if repeated:
        notices.append(f"{axis.column}: {repeated} rows have the time of another; the last of each time is kept")
    rows = rows[ends]
    return frame.iloc[rows].reset_index(drop=True), times[rows], rows, notices
