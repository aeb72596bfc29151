"""Autoencoders of images: convolutions over what is rebuilt of them, the pooled pixels, into a code and out of it."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from search_spaces.autoencoder import CodeKind, DenoisingCode, PlainCode, RebuildingNetwork, VariationalCode, code_of
from search_spaces.images import conv_norm_act
from search_spaces.language import Architecture, Choice, Int, OneOf
from search_spaces.layers import ACTIVATIONS, IMAGE_NORMALISATIONS
from search_spaces.rebuilt import Rebuilt
from search_spaces.spec import Image, Reconstruction, as_image

if TYPE_CHECKING:
    from search_spaces.spec import Inputs, Outputs


class ConvAutoencoder(Architecture):
    """`stages` convolutions that halve the map and double its channels, from `width` on, and as many that do the opposite.

    As in `Autoencoder` the code also sees the pixels themselves, and they the code, by linear maps. Maps are enlarged by repeated
    pixels and then convolved: strided ones leave a chequerboard (Odena et al., "Deconvolution and Checkerboard Artifacts", 2016).
    """

    takes = (Image,)
    gives = (Reconstruction,)

    kind: CodeKind = OneOf(PlainCode, DenoisingCode, VariationalCode)
    activation: str = Choice(*ACTIVATIONS, default="silu")
    normalisation: str = Choice(*IMAGE_NORMALISATIONS, default="batch")
    width: int = Int(8, 64, log=True, multiple_of=8, default=16)
    stages: int = Int(1, 3, default=2)

    def build(self, inputs: Inputs, outputs: Outputs) -> ConvAutoencoderNetwork:
        """Return the network."""
        return ConvAutoencoderNetwork(self, inputs, outputs)


class ConvAutoencoderNetwork(RebuildingNetwork):
    """What a `ConvAutoencoder` builds.

    **Shape**: `(batch, channels, height, width)` to `(batch, 1)`, the error of each image; in training what is made small.
    """

    def __init__(self, family: ConvAutoencoder, inputs: Inputs, outputs: Outputs) -> None:
        super().__init__()
        image, code = as_image(inputs), code_of(outputs)
        self.rebuilt = Rebuilt(image)
        self.shape = self.rebuilt.shape(image)
        sizes = [self.shape[1:]]
        for _ in range(family.stages):
            sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
        widths = [image.channels, *(family.width * 2**stage for stage in range(family.stages))]
        self.smallest = (widths[-1], *sizes[-1])
        cells = widths[-1] * sizes[-1][0] * sizes[-1][1]
        layer = partial(conv_norm_act, kernel=3, normalisation=family.normalisation, activation=family.activation)
        down = [layer(before, after, stride=2) for before, after in pairwise(widths)]
        self.encoder = nn.Sequential(*down, nn.Flatten())
        self.coding = family.kind.build(cells + self.rebuilt.width, code, self.rebuilt.columns)
        up: list[nn.Module] = []
        for stage in reversed(range(family.stages)):
            last = widths[max(stage, 1)]
            up += [nn.Upsample(size=sizes[stage]), layer(widths[stage + 1], last)]
        self.opening = nn.Linear(code, cells)
        self.decoder = nn.Sequential(*up, nn.Conv2d(widths[1], image.channels, 3, 1, 1), nn.Flatten())
        self.straight = nn.Linear(code, self.rebuilt.width)

    def encode(self, *tensors: Tensor) -> Tensor:
        row, _ = self.rebuilt.targets(*tensors)
        out: Tensor = self.coding(self._hidden(row))
        return out

    def decode(self, code: Tensor) -> Tensor:
        maps = self.opening(code).view(-1, *self.smallest)
        out: Tensor = self.decoder(maps) + self.straight(code)
        return out

    def forward(self, images: Tensor) -> Tensor:
        """Return the errors of images; in training those of what the kind corrupted or drew, and what that costs."""
        if not self.training:
            return self.rebuilt.error(self.decode(self.encode(images)), images).unsqueeze(1)
        row, _ = self.rebuilt.targets(images)
        (seen,) = self.coding.corrupted((row,))
        code, cost = self.coding.drawn(self._hidden(seen))
        return (self.rebuilt.error(self.decode(code), images) + cost).unsqueeze(1)

    def _hidden(self, row: Tensor) -> Tensor:
        return torch.cat([self.encoder(row.view(-1, *self.shape)), row], 1)
