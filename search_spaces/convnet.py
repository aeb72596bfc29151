"""Convolutional networks without shortcuts: VGG, one convolution after the other, and Inception, several side by side.

Both are a stem and stages; a stage halves height and width and then works at that size, so that most of the work is done on
small maps. Widths are relative to the stage before, so that the rule of both papers, to double them where the size is halved, is
the default at any depth. Sources: Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition"
(2014); Szegedy et al., "Going Deeper with Convolutions" (2014) and "Rethinking the Inception Architecture for Computer Vision"
(2015). All depart from them by normalisation, by the mean over all places before the classifier, and by small defaults, which
one core of a CPU trains.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from search_spaces.images import STEMS, Standardise, conv_norm_act, halvings, pooled_head, stem, stems_for
from search_spaces.language import Architecture, Choice, Float, Int, OneOf, Repeat, Searchable
from search_spaces.layers import ACTIVATIONS, IMAGE_NORMALISATIONS, Dropout
from search_spaces.spec import Image, as_image

if TYPE_CHECKING:
    from search_spaces.spec import Inputs, Outputs

WIDEST = 512  # channels; doubling ends there, as in Simonyan and Zisserman's table 1


def _widened(width: int, factor: float) -> int:
    """Return a width times a factor, rounded up to a multiple of 8 that is at most `WIDEST`."""
    return min(-(-int(width * factor) // 8) * 8, WIDEST)


def _narrowed(inputs: Inputs, most: int) -> dict[str, object]:
    """Return the stems that suit a size of images, and as many stages as can halve it behind any of them.

    By default as many as leave maps of four pixels to a side.
    """
    image = as_image(inputs)
    kinds = stems_for(image)
    stages = max(1, min(most, *(halvings(image, kind) for kind in kinds)))
    usual = max(1, min(stages, halvings(image, kinds[0], smallest=4)))
    return {"stem": Choice(*kinds, default=kinds[0]), "stages/length": Int(1, stages, default=usual)}


def _kept_in_scale(network: nn.Module) -> nn.Module:
    """Draw the weights of convolutions so that signals keep their size with depth also where no layer normalises them.

    He et al., "Delving Deep into Rectifiers" (2015), equation 10. Biases start at 0.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network


class VGGStage(Searchable):
    """Height and width halved, then 3x3 convolutions; the first of them widens the maps by a factor."""

    layers: int = Int(1, 4, default=2)
    widening: float = Choice(1.0, 1.5, 2.0, ordered=True, default=2.0)

    def build(self, width_in: int, vgg: VGG) -> tuple[nn.Module, int]:
        """Return a module `(batch, width_in, h, w)` to `(batch, width_out, ceil(h / 2), ceil(w / 2))`, and `width_out`."""
        width, strided = _widened(width_in, self.widening), vgg.pooling == "stride"
        layers: list[nn.Module] = [] if strided else [_halve(vgg.pooling)]
        for i in range(self.layers):
            layers.append(vgg.convolution(width_in, width, stride=2 if strided and i == 0 else 1))
            width_in = width
        return nn.Sequential(*layers), width


def _halve(pooling: str) -> nn.Module:
    return nn.MaxPool2d(2, ceil_mode=True) if pooling == "max" else nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False)


