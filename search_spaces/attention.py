"""Transformers: an encoder over tokens, whatever they are of, and a network that looks at images as tokens.

The encoder follows Vaswani et al., "Attention Is All You Need" (2017), with norms before the branches as in Dosovitskiy et al.,
"An Image Is Worth 16x16 Words" (2021). What helps where images are few and small follows Hassani et al., "Escaping the Big Data
Paradigm with Compact Transformers" (2021) and Beyer et al., "Better Plain ViT Baselines for ImageNet-1k" (2022).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from search_spaces.images import Standardise
from search_spaces.language import Architecture, Choice, Float, Int, OneOf, Repeat, Searchable
from search_spaces.layers import ACTIVATIONS, Dropout, head
from search_spaces.spec import Image, as_image

if TYPE_CHECKING:
    from search_spaces.spec import Inputs, Outputs

MOST_TOKENS, FEWEST_TOKENS = 256, 16  # attention costs the square of the tokens; of a handful it has nothing to relate
SIDES = (1, 2, 4, 8, 16, 32)  # of patches, in pixels
HALVINGS = 5  # at most: as far as the largest patches


class TransformerBlock(Searchable):
    """Attention and a perceptron with one hidden layer, each behind a norm and added to its input.

    heads: of the encoder's `head_width` each; together they are as wide as that makes them, so that the encoder's width needs no
    fitting divisor. expansion: the hidden layer's width as a multiple of the encoder's.
    """

    heads: int = Int(1, 12, log=True, default=2)
    expansion: float = Float(1.0, 4.0, default=2.0)

    def build(self, encoder: Encoder) -> nn.Module:
        """Return a module `(batch, tokens, encoder.width)`, unchanged."""
        inner, hidden = self.heads * encoder.head_width, round(encoder.width * self.expansion)
        attention = [Attention(encoder.width, self.heads, encoder.head_width), nn.Linear(inner, encoder.width)]
        perceptron = [nn.Linear(encoder.width, hidden), ACTIVATIONS[encoder.activation](), nn.Linear(hidden, encoder.width)]
        return nn.Sequential(*(_Branch(encoder, branch) for branch in (attention, perceptron)))


class Encoder(Searchable):
    """Blocks over tokens of one width, and a norm behind the last. Weights start as in Dosovitskiy et al.: Glorot, biases 0."""

    width: int = Int(32, 512, log=True, multiple_of=16, default=64)
    head_width: int = Choice(16, 32, 64, ordered=True, default=32)
    activation: str = Choice("gelu", "relu", "silu")
    dropout: float = Float(0.0, 0.3, default=0.0)
    blocks: tuple[TransformerBlock, ...] = Repeat(OneOf(TransformerBlock), 1, 12, default=4)

    def build(self) -> nn.Module:
        """Return a module `(batch, tokens, width)`, unchanged, for any number of tokens."""
        encoder = nn.Sequential(*(block.build(self) for block in self.blocks), nn.LayerNorm(self.width))
        start_as_glorot(encoder)
        return encoder


def start_as_glorot(network: nn.Module) -> None:
    """Draw the weights of linear layers as in Glorot & Bengio 2010, with biases of 0."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)


class Attention(nn.Module):
    """Every token's sum over all tokens, weighted by how well they answer it, in each head (Vaswani et al. 2017, equation 1).

    Tokens that a mask leaves out are in nobody's sum. Where angles are given, queries and keys are turned by them, so that the
    weights tell how far apart two tokens are (Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", 2021,
    equation 34, with the two numbers of a pair half a head apart).

    **Shape**: `(batch, tokens, width)` to `(batch, tokens, heads * head_width)`; mask bool `(batch, tokens)`, at least one True
    in each row; angles `(tokens, head_width / 2)`, in radians.
    """

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.heads, self.head_width = heads, head_width
        self.query, self.key, self.value = (nn.Linear(width, heads * head_width) for _ in range(3))

    def forward(self, tokens: Tensor, mask: Tensor | None = None, angles: Tensor | None = None) -> Tensor:
        """Return the heads' sums, side by side."""
        split = (layer(tokens).unflatten(2, (self.heads, self.head_width)) for layer in (self.query, self.key, self.value))
        query, key, value = (part.transpose(1, 2) for part in split)
        if angles is not None:
            query, key = _turned(query, angles), _turned(key, angles)
        allowed = None if mask is None else mask[:, None, None].expand(-1, 1, tokens.shape[1], -1)
        return functional.scaled_dot_product_attention(query, key, value, allowed).transpose(1, 2).flatten(2)


def _turned(parts: Tensor, angles: Tensor) -> Tensor:
    first, second = parts.chunk(2, 3)
    return torch.cat([first * angles.cos() - second * angles.sin(), first * angles.sin() + second * angles.cos()], 3)


class _Branch(nn.Module):
    def __init__(self, encoder: Encoder, layers: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.LayerNorm(encoder.width), *layers, Dropout(encoder.dropout))

    def forward(self, tokens: Tensor) -> Tensor:
        out: Tensor = tokens + self.layers(tokens)
        return out


class Tokens(Searchable, ABC):
    """How an image becomes a grid of tokens."""

    @abstractmethod
    def grid(self, inputs: Image) -> tuple[int, int]:
        """Return the grid's height and width."""

    @abstractmethod
    def build(self, inputs: Image, width: int) -> nn.Module:
        """Return a module from standardised pixels to `(batch, width, *grid)`."""


