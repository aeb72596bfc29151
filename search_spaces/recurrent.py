"""Recurrent networks for sequences and texts: Elman's, LSTM and GRU, behind convolutions if need be.

Sources: Elman, "Finding Structure in Time" (1990); Hochreiter and Schmidhuber, "Long Short-Term Memory" (1997) with the forget
gate of Gers et al., "Learning to Forget" (2000); Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder" (2014),
with the reset gate behind the product, as torch and cuDNN have it; Schuster and Paliwal, "Bidirectional Recurrent Neural
Networks" (1997). Weights start as Saxe et al., "Exact Solutions to the Nonlinear Dynamics of Learning" (2013), Le et al., "A
Simple Way to Initialize Recurrent Networks of Rectified Linear Units" (2015) and Jozefowicz et al., "An Empirical Exploration
of Recurrent Network Architectures" (2015, section 2.2) advise. Dropout stands between layers, not inside the recurrence
(Zaremba et al., "Recurrent Neural Network Regularization", 2014).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from search_spaces.language import Architecture, Choice, Float, Int, OneOf, Searchable
from search_spaces.layers import ACTIVATIONS, Dropout
from search_spaces.recurrence import Recurrence, lengths_of
from search_spaces.spec import Forecast, Text, TimeSeries
from search_spaces.steps import POOLINGS, LastStep, StepInput, StepNetwork
from search_spaces.temporal_layers import STEP_NORMALISATIONS, StepConvolution, Style, as_maps, keep_in_scale

if TYPE_CHECKING:
    from search_spaces.spec import Inputs, Outputs

MOST_STEPS = 256  # the steps of a recurrence come one after the other: of longer sequences convolutions make shorter ones
FEWEST_STEPS = 8  # of which it isn't worth while to make fewer
MOST_AT_ONCE = 3  # steps that become one behind a convolution
DEEPEST = 4  # convolutions


class RecurrentCell(Searchable, ABC):
    """What a layer does at each step."""

    @abstractmethod
    def build(self, width_in: int, width: int, directions: int) -> Recurrence:
        """Return a layer from `width_in` to `directions * width` features."""


class GRU(RecurrentCell):
    """Gated recurrent units.

    initialisation: of the weights of the state: "orthogonal", with Glorot's for those of the input and biases of 0, or all
    "uniform" within `1 / sqrt(width)`.
    """

    initialisation: str = Choice("orthogonal", "uniform")

    def build(self, width_in: int, width: int, directions: int) -> Recurrence:
        return _initialised(Recurrence("gru", width_in, width, directions), self.initialisation)


class LSTM(RecurrentCell):
    """Long short-term memory; `forget_bias` is where the bias of its forget gate starts. initialisation: as of `GRU`."""

    initialisation: str = Choice("orthogonal", "uniform")
    forget_bias: float = Choice(0.0, 1.0, 2.0, ordered=True, default=1.0)

    def build(self, width_in: int, width: int, directions: int) -> Recurrence:
        layer = _initialised(Recurrence("lstm", width_in, width, directions), self.initialisation)
        with torch.no_grad():
            for part, gate, weights in layer.gates():
                if part.endswith("bias") and gate == 1:
                    weights.fill_(self.forget_bias / 2)  # two biases are added up
        return layer


class RNN(RecurrentCell):
    """Elman's network: the state is the activation of a linear map of input and state.

    initialisation: as of `GRU`, or "identity", so that rectified states stay what they are until something comes in.
    """

    activation: str = Choice("tanh", "relu")
    initialisation: str = Choice("orthogonal", "identity", "uniform")

    def build(self, width_in: int, width: int, directions: int) -> Recurrence:
        return _initialised(Recurrence(f"rnn_{self.activation}", width_in, width, directions), self.initialisation)


def _initialised(layer: Recurrence, initialisation: str) -> Recurrence:
    """Redraw the weights of each gate; "uniform" is how torch has drawn them already."""
    if initialisation == "uniform":
        return layer
    for part, _, weights in layer.gates():
        if part == "input":
            nn.init.xavier_uniform_(weights)
        elif part == "state" and initialisation == "identity":
            nn.init.eye_(weights)
        elif part == "state":
            nn.init.orthogonal_(weights)
        else:
            nn.init.zeros_(weights)
    return layer


class Front(Searchable, ABC):
    """What stands before the recurrence."""

    @abstractmethod
    def build(self, width_in: int) -> StepLayers:
        """Return a module from features of `width_in` and their mask to such of `module.width`."""


class NoFront(Front):
    """The features themselves."""

    def build(self, width_in: int) -> StepLayers:
        return StepLayers(width_in)


class ConvolutionalFront(Front):
    """Convolutions over the steps, behind each of which so many steps (`shortening`) become one, by their maximum or mean."""

    layers: int = Int(1, DEEPEST, default=1)
    width: int = Int(16, 256, log=True, multiple_of=8, default=64)
    kernel: int = Choice(3, 5, 7, 9, ordered=True, default=5)
    shortening: int = Int(1, MOST_AT_ONCE, default=2)
    reduction: str = Choice("max", "mean")
    activation: str = Choice(*ACTIVATIONS, default="relu")
    normalisation: str = Choice(*STEP_NORMALISATIONS, default="batch")

    def build(self, width_in: int) -> StepLayers:
        return _Convolutions(self, width_in)


class Recurrent(Architecture):
    """Layers of recurrent cells over the steps of a sequence or a text.

    width: states of a layer in each direction. directions: 2 reads each row from its end, too. pooling: how all steps become
    one vector: the last state (of the second direction the one at the first step), the mean, the maximum of each state, or a
    mean with learned weights. normalisation, dropout: of what each layer returns.

    **Shape**: values `(batch, time, channels)` and lengths `(batch,)`, or tokens `(batch, length)`, to `(batch, outputs.width)`.
    """

    takes: ClassVar[tuple[type[Inputs], ...]] = (TimeSeries, Text)

    input: StepInput = OneOf(StepInput)
    front: Front = OneOf(NoFront, ConvolutionalFront)
    cell: RecurrentCell = OneOf(GRU, LSTM, RNN)
    layers: int = Int(1, 4, default=1)
    width: int = Int(16, 512, log=True, multiple_of=8, default=64)
    directions: int = Choice(1, 2, ordered=True, default=2)
    pooling: str = Choice(*POOLINGS, default="attention")
    normalisation: str = Choice("none", *(name for name in STEP_NORMALISATIONS if name != "none"))
    dropout: float = Float(0.0, 0.6, default=0.2)

    def build(self, inputs: Inputs, outputs: Outputs) -> nn.Module:
        """Return a network that starts near the base rates of the classes, or the mean."""
        features = self.input.build(inputs, outputs)
        return StepNetwork(features, _Body(self, features.width), outputs)

    @staticmethod
    def narrow(inputs: Inputs, outputs: Outputs) -> dict[str, object]:
        """Return overrides that make long sequences shorter, and close what these specs leave without effect.

        Sequences of numbers have convolutions by default: with them spoken digits are learnt better in the same time. Texts
        have none, which gained nothing of them.
        """
        overrides = {f"input/{path}": override for path, override in StepInput.narrow(inputs, outputs).items()}
        steps = cast("TimeSeries | Text", inputs).length
        usual = NoFront() if isinstance(inputs, Text) or isinstance(outputs, Forecast) else ConvolutionalFront()
        if isinstance(outputs, Forecast):
            overrides |= {"directions": Choice(1, 2, default=1), "pooling": Choice(*POOLINGS, default="last")}
        if steps <= 1:
            overrides |= {"directions": 1, "pooling": "last"}
        return overrides | _front_for(steps, usual)


def _front_for(steps: int, usual: Front) -> dict[str, object]:
    """Return overrides that leave at most `MOST_STEPS` steps, or what comes nearest to that, but not too few.

    usual: the default where there is a choice.
    """
    layers, shortening = (f"front/ConvolutionalFront/{name}" for name in ("layers", "shortening"))
    if steps < 2 * FEWEST_STEPS:
        return {"front": OneOf(NoFront)}
    if steps <= MOST_STEPS:
        front = OneOf(NoFront, ConvolutionalFront, default=usual)
        return {"front": front, layers: Int(1, min(DEEPEST, int(math.log2(steps / FEWEST_STEPS))))}
    every = [(factor, n) for factor in range(2, MOST_AT_ONCE + 1) for n in range(1, DEEPEST + 1)]
    factor, least = next(((f, n) for f, n in every if -(-steps // f**n) <= MOST_STEPS), every[-1])
    return {"front": OneOf(ConvolutionalFront), layers: Int(least, DEEPEST), shortening: Int(factor, MOST_AT_ONCE)}


# ------------------------------------------------------------------------------------------------------------------ modules


class StepLayers(nn.Module):
    """From features `(batch, steps, width_in)` and a mask bool `(batch, steps)` to such of `width`; here the same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return features and mask."""
        return features, mask


class _Convolutions(StepLayers):
    def __init__(self, front: ConvolutionalFront, width_in: int) -> None:
        super().__init__(front.width)
        self.factor, self.reduction = front.shortening, front.reduction
        style, widths = Style(front.normalisation, front.activation), [width_in, *[front.width] * front.layers]
        self.layers = nn.ModuleList(StepConvolution(both, front.kernel, style) for both in pairwise(widths))
        keep_in_scale(self)

    def forward(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        maps, real = as_maps(features, mask)
        for layer in self.layers:
            maps, real = self._shortened(layer(maps, real), real)
        features = maps.transpose(1, 2)
        return features, features.new_ones(features.shape[:2]) > 0 if real is None else real.squeeze(1) > 0

    def _shortened(self, maps: Tensor, real: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return one step for each `factor` steps, the last for those that are left, and which of them begin in their row."""
        if self.factor == 1:
            return maps, real
        # A step more of padding while exporting: that there are always two lets torch keep their number free.
        behind = self.factor * 2 - 1 if torch.compiler.is_exporting() else self.factor - 1
        known = maps.new_ones(1, 1, maps.shape[2]) if real is None else real
        # Joined, because onnxruntime draws padding into the pooling behind it and then refuses so much.
        padded, known = (torch.cat([steps, steps.new_zeros(*steps.shape[:2], behind)], 2) for steps in (maps, known))
        share = functional.avg_pool1d(known, self.factor)
        if self.reduction == "mean":
            shorter = functional.avg_pool1d(padded, self.factor) / share.clamp_min(1.0 / self.factor)
        else:
            least = padded.masked_fill(known == 0, torch.finfo(padded.dtype).min)
            shorter = functional.max_pool2d(least.unsqueeze(2), (1, self.factor)).squeeze(2)
        if real is None:
            return shorter, None
        real = (share > 0).to(share.dtype)
        return shorter.masked_fill(real == 0, 0.0), real


