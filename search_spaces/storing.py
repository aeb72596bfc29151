"""A space as JSON: its overrides, with families by name. A run stores them, to go on with the space it began with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from search_spaces.base import Domain, Families, Leaf, SpaceError, nearest
from search_spaces.domains import Sequence, Variant
from search_spaces.language import Searchable, Space
from search_spaces.leaves import UNSTATED, FloatRange, IntRange, Options

__all__ = ["space_overrides_from_dict", "space_overrides_to_dict"]

F = TypeVar("F", bound=Searchable)


def space_overrides_to_dict(space: Space[F]) -> dict[str, Any]:
    """Return the overrides of a space as JSON data, in their order."""
    return {path: _encoded(override) for path, override in space.overrides.items()}


def space_overrides_from_dict(data: Mapping[str, Any], family: type[Searchable], families: Families = ()) -> dict[str, object]:
    """Return the overrides that `space_overrides_to_dict` wrote, for `Space(family, ...)`.

    Names of families are looked up among those that `family` declares at any depth and `families` (those that fill its open
    fields). Raises `SpaceError` naming the path for whatever can't be read.
    """
    known = {member.__name__: member for member in _reachable((family, *families))}
    return {path: _decoded(path, override, known) for path, override in data.items()}


def _encoded(override: object) -> dict[str, Any]:
    if isinstance(override, Variant):
        default = None if override.default is None else override.default.to_dict()
        return {"domain": "OneOf", "families": [family.__name__ for family in override.families], "default": default}
    if isinstance(override, IntRange):
        scale = {"log": override.log, "multiple_of": override.multiple_of}
        return {"domain": "Int", "low": override.low, "high": override.high, **scale, **_stated(override)}
    if isinstance(override, FloatRange):
        return {"domain": "Float", "low": override.low, "high": override.high, "log": override.log, **_stated(override)}
    if isinstance(override, Options):
        return {"domain": "Choice", "values": list(override.values), "ordered": override.ordered, **_stated(override)}
    raise AssertionError(f"a space holds domains, got {override!r}")


def _stated(leaf: Leaf) -> dict[str, Any]:
    return {"default": leaf.default} if leaf.stated else {}


def _decoded(path: str, data: Any, known: Mapping[str, type[Searchable]]) -> Domain:
    try:
        if data["domain"] == "OneOf":
            families = tuple(_found(name, known) for name in data["families"])
            default = data["default"]
            member = None if default is None else Variant(families).decode(default, "default", tuple(known.values()))
            return Variant(families, member)
        return _decoded_leaf(data)
    except SpaceError as error:
        raise SpaceError(f"{path}: {error}") from error
    except (KeyError, TypeError) as error:
        raise SpaceError(f"{path} must be a stored domain with all of its fields, got {data!r}") from error


def _decoded_leaf(data: Any) -> Leaf:
    if data["domain"] == "Int":
        return IntRange(data["low"], data["high"], data["log"], data["multiple_of"], data.get("default"))
    if data["domain"] == "Float":
        return FloatRange(data["low"], data["high"], data["log"], data.get("default"))
    if data["domain"] == "Choice":
        return Options(tuple(data["values"]), data["ordered"], data.get("default", UNSTATED))
    raise SpaceError(f"a stored domain must be one of Int, Float, Choice, OneOf, got {data['domain']!r}")


def _found(name: object, known: Mapping[str, type[Searchable]]) -> type[Searchable]:
    if isinstance(name, str) and name in known:
        return known[name]
    raise SpaceError(f"the family {name!r} isn't known{nearest(name, known)}; its class must be given by families=")


def _reachable(families: Families) -> Iterator[type[Searchable]]:
    """Yield families and all that their fields name, at any depth."""
    for family in families:
        yield family
        for domain in family.domains.values():
            item = domain
            while isinstance(item, Sequence):
                item = item.item
            if isinstance(item, Variant):
                yield from _reachable(item.families)
