"""Augmentation of sequences: changes of their values that leave what they are sequences of as it is.

Um et al., "Data Augmentation of Wearable Sensor Data for Parkinson's Disease Monitoring using Convolutional Neural Networks"
(2017), from which jitter, scaling and warping come; the spans that are left out are those of Park et al., "SpecAugment" (2019).
All strengths are in units that mean the same for every sequence: standard deviations of a channel, shares of a row's length.
"""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.augmentation import Augmentation, Mix, drawn_mix
from search_spaces.language import Choice, Float
from search_spaces.spec import Classes, Forecast, Inputs, Labels, Outputs, TimeSeries, as_series

_FEW = 8  # steps; of shorter rows no part could be left out or moved
_WAVES = 3  # of a warped row's time
_SEARCHED = {  # few values, so that a search often leaves a change out
    "jitter": (0.0, 0.03, 0.1, 0.3),
    "scaling": (0.0, 0.1, 0.2, 0.4),
    "left_out": (0.0, 0.1, 0.2, 0.4),
    "warping": (0.0, 0.1, 0.2, 0.4),
    "shift": (0.0, 0.05, 0.1, 0.2),
    "mixup": (0.0, 0.2, 0.4),
}


class SeriesAugmentation(Augmentation):
    """Changes of sequences, applied in the order of the fields; lengths stay what they are, and padding is never touched.

    warping: how much faster or slower a row may run in places, as a share of its speed; its first and last steps stay.
    shift: how far a row may be moved in time, as a share of its length, to either side; its first or last step is repeated where
    steps are missing. scaling: the standard deviation of a factor for each row and channel, about the fit rows' mean. jitter:
    that of the noise for each value, in standard units of the channel. left_out: the longest span of steps that take the fit
    rows' mean, in all channels, as a share of a row's length. mixup: alpha of Zhang et al. 2018, 0 for none; where one of two
    rows has ended or lacks a value, the other's counts alone.

    **Shape**: values `(batch, time, channels)` and lengths `(batch,)`, unchanged. Missing values stay missing where steps are
    not moved, left out or mixed, and move with their steps where they are.
    """

    warping: float = Float(0.0, 0.8, default=0.0)
    shift: float = Float(0.0, 0.5, default=0.0)
    scaling: float = Float(0.0, 1.0, default=0.1)
    jitter: float = Float(0.0, 1.0, default=0.03)
    left_out: float = Float(0.0, 0.8, default=0.1)
    mixup: float = Float(0.0, 1.0, default=0.0)

    def apply(
        self, features: tuple[Tensor, ...], inputs: Inputs, generator: torch.Generator
    ) -> tuple[tuple[Tensor, ...], Mix | None]:
        values, lengths = features
        spec = as_series(inputs)
        count = lengths.clamp(1, values.shape[1]).unsqueeze(1)
        steps = torch.arange(values.shape[1], device=values.device)
        there = (steps < count).unsqueeze(2)
        changed = self._moved(values, count, steps, generator)
        changed = self._scaled(changed, spec, generator)
        if self.left_out > 0:
            mean = torch.tensor([channel.mean for channel in spec.channels], device=values.device)
            changed = torch.where(_span(self.left_out, count, steps, generator), mean, changed)
        mix = None
        if self.mixup > 0:
            mix = drawn_mix(self.mixup, values, generator)
            other = torch.where(there[mix.partner], changed[mix.partner], float("nan"))
            mixed = torch.lerp(other, changed, mix.share.view(-1, 1, 1))
            changed = torch.where(other.isnan(), changed, torch.where(changed.isnan(), other, mixed))
        return (torch.where(there, changed, values), lengths), mix

    def _moved(self, values: Tensor, count: Tensor, steps: Tensor, generator: torch.Generator) -> Tensor:
        """Return rows whose steps come from other places of the row, between two steps by their weighted mean."""
        if self.warping == 0 and self.shift == 0:
            return values
        last = (count - 1).to(values.dtype)
        places = steps.expand(len(values), -1).to(values.dtype)
        if self.warping > 0:
            places = places + _waves(self.warping, places, last, generator)
        if self.shift > 0:
            uniform = 2 * torch.rand(len(values), 1, generator=generator, device=values.device) - 1
            places = places + (uniform * self.shift * last).round()
        places = torch.minimum(places.clamp_min(0.0), last)
        before = places.floor().long()
        behind = torch.minimum(before + 1, count - 1)
        picked = (values.gather(1, index.unsqueeze(2).expand(-1, -1, values.shape[2])) for index in (before, behind))
        share = (places - before).unsqueeze(2)
        first, second = picked
        return torch.where(share > 0, torch.lerp(first, second, share), first)

    def _scaled(self, values: Tensor, spec: TimeSeries, generator: torch.Generator) -> Tensor:
        """Return rows times a factor about the mean, and noise added."""
        mean, std = (
            torch.tensor([getattr(channel, name) for channel in spec.channels], device=values.device) for name in ("mean", "std")
        )
        if self.scaling > 0:
            shape = len(values), 1, values.shape[2]
            factor = 1 + self.scaling * torch.randn(shape, generator=generator, device=values.device)
            values = mean + (values - mean) * factor
        if self.jitter > 0:
            values = values + self.jitter * std * torch.randn(values.shape, generator=generator, device=values.device)
        return values

    @staticmethod
    def narrow(inputs: Inputs, outputs: Outputs) -> dict[str, object]:
        """Return overrides: few strengths of each change, and only what rows and targets bear.

        What follows a row doesn't change with it, so that of forecasts neither the scale nor the time may. Numbers that are to be
        told of a row may be its scale or what happens when. Rows are mixed where classes or labels can be.
        """
        series = as_series(inputs)
        narrowed: dict[str, object] = {field: Choice(*values, ordered=True) for field, values in _SEARCHED.items()}
        if not isinstance(outputs, Classes | Labels):
            narrowed |= {"scaling": 0.0, "warping": 0.0, "shift": 0.0, "mixup": 0.0}
        if isinstance(outputs, Forecast):
            narrowed["left_out"] = 0.0
        if series.length < _FEW:
            narrowed |= {"left_out": 0.0, "warping": 0.0, "shift": 0.0}
        return narrowed


def _waves(strength: float, places: Tensor, last: Tensor, generator: torch.Generator) -> Tensor:
    """Return how far each step is moved: half waves over a row, 0 at both ends, whose steepness is at most `strength`."""
    total = torch.zeros_like(places)
    for wave in range(1, _WAVES + 1):
        uniform = 2 * torch.rand(len(places), 1, generator=generator, device=places.device) - 1
        angle = torch.pi * wave / last.clamp_min(1.0)
        total = total + uniform * strength / (_WAVES * angle) * (places * angle).sin()
    return total


def _span(share: float, count: Tensor, steps: Tensor, generator: torch.Generator) -> Tensor:
    """Return which steps a row leaves out, `(batch, time, 1)`: a span of up to `share` of its steps, anywhere within it."""
    uniform = torch.rand(2, len(count), 1, generator=generator, device=count.device)
    length = (uniform[0] * share * count).round()
    first = (uniform[1] * (count - length + 1)).floor()
    return ((steps >= first) & (steps < first + length)).unsqueeze(2)
