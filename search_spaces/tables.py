"""How a table becomes features: what every family for tables shares, and searches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from search_spaces.codes import Embeddings, KnownCodes, OneHot
from search_spaces.columns import Centre, NoEmbedding, NumericEmbedding, Periodic, PiecewiseLinear, curve
from search_spaces.language import Choice, Int, OneOf, Searchable
from search_spaces.spec import Mixed, as_table
from search_spaces.text_branch import NoTexts, TextBranch, TokenBag, TokenConvolution

if TYPE_CHECKING:
    from search_spaces.spec import Inputs, Table

RAREST = 3  # codes seen fewer times than this say nothing and share the place of the unseen ones
MOST = 4096  # more codes of a column than this would make a table that dwarfs the network


class TableInput(Searchable):
    """The features of a table.

    scaling: see `Centre` and `curve`. numeric: see `NumericEmbedding`. one_hot: columns with at most so many categories become
    one-hot, others are embedded in `category_width` features. texts: see `TextBranch`.
    """

    scaling: str = Choice("robust", "quantile", "standard")
    numeric: NumericEmbedding = OneOf(PiecewiseLinear, Periodic, NoEmbedding)
    one_hot: int = Choice(2, 4, 8, 16, 32, ordered=True, default=8)
    category_width: int = Int(2, 32, log=True, default=8)
    texts: TextBranch = OneOf(TokenBag, TokenConvolution, NoTexts)

    def build(self, inputs: Inputs) -> TableFeatures:
        """Return a module from the tensors of a table, with texts or without, to features `(batch, module.width)`.

        Raises `Infeasible` for other inputs.
        """
        return TableFeatures(self, inputs)

    @staticmethod
    def narrow(inputs: Inputs) -> dict[str, object]:
        """Return overrides that close the decisions which don't matter to a table without numbers, categories or texts."""
        table = as_table(inputs)
        texts = OneOf(TokenBag, TokenConvolution) if isinstance(inputs, Mixed) else OneOf(NoTexts)
        overrides: dict[str, object] = {"texts": texts}
        if not table.numeric:
            overrides |= {"scaling": "robust", "numeric": OneOf(NoEmbedding)}
        if not table.categorical:
            overrides |= {"one_hot": 8, "category_width": 8}
        return overrides


class TableFeatures(nn.Module):
    """Scaled and embedded numbers, a flag for each column that may be missing, one-hot or embedded codes, features of texts.

    Every feature is finite whatever comes in. A table of which nothing is usable gives one feature that is 0.

    **Shape**: float32 `(batch, p)`, int64 `(batch, q)` and, of `Mixed` inputs, int64 `(batch, texts, length)` to float32
    `(batch, width)`.
    """

    def __init__(self, settings: TableInput, inputs: Inputs) -> None:
        super().__init__()
        sources: list[_Numbers | _Codes] = []
        table = as_table(inputs)
        if table.numeric:
            sources.append(_Numbers(settings, table))
        if table.categorical:
            sources.append(_Codes(settings, table))
        self.sources = nn.ModuleList(sources)
        self.texts = settings.texts.build(inputs) if isinstance(inputs, Mixed) else None
        of_texts = 0 if self.texts is None else self.texts.texts * self.texts.width
        self.width = max(1, sum(source.width for source in sources) + of_texts)

    def forward(self, numeric: Tensor, categorical: Tensor, tokens: Tensor | None = None) -> Tensor:
        """Return the features."""
        features = [feature for source in self.sources for feature in source(numeric, categorical)]
        if self.texts is not None:
            features.append(self.texts(tokens).flatten(1))
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
