"""The laws of the language, for families and narrowings that nobody thought of: Hypothesis makes them up."""

from __future__ import annotations

import json
import random
from collections import Counter
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces.base import same
from search_spaces.domains import Domain, FloatRange, IntRange, Leaf, Options, Sequence, SpaceError, Variant
from search_spaces.language import Searchable, Space
from search_spaces.narrowing import every_path, generic
from search_spaces.storing import space_overrides_from_dict, space_overrides_to_dict
from search_spaces.variation import crossover, mutate, rearrange, replay, sample

scalars = st.sampled_from([None, True, False, 0, 1, 2, 1.0, 0.5, "a", "b", ""])
sizes = st.integers(0, 3)


@st.composite
def leaves(draw) -> Leaf:
    match draw(st.sampled_from(["int", "float", "options"])):
        case "int":
            multiple, low, width = draw(st.integers(1, 3)), draw(st.integers(1, 9)), draw(sizes)
            return IntRange(low * multiple, (low + width) * multiple, draw(st.booleans()), multiple)
        case "float":
            low = draw(st.floats(0.5, 2))
            return FloatRange(low, low + draw(st.floats(0, 2)), draw(st.booleans()))
        case _:
            values = draw(st.lists(scalars, min_size=1, max_size=4, unique_by=lambda value: (type(value), value)))
            return Options(tuple(values), draw(st.booleans()))


@st.composite
def domains(draw, depth: int, numbers: count) -> Domain:
    if depth == 0 or draw(st.booleans()):
        return draw(leaves())
    if draw(st.booleans()):
        variants = draw(st.lists(families(depth - 1, numbers), min_size=1, max_size=3))
        return Variant(tuple(variants))
    low = draw(sizes)
    return Sequence(draw(domains(depth - 1, numbers)), IntRange(low, low + draw(sizes), default=low))


@st.composite
def families(draw, depth: int = 2, numbers: count | None = None) -> type[Searchable]:
    numbers = count() if numbers is None else numbers
    own = {name: draw(domains(depth, numbers)) for name in ("x", "y", "length")[: draw(st.integers(1, 3))]}
    return type(f"Family{next(numbers)}", (Searchable,), {"__annotations__": dict.fromkeys(own, "object"), **own})


@st.composite
def narrower(draw, domain: Domain) -> Domain:
    """Draw something that lies inside a domain."""
    if isinstance(domain, Variant):
        chosen = draw(st.lists(st.sampled_from(domain.families), min_size=1, unique=True))
        return Variant(tuple(chosen), chosen[0]() if draw(st.booleans()) else None)
    assert isinstance(domain, Leaf)
    u, v = sorted((draw(st.floats(0, 1)), draw(st.floats(0, 1))))
    low, high = domain.from_unit(u), domain.from_unit(v)
    if isinstance(domain, Options):
        chosen = draw(st.lists(st.sampled_from(domain.values), min_size=1, unique_by=lambda value: (type(value), value)))
        return Options(tuple(chosen))
    if draw(st.booleans()):
        return Options((low,) if low == high else (high, low))
    stated = low if draw(st.booleans()) else None
    return IntRange(low, high, default=stated) if isinstance(domain, IntRange) else FloatRange(low, high, default=stated)


@st.composite
def spaces(draw) -> Space[Searchable]:
    family = draw(families())
    paths = dict(every_path(family, "", lambda _, domain: domain, everything=True))
    leaf_kinds = {path: domain for path, domain in paths.items() if not path.endswith("/kind")}
    chosen = draw(st.lists(st.sampled_from(sorted(leaf_kinds)), max_size=4, unique=True))
    overrides = {path: draw(narrower(leaf_kinds[path])) for path in chosen}
    try:
        return Space(family, {generic(path): domain for path, domain in overrides.items()})
    except SpaceError:  # the bounds of one position don't fit another
        return Space(family, overrides)


whole_spaces = families().map(Space)
seeds = st.integers(0, 2**32).map(random.Random)
few = settings(max_examples=60)


def changed(a: Searchable, b: Searchable) -> list[str]:
    """Return the paths of the shared decisions that differ."""
    x, y = dict(a.decisions()), dict(b.decisions())
    return [path for path in x.keys() & y.keys() if not same(x[path], y[path])]


def pool(*members: Searchable) -> set[tuple[str, type, object]]:
    """Return all decisions of members, without the positions of items and the lengths of tuples."""
    return {(generic(path), type(value), value) for member in members for path, value in member.decisions()}


@few
@given(spaces(), seeds)
def test_replay_inverts_decisions(space, rng):
    member = sample(space, rng)
    assert replay(space, dict(member.decisions())) == member


@few
@given(spaces(), seeds)
def test_draw_asks_for_the_decisions_in_their_order(space, rng):
    asked = []

    def choose(path, leaf):
        asked.append(path)
        return leaf.sample(rng)

    assert [path for path, _ in space.draw(choose).decisions()] == asked


@few
@given(spaces(), seeds)
def test_json_round_trip(space, rng):
    member = sample(space, rng)
    assert space.family.from_dict(json.loads(json.dumps(member.to_dict()))) == member


