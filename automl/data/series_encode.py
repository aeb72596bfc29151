"""The work of `SeriesFormat`: sequences of any origin in its form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from automl.data.columns import Ruler
from automl.data.encode import fit_ruler, measure
from automl.data.names import listed
from automl.data.options import DataOptions
from automl.data.pictures import memory_for_images
from automl.data.series_arrays import Steps, averaged, padded, read_steps
from automl.data.series_format import LONGEST, SeriesFormat
from automl.data.series_frames import Order, long_steps, put_in_order, wide_array
from automl.data.series_sources import SEQUENCES, FoundSeries, find_series
from automl.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

Array: TypeAlias = NDArray[Any]

_VALUE = 4  # bytes
_SOME = 100_000  # values of a channel that tell its units


def encode_series(form: SeriesFormat, data: Any) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return values and lengths. See `SeriesFormat.transform`."""
    found = find_series(_several(form, data), options_for(form), part="test", labelled=False)
    assert found is not None  # what must be sequences is, or can't be read
    return in_form(steps_of(found, form), form)


def options_for(form: SeriesFormat) -> DataOptions:
    """Return the options that say of data what they were in training."""
    table = form.table
    if table is None:
        return DataOptions(inputs=SEQUENCES)
    return DataOptions(inputs=SEQUENCES, id_column=table.id_column, time=table.time_column)


def ids_of(form: SeriesFormat, frame: pd.DataFrame) -> tuple[str, ...]:
    """Return the ids of the sequences in a table with a row for each step, in the order of what is predicted of them."""
    assert form.table is not None
    return put_in_order(frame, form.table.id_column, form.table.time_column).ids


def _several(form: SeriesFormat, data: Any) -> Any:
    """Return data that are one sequence without an axis of sequences with one."""
    channels, axes = len(form.channels), getattr(data, "ndim", None)
    if form.table is not None or axes is None or type(data).__module__.startswith("pandas") or data.dtype == object:
        return data
    is_one = axes == 1 if channels == 1 else axes == 2 and data.shape[1] == channels
    return data[None] if is_one else data


def steps_of(found: FoundSeries, form: SeriesFormat, order: Order | None = None) -> Steps:
    """Return the steps of sequences as they were given, with the channels of a form. Raises `DataError` for other data.

    order: that of a table with a row for each step, where it is known.
    """
    table = found.table
    if form.table is not None:
        if table is None:
            raise DataError(f"data: must be {form.takes}, as in training, got {found.source}")
        frame = table.frame
        own = put_in_order(frame, form.table.id_column, form.table.time_column) if order is None else order
        return long_steps(frame, own, form.table)
    if table is not None and not form.steps:
        raise DataError(f"data: must be {form.takes}, as in training, got a table")
    steps = read_steps(found.series if table is None else wide_array(table, form.steps), found.lengths, len(form.channels))
    if steps.cells.shape[1] != len(form.channels):
        named = f" ({listed(form.channels)})" if form.channels != channel_names(len(form.channels)) else ""
        raise DataError(
            f"sequences must have {len(form.channels)} channels{named}, as in training, got {steps.cells.shape[1]}; they must be "
            "arrays (n, steps, channels)"
        )
    return steps


def channel_names(channels: int) -> tuple[str, ...]:
    """Return names for the channels of arrays."""
    return tuple(f"x{position}" for position in range(channels))


def fit_arrays(steps: Steps, names: tuple[str, ...] = ()) -> SeriesFormat:
    """Return the form of sequences from arrays; names: the columns of a table with a row for each sequence."""
    return SeriesFormat(channel_names(steps.cells.shape[1]), tuple(_ruler(column) for column in steps.cells.T), names)


def _ruler(column: Array) -> Ruler:
    """Return the ruler of a channel, by its ends and some of its values, evenly chosen: what is in the middle needs no more."""
    finite = column[np.isfinite(column)]
    if not len(finite):
        return fit_ruler(np.zeros(0))
    some = np.append(finite[:: 1 + len(finite) // _SOME], [finite.min(), finite.max()])
    return fit_ruler(some.astype(np.float64))


def pooled_for(lengths: Array, channels: int) -> tuple[int, str | None]:
    """Return how many steps become one, so that no sequence has more than `LONGEST` and all of them fit into memory, and why."""
    longest, size = int(lengths.max()), len(lengths) * int(lengths.max()) * channels * _VALUE
    memory = memory_for_images()
    pooled = max(-(-longest // LONGEST), int(-(-size // memory)) if np.isfinite(memory) else 1)
    if pooled == 1:
        return 1, None
    why = f"more than {LONGEST}" if longest > LONGEST else f"{size / 2**30:.1f} GiB in all"
    return (
        pooled,
        f"the longest sequence has {longest} steps, {why}: means of {pooled} steps stand for them, in predictions too",
    )


def in_form(steps: Steps, form: SeriesFormat) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return values `(n, steps, channels)` in the units of a form, averaged where it says so, and lengths `(n,)`."""
    cells = steps.cells
    if form.rulers:
        cells = np.empty(steps.cells.shape, dtype=np.float32)
        for position, ruler in enumerate(form.rulers):
            cells[:, position] = measure(np.asarray(steps.cells[:, position], np.float64), ruler)
    return padded(averaged(Steps(cells, steps.lengths), form.pooled))
