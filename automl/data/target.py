"""What is to be learnt from a target column: which task it makes, and its classes as codes with the labels they came from.

The rule: two different values make a binary task. Words, booleans and categories are classes. Numbers with fractions are values
to be regressed. Whole numbers are classes where they are few (at most 20 different, 5 rows each on average) or count the classes
(from 0 or 1, at most 100, none left out, the rarest at least a fifth as frequent as the average), else values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd

from automl.data.names import listed
from automl.data.plain import Plain, plain, spelling
from automl.data.splits import quantile_bins
from automl.data.values import MARKS, keys, read_numbers, words_to_numbers
from automl.errors import DataError, OptionError, nearest
from automl.metrics import TASK_KINDS, TaskKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

Label: TypeAlias = str | int | float | bool
_FEW, _ROWS_EACH = 20, 5
_MANY, _RAREST = 100, 0.2


@dataclass(frozen=True, eq=False)
class Target:
    """A target as a model sees it: `values` int64 codes of `classes`, or float64 values where `classes` is empty."""

    values: NDArray[Any]
    classes: tuple[Label, ...]

    @property
    def strata(self) -> NDArray[np.int64]:
        """What rows are balanced by when they are divided, `(rows,)`: classes, sets of labels, or the first number's bins."""
        if self.classes:
            return self.values
        if self.values.dtype.kind == "i":
            return np.asarray(np.unique(self.values, axis=0, return_inverse=True)[1].reshape(-1), np.int64)
        return quantile_bins(self.values.reshape(len(self.values), -1)[:, 0])


def missing_target(target: pd.Series[Any] | pd.DataFrame) -> NDArray[np.bool_]:
    """Return which rows have no target: missing, empty text, an infinite number, or a mark like `?` where all else is numbers.

    Of several targets a row must have all.
    """
    if isinstance(target, pd.DataFrame):
        return np.asarray(np.any([missing_target(target[name]) for name in target.columns], axis=0))
    column = _usable(target)
    if column.storage == "number":
        return ~np.isfinite(column.cells.astype(np.float64))
    codes, words = keys(column)
    marks = np.array([word.lower() in MARKS for word in words], dtype=bool)
    numbers = np.isfinite(words_to_numbers(words))
    no_number = ~numbers if (numbers | marks).all() and numbers.any() else np.zeros(len(words), dtype=bool)
    return np.append(no_number, True)[codes]


def _usable(target: pd.Series[Any]) -> Plain:
    column = plain(target)
    if column.storage in {"complex", "nested", "time", "duration"}:
        raise DataError(f"target {target.name!r} must hold numbers or labels, got a column of type {column.storage}")
    return column


# ---------------------------------------------------------------------------------------------------------------- detection


def detect_task(target: pd.Series[Any], override: str | None = None) -> tuple[TaskKind, str]:
    """Return the kind of task and one line that says why.

    override: the kind that the user wants. Raises `DataError` where the target allows none, `OptionError` for an unknown kind.
    """
    known: dict[str, TaskKind] = {kind: kind for kind in TASK_KINDS}
    if override is not None and override not in known:
        raise OptionError(f"task must be one of {', '.join(known)}, got {override!r}{nearest(override, known)}")
    column = _usable(target)
    codes, values = _distinct(column)
    if len(values) < 2:
        only = f"{spelling(values[0])!r} alone" if values else "none"
        raise DataError(f"target {target.name!r} must have at least two different values, got {only}")
    found, why = _found(column, codes, values)
    kind = known[override] if override is not None else found
    _check(str(target.name), kind, column, values)
    why = why if kind == found else f"as you asked; {found} would be the choice: {why}"
    return kind, f"{target.name}: {kind} task, {why}"


def _distinct(column: Plain) -> tuple[NDArray[np.int64], list[Any]]:
    """Return the codes and values of a target; numbers are not spelt out, there may be as many as rows."""
    if column.storage != "number":
        codes, words = keys(column)
        return codes, list(words)
    codes, values = pd.factorize(column.cells)
    return codes, list(values)


