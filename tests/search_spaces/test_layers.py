"""Dropout draws from its own generator; heads start at base rates."""

import math

import pytest
import torch
from torch import nn

from search_spaces.layers import ACTIVATIONS, NORMALISATIONS, Dropout, head, set_dropout_generator
from search_spaces.spec import Classes, Values


def dropped(p: float, seed: int, shape: tuple[int, ...] = (301, 7)) -> torch.Tensor:
    layer = Dropout(p)
    set_dropout_generator(layer, torch.Generator().manual_seed(seed))
    return layer(torch.ones(shape))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_zeroes_its_share_and_keeps_the_mean(p):
    out = dropped(p, 0, (1000, 101))
    assert (out == 0).float().mean().item() == pytest.approx(p, abs=0.01)
    assert out.mean().item() == pytest.approx(1.0, abs=0.02)
    assert out.unique().tolist() == pytest.approx([0.0, 1 / (1 - p)], rel=1e-3)


def test_dropout_decides_each_entry_by_itself():
    kept = (dropped(0.5, 0, (4096, 16)) != 0).float()
    assert torch.corrcoef(kept.T).fill_diagonal_(0).abs().max() < 0.1


def test_dropout_depends_on_its_generator_alone():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = dropped(0.3, 5)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert torch.equal(dropped(0.3, 5), first)
    assert not torch.equal(dropped(0.3, 6), first)


def test_dropout_passes_gradients_to_what_it_kept():
    layer, x = Dropout(0.5), torch.ones(50, requires_grad=True)
    out = layer(x)
    out.sum().backward()
    assert torch.equal(x.grad, out.detach())


def test_dropout_is_the_identity_in_evaluation_and_at_zero():
    x = torch.randn(3, 3)
    assert Dropout(0.9).eval()(x) is x
    assert Dropout(0.0)(x) is x


@pytest.mark.parametrize("p", [-0.1, 1.0, math.nan])
def test_dropout_refuses_a_share_that_is_none(p):
    with pytest.raises(ValueError, match="0 <= p < 1 must hold"):
        Dropout(p)


def test_generator_reaches_every_dropout():
    network, generator = nn.Sequential(Dropout(0.1), nn.Sequential(nn.Linear(2, 2), Dropout(0.2))), torch.Generator()
    set_dropout_generator(network, generator)
    assert [module.generator for module in network.modules() if isinstance(module, Dropout)] == [generator] * 2


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_keep_shapes(name):
    assert ACTIVATIONS[name]()(torch.randn(4, 3)).shape == (4, 3)


@pytest.mark.parametrize("name", NORMALISATIONS)
def test_normalisations_keep_shapes(name):
    assert NORMALISATIONS[name](3)(torch.randn(4, 3)).shape == (4, 3)


def test_heads_start_at_base_rates():
    chances = head(8, Classes((90, 10, 0))).bias.softmax(0).tolist()
    assert chances == pytest.approx([91 / 103, 11 / 103, 1 / 103])
    assert head(8, Values(5.0, 2.0)).bias.tolist() == [0.0]
