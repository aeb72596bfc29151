"""A series becomes windows of its history, each with the values that came after it, in the order of time.

No window sees what came after its history, and no role what another is scored on: fit comes before choose and choose before
report, a window plays a role only where its whole future lies in that role's span (`Division.gap`), and all that is found out
(season, context, kinds of columns, scales) is found out in the span that trains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from automl.data.history import History, find_axis, in_known_order, in_order, read_rows
from automl.data.kinds import notable_lines
from automl.data.load import Loaded, Table
from automl.data.names import listed
from automl.data.ready import Ready
from automl.data.time_steps import NUMBERS, TimeAxis
from automl.data.window_choice import choose_windows
from automl.data.window_encode import beginnings, channels_of, futures_at, stride_for, target_of, windows_at
from automl.data.window_format import LARGEST, WindowFormat
from automl.errors import DataError, OptionError, nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from automl.data.features import Features
    from automl.data.options import DataOptions

    Floats = NDArray[np.float64]
    Begins = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Windows(Ready):
    """Windows of a series, as their form makes them; `tail` are the last rows of the series, after which others may go on."""

    form: WindowFormat
    windows: Features
    tail: History

    @property
    def encoder(self) -> WindowFormat:
        """Return the form."""
        return self.form

    @property
    def features(self) -> Features:
        """Return values `(n, context, channels)` and lengths."""
        return self.windows

    def joined(self, others: Sequence[Ready]) -> Features:
        """Return these windows and others, one behind the other."""
        parts = [self.windows, *(other.features for other in others)]
        return tuple(np.concatenate([np.asarray(part) for part in each]) for each in zip(*parts, strict=True))


def load_windows(data: Any, options: DataOptions, like: Loaded | None = None) -> Loaded:
    """Return the windows of a series, with the `options.horizon` values after each as the target: a column for each step ahead.

    data: a path, a DataFrame, (X, y), or the target's values alone. like: the data of training or validation before, where these
    are the user's own later rows; if they follow on directly, their first windows go back into those. Raises `DataError`,
    `OptionError`.
    """
    _check_options(options)
    if like is not None:
        return _later(data, like)
    wanted = str(options.time) if isinstance(options.time, (str, int)) else None
    table, target = read_rows(data, options.target, wanted)
    if not len(table.frame):
        raise DataError("data: must have rows, got none")
    axis = find_axis(table.frame, target, options.time)
    history, axis = in_order(table, axis)
    values = history.spread(target_of(target, history))
    if np.isnan(values).all():
        raise DataError(f"target {target!r} must have values, all {len(values)} rows are missing")
    plan, kinds, form = choose_windows(history, target, axis, values, options)
    found = (*_dull(values[: plan.fit_ends], target), *_unreported(options))
    notices = (*table.notices, *history.notices, *plan.notices, *notable_lines(kinds), *found)
    reasons = (_line(form, options), *(kind.line for kind in kinds.values()))
    return _loaded(form, history, plan.begins, (table.source, notices, reasons))


def _check_options(options: DataOptions) -> None:
    """Raise `OptionError` for options that a forecast has no use for, and for windows larger than any can be."""
    for name in ("sample_weight", "class_weight", "groups", "id_column", "repeats"):
        if getattr(options, name) is not None:
            raise OptionError(f"{name} must be left out with horizon=: a forecast is of one series, whose later steps choose")
    for name, least in (("horizon", 1), ("context", 2), ("season", 1)):
        if (getattr(options, name) or least) > LARGEST:
            raise OptionError(f"{name} must be a whole number from {least} to {LARGEST}, got {getattr(options, name)!r}")


def _loaded(form: WindowFormat, history: History, begins: Begins, said: tuple[str, tuple[str, ...], tuple[str, ...]]) -> Loaded:
    """Return the windows that end before the steps `begins`, and the futures from there on. said: source, notices, reasons."""
    source, notices, reasons = said
    futures = futures_at(history.spread(target_of(form.target, history)), begins, form.horizon)
    target = pd.DataFrame(futures, columns=[f"{form.target}+{step}" for step in range(1, form.horizon + 1)])
    target.attrs["name"] = form.target
    ready = Windows(form, windows_at(channels_of(form, history), begins, form.context), history.tail(form.context))
    frame = pd.DataFrame(index=range(len(begins)))
    rows = np.arange(len(begins))
    return Loaded(frame, target, rows, source, False, notices, ready, reasons, times=begins, gap=form.horizon - 1)


def _dull(fit: Floats, target: str) -> list[str]:
    present = fit[np.isfinite(fit)]
    return [f"{target}: the same value in all steps that train"] if len(present) and (present == present[0]).all() else []


def _unreported(options: DataOptions) -> list[str]:
    """Return the notice that the user's own rows choose, and none come after them."""
    if options.validation is None or options.test is not None:
        return []
    return ["no rows report, since none are later than those of validation=, which choose; give still later ones as test="]


def _line(form: WindowFormat, options: DataOptions) -> str:
    """Return the line on what a window is."""
    step = "" if form.axis is None or form.axis.step is None else f" of {form.axis.step}"
    season = f"season of {form.season} steps" if form.season > 1 else "no season"
    asked = " (as you asked)" if options.season is not None else ""
    cycles = f"; the time of {' and '.join(form.cycles)} as channels" if form.cycles else ""
    return f"windows of {form.context} steps{step}, {season}{asked}, {len(form.channels)} channels{cycles}"


# -------------------------------------------------------------------------------------------------------------- rows beside


def _later(data: Any, like: Loaded) -> Loaded:
    """Return the windows of the user's own later rows. Raises `DataError` where they don't come later."""
    assert isinstance(like.ready, Windows)
    form, tail = like.ready.form, like.ready.tail
    axis = form.axis
    table, _ = read_rows(data, form.target, None if axis is None else axis.column)
    missing = [name for name in form.columns.names if name not in table.frame]
    if missing:
        close = nearest(missing[0], table.frame.columns)
        raise DataError(f"data: the columns of training must be there, missing {listed(missing)}{close}")
    history, first = in_known_order(table, axis), 0
    if axis is not None and history.times is not None and tail.times is not None and len(history.times):
        last, begins_at = tail.times[-1], history.times[0]
        if history.times[-1] <= last:
            raise DataError(f"{axis.column}: must be later than the data before, which end at {_moment(last, axis)}")
        if begins_at > last and (axis.step is None or axis.step.times(last, np.ones(1, np.int64))[0] >= begins_at):
            history = _following(history, tail, axis)
        later = np.asarray(history.times) > last
        first = int(history.positions[later.argmax()])
    history.check_dense(axis)
    values = history.spread(target_of(form.target, history))
    begins = beginnings(values, form.context, form.horizon)
    begins = begins[begins >= first]
    if not len(begins):
        raise DataError(
            f"data: must have {form.horizon} steps with a target after {form.context} steps of history (of its own, unless the "
            f"rows follow on those before), got {len(history.frame)} rows"
        )
    begins = begins[:: stride_for(len(begins), form.context * len(form.channels), form.season)]
    return _loaded(form, history, begins, (table.source, (*table.notices, *history.notices), ()))


def _following(history: History, tail: History, axis: TimeAxis) -> History:
    """Return rows behind the last of the rows before."""
    frame = pd.concat([tail.frame, history.frame], ignore_index=True)
    return in_known_order(Table(frame, tuple(frame.columns), "data"), axis)


def _moment(time: Any, axis: TimeAxis) -> str:
    return f"{time:g}" if axis.form == NUMBERS else str(np.int64(time).astype("datetime64[us]").astype("datetime64[s]"))
