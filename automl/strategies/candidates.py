"""Candidates for a suggestion: sketches drawn at random, and moves from the best configurations so far.

Moves are those of `search_spaces.variation` (steps, fresh draws, items inserted, removed, duplicated and swapped, crossover),
made on sketches, many at a time: one structural move gives a shape, and many rows of numbers follow for it. A share of the steps
goes right to an end of a range, where the best value often lies.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Generic

import numpy as np

from automl.strategies.base import F
from automl.strategies.decision_tree import Decision, Shape, Sketch, Tree, Units
from automl.strategies.tree_features import Layout

__all__ = ["Candidates", "Rows", "sketched"]

RANDOM = 400  # rows at random, where a space has one shape
SHAPES, EACH = 8, 25  # random shapes, and rows at random of each, where it has many
STEPS = 100  # rows around each of the best
CROSSED = 20  # rows that mix each of the best with another
MOVED = 4  # structural moves from each of the best
AFTER = 5  # rows for each such move
CHANGES = 3  # decisions that a row changes on average, where they are many, else this share:
CHANGED = 0.25
ENDS = 0.1  # share of changes that go to an end of the range
FRESH = 0.1  # share of changes that are drawn anew
SIZES = (-2.3, -0.3)  # logarithms (base 10) of the smallest and the largest step, as a share of the range


class Rows:
    """Candidates of several shapes. units: (rows, decisions of the layout); shapes: of each row."""

    def __init__(self, layout: Layout, units: Units, shapes: Sequence[Shape]) -> None:
        self.layout = layout
        self.units = layout.snapped(units)
        self._shapes = shapes

    def __len__(self) -> int:
        return len(self._shapes)

    def sketch(self, i: int) -> Sketch:
        """Return one of them."""
        shape = self._shapes[i]
        return Sketch(shape, self.units[i, self.layout.at(shape)])


def sketched(sketches: Sequence[Sketch]) -> Rows:
    """Return sketches as rows."""
    layout = Layout(sketch.shape for sketch in sketches)
    return Rows(layout, layout.placed(sketches), [sketch.shape for sketch in sketches])


class Candidates(Generic[F]):
    """Draws candidates from a space. rng: all chance comes from it."""

    def __init__(self, tree: Tree[F], rng: random.Random) -> None:
        self._tree = tree
        self._rng = rng
        self._noise = np.random.default_rng(rng.getrandbits(64))

    def around(self, best: Sequence[Sketch]) -> Rows:
        """Return candidates at random and around some good sketches."""
        drawn = self._random()
        nested = any(decision.opens for sketch in [*best, *drawn] for decision in sketch.shape.decisions)
        moved = [self._moved(sketch, best) for sketch in best for _ in range(MOVED)] if nested else []
        layout = Layout(sketch.shape for sketch in (*drawn, *best, *moved))
        bases = [
            _repeated(drawn, RANDOM if len(drawn) == 1 else EACH),
            _repeated(best, CROSSED),
            _repeated(best, STEPS),
            _repeated(moved, AFTER),
        ]
        parts = [
            self._redrawn(layout, bases[0]),
            self._crossed(layout, bases[1], best),
            self._stepped(layout, bases[2], keep=0),
            self._stepped(layout, bases[3], keep=AFTER),
        ]
        shapes = [sketch.shape for part in bases for sketch in part]
        return Rows(layout, np.concatenate(parts), shapes)

    def near(self, best: Sequence[Sketch], count: int) -> Rows:
        """Return steps from some sketches, so many from each."""
        bases = _repeated(best, count)
        layout = Layout(sketch.shape for sketch in best)
        return Rows(layout, self._stepped(layout, bases, keep=0), [sketch.shape for sketch in bases])

    def _random(self) -> list[Sketch]:
        first = self._tree.sketch(lambda _: self._rng.random())
        if not any(decision.opens for decision in first.shape.decisions):
            return [first]
        return [first, *(self._tree.sketch(lambda _: self._rng.random()) for _ in range(SHAPES - 1))]

    def _redrawn(self, layout: Layout, bases: Sequence[Sketch]) -> Units:
        """Return rows of the shapes of some sketches, with all numbers drawn anew."""
        units = layout.placed(bases)
        fresh = self._noise.random(units.shape)
        return np.where(~np.isnan(units) & ~layout.opens, fresh, units)

    def _crossed(self, layout: Layout, bases: Sequence[Sketch], others: Sequence[Sketch]) -> Units:
        """Return rows in which some numbers are those of another sketch, where that has them too."""
        units, others_units = layout.placed(bases), layout.placed(others)
        other = others_units[self._noise.integers(0, max(1, len(others)), len(bases))]
        takes = ~np.isnan(units) & ~np.isnan(other) & ~layout.opens & (self._noise.random(units.shape) < 0.5)
        return np.where(takes, other, units)

    def _stepped(self, layout: Layout, bases: Sequence[Sketch], keep: int) -> Units:
        """Return rows with some numbers changed; with `keep`, one of so many stays as it is."""
        noise, units = self._noise, layout.placed(bases)
        free = ~np.isnan(units) & layout.open & ~layout.opens
        count = np.maximum(free.sum(axis=1), 1)[:, None]
        pick = np.where(free, noise.random(units.shape), -1.0)
        changed = noise.random(units.shape) < np.maximum(np.minimum(CHANGED, CHANGES / count), 1 / count)
        changed |= pick >= pick.max(axis=1, initial=-1.0)[:, None]
        scale = 10 ** noise.uniform(*SIZES, (len(units), 1))
        new = np.clip(units + scale * noise.standard_normal(units.shape), 0.0, 1.0)
        how, fresh = noise.random(units.shape), noise.random(units.shape)
        new = np.where(how < ENDS, np.round(fresh), np.where(how < ENDS + FRESH, fresh, new))
        if keep:
            changed[::keep] = False
        return np.where(changed & free, new, units)

    def _moved(self, sketch: Sketch, best: Sequence[Sketch]) -> Sketch:
        """Return a sketch after one structural move: another option that opens decisions, another order of items, a crossing."""
        move = self._rng.random()
        if move < 1 / 3 and len(best) > 1:
            return self._mixed(sketch, self._rng.choice(best))
        if move < 2 / 3 and sketch.shape.tuples:
            return self._rearranged(sketch)
        opening = [decision.path for decision in sketch.shape.decisions if decision.opens]
        made = sketch.by_path()
        if opening:
            made[self._rng.choice(opening)] = self._rng.random()
        return self._completed(made)

    def _completed(self, made: dict[str, float]) -> Sketch:
        """Return the sketch with these unit numbers, and others drawn where it needs them."""

        def choose(decision: Decision) -> float:
            unit = made.get(decision.path)
            return self._rng.random() if unit is None else unit

        return self._tree.sketch(choose)

    def _mixed(self, first: Sketch, second: Sketch) -> Sketch:
        """Return a crossing: each slot of the first, or of the second where that has it too; lacking ones of the second."""
        mine, other = first.by_slot(), second.by_slot()
        share = self._rng.random()

        def choose(decision: Decision) -> float:
            both = [units[decision.slot] for units in (mine, other) if decision.slot in units]
            if len(both) == 2:
                return both[self._rng.random() < share]
            return both[0] if both else self._rng.random()

        return self._tree.sketch(choose)

    def _rearranged(self, sketch: Sketch) -> Sketch:
        """Return the sketch with an item of a tuple inserted, removed, duplicated or swapped, as far as its length may change."""
        made = sketch.by_path()
        path, length = self._rng.choice(sketch.shape.tuples)
        order: list[int | None] = list(range(length))
        move = self._rng.choice(("insert", "remove", "duplicate", "swap"))
        if move == "insert":
            order.insert(self._rng.randint(0, length), None)
        elif length and move in ("remove", "duplicate"):
            i = self._rng.randrange(length)
            order[i : i + 1] = [i, i] if move == "duplicate" else []
        elif length > 1:
            i, j = self._rng.sample(range(length), 2)
            order[i], order[j] = order[j], order[i]
        leaf = next(decision.leaf for decision in sketch.shape.decisions if decision.path == f"{path}/length")
        return self._completed(_renumbered(made, path, order) | {f"{path}/length": leaf.to_unit(leaf.closest(len(order)))})


def _repeated(sketches: Sequence[Sketch], count: int) -> list[Sketch]:
    return [sketch for sketch in sketches for _ in range(count)]


def _renumbered(made: dict[str, float], path: str, order: Sequence[int | None]) -> dict[str, float]:
    """Return unit numbers by path after the items of the tuple at `path` were put into a new order; None is a new item."""
    items: dict[str, list[tuple[str, float]]] = {}
    moved: dict[str, float] = {}
    for key, unit in made.items():
        if key.startswith(f"{path}/"):
            at, slash, rest = key[len(path) + 1 :].partition("/")
            items.setdefault(at, []).append((slash + rest, unit))
        else:
            moved[key] = unit
    for new, old in enumerate(order):
        moved |= {f"{path}/{new}{rest}": unit for rest, unit in items.get(str(old), [])}
    return moved