class VGG(Architecture):
    """3x3 convolutions in stages. VGG-16 is `width=64`, `opening=1` and stages of 2, 3, 3 and 3 layers.

    width: channels of the stem. opening: further convolutions at its size. pooling: what halves the maps; "stride" lets the
    stage's first convolution do it (Springenberg et al., "Striving for Simplicity", 2014). hidden: units between the mean over
    all places and the outputs, 0 for none. dropout: before each of these linear layers.
    """

    takes: ClassVar[tuple[type[Inputs], ...]] = (Image,)

    stem: str = Choice(*STEMS)
    width: int = Int(8, 128, log=True, multiple_of=8, default=32)
    opening: int = Int(0, 3, default=1)
    stages: tuple[VGGStage, ...] = Repeat(OneOf(VGGStage), 1, 5, default=2)
    pooling: str = Choice("max", "avg", "stride")
    activation: str = Choice(*ACTIVATIONS, default="relu")
    normalisation: str = Choice(*IMAGE_NORMALISATIONS, default="batch")
    hidden: int = Choice(0, 64, 128, 256, 512, 1024, ordered=True)
    dropout: float = Float(0.0, 0.5, default=0.0)

    def build(self, inputs: Inputs, outputs: Outputs) -> nn.Module:
        """Return a network that starts near the base rates of the classes, or the mean."""
        image, width = as_image(inputs), self.width
        layers: list[nn.Module] = [stem(self.stem, image, width, self.normalisation, self.activation)]
        layers += [self.convolution(width, width) for _ in range(self.opening)]
        for stage in self.stages:
            module, width = stage.build(width, self)
            layers.append(module)
        if self.hidden:
            layers += [nn.AdaptiveAvgPool2d(1), Dropout(self.dropout), self.convolution(width, self.hidden, 1)]
            width = self.hidden
        return _kept_in_scale(nn.Sequential(Standardise(image), *layers, pooled_head(width, outputs, self.dropout)))

    def convolution(self, width_in: int, width: int, kernel: int = 3, stride: int = 1) -> nn.Module:
        """Return a convolution with this network's normalisation and activation."""
        norm, activation = self.normalisation, self.activation
        return conv_norm_act(width_in, width, kernel, stride=stride, normalisation=norm, activation=activation)

    @staticmethod
    def narrow(inputs: Inputs, outputs: Outputs) -> dict[str, object]:  # noqa: ARG004  the signature is the language's
        """Return overrides that leave the stems and the number of stages that suit these images."""
        return _narrowed(inputs, 5)


class PoolBranch(Searchable, ABC):
    """What stands beside the convolutions of an Inception module."""

    @abstractmethod
    def build(self, width_in: int, unit: int, trunk: Inception) -> tuple[nn.Module | None, int]:
        """Return a module that keeps height and width, or None, and the channels that it returns."""


class Pooled(PoolBranch):
    """3x3 maxima or means around each place, then a 1x1 convolution to `share` eighths of the stage's width."""

    kind: str = Choice("max", "avg")
    share: int = Int(1, 4, default=1)

    def build(self, width_in: int, unit: int, trunk: Inception) -> tuple[nn.Module | None, int]:
        """Return the module and its width."""
        width = self.share * unit
        around = nn.MaxPool2d(3, 1, 1) if self.kind == "max" else nn.AvgPool2d(3, 1, 1, count_include_pad=False)
        return nn.Sequential(around, trunk.convolution(width_in, width, (1, 1))), width


class NoPool(PoolBranch):
    """Convolutions alone."""

    def build(self, width_in: int, unit: int, trunk: Inception) -> tuple[nn.Module | None, int]:
        """Return no module, of width 0."""
        return None, 0


class InceptionModule(Searchable):
    """Convolutions of several sizes side by side, joined (Szegedy et al. 2014, figure 2b).

    point, threes, fives: what the 1x1, 3x3 and 5x5 branches contribute, in eighths of the stage's width. squeeze: the width of
    the 1x1 convolutions before the larger ones, relative to these. factorised: what a 5x5 convolution is made of: itself, two
    of 3x3 (Szegedy et al. 2015, figure 5), or one of 1x5 and one of 5x1 (figure 6).
    """

    point: int = Int(1, 8, default=2)
    threes: int = Int(1, 8, default=4)
    fives: int = Int(1, 4, default=1)
    squeeze: float = Choice(0.25, 0.5, 0.75, 1.0, ordered=True, default=0.5)
    factorised: str = Choice("none", "threes", "crossed", default="threes")
    pool: PoolBranch = OneOf(Pooled, NoPool)

    def build(self, width_in: int, unit: int, trunk: Inception) -> tuple[nn.Module, int]:
        """Return a module `(batch, width_in, h, w)` to `(batch, width_out, h, w)`, and `width_out`. `unit`: an eighth."""
        module = _Module(self, width_in, unit, trunk)
        return module, module.width


_FIVES = {"none": ((5, 5),), "threes": ((3, 3), (3, 3)), "crossed": ((1, 5), (5, 1))}


class _Module(nn.Module):
    def __init__(self, module: InceptionModule, width_in: int, unit: int, trunk: Inception) -> None:
        super().__init__()
        point, threes, fives = module.point * unit, module.threes * unit, module.fives * unit
        small, large = (max(1, round(module.squeeze * width)) for width in (threes, fives))
        # The three 1x1 convolutions that read the same maps are one, cut apart behind it: a third of the calls.
        self.cuts = (point, small, large)
        self.points = trunk.convolution(width_in, sum(self.cuts), (1, 1))
        self.threes = trunk.convolution(small, threes, (3, 3))
        self.fives = nn.Sequential()
        for kernel in _FIVES[module.factorised]:
            self.fives.append(trunk.convolution(large, fives, kernel))
            large = fives
        self.pool, pooled = module.pool.build(width_in, unit, trunk)
        self.width = point + threes + fives + pooled

    def forward(self, maps: Tensor) -> Tensor:
        point, small, large = self.points(maps).split(self.cuts, 1)
        branches = [point, self.threes(small), self.fives(large)]
        if self.pool is not None:
            branches.append(self.pool(maps))
        return torch.cat(branches, 1)


