"""What evolutionary algorithms are made of: small operators, so that an algorithm is a sentence of them.

    survive = last(100)                                             # who belongs to the population
    parent = tournament(0.5)                                        # who has children
    vary = in_turn(inherit(parent), either((1, differ()), (1, change())))

A *selection* takes members, best first, and returns some of them, best first. A *variation* takes the decisions of a child, and
returns them with some of them changed; what they open or leave open is drawn when the child is built. Both are pure: all chance
comes from the `random.Random` that they are given.

The place of a member is its position, whatever it was ranked by: one loss, or fronts of several objectives.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeAlias

from automl.strategies.base import F
from search_spaces.base import Leaf, Scalar, same
from search_spaces.language import Space
from search_spaces.narrowing import generic
from search_spaces.variation import crossover, keeping, neighbour, ordered, rearrange

__all__ = [
    "Draft",
    "Leaves",
    "Member",
    "Pool",
    "Selection",
    "Variation",
    "anyone",
    "best",
    "change",
    "cross",
    "differ",
    "either",
    "in_turn",
    "inherit",
    "last",
    "move",
    "or_else",
    "sometimes",
    "then",
    "tournament",
]

PATIENCE = 20.0  # members without a new best, after which a change of one more decision is as likely as not
MORE, MOST = 0.1, 0.8  # probability of one more decision, at least and at most
STEP, SPREAD = 0.3, 0.7  # median and logarithmic spread of steps, as shares of a leaf's range
FRESH = 0.4  # share of changes of numbers that are drawn anew
JUMP = (0.3, 2.0)  # differences of members are multiplied by something between
MOVED = 0.7  # share of the numbers that a difference moves
DOUBT = 2  # imagined members behind what is said of an option
BETTER = 0.5  # share of the members that are the better ones

Draft: TypeAlias = "dict[str, Scalar]"


@dataclass(frozen=True, eq=False)
class Member(Generic[F]):
    """A configuration with its number, which is also its age: the higher, the younger."""

    number: int
    configuration: F

    @cached_property
    def decisions(self) -> Mapping[str, Scalar]:
        """The decisions that lead to the configuration, by path."""
        return dict(self.configuration.decisions())


class Leaves(Generic[F]):
    """The leaf of every path that a space can reach."""

    def __init__(self, space: Space[F]) -> None:
        self._leaves = space.leaves()

    def __getitem__(self, path: str) -> Leaf:
        leaf = self._leaves.get(path)
        if leaf is None:
            leaf = self._leaves[path] = self._leaves[generic(path)]
        return leaf


@dataclass(frozen=True)
class Pool(Generic[F]):
    """What variations see. members: the population, best first; stalled: how many are younger than the best of them."""

    space: Space[F]
    members: Sequence[Member[F]]
    leaves: Leaves[F]
    stalled: int = 0


Selection: TypeAlias = "Callable[[Sequence[Member[Any]], random.Random], list[Member[Any]]]"
Variation: TypeAlias = "Callable[[Pool[Any], Draft, random.Random], Draft]"


def best(count: int) -> Selection:
    """Truncation: the best `count` survive."""
    return lambda members, _: list(members[:count])


def last(count: int) -> Selection:
    """Ageing: the youngest `count` survive, however good the others are (Real et al. 2019, "Regularized Evolution")."""

    def select(members: Sequence[Member[Any]], _: random.Random) -> list[Member[Any]]:
        if len(members) <= count:
            return list(members)
        oldest = sorted(member.number for member in members)[-count]
        return [member for member in members if member.number >= oldest]

    return select


def anyone(count: int = 1) -> Selection:
    """Return `count` random members, all where there are fewer."""

    def select(members: Sequence[Member[Any]], rng: random.Random) -> list[Member[Any]]:
        return [members[i] for i in sorted(rng.sample(range(len(members)), min(count, len(members))))]

    return select


def tournament(share: float) -> Selection:
    """Return the best of a random `share` (0 to 1) of the members, at least of one."""

    def select(members: Sequence[Member[Any]], rng: random.Random) -> list[Member[Any]]:
        return anyone(max(1, math.ceil(share * len(members))))(members, rng)[:1]

    return select


def then(*selections: Selection) -> Selection:
    """Return what selections leave, one after the other."""

    def select(members: Sequence[Member[Any]], rng: random.Random) -> list[Member[Any]]:
        left = list(members)
        for selection in selections:
            left = selection(left, rng)
        return left

    return select


def in_turn(*variations: Variation) -> Variation:
    """Apply variations one after the other."""

    def vary(pool: Pool[Any], draft: Draft, rng: random.Random) -> Draft:
        for variation in variations:
            draft = variation(pool, draft, rng)
        return draft

    return vary


def sometimes(probability: float, variation: Variation) -> Variation:
    """Apply a variation or leave it."""
    return lambda pool, draft, rng: variation(pool, draft, rng) if rng.random() < probability else draft


def either(*weighted: tuple[float, Variation]) -> Variation:
    """Apply one of several variations, given as (weight, variation)."""
    weights = [weight for weight, _ in weighted]
    return lambda pool, draft, rng: rng.choices(weighted, weights)[0][1](pool, draft, rng)


def inherit(parent: Selection) -> Variation:
    """Begin a child with all decisions of a member."""
    return lambda pool, _, rng: dict(parent(pool.members, rng)[0].decisions)


def cross(parent: Selection) -> Variation:
    """Cross the child with another member, after aligning the items of tuples by kind and order."""

    def vary(pool: Pool[Any], draft: Draft, rng: random.Random) -> Draft:
        child = pool.space.draw(keeping(draft, rng))
        return dict(crossover(pool.space, child, parent(pool.members, rng)[0].configuration, rng).decisions())

    return vary


def move() -> Variation:
    """Insert, remove, duplicate or swap whole items of a tuple; where there is none, change nothing."""
    return lambda pool, draft, rng: dict(rearrange(pool.space, pool.space.draw(keeping(draft, rng)), rng).decisions())


def or_else(variation: Variation, other: Variation) -> Variation:
    """Apply `other` where `variation` changed nothing."""

    def vary(pool: Pool[Any], draft: Draft, rng: random.Random) -> Draft:
        varied = variation(pool, draft, rng)
        return varied if varied != draft else other(pool, draft, rng)

    return vary


def change(step: float = STEP, more: float = MORE) -> Variation:
    """Change one decision, and with some probability one more, and so on.

    step: the median of steps of numbers and ordered options; each step has a width of its own, log-normally distributed (compare
    Schwefel 1995, whose members hand theirs down), so small ones and large ones are always tried. Of other options two are drawn,
    and that one taken whose holders have the better places. more: the probability of one more change while there is progress; it
    rises as the best member gets older, so that a population that has come to an end looks further away.
    """

    def vary(pool: Pool[Any], draft: Draft, rng: random.Random) -> Draft:
        open_ = [path for path in draft if _moves(pool.leaves[path])]
        again = min(MOST, more + pool.stalled / (pool.stalled + PATIENCE))
        changed = dict(draft)
        while open_:
            path = open_.pop(rng.randrange(len(open_)))
            leaf, width = pool.leaves[path], step * math.exp(rng.gauss(0.0, SPREAD))
            drawn = [neighbour(leaf, draft[path], rng, width, FRESH) for _ in range(1 if ordered(leaf) else 2)]
            changed[path] = min(drawn, key=lambda value: _standing(pool, path, value)) if len(drawn) > 1 else drawn[0]
            if rng.random() >= again:
                break
        return changed

    return vary


def differ(jump: tuple[float, float] = JUMP) -> Variation:
    """Move most numbers by a multiple of the difference between a better and a worse member: differential evolution.

    After Storn & Price (1997); the difference points from a worse to a better member, as in directed variants. So steps adapt
    themselves: large while the members differ, small when they have come together, and along what the members have in common.
    Decisions that only one of the three has, and those without order, stay. jump: the lowest and highest multiple.
    """

    def vary(pool: Pool[Any], draft: Draft, rng: random.Random) -> Draft:
        middle = max(1, int(BETTER * len(pool.members)))
        if len(pool.members) < 2:
            return draft
        better = rng.choice(pool.members[:middle]).decisions
        worse = rng.choice(pool.members[middle:]).decisions
        factor = rng.uniform(*jump)
        changed = dict(draft)
        for path, value in draft.items():
            leaf = pool.leaves[path]
            if path in better and path in worse and ordered(leaf) and rng.random() < MOVED:
                far = factor * (leaf.to_unit(better[path]) - leaf.to_unit(worse[path]))
                if far:
                    changed[path] = leaf.from_unit(min(max(leaf.to_unit(value) + far, 0.0), 1.0))
        return changed

    return vary


def _moves(leaf: Leaf) -> bool:
    """Whether a leaf holds more than one value."""
    return not same(leaf.from_unit(0.0), leaf.from_unit(1.0))


def _standing(pool: Pool[Any], path: str, value: Scalar) -> float:
    """Return the mean place of the members that decided so, and of `DOUBT` that stand in the middle."""
    places = [place for place, member in enumerate(pool.members) if same(member.decisions.get(path), value)]
    return (sum(places) + DOUBT * len(pool.members) / 2) / (len(places) + DOUBT)
