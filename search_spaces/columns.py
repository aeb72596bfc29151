"""From numeric columns to features: scaling, missing values, embeddings.

What a network must know of a column is measured beforehand and comes with the spec; nothing is fitted here. All columns are
computed together, since at these sizes a step costs as much as it has operations. Only operations that export to ONNX with a
dynamic batch are used: intervals are found by clamped ramps, not by a search.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from itertools import pairwise
from statistics import NormalDist
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor, nn

from search_spaces.language import Float, Int, Searchable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from search_spaces.spec import NumericColumn

Knots: TypeAlias = "Sequence[Sequence[float]]"  # for each column, ascending

CLIP = 3.0  # smoothly clipped columns lie in (-CLIP, CLIP)
LARGEST = 1e37  # magnitudes beyond this overflow float32 when subtracted
NARROWEST = 1e-6  # knots closer than this share of their size are one knot in float32


class Ramps(nn.Module):
    """Piecewise-linear encoding: for each interval between two distinct knots, how far the value has come, in [0, 1].

    Gorishniy et al., "On Embeddings for Numerical Features in Tabular Deep Learning" (2022), equation 1, but clamped at both ends
    so that values outside of the knots give bounded features. Columns with few knots are padded with ramps that stay 0. The low
    end is subtracted first: steep ramps then magnify no rounding, and agree in all runtimes.

    **Shape**: `(batch, p)` to `(batch, p, width)`, where `width` is the largest number of intervals of any column, at least 1.
    """

    low: Tensor
    slope: Tensor

    def __init__(self, knots: Knots) -> None:
        super().__init__()
        self.width = max(1, *(len(own) - 1 for own in knots))
        slopes = [[1.0 / (high - low) for low, high in pairwise(own)] for own in knots]
        self.register_buffer("low", _padded([own[:-1] for own in knots], self.width))
        self.register_buffer("slope", _padded(slopes, self.width))

    def forward(self, x: Tensor) -> Tensor:
        """Return the encoding `(batch, p, width)` of finite `x` `(batch, p)`."""
        return (x.unsqueeze(-1) - self.low).mul_(self.slope).clamp_(0.0, 1.0)


def _padded(rows: Knots, width: int) -> Tensor:
    return torch.tensor([[*row] + [0.0] * (width - len(row)) for row in rows])


class SmoothClip(nn.Module):
    """Bend values into (-CLIP, CLIP), almost linearly in the middle: Holzmüller et al., "Better by Default" (2024), RealMLP."""

    def forward(self, x: Tensor) -> Tensor:
        """Return `x / sqrt(1 + (x / CLIP)^2)`."""
        return x * torch.rsqrt(1.0 + torch.square(x * (1.0 / CLIP)))


class NormalScores(nn.Module):
    """Map values to the normal score of their rank among the fit rows, linearly between the known quantiles.

    **Shape**: `(batch, p)` to `(batch, p)`.
    """

    gain: Tensor
    start: Tensor

    def __init__(self, quantiles: Knots) -> None:
        super().__init__()
        knots = [distinct(own) for own in quantiles]
        self.ramps = Ramps(knots)
        scores = [_scores(own, values) for own, values in zip(knots, quantiles, strict=True)]
        gains = [[high - low for low, high in pairwise(own)] for own in scores]
        self.register_buffer("gain", _padded(gains, self.ramps.width))
        self.register_buffer("start", torch.tensor([own[0] if len(own) > 1 else 0.0 for own in scores]))

    def forward(self, x: Tensor) -> Tensor:
        """Return scores in about [-2.3, 2.3]."""
        scores: Tensor = (self.ramps(x) * self.gain).sum(-1) + self.start
        return scores


def distinct(values: Sequence[float]) -> list[float]:
    """Return ascending values without those that float32 can't tell from the one before."""
    kept: list[float] = []
    for value in values:
        if not kept or value - kept[-1] > NARROWEST * max(1.0, abs(value), abs(kept[-1])):
            kept.append(value)
    return kept


