"""The work of `ImageFormat`: images of any origin in its form."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from automl.data.features import Stored
from automl.data.image_files import all_images
from automl.data.image_sources import Found, find_images, is_pil
from automl.data.picture import as_image, draw_array, is_array
from automl.data.pictures import Pictures, decode, in_threads, memory_for_images, size_decoded
from automl.data.pixels import as_array, as_bytes, with_channels_last
from automl.errors import DataError

if TYPE_CHECKING:
    from automl.data.image_format import ImageFormat

Array: TypeAlias = NDArray[Any]


def encode_images(form: ImageFormat, data: Any) -> Stored:
    """Return images `(n, height, width, channels)`, files beyond the memory as `Pictures`. See `ImageFormat.transform`."""
    single = _single(form, data)
    if single is not None:
        return single
    if isinstance(data, (str, os.PathLike)) and Path(data).expanduser().is_dir():
        found: Found | None = Found(all_images(Path(data).expanduser()))
    else:
        found, _ = find_images(data, part="test")
    if found is None:
        got = f"{type(data).__name__} {data!r:.60}" if isinstance(data, (str, os.PathLike)) else type(data).__name__
        raise DataError(
            f"data: must be images, as in training: an array, image files, a folder or .npz file, or a table of paths, got {got}"
        )
    if found.is_array:
        return in_form(as_array(found.images), form)
    if found.is_files and size_decoded(len(found.images), form) > memory_for_images():
        return Pictures(np.array(found.images), form)
    images, broken = decode(found.images, form, in_order=found.is_inputs)
    if broken:
        raise DataError(f"data: all images must be readable, but {found.named(broken)} can't be read")
    return images


def _single(form: ImageFormat, data: Any) -> Stored | None:
    """Return data that are one image without an axis of images, as an array of one; None for anything else."""
    if is_pil(data) or isinstance(data, bytes):
        return encode_images(form, [data])
    if not is_array(data) or data.ndim not in {2, 3}:
        return None
    is_one = data.ndim == 2 or data.shape == form.shape
    if data.ndim == 3:  # (height, width, channels), or many grey images?
        is_one = is_one or 1 < form.channels == as_image(data).shape[-1] or data.shape[-1] <= 4 < form.width
    return in_form(as_image(data)[None], form) if is_one else None


def in_form(array: Array, form: ImageFormat) -> Array:
    """Return images `(n, h, w)`, `(n, h, w, c)` or `(n, c, h, w)` of any numeric type in a form. Raises `DataError`."""
    if array.ndim not in {3, 4} or 0 in array.shape[1:]:
        raise DataError(f"images must have the shape (n, height, width[, channels]), got {array.shape}")
    array, _ = with_channels_last(array)
    if form.dtype == "uint8":
        array = as_bytes(array, form.scale)
        if array.shape[1:] == form.shape:
            return array
    if array.shape[1:] == form.shape and array.dtype == np.float32 and bool(np.isfinite(array).all()):
        return array
    images = np.empty((len(array), *form.shape), dtype=form.dtype)

    def fill(position: int) -> None:
        images[position] = draw_array(array[position], form)

    if broken := in_threads(len(array), fill):
        position, reason = next(iter(broken.items()))
        raise DataError(f"images must be usable, but {len(broken)} are not (the first is row {position}: {reason})")
    return images
