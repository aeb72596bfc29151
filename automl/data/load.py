"""Whatever a user has (a path, a frame, arrays, lists) becomes one frame of features and one target, or one clear error."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from automl.data.files import read_file
from automl.data.names import listed, unique_names, unnamed
from automl.data.target import missing_target
from automl.data.text_lists import as_texts
from automl.errors import DataError, nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from automl.data.ready import Ready


_NUMBER = re.compile(r"-?\d+(\.\d*)?")


@dataclass(frozen=True, eq=False)
class Table:
    """A table without a role yet: unique names, index 0..rows-1. labels: the user's own names of its columns."""

    frame: pd.DataFrame
    labels: tuple[object, ...]
    source: str
    positional: bool = False
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Loaded:
    """A table with its target, row by row.

    frame: the features, unique str names, index 0..rows-1. target: same index, nothing missing; a column each of several targets,
    or of the steps ahead of a forecast; None where nothing is to be predicted. rows: int64, the positions in the user's data of
    the rows kept (rows without a target are dropped). source: for reports. positional: the data came as arrays without names.
    notices: one line each. ready: in place of the features, where rows are images, sequences or windows; the frame then holds
    what was beside them. reasons: one line each, of what was found out. parts: the user's own rows for "validation" and "test",
    where the data hold them. times: of windows, in the order of time. gap: the rows between two roles that play none, so that no
    window reaches into another role.
    """

    frame: pd.DataFrame
    target: pd.Series[Any] | pd.DataFrame | None
    rows: NDArray[np.int64]
    source: str
    positional: bool
    notices: tuple[str, ...]
    ready: Ready | None = None
    reasons: tuple[str, ...] = ()
    parts: Mapping[str, Any] = field(default_factory=dict)
    times: NDArray[Any] | None = None
    gap: int = 0

    @property
    def target_name(self) -> str:
        """The name of what is predicted, those of several with commas between; "" where nothing is."""
        return "" if self.target is None else name_of(self.target)


def load(data: object, target: object = None) -> Loaded:
    """Return the features and the target of `data`: a path to CSV, TSV or Parquet, a DataFrame, or (X, y).

    target: the name of the target column, or a list of several; without one, a path, a DataFrame or an array has features only.
    The index of a frame is ignored: X and y belong
    together by position. Raises `DataError`.
    """
    if isinstance(data, tuple):
        if len(data) != 2:
            raise DataError(f"data: a tuple must be (X, y), got {len(data)} parts")
        table, values = _pair(data[0], data[1], target)
        return _joined(table, values)
    table = read_table(data)
    if target is None:
        return _unlabelled(table)
    return _joined(*split_target(table, target))


def _unlabelled(table: Table) -> Loaded:
    """Return a table of which nothing is to be predicted."""
    if not len(table.frame):
        raise DataError("data: must have rows, got none")
    if not len(table.frame.columns):
        raise DataError("data: must have columns, got none")
    rows = np.arange(len(table.frame))
    return Loaded(table.frame, None, rows, table.source, table.positional, table.notices)


def read_table(data: object) -> Table:
    """Return the table in `data`: a path, a DataFrame, an array (rows, columns), a dict of columns or of one row, a list of rows.

    A list, Series or array of strings is a table with a column of texts. A `Table` comes back as it is. Raises `DataError` for
    anything else.
    """
    if isinstance(data, Table):
        return data
    if isinstance(data, (str, os.PathLike)):
        path = Path(os.fspath(data))
        frame, notices = read_file(path)
        return _named(frame, path.name, notices)
    if hasattr(data, "to_pandas"):
        data = data.to_pandas()
    texts = as_texts(data)
    if texts is not None:
        return replace(_named(texts, "a list of texts", []), positional=True)
    if isinstance(data, pd.Series):
        raise DataError("data: must be a table, got a Series; use series.to_frame() for one column, to_frame().T for one row")
    if isinstance(data, Mapping):
        data = _from_mapping(data)
    if isinstance(data, list) and data and all(isinstance(row, Mapping) for row in data):
        data = pd.DataFrame(data)
    if isinstance(data, pd.DataFrame):
        return _named(data, "a DataFrame", [])
    return _from_array(data)


