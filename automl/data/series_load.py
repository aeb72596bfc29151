"""Whatever a user has of sequences becomes values and lengths, and one target; or one clear error.

The form (which channels there are, in which units, how many steps become one) is read from all sequences of the data, before rows
are dealt out: it is no statistic, and says nothing about labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from automl.data.load import Loaded, as_target, split_target
from automl.data.names import listed
from automl.data.ready import Ready
from automl.data.series_arrays import Steps, read_steps, together
from automl.data.series_encode import fit_arrays, in_form, pooled_for, steps_of
from automl.data.series_format import SeriesFormat
from automl.data.series_frames import Order, fit_long, lines_of, long_steps, of_sequences, put_in_order, wide_array
from automl.data.series_sources import FoundSeries, find_series
from automl.data.target import missing_target
from automl.errors import DataError, OptionError

if TYPE_CHECKING:
    from automl.data.features import Features
    from automl.data.load import Table
    from automl.data.options import DataOptions

Array: TypeAlias = NDArray[Any]
AnyTarget: TypeAlias = "pd.Series[Any] | pd.DataFrame"


@dataclass(frozen=True, eq=False)
class Series(Ready):
    """Sequences in a form: values float32 `(n, steps, channels)`, lengths int64 `(n,)`."""

    form: SeriesFormat
    values: Array
    lengths: Array

    @property
    def encoder(self) -> SeriesFormat:
        return self.form

    @property
    def features(self) -> Features:
        return self.values, self.lengths

    def joined(self, others: Sequence[Ready]) -> Features:
        parts = [self, *(other for other in others if isinstance(other, Series))]
        return together([(part.values, part.lengths) for part in parts])  # noqa: PD011 (ours)


@dataclass(frozen=True, eq=False)
class _Read:
    """Sequences before they are in a form: the columns that may have roles, the target, what the form is, what to say."""

    frame: pd.DataFrame
    target: AnyTarget
    steps: Steps
    form: SeriesFormat
    notices: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


def series_of(data: Any, options: DataOptions, like: Loaded | None, part: str) -> tuple[Loaded | None, Any]:
    """Return sequences with their target and None; or None, and the data as they came. Raises `DataError`.

    like, part: as for `automl.data.sources.load_data`.
    """
    form = like.ready.form if like is not None and isinstance(like.ready, Series) else None
    if like is not None and form is None:
        return None, data
    wanted = options if form is None else replace(options, inputs="sequences")
    found = find_series(data, wanted, part)
    if found is None:
        return None, data
    if like is None and found.part != "train":
        came = " and ".join([found.part, *found.parts])
        raise DataError(
            f"data: must hold sequences to train on (x_train or x), but {found.source} holds {came} alone; give it as "
            f"{found.part}= beside sequences to train on, or rename them"
        )
    return load_series(found, wanted, options.target if like is None else like.target_name, form), None


def load_series(found: FoundSeries, options: DataOptions, name: object, form: SeriesFormat | None = None) -> Loaded:
    """Return sequences, in the form given or else in one of their own, with their target. Raises `DataError`, `OptionError`."""
    if options.kind == "reconstruction":
        raise OptionError("task must be what the labels of sequences need; reconstruction is for tables and images alone")
    table = found.table
    if table is None and options.id_column is not None:
        raise OptionError(f"id_column must be left out for arrays, it is for tables of steps, got {options.id_column!r}")
    if table is None:
        read = _from_arrays(found, name, form)
    elif options.id_column is not None:
        read = _from_long(found, table, options, name, form)
    else:
        read = _from_wide(found, table, options, name, form)
    if form is None:
        pooled, notice = pooled_for(read.steps.lengths, len(read.form.channels))
        read = replace(read, form=replace(read.form, pooled=pooled), notices=(*read.notices, *([notice] if notice else [])))
    values, lengths = in_form(read.steps, read.form)
    missing = missing_target(read.target)
    rows = np.flatnonzero(~missing)
    name = read.target.name if isinstance(read.target, pd.Series) else ", ".join(map(str, read.target.columns))
    if not len(rows):
        raise DataError(f"target {name!r} must have values, all {len(missing)} sequences are missing")
    notices, frame, target = list(read.notices), read.frame, read.target
    if missing.any():
        notices.append(
            f"{int(missing.sum())} of {len(missing)} sequences have no target {name!r} (missing or infinite); they are left out"
        )
        frame, target = frame.iloc[rows].reset_index(drop=True), target.iloc[rows].reset_index(drop=True)
        values, lengths = values[rows], lengths[rows]
    ready = Series(read.form, values, lengths)
    reasons = (_form_line(read.form, lengths), *read.reasons)
    return Loaded(frame, target, rows, found.source, False, tuple(notices), ready, reasons, _parts(found))


def _parts(found: FoundSeries) -> dict[str, Any]:
    """Return the other parts that have labels, as a user would give them."""
    return {
        role: ((series if lengths is None else (series, lengths)), labels)
        for role, (series, lengths, labels, _) in found.parts.items()
        if labels is not None
    }


def _form_line(form: SeriesFormat, lengths: Array) -> str:
    steps = f"{lengths.min()} to {lengths.max()}" if lengths.min() < lengths.max() else str(lengths.max())
    names = f": {listed(form.channels)}" if form.table is not None else ""
    return f"sequences of {steps} steps, {len(form.channels)} channel{'s' if len(form.channels) > 1 else ''}{names}"


def _labels(found: FoundSeries, name: object, rows: int) -> AnyTarget:
    """Return the labels beside arrays. Raises `DataError` where there are none, or of another number."""
    if found.labels is None:
        raise DataError(f"data: sequences need their labels beside them, but {found.source} hold none; give (X, y)")
    target = as_target(found.labels, name or found.target)
    if len(target) != rows:
        raise DataError(f"X and y must have the same length, got {rows} sequences and {len(target)} labels")
    return target


def _from_arrays(found: FoundSeries, name: object, form: SeriesFormat | None) -> _Read:
    steps = read_steps(found.series, found.lengths) if form is None else steps_of(found, form)
    target = _labels(found, name, len(steps.lengths))
    frame = pd.DataFrame(dict(found.beside), index=range(len(steps.lengths)))
    alone = sorted(role for role, (_, _, labels, _) in found.parts.items() if labels is None)
    notices = [f"{found.source}: the {' and '.join(alone)} sequences have no labels; they are left out"] if alone else []
    return _Read(frame, target, steps, fit_arrays(steps) if form is None else form, (*steps.notices, *notices))


# ------------------------------------------------------------------------------------------------------------------- tables


def _from_long(found: FoundSeries, table: Table, options: DataOptions, name: object, form: SeriesFormat | None) -> _Read:
    """Return the sequences of a table with a row for each step."""
    assert options.id_column is not None
    time = None if options.time is None else str(options.time)
    if found.labels is None:
        _check_own(options, name)
        table, given = split_target(table, name)
    else:
        given = as_target(found.labels, name)
    order = put_in_order(table.frame, str(options.id_column), time)
    target = _target_of_sequences(given, order, found)
    roles = _named_roles(options, list(table.frame.columns), {options.id_column, time})
    beside = {role: of_sequences(table.frame[role], order, f"column {role!r}") for role in roles}
    frame = pd.DataFrame(beside, index=range(len(order.lengths)))
    notices, reasons = [*table.notices, *order.notices], list[str]()
    if form is None:
        columns = table.frame.drop(columns=roles)
        wanted = {str(column): kind for column, kind in (options.columns or {}).items()}
        long, kinds = fit_long(columns, order, str(options.id_column), time, wanted)
        form = SeriesFormat(long.channels, table=long)
        own, reasons = lines_of(kinds, long)
        notices += own
    assert form.table is not None
    return _Read(frame, target, long_steps(table.frame, order, form.table), form, tuple(notices), tuple(reasons))


def _target_of_sequences(given: AnyTarget, order: Order, found: FoundSeries) -> AnyTarget:
    """Return the target of each sequence, of which a table has one in each row, or (X, y) one for each sequence."""
    rows, sequences = len(order.rows), len(order.lengths)
    labels = found.labels
    if labels is not None and len(given) == sequences and sequences < rows:
        named = isinstance(labels, (pd.Series, pd.DataFrame)) and not isinstance(labels.index, pd.RangeIndex)
        index = [str(label) for label in labels.index] if named else []
        if sorted(index) == sorted(order.ids):
            return given.iloc[[index.index(own) for own in order.ids]].reset_index(drop=True)
        return given
    if len(given) != rows:
        raise DataError(f"X and y must have the same length, got {rows} rows of {sequences} sequences and {len(given)} labels")
    if isinstance(given, pd.DataFrame):
        return pd.DataFrame({name: of_sequences(given[name], order, f"target {name!r}") for name in given.columns})
    return of_sequences(given, order, f"target {given.name!r}")


def _named_roles(options: DataOptions, names: Sequence[str], others: set[str | None]) -> list[str]:
    """Return the columns that the user named as groups or weights."""
    given = (options.groups, options.sample_weight)
    wanted = [str(value) for value in given if isinstance(value, (str, int)) and not isinstance(value, bool)]
    return [name for name in wanted if name in names and name not in others]


def _check_own(options: DataOptions, target: object) -> None:
    """Raise `DataError` where the target is named a second time, as the column of ids or of times."""
    targets = target if isinstance(target, list) else [target]
    for option, name in (("id_column", options.id_column), ("time_column", options.time)):
        if name is not None and str(name) in map(str, targets):
            raise DataError(f"{option} must be a column of its own, but {name!r} is named twice, it is the target too")


def _from_wide(found: FoundSeries, table: Table, options: DataOptions, name: object, form: SeriesFormat | None) -> _Read:
    """Return the sequences of a table with a row for each: its columns are the steps of a single channel, in order."""
    target: AnyTarget
    if found.labels is None:
        table, target = split_target(table, name)
    else:
        target = _labels(found, name, len(table.frame))
    roles = _named_roles(options, list(table.frame.columns), set())
    frame = table.frame[roles].reset_index(drop=True)
    names = tuple(column for column in table.frame.columns if column not in roles) if form is None else form.steps
    steps = read_steps(wide_array(table, names))
    fitted = fit_arrays(steps, names) if form is None else form
    return _Read(frame, target, steps, fitted, (*table.notices, *steps.notices))
