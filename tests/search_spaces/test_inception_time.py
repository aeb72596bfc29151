"""InceptionTime has convolutions of three lengths, a shortcut around every three modules, learns shapes, and exports."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from search_spaces.inception_time import InceptionTime, _greatest_of_three
from search_spaces.language import Space
from search_spaces.spec import Classes, TimeSeries
from search_spaces.testing import INPUTS, OUTPUTS, check_family

RAGGED = INPUTS["ragged sequences"]


def build(net, inputs=RAGGED, outputs=OUTPUTS["multiclass"], seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return net.build(inputs, outputs)


@pytest.mark.slow  # in the registry's tests by its default
def test_conforms():
    check_family(InceptionTime, {"ragged": RAGGED}, {"binary": OUTPUTS["binary"], "forecast": OUTPUTS["forecast"]}, samples=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_random_members_conform(seed):
    check_family(InceptionTime, samples=2, seed=seed)


def test_is_the_papers_network_where_it_is_asked_for():
    inputs = TimeSeries(INPUTS["one channel"].channels, 200, 200, 100)
    network = build(InceptionTime(modules=6, filters=32, bottleneck=32), inputs)
    shapes = [tuple(layer.weight.shape) for layer in network.modules() if isinstance(layer, nn.Conv1d)]
    first = [(32, 1, 39), (32, 1, 19), (32, 1, 9), (32, 1, 1)]
    other = [(32, 128, 1), (32, 32, 39), (32, 32, 19), (32, 32, 9), (32, 128, 1)]
    assert shapes == [*first, *other * 5, (128, 1, 1), (128, 128, 1)]


def test_maxima_are_torchs_and_see_no_padding():
    maps = torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(0)) - 5
    torch.testing.assert_close(_greatest_of_three(maps, None), functional.max_pool1d(maps, 3, 1, 1))
    mask = (torch.arange(7) < torch.tensor([[7], [4]])).unsqueeze(1).float()
    made = _greatest_of_three(maps * mask, mask)
    torch.testing.assert_close(made[1, :, :4], functional.max_pool1d(maps[1:, :, :4], 3, 1, 1)[0])
    assert not made[1, :, 4:].any()


@pytest.mark.parametrize(("length", "kernel", "patch"), [(1, 3, 1), (24, 19, 1), (150, 39, 1), (5000, 39, 16)])
def test_narrows_itself_to_the_length(length, kernel, patch):
    inputs = TimeSeries(RAGGED.channels[:1], length, length, 100)
    usual = Space(InceptionTime, InceptionTime.narrow(inputs, OUTPUTS["binary"])).default()
    assert (usual.kernel, usual.patch) == (kernel, patch)


def test_learns_how_long_a_bump_lasts():
    inputs, generator = TimeSeries(INPUTS["one channel"].channels, 40, 20, 256), torch.Generator().manual_seed(0)
    labels = torch.randint(2, (320,), generator=generator)
    values, lengths = torch.randn(320, 40, 1, generator=generator) * 0.1, torch.randint(24, 41, (320,), generator=generator)
    for row, label in enumerate(labels.tolist()):
        place = int(torch.randint(int(lengths[row]) - 12, (1,), generator=generator))
        values[row, place : place + (12 if label else 6), 0] += 0.5 if label else 1.0
    network = build(InceptionTime(kernel=9), inputs, Classes((128, 128)))
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    for step in range(40):
        rows = slice(step % 4 * 64, step % 4 * 64 + 64)
        functional.cross_entropy(network(values[rows], lengths[rows]), labels[rows]).backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        right = network.eval()(values[256:], lengths[256:]).argmax(1) == labels[256:]
    assert right.float().mean() > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("net", [InceptionTime(), InceptionTime(patch=4, normalisation="group", modules=2)])
def test_onnx_agrees_at_lengths_never_seen(net, check_onnx_lengths):
    check_onnx_lengths(build(net).eval(), RAGGED)
