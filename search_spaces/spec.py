"""What goes into and comes out of a network.

A spec is data: frozen, JSON-able, and all that `Architecture.build` sees of a task. Statistics of columns are measured on the
*fit* rows only, by `automl`; layers read them (scaling, bins, embeddings). Of inputs `tensors` names what `forward` takes, in
this order, and `free` the axes of these tensors that may be of any size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeAlias, TypeVar

from search_spaces.base import Infeasible

S = TypeVar("S")
Axes: TypeAlias = tuple[Mapping[int, str], ...]  # of each tensor the axes whose size is free, with names; equal names are equal


@dataclass(frozen=True)
class NumericColumn:
    """A column of numbers, missing values as NaN. Statistics ignore missing values.

    `quantiles` are the values at evenly spaced ranks from the minimum to the maximum, ascending, at least two; ties repeat.
    `missing` is the share of missing values in [0, 1].
    """

    name: str
    mean: float
    std: float
    quantiles: tuple[float, ...]
    missing: float


@dataclass(frozen=True)
class CategoricalColumn:
    """A column of codes in [0, len(counts)); code 0 stands for missing and for everything never seen.

    `counts` are the occurrences of each code in the fit rows; a code with count 0 must be treated as code 0.
    """

    name: str
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Table:
    """Rows of a table: `numeric` float32 `(batch, len(numeric))`, `categorical` int64 `(batch, len(categorical))`.

    A network's `forward` takes both tensors, in this order, also when one of them has no columns. `rows` is the number of
    fit rows that the statistics come from.
    """

    tensors: ClassVar[tuple[str, ...]] = ("numeric", "categorical")
    free: ClassVar[Axes] = ({0: "batch"}, {0: "batch"})

    numeric: tuple[NumericColumn, ...]
    categorical: tuple[CategoricalColumn, ...]
    rows: int


@dataclass(frozen=True)
class Image:
    """Images of one size: float32 `(batch, channels, height, width)`, in the units in which their pixels are stored.

    dtype: how pixels are stored, "uint8" (so that they are in [0, 255]) or "float32". mean, std: of each channel over the fit
    rows. flips: the ways to mirror an image, of "horizontal" and "vertical", that change no label as far as the fit rows tell.
    rows: the number of fit rows.
    """

    tensors: ClassVar[tuple[str, ...]] = ("images",)
    free: ClassVar[Axes] = ({0: "batch"},)

    height: int
    width: int
    channels: int
    dtype: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    flips: tuple[str, ...]
    rows: int


@dataclass(frozen=True)
class TimeSeries:
    """Sequences of vectors: `values` float32 `(batch, time, len(channels))`, NaN for missing, and `lengths` int64 `(batch,)`.

    A row's steps at and beyond its length are padding: they may hold anything, and no prediction depends on them. `time` is the
    same for all rows of a batch, at least their greatest length, and may be greater than `length`; a length of 0 counts as 1.

    channels: what is measured at each step, with statistics over the steps of the fit rows. length: that of the longest fit row,
    in steps. shortest: that of the shortest, so that `shortest == length` says that all are of one length. rows: the number of
    fit rows.
    """

    tensors: ClassVar[tuple[str, ...]] = ("values", "lengths")
    free: ClassVar[Axes] = ({0: "batch", 1: "time"}, {0: "batch"})

    channels: tuple[NumericColumn, ...]
    length: int
    shortest: int
    rows: int


@dataclass(frozen=True)
class Text:
    """Texts as `tokens` int64 `(batch, length)`: codes in [0, vocabulary); 0 stands behind the end of a text, 1 for unknown.

    Codes out of range count as unknown. A text has at least one token; where all are 0, the first counts as unknown. The second
    dimension may be of any size: what stands behind the end of a text changes no prediction.

    vocabulary: the number of codes. length: that of the longest fit row, in tokens. rows: the number of fit rows. unseen: the
    codes from 2 on that no fit row has, ascending; they must be treated as unknown.
    """

    tensors: ClassVar[tuple[str, ...]] = ("tokens",)
    free: ClassVar[Axes] = ({0: "batch", 1: "length"},)

    vocabulary: int
    length: int
    rows: int
    unseen: tuple[int, ...] = ()


@dataclass(frozen=True)
class Mixed:
    """A table some columns of which are texts: the tensors of `table`, and `tokens` int64 `(batch, len(names), length)`.

    names: of the columns of text. text: what their tokens are, as in `Text`; one vocabulary serves all of them. A missing text
    has no token but 0.
    """

    tensors: ClassVar[tuple[str, ...]] = ("numeric", "categorical", "tokens")
    free: ClassVar[Axes] = ({0: "batch"}, {0: "batch"}, {0: "batch", 2: "length"})

    table: Table
    names: tuple[str, ...]
    text: Text

    @property
    def rows(self) -> int:
        """Return the number of fit rows."""
        return self.table.rows


@dataclass(frozen=True)
class Classes:
    """One of several classes: the network returns logits `(batch, width)`. `counts` are the fit rows of each class."""

    counts: tuple[int, ...]

    @property
    def width(self) -> int:
        """Return the number of logits."""
        return len(self.counts)


@dataclass(frozen=True)
class Values:
    """A number: the network returns `(batch, 1)` in standard units; `value = mean + std * output`."""

    mean: float
    std: float

    @property
    def width(self) -> int:
        """Return the number of outputs."""
        return 1


@dataclass(frozen=True)
class Labels:
    """Any number of labels at once: the network returns a logit for each, `(batch, width)`, read by sigmoids.

    counts: the fit rows that have each label. rows: the number of fit rows.
    """

    counts: tuple[int, ...]
    rows: int

    @property
    def width(self) -> int:
        """Return the number of logits."""
        return len(self.counts)


@dataclass(frozen=True)
class Vector:
    """Several numbers: the network returns `(batch, width)` in standard units; `values = mean + std * outputs`."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def width(self) -> int:
        """Return the number of outputs."""
        return len(self.mean)


