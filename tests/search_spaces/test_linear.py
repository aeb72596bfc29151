"""The linear family is linear, on documented features."""

import math

import torch

from search_spaces.linear import MOST, Linear
from search_spaces.spec import CategoricalColumn, Classes, NumericColumn, Table, Values

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
