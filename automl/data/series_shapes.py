"""Whether an array, a tensor or a list may hold sequences, told by shapes and types, and by NaN in what looks like images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

_LEAST_SIDE, _SQUARE = 8, 2  # of an image: its sides, and how many times one is as long as the other


def is_column(values: Any) -> bool:
    """Return whether values are single ones, as a table's column holds them."""
    if hasattr(values, "ndim") and not _is_of_objects(values):
        return int(values.ndim) < 2
    return not len(values) or np.ndim(values[0]) == 0


def are_lengths(values: Any, series: Any) -> bool:
    """Return whether values are whole numbers, one for each of the sequences, none greater than their steps."""
    try:
        given, rows = np.asarray(values), len(series)
    except (TypeError, ValueError):
        return False
    if (
        given.shape != (rows,)
        or not rows
        or given.dtype.kind not in "iuf"
        or is_column(series)
        or isinstance(series, (str, dict))
    ):
        return False
    longest = series.shape[1] if hasattr(series, "shape") and len(series.shape) > 1 else max(map(len, series))
    return bool((given == np.floor(given)).all() and given.min() >= 0 and given.max() <= longest)


def looks_like_image(shape: tuple[int, ...]) -> bool:
    """Return whether the last two of three axes may be height and width."""
    short, long = sorted(shape[-2:])
    return short >= _LEAST_SIDE and long <= _SQUARE * short


def are_series(data: Any, *, forced: bool) -> bool:
    """Return whether an array, a tensor or a list holds sequences."""
    if getattr(data, "ndim", 0) >= 2 and not _is_of_objects(data):
        if forced:
            return data.ndim in {2, 3}
        return is_sequence_shape(data) or (is_of_floats(data) and has_gaps(data))
    is_list = isinstance(data, (list, tuple)) or (getattr(data, "ndim", 0) == 1 and _is_of_objects(data))
    return is_list and len(data) > 0 and _are_sequences(list(data), forced=forced)


def _is_of_objects(data: Any) -> bool:
    """Return whether an array or a Series holds objects of Python."""
    return getattr(getattr(data, "dtype", None), "kind", "") == "O"


def is_of_floats(data: Any) -> bool:
    """Return whether an array or tensor has three axes and holds floats."""
    kind = getattr(data.dtype, "kind", "f" if getattr(data.dtype, "is_floating_point", False) else "i")
    return len(data.shape) == 3 and kind == "f" and 0 not in data.shape


def has_gaps(data: Any) -> bool:
    """Return whether an array or tensor holds NaN as sequences do: in some steps, but in no sequence from end to end."""
    missing = data != data  # noqa: PLR0124 (NaN)
    return bool(missing.any()) and not bool(missing.reshape(len(data), -1).all(1).any())


def is_sequence_shape(data: Any) -> bool:
    """Return whether an array or tensor has three axes, holds floats and is of no shape of an image."""
    return is_of_floats(data) and not looks_like_image(tuple(data.shape))


def _are_sequences(items: list[Any], *, forced: bool) -> bool:
    """Return whether items are numbers of one or two axes, with the same channels and different lengths.

    Also floats of other channels each, most of them of no shape of an image: the reader of sequences says what is wrong.
    """
    if not forced and all(isinstance(item, list) for item in items) and len({len(item) for item in items}) == 1:
        return False  # rows of a table
    shapes = []
    for item in items:
        shape = _shape_of(item)
        if shape is None or (len(shape) == 2 and not forced and _is_bytes(item)):
            return False
        shapes.append(shape)
    if forced:
        return True
    if len({shape[1:] for shape in shapes}) > 1:
        like_images = sum(len(shape) < 2 or looks_like_image(shape) for shape in shapes)
        return 2 * like_images < len(shapes) and all(map(_holds_floats, items))
    if len(set(shapes)) > 1:
        return True
    return len(shapes[0]) == 2 and not isinstance(items[0], list) and are_series(_stacked(items), forced=False)


def _shape_of(item: Any) -> tuple[int, ...] | None:
    """Return the shape of a sequence `(steps[, channels])`, or None for anything else."""
    if isinstance(item, (list, tuple)):
        if not all(isinstance(value, (int, float, np.number)) or value is None for value in item):
            array = np.asarray(item) if _is_nested(item) else None
            return None if array is None or array.ndim != 2 or array.dtype.kind not in "biuf" else array.shape
        return (len(item),)
    shape, dtype = getattr(item, "shape", None), getattr(item, "dtype", None)
    if shape is None or len(shape) not in {1, 2} or getattr(dtype, "kind", "f") not in "biuf":
        return None
    return tuple(shape)


def _is_nested(item: Sequence[Any]) -> bool:
    widths = {len(value) if isinstance(value, (list, tuple)) else -1 for value in item}
    return len(widths) == 1 and -1 not in widths


def _holds_floats(item: Any) -> bool:
    dtype = getattr(item, "dtype", None)
    kind = np.asarray(item).dtype.kind if dtype is None else getattr(dtype, "kind", "")
    return kind == "f" or bool(getattr(dtype, "is_floating_point", False))


def _is_bytes(item: Any) -> bool:
    return str(getattr(item, "dtype", "")).removeprefix("torch.") == "uint8"


def _stacked(items: list[Any]) -> Array:
    return np.stack([np.asarray(item.detach().cpu() if hasattr(item, "detach") else item) for item in items])