def _named(frame: pd.DataFrame, source: str, notices: list[str]) -> Table:
    """Return a frame as a table, with unique names and without its index."""
    names, repeated = unique_names(frame.columns)
    return Table(
        frame.set_axis(names, axis=1).reset_index(drop=True), tuple(frame.columns), source, notices=(*notices, *repeated)
    )


def _from_mapping(data: Mapping[Any, Any]) -> pd.DataFrame:
    one_row = all(pd.api.types.is_scalar(value) for value in data.values())
    try:
        return pd.DataFrame([data] if one_row else dict(data))
    except ValueError as error:
        raise DataError(f"data: a dict must hold one row, or columns of one length, but {error}") from error


def _from_array(data: object) -> Table:
    if isinstance(data, list) and len(data) == 2 and getattr(data[0], "ndim", 0) == 2:
        raise DataError("data: features and target must be a tuple, (X, y), got a list of both")
    if data is None or np.isscalar(data) or callable(data):
        raise DataError(f"data: must be a path, a DataFrame, an array or (X, y), got {type(data).__name__} {data!r:.60}")
    dense = data.toarray() if hasattr(data, "toarray") else data  # sparse matrices of scipy
    try:
        array = dense if isinstance(dense, np.ndarray) else np.asarray(dense if hasattr(dense, "dtype") else _objects(dense))
    except (ValueError, TypeError, RuntimeError) as error:
        raise DataError(f"data: must be a table, rows of one length, but {error}") from error
    if array.dtype.names is not None:
        return read_table(pd.DataFrame(array))
    if array.ndim != 2:
        fix = "; use X.reshape(-1, 1) for one column, X.reshape(1, -1) for one row" if array.ndim == 1 else ""
        raise DataError(f"data: an array must have two dimensions (rows, columns), got shape {array.shape}{fix}")
    frame = pd.DataFrame(array, columns=[f"x{position}" for position in range(array.shape[1])])
    return Table(frame.infer_objects(), tuple(range(array.shape[1])), "arrays", positional=True)


def _objects(rows: Any) -> Any:
    """Return nested lists as an array that keeps what each cell is: numpy would make texts of [1, "a"]."""
    rows = list(rows)
    widths = {len(row) if hasattr(row, "__len__") and not isinstance(row, str) else -1 for row in rows}
    if len(widths) > 1:
        raise ValueError(f"their lengths are {', '.join(map(str, sorted(widths)[:3]))}")
    return np.array(rows, dtype=object)


# -------------------------------------------------------------------------------------------------------------------- target


def split_target(table: Table, target: object) -> tuple[Table, pd.Series[Any] | pd.DataFrame]:
    """Take the target's column, or those of several, out of a table. Raises `DataError` where there is no such column."""
    if isinstance(target, list) and target:  # a tuple is the name of one column with several levels
        columns = []
        for position, name in enumerate(target):
            if any(_same(name, other) for other in target[:position]):
                raise DataError(f"target: {name!r} must be named once, it is named twice")
            table, column = _split_one(table, name)
            columns.append(column)
        return table, columns[0] if len(columns) == 1 else pd.concat(columns, axis=1)
    return _split_one(table, target)


def _split_one(table: Table, target: object) -> tuple[Table, pd.Series[Any]]:
    names = list(table.frame.columns)
    if table.positional:
        raise DataError("data: an array needs its target beside it; give (X, y)")
    if not names:
        raise DataError("data: must have columns, got none")
    if target is None:
        raise DataError(f"target: must name the column to predict, got None; the columns are {listed(names)}")
    if not pd.api.types.is_hashable(target):
        came = "an empty list" if isinstance(target, list) and not target else type(target).__name__
        raise DataError(f"target: must be the name of a column or a list of names, got {came}; give values as (X, y)")
    matches = [name for name, label in zip(names, table.labels, strict=True) if _same(label, target)]
    if not matches:
        matches = [name for name in names if name == str(target).strip()]
    if not matches:
        nameless = "; the first line of a file must hold the names" if any(map(_NUMBER.fullmatch, names)) else ""
        raise DataError(f"target: {target!r} must be one of the columns {listed(names)}{nearest(target, names) or nameless}")
    if len(matches) > 1:
        raise DataError(f"target: {target!r} must be one column, {len(matches)} have this name; rename all but one")
    frame = table.frame.drop(columns=matches[0])
    labels = tuple(label for name, label in zip(names, table.labels, strict=True) if name != matches[0])
    return Table(frame, labels, table.source, table.positional, table.notices), table.frame[matches[0]]


