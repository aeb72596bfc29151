"""Networks for short texts: convolutions of several lengths over embedded tokens, and the bag of the tokens beside them.

Kim, "Convolutional Neural Networks for Sentence Classification" (2014), and Joulin et al., "Bag of Tricks for Efficient Text
Classification" (2017). Both look for phrases wherever they stand, which is what a few thousand short texts can teach; they start
from words that know nothing of each other, because nothing is downloaded here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from search_spaces.language import Architecture, Choice, Float, Int, OneOf
from search_spaces.layers import ACTIVATIONS, Dropout
from search_spaces.spec import Text, as_text
from search_spaces.steps import POOLINGS, MeanOfSteps, StepInput, StepNetwork

if TYPE_CHECKING:
    from search_spaces.spec import Inputs, Outputs


class TextCNN(Architecture):
    """Convolutions side by side, each pooled over a text; fastText's classifier is `kernels=0` (Joulin et al. 2017, figure 1).

    kernels: how many convolutions, from `shortest` tokens on, each one token longer than the one before. filters: of each.
    pooling: of each filter over the text; Kim takes its maximum. bag: whether the mean of the embedded tokens stands beside what
    is pooled. It always does where there are no convolutions. dropout: before the last layer.

    **Shape**: tokens `(batch, length)` to `(batch, outputs.width)`.
    """

    takes: ClassVar[tuple[type[Inputs], ...]] = (Text,)

    input: StepInput = OneOf(StepInput)
    shortest: int = Int(1, 4, default=1)
    kernels: int = Int(0, 4, default=3)
    filters: int = Int(16, 256, log=True, multiple_of=8, default=64)
    activation: str = Choice(*ACTIVATIONS, default="relu")
    pooling: str = Choice(*POOLINGS, default="max")
    bag: bool = Choice(True, False)
    dropout: float = Float(0.0, 0.7, default=0.3)

    def build(self, inputs: Inputs, outputs: Outputs) -> nn.Module:
        """Return a network that starts near the base rates of the classes, or the mean."""
        features = self.input.build(as_text(inputs), outputs)
        return StepNetwork(features, _Convolutions(self, features.width), outputs)

    @staticmethod
    def narrow(inputs: Inputs, outputs: Outputs) -> dict[str, object]:
        """Return overrides that close what doesn't matter to texts; wide embeddings are what short trainings gain most from."""
        own = {f"input/{path}": override for path, override in StepInput.narrow(inputs, outputs).items()}
        return {**own, "input/embedding": Int(16, 256, default=128)}


class _Convolutions(nn.Module):
    def __init__(self, net: TextCNN, width_in: int) -> None:
        super().__init__()
        self.sizes = range(net.shortest, net.shortest + net.kernels)
        self.convolutions = nn.ModuleList(nn.Conv1d(width_in, net.filters, size) for size in self.sizes)
        self.activation = ACTIVATIONS[net.activation]()
        self.pooling = POOLINGS[net.pooling](net.filters * net.kernels) if net.kernels else None
        self.bag = MeanOfSteps(width_in) if net.bag or not net.kernels else None
        self.dropout = Dropout(net.dropout)
        self.width = net.filters * net.kernels + (width_in if self.bag is not None else 0)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Return `(batch, width)`; a convolution begins at each token of a text, and behind its end there are zeros."""
        parts = [] if self.bag is None else [self.bag(features, mask)]
        if self.pooling is not None:
            maps = features.transpose(1, 2)
            layers = zip(self.convolutions, self.sizes, strict=True)
            found = [layer(functional.pad(maps, (0, size - 1))) for layer, size in layers]
            parts.append(self.pooling(self.activation(torch.cat(found, 1)).transpose(1, 2), mask))
        out: Tensor = self.dropout(torch.cat(parts, 1))
        return out
