"""Codes without evidence are one; the others are one-hot or embedded."""

import torch

from search_spaces.codes import Embeddings, KnownCodes, KnownTokens, OneHot
from search_spaces.spec import CategoricalColumn, Text

COLUMNS = [CategoricalColumn("a", (5, 9, 0, 9, 2)), CategoricalColumn("b", (0,)), CategoricalColumn("c", (0, 4, 8, 6))]


def test_codes_with_evidence_are_renumbered_and_all_others_are_zero():
    known = KnownCodes(COLUMNS, rarest=3, most=9)
    assert known.sizes == [3, 1, 4]
    codes = [[0, 0, 0], [1, 1, 1], [2, 5, 2], [3, -1, 3], [4, 0, 4], [5, 0, -7], [2**62, 2**62, 2**63 - 1], [-(2**63)] * 3]
    assert known(torch.tensor(codes)).tolist() == [
        [0, 0, 0], [1, 0, 1], [0, 0, 2], [2, 0, 3], [0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0],
    ]  # fmt: skip


def test_only_the_most_frequent_codes_count():
    known = KnownCodes(COLUMNS[2:], rarest=1, most=2)
    assert known(torch.tensor([[1], [2], [3]])).tolist() == [[0], [1], [2]]


def test_tokens_unseen_or_out_of_range_are_unknown_and_padding_stays():
    known = KnownTokens(Text(6, 4, 9, (2, 5)))
    assert known(torch.tensor([[0, 1, 2, 3, 4, 5, 6, -1, 2**62]])).tolist() == [[0, 1, 1, 3, 4, 1, 1, 1, 1]]
    assert list(known.state_dict()) == ["renumbered"]
    plain = KnownTokens(Text(6, 4, 9))
    assert plain(torch.tensor([[0, 2, 5, 6]])).tolist() == [[0, 2, 5, 1]]
    assert not plain.state_dict()


def test_one_hot():
    module = OneHot([2, 0], [3, 1, 4])
    assert module.width == 5
    assert module(torch.tensor([[0, 0, 3], [2, 0, 0]])).tolist() == [[0.0, 0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0]]


def test_embeddings_start_at_zero_for_code_zero():
    module = Embeddings([0, 2], [3, 1, 4], 5)
    out = module(torch.tensor([[0, 0, 0], [0, 0, 1], [1, 0, 0]]))
    assert out.shape == (3, module.width) == (3, 10)
    assert out[0].tolist() == [0.0] * 10
    assert out[1, :5].tolist() == [0.0] * 5
    assert out[1, 5:].ne(0).all()
    assert len({tuple(row.tolist()) for row in module.weight}) == 6
