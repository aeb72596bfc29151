"""Multilayer perceptrons for tables: the family to beat."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from torch import Tensor, nn

from search_spaces.language import Architecture, Choice, Float, Int, OneOf, Repeat, Searchable
from search_spaces.layers import ACTIVATIONS, Dropout, TableInput

if TYPE_CHECKING:
    from search_spaces.spec import Inputs, Outputs


class Block(Searchable, ABC):
    """One step of depth."""

    @abstractmethod
    def build(self, width_in: int, activation: str, normalisation: str, dropout: float) -> tuple[nn.Module, int]:
        """Return a module `(batch, width_in) -> (batch, width_out)` and its `width_out`."""


class Plain(Block):
    """Linear, norm, activation, dropout."""

    width: int = Int(16, 512, log=True, multiple_of=8, default=256)

    def build(self, width_in: int, activation: str, normalisation: str, dropout: float) -> tuple[nn.Module, int]:
        """Return the module and `self.width`."""
        steps = [nn.Linear(width_in, self.width), _norm(normalisation, self.width), ACTIVATIONS[activation](), Dropout(dropout)]
        return nn.Sequential(*steps), self.width


class Residual(Block):
    """Norm, linear, activation, dropout, linear, added to the input."""

    width: int = Int(16, 512, log=True, multiple_of=8, default=256)

    def build(self, width_in: int, activation: str, normalisation: str, dropout: float) -> tuple[nn.Module, int]:
        """Return the module and `width_in`."""
        return _Residual(width_in, self.width, activation, normalisation, dropout), width_in


class _Residual(nn.Module):
    def __init__(self, width_in: int, width: int, activation: str, normalisation: str, dropout: float) -> None:
        super().__init__()
        first, last = nn.Linear(width_in, width), nn.Linear(width, width_in)
        self.branch = nn.Sequential(_norm(normalisation, width_in), first, ACTIVATIONS[activation](), Dropout(dropout), last)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.branch(x)
        return out


def _norm(name: str, width: int) -> nn.Module:
    return {"none": nn.Identity, "batch": nn.BatchNorm1d, "layer": nn.LayerNorm}[name](width)


class MLP(Architecture):
    """A multilayer perceptron over the features of a table."""

    input: TableInput = OneOf(TableInput)
    activation: str = Choice(*ACTIVATIONS)
    normalisation: str = Choice("none", "batch", "layer")
    dropout: float = Float(0.0, 0.5, default=0.1)
    blocks: tuple[Block, ...] = Repeat(OneOf(Plain, Residual), 1, 6, default=2)

    def build(self, inputs: Inputs, outputs: Outputs) -> nn.Module:
        """Return the network."""
        return _MLPNetwork(self, inputs, outputs)


class _MLPNetwork(nn.Module):
    def __init__(self, mlp: MLP, inputs: Inputs, outputs: Outputs) -> None:
        super().__init__()
        self.input = mlp.input.build(inputs)
        width, blocks = self.input.width, []
        for block in mlp.blocks:
            module, width = block.build(width, mlp.activation, mlp.normalisation, mlp.dropout)
            blocks.append(module)
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(width, outputs.width)

    def forward(self, numeric: Tensor, categorical: Tensor) -> Tensor:
        out: Tensor = self.head(self.blocks(self.input(numeric, categorical)))
        return out
