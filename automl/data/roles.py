"""Columns that are no features: groups, times and weights of the rows, named by column or given as one value for each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from automl.data.names import listed
from automl.data.plain import plain
from automl.data.values import DURATION, find_form, keys, read_numbers, read_times
from automl.errors import DataError, OptionError, nearest

if TYPE_CHECKING:
    from automl.data.load import Loaded
    from automl.data.options import DataOptions

Array: TypeAlias = NDArray[Any]

_COUNTED = 20  # rows from which a column that counts the rows is no coincidence
_USES = {"groups": "groups", "time_column": "orders", "sample_weight": "weighs"}


@dataclass(frozen=True, eq=False)
class Roles:
    """What is known of each row beside its features and target; None where the user said nothing.

    groups: int64 (rows,). times: (rows,), in an order that is that of time. weight: float64 (rows,), not negative.
    columns: what the columns are that became one of these, a line for each, by name.
    """

    groups: Array | None
    times: Array | None
    weight: Array | None
    columns: dict[str, str]


def read_roles(data: object, loaded: Loaded, options: DataOptions) -> Roles:
    """Return groups, times and weights of the rows of `loaded`, which was read from `data`.

    Raises `DataError` for values that can't be used, `OptionError` for one column in two roles.
    """
    given = {"groups": options.groups, "time_column": options.time, "sample_weight": options.sample_weight}
    series = {option: _series(data, loaded, option, value) for option, value in given.items() if value is not None}
    columns: dict[str, str] = {}
    for option, value in given.items():
        if value is None or not _is_name(value):
            continue
        if str(value) in columns:
            raise OptionError(f"{option} must be a column of its own, but {value!r} has another role already")
        columns[str(value)] = f"{value}: {_USES[option]} the rows, no feature"
    return Roles(
        groups=_groups(series["groups"]) if "groups" in series else None,
        times=ascending(series["time_column"])[0] if "time_column" in series else None,
        weight=_weight(series["sample_weight"]) if "sample_weight" in series else None,
        columns=columns,
    )


def weights_beside(loaded: Loaded, options: DataOptions) -> Array:
    """Return the weights of validation or test rows: those of the same column, where they have it, else 1 for each."""
    name = str(options.sample_weight) if _is_name(options.sample_weight) else None
    return _weight(loaded.frame[name]) if name is not None and name in loaded.frame else np.ones(len(loaded.frame))


def row_counters(frame: pd.DataFrame, positions: Array) -> list[str]:
    """Return the columns that count the rows of the user's data, of which `frame` holds those at `positions`.

    In a sorted file such a column gives the target away, and a random part of it doesn't look like a counter any more.
    """
    if len(frame) < _COUNTED:
        return []
    steps = np.diff(positions)
    numbers = {str(name): frame[name] for name in frame.columns if pd.api.types.is_integer_dtype(frame[name].dtype)}
    return [name for name, column in numbers.items() if not column.hasnans and np.array_equal(np.diff(column.to_numpy()), steps)]


def class_factors(wanted: object, classes: Sequence[Any], weight_of_classes: Array) -> Array:
    """Return what each class's rows are multiplied by in the loss, float64 (classes,).

    wanted: "balanced", or a mapping from labels to weights, in which classes not named keep 1. weight_of_classes: the sum of the
    weights of each class's rows. Raises `OptionError` for labels and weights that can't be.
    """
    if not classes:
        raise OptionError("class_weight must be left out where rows have no classes")
    factors = np.ones(len(classes))
    if not isinstance(wanted, Mapping):
        present = weight_of_classes > 0
        factors[present] = weight_of_classes.sum() / (present.sum() * weight_of_classes[present])
        return factors
    for label, weight in wanted.items():
        if isinstance(weight, bool) or not isinstance(weight, (int, float, np.number)) or not 0 <= float(weight) < np.inf:
            raise OptionError(f"class_weight[{label!r}] must be a number, 0 or more, got {weight!r}")
        factors[_code(label, classes)] = float(weight)
    return factors


def _code(label: object, classes: Sequence[Any]) -> int:
    alike = [code for code, known in enumerate(classes) if type(known) is type(label) and known == label]
    alike += [code for code, known in enumerate(classes) if known == label or str(known) == str(label)]
    if not alike:
        known = ", ".join(map(repr, classes[:10]))
        raise OptionError(f"class_weight must name classes ({known}), got {label!r}{nearest(label, classes)}")
    return alike[0]


# --------------------------------------------------------------------------------------------------------- reading columns


def _is_name(value: object) -> bool:
    return isinstance(value, (str, int)) and not isinstance(value, bool)


def _series(data: object, loaded: Loaded, option: str, value: Any) -> pd.Series[Any]:
    """Return one value for each row of `loaded`, under its position in the user's data."""
    if _is_name(value):
        names = list(loaded.frame.columns)
        if str(value) not in names:
            raise DataError(
                f"{option} must name a column other than the target ({listed(names)}), got {value!r}{nearest(value, names)}"
            )
        return loaded.frame[str(value)]
    if isinstance(value, pd.DataFrame) and value.shape[1] == 1:
        value = value.iloc[:, 0]
    series = value if isinstance(value, pd.Series) else _vector(option, value)
    _check_length(data, loaded, option, len(series))
    return series.iloc[loaded.rows].set_axis(loaded.rows)


