"""A table's features: each source is there when its columns are, and decisions without effect are closed."""

import math

import pytest
import torch
from torch.nn import functional

from search_spaces.columns import NoEmbedding, PiecewiseLinear
from search_spaces.language import Infeasible, Space
from search_spaces.mlp import MLP, Plain
from search_spaces.spec import CategoricalColumn, Classes, Mixed, NumericColumn, Table, Text
from search_spaces.tables import TableInput
from search_spaces.testing import INPUTS, check_family
from search_spaces.text_branch import NoTexts, TokenBag, TokenConvolution

NUMBER = NumericColumn("a", 0.0, 1.0, (-2.0, -1.0, 0.0, 1.0, 2.0), 0.0)
HOLES = NumericColumn("b", 0.0, 1.0, (-2.0, -1.0, 0.0, 1.0, 2.0), 0.5)
FEW = CategoricalColumn("c", (0, 5, 5))
MANY = CategoricalColumn("d", (3, *[5] * 20))
TEXTS = Mixed(Table((NUMBER,), (FEW,), 100), ("t", "u"), Text(30, 6, 100))
BRANCHES = [TokenBag(width=8), TokenConvolution(width=8, filters=8)]


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


def test_narrow_closes_texts_where_there_are_none():
    paths = set(Space(TableInput, TableInput.narrow(TEXTS)).leaves())
    assert {"texts/TokenBag/width", "texts/TokenConvolution/filters"} <= paths
    plain = Space(TableInput, TableInput.narrow(TEXTS.table))
    assert not [path for path in plain.leaves() if path.startswith("texts/Token")]
    assert plain.default().texts == NoTexts()


@pytest.mark.parametrize("branch", BRANCHES)
def test_texts_stand_behind_the_columns(branch):
    numeric, categorical, tokens = torch.zeros(3, 1), torch.ones(3, 1, dtype=torch.int64), torch.randint(1, 30, (3, 2, 6))
    module = TableInput(texts=branch).build(TEXTS).eval()
    plain = TableInput(texts=NoTexts()).build(TEXTS)
    out = module(numeric, categorical, tokens)
    assert out.shape == (3, module.width)
    assert plain(numeric, categorical, tokens).shape == (3, plain.width)
    assert module.width == plain.width + 2 * module.texts.width
    swapped = module(numeric, categorical, tokens.flip(1))
    first, second = out[:, plain.width :].chunk(2, 1)
    torch.testing.assert_close(swapped[:, plain.width :], torch.cat([second, first], 1))


@pytest.mark.parametrize("branch", BRANCHES)
def test_a_missing_text_is_one_unknown_token_and_padding_is_nothing(branch):
    texts = branch.build(TEXTS).eval()
    tokens = torch.tensor([[[5, 6, 7, 0], [0, 0, 0, 0]], [[5, 6, 7, 9], [1, 0, 0, 0]]])
    out = texts(tokens)
    assert out.isfinite().all()
    torch.testing.assert_close(out[0, 1], out[1, 1])
    torch.testing.assert_close(texts(tokens[:1, :, :3]), out[:1])
    torch.testing.assert_close(texts(functional.pad(tokens, (0, 3))), out)
    assert not torch.allclose(out[0, 0], out[1, 0])


def test_a_bag_knows_no_order_and_convolutions_do():
    tokens = torch.tensor([[[5, 6, 7, 8], [2, 2, 2, 2]], [[8, 6, 5, 7], [2, 2, 2, 2]]])
    bag, convolutions = (branch.build(TEXTS).eval()(tokens)[:, 0] for branch in BRANCHES)
    torch.testing.assert_close(bag[0], bag[1])
    assert (convolutions[0] - convolutions[1]).abs().max() > 1e-3


@pytest.mark.parametrize("branch", BRANCHES)
def test_learns_which_texts_have_a_word_that_a_number_turns_round(branch):
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(2, 30, (400, 2, 6), generator=generator)
    tokens[:, 1, 2] = torch.where(torch.rand(400, generator=generator) < 0.5, 29, 3)
    numeric, codes = torch.rand(400, 1, generator=generator) * 2 - 1, torch.ones(400, 1, dtype=torch.int64)
    labels = ((tokens[:, 1] == 29).any(1) ^ (numeric[:, 0] > 0)).long()
    network = MLP(input=TableInput(texts=branch), blocks=(Plain(width=64),), dropout=0.0).build(TEXTS, Classes((150, 150)))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    for step in range(100):
        rows = slice(step % 5 * 60, step % 5 * 60 + 60)
        functional.cross_entropy(network(numeric[rows], codes[rows], tokens[rows]), labels[rows]).backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        right = network.eval()(numeric[300:], codes[300:], tokens[300:]).argmax(1) == labels[300:]
    assert right.float().mean() > 0.8


@pytest.mark.parametrize("branch", [*BRANCHES, NoTexts()], ids=lambda each: type(each).__name__)
def test_perceptrons_over_texts_conform(branch):
    class Fixed(MLP):
        @staticmethod
        def narrow(_inputs, _outputs):
            return {"input/texts/kind": type(branch).__name__}

    check_family(Fixed, {name: INPUTS[name] for name in ("a text beside a number",)}, samples=0)


def test_other_inputs_are_refused():
    with pytest.raises(Infeasible, match="inputs must be Table, got Image"):
        TableInput().build(INPUTS["grey images"])