class Patches(Tokens):
    """Squares of `side` pixels, each mapped linearly; what lies beyond the right and lower border counts as the mean."""

    side: int = Choice(*SIDES, ordered=True, default=4)

    def grid(self, inputs: Image) -> tuple[int, int]:
        return -(-inputs.height // self.side), -(-inputs.width // self.side)

    def build(self, inputs: Image, width: int) -> nn.Module:
        """Return padding and a convolution whose stride is its kernel."""
        rows, columns = self.grid(inputs)
        border = (0, columns * self.side - inputs.width, 0, rows * self.side - inputs.height)
        return nn.Sequential(nn.ZeroPad2d(border), nn.Conv2d(inputs.channels, width, self.side, self.side))


class Convolutions(Tokens):
    """3x3 convolutions, each with a ReLU and a 3x3 maximum that halves the size: Hassani et al.'s tokens, with batch norms.

    All but the last are half as wide as the tokens.
    """

    halvings: int = Int(0, HALVINGS, default=2)

    def grid(self, inputs: Image) -> tuple[int, int]:
        scale = 2**self.halvings
        return -(-inputs.height // scale), -(-inputs.width // scale)

    def build(self, inputs: Image, width: int) -> nn.Module:
        """Return the convolutions; a single one that keeps the size where nothing is halved."""
        widths = [inputs.channels, *[width // 2] * (self.halvings - 1), width]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
            layers += [nn.MaxPool2d(3, 2, 1)] if self.halvings else []
        return nn.Sequential(*layers)


class ViT(Architecture):
    """A vision transformer; the default is a compact one that suits some thousand small images.

    positions: vectors added to the tokens, learned, or sines and cosines of row and column (Beyer et al. 2022). pooling: from
    tokens to one vector by their mean, by a learned token that attends to the others, or by a mean with learned weights (the
    sequence pooling of Hassani et al. 2021).
    """

    takes: ClassVar[tuple[type[Inputs], ...]] = (Image,)

    tokens: Tokens = OneOf(Convolutions, Patches)
    encoder: Encoder = OneOf(Encoder)
    positions: str = Choice("learned", "sinusoidal")
    pooling: str = Choice("attention", "mean", "token")

    def build(self, inputs: Inputs, outputs: Outputs) -> nn.Module:
        """Return a network that starts from the base rates of the classes, or from the mean."""
        images, width = as_image(inputs), self.encoder.width
        rows, columns = self.tokens.grid(images)
        fixed = _sinusoids(rows, columns, width) if self.positions == "sinusoidal" else None
        layers = [
            Standardise(images),
            self.tokens.build(images, width),
            nn.Flatten(2),
            _Placed(rows * columns, width, fixed, extra=self.pooling == "token"),
            self.encoder.build(),
            _POOLINGS[self.pooling](width),
            head(width, outputs),
        ]
        return nn.Sequential(*layers)

    @staticmethod
    def narrow(inputs: Inputs, outputs: Outputs) -> dict[str, object]:  # noqa: ARG004  the signature is the language's
        """Return overrides that leave grids of 16 to 256 tokens, or what comes nearest to that."""
        images = as_image(inputs)
        shorter = min(images.height, images.width)
        times = _moderate({n: Convolutions(halvings=n).grid(images) for n in range(HALVINGS + 1) if 2**n <= shorter})
        sides = _moderate({side: Patches(side=side).grid(images) for side in SIDES if side <= shorter})
        return {"tokens/Convolutions/halvings": Int(min(times), max(times)), "tokens/Patches/side": Choice(*sides)}


def _moderate(grids: dict[int, tuple[int, int]]) -> list[int]:
    """Return the choices, ascending from fine grids to coarse ones, whose grids have neither too many tokens nor too few."""
    few_enough = [n for n, grid in grids.items() if math.prod(grid) <= MOST_TOKENS] or [max(grids)]
    return [n for n in few_enough if math.prod(grids[n]) >= FEWEST_TOKENS] or [min(few_enough)]


class _Placed(nn.Module):
    """`(batch, width, places)` to tokens that know their places `(batch, places, width)`, behind an extra one if asked for."""

    def __init__(self, places: int, width: int, fixed: Tensor | None, *, extra: bool) -> None:
        super().__init__()
        if fixed is None:
            self.positions = nn.Parameter(torch.randn(places, width) * 0.02)
        else:
            self.register_buffer("positions", fixed)
        self.extra = nn.Parameter(torch.zeros(1, 1, width)) if extra else None

    def forward(self, places: Tensor) -> Tensor:
        tokens = places.transpose(1, 2) + self.positions
        return tokens if self.extra is None else torch.cat([self.extra.expand(tokens.shape[0], -1, -1), tokens], 1)


def _sinusoids(rows: int, columns: int, width: int) -> Tensor:
    """Return `(rows * columns, width)`: sines and cosines of the column, then of the row, a quarter of the width each."""
    frequencies = 10_000.0 ** -torch.linspace(0.0, 1.0, width // 4)
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    angles = [place.flatten().unsqueeze(1) * frequencies for place in (x, y)]
    return torch.cat([wave(angle) for angle in angles for wave in (torch.sin, torch.cos)], 1)


class _Mean(nn.Module):
    def __init__(self, _width: int) -> None:
        super().__init__()

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens.mean(1)


class _First(nn.Module):
    def __init__(self, _width: int) -> None:
        super().__init__()

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens[:, 0]


class _Weighted(nn.Module):
    """The mean over tokens, by weights that start equal."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = nn.Linear(width, 1, bias=False)
        nn.init.zeros_(self.score.weight)

    def forward(self, tokens: Tensor) -> Tensor:
        weights: Tensor = self.score(tokens).softmax(1)
        return (weights * tokens).sum(1)


_POOLINGS = {"mean": _Mean, "token": _First, "attention": _Weighted}
