"""How a search begins, before there is anything to learn from."""

from __future__ import annotations

import random
from collections import Counter

from automl.strategies.base import F
from search_spaces.base import Infeasible
from search_spaces.language import Space
from search_spaces.variation import mutate, sample

CHANGES = (1, 5)  # decisions of the default that are changed, at least and at most


def start(space: Space[F], number: int, rng: random.Random, refused: Counter[str] | None = None) -> F:
    """Return a configuration for one of the first numbers.

    Two of three are the space's default with a few decisions changed, because a good default is nearer to the best than a random
    draw is; the others are random. Raises `Infeasible` where a bounded number of draws made no network.
    """
    return sample(space, rng, refused) if number % 3 == 0 else near_default(space, rng, refused)


def near_default(space: Space[F], rng: random.Random, refused: Counter[str] | None = None) -> F:
    """Return the default with `CHANGES` decisions changed, and what these open."""
    try:
        changed = space.default()
    except Infeasible:
        return sample(space, rng, refused)
    for _ in range(rng.randint(*CHANGES)):
        changed = mutate(space, changed, rng, refused)
    return changed
