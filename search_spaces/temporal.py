"""Temporal convolutional networks: dilated convolutions in residual blocks, over the steps of sequences and texts.

Bai et al., "An Empirical Evaluation of Generic Convolutional and Recurrent Networks for Sequence Modeling" (2018). What departs
from it is a choice here: they see only the past, normalise weights and read the last step; by default a row is seen as a whole,
before and behind each step, features are normalised, and steps are pooled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from torch import Tensor, nn

from search_spaces.language import Architecture, Choice, Float, Int, OneOf
from search_spaces.layers import ACTIVATIONS, Dropout
from search_spaces.spec import Forecast, Text, TimeSeries, as_series
from search_spaces.steps import POOLINGS, StepInput, StepNetwork
from search_spaces.temporal_layers import (
    PATCHES,
    STEP_NORMALISATIONS,
    Patches,
    StepConvolution,
    Style,
    as_maps,
    keep_in_scale,
    masked,
    patches_for,
    usual_patch,
)

if TYPE_CHECKING:
    from search_spaces.spec import Inputs, Outputs

_MOST = 512  # steps that blocks work on; the time of a step is proportional to them
_MOST_BLOCKS = 8


class TCN(Architecture):
    """Residual blocks of two dilated convolutions each (Bai et al. 2018, figure 1b).

    patch: steps that are mapped to one before the blocks, so that these work on fewer. width: channels of all blocks. blocks:
    how many; the convolutions of block i, from 0, have the dilation `growth**i`. causal: whether a step sees only those before
    it. dropout: behind each convolution, of single entries. last_dropout: before the last layer.

    **Shape**: the tensors of `TimeSeries` or `Text` to `(batch, outputs.width)`.
    """

    takes: ClassVar[tuple[type[Inputs], ...]] = (TimeSeries, Text)

    input: StepInput = OneOf(StepInput)
    patch: int = Choice(*PATCHES, ordered=True)
    width: int = Int(16, 256, log=True, multiple_of=8, default=64)
    blocks: int = Int(1, _MOST_BLOCKS, default=3)
    kernel: int = Choice(3, 5, 7, 9, ordered=True, default=5)
    growth: int = Choice(1, 2, 3, 4, ordered=True, default=2)
    causal: bool = Choice(False, True)
    normalisation: str = Choice(*STEP_NORMALISATIONS)
    activation: str = Choice(*ACTIVATIONS, default="relu")
    pooling: str = Choice(*POOLINGS, default="mean")
    dropout: float = Float(0.0, 0.5, default=0.1)
    last_dropout: float = Float(0.0, 0.5, default=0.1)

    def build(self, inputs: Inputs, outputs: Outputs) -> nn.Module:
        """Return a network that starts near the base rates of the classes, or the mean."""
        features = self.input.build(inputs, outputs)
        return StepNetwork(features, _Blocks(self, features.width), outputs)

    @staticmethod
    def narrow(inputs: Inputs, outputs: Outputs) -> dict[str, object]:
        """Return overrides that leave patches where rows are long; the default's blocks see all of a row.

        Forecasts follow from a row's end; there the last step is the default's pooling.
        """
        length = inputs.length if isinstance(inputs, Text) else as_series(inputs).length
        patches = patches_for(length, _MOST)
        usual = patches[0] if isinstance(inputs, Text) else usual_patch(length, patches)
        most, blocks = (max(1, min(_MOST_BLOCKS, (-(-length // patch)).bit_length())) for patch in (patches[0], usual))
        return {
            **{f"input/{path}": override for path, override in StepInput.narrow(inputs, outputs).items()},
            "patch": Choice(*patches, ordered=True, default=usual),
            "blocks": Int(1, most, default=max(1, blocks - 3)),
            "pooling": Choice(*POOLINGS, default="last" if isinstance(outputs, Forecast) else "mean"),
        }


class _Blocks(nn.Module):
    def __init__(self, tcn: TCN, width_in: int) -> None:
        super().__init__()
        self.width = width = tcn.width
        self.patches = None if tcn.patch == 1 else Patches(width_in, width, tcn.patch)
        width_in = width_in if self.patches is None else width
        widths = [width_in, *[width] * (tcn.blocks - 1)]
        self.blocks = nn.ModuleList(_Block(tcn, (before, width), tcn.growth**i) for i, before in enumerate(widths))
        self.pooling, self.dropout = POOLINGS[tcn.pooling](width), Dropout(tcn.last_dropout)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Return `(batch, width)`."""
        if self.patches is not None:
            features, mask = self.patches(features, mask)
        maps, real = as_maps(features, mask)
        for block in self.blocks:
            maps = block(maps, real)
        out: Tensor = self.dropout(self.pooling(maps.transpose(1, 2), mask))
        return out


class _Block(nn.Module):
    def __init__(self, tcn: TCN, widths: tuple[int, int], dilation: int) -> None:
        super().__init__()
        style = Style(tcn.normalisation, tcn.activation, tcn.dropout)
        self.first, self.second = (
            StepConvolution((before, widths[1]), tcn.kernel, style, dilation=dilation, causal=tcn.causal) for before in widths
        )
        self.shortcut = nn.Identity() if widths[0] == widths[1] else nn.Conv1d(*widths, 1)
        self.activation = ACTIVATIONS[tcn.activation]()
        keep_in_scale(self)
        if tcn.normalisation == "none":  # so that deep networks begin as shallow ones
            nn.init.zeros_(self.second.convolution.weight)

    def forward(self, maps: Tensor, mask: Tensor | None) -> Tensor:
        branch = self.second(self.first(maps, mask), mask)
        return masked(self.activation(self.shortcut(maps) + branch), mask)
