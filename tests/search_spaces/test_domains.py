"""Leaves and composite domains: what they hold, how they map to the unit interval, and what their errors say."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.base import is_number, plain, same
from search_spaces.domains import FloatRange, IntRange, Leaf, Options, Sequence, SpaceError, Variant, nearest
from search_spaces.language import Choice, Float, Int, OneOf, Repeat, Searchable


class Thin(Searchable):
    width: int = Int(1, 8)


class Thick(Searchable):
    width: int = Int(8, 64)


class Stack(Searchable):
    items: tuple[Thin | Thick, ...] = Repeat(OneOf(Thin, Thick), 1, 3)
    one: Thin = OneOf(Thin)


@st.composite
def int_ranges(draw):
    multiple = draw(st.integers(1, 9))
    low = draw(st.integers(-1000, 10**6))
    high = low + draw(st.integers(0, 10**6))
    log = draw(st.booleans()) and low >= 1
    return IntRange(low * multiple, high * multiple, log=log, multiple_of=multiple)


@st.composite
def float_ranges(draw):
    log = draw(st.booleans())
    bound = st.floats(1e-300, 1e300) if log else st.floats(-1e300, 1e300)
    low, high = sorted((draw(bound), draw(bound)))
    return FloatRange(low, high, log=log)


scalars = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-5, 5) | st.text(max_size=3)
options = st.builds(
    lambda values, ordered: Options(tuple(values), ordered=ordered),
    st.lists(scalars, min_size=1, max_size=6, unique_by=lambda value: (type(value), value)),
    st.booleans(),
)
leaves = int_ranges() | float_ranges() | options
seeds = st.integers(0, 2**32).map(random.Random)


@given(leaves, seeds)
def test_a_sample_is_in_its_leaf(leaf: Leaf, rng):
    value = leaf.sample(rng)
    assert value in leaf
    assert same(leaf.checked(value, "x"), value)


@given(leaves, st.floats(0, 1))
def test_to_unit_inverts_from_unit(leaf: Leaf, u):
    value = leaf.from_unit(u)
    unit = leaf.to_unit(value)
    assert 0 <= unit <= 1
    back = leaf.from_unit(unit)
    if isinstance(leaf, FloatRange):
        assert math.isclose(back, value, rel_tol=1e-6, abs_tol=1e-9 * (leaf.high - leaf.low))
    else:
        assert same(back, value)


@given(int_ranges() | float_ranges(), st.floats(0, 1), st.floats(0, 1))
def test_the_unit_interval_keeps_the_order(leaf, u, v):
    u, v = sorted((u, v))
    assert leaf.from_unit(u) <= leaf.from_unit(v)


@given(leaves)
def test_the_unit_interval_ends_where_the_leaf_ends(leaf: Leaf):
    if isinstance(leaf, Options):
        assert [leaf.from_unit(0.0), leaf.from_unit(1.0)] == [leaf.values[0], leaf.values[-1]]
    else:
        assert [leaf.from_unit(0.0), leaf.from_unit(1.0)] == pytest.approx([leaf.low, leaf.high])


@given(leaves)
def test_the_default_is_in_the_leaf(leaf: Leaf):
    assert leaf.default in leaf
    assert not leaf.stated


@given(leaves, scalars)
def test_the_closest_value_is_in_the_leaf_and_is_the_value_itself_where_that_is_inside(leaf: Leaf, value):
    closest = leaf.closest(value)
    assert closest in leaf
    if value in leaf:
        assert closest == value
    assert leaf.with_default(value).default == closest


@given(leaves, leaves, seeds)
def test_a_narrowed_leaf_lies_inside_and_keeps_the_types(outer: Leaf, inner: Leaf, rng):
    part = outer.narrowed(inner)
    if part is not None:
        value = part.sample(rng)
        assert value in outer
        assert same(outer.checked(value, "x"), value)
        assert part.default in part


@given(leaves)
def test_a_leaf_narrows_to_itself(leaf: Leaf):
    part = leaf.narrowed(leaf)
    if isinstance(leaf, Options):
        assert part is not None
        assert part.values == leaf.values
    else:
        assert part == leaf


def test_ints_of_a_log_range_are_drawn_by_their_logarithm():
    leaf, rng = IntRange(1, 1023, log=True), random.Random(0)
    small = sum(leaf.sample(rng) < 32 for _ in range(4000))
    assert 0.46 < small / 4000 < 0.54


def test_ints_of_a_linear_range_are_equally_likely():
    leaf, rng = IntRange(8, 32, multiple_of=8), random.Random(0)
    drawn = [leaf.sample(rng) for _ in range(4000)]
    assert set(drawn) == {8, 16, 24, 32}
    assert all(0.22 < drawn.count(value) / 4000 < 0.28 for value in (8, 16, 24, 32))


def test_defaults_follow_their_rules():
    assert IntRange(0, 10).default == 5
    assert IntRange(16, 256, log=True).default == 64
    assert FloatRange(0, 1).default == 0.5
    assert FloatRange(1e-4, 1e-2, log=True).default == pytest.approx(1e-3)
    assert Options(("a", None)).default == "a"
    assert Options(("a", None), default=None).default is None
    assert IntRange(0, 10, default=3).stated


def test_true_and_1_and_1_0_are_three_decisions():
    leaf = Options((True, 1, 1.0))
    assert [leaf.index(value) for value in (True, 1, 1.0)] == [0, 1, 2]
    assert [type(leaf.from_unit(leaf.to_unit(value))) for value in (True, 1, 1.0)] == [bool, int, float]
    assert True not in Options((1, 1.0))
    assert 1 not in Options((True, 1.0))
    assert True not in IntRange(0, 1)
    assert True not in FloatRange(0, 1)
    assert 1.0 not in IntRange(0, 1)
    assert same(FloatRange(0, 1).checked(1, "x"), 1.0)


@pytest.mark.parametrize(
    ("leaf", "given_value", "taken"),
    [
        (FloatRange(0, 1), np.float64(0.5), 0.5),
        (FloatRange(0, 1), np.float32(0.5), 0.5),
        (FloatRange(0, 1), np.int64(1), 1.0),
        (IntRange(0, 9), np.int64(3), 3),
        (IntRange(0, 9), np.uint8(3), 3),
        (Options((0.5, 1)), np.float64(0.5), 0.5),
        (Options((0.5, 1)), np.int32(1), 1),
        (Options((True, 1)), np.bool_(True), True),
        (Options(("a", "b")), np.str_("b"), "b"),
    ],
)
def test_numpy_scalars_become_python_scalars(leaf: Leaf, given_value, taken):
    assert same(leaf.checked(given_value, "x"), taken)


def test_numpy_bounds_become_python_numbers():
    leaf = IntRange(np.int64(1), np.int64(9), default=np.int64(3))
    assert [type(value) for value in (leaf.low, leaf.high, leaf.default)] == [int, int, int]
    assert [type(value) for value in Options((np.float64(0.5), np.int64(1))).values] == [float, int]
    assert type(FloatRange(np.float32(0), 1).low) is float


def test_plain_leaves_other_things_alone():
    array = np.array([1, 2])
    assert plain(array) is array
    assert plain("a") == "a"
    assert not is_number(True)
    assert not is_number(math.nan)


@pytest.mark.parametrize(
    ("leaf", "value", "text"),
    [
        (IntRange(16, 512), 9999, "x must be an int in [16, 512], got 9999; the nearest is 512"),
        (IntRange(16, 512), 64.5, "x must be an int in [16, 512], got 64.5; the nearest is 64"),
        (IntRange(16, 512, multiple_of=8), 21, "x must be an int in [16, 512], a multiple of 8, got 21; the nearest is 24"),
        (IntRange(16, 512), True, "x must be an int in [16, 512], got True"),
        (IntRange(16, 512), "64", "x must be an int in [16, 512], got '64'"),
        (IntRange(16, 512), 10**400, f"x must be an int in [16, 512], got {10**400}; the nearest is 512"),
        (IntRange(16, 512), np.float64(64.0), "x must be an int in [16, 512], got 64.0; the nearest is 64"),
        (FloatRange(0.1, 0.3), 1, "x must be a float in [0.1, 0.3], got 1; the nearest is 0.3"),
        (FloatRange(0.1, 0.3), math.nan, "x must be a float in [0.1, 0.3], got nan"),
        (FloatRange(0.1, 0.3), math.inf, "x must be a float in [0.1, 0.3], got inf"),
        (Options(("relu", "gelu")), "Gelu", "x must be one of 'relu', 'gelu', got 'Gelu'; did you mean 'gelu'?"),
        (Options(("relu", "gelu")), 3, "x must be one of 'relu', 'gelu', got 3"),
        (Options((32, 64)), 70, "x must be one of 32, 64, got 70; the nearest is 64"),
        (Options((32, None)), True, "x must be one of 32, None, got True"),
    ],
)
def test_errors_name_path_rule_value_and_nearest_match(leaf: Leaf, value, text):
    with pytest.raises(SpaceError) as error:
        leaf.checked(value, "x")
    assert str(error.value) == text


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Int(3, 1), "Int: low <= high must hold, got low=3, high=1"),
        (lambda: Int(0, 1, log=True), "Int: log=True needs low >= 1, got low=0"),
        (lambda: Int(1.5, 3), "Int: low must be an int, got 1.5"),
        (
            lambda: Int(1, 3, multiple_of=2),
            "Int: low and high must be multiples of multiple_of >= 1, got low=1, high=3, multiple_of=2",
        ),
        (
            lambda: Int(1, 3, multiple_of=0),
            "Int: low and high must be multiples of multiple_of >= 1, got low=1, high=3, multiple_of=0",
        ),
        (lambda: Int(1, 3, default=7), "Int: default must be an int in [1, 3], got 7; the nearest is 3"),
        (lambda: Float(1.0, 0.0), "Float: low <= high must hold, got low=1.0, high=0.0"),
        (lambda: Float(0.0, 1.0, log=True), "Float: log=True needs low > 0, got low=0.0"),
        (lambda: Float(0.0, math.inf), "Float: high must be a finite number, got inf"),
        (lambda: Float("0", 1.0), "Float: low must be a finite number, got '0'"),
        (Choice, "Choice: options must be at least one and all different, got ()"),
        (lambda: Choice(1, 1), "Choice: options must be at least one and all different, got (1, 1)"),
        (lambda: Choice("a", ()), "Choice: options must be finite scalars (None, bool, int, float, str), got ()"),
        (lambda: Choice(math.nan), "Choice: options must be finite scalars (None, bool, int, float, str), got nan"),
        (
            lambda: Choice("relu", "gelu", default="glu"),
            "Choice: default must be one of 'relu', 'gelu', got 'glu'; did you mean 'gelu'?",
        ),
        (lambda: Repeat(3, 1, 2), "Repeat: the item must be a domain (Int, Float, Choice, OneOf, Repeat), got 3"),
        (lambda: Repeat(Int(1, 2), -1, 2), "Repeat: low >= 0 must hold, got low=-1"),
        (OneOf, "OneOf: families must be at least one, with different names, got none"),
        (lambda: OneOf(Thin, Thin), "OneOf: families must be at least one, with different names, got Thin, Thin"),
        (lambda: OneOf(int), "OneOf: families must be subclasses of Searchable, got <class 'int'>"),
        (lambda: OneOf(Thin, default=Thick()), "OneOf: default must be a member of Thin, got Thick(width=36)"),
    ],
)
def test_a_malformed_domain_is_an_error_where_it_is_written(make, text):
    with pytest.raises(SpaceError) as error:
        make()
    assert str(error.value) == text


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"items": [Thin()]}, "Stack/items must be a tuple, got [Thin(width=5)]; write tuple(...)"),
        ({"items": ()}, "Stack/items/length must be an int in [1, 3], got 0; the nearest is 1"),
        ({"items": (Thin(), 3)}, "Stack/items/1 must be a member of Thin, Thick, got 3"),
        ({"items": (Thin, Thin())}, f"Stack/items/0 must be a member of Thin, Thick, got {Thin!r}; did you mean 'Thin()'?"),
        ({"one": "Thin"}, "Stack/one must be a member of Thin, got 'Thin'; did you mean 'Thin()'?"),
    ],
)
def test_errors_of_composite_domains(fields, text):
    with pytest.raises(SpaceError) as error:
        Stack(**fields)
    assert str(error.value) == text


def test_one_declared_family_needs_no_name_in_the_path():
    assert dict(Stack().decisions()) == {"items/length": 1, "items/0/kind": "Thin", "items/0/Thin/width": 5, "one/width": 5}
    assert Stack.domains["one"] == Variant((Thin,))
    assert Stack.domains["items"] == Sequence(Variant((Thin, Thick)), IntRange(1, 3, default=1))


def test_nearest_ignores_case_and_is_silent_where_nothing_is_near():
    assert nearest("adamw", ["AdamW", "SGD"]) == "; did you mean 'AdamW'?"
    assert nearest("zzz", ["AdamW", "SGD"]) == ""