def _found(column: Plain, codes: NDArray[np.int64], values: list[Any]) -> tuple[TaskKind, str]:
    """Apply the rule in the module's docstring."""
    if len(values) == 2:
        return "binary", "two values, " + " and ".join(sorted(repr(spelling(value)) for value in values))
    numbers = read_numbers(column)
    if column.storage == "category" or np.isnan(numbers).any():
        return "multiclass", f"{len(values)} labels"
    if (numbers != np.floor(numbers)).any():
        return "regression", "numbers with fractions"
    counts, average = np.bincount(codes[codes >= 0]), len(codes) / len(values)
    if len(values) <= _FEW and average >= _ROWS_EACH:
        return "multiclass", f"{len(values)} different whole numbers"
    counted = numbers.min() in {0, 1} and len(values) <= _MANY and numbers.max() - numbers.min() == len(values) - 1
    if counted and average >= _ROWS_EACH and counts.min() >= _RAREST * average:
        return "multiclass", f"whole numbers from {numbers.min():.0f} to {numbers.max():.0f}, all about as frequent"
    return "regression", f"{len(values)} different whole numbers"


def _check(name: str, kind: TaskKind, column: Plain, values: list[Any]) -> None:
    """Raise `DataError` where a target doesn't allow a kind of task."""
    unread = np.isnan(read_numbers(column))
    distinct, rows = len(values), len(unread)
    if kind == "regression" and unread.any():
        odd = next(value for value in values if np.isnan(words_to_numbers([value])).all())
        raise DataError(f"target {name!r} must hold numbers for regression, got {odd!r}; is it a multiclass task?")
    if kind == "binary" and distinct != 2:
        raise DataError(f"target {name!r} must have two values for a binary task, got {distinct}; use task='multiclass'")
    if kind == "multiclass" and distinct > max(2, rows // 2):
        fix = "is it an identifier or text?" if unread.any() else "use task='regression'"
        raise DataError(f"target {name!r} must have classes that repeat, got {distinct} in {rows} rows; {fix}")


# ----------------------------------------------------------------------------------------------------------------- encoding


def encode_target(target: pd.Series[Any], kind: TaskKind, classes: tuple[Label, ...] = ()) -> Target:
    """Return the target's codes or values.

    classes: those of training, for rows to be scored: a label that isn't among them is a `DataError`. Classes are sorted and keep
    the type that they had.
    """
    column = _usable(target)
    if kind == "regression":
        values = read_numbers(column)
        if not np.isfinite(values).all():
            raise DataError(f"target {target.name!r} must hold finite numbers, {int((~np.isfinite(values)).sum())} rows don't")
        return Target(values, ())
    codes, words = keys(column)
    classes = classes or _labels(column, codes, words)
    position = {spelling(label): code for code, label in enumerate(classes)}
    unknown = [words[code] for code in np.unique(codes) if code >= 0 and words[code] not in position]
    if unknown or (codes < 0).any():
        got = listed(unknown) if unknown else "missing values"
        raise DataError(f"target {target.name!r} must hold the classes of training, {listed(classes)}, got {got}")
    table = np.array([position.get(word, -1) for word in words], dtype=np.int64)
    return Target(table[codes], classes)


def _labels(column: Plain, codes: NDArray[np.int64], words: list[str]) -> tuple[Label, ...]:
    """Return the labels as JSON scalars of the type that the user gave, one for each spelling that occurs, sorted."""
    if column.storage == "boolean":
        return (False, True)
    originals = column.words if column.storage in {"words", "category"} else pd.unique(column.cells)
    by_spelling: dict[str | None, Label] = {}
    for original in originals:
        by_spelling.setdefault(spelling(original), _scalar(original))
    labels = [by_spelling[words[code]] for code in np.unique(codes) if code >= 0]
    of_one_sort = len({isinstance(label, str) for label in labels}) == 1
    return tuple(sorted(labels, key=None if of_one_sort else str))


def _scalar(value: Any) -> Label:
    if isinstance(value, np.floating):
        return float(str(value))  # the 0.1 of a float32, as it is spelt
    if isinstance(value, np.generic):
        value = value.item()
    return value if isinstance(value, (bool, int, float, str)) else str(spelling(value))