def _scores(knots: Sequence[float], values: Sequence[float]) -> list[float]:
    """Return the normal score of each knot at the middle of the ranks of the values that it stands for."""
    ranks: list[list[float]] = [[] for _ in knots]
    k = 0
    for i, value in enumerate(values):
        while k + 1 < len(knots) and value >= knots[k + 1]:
            k += 1
        ranks[k].append((i + 0.5) / len(values))
    return [NormalDist().inv_cdf(sum(own) / len(own)) for own in ranks]


class Centre(nn.Module):
    """Shift and stretch columns to about unit size; missing values become 0.

    scaling: "standard" for mean and standard deviation, otherwise median and interquartile range. A column that doesn't vary
    becomes 0. Values further outside of the fit rows' range than that range is wide are clamped. `knots` are the columns'
    quantiles after centring.

    **Shape**: `(batch, p)` with NaN to `(batch, p)`, all finite.
    """

    low: Tensor
    high: Tensor
    centre: Tensor
    factor: Tensor

    def __init__(self, columns: Sequence[NumericColumn], scaling: str) -> None:
        super().__init__()
        affine = [_affine(column, scaling) for column in columns]
        self.knots = [[(_finite(value) - m) * f for value in c.quantiles] for c, (m, f) in zip(columns, affine, strict=True)]
        ends = [(_finite(column.quantiles[0]), _finite(column.quantiles[-1])) for column in columns]
        self.register_buffer("low", torch.tensor([_finite(2 * low - high) for low, high in ends]))
        self.register_buffer("high", torch.tensor([_finite(2 * high - low) for low, high in ends]))
        self.register_buffer("centre", torch.tensor([centre for centre, _ in affine]))
        self.register_buffer("factor", torch.tensor([factor for _, factor in affine]))

    def forward(self, numeric: Tensor) -> Tensor:
        """Return centred columns."""
        known = torch.where(numeric.isnan(), self.centre, numeric)
        return (torch.clamp(known, self.low, self.high) - self.centre) * self.factor


def curve(scaling: str, knots: Knots) -> nn.Module:
    """Return what bends centred columns into about (-CLIP, CLIP): normal scores for "quantile", else a smooth clip."""
    return NormalScores(knots) if scaling == "quantile" else SmoothClip()


def _affine(column: NumericColumn, scaling: str) -> tuple[float, float]:
    """Return the centre of a column and the factor that scales it."""
    if scaling == "standard":
        return _finite(column.mean), _inverse(column.std)
    q, last = column.quantiles, len(column.quantiles) - 1
    spread = _finite(q[round(0.75 * last)]) - _finite(q[round(0.25 * last)])
    if not _inverse(spread):
        spread = 0.5 * (_finite(q[-1]) - _finite(q[0]))
    return _finite(q[round(0.5 * last)]), _inverse(spread)


def _finite(value: float) -> float:
    return 0.0 if math.isnan(value) else max(-LARGEST, min(value, LARGEST))


def _inverse(spread: float) -> float:
    return 1.0 / spread if 1.0 / LARGEST < spread < math.inf else 0.0


class Embedded(nn.Module, ABC):
    """What an embedding builds: `forward(bent, centred)` takes the columns twice, `(batch, p)`, and returns `(batch, width)`."""

    width: int

    @abstractmethod
    def by_column(self, features: Tensor) -> Tensor:
        """Return what `forward` returned as `(batch, p, width / p)`, the features of each column together."""


class NumericEmbedding(Searchable, ABC):
    """What a network sees of a number."""

    @abstractmethod
    def build(self, knots: Knots) -> Embedded:
        """Return the module; `knots` are the columns' quantiles, centred, of one column at least."""


class NoEmbedding(NumericEmbedding):
    """The number itself."""

    def build(self, knots: Knots) -> Embedded:
        """Return the identity."""
        return _Number(len(knots))


