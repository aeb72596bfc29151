"""Evolution: children of good configurations, with sentences of operators that say who survives, has children and how they vary.

Three variants: `aging`, the regularised evolution of Real et al. (2019), where the youngest survive; `elitist`, (mu + lambda),
where the best do; `annealed`, whose choice of parents gets stricter and whose steps get smaller as more is known. With several
objectives it is NSGA-II (Deb et al. 2002): members stand in fronts, those of one front by their distance from each other, and the
best survive. All are asynchronous: a child is made from whoever is known, and nobody waits for a generation.

Hard limits are constraint domination (Deb et al. 2002, section VI): who keeps them stands before who breaks them, and who breaks
them by less before who does by more. What failed in any other way is no member. Losses at different epochs are compared as in
`ranking`.
"""

from __future__ import annotations

import random
from bisect import bisect, bisect_left
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeAlias

from automl.errors import OptionError, nearest
from automl.strategies.base import F, Plan, Result
from automl.strategies.operators import (
    STEP,
    Leaves,
    Member,
    Pool,
    Selection,
    Variation,
    best,
    change,
    cross,
    differ,
    either,
    in_turn,
    inherit,
    last,
    move,
    or_else,
    sometimes,
    tournament,
)
from automl.strategies.ranking import ENOUGH, Ranking
from automl.strategies.start import near_default
from search_spaces.base import Infeasible, plain
from search_spaces.language import Searchable, Space
from search_spaces.variation import keeping, sample

Variant: TypeAlias = Literal["aging", "elitist", "annealed"]

AGES, BEST, FRONTS = 100, 30, 60  # members that survive: the youngest, the best, the best by fronts
WARM, COLD = 0.5, 0.9  # share of the population whose best has a child; in the annealed variant from HORIZON members on
HORIZON = 200
NARROW = 1 / 3  # width of the annealed variant's steps from then on, as a share of the first ones
TRIES = 16  # children that are known already before one is made all the same


@dataclass(frozen=True)
class Sentence:
    """An algorithm: who survives, and how children are made of those who did. vary: of how many members were told."""

    survive: Selection
    vary: Callable[[int], Variation]


def children(parent: Selection, step: float = STEP) -> Variation:
    """Return how a child is made: it inherits, is crossed or rearranged once in a while, and changes."""
    jump = or_else(in_turn(differ(), sometimes(0.7, change(step))), change(step))
    structure = or_else(in_turn(either((1, cross(parent)), (1, move())), sometimes(0.5, change(step))), change(step))
    return in_turn(inherit(parent), either((3, jump), (1, change(step)), (1, structure)))


def sentence(variant: Variant, population: int | None) -> Sentence:
    """Return the algorithm of a variant with so many members. Raises `OptionError` for what is neither."""
    if population is not None and (type(plain(population)) is not int or population < 2):
        raise OptionError(f"population must be a whole number, at least 2, got {population!r}")
    steady = children(tournament(WARM))
    sentences: dict[str, Sentence] = {
        "aging": Sentence(last(population or AGES), lambda _: steady),
        "elitist": Sentence(best(population or BEST), lambda _: steady),
        "annealed": Sentence(last(population or AGES), _annealed),
    }
    if variant not in sentences:
        raise OptionError(f"variant must be one of {', '.join(sentences)}, got {variant!r}{nearest(variant, sentences)}")
    return sentences[variant]


def _annealed(told: int) -> Variation:
    cold = min(1.0, told / HORIZON)
    return children(tournament(WARM + (COLD - WARM) * cold), STEP * NARROW**cold)


class Evolution(Generic[F]):
    """A suggester: evolution of configurations.

    The first ones are those of `start`, but only random ones once one of them was better than the default.
    """

    def __init__(self, space: Space[F], plan: Plan[F], variant: Variant = "aging", population: int | None = None) -> None:
        """Take a space. population: how many survive; each variant has a number of its own. Raises `OptionError`."""
        several = plan.objectives > 1
        own = sentence(variant, population)
        self._sentence = sentence("elitist", population or FRONTS) if several else own
        self._space = space
        self._seed = plan.seed
        self._enqueued = len(plan.enqueue)
        self._leaves = Leaves(space)
        self._ranking = Ranking()
        self._members: dict[int, Member[F]] = {}
        self._known: Counter[tuple[object, ...]] = Counter()  # how many members are equal
        self._population: list[int] = []
        self._told: list[int] = []
        self._several = several
        self._refused: Counter[str] = Counter()

    @property
    def infeasible(self) -> int:
        """How many draws made no network and were drawn again."""
        return self._refused.total()

    def begin(self, number: int, configuration: F) -> None:
        """Remember a configuration, so that it isn't suggested again; of two with one number the second counts."""
        if number in self._members:
            self._known[_key(self._members[number].configuration)] -= 1
        self._members[number] = Member(number, configuration)
        self._known[_key(configuration)] += 1

    def observe(self, result: Result[F]) -> None:
        """Learn from a result."""
        number = result.proposal.number
        self._ranking.observe(result)
        at = bisect_left(self._told, number)
        if self._told[at : at + 1] == [number]:
            del self._told[at]
        if number in self._population:
            self._population.remove(number)
        if number in self._ranking:
            self._told.insert(at, number)
            self._population.append(number)
            members = self._sentence.survive(self._ordered(), self._rng(number))
            self._population = [member.number for member in members]

    def suggest(self, number: int) -> F:
        """Return a configuration. Raises `Infeasible` where a bounded number of draws made no network."""
        rng = self._rng(number)
        if len(self._told) < ENOUGH or not self._population:
            return self._first(number, rng)
        members = self._ordered()
        stalled = len(self._told) - bisect(self._told, members[0].number)
        pool = Pool(self._space, members, self._leaves, stalled)
        vary = self._sentence.vary(len(self._told))
        known: F | None = None
        for _ in range(TRIES):
            try:
                child = self._space.draw(keeping(vary(pool, {}, rng), rng))
            except Infeasible as error:
                self._refused[str(error)] += 1
                continue
            if not self._known[_key(child)]:
                return child
            known = child
        return sample(self._space, rng, self._refused) if known is None else known

    def _rng(self, number: int) -> random.Random:
        return random.Random(f"evolution/{self._seed}/{number}")

    def _first(self, number: int, rng: random.Random) -> F:
        """Return one of the first configurations: near the default as long as no random one was better."""
        place = self._ranking.place
        random_ = [other for other in self._told if self._is_random(other)]
        if self._is_random(number) or (0 in self._told and any(place(other) < place(0) for other in random_)):
            return sample(self._space, rng, self._refused)
        return near_default(self._space, rng, self._refused)

    def _is_random(self, number: int) -> bool:
        """Whether one of the first is random in any case: two that show what the default is worth, and each third.

        Numbers are counted behind those of what was enqueued, which nobody drew.
        """
        own = number - self._enqueued
        return own > 0 and (own < 3 or own % 3 == 0)

    def _ordered(self) -> list[Member[F]]:
        """Return the population, best first."""
        order = self._ranking.fronts if self._several else self._ranking.sorted
        return [self._members[number] for number in order(self._population)]


def _key(configuration: Searchable) -> tuple[object, ...]:
    return tuple(configuration.decisions())
