"""Rows of a task for training: features through a feed, targets and weights on the device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from torch import Tensor

from automl.task import Task
from automl.training.feed import Feed, Stack, feed_of, to_tensor
from automl.training.networks import Numbers, standardised
from search_spaces.spec import Outputs

if TYPE_CHECKING:
    from numpy.typing import NDArray

Batch: TypeAlias = tuple[Stack, Tensor, Tensor | None]


@dataclass(frozen=True)
class Rows:
    """Rows on one device.

    features: as they are stored. target: int64 classes or float32 standardised values `(rows,)`, of several or of labels
    `(rows, width)`. weight: float32 `(rows,)` with
    mean 1, or None.
    """

    features: Feed
    target: Tensor
    weight: Tensor | None

    @classmethod
    def of(cls, task: Task, rows: NDArray[np.int64], outputs: Outputs, device: torch.device) -> Rows:
        """Bring rows of a task to a device."""
        target = standardised(task.target[rows], outputs) if isinstance(outputs, Numbers) else task.target[rows]
        weights = loss_weight(task, rows)
        weight = None if weights is None else to_tensor(weights).to(device)
        return cls(feed_of(task.features, rows, device), to_tensor(target).to(device), weight)

    def __len__(self) -> int:
        return len(self.target)

    def steps(self, batch_size: int) -> int:
        """Return the number of batches in an epoch."""
        return max(1, round(len(self) / batch_size))

    def batches(self, batch_size: int, generator: torch.Generator) -> Iterator[Batch]:
        """Yield the rows in random order, in batches of nearly equal sizes about `batch_size`.

        Equal sizes, because a small last batch would move the weights as far as a full one, and batch norm fails on a single row.
        """
        sizes = _even_sizes(len(self), self.steps(batch_size))
        order = torch.randperm(len(self), generator=generator)
        there = order.to(self.target.device)
        target = torch.split(self.target.index_select(0, there), sizes)
        weight = repeat(None) if self.weight is None else torch.split(self.weight.index_select(0, there), sizes)
        yield from zip(self.features.batches(order, sizes), target, weight, strict=False)


def loss_weight(task: Task, rows: NDArray[np.int64]) -> NDArray[np.float32] | None:
    """Return the weights of rows scaled to a mean of 1, so that a learning rate means the same with and without them."""
    if task.loss_weight is None:
        return None
    weight = np.asarray(task.loss_weight[rows], np.float64)
    mean = weight.mean()
    return (weight / mean if mean > 0 else weight).astype(np.float32)


def _even_sizes(rows: int, parts: int) -> list[int]:
    return [rows // parts + (part < rows % parts) for part in range(parts)]
