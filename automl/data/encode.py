"""The work of `Columns`: fitting a column's state, and encoding rows with it.

Times become features in float64 before they are cast: the days since 1970, and the parts of the calendar that vary, as plain
numbers (for trees) and as points on a circle (for networks: December is near January).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.data.columns import Category, Column, Columns, Encoded, Number, Ruler, Sentence, Time
from automl.data.load import Table, read_table
from automl.data.plain import Plain, plain, spelling
from automl.data.text_lists import as_texts
from automl.data.tokens import Tokenizer
from automl.data.values import keys, read_numbers, read_times
from automl.errors import DataError, nearest

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from automl.data.features import Features
    from automl.data.judging import Detected

    Floats = NDArray[np.float64]
    Times = NDArray[np.datetime64]

_MOST_CATEGORIES = 10_000  # of a column, the most frequent: beyond, tables of embeddings outgrow what they could learn
_BLUR = 1e4  # a column whose numbers are this much larger than their spread is shifted; float32 has 7 digits
_HUGE, _TINY = 1e15, 1e-15  # columns beyond are scaled: float32 ends at 1e38, and squares are taken of it
_LIMIT = np.float64(1e30)
_SOME = 10  # rows with a value of which at least one must be readable


# ------------------------------------------------------------------------------------------------------------------ fitting


def fit_column(name: str, series: pd.Series[Any], kind: Detected) -> Column:
    """Return the state of a column of a kind that is used."""
    if kind.kind == "text":
        return Sentence(name)
    column = plain(series)
    if kind.kind == "categorical":
        return Category(name, _categories(column))
    if kind.kind == "datetime":
        times = read_times(column, kind.form)
        rulers = [(part, fit_ruler(compute(times), 0.0 if part == "days" else _BLUR)) for part, compute in PARTS.items()]
        return Time(name, kind.form, tuple((part, ruler) for part, ruler in rulers if ruler.low < ruler.high))
    return Number(name, kind.form, fit_ruler(read_numbers(column, kind.form)))


def _categories(column: Plain) -> tuple[str, ...]:
    codes, words = keys(column)
    counts = np.bincount(codes[codes >= 0], minlength=len(words))
    most = sorted(range(len(words)), key=lambda word: (-counts[word], words[word]))[:_MOST_CATEGORIES]
    return tuple(sorted(words[word] for word in most if counts[word]))


def fit_tokenizer(frame: pd.DataFrame, kind: str) -> Tokenizer:
    """Return the tokenizer of all columns of a frame of texts, in which a text counts as often as it occurs."""
    texts = []
    for name in frame.columns:
        codes, words = _spoken(plain(frame[name]))
        texts += [words[code] for code in codes.tolist() if code >= 0]
    return Tokenizer.fit(texts, kind)


def fit_ruler(numbers: Floats, blur: float = _BLUR) -> Ruler:
    """Return the ruler that keeps a column's differences in float32. blur: see the constant."""
    finite = numbers[np.isfinite(numbers)]
    if not finite.size:
        return Ruler(0.0, 0.0)
    ranks = np.quantile(finite, [0.0, 0.25, 0.5, 0.75, 1.0], method="nearest")  # others add numbers, which may overflow
    low, lower, median, upper, high = (float(rank) for rank in ranks)
    middle = max(abs(lower), abs(upper))
    spread = (upper / 2 - lower / 2 or high / 2 - low / 2) * 2
    shift = median if middle > blur * spread else 0.0
    largest = max(abs(low - shift), abs(high - shift))
    scale = 1.0 / largest if largest > _HUGE or 0.0 < largest < _TINY else 1.0
    return Ruler(low, high, shift, scale)


def measure(numbers: Floats, ruler: Ruler) -> NDArray[np.float32]:
    """Return numbers as float32 by a ruler: finite, or NaN for missing."""
    finite = np.nan_to_num(numbers, nan=np.nan, posinf=ruler.high, neginf=ruler.low)
    return np.clip((finite - ruler.shift) * ruler.scale, -_LIMIT, _LIMIT).astype(np.float32)


