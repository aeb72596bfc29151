"""Residual networks conform with every kind of stage, begin as shallow ones, learn, and export."""

import pytest
import torch
from torch import nn

from search_spaces.language import Space
from search_spaces.layers import set_dropout_generator
from search_spaces.resnet import Basic, Bottleneck, ResNet
from search_spaces.spec import Classes, Image
from search_spaces.testing import INPUTS, OUTPUTS

GREY = INPUTS["grey images"]
COLOUR = INPUTS["colour images"]


def build(net: ResNet, inputs=COLOUR, outputs=OUTPUTS["multiclass"], seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return net.build(inputs, outputs)


def images(inputs: Image = COLOUR, rows: int = 6) -> torch.Tensor:
    pixels = torch.rand(rows, inputs.channels, inputs.height, inputs.width, generator=torch.Generator().manual_seed(0)) * 255
    return pixels.contiguous(memory_format=torch.channels_last)


def macs(network: nn.Module, inputs: Image = COLOUR) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        network.eval()(images(inputs, 1))
    return counter.get_total_flops() // 2


@pytest.mark.parametrize("preactivation", [False, True], ids=["post", "pre"])
@pytest.mark.parametrize("normalisation", ["batch", "group", "none"])
@pytest.mark.parametrize("shortcut", ["strided", "pooled"])
def test_gradients_reach_every_choice(preactivation, normalisation, shortcut):
    stages = (Basic(blocks=2, excitation=4), Bottleneck(blocks=2, groups=4, widening=1.5), Bottleneck(groups=32, stride=1))
    choices = {"preactivation": preactivation, "normalisation": normalisation, "shortcut": shortcut}
    network = build(ResNet(stages=stages, drop_path=0.3, **choices), Image(13, 9, 3, "uint8", (120.0,) * 3, (60.0,) * 3, (), 100))
    pixels = torch.rand(6, 3, 13, 9, generator=torch.Generator().manual_seed(0)) * 255
    network(pixels).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in network.parameters())


def test_widths_and_sizes_are_those_of_the_stages():
    network = build(ResNet(width=16, stages=(Basic(stride=1, widening=1.0), Bottleneck(blocks=2, groups=8), Basic(widening=1.5))))
    kernels = [tuple(layer.weight.shape) for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    first = [(16, 3, 3, 3), (16, 16, 3, 3), (16, 16, 3, 3)]
    second = [(8, 16, 1, 1), (8, 1, 3, 3), (32, 8, 1, 1), (32, 16, 1, 1), (8, 32, 1, 1), (8, 1, 3, 3), (32, 8, 1, 1)]
    assert kernels == [*first, *second, (48, 32, 3, 3), (48, 48, 3, 3), (48, 32, 1, 1)]
    assert network[:-1](images()).shape == (6, 48, 8, 8)


def test_default_is_small():
    network = build(Space(ResNet, ResNet.narrow(COLOUR, OUTPUTS["binary"])).default())
    assert sum(parameter.numel() for parameter in network.parameters()) < 0.4e6
    assert 5e6 < macs(network) < 10e6


@pytest.mark.parametrize("normalisation", ["batch", "group", "none"])
def test_branches_beside_an_identity_begin_as_zero(normalisation):
    network = build(ResNet(normalisation=normalisation, stages=(Basic(blocks=2), Bottleneck(blocks=2)))).eval()
    largest = []
    for block in (module for module in network.modules() if hasattr(module, "branch")):
        width = next(layer for layer in block.branch.modules() if isinstance(layer, nn.Conv2d)).in_channels
        largest.append(block.branch(torch.randn(2, width, 8, 8)).abs().max().item())
    assert [each > 0 for each in largest] == [True, False, True, False]


def test_drop_path_leaves_out_whole_rows_and_keeps_the_mean():
    network = build(ResNet(drop_path=0.3, stages=(Basic(blocks=1), Basic(blocks=2)))).train()
    drops = [module.drop for module in network.modules() if hasattr(module, "branch")]
    assert [drop.rows.p for drop in drops] == pytest.approx([0.1, 0.2, 0.3])
    set_dropout_generator(network, torch.Generator().manual_seed(0))
    rows = drops[-1](torch.ones(4000, 3, 2, 2)).flatten(1)
    assert torch.equal(rows, rows[:, :1].expand_as(rows))
    assert (rows == 0).float().mean() == pytest.approx(0.3, abs=0.03)
    assert rows.mean() == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(
    ("inputs", "stems", "longest"),
    [
        (INPUTS["one pixel"], {"plain"}, 1),
        (INPUTS["oblong images"], {"plain"}, 2),
        (GREY, {"plain"}, 3),
        (COLOUR, {"plain", "halving"}, 3),
        (INPUTS["large images"], {"quartering", "halving"}, 3),
    ],
)
def test_narrows_to_the_size(inputs, stems, longest):
    leaves = Space(ResNet, ResNet.narrow(inputs, OUTPUTS["binary"])).leaves()
    assert set(leaves["stem"].values) == stems
    assert leaves["stages/length"].from_unit(1.0) == longest


def stripes(rows: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return noisy images of upright (1) and lying (0) stripes at random places."""
    generator = torch.Generator().manual_seed(seed)
    upright = torch.randint(2, (rows,), generator=generator)
    phase = torch.rand(rows, 1, generator=generator) * 6.3
    wave = torch.sin(torch.arange(14) * 1.3 + phase)
    lying, standing = wave[:, None, :, None].expand(-1, 1, 14, 14), wave[:, None, None, :].expand(-1, 1, 14, 14)
    clean = torch.where(upright.view(-1, 1, 1, 1) == 1, standing, lying)
    return 120 + 60 * (clean + torch.randn(rows, 1, 14, 14, generator=generator)), upright


@pytest.mark.parametrize("net", [ResNet(), ResNet(preactivation=True), ResNet(normalisation="none")], ids=["post", "pre", "none"])
def test_learns_stripes(net):
    x, y = stripes(256, 0)
    network = build(net, GREY, Classes((128, 128))).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, fused=True)
    for step in range(40):
        rows = torch.arange(step * 64, step * 64 + 64) % 256
        nn.functional.cross_entropy(network(x[rows]), y[rows]).backward()
        optimizer.step()
        optimizer.zero_grad()
    x, y = stripes(256, 1)
    with torch.no_grad():
        assert (network.eval()(x).argmax(1) == y).float().mean() > 0.9


def test_default_starts_from_base_rates():
    network = build(ResNet(), outputs=Classes((99, 1))).eval()
    assert network(images()).softmax(1)[:, 0].mean().item() == pytest.approx(0.98, abs=0.015)


@pytest.mark.slow  # test_image_export exports every family once
def test_exports_to_onnx(check_onnx):
    check_onnx(build(ResNet()).eval(), images(rows=9))
