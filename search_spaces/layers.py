"""Layers that several families share, so that a family's own file holds only its own idea."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from search_spaces.language import Choice, Int, Searchable

if TYPE_CHECKING:
    from search_spaces.spec import Table

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


class Dropout(nn.Module):
    """Dropout that draws from its own generator (torch's global one when None), so that a training run has no hidden state."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Zero a share `p` of the entries in training and scale the others up; return `x` itself in evaluation."""
        if not self.training or self.p == 0.0:
            return x
        kept = torch.empty_like(x).bernoulli_(1.0 - self.p, generator=self.generator)
        return x * kept.div_(1.0 - self.p)


def set_dropout_generator(network: nn.Module, generator: torch.Generator | None) -> None:
    """Let every `Dropout` in `network` draw from `generator`."""
    for module in network.modules():
        if isinstance(module, Dropout):
            module.generator = generator


class TableInput(Searchable):
    """How the columns of a table become features."""

    scaling: str = Choice("standard", "quantile", "robust")
    category_width: int = Int(2, 32, log=True, default=8)

    def build(self, table: Table) -> TableFeatures:
        """Return a module `(numeric, categorical) -> (batch, module.width)`."""
        return TableFeatures(table, self.category_width)


class TableFeatures(nn.Module):
    """Standardised numbers, missing flags and embedded codes."""

    def __init__(self, table: Table, category_width: int) -> None:
        super().__init__()
        numeric, categorical = table.numeric, table.categorical
        self.register_buffer("mean", torch.tensor([c.mean for c in numeric], dtype=torch.float32))
        self.register_buffer("scale", torch.tensor([1.0 / max(c.std, 1e-6) for c in numeric], dtype=torch.float32))
        sizes = [len(c.counts) for c in categorical]
        self.register_buffer("sizes", torch.tensor(sizes, dtype=torch.int64))
        offsets = [sum(sizes[:i]) for i in range(len(sizes))]
        self.register_buffer("offsets", torch.tensor(offsets, dtype=torch.int64))
        self.embedding = nn.Embedding(sum(sizes), category_width) if sizes else None
        self.width = 2 * len(numeric) + category_width * len(sizes)

    def forward(self, numeric: Tensor, categorical: Tensor) -> Tensor:
        """Return the features `(batch, width)`."""
        missing = numeric.isnan()
        scaled = (numeric - self.mean) * self.scale
        parts = [scaled.nan_to_num(0.0, 8.0, -8.0).clamp(-8.0, 8.0), missing.float()]
        if self.embedding is not None:
            known = (categorical >= 0) & (categorical < self.sizes)
            codes = torch.where(known, categorical, 0) + self.offsets
            parts.append(self.embedding(codes).flatten(1))
        return torch.cat(parts, 1)
