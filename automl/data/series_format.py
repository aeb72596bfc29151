"""What all sequences of a task are made to be: the same channels in the same units. It is all that a model keeps of the data.

The state alone lives here, so that a saved model is read without pandas; `automl.data.series_encode` does the work. Nothing is
learnt: means and scales that a network wants are measured on fit rows only, and live in the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from automl.data.columns import Columns, Ruler
from automl.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

KIND = "sequences"
LONGEST = 4096  # steps of a sequence; beyond, steps are averaged: networks would take minutes for a batch
_FORMAT = 1


@dataclass(frozen=True)
class LongTable:
    """How a table with a row for each step becomes sequences.

    columns: how the columns of a step become numbers and codes; each category is a channel of its own, 1 where it holds.
    id_column: rows with the same value are one sequence. time_column: what orders its rows; None: they are in order. gaps: the
    units of the time since the step before, a channel of its own, in seconds where the times are times; None where steps are
    equally far apart.
    """

    columns: Columns
    id_column: str
    time_column: str | None = None
    gaps: Ruler | None = None

    @property
    def channels(self) -> tuple[str, ...]:
        """Return the names of the channels: numbers, categories, and the time since the step before."""
        ours = self.columns
        codes = [
            f"{name}={category}" for name, known in zip(ours.categorical, ours.categories, strict=True) for category in known
        ]
        return (*ours.numeric, *codes, *([f"{self.time_column}.difference"] if self.gaps is not None else []))


@dataclass(frozen=True)
class SeriesFormat:
    """How data become sequences `(n, steps, channels)` of float32, and which channels these have.

    channels: their names. rulers: the units of each channel of arrays, and of tables with a row for each sequence (see `Ruler`).
    steps: the columns of such a table, one for each step, in order; empty for arrays. table: of a table with a row for each step;
    None for all else. pooled: so many steps are averaged to one, because the longest sequence has more than `LONGEST`.
    Raises `ModelError` for a form that can't be.
    """

    channels: tuple[str, ...]
    rulers: tuple[Ruler, ...] = ()
    steps: tuple[str, ...] = ()
    table: LongTable | None = None
    pooled: int = 1

    def __post_init__(self) -> None:
        if not self.channels:
            raise ModelError("sequences: channels must be one at least, got none")
        if not isinstance(self.pooled, int) or isinstance(self.pooled, bool) or self.pooled < 1:
            raise ModelError(f"sequences: pooled must be a whole number, at least 1, got {self.pooled!r}")
        if self.table is not None and self.channels != self.table.channels:
            raise ModelError(f"sequences: channels must be those of the table, {self.table.channels}, got {self.channels}")
        if self.table is None and len(self.rulers) != len(self.channels):
            raise ModelError(f"sequences: rulers must be {len(self.channels)}, one for each channel, got {len(self.rulers)}")

    @property
    def takes(self) -> str:
        """Return in a few words what the data must be."""
        if self.table is not None:
            return f"a table with a row for each step, and the column {self.table.id_column!r}"
        if self.steps:
            return f"a table with a row for each sequence, or an array (n, {len(self.steps)})"
        channels = len(self.channels)
        return f"arrays (n, steps{'' if channels == 1 else f', {channels}'}), or a list of them"

    def transform(self, data: object) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return values `(n, steps, channels)`, NaN where missing, and lengths `(n,)`; behind its length a sequence is 0.

        data: of a model of arrays an array `(n, steps[, channels])`, a list of arrays of any lengths, (x, lengths), or an .npz or
        .npy file (of several parts the test sequences). Steps that are NaN in all channels at the end of a sequence are padding.
        Of a model of tables a DataFrame or a path; a table with a row for each step gives its sequences in the order in which
        their ids first appear. Raises `DataError` for anything else.
        """
        from automl.data.series_encode import encode_series

        return encode_series(self, data)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON data."""
        return {
            "kind": KIND,
            "format": _FORMAT,
            "channels": list(self.channels),
            "rulers": [_listed(ruler) for ruler in self.rulers],
            "steps": list(self.steps),
            "table": None if self.table is None else _table_to_dict(self.table),
            "pooled": self.pooled,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SeriesFormat:
        """Return the form that `to_dict` wrote. Raises `ModelError` for anything else."""
        try:
            if data["kind"] != KIND:
                raise ModelError(f"sequences: kind must be {KIND!r}, got {data['kind']!r}")
            if data["format"] != _FORMAT:
                raise ModelError(f"sequences: format must be {_FORMAT}, got {data['format']!r}; a newer automl may read it")
            table = None if data["table"] is None else _table_from_dict(data["table"])
            rulers = tuple(_ruler(numbers) for numbers in data["rulers"])
            return cls(_texts(data["channels"]), rulers, _texts(data["steps"]), table, data["pooled"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, ModelError):
                raise
            raise ModelError(f"sequences: must be what automl wrote, but {type(error).__name__}: {error}") from error


def _table_to_dict(table: LongTable) -> dict[str, Any]:
    return {
        "columns": table.columns.to_dict(),
        "id_column": table.id_column,
        "time_column": table.time_column,
        "gaps": None if table.gaps is None else _listed(table.gaps),
    }


def _table_from_dict(data: Mapping[str, Any]) -> LongTable:
    time = None if data["time_column"] is None else str(data["time_column"])
    gaps = None if data["gaps"] is None else _ruler(data["gaps"])
    if gaps is not None and time is None:
        raise ValueError("gaps must be left out without a time_column")
    return LongTable(Columns.from_dict(data["columns"]), str(data["id_column"]), time, gaps)


def _listed(ruler: Ruler) -> list[float]:
    return [ruler.low, ruler.high, ruler.shift, ruler.scale]


def _ruler(numbers: Any) -> Ruler:
    low, high, shift, scale = (float(number) for number in numbers)
    return Ruler(low, high, shift, scale)


def _texts(data: Any) -> tuple[str, ...]:
    if not isinstance(data, list) or not all(isinstance(text, str) for text in data):
        raise TypeError(f"expected a list of texts, got {type(data).__name__}")
    return tuple(data)
