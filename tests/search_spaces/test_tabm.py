"""Members share weights, differ by adapters, train apart and predict together."""

import dataclasses
import io
import logging
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from search_spaces.language import Space
from search_spaces.losses import CrossEntropy, row_losses
from search_spaces.made_up import made_up_batch
from search_spaces.spec import Classes, NumericColumn, Table, Values
from search_spaces.tables import TableInput
from search_spaces.tabm import TabM
from search_spaces.testing import INPUTS, OUTPUTS, check_family

BOTH = INPUTS["both"]
SMALL = TabM(members=5, width=16, dropout=0.0)


def build(net: TabM = SMALL, inputs=BOTH, outputs=OUTPUTS["multiclass"]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return net.build(inputs, outputs)


def test_conforms_over_texts():
    names, outputs = ("a text beside a number",), {"binary": OUTPUTS["binary"]}
    check_family(TabM, {name: INPUTS[name] for name in names}, outputs, samples=1)


def test_members_come_apart_while_training_and_together_after():
    network, batch = build(), made_up_batch(BOTH)
    assert network.train()(*batch).shape == (12, 5, 4)
    assert network.eval()(*batch).shape == (12, 4)


@pytest.mark.parametrize(("name", "read"), [
    ("multiclass", lambda out: out.softmax(-1)), ("labels", torch.sigmoid), ("several numbers", lambda out: out),
])  # fmt: skip
def test_what_they_predict_together_is_the_mean_of_what_they_predict(name, read):
    network, batch = build(dataclasses.replace(SMALL, normalisation="none"), outputs=OUTPUTS[name]), made_up_batch(BOTH)
    with torch.no_grad():
        apart = network.train()(*batch) * 20
        network.head.weight.mul_(20)
        network.head.bias.mul_(20)
        torch.testing.assert_close(read(network.eval()(*batch)), read(apart).mean(1), atol=1e-5, rtol=1e-4)


def test_log_odds_stay_finite_where_probabilities_are_none():
    network, batch = build(outputs=OUTPUTS["labels"]).eval(), made_up_batch(BOTH)
    with torch.no_grad():
        network.head.bias.fill_(300.0)
        assert torch.allclose(network(*batch), torch.tensor(300.0), atol=5)


def test_a_member_is_a_perceptron_with_adapted_weights():
    network, batch = build(TabM(members=4, width=16, normalisation="none")).train(), made_up_batch(BOTH)
    first, second = network.layers[0], network.layers[4]
    for layer in (first, second):
        for own in (layer.r, layer.s, layer.bias):
            nn.init.normal_(own)
    network.layers[3].p = network.layers[7].p = 0.0
    made, x = network(*batch), network.input(*batch)
    for k in range(4):
        hidden = x
        for layer in (first, second):
            r, s, bias = (own.view(4, -1)[k] for own in (layer.r, layer.s, layer.bias))
            hidden = functional.relu(((hidden * r) @ layer.weight) * s + bias)
        expected = hidden @ network.head.weight[k] + network.head.bias.view(4, -1)[k]
        torch.testing.assert_close(made[:, k], expected, atol=1e-5, rtol=1e-4)


def test_weights_are_nearly_all_shared():
    few, many = (sum(parameter.numel() for parameter in build(TabM(members=members)).parameters()) for members in (4, 32))
    assert many < 2.5 * few


def test_members_differ_from_the_start():
    network = build(outputs=Values(0.0, 1.0)).train()
    assert network(*made_up_batch(BOTH))[:, :, 0].std(1).min() > 1e-3


def test_adapters_and_biases_do_not_decay():
    vectors = {name for name, parameter in build(TabM(normalisation="batch")).named_parameters() if parameter.ndim == 1}
    assert {"layers.0.r", "layers.0.s", "layers.0.bias", "head.bias"} <= vectors


def test_narrows_itself_as_perceptrons_do():
    paths = Space(TabM, TabM.narrow(INPUTS["codes"], OUTPUTS["binary"])).leaves()
    assert "input/numeric/PiecewiseLinear/bins" not in paths
    assert {"members", "width", "input/one_hot"} <= set(paths)


@pytest.mark.parametrize("normalisation", ["none", "batch", "layer"])
def test_learns_a_ring(normalisation):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(600, 2, generator=generator) * 2 - 1
    labels, codes = (x.square().sum(1) < 0.6).long(), torch.zeros(600, 0, dtype=torch.int64)
    number = NumericColumn("x", 0.0, 0.58, tuple(i / 24 - 1 for i in range(49)), 0.0)
    network = build(
        TabM(members=4, width=32, normalisation=normalisation, input=TableInput()), Table((number,) * 2, (), 600), Classes((1, 1))
    )
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    for step in range(60):
        rows = slice(step % 4 * 100, step % 4 * 100 + 100)
        row_losses(CrossEntropy(), network(x[rows], codes[rows]), labels[rows]).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        right = network.eval()(x[400:], codes[400:]).argmax(1) == labels[400:]
    assert right.float().mean() > 0.9


@pytest.mark.slow
@pytest.mark.parametrize(("outputs", "normalisation"), [("multiclass", "batch"), ("labels", "none"), ("regression", "layer")])
def test_onnx_agrees_at_other_batch_sizes(outputs, normalisation):
    import onnxruntime

    network, batch = build(TabM(normalisation=normalisation), outputs=OUTPUTS[outputs]).eval(), made_up_batch(BOTH)
    size = torch.export.Dim("batch")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network, batch, dynamo=True, dynamic_shapes=({0: size}, {0: size}), verbose=False,
            input_names=["numeric", "categorical"],
        )  # fmt: skip
    stream = io.BytesIO(program.model_proto.SerializeToString())
    session = onnxruntime.InferenceSession(stream.getvalue(), providers=["CPUExecutionProvider"])
    for rows in (1, 5, 60):
        numeric, categorical = (tensor.repeat(5, 1)[:rows] for tensor in batch)
        given = {"numeric": numeric.numpy(), "categorical": categorical.numpy()}
        with torch.no_grad():
            expected = network(numeric, categorical)
        np.testing.assert_allclose(session.run(None, given)[0], expected, atol=1e-4, rtol=1e-4)
