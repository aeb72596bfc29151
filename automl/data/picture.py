"""One image of whatever origin (a file, its bytes, a PIL image, an array) as an array in the form of all images of a task.

What a viewer would show is what counts: the rotation that a camera noted is carried out, palettes are resolved, the first frame
of an animation is taken. Transparent pixels show white, as paper and most pages do: what is cut out or drawn on nothing is mostly
darker than that, and the colours that transparent pixels hide would be noise.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from automl.data.pixels import WHITE, as_array, as_bytes, is_channels_first
from automl.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

    from automl.data.image_format import ImageFormat

Array: TypeAlias = NDArray[Any]
Item: TypeAlias = Any  # a path, the bytes of a file, an open file, a PIL image, or an array or tensor of two or three dimensions

_DEEP = frozenset({"I", "F", "I;16", "I;16L", "I;16B", "I;16N"})  # more than 8 bits, always grey: PIL cuts colours down
_GREY = frozenset({"1", "L", "LA", "La"}) | _DEEP
_ALPHA = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
_TURNED = range(5, 9)  # values of EXIF's Orientation that swap width and height
_ORIENTATION = 0x0112
_OF_16_BITS = 1 / 257  # 65535 becomes 255
_GAP = 2.0  # how much larger than wanted an image may be reduced to in the quick way, before it is filtered


class BrokenError(Exception):
    """An image that can't be read; its text is the reason."""


@dataclass(frozen=True)
class Header:
    """What is known of an image before it is decoded: its size as shown, its channels, its frames.

    is_deep: whether it is of a type of more than 8 bits, whatever its values.
    """

    height: int
    width: int
    channels: int
    is_deep: bool = False
    frames: int = 1


# ------------------------------------------------------------------------------------------------------------------ reading


def read_header(item: Item) -> Header:
    """Return the header of an image without decoding it. Raises `BrokenError`."""
    if is_array(item):
        array = as_image(item)
        height, width, channels = array.shape
        return Header(height, width, channels, is_deep=array.dtype not in {np.dtype(np.uint8), np.dtype(np.bool_)})
    with opened(item) as image:
        width, height = image.size
        is_turned = "exif" in image.info and image.getexif().get(_ORIENTATION) in _TURNED
        height, width = (width, height) if is_turned else (height, width)
        frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)  # cameras add previews to a JPEG
        return Header(height, width, 1 if _is_grey(image) else 3, image.mode in _DEEP, frames)


def is_array(item: Item) -> bool:
    """Return whether an image came as an array or tensor."""
    return isinstance(item, np.ndarray) or hasattr(item, "detach")


def as_image(item: Item) -> Array:
    """Return an array `(h, w)`, `(h, w, c)` or `(c, h, w)` as `(h, w, c)`. Raises `DataError`."""
    array = as_array(item)
    if array.ndim not in {2, 3} or 0 in array.shape:
        raise DataError(f"an image must have the shape (height, width[, channels]), got {array.shape}")
    if array.ndim == 2:
        return array[..., None]
    return array.transpose(1, 2, 0) if is_channels_first(*array.shape) else array


