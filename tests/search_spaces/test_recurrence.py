"""A recurrent layer is torch's, whatever the lengths; exported it is one operator, in ONNX with the gates where ONNX has them."""

import io
import logging
import warnings

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from search_spaces.recurrence import Recurrence, lengths_of, recurrence, translations

KINDS = ("rnn_tanh", "rnn_relu", "gru", "lstm")
LENGTHS = torch.tensor([5, 1, 7, 2])
SPARSE = torch.tensor([2, 1, 7, 2, *[1] * 8])  # few steps are there


def layer(kind: str = "gru", directions: int = 2, seed: int = 0) -> Recurrence:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Recurrence(kind, 3, 4, directions).eval()


def rows(batch: int = 4, steps: int = 7, seed: int = 0) -> Tensor:
    return torch.randn(batch, steps, 3, generator=torch.Generator().manual_seed(seed))


def mask_of(lengths: Tensor, steps: int) -> Tensor:
    return torch.arange(steps) < lengths.unsqueeze(1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("lengths", [LENGTHS, LENGTHS.clamp_max(4), SPARSE], ids=["some", "none of all steps", "few"])
def test_each_row_is_what_torch_makes_of_it_alone(kind, directions, lengths):
    network, features = layer(kind, directions), rows(len(lengths))
    states = network(features, lengths)
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(states[row, :length], network.cell(features[row : row + 1, :length])[0][0])
        assert not states[row, length:].any()
    torch.testing.assert_close(network(features, None), network.cell(features)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_one_length_take_the_fast_way_to_the_same(kind):
    network, features = layer(kind), rows()
    assert lengths_of(mask_of(torch.tensor([7] * 4), 7)) is None
    assert lengths_of(mask_of(LENGTHS, 7)).tolist() == LENGTHS.tolist()
    torch.testing.assert_close(network(features, None), network(features, torch.tensor([7] * 4)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("directions", [1, 2])
def test_the_operator_does_what_the_layer_does(kind, directions):
    network, features = layer(kind, directions), rows()
    weights = list(network.cell.parameters())
    with torch.no_grad():
        torch.testing.assert_close(recurrence(features, LENGTHS, weights, kind), network(features, LENGTHS))
    tests = ("test_schema", "test_faketensor")
    found = torch.library.opcheck(recurrence, (features, LENGTHS, [part.detach() for part in weights], kind), test_utils=tests)
    assert set(found.values()) == {"SUCCESS"}


@pytest.mark.parametrize(("kind", "gates"), [("rnn_tanh", 1), ("gru", 3), ("lstm", 4)])
def test_gates_are_views_of_all_weights(kind, gates):
    network = layer(kind)
    found = [(part, gate, tuple(weights.shape)) for part, gate, weights in network.gates()]
    shapes = {"input": (4, 3), "state": (4, 4), "input bias": (4,), "state bias": (4,)}
    assert found == [(part, gate, shape) for part, shape in shapes.items() for gate in range(gates)] * 2
    with torch.no_grad():
        for _, _, weights in network.gates():
            weights.zero_()
    assert not any(parameter.any() for parameter in network.parameters())


def test_the_second_gate_of_an_lstm_forgets():
    network = layer("lstm", 1)
    with torch.no_grad():
        for part, gate, weights in network.gates():
            weights.fill_({1: 50.0, 3: 50.0}.get(gate, 0.0) if part == "input bias" else 0.0)
    torch.testing.assert_close(network(rows(), None)[:, :, 0], torch.zeros(4, 7))  # the new cell is tanh(0)
    with torch.no_grad():
        for part, gate, weights in network.gates():
            if (part, gate) == ("input bias", 2):
                weights.fill_(0.1)
    cells = torch.arange(1, 8) * 0.5 * torch.tanh(torch.tensor(0.1))  # half of it is added at each step, none forgotten
    torch.testing.assert_close(network(rows(), None)[0, :, 0], torch.tanh(cells))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lengths", [LENGTHS, SPARSE], ids=["some", "few"])
def test_gradients_are_those_of_the_rows_alone(kind, lengths):
    network, features = layer(kind).train(), rows(len(lengths))
    network(features, lengths).square().sum().backward()
    found = [parameter.grad for parameter in network.parameters()]
    network.zero_grad()
    sum(network(features[i : i + 1, :n], None).square().sum() for i, n in enumerate(lengths.tolist())).backward()
    for parameter, gradient in zip(network.parameters(), found, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


class Summed(nn.Module):
    """Two layers whose features say how long a row is, as a family has them."""

    def __init__(self, kind: str, directions: int) -> None:
        super().__init__()
        self.first, self.second = Recurrence(kind, 3, 4, directions), Recurrence(kind, 4 * directions, 5, directions)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        mask = torch.arange(features.shape[1], device=features.device) < lengths.unsqueeze(1)
        known = lengths_of(mask)
        states = self.second(self.first(features, known), known)
        return (states * mask.unsqueeze(2)).sum(1)


def exported(network: nn.Module, table) -> bytes:
    logger = logging.getLogger("torch.onnx")
    level, batch, time = logger.level, torch.export.Dim("batch"), torch.export.Dim("time")
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                network, (rows(3, 5), LENGTHS[:3].clamp_max(5)), dynamo=True, opset_version=23, verbose=False,
                input_names=["features", "lengths"], dynamic_shapes=({0: batch, 1: time}, {0: batch}),
                custom_translation_table=table,
            )  # fmt: skip
    finally:
        logger.setLevel(level)
    stream = io.BytesIO(program.model_proto.SerializeToString())
    return stream.getvalue()


@pytest.mark.parametrize(("kind", "directions"), [
    ("gru", 2), ("lstm", 2),
    *[pytest.param(kind, directions, marks=pytest.mark.slow) for kind, directions in [
        ("gru", 1), ("lstm", 1), ("rnn_tanh", 1), ("rnn_tanh", 2), ("rnn_relu", 1), ("rnn_relu", 2)
    ]],
])  # fmt: skip
def test_onnx_agrees_at_lengths_never_seen(kind, directions):
    import onnxruntime

    torch.manual_seed(0)
    network = Summed(kind, directions).eval()
    session = onnxruntime.InferenceSession(exported(network, translations()), providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(1)
    for batch, steps in ((1, 1), (2, 3), (7, 40), (30, 6)):
        features, lengths = rows(batch, steps), torch.randint(1, steps + 1, (batch,), generator=generator)
        for known in (lengths, torch.full_like(lengths, steps)):
            with torch.no_grad():
                expected = network(features, known)
            came = session.run(None, {"features": features.numpy(), "lengths": known.numpy()})[0]
            np.testing.assert_allclose(came, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_without_its_translation_it_is_refused():
    with pytest.raises(torch.onnx.OnnxExporterError, match="recurrence"):
        exported(Summed("gru", 1).eval(), None)
