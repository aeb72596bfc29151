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
    """A leaf at its place. opens: whether other decisions depend on it, and it has several values; pool: empty for none."""

    path: str
    slot: str
    group: str
    pool: str
    leaf: Leaf
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


class Tree(Generic[F]):
    """The decisions that a space opens, walked without building anything."""

    def __init__(self, space: Space[F]) -> None:
        self._space = space
        self._known: dict[tuple[str, str], Decision] = {}
        self._families: dict[str, tuple[Leaf, Mapping[str, type[Searchable]]]] = {}
        self._pools: dict[type[Searchable], dict[str, str]] = {}
        self._shapes: dict[tuple[object, ...], Shape] = {}

    def sketch(self, choose: Callable[[Decision], float]) -> Sketch:
        """Return a sketch, asking `choose` for a unit number in [0, 1] once for each open decision."""
        walk = _Walk(self, choose)
        walk.family(self._space.family, "", "", "")
        key = (*walk.key, *(decision.path for decision in walk.decisions))
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

    def decision(self, path: str, domain: Domain, place: tuple[str, str, str], *, opens: bool) -> Decision:
        """Return the decision at a path; `place` is its slot, group and pool."""
        slot, group, pool = place
        known = self._known.get((path, slot))
        if known is None:
            leaf = cast(Leaf, self._space.searched(path, domain))
            several = leaf.from_unit(0.0) != leaf.from_unit(1.0)
            known = self._known[path, slot] = Decision(path, slot, group, pool, leaf, opens and several)
        return known

    def families(self, path: str, domain: Variant) -> tuple[Leaf, Mapping[str, type[Searchable]]]:
        """Return the leaf that decides the family at a path, and the families by name."""
        if path not in self._families:
            searched = cast(Variant, self._space.searched(path, domain))
            found = {family.__name__: family for family in searched.concrete()}
            self._families[path] = domain.kinds(path, searched), found
        return self._families[path]

    def pools(self, family: type[Searchable]) -> Mapping[str, str]:
        """Return for each field that is one of several over the same leaf the name of the first of them."""
        if family not in self._pools:
            leaves = {name: repr(domain) for name, domain in family.domains.items() if isinstance(domain, Leaf)}
            often = Counter(leaves.values())
            first = {leaf: name for name, leaf in reversed(leaves.items())}
            self._pools[family] = {name: first[leaf] for name, leaf in leaves.items() if often[leaf] >= ALIKE}
        return self._pools[family]


class _Walk:
    """One pass through a tree, which collects decisions, unit numbers and what tells shapes apart."""

    def __init__(self, tree: Tree[F], choose: Callable[[Decision], float]) -> None:
        self.tree = tree
        self.choose = choose
        self.decisions: list[Decision] = []
        self.units: list[float] = []
        self.tuples: list[tuple[str, int]] = []
        self.key: list[object] = []

    def family(self, family: type[Searchable], path: str, slot: str, group: str) -> None:
        """Walk the fields of a family; `group` and `slot` end with a slash, or are empty, as `path` does."""
        pools = self.tree.pools(family)
        for name, domain in family.domains.items():
            pool = f"{group}{pools[name]}~" if name in pools else ""
            self.domain(domain, path + name, slot + name, (group + name, pool))

    def domain(self, domain: Domain, path: str, slot: str, sort: tuple[str, str]) -> None:
        """Walk a field; `sort` is its group and pool."""
        group, pool = sort
        if isinstance(domain, Sequence):
            self.items(domain, path, slot, group)
        elif isinstance(domain, Variant):
            name, family = self.kind(domain, path, (f"{slot}/kind", f"{group}/kind", f"{pool}/kind" if pool else ""))
            self.family(family, f"{domain.inner(path, name)}/", f"{slot}/{name}/", f"{group}/{name}/")
        else:
            own = pool or (f"{group}~" if "*" in group or "#" in slot else "")
            self.leaf(self.tree.decision(path, domain, (slot, group, own), opens=False))

    def items(self, domain: Sequence, path: str, slot: str, group: str) -> None:
        """Walk the length and the items of a tuple."""
        pool = f"{group}/length~" if "#" in slot else ""
        decision = self.tree.decision(f"{path}/length", domain.length, (f"{slot}/length", f"{group}/length", pool), opens=True)
        length = cast(int, decision.leaf.from_unit(self.leaf(decision)))
        self.key.append(length)
        self.tuples.append((path, length))
        seen: Counter[str] = Counter()
        for i in range(length):
            item = domain.item
            if isinstance(item, Variant) and not item.is_fixed:
                place = f"{slot}/{i}/kind", f"{group}/*/kind", f"{group}/*/kind~"
                name, family = self.kind(item, f"{path}/{i}", place)
                self.family(family, f"{path}/{i}/{name}/", f"{slot}/{name}#{seen[name]}/", f"{group}/{name}/")
                seen[name] += 1
            else:
                self.domain(item, f"{path}/{i}", f"{slot}/#{i}", (f"{group}/*", ""))

    def kind(self, domain: Variant, path: str, place: tuple[str, str, str]) -> tuple[str, type[Searchable]]:
        """Return the family that is chosen at a path, and its name."""
        if domain.is_fixed:
            return domain.families[0].__name__, domain.families[0]
        kinds, families = self.tree.families(path, domain)
        decision = self.tree.decision(f"{path}/kind", kinds, place, opens=True)
        name = cast(str, decision.leaf.from_unit(self.leaf(decision)))
        self.key.append(name)
        return name, families[name]

    def leaf(self, decision: Decision) -> float:
        """Ask for the unit number of a decision."""
        unit = self.choose(decision)
        self.decisions.append(decision)
        self.units.append(unit)
        return unit
