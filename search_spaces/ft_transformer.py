"""A transformer for tables: Gorishniy et al., "Revisiting Deep Learning Models for Tabular Data" (2021), FT-Transformer.

Every column becomes a token, an encoder relates the columns of a row to one another, and a token of the class's own reads them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from search_spaces.attention import Encoder, TransformerBlock
from search_spaces.codes import Embeddings, KnownCodes
from search_spaces.columns import Centre, NoEmbedding, NumericEmbedding, Periodic, PiecewiseLinear, curve
from search_spaces.language import Architecture, Choice, Int, OneOf
from search_spaces.layers import head
from search_spaces.spec import Mixed, Table, as_table
from search_spaces.tables import MOST, RAREST, TableInput
from search_spaces.text_branch import NoTexts, TextBranch, TextFeatures, TokenBag, TokenConvolution

if TYPE_CHECKING:
    from search_spaces.spec import Inputs, Outputs

FEWEST_TOKENS, MOST_TOKENS = 8, 128  # attention costs the square of the tokens


class FTTransformer(Architecture):
    """A transformer over the columns of a table.

    scaling, texts: as in `TableInput`. numeric: what a number's token is a linear map of; `NoEmbedding` is the paper's, the
    others are those of Gorishniy et al., "On Embeddings for Numerical Features" (2022). most_tokens: where a table has more
    columns, neighbours share a token, the sum of their own, so that hundreds of columns cost no more than so many.

    Deviations: the first norm of the first block stays; activations aren't gated; values that miss have a token of their own
    beside their column's; what makes tokens decays as all matrices do; a column of text is one token.

    **Shape**: the tensors of a table, with texts or without, to `(batch, outputs.width)`.
    """

    takes: ClassVar[tuple[type[Inputs], ...]] = (Table, Mixed)

    scaling: str = Choice("quantile", "robust", "standard")
    numeric: NumericEmbedding = OneOf(NoEmbedding, PiecewiseLinear, Periodic)
    texts: TextBranch = OneOf(TokenBag, TokenConvolution, NoTexts)
    most_tokens: int = Int(FEWEST_TOKENS, MOST_TOKENS, log=True, default=48)
    encoder: Encoder = OneOf(Encoder, default=Encoder(width=64, head_width=16, blocks=(TransformerBlock(heads=4),) * 2))

    def build(self, inputs: Inputs, outputs: Outputs) -> nn.Module:
        """Return a network that starts from the base rates of the classes, or from the mean."""
        return _Network(self, inputs, outputs)

    @staticmethod
    def narrow(inputs: Inputs, outputs: Outputs) -> dict[str, object]:  # noqa: ARG004  the signature is the language's
        """Return overrides that close decisions without effect on these columns, and leave out encoders for larger things."""
        table = as_table(inputs)
        columns = len(table.numeric) + len(table.categorical)
        own = {path: override for path, override in TableInput.narrow(inputs).items() if path in FTTransformer.domains}
        tokens = Int(FEWEST_TOKENS, min(max(columns, FEWEST_TOKENS), MOST_TOKENS))
        return {**own, "most_tokens": tokens, "encoder/width": Int(32, 256), "encoder/blocks/length": Int(1, 6)}


class _Network(nn.Module):
    def __init__(self, family: FTTransformer, inputs: Inputs, outputs: Outputs) -> None:
        super().__init__()
        width = family.encoder.width
        self.tokens = _Tokens(family, inputs)
        self.encoder = family.encoder.build()
        self.head = nn.Sequential(nn.ReLU(), head(width, outputs))

    def forward(self, numeric: Tensor, categorical: Tensor, tokens: Tensor | None = None) -> Tensor:
        out: Tensor = self.head(self.encoder(self.tokens(numeric, categorical, tokens))[:, 0])
        return out


class _Tokens(nn.Module):
    """The tensors of a table to tokens `(batch, tokens, width)`; the first is the same for all rows, to read the others."""

    def __init__(self, family: FTTransformer, inputs: Inputs) -> None:
        super().__init__()
        table, width = as_table(inputs), family.encoder.width
        self.first = nn.Parameter(_uniform(width, width=width))
        together = max(1, math.ceil((len(table.numeric) + len(table.categorical)) / family.most_tokens))
        self.numbers = _NumberTokens(family, table, together) if table.numeric else None
        known = KnownCodes(table.categorical, RAREST, MOST)
        usable = [i for i, size in enumerate(known.sizes) if size > 1]
        self.codes = _CodeTokens(known, usable, width, together) if usable else None
        texts = family.texts.build(inputs) if isinstance(inputs, Mixed) else None
        self.texts = None if texts is None else _TextTokens(texts, width)

    def forward(self, numeric: Tensor, categorical: Tensor, texts: Tensor | None) -> Tensor:
        tokens = [self.first.expand(numeric.shape[0], 1, -1)]
        if self.numbers is not None:
            tokens.append(self.numbers(numeric))
        if self.codes is not None:
            tokens.append(self.codes(categorical))
        if self.texts is not None:
            tokens.append(self.texts(texts))
        return torch.cat(tokens, 1)


class _NumberTokens(nn.Module):
    """`(batch, p)` to a linear map of each column's features for each group of columns, `(batch, groups, width)`."""

    def __init__(self, family: FTTransformer, table: Table, together: int) -> None:
        super().__init__()
        width, columns = family.encoder.width, len(table.numeric)
        self.centre = Centre(table.numeric, family.scaling)
        self.curve = curve(family.scaling, self.centre.knots)
        self.embed = family.numeric.build(self.centre.knots)
        self.flagged = any(column.missing > 0 for column in table.numeric)
        self.groups = _Groups(columns, together)
        features = together * (self.embed.width // columns + self.flagged)
        self.weight = nn.Parameter(_uniform(self.groups.number, features, width, width=width * features))
        self.bias = nn.Parameter(_uniform(self.groups.number * width, width=width))  # flat: decay acts on matrices

    def forward(self, numeric: Tensor) -> Tensor:
        centred = self.centre(numeric)
        features = self.embed.by_column(self.embed(self.curve(centred), centred))
        if self.flagged:
            features = torch.cat([features, numeric.isnan().unsqueeze(2).to(features.dtype)], 2)
        grouped = self.groups(features).flatten(2).transpose(0, 1)
        return torch.baddbmm(self.bias.view(self.groups.number, 1, -1), grouped, self.weight).transpose(0, 1)


class _CodeTokens(nn.Module):
    """`(batch, q)` to the embeddings of the usable columns' codes, summed in groups, `(batch, groups, width)`."""

    def __init__(self, known: KnownCodes, usable: list[int], width: int, together: int) -> None:
        super().__init__()
        self.known, self.embed = known, Embeddings(usable, known.sizes, width)
        with torch.no_grad():
            self.embed.weight.mul_(1.0 / math.sqrt(3 * width))  # as much as the uniform ones of numbers vary
        self.groups = _Groups(len(usable), together)
        self.bias = nn.Parameter(_uniform(self.groups.number * width, width=width))

    def forward(self, categorical: Tensor) -> Tensor:
        embedded: Tensor = self.embed(self.known(categorical))
        grouped: Tensor = self.groups(torch.unflatten(embedded, 1, (self.groups.columns, -1)))
        return grouped.sum(2) + self.bias.view(self.groups.number, -1)


class _TextTokens(nn.Module):
    """`(batch, texts, length)` to a linear map of each text's features, `(batch, texts, width)`."""

    def __init__(self, features: TextFeatures, width: int) -> None:
        super().__init__()
        self.features, self.linear = features, nn.Linear(features.width, width, bias=False)
        self.bias = nn.Parameter(_uniform(features.texts * width, width=width))

    def forward(self, texts: Tensor) -> Tensor:
        tokens: Tensor = self.linear(self.features(texts)) + self.bias.view(self.features.texts, -1)
        return tokens


class _Groups(nn.Module):
    """`(batch, columns, features)` to `(batch, number, together, features)`; what the last group lacks is 0."""

    def __init__(self, columns: int, together: int) -> None:
        super().__init__()
        self.columns, self.together, self.number = columns, together, math.ceil(columns / together)

    def forward(self, features: Tensor) -> Tensor:
        lacking = self.number * self.together - self.columns
        padded = functional.pad(features, (0, 0, 0, lacking))
        return padded.reshape(-1, self.number, self.together, features.shape[2])


def _uniform(*shape: int, width: int) -> Tensor:
    """Return what the paper starts tokens of a width with."""
    bound = 1.0 / math.sqrt(width)
    return torch.empty(shape).uniform_(-bound, bound)
