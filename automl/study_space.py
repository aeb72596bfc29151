"""From the trials of an Optuna study to a space of ours: what a user's own objective seems to ask for.

A study in which parameters are asked for as the objective runs ("define by run") has no space, only trials. A parameter that all
trials have becomes a leaf. Where a categorical parameter decides which others are asked for, it becomes a choice among families,
one for each of its choices, with those others as their fields; and so on below them. Parameters that come and go for other
reasons (widths of layers, by a number of layers) become leaves that are always there: the objective takes what it needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search_spaces.base import Domain, Leaf, Scalar
from search_spaces.domains import Variant
from search_spaces.language import Searchable, Space
from search_spaces.leaves import FloatRange, IntRange, Options

__all__ = ["Outline", "Profile", "StudySpace", "leaf_of", "outline", "to_leaf", "to_parameter"]

Distributions: TypeAlias = "Mapping[str, BaseDistribution]"


@dataclass(frozen=True)
class Profile:
    """What of a trial says how the space is nested: the parameters that it has, and the position of each categorical choice."""

    names: frozenset[str]
    choices: frozenset[tuple[str, int]]


@dataclass(frozen=True)
class Outline:
    """A family to be. leaves: names of parameters; gates: a categorical parameter, and a family for each of its choices."""

    leaves: tuple[str, ...]
    gates: tuple[tuple[str, tuple[Outline, ...]], ...]


def outline(profiles: Sequence[Profile], over: Distributions) -> Outline:
    """Return how the parameters of some trials are nested."""
    names = frozenset[str]().union(*(profile.names for profile in profiles)) & over.keys()
    return _outline(names, [(profile.names, dict(profile.choices)) for profile in profiles], over)


def _outline(names: frozenset[str], profiles: list[tuple[frozenset[str], dict[str, int]]], over: Distributions) -> Outline:
    always = {name for name in names if all(name in present for present, _ in profiles)}
    left, gates = set(names - always), []
    candidates = sorted(name for name in always if isinstance(over[name], CategoricalDistribution))
    while left and candidates:
        gated = {gate: _gated(gate, left, profiles) for gate in candidates}
        gate = max(candidates, key=lambda name: (len(gated[name]), -candidates.index(name)))
        if not gated[gate]:
            break
        candidates.remove(gate)
        inner = []
        for choice in range(len(getattr(over[gate], "choices", ()))):
            part = [profile for profile in profiles if profile[1].get(gate) == choice]
            inner.append(_outline(frozenset(name for name in gated[gate] if any(name in p for p, _ in part)), part, over))
        gates.append((gate, tuple(inner)))
        left -= gated[gate]
        always.discard(gate)
    return Outline(tuple(sorted(always | left)), tuple(gates))


def _gated(gate: str, names: set[str], profiles: list[tuple[frozenset[str], dict[str, int]]]) -> set[str]:
    """Return the parameters that some choice of `gate` never asks for."""
    parts: dict[int, list[frozenset[str]]] = {}
    for present, choices in profiles:
        if gate in choices:
            parts.setdefault(choices[gate], []).append(present)
    return {name for name in names if any(all(name not in present for present in part) for part in parts.values())}


class StudySpace:
    """The space of an outline, and the way between its members and the parameters of trials."""

    def __init__(self, outline_: Outline, over: Distributions) -> None:
        self.over = dict(over)
        self._names = sorted(over)
        self._at = {name: f"p{i}" for i, name in enumerate(self._names)}  # any string is a parameter's name, not a field's
        self.space: Space[Searchable] = Space(self._family("Study", outline_))

    def member(self, parameters: Mapping[str, Any]) -> Searchable:
        """Return the member nearest to these parameters; what it has beside them is at its default."""

        def choose(path: str, leaf: Leaf) -> Scalar:
            name = self._name(path)
            if name not in parameters:
                return leaf.default  # type: ignore[no-any-return]
            code = to_leaf(self.over[name], parameters[name])
            if path.endswith("/kind"):
                return f"V{code}" if f"V{code}" in leaf else leaf.default
            return leaf.closest(code)

        return self.space.draw(choose)

    def parameters(self, member: Searchable) -> dict[str, Any]:
        """Return the parameters of a member."""
        found = {}
        for path, value in member.decisions():
            code = int(str(value)[1:]) if path.endswith("/kind") else value
            name = self._name(path)
            found[name] = to_parameter(self.over[name], code)
        return found

    def _name(self, path: str) -> str:
        return self._names[int(path.removesuffix("/kind").rpartition("/")[2][1:])]

    def _family(self, called: str, outline_: Outline) -> type[Searchable]:
        fields: dict[str, Domain] = {self._at[name]: leaf_of(self.over[name]) for name in outline_.leaves}
        for name, inner in outline_.gates:
            families = tuple(self._family(f"V{choice}", part) for choice, part in enumerate(inner))
            fields[self._at[name]] = Variant(families, families[0]())
        return type(called, (Searchable,), {"__module__": __name__, "__annotations__": dict.fromkeys(fields, Any), **fields})


def leaf_of(over: BaseDistribution) -> Leaf:
    """Return a distribution as a leaf: of its own values, or of the positions of choices and steps."""
    if isinstance(over, CategoricalDistribution):
        return Options(tuple(range(len(over.choices))))
    if isinstance(over, IntDistribution) and over.step == 1:
        return IntRange(over.low, over.high, log=over.log)
    if isinstance(over, FloatDistribution) and over.step is None:
        return FloatRange(over.low, over.high, log=over.log)
    assert isinstance(over, IntDistribution | FloatDistribution)
    return IntRange(0, round((over.high - over.low) / (over.step or 1)))


def to_leaf(over: BaseDistribution, value: Any) -> Any:
    """Return the value of a parameter as a value of its leaf, or nearly one where it lies outside."""
    if isinstance(over, CategoricalDistribution):
        return over.choices.index(value) if value in over.choices else 0
    if (isinstance(over, IntDistribution) and over.step > 1) or (isinstance(over, FloatDistribution) and over.step is not None):
        return round((value - over.low) / over.step)
    return value


def to_parameter(over: BaseDistribution, code: Any) -> Any:
    """Return a value of a leaf as the value of its parameter."""
    if isinstance(over, CategoricalDistribution):
        return over.choices[code]
    if isinstance(over, IntDistribution):
        return code if over.step == 1 else over.low + code * over.step
    if isinstance(over, FloatDistribution) and over.step is not None:
        return min(over.low + code * over.step, over.high)
    return code
