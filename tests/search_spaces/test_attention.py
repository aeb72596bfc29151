"""Vision transformers conform with every kind of tokens, know places, learn, and export; their encoder serves any tokens."""

import io
import logging
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from search_spaces.attention import Attention, Convolutions, Encoder, Patches, TransformerBlock, ViT
from search_spaces.language import Space
from search_spaces.spec import Classes, Image
from search_spaces.testing import INPUTS, OUTPUTS

COLOUR = INPUTS["colour images"]
EVERY_TOKENS = [Convolutions(), Convolutions(halvings=0), Convolutions(halvings=3), Patches(side=1), Patches(side=8)]


def build(net: ViT, inputs=COLOUR, outputs=OUTPUTS["multiclass"], seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return net.build(inputs, outputs)


def images(inputs=COLOUR, rows: int = 4, seed: int = 0) -> torch.Tensor:
    shape = (rows, inputs.channels, inputs.height, inputs.width)
    pixels = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 255
    return pixels.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("tokens", EVERY_TOKENS)
@pytest.mark.parametrize("positions", ["learned", "sinusoidal"])
@pytest.mark.parametrize("pooling", ["attention", "mean", "token"])
def test_gradients_reach_every_choice(tokens, positions, pooling):
    inputs = Image(9, 13, 2, "uint8", (120.0,) * 2, (60.0,) * 2, (), 100)
    encoder = Encoder(width=32, dropout=0.2, blocks=(TransformerBlock(heads=3, expansion=1.3),))
    network = build(ViT(tokens=tokens, positions=positions, pooling=pooling, encoder=encoder), inputs)
    network(images(inputs)).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in network.parameters())


@pytest.mark.parametrize("tokens", EVERY_TOKENS)
@pytest.mark.parametrize("size", [(32, 32), (5, 40), (1, 1), (31, 9)])
def test_grids_are_what_the_tokens_make(tokens, size):
    inputs = Image(*size, 1, "uint8", (120.0,), (60.0,), (), 100)
    assert tokens.build(inputs, 32)(torch.zeros(2, 1, *size)).shape == (2, 32, *tokens.grid(inputs))


def test_attention_is_equation_1():
    torch.manual_seed(0)
    attention, tokens = Attention(24, 3, 16), torch.randn(2, 5, 24)
    query, key, value = (layer(tokens).view(2, 5, 3, 16) for layer in (attention.query, attention.key, attention.value))
    weights = torch.einsum("bihd,bjhd->bhij", query, key).div(4.0).softmax(3)
    torch.testing.assert_close(attention(tokens), torch.einsum("bhij,bjhd->bihd", weights, value).flatten(2))


def test_heads_need_not_divide_the_width():
    encoder = Encoder(width=48, head_width=32, blocks=(TransformerBlock(heads=5), TransformerBlock(heads=1, expansion=1.5)))
    network = encoder.build()
    shapes = [tuple(layer.weight.shape) for layer in network.modules() if isinstance(layer, nn.Linear)]
    assert shapes == [*[(160, 48)] * 3, (48, 160), (96, 48), (48, 96), *[(32, 48)] * 3, (48, 32), (72, 48), (48, 72)]
    for tokens in (1, 7, 30):
        assert network(torch.randn(2, tokens, 48)).shape == (2, tokens, 48)


