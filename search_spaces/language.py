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
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, cast, dataclass_transform

from search_spaces.base import Chooser, Domain, Families, Infeasible, Leaf, Narrowing, Scalar, SpaceError, nearest, unnarrowed
from search_spaces.domains import Sequence, Variant
from search_spaces.leaves import UNSTATED, FloatRange, IntRange, Options
from search_spaces.narrowing import as_domain, every_path, generic, narrowed_domains
from search_spaces.spec import PREDICTIONS, Table

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
D = TypeVar("D", bound="Searchable")
S = TypeVar("S", bound=Scalar)
E = TypeVar("E", bound=Scalar)


# Each word returns its domain, but is typed as the value that the field will hold, so that a type checker compares it with
# the field's annotation.
def Int(low: int, high: int, *, log: bool = False, multiple_of: int = 1, default: int | None = None) -> int:
    """A whole number in [low, high]. Default: the middle (with `log`, the geometric one)."""
    return cast(int, IntRange(low, high, log, multiple_of, cast(int, default)))


def Float(low: float, high: float, *, log: bool = False, default: float | None = None) -> float:
    """A finite number in [low, high]. Default: the middle (with `log`, the geometric one)."""
    return cast(float, FloatRange(low, high, log, cast(float, default)))


def Choice(*values: S, ordered: bool = False, default: E = UNSTATED) -> S | E:
    """One of a few scalars (None, bool, int, float, str). Default: the first. `ordered`: neighbours in the list are alike."""
    return cast(S, Options(values, ordered, default))


def OneOf(*families: Callable[..., F], default: D | None = None) -> F | D:
    """A member of one of the families. Default: the first family's default. An abstract family admits all of its subclasses.

    Classes are typed as what makes a member, because type checkers refuse an abstract class as `type[F]`; and the default has
    a type variable of its own, because they would take its type for that of all members.
    """
    return cast(F, Variant(cast(Families, families), default))


def Repeat(item: T, low: int, high: int, *, default: int | None = None) -> tuple[T, ...]:
    """From `low` to `high` items, each with decisions of its own. Default: `low` items, or `default` items."""
    return cast("tuple[T, ...]", Sequence(cast(Domain, item), IntRange(low, high, default=low if default is None else default)))


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Searchable:
    """Base of all families: a subclass becomes a frozen, keyword-only dataclass whose fields are checked against their domains.

    Override `__post_init__` to raise `Infeasible` for combinations that make no network; call `super().__post_init__()` first.
    Members are equal when they are of one class and all their decisions are the same, types included (1, 1.0 and True differ).
    """

    domains: ClassVar[Mapping[str, Domain]] = {}

    def __init_subclass__(cls) -> None:
        own = {name: value for name, value in vars(cls).items() if isinstance(value, Domain)}
        inherited: dict[str, Domain] = {}
        for base in reversed(cls.__mro__[1:]):
            inherited |= vars(base).get("domains", {})
        for name, domain in own.items():
            if name == "family" or (name not in inherited and any(hasattr(base, name) for base in cls.__mro__[1:])):
                raise SpaceError(f"{cls.__name__}/{name}: the name is taken by the language; choose another")
            setattr(cls, name, domain.default_value())
        cls.domains = {**inherited, **own}
        dataclass(frozen=True, kw_only=True, eq=False)(cls)
        fields = [entry.name for entry in dataclasses.fields(cast(Any, cls))]
        for name in fields:
            if name not in cls.domains:
                raise SpaceError(f"{cls.__name__}/{name} must be given a domain (Int, Float, Choice, OneOf, Repeat)")
        for name in own:
            if name not in fields:
                raise SpaceError(f"{cls.__name__}/{name} must be annotated with the type of its values: {name}: ... = ...")

    def __post_init__(self) -> None:
        for name, domain in self.domains.items():
            object.__setattr__(self, name, domain.checked(getattr(self, name), f"{type(self).__name__}/{name}"))

    def __eq__(self, other: object) -> bool:
        return _exact(self) == _exact(other) if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash(_exact(self))

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
        if not isinstance(data, Mapping):
            raise SpaceError(f"{where} must be an object with a 'family', got {data!r}")
        if data.get("family", cls.__name__) != cls.__name__:
            raise SpaceError(f"{where} must be of family {cls.__name__}, got {data['family']!r}")
        for name in data:
            if name != "family" and name not in cls.domains:
                raise SpaceError(f"{where} has no field {name!r}{nearest(name, cls.domains)}")
        given = {name: domain for name, domain in cls.domains.items() if name in data}
        return cls(**{name: domain.decode(data[name], prefix + name, families) for name, domain in given.items()})