class _Layer(nn.Module):
    def __init__(self, net: Recurrent, width_in: int) -> None:
        super().__init__()
        self.recurrence = net.cell.build(width_in, net.width, net.directions)
        self.norm = STEP_NORMALISATIONS[net.normalisation](net.directions * net.width)
        self.dropout = Dropout(net.dropout)

    def forward(self, features: Tensor, mask: Tensor, lengths: Tensor | None) -> Tensor:
        maps, real = as_maps(self.recurrence(features, lengths), mask)
        out: Tensor = self.dropout(self.norm(maps, real).transpose(1, 2))
        return out


class _EndStates(nn.Module):
    """Of the first direction the state at each row's last step, of the second the one at its first step."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width, self.last = width, LastStep(width)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        return torch.cat([self.last(features[..., : self.width], mask), features[:, 0, self.width :]], 1)


class _Body(nn.Module):
    def __init__(self, net: Recurrent, width_in: int) -> None:
        super().__init__()
        self.front, self.width = net.front.build(width_in), net.directions * net.width
        widths = [self.front.width, *[self.width] * (net.layers - 1)]
        self.layers = nn.ModuleList(_Layer(net, width) for width in widths)
        self.pooling = _EndStates(net.width) if net.pooling == "last" else POOLINGS[net.pooling](self.width)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        features, mask = self.front(features, mask)
        lengths = lengths_of(mask)
        for layer in self.layers:
            features = layer(features, mask, lengths)
        out: Tensor = self.pooling(features, mask)
        return out
