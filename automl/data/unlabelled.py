"""Data without a target: which of them can be rebuilt, and from how many numbers."""

from __future__ import annotations

from collections.abc import Mapping

from automl.data.columns import Columns
from automl.data.encoders import Encoder, kind_of
from automl.data.image_format import ImageFormat
from automl.data.judging import Detected
from automl.errors import DataError, OptionError
from automl.metrics import TaskKind

_SHARE, _LEAST, _MOST = 4, 2, 32  # a code of a quarter of the features


def without_texts(kinds: Mapping[str, Detected]) -> dict[str, Detected]:
    """Return the kinds of columns with those of text set aside. Raises `DataError` where nothing else is left."""
    kept = {
        name: Detected("ignored", f"{name}: text, set aside, it can't be rebuilt from a few numbers", notable=True)
        if found.kind == "text"
        else found
        for name, found in kinds.items()
    }
    if not any(found.used for found in kept.values()):
        raise DataError("target: must name a column to predict where all columns are texts, which can't be rebuilt; got None")
    return kept


def code_for(kind: TaskKind, encoder: Encoder, wanted: int | None) -> int | None:
    """Return the numbers that autoencoders reduce a row to: a quarter of the features, from 2 to 32, but fewer than there are.

    It is the same for all networks of a task, because a wider code always rebuilds better; None for other kinds of tasks. wanted:
    by the user. Raises `DataError` for data that can't be rebuilt, `OptionError` for a code that leaves nothing to learn.
    """
    if kind != "reconstruction":
        if wanted is not None:
            raise OptionError(f"code must be left out with a target: only what rebuilds rows has one, got {wanted}")
        return None
    if isinstance(encoder, Columns):
        features, what = len(encoder.numeric) + len(encoder.categorical), "features"
    elif isinstance(encoder, ImageFormat):
        features, what = encoder.height * encoder.width * encoder.channels, "pixels"
    else:
        raise DataError(f"target: must be given for {kind_of(encoder)}; without one only tables and images are learnt, got None")
    if features < _LEAST:
        raise DataError(f"target: must be given where there are fewer than {_LEAST} {what} to rebuild, got None and {features}")
    if wanted is not None and wanted >= features:
        raise OptionError(f"code must be below the number of {what}, {features}, or there is nothing to learn; got {wanted}")
    return wanted or min(max(round(features / _SHARE), _LEAST), _MOST, features - 1)
