"""The language of search spaces: a class is a family of configurations, an instance is one of them.

    class Residual(Block):
        width: int = Int(16, 512, log=True)
        expansion: float = Float(1.0, 4.0)

    class MLP(Architecture):
        activation: str = Choice("relu", "gelu", "silu")
        blocks: tuple[Block, ...] = Repeat(OneOf(Plain, Residual), 1, 4)

Seven words: `Architecture`, `Int`, `Float`, `Choice`, `OneOf`, `Repeat`, `Space`. Everything a strategy does (sample, replay,
mutate, suggest with Optuna) is one walk, `draw`, with a different *chooser*: a function that is asked for one scalar for each
open decision and knows nothing of networks. `decisions` is its inverse.
"""

from __future__ import annotations

import dataclasses
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, cast, dataclass_transform

from search_spaces.domains import (
    Chooser,
    Domain,
    Families,
    FloatRange,
    Infeasible,
    IntRange,
    Leaf,
    Narrowing,
    Options,
    Scalar,
    Sequence,
    SpaceError,
    Variant,
    nearest,
    unnarrowed,
)

if TYPE_CHECKING:
    from torch import nn

    from search_spaces.spec import Inputs, Outputs

__all__ = [
    "Architecture",
    "Choice",
    "Float",
    "Infeasible",
    "Int",
    "OneOf",
    "Repeat",
    "Searchable",
    "Space",
    "SpaceError",
]

T = TypeVar("T")
F = TypeVar("F", bound="Searchable")
S = TypeVar("S", bound=Scalar)


# Each word returns its domain, but is typed as the value that the field will hold, so that a type checker compares it with
# the field's annotation.
def Int(low: int, high: int, *, log: bool = False, multiple_of: int = 1, default: int | None = None) -> int:
    """A whole number in [low, high]. Default: the middle (with `log`, the geometric one)."""
    return cast(int, IntRange(low, high, log, multiple_of, cast(int, default)))


def Float(low: float, high: float, *, log: bool = False, default: float | None = None) -> float:
    """A number in [low, high]. Default: the middle (with `log`, the geometric one)."""
    return cast(float, FloatRange(low, high, log, cast(float, default)))


def Choice(*values: S, ordered: bool = False, default: S | None = None) -> S:
    """One of a few scalars (None, bool, int, float, str). Default: the first. `ordered`: neighbours are alike."""
    return cast(S, Options(values, ordered, default))


def OneOf(*families: type[F], default: F | None = None) -> F:
    """A member of one of the families. Default: the first family's default. An abstract family admits all of its subclasses."""
    return cast(F, Variant(families, default))


def Repeat(item: T, low: int, high: int, *, default: int | None = None) -> tuple[T, ...]:
    """From `low` to `high` items, each with decisions of its own. Default: `low` items, or `default` items."""
    domain: object = item
    if not isinstance(domain, Domain):
        raise SpaceError(f"Repeat: the item must be a domain (Int, Float, Choice, OneOf, Repeat), got {item!r}")
    return cast("tuple[T, ...]", Sequence(domain, IntRange(low, high, default=low if default is None else default)))


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Searchable:
    """Base of all families: a subclass becomes a frozen, keyword-only dataclass whose fields are checked against their domains.

    Override `__post_init__` to raise `Infeasible` for combinations that make no network, and call `super().__post_init__()` first.
    """

    domains: ClassVar[Mapping[str, Domain]] = {}

    def __init_subclass__(cls) -> None:
        own = {name: value for name, value in vars(cls).items() if isinstance(value, Domain)}
        for name, domain in own.items():
            if name == "family" or hasattr(Searchable, name):
                raise SpaceError(f"{cls.__name__}/{name}: the name is taken by the language; choose another")
            setattr(cls, name, domain.default_value())
        cls.domains = {**cls.domains, **own}
        dataclass(frozen=True, kw_only=True)(cls)
        for entry in dataclasses.fields(cast(Any, cls)):
            if entry.name not in cls.domains:
                raise SpaceError(f"{cls.__name__}/{entry.name} must be given a domain (Int, Float, Choice, OneOf, Repeat)")

    def __post_init__(self) -> None:
        for name, domain in self.domains.items():
            object.__setattr__(self, name, domain.checked(getattr(self, name), f"{type(self).__name__}/{name}"))

    @classmethod
    def draw(cls, choose: Chooser, path: str = "", narrow: Narrowing = unnarrowed) -> Self:
        """Build one member, asking `choose(path, leaf)` once for every open decision."""
        prefix = f"{path}/" if path else ""
        return cls(**{name: domain.draw(choose, prefix + name, narrow) for name, domain in cls.domains.items()})

    def decisions(self, path: str = "") -> Iterator[tuple[str, Scalar]]:
        """Yield the decisions (path, value) that lead here, in the order in which `draw` asks for them."""
        prefix = f"{path}/" if path else ""
        for name, domain in self.domains.items():
            yield from domain.walk(getattr(self, name), prefix + name)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON data: the family's name and its fields."""
        fields = {name: domain.encode(getattr(self, name)) for name, domain in self.domains.items()}
        return {"family": type(self).__name__, **fields}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], families: Families = (), path: str = "") -> Self:
        """Return the member that `to_dict` wrote; fields that a file lacks take their defaults.

        `families` are those that open fields may name beside the declared ones. Raises `SpaceError` naming the path.
        """
        where, prefix = path or cls.__name__, f"{path}/" if path else ""
        if data.get("family", cls.__name__) != cls.__name__:
            raise SpaceError(f"{where} must be of family {cls.__name__}, got {data['family']!r}")
        for name in data:
            if name != "family" and name not in cls.domains:
                raise SpaceError(f"{where} has no field {name!r}{nearest(name, cls.domains)}")
        given = {name: domain for name, domain in cls.domains.items() if name in data}
        return cls(**{name: domain.decode(data[name], prefix + name, families) for name, domain in given.items()})


