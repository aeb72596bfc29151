"""The linear family is linear, on documented features."""

import math

import pytest
import torch

from search_spaces.linear import MOST, TOKENS, Linear
from search_spaces.spec import CategoricalColumn, Classes, Mixed, NumericColumn, Table, Text, Values

INPUTS = Table(
    (NumericColumn("a", 2.0, 4.0, (0.0, 2.0, 8.0), 0.2), NumericColumn("b", 0.0, 1.0, (-1.0, 0.0, 1.0), 0.0)),
    (CategoricalColumn("c", (0, 1, 0, 6)),),
    10,
)


def test_features_are_standardised_numbers_flags_and_one_hot_codes():
    network = Linear().build(INPUTS, Values(0.0, 1.0))
    numeric = torch.tensor([[6.0, 0.5], [math.nan, math.inf]])
    features = network.features(numeric, torch.tensor([[3], [2]]))
    assert features.tolist() == [[1.0, 0.5, 0.0, 0.0, 1.0], [0.0, 3.0, 1.0, 0.0, 0.0]]
    assert network.linear.in_features == 5


def test_outputs_are_linear_in_the_features():
    network = Linear().build(INPUTS, Classes((5, 3, 2)))
    batch = torch.randn(6, 2), torch.randint(0, 4, (6, 1))
    assert torch.equal(network(*batch), network.linear(network.features(*batch)))


def test_many_codes_are_cut_to_the_most_frequent():
    column = CategoricalColumn("c", (0, *range(1, 3 * MOST)))
    network = Linear().build(Table((), (column,), 100), Values(0.0, 1.0))
    assert network.linear.in_features == MOST


def test_a_table_of_which_nothing_is_usable_gives_one_feature():
    network = Linear().build(Table((), (CategoricalColumn("c", (9,)),), 9), Classes((5, 4)))
    assert network.features(torch.zeros(3, 0), torch.zeros(3, 1, dtype=torch.int64)).tolist() == [[0.0]] * 3


def test_features_of_texts_are_logarithms_of_counts_beside_the_columns():
    text = Text(TOKENS + 5, 6, 10)
    tokens = torch.tensor([[3, 3, 2, 0, 0], [TOKENS + 1, 1, -7, TOKENS + 9, 0]])
    features = Linear().build(text, Values(0.0, 1.0)).features(tokens)
    assert features.shape == (2, TOKENS - 1)
    assert features[0, :3].tolist() == pytest.approx([0.0, math.log(2), math.log(3)])
    assert features[1].nonzero().flatten().tolist() == [0], "codes that are rare are left out, those that no text has are unknown"
    assert features[1, 0].item() == pytest.approx(math.log(4))
    mixed = Mixed(INPUTS, ("t", "u"), text)
    columns = torch.tensor([[6.0, 0.5]] * 2), torch.tensor([[3]] * 2)
    beside = Linear().build(mixed, Values(0.0, 1.0)).features(*columns, tokens.unsqueeze(1).repeat(1, 2, 1))
    assert torch.equal(beside, torch.cat([Linear().build(INPUTS, Values(0.0, 1.0)).features(*columns), features, features], 1))