def test_the_encoder_alone_knows_no_places():
    torch.manual_seed(0)
    network, tokens, order = Encoder().build().eval(), torch.randn(2, 9, 64), torch.randperm(9)
    torch.testing.assert_close(network(tokens)[:, order], network(tokens[:, order]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("positions", ["learned", "sinusoidal"])
def test_the_network_does(positions):
    network = build(ViT(tokens=Patches(), positions=positions)).eval()
    first = images()
    moved = torch.cat([first[..., 4:], first[..., :4]], 3)
    assert (network(first) - network(moved)).abs().max() > 1e-3


def test_sinusoids_tell_all_places_apart():
    network = build(ViT(tokens=Patches(side=2), positions="sinusoidal"))
    positions = next(buffer for name, buffer in network.named_buffers() if name.endswith("positions"))
    assert positions.shape == (256, 64)
    assert torch.cdist(positions, positions).fill_diagonal_(1.0).min() > 0.5
    torch.testing.assert_close(positions.square().sum(1), torch.full((256,), 32.0))


@pytest.mark.parametrize(("name", "halvings", "sides"), [
    ("grey images", (0, 2), (1, 2, 4)), ("colour images", (1, 3), (2, 4, 8)), ("oblong images", (0, 2), (1, 2, 4)),
    ("one pixel", (0, 0), (1,)), ("large images", (3, 4), (8, 16)),
])  # fmt: skip
def test_narrows_itself_to_moderately_many_tokens(name, halvings, sides):
    leaves = Space(ViT, ViT.narrow(INPUTS[name], OUTPUTS["binary"])).leaves()
    own = leaves["tokens/Convolutions/halvings"]
    assert (own.from_unit(0.0), own.from_unit(1.0)) == halvings
    assert leaves["tokens/Patches/side"].values == sides


@pytest.mark.parametrize(("height", "width", "low", "high"), [
    (2, 2, 1, 4), (28, 28, 16, 256), (7, 64, 16, 256), (224, 224, 16, 256), (480, 640, 300, 300),
])  # fmt: skip
def test_every_grid_of_the_narrowed_space_is_moderate(height, width, low, high):
    inputs = Image(height, width, 1, "uint8", (120.0,), (60.0,), (), 100)
    leaves = Space(ViT, ViT.narrow(inputs, OUTPUTS["binary"])).leaves()
    own = leaves["tokens/Convolutions/halvings"]
    grids = [Convolutions(halvings=n).grid(inputs) for n in range(own.from_unit(0.0), own.from_unit(1.0) + 1)]
    grids += [Patches(side=side).grid(inputs) for side in leaves["tokens/Patches/side"].values]
    assert all(low <= rows * columns <= high for rows, columns in grids)


def test_starts_from_base_rates():
    network = build(ViT(), outputs=Classes((99, 1))).eval()
    assert network(images(rows=8)).softmax(1)[:, 0].mean().item() == pytest.approx(0.98, abs=0.06)


@pytest.mark.parametrize(
    "net", [ViT(), ViT(tokens=Patches(side=4), positions="sinusoidal", pooling="token")], ids=["usual", "patches"]
)
def test_learns_whether_a_line_stands(net):
    inputs = Image(12, 12, 1, "uint8", (30.0,), (60.0,), (), 256)
    network, generator = build(net, inputs, Classes((128, 128))), torch.Generator().manual_seed(0)
    labels = torch.randint(2, (320,), generator=generator)
    pixels, places = torch.rand(320, 1, 12, 12, generator=generator) * 60, torch.randint(12, (320,), generator=generator)
    for row, (label, place) in enumerate(zip(labels.tolist(), places.tolist(), strict=True)):
        pixels[(row, 0, slice(None), place) if label else (row, 0, place)] += 190
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    for step in range(60):
        rows = slice(step % 4 * 64, step % 4 * 64 + 64)
        functional.cross_entropy(network(pixels[rows]), labels[rows]).backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        right = network.eval()(pixels[256:]).argmax(1) == labels[256:]
    assert right.float().mean() > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("net", [ViT(), ViT(tokens=Patches(), positions="sinusoidal", pooling="token")], ids=["usual", "patches"])
@pytest.mark.parametrize("name", ["colour images", "oblong images"])
def test_onnx_agrees_at_other_batch_sizes(net, name):
    import onnxruntime

    network, size = build(net, INPUTS[name]).eval(), torch.export.Dim("batch")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network, (images(INPUTS[name], 3),), dynamo=True, opset_version=23, dynamic_shapes=({0: size},), verbose=False,
            input_names=["images"],
        )  # fmt: skip
    stream = io.BytesIO(program.model_proto.SerializeToString())
    session = onnxruntime.InferenceSession(stream.getvalue(), providers=["CPUExecutionProvider"])
    for rows in (1, 2, 7, 30):
        pixels = images(INPUTS[name], rows, seed=1)
        with torch.no_grad():
            expected = network(pixels)
        np.testing.assert_allclose(session.run(None, {"images": pixels.contiguous().numpy()})[0], expected, atol=1e-4, rtol=1e-4)
