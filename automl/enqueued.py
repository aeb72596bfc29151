"""Concrete networks that a user wants tried first: in any form that they may have, checked before the search begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from automl.errors import Infeasible, OptionError, SpaceError
from automl.strategies.priors import space_with_guess
from search_spaces.base import Families, Leaf, Scalar, same
from search_spaces.configuration import FAMILIES, Configuration
from search_spaces.language import Architecture, Space
from search_spaces.variation import default_of

Enqueued: TypeAlias = Configuration | Architecture | Mapping[str, Any]


def as_list(given: object) -> tuple[Any, ...]:
    """Return what was given for `enqueue`. Raises `OptionError` for anything but a list."""
    if isinstance(given, str | Mapping) or not isinstance(given, Sequence):
        raise OptionError(f"enqueue must be a list of networks, got {_named(given)}; give [it]")
    return tuple(given)


def configurations(
    given: Sequence[Enqueued], space: Space[Configuration], families: Families = (), prior: Mapping[str, Scalar] | None = None
) -> tuple[Configuration, ...]:
    """Return configurations of a space, in their order: each once, and without the one that is tried first anyway.

    That is the space's default, moved to the guess where the user has one. What completes an entry is the default without it.

    given: each a Configuration, an Architecture (recipe and augmentation are the default's), or either as `to_dict` writes it.
    families: the user's own. prior: the guess, by path. What an entry leaves at its class's default moves into the space where
    it lies outside, as the space's default does. Raises `SpaceError` that names the entry and the decision for all else that
    isn't in the space, and for a guess outside of it; `OptionError` for what is no network.
    """
    found: dict[Configuration, None] = {}
    for position, entry in enumerate(given):
        try:
            found[_inside(_configuration(entry, space, families), space)] = None
        except SpaceError as error:
            raise SpaceError(f"enqueue[{position}]: {error}") from error
        except OptionError as error:
            raise OptionError(f"enqueue[{position}] {error}") from error
        except Infeasible as error:
            raise OptionError(f"enqueue[{position}] must make a network, but: {error}") from error
    first = default_of(space_with_guess(space, prior or {}))
    return tuple(configuration for configuration in found if configuration != first)


def _configuration(entry: Enqueued, space: Space[Configuration], families: Families) -> Configuration:
    known = tuple(dict.fromkeys([*FAMILIES, *families]))
    if isinstance(entry, Mapping) and entry.get("family") == Configuration.__name__:
        return Configuration.from_dict(entry, known)
    if isinstance(entry, Mapping):
        entry = Configuration.from_dict({"family": Configuration.__name__, "architecture": entry}, known).architecture
    if isinstance(entry, Architecture):
        default = default_of(space)
        if default is None:
            raise OptionError("must be a whole Configuration, because the space has no default to complete an Architecture with")
        return replace(default, architecture=entry)
    if not isinstance(entry, Configuration):
        raise OptionError(f"must be a Configuration, an Architecture or what their to_dict() returns, got {_named(entry)}")
    return entry


def _inside(configuration: Configuration, space: Space[Configuration]) -> Configuration:
    made = dict(configuration.decisions())
    usual = dict(Configuration(architecture=type(configuration.architecture)()).decisions())
    del usual["architecture/kind"]  # whoever enqueues a network means its family

    def choose(path: str, leaf: Leaf) -> Scalar:
        if path not in made:
            return leaf.closest(usual.get(path))  # below a family that had to change
        value = made[path]
        untouched = path in usual and same(usual[path], value) and leaf.typed(value) not in leaf
        return leaf.closest(value) if untouched else value

    return space.draw(choose)


def _named(value: object) -> str:
    return f"the class {value.__name__}; make one of it, {value.__name__}(...)" if isinstance(value, type) else repr(value)
