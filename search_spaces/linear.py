"""The linear model as a network: the baseline that every search must beat, exported and loaded like all others."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from search_spaces.codes import KnownCodes, KnownTokens, OneHot
from search_spaces.columns import Centre
from search_spaces.images import PooledPixels, Standardise
from search_spaces.language import Architecture
from search_spaces.layers import head
from search_spaces.spec import Image, Mixed, Table, Text, TimeSeries, as_table
from search_spaces.summary import SeriesSummary

if TYPE_CHECKING:
    from search_spaces.spec import Inputs, Outputs

SIDE = 16  # pixels: images are pooled until neither side is longer
POINTS = (32, 16)  # that sequences are resampled to, of few channels and of many
_FEW_CHANNELS = 4
TOKENS = 1000  # codes, which the frequent words have
MOST = 128  # one-hot codes of a column: the features are dense, and rarer codes hardly move a linear model


class Linear(Architecture):
    """One linear layer: logistic or linear regression.

    Of a table it sees standardised numbers, flags of missing values and one-hot codes; of images pixels pooled to `SIDE` at most;
    of sequences statistics and the sequence resampled to `POINTS` (see `SeriesSummary`); of texts, alone or beside columns, how
    often each of the first `TOKENS` codes occurs.
    `build` returns a `LinearNetwork`, whose layer may also be set from a closed-form fit on its `features`.
    """

    takes = (Table, Image, TimeSeries, Text, Mixed)

    def build(self, inputs: Inputs, outputs: Outputs) -> LinearNetwork:
        """Return the network, at base rates (or the mean) and random slopes."""
        if isinstance(inputs, TimeSeries):
            return LinearSeries(inputs, outputs)
        if isinstance(inputs, Text | Mixed):
            return LinearTexts(inputs, outputs)
        return LinearPixels(inputs, outputs) if isinstance(inputs, Image) else LinearTable(as_table(inputs), outputs)


class LinearNetwork(nn.Module, ABC):
    """`linear(features(*inputs))`, from the tensors of the inputs to `(batch, outputs.width)`."""

    linear: nn.Linear

    @abstractmethod
    def features(self, *inputs: Tensor) -> Tensor:
        """Return the features `(batch, linear.in_features)`, all finite."""


class LinearPixels(LinearNetwork):
    """Pooled pixels in standard deviations of their channel."""

    def __init__(self, inputs: Image, outputs: Outputs) -> None:
        super().__init__()
        self.pixels = nn.Sequential(Standardise(inputs), PooledPixels(inputs, SIDE))
        self.linear = head(PooledPixels.width(inputs, SIDE), outputs)

    def features(self, *inputs: Tensor) -> Tensor:
        pixels: Tensor = self.pixels(inputs[0])
        return pixels

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, or values in standard units."""
        out: Tensor = self.linear(self.features(images))
        return out


class LinearSeries(LinearNetwork):
    """Statistics of sequences, and the sequences resampled."""

    def __init__(self, inputs: TimeSeries, outputs: Outputs) -> None:
        super().__init__()
        self.summary = SeriesSummary(inputs, POINTS[len(inputs.channels) > _FEW_CHANNELS])
        self.linear = head(self.summary.width, outputs)

    def features(self, *inputs: Tensor) -> Tensor:
        summary: Tensor = self.summary(*inputs)
        return summary

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        """Return logits, or values in standard units."""
        out: Tensor = self.linear(self.features(values, lengths))
        return out


class LinearTable(LinearNetwork):
    """Standardised numbers, flags and one-hot codes; a table without any has one feature that is 0."""

    flagged: Tensor

    def __init__(self, inputs: Table, outputs: Outputs) -> None:
        super().__init__()
        flagged = [i for i, column in enumerate(inputs.numeric) if column.missing > 0]
        self.register_buffer("flagged", torch.tensor(flagged, dtype=torch.int64))
        self.centre = Centre(inputs.numeric, "standard") if inputs.numeric else None
        self.known = KnownCodes(inputs.categorical, 1, MOST) if inputs.categorical else None
        sizes = self.known.sizes if self.known else []
        self.one_hot = OneHot(range(len(sizes)), sizes)
        width = len(inputs.numeric) + len(flagged) + self.one_hot.width
        self.linear = head(max(1, width), outputs)

    def features(self, *inputs: Tensor) -> Tensor:
        numeric, categorical = inputs
        parts = []
        if self.centre is not None:
            parts += [self.centre(numeric), numeric.index_select(1, self.flagged).isnan().float()]
        if self.known is not None:
            parts.append(self.one_hot(self.known(categorical)))
        joined = torch.cat(parts, 1) if parts else numeric.new_zeros(numeric.shape[0], 0)
        return joined if joined.shape[1] else numeric.new_zeros(numeric.shape[0], 1)

    def forward(self, numeric: Tensor, categorical: Tensor) -> Tensor:
        """Return logits, or values in standard units."""
        out: Tensor = self.linear(self.features(numeric, categorical))
        return out


class LinearTexts(LinearNetwork):
    """The logarithms of the counts of tokens, of each text apart, and what `LinearTable` sees of the columns beside them."""

    def __init__(self, inputs: Text | Mixed, outputs: Outputs) -> None:
        super().__init__()
        text, texts = (inputs.text, len(inputs.names)) if isinstance(inputs, Mixed) else (inputs, 1)
        self.known, self.tokens = KnownTokens(text), min(text.vocabulary, TOKENS)
        self.table = LinearTable(inputs.table, outputs) if isinstance(inputs, Mixed) else None
        columns = 0
        if self.table is not None:
            columns = self.table.linear.in_features
            del self.table.linear  # its features are all that is wanted
        self.linear = head(columns + texts * (self.tokens - 1), outputs)

    def features(self, *inputs: Tensor) -> Tensor:
        *columns, tokens = inputs
        known = self.known(tokens)
        codes = torch.where(known < self.tokens, known, 0)  # where padding is counted, which is left out
        counts = torch.zeros(*tokens.shape[:-1], self.tokens, device=tokens.device)
        counts = counts.scatter_add(-1, codes, torch.ones_like(codes, dtype=counts.dtype))[..., 1:].log1p().flatten(1)
        return counts if self.table is None else torch.cat([self.table.features(*columns), counts], 1)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return logits, or values in standard units."""
        out: Tensor = self.linear(self.features(*inputs))
        return out
