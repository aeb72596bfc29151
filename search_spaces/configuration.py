"""What a trial is made of: one root for the architecture and the recipe, so that one language searches both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from search_spaces.language import Architecture, Choice, OneOf, Searchable, Space
from search_spaces.leaves import Options
from search_spaces.linear import Linear
from search_spaces.mlp import MLP
from search_spaces.optimizers import Recipe

if TYPE_CHECKING:
    from search_spaces.spec import Inputs, Outputs

FAMILIES: tuple[type[Architecture], ...] = (MLP,)  # searched
KNOWN: tuple[type[Architecture], ...] = (*FAMILIES, Linear)  # may stand in a file


class Configuration(Searchable):
    """An architecture and the recipe that trains it: paths `architecture/MLP/...` and `recipe/...`."""

    architecture: Architecture = OneOf(Architecture, default=cast("Architecture", MLP()))
    recipe: Recipe = OneOf(Recipe)


def space_for(
    inputs: Inputs,
    outputs: Outputs,
    losses: tuple[str, ...],
    families: tuple[type[Architecture], ...] = FAMILIES,
    overrides: Mapping[str, object] | None = None,
) -> Space[Configuration]:
    """Return the space that is searched for a task.

    `losses` are the names of the losses that suit the task. Each of `families` may narrow itself to the specs (see
    `Architecture`); `overrides` come last and so win. Raises `SpaceError` for overrides that are no part of the space.
    """
    narrowed: dict[str, object] = {"architecture": OneOf(*families), "recipe/loss/kind": Choice(*losses)}
    narrowed["recipe/batch_size"] = _batch_sizes(inputs.rows)
    for family in families:
        own = getattr(family, "narrow", None)
        if own is not None:
            narrowed |= {f"architecture/{family.__name__}/{path}": domain for path, domain in own(inputs, outputs).items()}
    for path, override in (overrides or {}).items():
        narrowed.pop(path, None)
        narrowed[path] = override
    return Space(Configuration, narrowed)


def _batch_sizes(rows: int) -> object:
    """Return the batch sizes with at least four steps to an epoch, or the smallest; the default leaves twenty."""
    declared = cast(Options, Recipe.domains["batch_size"])
    sizes = cast("tuple[int, ...]", declared.values)
    allowed = [size for size in sizes if size <= max(rows // 4, min(sizes))]
    usual = [size for size in allowed if size <= min(cast(int, declared.default), max(rows // 20, min(sizes)))]
    return Choice(*allowed, ordered=True, default=max(usual))
