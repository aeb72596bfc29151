"""Specs as JSON data and back, checked for their kind; what their numbers may be is for those to check who read files."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

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


def spec_to_dict(spec: Inputs | Outputs) -> dict[str, Any]:
    """Return a spec as JSON data."""
    return {"spec": type(spec).__name__, **dataclasses.asdict(spec)}


def inputs_from_dict(data: Mapping[str, Any]) -> Inputs:
    """Return the inputs that `spec_to_dict` wrote. Raises `ValueError` for anything else."""
    match data.get("spec"):
        case "Table":
            return _table(data)
        case "Image":
            size = (data["height"], data["width"], data["channels"])
            return Image(*size, data["dtype"], tuple(data["mean"]), tuple(data["std"]), tuple(data["flips"]), data["rows"])
        case "TimeSeries":
            return TimeSeries(_numeric(data["channels"]), data["length"], data["shortest"], data["rows"])
        case "Text":
            return _text(data)
        case "Mixed":
            return Mixed(_table(data["table"]), tuple(data["names"]), _text(data["text"]))
    raise ValueError(f"inputs must be a Table, an Image, TimeSeries, Text or Mixed, got {data.get('spec')!r}")


def _table(data: Mapping[str, Any]) -> Table:
    categorical = tuple(CategoricalColumn(c["name"], tuple(c["counts"])) for c in data["categorical"])
    return Table(_numeric(data["numeric"]), categorical, data["rows"])


def _numeric(columns: Iterable[Mapping[str, Any]]) -> tuple[NumericColumn, ...]:
    return tuple(NumericColumn(c["name"], c["mean"], c["std"], tuple(c["quantiles"]), c["missing"]) for c in columns)


def _text(data: Mapping[str, Any]) -> Text:
    return Text(data["vocabulary"], data["length"], data["rows"], tuple(data.get("unseen", ())))


def outputs_from_dict(data: Mapping[str, Any]) -> Outputs:
    """Return the outputs that `spec_to_dict` wrote. Raises `ValueError` for anything else."""
    match data.get("spec"):
        case "Classes":
            return Classes(tuple(data["counts"]))
        case "Values":
            return Values(data["mean"], data["std"])
        case "Labels":
            return Labels(tuple(data["counts"]), data["rows"])
        case "Vector":
            return Vector(tuple(data["mean"]), tuple(data["std"]))
        case "Forecast":
            return Forecast(data["horizon"], data["channel"], data["mean"], data["std"])
        case "Reconstruction":
            return Reconstruction(data["code"])
    raise ValueError(f"outputs must be Classes, Values, Labels, Vector, Forecast or Reconstruction, got {data.get('spec')!r}")
