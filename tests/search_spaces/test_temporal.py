"""Temporal convolutions: norms that know no padding, patches, what a step sees, and networks over steps that learn and export."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from search_spaces.language import Space
from search_spaces.spec import Classes, Text, TimeSeries
from search_spaces.temporal import TCN
from search_spaces.temporal_layers import STEP_NORMALISATIONS, Patches, StepConvolution, Style, as_maps, patches_for
from search_spaces.testing import INPUTS, OUTPUTS, check_family

RAGGED = INPUTS["ragged sequences"]


def build(net, inputs=RAGGED, outputs=OUTPUTS["multiclass"], seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return net.build(inputs, outputs)


def maps_and_mask() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(4, 16, 9, generator=generator), (torch.arange(9) < torch.tensor([[9], [3], [1], [6]])).unsqueeze(1).float()


def test_batch_norms_count_no_padding():
    (maps, mask), ours = maps_and_mask(), STEP_NORMALISATIONS["batch"](16)
    theirs, steps = nn.BatchNorm1d(16), maps.transpose(1, 2)[mask.squeeze(1) > 0]
    torch.testing.assert_close(ours(maps, mask).transpose(1, 2)[mask.squeeze(1) > 0], theirs(steps))
    assert {name.removeprefix("norm."): value.tolist() for name, value in ours.state_dict().items()} == {
        name: pytest.approx(value.tolist(), rel=1e-5) for name, value in theirs.state_dict().items()
    }


@pytest.mark.parametrize("name", STEP_NORMALISATIONS)
def test_norms_of_rows_without_padding_are_torchs(name):
    maps, _ = maps_and_mask()
    norm = STEP_NORMALISATIONS[name](16)
    torch.testing.assert_close(norm(maps, torch.ones(4, 1, 9)), norm(maps, None))


@pytest.mark.parametrize("name", STEP_NORMALISATIONS)
@pytest.mark.parametrize("causal", [False, True])
def test_padding_changes_nothing(name, causal):
    maps, mask = maps_and_mask()
    layer = StepConvolution((16, 32), 5, Style(name, "sigmoid"), dilation=2, causal=causal).eval()
    longer = layer(functional.pad(maps * mask, (0, 7)), functional.pad(mask, (0, 7)))
    torch.testing.assert_close(longer[..., :9], layer(maps * mask, mask))
    assert not longer[..., 9:].any()


@pytest.mark.parametrize(("causal", "sees"), [(False, {1, 3, 5, 7, 9}), (True, {1, 3, 5})])
def test_what_a_step_sees(causal, sees):
    maps = torch.zeros(1, 1, 11, requires_grad=True)
    layer = StepConvolution((1, 1), 3 if causal else 5, Style("none", None), dilation=2, causal=causal)
    layer(maps, None)[0, 0, 5].backward()
    assert set(maps.grad[0, 0].nonzero().flatten().tolist()) == sees


@pytest.mark.parametrize("overlap", [False, True])
def test_patches_are_a_linear_map_of_neighbouring_steps(overlap):
    patches, features = Patches(3, 8, 4, overlap=overlap), torch.randn(2, 10, 3)
    mask = torch.arange(10) < torch.tensor([[10], [4]])
    made, real = patches(features * mask.unsqueeze(2), mask)
    assert real.tolist() == [[True, True, True], [True, False, False]]
    kernel = 8 if overlap else 4
    rows = functional.pad(features * mask.unsqueeze(2), (0, 0, 0, 8))[:, 4 : 4 + kernel]
    second = torch.einsum("btc,wct->bw", rows, patches.convolution.weight) + patches.convolution.bias
    torch.testing.assert_close(made[0, 1], second[0])
    assert not made[1, 1:].any()


def test_patches_make_moderately_many_steps():
    assert patches_for(1, 256) == patches_for(12, 256) == [1]
    assert patches_for(100, 256) == [1, 2, 4, 8]
    assert patches_for(1000, 256) == [4, 8, 16, 32, 64]
    assert patches_for(10**6, 256) == [64]


def test_rows_without_padding_need_no_mask():
    features = torch.randn(2, 5, 3)
    assert as_maps(features, torch.ones(2, 5, dtype=torch.bool))[1] is None
    assert as_maps(features, torch.arange(5) < torch.tensor([[5], [2]]))[1].sum() == 7


@pytest.mark.slow  # in the registry's tests by its default
def test_tcn_conforms():
    check_family(TCN, {"ragged": RAGGED, "texts": INPUTS["texts"]}, {"binary": OUTPUTS["binary"]}, samples=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_random_tcns_conform(seed):
    check_family(TCN, samples=2, seed=seed)


@pytest.mark.parametrize(("kind", "length", "patch", "blocks"), [
    ("series", 1, 1, 1), ("series", 24, 1, 2), ("series", 64, 2, 3), ("series", 150, 4, 3), ("series", 5000, 64, 4),
    ("text", 1, 1, 1), ("text", 24, 1, 2), ("text", 64, 1, 4), ("text", 5000, 16, 5),
])  # fmt: skip
def test_narrows_itself_to_the_length(kind, length, patch, blocks):
    inputs = Text(9, length, 100) if kind == "text" else TimeSeries(RAGGED.channels[:1], length, length, 100)
    usual = Space(TCN, TCN.narrow(inputs, OUTPUTS["binary"])).default()
    assert (usual.patch, usual.blocks) == (patch, blocks)


@pytest.mark.parametrize("net", [TCN(), TCN(patch=2, normalisation="group"), TCN(normalisation="layer", pooling="attention")])
def test_learns_in_which_order_bumps_come(net):
    inputs, generator = TimeSeries(INPUTS["one channel"].channels, 24, 12, 256), torch.Generator().manual_seed(0)
    labels = torch.randint(2, (320,), generator=generator)
    values, lengths = torch.randn(320, 24, 1, generator=generator) * 0.1, torch.randint(16, 25, (320,), generator=generator)
    for row, label in enumerate(labels.tolist()):
        place = int(torch.randint(int(lengths[row]) - 8, (1,), generator=generator))
        values[row, place : place + 8, 0] += torch.tensor([1.0] * 4 + [-1.0] * 4) * (1 if label else -1)
    network = build(net, inputs, Classes((128, 128)))
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
@pytest.mark.parametrize("net", [TCN(), TCN(normalisation="group", causal=True, pooling="max"), TCN(patch=4, pooling="last")])
@pytest.mark.parametrize("name", ["ragged sequences", "texts"])
def test_onnx_agrees_at_lengths_never_seen(net, name, check_onnx_lengths):
    check_onnx_lengths(build(net, INPUTS[name]).eval(), INPUTS[name])
