"""Networks made of one small cell, repeated: the space of NAS-Bench-201, in which every network's accuracy is known.

Dong & Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search" (2020): four nodes, six edges, five
operations, hence 15,625 cells, in a fixed skeleton. Here the skeleton's size is searched too, because the published one takes 220
million multiplications for a small image; `Cell.nasbench201` and `NASBENCH201` state it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Self

from torch import Tensor, nn

from search_spaces.images import STEMS, Standardise, halvings, pooled_head, stem, stems_for
from search_spaces.language import Architecture, Choice, Int, SpaceError
from search_spaces.spec import Image, as_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from search_spaces.spec import Inputs, Outputs

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))  # from node, to node; in the order of the benchmark's strings
NASBENCH201: Mapping[str, object] = {"stem": "plain", "stages": 3, "cells": 5, "width": 16}  # overrides: the published skeleton


class Cell(Architecture):
    """Stages of equal cells, between which residual blocks halve the size and double the width.

    `edge_ij` is the operation from node i to node j; a node is the sum of what comes in, node 0 is the cell's input and node 3
    its output. A convolution stands between a ReLU and a batch normalisation. stages: each but the first begins with a residual
    block. cells: in each stage. width: channels of the first stage. The default cell is a residual block of two convolutions.

    A cell may pass nothing on; a network of such cells predicts the same for all images. The benchmark holds these too.
    """

    takes: ClassVar[tuple[type[Inputs], ...]] = (Image,)

    stem: str = Choice(*STEMS, default="plain")
    stages: int = Int(1, 3, default=3)
    cells: int = Int(1, 5, default=1)
    width: int = Int(8, 64, log=True, multiple_of=8, default=16)
    edge_01: str = Choice(*OPERATIONS, default="nor_conv_3x3")
    edge_02: str = Choice(*OPERATIONS, default="none")
    edge_12: str = Choice(*OPERATIONS, default="nor_conv_3x3")
    edge_03: str = Choice(*OPERATIONS, default="skip_connect")
    edge_13: str = Choice(*OPERATIONS, default="none")
    edge_23: str = Choice(*OPERATIONS, default="skip_connect")

    _FIELDS: ClassVar[tuple[str, ...]] = tuple(f"edge_{start}{end}" for start, end in EDGES)

    @property
    def operations(self) -> tuple[str, ...]:
        """Return the operations of the edges, in the order of `EDGES`."""
        return self.edge_01, self.edge_02, self.edge_12, self.edge_03, self.edge_13, self.edge_23

    @property
    def architecture(self) -> str:
        """Return the cell as the benchmark writes it: `|nor_conv_3x3~0|+|none~0|...~1|+|...~0|...~1|...~2|`."""
        words = [f"|{name}~{start}" for name, (start, _) in zip(self.operations, EDGES, strict=True)]
        return "|+".join("".join(words[first:last]) for first, last in ((0, 1), (1, 3), (3, 6))) + "|"

    @classmethod
    def nasbench201(cls, architecture: str) -> Self:
        """Return the published network for a cell as the benchmark writes it (see `architecture`).

        Raises `SpaceError` for anything else.
        """
        words = re.findall(r"\|(\w+)~\d(?=\|)", architecture)
        unknown = [word for word in words if word not in OPERATIONS]
        cell = None if unknown or len(words) != len(EDGES) else cls._published(words)
        if cell is None or cell.architecture != architecture:
            known = ", ".join(OPERATIONS)
            raise SpaceError(f"architecture must be written like {cls().architecture!r}, of {known}; got {architecture!r}")
        return cell

    @classmethod
    def _published(cls, operations: Sequence[str]) -> Self:
        edges = dict(zip(cls._FIELDS, operations, strict=True))
        return cls.from_dict({**NASBENCH201, **edges})

    def build(self, inputs: Inputs, outputs: Outputs) -> nn.Module:
        """Return a network that starts from the base rates of the classes, or from the mean."""
        images = as_image(inputs)
        layers: list[nn.Module] = [Standardise(images), _stem(self.stem, images, self.width)]
        width = self.width
        for stage in range(self.stages):
            if stage:
                layers.append(_Reduction(width))
                width *= 2
            layers += [_Cell(self.operations, width) for _ in range(self.cells)]
        return nn.Sequential(*layers, nn.BatchNorm2d(width), nn.ReLU(), pooled_head(width, outputs))

    @staticmethod
    def narrow(inputs: Inputs, outputs: Outputs) -> dict[str, object]:  # noqa: ARG004  the signature is the language's
        """Return overrides that leave stems and numbers of stages for which the images are large enough."""
        images = as_image(inputs)
        stems = stems_for(images)
        most = min(3, 1 + min(halvings(images, kind) for kind in stems))
        return {"stem": Choice(*stems, default=stems[0]), "stages": Int(1, most)}


def _stem(kind: str, inputs: Image, width: int) -> nn.Sequential:
    """Return the shared stem less its activation, because operations begin with theirs."""
    layers = stem(kind, inputs, width, "batch", "relu")
    return nn.Sequential(*(layer for layer in layers if not isinstance(layer, nn.ReLU)))


def _relu_conv_norm(width_in: int, width: int, kernel: int, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(width_in, width, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(width))


class _Reduction(nn.Module):
    """A residual block to half the size, rounded up, and twice the width (the published one meets even sizes only)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(_relu_conv_norm(width, 2 * width, 3, 2), _relu_conv_norm(2 * width, 2 * width, 3))
        self.pool = nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False)
        self.project = nn.Conv2d(width, 2 * width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.branch(x) + self.project(self.pool(x))
        return out


class _None(nn.Module):
    """Zeros that depend on their input, so that gradients, all zero, reach what nothing else is made of."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 0.0


def _operation(name: str, width: int) -> nn.Module:
    if name == "nor_conv_1x1":
        return _relu_conv_norm(width, width, 1)
    if name == "nor_conv_3x3":
        return _relu_conv_norm(width, width, 3)
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, 1, 1, count_include_pad=False)
    return nn.Identity() if name == "skip_connect" else _None()


def _needed(operations: Sequence[str]) -> list[tuple[int, int]]:
    """Return the edges to compute: all but the zeros that would be added to something, of what is used elsewhere too."""
    edges = list(EDGES)
    for edge, name in zip(EDGES, operations, strict=True):
        others = [other for other in edges if other != edge]
        used = any(start == edge[0] for start, _ in others)
        made = any(end == edge[1] for _, end in others)
        if name == "none" and used and made:
            edges = others
    return edges


class _Cell(nn.Module):
    """The six edges of a cell, `(batch, width, height, width)` unchanged."""

    def __init__(self, operations: Sequence[str], width: int) -> None:
        super().__init__()
        needed = _needed(operations)
        chosen = [(edge, name) for edge, name in zip(EDGES, operations, strict=True) if edge in needed]
        self.edges = tuple(edge for edge, _ in chosen)  # by their end, so that a node is complete before it is read
        self.operations = nn.ModuleList(_operation(name, width) for _, name in chosen)

    def forward(self, x: Tensor) -> Tensor:
        nodes = {0: x}
        for (start, end), operation in zip(self.edges, self.operations, strict=True):
            out = operation(nodes[start])
            nodes[end] = nodes[end] + out if end in nodes else out
        return nodes[3]
