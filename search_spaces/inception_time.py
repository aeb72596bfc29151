"""InceptionTime: convolutions of several lengths side by side over sequences, which need not know how long a shape lasts.

Ismail Fawaz et al., "InceptionTime: Finding AlexNet for Time Series Classification" (2020). It averages five networks; here one
is trained at a time, and smaller by default.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from search_spaces.language import Architecture, Choice, Float, Int, OneOf
from search_spaces.layers import ACTIVATIONS, Dropout
from search_spaces.spec import TimeSeries, as_series
from search_spaces.steps import POOLINGS, StepInput, StepNetwork
from search_spaces.temporal_layers import (
    PATCHES,
    STEP_NORMALISATIONS,
    Patches,
    StepConvolution,
    Style,
    as_maps,
    keep_in_scale,
    masked,
    patches_for,
)

if TYPE_CHECKING:
    from search_spaces.spec import Inputs, Outputs

_MOST = 512  # steps that modules work on
_KERNELS = (3, 5, 9, 19, 39, 59)
_USUAL = 39
_EVERY = 3  # modules under a shortcut


class InceptionTime(Architecture):
    """Modules of parallel convolutions, with a shortcut around every three of them (figures 1 and 2).

    patch: steps that are mapped to one before the modules. modules: how many; the paper has 6. filters: of each convolution of a
    module, whose width is four times that. kernel: the longest convolution's, in steps; the two others' are about a half and a
    quarter of it. The paper has 40, 20 and 10; here they are odd, so that a step is in the middle. bottleneck: the channels to
    which a module's input is brought before its convolutions. last_dropout: before the last layer.

    **Shape**: values `(batch, time, channels)` and lengths `(batch,)` to `(batch, outputs.width)`.
    """

    takes: ClassVar[tuple[type[Inputs], ...]] = (TimeSeries,)

    input: StepInput = OneOf(StepInput)
    patch: int = Choice(*PATCHES, ordered=True)
    modules: int = Int(1, 9, default=3)
    filters: int = Int(8, 64, log=True, multiple_of=8, default=16)
    kernel: int = Choice(*_KERNELS, ordered=True, default=_USUAL)
    bottleneck: int = Choice(16, 32, 64, ordered=True)
    normalisation: str = Choice(*STEP_NORMALISATIONS)
    activation: str = Choice(*ACTIVATIONS, default="relu")
    pooling: str = Choice(*POOLINGS, default="mean")
    last_dropout: float = Float(0.0, 0.5, default=0.1)

    def build(self, inputs: Inputs, outputs: Outputs) -> nn.Module:
        """Return a network that starts near the base rates of the classes, or the mean."""
        features = self.input.build(as_series(inputs), outputs)
        return StepNetwork(features, _Modules(self, features.width), outputs)

    @staticmethod
    def narrow(inputs: Inputs, outputs: Outputs) -> dict[str, object]:
        """Return overrides that leave patches where rows are long, and kernels that are no longer than rows."""
        length = as_series(inputs).length
        patches = patches_for(length, _MOST)
        kernels = [kernel for kernel in _KERNELS if kernel <= -(-length // patches[0])] or [min(_KERNELS)]
        return {
            **{f"input/{path}": override for path, override in StepInput.narrow(inputs, outputs).items()},
            "patch": Choice(*patches, ordered=True, default=patches[0]),
            "kernel": Choice(*kernels, ordered=True, default=max(kernel for kernel in kernels if kernel <= _USUAL)),
        }


class _Modules(nn.Module):
    def __init__(self, net: InceptionTime, width_in: int) -> None:
        super().__init__()
        self.width = width = 4 * net.filters
        self.patches = None if net.patch == 1 else Patches(width_in, width, net.patch)
        width_in = width_in if self.patches is None else width
        self.stack = nn.ModuleList(_Module(net, before) for before in (width_in, *[width] * (net.modules - 1)))
        plain, rounds = Style(net.normalisation, None), net.modules // _EVERY
        self.shortcuts = nn.ModuleList(StepConvolution((width if i else width_in, width), 1, plain) for i in range(rounds))
        keep_in_scale(self)
        self.activation = ACTIVATIONS[net.activation]()
        self.pooling, self.dropout = POOLINGS[net.pooling](width), Dropout(net.last_dropout)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Return `(batch, width)`."""
        if self.patches is not None:
            features, mask = self.patches(features, mask)
        maps, real = as_maps(features, mask)
        kept = maps
        for i, module in enumerate(self.stack, 1):
            maps = module(maps, real)
            if i % _EVERY == 0:
                short = self.shortcuts[i // _EVERY - 1](kept, real)
                maps = kept = masked(self.activation(maps + short), real)
        out: Tensor = self.dropout(self.pooling(maps.transpose(1, 2), mask))
        return out


class _Module(nn.Module):
    """A bottleneck, three convolutions and a maximum of neighbours side by side (figure 2), a norm and an activation."""

    def __init__(self, net: InceptionTime, width_in: int) -> None:
        super().__init__()
        self.bottleneck = nn.Conv1d(width_in, net.bottleneck, 1, bias=False) if width_in > net.bottleneck else None
        width = net.bottleneck if self.bottleneck is not None else width_in
        kernels = [max(net.kernel // part, 1) // 2 * 2 + 1 for part in (1, 2, 4)]
        self.convolutions = nn.ModuleList(nn.Conv1d(width, net.filters, k, padding=k // 2, bias=False) for k in kernels)
        self.pooled = nn.Conv1d(width_in, net.filters, 1, bias=False)
        self.norm, self.activation = STEP_NORMALISATIONS[net.normalisation](4 * net.filters), ACTIVATIONS[net.activation]()

    def forward(self, maps: Tensor, mask: Tensor | None) -> Tensor:
        narrow = maps if self.bottleneck is None else self.bottleneck(maps)
        parts = [convolution(narrow) for convolution in self.convolutions]
        parts.append(self.pooled(_greatest_of_three(maps, mask)))
        return masked(self.activation(self.norm(torch.cat(parts, 1), mask)), mask)


def _greatest_of_three(maps: Tensor, mask: Tensor | None) -> Tensor:
    """Return the maxima of each step and the two beside it, as far as they aren't padding."""
    least = torch.finfo(maps.dtype).min
    seen = functional.pad(maps if mask is None else maps.masked_fill(mask == 0, least), (1, 1), value=least)
    steps = maps.shape[2]
    return masked(seen[..., :steps].maximum(seen[..., 1 : steps + 1]).maximum(seen[..., 2 : steps + 2]), mask)
