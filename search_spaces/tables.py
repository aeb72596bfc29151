"""How a table becomes features: what every family for tables shares, and searches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from search_spaces.codes import Embeddings, KnownCodes, OneHot
from search_spaces.columns import Centre, NoEmbedding, NumericEmbedding, Periodic, PiecewiseLinear, curve
from search_spaces.language import Choice, Int, OneOf, Searchable

if TYPE_CHECKING:
    from search_spaces.spec import Table

RAREST = 3  # codes seen fewer times than this say nothing and share the place of the unseen ones
MOST = 4096  # more codes of a column than this would make a table that dwarfs the network


class TableInput(Searchable):
    """The features of a table.

    scaling: see `Centre` and `curve`. numeric: see `NumericEmbedding`. one_hot: columns with at most so many categories become
    one-hot, others are embedded in `category_width` features.
    """

    scaling: str = Choice("robust", "quantile", "standard")
    numeric: NumericEmbedding = OneOf(PiecewiseLinear, Periodic, NoEmbedding)
    one_hot: int = Choice(2, 4, 8, 16, 32, ordered=True, default=8)
    category_width: int = Int(2, 32, log=True, default=8)

    def build(self, table: Table) -> TableFeatures:
        """Return a module `(numeric, categorical) -> (batch, module.width)`."""
        return TableFeatures(self, table)

    @staticmethod
    def narrow(inputs: Table) -> dict[str, object]:
        """Return overrides that close the decisions which don't matter to a table without numbers or without categories."""
        overrides: dict[str, object] = {}
        if not inputs.numeric:
            overrides |= {"scaling": "robust", "numeric": OneOf(NoEmbedding)}
        if not inputs.categorical:
            overrides |= {"one_hot": 8, "category_width": 8}
        return overrides


class TableFeatures(nn.Module):
    """Scaled and embedded numbers, a flag for each column that may be missing, one-hot or embedded codes.

    Every feature is finite whatever comes in. A table of which nothing is usable gives one feature that is 0.

    **Shape**: float32 `(batch, p)` and int64 `(batch, q)` to float32 `(batch, width)`.
    """

    flagged: Tensor

    def __init__(self, settings: TableInput, table: Table) -> None:
        super().__init__()
        sources: list[_Numbers | _Codes] = []
        if table.numeric:
            sources.append(_Numbers(settings, table))
        if table.categorical:
            sources.append(_Codes(settings, table))
        self.sources = nn.ModuleList(sources)
        self.width = max(1, sum(source.width for source in sources))

    def forward(self, numeric: Tensor, categorical: Tensor) -> Tensor:
        """Return the features."""
        features = [feature for source in self.sources for feature in source(numeric, categorical)]
        return torch.cat(features or [numeric.new_zeros(numeric.shape[0], 1)], 1)


class _Numbers(nn.Module):
    flagged: Tensor

    def __init__(self, settings: TableInput, table: Table) -> None:
        super().__init__()
        self.centre = Centre(table.numeric, settings.scaling)
        self.curve = curve(settings.scaling, self.centre.knots)
        self.embed = settings.numeric.build(self.centre.knots)
        flagged = [i for i, column in enumerate(table.numeric) if column.missing > 0]
        self.register_buffer("flagged", torch.tensor(flagged, dtype=torch.int64))
        self.width = self.embed.width + len(flagged)

    def forward(self, numeric: Tensor, _: Tensor) -> list[Tensor]:
        centred = self.centre(numeric)
        features = [self.embed(self.curve(centred), centred)]
        if len(self.flagged):
            features.append(numeric.index_select(1, self.flagged).isnan().float())
        return features


class _Codes(nn.Module):
    def __init__(self, settings: TableInput, table: Table) -> None:
        super().__init__()
        self.known = KnownCodes(table.categorical, RAREST, MOST)
        sizes = self.known.sizes
        few = [i for i, size in enumerate(sizes) if 1 < size <= settings.one_hot + 1]
        many = [i for i, size in enumerate(sizes) if size > settings.one_hot + 1]
        own: list[OneHot | Embeddings] = []
        if few:
            own.append(OneHot(few, sizes))
        if many:
            own.append(Embeddings(many, sizes, settings.category_width))
        self.features = nn.ModuleList(own)
        self.width = sum(module.width for module in own)

    def forward(self, _: Tensor, categorical: Tensor) -> list[Tensor]:
        known = self.known(categorical)
        return [module(known) for module in self.features]
