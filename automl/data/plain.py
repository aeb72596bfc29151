"""One classifier for all dtypes of pandas, and one spelling for every value.

A value arrives as text in a CSV file, as a whole number in Parquet, as a category or a boolean in a frame, and must mean the
same in each. `plain` brings a column of any dtype to one of a few storages, at fitting and at predicting alike;
`automl.data.values` turns those into numbers, times or the keys of categories.
"""

from __future__ import annotations

import datetime as dt
import decimal
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

Array: TypeAlias = NDArray[Any]
Storage: TypeAlias = Literal[
    "number",  # `cells` of a numeric dtype
    "boolean",  # float64: 0, 1, NaN
    "time",  # datetime64[us]: without time zone, those with one as UTC
    "duration",  # float64: seconds
    "words",  # int64 positions in `words`, -1 for missing
    "category",  # the same, because the user says so
    "empty",  # float64: nothing but missing values
    "complex",  # can't be used
    "nested",  # can't be used: lists, dictionaries, bytes and objects that we don't know
]
MISSING_WORDS = frozenset({"", "nan", "NaN", "NAN", "<NA>", "NaT"})  # how Python and pandas write a missing value
_DECIMAL = re.compile(r"[+-]?\d{1,30}(\.\d*)?([eE][+-]\d{1,3})?", re.ASCII)
_STARTS_OF_NUMBERS = frozenset("+-0123456789")
_BOOLEANS = {"true": "True", "false": "False"}
_LARGEST_WHOLE = 1e30  # that is spelt out
_LARGEST_EXACT = 2**53  # above it float64 can't tell whole numbers apart
_MIDNIGHT = " 00:00:00"
_SCALARS = (str, bool, int, float, np.generic, decimal.Decimal, dt.date, dt.time, dt.timedelta, pd.Interval, pd.Period)


@dataclass(frozen=True, eq=False)
class Plain:
    """A column in one of the few storages: `cells` (rows,), and for words and categories what they point to."""

    storage: Storage
    cells: Array
    words: tuple[Any, ...] = ()

    def missing(self) -> NDArray[np.bool_]:
        """Return which rows are missing, as the storage tells; words that mean missing are not looked at."""
        if self.storage in {"words", "category"}:
            return np.asarray(self.cells < 0)
        return np.asarray(pd.isna(self.cells))


def plain(series: pd.Series[Any]) -> Plain:
    """Return a column of any dtype in one of our storages. Never raises for a dtype of pandas: see "complex" and "nested"."""
    dtype = series.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "iuf":
        return Plain("number", series.to_numpy())  # by far the most frequent
    if isinstance(dtype, (pd.SparseDtype, pd.PeriodDtype)):
        return plain(pd.Series(series.array.to_dense() if isinstance(dtype, pd.SparseDtype) else series.dt.to_timestamp()))
    if isinstance(dtype, pd.CategoricalDtype):
        return Plain("category", series.cat.codes.to_numpy(np.int64), tuple(series.cat.categories))
    if isinstance(dtype, pd.ArrowDtype) and _is_for_python(dtype):
        return _from_objects(pd.Series(series.tolist(), dtype=object))
    if isinstance(dtype, pd.IntervalDtype) or types.is_object_dtype(dtype):
        return _from_objects(series.astype(object))
    return _from_simple(series)


def _is_for_python(dtype: pd.ArrowDtype) -> bool:
    """Return whether only Python's own objects stand for the values: decimals, times of day, lists, dictionaries."""
    try:
        return dtype.kind == "O"
    except NotImplementedError:  # types that pandas can hold but not name
        return True


def _from_simple(series: pd.Series[Any]) -> Plain:
    dtype = series.dtype
    if types.is_bool_dtype(dtype):
        return Plain("boolean", series.to_numpy(np.float64, na_value=np.nan))
    if types.is_complex_dtype(dtype):
        return _unusable("complex", series)
    if types.is_numeric_dtype(dtype):
        return _from_numbers(series)
    if types.is_datetime64_any_dtype(dtype):
        return _from_times(pd.to_datetime(series, utc=True))
    if types.is_timedelta64_dtype(dtype) or dtype.kind == "m":
        return Plain("duration", series.astype("timedelta64[us]").dt.total_seconds().to_numpy(np.float64))
    codes, words = pd.factorize(series)
    return Plain("words", codes.astype(np.int64), tuple(words.tolist()))


def _from_numbers(series: pd.Series[Any]) -> Plain:
    """Take numbers as they are stored; float32 stays float32, so that its 0.1 is spelt 0.1."""
    extension: Any = series.dtype
    dtype = np.dtype(getattr(extension, "numpy_dtype", extension))
    if not series.hasnans:
        return Plain("number", series.to_numpy(dtype))
    numbers = series.to_numpy(dtype if dtype.kind == "f" else np.float64, na_value=np.nan)
    if dtype.kind != "f" and (np.abs(numbers) > _LARGEST_EXACT).any():
        return _from_mixture(series.astype(object))
    return Plain("number", numbers)


def _from_times(series: pd.Series[Any]) -> Plain:
    return Plain("time", series.dt.tz_localize(None).astype("datetime64[us]").to_numpy())