@few
@given(spaces(), seeds)
def test_no_path_comes_twice_and_every_path_is_listed(space, rng):
    made = Counter(path for path, _ in sample(space, rng).decisions())
    listed = Counter(path for path, _ in every_path(space.family, "", space._narrow, everything=False))
    assert set(made.values()) <= {1}
    assert set(listed.values()) <= {1}
    assert made.keys() <= listed.keys()


@few
@given(spaces(), seeds)
def test_leaves_are_what_a_draw_is_asked(space, rng):
    known = space.leaves()

    def choose(path, leaf):
        assert known.get(path, known.get(generic(path))) == leaf
        assert leaf.default in leaf
        return leaf.sample(rng)

    space.draw(choose)


@few
@given(families())
def test_defaults_are_valid(family):
    assert Space(family).default() == family()
    assert replay(Space(family), dict(family().decisions())) == family()
    assert family.from_dict({}) == family()


@few
@given(spaces())
def test_the_default_of_a_narrowed_space_is_inside(space):
    default = space.default()
    space.check(default)
    usual = space.family()
    moved = set(changed(usual, default))
    for path, value in usual.decisions():
        assert path not in moved or path in space._narrowed or path.removesuffix("/kind") in space._narrowed, (path, value)


@few
@given(spaces(), seeds)
def test_narrowing_holds_for_draw_mutate_rearrange_and_crossover(space, rng):
    a, b = sample(space, rng), sample(space, rng)
    for member in (a, b, mutate(space, a, rng), rearrange(space, a, rng), crossover(space, a, b, rng)):
        space.check(member)
        for path, value in member.decisions():
            named = [domain for pattern, domain in space.overrides.items() if pattern in (path, generic(path))]
            if named and isinstance(named[-1], Leaf):
                assert any(value == own for own in named[-1].values) if isinstance(named[-1], Options) else value in named[-1]
            of_kind = [domain for pattern, domain in space.overrides.items() if f"{pattern}/kind" in (path, generic(path))]
            assert not of_kind or value in [family.__name__ for family in of_kind[-1].families]


@few
@given(spaces(), seeds)
def test_mutation_changes_exactly_one_shared_decision(space, rng):
    parent = sample(space, rng)
    child = mutate(space, parent, rng)
    space.check(child)
    (target,) = changed(parent, child) or [None]
    if target is None:
        assert child == parent
        assert all(len({space_leaf.from_unit(u) for u in (0.0, 1.0)}) == 1 for space_leaf in asked_leaves(space, parent))
    else:
        opened = dict(child.decisions()).keys() ^ dict(parent.decisions()).keys()
        assert all(path.startswith(target.rpartition("/")[0]) for path in opened)
        assert not opened or target.endswith(("/kind", "/length"))


def asked_leaves(space, member):
    made, leaves = dict(member.decisions()), []

    def choose(path, leaf):
        leaves.append(leaf)
        return made[path]

    space.draw(choose)
    return leaves


@few
@given(whole_spaces, seeds)
def test_rearranging_invents_nothing_but_one_inserted_item(space, rng):
    parent = sample(space, rng)
    child = rearrange(space, parent, rng)
    difference = len(dict(child.decisions())) - len(dict(parent.decisions()))
    invented = {path for path, _, _ in pool(child) - pool(parent) if not path.endswith("/length")}
    assert difference > 0 or not invented
    if child == parent:
        assert all(len(set(value)) <= 1 for value in vars(parent).values() if isinstance(value, tuple))


@few
@given(spaces(), seeds)
def test_crossover_invents_nothing(space, rng):
    a, b = sample(space, rng), sample(space, rng)
    child = crossover(space, a, b, rng)
    space.check(child)
    assert pool(child) <= pool(a, b)


@few
@given(spaces(), seeds)
def test_crossing_a_member_with_itself_gives_the_member(space, rng):
    member = sample(space, rng)
    assert crossover(space, member, member, rng) == member


@few
@given(spaces(), st.integers(0, 2**32))
def test_the_same_seed_gives_the_same_family_tree(space, seed):
    def descend():
        rng = random.Random(seed)
        a, b = sample(space, rng), sample(space, rng)
        return crossover(space, mutate(space, a, rng), rearrange(space, b, rng), rng)

    assert descend() == descend()


@few
@given(spaces())
def test_a_space_is_json(space):
    data = json.loads(json.dumps(space_overrides_to_dict(space)))
    stored = Space(space.family, space_overrides_from_dict(data, space.family))
    assert stored == space
    assert list(stored.overrides) == list(space.overrides)
    assert stored.leaves() == space.leaves()
    assert stored.default() == space.default()


@few
@given(spaces(), seeds)
def test_equal_members_have_equal_hashes(space, rng):
    member = sample(space, rng)
    twin = replay(space, dict(member.decisions()))
    assert member == twin
    assert hash(member) == hash(twin)
    assert len({member, twin}) == 1


@few
@given(whole_spaces, seeds)
def test_members_are_frozen(space, rng):
    member = sample(space, rng)
    with pytest.raises(AttributeError):
        member.x = 3
