"""What turns data as users have them into the features of a network, whatever kind of data it is; saved as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from automl.data.columns import Columns
from automl.data.image_format import ImageFormat
from automl.errors import ModelError
from search_spaces.spec import Image, Inputs, Table

Encoder: TypeAlias = Columns | ImageFormat

_IMAGES, _COLUMNS = "images", "columns"


def encoder_to_dict(encoder: Encoder) -> dict[str, Any]:
    """Return an encoder as JSON data, with a key that tells its kind."""
    return {_IMAGES if isinstance(encoder, ImageFormat) else _COLUMNS: encoder.to_dict()}


def encoder_from_dict(data: Mapping[str, Any]) -> Encoder:
    """Return the encoder that `encoder_to_dict` wrote, among whatever else `data` holds. Raises `ModelError`."""
    if isinstance(data.get(_IMAGES), dict):
        return ImageFormat.from_dict(data[_IMAGES])
    if isinstance(data.get(_COLUMNS), dict):
        return Columns.from_dict(data[_COLUMNS])
    raise ModelError(f"{_COLUMNS} or {_IMAGES} must be there and be a dict")


def check_fits(inputs: Inputs, encoder: Encoder, where: str) -> None:
    """Raise `ModelError` unless `inputs` describe the features that the encoder makes."""
    if isinstance(inputs, Table) and isinstance(encoder, Columns):
        if [column.name for column in inputs.numeric] != list(encoder.numeric):
            raise ModelError(f"{where}/inputs: the numeric columns must be those of columns")
        if [column.name for column in inputs.categorical] != list(encoder.categorical):
            raise ModelError(f"{where}/inputs: the categorical columns must be those of columns")
    elif isinstance(inputs, Image) and isinstance(encoder, ImageFormat):
        made = (encoder.height, encoder.width, encoder.channels, encoder.dtype)
        taken = (inputs.height, inputs.width, inputs.channels, inputs.dtype)
        if made != taken or not len(inputs.mean) == len(inputs.std) == inputs.channels:
            raise ModelError(f"{where}/inputs: height, width, channels and dtype must be those of images, {made}, got {taken}")
    else:
        raise ModelError(f"{where}/inputs must be of the kind of {'images' if isinstance(encoder, ImageFormat) else 'columns'}")
