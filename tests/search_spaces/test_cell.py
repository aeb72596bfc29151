"""The cells are those of NAS-Bench-201, down to the parameter; they conform, learn, and export."""

import io
import logging
import random
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from search_spaces.cell import EDGES, NASBENCH201, OPERATIONS, Cell
from search_spaces.language import Int, Space, SpaceError
from search_spaces.spec import Classes, Image
from search_spaces.testing import INPUTS, OUTPUTS
from search_spaces.variation import sample

TABLE = Path(__file__).parents[3] / "shared" / "data" / "nas" / "nasbench201.npz"
CIFAR = Image(32, 32, 3, "uint8", (120.0,) * 3, (60.0,) * 3, (), 100)
TEN = Classes((10,) * 10)
# Published, in millions: 220.12 multiplications for the first, 184.73 for the second. The rest follows from the skeleton.
PUBLISHED = [
    ("|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|", 1_531_546, 220_119_040),
    ("|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|", 1_288_506, 184_729_600),
    ("|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|", 802_426, 113_950_720),
    ("|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|", 129_306, 15_646_720),
    ("|nor_conv_1x1~0|+|nor_conv_1x1~0|nor_conv_1x1~1|+|nor_conv_1x1~0|nor_conv_1x1~1|nor_conv_1x1~2|", 241_306, 31_375_360),
    ("|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|", 73_306, 7_782_400),
    ("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|", 316_346, 43_171_840),
]  # fmt: skip


def build(cell: Cell, inputs=CIFAR, outputs=TEN, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return cell.build(inputs, outputs)


def pixels(inputs: Image, rows: int, seed: int = 0) -> torch.Tensor:
    shape = (rows, inputs.channels, inputs.height, inputs.width)
    images = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 255
    return images.contiguous(memory_format=torch.channels_last)


def figures(cell: Cell) -> tuple[int, int]:
    """Return parameters, and multiplications in convolutions for one image."""
    with torch.device("meta"):
        network, image = cell.build(CIFAR, TEN).eval(), torch.empty(1, 3, 32, 32)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    macs = counter.get_flop_counts()["Global"][torch.ops.aten.convolution] // 2
    return sum(parameter.numel() for parameter in network.parameters()), macs


@pytest.mark.parametrize(("architecture", "parameters", "macs"), PUBLISHED)
def test_size_is_as_published(architecture, parameters, macs):
    cell = Cell.nasbench201(architecture)
    assert cell.architecture == architecture
    assert figures(cell) == (parameters, macs)


@pytest.mark.slow
@pytest.mark.skipif(not TABLE.exists(), reason="the shared data are not beside this checkout")
def test_sizes_agree_with_the_table():
    table, space = np.load(TABLE), Space(Cell, NASBENCH201)
    sizes = {tuple(row): i for i, row in enumerate(table["arch"].tolist())}
    rng = random.Random(0)
    for _ in range(40):
        cell = sample(space, rng)
        row = sizes[tuple(OPERATIONS.index(name) for name in cell.operations)]
        assert figures(cell) == (table["params_c10"][row], table["conv_macs_c10"][row]), cell.architecture


def test_the_published_space_has_15625_members():
    leaves = [leaf for path, leaf in Space(Cell, NASBENCH201).leaves().items() if path.startswith("edge")]
    assert [leaf.values for leaf in leaves] == [OPERATIONS] * 6


@pytest.mark.parametrize("architecture", [
    "", "|none~0|", "|nor_conv_5x5~0|+|none~0|none~1|+|none~0|none~1|none~2|", "|none~1|+|none~0|none~1|+|none~0|none~1|none~2|",
    "|none~0|+|none~0|none~1|+|none~0|none~1|none~2", " |none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
])  # fmt: skip
def test_other_strings_are_refused(architecture):
    with pytest.raises(SpaceError, match=r"must be written like '\|nor_conv_3x3~0\|\+"):
        Cell.nasbench201(architecture)


def literal(cell: nn.Module, operations: tuple[str, ...], x: torch.Tensor) -> torch.Tensor:
    """Compute a cell by the definition, with its modules: every edge, zeros included, and no sum left out."""
    modules = dict(zip(cell.edges, cell.operations, strict=True))
    nodes = [x] + [torch.zeros_like(x) for _ in range(3)]
    for (start, end), name in zip(EDGES, operations, strict=True):
        if name != "none":
            nodes[end] = nodes[end] + modules[start, end](nodes[start])
    return nodes[3]


@pytest.mark.parametrize("seed", range(12))
def test_cells_are_the_sums_of_their_edges(seed):
    member = sample(Space(Cell, {"stages": 1, "cells": 1, "edge_*": Space(Cell).leaves()["edge_01"]}), random.Random(seed))
    network = build(member).eval()
    x = torch.randn(3, member.width, 5, 4, generator=torch.Generator().manual_seed(seed))
    cell = network[2]
    torch.testing.assert_close(cell(x), literal(cell, member.operations, x))


@pytest.mark.parametrize("operations", [
    ("none",) * 6, ("nor_conv_3x3", "none", "none", "none", "none", "none"),
    ("none", "none", "nor_conv_3x3", "skip_connect", "none", "none"), ("none", "none", "none", "none", "none", "nor_conv_1x1"),
])  # fmt: skip
def test_what_leads_nowhere_has_zero_gradients(operations):
    network = build(Cell(**dict(zip((f"edge_{i}{j}" for i, j in EDGES), operations, strict=True)))).train()
    network(pixels(CIFAR, 4)).square().sum().backward()
    gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients.values())
    alive = operations[3] != "none"
    assert bool(gradients["1.0.weight"].any()) == alive


