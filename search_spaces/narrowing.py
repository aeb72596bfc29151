"""Narrowing: from overrides by path or glob to the domain that is searched at each path.

A class says what is valid and a space what is searched; this module holds the part of `Space` that compares the two. All paths
that a family can have are listed once, when the space is made, so that a wrong override is an error there and a draw only
looks its path up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, cast

from search_spaces.base import Domain, Leaf, Narrowing, Scalar, SpaceError, is_number, nearest, plain
from search_spaces.domains import Sequence, Variant
from search_spaces.leaves import Options

if TYPE_CHECKING:
    from search_spaces.language import Searchable

_DEEPEST = 64  # segments of a path
_PARTS = "; narrow '{0}/length' and '{0}/*' instead"


def as_domain(path: str, value: object) -> Domain:
    """Return an override as a domain; a scalar stands for the choice of just that value. Raises `SpaceError`."""
    value = plain(value)
    if isinstance(value, Leaf | Variant):
        return value
    if isinstance(value, str | bool | None) or is_number(value):
        return Options((cast(Scalar, value),))
    if isinstance(value, Sequence):
        raise SpaceError(f"{path} must be narrowed by its parts, got Repeat(...){_PARTS.format(path)}")
    fix = f"; write OneOf({value.__name__})" if isinstance(value, type) else ""
    raise SpaceError(f"{path} must be narrowed to a domain (Int, Float, Choice, OneOf) or a finite scalar, got {value!r}{fix}")


def narrowed_domains(family: type[Searchable], overrides: Mapping[str, Domain]) -> dict[str, Domain]:
    """Return the domain that is searched at each path that an override names; the last override of a path counts.

    Raises `SpaceError` for an override that isn't inside the declared domain, or names no path.
    """
    narrowed: dict[str, Domain] = {}
    unused = dict(overrides)
    paths = []
    for path, domain in every_path(family, "", narrowed.get, everything=True):
        paths.append(path)
        for pattern, override in overrides.items():
            if names(pattern, path) and (pattern == path or _suits(override, domain)):
                narrowed[path] = _narrowed(pattern, override, domain)
                unused.pop(pattern, None)
    for pattern, override in unused.items():
        if any(names(pattern, path) for path in paths):
            raise SpaceError(f"{pattern} matches nothing that could be narrowed to {override_text(override)}")
        known = [generic(path) for path in paths] if "*" in pattern else paths
        fix = _PARTS.format(pattern) if f"{pattern}/length" in known else nearest(pattern, known)
        raise SpaceError(f"{family.__name__} has no decision at {pattern!r}{fix}")
    return narrowed


def names(pattern: str, path: str) -> bool:
    """Whether a path, or a glob over paths, names a path; `length` and `kind` are named in full."""
    last = path.rpartition("/")[2]
    return fnmatchcase(path, pattern) and (last not in ("length", "kind") or last == pattern.rpartition("/")[2])


def _suits(override: Domain, declared: Domain) -> bool:
    """Whether a glob's override is meant for a domain: any leaf for a leaf, `OneOf` where its families are admitted."""
    if isinstance(override, Variant) and isinstance(declared, Variant):
        return all(declared.admits(family) for family in override.concrete())
    return isinstance(override, Leaf) and isinstance(declared, Leaf)


def generic(path: str) -> str:
    """Return a path with `*` for the positions in tuples."""
    return re.sub(r"(?<=/)\d+(?=/|$)", "*", path)


def every_path(family: type[Searchable], path: str, narrow: Narrowing, *, everything: bool) -> Iterator[tuple[str, Domain]]:
    """Yield every path below a family with the domain declared there, outer ones first.

    With `everything`, also what no draw of the narrowed space can reach: families and positions that were narrowed away.
    """
    prefix = f"{path}/" if path else ""
    for name, domain in family.domains.items():
        yield from _paths_of(domain, prefix + name, narrow, everything=everything)


def _paths_of(domain: Domain, path: str, narrow: Narrowing, *, everything: bool) -> Iterator[tuple[str, Domain]]:
    if path.count("/") > _DEEPEST:
        raise SpaceError(f"{path} is too deep: a family can be reached from itself; leave it out of one OneOf(...)")
    if isinstance(domain, Sequence):
        yield f"{path}/length", domain.length
        longest = domain.length if everything else cast(Leaf, narrow(f"{path}/length", domain.length))
        for i in range(cast(int, longest.from_unit(1.0))):
            yield from _paths_of(domain.item, f"{path}/{i}", narrow, everything=everything)
    elif isinstance(domain, Variant):
        yield path, domain
        searched = cast(Variant, narrow(path, domain))
        families = searched.concrete()
        if families and not domain.is_fixed:
            kinds = domain.kinds(path, searched)
            yield f"{path}/kind", kinds
            reached = cast(Leaf, narrow(f"{path}/kind", kinds))
            families = tuple(family for family in families if family.__name__ in reached)
        for family in dict.fromkeys((*searched.concrete(), *domain.concrete()) if everything else families):
            yield from every_path(family, domain.inner(path, family.__name__), narrow, everything=everything)
    else:
        yield path, domain


def _narrowed(pattern: str, override: Domain, declared: Domain) -> Domain:
    """Return the override in the terms of the declared domain; raise `SpaceError` where it isn't inside."""
    if isinstance(override, Leaf) and isinstance(declared, Leaf):
        inner = declared.narrowed(override)
        if inner is None:
            single = isinstance(override, Options) and len(override.values) == 1
            hint = declared.hint(override.default) if single else ""
            raise SpaceError(f"{pattern} must stay within {declared.describe()}, got {override.describe()}{hint}")
        return inner
    if isinstance(override, Variant) and isinstance(declared, Variant):
        for family in override.concrete():
            if not declared.admits(family):
                names = ", ".join(own.__name__ for own in declared.families)
                raise SpaceError(f"{pattern} must stay within {names}, got {family.__name__}{nearest(family.__name__, names)}")
        return override
    if isinstance(declared, Variant):
        fix = "" if declared.is_fixed else f"; narrow '{pattern}/kind' to choose by name"
        raise SpaceError(f"{pattern} must be narrowed to OneOf(...), got {override_text(override)}{fix}")
    raise SpaceError(f"{pattern} must be narrowed to {cast(Leaf, declared).describe()}, got {override_text(override)}")


def override_text(override: Domain) -> str:
    """Return an override as it reads in an error."""
    if isinstance(override, Variant):
        return f"OneOf({', '.join(family.__name__ for family in override.families)})"
    return cast(Leaf, override).describe()
