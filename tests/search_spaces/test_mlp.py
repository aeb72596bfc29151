"""The perceptron conforms with every embedding and block, learns, and exports."""

import io
import logging
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from search_spaces.columns import NoEmbedding, Periodic, PiecewiseLinear
from search_spaces.layers import ACTIVATIONS, NORMALISATIONS
from search_spaces.mlp import MLP, Plain, Residual
from search_spaces.spec import Classes, NumericColumn, Table, Values
from search_spaces.tables import TableInput
from search_spaces.testing import INPUTS, OUTPUTS

BATCH = torch.tensor([[0.1, 5.0, float("nan"), float("inf"), -1e30, 0.0]]).repeat(6, 1) * torch.linspace(-1, 1, 6).unsqueeze(1)
CODES = torch.randint(0, 3, (6, 5), generator=torch.Generator().manual_seed(0))


def build(mlp: MLP, inputs=INPUTS["both"], outputs=OUTPUTS["multiclass"], seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return mlp.build(inputs, outputs)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_every_activation_and_normalisation(activation, normalisation):
    network = build(MLP(activation=activation, normalisation=normalisation, blocks=(Plain(width=16), Residual(width=24))))
    network(BATCH, CODES).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in network.parameters())


def test_depth_and_width_are_those_of_the_blocks():
    network = build(MLP(blocks=(Plain(width=16), Residual(width=24, expansion=1.5), Residual(width=24, expansion=1.0))))
    shapes = [tuple(layer.weight.shape) for layer in network.modules() if isinstance(layer, nn.Linear)]
    assert shapes[1:] == [(24, 16), (36, 24), (24, 36), (24, 24), (24, 24), (4, 24)]


def wave(rows: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.rand(rows, 2, generator=torch.Generator().manual_seed(seed)) * 6
    return x, torch.sin(2 * x[:, 0]) * (1 + x[:, 1])


@pytest.mark.parametrize("embedding", [NoEmbedding(), PiecewiseLinear(), Periodic()], ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("scaling", ["standard", "robust", "quantile"])
def test_learns_a_wave(embedding, scaling):
    x, y = wave(512, 0)
    numbers = [NumericColumn("x", 3.0, 1.73, tuple(i / 8 for i in range(49)), 0.0)] * 2
    network = build(MLP(input=TableInput(scaling=scaling, numeric=embedding)), Table(tuple(numbers), (), 512), Values(0.0, 1.0))
    optimizer, codes = torch.optim.AdamW(network.parameters(), lr=3e-3, fused=True), torch.zeros(512, 0, dtype=torch.int64)
    generator = torch.Generator().manual_seed(0)
    for _ in range(120):
        rows = torch.randint(512, (128,), generator=generator)
        nn.functional.mse_loss(network(x[rows], codes[rows])[:, 0], y[rows]).backward()
        optimizer.step()
        optimizer.zero_grad()
    x, y = wave(512, 1)
    with torch.no_grad():
        error = nn.functional.mse_loss(network.eval()(x, codes)[:, 0], y) / y.var()
    assert error < 0.5


def test_default_starts_from_base_rates():
    network = build(MLP(), outputs=Classes((99, 1))).eval()
    assert network(BATCH, CODES).softmax(1)[:, 0].mean().item() == pytest.approx(0.98, abs=0.015)


@pytest.mark.slow
@pytest.mark.parametrize("mlp", [
    MLP(blocks=(Plain(width=32), Residual(width=32)), normalisation="layer"),
    MLP(input=TableInput(numeric=PiecewiseLinear(), scaling="quantile")),
    MLP(input=TableInput(numeric=Periodic(), scaling="robust"), normalisation="batch"),
    MLP(input=TableInput(numeric=NoEmbedding(), scaling="standard")),
], ids=["residual", "piecewise", "periodic", "none"])  # fmt: skip
def test_onnx_agrees_at_other_batch_sizes(mlp):
    import onnxruntime

    network, size = build(mlp).eval(), torch.export.Dim("batch")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network, (BATCH[:3], CODES[:3]), dynamo=True, dynamic_shapes=({0: size}, {0: size}), verbose=False,
            input_names=["numeric", "categorical"],
        )  # fmt: skip
    stream = io.BytesIO(program.model_proto.SerializeToString())
    session = onnxruntime.InferenceSession(stream.getvalue(), providers=["CPUExecutionProvider"])
    for rows in (1, 2, 7, 100):
        numeric, categorical = BATCH.repeat(17, 1)[:rows], CODES.repeat(17, 1)[:rows]
        given = {"numeric": numeric.numpy(), "categorical": categorical.numpy()}
        np.testing.assert_allclose(session.run(None, given)[0], network(numeric, categorical).detach(), atol=1e-5, rtol=1e-5)