def _same(label: object, target: object) -> bool:
    return type(label) is type(target) and label == target


def _pair(x: object, y: Any, name: object) -> tuple[Table, pd.Series[Any] | pd.DataFrame]:
    """Return the parts of (X, y), matched by position."""
    table, target = read_table(x), as_target(y, name)
    frame = table.frame
    for column, values in target.items() if isinstance(target, pd.DataFrame) else [(str(target.name), target)]:
        if column in frame.columns and frame[column].equals(values):
            raise DataError(f"X must not hold the target, but its column {column!r} is y; drop it")
    if isinstance(x, pd.DataFrame) and isinstance(y, (pd.Series, pd.DataFrame)) and not x.index.equals(y.index):
        table = replace(table, notices=(*table.notices, "X and y have different indexes; their rows are matched by position"))
    return table, target


def as_target(y: Any, name: object) -> pd.Series[Any] | pd.DataFrame:
    """Return the y of (X, y) as a column, or as columns where there are several targets; `name` goes before their own."""
    if isinstance(y, pd.DataFrame) and y.shape[1] == 1:
        y = y.iloc[:, 0]
    if isinstance(y, pd.DataFrame):
        return _several(y.to_numpy(), name if name is not None else list(y.columns))
    if not isinstance(y, pd.Series):
        array = y if isinstance(y, np.ndarray) else _vector(y)
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if array.ndim == 2 and array.shape[1]:
            return _several(array, name)
        if array.ndim != 1:
            raise DataError(f"y: must have one value for each row, or one for each row and target, got shape {array.shape}")
        y = pd.Series(array).infer_objects()
    label = name if name is not None else y.name
    target: pd.Series[Any] = y.reset_index(drop=True)
    return target.rename("target" if label is None else str(label))


def _several(array: NDArray[Any], names: object) -> pd.DataFrame:
    """Return a matrix of several targets as columns with names of their own. Raises `DataError` for one column per class."""
    is_one_hot = array.dtype.kind in "biuf" and bool(((array == 0) | (array == 1)).all() and (array.sum(1) == 1).all())
    if is_one_hot:
        raise DataError(f"y: must have one value for each row, got shape {array.shape}; use y.argmax(1) for one column per class")
    width = array.shape[1]
    given = list(names) if isinstance(names, (list, tuple)) else unnamed(width, names)
    if len(given) != width or len(set(map(str, given))) != width:
        raise DataError(f"target: must name each of the {width} columns of y once, got {listed(given)}")
    return pd.DataFrame(array, columns=[str(label) for label in given]).infer_objects()


def _vector(y: Any) -> NDArray[Any]:
    if y is None or isinstance(y, (str, bytes, Mapping)) or np.isscalar(y):
        raise DataError(f"y: must be an array, Series or list with one value for each row, got {type(y).__name__} {y!r:.60}")
    return np.asarray(y) if hasattr(y, "__array__") else np.array(list(y), dtype=object)


def _joined(table: Table, target: pd.Series[Any] | pd.DataFrame) -> Loaded:
    """Return the rows that have a target."""
    frame = table.frame
    if len(frame) != len(target):
        raise DataError(f"X and y must have the same length, got {len(frame)} and {len(target)} rows")
    if not len(frame):
        raise DataError("data: must have rows, got none")
    if not len(frame.columns):
        raise DataError(f"data: must have a column besides the target {name_of(target)!r}, got none")
    missing = missing_target(target)
    rows = np.flatnonzero(~missing)
    if not rows.size:
        raise DataError(f"target {name_of(target)!r} must have values, all {len(target)} rows are missing")
    notices = list(table.notices)
    if missing.any():
        notices.append(
            f"{int(missing.sum())} of {len(target)} rows have no target {name_of(target)!r} (missing or infinite); "
            "they are left out"
        )
        frame, target = frame.iloc[rows].reset_index(drop=True), target.iloc[rows].reset_index(drop=True)
    return Loaded(frame, target, rows, table.source, table.positional, tuple(notices))


def name_of(target: pd.Series[Any] | pd.DataFrame) -> str:
    """Return the name of a target, those of several with commas between."""
    if isinstance(target, pd.DataFrame):
        return str(target.attrs.get("name") or ", ".join(map(str, target.columns)))  # steps ahead are of one series
    return str(target.name)
