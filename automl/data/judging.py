"""The rules by which a column is judged from all of its values: what it is, why in one line, and how its text is read.

They err towards using a column: whole numbers with few values stay numbers, since most such columns count or rank, and words stay
categories while a good part of them repeats.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import pandas as pd

from automl.data.plain import Plain, spelling
from automl.data.values import (
    BOOLEAN,
    DURATION,
    MARKS,
    are_codes,
    find_form,
    keys,
    read_numbers,
    read_times,
    words_to_durations,
    words_to_numbers,
)
from automl.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

ColumnKind: TypeAlias = Literal["numeric", "boolean", "categorical", "datetime", "text", "constant", "identifier", "ignored"]
USED: frozenset[ColumnKind] = frozenset({"numeric", "boolean", "categorical", "datetime", "text"})

_READABLE = 0.95  # share of rows that must be numbers (times) for the rest to count as missing
_TOO_FEW = 20  # rows below which nothing is called an identifier, and numbers below which odd words make categories
_DISTINCT = 0.9  # share of rows with a value of their own that makes an identifier, or text
_WORDS, _LETTERS = 4.0, 60.0  # words and characters, on average, that make text of what seldom repeats
_ID_NAME = re.compile(r"(.*[^a-z0-9])?(id|uuid|guid|index|rowid|row[ _-]?(number|num|no|nr))|unnamed.*", re.IGNORECASE)
_CAMEL_ID = re.compile(r".*[a-z]I[Dd]")
_SAMPLE = 1000  # words that decide whether all are tried as numbers or durations
_FIRST_DAY, _LAST_DAY = 19000101, 21001231


@dataclass(frozen=True)
class Detected:
    """What a column is and why.

    line: one line for the user. form: how its text is read ("" for plain numbers; see `automl.data.values`). notable: whether
    the line is worth a notice of its own: the column is set aside, or some of it couldn't be read.
    """

    kind: ColumnKind
    line: str
    form: str = ""
    notable: bool = False

    @property
    def used(self) -> bool:
        """Return whether the column becomes features; all others are set aside."""
        return self.kind in USED


@dataclass(frozen=True, eq=False)
class _Look:
    """A column being judged: for each row the position of its value among the distinct ones, -1 for missing.

    words: the spellings of words and categories; of other columns only the one value of a constant, for speed.
    """

    name: str
    column: Plain
    codes: NDArray[np.int64]
    distinct: int
    words: list[str]

    @property
    def present(self) -> int:
        return int((self.codes >= 0).sum())

    def counts(self) -> NDArray[np.int64]:
        return np.bincount(self.codes[self.codes >= 0], minlength=self.distinct)

    def say(self, kind: ColumnKind, why: str, form: str = "") -> Detected:
        missing = 1.0 - self.present / max(len(self.codes), 1)
        tail = f", {missing:.1%} missing" if missing > 0 else ""
        aside = "" if kind in USED else ", set aside"
        return Detected(kind, f"{self.name}: {kind}{aside}, {why}{tail}", form, kind not in USED)


def _look(name: str, column: Plain) -> _Look:
    if column.storage in {"words", "category"}:
        codes, words = keys(column)
        return _Look(name, column, codes, len(words), words)
    codes, values = pd.factorize(column.cells)
    only = [spelling(value) or "" for value in values[:1]] if len(values) == 1 else []
    return _Look(name, column, codes, len(values), only)


def judge(name: str, column: Plain) -> Detected:
    """Return what a column is. Raises `DataError` for complex numbers, which nobody can mean to be left out."""
    if column.storage == "complex":
        raise DataError(f"column {name!r} must hold real numbers, got complex ones; give real and imaginary parts as two columns")
    if column.storage == "nested":
        return Detected("ignored", f"{name}: set aside, its values are lists, bytes or other objects", notable=True)
    look = _look(name, column)
    if column.storage == "words":
        return _judge_words(look)
    return _plain_kind(look) or _JUDGES[column.storage](look)


def _plain_kind(look: _Look) -> Detected | None:
    """Return what a column without two different values is."""
    if not look.distinct:
        return look.say("constant", "no values")
    if look.distinct == 1:
        if look.present == len(look.codes):
            return look.say("constant", f"always {look.words[0]!r}")
        return look.say("categorical", f"{look.words[0]!r} or nothing")
    return None


def _judge_numbers(look: _Look) -> Detected:
    numbers = read_numbers(look.column)
    finite = numbers[np.isfinite(numbers)]
    if not finite.size:
        return look.say("constant", "no finite value")
    whole = bool((finite == np.floor(finite)).all())
    if whole and finite.min() >= _FIRST_DAY and finite.max() <= _LAST_DAY and _are_days(look.column):
        return look.say("datetime", "written YYYYMMDD", "%Y%m%d")
    if whole and _is_identifier(look, numbers):
        return look.say("identifier", "a whole number of its own in every row", "number")
    return look.say("numeric", _range(numbers))


def _are_days(column: Plain) -> bool:
    """Return whether all numbers are days of the calendar, written YYYYMMDD."""
    return bool((np.isnat(read_times(column)) == column.missing()).all())


def _is_identifier(look: _Look, numbers: NDArray[np.float64]) -> bool:
    """Return whether whole numbers, all different, count the rows or are named like an identifier."""
    if look.present < _TOO_FEW or look.distinct < look.present or look.present < len(numbers):
        return False
    counts_rows = bool((np.diff(numbers) == 1).all())
    return counts_rows or _named_like_id(look.name)


def _named_like_id(name: str) -> bool:
    return _ID_NAME.fullmatch(name) is not None or _CAMEL_ID.fullmatch(name) is not None


def _range(numbers: NDArray[np.float64]) -> str:
    finite = numbers[np.isfinite(numbers)]
    infinite = int(np.isinf(numbers).sum())
    tail = f", {infinite} infinite (taken as the nearest end)" if infinite else ""
    return f"{finite.min():.6g} to {finite.max():.6g}{tail}"


def _judge_boolean(look: _Look) -> Detected:
    return look.say("boolean", "true or false", BOOLEAN)


def _judge_duration(look: _Look) -> Detected:
    return look.say("numeric", "durations, in seconds", DURATION)


def _judge_time(look: _Look) -> Detected:
    times = look.column.cells
    return look.say("datetime", f"{_day(np.nanmin(times))} to {_day(np.nanmax(times))}")


def _day(time: np.datetime64) -> str:
    return str(time.astype("datetime64[D]"))


def _judge_words(look: _Look) -> Detected:
    """Judge text: booleans, numbers, times or durations written as text, else by how often its values repeat."""
    if set(look.words) == {"True", "False"}:
        return _judge_boolean(look)
    meant = np.array([word.lower() not in MARKS for word in look.words], dtype=bool)
    found = _numbers_in_words(look, meant) or _times_in_words(look, meant) or _plain_kind(look)
    return found or _judge_repetition(look)


def _numbers_in_words(look: _Look, meant: NDArray[np.bool_]) -> Detected | None:
    sample = words_to_numbers(look.words[:_SAMPLE])
    if are_codes(look.column.words) or (look.distinct > _SAMPLE and np.isnan(sample).mean() > 0.5):
        return None
    numbers = words_to_numbers(look.words)
    odd = _odd_words(look, ~np.isnan(numbers), meant)
    if odd is None or (odd and np.isfinite(numbers).sum() < _TOO_FEW):
        return None
    values = np.append(numbers, np.nan)[look.codes]
    found = judge(look.name, Plain("number", values))
    return _with_odd(found, odd)


def _times_in_words(look: _Look, meant: NDArray[np.bool_]) -> Detected | None:
    candidates = [word for word, real in zip(look.words, meant, strict=True) if real]
    form, rival = find_form(candidates, _READABLE) if candidates else ("", "")
    if not form:
        return _durations_in_words(look, meant)
    times = read_times(Plain("words", np.arange(len(look.words)), tuple(look.words)), form)
    odd = _odd_words(look, ~np.isnat(times), meant)
    found = judge(look.name, Plain("time", np.append(times, np.datetime64("NaT", "us"))[look.codes]))
    if odd is None or not found.used:
        return None
    found = replace(found, form=form, line=f"{found.line}, written {form}")
    if rival:
        found = replace(found, line=f"{found.line} ({rival} would fit as well)", notable=True)
    return _with_odd(found, odd)


def _durations_in_words(look: _Look, meant: NDArray[np.bool_]) -> Detected | None:
    sample = words_to_durations(look.words[:_SAMPLE])
    if np.isnan(sample).sum() > 0.5 * len(sample):
        return None
    seconds = words_to_durations(look.words)
    odd = _odd_words(look, ~np.isnan(seconds), meant)
    found = judge(look.name, Plain("duration", np.append(seconds, np.nan)[look.codes]))
    return _with_odd(replace(found, form=DURATION), odd) if odd is not None and found.used else None


def _odd_words(look: _Look, read: NDArray[np.bool_], meant: NDArray[np.bool_]) -> list[str] | None:
    """Return the words that can't be read and are no usual mark of a missing value, None where they are too many."""
    counts = look.counts()
    odd = meant & ~read
    if not read.any() or counts[odd].sum() > (1 - _READABLE) * counts[meant | read].sum():
        return None
    return [word for word, is_odd in zip(look.words, odd, strict=True) if is_odd]


