"""What windows of a series are made to be: how much history they hold, at which steps they end, which columns are channels.

All of it is found out in the span of the series that trains.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.data.columns import Columns
from automl.data.kinds import Detected, detect_kinds
from automl.data.names import unique_names
from automl.data.plain import plain
from automl.data.seasons import find_cycles, find_season, seasonal_error
from automl.data.splits import Division, make_folds
from automl.data.values import keys
from automl.data.window_encode import beginnings, stride_for
from automl.data.window_format import WindowFormat
from automl.errors import DataError, OptionError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from automl.data.history import History
    from automl.data.options import DataOptions
    from automl.data.time_steps import Step, TimeAxis

    Floats = NDArray[np.float64]
    Begins = NDArray[np.int64]

# Steps of history, chosen by ridge regression on ETTh1, daily temperatures and airline passengers (results/forecasting).
_LEAST_CONTEXT, _USUAL_CONTEXT = 48, 96
_SHORTEST = 2  # a single step would be no axis of time to exporters
_HORIZONS, _SEASONS, _LONG_SEASONS = 2, 4, 2  # in a context; the last where seasons are long
_MOST_CATEGORIES = 12  # of a column: each becomes a channel
_SEEN = frozenset({"numeric", "boolean", "categorical"})


@dataclass(frozen=True, eq=False)
class Plan:
    """Which windows there are: of `context` steps before each of the steps `begins`, at which the futures begin.

    horizon, season: in steps. fit_ends: the end of the span that trains. stride: the steps between two windows, of `every` that
    there could be. notices: one line each.
    """

    context: int
    horizon: int
    season: int
    begins: Begins
    fit_ends: int
    every: int
    stride: int
    notices: tuple[str, ...]


def choose_windows(
    history: History, target: str, axis: TimeAxis | None, values: Floats, options: DataOptions
) -> tuple[Plan, dict[str, Detected], WindowFormat]:
    """Return which windows there are of a series, what the columns beside the target are, and the windows' form.

    values: the target of all steps, NaN where it is missing. How many windows fit into memory depends on their channels, which
    are found out in the span that these windows leave to train: where they don't fit, all is planned again for so many channels.
    Raises `DataError`, `OptionError`.
    """
    width = 1
    while True:
        plan = _plan(values, None if axis is None else axis.step, width, options)
        kinds = _channel_kinds(history, target, axis, plan.fit_ends, options)
        form = _window_format(history, target, axis, kinds, plan, values)
        channels = len(form.channels)
        if channels <= width or stride_for(plan.every, plan.context * channels, plan.season) <= plan.stride:
            return plan, kinds, form
        width = channels


def _plan(values: Floats, step: Step | None, width: int, options: DataOptions) -> Plan:
    """Return the windows of a series, of `width` channels. Raises `DataError` where there are too few."""
    assert options.horizon is not None
    early = _early(values, options.horizon)
    season = options.season or find_season(values[:early], step)
    context = _context(values, season, options)
    every = _begins(values, context, options.horizon)
    stride = stride_for(len(every), context * width, season)
    begins = every[::stride]
    note = f"{len(begins)} of {len(every)} windows are used, one in {stride} steps, to spare memory and time"
    notices = [*_missing(values, context, options.horizon), *([note] if stride > 1 else [])]
    fit_ends = _fit_ends(begins, options.division, options.horizon)
    if fit_ends < early:  # where most of the target is missing at the end
        season = options.season or find_season(values[:fit_ends], step)
    return Plan(context, options.horizon, season, begins, fit_ends, len(every), stride, tuple(notices))


def _early(values: Floats, horizon: int) -> int:
    """Return the end of the steps that train whatever the context will be: those before the middle of all windows."""
    begins = beginnings(values, 1, horizon)
    return int(begins[len(begins) // 2]) if len(begins) else 0


def _context(values: Floats, season: int, options: DataOptions) -> int:
    """Return the steps of history: those asked for, else some seasons and horizons, while most data are left to learn from.

    Raises `DataError` where the data are too short to fill all roles.
    """
    horizon, division = options.horizon or 1, options.division
    roles = 1 + division.chooses + division.reports
    known = np.flatnonzero(np.isfinite(values))
    steps = int(known[-1] - known[0]) + 1
    needed = roles * horizon
    if options.context is not None:
        if steps < options.context + needed:
            raise DataError(
                f"data: must have at least {options.context + needed} steps, {options.context} of context and {roles} horizons "
                f"(to train, to choose and to report), got {steps}; give more, or a shorter horizon or context"
            )
        return options.context
    if steps < needed + _SHORTEST:
        raise DataError(
            f"data: must have at least {needed + _SHORTEST} steps for a horizon of {horizon} (it takes {roles}, to train, "
            f"to choose and to report), got {steps}; give more, or a horizon of at most {max(1, (steps - _SHORTEST) // roles)}"
        )
    seasons = min(_SEASONS * season, max(_USUAL_CONTEXT, _LONG_SEASONS * season))
    spare = steps - needed
    most = max(spare // 4, min(_LONG_SEASONS * season, spare // 2), _SHORTEST)
    return min(max(_HORIZONS * horizon, seasons, _LEAST_CONTEXT), most)


def _begins(values: Floats, context: int, horizon: int) -> Begins:
    """Return the steps at which futures begin. Raises `DataError` where none is whole."""
    begins = beginnings(values, context, horizon)
    if not len(begins):
        raise DataError(
            f"data: no window has a whole future: every {horizon} steps in a row lack some of the target; fill the gaps "
            "(df.interpolate()) or give a shorter horizon"
        )
    return begins


def _fit_ends(begins: Begins, division: Division, horizon: int) -> int:
    """Return the step at which the span ends that trains, by the division that the search will make."""
    strata = np.zeros(len(begins), np.int64)
    try:
        folds, _ = make_folds(strata, replace(division, gap=horizon - 1), times=begins)
    except DataError as error:
        raise DataError(f"{error}; or a shorter horizon or context") from error
    return int(begins[folds[0][0][-1]]) + horizon


# ---------------------------------------------------------------------------------------------------------------------- form


def _channel_kinds(history: History, target: str, axis: TimeAxis | None, ends: int, options: DataOptions) -> dict[str, Detected]:
    """Return what the columns beside the target are, judged by the steps before `ends`; what can't be a channel is set aside."""
    others = history.frame.drop(columns=[target, *([] if axis is None else [axis.column])])
    wanted = {str(name): kind for name, kind in (options.columns or {}).items()}
    if not len(others.columns):
        if wanted:
            raise OptionError("columns: must name columns other than the target and the time, got " + ", ".join(wanted))
        return {}
    seen = others.iloc[: int(np.searchsorted(history.positions, ends))].reset_index(drop=True)
    seen.insert(0, _stand_in(seen), np.arange(len(seen)) / 2)  # a table needs a column that is of use
    kinds = detect_kinds(seen, wanted)
    del kinds[_stand_in(others)]
    return {name: _as_channel(name, kind, seen[name]) for name, kind in kinds.items()}