@dataclass(frozen=True)
class Forecast:
    """The next `horizon` values of a channel of `TimeSeries`: the network returns `(batch, horizon)`, the nearest step first.

    channel: its position among the channels. mean, std: the values' over the fit rows; `values = mean + std * outputs`.
    """

    horizon: int
    channel: int
    mean: float
    std: float

    @property
    def width(self) -> int:
        """Return the number of outputs."""
        return self.horizon


@dataclass(frozen=True)
class Reconstruction:
    """How badly a row is rebuilt from a code of `code` numbers: the network returns `(batch, 1)`, the mean squared error.

    The error is taken in standard units over what the row holds; training makes it small (see `search_spaces.autoencoder`).
    """

    code: int

    @property
    def width(self) -> int:
        """Return the number of outputs."""
        return 1


Inputs: TypeAlias = Table | Image | TimeSeries | Text | Mixed
Outputs: TypeAlias = Classes | Values | Labels | Vector | Forecast | Reconstruction
PREDICTIONS: tuple[type[Outputs], ...] = (Classes, Values, Labels, Vector, Forecast)  # of something else than the inputs


def as_table(inputs: Inputs) -> Table:
    """Return inputs that are a table, or the table beside texts. Raises `Infeasible` for others."""
    if isinstance(inputs, Mixed):
        return inputs.table
    return _as(Table, inputs)


def as_image(inputs: Inputs) -> Image:
    """Return inputs that are images. Raises `Infeasible` for others."""
    return _as(Image, inputs)


def as_series(inputs: Inputs) -> TimeSeries:
    """Return inputs that are sequences of vectors. Raises `Infeasible` for others."""
    return _as(TimeSeries, inputs)


def as_text(inputs: Inputs) -> Text:
    """Return inputs that are texts. Raises `Infeasible` for others."""
    return _as(Text, inputs)


def _as(kind: type[S], inputs: Inputs) -> S:
    if not isinstance(inputs, kind):
        raise Infeasible(f"inputs must be {kind.__name__}, got {type(inputs).__name__}")
    return inputs