# -------------------------------------------------------------------------------------------------------------------- times


def _whole(times: Times, unit: str) -> Floats:
    """Return whole units since 1970, NaN where there is no time."""
    counts = times.astype(f"datetime64[{unit}]").astype(np.int64).astype(np.float64)
    return np.where(np.isnat(times), np.nan, counts)


def _days(times: Times) -> Floats:
    return _whole(times, "us") / 86_400e6


def _year(times: Times) -> Floats:
    return _whole(times, "Y") + 1970


def _month(times: Times) -> Floats:
    return _whole(times, "M") % 12 + 1


def _day(times: Times) -> Floats:
    first = times.astype("datetime64[M]").astype("datetime64[D]")
    return _whole(times, "D") - _whole(first, "D") + 1


def _weekday(times: Times) -> Floats:
    return (_whole(times, "D") + 3) % 7  # 1970 began on a Thursday; Monday is 0


def _hour(times: Times) -> Floats:
    return (_days(times) - _whole(times, "D")) * 24


def _season(times: Times) -> Floats:
    """Return the share of the year that has gone by."""
    first = times.astype("datetime64[Y]").astype("datetime64[D]")
    return (_whole(times, "D") - _whole(first, "D")) / 366


def _round(wave: Callable[[Floats], Floats], phase: Callable[[Times], Floats], period: float) -> Callable[[Times], Floats]:
    return lambda times: wave(2 * np.pi * phase(times) / period)


PARTS: dict[str, Callable[[Times], Floats]] = {
    "days": _days,
    "year": _year,
    "month": _month,
    "day": _day,
    "weekday": _weekday,
    "hour": _hour,
    "year_sin": _round(np.sin, _season, 1),
    "year_cos": _round(np.cos, _season, 1),
    "week_sin": _round(np.sin, _weekday, 7),
    "week_cos": _round(np.cos, _weekday, 7),
    "day_sin": _round(np.sin, _hour, 24),
    "day_cos": _round(np.cos, _hour, 24),
}


# ----------------------------------------------------------------------------------------------------------------- encoding


def encode(columns: Columns, data: object) -> Features:
    """Return the features of rows. See `Columns.transform`."""
    frame = _aligned(columns, _read(columns, data))
    numbers: list[NDArray[np.float32]] = []
    codes: list[NDArray[np.int32]] = []
    tokens: list[NDArray[np.int32]] = []
    for column, (_, series) in zip(columns.columns, frame.items(), strict=True):
        given = plain(series)
        match column:
            case Category():
                codes.append(_codes(column, given))
            case Number():
                numbers += _numbers(column, given)
            case Time():
                numbers += _parts(column, given)
            case Sentence():
                tokens.append(_tokens(column, given, columns.tokenizer))
    if columns.is_text:
        return (tokens[0],)
    encoded = Encoded(_side_by_side(numbers, len(frame), np.float32), _side_by_side(codes, len(frame), np.int32))
    return (*encoded, np.stack(tokens, 1)) if tokens else encoded


def _read(columns: Columns, data: object) -> Table:
    """Return the table in data, and of texts alone also the texts in a list. Raises `DataError`."""
    if columns.is_text and (texts := as_texts(data, expected=True)) is not None:
        return Table(texts, tuple(texts.columns), "a list of texts", positional=True)
    if columns.texts and isinstance(data, str) and not _is_path(data):
        given = f"{data[:40]!r}{'...' if len(data) > 40 else ''}"
        raise DataError(f"data: a text by itself is taken for a path, and there is no file {given}; give a list, [text]")
    return read_table(data)


def _is_path(text: str) -> bool:
    """Return whether there is such a file, or a text looks as if it should be one."""
    try:
        return Path(text).expanduser().exists() or Path(text).suffix.lower() in {".csv", ".tsv", ".parquet"}
    except (OSError, ValueError, RuntimeError):  # too long for a path, or with characters that no path has
        return False


