"""A user's guess of good values, which fades with evidence: a suggester around any other.

The space's default is moved to the guess, so the first configuration tries it. Of the later ones a share has the guessed
decisions drawn near the guess, while all others are the inner suggester's. As in PriorBand (Mallik et al. 2023, "PriorBand:
practical hyperparameter optimization in the age of deep learning", section 5) the share falls with the number of observations
and with how configurations near the guess compare with the others. Unlike there it is one factor for each, without brackets:
`SHARE * 2 ** (-observed / HALF) * trust`, where trust is 1 while those near the guess do at least as well as the others, and
falls to 0 where they are always worse. The inner suggester learns from all, so a good guess remains through what it has learned.
"""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Mapping
from typing import Any, Generic, cast

from automl.strategies.base import F, Plan, Result, Suggester
from automl.strategies.ranking import Trace, ranked
from search_spaces.base import Infeasible, Leaf, Scalar, SpaceError, nearest, same
from search_spaces.language import Space
from search_spaces.narrowing import every_path, names
from search_spaces.variation import ordered

__all__ = ["Guided", "guesses", "space_with_guess"]

SHARE = 0.5  # of the suggestions, before anything was observed
HALF = 20  # observations that halve it
LEAST = 0.01  # below it the guess is forgotten
SPREAD = 0.1  # standard deviation around a guess, on the scale of its leaf
NEAR = 2 * SPREAD
KEPT = 0.8  # how often a guess of unordered options is kept
COMPARED = 3  # configurations near the guess, and others, before they are compared
TRIES = 5


def guesses(space: Space[F], prior: Mapping[str, Scalar]) -> dict[str, Leaf]:
    """Return the leaves that a prior speaks of by their path, each with the guess as its default.

    prior: values by path, or by glob as in a `Space` (`*/lr`; `length` and `kind` are named in full); the last that names a path
    counts. A glob leaves out leaves that don't hold its value. Raises `SpaceError` for a path that the space doesn't have, for a
    glob that names nothing but wildcards, and for a value that no leaf at its path holds.
    """
    found: dict[str, Leaf] = {}
    paths = every_path(space.family, "", space.searched, everything=False)
    leaves = {path: cast(Leaf, space.searched(path, domain)) for path, domain in paths if isinstance(domain, Leaf)}
    for pattern, value in prior.items():
        if not pattern.strip("*?/"):
            raise SpaceError(f"prior: a pattern must name a decision, such as '*/lr', got {pattern!r}")
        named = {path: leaf for path, leaf in leaves.items() if names(pattern, path)}
        if not named:
            known = {f"*/{path.rpartition('/')[2]}" for path in leaves} if "*" in pattern else set(leaves)
            why = _unsearched(pattern, leaves)
            raise SpaceError(f"prior: {space.family.__name__} has no decision at {pattern!r}{why or nearest(pattern, known)}")
        held = {path: leaf for path, leaf in named.items() if leaf.typed(value) in leaf}
        if not held:
            leaf = next(iter(named.values()))
            raise SpaceError(f"prior: {pattern} must be {leaf.describe()}, got {value!r}{leaf.hint(value)}")
        found |= {
            path: cast(Leaf, dataclasses.replace(cast(Any, leaf), default=leaf.typed(value))) for path, leaf in held.items()
        }
    return found


def _unsearched(pattern: str, leaves: Mapping[str, Leaf]) -> str:
    """Return that a path is of a family that isn't searched, or an empty string."""
    parts = pattern.split("/")
    for i in range(1, len(parts) - 1):
        parent, family = "/".join(parts[:i]), parts[i]
        kinds = leaves.get(f"{parent}/kind")
        if kinds is not None and family not in kinds:
            return f": {family!r} isn't searched here; {parent}/kind must be {kinds.describe()}{kinds.hint(family)}"
    return ""


def space_with_guess(space: Space[F], prior: Mapping[str, Scalar]) -> Space[F]:
    """Return the same space with the guess as its default. Raises `SpaceError` as `guesses`."""
    return Space(space.family, {**space.overrides, **guesses(space, prior)})


class Guided(Generic[F]):
    """A suggester that follows another one, and a user's guess as long as it is worth it (see the top of this module).

    space: that of `space_with_guess`. The inner suggester has the one without, so a wrong guess doesn't move what it begins with.
    """

    def __init__(self, suggester: Suggester[F], space: Space[F], plan: Plan[F]) -> None:
        self._suggester = suggester
        self._space = space
        self._seed = plan.seed
        self._guesses = guesses(space, plan.prior)
        self._near: set[int] = set()
        self._traces: dict[int, Trace] = {}
        self._refused: Counter[str] = Counter()

    @property
    def infeasible(self) -> int:
        """How many draws made no network and were drawn again."""
        return self._suggester.infeasible + self._refused.total()

    @property
    def share(self) -> float:
        """Which share of the next suggestions follows the guess."""
        share = SHARE * 0.5 ** (len(self._traces) / HALF)
        return share * self._trust() if share >= LEAST else 0.0

    def suggest(self, number: int) -> F:
        """Return a configuration. Raises `Infeasible` where a bounded number of draws made no network."""
        rng = random.Random(f"prior/{self._seed}/{number}")
        suggested = self._suggester.suggest(number)
        if rng.random() >= self.share:
            return suggested
        made = dict(suggested.decisions())

        def choose(path: str, leaf: Leaf) -> Scalar:
            if path in self._guesses:
                return _drawn_near(self._guesses[path], rng)
            return made[path] if path in made and made[path] in leaf else leaf.sample(rng)

        for _ in range(TRIES):
            try:
                return self._space.draw(choose)
            except Infeasible as error:
                self._refused[str(error)] += 1
        return suggested

    def begin(self, number: int, configuration: F) -> None:
        """Learn that a configuration is being trained, and whether it is near the guess."""
        guessed = [(self._guesses[path], value) for path, value in configuration.decisions() if path in self._guesses]
        if guessed and all(_is_near(leaf, value) for leaf, value in guessed):
            self._near.add(number)
        self._suggester.begin(number, configuration)

    def observe(self, result: Result[F]) -> None:
        """Learn from a result."""
        trace = self._traces.setdefault(result.proposal.number, Trace())
        trace.ended = trace.ended or result.ended
        if result.loss is None:
            trace.failed = True
        else:
            trace.losses[result.proposal.stop] = result.loss
        self._suggester.observe(result)

    def _trust(self) -> float:
        """Return how often one near the guess is better than one of the others, twice, squared; at most 1. Failures are worst."""
        ranking = ranked(self._traces)
        order = [*ranking, *sorted(self._traces.keys() - set(ranking))]
        near = [place for place, number in enumerate(order) if number in self._near]
        others = len(order) - len(near)
        if min(len(near), others) < COMPARED:
            return 1.0
        wins = sum(others - (place - ahead) for ahead, place in enumerate(near))
        return min(1.0, 2 * wins / (len(near) * others)) ** 2


def _drawn_near(leaf: Leaf, rng: random.Random) -> Scalar:
    """Return a value near the leaf's default, which is the guess."""
    if not ordered(leaf):
        return cast(Scalar, leaf.default) if rng.random() < KEPT else leaf.sample(rng)
    return leaf.from_unit(min(max(rng.gauss(leaf.to_unit(leaf.default), SPREAD), 0.0), 1.0))


def _is_near(leaf: Leaf, value: Scalar) -> bool:
    if ordered(leaf):
        return abs(leaf.to_unit(value) - leaf.to_unit(leaf.default)) <= NEAR
    return same(value, leaf.default)
