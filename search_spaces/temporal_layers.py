"""What convolutions along the steps of a sequence share: they and their norms work as if there were no padding.

Maps are float32 `(batch, channels, steps)`. A mask is float32 `(batch, 1, steps)`, 1 at a row's steps and 0 at its padding, or
None where no row is padded, which saves the time of masking. Every layer here leaves zeros where the mask has them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from search_spaces.layers import ACTIVATIONS, IMAGE_NORMALISATIONS, Dropout

PATCHES = (1, 2, 4, 8, 16, 32, 64)  # in steps
_FEWEST, _USUAL = 8, 32  # patches; of fewer than the first, layers over patches have nothing to relate


def patches_for(length: int, most: int) -> list[int]:
    """Return the lengths of patches, ascending, that make few enough of `length` steps, at most `most`, but not too few."""
    moderate = [patch for patch in PATCHES if -(-length // patch) <= most] or [max(PATCHES)]
    return [patch for patch in moderate if -(-length // patch) >= _FEWEST] or [min(moderate)]


def usual_patch(length: int, patches: list[int]) -> int:
    """Return the longest of some patches that leaves about 32 or more of `length` steps, or the shortest.

    So short trainings get far: what costs time is the number of patches, and a single step says little.
    """
    return max(patch for patch in patches if patch <= max(patches[0], length // _USUAL))


class Patches(nn.Module):
    """Every `patch` steps mapped linearly to one (Nie et al., "A Time Series is Worth 64 Words", 2023, section 3.1).

    Unlike there the channels of a step are mapped together. overlap: whether a patch sees the steps of the next one too, as in
    the paper. What lies behind a row's end counts as 0.

    **Shape**: features `(batch, steps, width_in)` and mask bool `(batch, steps)` to `(batch, ceil(steps / patch), width)` and a
    mask of as many steps.
    """

    def __init__(self, width_in: int, width: int, patch: int, *, overlap: bool = False) -> None:
        super().__init__()
        self.patch, self.kernel = patch, patch * 2 if overlap else patch
        self.convolution = nn.Conv1d(width_in, width, self.kernel, patch)

    def forward(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the patches and which of them hold a step of their row."""
        maps = self.convolution(functional.pad(features.transpose(1, 2), (0, self.kernel - 1))).transpose(1, 2)
        mask = torch.arange(0, maps.shape[1], device=mask.device) * self.patch < mask.sum(1, keepdim=True)
        return maps * mask.unsqueeze(2), mask


def as_maps(features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return features `(batch, steps, width)` as maps, and their mask bool `(batch, steps)` as one of maps."""
    full = not torch.compiler.is_exporting() and bool(mask.all())
    return features.transpose(1, 2), None if full else mask.unsqueeze(1).to(features.dtype)


def masked(maps: Tensor, mask: Tensor | None) -> Tensor:
    """Return maps with zeros at padding."""
    return maps if mask is None else maps * mask


class StepNorm(nn.Module, ABC):
    """A norm of maps whose statistics are those of the steps that are no padding."""

    @abstractmethod
    def forward(self, maps: Tensor, mask: Tensor | None) -> Tensor:
        """Return normalised maps; at padding there may be anything."""


class _NoNorm(StepNorm):
    def __init__(self, _channels: int) -> None:
        super().__init__()

    def forward(self, maps: Tensor, mask: Tensor | None) -> Tensor:
        return maps


class _BatchNorm(StepNorm):
    """Torch's, but for the rows' padding in training, which would pull the statistics to 0."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(channels)

    def forward(self, maps: Tensor, mask: Tensor | None) -> Tensor:
        norm = self.norm
        if mask is None or not self.training:
            out: Tensor = norm(maps)
            return out
        maps, mask = maps.float(), mask.float()  # under autocast neither sums nor counts are exact
        count = mask.sum()
        mean = (maps * mask).sum((0, 2)) / count
        centred = maps - mean.view(1, -1, 1)
        variance = (centred.square() * mask).sum((0, 2)) / count
        with torch.no_grad():
            rate = cast(float, norm.momentum)
            cast(Tensor, norm.num_batches_tracked).add_(1)
            cast(Tensor, norm.running_mean).lerp_(mean, rate)
            cast(Tensor, norm.running_var).lerp_(variance * count / (count - 1).clamp_min(1), rate)
        scale = norm.weight * (variance + norm.eps).rsqrt()
        return centred * scale.view(1, -1, 1) + norm.bias.view(1, -1, 1)


class _LayerNorm(StepNorm):
    """Over the channels of each step."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, maps: Tensor, mask: Tensor | None) -> Tensor:
        out: Tensor = self.norm(maps.transpose(1, 2)).transpose(1, 2)
        return out


class _GroupNorm(StepNorm):
    """Over all steps of a row and the channels of a group (Wu & He 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = cast(nn.GroupNorm, IMAGE_NORMALISATIONS["group"](channels))

    def forward(self, maps: Tensor, mask: Tensor | None) -> Tensor:
        if mask is None:
            out: Tensor = self.norm(maps)
            return out
        grouped, real = torch.unflatten(maps.float(), 1, (self.norm.num_groups, -1)), mask.float().unsqueeze(1)
        count = real.sum((2, 3), keepdim=True) * grouped.shape[2]
        centred = grouped - (grouped * real).sum((2, 3), keepdim=True) / count
        variance = (centred.square() * real).sum((2, 3), keepdim=True) / count
        normed = (centred * (variance + self.norm.eps).rsqrt()).flatten(1, 2)
        return normed * self.norm.weight.view(1, -1, 1) + self.norm.bias.view(1, -1, 1)


STEP_NORMALISATIONS: Mapping[str, Callable[[int], StepNorm]] = {
    "batch": _BatchNorm,
    "none": _NoNorm,
    "layer": _LayerNorm,
    "group": _GroupNorm,
}


class Style(NamedTuple):
    """What stands behind every convolution of a network: names of a norm and of an activation (None for none), and dropout."""

    normalisation: str
    activation: str | None
    dropout: float = 0.0


class StepConvolution(nn.Module):
    """A convolution over steps, with a norm, an activation and dropout; the number of steps stays what it is.

    A step sees `kernel` steps at a distance of `dilation`, an odd number: as many before it as behind it, or, where the
    convolution is `causal`, itself and those before it.
    """

    def __init__(self, widths: tuple[int, int], kernel: int, style: Style, *, dilation: int = 1, causal: bool = False) -> None:
        super().__init__()
        reach = (kernel - 1) * dilation
        self.before, padding = (reach, 0) if causal else (0, reach // 2)
        bias = style.normalisation != "batch"
        self.convolution = nn.Conv1d(*widths, kernel, padding=padding, dilation=dilation, bias=bias)
        self.norm = STEP_NORMALISATIONS[style.normalisation](widths[1])
        self.activation = nn.Identity() if style.activation is None else ACTIVATIONS[style.activation]()
        self.dropout = Dropout(style.dropout)

    def forward(self, maps: Tensor, mask: Tensor | None) -> Tensor:
        """Return maps `(batch, widths[1], steps)` for maps `(batch, widths[0], steps)`."""
        convolved = self.convolution(functional.pad(maps, (self.before, 0)) if self.before else maps)
        return masked(self.dropout(self.activation(self.norm(convolved, mask))), mask)


def keep_in_scale(network: nn.Module) -> None:
    """Draw the weights of convolutions so that signals keep their size with depth; biases start at 0.

    He et al., "Delving Deep into Rectifiers" (2015), equation 10.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv1d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
