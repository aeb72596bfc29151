"""Densely connected networks for images: each layer sees what all before it in its block have made.

Huang et al., "Densely Connected Convolutional Networks" (2017). What a block concatenates grows with the square of its length,
so long blocks at large sizes compute concatenation and norm again in the backward pass instead of keeping them: the idea of
Pleiss et al., "Memory-Efficient Implementation of DenseNets" (2017), with torch's checkpointing in place of their shared storage,
which has no need of gradients of its own. Networks in evaluation, and so exported ones, know nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from search_spaces.images import STEMS, Standardise, halvings, pooled_head, stem, stems_for
from search_spaces.language import Architecture, Choice, Float, Int, Repeat
from search_spaces.layers import ACTIVATIONS, IMAGE_NORMALISATIONS, Dropout
from search_spaces.spec import Image, as_image

if TYPE_CHECKING:
    from search_spaces.spec import Inputs, Outputs

KEPT = 2**20  # numbers for each image; a block that would keep more for its concatenations is computed leanly


class DenseNet(Architecture):
    """A densely connected network over images; the default suits some thousand small images.

    stem: the first layers, see `images.stem`, to `2 * growth` channels. growth: the channels that each layer adds. layers: the
    layers of each block; height and width are halved between blocks. bottleneck: the channels of the 1x1 convolution before each
    3x3 one, in units of the growth, 0 for none (section 3, "Bottleneck layers"; 4 there). compression: the share of channels that
    go on to the next block ("Compression"; 0.5 there), rounded to a multiple of 4. dropout: behind each layer (section 4.2).
    """

    takes: ClassVar[tuple[type[Inputs], ...]] = (Image,)

    stem: str = Choice(*STEMS, default="halving")
    growth: int = Int(4, 48, log=True, multiple_of=4, default=16)
    layers: tuple[int, ...] = Repeat(Int(1, 16, log=True, default=3), 1, 4, default=3)
    bottleneck: int = Choice(0, 2, 4, ordered=True, default=4)
    compression: float = Float(0.25, 1.0, default=0.5)
    normalisation: str = Choice("batch", "group", "layer", "none")
    activation: str = Choice(*ACTIVATIONS, default="relu")
    dropout: float = Float(0.0, 0.5, default=0.0)

    def build(self, inputs: Inputs, outputs: Outputs) -> nn.Module:
        """Return a network that starts from the base rates of the classes, or from the mean."""
        images, width = as_image(inputs), 2 * self.growth
        parts: list[nn.Module] = [Standardise(images), stem(self.stem, images, width, self.normalisation, self.activation)]
        height, across = (-(-side // STEMS[self.stem]) for side in (images.height, images.width))
        for i, length in enumerate(self.layers):
            if i:
                after = max(round(width * self.compression / 4), 1) * 4
                pool = nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False)
                parts += [self.norm_act_conv(width, after, 1), pool]
                width, height, across = after, -(-height // 2), -(-across // 2)
            block = _Block(width, length, height * across, self)
            parts, width = [*parts, block], width + length * self.growth
        parts += [IMAGE_NORMALISATIONS[self.normalisation](width), ACTIVATIONS[self.activation]()]
        return nn.Sequential(*parts, pooled_head(width, outputs))

    def norm_act_conv(self, width_in: int, width: int, kernel: int) -> nn.Sequential:
        """Return normalisation, activation and a convolution that keeps the size."""
        conv = nn.Conv2d(width_in, width, kernel, padding=kernel // 2, bias=self.normalisation == "none")
        return nn.Sequential(IMAGE_NORMALISATIONS[self.normalisation](width_in), ACTIVATIONS[self.activation](), conv)

    @staticmethod
    def narrow(inputs: Inputs, outputs: Outputs) -> dict[str, object]:  # noqa: ARG004  the signature is the language's
        """Return overrides that leave one block more than images can be halved, and the stems of their size."""
        images = as_image(inputs)
        stems = stems_for(images)
        blocks = min(halvings(images, stems[0]) + 1, 4)
        narrowed: dict[str, object] = {"stem": Choice(*stems, default=stems[0]), "layers/length": Int(1, blocks)}
        return narrowed if blocks > 1 else {**narrowed, "compression": DenseNet.compression}


class _Block(nn.Module):
    """Layers that each add `growth` channels to those that came in.

    places: how many each image has, its height times its width, here.

    **Shape**: `(batch, width, ...)` to `(batch, width + length * growth, ...)`.
    """

    def __init__(self, width: int, length: int, places: int, net: DenseNet) -> None:
        super().__init__()
        widths = [width + i * net.growth for i in range(length)]
        lean = 2 * sum(widths) * places > KEPT  # the concatenation, and what a norm makes of it
        self.layers = nn.ModuleList(_Layer(each, net, lean=lean) for each in widths)

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for layer in self.layers:
            features.append(layer(*features))
        return torch.cat(features, 1)


class _Layer(nn.Module):
    def __init__(self, width: int, net: DenseNet, *, lean: bool) -> None:
        super().__init__()
        hidden = net.bottleneck * net.growth
        self.first = net.norm_act_conv(width, hidden or net.growth, 1 if hidden else 3)
        self.second = net.norm_act_conv(hidden, net.growth, 3) if hidden else nn.Identity()
        self.dropout, self.lean = Dropout(net.dropout), lean

    def forward(self, *features: Tensor) -> Tensor:
        made = self._again(*features) if self.lean and self.training and torch.is_grad_enabled() else self._first(*features)
        out: Tensor = self.dropout(self.second(made))
        return out

    def _first(self, *features: Tensor) -> Tensor:
        out: Tensor = self.first(torch.cat(features, 1))
        return out

    def _again(self, *features: Tensor) -> Tensor:
        """Return what `_first` does, keeping nothing but the features for the backward pass."""

        def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
            return nullcontext(), _still(self.first[0])

        made = checkpoint(self._first, *features, use_reentrant=False, preserve_rng_state=False, context_fn=contexts)
        return cast(Tensor, made)


@contextmanager
def _still(norm: nn.Module) -> Iterator[None]:
    """Keep a batch norm from counting a batch for the second time."""
    if not isinstance(norm, nn.BatchNorm2d) or norm.num_batches_tracked is None:
        yield
        return
    momentum, norm.momentum = norm.momentum, 0.0  # without its statistics it would keep fewer tensors than before
    try:
        yield
    finally:
        norm.momentum = momentum
        norm.num_batches_tracked.sub_(1)
