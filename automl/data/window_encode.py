"""The work of `WindowFormat`: from tables in the order of time to windows of channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from automl.data.history import History, in_known_order, read_rows
from automl.data.load import Table
from automl.data.plain import plain
from automl.data.seasons import cycle_values
from automl.data.time_steps import NUMBERS, Step, Times
from automl.data.values import read_numbers
from automl.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from automl.data.window_format import WindowFormat

    Array = NDArray[Any]
    Windows = tuple[NDArray[np.float32], NDArray[np.int64]]

MOST_BYTES = 2**28  # of all windows together
MOST_WINDOWS = 50_000  # neighbours differ by a step: more cost epochs their time, and teach little


def last_window(form: WindowFormat, data: Any) -> Windows:
    """Return the last window of a history. See `WindowFormat.transform`."""
    history = _known(form, data)
    recent = history.tail(form.context)
    if history.steps < form.context:
        raise DataError(f"data: a history must have at least {form.context} steps with a target at the end, got {history.steps}")
    return channels_of(form, recent)[None], np.full(1, form.context, np.int64)


def future_steps(form: WindowFormat, data: Any) -> tuple[str, Array]:
    """Return the name of the steps after a history and their times, or numbers from 1. See `WindowFormat.future`."""
    history, steps = _known(form, data), np.arange(1, form.horizon + 1)
    axis = form.axis
    if axis is None or axis.step is None or history.times is None:
        return "step", steps
    times = axis.step.times(history.times[-1], steps)
    return axis.column, times if axis.form == NUMBERS else times.astype("datetime64[us]")


def _known(form: WindowFormat, data: Any) -> History:
    """Return the history up to the last row with a target."""
    table, _ = read_rows(data, form.target, None if form.axis is None else form.axis.column)
    history = in_known_order(table, form.axis)
    known = np.flatnonzero(np.isfinite(target_of(form.target, history)))
    if not len(known):
        raise DataError(f"target {form.target!r} must have values in a history, got none in {len(history.frame)} rows")
    return history.head(int(known[-1]) + 1)


def target_of(name: str, history: History) -> NDArray[np.float64]:
    """Return the target of the rows, float64, NaN where there is none. Raises `DataError` where it can't be numbers."""
    column = plain(history.frame[name])
    if column.storage in {"complex", "nested", "time"}:
        raise DataError(f"target {name!r} must hold numbers to forecast, got a column of type {column.storage}")
    numbers = read_numbers(column)
    finite = np.isfinite(numbers)
    if not finite.any() and not column.missing().all():
        odd = next(value for value in history.frame[name] if isinstance(value, str) or value is not None)
        raise DataError(f"target {name!r} must hold numbers to forecast, got {odd!r}")
    return np.where(finite, numbers, np.nan)


def channels_of(form: WindowFormat, history: History) -> NDArray[np.float32]:
    """Return all channels of the steps of a history `(steps, channels)`, NaN where they are missing."""
    rows = [target_of(form.target, history).astype(np.float32)[:, None]]
    if form.columns.columns:
        numeric, codes = map(np.asarray, form.columns.transform(Table(history.frame, tuple(history.frame.columns), "data"))[:2])
        rows.append(numeric)
        for position, known in enumerate(form.columns.categories):
            rows.append((codes[:, position, None] == np.arange(1, len(known) + 1)).astype(np.float32))
    spread = history.spread(np.concatenate(rows, 1))
    if not form.cycles:
        return spread
    assert form.axis is not None
    assert form.axis.step is not None
    if history.times is None:
        raise DataError(f"data: must have the column {form.axis.column!r}, which says when its rows were, as in training")
    return np.concatenate([spread, cycle_values(step_times(history, form.axis.step), form.cycles)], 1)


def step_times(history: History, step: Step) -> Times:
    """Return the times of all steps of a history, those without a row too."""
    assert history.times is not None
    if history.steps == len(history.times):
        return history.times
    return step.times(history.times[0], np.arange(history.steps) - history.positions[0])


def beginnings(values: NDArray[np.float64], context: int, horizon: int) -> NDArray[np.int64]:
    """Return the steps at which a future begins: `context` steps come before it, and all of its `horizon` values are there."""
    if len(values) < context + horizon:
        return np.zeros(0, np.int64)
    there = np.concatenate([[0], np.cumsum(np.isfinite(values))])
    begins = np.arange(context, len(values) - horizon + 1)
    return np.asarray(begins[there[begins + horizon] - there[begins] == horizon])


def stride_for(windows: int, values: int, season: int) -> int:
    """Return how many steps lie between two windows, of so many of so many values, that fit into `MOST_BYTES`.

    It shares no factor with the season, so that windows begin everywhere in it.
    """
    most = max(1, min(MOST_WINDOWS, MOST_BYTES // (4 * values)))
    stride = -(-windows // most)
    while stride > 1 and np.gcd(stride, season) > 1:
        stride += 1
    return int(stride)


def windows_at(channels: NDArray[np.float32], begins: NDArray[np.int64], context: int) -> Windows:
    """Return the windows before the steps `begins`: values `(n, context, channels)` and their lengths."""
    views = sliding_window_view(channels, context, axis=0)
    values = np.ascontiguousarray(np.moveaxis(views[begins - context], 2, 1))
    return values, np.full(len(begins), context, np.int64)


def futures_at(values: NDArray[np.float64], begins: NDArray[np.int64], horizon: int) -> NDArray[np.float64]:
    """Return the values from the steps `begins` on, `(n, horizon)`."""
    return np.ascontiguousarray(sliding_window_view(values, horizon)[begins])


def labelled_windows(form: WindowFormat, data: Any) -> tuple[Windows, NDArray[np.float64]]:
    """Return the windows within data, of which the future is known, and these futures `(n, horizon)`. Raises `DataError`."""
    table, _ = read_rows(data, form.target, None if form.axis is None else form.axis.column)
    history = in_known_order(table, form.axis)
    history.check_dense(form.axis)
    values = history.spread(target_of(form.target, history))
    begins = beginnings(values, form.context, form.horizon)
    if not len(begins):
        raise DataError(
            f"data: must have {form.context} steps of history and {form.horizon} steps with a target after it to be scored, "
            f"got {history.steps} steps"
        )
    begins = begins[:: stride_for(len(begins), form.context * len(form.channels), form.season)]
    return windows_at(channels_of(form, history), begins, form.context), futures_at(values, begins, form.horizon)
