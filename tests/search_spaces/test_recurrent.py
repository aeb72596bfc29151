"""Recurrent networks conform whatever their cell, read both ways to each row's own end, learn, and export with free lengths."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from search_spaces.language import Space
from search_spaces.layers import set_dropout_generator
from search_spaces.made_up import made_up_batch, padded
from search_spaces.recurrent import GRU, LSTM, RNN, ConvolutionalFront, NoFront, Recurrent
from search_spaces.spec import Classes, Text, TimeSeries
from search_spaces.steps import POOLINGS
from search_spaces.testing import INPUTS, OUTPUTS, check_family

RAGGED = INPUTS["ragged sequences"]
CELLS = [GRU(), LSTM(), RNN(), RNN(activation="relu", initialisation="identity")]
SHORTER = [
    ConvolutionalFront(width=16, layers=layers, shortening=factor, reduction=kind, normalisation=norm)
    for layers, factor, kind, norm in [(1, 1, "max", "none"), (2, 2, "max", "layer"), (2, 3, "mean", "group")]
]


def build(net: Recurrent, inputs=RAGGED, outputs=OUTPUTS["multiclass"], seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return net.build(inputs, outputs)


def steps_and_mask() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    mask = torch.arange(9) < torch.tensor([[9], [3], [1], [6]])
    return torch.randn(4, 9, 3, generator=generator) * mask.unsqueeze(2), mask


@pytest.mark.slow  # in the registry's tests by its default
def test_conforms():
    outputs = {"multiclass": OUTPUTS["multiclass"]}
    check_family(Recurrent, {name: INPUTS[name] for name in ("ragged sequences", "long sequences")}, outputs, samples=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_random_members_conform(seed):
    check_family(Recurrent, samples=2, seed=seed)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_padding_and_company_change_nothing(cell, directions, pooling):
    net = Recurrent(cell=cell, directions=directions, pooling=pooling, layers=2, width=16, normalisation="layer")
    network, batch = build(net).eval(), made_up_batch(RAGGED)
    with torch.no_grad():
        whole = network(*batch)
        torch.testing.assert_close(network(*padded(RAGGED, batch, 5)), whole)
        alone = [network(values[:length].unsqueeze(0), length.view(1)) for values, length in zip(*batch, strict=True)]
    torch.testing.assert_close(torch.cat(alone), whole, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("front", SHORTER)
def test_fronts_know_no_padding(front):
    (features, mask), module = steps_and_mask(), front.build(3).eval()
    with torch.no_grad():
        shorter, left = module(features, mask)
        for row, length in enumerate(mask.sum(1).tolist()):
            alone, real = module(features[row : row + 1, :length], mask[row : row + 1, :length])
            assert real.all()
            assert int(left[row].sum()) == alone.shape[1]
            torch.testing.assert_close(shorter[row, : alone.shape[1]], alone[0])
    assert not shorter[~left].any()


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("factor", [1, 2, 3])
def test_fronts_shorten_by_a_factor_rounded_up(layers, factor):
    features, mask = steps_and_mask()
    _, left = ConvolutionalFront(layers=layers, shortening=factor).build(3)(features, mask)
    assert left.sum(1).tolist() == [-(-length // factor**layers) for length in mask.sum(1).tolist()]


@pytest.mark.parametrize("reduction", ["max", "mean"])
def test_so_many_steps_become_one(reduction):
    front = ConvolutionalFront(width=16, shortening=2, reduction=reduction, normalisation="none", activation="sigmoid")
    (features, _), module = steps_and_mask(), front.build(3)
    steps = module.layers[0](features.transpose(1, 2), None).transpose(1, 2)
    pairs = torch.cat([steps, steps[:, -1:]], 1).unflatten(1, (5, 2))  # the last has nobody beside it
    expected = pairs.amax(2) if reduction == "max" else pairs.mean(2)
    torch.testing.assert_close(module(features, torch.ones(4, 9, dtype=torch.bool))[0], expected)


def test_the_last_states_are_those_at_both_ends():
    network = build(Recurrent(cell=LSTM(), pooling="last", width=16)).eval()
    features, mask = torch.randn(4, 9, network.input.width), steps_and_mask()[1]
    ends = network.body(features, mask)
    for row, length in enumerate(mask.sum(1).tolist()):
        _, (states, _) = network.body.layers[0].recurrence.cell(features[row : row + 1, :length])
        torch.testing.assert_close(ends[row], states.flatten())


@pytest.mark.parametrize("cell", [cls(initialisation=how) for cls in (GRU, LSTM, RNN) for how in ("orthogonal", "uniform")])
def test_weights_start_as_named(cell):
    for part, gate, weights in cell.build(8, 16, 2).gates():
        if cell.initialisation == "orthogonal" and part == "state":
            torch.testing.assert_close(weights @ weights.T, torch.eye(16), atol=1e-5, rtol=0)
        elif isinstance(cell, LSTM) and part.endswith("bias") and gate == 1:
            assert weights.tolist() == [0.5] * 16
        elif cell.initialisation == "orthogonal" and part.endswith("bias"):
            assert not weights.any()
        elif cell.initialisation == "uniform":
            assert 0.1 < weights.abs().max() <= 0.25


def test_dropout_stands_behind_every_layer():
    network = build(Recurrent(layers=3, width=16, dropout=0.5)).train()
    seen = []
    for seed in (1, 1, 2):
        set_dropout_generator(network, torch.Generator().manual_seed(seed))
        seen.append(network(*made_up_batch(RAGGED)))
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])
    assert sum(type(module).__name__ == "Dropout" and module.p == 0.5 for module in network.body.modules()) == 3


@pytest.mark.parametrize(("length", "kinds", "layers", "factors"), [
    (1, ["NoFront"], None, None), (15, ["NoFront"], None, None), (16, ["NoFront", "ConvolutionalFront"], (1, 1), (1, 3)),
    (64, ["NoFront", "ConvolutionalFront"], (1, 3), (1, 3)), (300, ["ConvolutionalFront"], (1, 4), (2, 3)),
    (4096, ["ConvolutionalFront"], (4, 4), (2, 3)), (9000, ["ConvolutionalFront"], (4, 4), (3, 3)),
    (10**6, ["ConvolutionalFront"], (4, 4), (3, 3)),
])  # fmt: skip
@pytest.mark.parametrize("kind", ["series", "text"])
def test_narrows_itself_to_the_length(length, kinds, layers, factors, kind):
    inputs = Text(9, length, 100) if kind == "text" else TimeSeries(RAGGED.channels[:1], length, length, 100)
    space = Space(Recurrent, Recurrent.narrow(inputs, OUTPUTS["binary"]))
    leaves = space.leaves()
    fronts = leaves["front/kind"].values if "front/kind" in leaves else [type(space.default().front).__name__]
    assert sorted(fronts) == sorted(kinds)
    for name, ends in (("layers", layers), ("shortening", factors)):
        leaf = leaves.get(f"front/ConvolutionalFront/{name}")
        assert (None if leaf is None else (leaf.from_unit(0.0), leaf.from_unit(1.0))) == ends


def test_sequences_have_convolutions_by_default_and_texts_none():
    defaults = [
        Space(Recurrent, Recurrent.narrow(INPUTS[name], OUTPUTS["binary"])).default() for name in ("long sequences", "texts")
    ]
    assert [default.front for default in defaults] == [ConvolutionalFront(), NoFront()]


def test_forecasts_begin_with_the_last_state():
    usual = Space(Recurrent, Recurrent.narrow(INPUTS["one channel"], OUTPUTS["forecast"])).default()
    assert (usual.directions, usual.pooling) == (1, "last")


@pytest.mark.parametrize("net", [
    Recurrent(width=32), Recurrent(cell=LSTM(), width=32, layers=2, pooling="attention"), Recurrent(cell=RNN(), width=32),
    Recurrent(width=32, front=ConvolutionalFront(width=16), pooling="last"), Recurrent(width=32, normalisation="batch"),
])  # fmt: skip
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
@pytest.mark.parametrize(("name", "net"), [
    ("ragged sequences", Recurrent(front=NoFront(), layers=2, width=16, pooling="last", normalisation="batch")),
    ("ragged sequences", Recurrent(cell=LSTM(), width=16, directions=1, front=SHORTER[1], pooling="mean")),
    ("ragged sequences", Recurrent(cell=RNN(activation="relu"), width=16, front=SHORTER[2], normalisation="group")),
    ("texts", Recurrent(cell=RNN(), layers=2, width=16, pooling="attention", normalisation="layer")),
])  # fmt: skip
def test_onnx_agrees_at_lengths_never_seen(name, net, check_onnx_lengths):
    check_onnx_lengths(build(net, INPUTS[name]).eval(), INPUTS[name])
