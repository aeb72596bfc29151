"""Sequences from tables: a row for each step, told apart by ids and ordered by times; or a row for each sequence.

In a table of steps numbers are channels, true and false are 1 and 0, and each category is a channel of its own, 1 where it holds:
networks for sequences take numbers alone. Rows are steps even where nothing was measured in them. Where the times are not equally
far apart, the time since the step before (0 for the first) is a channel too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from automl.data.columns import Category, Columns
from automl.data.encode import encode, fit_ruler, measure
from automl.data.judging import Detected
from automl.data.kinds import detect_kinds, notable_lines
from automl.data.names import listed
from automl.data.plain import plain
from automl.data.roles import ascending
from automl.data.series_arrays import Steps
from automl.data.series_format import LongTable
from automl.data.values import keys, read_numbers
from automl.errors import DataError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from automl.data.load import Table

Array: TypeAlias = NDArray[Any]

_MOST_CATEGORIES = 32  # of a column: each is a channel, at every step
_EQUAL = 1e-6  # by how much of their median equal differences of times may differ: what float32 and text make of them
_SHOWN = 3


@dataclass(frozen=True, eq=False)
class Order:
    """Which rows of a table are the steps of which sequence.

    rows: their positions, sequence by sequence in the order in which ids first appear, each in the order of time. lengths: steps
    of each, int64 (n,). ids: as they are spelt. differences: the time since the step before, float64 (rows,), 0 for the first
    step of a sequence, in seconds where the times are times; None without times. notices: one line each.
    """

    rows: Array
    lengths: Array
    ids: tuple[str, ...]
    differences: Array | None
    notices: tuple[str, ...]

    @property
    def starts(self) -> Array:
        """Return where in `rows` each sequence begins."""
        return np.cumsum(self.lengths) - self.lengths

    @property
    def are_irregular(self) -> bool:
        """Return whether the steps of sequences are not equally far apart in time."""
        if self.differences is None:
            return False
        later = np.delete(self.differences, self.starts)
        return len(later) > 0 and float(np.ptp(later)) > _EQUAL * max(abs(float(np.median(later))), 1e-12)


def put_in_order(frame: pd.DataFrame, id_column: str, time_column: str | None) -> Order:
    """Return the order of a table's rows as steps. Raises `DataError` for ids or times that are missing."""
    for option, name in (("id_column", id_column), ("time_column", time_column)):
        if name is not None and name not in frame.columns:
            names = list(frame.columns)
            raise DataError(f"{option} must name a column ({listed(names)}), got {name!r}{nearest(name, names)}")
    codes, words = keys(plain(frame[id_column]))
    if (codes < 0).any():
        raise DataError(
            f"id_column {id_column!r} must have a value in every row, {int((codes < 0).sum())} have none (the first is row "
            f"{int((codes < 0).argmax())})"
        )
    sequences, first = pd.factorize(codes)
    lengths = np.bincount(sequences).astype(np.int64)
    ids = tuple(words[code] for code in first)
    if time_column is None:
        return Order(np.argsort(sequences, kind="stable"), lengths, ids, None, ())
    times, unit = ascending(frame[time_column])
    rows = np.lexsort((times, sequences))
    differences = np.diff(times[rows].astype(np.float64), prepend=0.0) / unit
    starts = np.cumsum(lengths) - lengths
    differences[starts] = 0.0
    alike = np.delete(np.arange(len(rows)), starts)[np.delete(differences, starts) == 0]
    some = listed([ids[sequence] for sequence in np.unique(sequences[rows[alike]])[:_SHOWN]])
    notice = f"{len(alike)} rows have the {time_column!r} of the row before in the same sequence ({some}); they keep their order"
    return Order(rows, lengths, ids, differences, (notice,) if len(alike) else ())


def of_sequences(column: pd.Series[Any], order: Order, what: str) -> pd.Series[Any]:
    """Return the one value that a column has in each sequence; rows where it is missing don't count.

    what: what the column is, for the error. Raises `DataError` naming the sequence in which it has several.
    """
    codes = keys(plain(column))[0][order.rows]
    sequences = np.repeat(np.arange(len(order.lengths)), order.lengths)
    present = np.flatnonzero(codes >= 0)
    chosen = order.rows[order.starts].copy()
    chosen[sequences[present[::-1]]] = order.rows[present[::-1]]  # the first row of each that has one
    wanted = np.full(len(order.lengths), -1, dtype=np.int64)
    wanted[sequences[present[::-1]]] = codes[present[::-1]]
    other = present[codes[present] != wanted[sequences[present]]]
    if len(other):
        sequence, several = sequences[other[0]], len(np.unique(sequences[other]))
        values = [column.tolist()[row] for row in (chosen[sequence], order.rows[other[0]])]
        more = f"; so must {several - 1} more" if several > 1 else ""
        raise DataError(
            f"{what} must be the same in all steps of a sequence, but {order.ids[sequence]!r} has {values[0]!r} and "
            f"{values[1]!r}{more}"
        )
    return column.iloc[chosen].reset_index(drop=True)


