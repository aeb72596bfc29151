"""Ways to get one configuration from others: choosers over the language, a few lines each.

Everything here takes the `Space` (a child never leaves it) and a `random.Random` (there is no other source of chance). `mutate`
changes one decision; `rearrange` moves whole items of a tuple; `crossover` aligns the items of two tuples by kind and order, so
that one inserted block doesn't tear the rest apart. Values of a parent that lie outside of the space are drawn anew.

A draw that raises `Infeasible` is made again, at most `REDRAWS` times; `refused` counts the reasons, so that a search can
report them.
"""

from __future__ import annotations

import difflib
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeAlias, TypeVar

from search_spaces.domains import (
    Chooser,
    Domain,
    FloatRange,
    Infeasible,
    IntRange,
    Leaf,
    Options,
    Scalar,
    Sequence,
    SpaceError,
    Variant,
    nearest,
    same,
)
from search_spaces.language import Searchable, Space

__all__ = ["REDRAWS", "crossover", "default_of", "keeping", "mutate", "neighbour", "ordered", "rearrange", "replay", "sample"]

REDRAWS = 100
STEP = 0.15  # standard deviation of a step, as a share of the leaf's range on its own scale
TRIES = 16

F = TypeVar("F", bound=Searchable)
Decisions: TypeAlias = "Mapping[str, Scalar]"
Refused: TypeAlias = "Counter[str] | None"
Items: TypeAlias = "tuple[Any, ...]"
Move: TypeAlias = Literal["insert", "remove", "duplicate", "swap"]


def sample(space: Space[F], rng: random.Random, refused: Refused = None) -> F:
    """Draw every decision at random. Raises `Infeasible` when `REDRAWS` draws in a row were."""
    return _feasible(lambda: space.draw(lambda _, leaf: leaf.sample(rng)), refused)


def default_of(space: Space[F]) -> F | None:
    """Return the space's default; None where the space was narrowed to one that makes no network."""
    try:
        return space.default()
    except Infeasible:
        return None


def replay(space: Space[F], decisions: Decisions) -> F:
    """Build the member that these decisions lead to: the inverse of `decisions()`.

    Raises `SpaceError` naming the path of a decision that is missing, unknown or outside of the space, and whatever
    the family's `__post_init__` raises.
    """
    left = dict(decisions)

    def choose(path: str, _: Leaf) -> Scalar:
        if path not in left:
            raise SpaceError(f"{path} is missing from the decisions{nearest(path, left)}")
        return left.pop(path)

    member = space.draw(choose)
    for path in left:
        raise SpaceError(f"{path} is not a decision here{nearest(path, dict(member.decisions()))}")
    return member


def keeping(made: Decisions, rng: random.Random) -> Chooser:
    """Return the chooser that keeps these decisions where the space admits them, and draws all others."""
    return lambda path, leaf: made[path] if path in made and made[path] in leaf else leaf.sample(rng)


def mutate(space: Space[F], parent: F, rng: random.Random, refused: Refused = None) -> F:
    """Change one decision, draw what it opens, keep all others.

    Numbers and ordered options move a step on their own scale (a log step for a log range) or are drawn anew, half of
    the time each. Returns the parent where nothing can change. Raises `Infeasible` when `REDRAWS` changes in a row were.
    """
    parent, leaves = _moved_inside(space, parent, rng, refused)
    made = dict(parent.decisions())
    targets = [path for path, leaf in leaves.items() if not same(neighbour(leaf, made[path], rng), made[path])]
    if not targets:
        return parent

    def change() -> F:
        target = rng.choice(targets)
        changed = {**made, target: neighbour(leaves[target], made[target], rng)}
        return space.draw(keeping(changed, rng))

    return _feasible(change, refused)


def ordered(leaf: Leaf) -> bool:
    """Return whether neighbours in the leaf are alike: numbers and ordered options."""
    return isinstance(leaf, IntRange | FloatRange) or (isinstance(leaf, Options) and leaf.ordered)


def neighbour(leaf: Leaf, value: Scalar, rng: random.Random, step: float = STEP, fresh: float = 1 / 2) -> Scalar:
    """Return another value of the leaf: near `value` where order means something, else any.

    step: standard deviation, as a share of the leaf's range on its own scale; a step that leads beyond an end leads to that end,
    where the best value often lies. fresh: how often any value is drawn all the same. Returns `value` itself where the leaf holds
    nothing else.
    """
    near = ordered(leaf) and rng.random() < 1 - fresh
    for _ in range(TRIES):
        u = min(max(rng.gauss(leaf.to_unit(value), step), 0.0), 1.0) if near else rng.random()
        new = leaf.from_unit(u)
        if not same(new, value):
            return new
    ends = (leaf.from_unit(0.0), leaf.from_unit(1.0))
    return next((end for end in ends if not same(end, value)), value)


def rearrange(space: Space[F], parent: F, rng: random.Random, refused: Refused = None) -> F:
    """Insert a new item into a tuple, or remove, duplicate or swap items, and keep the values of all others.

    Returns the parent where no tuple can change. Raises `Infeasible` when `REDRAWS` moves in a row were.
    """
    parent, leaves = _moved_inside(space, parent, rng, refused)
    made = dict(parent.decisions())
    moves = [
        (path, items, move) for path, items in _tuples(parent, "") for move in _possible_moves(items, leaves[f"{path}/length"])
    ]
    if not moves:
        return parent

    def rearranged() -> F:
        path, items, move = rng.choice(moves)
        return space.draw(keeping(_renumbered(made, path, _order(move, items, rng)), rng))

    return _feasible(rearranged, refused)


