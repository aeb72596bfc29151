"""What a network for tables sees of columns of text: a few features for each, from an embedding that all columns share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from search_spaces.language import Float, Int, Searchable
from search_spaces.layers import Dropout
from search_spaces.steps import MaxOfSteps, MeanOfSteps, TokenFeatures

if TYPE_CHECKING:
    from search_spaces.spec import Mixed

_KERNELS = (2, 3, 4)  # tokens; Kim takes 3, 4 and 5 of sentences, columns of text are shorter
_SPREAD = 0.1  # of embeddings at the start: small ones are learnt sooner


class TextBranch(Searchable, ABC):
    """How the tokens of a column become features."""

    @abstractmethod
    def build(self, inputs: Mixed) -> TextFeatures | None:
        """Return the module, or None where columns of text are left out."""


class TokenBag(TextBranch):
    """Mean and maximum of the tokens' embeddings, whatever their order (Joulin et al., "Bag of Tricks", 2017, take the mean).

    width: of the embeddings. token_dropout: the share of tokens that count as unknown while training. dropout: of features.
    """

    width: int = Int(8, 128, log=True, multiple_of=8, default=32)
    token_dropout: float = Float(0.0, 0.4, default=0.1)
    dropout: float = Float(0.0, 0.5, default=0.1)

    def build(self, inputs: Mixed) -> TextFeatures | None:
        """Return the module; a column has `2 * width` features."""
        return TextFeatures(inputs, TokenFeatures(inputs.text, self.width, self.token_dropout), _Bag(self.width), self.dropout)


class TokenConvolution(TextBranch):
    """The strongest answer of each filter to any few tokens: Kim, "Convolutional Networks for Sentence Classification" (2014).

    width: of the embeddings. filters: of each kernel size, of 2, 3 and 4 tokens. Dropouts as in `TokenBag`.
    """

    width: int = Int(8, 128, log=True, multiple_of=8, default=32)
    filters: int = Int(8, 64, log=True, multiple_of=8, default=16)
    token_dropout: float = Float(0.0, 0.4, default=0.1)
    dropout: float = Float(0.0, 0.5, default=0.1)

    def build(self, inputs: Mixed) -> TextFeatures | None:
        """Return the module; a column has `3 * filters` features."""
        body = _Convolutions(self.width, self.filters)
        return TextFeatures(inputs, TokenFeatures(inputs.text, self.width, self.token_dropout), body, self.dropout)


class NoTexts(TextBranch):
    """Columns of text are left out."""

    def build(self, inputs: Mixed) -> TextFeatures | None:
        """Return None."""
        return None


class TextFeatures(nn.Module):
    """Features of every column of text: int64 `(batch, texts, length)` to float32 `(batch, texts, width)`.

    All are finite whatever comes in; padding changes none of them; a missing text has those of one unknown token.
    """

    def __init__(self, inputs: Mixed, embedding: TokenFeatures, body: _Bag | _Convolutions, dropout: float) -> None:
        super().__init__()
        self.texts, self.width = len(inputs.names), body.width
        self.embedding, self.body, self.dropout = embedding, body, Dropout(dropout)
        with torch.no_grad():
            embedding.embedding.weight.mul_(_SPREAD)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the features."""
        features: Tensor = self.dropout(self.body(*self.embedding(tokens.flatten(0, 1))))
        return features.view(-1, self.texts, self.width)


class _Bag(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = 2 * width
        self.mean, self.max = MeanOfSteps(width), MaxOfSteps(width)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        return torch.cat([self.mean(features, mask), self.max(features, mask)], 1)


class _Convolutions(nn.Module):
    """Zeros stand before and behind a text, so that one of a single token has answers too."""

    def __init__(self, width: int, filters: int) -> None:
        super().__init__()
        self.width = len(_KERNELS) * filters
        self.convolutions = nn.ModuleList(nn.Conv1d(width, filters, kernel, padding=kernel // 2) for kernel in _KERNELS)
        self.max = MaxOfSteps(self.width)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        steps, length = features.transpose(1, 2), features.shape[1]
        answers = torch.cat([layer(steps)[..., :length] for layer in self.convolutions], 1)  # even kernels answer once more
        pooled: Tensor = self.max(functional.relu(answers).transpose(1, 2), mask)
        return pooled
