"""What each column of a table is, so that a user need not say it: detected from all values, said in one line, overridable.

numeric: numbers, also where they are stored as text, and durations. boolean: true or false. categorical: words that repeat, and
all that pandas holds as categories. datetime: times, also written as text in one of the usual forms or as YYYYMMDD. text:
sentences, names, and other words that seldom repeat.
Set aside, with a notice: identifiers (a value of its own in nearly every row), constants, and what is no scalar. "ignored" is
also how a user sets a column aside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import numpy as np

from automl.data.judging import USED, ColumnKind, Detected, judge
from automl.data.plain import Plain, plain
from automl.data.values import BOOLEAN, DURATION, find_form, keys, read_numbers, read_times
from automl.errors import DataError, OptionError, nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import pandas as pd

__all__ = ["COLUMN_KINDS", "USED", "ColumnKind", "Detected", "detect_kinds", "notable_lines"]

COLUMN_KINDS: tuple[ColumnKind, ...] = get_args(ColumnKind)
_ENOUGH = 0.5  # share of the words that a form of times must read, where the user says that they are times


def detect_kinds(frame: pd.DataFrame, overrides: Mapping[str, str] | None = None) -> dict[str, Detected]:
    """Return what each column of the frame is, in its order; `overrides` maps names to kinds ("ignored" sets a column aside).

    Raises `OptionError` for an override of an unknown column or kind, `DataError` where no column can be used.
    """
    chosen = _checked({str(name): kind for name, kind in (overrides or {}).items()}, [str(name) for name in frame.columns])
    kinds = {}
    for label, series in frame.items():
        name, column = str(label), plain(series)
        kinds[name] = _forced(name, column, chosen[name]) if name in chosen else judge(name, column)
    if not any(found.used for found in kinds.values()):
        kinds |= {
            name: _rescued(name, found) for name, found in kinds.items() if name not in chosen and found.kind == "identifier"
        }
    if not any(found.used for found in kinds.values()):
        lines = "; ".join(found.line for found in list(kinds.values())[:5])
        raise DataError(f"data: at least one column besides the target must be usable, got {lines or 'no column'}")
    return kinds


def notable_lines(kinds: Mapping[str, Detected]) -> tuple[str, ...]:
    """Return the lines that a user should see without asking: what is set aside, and what couldn't be read in full."""
    return tuple(found.line for found in kinds.values() if found.notable)


def as_inputs(kinds: Mapping[str, Detected], inputs: str | None, chosen: Collection[str] = ()) -> dict[str, Detected]:
    """Return kinds as the user says what rows are: of a "table" texts are set aside, of "texts" all words are texts.

    Those of the columns in `chosen`, whose kinds the user named, stay, and all of them for other `inputs`. Raises `DataError`
    where nothing is left to use.
    """
    found = dict(kinds)
    for name, kind in kinds.items():
        if name in chosen:
            continue
        if inputs == "table" and kind.kind == "text":
            found[name] = Detected("ignored", f"{name}: text, set aside because inputs are a table", notable=True)
        if inputs == "texts" and not kind.form and kind.kind in {"categorical", "identifier"}:
            found[name] = Detected("text", f"{name}: text, as you asked")
    if not any(kind.used for kind in found.values()):
        raise DataError(f"data: inputs='table' needs a column that is no text, got texts alone ({next(iter(found))!r}, ...)")
    return found


def _checked(overrides: Mapping[str, str], names: list[str]) -> dict[str, ColumnKind]:
    known: dict[str, ColumnKind] = {kind: kind for kind in COLUMN_KINDS}
    for name, kind in overrides.items():
        if name not in names:
            raise OptionError(f"columns: {name!r} must be a column of the data other than the target{nearest(name, names)}")
        if kind not in known:
            raise OptionError(f"columns[{name!r}] must be one of {', '.join(known)}, got {kind!r}{nearest(kind, known)}")
    return {name: known[kind] for name, kind in overrides.items()}


def _rescued(name: str, found: Detected) -> Detected:
    """Use what looks like an identifier after all where there is nothing else: whole numbers as such, words as texts."""
    if found.kind != "identifier":
        return found
    kind: ColumnKind = "numeric" if found.form else "text"
    return Detected(kind, f"{name}: {kind}, looks like an identifier but there is no other column", notable=True)


def _forced(name: str, column: Plain, kind: ColumnKind) -> Detected:
    """Return a column as the user wants it. Raises `DataError` where its values can't be read so."""
    if kind not in USED:
        return Detected(kind, f"{name}: set aside, as you asked", notable=True)
    if column.storage in {"complex", "nested"}:
        raise DataError(f"column {name!r} can't be {kind}: its values must be single real numbers or words; set it to 'ignored'")
    if kind == "categorical":
        return Detected(kind, f"{name}: categorical, as you asked, {len(keys(column)[1])} values")
    if kind == "text":
        return Detected(kind, f"{name}: text, as you asked")
    form = _form(column, kind)
    unread = _unread(column, kind, form)
    if unread.all():
        raise DataError(f"column {name!r} can't be {kind}: none of its values can be read so, e.g. {_example(column)}")
    odd = int((unread & ~column.missing()).sum())
    if odd and kind == "boolean":
        raise DataError(f"column {name!r} can't be boolean: {odd} of its values are neither true (1) nor false (0)")
    tail = f", {odd} values that can't be read so are taken as missing" if odd else ""
    return Detected(kind, f"{name}: {kind}, as you asked{tail}", form, notable=odd > 0)


def _form(column: Plain, kind: ColumnKind) -> str:
    if kind == "boolean":
        return BOOLEAN
    if kind == "numeric":
        is_duration = column.storage == "duration" or np.isnan(read_numbers(column)).all()
        return DURATION if is_duration else ""
    if column.storage in {"words", "category"}:
        return find_form(keys(column)[1], _ENOUGH)[0]
    return "%Y%m%d" if column.storage == "number" else ""


def _unread(column: Plain, kind: ColumnKind, form: str) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    if kind == "datetime":
        return np.isnat(read_times(column, form))
    return np.isnan(read_numbers(column, form))


def _example(column: Plain) -> str:
    return repr(next(iter(keys(column)[1]), "nothing but missing values"))
