"""Plain columns as numbers, times or category keys: the only readers of values, used when judging a column and when encoding it.

What can't be read is missing. Which words mean "missing" depends on what is read: `NA` or `?` among numbers is no number, hence
missing, but among categories it is a category of its own (`none` may well be an answer).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from automl.data.plain import Plain, spell_duration, spelling

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Words that stand for a missing number or time, in lower case; among categories they are categories.
MARKS = frozenset({"na", "n/a", "#n/a", "#na", "nan", "null", "none", "nil", "?", "-", "--", ".", "missing", "unknown", "(none)"})
DURATION = "duration"  # numbers that are seconds, written as `1 days 02:00:00` or `02:00:00`
BOOLEAN = "boolean"  # numbers that are 0 or 1, everything else is missing
ISO = "ISO8601"
_TRUTH = {"true": 1.0, "false": 0.0}
_DATES = (
    ("%m/%d/%Y", "%d/%m/%Y"),  # month and day can't always be told apart: both are tried, see `find_form`
    ("%m-%d-%Y", "%d-%m-%Y"),
    ("%m/%d/%y", "%d/%m/%y"),
    ("%d.%m.%Y",),
    ("%d.%m.%y",),
    ("%d %b %Y",),
    ("%d %B %Y",),
    ("%d-%b-%Y",),
    ("%d-%b-%y",),
    ("%b %d, %Y",),
    ("%B %d, %Y",),
    ("%b %Y",),
    ("%B %Y",),
    ("%Y.%m.%d",),
    ("%a, %d %b %Y",),
)
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p", " %H:%M:%S %z")
_DAYS = re.compile(r"[+-]?\d+ days?", re.ASCII)
_LIKE_A_TIME = re.compile(r"(?=.*\d)(?=.*[-/.: ]).{6,40}")
_SAMPLE = 30  # words that a form must read before all are tried


def read_numbers(column: Plain, form: str = "") -> NDArray[np.float64]:
    """Return float64 (rows,), NaN where there is no number. `form` is DURATION, BOOLEAN or empty."""
    if column.storage in {"words", "category"}:
        return _take(_words_to_numbers(column.words, form), column.cells, np.nan)
    if column.storage == "time":
        return np.full(len(column.cells), np.nan)
    return _narrow(column.cells.astype(np.float64), form)


def words_to_numbers(words: Sequence[Any]) -> NDArray[np.float64]:
    """Return the number that each word is, else NaN. `True` and `False` are 1 and 0."""
    texts = [word if isinstance(word, (str, int, float, np.number)) else spelling(word) for word in words]
    numbers = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce").to_numpy(np.float64, na_value=np.nan).copy()
    for position in np.flatnonzero(np.isnan(numbers)).tolist():
        numbers[position] = _TRUTH.get(str(words[position]).strip().lower(), np.nan)
    return numbers


def _words_to_numbers(words: Sequence[Any], form: str) -> NDArray[np.float64]:
    return words_to_durations(words) if form == DURATION else _narrow(words_to_numbers(words), form)


def _narrow(numbers: NDArray[np.float64], form: str) -> NDArray[np.float64]:
    return np.where((numbers == 0) | (numbers == 1), numbers, np.nan) if form == BOOLEAN else numbers


def are_codes(words: Iterable[object]) -> bool:
    """Return whether words are digits of one length, some with a leading zero: names (postal codes), not numbers."""
    length, leading = 0, False
    for text in map(str.strip, map(str, words)):
        if text and not (text.isascii() and text.isdigit() and len(text) == (length or len(text))):
            return False
        length, leading = length or len(text), leading or text[:1] == "0"
    return leading and length > 1


def words_to_durations(words: Sequence[Any]) -> NDArray[np.float64]:
    """Return the seconds that each word says (`1 days 02:00:00`, `02:00:00`), NaN where it says none."""
    texts = pd.Series([_clock(str(word)) for word in words], dtype=object)
    return np.asarray(pd.to_timedelta(texts, errors="coerce").dt.total_seconds(), dtype=np.float64)


def _clock(text: str) -> str | None:
    """Complete `12:30` to `12:30:00`; other text without a colon or days is no duration here (a bare number has no unit)."""
    text = text.strip()
    if _DAYS.fullmatch(text):
        return text
    return None if ":" not in text else f"{text}:00" if text.count(":") == 1 else text


def read_times(column: Plain, form: str = "") -> NDArray[np.datetime64]:
    """Return datetime64[us] (rows,), NaT where there is no time. `form` is that of `find_form`; ISO 8601 is always understood."""
    if column.storage == "time":
        return column.cells
    if column.storage in {"words", "category"}:
        words = [str(word) for word in column.words]
        return _take(words_to_times(words, form), column.cells, np.datetime64("NaT", "us"))
    codes, words = keys(column)
    return _take(words_to_times(words, form or "%Y%m%d"), codes, np.datetime64("NaT", "us"))


def words_to_times(words: Sequence[str], form: str) -> NDArray[np.datetime64]:
    """Return the time that each word says in a form, else by ISO 8601; NaT where it says none. Times with a zone become UTC."""
    texts = pd.Series([word.strip() for word in words], dtype=object)
    times = _parse(texts, form or ISO)
    unread = np.isnat(times)
    if form not in {"", ISO} and unread.any():
        times[unread] = _parse(texts[unread], ISO)
    return times


def _parse(texts: pd.Series[Any], form: str) -> NDArray[np.datetime64]:
    times = pd.to_datetime(texts, format=form, errors="coerce", utc=True)
    return times.dt.tz_localize(None).astype("datetime64[us]").to_numpy().copy()


def find_form(words: Sequence[str], needed: float) -> tuple[str, str]:
    """Return the form in which at least a share `needed` of the words are times, else an empty text.

    The second text is a rival that reads as many: where no day is above 12, day and month can't be told apart.
    """
    sample = words[:: max(1, len(words) // _SAMPLE)]
    if sum(_LIKE_A_TIME.fullmatch(word) is not None for word in sample) < len(sample) / 2:
        return "", ""
    for rivals in ((ISO,), *(tuple(date + clock for date in dates) for dates in _DATES for clock in _CLOCKS)):
        read = {form: _share(words, sample, form, needed) for form in rivals}
        best = max(read, key=lambda form: read[form])
        if read[best] >= needed:
            return best, next((form for form in rivals if form != best and read[form] == read[best]), "")
    return "", ""


def _share(words: Sequence[str], sample: Sequence[str], form: str, needed: float) -> float:
    """Return the share of words that are times in this form; a sample decides against it early."""
    share = 1.0
    for texts in (sample, words):
        share = 1.0 - float(np.isnat(_parse(pd.Series([text.strip() for text in texts], dtype=object), form)).mean())
        if share < min(needed, 0.5):
            break
    return share


def keys(column: Plain) -> tuple[NDArray[np.int64], list[str]]:
    """Return for each row its position in a list of distinct spellings, -1 where missing."""
    if column.storage in {"words", "category"}:
        codes, words = column.cells, [spelling(word) for word in column.words]
        for unused in np.flatnonzero(np.bincount(codes + 1, minlength=len(words) + 1)[1:] == 0).tolist():
            words[unused] = None  # a category that no row has
    elif column.storage == "duration":
        codes, seconds = pd.factorize(column.cells)
        words = [spell_duration(float(value)) for value in seconds]
    else:
        codes, distinct = pd.factorize(column.cells)
        words = [spelling(bool(value) if column.storage == "boolean" else value) for value in distinct]
    return _merge(codes, words)


def _merge(codes: NDArray[Any], words: list[str | None]) -> tuple[NDArray[np.int64], list[str]]:
    """Give equal spellings one position, and missing ones -1."""
    positions: dict[str, int] = {}
    table = [-1 if word is None else positions.setdefault(word, len(positions)) for word in words]
    return _take(np.array(table, dtype=np.int64), codes, np.int64(-1)), list(positions)


def _take(table: NDArray[Any], codes: NDArray[Any], missing: Any) -> NDArray[Any]:
    """Return `table[codes]`, `missing` where the code is -1."""
    return np.asarray(np.append(table, np.array([missing], dtype=table.dtype))[codes])
