"""What the conformance kit tries families on: made-up specs of all kinds, and batches of what they describe."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from search_spaces.spec import (
    CategoricalColumn,
    Classes,
    Forecast,
    Image,
    Inputs,
    Labels,
    Mixed,
    NumericColumn,
    Outputs,
    Reconstruction,
    Table,
    Text,
    TimeSeries,
    Values,
    Vector,
)

ROWS = 12
HOSTILE_NUMBERS = (0.0, float("nan"), float("inf"), float("-inf"), 3e38, -3e38, 1e-40, -2.5)
HOSTILE_LENGTHS = (0, 1, -3, 10**6)
HOSTILE_CODES = (0, -1, 2**40, -(2**62), 1, 2, 3, 10**6)


def _number(name: str, low: float, high: float, missing: float = 0.0) -> NumericColumn:
    quantiles = tuple(low + (high - low) * i / 48 for i in range(49))
    return NumericColumn(name, (low + high) / 2, (high - low) / 12**0.5, quantiles, missing)


_NUMBERS = (_number("a", -1.0, 1.0), _number("b", 0.0, 1e6), _number("c", 3.0, 3.5))
_HOLES = (_number("d", -1.0, 1.0, 0.3), _number("constant", 5.0, 5.0, 0.1), _number("empty", 0.0, 0.0, 1.0))
_CODES = (CategoricalColumn("e", (0, 60, 40)), CategoricalColumn("f", (2, *[7] * 14)))
_WORDS = Text(60, 18, 100, (5, 30, 59))
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
    "one channel": TimeSeries(_NUMBERS[:1], 12, 12, 100),
    "ragged sequences": TimeSeries((*_NUMBERS, *_HOLES), 20, 1, 100),
    "single steps": TimeSeries(_NUMBERS[1:2], 1, 1, 100),
    "long sequences": TimeSeries(_NUMBERS[:2], 150, 90, 100),
    "texts": Text(60, 18, 100),
    "single tokens": Text(2, 1, 100),
    "unseen tokens": Text(60, 18, 100, (2, 7, *range(40, 60))),
    "texts beside columns": Mixed(Table((*_NUMBERS, *_HOLES), (*_CODES, *_UNSEEN), 100), ("j", "k"), _WORDS),
    "a text beside a number": Mixed(Table(_NUMBERS[:1], (), 100), ("j",), Text(60, 18, 100)),
}
OUTPUTS: Mapping[str, Outputs] = {
    "binary": Classes((70, 30)),
    "multiclass": Classes((50, 30, 0, 20)),
    "regression": Values(100.0, 20.0),
    "labels": Labels((30, 0, 100), 100),
    "several numbers": Vector((100.0, 0.0), (20.0, 1.0)),
    "forecast": Forecast(6, 0, 100.0, 20.0),
    "reconstruction": Reconstruction(3),
}


def agree(inputs: Inputs, outputs: Outputs) -> bool:
    """Whether there is a task with both: only the values of a sequence can be forecast, only tables and images are rebuilt."""
    if isinstance(outputs, Forecast):
        return isinstance(inputs, TimeSeries)
    return not isinstance(outputs, Reconstruction) or isinstance(inputs, Table | Image)


def made_up_batch(inputs: Inputs, *, hostile: bool = False) -> tuple[Tensor, ...]:
    """Return `ROWS` rows as the spec describes them; hostile ones mix in what no fit row had."""
    match inputs:
        case Image():
            return _images(inputs, hostile=hostile)
        case TimeSeries():
            return _series(inputs, hostile=hostile)
        case Text():
            return (_tokens(inputs, ROWS, hostile=hostile),)
        case Mixed():
            tokens = _tokens(inputs.text, ROWS * len(inputs.names), hostile=hostile)
            return (*_rows(inputs.table, hostile=hostile), tokens.view(ROWS, len(inputs.names), -1))
        case Table():
            return _rows(inputs, hostile=hostile)


def padded(inputs: Inputs, batch: tuple[Tensor, ...], steps: int) -> tuple[Tensor, ...]:
    """Return a batch with other padding, and so many steps more of it, where rows are padded; any other batch as it is."""
    match inputs:
        case TimeSeries():
            values, lengths = batch
            values = torch.cat([values, values.new_zeros(len(values), steps, values.shape[2])], 1)
            behind = torch.arange(values.shape[1]) >= lengths.clamp_min(1).unsqueeze(1)
            return values.masked_fill(behind.unsqueeze(2), 77.0), lengths
        case Text() | Mixed():
            *table, tokens = batch
            return *table, torch.cat([tokens, tokens.new_zeros(*tokens.shape[:-1], steps)], -1)
    return batch


def _series(inputs: TimeSeries, *, hostile: bool) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    channels = []
    for channel in inputs.channels:
        ranks = torch.randint(len(channel.quantiles), (ROWS, inputs.length), generator=generator)
        missing = torch.rand(ROWS, inputs.length, generator=generator) < channel.missing
        channels.append(torch.tensor(channel.quantiles)[ranks].masked_fill(missing, float("nan")))
    values = torch.stack(channels, 2)
    lengths = torch.randint(inputs.shortest, inputs.length + 1, (ROWS,), generator=generator)
    lengths[0] = inputs.length
    if hostile:
        for row in range(2, ROWS):
            values[row].view(-1)[row % 2 :: 2] = HOSTILE_NUMBERS[row % len(HOSTILE_NUMBERS)]
        lengths[2 : 2 + len(HOSTILE_LENGTHS)] = torch.tensor(HOSTILE_LENGTHS)
    return values, lengths


def _tokens(inputs: Text, rows: int, *, hostile: bool) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(1, inputs.vocabulary, (rows, inputs.length), generator=generator)
    lengths = torch.randint(0 if hostile else 1, inputs.length + 1, (rows, 1), generator=generator)
    if hostile:
        for row in range(2, rows):
            tokens[row, row % 2 :: 2] = HOSTILE_CODES[row % len(HOSTILE_CODES)]
    return tokens.masked_fill(torch.arange(inputs.length) >= lengths, 0)


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
