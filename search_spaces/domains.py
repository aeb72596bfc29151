"""Domains: the sets of values a field of a family may hold.

A *leaf* (`IntRange`, `FloatRange`, `Options`) is a set of scalars and the unit in which strategies decide. A *composite*
(`Variant`, `Sequence`) opens further decisions. Users write the words of `search_spaces.language` (`Int`, `OneOf`, ...), which
return these objects; strategies match on them.

Every domain knows five things: to `draw` a value by asking a chooser, to `walk` the decisions behind a value (the inverse), to
`check` a value, and to `encode` and `decode` it as JSON. It knows nothing of the class that holds it.
"""

from __future__ import annotations

import difflib
import inspect
import math
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, cast

if TYPE_CHECKING:
    from search_spaces.language import Searchable

Scalar: TypeAlias = bool | int | float | str | None
Families: TypeAlias = "tuple[type[Searchable], ...]"


class SpaceError(ValueError):
    """A value lies outside its domain, or a configuration, a space or a family is malformed."""


class Infeasible(Exception):
    """A valid combination of values that makes no network; raise it in `__post_init__` or `build` with the reason."""


def nearest(given: object, known: Iterable[object]) -> str:
    """Return `"; did you mean 'x'?"` for the closest of the known names, or an empty string."""
    close = difflib.get_close_matches(str(given).lower(), {str(name).lower(): str(name) for name in known}, n=1)
    spelled = next((str(name) for name in known if close and str(name).lower() == close[0]), None)
    return f"; did you mean {spelled!r}?" if spelled is not None else ""


class Domain(ABC):
    """A set of values for one field."""

    @abstractmethod
    def default_value(self) -> Any:
        """Return the value a field takes when nothing is given."""

    @abstractmethod
    def draw(self, choose: Chooser, path: str, narrow: Narrowing) -> Any:
        """Return a value, asking `choose` once for each open decision."""

    @abstractmethod
    def walk(self, value: Any, path: str) -> Iterator[tuple[str, Scalar]]:
        """Yield the decisions that lead to `value`: the inverse of `draw`."""

    @abstractmethod
    def checked(self, value: Any, path: str) -> Any:
        """Return `value` in its canonical type; raise `SpaceError` where it lies outside."""

    @abstractmethod
    def encode(self, value: Any) -> Any:
        """Return `value` as JSON data."""

    @abstractmethod
    def decode(self, data: Any, path: str, families: Families) -> Any:
        """Return the value that `encode` wrote; `families` are known beside those declared."""


class Leaf(Domain):
    """A set of scalars, mapped onto the unit interval so that strategies can sample, step and compare."""

    default: Any

    @abstractmethod
    def __contains__(self, value: object) -> bool: ...

    @abstractmethod
    def from_unit(self, u: float) -> Scalar:
        """Return the value at `u` in [0, 1); equal lengths are equally likely."""

    @abstractmethod
    def to_unit(self, value: Any) -> float:
        """Return the middle of the interval that `from_unit` maps to `value`."""

    @abstractmethod
    def is_within(self, outer: Leaf) -> bool:
        """Whether every value of this leaf is also in `outer`."""

    @abstractmethod
    def describe(self) -> str:
        """Say which values are allowed, to stand after "must be"."""

    @abstractmethod
    def with_default(self, value: Any) -> Leaf:
        """Return this leaf with `value` as its default, or the nearest value that it holds."""

    def sample(self, rng: random.Random) -> Scalar:
        """Draw a value at random."""
        return self.from_unit(rng.random())

    def default_value(self) -> Scalar:
        return cast(Scalar, self.default)

    def draw(self, choose: Chooser, path: str, narrow: Narrowing) -> Scalar:
        leaf = cast(Leaf, narrow(path, self))
        return cast(Scalar, leaf.checked(choose(path, leaf), path))

    def walk(self, value: Any, path: str) -> Iterator[tuple[str, Scalar]]:
        yield path, value

    def checked(self, value: Any, path: str) -> Any:
        if value not in self:
            raise SpaceError(f"{path} must be {self.describe()}, got {value!r}{self.hint(value)}")
        return value

    def hint(self, value: Any) -> str:
        """Return the nearest fix for a wrong value, to end an error message with."""
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return f"; the nearest is {self.with_default(value).default!r}" if number else ""

    def encode(self, value: Any) -> Any:
        return value

    def decode(self, data: Any, path: str, families: Families) -> Any:
        return self.checked(data, path)


Chooser: TypeAlias = Callable[[str, Leaf], Scalar]
Narrowing: TypeAlias = Callable[[str, Domain], Domain]


def unnarrowed(path: str, domain: Domain) -> Domain:
    """Search everything that is declared: the narrowing that does nothing."""
    return domain