def test_default_is_a_residual_block_and_small():
    assert Cell().architecture == "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"
    assert figures(Cell()) == (170_522, 21_938_176)


@pytest.mark.parametrize(("name", "stems", "stages"), [
    ("grey images", {"plain"}, (1, 3)), ("colour images", {"plain", "halving"}, (1, 3)), ("oblong images", {"plain"}, (1, 3)),
    ("one pixel", {"plain"}, (1, 1)), ("large images", {"quartering", "halving"}, (1, 3)),
])  # fmt: skip
def test_narrows_itself_to_the_size(name, stems, stages):
    overrides = Cell.narrow(INPUTS[name], OUTPUTS["binary"])
    leaves = Space(Cell, overrides).leaves()
    assert set(leaves["stem"].values) == stems
    assert leaves["stages"] == Int(*stages, default=leaves["stages"].default)


def test_learns_where_a_square_lies():
    inputs = Image(12, 12, 1, "uint8", (30.0,), (60.0,), (), 256)
    network = build(Cell(), inputs, Classes((64,) * 4))
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(4, (256,), generator=generator)
    images = torch.rand(256, 1, 12, 12, generator=generator) * 60
    for row, label in enumerate(labels.tolist()):  # thick or thin, upright or lying
        long, thick = slice(2, 10), slice(5, 6 + 2 * (label // 2))
        images[(row, 0, long, thick) if label % 2 else (row, 0, thick, long)] += 180
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    for step in range(25):
        rows = slice(step % 3 * 64, step % 3 * 64 + 64)
        nn.functional.cross_entropy(network(images[rows]), labels[rows]).backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        right = network.eval()(images[192:]).argmax(1) == labels[192:]
    assert right.float().mean() > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("inputs", [CIFAR, Image(28, 28, 1, "uint8", (30.0,), (60.0,), (), 100), INPUTS["oblong images"]],
                         ids=["even", "grey", "odd"])  # fmt: skip
def test_onnx_agrees_at_other_batch_sizes(inputs):
    import onnxruntime

    network, size = build(Cell(edge_13="avg_pool_3x3"), inputs).eval(), torch.export.Dim("batch")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network, (pixels(inputs, 3),), dynamo=True, opset_version=23, dynamic_shapes=({0: size},), verbose=False,
            input_names=["images"],
        )  # fmt: skip
    stream = io.BytesIO(program.model_proto.SerializeToString())
    session = onnxruntime.InferenceSession(stream.getvalue(), providers=["CPUExecutionProvider"])
    for rows in (1, 2, 7, 30):
        images = pixels(inputs, rows, seed=1)
        with torch.no_grad():
            expected = network(images)
        np.testing.assert_allclose(session.run(None, {"images": images.contiguous().numpy()})[0], expected, atol=1e-4, rtol=1e-4)
