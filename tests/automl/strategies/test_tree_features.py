"""Sketches: they say what configurations say, aligned by kind and order, and their features make a valid kernel."""

import random
from typing import Any

import numpy as np
import pytest

from automl.strategies.candidates import Candidates, sketched
from automl.strategies.decision_tree import Sketch, Tree
from automl.strategies.gaussian_process import matern, squared_distances
from automl.strategies.tree_features import Columns, Layout
from automl.testing import example_space
from search_spaces.language import Choice, Float, Int, OneOf, Repeat, Searchable, Space
from search_spaces.variation import sample


class Block(Searchable):
    pass


class Plain(Block):
    width: int = Int(16, 512, log=True, multiple_of=8)


class Residual(Block):
    width: int = Int(16, 512, log=True, multiple_of=8)
    expansion: float = Float(1.0, 4.0)


class Net(Searchable):
    activation: str = Choice("relu", "gelu", "silu")
    size: int = Choice(32, 64, 128, ordered=True)
    fixed: int = Int(3, 3)
    steps: int = Int(1, 5)
    lr: float = Float(1e-4, 1e-1, log=True)
    blocks: tuple[Block, ...] = Repeat(OneOf(Plain, Residual), 0, 4)


SPACE = Space(Net)


def by_column(member: Net, columns: Columns | None = None) -> dict[str, float]:
    columns = columns or Columns()
    row = columns.row(Tree(SPACE).of(member))
    return {name: float(value) for name, value in zip(columns.names, row, strict=False) if value}


@pytest.mark.parametrize("space", [SPACE, example_space()])
def test_a_sketch_says_all_of_a_configuration(space: Space[Any]):
    tree, rng = Tree(space), random.Random(0)
    for _ in range(20):
        member = sample(space, rng)
        made = dict(tree.build(tree.of(member)).decisions())
        for path, value in member.decisions():
            assert made[path] == (pytest.approx(value) if isinstance(value, float) else value)


def test_an_inserted_block_leaves_the_others_where_they_were():
    first = Net(blocks=(Residual(width=64, expansion=2.0), Residual(width=128, expansion=3.0)))
    second = Net(blocks=(Residual(width=64, expansion=2.0), Plain(), Residual(width=128, expansion=3.0)))
    columns = Columns()
    before, after = by_column(first, columns), by_column(second, columns)
    slots = [name for name in before if name.startswith("blocks/Residual#")]
    assert len(slots) == 4
    assert all(before[name] == after[name] for name in slots)


def test_two_options_are_one_apart_and_absent_ones_halfway():
    columns = Columns()
    tree = Tree(SPACE)
    rows = [tree.of(Net(activation=name, blocks=blocks)) for name, blocks in (("relu", ()), ("silu", ()), ("relu", (Plain(),)))]
    x = np.array([np.resize(columns.row(row), 40) * (np.arange(40) < len(columns.row(row))) for row in rows])
    squared = squared_distances(x, x, x @ x.T)
    assert squared[0, 1] == pytest.approx(1.0)
    names = [name for name in columns.names if name.startswith("blocks/0/kind")]
    assert sorted(names) == ["blocks/0/kind='Plain'", "blocks/0/kind='Residual'"]
    assert x[2][columns.names.index("blocks/0/kind='Plain'")] ** 2 == pytest.approx(0.5)


class Cell(Searchable):
    a: str = Choice("none", "skip", "conv")
    b: str = Choice("none", "skip", "conv")
    c: str = Choice("none", "skip", "conv")


def test_fields_over_one_domain_are_counted():
    tree, columns = Tree(Space(Cell)), Columns()
    one, other = (columns.row(tree.of(cell)) for cell in (Cell(a="conv"), Cell(c="conv")))
    counts = [i for i, name in enumerate(columns.names) if "~" in name]
    assert len(counts) == 3
    assert one[counts].tolist() == pytest.approx(other[counts].tolist())
    assert not np.allclose(one, other)


@pytest.mark.parametrize("space", [SPACE, example_space()])
def test_the_kernel_of_nested_configurations_is_positive_semidefinite(space: Space[Any]):
    tree, columns, rng = Tree(space), Columns(), random.Random(1)
    rows = sketched([tree.of(sample(space, rng)) for _ in range(60)])
    features = columns.encoded(rows.layout, rows.units)
    k, _ = matern(squared_distances(features, features, features @ features.T))
    assert np.linalg.eigvalsh(k).min() > -1e-10


@pytest.mark.parametrize("space", [SPACE, example_space()])
def test_snapped_units_are_those_of_values(space: Space[Any]):
    tree, rng = Tree(space), random.Random(2)
    for _ in range(20):
        sketch = tree.sketch(lambda _: rng.random())
        layout = Layout([sketch.shape])
        (snapped,) = layout.snapped(layout.placed([sketch]))
        for at, decision, unit in zip(layout.at(sketch.shape), sketch.shape.decisions, sketch.units, strict=True):
            assert snapped[at] == pytest.approx(decision.leaf.to_unit(decision.leaf.from_unit(float(unit))))


def test_candidates_lie_in_the_space_and_reach_its_ends():
    tree, rng = Tree(SPACE), random.Random(3)
    best = [tree.of(sample(SPACE, rng)) for _ in range(3)]
    rows = Candidates(tree, rng).around(best)
    members = [tree.build(rows.sketch(i)) for i in range(len(rows))]
    for member in members:
        SPACE.check(member)
    assert {len(member.blocks) for member in members} == {0, 1, 2, 3, 4}
    assert min(member.lr for member in members) == pytest.approx(1e-4)
    assert max(member.lr for member in members) == pytest.approx(1e-1)


def test_equal_configurations_are_known_as_such():
    tree = Tree(SPACE)
    assert tree.of(Net()).identity == tree.of(Net()).identity
    assert tree.of(Net()).identity != tree.of(Net(steps=5)).identity
    assert isinstance(tree.of(Net()), Sketch)
