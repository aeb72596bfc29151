"""What can be searched: a language for families of networks and recipes. It knows torch, and nothing of data or search."""

from __future__ import annotations

from search_spaces.domains import Infeasible, SpaceError
from search_spaces.language import Architecture, Choice, Float, Int, OneOf, Repeat, Searchable, Space

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