def _with_odd(found: Detected, odd: list[str]) -> Detected:
    if not odd:
        return found
    shown = ", ".join(repr(word) for word in odd[:3]) + (", ..." if len(odd) > 3 else "")
    return replace(found, line=f"{found.line} ({shown} taken as missing)", notable=True)


def _judge_repetition(look: _Look) -> Detected:
    """Tell categories, which repeat, from identifiers and text, which don't."""
    distinct = look.distinct / look.present
    if look.present >= _TOO_FEW:
        spaces = float(np.mean([len(word.split()) for word in look.words]))
        letters = float(np.mean([len(word) for word in look.words]))
        if distinct > 0.5 and (spaces >= _WORDS or letters > _LETTERS):
            return look.say("text", f"{spaces:.0f} words in each row")
        if distinct > _DISTINCT:
            return look.say("text" if spaces >= 2 else "identifier", f"{look.distinct} different values in {look.present} rows")
    marks = [word for word in look.words if word.lower() in MARKS]
    return look.say("categorical", f"{look.distinct} values" + (f" ({marks[0]!r} is one)" if marks else ""))


_JUDGES: dict[str, Callable[[_Look], Detected]] = {
    "number": _judge_numbers,
    "boolean": _judge_boolean,
    "duration": _judge_duration,
    "time": _judge_time,
    "category": _judge_repetition,
}
