"""From any target, of one column, of several, or none, to the kind of task and to codes or values.

One column is judged by `automl.data.target`. Several are labels where all of them are 0 and 1 (or false and true), each of which
a row may have or not; otherwise all must be numbers. Without a target the rows themselves are learnt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd

from automl.data.names import listed, unnamed
from automl.data.plain import plain
from automl.data.target import Label, Target, detect_task, encode_target
from automl.data.values import BOOLEAN, read_numbers
from automl.errors import DataError, OptionError, nearest
from automl.metrics import TASK_KINDS, TaskKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

AnyTarget: TypeAlias = "pd.Series[Any] | pd.DataFrame | None"

_OF_SEVERAL: tuple[TaskKind, ...] = ("multilabel", "regression")
UNLABELLED = "no target was given: autoencoders are searched, which learn to rebuild the rows; name a column to predict it"


def detect_kind(target: AnyTarget, override: str | None = None) -> tuple[TaskKind, str]:
    """Return the kind of task and one line that says why.

    override: the kind that the user wants. Raises `DataError` where the target allows none, `OptionError` for an unknown kind.
    """
    if override is not None and override not in TASK_KINDS:
        raise OptionError(f"task must be one of {', '.join(TASK_KINDS)}, got {override!r}{nearest(override, TASK_KINDS)}")
    if target is None:
        if override not in {None, "reconstruction"}:
            raise OptionError(f"target: must name the column to predict for a {override} task, got None")
        return "reconstruction", UNLABELLED
    if isinstance(target, pd.DataFrame):
        return _detect_several(target, override)
    if override in {"reconstruction", "multilabel", "forecast"}:
        needs = {"reconstruction": "no target", "multilabel": "several targets", "forecast": "horizon="}[override]
        raise OptionError(f"task {override!r} needs {needs}, got the target {target.name!r}")
    return detect_task(target, override)


def _detect_several(target: pd.DataFrame, override: str | None) -> tuple[TaskKind, str]:
    names = listed([str(name) for name in target.columns])
    if override is not None and override not in _OF_SEVERAL:
        raise OptionError(f"task of several targets ({names}) must be one of {', '.join(_OF_SEVERAL)}, got {override!r}")
    numbers = {str(name): _numbers(target[name]) for name in target.columns}
    unread = [name for name, values in numbers.items() if np.isnan(values).any()]
    if unread:
        raise DataError(f"targets ({names}) must all be numbers, or all be labels (0 and 1), but {listed(unread)} hold others")
    binary = all(np.isin(values, (0.0, 1.0)).all() for values in numbers.values())
    constant = [name for name, values in numbers.items() if (values == values[0]).all()]
    if constant:
        raise DataError(f"targets must have at least two different values each, but {listed(constant)} have one; leave them out")
    kind: TaskKind = "multilabel" if (binary if override is None else override == "multilabel") else "regression"
    if kind == "multilabel" and not binary:
        raise DataError(f"targets ({names}) must hold 0 and 1 alone for a multilabel task; use task='regression'")
    what = "labels that a row may have or not" if kind == "multilabel" else "numbers"
    return kind, f"{names}: {kind} task, {len(numbers)} {what}"


def encode(target: AnyTarget, kind: TaskKind, rows: int, classes: tuple[Label, ...] = ()) -> Target:
    """Return the codes or values of a target of `rows` rows; of several targets `(rows, targets)`, of none zeros.

    classes: those of training, for rows to be scored. Raises `DataError` for values that training had none of.
    """
    if target is None:
        return Target(np.zeros(rows), ())
    if isinstance(target, pd.Series):
        return encode_target(target, kind, classes)
    values = np.column_stack([_numbers(target[name]) for name in target.columns])
    if not np.isfinite(values).all():
        odd = [str(name) for name, column in zip(target.columns, values.T, strict=True) if not np.isfinite(column).all()]
        raise DataError(f"targets must hold finite numbers, but {listed(odd)} don't in every row")
    if kind != "multilabel":
        return Target(values, ())
    if not np.isin(values, (0.0, 1.0)).all():
        raise DataError("targets must hold 0 and 1 alone, as those of training do")
    return Target(values.astype(np.int64), ())


def as_in_training(target: AnyTarget, names: tuple[str, ...]) -> AnyTarget:
    """Return the target of rows to be scored with its columns as in training, matched by name where they have names of their own.

    names: of several targets, empty for one. Raises `DataError` where there are other targets, or more or fewer.
    """
    given = [str(name) for name in target.columns] if isinstance(target, pd.DataFrame) else []
    if len(given) == len(names) and (not names or set(given) == set(names) or given == unnamed(len(given))):
        return target[list(names)] if isinstance(target, pd.DataFrame) and set(given) == set(names) else target
    wanted = f"the targets {listed(list(names))}" if names else "one target"
    raise DataError(f"data: y must hold {wanted}, as in training, got {listed(given) if given else 'one column'}")


def _numbers(column: pd.Series[Any]) -> NDArray[np.float64]:
    """Return a column as numbers, true as 1; NaN where a cell is neither."""
    cells = plain(column)
    if cells.storage in {"complex", "nested", "time", "duration"}:
        raise DataError(f"target {column.name!r} must hold numbers or labels, got a column of type {cells.storage}")
    numbers = read_numbers(cells)
    return read_numbers(cells, BOOLEAN) if np.isnan(numbers).any() else numbers
