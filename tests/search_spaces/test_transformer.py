"""Transformers over steps: attention that passes over padding and turns by places, networks that learn order, free lengths."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from search_spaces.attention import Attention, TransformerBlock
from search_spaces.language import Space
from search_spaces.spec import Classes, Text, TimeSeries
from search_spaces.testing import INPUTS, OUTPUTS, check_family
from search_spaces.transformer import Transformer

RAGGED, TEXTS = INPUTS["ragged sequences"], INPUTS["texts"]
KINDS = [
    Transformer(),
    Transformer(norm="behind", positions="sinusoidal", pooling="token", patch=2, overlap=True),
    Transformer(positions="rotary", pooling="attention", blocks=(TransformerBlock(heads=1),)),
]


def build(net, inputs=RAGGED, outputs=OUTPUTS["multiclass"], seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return net.build(inputs, outputs)


@pytest.mark.slow  # in the registry's tests by its default
def test_conforms():
    check_family(Transformer, {"ragged": RAGGED}, {"binary": OUTPUTS["binary"], "forecast": OUTPUTS["forecast"]}, samples=1)
    check_family(Transformer, {"texts": TEXTS}, {"binary": OUTPUTS["binary"]}, samples=2)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_random_members_conform(seed):
    check_family(Transformer, samples=3, seed=seed)


def test_masked_tokens_are_in_no_sum():
    torch.manual_seed(0)
    attention, tokens = Attention(24, 3, 16), torch.randn(2, 5, 24)
    mask = torch.arange(5) < torch.tensor([[5], [3]])
    made = attention(tokens, mask)
    torch.testing.assert_close(made[0], attention(tokens)[0])
    torch.testing.assert_close(made[1, :3], attention(tokens[1:, :3])[0])


def test_turned_weights_depend_on_distances_alone():
    torch.manual_seed(0)
    attention, tokens = Attention(24, 3, 16), torch.randn(2, 5, 24)
    angles = torch.arange(5).unsqueeze(1) * torch.tensor([1.0, 0.5, 0.1, 0.01, 0.7, 0.3, 0.2, 0.05])
    torch.testing.assert_close(attention(tokens, None, angles + angles[3]), attention(tokens, None, angles))
    assert (attention(tokens, None, angles) - attention(tokens)).abs().max() > 1e-3
    torch.testing.assert_close(attention(tokens, None, angles * 0), attention(tokens))


@pytest.mark.parametrize("net", KINDS)
@pytest.mark.parametrize("inputs", [RAGGED, TEXTS], ids=["sequences", "texts"])
def test_gradients_reach_every_choice(net, inputs):
    from search_spaces.made_up import made_up_batch

    network = build(net, inputs)
    network(*made_up_batch(inputs)).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in network.parameters())


def test_tokens_beyond_the_longest_fit_row_have_the_last_ones_place():
    network = build(Transformer(), Text(60, 4, 100)).eval()
    longer = network(torch.arange(2, 12).unsqueeze(0))
    with torch.no_grad():
        network.body.learned = nn.Parameter(torch.cat([network.body.learned, network.body.learned[-1:].expand(20, -1)]))
    torch.testing.assert_close(network(torch.arange(2, 12).unsqueeze(0)), longer)


@pytest.mark.parametrize(
    ("length", "patches", "usual"), [(1, 1, 1), (24, 1, 1), (150, 1, 4), (1000, 4, 16), (5000, 32, 64), (10**6, 64, 64)]
)
def test_narrows_itself_to_moderately_many_tokens(length, patches, usual):
    inputs = TimeSeries(RAGGED.channels[:1], length, length, 100)
    space = Space(Transformer, Transformer.narrow(inputs, OUTPUTS["binary"]))
    assert space.default().patch == usual
    leaf = space.leaves()["patch"]
    assert leaf.from_unit(0.0) == patches


@pytest.mark.parametrize("net", [KINDS[2], *(pytest.param(net, marks=pytest.mark.slow) for net in KINDS[:2])])
def test_learns_which_token_comes_first(net):
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(4, 20, (320, 12), generator=generator)
    labels = torch.randint(2, (320,), generator=generator)
    for row, label in enumerate(labels.tolist()):
        first, second = sorted(torch.randperm(12, generator=generator)[:2].tolist())
        tokens[row, [first, second]] = torch.tensor([2, 3] if label else [3, 2])
    network = build(net, Text(20, 12, 256), Classes((128, 128)))
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    for step in range(160):
        rows = slice(step % 4 * 64, step % 4 * 64 + 64)
        functional.cross_entropy(network(tokens[rows]), labels[rows]).backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        assert (network(tokens[:256]).argmax(1) == labels[:256]).float().mean() > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("net", KINDS)
@pytest.mark.parametrize("inputs", [RAGGED, TEXTS], ids=["sequences", "texts"])
def test_onnx_agrees_at_lengths_never_seen(net, inputs, check_onnx_lengths):
    check_onnx_lengths(build(net, inputs).eval(), inputs)
