"""Features of rows on their way to a network: on the device once, batches by index; or decoded from files, ahead of training.

What is stored isn't quite what a network takes: images lie in memory as decoders write them, `(rows, height, width, channels)`,
usually as bytes. `as_inputs` makes the one into the other, on the device, batch by batch.
"""

from __future__ import annotations

import sys
import warnings
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from automl.data.features import Features, Stored
from automl.data.pictures import Pictures, cores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.int64]

Stack: TypeAlias = tuple[Tensor, ...]  # one tensor for each of the spec's, rows first

_TOGETHER = 16  # batches gathered at once and then cut: a gather costs as much as a small layer
_GATHERED = 2**24  # bytes that are worth being gathered at once
_AHEAD = 3  # batches decoded before they are asked for
_PIECE = 32  # images that one thread decodes in a row
_MOST_DECODERS = 8
_SWITCH = 0.0005  # seconds after which a decoder hands Python's lock to the training that waits for it (usually 0.005)
_VALUES = 2**19  # of the stored features in a block that is predicted at once: beyond, networks leave a CPU's cache
_LEAST_BLOCK, _MOST_BLOCK = 8, 1024


def as_inputs(stored: Stack) -> Stack:
    """Return what a network takes: images as float32 `(batch, channels, height, width)`, channels last in memory; all else."""
    return tuple(tensor.permute(0, 3, 1, 2).float() if tensor.ndim == 4 else tensor for tensor in stored)


def as_stored(inputs: Stack) -> Stack:
    """Return what `as_inputs` was given, but for the type of pixels."""
    return tuple(tensor.permute(0, 2, 3, 1) if tensor.ndim == 4 else tensor for tensor in inputs)


def to_tensor(array: NDArray[Any]) -> Tensor:
    """Return a copy of numbers as float32, of codes as int64, of bytes as they are."""
    if array.dtype == np.uint8:
        return torch.tensor(array)
    return torch.tensor(array, dtype=torch.float32 if array.dtype.kind == "f" else torch.int64)


def block_size(features: Sequence[Stored | Tensor]) -> int:
    """Return how many rows are predicted at once: always the same for the same kind of features, so that results are."""
    return max(_LEAST_BLOCK, min(_MOST_BLOCK, _VALUES // row_values(features)))


def row_values(features: Sequence[Stored | Tensor]) -> int:
    """Return how many values a row of features has, at least one."""
    return max(1, sum(int(np.prod(stored.shape[1:])) for stored in features))


class Feed(ABC):
    """The features of some rows."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of rows."""

    @abstractmethod
    def batches(self, order: Tensor, sizes: Sequence[int]) -> Iterator[Stack]:
        """Yield batches of `sizes`, of the rows in `order` (int64, on the CPU), on the device."""

    @abstractmethod
    def blocks(self, rows: int | None = None) -> Iterator[Stack]:
        """Yield all rows, or the first ones, in order, in blocks of `block_size`."""


def feed_of(features: Features, rows: Rows | None, device: torch.device) -> Feed:
    """Return the features of `rows` (None: all of them). On the CPU images stay in the memory that all processes share."""
    if any(isinstance(stored, Pictures) for stored in features):
        return Decoded(features, np.arange(len(features[0])) if rows is None else rows, device)
    if device.type == "cpu" and features[0].dtype == np.uint8:
        return Resident(tuple(_mapped(np.asarray(stored)) for stored in features), None if rows is None else torch.tensor(rows))
    parts = [np.asarray(stored) if rows is None else stored[rows] for stored in features]
    return Resident(tuple(to_tensor(part).to(device) for part in parts), None)


def _mapped(array: NDArray[Any]) -> Tensor:
    """Return an array as a tensor, copied only where its memory is out of order; nothing writes into a feed."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
        return torch.from_numpy(np.ascontiguousarray(array))


@dataclass(frozen=True, eq=False)
class Resident(Feed):
    """Rows in the memory of the device: all of `tensors`, or those at `rows`."""

    tensors: Stack
    rows: Tensor | None

    def __len__(self) -> int:
        return len(self.tensors[0]) if self.rows is None else len(self.rows)

    def batches(self, order: Tensor, sizes: Sequence[int]) -> Iterator[Stack]:
        order = (order if self.rows is None else self.rows[order]).to(self.tensors[0].device)
        together = self._together(max(sizes, default=1))
        for first in range(0, len(sizes), together):
            group = list(sizes[first : first + together])
            index, order = order[: sum(group)], order[sum(group) :]
            yield from zip(*(torch.split(tensor.index_select(0, index), group) for tensor in self.tensors), strict=True)

    def _together(self, size: int) -> int:
        row = sum(tensor[:1].numel() * tensor.element_size() for tensor in self.tensors)
        return max(1, min(_TOGETHER, _GATHERED // max(row * size, 1)))

    def blocks(self, rows: int | None = None) -> Iterator[Stack]:
        size, end = block_size(self.tensors), len(self) if rows is None else min(rows, len(self))
        for first in range(0, end, size):
            span = slice(first, min(first + size, end))
            if self.rows is None:
                yield tuple(tensor[span] for tensor in self.tensors)
            else:
                yield tuple(tensor.index_select(0, self.rows[span]) for tensor in self.tensors)


def decoders() -> int:
    """Return the number of decoding threads of one training: the cores beside its own, as if no other trained."""
    return max(1, min(_MOST_DECODERS, cores() - 1))


@dataclass(frozen=True, eq=False)
class Decoded(Feed):
    """Rows decoded by threads in the background, some batches ahead: decoders let go of Python's lock while they work."""

    features: Features
    rows: Rows
    device: torch.device

    def __len__(self) -> int:
        return len(self.rows)

    def batches(self, order: Tensor, sizes: Sequence[int]) -> Iterator[Stack]:
        ends = np.cumsum([0, *sizes])
        batches = (self.rows[order[first:last].numpy()] for first, last in pairwise(ends))
        waiting: deque[list[Future[list[NDArray[Any]]]]] = deque()
        pool, interval = ThreadPoolExecutor(decoders(), "decode"), sys.getswitchinterval()
        try:
            sys.setswitchinterval(_SWITCH)
            for rows in batches:
                waiting.append([pool.submit(self._read, rows[i : i + _PIECE]) for i in range(0, len(rows), _PIECE)])
                if len(waiting) > _AHEAD:
                    yield self._joined(waiting.popleft())
            while waiting:
                yield self._joined(waiting.popleft())
        finally:
            sys.setswitchinterval(interval)
            pool.shutdown(wait=False, cancel_futures=True)

    def _read(self, rows: Rows) -> list[NDArray[Any]]:
        return [np.asarray(stored[rows]) for stored in self.features]

    def _joined(self, pieces: list[Future[list[NDArray[Any]]]]) -> Stack:
        parts = zip(*(piece.result() for piece in pieces), strict=True)
        return tuple(to_tensor(np.concatenate(part)).to(self.device) for part in parts)

    def blocks(self, rows: int | None = None) -> Iterator[Stack]:
        size, end = block_size(self.features), len(self) if rows is None else min(rows, len(self))
        sizes = [min(size, end - first) for first in range(0, end, size)]
        return self.batches(torch.arange(end), sizes)
