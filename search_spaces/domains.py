"""Domains that open further decisions: a member of one of several families, and tuples.

Users write `OneOf` and `Repeat` (`search_spaces.language`), which return these objects. Of every domain the decisions have paths:
`blocks/length`, `blocks/0/kind`, `blocks/0/Residual/width`. A family's name is part of the path, so that one path always has one
leaf (Optuna demands it); it is left out where a single family is declared, and then there is no `kind` to decide either.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from search_spaces.base import (
    Chooser,
    Domain,
    Families,
    Infeasible,
    Leaf,
    Narrowing,
    Scalar,
    SpaceError,
    nearest,
    same,
    unnarrowed,
)
from search_spaces.leaves import FloatRange, IntRange, Options

if TYPE_CHECKING:
    from search_spaces.language import Searchable

__all__ = [
    "Chooser",
    "Domain",
    "Families",
    "FloatRange",
    "Infeasible",
    "IntRange",
    "Leaf",
    "Narrowing",
    "Options",
    "Scalar",
    "Sequence",
    "SpaceError",
    "Variant",
    "nearest",
    "same",
    "unnarrowed",
]


@dataclass(frozen=True)
class Variant(Domain):
    """A member of one of several families; an abstract family stands for all of its subclasses, and is searched once narrowed."""

    families: Families
    default: Any = None

    def __post_init__(self) -> None:
        for family in self.families:
            if not (inspect.isclass(family) and hasattr(family, "domains")):
                raise SpaceError(f"OneOf: families must be subclasses of Searchable, got {family!r}")
        names = [family.__name__ for family in self.families]
        if not names or len(set(names)) < len(names):
            raise SpaceError(f"OneOf: families must be at least one, with different names, got {', '.join(names) or 'none'}")
        if self.default is not None:
            self.checked(self.default, "OneOf: default")

    @cached_property
    def is_open(self) -> bool:
        """Whether an abstract family stands for all of its subclasses."""
        return any(inspect.isabstract(family) for family in self.families)

    @cached_property
    def is_fixed(self) -> bool:
        """Whether there is just one concrete family, whose name needs no place in a path."""
        return len(self.families) == 1 and not self.is_open

    def inner(self, path: str, name: str) -> str:
        """Return the path below which the fields of family `name` are found."""
        return path if self.is_fixed else f"{path}/{name}"

    def admits(self, family: type[Searchable]) -> bool:
        """Whether members of this family are values of the domain."""
        return issubclass(family, self.families) if self.is_open else family in self.families

    def concrete(self, families: Families = ()) -> Families:
        """Return the families that can be named: those declared, and of `families` those the open domain admits."""
        own = tuple(family for family in self.families if not inspect.isabstract(family))
        return own + tuple(f for f in families if f not in own and self.is_open and self.admits(f))

    def find(self, name: object, path: str, families: Families = ()) -> type[Searchable]:
        """Return the family called `name`, of those declared or, where the domain is open, of `families`."""
        candidates = dict.fromkeys(self.concrete(families))
        known = {family.__name__: family for family in candidates}
        if isinstance(name, str) and name in known:
            if sum(family.__name__ == name for family in candidates) > 1:
                raise SpaceError(f"{path} must name one family, but several of those given are called {name!r}; rename one")
            return known[name]
        names = ", ".join(known) or "the families that are given (none are)"
        given = "; the classes of other families must be given by families=" if self.is_open and not nearest(name, known) else ""
        raise SpaceError(f"{path} must be one of {names}, got {name!r}{nearest(name, known)}{given}")

    def kinds(self, path: str, searched: Variant) -> Options:
        """Return the leaf that decides the family among those searched.

        Raises `SpaceError` where an open domain wasn't filled.
        """
        names = tuple(family.__name__ for family in searched.concrete())
        if not names:
            raise SpaceError(f"{path} is open: the space must say which families are searched, e.g. {{'{path}': OneOf(...)}}")
        usual = type(self.default if searched.default is None else searched.default).__name__
        return Options(names, default=usual if usual in names else names[0])

    def default_value(self) -> Searchable:
        if self.default is None and inspect.isabstract(self.families[0]):
            raise SpaceError(f"OneOf({self.families[0].__name__}) is open and has no default; give one")
        return self.families[0]() if self.default is None else cast("Searchable", self.default)

    def draw(self, choose: Chooser, path: str, narrow: Narrowing) -> Searchable:
        searched = cast(Variant, narrow(path, self))
        if self.is_fixed:
            return self.families[0].draw(choose, path, narrow)
        name = self.kinds(path, searched).draw(choose, f"{path}/kind", narrow)
        family = searched.find(name, path)
        return family.draw(choose, self.inner(path, family.__name__), narrow)

    def walk(self, value: Any, path: str) -> Iterator[tuple[str, Scalar]]:
        name = type(value).__name__
        if not self.is_fixed:
            yield f"{path}/kind", name
        yield from value.decisions(self.inner(path, name))

    def checked(self, value: Any, path: str) -> Any:
        if not self.admits(type(value)):
            names = ", ".join(family.__name__ for family in self.families)
            called = value.__name__ if inspect.isclass(value) else value
            hint = nearest(called, (f"{family.__name__}()" for family in self.concrete())) if isinstance(called, str) else ""
            raise SpaceError(f"{path} must be {'a' if self.is_open else 'a member of'} {names}, got {value!r}{hint}")
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

    def __post_init__(self) -> None:
        if not isinstance(self.item, Domain):
            raise SpaceError(f"Repeat: the item must be a domain (Int, Float, Choice, OneOf, Repeat), got {self.item!r}")
        if self.length.low < 0:
            raise SpaceError(f"Repeat: low >= 0 must hold, got low={self.length.low}")

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
            fix = "; write tuple(...)" if isinstance(value, list) else ""
            raise SpaceError(f"{path} must be a tuple, got {value!r}{fix}")
        self.length.checked(len(value), f"{path}/length")
        return tuple(self.item.checked(item, f"{path}/{i}") for i, item in enumerate(value))

    def encode(self, value: Any) -> Any:
        return [self.item.encode(item) for item in value]

    def decode(self, data: Any, path: str, families: Families) -> tuple[Any, ...]:
        if not isinstance(data, list | tuple):
            raise SpaceError(f"{path} must be a list, got {data!r}")
        self.length.checked(len(data), f"{path}/length")
        return tuple(self.item.decode(item, f"{path}/{i}", families) for i, item in enumerate(data))