def _side_by_side(columns: list[NDArray[Any]], rows: int, dtype: type[np.generic]) -> NDArray[Any]:
    together = np.empty((rows, len(columns)), dtype)
    for position, column in enumerate(columns):
        together[:, position] = column
    return together


def _aligned(columns: Columns, table: Table) -> pd.DataFrame:
    """Return the columns that are used, in their order, by name or else by position."""
    frame, names = table.frame, list(columns.names)
    missing = [name for name in names if name not in frame.columns]
    if not missing:
        return frame[names]
    by_position = columns.positional or table.positional
    if by_position and len(frame.columns) == len(columns.inputs):
        return frame.set_axis(list(columns.inputs), axis=1)[names]
    if by_position:
        raise DataError(f"data: must have {len(columns.inputs)} columns in the order of training, got {len(frame.columns)}")
    shown = ", ".join(repr(name) for name in missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
    raise DataError(f"data: the columns of training must be there, missing {shown}{nearest(missing[0], frame.columns)}")


def _codes(column: Category, given: Plain) -> NDArray[np.int32]:
    _check(column, given, {"complex", "nested"})
    codes, words = keys(given)
    position = {word: code for code, word in enumerate(column.categories, start=1)}
    table = np.array([*(position.get(word, 0) for word in words), 0], dtype=np.int32)
    return np.asarray(table[codes])


def _numbers(column: Number, given: Plain) -> list[NDArray[np.float32]]:
    _check(column, given, {"complex", "nested", "time"})
    numbers = read_numbers(given, column.form)
    _check_readable(column, given, np.isnan(numbers), "numbers")
    return [measure(numbers, column.ruler)]


def _parts(column: Time, given: Plain) -> list[NDArray[np.float32]]:
    _check(column, given, {"complex", "nested", "boolean", "duration"})
    times = read_times(given, column.form)
    _check_readable(column, given, np.isnat(times), f"times, written {column.form or 'like 2024-01-31 18:30:00'}")
    return [measure(PARTS[part](times), ruler) for part, ruler in column.parts]


def _tokens(column: Sentence, given: Plain, tokenizer: Tokenizer | None) -> NDArray[np.int32]:
    _check(column, given, {"complex", "nested"})
    assert tokenizer is not None
    codes, words = _spoken(given)
    known = np.unique(codes[codes >= 0])
    table = np.zeros((len(words) + 1, tokenizer.length), np.int32)  # its last row, at -1, is for what is missing
    table[known] = tokenizer.encode([words[code] for code in known.tolist()])
    return np.asarray(table[codes])


def _spoken(given: Plain) -> tuple[NDArray[np.int64], list[str]]:
    """Return for each row its position in a list of texts, -1 where missing; texts as they are, numbers by their spelling."""
    if given.storage not in {"words", "category"}:
        return keys(given)
    spelt = [spelling(word) for word in given.words]
    missing = np.array([*(word is None for word in spelt), True], dtype=bool)
    texts = [word if isinstance(word, str) else other or "" for word, other in zip(given.words, spelt, strict=True)]
    return np.where(missing[given.cells], -1, given.cells), texts


def _check(column: Column, given: Plain, refused: set[str]) -> None:
    if given.storage in refused and (given.storage in {"complex", "nested"} or not given.missing().all()):
        was = {Number: "numbers", Time: "times", Category: "single values", Sentence: "texts"}[type(column)]
        raise DataError(f"column {column.column!r} must hold {was} as in training, got a column of type {given.storage}")


def _check_readable(column: Column, given: Plain, unread: NDArray[np.bool_], what: str) -> None:
    """Refuse a column of which nothing can be read; single values that can't be read are missing."""
    if len(unread) < _SOME or not unread.all():
        return
    codes, words = keys(given)
    if (codes >= 0).sum() >= _SOME:
        raise DataError(f"column {column.column!r} must hold {what}, as in training, got {words[0]!r} and the like")
