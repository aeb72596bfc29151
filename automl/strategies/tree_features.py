"""From sketches to the columns that a Gaussian process compares: a valid kernel over nested configurations.

Configurations become vectors, so any kernel of the distance of vectors is positive semidefinite. A number or an ordered option is
one column on its unit scale, around 0; an option is one column for each value, scaled so that two unequal ones are 1 apart. What
a configuration lacks is 0 in all columns: the middle of a range, or as far from all options. A pool is the sum of its columns,
divided by the root of how many there are, so that its distances are as large as those of a single one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from automl.strategies.decision_tree import Decision, Shape, Sketch, Units
from search_spaces.leaves import IntRange, Options

__all__ = ["Columns", "Layout"]

OPTION = 1 / math.sqrt(2)


class Layout:
    """All decisions of some shapes, side by side, so that sketches of different shapes are rows of one matrix.

    decisions: by path and slot, whatever order they were met in. A row holds NaN where its shape lacks a decision.
    """

    def __init__(self, shapes: Iterable[Shape]) -> None:
        met = {decision for shape in dict.fromkeys(shapes) for decision in shape.decisions}
        self.decisions: list[Decision] = sorted(met, key=lambda decision: (decision.path, decision.slot))
        self._index = {decision: j for j, decision in enumerate(self.decisions)}
        self._at: dict[Shape, NDArray[np.intp]] = {}
        self.open = np.array([decision.open for decision in self.decisions], dtype=bool)
        self.opens = np.array([decision.opens for decision in self.decisions], dtype=bool)

    def at(self, shape: Shape) -> NDArray[np.intp]:
        """Return where the decisions of a shape are."""
        if shape not in self._at:
            self._at[shape] = np.array([self._index[decision] for decision in shape.decisions], dtype=np.intp)
        return self._at[shape]

    def placed(self, sketches: Sequence[Sketch]) -> Units:
        """Return sketches as rows (sketches, decisions)."""
        units = np.full((len(sketches), len(self.decisions)), np.nan)
        for row, sketch in zip(units, sketches, strict=True):
            row[self.at(sketch.shape)] = sketch.units
        return units

    def snapped(self, units: Units) -> Units:
        """Return rows with each number moved to the middle of what its leaf maps to the same value."""
        moved = np.clip(units, 0.0, 1.0)
        j, counts = self._options
        moved[:, j] = (np.minimum(np.floor(moved[:, j] * counts), counts - 1) + 0.5) / counts
        j, low, high = self._linear
        moved[:, j] = (np.minimum(np.floor(moved[:, j] * (high - low + 1)), high - low) + 0.5) / (high - low + 1)
        j, low, high = self._logarithmic
        span = np.log((high + 1) / low)
        steps = np.clip(np.floor(low * np.exp(moved[:, j] * span)), low, high)
        moved[:, j] = np.log(steps / low * ((steps + 1) / low)) / 2 / span
        moved[:, ~self.open] = np.where(np.isnan(moved[:, ~self.open]), np.nan, 0.5)
        return moved

    @cached_property
    def _options(self) -> tuple[NDArray[np.intp], Units]:
        found = [(j, len(d.leaf.values)) for j, d in enumerate(self.decisions) if isinstance(d.leaf, Options)]
        return np.array([j for j, _ in found], dtype=np.intp), np.array([count for _, count in found], dtype=np.float64)

    @cached_property
    def _linear(self) -> tuple[NDArray[np.intp], Units, Units]:
        return self._steps(log=False)

    @cached_property
    def _logarithmic(self) -> tuple[NDArray[np.intp], Units, Units]:
        return self._steps(log=True)

    def _steps(self, *, log: bool) -> tuple[NDArray[np.intp], Units, Units]:
        """Return the whole numbers on a scale: (which, least step, greatest step)."""
        found = [
            (j, decision.leaf.low // decision.leaf.multiple_of, decision.leaf.high // decision.leaf.multiple_of)
            for j, decision in enumerate(self.decisions)
            if isinstance(decision.leaf, IntRange) and decision.leaf.log == log
        ]
        j, low, high = np.array(found, dtype=np.float64).reshape(-1, 3).T
        return j.astype(np.intp), low, high


class Columns:
    """All columns that were needed so far. They are only ever added, and compared in the order of their names.

    names: of the columns. groups: the group of each; all columns of a group share one length scale.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.groups: list[str] = []
        self._index: dict[str, int] = {}
        self._known: dict[Decision, tuple[list[int], list[int]]] = {}

    def encoded(self, layout: Layout, units: Units) -> Units:
        """Return features (rows, all columns so far) of rows of a layout."""
        columns, sums, options = self._maps(layout)
        rows, j = np.nonzero(~np.isnan(units) & layout.open)
        u, count = units[rows, j], options[j]
        choice = np.where(count > 0, np.minimum((u * count).astype(np.intp), count - 1), 0)
        value = np.where(count > 0, OPTION, u - 0.5)
        features = np.zeros((len(units), len(self.names)))
        features[rows, columns[j, choice]] = value
        pooled = sums[j, 0] >= 0
        rows, j, choice, value = rows[pooled], j[pooled], choice[pooled], value[pooled]
        often = np.zeros((len(units), len(self.names)))
        np.add.at(often, (rows, sums[j, 0]), 1.0)
        np.add.at(features, (rows, sums[j, choice]), value / np.sqrt(often[rows, sums[j, 0]]))
        return features

    def row(self, sketch: Sketch) -> Units:
        """Return the features of one configuration."""
        layout = Layout([sketch.shape])
        row: Units = self.encoded(layout, layout.placed([sketch]))[0]
        return row

    def _maps(self, layout: Layout) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
        """Return for each decision the columns of its values, those of their sums or -1, and how many options it has."""
        places = [self._places(decision) for decision in layout.decisions]
        most = max((len(columns) for columns, _ in places), default=1)
        columns = np.full((len(places), most), -1, dtype=np.intp)
        sums = np.full((len(places), most), -1, dtype=np.intp)
        for j, (own, pool) in enumerate(places):
            columns[j, : len(own)] = own
            sums[j, : len(pool)] = pool
        options = [0 if _is_number(decision) else len(own) for decision, (own, _) in zip(layout.decisions, places, strict=True)]
        return columns, sums, np.array(options, dtype=np.intp)

    def _places(self, decision: Decision) -> tuple[list[int], list[int]]:
        if decision not in self._known:
            leaf = decision.leaf
            ends = [""] if _is_number(decision) or not isinstance(leaf, Options) else [f"={value!r}" for value in leaf.values]
            own = [self._column(decision.slot + end, decision.group) for end in ends]
            pool = [self._column(decision.pool + end, decision.pool) for end in ends] if decision.pool else []
            self._known[decision] = own, pool
        return self._known[decision]

    def _column(self, name: str, group: str) -> int:
        if name not in self._index:
            self._index[name] = len(self.names)
            self.names.append(name)
            self.groups.append(group)
        return self._index[name]


def _is_number(decision: Decision) -> bool:
    return not isinstance(decision.leaf, Options) or decision.leaf.ordered