# ---------------------------------------------------------------------------------------------------- a row for each step


def fit_long(
    frame: pd.DataFrame, order: Order, id_column: str, time_column: str | None, wanted: Mapping[str, str]
) -> tuple[LongTable, dict[str, Detected]]:
    """Return how a table of steps becomes channels, and what its columns are.

    frame: without target and roles. wanted: kinds of columns by name, as the user says. Raises `DataError` where none is usable.
    """
    columns = frame.drop(columns=[id_column, *([] if time_column is None else [time_column])])
    gaps = None
    if order.differences is not None and order.are_irregular:
        gaps = fit_ruler(order.differences)
    if not len(columns.columns) and gaps is not None:
        return LongTable(Columns((), ()), id_column, time_column, gaps), {}
    if not len(columns.columns):
        raise DataError(f"data: must have a column beside {id_column!r}, the times and the target, got none")
    kinds = {name: _without_texts(name, found) for name, found in detect_kinds(columns, wanted).items()}
    table = LongTable(Columns.fit(columns, kinds), id_column, time_column, gaps)
    for column in table.columns.columns:
        if isinstance(column, Category) and len(column.categories) > _MOST_CATEGORIES:
            kinds[column.column] = _too_many(column)
    if not any(found.used for found in kinds.values()) and gaps is None:
        raise DataError(f"data: at least one column must be usable, got {'; '.join(found.line for found in kinds.values())}")
    return replace(table, columns=Columns.fit(columns, kinds)), kinds


def _without_texts(name: str, found: Detected) -> Detected:
    return found if found.kind != "text" else Detected("ignored", f"{name}: text, set aside, channels are numbers", notable=True)


def _too_many(column: Category) -> Detected:
    line = f"{column.column}: {len(column.categories)} categories, set aside, {_MOST_CATEGORIES} at most become channels"
    return Detected("ignored", line, notable=True)


def lines_of(kinds: Mapping[str, Detected], table: LongTable) -> tuple[list[str], list[str]]:
    """Return the notices and the reasons of what the columns are."""
    notices = list(notable_lines(kinds))
    if table.gaps is not None:
        notices.append(
            f"{table.time_column}: its times are not equally far apart; the time since the step before is a channel of its own"
        )
    return notices, [found.line for found in kinds.values()]


def long_steps(frame: pd.DataFrame, order: Order, table: LongTable) -> Steps:
    """Return the channels of a table of steps, float32, in order. Raises `DataError` for columns that are missing."""
    numeric, codes = map(np.asarray, encode(table.columns, frame))
    parts = [numeric, *(_one_hot(codes[:, i], len(known)) for i, known in enumerate(table.columns.categories))]
    cells = np.concatenate(parts, axis=1)[order.rows] if len(table.columns.columns) else np.zeros((len(frame), 0), np.float32)
    if table.gaps is not None:
        assert order.differences is not None
        cells = np.column_stack([cells, measure(order.differences, table.gaps)])
    return Steps(cells, order.lengths, order.notices)


def _one_hot(codes: Array, categories: int) -> Array:
    """Return a channel for each category; all are 0 where none is known."""
    return np.asarray(codes[:, None] == np.arange(1, categories + 1), dtype=np.float32)


# ------------------------------------------------------------------------------------------------ a row for each sequence


def wide_array(table: Table, steps: Iterable[str]) -> Array:
    """Return the columns of a table as steps of sequences, float64 `(n, steps)`. Raises `DataError` for what is no number."""
    frame, names = table.frame, list(steps)
    if table.positional and len(frame.columns) == len(names):
        frame = frame.set_axis(names, axis=1)
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise DataError(f"data: the columns of training must be there, missing {listed(missing)}")
    array = np.empty((len(frame), len(names)))
    for position, name in enumerate(names):
        column = plain(frame[name])
        array[:, position] = read_numbers(column)
        unread = np.isnan(array[:, position]) & ~column.missing()
        if unread.any():
            row = int(unread.argmax())
            raise DataError(
                f"data: the columns of a table without id_column are the steps of sequences and must be numbers, but column "
                f"{name!r} has {frame[name].tolist()[row]!r} in row {row}; with a row for each step, give id_column="
            )
    return array
