"""Perceptrons over all steps of a sequence at once, beside a linear map: small, fast, and hard to beat at forecasts.

Zeng et al., "Are Transformers Effective for Time Series Forecasting?" (2023): a linear map from the past to the future outdoes
most that is deeper; so it is always there, and residual blocks add what isn't linear (Das et al., "Long-term Forecasting with
TiDE", 2023). DLinear's parts, trend and remainder, aren't taken apart: a sum of linear maps of them is a linear map.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from search_spaces.language import Architecture, Choice, Float, Int, OneOf
from search_spaces.layers import ACTIVATIONS, Dropout
from search_spaces.spec import Forecast, TimeSeries, as_series
from search_spaces.steps import StepInput, StepNetwork

if TYPE_CHECKING:
    from search_spaces.spec import Inputs, Outputs

_MOST_NUMBERS = 2**13  # of a row, so that the first layer's weights are few enough for any length
_FORECASTS: Mapping[str, object] = {
    "blocks": Int(0, 4, default=0),
    "width": Int(16, 512, default=64),
    "input_dropout": Float(0.0, 0.5, default=0.3),
    "dropout": Float(0.0, 0.7, default=0.5),
}


class SeriesMLP(Architecture):
    """A linear map of the steps of a row, and residual blocks over the same (Das et al. 2023, figure 2).

    As many steps are seen as the longest fit row has; those that a row lacks count as 0. Of forecasts the last ones are seen, so
    that a row's end always lies in one place; of all else the first ones. Where that were more than some thousand numbers, means
    of neighbouring steps stand for them.

    channels: those that are seen, all or, where a channel is forecast, its own past alone; which steps are missing is always
    seen. linear: whether the outputs are sums of a linear map and of what the blocks say. blocks: how many, 0 for the map alone.
    width: of the blocks, whose hidden layer is `expansion` times as wide. dropout: behind each block's hidden layer.
    input_dropout: of the steps that the blocks see.

    **Shape**: values `(batch, time, channels)` and lengths `(batch,)` to `(batch, outputs.width)`.
    """

    takes: ClassVar[tuple[type[Inputs], ...]] = (TimeSeries,)

    input: StepInput = OneOf(StepInput)
    channels: str = Choice("all", "own")
    linear: bool = Choice(True, False)
    blocks: int = Int(0, 4, default=2)
    width: int = Int(16, 512, log=True, multiple_of=8, default=128)
    expansion: float = Float(0.5, 4.0, log=True, default=1.0)
    activation: str = Choice(*ACTIVATIONS, default="relu")
    normalisation: str = Choice("layer", "none")
    input_dropout: float = Float(0.0, 0.5, default=0.0)
    dropout: float = Float(0.0, 0.7, default=0.2)

    def build(self, inputs: Inputs, outputs: Outputs) -> nn.Module:
        """Return a network that starts near the base rates of the classes, or the mean.

        Forecasts start from what the scaling takes for 0: the mean of a row, or its last value.
        """
        series = as_series(inputs)
        network = StepNetwork(self.input.build(series, outputs), _Perceptron(self, series, outputs), outputs)
        if isinstance(outputs, Forecast):
            nn.init.zeros_(network.head.weight)
        return network

    @staticmethod
    def narrow(inputs: Inputs, outputs: Outputs) -> dict[str, object]:
        """Return overrides that close what doesn't matter to these sequences.

        Forecasts are linear by default, and blocks beside the map are small and see part of the steps only: windows of one series
        are much alike, and other blocks soon know them by heart.
        """
        series, forecast = as_series(inputs), isinstance(outputs, Forecast)
        own = forecast and len(series.channels) > 1
        return {
            **{f"input/{path}": override for path, override in StepInput.narrow(inputs, outputs).items()},
            **(_FORECASTS if forecast else {}),
            "channels": Choice("own", "all", default="own") if own else "all",
        }


class _Perceptron(nn.Module):
    """From features of steps to what is seen of them, and what the blocks make of it."""

    seen: Tensor

    def __init__(self, mlp: SeriesMLP, inputs: TimeSeries, outputs: Outputs) -> None:
        super().__init__()
        flags = [i for i, channel in enumerate(inputs.channels) if channel.missing > 0]
        seen = list(range(len(inputs.channels) + len(flags)))
        if mlp.channels == "own" and isinstance(outputs, Forecast):
            own = outputs.channel
            seen = [own, *([len(inputs.channels) + flags.index(own)] if own in flags else [])]
        self.register_buffer("seen", torch.tensor(seen), persistent=False)
        self.at_end, self.ragged = isinstance(outputs, Forecast), inputs.shortest < inputs.length
        self.together = -(-inputs.length * (len(seen) + self.ragged) // _MOST_NUMBERS)
        groups = -(-inputs.length // self.together)
        self.steps, width_in = groups * self.together, groups * (len(seen) + self.ragged)
        self.first = nn.Sequential(Dropout(mlp.input_dropout), nn.Linear(width_in, mlp.width)) if mlp.blocks else None
        self.blocks = nn.Sequential(*(_Block(mlp) for _ in range(mlp.blocks)))
        self.linear = mlp.linear or not mlp.blocks
        self.width = width_in * self.linear + (mlp.width if mlp.blocks else 0)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Return `(batch, width)`."""
        lengths = mask.sum(1, keepdim=True)
        first = lengths - self.steps if self.at_end else torch.zeros_like(lengths)
        steps = first + torch.arange(self.steps, device=mask.device)
        there = (steps >= 0) & (steps < lengths)
        places = torch.minimum(steps.clamp_min(0), lengths - 1).unsqueeze(2).expand(-1, -1, len(self.seen))
        rows = features.index_select(2, self.seen).gather(1, places) * there.unsqueeze(2)
        if self.ragged:
            rows = torch.cat([rows, there.unsqueeze(2).to(rows.dtype)], 2)
        flat = rows.reshape(rows.shape[0], -1, self.together, rows.shape[2]).mean(2).flatten(1)
        parts = [flat] if self.linear else []
        if self.first is not None:
            parts.append(self.blocks(self.first(flat)))
        return torch.cat(parts, 1)


class _Block(nn.Module):
    """Norm, linear, activation, dropout, linear, added to the input."""

    def __init__(self, mlp: SeriesMLP) -> None:
        super().__init__()
        hidden = round(mlp.width * mlp.expansion)
        norm = nn.LayerNorm(mlp.width) if mlp.normalisation == "layer" else nn.Identity()
        layers = nn.Linear(mlp.width, hidden), ACTIVATIONS[mlp.activation](), Dropout(mlp.dropout), nn.Linear(hidden, mlp.width)
        self.layers = nn.Sequential(norm, *layers)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.layers(x)
        return out
