"""From a frame to arrays: a pure lookup that is fitted once, saved as JSON, and gives the same codes for the same values for ever."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pandas as pd

    from automl.data.kinds import Detected


@dataclass(frozen=True)
class Encoded:
    """Rows as arrays: `numeric` float32 (rows, p) with NaN for missing; `categorical` int32 (rows, q), 0 for missing or unseen."""

    numeric: np.ndarray
    categorical: np.ndarray


@dataclass(frozen=True)
class Columns:
    """How the columns of a table become features.

    inputs: all columns of the table it was fitted on, in order. numeric, categorical: the names of the features.
    categories: for each categorical feature the categories of the codes 1, 2, ... (code 0: missing or unseen).
    """

    inputs: tuple[str, ...]
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    categories: tuple[tuple[str, ...], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Return the columns that `transform` needs."""
        raise NotImplementedError

    @classmethod
    def fit(cls, frame: pd.DataFrame, kinds: Mapping[str, Detected], positional: bool = False) -> Columns:
        """Return the columns of a frame (all rows that may be seen before reporting)."""
        raise NotImplementedError

    def transform(self, data: object) -> Encoded:
        """Return features of a DataFrame, path, array (by position), dict or list of dicts. Raises `DataError`."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Return JSON data."""
        raise NotImplementedError

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Columns:
        """Return the columns that `to_dict` wrote. Raises `ModelError` for anything else."""
        raise NotImplementedError