def _vector(option: str, value: Any) -> pd.Series[Any]:
    try:
        array = np.asarray(value) if hasattr(value, "__array__") else np.array(list(value), dtype=object)
    except TypeError:
        array = np.zeros((0, 0))
    if array.ndim != 1:
        raise DataError(f"{option} must be the name of a column or one value for each row, got {type(value).__name__}")
    return pd.Series(array).infer_objects()


def _check_length(data: object, loaded: Loaded, option: str, given: int) -> None:
    """Raise `DataError` unless there is one value for each row of the user's data, including rows without a target."""
    least = int(loaded.rows[-1]) + 1
    if isinstance(data, tuple):
        rows: int | None = len(data[1])
    elif isinstance(data, pd.DataFrame):
        rows = len(data)
    else:  # of a file only the rows with a target are known; without a notice there are no others
        rows = None if loaded.notices else least
    if given != rows and (rows is not None or given < least):
        raise DataError(f"{option} must have one value for each of the {rows or least} rows of the data, got {given}")


def _groups(series: pd.Series[Any]) -> Array:
    codes, _ = keys(plain(series))
    _check_present("groups", series, codes < 0)
    return codes


def ascending(series: pd.Series[Any]) -> tuple[Array, float]:
    """Return numbers and 1.0, or the microseconds of times, also of those written as text, and how many are a second.

    Raises `DataError` where a row has none.
    """
    column = plain(series)
    for form in ("", DURATION) if column.storage not in {"complex", "nested", "time"} else ():
        numbers = read_numbers(column, form)
        if np.isfinite(numbers).all():
            return numbers, 1.0
    form = ""
    if column.storage in {"words", "category"}:
        form, _ = find_form([str(word) for word in column.words], 1.0)
    readable = column.storage == "time" or form
    if not readable:
        raise DataError(f"time_column must hold numbers or times in every row, got {series.iloc[0]!r} and others")
    times = read_times(column, form)
    _check_present("time_column", series, np.isnat(times))
    return times.astype("datetime64[us]").astype(np.int64), 1e6


def _weight(series: pd.Series[Any]) -> Array:
    column = plain(series)
    unusable = column.storage in {"complex", "nested", "time", "duration"}
    weight = np.full(len(series), np.nan) if unusable else read_numbers(column)
    wrong = ~(np.isfinite(weight) & (weight >= 0))
    if wrong.any():
        row = int(wrong.argmax())
        found = f"{series.tolist()[row]!r} for row {series.index[row]}"
        raise DataError(f"sample_weight must be finite numbers, 0 or more, got {found}")
    if not weight.any():
        raise DataError(f"sample_weight must not be 0 for all rows, got {len(weight)} zeros")
    return weight


def _check_present(option: str, series: pd.Series[Any], missing: Array) -> None:
    if missing.any():
        first = series.index[int(missing.argmax())]
        raise DataError(f"{option} must have a value in every row, {int(missing.sum())} have none (the first is row {first})")