@contextmanager
def opened(item: Item) -> Iterator[Image.Image]:
    """Open an image for reading. Raises `BrokenError` there and where the body meets what can't be read."""
    from PIL import Image, UnidentifiedImageError

    try:
        if isinstance(item, Image.Image):
            yield item
            return
        if item == "":  # an empty cell of a table
            raise BrokenError("no path")  # noqa: TRY301
        if isinstance(item, (str, os.PathLike)) and not Path(item).stat().st_size:
            raise BrokenError("empty file")  # noqa: TRY301 (the handlers below say the same of other reasons)
        with Image.open(io.BytesIO(item) if isinstance(item, bytes) else item) as image:
            if Image.MAX_IMAGE_PIXELS is not None and image.width * image.height > Image.MAX_IMAGE_PIXELS:
                raise BrokenError(_too_large())  # noqa: TRY301
            yield image
    except (BrokenError, DataError):
        raise
    except FileNotFoundError:
        raise BrokenError("no such file") from None
    except UnidentifiedImageError:
        is_heic = isinstance(item, (str, os.PathLike)) and Path(item).suffix.lower() in {".heic", ".heif"}
        raise BrokenError(f"no image that Pillow knows{'; convert HEIC to JPEG' if is_heic else ''}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BrokenError(_too_large()) from None
    except Exception as error:  # what decoders of broken files raise is anything
        reason = str(error).strip() or type(error).__name__
        raise BrokenError(reason.splitlines()[0]) from error


def _too_large() -> str:
    from PIL import Image

    return f"more than {Image.MAX_IMAGE_PIXELS:,} pixels, the limit of PIL.Image.MAX_IMAGE_PIXELS"


def _is_grey(image: Image.Image) -> bool:
    if image.mode in {"P", "PA"} and image.palette is not None:
        colours = np.array(image.getpalette("RGB") or [0, 0, 0]).reshape(-1, 3)
        return bool((colours == colours[:, :1]).all())
    return image.mode in _GREY


# ------------------------------------------------------------------------------------------------------------------ drawing


def draw(item: Item, form: ImageFormat) -> Array:
    """Return an image in a form, `(height, width, channels)`. Raises `BrokenError`; `DataError` for channels that can't be."""
    if is_array(item):
        return draw_array(as_image(item), form)
    with opened(item) as image:
        if form.channels not in {1, 3}:
            raise DataError(f"images must have {form.channels} channels, as in training, and files have 1 or 3; give arrays")
        if image.mode in _DEEP and form.dtype == "float32":
            return draw_array(_in_units(np.asarray(_upright(image)), form)[..., None], form)
        if (
            image.format == "JPEG" and image is not item
        ):  # decodes at a half, a quarter or an eighth of its size, in as much less time
            side = round(_GAP * max(form.height, form.width))
            image.draft(None, (side, side) if form.fit != "crop" else _draft_of_crop(image.size, side))
        drawn = _fitted(_eight_bits(_upright(image), "L" if form.channels == 1 else "RGB"), form)
    array = np.asarray(drawn).reshape(form.shape)
    return array if form.dtype == "uint8" else array.astype(np.float32) * np.float32(1 / form.scale)


def draw_array(array: Array, form: ImageFormat) -> Array:
    """Return an image `(h, w, c)` of any numeric type in a form. Raises `DataError` for channels or numbers that can't be."""
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            array = array.astype(np.float32)
        if not np.isfinite(array).all():
            raise BrokenError("missing or infinite pixels")
    if form.dtype == "uint8":
        array = as_bytes(array, form.scale)
    elif array.dtype in {np.dtype(np.uint8), np.dtype(np.bool_)}:
        array = as_bytes(array, 1.0).astype(np.float32) * np.float32(1 / form.scale)
    else:
        array = array.astype(np.float32)
    array = _with_channels(array, form)
    return array if array.shape == form.shape else _resized(array, form)


def _upright(image: Image.Image) -> Image.Image:
    from PIL import ImageOps

    image.load()
    return image if image.getexif().get(_ORIENTATION, 1) == 1 else ImageOps.exif_transpose(image)


def _draft_of_crop(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Return the size to decode at, so that the shorter side is at least `side`."""
    width, height = size
    factor = side / min(width, height)
    return max(1, round(width * factor)), max(1, round(height * factor))


def _eight_bits(image: Image.Image, mode: str) -> Image.Image:
    """Return an image as "L" or "RGB"."""
    from PIL import Image

    if image.mode in _DEEP:
        image = Image.fromarray(_shallow(np.asarray(image)))
    if image.mode in _ALPHA or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (WHITE, WHITE, WHITE, WHITE)), image)
    return image if image.mode == mode else image.convert(mode)


def _in_units(array: Array, form: ImageFormat) -> Array:
    """Return a deep image in the units of the 8-bit images of a float32 form: 16 bits are scaled, floats are what they are."""
    factor = 1.0 if array.dtype.kind == "f" else _of_whole(array) / form.scale
    return array.astype(np.float32) * np.float32(factor)


def _shallow(array: Array) -> Array:
    """Return a deep image among shallow ones in 8 bits: 16 bits lose the lower ones, shares of 1 are taken times 255."""
    if array.dtype.kind == "f":
        array = np.nan_to_num(array)
        factor = float(WHITE) if array.min() >= 0 and array.max() <= 1 else 1.0
    else:
        factor = _of_whole(array)
    return np.clip(np.rint(array * factor), 0, WHITE).astype(np.uint8)


def _of_whole(array: Array) -> float:
    """Return what whole numbers are multiplied by to be in 8-bit units: those of mode "I", 32 bits, may be in them already."""
    return 1.0 if array.dtype == np.int32 and array.max(initial=0) <= WHITE else _OF_16_BITS


# ------------------------------------------------------------------------------------------------------- sizes and channels


def _fitted(image: Image.Image, form: ImageFormat) -> Image.Image:
    """Return an image in the size of a form, filtered so that fine patterns become grey, not coarse ones."""
    from PIL import Image

    if (image.height, image.width) == (form.height, form.width):
        return image
    (height, width), box = _places(image.height, image.width, form)
    image = image.resize((width, height), Image.Resampling.BILINEAR, box, reducing_gap=_GAP)
    if (height, width) == (form.height, form.width):
        return image
    ground = Image.new(image.mode, (form.width, form.height))
    ground.paste(image, ((form.width - width) // 2, (form.height - height) // 2))
    return ground


def _places(height: int, width: int, form: ImageFormat) -> tuple[tuple[int, int], tuple[float, float, float, float]]:
    """Return the size that an image is scaled to, and the part of it (left, top, right, bottom) that is taken."""
    down, across = form.height / height, form.width / width
    if form.fit == "pad":
        scale = min(down, across)
        size = (min(form.height, max(1, round(height * scale))), min(form.width, max(1, round(width * scale))))
        return size, (0, 0, width, height)
    if form.fit == "stretch":
        return (form.height, form.width), (0, 0, width, height)
    scale = max(down, across)
    left, top = (width - form.width / scale) / 2, (height - form.height / scale) / 2
    return (form.height, form.width), (max(0, left), max(0, top), min(width, width - left), min(height, height - top))


def _resized(array: Array, form: ImageFormat) -> Array:
    """Return an array `(h, w, c)` in the size of a form, in its own type."""
    from PIL import Image

    if array.dtype == np.uint8 and form.channels in {1, 3}:
        image = Image.fromarray(np.ascontiguousarray(array[..., 0] if form.channels == 1 else array))
        return np.asarray(_fitted(image, form)).reshape(form.shape)
    planes = [Image.fromarray(np.ascontiguousarray(array[..., c], dtype=np.float32)) for c in range(form.channels)]
    drawn = np.stack([np.asarray(_fitted(plane, form)) for plane in planes], axis=-1)
    return np.clip(np.rint(drawn), 0, WHITE).astype(np.uint8) if array.dtype == np.uint8 else drawn


def _with_channels(array: Array, form: ImageFormat) -> Array:
    """Return an array with the channels of a form: grey is repeated, colours are mixed as the eye does, opacity is over white."""
    given = array.shape[-1]
    if given == form.channels:
        return array
    white = WHITE / form.scale if form.dtype == "float32" else float(WHITE)
    if given in {2, 4} and form.channels in {1, 3}:
        opacity = array[..., -1:].astype(np.float32) / white
        array = (array[..., :-1] * opacity + white * (1 - opacity)).astype(array.dtype)
        return _with_channels(array, form)
    if given == 1 and form.channels == 3:
        return np.repeat(array, 3, axis=-1)
    if given == 3 and form.channels == 1:
        grey = array.astype(np.float32) @ np.array([[0.299], [0.587], [0.114]], dtype=np.float32)  # ITU-R BT.601, as PIL does
        return np.rint(grey).astype(np.uint8) if array.dtype == np.uint8 else grey
    raise DataError(f"images must have {form.channels} channels, as in training, got {given}")
