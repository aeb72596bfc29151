"""What goes into and comes out of a network.

A spec is data: frozen, JSON-able, and all that `Architecture.build` sees of a task. Statistics of columns are measured on the
*fit* rows only, by `automl`; layers read them (scaling, bins, embeddings).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from search_spaces.base import Infeasible


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

    height: int
    width: int
    channels: int
    dtype: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    flips: tuple[str, ...]
    rows: int


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


Inputs: TypeAlias = Table | Image
Outputs: TypeAlias = Classes | Values


def spec_to_dict(spec: Inputs | Outputs) -> dict[str, Any]:
    """Return a spec as JSON data."""
    return {"spec": type(spec).__name__, **dataclasses.asdict(spec)}


def inputs_from_dict(data: Mapping[str, Any]) -> Inputs:
    """Return the inputs that `spec_to_dict` wrote. Raises `ValueError` for anything else."""
    if data.get("spec") == "Image":
        size = (data["height"], data["width"], data["channels"])
        return Image(*size, data["dtype"], tuple(data["mean"]), tuple(data["std"]), tuple(data["flips"]), data["rows"])
    if data.get("spec") != "Table":
        raise ValueError(f"inputs must be a Table or an Image, got {data.get('spec')!r}")
    numeric = tuple(NumericColumn(c["name"], c["mean"], c["std"], tuple(c["quantiles"]), c["missing"]) for c in data["numeric"])
    categorical = tuple(CategoricalColumn(c["name"], tuple(c["counts"])) for c in data["categorical"])
    return Table(numeric, categorical, data["rows"])


def as_table(inputs: Inputs) -> Table:
    """Return inputs that are a table. Raises `Infeasible` for others."""
    if not isinstance(inputs, Table):
        raise Infeasible(f"inputs must be a Table, got {type(inputs).__name__}")
    return inputs


def as_image(inputs: Inputs) -> Image:
    """Return inputs that are images. Raises `Infeasible` for others."""
    if not isinstance(inputs, Image):
        raise Infeasible(f"inputs must be an Image, got {type(inputs).__name__}")
    return inputs


def outputs_from_dict(data: Mapping[str, Any]) -> Outputs:
    """Return the outputs that `spec_to_dict` wrote. Raises `ValueError` for anything else."""
    if data.get("spec") == "Classes":
        return Classes(tuple(data["counts"]))
    if data.get("spec") == "Values":
        return Values(data["mean"], data["std"])
    raise ValueError(f"outputs must be Classes or Values, got {data.get('spec')!r}")
