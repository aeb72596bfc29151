"""Rows that a network must be able to take, for trying an exported file: far out of the range, missing, infinite, never seen."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.data.features import Features
from search_spaces.spec import Image, Inputs, Mixed, Table, Text, TimeSeries

_EXAMPLE_STEPS = 7  # torch takes an axis of one for a constant
_LONGER = 3  # steps beyond the longest fit row


def values_in_row(inputs: Inputs) -> int:
    """Return how many numbers a row has, at least one."""
    match inputs:
        case Table():
            return max(1, len(inputs.numeric) + len(inputs.categorical))
        case Image():
            return inputs.height * inputs.width * inputs.channels
        case TimeSeries():
            return len(inputs.channels) * inputs.length
        case Text():
            return inputs.length
        case Mixed():
            return values_in_row(inputs.table) + len(inputs.names) * inputs.text.length


def example_rows(inputs: Inputs, rows: int) -> Features:
    """Return so many rows as `inputs` describe them, equal for equal numbers; other numbers come in other lengths."""
    rng = np.random.default_rng(rows)
    match inputs:
        case Table():
            return _table_rows(inputs, rows, rng)
        case Image():
            return (_images(inputs, rows, rng),)
        case TimeSeries():
            return _series(inputs, rows, rng)
        case Text():
            return (_tokens(inputs, rows, rng),)
        case Mixed():
            tokens = _tokens(inputs.text, rows * len(inputs.names), rng)
            return *_table_rows(inputs.table, rows, rng), tokens.reshape(rows, len(inputs.names), -1)


def _steps(length: int, rows: int) -> int:
    """Return how many steps the longest of so many rows has: few, more than any fit row, or in between.

    Three rows are the example that is exported.
    """
    return (_EXAMPLE_STEPS, length + _LONGER, max(1, length // 2), max(length, _EXAMPLE_STEPS))[rows % 4]


def _series(inputs: TimeSeries, rows: int, rng: np.random.Generator) -> Features:
    steps = _steps(inputs.length, rows)
    values = np.empty((rows, steps, len(inputs.channels)), np.float32)
    for position, channel in enumerate(inputs.channels):
        values[..., position] = _numbers(channel.quantiles[0], channel.quantiles[-1], (rows, steps), rng, 0.03)
    lengths = rng.integers(1, steps + 1, rows)
    lengths[0] = steps
    return values, lengths


def _tokens(inputs: Text, rows: int, rng: np.random.Generator) -> NDArray[np.int64]:
    steps = _steps(inputs.length, rows)
    tokens = rng.integers(1, inputs.vocabulary + 1, (rows, steps))
    return np.where(np.arange(steps) < rng.integers(0, steps + 1, (rows, 1)), tokens, 0)


def _images(inputs: Image, rows: int, rng: np.random.Generator) -> NDArray[Any]:
    shape = (rows, inputs.height, inputs.width, inputs.channels)
    if inputs.dtype == "uint8":
        return rng.integers(0, 256, shape, np.uint8)
    images = rng.normal(inputs.mean, inputs.std, shape).astype(np.float32)
    return np.where(rng.random(shape) < 0.01, np.float32(np.nan), images)


def _table_rows(inputs: Table, rows: int, rng: np.random.Generator) -> Features:
    numeric = np.empty((rows, len(inputs.numeric)), np.float32)
    for position, column in enumerate(inputs.numeric):
        numeric[:, position] = _numbers(column.quantiles[0], column.quantiles[-1], (rows,), rng, 0.3)
    codes = [rng.integers(-1, len(column.counts) + 2, rows) for column in inputs.categorical]
    categorical = np.stack(codes, 1) if codes else np.empty((rows, 0), np.int64)
    return numeric, categorical.astype(np.int64)


def _numbers(low: float, high: float, shape: tuple[int, ...], rng: np.random.Generator, odd_share: float) -> NDArray[Any]:
    odd = [np.nan, np.inf, -np.inf, high + 3 * (high - low), low - 3 * (high - low)]
    numbers = rng.uniform(low, high, shape)
    return np.where(rng.random(shape) < odd_share, rng.choice(odd, shape), numbers)
