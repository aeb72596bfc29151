"""Losses: what training makes small. Each returns one number for each row, so that rows can be weighted."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn import functional

from search_spaces.language import Float, Searchable

CLASS_LOSSES = ("CrossEntropy", "Focal")
VALUE_LOSSES = ("MSE", "Huber", "MAE")

TINY = 1e-6  # below this probability of a wrong class the focal weight has no gradient: with gamma < 1 it would be infinite


class Loss(Searchable, ABC):
    """A loss over a batch."""

    @abstractmethod
    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each row `(batch,)`.

        For classes: `outputs` are logits `(batch, classes)`, `targets` codes int64 `(batch,)`. For values: `outputs` are
        `(batch, 1)` and `targets` float `(batch,)`, both in standard units.
        """


class CrossEntropy(Loss):
    """Cross-entropy; `label_smoothing` is the share of a target's mass that is spread over all classes (Szegedy et al. 2016)."""

    label_smoothing: float = Float(0.0, 0.2, default=0.0)

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(outputs, targets, reduction="none", label_smoothing=self.label_smoothing)


class Focal(Loss):
    """Cross-entropy times `(1 - p)^gamma`, p the probability of the true class: easy rows count less (Lin et al. 2017, eq. 4)."""

    gamma: float = Float(0.0, 5.0, default=2.0)

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        surprise = functional.cross_entropy(outputs, targets, reduction="none")
        wrong = -torch.expm1(-surprise)
        return surprise * wrong.clamp_min(TINY) ** self.gamma


class MSE(Loss):
    """The squared error."""

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs.squeeze(-1) - targets).square()


class MAE(Loss):
    """The absolute error."""

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs.squeeze(-1) - targets).abs()


class Huber(Loss):
    """Half the squared error up to `delta` standard deviations of the target, linear beyond (Huber 1964)."""

    delta: float = Float(0.1, 3.0, log=True, default=1.0)

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return functional.huber_loss(outputs.squeeze(-1), targets, reduction="none", delta=self.delta)
