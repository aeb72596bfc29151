"""From features back to rows as users have them: the way of `automl.data.encode`, backwards, for rows that a network rebuilt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from automl.data.columns import Category, Columns, Number, Ruler, Time

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from automl.data.features import Features


def decode(columns: Columns, features: Features) -> pd.DataFrame:
    """Return the columns that are used, in their order: numbers in their units, categories as they are spelt, times.

    features: numbers and codes, as `Columns.transform` returns them. A category that is code 0 is missing, None; of a time the
    days count, and the other parts are let go.
    """
    numeric, categorical = np.asarray(features[0], np.float64), np.asarray(features[1])
    found: dict[str, Any] = {}
    numbers, codes = 0, 0
    for column in columns.columns:
        match column:
            case Number():
                found[column.column] = _number(numeric[:, numbers], column.ruler)
                numbers += 1
            case Time():
                found[column.column] = _times(numeric[:, numbers : numbers + len(column.parts)], column)
                numbers += len(column.parts)
            case Category():
                labels = np.array([None, *column.categories], object)
                found[column.column] = labels[categorical[:, codes]]
                codes += 1
    return pd.DataFrame(found)


def _number(values: NDArray[np.float64], ruler: Ruler) -> NDArray[np.float64]:
    return values / ruler.scale + ruler.shift


def _times(values: NDArray[np.float64], column: Time) -> NDArray[np.datetime64]:
    """Return times to the second; not a time where all fit rows had the same day."""
    for position, (part, ruler) in enumerate(column.parts):
        if part == "days":
            seconds = np.rint(_number(values[:, position], ruler) * 86_400)
            return seconds.astype(np.int64).astype("datetime64[s]")
    return np.full(len(values), np.datetime64("NaT", "s"))
