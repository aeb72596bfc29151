"""The gradient of a batch, from as many of its rows at a time as there is memory for.

The whole batch goes through the network at once as long as memory lasts. Where it runs out, the same batch is gone through
again in micro-batches of half as many rows, whose gradients add up to that of the batch: the optimizer notices nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from typing import NamedTuple

import torch
from torch import Tensor, nn

from automl.training.feed import Stack
from automl.training.learner import Learner, backward
from automl.training.memory import cut, ran_out_of_memory, with_fewer_rows
from automl.training.networks import NetworkFault
from search_spaces.augmentation import Mix
from search_spaces.losses import Loss, row_losses


class Batch(NamedTuple):
    """Rows as a network takes them, each with all that its loss depends on.

    weight: None where all count the same. partner, partner_weight: the targets and weights of the rows that they were mixed with;
    share: as in `Mix`; None where nothing was mixed.
    """

    inputs: Stack
    target: Tensor
    weight: Tensor | None = None
    partner: Tensor | None = None
    partner_weight: Tensor | None = None
    share: Tensor | None = None

    @classmethod
    def of(cls, inputs: Stack, target: Tensor, weight: Tensor | None, mix: Mix | None) -> Batch:
        """Return a batch with the targets and weights of the partners in it, if there are any."""
        if mix is None:
            return cls(inputs, target, weight)
        return cls(inputs, target, weight, target[mix.partner], None if weight is None else weight[mix.partner], mix.share)

    @property
    def rows(self) -> int:
        """Return their number."""
        return len(self.target)

    def parts(self, most: int) -> Iterator[Batch]:
        """Yield the rows in order, in parts of nearly equal sizes of at most `most` rows."""
        inputs = zip(*(cut(tensor, most) for tensor in self.inputs), strict=True)
        others = (repeat(None) if tensor is None else cut(tensor, most) for tensor in self[2:])
        for stack, target, *more in zip(inputs, cut(self.target, most), *others, strict=False):
            yield Batch(stack, target, *more)

    def mean_loss(self, loss: Loss, outputs: Tensor) -> Tensor:
        """Return the mean loss of the rows; of a mixture of two rows, that of both targets, each by share and weight."""
        own = _weighted(row_losses(loss, outputs, self.target), self.weight)
        if self.partner is None or self.share is None:
            return own.mean()
        other = _weighted(row_losses(loss, outputs, self.partner), self.partner_weight)
        return torch.lerp(other, own, self.share).mean()


def _weighted(losses: Tensor, weight: Tensor | None) -> Tensor:
    return losses if weight is None else losses * weight


def add_gradient(learner: Learner, batch: Batch, parameters: Sequence[nn.Parameter], loss: Callable[[Batch], Tensor]) -> Tensor:
    """Give `parameters` the gradient of the loss of a batch, in place of the one that they have; return the loss, detached.

    loss: the mean over the rows that it is given. It is computed again, in micro-batches, where memory runs out; how many rows
    there is memory for is kept in `learner.micro_batch`. What isn't a mean over rows is then that of micro-batches: statistics
    of batch norms, whose running means may also see rows again that they had seen when memory ran out. Dropout draws anew.

    Raises `NetworkFault` where the network fails, and `MemoryError` where memory runs out with a single row, or the network can't
    be trained on a single one.
    """

    def attempt(most: int) -> Tensor:
        for parameter in parameters:
            parameter.grad = None
        if most >= batch.rows:
            whole = loss(batch)
            backward(learner.network, whole)
            return whole.detach()
        return torch.stack([_descended(learner, part, part.rows / batch.rows, loss) for part in batch.parts(most)]).sum()

    most = batch.rows if learner.micro_batch is None else min(batch.rows, learner.micro_batch)
    mean, sufficed = with_fewer_rows(attempt, most, learner.device)
    if sufficed < most:
        learner.micro_batch = sufficed
    return mean


def _descended(learner: Learner, part: Batch, share: float, loss: Callable[[Batch], Tensor]) -> Tensor:
    """Add a share of the gradient of a part; return that share of its loss."""
    try:
        value = loss(part) * share
        backward(learner.network, value)
    except NetworkFault as fault:
        if part.rows > 1 or ran_out_of_memory(fault):
            raise
        raise MemoryError(str(fault)) from fault  # batch norm takes no single row: it's memory that is wanting
    return value.detach()
