"""What the conformance kit tries families on: made-up specs of all kinds, and batches of what they describe."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from search_spaces.spec import CategoricalColumn, Classes, Image, Inputs, NumericColumn, Outputs, Table, Values

ROWS = 12
HOSTILE_NUMBERS = (0.0, float("nan"), float("inf"), float("-inf"), 3e38, -3e38, 1e-40, -2.5)
HOSTILE_CODES = (0, -1, 2**40, -(2**62), 1, 2, 3, 10**6)


def _number(name: str, low: float, high: float, missing: float = 0.0) -> NumericColumn:
    quantiles = tuple(low + (high - low) * i / 48 for i in range(49))
    return NumericColumn(name, (low + high) / 2, (high - low) / 12**0.5, quantiles, missing)


_NUMBERS = (_number("a", -1.0, 1.0), _number("b", 0.0, 1e6), _number("c", 3.0, 3.5))
_HOLES = (_number("d", -1.0, 1.0, 0.3), _number("constant", 5.0, 5.0, 0.1), _number("empty", 0.0, 0.0, 1.0))
_CODES = (CategoricalColumn("e", (0, 60, 40)), CategoricalColumn("f", (2, *[7] * 14)))
_UNSEEN = (CategoricalColumn("g", (0, 50, 0, 50, 0)), CategoricalColumn("h", (100,)), CategoricalColumn("i", (98, 1, 1)))


def _image(height: int, width: int, channels: int, dtype: str = "uint8") -> Image:
    mean, std = (120.0, 60.0) if dtype == "uint8" else (0.0, 1.0)
    return Image(height, width, channels, dtype, (mean,) * channels, (std,) * channels, ("horizontal",), 100)


INPUTS: Mapping[str, Inputs] = {
    "both": Table((*_NUMBERS, *_HOLES), (*_CODES, *_UNSEEN), 100),
    "numbers": Table(_NUMBERS, (), 100),
    "codes": Table((), _CODES, 100),
    "one number": Table(_NUMBERS[:1], (), 100),
    "one code": Table((), _CODES[:1], 100),
    "missing values": Table(_HOLES, (), 100),
    "unseen codes": Table((), _UNSEEN, 100),
    "grey images": _image(14, 14, 1),
    "colour images": _image(32, 32, 3),
    "oblong images": _image(5, 40, 2, "float32"),
    "one pixel": _image(1, 1, 1),
    "large images": _image(72, 64, 3),
}
OUTPUTS: Mapping[str, Outputs] = {
    "binary": Classes((70, 30)),
    "multiclass": Classes((50, 30, 0, 20)),
    "regression": Values(100.0, 20.0),
}


def made_up_batch(inputs: Inputs, *, hostile: bool = False) -> tuple[Tensor, ...]:
    """Return `ROWS` rows as the spec describes them; hostile ones mix in what no fit row had."""
    return _images(inputs, hostile=hostile) if isinstance(inputs, Image) else _rows(inputs, hostile=hostile)


def _images(inputs: Image, *, hostile: bool) -> tuple[Tensor]:
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(ROWS, inputs.channels, inputs.height, inputs.width, generator=generator)
    images = noise * 255 if inputs.dtype == "uint8" else (noise - 0.5) * 3.4
    if hostile:
        images[2] = 0.0
        for row in range(3, ROWS):
            images[row].view(-1)[row % 2 :: 2] = HOSTILE_NUMBERS[row % len(HOSTILE_NUMBERS)]
    return (images.contiguous(memory_format=torch.channels_last),)


def _rows(inputs: Table, *, hostile: bool) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    numeric = torch.zeros(ROWS, len(inputs.numeric))
    categorical = torch.zeros(ROWS, len(inputs.categorical), dtype=torch.int64)
    for i, number in enumerate(inputs.numeric):
        ranks = torch.randint(len(number.quantiles), (ROWS,), generator=generator)
        numeric[:, i] = torch.tensor(number.quantiles)[ranks]
        numeric[torch.rand(ROWS, generator=generator) < number.missing, i] = float("nan")
    for i, code in enumerate(inputs.categorical):
        categorical[:, i] = torch.randint(len(code.counts), (ROWS,), generator=generator)
    if hostile:
        for row in range(2, ROWS):
            for i in range(len(inputs.numeric)):
                numeric[row, i] = HOSTILE_NUMBERS[(row + i) % len(HOSTILE_NUMBERS)]
            for i in range(len(inputs.categorical)):
                categorical[row, i] = HOSTILE_CODES[(row + i) % len(HOSTILE_CODES)]
    return numeric, categorical
