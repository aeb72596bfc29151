"""Transformers over the steps of sequences and the tokens of texts.

Vaswani et al., "Attention Is All You Need" (2017), with norms before the branches by default (Xiong et al., "On Layer
Normalization in the Transformer Architecture", 2020), which needs no long warm-up. Steps of sequences may be joined to patches
(Nie et al., "A Time Series is Worth 64 Words", 2023): a single step says little, and attention costs the square of their number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

import torch
from torch import Tensor, nn

from search_spaces.attention import MOST_TOKENS, Attention, TransformerBlock, start_as_glorot
from search_spaces.language import Architecture, Choice, Float, Int, OneOf, Repeat
from search_spaces.layers import ACTIVATIONS, Dropout
from search_spaces.spec import Forecast, Text, TimeSeries, as_series
from search_spaces.steps import POOLINGS, StepInput, StepNetwork
from search_spaces.temporal_layers import PATCHES, Patches, patches_for, usual_patch

if TYPE_CHECKING:
    from search_spaces.spec import Inputs, Outputs

_LONGEST_PERIOD = 10_000.0  # of sines and angles, in 2 pi tokens
_MOST_POSITIONS = 4096  # that are learned; tokens behind have the last one's


class Transformer(Architecture):
    """Blocks of attention and perceptrons over patches of steps, or tokens.

    patch: the steps of a patch. overlap: whether patches are twice as long as what lies between their beginnings, as in Nie et
    al. width: of a token's features. norm: before each branch or behind each sum (Xiong et al. 2020, figure 1). positions:
    vectors that are added to the patches, learned or sines and cosines; or angles between queries and keys ("rotary"). pooling:
    how the tokens of a row become one vector: one of `POOLINGS`, or a learned token before the others ("token"). dropout: at the
    end of each branch and behind the positions. last_dropout: before the last layer.

    **Shape**: the tensors of `TimeSeries` or `Text` to `(batch, outputs.width)`.
    """

    takes: ClassVar[tuple[type[Inputs], ...]] = (TimeSeries, Text)

    input: StepInput = OneOf(StepInput)
    patch: int = Choice(*PATCHES, ordered=True)
    overlap: bool = Choice(False, True)
    width: int = Int(32, 256, log=True, multiple_of=16, default=64)
    head_width: int = Choice(16, 32, 64, ordered=True, default=16)
    blocks: tuple[TransformerBlock, ...] = Repeat(OneOf(TransformerBlock, default=TransformerBlock(heads=4)), 1, 6, default=2)
    norm: str = Choice("before", "behind")
    positions: str = Choice("learned", "sinusoidal", "rotary")
    pooling: str = Choice("token", *POOLINGS, default="mean")
    activation: str = Choice("gelu", "relu", "silu")
    dropout: float = Float(0.0, 0.4, default=0.1)
    last_dropout: float = Float(0.0, 0.5, default=0.1)

    def build(self, inputs: Inputs, outputs: Outputs) -> nn.Module:
        """Return a network that starts near the base rates of the classes, or the mean."""
        features = self.input.build(inputs, outputs)
        return StepNetwork(features, _Encoder(self, features.width, _length(inputs)), outputs)

    @staticmethod
    def narrow(inputs: Inputs, outputs: Outputs) -> dict[str, object]:
        """Return overrides that leave patches of which a row has at most 256; forecasts begin at the last one."""
        length = _length(inputs)
        patches = patches_for(length, MOST_TOKENS)
        usual = patches[0] if isinstance(inputs, Text) else usual_patch(length, patches)
        return {
            **{f"input/{path}": override for path, override in StepInput.narrow(inputs, outputs).items()},
            "patch": Choice(*patches, ordered=True, default=usual),
            "pooling": Choice("token", *POOLINGS, default="last" if isinstance(outputs, Forecast) else "mean"),
        }


def _length(inputs: Inputs) -> int:
    return inputs.length if isinstance(inputs, Text) else as_series(inputs).length


class _Encoder(nn.Module):
    def __init__(self, net: Transformer, width_in: int, length: int) -> None:
        super().__init__()
        self.width, self.head_width = net.width, net.head_width
        blocks = [_Block(net, block) for block in net.blocks]
        self.blocks, self.last_norm = nn.ModuleList(blocks), nn.LayerNorm(net.width) if net.norm == "before" else nn.Identity()
        start_as_glorot(self.blocks)
        self.patches = Patches(width_in, net.width, net.patch, overlap=net.overlap)
        self.how = net.positions
        places = min(-(-length // net.patch), _MOST_POSITIONS)
        self.learned = nn.Parameter(torch.randn(places, net.width) * 0.02) if net.positions == "learned" else None
        self.extra = nn.Parameter(torch.zeros(1, 1, net.width)) if net.pooling == "token" else None
        self.pooling = None if net.pooling == "token" else POOLINGS[net.pooling](net.width)
        self.dropout, self.last_dropout = Dropout(net.dropout), Dropout(net.last_dropout)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Return `(batch, width)`."""
        tokens, mask = self.patches(features, mask)
        places = torch.arange(tokens.shape[1], device=tokens.device)
        if self.learned is not None:
            tokens = tokens + self.learned[places.clamp_max(len(self.learned) - 1)]
        elif self.how == "sinusoidal":
            tokens = tokens + _sinusoids(_angles(places, self.width))
        tokens = self.dropout(tokens)
        if self.extra is not None:
            tokens = torch.cat([self.extra.expand(tokens.shape[0], -1, -1), tokens], 1)
            mask = torch.cat([mask[:, :1], mask], 1)
        return self._encoded(tokens, mask)

    def _encoded(self, tokens: Tensor, mask: Tensor) -> Tensor:
        places = torch.arange(tokens.shape[1], device=tokens.device)
        angles = _angles(places, self.head_width) if self.how == "rotary" else None
        allowed = None if not torch.compiler.is_exporting() and bool(mask.all()) else mask
        for block in self.blocks:
            tokens = block(tokens, allowed, angles)
        tokens = self.last_norm(tokens)
        pooled = tokens[:, 0] if self.pooling is None else self.pooling(tokens, mask)
        out: Tensor = self.last_dropout(pooled)
        return out


