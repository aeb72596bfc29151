"""Leaves: sets of scalars, the unit in which strategies decide.

Users write the words of `search_spaces.language` (`Int`, `Float`, `Choice`), which return these objects; strategies match on
them. Choices hold scalars only, and types are compared too (`True == 1`, but they are different decisions): so every
configuration is JSON, and nothing of it needs pickle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import NoneType
from typing import Any, cast

from search_spaces.base import Leaf, Scalar, SpaceError, is_number, nearest, plain, same

UNSTATED: Any = ...  # None can't say that a choice has no stated default: it may be one of its options


def _settle_default(leaf: Leaf, word: str, *, stated: bool, usual: Scalar) -> None:
    """Fix `default` and `stated` of a leaf that is being made; raise `SpaceError` where a stated default lies outside."""
    object.__setattr__(leaf, "stated", stated)
    object.__setattr__(leaf, "default", leaf.checked(leaf.default if stated else usual, f"{word}: default"))


def _number_hint(leaf: Leaf, value: object) -> str:
    return f"; the nearest is {leaf.closest(value)!r}" if is_number(value) else ""


def _number_options(inner: Options, outer: Leaf) -> Options | None:
    """Return options inside a range of numbers, in its type and in ascending order."""
    values = sorted(outer.typed(value) for value in inner.values if value in outer)
    if len(values) < len(inner.values):
        return None
    return Options(tuple(values), ordered=True, default=outer.typed(inner.default) if inner.stated else UNSTATED)


@dataclass(frozen=True)
class IntRange(Leaf):
    """Whole numbers from `low` to `high`, both included, that are multiples of `multiple_of`."""

    low: int
    high: int
    log: bool = False
    multiple_of: int = 1
    default: int = cast(int, None)
    stated: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("low", "high", "multiple_of"):
            value = plain(getattr(self, name))
            if type(value) is not int:
                raise SpaceError(f"Int: {name} must be an int, got {value!r}")
            object.__setattr__(self, name, value)
        if self.low > self.high:
            raise SpaceError(f"Int: low <= high must hold, got low={self.low}, high={self.high}")
        if self.log and self.low < 1:
            raise SpaceError(f"Int: log=True needs low >= 1, got low={self.low}")
        if self.multiple_of < 1 or self.low % self.multiple_of or self.high % self.multiple_of:
            got = f"low={self.low}, high={self.high}, multiple_of={self.multiple_of}"
            raise SpaceError(f"Int: low and high must be multiples of multiple_of >= 1, got {got}")
        _settle_default(self, "Int", stated=self.default is not None, usual=self.from_unit(0.5))

    def __contains__(self, value: object) -> bool:
        return type(value) is int and self.low <= value <= self.high and value % self.multiple_of == 0

    def from_unit(self, u: float) -> int:
        low, high = self.low // self.multiple_of, self.high // self.multiple_of
        steps = math.floor(low * math.pow((high + 1) / low, u) if self.log else low + u * (high - low + 1))
        return max(low, min(steps, high)) * self.multiple_of

    def to_unit(self, value: Any) -> float:
        low, high, step = (float(number // self.multiple_of) for number in (self.low, self.high, value))
        if self.log:
            return (math.log(step / low) + math.log((step + 1) / low)) / 2 / math.log((high + 1) / low)
        return (step + 0.5 - low) / (high - low + 1)

    def typed(self, value: Any) -> Any:
        return plain(value)

    def closest(self, value: object) -> int:
        if not is_number(value):
            return self.default
        steps = round(max(self.low, min(cast(float, value), self.high)) / self.multiple_of)
        return max(self.low, min(steps * self.multiple_of, self.high))

    def narrowed(self, inner: Leaf) -> Leaf | None:
        if isinstance(inner, Options):
            part: Leaf | None = _number_options(inner, self)
        elif isinstance(inner, IntRange) and inner.low in self and inner.high in self:
            multiple = math.lcm(self.multiple_of, inner.multiple_of)
            default = inner.default if inner.stated else cast(int, None)
            part = IntRange(inner.low, inner.high, self.log or inner.log, multiple, default)
        else:
            part = None
        return part if part is None or inner.stated else part.with_default(self.default)

    def describe(self) -> str:
        multiples = f", a multiple of {self.multiple_of}" if self.multiple_of > 1 else ""
        return f"an int in [{self.low}, {self.high}]{multiples}"

    def hint(self, value: Any) -> str:
        return _number_hint(self, value)


@dataclass(frozen=True)
class FloatRange(Leaf):
    """Finite numbers from `low` to `high`, both included."""

    low: float
    high: float
    log: bool = False
    default: float = cast(float, None)
    stated: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            value = plain(getattr(self, name))
            if not is_number(value):
                raise SpaceError(f"Float: {name} must be a finite number, got {value!r}")
            object.__setattr__(self, name, float(value))
        if self.low > self.high:
            raise SpaceError(f"Float: low <= high must hold, got low={self.low}, high={self.high}")
        if self.log and self.low <= 0:
            raise SpaceError(f"Float: log=True needs low > 0, got low={self.low}")
        middle = math.sqrt(self.low) * math.sqrt(self.high) if self.log else self.low / 2 + self.high / 2
        usual = max(self.low, min(middle, self.high))
        _settle_default(self, "Float", stated=self.default is not None, usual=usual)

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high

    def from_unit(self, u: float) -> float:
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        value = low * (1 - u) + high * u
        return max(self.low, min(math.exp(value) if self.log else value, self.high))

    def to_unit(self, value: Any) -> float:
        if self.low == self.high:
            return 0.5
        low, high, at = (math.log(x) if self.log else x / 2 for x in (self.low, self.high, value))
        return min((at - low) / (high - low), 1.0)

    def typed(self, value: Any) -> Any:
        value = plain(value)
        return float(value) if value in self else value

    def closest(self, value: object) -> float:
        return float(max(self.low, min(cast(float, value), self.high))) if is_number(value) else self.default

    def narrowed(self, inner: Leaf) -> Leaf | None:
        if isinstance(inner, Options):
            part: Leaf | None = _number_options(inner, self)
        elif isinstance(inner, FloatRange) and inner.low in self and inner.high in self:
            default = inner.default if inner.stated else cast(float, None)
            part = FloatRange(inner.low, inner.high, self.log or inner.log, default)
        else:
            part = None
        return part if part is None or inner.stated else part.with_default(self.default)

    def describe(self) -> str:
        return f"a float in [{self.low!r}, {self.high!r}]"

    def hint(self, value: Any) -> str:
        return _number_hint(self, value)


@dataclass(frozen=True)
class Options(Leaf):
    """A few scalars; `ordered=True` says that neighbours in the list are alike."""

    values: tuple[Scalar, ...]
    ordered: bool = False
    default: Scalar = UNSTATED
    stated: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        values = tuple(plain(value) for value in self.values)
        for value in values:
            if type(value) not in (NoneType, bool, str) and not (type(value) in (int, float) and is_number(value)):
                raise SpaceError(f"Choice: options must be finite scalars (None, bool, int, float, str), got {value!r}")
        if not values or len({(type(value), value) for value in values}) < len(values):
            raise SpaceError(f"Choice: options must be at least one and all different, got {values!r}")
        object.__setattr__(self, "values", values)
        _settle_default(self, "Choice", stated=self.default is not UNSTATED, usual=values[0])

    def __contains__(self, value: object) -> bool:
        return any(same(own, value) for own in self.values)

    def index(self, value: object) -> int:
        """Return the position of `value`. Raises `StopIteration` where it isn't an option."""
        return next(i for i, own in enumerate(self.values) if same(own, value))

    def from_unit(self, u: float) -> Scalar:
        return self.values[min(int(u * len(self.values)), len(self.values) - 1)]

    def to_unit(self, value: Any) -> float:
        return (self.index(value) + 0.5) / len(self.values)

    def typed(self, value: Any) -> Any:
        return plain(value)

    def closest(self, value: object) -> Scalar:
        numbers = [own for own in self.values if is_number(own)]
        if value in self or not numbers or not is_number(value):
            return cast(Scalar, value) if value in self else self.default
        return min(numbers, key=lambda own: abs(cast(float, own) - cast(float, value)))

    def narrowed(self, inner: Leaf) -> Leaf | None:
        if not isinstance(inner, Options) or not all(value in self for value in inner.values):
            return None
        values = sorted(inner.values, key=self.index) if self.ordered else inner.values
        part = Options(tuple(values), self.ordered or inner.ordered, inner.default if inner.stated else UNSTATED)
        return part if inner.stated else part.with_default(self.default)

    def describe(self) -> str:
        return f"one of {', '.join(map(repr, self.values))}"

    def hint(self, value: Any) -> str:
        numbers = any(is_number(own) for own in self.values)
        return nearest(value, self.values) if isinstance(value, str) else _number_hint(self, value) if numbers else ""
