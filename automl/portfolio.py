"""Configurations that were good where others weren't: tried first, because a search with few trials has no time to find them.

`portfolio.json` holds a short list for each family and kind of data for which results/portfolio measured one: on public data
sets, greedily, so that each entry adds most to those before it (Feurer et al., "Auto-Sklearn 2.0", 2022, algorithm 1). An entry
is moved into the space that is searched, as `Space.default` is: what a user or a task narrowed counts first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, TypeAlias

from search_spaces.base import Infeasible, Leaf, Scalar, is_number
from search_spaces.configuration import FAMILIES, Configuration
from search_spaces.language import Space
from search_spaces.spec import Classes, Image, Inputs, Outputs, Table, Values
from search_spaces.variation import default_of

Kind: TypeAlias = tuple[str, str]  # of the inputs, of the outputs: names of specs

FILE = Path(__file__).with_name("portfolio.json")
KINDS: tuple[tuple[type[Inputs], type[Outputs]], ...] = ((Table, Classes), (Table, Values), (Image, Classes))
OF_THE_TASK = ("recipe/batch_size",)  # follows the number of rows, which the default of a task's space knows and an entry doesn't


@dataclass(frozen=True)
class Entry:
    """A configuration and the kind of data for which it was found; the entries of a family are in the order to try them."""

    kind: Kind
    configuration: Configuration

    @property
    def family(self) -> str:
        """Return the name of the architecture's family."""
        return type(self.configuration.architecture).__name__


def portfolio_for(space: Space[Configuration], inputs: Inputs, outputs: Outputs) -> tuple[Configuration, ...]:
    """Return what to try after the default of a space for such inputs and outputs, the best first, all inside the space.

    Entries of the families that are searched take turns, so that any first part of them is one for all of these families. Left
    out are those that become the space's default or each other where the space is narrow, and those that make no network in it.
    """
    usual = default_of(space)
    of_family = [[entry for entry in entries(inputs, outputs) if entry.family == family.__name__] for family in FAMILIES]
    turns = chain.from_iterable(zip_longest(*of_family))
    moved = [inside(space, entry.configuration) for entry in turns if entry is not None]
    return tuple(configuration for configuration in dict.fromkeys(moved) if configuration not in (None, usual))


def entries(inputs: Inputs, outputs: Outputs) -> Iterator[Entry]:
    """Yield the entries for such inputs and outputs, in the order of the file; none for a kind that wasn't measured."""
    kinds = {
        (taken.__name__, given.__name__) for taken, given in KINDS if isinstance(inputs, taken) and isinstance(outputs, given)
    }
    return (entry for entry in packaged() if entry.kind in kinds)


def inside(space: Space[Configuration], configuration: Configuration) -> Configuration | None:
    """Return a configuration moved into a space; None where its family isn't searched there, or where it makes no network.

    A number moves to the nearest value, any other decision that the space doesn't admit to that of the space's default. The
    decisions `OF_THE_TASK` are always the default's.
    """
    default = default_of(space)
    usual = {} if default is None else dict(default.decisions())
    made = {path: value for path, value in configuration.decisions() if path not in OF_THE_TASK}

    def choose(path: str, leaf: Leaf) -> Scalar:
        if path in made and (made[path] in leaf or is_number(made[path])):
            return leaf.closest(made[path])
        return leaf.closest(usual.get(path))

    try:
        moved = space.draw(choose)
    except Infeasible:
        return None
    return moved if type(moved.architecture) is type(configuration.architecture) else None


@cache
def packaged() -> tuple[Entry, ...]:
    """Return all entries of the file that comes with this package."""
    return tuple(from_data(json.loads(FILE.read_text(encoding="utf-8"))))


def from_data(data: Sequence[dict[str, Any]]) -> Iterator[Entry]:
    """Yield the entries that `to_data` made data of. Raises `SpaceError` for a family or decision that isn't known any more."""
    for entry in data:
        yield Entry((entry["inputs"], entry["outputs"]), Configuration.from_dict(entry["configuration"], FAMILIES))


def to_data(listed: Sequence[Entry]) -> list[dict[str, Any]]:
    """Return entries as JSON data."""
    return [
        {"inputs": entry.kind[0], "outputs": entry.kind[1], "configuration": entry.configuration.to_dict()} for entry in listed
    ]