class PiecewiseLinear(NumericEmbedding):
    """A learnt piecewise-linear function from each number to `width` features, with knots at quantiles.

    It starts as a linear function (rtdl_num_embeddings, version B, as in Gorishniy et al., "TabM", 2025).
    """

    bins: int = Int(4, 48, log=True, default=24)
    width: int = Int(2, 32, log=True, default=8)

    def build(self, knots: Knots) -> Embedded:
        """Return the module."""
        return _PiecewiseLinear(_choose_knots(knots, self.bins), self.width)


class Periodic(NumericEmbedding):
    """Cosines of learnt frequencies and phases, mixed into `width` - 1 features, beside the number itself.

    PBLD of Holzmüller et al., "Better by Default" (2024). `scale` is the standard deviation of the initial frequencies.
    """

    frequencies: int = Int(4, 64, log=True, default=16)
    scale: float = Float(0.01, 5.0, log=True, default=0.1)
    width: int = Int(2, 32, log=True, default=4)

    def build(self, knots: Knots) -> Embedded:
        """Return the module."""
        return _Periodic(len(knots), self)


class _Number(Embedded):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, bent: Tensor, _: Tensor) -> Tensor:
        return bent

    def by_column(self, features: Tensor) -> Tensor:
        return features.unsqueeze(2)


class _PiecewiseLinear(Embedded):
    def __init__(self, knots: Knots, width: int) -> None:
        super().__init__()
        columns = len(knots)
        self.ramps = Ramps(knots)
        bound = 1.0 / math.sqrt(width)
        self.linear = nn.Parameter(torch.empty(columns, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(columns * width).uniform_(-bound, bound))  # flat: decay acts on matrices
        self.weight = nn.Parameter(torch.zeros(columns, self.ramps.width, width))
        self.width = columns * width

    def forward(self, bent: Tensor, centred: Tensor) -> Tensor:
        straight = torch.addcmul(self.bias.view(self.linear.shape), bent.unsqueeze(-1), self.linear)
        curved = torch.bmm(self.ramps(centred).transpose(0, 1), self.weight).transpose(0, 1)
        return (straight + curved).flatten(1)

    def by_column(self, features: Tensor) -> Tensor:
        return torch.unflatten(features, 1, self.linear.shape)


class _Periodic(Embedded):
    def __init__(self, columns: int, periodic: Periodic) -> None:
        super().__init__()
        hidden, width = periodic.frequencies, periodic.width - 1
        bound = 1.0 / math.sqrt(hidden)
        self.frequency = nn.Parameter(2 * math.pi * periodic.scale * torch.randn(columns, hidden))
        self.phase = nn.Parameter(torch.empty(columns * hidden).uniform_(-math.pi, math.pi))
        self.weight = nn.Parameter(torch.empty(columns, hidden, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(columns * width).uniform_(-bound, bound))
        self.width = columns * periodic.width

    def forward(self, bent: Tensor, _: Tensor) -> Tensor:
        angles = torch.addcmul(self.phase.view(self.frequency.shape), bent.unsqueeze(-1), self.frequency)
        mixed = torch.bmm(torch.cos(angles).transpose(0, 1), self.weight).transpose(0, 1).flatten(1)
        return torch.cat([bent, mixed + self.bias], 1)

    def by_column(self, features: Tensor) -> Tensor:
        columns, _, mixed = self.weight.shape
        return torch.cat([features[:, :columns].unsqueeze(2), torch.unflatten(features[:, columns:], 1, (columns, mixed))], 2)


def _choose_knots(knots: Knots, bins: int) -> Knots:
    """Return at most `bins + 1` distinct knots for each column: all of them, or else those at even ranks."""
    chosen = []
    for row in knots:
        own = distinct(row)
        even = [row[round(k * (len(row) - 1) / bins)] for k in range(bins + 1)]
        chosen.append(own if len(own) <= bins + 1 else distinct(even))
    return chosen
