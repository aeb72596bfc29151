"""A table's features: each source is there when its columns are, and decisions without effect are closed."""

import math

import torch

from search_spaces.columns import NoEmbedding, PiecewiseLinear
from search_spaces.language import Space
from search_spaces.spec import CategoricalColumn, NumericColumn, Table
from search_spaces.tables import TableInput

NUMBER = NumericColumn("a", 0.0, 1.0, (-2.0, -1.0, 0.0, 1.0, 2.0), 0.0)
HOLES = NumericColumn("b", 0.0, 1.0, (-2.0, -1.0, 0.0, 1.0, 2.0), 0.5)
FEW = CategoricalColumn("c", (0, 5, 5))
MANY = CategoricalColumn("d", (3, *[5] * 20))


def features(settings: TableInput, table: Table, numeric: list[float], codes: list[int]) -> list[float]:
    module = settings.build(table)
    out = module(torch.tensor([numeric], dtype=torch.float32), torch.tensor([codes], dtype=torch.int64))
    assert out.shape == (1, module.width)
    return out[0].tolist()


def test_sources_come_in_order_with_flags_only_where_values_may_miss():
    table = Table((NUMBER, HOLES), (FEW, MANY), 100)
    settings = TableInput(scaling="standard", numeric=NoEmbedding(), one_hot=4, category_width=3)
    out = features(settings, table, [0.0, math.nan], [2, 0])
    assert out == [0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0]


def test_one_hot_up_to_and_embedded_beyond():
    table = Table((), (FEW, MANY), 100)
    assert TableInput(one_hot=32, category_width=2).build(table).width == 22
    assert TableInput(one_hot=2, category_width=2).build(table).width == 4


def test_embeddings_widen_numbers():
    table = Table((NUMBER, HOLES), (), 100)
    assert TableInput(numeric=PiecewiseLinear(width=5)).build(table).width == 11


def test_nothing_usable_is_one_zero():
    assert features(TableInput(), Table((), (), 3), [], []) == [0.0]
    assert features(TableInput(), Table((), (CategoricalColumn("e", (3,)),), 3), [], [0]) == [0.0]


def test_narrow_closes_what_has_no_effect():
    def open_decisions(table: Table) -> set[str]:
        leaves = Space(TableInput, TableInput.narrow(table)).leaves()
        return {path for path, leaf in leaves.items() if leaf.from_unit(0) != leaf.from_unit(1)}

    assert open_decisions(Table((), (MANY,), 9)) == {"one_hot", "category_width"}
    assert open_decisions(Table((), (FEW,), 9)) <= {"one_hot", "category_width"}
    assert not {"one_hot", "category_width"} & open_decisions(Table((NUMBER,), (), 9))