class InceptionStage(Searchable):
    """Height and width halved, then modules.

    widening: what multiplies the width that shares are taken of. reduction: what halves the maps: 3x3 maxima (Szegedy et al.
    2014, table 1), a strided 3x3 convolution, or both side by side, the convolution with half of the stage's width (Szegedy et
    al. 2015, figure 10, with one branch of convolutions instead of two).
    """

    reduction: str = Choice("max", "stride", "both", default="both")
    widening: float = Choice(1.0, 1.5, 2.0, ordered=True, default=2.0)
    modules: tuple[InceptionModule, ...] = Repeat(OneOf(InceptionModule), 1, 4, default=1)

    def build(self, width_in: int, width: int, trunk: Inception) -> tuple[nn.Module, int]:
        """Return a module from maps with `width_in` channels to maps of half the size, rounded up, and their channels."""
        if self.reduction == "max":
            layers: list[nn.Module] = [nn.MaxPool2d(3, 2, 1)]
        elif self.reduction == "stride":
            layers, width_in = [trunk.convolution(width_in, width, (3, 3), 2)], width
        else:
            layers, width_in = [_Both(width_in, width // 2, trunk)], width_in + width // 2
        for module in self.modules:
            layer, width_in = module.build(width_in, width // 8, trunk)
            layers.append(layer)
        return nn.Sequential(*layers), width_in


class _Both(nn.Module):
    def __init__(self, width_in: int, width: int, trunk: Inception) -> None:
        super().__init__()
        self.convolution, self.pool = trunk.convolution(width_in, width, (3, 3), 2), nn.MaxPool2d(3, 2, 1)

    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat([self.convolution(maps), self.pool(maps)], 1)


class Inception(Architecture):
    """Stages of modules in which convolutions of several sizes stand side by side, each module with widths of its own.

    The stem halves the maps by default, because modules cost a CPU more by the place than by the multiplication. width: channels
    of the stem, and what the first stage widens. dropout: before the last layer.
    """

    takes: ClassVar[tuple[type[Inputs], ...]] = (Image,)

    stem: str = Choice(*STEMS, default="halving")
    width: int = Int(16, 128, log=True, multiple_of=8, default=32)
    stages: tuple[InceptionStage, ...] = Repeat(OneOf(InceptionStage), 1, 4, default=2)
    activation: str = Choice(*ACTIVATIONS, default="relu")
    normalisation: str = Choice(*IMAGE_NORMALISATIONS, default="batch")
    dropout: float = Float(0.0, 0.5, default=0.0)

    def build(self, inputs: Inputs, outputs: Outputs) -> nn.Module:
        """Return a network that starts near the base rates of the classes, or the mean."""
        image, width, width_in = as_image(inputs), self.width, self.width
        layers: list[nn.Module] = [stem(self.stem, image, width, self.normalisation, self.activation)]
        for stage in self.stages:
            width = _widened(width, stage.widening)
            module, width_in = stage.build(width_in, width, self)
            layers.append(module)
        return _kept_in_scale(nn.Sequential(Standardise(image), *layers, pooled_head(width_in, outputs, self.dropout)))

    def convolution(self, width_in: int, width: int, kernel: tuple[int, int], stride: int = 1) -> nn.Module:
        """Return a convolution, of a kernel (height, width), with this network's normalisation and activation."""
        padding, bias = (kernel[0] // 2, kernel[1] // 2), self.normalisation == "none"
        conv = nn.Conv2d(width_in, width, kernel, stride, padding, bias=bias)
        return nn.Sequential(conv, IMAGE_NORMALISATIONS[self.normalisation](width), ACTIVATIONS[self.activation]())

    @staticmethod
    def narrow(inputs: Inputs, outputs: Outputs) -> dict[str, object]:  # noqa: ARG004  the signature is the language's
        """Return overrides that leave the stems and the number of stages that suit these images."""
        return _narrowed(inputs, 4)
