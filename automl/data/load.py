"""Whatever a user has (a path, a frame, arrays, lists) becomes one frame of features and one target, or one clear error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


@dataclass(frozen=True)
class Loaded:
    """A table with its target, row by row.

    frame: the features, unique str names, index 0..rows-1. target: same index, nothing missing, `target.name` is its name.
    rows: int64, the positions in the user's data of the rows kept (rows without a target are dropped). source: for reports.
    positional: the data came as arrays without names. notices: one line each.
    """

    frame: pd.DataFrame
    target: pd.Series
    rows: np.ndarray
    source: str
    positional: bool
    notices: tuple[str, ...]


def load(data: object, target: object = None) -> Loaded:
    """Return the features and the target of `data`: a path to CSV, TSV or Parquet, a DataFrame, or (X, y).

    target: the name of the target column (needed for a path or DataFrame). Raises `DataError`.
    """
    raise NotImplementedError


def load_features(data: object) -> pd.DataFrame:
    """Return a frame of rows to predict: a path, DataFrame, array (n, columns), dict or list of dicts. Raises `DataError`."""
    raise NotImplementedError