@dataclass(frozen=True)
class IntRange(Leaf):
    """Whole numbers from `low` to `high`, both included, that are multiples of `multiple_of`."""

    low: int
    high: int
    log: bool = False
    multiple_of: int = 1
    default: int = cast(int, None)

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise SpaceError(f"Int: low <= high must hold, got low={self.low}, high={self.high}")
        if self.log and self.low < 1:
            raise SpaceError(f"Int: log=True needs low >= 1, got low={self.low}")
        if self.multiple_of < 1 or self.low % self.multiple_of or self.high % self.multiple_of:
            raise SpaceError(f"Int: low and high must be multiples of multiple_of >= 1, got {self!r}")
        if self.default is None:
            object.__setattr__(self, "default", self.from_unit(0.5))
        self.checked(self.default, "Int: default")

    def __contains__(self, value: object) -> bool:
        return type(value) is int and self.low <= value <= self.high and value % self.multiple_of == 0

    def from_unit(self, u: float) -> int:
        low, high = self.low // self.multiple_of, self.high // self.multiple_of
        if self.log:
            steps = math.floor(low * math.pow((high + 1) / low, u))
        else:
            steps = low + math.floor(u * (high - low + 1))
        return max(low, min(steps, high)) * self.multiple_of

    def to_unit(self, value: Any) -> float:
        low, high = self.low // self.multiple_of, self.high // self.multiple_of
        middle = float(value // self.multiple_of + 0.5)
        if self.log:
            return math.log(middle / low) / math.log((high + 1) / low)
        return (middle - low) / (high - low + 1)

    def is_within(self, outer: Leaf) -> bool:
        step = self.multiple_of if self.low < self.high else 0
        fits = not isinstance(outer, IntRange) or step % outer.multiple_of == 0
        return self.low in outer and self.high in outer and fits and (isinstance(outer, IntRange) or not step)

    def describe(self) -> str:
        multiples = f", a multiple of {self.multiple_of}" if self.multiple_of > 1 else ""
        return f"an int in [{self.low}, {self.high}]{multiples}"

    def with_default(self, value: Any) -> IntRange:
        steps = round(max(self.low, min(value, self.high)) / self.multiple_of)
        inside = max(self.low, min(steps * self.multiple_of, self.high))
        return IntRange(self.low, self.high, self.log, self.multiple_of, inside)


@dataclass(frozen=True)
class FloatRange(Leaf):
    """Finite numbers from `low` to `high`, both included."""

    low: float
    high: float
    log: bool = False
    default: float = cast(float, None)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise SpaceError(f"Float: low <= high must hold and both be finite, got low={self.low}, high={self.high}")
        if self.log and self.low <= 0:
            raise SpaceError(f"Float: log=True needs low > 0, got low={self.low}")
        if self.default is None:
            object.__setattr__(self, "default", self.from_unit(0.5))
        object.__setattr__(self, "default", self.checked(self.default, "Float: default"))

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high

    def checked(self, value: Any, path: str) -> float:
        return float(super().checked(value, path))

    def from_unit(self, u: float) -> float:
        value = self.low * (self.high / self.low) ** u if self.log else self.low + u * (self.high - self.low)
        return max(self.low, min(value, self.high))

    def to_unit(self, value: Any) -> float:
        if self.low == self.high:
            return 0.5
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return float((value - self.low) / (self.high - self.low))

    def is_within(self, outer: Leaf) -> bool:
        dense = isinstance(outer, FloatRange) or self.low == self.high
        return self.low in outer and self.high in outer and dense

    def describe(self) -> str:
        return f"a float in [{self.low:g}, {self.high:g}]"

    def with_default(self, value: Any) -> FloatRange:
        return FloatRange(self.low, self.high, self.log, max(self.low, min(value, self.high)))


@dataclass(frozen=True)
class Options(Leaf):
    """A few scalars; `ordered=True` says that neighbours in the list are alike."""

    values: tuple[Scalar, ...]
    ordered: bool = False
    default: Scalar = None

    def __post_init__(self) -> None:
        keys = [(type(value), value) for value in self.values]
        for value in self.values:
            finite = not isinstance(value, float) or math.isfinite(value)
            if type(value) not in (bool, int, float, str, type(None)) or not finite:
                raise SpaceError(f"Choice: options must be finite scalars (None, bool, int, float, str), got {value!r}")
        if not keys or len(set(keys)) != len(keys):
            raise SpaceError(f"Choice: options must be at least one and all different, got {self.values!r}")
        if self.default is None and None not in self.values:
            object.__setattr__(self, "default", self.values[0])
        self.checked(self.default, "Choice: default")

    def __contains__(self, value: object) -> bool:
        return any(type(own) is type(value) and own == value for own in self.values)  # True == 1, but isn't the same

    def index(self, value: object) -> int:
        """Return the position of `value`."""
        return next(i for i, own in enumerate(self.values) if type(own) is type(value) and own == value)

    def from_unit(self, u: float) -> Scalar:
        return self.values[min(int(u * len(self.values)), len(self.values) - 1)]

    def to_unit(self, value: Any) -> float:
        return (self.index(value) + 0.5) / len(self.values)

    def is_within(self, outer: Leaf) -> bool:
        return all(value in outer for value in self.values)

    def describe(self) -> str:
        return f"one of {', '.join(map(repr, self.values))}"

    def hint(self, value: Any) -> str:
        return nearest(value, self.values) if isinstance(value, str) else ""

    def with_default(self, value: Any) -> Options:
        return Options(self.values, self.ordered, value if value in self else self.values[0])


@dataclass(frozen=True)
class Variant(Domain):
    """A member of one of several families; an abstract family stands for all of its subclasses, and is searched once narrowed."""

    families: Families
    default: Any = None

    def __post_init__(self) -> None:
        names = [family.__name__ for family in self.families]
        if not names or len(set(names)) != len(names):
            raise SpaceError(f"OneOf: families must be at least one, with different names, got {names}")

    @property
    def is_open(self) -> bool:
        """Whether an abstract family stands for all of its subclasses."""
        return any(inspect.isabstract(family) for family in self.families)

    @property
    def is_fixed(self) -> bool:
        """Whether there is just one concrete family, whose name needs no place in a path."""
        return len(self.families) == 1 and not self.is_open

    def inner(self, path: str, name: str) -> str:
        """Return the path below which the fields of family `name` are found."""
        return path if self.is_fixed else f"{path}/{name}"

    def find(self, name: object, path: str, families: Families = ()) -> type[Searchable]:
        """Return the family called `name`, of those declared or, where the domain is open, of `families`."""
        known = {family.__name__: family for family in self.concrete(families)}
        if not isinstance(name, str) or name not in known:
            raise SpaceError(f"{path} must be one of {', '.join(known)}, got {name!r}{nearest(name, known)}")
        return known[name]

    def concrete(self, families: Families = ()) -> Families:
        """Return the families that can be named: those declared, and of `families` those the open domain admits."""
        own = tuple(family for family in self.families if not inspect.isabstract(family))
        return own + tuple(f for f in families if f not in own and self.is_open and issubclass(f, self.families))

    def default_value(self) -> Searchable:
        if self.default is None and inspect.isabstract(self.families[0]):
            raise SpaceError(f"OneOf({self.families[0].__name__}) is open and has no default; give one")
        return self.families[0]() if self.default is None else cast("Searchable", self.default)

    def draw(self, choose: Chooser, path: str, narrow: Narrowing) -> Searchable:
        searched = cast(Variant, narrow(path, self))
        names = tuple(family.__name__ for family in searched.concrete())
        if not names:
            raise SpaceError(f"{path} is open: the space must say which families are searched, e.g. {{'{path}': OneOf(...)}}")
        name: object = names[0]
        if not self.is_fixed:
            usual = type(searched.default).__name__
            kinds = Options(names, default=usual if usual in names else names[0])
            name = kinds.draw(choose, f"{path}/kind", narrow)
        family = searched.find(name, path)
        return family.draw(choose, self.inner(path, family.__name__), narrow)

    def walk(self, value: Any, path: str) -> Iterator[tuple[str, Scalar]]:
        name = type(value).__name__
        if not self.is_fixed:
            yield f"{path}/kind", name
        yield from value.decisions(self.inner(path, name))

    def checked(self, value: Any, path: str) -> Any:
        admitted = isinstance(value, self.families) if self.is_open else type(value) in self.families
        if not admitted:
            names = ", ".join(family.__name__ for family in self.families)
            raise SpaceError(f"{path} must be {'a' if self.is_open else 'one of'} {names}, got {value!r}")
        return value

    def encode(self, value: Any) -> Any:
        return value.to_dict()

    def decode(self, data: Any, path: str, families: Families) -> Searchable:
        if not isinstance(data, Mapping):
            raise SpaceError(f"{path} must be an object with a 'family', got {data!r}")
        family = self.find(data.get("family"), path, families)
        return family.from_dict(data, families, self.inner(path, family.__name__))


@dataclass(frozen=True)
class Sequence(Domain):
    """A tuple of items of one domain, as long as `length` allows."""

    item: Domain
    length: IntRange

    def default_value(self) -> tuple[Any, ...]:
        return tuple(self.item.default_value() for _ in range(self.length.default))

    def draw(self, choose: Chooser, path: str, narrow: Narrowing) -> tuple[Any, ...]:
        length = cast(int, self.length.draw(choose, f"{path}/length", narrow))
        return tuple(self.item.draw(choose, f"{path}/{i}", narrow) for i in range(length))

    def walk(self, value: Any, path: str) -> Iterator[tuple[str, Scalar]]:
        yield f"{path}/length", len(value)
        for i, item in enumerate(value):
            yield from self.item.walk(item, f"{path}/{i}")

    def checked(self, value: Any, path: str) -> tuple[Any, ...]:
        if not isinstance(value, tuple):
            raise SpaceError(f"{path} must be a tuple, got {type(value).__name__}")
        self.length.checked(len(value), f"{path}/length")
        return tuple(self.item.checked(item, f"{path}/{i}") for i, item in enumerate(value))

    def encode(self, value: Any) -> Any:
        return [self.item.encode(item) for item in value]

    def decode(self, data: Any, path: str, families: Families) -> tuple[Any, ...]:
        if not isinstance(data, list | tuple):
            raise SpaceError(f"{path} must be a list, got {type(data).__name__}")
        self.length.checked(len(data), f"{path}/length")
        return tuple(self.item.decode(item, f"{path}/{i}", families) for i, item in enumerate(data))
