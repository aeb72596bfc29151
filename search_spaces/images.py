"""What families for images share: standardised pixels, the first layers, the last ones, and how often a size can be halved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from search_spaces.layers import ACTIVATIONS, IMAGE_NORMALISATIONS, Dropout, head

if TYPE_CHECKING:
    from search_spaces.spec import Image, Outputs

LIMIT = 1e3  # standard deviations; what lies beyond isn't a pixel
STEMS = {"plain": 1, "halving": 2, "quartering": 4}  # by what they divide height and width
_SMALL, _LARGE = 24, 64  # pixels of the shorter side


class Standardise(nn.Module):
    """Pixels in standard deviations from the mean of their channel, finite whatever comes in: missing is the mean.

    **Shape**: float32 `(batch, channels, height, width)`, unchanged.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, inputs: Image) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(inputs.mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(inputs.std).view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return the standardised pixels."""
        return ((images - self.mean) / self.std).nan_to_num(0.0, LIMIT, -LIMIT).clamp(-LIMIT, LIMIT)


class PooledPixels(nn.Module):
    """Means of squares of pixels, so many to a square that neither side of the result is longer than `side`; flat.

    **Shape**: float32 `(batch, channels, height, width)` to `(batch, width(inputs, side))`.
    """

    def __init__(self, inputs: Image, side: int) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(self.square(inputs, side), ceil_mode=True, count_include_pad=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return the means, channel by channel."""
        means: Tensor = self.pool(images)
        return means.flatten(1)

    @staticmethod
    def width(inputs: Image, side: int) -> int:
        """Return the number of means."""
        square = PooledPixels.square(inputs, side)
        return inputs.channels * -(-inputs.height // square) * -(-inputs.width // square)

    @staticmethod
    def square(inputs: Image, side: int) -> int:
        """Return how many pixels a side of a square has."""
        return -(-max(inputs.height, inputs.width) // side)


def conv_norm_act(  # noqa: PLR0913 - what a convolution is made of
    width_in: int,
    width: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    normalisation: str = "batch",
    activation: str = "relu",
) -> nn.Sequential:
    """Return convolution, normalisation and activation; odd kernels keep the size, divided by `stride` and rounded up."""
    bias = normalisation == "none"
    conv = nn.Conv2d(width_in, width, kernel, stride, kernel // 2, groups=groups, bias=bias)
    return nn.Sequential(conv, IMAGE_NORMALISATIONS[normalisation](width), ACTIVATIONS[activation]())


def stem(kind: str, inputs: Image, width: int, normalisation: str, activation: str) -> nn.Sequential:
    """Return the first layers, from standardised pixels to `width` channels, at height and width divided by `STEMS[kind]`.

    plain: a 3x3 convolution, for small images. halving: the same with stride 2. quartering: 7x7 with stride 2 and a 3x3 maximum
    with stride 2, for large images (He et al. 2015, table 1).
    """
    kernel, stride = (7, 2) if kind == "quartering" else (3, STEMS[kind])
    layers = conv_norm_act(inputs.channels, width, kernel, stride=stride, normalisation=normalisation, activation=activation)
    return layers.append(nn.MaxPool2d(3, 2, 1)) if kind == "quartering" else layers


def stems_for(inputs: Image) -> tuple[str, ...]:
    """Return the stems that suit a size of images, the most usual one first."""
    side = min(inputs.height, inputs.width)
    if side < _SMALL:
        return ("plain",)
    return ("halving", "plain") if side < _LARGE else ("quartering", "halving")


def halvings(inputs: Image, kind: str = "plain", smallest: int = 2) -> int:
    """Return how often images can be halved behind a stem until the shorter side would fall below `smallest` >= 2 pixels."""
    assert smallest >= 2
    side, times = -(-min(inputs.height, inputs.width) // STEMS[kind]), 0
    while (side + 1) // 2 >= smallest:
        side, times = (side + 1) // 2, times + 1
    return times


def pooled_head(width: int, outputs: Outputs, dropout: float = 0.0) -> nn.Sequential:
    """Return the last layers: the mean over all places, dropout, and a linear layer that starts from the base rates.

    **Shape**: `(batch, width, height, width)` to `(batch, outputs.width)`.
    """
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), Dropout(dropout), head(width, outputs))
