"""Whether data are sequences, and where: the one place that knows all forms in which people have them.

The rule, where the user says neither `inputs` nor `id_column`: arrays beside which lie lengths, lists of arrays of different
lengths, and arrays of three axes of floats are sequences, `(n, steps, channels)`; but such an array without NaN whose last two
axes look like an image (8 or more both, neither twice as long as the other) is one of images, and `(n, steps)` is a table.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from automl.data.image_files import ROLES, named, read_npz, role_of
from automl.data.load import Table, read_table
from automl.data.names import listed
from automl.data.series_shapes import are_lengths, are_series, has_gaps, is_column, is_of_floats, is_sequence_shape
from automl.errors import DataError

if TYPE_CHECKING:
    from automl.data.options import DataOptions

Array: TypeAlias = NDArray[Any]

SEQUENCES = "sequences"
TARGET = "label"  # the target's name where a file names none
_X = frozenset({"x", "data", "values", "series", "sequences"})
_Y = frozenset({"y", "label", "labels", "target", "targets"})
_LENGTHS = frozenset({"len", "lens", "length", "lengths"})
_CLASSES = "classes"


@dataclass(frozen=True, eq=False)
class FoundSeries:
    """Sequences as a user has them.

    series: an array or tensor `(n, steps[, channels])`, a list of arrays, or a table. lengths: one for each, or None. labels: one
    for each, or None; the rows of a table of steps may have one each. source: for reports. target: the name of the labels.
    beside: further arrays of a file, one value for each sequence, by name. part: which rows these are, "train" unless the data
    have none of it. parts: the other rows found beside, as (series, lengths, labels, beside).
    """

    series: Any
    lengths: Any = None
    labels: Any = None
    source: str = "arrays"
    target: str | None = None
    beside: Mapping[str, Any] = field(default_factory=dict)
    part: str = "train"
    parts: Mapping[str, tuple[Any, Any, Any, Mapping[str, Any]]] = field(default_factory=dict)

    @property
    def table(self) -> Table | None:
        """Return the table that holds the sequences; None where arrays do."""
        return self.series if isinstance(self.series, Table) else None


def find_series(data: Any, options: DataOptions, part: str = "train", *, labelled: bool = True) -> FoundSeries | None:
    """Return the sequences in `data`, or None where there are none.

    options: `inputs` and `id_column` say what data are. part: of sequences in several parts (x_train, x_test) the one that is
    wanted; `FoundSeries.part` tells where there is another alone. labelled: whether a pair is (X, y); else it is (x, lengths).
    Raises `DataError` for what can't be read.
    """
    if options.inputs not in {None, SEQUENCES} or options.horizon is not None:
        return None
    forced = options.inputs == SEQUENCES or options.id_column is not None
    is_pair = labelled and isinstance(data, tuple) and len(data) == 2
    found = _found(data[0] if is_pair else data, forced=forced)
    if found is None and forced:
        hint = "; give (X, y)" if isinstance(data, tuple) and not is_pair else ""
        raise DataError(
            "data: must be sequences: an array (n, steps[, channels]), a list of arrays, a table, or an .npz file, got "
            f"{_shown(data[0] if is_pair else data)}{hint}"
        )
    if found is None:
        return None
    found = _part(found, part)
    return replace(found, labels=data[1], target=None) if is_pair else found


def _shown(data: Any) -> str:
    shape = getattr(data, "shape", None)
    return type(data).__name__ if shape is None else f"an array of shape {tuple(shape)}"


def _part(found: FoundSeries, part: str) -> FoundSeries:
    """Return another part of the sequences where it is wanted and there."""
    if part not in found.parts:
        return found
    series, lengths, labels, beside = found.parts[part]
    return replace(found, series=series, lengths=lengths, labels=labels, beside=beside, part=part, parts={})


def _found(data: Any, *, forced: bool) -> FoundSeries | None:
    """Return the sequences in data that are no (X, y)."""
    if isinstance(data, (str, os.PathLike)):
        return _from_path(Path(os.fspath(data)).expanduser(), forced=forced)
    if _is_table(data):
        return _from_table(data) if forced else None
    if type(data).__name__ == "NpzFile" or isinstance(data, Mapping):
        arrays = dict(data)
        if _has_lengths(arrays) or (forced and _has_series(arrays)):
            return _from_arrays(arrays, "arrays by name")
        return _from_table(arrays) if forced else None
    if isinstance(getattr(data, "tensors", None), tuple):
        return _from_tensors(data.tensors, forced=forced)
    return _in_memory(data, forced=forced)


def _in_memory(data: Any, *, forced: bool) -> FoundSeries | None:
    if isinstance(data, tuple) and len(data) == 2 and are_lengths(data[1], data[0]):
        return FoundSeries(data[0], data[1])
    return FoundSeries(data) if are_series(data, forced=forced) else None


# -------------------------------------------------------------------------------------------------------------------- files


def _from_path(path: Path, *, forced: bool) -> FoundSeries | None:
    suffix = path.suffix.lower()
    if suffix == ".npy" and path.is_file():
        array = read_npz(path)[""]
        return FoundSeries(array, source=path.name) if are_series(array, forced=forced) else None
    if suffix == ".npz":
        shapes = _shapes(path)
        if forced or _has_lengths(shapes):
            return _from_arrays(read_npz(path), path.name)
        names = [name for name, array in shapes.items() if role_of(name)[1] in _X and is_of_floats(array)]
        if any(is_sequence_shape(shapes[name]) for name in names) or _any_gaps(path, names):
            return _from_arrays(read_npz(path), path.name)
        return None
    return _from_table(path) if forced else None


def _any_gaps(path: Path, names: Sequence[str]) -> bool:
    arrays = read_npz(path) if names else {}
    return any(has_gaps(arrays[name]) for name in names)


def _shapes(path: Path) -> dict[str, Any]:
    """Return for each array of an .npz file one of its type and shape, of which nothing was read and that takes no memory."""
    shapes = {}
    try:
        with zipfile.ZipFile(path) as file:
            for name in file.namelist():
                with file.open(name) as member:
                    version = np.lib.format.read_magic(member)
                    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                    shape, _, dtype = read(member)
                shapes[name.removesuffix(".npy")] = np.broadcast_to(np.zeros((), "O" if dtype.hasobject else dtype), shape)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return {}  # the reader says what is wrong
    return shapes


def _from_arrays(arrays: Mapping[str, Any], source: str) -> FoundSeries:
    """Return the sequences of a file to train on, or those of the test, or else of the validation; the other parts beside."""
    x: dict[str, Any] = {}
    y: dict[str, Any] = {}
    ends: dict[str, Any] = {}
    beside: dict[str, dict[str, Any]] = {}
    for name, array in arrays.items():
        role, rest = role_of(name)
        if rest in _X and (role not in x or np.ndim(array) > np.ndim(x[role])):
            x[role] = array
        elif rest in _Y or rest in _LENGTHS:
            (y if rest in _Y else ends)[role] = array
        elif rest != _CLASSES:
            beside.setdefault(role, {})[rest] = array
    if not x:
        raise DataError(f"{source}: must hold arrays x and y, or x_train and y_train, got {listed(list(arrays))}")
    nameless = "" in x and "train" not in x
    parts = {}
    for role, series in x.items():
        if role == "" and not nameless:
            continue
        rows = len(series)
        own = {name: array for name, array in beside.get(role, {}).items() if np.shape(array) == (rows,)}
        labels = named(y.get(role), arrays.get(_CLASSES), source)
        parts[role or "train"] = (series, ends.get(role), labels, own)
    part = next(role for role in ROLES if role in parts)
    series, lengths, labels, own = parts.pop(part)
    return FoundSeries(series, lengths, labels, source, TARGET, own, part, parts)


def _has_lengths(arrays: Mapping[str, Any]) -> bool:
    """Return whether arrays by name are series with their lengths, and no columns of a table."""
    roles = {role for role, rest in map(role_of, arrays) if rest in _LENGTHS}
    series = {role: name for name in arrays for role, rest in [role_of(name)] if rest in _X}
    return any(role in roles and not is_column(arrays[name]) for role, name in series.items())


def _has_series(arrays: Mapping[str, Any]) -> bool:
    return any(rest in _X and not is_column(arrays[name]) for name in arrays for _, rest in [role_of(name)])


# ------------------------------------------------------------------------------------------------------- tables and tensors


def _is_table(data: Any) -> bool:
    rows = isinstance(data, list) and bool(data) and all(isinstance(row, Mapping) for row in data)
    return rows or isinstance(data, Table) or type(data).__name__ == "DataFrame" or hasattr(data, "to_pandas")


def _from_table(data: Any) -> FoundSeries:
    table = read_table(data)
    return FoundSeries(table, source=table.source)


def _from_tensors(tensors: tuple[Any, ...], *, forced: bool) -> FoundSeries | None:
    """Return the sequences of a TensorDataset of (x, y) or (x, lengths, y)."""
    if len(tensors) == 3 and are_lengths(tensors[1], tensors[0]):
        return FoundSeries(tensors[0], tensors[1], tensors[2], "TensorDataset", TARGET)
    if len(tensors) == 2 and are_series(tensors[0], forced=forced):
        return FoundSeries(tensors[0], None, tensors[1], "TensorDataset", TARGET)
    return None
