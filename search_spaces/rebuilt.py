"""What is rebuilt of a row: what autoencoders, and pretraining without labels, learn to give back.

Errors must mean the same for every network of a task, so this is measured beforehand and holds nothing that is learnt. Of a table
each column counts once: numbers by their squared error in units in which a column of the fit rows has about variance 1, bent so
that no huge value outweighs all others; categories by their Brier score. What a row lacks doesn't count. Of images the pixels
count, pooled as far as a linear model's (`SIDE`) and in standard deviations of their channel.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from search_spaces.codes import KnownCodes
from search_spaces.columns import CLIP, Centre, SmoothClip
from search_spaces.images import PooledPixels, Standardise
from search_spaces.spec import Image, as_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from search_spaces.spec import Inputs, NumericColumn, Table

SIDE = 16  # pixels: images are pooled until neither side is longer
MOST = 128  # codes of a column: rarer ones count as missing
LARGEST = 10.0  # standard deviations, of a column that is nearly always the same or of a pixel that is none
_STEPS = 4  # points between two quantiles at which a bent column is measured
_NARROWEST = 1e-6  # columns of less spread hold nothing to rebuild
_RAREST = 1e-6  # of what stands for a probability
_BENT = 0.999 * CLIP  # what is unbent: behind it one digit is a world


class Rebuilt(nn.Module):
    """What is rebuilt of tables (texts beside them aren't) and of images. A row of which nothing can be rebuilt has error 0.

    `width` is the number of outputs that rebuild a row, at least 1: of a table one for each number, then logits for the codes of
    each category; of images one for each pooled pixel, channel by channel. `columns` is the number of columns, or of pixels, that
    an error is the mean of where none is missing, at least 1. Raises `Infeasible` for other inputs.
    """

    def __init__(self, inputs: Inputs) -> None:
        super().__init__()
        self.what: _Parts = _Pixels(inputs) if isinstance(inputs, Image) else _Columns(as_table(inputs))
        self.width = self.what.width
        self.columns = self.what.columns

    @staticmethod
    def shape(image: Image) -> tuple[int, int, int]:
        """Return channels, height and width of what is rebuilt of images: their product is the width."""
        square = PooledPixels.square(image, SIDE)
        return image.channels, -(-image.height // square), -(-image.width // square)

    def targets(self, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the rows of the inputs hold, finite, and whether (1 or 0), both float32 `(batch, width)`.

        Categories are one-hot. Where the second is 0, so is the first: it is about the mean of a column.
        """
        return self.what.targets(tensors)

    def values(self, outputs: Tensor) -> Tensor:
        """Return outputs `(batch, width)` in the form of the targets: numbers are as they were, logits become probabilities."""
        return self.what.values(outputs.float())

    def outputs(self, values: Tensor) -> Tensor:
        """Return outputs whose `values` are these `(batch, width)`, if what should be probabilities is."""
        return self.what.outputs(values)

    def error(self, outputs: Tensor, *tensors: Tensor) -> Tensor:
        """Return the mean squared error of each row `(batch,)` over the columns or pixels that it has."""
        targets, present = self.targets(*tensors)
        shares = present * self.what.shares
        squares = present * (self.values(outputs) - targets).square()
        return squares.sum(1) / shares.sum(1).clamp_min(1.0)

    def restored(self, outputs: Tensor) -> tuple[Tensor, ...]:
        """Return outputs in the form and the units of the inputs: numbers and codes, or images of full size."""
        return self.what.restored(self.values(outputs))


class _Parts(nn.Module, ABC):
    width: int
    columns: int
    shares: Tensor  # (width,): how much of a column each output is, so that they sum to 1 over a column

    @abstractmethod
    def targets(self, tensors: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]: ...

    @abstractmethod
    def values(self, outputs: Tensor) -> Tensor: ...

    @abstractmethod
    def outputs(self, values: Tensor) -> Tensor: ...

    @abstractmethod
    def restored(self, values: Tensor) -> tuple[Tensor, ...]: ...


class _Columns(_Parts):
    def __init__(self, table: Table) -> None:
        super().__init__()
        self.numbers = _Numbers(table.numeric)
        self.codes = _Codes(table)
        self.idle = self.numbers.width + self.codes.width == 0
        self.width = max(1, self.numbers.width + self.codes.width)
        self.columns = max(1, self.numbers.width + len(self.codes.sizes))
        shares = [1.0] * self.numbers.width + [1.0 / size for size in self.codes.sizes for _ in range(size)]
        self.register_buffer("shares", torch.tensor(shares or [1.0]))

    def targets(self, tensors: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        numeric, categorical = tensors[:2]
        if self.idle:
            nothing = numeric.new_zeros(numeric.shape[0], 1)
            return nothing, nothing
        if not self.codes.width:
            return self.numbers.targets(numeric)
        if not self.numbers.width:
            return self.codes.targets(categorical)
        (numbers, known), (codes, seen) = self.numbers.targets(numeric), self.codes.targets(categorical)
        return torch.cat([numbers, codes], 1), torch.cat([known, seen], 1)

    def values(self, outputs: Tensor) -> Tensor:
        if not self.codes.width:
            return outputs
        if not self.numbers.width:
            return self.codes.probabilities(outputs)
        numbers, codes = outputs[:, : self.numbers.width], outputs[:, self.numbers.width :]
        return torch.cat([numbers, self.codes.probabilities(codes)], 1)

    def outputs(self, values: Tensor) -> Tensor:
        if not self.codes.width:
            return values
        logits = values[:, self.numbers.width :].clamp_min(_RAREST).log()
        return torch.cat([values[:, : self.numbers.width], logits], 1) if self.numbers.width else logits

    def restored(self, values: Tensor) -> tuple[Tensor, ...]:
        numbers = values[:, : self.numbers.width]
        codes = values[:, self.numbers.width : self.numbers.width + self.codes.width]
        return self.numbers.restored(numbers), self.codes.restored(codes)


class _Numbers(nn.Module):
    """Numbers by their distance from the median in quartile distances, bent, at mean 0 and variance 1 over the fit rows."""

    kept: Tensor
    mean: Tensor
    std: Tensor
    lowest: Tensor
    highest: Tensor

    def __init__(self, columns: Sequence[NumericColumn]) -> None:
        super().__init__()
        self.columns = len(columns)
        self.centre, self.bend = Centre(columns, "robust"), SmoothClip()
        moments = [_moments(knots) for knots in self.centre.knots]
        kept = [i for i, (_, std) in enumerate(moments) if std > _NARROWEST]
        self.width = len(kept)
        buffers = {
            "kept": torch.tensor(kept, dtype=torch.int64),
            "mean": torch.tensor([moments[i][0] for i in kept]),
            "std": torch.tensor([moments[i][1] for i in kept]),
            "lowest": torch.tensor([min(self.centre.knots[i]) for i in range(self.columns)]),
            "highest": torch.tensor([max(self.centre.knots[i]) for i in range(self.columns)]),
        }
        for name, buffer in buffers.items():
            self.register_buffer(name, buffer)

    def targets(self, numeric: Tensor) -> tuple[Tensor, Tensor]:
        chosen = numeric.index_select(1, self.kept)
        present = (~chosen.isnan()).float()
        bent = self.bend(self.centre(numeric)).index_select(1, self.kept)
        return ((bent - self.mean) / self.std).clamp(-LARGEST, LARGEST) * present, present

    def restored(self, values: Tensor) -> Tensor:
        bent = (values * self.std + self.mean).clamp(-_BENT, _BENT)
        straight = bent * torch.rsqrt(1.0 - torch.square(bent / CLIP))
        columns = values.new_zeros(values.shape[0], self.columns).index_copy(1, self.kept, straight)
        within = torch.minimum(torch.maximum(columns, self.lowest), self.highest)
        factor = torch.where(self.centre.factor == 0, 1.0, self.centre.factor)
        return within / factor + self.centre.centre


class _Codes(nn.Module):
    """One-hot codes of the columns that have at least two; a softmax is taken over the codes of one column."""

    kept: Tensor
    columns: Tensor
    codes: Tensor
    spread: Tensor
    back: Tensor
    original: Tensor
    only: Tensor

    def __init__(self, table: Table) -> None:
        super().__init__()
        self.known = KnownCodes(table.categorical, 1, MOST)
        kept = [i for i, codes in enumerate(self.known.kept) if len(codes) > 1]
        own = [self.known.kept[i] for i in kept]
        self.sizes = [len(codes) for codes in own]
        self.width, self.most = sum(self.sizes), max(self.sizes, default=1)
        cells = [(k, code) for k, size in enumerate(self.sizes) for code in range(size)]
        spread = [[self.width] * self.most for _ in kept]  # all columns as wide as the widest: behind the last logit lies padding
        for place, (k, code) in enumerate(cells):
            spread[k][code] = place
        buffers = {
            "kept": kept,
            "columns": [kept[k] for k, _ in cells],
            "codes": [code + 1 for _, code in cells],
            "spread": [place for row in spread for place in row],
            "back": [k * self.most + code for k, code in cells],
            "original": [code for codes in own for code in [*codes, *[0] * (self.most - len(codes))]],
            "only": [codes[0] if codes else 0 for codes in self.known.kept],
        }
        for name, buffer in buffers.items():
            self.register_buffer(name, torch.tensor(buffer, dtype=torch.int64))

    def targets(self, categorical: Tensor) -> tuple[Tensor, Tensor]:
        known = self.known(categorical).index_select(1, self.columns)
        return (known == self.codes).float(), (known > 0).float()

    def probabilities(self, logits: Tensor) -> Tensor:
        shares = self._spread(logits, -math.inf).softmax(2)
        return shares.flatten(1).index_select(1, self.back)

    def restored(self, probabilities: Tensor) -> Tensor:
        """Return the most probable code of each column; of one that is always the same, that one."""
        rows = probabilities.shape[0]
        restored = self.only.expand(rows, -1)
        if not self.width:
            return restored
        most = self._spread(probabilities, -1.0).argmax(2)
        own = self.original.view(1, -1, self.most).expand(rows, -1, -1).gather(2, most.unsqueeze(2)).squeeze(2)
        return restored.index_copy(1, self.kept, own)

    def _spread(self, cells: Tensor, padding: float) -> Tensor:
        """Return cells `(batch, width)` column by column, `(batch, columns, most)`."""
        padded = torch.cat([cells, cells.new_full((cells.shape[0], 1), padding)], 1)
        return padded.index_select(1, self.spread).view(cells.shape[0], len(self.sizes), self.most)


class _Pixels(_Parts):
    def __init__(self, image: Image) -> None:
        super().__init__()
        self.standardise, self.pool = Standardise(image), PooledPixels(image, SIDE)
        self.image, self.width = image, PooledPixels.width(image, SIDE)
        self.columns = self.width
        self.register_buffer("shares", torch.ones(self.width))

    def targets(self, tensors: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        pixels = self.pool(self.standardise(tensors[0])).clamp(-LARGEST, LARGEST)
        return pixels, torch.ones_like(pixels)

    def values(self, outputs: Tensor) -> Tensor:
        return outputs

    def outputs(self, values: Tensor) -> Tensor:
        return values

    def restored(self, values: Tensor) -> tuple[Tensor, ...]:
        """Return images in which each square is of one colour."""
        image, square = self.image, PooledPixels.square(self.image, SIDE)
        large = values.view(-1, *Rebuilt.shape(image)).repeat_interleave(square, 2).repeat_interleave(square, 3)
        return (large[:, :, : image.height, : image.width] * self.standardise.std + self.standardise.mean,)


def _moments(knots: Sequence[float]) -> tuple[float, float]:
    """Return mean and standard deviation of a bent column, between the quantiles `knots` as if it were linear."""
    points = [low + (high - low) * (step + 0.5) / _STEPS for low, high in pairwise(knots) for step in range(_STEPS)]
    bent = [point / math.sqrt(1.0 + (point / CLIP) ** 2) for point in points]
    mean = sum(bent) / len(bent)
    return mean, math.sqrt(sum((value - mean) ** 2 for value in bent) / len(bent))
