"""Arrays of images, whatever their type and the order of their axes, as `(n, height, width, channels)` of uint8 or float32.

uint8 wherever it loses nothing: a quarter of the memory, and the units of image files. So whole numbers from 0 to 255 become
uint8 whatever their type, truth values 0 and 255, and numbers from 0 to 1 that are multiples of 1/255, as many tools make them,
become what they came from. All else stays as it is, in float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from automl.errors import DataError

Array: TypeAlias = NDArray[Any]

WHITE = 255
_FEW = 4  # channels of a usual image at most
_BLOCK = 2**25  # bytes looked at in one go, so that checks of a large array take no second copy of it
_LIMIT = float(np.finfo(np.float32).max)
_EXACT = 1e-3  # how near to a whole number an eighth bit's multiple must be; float16 is just as fine


@dataclass(frozen=True, eq=False)
class Pixels:
    """Images `(n, height, width, channels)`, uint8 or float32.

    scale: by what the numbers were, or would have to be, multiplied to be in the units of 8-bit images: 255 where they came as
    numbers from 0 to 1, else 1. notices: one line each.
    """

    images: Array
    scale: float = 1.0
    notices: tuple[str, ...] = ()


def as_array(data: Any) -> Array:
    """Return an array or tensor as a numpy array. Raises `DataError` where its type is none of pixels."""
    if hasattr(data, "detach"):  # a torch tensor; numpy knows no bfloat16
        data = data.detach().cpu()
        data = data.float() if data.is_floating_point() else data
    array = np.asarray(data)
    if array.dtype.kind not in "buif":
        raise DataError(f"images must be numbers, got an array of {array.dtype}")
    return array


def read_pixels(data: Any) -> Pixels:
    """Return images from an array or tensor `(n, h, w)`, `(n, h, w, c)` or `(n, c, h, w)` of any numeric type.

    Raises `DataError` for other shapes, and for pixels that are missing or infinite.
    """
    array = as_array(data)
    if array.ndim not in {3, 4}:
        raise DataError(f"images must have the shape (n, height, width[, channels]), got {array.shape}")
    if 0 in array.shape:
        what = "rows, got none" if not len(array) else f"a height, a width and a channel at least, got shape {array.shape}"
        raise DataError(f"images must have {what}")
    array, notices = with_channels_last(array)
    images, scale = stored(array)
    return Pixels(images, scale, notices)


def with_channels_last(array: Array) -> tuple[Array, tuple[str, ...]]:
    """Return `(n, h, w)`, `(n, h, w, c)` or `(n, c, h, w)` as `(n, h, w, c)`, with the notice due."""
    if array.ndim == 3:
        return array[..., None], ()
    _, first, height, width = array.shape  # if channels come first
    if is_channels_first(first, height, width):
        notice = f"images: an array of shape {array.shape} is taken as (n, channels, height, width)"
        return array.transpose(0, 2, 3, 1), (notice,)
    return array, ()


def is_channels_first(first: int, middle: int, last: int) -> bool:
    """Return whether the axes of an image are (channels, height, width): the last is long, the first much shorter."""
    return last > _FEW and (first in {1, 3} or 2 * first <= min(middle, last))


def stored(array: Array) -> tuple[Array, float]:
    """Return pixels of any numeric type as uint8 or float32, and their `scale`. Raises `DataError` unless all are finite."""
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * WHITE, 1.0
    if array.dtype == np.uint8:
        return array, 1.0
    low, high, is_whole, is_eight_bits = _judged(array)
    if is_whole and low >= 0 and high <= WHITE and (high > 1 or array.dtype.kind != "f"):
        return array.astype(np.uint8), 1.0
    is_share = array.dtype.kind == "f" and low >= 0 and high <= 1
    if is_share and is_eight_bits:
        return as_bytes(array, float(WHITE)), float(WHITE)
    return np.ascontiguousarray(array, dtype=np.float32), float(WHITE) if is_share else 1.0


def _are_shares(array: Array) -> bool:
    """Whether an array holds numbers from 0 to 1, fractions among them: shares of white, not 8-bit units."""
    if array.dtype.kind != "f" or not array.size:
        return False
    low, high, is_whole, _ = _judged(array)
    return not is_whole and low >= 0 and high <= 1


def as_bytes(array: Array, scale: float) -> Array:
    """Return `array * scale` rounded to uint8.

    Raises `DataError` where that is not from 0 to 255, and for shares of white that nothing multiplies: they would all be black.
    """
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * WHITE
    scale = scale if array.dtype.kind == "f" else 1.0
    if scale == 1 and _are_shares(array):
        raise DataError(
            "images must hold numbers from 0 to 255, as in training, got some from 0 to 1 with fractions; multiply them by 255"
        )
    out = np.empty(array.shape, dtype=np.uint8)
    for block, into in zip(_blocks(array), _blocks(out), strict=True):
        scaled = block.astype(np.float32) * np.float32(scale)
        if not (scaled.min() >= -0.5 and scaled.max() <= WHITE + 0.5):  # a NaN is in no range
            if not np.isfinite(block).all():
                raise _not_finite(array)
            raise DataError(
                f"images must hold numbers from 0 to {WHITE / scale:g}, as in training, got {block.min():g} to {block.max():g}"
            )
        into[...] = np.clip(np.rint(scaled), 0, WHITE)
    return out


def _judged(array: Array) -> tuple[float, float, bool, bool]:
    """Return the least and the largest number, and whether all are whole, and all whole if multiplied by 255."""
    low, high, is_whole, is_eight_bits = np.inf, -np.inf, True, array.dtype.kind == "f"
    for block in _blocks(array):
        least, largest = float(block.min()), float(block.max())
        if not (least >= -_LIMIT and largest <= _LIMIT):
            raise _not_finite(array)
        low, high = min(low, least), max(high, largest)
        if array.dtype.kind == "f":
            is_whole = is_whole and bool((block == np.rint(block)).all())
            is_eight_bits = is_eight_bits and low >= 0 and high <= 1 and _are_eight_bits(block)
    return low, high, is_whole, is_eight_bits


def _are_eight_bits(block: Array) -> bool:
    scaled = block.astype(np.float32) * WHITE
    tolerance = max(_EXACT, float(np.finfo(block.dtype).eps) * WHITE)
    return bool((np.abs(scaled - np.rint(scaled)) <= tolerance).all())


def _not_finite(array: Array) -> DataError:
    wrong = np.array([not (image.min() >= -_LIMIT and image.max() <= _LIMIT) for image in array])
    return DataError(
        f"images must hold finite numbers, but {int(wrong.sum())} of {len(wrong)} have missing or infinite pixels (the first is "
        f"row {int(wrong.argmax())}); leave them out, or fill them: np.nan_to_num(X)"
    )


def _blocks(array: Array) -> Iterator[Array]:
    """Yield the rows of an array in order, some at a time."""
    rows = max(1, _BLOCK // max(1, array[:1].nbytes))
    for start in range(0, len(array), rows):
        yield array[start : start + rows]
