"""Multilayer perceptrons for tables: the family to beat.

The default follows what holds up across many tables in Gorishniy et al., "On Embeddings for Numerical Features in Tabular Deep
Learning" (2022) and "TabM" (2025), and Holzmüller et al., "Better by Default" (2024): careful inputs before deep trunks. It
departs from them in width and in its batch normalisation, which gain most where there is little time to train.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor, nn

from search_spaces.language import Architecture, Choice, Float, Int, OneOf, Repeat, Searchable
from search_spaces.layers import ACTIVATIONS, NORMALISATIONS, Dropout, head
from search_spaces.spec import Mixed, Table
from search_spaces.tables import TableInput

if TYPE_CHECKING:
    from search_spaces.spec import Inputs, Outputs


class Block(Searchable, ABC):
    """One step of depth."""

    @abstractmethod
    def build(self, width_in: int, trunk: MLP) -> tuple[nn.Module, int]:
        """Return a module `(batch, width_in)` to `(batch, width_out)`, and `width_out`.

        Activation, normalisation and dropout are those of the trunk.
        """


class Plain(Block):
    """Linear, norm, activation, dropout."""

    width: int = Int(16, 512, log=True, multiple_of=8, default=128)

    def build(self, width_in: int, trunk: MLP) -> tuple[nn.Module, int]:
        """Return the module and `width`."""
        norm, activation = NORMALISATIONS[trunk.normalisation](self.width), ACTIVATIONS[trunk.activation]()
        return nn.Sequential(nn.Linear(width_in, self.width), norm, activation, Dropout(trunk.dropout)), self.width


class Residual(Block):
    """Norm, linear to `expansion` times the width, activation, dropout, linear, added to the input.

    Where the input's width isn't `width`, a linear map brings it there first. The pre-norm residual block of Gorishniy et al.,
    "Revisiting Deep Learning Models for Tabular Data" (2021).
    """

    width: int = Int(16, 512, log=True, multiple_of=8, default=128)
    expansion: float = Float(1.0, 4.0, default=2.0)

    def build(self, width_in: int, trunk: MLP) -> tuple[nn.Module, int]:
        """Return the module and `width`."""
        project: nn.Module = nn.Identity() if width_in == self.width else nn.Linear(width_in, self.width)
        return nn.Sequential(project, _Branch(self, trunk)), self.width


class _Branch(nn.Module):
    def __init__(self, block: Residual, trunk: MLP) -> None:
        super().__init__()
        hidden = round(block.width * block.expansion)
        self.norm = NORMALISATIONS[trunk.normalisation](block.width)
        self.up, self.down = nn.Linear(block.width, hidden), nn.Linear(hidden, block.width)
        self.activation, self.dropout = ACTIVATIONS[trunk.activation](), Dropout(trunk.dropout)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.dropout(self.activation(self.up(self.norm(x))))
        out: Tensor = x + self.down(hidden)
        return out


class MLP(Architecture):
    """A multilayer perceptron over the features of a table; the default suits tables of some thousand rows."""

    takes: ClassVar[tuple[type[Inputs], ...]] = (Table, Mixed)

    input: TableInput = OneOf(TableInput)
    activation: str = Choice(*ACTIVATIONS, default="relu")
    normalisation: str = Choice(*NORMALISATIONS, default="batch")
    dropout: float = Float(0.0, 0.5, default=0.1)
    blocks: tuple[Block, ...] = Repeat(OneOf(Plain, Residual), 1, 6, default=2)

    def build(self, inputs: Inputs, outputs: Outputs) -> nn.Module:
        """Return a network that starts from the base rates of the classes, or from the mean."""
        return _Network(self, inputs, outputs)

    @staticmethod
    def narrow(inputs: Inputs, outputs: Outputs) -> dict[str, object]:  # noqa: ARG004  the signature is the language's
        """Return overrides that close decisions which these columns leave without effect."""
        return {f"input/{path}": override for path, override in TableInput.narrow(inputs).items()}


class _Network(nn.Module):
    def __init__(self, mlp: MLP, inputs: Inputs, outputs: Outputs) -> None:
        super().__init__()
        self.input = mlp.input.build(inputs)
        width, blocks = self.input.width, []
        for block in mlp.blocks:
            module, width = block.build(width, mlp)
            blocks.append(module)
        if isinstance(mlp.blocks[-1], Residual):
            blocks += [NORMALISATIONS[mlp.normalisation](width), ACTIVATIONS[mlp.activation]()]
        self.blocks = nn.Sequential(*blocks)
        self.head = head(width, outputs)

    def forward(self, numeric: Tensor, categorical: Tensor, tokens: Tensor | None = None) -> Tensor:
        out: Tensor = self.head(self.blocks(self.input(numeric, categorical, tokens)))
        return out
