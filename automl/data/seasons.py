"""What repeats in a series: the season that forecasts are compared with, and the cycles of the calendar that may help them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from automl.data.time_steps import CYCLES, DAY, Step

Floats = NDArray[np.float64]

_LONGEST = 200  # steps of a season that is looked for: a network must see it whole
_LEAST = 0.3  # the autocorrelation that makes a season
_NEARLY = 0.9  # of the strongest: a shorter season is preferred to its multiples
_SOME = 20_000  # steps that are looked at, the last ones
_SEEN = 2  # times that a season or cycle must have come round
_FLAT = 1e-9  # of the largest value: what varies less is rounding


def find_season(values: Floats, step: Step | None) -> int:
    """Return the season in steps, 1 where there is none, of `values` (steps,), NaN for missing: those that training sees.

    Where the step is one of time, the seasons of the calendar are tried (a day, a week, a year), else all. A season's strength is
    the autocorrelation at its lag of what is left of the series without its moving average over one season (that of classical
    decomposition), so that a trend is none.
    """
    values = _filled(values[-_SOME:])
    most = min(_LONGEST, len(values) // (_SEEN + 1))
    lags = [
        lag for lag in (range(2, most + 1) if step is None or step.length is None else _of_calendar(step)) if 2 <= lag <= most
    ]
    strengths = {lag: _strength(values, lag) for lag in lags}
    if step is None or step.length is None:
        strengths = {lag: s for lag, s in strengths.items() if s >= max(strengths.get(lag - 1, -1), strengths.get(lag + 1, -1))}
    strongest = max(strengths.values(), default=0.0)
    if strongest < _LEAST:
        return 1
    return min(lag for lag, strength in strengths.items() if strength >= _NEARLY * strongest)


def find_cycles(steps: int, step: Step | None) -> tuple[str, ...]:
    """Return the cycles of the calendar that a series of so many steps went through twice, and has more than one step in."""
    length = None if step is None else step.length
    if length is None:
        return ()
    return tuple(name for name, cycle in CYCLES.items() if _SEEN * length <= cycle and steps * length >= _SEEN * cycle)


def cycle_values(times: NDArray[np.int64], cycles: tuple[str, ...]) -> NDArray[np.float32]:
    """Return where times (microseconds) stand in each cycle, as points on a circle: sine and cosine, `(n, 2 * cycles)`.

    Weeks begin on Thursdays, as 1970 did, and years take 365.2425 days: only what repeats matters.
    """
    angles = [2 * np.pi * (times % CYCLES[name]) / CYCLES[name] for name in cycles]
    parts = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
    return np.column_stack(parts).astype(np.float32) if parts else np.zeros((len(times), 0), np.float32)


def seasonal_error(values: Floats, season: int) -> float:
    """Return the mean absolute error of saying again what was one season before; 0 where there is no such error.

    It is the scale of MASE (Hyndman & Koehler, "Another look at measures of forecast accuracy", 2006).
    """
    errors = np.abs(values[season:] - values[:-season]) if season < len(values) else values[:0]
    errors = errors[np.isfinite(errors)]
    return float(errors.mean()) if len(errors) else 0.0


def _of_calendar(step: Step) -> list[int]:
    """Return how many steps an hour, a day, a week and a year have, those that are whole."""
    if step.unit == "weekdays":
        return [round(5 / step.size)]
    if step.unit in {"months", "month ends"}:
        return [round(12 / step.size)]
    lengths = [DAY // 24, DAY, 7 * DAY]
    whole = [length // int(step.size) for length in lengths if length % int(step.size) == 0]
    is_weeks = step.size % (7 * DAY) == 0
    return [*whole, round(CYCLES["year"] / step.size)] if is_weeks else whole


def _strength(values: Floats, lag: int) -> float:
    values = values / max(float(np.abs(values).max(initial=0.0)), 1e-300)  # squares of the largest numbers would overflow
    window = np.full(lag, 1.0 / lag) if lag % 2 else np.concatenate([[0.5], np.ones(lag - 1), [0.5]]) / lag
    half = len(window) // 2
    left = values[half : len(values) - half] - np.convolve(values, window, "valid")
    if len(left) <= lag:
        return 0.0
    power = float(np.square(left).mean())
    return float((left[lag:] * left[:-lag]).mean()) / power if power > _FLAT**2 else 0.0


def _filled(values: Floats) -> Floats:
    """Return values with those that are missing in between as a straight line."""
    known = np.flatnonzero(np.isfinite(values))
    return np.interp(np.arange(len(values)), known, values[known]) if len(known) else np.zeros(0)
