"""From a frame to arrays: a lookup that is fitted once, saved as JSON, and for ever gives the same codes for the same values.

This module holds the state and needs no pandas to be read back; `automl.data.encode` does the work. Nothing is learnt: no mean,
no scale that a network would want. Those are measured on fit rows only, and live in the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from automl.data.tokens import Tokenizer
from automl.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from automl.data.features import Features
    from automl.data.judging import Detected

_FORMAT = 1


class Encoded(NamedTuple):
    """Rows as arrays: `numeric` float32 (rows, p), NaN for missing; `categorical` int32 (rows, q), 0 for missing or unseen."""

    numeric: NDArray[np.float32]
    categorical: NDArray[np.int32]


@dataclass(frozen=True)
class Ruler:
    """How float64 numbers become float32: infinite ones take the ends, then `(number - shift) * scale`.

    low, high: the finite ends of the values fitted on. shift is 0 unless float32 would blur the column (years in seconds, large
    identifiers), scale 1 unless its numbers are too large or small for float32.
    """

    low: float
    high: float
    shift: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True)
class Number:
    """A column that becomes one numeric feature; `form` as in `automl.data.values`."""

    column: str
    form: str
    ruler: Ruler


@dataclass(frozen=True)
class Time:
    """A column of times that becomes a numeric feature for each of its parts that varies (see `automl.data.encode`)."""

    column: str
    form: str
    parts: tuple[tuple[str, Ruler], ...]


@dataclass(frozen=True)
class Category:
    """A column that becomes a code: 1 for the first of `categories`, which are spellings in order, 0 for all else."""

    column: str
    categories: tuple[str, ...]


@dataclass(frozen=True)
class Sentence:
    """A column of texts, which become codes by the tokenizer that all of them share; a missing text is all 0."""

    column: str


Column: TypeAlias = Number | Time | Category | Sentence


@dataclass(frozen=True)
class Columns:
    """How the columns of a table become features.

    inputs: all columns of the table it was fitted on, in order. columns: those used. positional: the table had no names, so that
    arrays are taken by position. tokenizer: of the texts, None where there are none.
    """

    inputs: tuple[str, ...]
    columns: tuple[Column, ...]
    positional: bool = False
    tokenizer: Tokenizer | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Return the columns that `transform` needs."""
        return tuple(column.column for column in self.columns)

    @property
    def numeric(self) -> tuple[str, ...]:
        """Return the names of the numeric features: those of their columns, `column.part` for parts of times."""
        names = []
        for column in self.columns:
            if isinstance(column, Time):
                names += [f"{column.column}.{part}" for part, _ in column.parts]
            elif isinstance(column, Number):
                names.append(column.column)
        return tuple(names)

    @property
    def categorical(self) -> tuple[str, ...]:
        """Return the names of the categorical features."""
        return tuple(column.column for column in self.columns if isinstance(column, Category))

    @property
    def categories(self) -> tuple[tuple[str, ...], ...]:
        """Return for each categorical feature the categories of the codes 1, 2, ..."""
        return tuple(column.categories for column in self.columns if isinstance(column, Category))

    @property
    def texts(self) -> tuple[str, ...]:
        """Return the names of the columns of texts."""
        return tuple(column.column for column in self.columns if isinstance(column, Sentence))

    @property
    def is_text(self) -> bool:
        """Return whether a row is one text and nothing else."""
        return len(self.columns) == len(self.texts) == 1

    @classmethod
    def fit(
        cls, frame: pd.DataFrame, kinds: Mapping[str, Detected], positional: bool = False, tokenizer: str = "words"
    ) -> Columns:
        """Return the columns of a frame as `detect_kinds` judged it; `tokenizer` is what texts are read as.

        Give all rows that may be seen before the report: a category that is in none of them is unseen, a word unknown.
        """
        from automl.data.encode import fit_column, fit_tokenizer

        used = [fit_column(str(name), frame[name], kinds[str(name)]) for name in frame.columns if kinds[str(name)].used]
        texts = [column.column for column in used if isinstance(column, Sentence)]
        fitted = fit_tokenizer(frame[texts], tokenizer) if texts else None
        return cls(tuple(str(name) for name in frame.columns), tuple(used), positional, fitted)

    def transform(self, data: object) -> Features:
        """Return the features of a DataFrame, path, array (by position), dict or list of dicts; of texts alone also of a list.

        They are `Encoded` without texts; its arrays and `tokens` int32 (rows, texts, length) with texts beside other columns, or
        with several; `(tokens (rows, length),)` where one column of texts is all that is used.
        Columns are found by name, further ones ignored. Raises `DataError` for a column that is missing or of another nature.
        """
        from automl.data.encode import encode

        return encode(self, data)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON data."""
        columns = [_column_to_dict(column) for column in self.columns]
        texts = {"tokenizer": self.tokenizer.to_dict()} if self.tokenizer is not None else {}
        return {"format": _FORMAT, "inputs": list(self.inputs), "columns": columns, "positional": self.positional, **texts}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Columns:
        """Return the columns that `to_dict` wrote. Raises `ModelError` for anything else."""
        try:
            if data["format"] != _FORMAT:
                raise ModelError(f"columns: format must be {_FORMAT}, got {data['format']!r}; a newer automl may read it")
            columns = tuple(_column_from_dict(column) for column in data["columns"])
            tokenizer = Tokenizer.from_dict(data["tokenizer"]) if "tokenizer" in data else None
            if (tokenizer is not None) != any(isinstance(column, Sentence) for column in columns):
                raise ModelError("columns: there must be a tokenizer where there are columns of texts, and nowhere else")
            return cls(_texts(data["inputs"]), columns, bool(data["positional"]), tokenizer)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, ModelError):
                raise
            raise ModelError(f"columns: must be what automl wrote, but {type(error).__name__}: {error}") from error


def _column_to_dict(column: Column) -> dict[str, Any]:
    if isinstance(column, Category):
        return {"column": column.column, "kind": "category", "categories": list(column.categories)}
    if isinstance(column, Sentence):
        return {"column": column.column, "kind": "text"}
    if isinstance(column, Number):
        return {"column": column.column, "kind": "number", "form": column.form, "ruler": _ruler_to_list(column.ruler)}
    parts = [[part, _ruler_to_list(ruler)] for part, ruler in column.parts]
    return {"column": column.column, "kind": "time", "form": column.form, "parts": parts}


def _column_from_dict(data: Mapping[str, Any]) -> Column:
    name = str(data["column"])
    match data["kind"]:
        case "category":
            return Category(name, _texts(data["categories"]))
        case "text":
            return Sentence(name)
        case "number":
            return Number(name, str(data["form"]), _ruler_from_list(data["ruler"]))
        case "time":
            return Time(name, str(data["form"]), tuple((str(part), _ruler_from_list(ruler)) for part, ruler in data["parts"]))
    raise ValueError(f"column {name!r} is of an unknown kind, {data['kind']!r}")


def _ruler_to_list(ruler: Ruler) -> list[float]:
    return [ruler.low, ruler.high, ruler.shift, ruler.scale]


def _ruler_from_list(data: list[Any]) -> Ruler:
    low, high, shift, scale = (float(number) for number in data)
    return Ruler(low, high, shift, scale)


def _texts(data: list[Any]) -> tuple[str, ...]:
    if not isinstance(data, (list, tuple)) or not all(isinstance(text, str) for text in data):
        raise TypeError(f"expected a list of texts, got {type(data).__name__}")
    return tuple(data)
