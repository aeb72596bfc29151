"""What networks are told of the columns and the target: statistics, measured on the rows that they are given and on no others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from automl.data.columns import Columns
from automl.data.flips import flips_that_keep_labels
from automl.data.pictures import gather
from automl.data.series_format import SeriesFormat
from automl.data.tokens import UNKNOWN
from automl.data.window_format import CHANNEL, WindowFormat
from search_spaces.spec import (
    CategoricalColumn,
    Classes,
    Forecast,
    Image,
    Inputs,
    Labels,
    Mixed,
    NumericColumn,
    Outputs,
    Reconstruction,
    Table,
    Text,
    TimeSeries,
    Values,
    Vector,
)

if TYPE_CHECKING:
    from automl.data.encoders import Encoder
    from automl.data.features import Features
    from automl.data.image_format import ImageFormat
    from automl.metrics import TaskKind

Array: TypeAlias = NDArray[Any]

_VALUES = 2**28  # of the images that statistics are taken of
_STEPS = 2**26  # of the values of sequences that statistics are taken of
_FEWEST_IMAGES = 50
_IMAGES = 2000  # that statistics are taken of: more change no digit that matters
QUANTILES = 49  # ranks, evenly spaced from the minimum to the maximum


def describe_inputs(features: Features, rows: Array, encoder: Encoder, target: Array, outputs: Outputs) -> Inputs:
    """Return what networks are told of the features over `rows`, of which `encoder` made them.

    target: codes or values of all rows, `(all rows,)`. outputs: those of the same rows.
    """
    if isinstance(encoder, Columns):
        return describe_columns(features, rows, encoder)
    if isinstance(encoder, SeriesFormat | WindowFormat):
        return describe_series(features, rows, encoder)
    return describe_images(features, rows, encoder, target, outputs)


def describe_images(features: Features, rows: Array, form: ImageFormat, target: Array, outputs: Outputs) -> Image:
    """Return mean and standard deviation of each channel, and the flips that keep labels (see `automl.data.flips`).

    Of more than 2,000 `rows`, so many are looked at, spread evenly; of very large images fewer.
    """
    some = _spread_evenly(rows, max(_FEWEST_IMAGES, min(_IMAGES, _VALUES // int(np.prod(form.shape)))))
    images = gather(features[0], some)
    moments = [_moments(plane) for plane in np.moveaxis(images, -1, 0)]
    mean, std = zip(*moments, strict=True)
    flips = flips_that_keep_labels(images, target[some], outputs)
    return Image(form.height, form.width, form.channels, form.dtype, mean, std, flips, len(rows))


def describe_series(features: Features, rows: Array, form: SeriesFormat | WindowFormat) -> TimeSeries:
    """Return the statistics of each channel over the steps of `rows`, and the lengths of the longest and the shortest.

    Of sequences with more than 2^26 values in all, some are looked at, spread evenly; lengths are those of all.
    """
    values, lengths = features
    steps, channels = values.shape[1:]
    some = _spread_evenly(rows, max(_FEWEST_IMAGES, _STEPS // max(1, steps * channels)))
    measured = values[some]
    cells = measured[np.arange(steps) < lengths[some][:, None]].T
    columns = tuple(_numeric(name, cell) for name, cell in zip(form.channels, cells, strict=True))
    own = lengths[rows]
    return TimeSeries(columns, int(own.max()), int(own.min()), len(rows))


def describe_columns(features: Features, rows: Array, columns: Columns) -> Table | Text | Mixed:
    """Return what a table is, a text, or a table some of whose columns are texts."""
    tokenizer = columns.tokenizer
    if tokenizer is None:
        return describe_table(features, rows, columns)
    tokens, vocabulary = features[-1][rows], len(tokenizer.vocabulary)
    longest = max(1, int((tokens > 0).sum(-1).max(initial=0)))
    counts = np.bincount(tokens.reshape(-1), minlength=vocabulary)
    unseen = np.flatnonzero(counts[UNKNOWN + 1 :] == 0) + UNKNOWN + 1
    text = Text(vocabulary, longest, len(rows), tuple(unseen.tolist()))
    return text if columns.is_text else Mixed(describe_table(features, rows, columns), columns.texts, text)


def describe_table(features: Features, rows: Array, columns: Columns) -> Table:
    """Return the statistics of the features over `rows`: missing and infinite values count in neither mean nor quantiles."""
    numbers = np.ascontiguousarray(features[0][rows].T)
    codes = features[1][rows]
    numeric = tuple(_numeric(name, values) for name, values in zip(columns.numeric, numbers, strict=True))
    categorical = tuple(
        CategoricalColumn(name, tuple(np.bincount(codes[:, position], minlength=len(known) + 1).tolist()))
        for position, (name, known) in enumerate(zip(columns.categorical, columns.categories, strict=True))
    )
    return Table(numeric, categorical, len(rows))


class Aimed(Protocol):
    """What is to be predicted, as a task knows it."""

    @property
    def kind(self) -> TaskKind: ...

    @property
    def target(self) -> Array: ...

    @property
    def classes(self) -> Sequence[object]: ...

    @property
    def encoder(self) -> Encoder: ...

    @property
    def code(self) -> int | None: ...


def describe_outputs(task: Aimed, rows: Array) -> Outputs:
    """Return what networks are told of whatever is to be predicted, over `rows`."""
    target = task.target[rows]
    if task.kind == "reconstruction":
        assert task.code is not None
        return Reconstruction(task.code)
    if task.kind == "multilabel":
        return Labels(tuple(target.sum(0).tolist()), len(rows))
    if task.kind == "forecast":
        return Forecast(target.shape[1], CHANNEL, float(target.mean()), _spread(target))
    if target.ndim == 1:
        return describe_target(task.target, rows, task.classes)
    return Vector(tuple(target.mean(0).tolist()), tuple(_spread(column) for column in target.T))


def describe_target(target: Array, rows: Array, classes: Sequence[object]) -> Classes | Values:
    """Return the occurrences of each class over `rows`, or mean and standard deviation where there are no classes."""
    if classes:
        return Classes(tuple(np.bincount(target[rows], minlength=len(classes)).tolist()))
    values = target[rows]
    return Values(float(values.mean()), _spread(values))


def _moments(plane: Array) -> tuple[float, float]:
    """Return mean and standard deviation (1 for a constant) of images `(n, h, w)`, without a copy of all in float64."""
    mean = float(plane.mean(dtype=np.float64))
    squares = sum(float(np.square(image - mean, dtype=np.float64).sum()) for image in plane)
    spread = float(np.sqrt(squares / plane.size))
    return mean, spread if spread > 1e-12 * max(abs(mean), 1.0) else 1.0


def _numeric(name: str, values: Array) -> NumericColumn:
    missing = float(np.isnan(values).mean())
    finite = np.sort(values[np.isfinite(values)]).astype(np.float64)
    if not len(finite):
        return NumericColumn(name, 0.0, 1.0, (0.0, 0.0), missing)
    return NumericColumn(name, float(finite.mean()), _spread(finite), _quantiles(finite), missing)


def _quantiles(ascending: Array) -> tuple[float, ...]:
    ranks = np.linspace(0, len(ascending) - 1, QUANTILES)
    below = ranks.astype(np.int64)
    above = np.minimum(below + 1, len(ascending) - 1)
    between = ascending[below] + (ascending[above] - ascending[below]) * (ranks - below)
    return tuple(np.maximum.accumulate(np.minimum(between, ascending[above])).tolist())


def _spread_evenly(rows: Array, most: int) -> Array:
    """Return at most so many of the rows, at even distances."""
    if len(rows) <= most:
        return rows
    return np.asarray(rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)])


def _spread(values: Array) -> float:
    """Return the standard deviation, 1 for a constant: what is divided by it stays what it is."""
    spread = float(values.std(dtype=np.float64))
    return spread if spread > 1e-12 * float(np.abs(values).max()) else 1.0
