"""What all images of a task are made to be: one size, one number of channels, one type. It is all that a model keeps of the data.

The state alone lives here, so that a saved model is read without Pillow or pandas; `automl.data.picture` does the work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from automl.errors import ModelError

if TYPE_CHECKING:
    from automl.data.features import Stored

KIND = "images"
FITS = ("crop", "pad", "stretch")
DTYPES = ("uint8", "float32")
SCALES = (1.0, 255.0)
LARGEST = 4096  # pixels of a side; beyond, one image outgrows what a network can take
_FORMAT = 1


@dataclass(frozen=True)
class ImageFormat:
    """The form of all images of a task, `(height, width, channels)` of `dtype`.

    dtype: "uint8", or "float32" where arrays held other numbers than whole ones from 0 to 255, or files more than 8 bits: 16 of
    these are divided by 257, which makes them 0 to 255 too, and floats stay as they are. fit: what becomes of an image of
    another shape, "crop" (its shorter side is scaled to fit, the middle is kept), "pad" (its longer side is scaled to fit, black
    is put around) or "stretch". scale: what arrays of floats are multiplied by to be in the units of 8-bit images: 255 where
    those of training held numbers from 0 to 1. Raises `ModelError` for a form that can't be.
    """

    height: int
    width: int
    channels: int
    dtype: str = "uint8"
    fit: str = "crop"
    scale: float = 1.0

    def __post_init__(self) -> None:
        for name, most in (("height", LARGEST), ("width", LARGEST), ("channels", None)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1 or (most is not None and value > most):
                raise ModelError(f"images: {name} must be a whole number from 1{f' to {most}' if most else ''}, got {value!r}")
        for name, known in (("dtype", DTYPES), ("fit", FITS)):
            if getattr(self, name) not in known:
                raise ModelError(f"images: {name} must be one of {', '.join(known)}, got {getattr(self, name)!r}")

        if self.scale not in SCALES:
            raise ModelError(f"images: scale must be 1 or 255, got {self.scale!r}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return height, width and channels."""
        return self.height, self.width, self.channels

    def transform(self, data: object) -> tuple[Stored]:
        """Return the images in data, `(n, height, width, channels)` of `dtype`, in a tuple of their own.

        Files that memory is too short for are decoded when rows are taken, which is when one that can't be read is named.

        data: an array `(n, h, w[, c])` or one image of it, paths, bytes or PIL images, in a list or one alone, a folder (all
        images below it), an .npz file (of several parts the test images), a table with a column of paths, or a torch Dataset.
        Raises `DataError` for anything else, and for an image that can't be read, which it names.
        """
        from automl.data.image_encode import encode_images

        return (encode_images(self, data),)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON data."""
        size = {"height": self.height, "width": self.width, "channels": self.channels}
        return {"kind": KIND, "format": _FORMAT, **size, "dtype": self.dtype, "fit": self.fit, "scale": self.scale}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ImageFormat:
        """Return the form that `to_dict` wrote. Raises `ModelError` for anything else."""
        try:
            if data["kind"] != KIND:
                raise ModelError(f"images: kind must be {KIND!r}, got {data['kind']!r}")
            if data["format"] != _FORMAT:
                raise ModelError(f"images: format must be {_FORMAT}, got {data['format']!r}; a newer automl may read it")
            return cls(data["height"], data["width"], data["channels"], data["dtype"], data["fit"], data["scale"])
        except (KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"images: must be what automl wrote, but {type(error).__name__}: {error}") from error
