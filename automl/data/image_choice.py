"""The form that suits a user's images: their own where they are of one size and small, else one that a network trains on in time.

What a network costs grows with the number of pixels, so it is their number that is bounded, not a side: images beyond are made as
many as a square of 64 has, whatever their shape. A core trains on some hundred of those a second; `image_size` sets another size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from automl.data.image_format import LARGEST, ImageFormat
from automl.data.image_sources import Found, Inputs
from automl.data.picture import BrokenError, Header, is_array, read_header
from automl.errors import DataError

if TYPE_CHECKING:
    from automl.data.options import DataOptions
    from automl.data.pixels import Pixels

_HEADERS, _INPUTS = 2000, 100  # files and items of a Dataset, evenly chosen, whose headers decide the form of all
_KEPT = 128  # pixels of the longer side up to which images of one size are left as they are
_PIXELS = 64 * 64  # of an image that was scaled down
_ROUND = 8  # pixels that the sides of such an image are multiples of, so that networks can halve them


@dataclass(frozen=True)
class Choice:
    """A form, why it has this size, and the notices due. is_arrays: the images are single arrays."""

    form: ImageFormat
    why: str
    notices: tuple[str, ...] = ()
    is_arrays: bool = False


def choose_form(found: Found, pixels: Pixels | None, options: DataOptions) -> Choice:
    """Return the form for images, which are `pixels` where they came as one array. Raises `DataError`."""
    if pixels is not None:
        _, height, width, channels = pixels.images.shape
        return _choice([Header(height, width, channels)], pixels.images.dtype.name, pixels.scale, options)
    headers, is_arrays = _headers(found)
    dtype = "float32" if all(header.is_deep for header in headers) else "uint8"
    choice = _choice(headers, dtype, 1.0, options)
    return Choice(choice.form, choice.why, () if is_arrays else tuple(_notices(headers)), is_arrays)


def _choice(headers: Sequence[Header], dtype: str, scale: float, options: DataOptions) -> Choice:
    size, why = choose_size(np.array([(header.height, header.width) for header in headers]), options)
    form = ImageFormat(*size, _channels(headers), dtype, options.image_fit, scale)
    return Choice(form, why)


def form_line(form: ImageFormat, why: str) -> str:
    """Return what a user is told of the form."""
    colours = {1: "grey", 3: "in colour"}.get(form.channels, f"of {form.channels} channels")
    return f"images: {form.height} x {form.width} pixels, {colours}, {form.dtype}; {why}"


def choose_size(sizes: np.ndarray[tuple[int, int], np.dtype[np.int64]], options: DataOptions) -> tuple[tuple[int, int], str]:
    """Return the height and width for images of `sizes` `(n, 2)`, and why."""
    lows, highs = sizes.min(0).tolist(), sizes.max(0).tolist()
    is_one = lows == highs
    came = f"{lows[0]} x {lows[1]}" if is_one else f"{lows[0]} x {lows[1]} to {highs[0]} x {highs[1]}"
    done = {"crop": "scaled and cut", "pad": "scaled and padded", "stretch": "stretched"}[options.image_fit]
    if options.image_size is not None:
        wanted = options.image_size
        height, width = (wanted, wanted) if isinstance(wanted, int) else wanted
        return (height, width), f"as you asked, {done} from {came}"
    height, width = (max(1, round(side)) for side in np.median(sizes, axis=0))
    if is_one and max(height, width) <= _KEPT:
        return (height, width), "as they came"
    scale = (_PIXELS / (height * width)) ** 0.5
    if scale < 1:
        height, width = _rounded(height * scale), _rounded(width * scale)
    height, width = min(height, LARGEST), min(width, LARGEST)
    if is_one and height * lows[1] == width * lows[0]:
        done = "scaled"
    return (height, width), f"{done} from {came}; image_size= sets another size"


def _rounded(side: float) -> int:
    return round(side / _ROUND) * _ROUND if side >= 2 * _ROUND else max(1, round(side))


def _headers(found: Found) -> tuple[list[Header], bool]:
    """Return the headers of some images, and whether all of these are arrays."""
    most = _INPUTS if isinstance(found.images, Inputs) else _HEADERS
    headers, arrays, broken = [], [], {}
    for position in np.unique(np.linspace(0, len(found.images) - 1, most).astype(np.int64)).tolist():
        try:
            item = found.images[position]
            headers.append(read_header(item))
            arrays.append(is_array(item))
        except BrokenError as error:
            broken[position] = str(error)
    if not headers:
        raise DataError(f"data: images must be readable, but {found.named(broken)} can't be read")
    return headers, all(arrays)


def _channels(headers: Sequence[Header]) -> int:
    channels = {header.channels for header in headers}
    if len(channels) == 1:
        return channels.pop()
    if not channels <= {1, 3, 4}:
        raise DataError(f"images must all have the same channels, got {', '.join(map(str, sorted(channels)))}")
    return 3


def _notices(headers: Sequence[Header]) -> list[str]:
    notices = []
    frames = sum(header.frames > 1 for header in headers)
    if frames:
        notices.append(f"images: {frames} of {len(headers)} looked at hold several frames or pages; the first one is taken")
    deep = sum(header.is_deep for header in headers)
    if 0 < deep < len(headers):
        notices.append(f"images: {deep} of {len(headers)} looked at have more than 8 bits a value; they become 8, as others")
    return notices