def _exact(value: object) -> tuple[object, ...]:
    """Return a value with the types of all that is in it, because True == 1 == 1.0."""
    if isinstance(value, Searchable):
        return type(value), *(_exact(getattr(value, name)) for name in value.domains)
    return (tuple, *map(_exact, value)) if isinstance(value, tuple) else (type(value), value)


class Architecture(Searchable, ABC):
    """A family of networks.

    `takes` are the kinds of inputs that the family serves, `gives` those of outputs; it is searched where both come in.

    A subclass may define a static method `narrow(inputs, outputs) -> dict[str, object]`: the overrides (paths below the family)
    that fit its space to a task, e.g. fewer pooling stages for small images.
    """

    takes: ClassVar[tuple[type[Inputs], ...]] = (Table,)
    gives: ClassVar[tuple[type[Outputs], ...]] = PREDICTIONS

    @abstractmethod
    def build(self, inputs: Inputs, outputs: Outputs) -> nn.Module:
        """Return a network for these specs, with weights drawn from torch's global generator (callers fork and seed it).

        Its `forward` takes the tensors that `inputs` describes and returns `(batch, outputs.width)`: logits for classes and
        labels, standardised values for numbers. While training, a network of several members may return theirs apart, `(batch,
        members, width)`: each then has a loss of its own. Raises `Infeasible` where the configuration can't serve these specs.
        """


@dataclass(frozen=True)
class Space(Generic[F]):
    """What is searched: a family, with some of its domains narrowed. The class says what is valid, the space what is searched.

    `overrides` maps a path, or a glob over paths, to a narrower domain or to one scalar; where several match, the last one
    counts. `Space(MLP, {"blocks/length": Int(1, 2), "*/width": 64})`. In a glob `*` also spans `/`, but `length` and `kind` are
    written in full. An `OneOf` narrows a choice among families, and is how an open one (declared by an abstract family) is
    filled; `.../kind` narrows it by name.

    A narrower domain is read in the terms of the declared one: it keeps its scale (`log`, `ordered`) and multiples, and the
    default nearest to the declared one unless it states its own. Raises `SpaceError` for a path that doesn't exist and for a
    domain that isn't inside the declared one.
    """

    family: type[F]
    overrides: Mapping[str, object] = field(default_factory=dict)
    _narrowed: dict[str, Domain] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        overrides = {path: as_domain(path, value) for path, value in self.overrides.items()}
        object.__setattr__(self, "overrides", overrides)
        object.__setattr__(self, "_narrowed", narrowed_domains(self.family, overrides))

    def draw(self, choose: Chooser) -> F:
        """Build one member, asking `choose(path, leaf)` for every open decision; the leaf is already narrowed."""
        return self.family.draw(choose, "", self._narrow)

    def default(self) -> F:
        """Return the family's default, moved into the space where it lies outside.

        A default that an override states counts first; otherwise a number moves to the nearest value, and any other
        decision to its leaf's default. Raises `Infeasible` where that makes no member.
        """
        usual = dict(self.family().decisions())
        for path, domain in every_path(self.family, "", self._narrow, everything=False):
            narrow = self._narrow(path, domain)
            if isinstance(domain, Variant) and domain.default is not None:
                usual = {**dict(domain.walk(domain.default, path)), **usual}
            if isinstance(narrow, Variant) and narrow is not domain and narrow.default is not None:
                usual |= domain.walk(narrow.default, path)
        usual |= {path: leaf.default for path, leaf in self._narrowed.items() if isinstance(leaf, Leaf) and leaf.stated}
        return self.draw(lambda path, leaf: leaf.closest(usual[path]) if path in usual else cast(Scalar, leaf.default))

    def check(self, member: F) -> None:
        """Raise `SpaceError` naming the first decision of `member` that lies outside of the space."""
        if type(member) is not self.family:
            raise SpaceError(f"the space holds members of {self.family.__name__}, got {member!r}")
        made = dict(member.decisions())
        self.draw(lambda path, _: made[path])

    def leaves(self) -> dict[str, Leaf]:
        """Return every leaf that a draw can reach by its path, with `*` for the position in a tuple where all are alike."""
        found: dict[str, dict[str, Leaf]] = {}
        for path, domain in every_path(self.family, "", self._narrow, everything=False):
            if isinstance(domain, Leaf):
                found.setdefault(generic(path), {})[path] = cast(Leaf, self._narrow(path, domain))
        leaves: dict[str, Leaf] = {}
        for path, alike in found.items():
            leaves |= {path: next(iter(alike.values()))} if len(set(alike.values())) == 1 else alike
        return leaves

    def searched(self, path: str, domain: Domain) -> Domain:
        """Return what is searched at a path where the class declares `domain`."""
        return self._narrow(path, domain)

    def _narrow(self, path: str, domain: Domain) -> Domain:
        return self._narrowed.get(path, domain)
