"""Decisions as numbers: the scale on which a strategy models a leaf, which needs no library."""

from __future__ import annotations

from typing import Any

from search_spaces.base import Leaf, Scalar
from search_spaces.leaves import IntRange, Options


def coded(leaf: Leaf, value: Any) -> float:
    """Return a value as a number: the steps of an int, a float itself, the position of an option."""
    if isinstance(leaf, IntRange):
        return int(value // leaf.multiple_of)
    return leaf.index(value) if isinstance(leaf, Options) else float(value)


def decoded(leaf: Leaf, code: float) -> Scalar:
    """Return the value that `coded` made a number of."""
    if isinstance(leaf, IntRange):
        return int(code) * leaf.multiple_of
    return leaf.values[int(code)] if isinstance(leaf, Options) else code