def _stand_in(frame: pd.DataFrame) -> str:
    return unique_names([*frame.columns, "target"])[0][-1]


def _as_channel(name: str, kind: Detected, column: pd.Series[Any]) -> Detected:
    if kind.kind == "categorical":
        values = len(keys(plain(column))[1])
        if values > _MOST_CATEGORIES:
            return Detected("ignored", f"{name}: set aside, {values} categories are too many for channels", notable=True)
    if kind.kind in _SEEN or not kind.used:
        return kind
    return Detected("ignored", f"{name}: set aside, a column of kind {kind.kind} is no channel of a series", notable=True)


def _window_format(
    history: History,
    target: str,
    axis: TimeAxis | None,
    kinds: dict[str, Detected],
    plan: Plan,
    values: Floats,
) -> WindowFormat:
    """Return the form of the windows of a plan. values: the target of all steps; what is measured is of those that train."""
    fit = values[: plan.fit_ends]
    names = list(kinds)
    seen = history.frame.iloc[: int(np.searchsorted(history.positions, len(fit)))]
    columns = Columns.fit(seen[names].reset_index(drop=True), kinds) if names else Columns((), ())
    cycles = () if axis is None else find_cycles(len(fit), axis.step)
    scale = seasonal_error(fit, plan.season)
    return WindowFormat(target, columns, axis, plan.context, plan.horizon, plan.season, cycles, scale)


def _missing(values: Floats, context: int, horizon: int) -> list[str]:
    """Return the notice of missing targets and of the windows that they cost."""
    lacking = int(np.isnan(values).sum())
    every = max(0, len(values) - context - horizon + 1)
    lost = every - len(beginnings(values, context, horizon))
    if not lacking:
        return []
    return [f"{lacking} of {len(values)} steps have no target; {lost} of {every} windows, whose future lacks some, are left out"]
