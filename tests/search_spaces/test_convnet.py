"""VGG and Inception: what they build, that they suit every size of images, and that they keep what every family promises."""

import logging
import random

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from search_spaces.convnet import VGG, WIDEST, Inception, InceptionModule, InceptionStage, NoPool, Pooled, VGGStage
from search_spaces.language import Space
from search_spaces.spec import Classes, Image
from search_spaces.testing import INPUTS, OUTPUTS
from search_spaces.variation import sample

FAMILIES = (VGG, Inception)
IMAGES = {name: spec for name, spec in INPUTS.items() if isinstance(spec, Image)}
DIGITS = OUTPUTS["multiclass"]


def images(spec: Image, rows: int = 5) -> torch.Tensor:
    pixels = torch.rand(rows, spec.channels, spec.height, spec.width, generator=torch.Generator().manual_seed(0))
    return (pixels * 255).contiguous(memory_format=torch.channels_last)


def built(member, spec: Image = IMAGES["colour images"]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return member.build(spec, DIGITS)


def convolutions(network: nn.Module) -> list[nn.Conv2d]:
    return [module for module in network.modules() if isinstance(module, nn.Conv2d)]


def maps(network: nn.Module, spec: Image) -> list[tuple[int, int]]:
    """Height and width of what each convolution returns, in order."""
    seen: list[tuple[int, int]] = []
    for convolution in convolutions(network):
        convolution.register_forward_hook(lambda _, __, out: seen.append(tuple(out.shape[2:])))
    with torch.no_grad():
        network.eval()(images(spec))
    return seen


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", IMAGES)
def test_every_member_of_the_narrowed_space_suits_the_images(family, name):
    spec = IMAGES[name]
    space, rng = Space(family, family.narrow(spec, DIGITS)), random.Random(0)
    members = [space.default(), *(sample(space, rng) for _ in range(20))]
    with torch.device("meta"):
        for member in members:
            network = member.build(spec, DIGITS).eval()
            assert network(torch.empty(1, spec.channels, spec.height, spec.width)).shape == (1, DIGITS.width)


@pytest.mark.parametrize("family", FAMILIES)
def test_stages_stop_before_maps_vanish(family):
    def most(name: str) -> int:
        return Space(family, family.narrow(IMAGES[name], DIGITS)).leaves()["stages/length"].from_unit(1.0)

    assert [most(name) for name in ("one pixel", "oblong images", "grey images", "colour images")] == [1, 2, 3, 3]


@pytest.mark.parametrize("family", FAMILIES)
def test_default_is_small_enough_for_one_core(family):
    assert 50_000 < sum(parameter.numel() for parameter in built(family()).parameters()) < 1_000_000


@pytest.mark.parametrize("family", FAMILIES)
def test_default_learns(family):
    spec = IMAGES["grey images"]
    network, pixels = built(family(), spec), images(spec, 32)
    classes = torch.arange(32) % DIGITS.width
    pixels[classes == 0, :, :7] = 0.0  # which half is dark tells the class
    pixels[classes == 1, :, 7:] = 0.0
    pixels[classes == 2, :, :, :7] = 0.0
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    for _ in range(20):
        loss = nn.functional.cross_entropy(network.train()(pixels), classes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.2


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("activation", ["relu", "gelu", "silu"])
def test_signals_keep_their_size_without_normalisation(family, activation):
    network = built(family(normalisation="none", activation=activation))
    features = network[:-1](images(IMAGES["colour images"], 16))
    assert 0.05 < features.std().item() < 20.0


def exported(member, spec: Image, path) -> None:
    """Write a network as ONNX with a dynamic batch, and compare what onnxruntime and torch say for other batch sizes."""
    network = built(member, spec).eval()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    shapes = ({0: torch.export.Dim("batch")},)
    torch.onnx.export(network, (images(spec),), path, dynamo=True, dynamic_shapes=shapes, opset_version=23, verbose=False)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for rows in (1, 3, 7):
        pixels = images(spec, rows)
        with torch.no_grad():
            expected = network(pixels).numpy()
        (outputs,) = session.run(None, {session.get_inputs()[0].name: pixels.numpy()})
        np.testing.assert_allclose(outputs, expected, rtol=1e-3, atol=1e-4)


AVERAGES = InceptionStage(reduction="both", modules=(InceptionModule(pool=Pooled(kind="avg"), factorised="crossed"),))
ONNX = [
    pytest.param(VGG(), id="VGG"),
    pytest.param(Inception(), id="Inception"),
    pytest.param(VGG(pooling="avg"), id="VGG, avg", marks=pytest.mark.slow),
    pytest.param(VGG(pooling="stride", hidden=64), id="VGG, stride", marks=pytest.mark.slow),
    pytest.param(Inception(stages=(AVERAGES,) * 2), id="Inception, avg", marks=pytest.mark.slow),
]


@pytest.mark.slow  # test_image_export exports every family once
# 5 x 40 makes odd sizes at every halving, where exporters and runtimes differ most.
@pytest.mark.parametrize("member", ONNX)
@pytest.mark.filterwarnings(r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated:FutureWarning")  # torch's own
@pytest.mark.filterwarnings("ignore:# The axis name. batch will not be used:UserWarning")  # it is used
def test_onnx_keeps_the_batch_dynamic(member, tmp_path):
    exported(member, IMAGES["oblong images"], tmp_path / "model.onnx")


def test_vgg_16_is_a_member():
    stages = tuple(VGGStage(layers=layers) for layers in (2, 3, 3, 3))
    network = built(VGG(width=64, opening=1, stages=stages), Image(32, 32, 3, "uint8", (0.0,) * 3, (1.0,) * 3, (), 100))
    widths = [convolution.out_channels for convolution in convolutions(network)]
    assert widths == [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6  # table 1 of the paper, column D
    weights = sum(convolution.weight.numel() for convolution in convolutions(network))
    assert weights == 14_710_464  # of the paper's 14,714,688 in convolutions, 4,224 are biases


@pytest.mark.parametrize("pooling", ["max", "avg", "stride"])
def test_vgg_halves_at_each_stage(pooling):
    spec = IMAGES["grey images"]
    network = built(VGG(pooling=pooling, opening=0, stages=(VGGStage(layers=1),) * 3), spec)
    assert maps(network, spec) == [(14, 14), (7, 7), (4, 4), (2, 2)]


def test_vgg_widens_up_to_the_widest():
    stages = (VGGStage(layers=1, widening=1.5), VGGStage(layers=1, widening=1.0), *[VGGStage(layers=1)] * 3)
    widths = [convolution.out_channels for convolution in convolutions(built(VGG(width=72, opening=0, stages=stages)))]
    assert widths == [72, 112, 112, 224, 448, WIDEST]


def test_hidden_units_and_base_rates():
    spec, outputs = IMAGES["grey images"], Classes((70, 30))
    network = VGG(hidden=128, dropout=0.3).build(spec, outputs)
    assert convolutions(network)[-1].out_channels == 128
    assert network[-1][-1].bias.softmax(0).tolist() == pytest.approx([0.7, 0.3], abs=0.01)


def test_inception_joins_what_each_branch_contributes():
    module = InceptionModule(point=3, threes=5, fives=2, squeeze=0.25, pool=Pooled(share=4))
    layer, width = module.build(32, 4, Inception())
    assert width == 4 * (3 + 5 + 2 + 4)
    assert layer.eval()(torch.zeros(2, 32, 9, 6)).shape == (2, width, 9, 6)
    widths = [(convolution.in_channels, convolution.out_channels) for convolution in convolutions(layer)]
    assert widths == [(32, 12 + 5 + 2), (5, 20), (2, 8), (8, 8), (32, 16)]
    assert InceptionModule(pool=NoPool()).build(32, 4, Inception())[1] == 4 * 7


@pytest.mark.parametrize(("factorised", "reach"), [("none", (5, 5)), ("threes", (5, 5)), ("crossed", (5, 5))])
def test_inception_sees_five_by_five_however_factorised(factorised, reach):
    member = Inception(normalisation="none", activation="elu")
    layer, width = InceptionModule(factorised=factorised, pool=NoPool()).build(1, 8, member)
    pixels = torch.zeros(1, 1, 11, 11, requires_grad=True)
    layer(pixels)[0, :, 5, 5].sum().backward()
    rows, columns = pixels.grad[0, 0].nonzero().T
    assert width == 7 * 8
    assert (rows.max() - rows.min() + 1, columns.max() - columns.min() + 1) == reach


@pytest.mark.parametrize(("reduction", "width"), [("max", 16), ("stride", 32), ("both", 16 + 16)])
def test_inception_halves_at_each_stage(reduction, width):
    layer, _ = InceptionStage(reduction=reduction).build(16, 32, Inception())
    assert layer[0].eval()(torch.zeros(2, 16, 7, 5)).shape == (2, width, 4, 3)


def test_inception_modules_have_widths_of_their_own():
    modules = (InceptionModule(point=1), InceptionModule(point=8, pool=NoPool()))
    stages = (InceptionStage(modules=modules), InceptionStage(widening=1.0))
    network = built(Inception(width=16, stages=stages))
    assert network[2][-1].width == 4 * 13
    assert network[-1][-1].in_features == 4 * 8
