"""Residual networks for images: the family to beat.

He et al., "Deep Residual Learning for Image Recognition" (2015) and "Identity Mappings in Deep Residual Networks" (2016), with
the choices that later work added one by one: squeeze and excitation (Hu et al. 2018), grouped convolutions (Xie et al. 2017),
pooled shortcuts (He et al. 2019), stochastic depth (Huang et al. 2016). Widths are factors of the width before, so that drawn
networks don't begin wider than they end. The default departs from the published ones in size: it halves images early and has
one block for each size, which gains most where a processor has minutes, not hours.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor, nn

from search_spaces.images import STEMS, Standardise, halvings, pooled_head, stem, stems_for
from search_spaces.language import Architecture, Choice, Float, Int, OneOf, Repeat, Searchable
from search_spaces.layers import ACTIVATIONS, IMAGE_NORMALISATIONS, Dropout
from search_spaces.spec import Image, as_image

if TYPE_CHECKING:
    from search_spaces.spec import Inputs, Outputs

_STEP = 8  # widths are multiples of it, which vector units and group norms like


class Stage(Searchable, ABC):
    """Blocks of one width and kind, of which the first changes width and size.

    blocks: how many. widening: the width, in widths of what comes in. stride: what height and width are divided by. excitation:
    the reduction of squeeze and excitation behind each branch, 0 for none (Hu et al. 2018, equations 2 to 4).
    """

    blocks: int = Int(1, 6, log=True, default=1)
    widening: float = Choice(1.0, 1.5, 2.0, ordered=True, default=2.0)
    stride: int = Choice(1, 2, ordered=True, default=2)
    excitation: int = Choice(0, 16, 8, 4)

    @abstractmethod
    def convolutions(self, width_in: int, width: int, stride: int, *, bias: bool) -> list[nn.Conv2d]:
        """Return the convolutions of one branch, from `width_in` to `width` channels at a size divided by `stride`."""

    def build(self, width_in: int, drops: tuple[float, ...], net: ResNet) -> tuple[nn.Sequential, int]:
        """Return a module `(batch, width_in, height, width)` to `(batch, width_out, ...)`, and `width_out`.

        drops: for each block, how often its branch is left out in training.
        """
        width = _in_steps(width_in * self.widening, _STEP)
        blocks = [_Block(self, (width_in, width, self.stride), drops[0], net)]
        blocks += [_Block(self, (width, width, 1), drop, net) for drop in drops[1:]]
        return nn.Sequential(*blocks), width


class Basic(Stage):
    """Two 3x3 convolutions in a branch (He et al. 2015, figure 5, left)."""

    def convolutions(self, width_in: int, width: int, stride: int, *, bias: bool) -> list[nn.Conv2d]:
        """Return the two convolutions; the first changes the size."""
        return [nn.Conv2d(width_in, width, 3, stride, 1, bias=bias), nn.Conv2d(width, width, 3, 1, 1, bias=bias)]


class Bottleneck(Stage):
    """1x1, 3x3 and 1x1 convolutions in a branch (He et al. 2015, figure 5, right).

    The 3x3 one has a `reduction`-th of the width, in `groups` (Xie et al. 2017, figure 3c), and it changes the size, as in
    Goyal et al., "Accurate, Large Minibatch SGD" (2017). Its width is rounded to a multiple of the groups.
    """

    reduction: int = Choice(2, 4, ordered=True, default=4)
    groups: int = Choice(1, 4, 8, 32, ordered=True)

    def convolutions(self, width_in: int, width: int, stride: int, *, bias: bool) -> list[nn.Conv2d]:
        """Return the three convolutions; the one in the middle changes the size."""
        inner = _in_steps(width / self.reduction, max(_STEP, self.groups))
        return [
            nn.Conv2d(width_in, inner, 1, bias=bias),
            nn.Conv2d(inner, inner, 3, stride, 1, groups=self.groups, bias=bias),
            nn.Conv2d(inner, width, 1, bias=bias),
        ]


class ResNet(Architecture):
    """A residual network over images; the default suits some thousand small images.

    stem: the first layers, see `images.stem`, to `width` channels. preactivation: norm and activation before convolutions (He et
    al. 2016, figure 4e) and not behind them. shortcut: how a shortcut changes the size, by a 1x1 convolution with a stride or
    behind a mean over 2x2 (He et al. 2019, figure 2c). drop_path: how often the branch of the last block is left out; earlier
    ones less, in proportion to their depth (Huang et al. 2016, equation 4). dropout: before the last layer.
    """

    takes: ClassVar[tuple[type[Inputs], ...]] = (Image,)

    stem: str = Choice(*STEMS, default="plain")
    width: int = Int(8, 64, log=True, multiple_of=8, default=32)
    stages: tuple[Stage, ...] = Repeat(OneOf(Basic, Bottleneck), 1, 4, default=2)
    preactivation: bool = Choice(False, True)
    shortcut: str = Choice("strided", "pooled")
    normalisation: str = Choice("batch", "group", "layer", "none")
    activation: str = Choice(*ACTIVATIONS, default="relu")
    drop_path: float = Float(0.0, 0.3, default=0.0)
    dropout: float = Float(0.0, 0.5, default=0.0)

    def build(self, inputs: Inputs, outputs: Outputs) -> nn.Module:
        """Return a network that starts from the base rates of the classes, or from the mean."""
        images, width = as_image(inputs), self.width
        layers: list[nn.Module] = [Standardise(images), stem(self.stem, images, width, self.normalisation, self.activation)]
        depth, done = sum(stage.blocks for stage in self.stages), 0
        for stage in self.stages:
            drops = tuple(self.drop_path * (done + i + 1) / depth for i in range(stage.blocks))
            module, width = stage.build(width, drops, self)
            layers, done = [*layers, module], done + stage.blocks
        if self.preactivation:
            layers.append(self.norm_act(width))
        return nn.Sequential(*layers, pooled_head(width, outputs, self.dropout))

    def norm_act(self, width: int) -> nn.Sequential:
        """Return normalisation and activation."""
        return nn.Sequential(IMAGE_NORMALISATIONS[self.normalisation](width), ACTIVATIONS[self.activation]())

    @staticmethod
    def narrow(inputs: Inputs, outputs: Outputs) -> dict[str, object]:  # noqa: ARG004  the signature is the language's
        """Return overrides that leave as many stages as images can be halved, and the stems of their size.

        By default as many stages as leave maps of four pixels to a side.
        """
        images = as_image(inputs)
        stems = stems_for(images)
        times = halvings(images, stems[0])
        most = min(max(times, 1), 4)
        usual = max(1, min(most, halvings(images, stems[0], smallest=4)))
        narrowed: dict[str, object] = {"stem": Choice(*stems, default=stems[0]), "stages/length": Int(1, most, default=usual)}
        return narrowed if times else {**narrowed, "stages/*/stride": 1, "shortcut": "strided"}


class _Block(nn.Module):
    """A branch that is added to a shortcut.

    Beside a shortcut that is the input itself, branches start as zero, so that a deep network begins as a shallow one: by their
    last scale (Goyal et al. 2017, section 5.1), by the last convolution where there is no norm (Zhang et al., "Fixup
    Initialization", 2019). Those that end in a convolution behind norms are left as they are (He et al. 2016), and, unlike in
    Goyal et al., those beside a convolution: it sees a quarter of the pixels, and short trainings don't make up for that start.
    """

    def __init__(self, stage: Stage, shape: tuple[int, int, int], drop: float, net: ResNet) -> None:
        super().__init__()
        width_in, width, stride = shape
        bias = net.normalisation == "none"
        before, *later = stage.convolutions(width_in, width, stride, bias=bias)
        layers: list[nn.Module] = [before]
        for conv in later:
            layers += [net.norm_act(conv.in_channels), conv]
        if not net.preactivation:
            layers.append(IMAGE_NORMALISATIONS[net.normalisation](width))
        same = (width_in, 1) == (width, stride)
        if same and (bias or not net.preactivation):
            for parameter in (later[-1] if bias else layers[-1]).parameters():
                nn.init.zeros_(parameter)
        if stage.excitation:
            layers.append(_Excitation(width, stage.excitation))
        self.first = net.norm_act(width_in) if net.preactivation else nn.Identity()
        self.branch, self.drop = nn.Sequential(*layers), _DropPath(drop)
        self.shortcut = nn.Identity() if same else _shortcut(shape, net)
        self.last = nn.Identity() if net.preactivation else ACTIVATIONS[net.activation]()

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum; a shortcut that changes the shape begins behind the first activation (He et al. 2016, appendix)."""
        active = self.first(x)
        short = x if isinstance(self.shortcut, nn.Identity) else self.shortcut(active)
        out: Tensor = self.last(short + self.drop(self.branch(active)))
        return out


def _shortcut(shape: tuple[int, int, int], net: ResNet) -> nn.Sequential:
    width_in, width, stride = shape
    layers: list[nn.Module] = []
    if net.shortcut == "pooled" and stride > 1:
        layers, stride = [nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False)], 1
    layers.append(nn.Conv2d(width_in, width, 1, stride, bias=net.normalisation == "none"))
    if not net.preactivation:
        layers.append(IMAGE_NORMALISATIONS[net.normalisation](width))
    return nn.Sequential(*layers)


class _Excitation(nn.Module):
    """Channels weighted by what the means of all channels say."""

    def __init__(self, width: int, reduction: int) -> None:
        super().__init__()
        hidden = max(width // reduction, _STEP)
        layers = nn.Conv2d(width, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, width, 1), nn.Sigmoid()
        self.weights = nn.Sequential(nn.AdaptiveAvgPool2d(1), *layers)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x * self.weights(x)
        return out


class _DropPath(nn.Module):
    """All of a row is zeroed in a share `p` of the rows in training, and scaled up in the others."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.rows = Dropout(p)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.rows(x.new_ones(x.shape[0], 1, 1, 1)) if self.training and self.rows.p else x


def _in_steps(width: float, step: int) -> int:
    """Return the multiple of `step` nearest to a width, and `step` at least."""
    return max(round(width / step), 1) * step