class Architecture(Searchable, ABC):
    """A family of networks.

    A subclass may define a static method `narrow(inputs, outputs) -> dict[str, object]`: the overrides (paths below the family)
    that fit its space to a task, e.g. fewer pooling stages for small images.
    """

    @abstractmethod
    def build(self, inputs: Inputs, outputs: Outputs) -> nn.Module:
        """Return a network for these specs, with weights drawn from torch's global generator (callers fork and seed it).

        Its `forward` takes the tensors that `inputs` describes and returns `(batch, outputs.width)`: logits for classes,
        standardised values for regression. Raises `Infeasible` where the configuration can't serve these specs.
        """


@dataclass(frozen=True)
class Space(Generic[F]):
    """What is searched: a family, with some of its domains narrowed. The class says what is valid, the space what is searched.

    `overrides` maps a path or a glob over paths to a narrower domain or to a fixed scalar; where several match, the last one
    counts. `Space(MLP, {"blocks/length": Int(1, 2), "*/width": 64})`. An `OneOf` narrows a choice among families and is how
    an open one (declared by an abstract family) is filled. Raises `SpaceError` for a path that doesn't exist and for a
    domain that isn't inside the declared one.
    """

    family: type[F]
    overrides: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "overrides", {path: _as_domain(path, value) for path, value in self.overrides.items()})
        unused = dict(self.overrides)
        paths = []
        for path, domain in _templates(self.family, "", self._narrow):
            paths.append(path)
            for pattern, override in self.overrides.items():
                if fnmatchcase(path, re.sub(r"(?<=/)\d+(?=/|$)", "[*]", pattern)):
                    _check_within(pattern, cast(Domain, override), domain)
                    unused.pop(pattern, None)
        for pattern in unused:
            raise SpaceError(f"{self.family.__name__} has no decision at {pattern!r}{nearest(pattern, paths)}")

    def _narrow(self, path: str, domain: Domain) -> Domain:
        for pattern, override in reversed(list(self.overrides.items())):
            if fnmatchcase(path, pattern) and isinstance(override, Leaf) == isinstance(domain, Leaf):
                if isinstance(override, Leaf):
                    declared = domain.default_value()
                    return override.with_default(declared) if declared in override else override
                return cast(Domain, override)
        return domain

    def draw(self, choose: Chooser) -> F:
        """Build one member, asking `choose(path, leaf)` for every open decision; the leaf is already narrowed."""
        return self.family.draw(choose, "", self._narrow)

    def default(self) -> F:
        """Return the family's default, moved into the space where it lies outside."""
        usual = dict(self.family().decisions())

        def choose(path: str, leaf: Leaf) -> Scalar:
            value = usual.get(path)
            return value if path in usual and value in leaf else cast(Scalar, leaf.default)

        return self.draw(choose)

    def check(self, member: F) -> None:
        """Raise `SpaceError` naming the first decision of `member` that lies outside of the space."""
        made = dict(member.decisions())
        self.draw(lambda path, _: made[path])

    def leaves(self) -> dict[str, Leaf]:
        """Return every leaf by its path, with `*` for the position in a sequence."""
        found = {}
        for path, domain in _templates(self.family, "", self._narrow):
            if isinstance(domain, Leaf):
                found[path.replace("[*]", "*")] = cast(Leaf, self._narrow(path, domain))
        return found


def _as_domain(path: str, value: object) -> Domain:
    if isinstance(value, Domain):
        return value
    if isinstance(value, bool | int | float | str | None):
        return Options((value,), default=value)
    raise SpaceError(f"{path} must be narrowed to a domain (Int, Float, Choice, OneOf) or a scalar, got {value!r}")


def _templates(family: type[Searchable], prefix: str, narrow: Narrowing) -> Iterator[tuple[str, Domain]]:
    """Yield every path below a family with the domain declared there; positions are written `*`."""
    for name, domain in family.domains.items():
        yield from _templates_of(domain, prefix + name, narrow)


def _templates_of(domain: Domain, path: str, narrow: Narrowing) -> Iterator[tuple[str, Domain]]:
    if isinstance(domain, Sequence):
        yield f"{path}/length", domain.length
        yield from _templates_of(domain.item, f"{path}/*", narrow)
    elif isinstance(domain, Variant):
        yield path, domain
        searched = cast(Variant, narrow(path, domain)).concrete()
        if not domain.is_fixed and searched:
            yield f"{path}/kind", Options(tuple(family.__name__ for family in searched))
        for family in searched:
            yield from _templates(family, domain.inner(path, family.__name__) + "/", narrow)
    else:
        yield path, domain


def _check_within(pattern: str, override: Domain, declared: Domain) -> None:
    if isinstance(override, Leaf) and isinstance(declared, Leaf):
        if not override.is_within(declared):
            raise SpaceError(f"{pattern} must stay within {declared.describe()}, got {override.describe()}")
    elif isinstance(override, Variant) and isinstance(declared, Variant):
        for family in override.concrete():
            admitted = issubclass(family, declared.families) if declared.is_open else family in declared.families
            if not admitted:
                names = ", ".join(own.__name__ for own in declared.families)
                raise SpaceError(f"{pattern} must stay within {names}, got {family.__name__}")
    elif isinstance(override, Variant) or isinstance(declared, Leaf):
        raise SpaceError(f"{pattern} must be narrowed to {type(declared).__name__}, got {type(override).__name__}")
