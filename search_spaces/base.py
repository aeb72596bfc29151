"""What every domain can do, what a scalar is, and the errors of the package: the lowest module.

A domain is the set of values that a field of a family may hold. It can `draw` a value by asking a chooser, `walk` the decisions
behind a value (the inverse), check a value, and write and read it as JSON. A *leaf* is a set of scalars, the unit in which
strategies decide; composite domains (`search_spaces.domains`) open further decisions.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
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
    spelled = {str(name).lower(): str(name) for name in known}
    close = difflib.get_close_matches(str(given).lower(), spelled, n=1)
    return f"; did you mean {spelled[close[0]]!r}?" if close else ""


def same(a: object, b: object) -> bool:
    """Whether two scalars are the same decision: 1, 1.0 and True are three."""
    return type(a) is type(b) and a == b


def plain(value: Any) -> Any:
    """Return a numpy scalar as the Python scalar that it stands for, and anything else as it is."""
    kind = getattr(getattr(value, "dtype", None), "kind", None)
    return value.item() if kind in ("b", "i", "u", "f", "U") and value.shape == () else value


def is_number(value: object) -> bool:
    """Whether this is a finite number; True and False aren't."""
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and math.isfinite(value))


class Domain(ABC):
    """A set of values for one field. It knows nothing of the class that holds it."""

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
    """A set of scalars, mapped onto the unit interval so that strategies can sample, step and compare.

    `default` is always a value of the leaf; `stated` says whether it was given or follows from a rule.
    """

    default: Any
    stated: bool

    @abstractmethod
    def __contains__(self, value: object) -> bool: ...

    @abstractmethod
    def from_unit(self, u: float) -> Scalar:
        """Return the value at `u` in [0, 1); equal lengths are equally likely. `from_unit(1.0)` is the last value."""

    @abstractmethod
    def to_unit(self, value: Any) -> float:
        """Return the middle of the interval that `from_unit` maps to `value`."""

    @abstractmethod
    def typed(self, value: Any) -> Any:
        """Return `value` in the type that the leaf holds, where that loses nothing, and as it is otherwise."""

    @abstractmethod
    def closest(self, value: object) -> Scalar:
        """Return the value of this leaf that is nearest to `value`, or the default where nothing is near."""

    @abstractmethod
    def narrowed(self, inner: Leaf) -> Leaf | None:
        """Return `inner` as a part of this leaf (its types, its scale), or None where it isn't inside.

        The default is the one that `inner` states, or else the nearest to this leaf's own.
        """

    @abstractmethod
    def describe(self) -> str:
        """Say which values are allowed, to stand after "must be"."""

    @abstractmethod
    def hint(self, value: Any) -> str:
        """Return the nearest fix for a wrong value, to end an error message with, or an empty string."""

    def with_default(self, value: object) -> Leaf:
        """Return this leaf with `value` as its default, or the nearest value that it holds; `stated` stays as it is."""
        part = cast(Leaf, dataclasses.replace(cast(Any, self), default=self.closest(value)))
        object.__setattr__(part, "stated", self.stated)
        return part

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
        value = self.typed(value)
        if value not in self:
            raise SpaceError(f"{path} must be {self.describe()}, got {value!r}{self.hint(value)}")
        return value

    def encode(self, value: Any) -> Any:
        return value

    def decode(self, data: Any, path: str, families: Families) -> Any:
        return self.checked(data, path)


Chooser: TypeAlias = Callable[[str, Leaf], Scalar]
Narrowing: TypeAlias = Callable[[str, Domain], Domain]


def unnarrowed(_path: str, domain: Domain) -> Domain:
    """Search everything that is declared: the narrowing that does nothing."""
    return domain
