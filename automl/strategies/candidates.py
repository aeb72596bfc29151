"""Candidates for a suggestion: sketches drawn at random, and moves from the best configurations so far.

Moves are those of `search_spaces.variation` (steps, fresh draws, items inserted, removed, duplicated and swapped, crossover),
made on sketches, many at a time: one structural move gives a shape, and many rows of numbers follow for it. A share of the steps
goes right to an end of a range, where the best value often lies.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

import numpy as np

from automl.strategies.base import F
from automl.strategies.decision_tree import Decision, Shape, Sketch, Tree, Units
from automl.strategies.tree_features import snapped

__all__ = ["Candidates", "Rows"]

RANDOM = 400  # rows at random
SHAPES = 16  # random shapes that these are of, where a space has many
STEPS = 100  # rows around each of the best
MOVED = 6  # structural moves from each of the best
AFTER = 10  # rows for each such move
CHANGED = 0.25  # least share of the decisions that a row changes
ENDS = 0.1  # share of changes that go to an end of the range
FRESH = 0.1  # share of changes that are drawn anew
SIZES = (-2.3, -0.3)  # logarithms (base 10) of the smallest and the largest step, as a share of the range


@dataclass(frozen=True)
class Rows:
    """Candidates of one shape; units: (rows, decisions)."""

    shape: Shape
    units: Units

    def sketches(self) -> list[Sketch]:
        """Return each of them."""
        return [Sketch(self.shape, units) for units in self.units]


class Candidates(Generic[F]):
    """Draws candidates from a space. rng: all chance comes from it."""

    def __init__(self, tree: Tree[F], rng: random.Random) -> None:
        self._tree = tree
        self._rng = rng
        self._noise = np.random.default_rng(rng.getrandbits(64))

    def around(self, best: Sequence[Sketch]) -> list[Rows]:
        """Return candidates at random and around some good sketches."""
        rows = self._random()
        for sketch in best:
            rows.append(self._stepped(sketch, STEPS))
        if any(decision.opens for sketch in best for decision in sketch.shape.decisions):
            for sketch in best:
                for _ in range(MOVED):
                    rows.append(self._stepped(self._moved(sketch, best), AFTER))
        elif len(best) > 1:
            rows.append(self._crossed(best))
        return [Rows(part.shape, snapped(part.shape, part.units)) for part in rows]

    def near(self, sketch: Sketch, count: int) -> Rows:
        """Return small steps from a sketch."""
        rows = self._stepped(sketch, count)
        return Rows(rows.shape, snapped(rows.shape, rows.units))

    def _random(self) -> list[Rows]:
        first = self._tree.sketch(lambda _: self._rng.random())
        if not any(decision.opens for decision in first.shape.decisions):
            return [Rows(first.shape, self._noise.random((RANDOM, len(first.units))))]
        each = RANDOM // SHAPES
        found = [first, *(self._tree.sketch(lambda _: self._rng.random()) for _ in range(SHAPES - 1))]
        return [self._redrawn(sketch, each) for sketch in found]

    def _redrawn(self, sketch: Sketch, count: int) -> Rows:
        units = self._noise.random((count, len(sketch.units)))
        return Rows(sketch.shape, self._kept(sketch, units))

    def _kept(self, sketch: Sketch, units: Units) -> Units:
        """Return rows in which the decisions that open others are those of the sketch."""
        opens = np.array([decision.opens for decision in sketch.shape.decisions], dtype=bool)
        return np.where(opens, sketch.units, units)

    def _stepped(self, sketch: Sketch, count: int) -> Rows:
        """Return rows with some decisions changed; the first is the sketch itself."""
        noise, size = self._noise, (count, len(sketch.units))
        free = np.array([not decision.opens for decision in sketch.shape.decisions], dtype=bool)
        share = max(CHANGED, 1 / max(1, int(free.sum()))) if free.sum() < 12 else 3 / free.sum()
        changed = noise.random(size) < share
        changed[np.arange(count), noise.integers(0, size[1], count)] = True
        scale = 10 ** noise.uniform(*SIZES, (count, 1))
        stepped = sketch.units + scale * noise.standard_normal(size)
        how = noise.random(size)
        stepped = np.where(how < ENDS, np.where(noise.random(size) < 0.5, 0.0, 1.0), stepped)
        stepped = np.where((how >= ENDS) & (how < ENDS + FRESH), noise.random(size), stepped)
        units = np.where(changed & free, np.clip(stepped, 0.0, 1.0), sketch.units)
        units[0] = sketch.units
        return Rows(sketch.shape, units)

    def _crossed(self, best: Sequence[Sketch]) -> Rows:
        """Return rows whose every number is of one of two of the best, all of one shape."""
        noise = self._noise
        units = np.array([sketch.units for sketch in best])
        a, b = (units[noise.integers(0, len(best), STEPS)] for _ in range(2))
        return Rows(best[0].shape, np.where(noise.random(a.shape) < 0.5, a, b))

    def _moved(self, sketch: Sketch, best: Sequence[Sketch]) -> Sketch:
        """Return a sketch after one structural move: another option that opens decisions, another order of items, a crossing."""
        move = self._rng.random()
        if move < 1 / 3 and len(best) > 1:
            return self._mixed(sketch, self._rng.choice(best))
        if move < 2 / 3 and sketch.shape.tuples:
            return self._rearranged(sketch)
        made = sketch.by_path()
        made[self._rng.choice([decision.path for decision in sketch.shape.decisions if decision.opens])] = self._rng.random()
        return self._tree.sketch(lambda decision: made.get(decision.path, self._rng.random()))

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
        return self._reordered(made, path, order)

    def _reordered(self, made: dict[str, float], path: str, order: list[int | None]) -> Sketch:
        old = {f"{path}/{new}": f"{path}/{at}" for new, at in enumerate(order) if at is not None}
        wanted = len(order)

        def choose(decision: Decision) -> float:
            if decision.path == f"{path}/length":
                return decision.leaf.to_unit(decision.leaf.closest(wanted))
            if decision.path.startswith(f"{path}/"):
                head = f"{path}/{decision.path[len(path) + 1 :].partition('/')[0]}"
                source = old[head] + decision.path[len(head) :] if head in old else ""
                return made.get(source, self._rng.random())
            return made.get(decision.path, self._rng.random())

        return self._tree.sketch(choose)
