"""From sketches to the columns that a Gaussian process compares: a valid kernel over nested configurations.

Configurations become vectors, so any kernel of the distance of vectors is positive semidefinite. A number or an ordered option is
one column on its unit scale, around 0; an option is one column for each value, scaled so that two unequal ones are 1 apart. What
a configuration lacks is 0 in all columns: the middle of a range, halfway between all options (that it is missing is said by the
columns of the decision that opened it). A pool is the sum of its columns, divided by the root of how many there are, so that its
distances are as large as those of a single one.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automl.strategies.decision_tree import Decision, Shape, Sketch, Units
from search_spaces.leaves import FloatRange, IntRange, Options

__all__ = ["Columns", "snapped"]

PLANS = 500  # shapes whose columns are remembered


@dataclass(frozen=True)
class _Plan:
    """Where the decisions of a shape go.

    numbers: (decisions, columns). options: (decision, first column, how many). pools: (columns, their sum's column, weight).
    """

    numbers: tuple[NDArray[np.intp], NDArray[np.intp]]
    options: tuple[tuple[int, int, int], ...]
    pools: tuple[tuple[NDArray[np.intp], int, float], ...]


class Columns:
    """All columns that were needed so far. They are only ever added, and compared in the order of their names.

    names: of the columns. groups: the group of each; all columns of a group share one length scale.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.groups: list[str] = []
        self._index: dict[str, int] = {}
        self._plans: dict[Shape, _Plan] = {}

    def encoded(self, parts: Sequence[tuple[Shape, Units]]) -> Units:
        """Return features (all rows, all columns so far) of configurations of some shapes; units: (rows, decisions)."""
        plans = [self._plan(shape) for shape, _ in parts]
        features = np.zeros((sum(len(units) for _, units in parts), len(self.names)))
        start = 0
        for plan, (_, units) in zip(plans, parts, strict=True):
            self._encode(plan, units, features[start : start + len(units)])
            start += len(units)
        return features

    def _encode(self, plan: _Plan, units: Units, features: Units) -> None:
        at, columns = plan.numbers
        features[:, columns] = units[:, at] - 0.5
        rows = np.arange(len(units))
        for j, first, count in plan.options:
            features[:, first : first + count] = -1 / (count * math.sqrt(2))
            index = np.minimum((units[:, j] * count).astype(np.intp), count - 1)
            features[rows, first + index] += 1 / math.sqrt(2)
        for parts, column, weight in plan.pools:
            features[:, column] = features[:, parts].sum(axis=1) * weight

    def row(self, sketch: Sketch) -> Units:
        """Return the features of one configuration."""
        row: Units = self.encoded([(sketch.shape, sketch.units[None])])[0]
        return row

    def _plan(self, shape: Shape) -> _Plan:
        if shape not in self._plans:
            if len(self._plans) >= PLANS:
                self._plans.clear()
            self._plans[shape] = self._planned(shape)
        return self._plans[shape]

    def _planned(self, shape: Shape) -> _Plan:
        numbers: list[tuple[int, int]] = []
        options: list[tuple[int, int, int]] = []
        pools: dict[str, list[int]] = defaultdict(list)
        for j, decision in enumerate(shape.decisions):
            count = _options(decision)
            if count == 1:
                continue
            suffixes = [f"={i}" for i in range(count)] if count else [""]
            columns = [self._column(decision.slot + suffix, decision.group) for suffix in suffixes]
            if count:
                options.append((j, columns[0], count))
            else:
                numbers.append((j, columns[0]))
            if decision.pool:
                for suffix, column in zip(suffixes, columns, strict=True):
                    pools[decision.pool + suffix].append(column)
        summed = [(np.array(parts), self._column(name, _pool(name)), 1 / math.sqrt(len(parts))) for name, parts in pools.items()]
        at, columns_at = np.array(numbers, dtype=np.intp).reshape(-1, 2).T
        return _Plan((at, columns_at), tuple(options), tuple(summed))

    def _column(self, name: str, group: str) -> int:
        if name not in self._index:
            self._index[name] = len(self.names)
            self.names.append(name)
            self.groups.append(group)
        return self._index[name]


def _pool(name: str) -> str:
    return name.rpartition("=")[0] or name


def _options(decision: Decision) -> int:
    """Return how many columns of options a decision has: 0 for a number, 1 where there is nothing to decide."""
    leaf = decision.leaf
    if isinstance(leaf, Options):
        return 0 if leaf.ordered and len(leaf.values) > 1 else len(leaf.values)
    return 1 if isinstance(leaf, IntRange | FloatRange) and leaf.low == leaf.high else 0


def snapped(shape: Shape, units: Units) -> Units:
    """Return units (rows, decisions), each moved to the middle of what its leaf maps to the same value."""
    moved = np.clip(units, 0.0, 1.0)
    for j, decision in enumerate(shape.decisions):
        leaf = decision.leaf
        if isinstance(leaf, Options):
            count = len(leaf.values)
            moved[:, j] = (np.minimum(np.floor(moved[:, j] * count), count - 1) + 0.5) / count
        elif isinstance(leaf, IntRange):
            moved[:, j] = _snapped_int(leaf, moved[:, j])
        elif leaf.from_unit(0.0) == leaf.from_unit(1.0):
            moved[:, j] = 0.5
    return moved


def _snapped_int(leaf: IntRange, units: Units) -> Units:
    low, high = leaf.low // leaf.multiple_of, leaf.high // leaf.multiple_of
    if leaf.log:
        span = math.log((high + 1) / low)
        steps = np.clip(np.floor(low * np.exp(units * span)), low, high)
        middle: Units = (np.log(steps / low) + np.log((steps + 1) / low)) / 2 / span
        return middle
    steps = np.clip(np.floor(low + units * (high - low + 1)), low, high)
    centred: Units = (steps + 0.5 - low) / (high - low + 1)
    return centred
