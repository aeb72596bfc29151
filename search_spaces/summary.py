"""Sequences of any length as a fixed number of features: what simple models see of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from search_spaces.spec import TimeSeries

LIMIT = 10.0  # standard deviations; simple models would follow what lies beyond
_STATISTICS = 7
_LEAST_VARIANCE = 1e-9  # of the positions of steps
_FAR = 1e4  # beyond LIMIT


class SeriesSummary(nn.Module):
    """Statistics of each channel, and the sequence itself, resampled.

    For each channel mean, standard deviation, least, greatest, first and last value, and slope (of the line through its values,
    per length of the sequence), all of them over the values that are there; the share that is missing, where the fit rows miss
    any; and `points` means over equal shares of the sequence, in order (a step counts in each share as far as it reaches into it,
    so that a sequence may have fewer steps than points). The logarithm of the length, where sequences have several. Everything
    is in standard deviations of the channel, clipped at `LIMIT`; what isn't there is 0, or the mean of its sequence.

    **Shape**: float32 `(batch, time, channels)` and int64 `(batch,)` to `(batch, width)`, finite whatever comes in.
    """

    mean: Tensor
    std: Tensor
    flagged: Tensor

    def __init__(self, inputs: TimeSeries, points: int) -> None:
        super().__init__()
        self.points = max(1, min(points, inputs.length))
        self.longest = math.log1p(inputs.length) if inputs.shortest < inputs.length else None
        self.register_buffer("mean", torch.tensor([channel.mean for channel in inputs.channels]))
        self.register_buffer("std", torch.tensor([channel.std for channel in inputs.channels]))
        flagged = [i for i, channel in enumerate(inputs.channels) if channel.missing > 0]
        self.register_buffer("flagged", torch.tensor(flagged, dtype=torch.int64))
        ragged = int(self.longest is not None)
        self.width = len(inputs.channels) * (_STATISTICS + self.points) + len(flagged) + ragged

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        """Return the features."""
        lengths = lengths.clamp(1, values.shape[1]).to(values.dtype).view(-1, 1, 1)
        steps = torch.arange(values.shape[1], device=values.device, dtype=values.dtype).view(1, -1, 1)
        mask = (steps < lengths).to(values.dtype)
        present = (~values.isnan()).to(values.dtype) * mask
        standard = ((values - self.mean) / self.std).nan_to_num(0.0, LIMIT, -LIMIT).clamp(-LIMIT, LIMIT) * present
        count = present.sum(1, keepdim=True)
        mean = standard.sum(1, keepdim=True) / count.clamp_min(1.0)
        parts = [*_statistics(standard, present, mean, steps, lengths), self._resampled(standard, present, mean, steps, lengths)]
        if len(self.flagged):
            parts.append((1.0 - count / lengths).index_select(2, self.flagged))
        if self.longest is not None:
            parts.append((lengths.log1p() - self.longest).clamp(-LIMIT, LIMIT))
        return torch.cat([part.flatten(1) for part in parts], 1)

    def _resampled(self, standard: Tensor, present: Tensor, mean: Tensor, steps: Tensor, lengths: Tensor) -> Tensor:
        """Return the means over equal shares of each sequence, `(batch, points, channels)`."""
        shares = torch.arange(self.points, device=standard.device, dtype=standard.dtype).view(1, 1, -1)
        size = lengths / self.points
        reach = torch.minimum(steps + 1.0, (shares + 1.0) * size) - torch.maximum(steps, shares * size)
        weights = (reach / size).clamp_min(0.0).transpose(1, 2)  # (batch, points, time)
        there = weights @ present
        return torch.where(there > 1e-4, (weights @ standard) / there.clamp_min(1e-4), mean)


def _statistics(standard: Tensor, present: Tensor, mean: Tensor, steps: Tensor, lengths: Tensor) -> list[Tensor]:
    """Return mean, spread, least, greatest, first, last and slope, each `(batch, 1, channels)`."""
    there, far = present.amax(1, keepdim=True), (1.0 - present) * _FAR
    count = present.sum(1, keepdim=True).clamp_min(1.0)
    away = (standard - mean) * present
    spread = (away.square().sum(1, keepdim=True) / count).sqrt()
    least, greatest = (standard + far).amin(1, keepdim=True), (standard - far).amax(1, keepdim=True)
    ends = [standard.gather(1, (present * order).argmax(1, keepdim=True)) for order in (standard.shape[1] - steps, steps + 1.0)]
    place = steps / lengths
    centre = (place * present).sum(1, keepdim=True) / count
    apart = (place - centre) * present
    slope = (apart * away).sum(1, keepdim=True) / apart.square().sum(1, keepdim=True).clamp_min(_LEAST_VARIANCE)
    clipped = [part.clamp(-LIMIT, LIMIT) * there for part in (least, greatest, slope)]
    return [mean, spread, clipped[0], clipped[1], *ends, clipped[2]]
