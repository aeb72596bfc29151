"""Time that goes in equal steps: which steps they are, where each time stands in them, and which times come next.

Equal steps of a calendar aren't equal spans of time: a month has 28 to 31 days, and trading days leave out weekends and holidays.
Such series count in steps of their own, or two days in seven would count as missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Times: TypeAlias = NDArray[Any]  # (n,): int64 microseconds since 1970, or float64 numbers of any unit

NUMBERS = "number"  # the form of times that are numbers of any unit
UNITS = ("microseconds", "weekdays", "months", "month ends", "numbers")
SECOND = 1_000_000  # microseconds
DAY = 24 * 3600 * SECOND
CYCLES = {"day": DAY, "week": 7 * DAY, "year": round(365.2425 * DAY)}  # microseconds that calendars repeat in
_LEAST_MONTH = 27 * DAY
_MONTH = 30 * DAY  # about
_OFF_BEAT = 1e-3  # steps by which a time may be off the beat
_ON_BEAT = 0.99  # share of the times that must be on it
_LEAST_FILLED = 0.5  # share of the steps of a regular series that have a row
_LEAST_WEEKDAYS = 6  # rows from which the lack of weekends is no coincidence
MOST_STEPS = 2**40  # of a series
_NAMES = ((DAY, "d"), (3600 * SECOND, "h"), (60 * SECOND, "min"), (SECOND, "s"))


@dataclass(frozen=True)
class Step:
    """What lies between two rows of a regular series: `size` microseconds, weekdays, months or units of a column of numbers."""

    unit: str
    size: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", float(self.size))  # as it is read back: JSON tells 1 and 1.0 apart, and so fingerprints

    def __str__(self) -> str:
        if self.unit != "microseconds":
            unit = "" if self.unit == "numbers" else f" {self.unit.removesuffix('s') if self.size == 1 else self.unit}"
            return f"{self.size:g}{unit}"
        for length, name in _NAMES:
            if self.size % length == 0:
                return f"{self.size / length:g} {name}"
        return f"{self.size / SECOND:g} s"

    @property
    def length(self) -> float | None:
        """About how many microseconds a step takes; None where times are numbers."""
        if self.unit == "numbers":
            return None
        return self.size * {"microseconds": 1, "weekdays": DAY}.get(self.unit, _MONTH)

    def positions(self, times: Times, origin: Any) -> NDArray[np.int64]:
        """Return for each time (ascending) the whole number of steps from `origin` to it."""
        if self.unit in {"microseconds", "numbers"}:
            return np.asarray(np.rint((times - origin) / self.size), np.int64)
        if self.unit == "weekdays":  # holidays are no steps either, so the rows count
            return np.arange(len(times)) + (0 if not len(times) else int(np.busday_count(_as("D", origin), _as("D", times[0]))))
        counted = (_as("M", times) - _as("M", origin)).astype(np.int64)
        return np.asarray(np.rint(counted / self.size), np.int64)

    def times(self, origin: Any, positions: NDArray[np.int64]) -> Times:
        """Return the times so many steps after `origin`, which is one of a regular series."""
        if self.unit == "numbers":
            return np.asarray(origin + self.size * positions)
        steps = positions * int(self.size)
        if self.unit == "microseconds":
            return np.asarray(np.int64(origin) + steps)
        moment = np.array([origin], np.int64).astype("datetime64[us]")
        days, clock = moment.astype("datetime64[D]"), moment.astype(np.int64) % DAY
        if self.unit == "weekdays":
            return np.asarray(_micro(np.busday_offset(days, steps, roll="forward")) + clock)
        months = days.astype("datetime64[M]")
        day = (days - months).astype(np.int64)
        begins = months + steps
        last = ((begins + 1).astype("datetime64[D]") - begins.astype("datetime64[D]")).astype(np.int64) - 1
        within = last if self.unit == "month ends" else np.minimum(day, last)
        return np.asarray(_micro(begins.astype("datetime64[D]") + within) + clock)


@dataclass(frozen=True)
class TimeAxis:
    """The column that says when each row was. form: how its text is read (see `automl.data.values`), or `NUMBERS`.

    step: None where the times keep to no step, so that rows are steps.
    """

    column: str
    form: str
    step: Step | None


def find_step(times: Times) -> Step | None:
    """Return the step of times (ascending, all different), or None where they keep to none or leave out more than they hold."""
    if len(times) < 2:
        return None
    if times.dtype.kind == "f":
        differences = np.diff(times)
        candidates = [Step("numbers", float(size)) for size in (np.median(differences), differences.min())]
    else:
        usual = _usual(np.diff(times))
        candidates = [*_of_calendar(times, usual), Step("microseconds", usual)]
    return next((step for step in candidates if _keeps(times, step)), None)


def _usual(differences: NDArray[np.int64]) -> int:
    values, counts = np.unique(differences, return_counts=True)
    return int(values[counts.argmax()])


def _of_calendar(times: Times, usual: int) -> list[Step]:
    """Return steps of weekdays or months, where the times look like them."""
    if len(np.unique(times % DAY)) > 1:
        return []
    days = _as("D", times)
    if usual == DAY and len(times) >= _LEAST_WEEKDAYS and np.is_busday(days).all():
        return [Step("weekdays", 1)]
    if usual < _LEAST_MONTH:
        return []
    months = _as("M", times)
    size = _usual(np.diff(months).astype(np.int64))
    if not size:
        return []
    if (((days + 1).astype("datetime64[M]") - months).astype(np.int64) == 1).all():
        return [Step("month ends", size)]
    day = (days - months.astype("datetime64[D]")).astype(np.int64)
    return [Step("months", size)] if len(np.unique(day)) == 1 else []


def _keeps(times: Times, step: Step) -> bool:
    """Return whether nearly all times are on the beat, no two on one, and most beats have a time."""
    if not step.size > 0:
        return False
    if step.unit in {"microseconds", "numbers"}:
        apart = np.diff(times) / step.size
        if apart.sum() > MOST_STEPS or (np.abs(apart - np.rint(apart)) <= _OFF_BEAT).mean() < _ON_BEAT:
            return False
    positions = step.positions(times, times[0])
    different = bool((np.diff(positions) > 0).all())
    beats = int(np.busday_count(_as("D", times[0]), _as("D", times[-1]))) if step.unit == "weekdays" else int(positions[-1])
    return different and len(times) >= _LEAST_FILLED * (beats + 1)


def _as(unit: str, times: Any) -> NDArray[Any]:
    return np.asarray(np.asarray(times, np.int64).astype("datetime64[us]").astype(f"datetime64[{unit}]"))


def _micro(moments: NDArray[Any]) -> NDArray[np.int64]:
    return moments.astype("datetime64[us]").astype(np.int64)