def _angles(places: Tensor, width: int) -> Tensor:
    """Return `(tokens, width / 2)`: places by frequencies that fall from 1 (Vaswani et al. 2017, section 3.5)."""
    exponents = torch.arange(0, width, 2, device=places.device) / width
    return places.unsqueeze(1) * _LONGEST_PERIOD**-exponents


def _sinusoids(angles: Tensor) -> Tensor:
    return torch.cat([angles.sin(), angles.cos()], 1)


class _Block(nn.Module):
    """Attention, then a perceptron with one hidden layer, each added to its input."""

    def __init__(self, net: Transformer, block: TransformerBlock) -> None:
        super().__init__()
        inner, hidden = block.heads * net.head_width, round(net.width * block.expansion)
        self.attention, self.merge = Attention(net.width, block.heads, net.head_width), nn.Linear(inner, net.width)
        self.perceptron = nn.Sequential(
            nn.Linear(net.width, hidden), ACTIVATIONS[net.activation](), nn.Linear(hidden, net.width), Dropout(net.dropout)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(net.width) for _ in range(2))
        self.first, self.dropout = net.norm == "before", Dropout(net.dropout)

    def forward(self, tokens: Tensor, mask: Tensor | None, angles: Tensor | None) -> Tensor:
        seen = self.norms[0](tokens) if self.first else tokens
        tokens = tokens + self.dropout(self.merge(self.attention(seen, mask, angles)))
        if not self.first:
            tokens = self.norms[0](tokens)
            tokens = tokens + self.perceptron(tokens)
            return cast(Tensor, self.norms[1](tokens))
        return cast(Tensor, tokens + self.perceptron(self.norms[1](tokens)))
