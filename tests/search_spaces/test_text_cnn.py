"""TextCNN looks for phrases wherever they stand, is a bag of words without convolutions, learns and exports."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from search_spaces.spec import Classes, Text
from search_spaces.testing import INPUTS, OUTPUTS, check_family
from search_spaces.text_cnn import TextCNN

TEXTS = INPUTS["texts"]


def build(net, inputs=TEXTS, outputs=OUTPUTS["multiclass"], seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return net.build(inputs, outputs)


@pytest.mark.slow  # in the registry's tests by its default
def test_conforms():
    check_family(TextCNN, samples=2)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_random_members_conform(seed):
    check_family(TextCNN, samples=3, seed=seed)


def test_a_bag_knows_no_order_and_phrases_do():
    tokens = torch.tensor([[5, 6, 7, 8], [8, 7, 6, 5]])
    bag, phrases = (build(TextCNN(kernels=kernels)).eval()(tokens) for kernels in (0, 3))
    torch.testing.assert_close(bag[0], bag[1])
    assert (phrases[0] - phrases[1]).abs().max() > 1e-3


def test_a_phrase_counts_wherever_it_stands():
    network = build(TextCNN(bag=False, shortest=2, kernels=1)).eval()
    first, moved = network(torch.tensor([[9, 9, 9, 5, 6, 9, 9, 9], [9, 5, 6, 9, 9, 9, 9, 9]]))
    torch.testing.assert_close(first, moved)


@pytest.mark.parametrize("net", [TextCNN(), TextCNN(bag=False, pooling="attention")])
def test_learns_a_phrase(net):
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(4, 30, (320, 12), generator=generator)
    labels = torch.randint(2, (320,), generator=generator)
    for row, label in enumerate(labels.tolist()):
        place = int(torch.randint(11, (1,), generator=generator))
        tokens[row, place : place + 2] = torch.tensor([2, 3] if label else [3, 2])
    network = build(net, Text(30, 12, 256), Classes((128, 128)))
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    for step in range(60):
        rows = slice(step % 4 * 64, step % 4 * 64 + 64)
        functional.cross_entropy(network(tokens[rows]), labels[rows]).backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        assert (network.eval()(tokens[256:]).argmax(1) == labels[256:]).float().mean() > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("net", [TextCNN(), TextCNN(kernels=0), TextCNN(shortest=4, pooling="last")])
def test_onnx_agrees_at_lengths_never_seen(net, check_onnx_lengths):
    check_onnx_lengths(build(net).eval(), TEXTS)
