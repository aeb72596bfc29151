"""Sequences from arrays, tensors and lists, of one length or of several: all their steps, one behind the other.

What is padding: steps at the end of a sequence that are NaN in all channels, or, where lengths are given, all behind them. NaN
anywhere else is a missing value, and a step that is NaN in all channels between others stays a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from automl.errors import DataError

Array: TypeAlias = NDArray[Any]

_MANY = 0.05  # the share of sequences that end with zeros, or begin with nothing, which is said


@dataclass(frozen=True, eq=False)
class Steps:
    """The steps of all sequences: `cells` `(steps, channels)`, numbers of any type, and `lengths` int64 `(n,)`, at least 1."""

    cells: Array
    lengths: Array
    notices: tuple[str, ...] = ()


def as_numbers(data: Any, what: str = "sequences") -> Array:
    """Return an array, tensor, frame or nested list as a numeric array; masked values become NaN. Raises `DataError`."""
    if hasattr(data, "detach"):  # a torch tensor; numpy knows no bfloat16
        data = data.detach().cpu()
        data = data.float() if data.is_floating_point() else data
    if isinstance(data, np.ma.MaskedArray):
        data = np.ma.filled(data.astype(np.float64), np.nan)
    try:
        array = np.asarray(data)
        if array.dtype.kind == "O":  # None among numbers, extension types of pandas
            array = np.asarray(data.to_numpy(np.float64, na_value=np.nan) if hasattr(data, "to_numpy") else array, np.float64)
    except (ValueError, TypeError) as error:
        raise DataError(f"{what} must be numbers, but {str(error).splitlines()[0]}") from error
    if array.dtype.kind not in "buif":
        raise DataError(f"{what} must be numbers, got an array of {array.dtype}")
    return array


def read_steps(series: Any, lengths: Any = None, channels: int | None = None) -> Steps:
    """Return the steps of an array `(n, steps[, channels])`, or of a list of arrays `(steps[, channels])` of any lengths.

    lengths: the number of steps of each that are no padding; None: see the module's docstring. channels: how many there must be,
    where that is known. An array `(n, 1, steps)` is one of a single channel, as other tools have them, unless it must have so
    many channels. Raises `DataError` for other shapes, for what is no number, and for a sequence without a step, which it names.
    """
    if hasattr(series, "ndim") and series.ndim > 1:
        return _from_array(*_with_channels_last(as_numbers(series), lengths, channels), lengths)
    if not len(series):
        raise DataError("data: must have rows, got none")
    arrays = [_sequence(item, position) for position, item in enumerate(series)]
    for position, array in enumerate(arrays):
        if array.shape[1] != arrays[0].shape[1]:
            raise DataError(
                f"sequences must have the same channels, but sequence 0 has {arrays[0].shape[1]} and sequence {position} has "
                f"{array.shape[1]}"
            )
    if lengths is None:
        ends = np.array([_last_step(array) for array in arrays], dtype=np.int64)
    else:
        ends = _checked(lengths, np.array([len(array) for array in arrays]))
    _check_steps(ends)
    return Steps(np.concatenate([array[:end] for array, end in zip(arrays, ends, strict=True)]), ends)


def _with_channels_last(array: Array, lengths: Any, channels: int | None) -> tuple[Array, list[str]]:
    """Return an array `(n, steps, channels)`, and the notice due."""
    if array.ndim == 2:
        return array[:, :, None], []
    if array.ndim != 3 or lengths is not None or array.shape[1] != 1 or array.shape[2] in {1, channels}:
        return array, []
    return array.transpose(0, 2, 1), [f"sequences: an array of shape {array.shape} is taken as (n, channels, steps)"]


def _from_array(array: Array, notices: list[str], given: Any) -> Steps:
    if array.ndim != 3:
        raise DataError(f"sequences must have the shape (n, steps) or (n, steps, channels), got {array.shape}")
    if 0 in array.shape:
        what = "rows, got none" if not len(array) else f"a step and a channel at least, got shape {array.shape}"
        raise DataError(f"sequences must have {what}")
    rows, longest, channels = array.shape
    lengths = _last_steps(array) if given is None else _checked(given, np.full(rows, longest))
    _check_steps(lengths)
    notices = notices + _odd_shape(array, given) + (_odd_padding(array) if given is None else [])
    if (lengths == longest).all():
        return Steps(array.reshape(-1, channels), lengths, tuple(notices))
    return Steps(array[np.arange(longest) < lengths[:, None]], lengths, tuple(notices))


def _sequence(item: Any, position: int) -> Array:
    """Return one sequence of a list, `(steps, channels)`."""
    array = as_numbers(item, f"sequence {position}")
    if array.ndim == 1:
        return array[:, None]
    if array.ndim != 2 or not array.shape[1]:
        raise DataError(f"sequence {position} must have the shape (steps,) or (steps, channels), got {array.shape}")
    return array


# ------------------------------------------------------------------------------------------------------------------ lengths


def _last_steps(array: Array) -> Array:
    """Return the steps up to the last that isn't NaN in all channels, `(n,)`."""
    lengths = np.full(len(array), array.shape[1], dtype=np.int64)
    if array.dtype.kind == "f":
        for row in np.flatnonzero(np.isnan(array[:, -1]).all(1)):
            lengths[row] = _last_step(array[row])
    return lengths


