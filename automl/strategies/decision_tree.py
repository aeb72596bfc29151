"""Decisions as numbers, aligned by kind and order: what a model of nested configurations sees of them.

A *sketch* is a configuration that wasn't built: a unit number for each of its decisions. Sketches are made, changed and compared
some fifty times faster than configurations, so that a model can weigh a thousand of them for one suggestion.

Each decision has a *slot*, under which it is compared with those of other configurations. In tuples slots count the items of one
kind: `blocks/3/Residual/width` is `blocks/Residual#1/width` where it is the second `Residual`, so an inserted block of another
kind leaves all slots as they are. Decisions of one *group* (the slot without positions) are of one sort; those of one *pool*
(a group in a tuple, or three and more fields of one family over the same leaf) are also compared by their sum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from automl.strategies.base import F
from search_spaces.domains import Domain, Leaf, Scalar, Sequence, Variant
from search_spaces.language import Searchable, Space

__all__ = ["Decision", "Shape", "Sketch", "Tree", "Units"]

ALIKE = 3  # fields of a family over one leaf that make a pool
SHAPES = 2000  # that are remembered

Units: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Decision:
    """A leaf at its place. pool: empty for none; open: whether it has several values; opens: whether others depend on it."""

    path: str
    slot: str
    group: str
    pool: str
    leaf: Leaf
    open: bool
    opens: bool


@dataclass(frozen=True, eq=False)
class Shape:
    """What configurations with the same decisions share. tuples: path and length of each; key: equal for equal shapes."""

    decisions: tuple[Decision, ...]
    tuples: tuple[tuple[str, int], ...]
    key: tuple[object, ...]


@dataclass(frozen=True, eq=False)
class Sketch:
    """A configuration as unit numbers, one for each decision of its shape."""

    shape: Shape
    units: Units

    @property
    def identity(self) -> tuple[object, ...]:
        """Equal for sketches of equal configurations, once their units are snapped."""
        return *self.shape.key, self.units.round(9).tobytes()

    def by_path(self) -> dict[str, float]:
        """Return the unit numbers by the path of their decision."""
        return {decision.path: unit for decision, unit in zip(self.shape.decisions, self.units.tolist(), strict=True)}

    def by_slot(self) -> dict[str, float]:
        """Return the unit numbers by the slot of their decision."""
        return {decision.slot: unit for decision, unit in zip(self.shape.decisions, self.units.tolist(), strict=True)}


@dataclass(frozen=True)
class _Place:
    """Where a domain stands. path and slot end with the name of its field, and group too; pool: empty for none."""

    path: str
    slot: str
    group: str
    pool: str = ""

    def inner(self, name: str, below: str) -> _Place:
        """Return the place of the fields of family `name`, whose paths begin with `below`; all three end with a slash."""
        return _Place(f"{below}/", f"{self.slot}/{name}/", f"{self.group}/{name}/")


@dataclass(frozen=True)
class _Node:
    """A decision in a walk, and the domain that it opens at a place, a `Sequence` or a `Variant`; or None."""

    decision: Decision
    opened: Domain | None
    place: _Place


class Tree(Generic[F]):
    """The decisions that a space opens, walked without building anything. What follows a decision is looked up once."""

    def __init__(self, space: Space[F]) -> None:
        self._space = space
        self._nodes: dict[tuple[str, str], tuple[_Node, ...]] = {}
        self._decisions: dict[tuple[str, str], Decision] = {}
        self._families: dict[str, tuple[Leaf, Mapping[str, type[Searchable]]]] = {}
        self._shapes: dict[tuple[object, ...], Shape] = {}

    def sketch(self, choose: Callable[[Decision], float]) -> Sketch:
        """Return a sketch, asking `choose` for a unit number in [0, 1] once for each open decision."""
        walk = _Walk(choose)
        self._follow(self._fields(self._space.family, _Place("", "", "")), walk)
        key = (*walk.key, *[decision.path for decision in walk.decisions])
        if key not in self._shapes:
            if len(self._shapes) >= SHAPES:
                self._shapes.clear()
            self._shapes[key] = Shape(tuple(walk.decisions), tuple(walk.tuples), key)
        return Sketch(self._shapes[key], np.array(walk.units, dtype=np.float64))

    def of(self, member: F) -> Sketch:
        """Return the sketch of a member of the space."""
        made = dict(member.decisions())
        return self.sketch(lambda decision: decision.leaf.to_unit(made[decision.path]))

    def build(self, sketch: Sketch) -> F:
        """Return the member that a sketch stands for. Raises `Infeasible` where it makes no network."""
        made: dict[str, Scalar] = {}
        for decision, unit in zip(sketch.shape.decisions, sketch.units.tolist(), strict=True):
            made[decision.path] = decision.leaf.from_unit(unit)
        return self._space.draw(lambda path, _: made[path])

    def _follow(self, nodes: tuple[_Node, ...], walk: _Walk) -> None:
        for node in nodes:
            unit = walk.ask(node.decision)
            if node.opened is None:
                continue
            value = node.decision.leaf.from_unit(unit)
            walk.key.append(value)
            if isinstance(node.opened, Sequence):
                walk.tuples.append((node.place.path, cast(int, value)))
                self._items(node.opened, node.place, cast(int, value), walk)
            else:
                self._follow(self._variant(node, cast(str, value), node.place.slot), walk)

    def _variant(self, node: _Node, name: str, slot: str) -> tuple[_Node, ...]:
        """Return what follows where a decision chose the family called `name`."""
        place, domain = node.place, cast(Variant, node.opened)
        below = _Place(place.path, slot, place.group).inner(name, domain.inner(place.path, name))
        known = self._nodes.get((below.path, below.slot))
        return self._fields(self._kinds(place.path, domain)[1][name], below) if known is None else known

    def _items(self, domain: Sequence, place: _Place, length: int, walk: _Walk) -> None:
        item, seen = domain.item, Counter[str]()
        for i in range(length):
            path = f"{place.path}/{i}"
            if isinstance(item, Variant) and not item.is_fixed:
                pool = f"{place.group}/*~"
                node = self._kind(item, _Place(path, f"{place.slot}/{i}", f"{place.group}/*", pool))
                name = cast(str, node.decision.leaf.from_unit(walk.ask(node.decision)))
                walk.key.append(name)
                below = _Place(path, place.slot, place.group).inner(f"{name}#{seen[name]}", item.inner(path, name))
                seen[name] += 1
                known = self._nodes.get((below.path, below.slot))
                if known is None:
                    generic = _Place(below.path, below.slot, f"{place.group}/*/{name}/")
                    known = self._fields(self._kinds(path, item)[1][name], generic)
                self._follow(known, walk)
            else:
                self._follow(self._domain(item, _Place(path, f"{place.slot}/#{i}", f"{place.group}/*")), walk)

    def _fields(self, family: type[Searchable], place: _Place) -> tuple[_Node, ...]:
        key = (place.path, place.slot)
        if key not in self._nodes:
            pools = _pools(family)
            nodes: list[_Node] = []
            for name, domain in family.domains.items():
                pool = f"{place.group}{pools[name]}~" if name in pools else ""
                nodes += self._domain(domain, _Place(place.path + name, place.slot + name, place.group + name, pool))
            self._nodes[key] = tuple(nodes)
        return self._nodes[key]

    def _domain(self, domain: Domain, place: _Place) -> tuple[_Node, ...]:
        if isinstance(domain, Sequence):
            length = _Place(f"{place.path}/length", f"{place.slot}/length", f"{place.group}/length")
            return (_Node(self._decision(domain.length, length, opens=True), domain, place),)
        if isinstance(domain, Variant) and domain.is_fixed:
            return self._fields(domain.families[0], _Place(f"{place.path}/", f"{place.slot}/", f"{place.group}/"))
        if isinstance(domain, Variant):
            return (self._kind(domain, place),)
        return (_Node(self._decision(domain, place, opens=False), None, place),)

    def _kind(self, domain: Variant, place: _Place) -> _Node:
        kinds, _ = self._kinds(place.path, domain)
        kind = _Place(f"{place.path}/kind", f"{place.slot}/kind", f"{place.group}/kind", place.pool)
        return _Node(self._decision(kinds, kind, opens=True), domain, place)

    def _kinds(self, path: str, domain: Variant) -> tuple[Leaf, Mapping[str, type[Searchable]]]:
        """Return the leaf that decides the family at a path, and the families by name."""
        if path not in self._families:
            searched = cast(Variant, self._space.searched(path, domain))
            found = {family.__name__: family for family in searched.concrete()}
            self._families[path] = domain.kinds(path, searched), found
        return self._families[path]

    def _decision(self, domain: Domain, place: _Place, *, opens: bool) -> Decision:
        known = self._decisions.get((place.path, place.slot))
        if known is None:
            leaf = cast(Leaf, self._space.searched(place.path, domain))
            several = leaf.from_unit(0.0) != leaf.from_unit(1.0)
            pool = place.pool or (f"{place.group}~" if "*" in place.group else "")
            known = Decision(place.path, place.slot, place.group, pool, leaf, several, several and opens)
            self._decisions[place.path, place.slot] = known
        return known


class _Walk:
    """What one pass through a tree collects: decisions, unit numbers, tuples, and what tells shapes apart."""

    def __init__(self, choose: Callable[[Decision], float]) -> None:
        self._choose = choose
        self.decisions: list[Decision] = []
        self.units: list[float] = []
        self.tuples: list[tuple[str, int]] = []
        self.key: list[object] = []

    def ask(self, decision: Decision) -> float:
        """Ask for the unit number of a decision."""
        unit = self._choose(decision)
        self.decisions.append(decision)
        self.units.append(unit)
        return unit


def _pools(family: type[Searchable]) -> dict[str, str]:
    """Return for each field that is one of several over the same leaf the name of the first of them."""
    leaves = {name: repr(domain) for name, domain in family.domains.items() if isinstance(domain, Leaf)}
    often = Counter(leaves.values())
    first = {leaf: name for name, leaf in reversed(leaves.items())}
    return {name: first[leaf] for name, leaf in leaves.items() if often[leaf] >= ALIKE}
