"""Texts that come without a table: a list, an array or a Series of strings becomes a frame of one column."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from automl.errors import DataError

COLUMN = "text"  # the name of texts that have none


def as_texts(data: Any, *, expected: bool = False) -> pd.DataFrame | None:
    """Return one text for each row, under the name of the Series or `COLUMN`; None where data aren't texts.

    expected: texts are what is asked for, so that a list of numbers, of missing values or of nothing is one of texts as well.
    Otherwise at least one must be a string. Raises `DataError` for bytes.
    """
    if isinstance(data, pd.Series):
        name = COLUMN if data.name is None else str(data.name)
        cells = data.reset_index(drop=True)
    elif isinstance(data, list) or (isinstance(data, np.ndarray) and data.ndim == 1 and data.dtype.names is None):
        name = COLUMN
        cells = pd.Series(list(data), dtype=object)  # not as pandas' own strings, which can't hold half a surrogate pair
    else:
        return None
    kind = types.infer_dtype(cells, skipna=True)
    if kind == "bytes":
        raise DataError("data: texts must be str, got bytes; decode them, e.g. [text.decode() for text in texts]")
    are_texts = kind == "string" or (all(map(types.is_scalar, cells)) and (expected or _any_string(cells)))
    return cells.to_frame(name) if are_texts else None


def _any_string(cells: pd.Series[Any]) -> bool:
    return cells.dtype == object and any(isinstance(cell, str) for cell in cells)
