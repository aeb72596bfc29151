"""An ensemble of perceptrons for tables that share nearly all of their weights: Gorishniy et al., "TabM" (ICLR 2025).

Members differ by adapters alone, as in Wen et al., "BatchEnsemble" (2020, equation 1): member k sees the shared weights W as
`W * s_k r_k^T`, r_k and s_k being vectors of its own. They train side by side, each with a loss of its own, and predict together:
what they share keeps each from overfitting, what they don't makes their mean better than each.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from search_spaces.language import Architecture, Choice, Float, Int, OneOf
from search_spaces.layers import ACTIVATIONS, NORMALISATIONS, Dropout, base_rates
from search_spaces.spec import Classes, Labels, Mixed, Table
from search_spaces.tables import TableInput

if TYPE_CHECKING:
    from search_spaces.spec import Inputs, Outputs


class TabM(Architecture):
    """Perceptrons that share the features of a table and all weights but adapters, biases and the last layer.

    members: how many. width, depth: of the hidden layers. normalisation: behind each hidden layer, over all members together.

    As in the paper the first adapters start at random signs, all others at ones, and biases alike for all members. Deviations: an
    adapter sign for each feature instead of one for each column's embedding; the norms; adapters, as all vectors, don't decay;
    8 members by default, where the paper's 32 would take a CPU several times as long.

    **Shape**: the tensors of a table, with texts or without, to `(batch, outputs.width)`; while training `(batch, members,
    outputs.width)`. What stands for all members in evaluation is the log of the mean probability of each class, the log odds of
    that of each label, and the mean of values: the paper's mean over what members predict, in the form of our outputs.
    """

    takes: ClassVar[tuple[type[Inputs], ...]] = (Table, Mixed)

    input: TableInput = OneOf(TableInput)
    members: int = Int(4, 32, log=True, default=8)
    width: int = Int(16, 512, log=True, multiple_of=8, default=128)
    depth: int = Int(1, 5, default=2)
    activation: str = Choice(*ACTIVATIONS, default="relu")
    normalisation: str = Choice("none", "batch", "layer", default="batch")
    dropout: float = Float(0.0, 0.5, default=0.1)

    def build(self, inputs: Inputs, outputs: Outputs) -> nn.Module:
        """Return a network whose members start from the base rates of the classes, or from the mean."""
        return _Network(self, inputs, outputs)

    @staticmethod
    def narrow(inputs: Inputs, outputs: Outputs) -> dict[str, object]:  # noqa: ARG004  the signature is the language's
        """Return overrides that close decisions which these columns leave without effect."""
        return {f"input/{path}": override for path, override in TableInput.narrow(inputs).items()}


class _Network(nn.Module):
    def __init__(self, family: TabM, inputs: Inputs, outputs: Outputs) -> None:
        super().__init__()
        self.input, self.outputs = family.input.build(inputs), outputs
        widths = [self.input.width, *[family.width] * family.depth]
        layers: list[nn.Module] = []
        for i in range(family.depth):
            norm, activation = _NORMALISATIONS[family.normalisation](family.width), ACTIVATIONS[family.activation]()
            adapted = _Adapted(widths[i], family.width, family.members, signs=i == 0)
            layers += [adapted, norm, activation, Dropout(family.dropout)]
        self.layers = nn.Sequential(*layers)
        self.head = _Own(family.width, family.members, outputs)
        self.members = family.members

    def forward(self, numeric: Tensor, categorical: Tensor, tokens: Tensor | None = None) -> Tensor:
        features = self.input(numeric, categorical, tokens)
        made: Tensor = self.head(self.layers(features.expand(self.members, -1, -1)))
        return made.transpose(0, 1) if self.training else _together(made, self.outputs)


class _Adapted(nn.Module):
    """A linear layer for each member, `(members, batch, before)` to `(members, batch, after)`; adapters and bias are its own."""

    def __init__(self, before: int, after: int, members: int, *, signs: bool) -> None:
        super().__init__()
        bound = 1.0 / math.sqrt(before)
        self.weight = nn.Parameter(torch.empty(before, after).uniform_(-bound, bound))
        first = torch.randint(2, (members * before,)) * 2.0 - 1.0 if signs else torch.ones(members * before)
        self.r, self.s = nn.Parameter(first), nn.Parameter(torch.ones(members * after))  # flat: decay acts on matrices
        self.bias = nn.Parameter(torch.empty(after).uniform_(-bound, bound).repeat(members))
        self.members = members

    def forward(self, x: Tensor) -> Tensor:
        r, s, bias = self.r.view(self.members, -1, 1), self.s.view(self.members, 1, -1), self.bias.view(self.members, 1, -1)
        return torch.baddbmm(bias, x, self.weight * r * s)


class _BatchNorm(nn.Module):
    """Batch normalisation over the rows of all members together."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(x.transpose(1, 2)).transpose(1, 2)
        return out


_NORMALISATIONS = {**NORMALISATIONS, "batch": _BatchNorm}


class _Own(nn.Module):
    """The members' last layers, `(members, batch, before)` to `(members, batch, width)`; nothing of them is shared."""

    def __init__(self, before: int, members: int, outputs: Outputs) -> None:
        super().__init__()
        bound = 1.0 / math.sqrt(before)
        self.weight = nn.Parameter(torch.empty(members, before, outputs.width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.tensor(base_rates(outputs)).repeat(members))

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias.view(len(self.weight), 1, -1), x, self.weight)


def _together(made: Tensor, outputs: Outputs) -> Tensor:
    """Return what the members' outputs `(members, batch, width)` come to, `(batch, width)`."""
    if isinstance(outputs, Classes):
        return made.log_softmax(2).logsumexp(0) - math.log(len(made))
    if isinstance(outputs, Labels):
        return functional.logsigmoid(made).logsumexp(0) - functional.logsigmoid(-made).logsumexp(0)
    return made.mean(0)
