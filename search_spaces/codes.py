"""Codes without evidence, of categories and of tokens; of categories one-hot columns and one embedding table for all others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from search_spaces.spec import CategoricalColumn, Text

UNKNOWN = 1  # the code of tokens that no fit row had


class KnownCodes(nn.Module):
    """Renumber codes: column by column, 0 for codes without evidence, then 1, 2, ... for those with it.

    Without evidence are code 0, codes outside of the column's range, codes seen fewer than `rarest` times in the fit rows and
    those beyond the `most` frequent ones of a column. `sizes[i]` is how many different codes come out for column i, with the 0;
    `kept[i]` are the codes that become 1, 2, ...

    **Shape**: int64 `(batch, q)` to `(batch, q)`.
    """

    first: Tensor
    last: Tensor
    renumbered: Tensor

    def __init__(self, columns: Sequence[CategoricalColumn], rarest: int, most: int) -> None:
        super().__init__()
        self.sizes: list[int] = []
        self.kept: list[list[int]] = []
        first: list[int] = []
        last: list[int] = []
        renumbered: list[int] = []
        for column in columns:
            kept = [code for code, count in enumerate(column.counts) if code and count >= rarest]
            kept = sorted(sorted(kept, key=lambda code: -column.counts[code])[:most])
            numbers = dict(zip(kept, range(1, len(kept) + 1), strict=True))
            first.append(len(renumbered))
            renumbered += [numbers.get(code, 0) for code in range(len(column.counts))] + [0]  # 0 is for codes beyond the last
            last.append(len(renumbered) - 1)
            self.sizes.append(len(kept) + 1)
            self.kept.append(kept)
        self.register_buffer("first", torch.tensor(first))
        self.register_buffer("last", torch.tensor(last))
        self.register_buffer("renumbered", torch.tensor(renumbered))

    def forward(self, categorical: Tensor) -> Tensor:
        """Return the new codes."""
        return self.renumbered[torch.clamp(categorical + self.first, self.first, self.last)]


class KnownTokens(nn.Module):
    """Let codes of tokens that no fit row had, and codes out of range, count as unknown; all others stay, padding too.

    **Shape**: int64, any.
    """

    renumbered: Tensor | None

    def __init__(self, inputs: Text) -> None:
        super().__init__()
        self.vocabulary = inputs.vocabulary
        self.register_buffer("renumbered", None)
        if inputs.unseen:
            unseen = set(inputs.unseen)
            self.renumbered = torch.tensor([UNKNOWN if code in unseen else code for code in range(inputs.vocabulary)])

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the codes."""
        tokens = tokens.masked_fill((tokens < 0) | (tokens >= self.vocabulary), UNKNOWN)
        return tokens if self.renumbered is None else self.renumbered[tokens]


class OneHot(nn.Module):
    """One feature for each code but 0, of the columns at `positions`; code 0 is all zeros.

    **Shape**: int64 `(batch, q)` to float32 `(batch, width)`.
    """

    columns: Tensor
    codes: Tensor

    def __init__(self, positions: Sequence[int], sizes: Sequence[int]) -> None:
        super().__init__()
        features = [(i, code) for i in positions for code in range(1, sizes[i])]
        self.width = len(features)
        self.register_buffer("columns", torch.tensor([i for i, _ in features], dtype=torch.int64))
        self.register_buffer("codes", torch.tensor([code for _, code in features], dtype=torch.int64))

    def forward(self, known: Tensor) -> Tensor:
        """Return the features."""
        return (known.index_select(1, self.columns) == self.codes).float()


class Embeddings(nn.Module):
    """`width` learnt features for each code of the columns at `positions`; code 0 starts as zeros.

    **Shape**: int64 `(batch, q)` to float32 `(batch, len(positions) * width)`.
    """

    columns: Tensor
    offsets: Tensor

    def __init__(self, positions: Sequence[int], sizes: Sequence[int], width: int) -> None:
        super().__init__()
        offsets = [sum(sizes[i] for i in positions[:k]) for k in range(len(positions))]
        self.width = len(positions) * width
        self.register_buffer("columns", torch.tensor(positions, dtype=torch.int64))
        self.register_buffer("offsets", torch.tensor(offsets, dtype=torch.int64))
        self.weight = nn.Parameter(torch.randn(sum(sizes[i] for i in positions), width))
        with torch.no_grad():
            self.weight[self.offsets] = 0.0

    def forward(self, known: Tensor) -> Tensor:
        """Return the features."""
        return nn.functional.embedding(known.index_select(1, self.columns) + self.offsets, self.weight).flatten(1)