def crossover(space: Space[F], first: F, second: F, rng: random.Random, refused: Refused = None) -> F:
    """Take each decision from a random parent, after aligning the items of tuples by kind and order.

    A tuple has the length of one parent; each of its items is crossed with its counterpart in the other. No value comes from
    elsewhere: where an item doesn't fit its new position in a space that differs by position, decisions are aligned by
    position instead. Raises `Infeasible` when `REDRAWS` children in a row were.
    """
    first, _ = _moved_inside(space, first, rng, refused)
    second, _ = _moved_inside(space, second, rng, refused)
    parents = dict(first.decisions()), dict(second.decisions())

    def crossed() -> F:
        child = dict(_crossed_fields(first, second, "", rng))
        try:
            return space.draw(lambda path, _: child[path])
        except SpaceError:
            return space.draw(lambda path, _: rng.choice([made[path] for made in parents if path in made]))

    return _feasible(crossed, refused)


def _feasible(make: Callable[[], F], refused: Refused) -> F:
    reason = Infeasible()
    for _ in range(REDRAWS):
        try:
            return make()
        except Infeasible as error:
            reason = error
            if refused is not None:
                refused[str(error)] += 1
    raise Infeasible(f"{REDRAWS} draws in a row were infeasible; the last one: {reason}") from reason


def _moved_inside(space: Space[F], member: F, rng: random.Random, refused: Refused) -> tuple[F, dict[str, Leaf]]:
    """Return the member with all decisions inside the space, and the leaf of each of them."""
    keep = keeping(dict(member.decisions()), rng)
    leaves: dict[str, Leaf] = {}

    def choose(path: str, leaf: Leaf) -> Scalar:
        leaves[path] = leaf
        return keep(path, leaf)

    inside = _feasible(lambda: space.draw(choose), refused)
    return inside, {path: leaves[path] for path, _ in inside.decisions()}


def _tuples(member: Searchable, path: str) -> Iterator[tuple[str, Items]]:
    """Yield the path and items of every tuple in a member, outer ones first."""
    prefix = f"{path}/" if path else ""
    for name, domain in member.domains.items():
        yield from _tuples_of(domain, getattr(member, name), prefix + name)


def _tuples_of(domain: Domain, value: Any, path: str) -> Iterator[tuple[str, Items]]:
    if isinstance(domain, Sequence):
        yield path, value
        for i, item in enumerate(value):
            yield from _tuples_of(domain.item, item, f"{path}/{i}")
    elif isinstance(domain, Variant):
        yield from _tuples(value, domain.inner(path, type(value).__name__))


def _possible_moves(items: Items, lengths: Leaf) -> list[Move]:
    moves: list[Move] = []
    if len(items) + 1 in lengths:
        moves += ["insert", "duplicate"] if items else ["insert"]
    if len(items) - 1 in lengths:
        moves.append("remove")
    if _unequal_pairs(items):
        moves.append("swap")
    return moves


def _unequal_pairs(items: Items) -> list[tuple[int, int]]:
    return [(i, j) for j in range(len(items)) for i in range(j) if items[i] != items[j]]


def _order(move: Move, items: Items, rng: random.Random) -> list[int | None]:
    """Return the old position of each item after a move; None is a new item."""
    order: list[int | None] = list(range(len(items)))
    if move == "insert":
        order.insert(rng.randint(0, len(items)), None)
    elif move == "swap":
        i, j = rng.choice(_unequal_pairs(items))
        order[i], order[j] = j, i
    else:
        i = rng.randrange(len(items))
        order[i : i + 1] = [i, i] if move == "duplicate" else []
    return order


def _renumbered(made: Decisions, path: str, order: list[int | None]) -> dict[str, Scalar]:
    """Return the decisions after the items of the tuple at `path` were put into a new order."""
    moved = {key: value for key, value in made.items() if not key.startswith(f"{path}/")}
    moved[f"{path}/length"] = len(order)
    for new, old in enumerate(order):
        for key, value in made.items():
            if key == f"{path}/{old}" or key.startswith(f"{path}/{old}/"):
                moved[f"{path}/{new}{key.removeprefix(f'{path}/{old}')}"] = value
    return moved


def _crossed_fields(a: Searchable, b: Searchable, path: str, rng: random.Random) -> Iterator[tuple[str, Scalar]]:
    prefix = f"{path}/" if path else ""
    for name, domain in a.domains.items():
        yield from _crossed(domain, (getattr(a, name), getattr(b, name)), prefix + name, rng)


def _crossed(domain: Domain, pair: tuple[Any, Any], path: str, rng: random.Random) -> Iterator[tuple[str, Scalar]]:
    """Yield the decisions of a value crossed from a pair of values of one domain."""
    base, other = rng.sample(pair, 2)
    if isinstance(domain, Sequence):
        yield f"{path}/length", len(base)
        for i, counterpart in enumerate(_aligned(base, other)):
            yield from _crossed(domain.item, (base[i], counterpart), f"{path}/{i}", rng)
    elif isinstance(domain, Variant) and type(base) is type(other):
        name = type(base).__name__
        if not domain.is_fixed:
            yield f"{path}/kind", name
        yield from _crossed_fields(base, other, domain.inner(path, name), rng)
    else:
        yield from domain.walk(base, path)


def _aligned(base: Items, other: Items) -> list[Any]:
    """Return for each item of `base` its counterpart in `other`, or the item itself where it has none."""
    counterparts = list(base)
    kinds, other_kinds = ([type(item).__name__ for item in items] for items in (base, other))
    matcher = difflib.SequenceMatcher(None, kinds, other_kinds, autojunk=False)
    for _, start, stop, other_start, other_stop in matcher.get_opcodes():
        width = min(stop - start, other_stop - other_start)
        counterparts[start : start + width] = other[other_start : other_start + width]
    return counterparts
