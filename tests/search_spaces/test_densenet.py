"""Dense networks conform, keep less where told to be lean and learn the same, and export."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from search_spaces import densenet
from search_spaces.densenet import DenseNet
from search_spaces.language import Space
from search_spaces.spec import Classes, Image
from search_spaces.testing import INPUTS, OUTPUTS

COLOUR = INPUTS["colour images"]


def build(net: DenseNet, inputs=COLOUR, outputs=OUTPUTS["multiclass"], seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return net.build(inputs, outputs)


def images(inputs: Image = COLOUR, rows: int = 6) -> torch.Tensor:
    pixels = torch.rand(rows, inputs.channels, inputs.height, inputs.width, generator=torch.Generator().manual_seed(0)) * 255
    return pixels.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("normalisation", ["batch", "group", "none"])
@pytest.mark.parametrize("bottleneck", [0, 2, 4])
def test_gradients_reach_every_choice(normalisation, bottleneck):
    odd = Image(13, 9, 3, "uint8", (120.0,) * 3, (60.0,) * 3, (), 100)
    network = build(DenseNet(growth=4, layers=(2, 1, 2), normalisation=normalisation, bottleneck=bottleneck, dropout=0.2), odd)
    network(images(odd)).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in network.parameters())


def test_widths_are_those_of_growth_and_compression():
    network = build(DenseNet(growth=8, layers=(2, 1), bottleneck=4, compression=0.5))
    kernels = [tuple(layer.weight.shape[:3]) for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    first = [(16, 3, 3), (32, 16, 1), (8, 32, 3), (32, 24, 1), (8, 32, 3)]
    assert kernels == [*first, (16, 32, 1), (32, 16, 1), (8, 32, 3)]
    assert network[:-1](images()).shape == (6, 24, 8, 8)


def test_default_is_small():
    network = build(DenseNet())
    with FlopCounterMode(display=False) as counter:
        network.eval()(images(rows=1))
    assert sum(parameter.numel() for parameter in network.parameters()) < 0.3e6
    assert 8e6 < counter.get_total_flops() / 2 < 20e6


@pytest.mark.parametrize("normalisation", ["batch", "group", "none"])
@pytest.mark.parametrize("bottleneck", [0, 4])
def test_lean_blocks_learn_the_same(monkeypatch, normalisation, bottleneck):
    made = []
    for kept in (densenet.KEPT, 0):
        monkeypatch.setattr(densenet, "KEPT", kept)
        net = DenseNet(growth=4, layers=(3, 2), bottleneck=bottleneck, normalisation=normalisation)
        network = build(net, outputs=Classes((50, 50))).train()
        assert {layer.lean for layer in network.modules() if hasattr(layer, "lean")} == {kept == 0}
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        for _ in range(3):
            nn.functional.cross_entropy(network(images()), torch.tensor([0, 1] * 3)).backward()
            optimizer.step()
            optimizer.zero_grad()
        made.append(network.state_dict())
    for name, plain in made[0].items():
        torch.testing.assert_close(made[1][name], plain, rtol=1e-4, atol=1e-5)


def test_lean_blocks_keep_less(monkeypatch):
    kept = []
    for limit in (2**40, 0):
        monkeypatch.setattr(densenet, "KEPT", limit)
        network, saved = build(DenseNet(growth=8, layers=(12,))).train(), {}

        def note(tensor: torch.Tensor, saved=saved) -> torch.Tensor:
            saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            network(images()).sum()
        kept.append(sum(saved.values()))
    assert kept[1] < 0.6 * kept[0]


def test_long_blocks_at_large_sizes_are_lean():
    network = build(DenseNet(stem="plain", growth=32, layers=(16, 2)))
    assert [layer.lean for layer in network.modules() if hasattr(layer, "lean")] == [True] * 16 + [False] * 2
    assert not any(layer.lean for layer in build(DenseNet()).modules() if hasattr(layer, "lean"))


@pytest.mark.parametrize(
    ("name", "longest"), [("one pixel", 1), ("oblong images", 3), ("grey images", 4), ("colour images", 4), ("large images", 4)]
)
def test_narrows_to_the_size(name, longest):
    leaves = Space(DenseNet, DenseNet.narrow(INPUTS[name], OUTPUTS["binary"])).leaves()
    assert leaves["layers/length"].from_unit(1.0) == longest


def test_learns_stripes():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(256, 1, 14, 14, generator=generator) * 255
    y = torch.arange(256) % 2
    x[y == 1] = x[y == 1].sort(3).values  # brighter to the right
    spec = Image(14, 14, 1, "uint8", (127.0,), (74.0,), (), 192)
    network = build(DenseNet(growth=8, layers=(2, 2)), spec, Classes((96, 96))).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, fused=True)
    for step in range(36):
        rows = torch.arange(step * 64, step * 64 + 64) % 192
        nn.functional.cross_entropy(network(x[rows]), y[rows]).backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        assert (network.eval()(x[192:]).argmax(1) == y[192:]).float().mean() > 0.9


def test_default_starts_from_base_rates():
    network = build(DenseNet(), outputs=Classes((99, 1))).eval()
    assert network(images()).softmax(1)[:, 0].mean().item() == pytest.approx(0.98, abs=0.015)


@pytest.mark.slow  # test_image_export exports every family once
def test_exports_to_onnx(check_onnx):
    check_onnx(build(DenseNet()).eval(), images(rows=9))
