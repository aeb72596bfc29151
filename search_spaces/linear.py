"""The linear model as a network: the baseline that every search must beat, exported and loaded like all others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from search_spaces.codes import KnownCodes, OneHot
from search_spaces.columns import Centre
from search_spaces.language import Architecture
from search_spaces.layers import head

if TYPE_CHECKING:
    from search_spaces.spec import Inputs, Outputs

MOST = 128  # one-hot codes of a column: the features are dense, and rarer codes hardly move a linear model


class Linear(Architecture):
    """One linear layer on standardised numbers, flags of missing values and one-hot codes: logistic or linear regression.

    `build` returns a `LinearNetwork`, whose layer may also be set from a closed-form fit on its `features`.
    """

    def build(self, inputs: Inputs, outputs: Outputs) -> LinearNetwork:
        """Return the network, at base rates (or the mean) and random slopes."""
        return LinearNetwork(inputs, outputs)


class LinearNetwork(nn.Module):
    """`linear(features(numeric, categorical))`.

    **Shape**: float32 `(batch, p)` and int64 `(batch, q)` to `(batch, outputs.width)`.
    """

    flagged: Tensor

    def __init__(self, inputs: Inputs, outputs: Outputs) -> None:
        super().__init__()
        flagged = [i for i, column in enumerate(inputs.numeric) if column.missing > 0]
        self.register_buffer("flagged", torch.tensor(flagged, dtype=torch.int64))
        self.centre = Centre(inputs.numeric, "standard") if inputs.numeric else None
        self.known = KnownCodes(inputs.categorical, 1, MOST) if inputs.categorical else None
        sizes = self.known.sizes if self.known else []
        self.one_hot = OneHot(range(len(sizes)), sizes)
        width = len(inputs.numeric) + len(flagged) + self.one_hot.width
        self.linear = head(max(1, width), outputs)

    def features(self, numeric: Tensor, categorical: Tensor) -> Tensor:
        """Return the features `(batch, linear.in_features)`, all finite; a table without any has one feature that is 0."""
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
