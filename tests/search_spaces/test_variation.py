"""Variation by example: steps, moves of whole items, alignment and infeasible draws. The laws are in test_laws."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest

from search_spaces.domains import FloatRange, Infeasible, IntRange, Options, SpaceError
from search_spaces.language import Choice, Float, Int, OneOf, Repeat, Searchable, Space
from search_spaces.variation import REDRAWS, crossover, mutate, neighbour, rearrange, replay, sample


class Plain(Searchable):
    width: int = Int(1, 1000, log=True)


class Residual(Searchable):
    width: int = Int(1, 1000, log=True)
    expansion: float = Float(1.0, 4.0)


class Network(Searchable):
    activation: str = Choice("relu", "gelu", "silu")
    blocks: tuple[Plain | Residual, ...] = Repeat(OneOf(Plain, Residual), 1, 5)


class Even(Searchable):
    """Feasible where both numbers have the same parity."""

    first: int = Int(0, 99)
    second: int = Int(0, 99)

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.first - self.second) % 2:
            raise Infeasible("both must be odd or both even")


class Never(Searchable):
    """Infeasible but for its default."""

    number: int = Int(0, 10**6, default=7)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.number != 7:
            raise Infeasible(f"number must be {7}")


SPACE = Space(Network)
P, R = Plain, Residual


def network(*blocks):
    return Network(blocks=blocks)


# ---------------------------------------------------------------------------------------------------------------- replay
@pytest.mark.parametrize(
    ("decisions", "text"),
    [
        ({"activation": "relu", "blocks/length": 1}, "blocks/0/kind is missing from the decisions"),
        ({"activaton": "relu"}, "activation is missing from the decisions; did you mean 'activaton'?"),
        (
            {"activation": "relu", "blocks/length": 1, "blocks/0/kind": "Plain", "blocks/0/Plain/width": 0},
            "blocks/0/Plain/width must be an int in [1, 1000], got 0; the nearest is 1",
        ),
        (
            {"activation": "relu", "blocks/length": 1, "blocks/0/kind": "Pln"},
            "blocks/0/kind must be one of 'Plain', 'Residual', got 'Pln'; did you mean 'Plain'?",
        ),
        (
            {
                "activation": "relu",
                "blocks/length": 1,
                "blocks/0/kind": "Plain",
                "blocks/0/Plain/width": 8,
                "blocks/1/kind": "Plain",
            },
            "blocks/1/kind is not a decision here; did you mean 'blocks/0/kind'?",
        ),
    ],
)
def test_replay_says_what_is_wrong_with_the_decisions(decisions, text):
    with pytest.raises(SpaceError) as error:
        replay(SPACE, decisions)
    assert str(error.value) == text


# ----------------------------------------------------------------------------------------------------------------- steps
def test_a_neighbour_differs_from_the_value():
    rng = random.Random(0)
    leaves = [
        IntRange(1, 2),
        IntRange(1, 10**9, log=True),
        FloatRange(0, 1),
        Options((True, 1)),
        Options((1, 2, 3), ordered=True),
    ]
    for leaf in leaves:
        value = leaf.default
        for _ in range(300):
            new = neighbour(leaf, value, rng)
            assert new in leaf
            assert (type(new), new) != (type(value), value)
            value = new


def test_the_neighbour_of_a_lonely_value_is_itself():
    assert [neighbour(leaf, 3, random.Random(0)) for leaf in (IntRange(3, 3), Options((3,)))] == [3, 3]
    assert neighbour(FloatRange(2, 2), 2.0, random.Random(0)) == 2.0


def test_numbers_step_on_their_own_scale_as_often_as_they_are_drawn_anew():
    rng, leaf = random.Random(0), FloatRange(1e-6, 1.0, log=True)
    decades = [abs(math.log10(neighbour(leaf, 1e-3, rng) / 1e-3)) for _ in range(2000)]
    assert 0.48 < sum(size < 1 for size in decades) / 2000 < 0.58  # 0.73 of the steps, 1/3 of the fresh draws
    assert sum(size > 2.5 for size in decades) > 100


def test_ordered_options_step_to_their_neighbours_more_often():
    rng, values = random.Random(0), tuple(range(16))
    near = Counter(neighbour(Options(values, ordered=True), 8, rng) for _ in range(2000))
    any_other = Counter(neighbour(Options(values), 8, rng) for _ in range(2000))
    assert near[7] + near[9] > 1.4 * (any_other[7] + any_other[9])
    assert set(near) == set(any_other) == set(values) - {8}


# -------------------------------------------------------------------------------------------------------------- mutation
def test_a_mutated_length_keeps_the_other_items():
    rng, parent = random.Random(0), network(P(width=1), R(width=2, expansion=1.0), P(width=3))
    longer = shorter = False
    for _ in range(300):
        child = mutate(SPACE, parent, rng)
        if len(child.blocks) != 3:
            kept = min(len(child.blocks), 3)
            assert child.blocks[:kept] == parent.blocks[:kept]
            longer, shorter = longer or len(child.blocks) > 3, shorter or len(child.blocks) < 3
    assert longer
    assert shorter


def test_a_parent_outside_of_the_space_is_moved_inside():
    narrow = Space(Network, {"activation": "gelu", "blocks/length": Int(1, 2), "*/width": Int(10, 20)})
    rng, parent = random.Random(0), network(*[P(width=15)] * 4)
    for _ in range(50):
        for child in (mutate(narrow, parent, rng), rearrange(narrow, parent, rng), crossover(narrow, parent, parent, rng)):
            narrow.check(child)


def test_where_nothing_can_change_the_parent_comes_back():
    fixed = Space(Network, {"activation": "relu", "blocks/length": 1, "blocks/0": OneOf(Plain), "*/width": 8})
    parent, rng = fixed.default(), random.Random(0)
    assert mutate(fixed, parent, rng) == parent
    assert rearrange(fixed, parent, rng) == parent
    assert crossover(fixed, parent, parent, rng) == parent


# --------------------------------------------------------------------------------------------------------- moving of items
def test_items_are_inserted_removed_duplicated_and_swapped():
    rng = random.Random(0)
    a, b, c = P(width=1), R(width=2, expansion=1.0), P(width=3)
    parent = network(a, b, c)
    seen = Counter()
    for _ in range(600):
        child = rearrange(SPACE, parent, rng)
        assert child != parent
        assert child.activation == parent.activation
        if len(child.blocks) == 3:
            seen["swapped"] += 1
            assert sorted(map(repr, child.blocks)) == sorted(map(repr, parent.blocks))
        elif len(child.blocks) == 2:
            seen["removed"] += 1
            assert child.blocks in {(b, c), (a, c), (a, b)}
        elif child.blocks in {(a, a, b, c), (a, b, b, c), (a, b, c, c)}:
            seen["duplicated"] += 1
        else:
            seen["inserted"] += 1
            assert any(child.blocks[:i] + child.blocks[i + 1 :] == parent.blocks for i in range(4))
    assert min(seen.values()) > 80
    assert set(seen) == {"inserted", "removed", "duplicated", "swapped"}


def test_moves_respect_the_length():
    three = Space(Network, {"blocks/length": 3})
    rng, parent = random.Random(0), network(P(width=1), P(width=2), P(width=3))
    assert all(len(rearrange(three, parent, rng).blocks) == 3 for _ in range(100))
    some = Space(Network, {"blocks/length": Choice(1, 3, 5)})
    assert all(len(rearrange(some, parent, rng).blocks) == 3 for _ in range(100))


def test_items_of_inner_tuples_are_moved_too():
    class Stage(Searchable):
        widths: tuple[int, ...] = Repeat(Int(1, 9), 0, 12)

    class Deep(Searchable):
        stages: tuple[Stage, ...] = Repeat(OneOf(Stage), 1, 12)

    space, rng = Space(Deep), random.Random(0)
    parent = Deep(stages=tuple(Stage(widths=(i, i + 1)) for i in range(1, 6)))
    children = [rearrange(space, parent, rng) for _ in range(200)]
    assert any(len(child.stages) == 5 and {len(stage.widths) for stage in child.stages} == {2, 3} for child in children)
    assert any(sorted(map(hash, child.stages)) == sorted(map(hash, parent.stages)) for child in children)
    grown = Deep(stages=tuple(Stage(widths=(i,)) for i in range(1, 10)) + (Stage(widths=()),) * 3)
    for child in (rearrange(space, grown, rng) for _ in range(200)):  # position 1 isn't a prefix of position 10
        assert len(child.stages) in (11, 12)


# -------------------------------------------------------------------------------------------------------------- crossover
def test_an_inserted_item_does_not_tear_the_others_apart():
    rng = random.Random(0)
    first = network(P(width=10), P(width=20))
    second = network(R(width=30, expansion=2.0), P(width=11), P(width=21))
    seen = set()
    for _ in range(200):
        child = crossover(SPACE, first, second, rng)
        plain = [block.width for block in child.blocks if isinstance(block, Plain)]
        assert plain[0] in (10, 11)
        assert plain[1] in (20, 21)
        assert [type(block) for block in child.blocks] in ([P, P], [R, P, P])
        seen.add((len(child.blocks), *plain))
    assert len(seen) == 8


def test_unlike_items_between_aligned_ones_are_exchanged_whole():
    rng = random.Random(0)
    first = network(P(width=10), P(width=20), R(width=30, expansion=1.0))
    second = network(P(width=11), R(width=21, expansion=3.0), R(width=31, expansion=2.0), R(width=32, expansion=4.0))
    for _ in range(200):
        child = crossover(SPACE, first, second, rng)
        assert len(child.blocks) in (3, 4)
        for block in child.blocks:
            assert (block.width < 30) or isinstance(block, Residual)


def test_crossover_falls_back_to_positions_where_these_differ():
    space = Space(Network, {"blocks/0/*/width": Int(1, 9), "blocks/[1-4]/*/width": Int(10, 99)})
    rng = random.Random(0)
    for _ in range(200):
        a, b = sample(space, rng), sample(space, rng)
        child = crossover(space, a, b, rng)
        space.check(child)
        widths = {block.width for parent in (a, b) for block in parent.blocks}
        assert {block.width for block in child.blocks} <= widths


# ------------------------------------------------------------------------------------------------------------- infeasible
def test_infeasible_draws_are_made_again_and_counted():
    space, rng, refused = Space(Even), random.Random(0), Counter()
    members = [sample(space, rng, refused) for _ in range(50)]
    for vary in (mutate, rearrange):
        assert isinstance(vary(space, members[0], rng, refused), Even)
    assert isinstance(crossover(space, members[0], members[1], rng, refused), Even)
    assert set(refused) == {"both must be odd or both even"}
    assert 20 < refused.total() < 150


def test_draws_that_never_succeed_end_with_the_reason():
    space, refused = Space(Never), Counter()
    text = f"{REDRAWS} draws in a row were infeasible; the last one: number must be 7"
    with pytest.raises(Infeasible, match=f"^{text}$"):
        sample(space, random.Random(0), refused)
    assert refused == {"number must be 7": REDRAWS}
    with pytest.raises(Infeasible, match=f"^{text}$"):
        mutate(space, Never(), random.Random(0))
    assert crossover(space, Never(), Never(), random.Random(0)) == Never()
