"""What turns data as users have them into the features of a network, whatever kind of data it is; saved as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from automl.data.columns import Columns
from automl.data.image_format import ImageFormat
from automl.data.series_format import SeriesFormat
from automl.data.window_format import WindowFormat
from automl.errors import ModelError
from search_spaces.spec import Image, Inputs, Mixed, Table, Text, TimeSeries

Encoder: TypeAlias = Columns | ImageFormat | SeriesFormat | WindowFormat

_KINDS: Mapping[str, type[Encoder]] = {
    "columns": Columns,
    "images": ImageFormat,
    "sequences": SeriesFormat,
    "forecast": WindowFormat,
}


def encoder_to_dict(encoder: Encoder) -> dict[str, Any]:
    """Return an encoder as JSON data, with a key that tells its kind."""
    return {kind_of(encoder): encoder.to_dict()}


def encoder_from_dict(data: Mapping[str, Any]) -> Encoder:
    """Return the encoder that `encoder_to_dict` wrote, among whatever else `data` holds. Raises `ModelError`."""
    for kind, known in _KINDS.items():
        if isinstance(data.get(kind), dict):
            return known.from_dict(data[kind])
    raise ModelError(f"{', '.join(list(_KINDS)[:-1])} or {list(_KINDS)[-1]} must be there and be a dict")


def kind_of(encoder: Encoder) -> str:
    """Return what an encoder makes features of, "columns", "images", "sequences", "forecast": its key in a model's manifest."""
    return next(kind for kind, known in _KINDS.items() if isinstance(encoder, known))


def in_short(encoder: Encoder) -> str:
    """Return in a word what an encoder takes, for the `repr` of a model."""
    match encoder:
        case Columns():
            if encoder.is_text and encoder.tokenizer is not None:
                return f"texts={encoder.tokenizer.length} {encoder.tokenizer.kind}"
            return f"columns={len(encoder.names)}"
        case ImageFormat():
            return f"images={encoder.height}x{encoder.width}"
        case SeriesFormat():
            return f"channels={len(encoder.channels)}"
        case WindowFormat():
            return f"context={encoder.context}, horizon={encoder.horizon}"


def check_fits(inputs: Inputs, encoder: Encoder, where: str) -> None:
    """Raise `ModelError` unless `inputs` describe the features that the encoder makes."""
    if isinstance(inputs, Table | Text | Mixed) and isinstance(encoder, Columns):
        _check_columns(inputs, encoder, where)
    elif isinstance(inputs, Image) and isinstance(encoder, ImageFormat):
        made = (encoder.height, encoder.width, encoder.channels, encoder.dtype)
        taken = (inputs.height, inputs.width, inputs.channels, inputs.dtype)
        if made != taken or not len(inputs.mean) == len(inputs.std) == inputs.channels:
            raise ModelError(f"{where}/inputs: height, width, channels and dtype must be those of images, {made}, got {taken}")
    elif isinstance(inputs, TimeSeries) and isinstance(encoder, SeriesFormat):
        if [channel.name for channel in inputs.channels] != list(encoder.channels):
            raise ModelError(f"{where}/inputs: the channels must be those of sequences")
    elif isinstance(inputs, TimeSeries) and isinstance(encoder, WindowFormat):
        if [channel.name for channel in inputs.channels] != list(encoder.channels) or inputs.length != encoder.context:
            raise ModelError(f"{where}/inputs: channels and length must be those of forecast, {encoder.context} steps")
    else:
        raise ModelError(f"{where}/inputs must be of the kind of {kind_of(encoder)}")


def _check_columns(inputs: Table | Text | Mixed, columns: Columns, where: str) -> None:
    expected = Text if columns.is_text else Mixed if columns.texts else Table
    if not isinstance(inputs, expected):
        raise ModelError(f"{where}/inputs must be {expected.__name__}, as columns are, got {type(inputs).__name__}")
    if not isinstance(inputs, Text):
        table = inputs.table if isinstance(inputs, Mixed) else inputs
        if [column.name for column in table.numeric] != list(columns.numeric):
            raise ModelError(f"{where}/inputs: the numeric columns must be those of columns")
        if [column.name for column in table.categorical] != list(columns.categorical):
            raise ModelError(f"{where}/inputs: the categorical columns must be those of columns")
    if isinstance(inputs, Mixed) and inputs.names != columns.texts:
        raise ModelError(f"{where}/inputs: the columns of texts must be those of columns")
    if columns.tokenizer is not None and not isinstance(inputs, Table):
        text = inputs.text if isinstance(inputs, Mixed) else inputs
        made = (len(columns.tokenizer.vocabulary), columns.tokenizer.length)
        if text.vocabulary != made[0] or not 1 <= text.length <= made[1]:
            raise ModelError(f"{where}/inputs: vocabulary and length must be those of the tokenizer, {made}")