def _last_step(sequence: Array) -> int:
    if sequence.dtype.kind != "f" or (len(sequence) and not np.isnan(sequence[-1]).all()):
        return len(sequence)
    present = np.flatnonzero(~np.isnan(sequence).all(1))
    return int(present[-1]) + 1 if len(present) else 0


def _checked(given: Any, most: Array) -> Array:
    """Return lengths as int64, one for each sequence and none longer than it. Raises `DataError`."""
    lengths = as_numbers(given, "lengths")
    if lengths.shape != most.shape:
        raise DataError(f"lengths must be one for each of the {len(most)} sequences, got an array of shape {lengths.shape}")
    wrong = ~((lengths >= 0) & (lengths <= most) & (lengths == np.floor(lengths)))
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(f"lengths must be whole numbers of steps, at most {most[row]}, got {lengths[row]} for sequence {row}")
    return lengths.astype(np.int64)


def _check_steps(lengths: Array) -> None:
    empty = np.flatnonzero(lengths == 0)
    if len(empty):
        more = f", so must {len(empty) - 1} more" if len(empty) > 1 else ""
        raise DataError(f"sequence {empty[0]} must have a step, but it is empty or NaN alone{more}; leave it out")


def _odd_shape(array: Array, lengths: Any) -> list[str]:
    """Return a notice where channels may come before steps, as other tools have them."""
    _, steps, channels = array.shape
    if lengths is not None or channels <= 2 * steps:
        return []
    taken = f"an array of shape {array.shape} is taken as (n, steps, channels), {steps} steps of {channels} channels"
    return [f"sequences: {taken}; where channels come first, give X.transpose(0, 2, 1)"]


def _odd_padding(array: Array) -> list[str]:
    """Return notices of what looks like padding of another kind: zeros at the end, nothing at the beginning."""
    notices: list[str] = []
    rows = len(array)
    if array.dtype.kind != "f":
        return notices
    if (late := int(np.isnan(array[:, 0]).all(1).sum())) > _MANY * rows:
        notices.append(
            f"{late} of {rows} sequences begin with missing steps, which count as measured; padding must stand behind a sequence"
        )
    zeros = (array[:, -2:] == 0).all((1, 2)) & (array != 0).any((1, 2))
    if array.shape[1] > 2 and _MANY * rows < int(zeros.sum()) < rows:
        notices.append(
            f"{int(zeros.sum())} of {rows} sequences end with zeros, which count as measured; if they are padding, give "
            "((X, lengths), y)"
        )
    return notices


# ------------------------------------------------------------------------------------------------------- averages, padding


def averaged(steps: Steps, pooled: int) -> Steps:
    """Return the means over each `pooled` steps of a sequence, missing values left out; its last ones may be fewer.

    cells must be float32 or float64.
    """
    if pooled == 1:
        return steps
    lengths = -(-steps.lengths // pooled)
    ends = np.cumsum(lengths)
    within = np.arange(ends[-1]) - np.repeat(ends - lengths, lengths)
    first = np.repeat(np.cumsum(steps.lengths) - steps.lengths, lengths) + within * pooled
    present = ~np.isnan(steps.cells)
    sums = np.add.reduceat(np.where(present, steps.cells, 0), first, axis=0)
    counts = np.add.reduceat(present.astype(np.float32), first, axis=0)
    cells = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan).astype(steps.cells.dtype)
    return Steps(cells, lengths, steps.notices)


def padded(steps: Steps) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return values `(n, longest, channels)` and lengths; behind its length a sequence is 0."""
    rows, longest, channels = len(steps.lengths), int(steps.lengths.max(initial=1)), steps.cells.shape[1]
    if len(steps.cells) == rows * longest:
        return np.ascontiguousarray(steps.cells.reshape(rows, longest, channels), dtype=np.float32), steps.lengths
    values = np.zeros((rows, longest, channels), dtype=np.float32)
    values[np.arange(longest) < steps.lengths[:, None]] = steps.cells
    return values, steps.lengths


def together(parts: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Return values and lengths of several parts, one behind the other, as long as the longest."""
    longest = max(values.shape[1] for values, _ in parts)
    rows = sum(len(values) for values, _ in parts)
    joined = np.zeros((rows, longest, parts[0][0].shape[2]), dtype=np.float32)
    first = 0
    for values, _ in parts:
        joined[first : first + len(values), : values.shape[1]] = values
        first += len(values)
    return joined, np.concatenate([lengths for _, lengths in parts])
