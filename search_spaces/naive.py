"""Forecasts that say again what was, as a network: what every forecast must beat, exported and loaded like all others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from search_spaces.language import Architecture, Infeasible, Int
from search_spaces.spec import Forecast, TimeSeries, as_series

if TYPE_CHECKING:
    from search_spaces.spec import Inputs, Outputs

LONGEST = 2**20  # steps of a season, as many as a window may have
LIMIT = 1e3  # standard deviations; what lies beyond is no measurement


class NaiveForecast(Architecture):
    """The value of one season before, plus a linear function of the window that begins at nothing.

    With `season` 1, or one that is longer than the windows, it is the last value. With the linear function, which sees the
    target's window relative to its last value, it is NLinear of Zeng et al. ("Are Transformers Effective for Time Series
    Forecasting?", 2023). Missing values count as the last one that there is.
    """

    takes = (TimeSeries,)
    gives = (Forecast,)

    season: int = Int(1, LONGEST, log=True, default=1)

    def build(self, inputs: Inputs, outputs: Outputs) -> NaiveNetwork:
        """Return the network, which repeats what was: its linear function is 0."""
        if not isinstance(outputs, Forecast):
            raise Infeasible(f"outputs must be Forecast, got {type(outputs).__name__}")
        return NaiveNetwork(as_series(inputs), outputs, self.season)


class NaiveNetwork(nn.Module):
    """Forecasts `(batch, horizon)` from `values` `(batch, time, channels)` and `lengths` `(batch,)`."""

    behind: Tensor
    repeated: Tensor

    def __init__(self, inputs: TimeSeries, outputs: Forecast, season: int) -> None:
        super().__init__()
        self.outputs, self.channel = outputs, inputs.channels[outputs.channel]
        length = inputs.length
        season = season if season <= length else 1
        self.register_buffer("behind", torch.arange(-length, 0), persistent=False)
        repeated = length - season + torch.arange(outputs.horizon) % season
        self.register_buffer("repeated", repeated, persistent=False)
        self.linear = nn.Linear(length, outputs.horizon)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def window(self, values: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return the target's window relative to its last value, `(batch, length)`, and that value, `(batch, 1)`.

        Both are in standard deviations of the channel; what is missing, or before the first step, is 0.
        """
        standard = (values[:, :, self.outputs.channel] - self.channel.mean) / self.channel.std
        steps = lengths.clamp(1, values.shape[1]).unsqueeze(1) + self.behind
        window = standard.gather(1, steps.clamp_min(0))
        present = window.isfinite() & (steps >= 0)
        window = window.nan_to_num(0.0, 0.0, 0.0).clamp(-LIMIT, LIMIT) * present
        latest = (present * (self.behind - self.behind[0] + 1)).argmax(1, keepdim=True)
        last = window.gather(1, latest)
        return (window - last) * present, last

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        """Return the forecasts in standard units of the target."""
        window, last = self.window(values, lengths)
        forecast: Tensor = last + window.index_select(1, self.repeated) + self.linear(window)
        return ((forecast * self.channel.std + self.channel.mean) - self.outputs.mean) / self.outputs.std