def _from_whole_or_real(series: pd.Series[Any]) -> Plain:
    """Take Python's and numpy's own numbers as int64 or float64, those that neither can tell apart by their spelling."""
    present: list[Any] = series.dropna().tolist()
    exact = all(abs(int(value)) <= _LARGEST_EXACT for value in present if isinstance(value, (int, np.integer)))
    if not exact:
        return _from_mixture(series)
    if len(present) < len(series):
        return Plain("number", series.to_numpy(np.float64, na_value=np.nan))
    return Plain("number", np.asarray(pd.to_numeric(series)))


def _from_durations(series: pd.Series[Any]) -> Plain:
    """Take Python's durations, which may be longer than pandas can hold."""
    return Plain("duration", np.array([np.nan if pd.isna(value) else _seconds(value) for value in series], dtype=np.float64))


def _seconds(duration: Any) -> float:
    return float(duration / np.timedelta64(1, "s") if isinstance(duration, np.timedelta64) else duration.total_seconds())


def _unusable(storage: Storage, series: pd.Series[Any]) -> Plain:
    return Plain(storage, np.full(len(series), np.nan))


_FROM_OBJECTS: dict[str, Callable[[pd.Series[Any]], Plain]] = {
    "empty": lambda series: _unusable("empty", series),
    "boolean": lambda series: _from_simple(series.astype("boolean")),
    "integer": _from_whole_or_real,
    "floating": _from_whole_or_real,
    "mixed-integer-float": _from_whole_or_real,
    "complex": lambda series: _unusable("complex", series),
    "datetime": lambda series: _from_times(pd.to_datetime(series, utc=True, errors="coerce")),
    "datetime64": lambda series: _from_times(pd.to_datetime(series, utc=True, errors="coerce")),
    "date": lambda series: _from_times(pd.to_datetime(series, utc=True, errors="coerce")),
    "timedelta": _from_durations,
    "timedelta64": _from_durations,
}


def _from_objects(series: pd.Series[Any]) -> Plain:
    """Take a column of Python objects by what `infer_dtype` finds in it; text and mixtures by their spelling."""
    return _FROM_OBJECTS.get(types.infer_dtype(series, skipna=True), _from_mixture)(series)


def _from_mixture(series: pd.Series[Any]) -> Plain:
    missing = series.isna().to_numpy()
    values = series.to_numpy()[~missing]
    kinds = {type(value) for value in values}
    if any(issubclass(kind, (complex, np.complexfloating)) for kind in kinds):
        return _unusable("complex", series)
    if not all(issubclass(kind, _SCALARS) and not issubclass(kind, bytes) for kind in kinds):
        return _unusable("nested", series)
    texts = values if kinds == {str} else np.array([spelling(value) for value in values], dtype=object)
    codes = np.full(len(series), -1, dtype=np.int64)
    codes[~missing], words = pd.factorize(texts)
    return Plain("words", codes, tuple(words))


def spelling(value: Any) -> str | None:
    """Return the one text that stands for a scalar however it arrives, None where it means missing.

    `1`, `1.0`, `"1"` and `" 01 "` are "1"; `True` and `"TRUE"` are "True"; a time at midnight is spelt as a date.
    """
    if isinstance(value, str):
        return _spelling_of_text(value.strip())
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, (float, np.floating, decimal.Decimal)):
        return _spelling_of_float(float(str(value)))
    return _spelling_of_time(value).removesuffix(_MIDNIGHT)


def _spelling_of_time(value: Any) -> str:
    """Spell times and durations as pandas does, those with a zone as UTC; all else by its own text."""
    if isinstance(value, (dt.timedelta, np.timedelta64)):
        return spell_duration(_seconds(value))
    if isinstance(value, (dt.datetime, np.datetime64)):
        time = pd.Timestamp(value)
        return str(time if time.tzinfo is None else time.tz_convert("UTC").tz_localize(None))
    return str(value)


def spell_duration(seconds: float) -> str:
    """Return a duration as pandas writes it, to the microsecond: `1 days 02:30:00`."""
    days, rest = divmod(round(seconds * 1e6), 86_400_000_000)
    whole, micro = divmod(rest, 1_000_000)
    clock = f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}" + (f".{micro:06}" if micro else "")
    return f"{days} days {'+' if days < 0 else ''}{clock}".removesuffix(_MIDNIGHT)


def _spelling_of_text(text: str) -> str | None:
    if text[:1] in _STARTS_OF_NUMBERS and _DECIMAL.fullmatch(text):
        return str(int(text)) if text.lstrip("+-").isdigit() else _spelling_of_float(float(text))
    if text in MISSING_WORDS:
        return None
    return _BOOLEANS.get(text.lower()) or text.removesuffix(_MIDNIGHT)


def _spelling_of_float(value: float) -> str | None:
    """Return the shortest text: what a float32 came from is 0.1, even after float64 made it 0.10000000149011612."""
    if np.isnan(value):
        return None
    if abs(value) >= _LARGEST_WHOLE:
        return repr(value)
    if value.is_integer():
        return str(int(value))
    short = np.float32(value)
    return repr(float(str(short)) if float(short) == value else value)
