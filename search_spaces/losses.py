"""Losses: what training makes small. Each returns one number for each row, so that rows can be weighted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from search_spaces.language import Float, Searchable
from search_spaces.spec import Classes, Labels, Reconstruction

if TYPE_CHECKING:
    from search_spaces.spec import Outputs

CLASS_LOSSES = ("CrossEntropy", "Focal")
LABEL_LOSSES = ("BinaryCrossEntropy",)
VALUE_LOSSES = ("MSE", "Huber", "MAE")
ERROR_LOSSES = ("OwnError",)

TINY = 1e-6  # below this probability of a wrong class the focal weight has no gradient: with gamma < 1 it would be infinite


class Loss(Searchable, ABC):
    """A loss over a batch."""

    @abstractmethod
    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each row `(batch,)`.

        For classes: `outputs` are logits `(batch, classes)`, `targets` codes int64 `(batch,)`. For labels: logits and 0 or 1,
        both `(batch, labels)`. For values: `outputs` are `(batch, 1)` and `targets` float `(batch,)`, or both `(batch, width)`,
        in standard units.
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


class BinaryCrossEntropy(Loss):
    """The mean over labels of the cross-entropy of a label and its absence; `label_smoothing` as in `CrossEntropy`."""

    label_smoothing: float = Float(0.0, 0.2, default=0.0)

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        smooth = torch.lerp(targets.to(outputs.dtype), torch.full_like(outputs, 0.5), self.label_smoothing)
        return functional.binary_cross_entropy_with_logits(outputs, smooth, reduction="none").mean(1)


class MSE(Loss):
    """The squared error; of several numbers its mean."""

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return _mean((outputs - _like(targets, outputs)).square())


class MAE(Loss):
    """The absolute error; of several numbers its mean."""

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return _mean((outputs - _like(targets, outputs)).abs())


class Huber(Loss):
    """Half the squared error up to `delta` standard deviations of the target, linear beyond (Huber 1964)."""

    delta: float = Float(0.1, 3.0, log=True, default=1.0)

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return _mean(functional.huber_loss(outputs, _like(targets, outputs), reduction="none", delta=self.delta))


class OwnError(Loss):
    """What the network returns is its loss: autoencoders know best what they rebuild."""

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return outputs.squeeze(1)


def row_losses(loss: Loss, outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the loss of each row `(batch,)`; of outputs `(batch, members, width)` the mean of the members' own losses."""
    if outputs.ndim == 2:
        return loss(outputs, targets)
    members = outputs.shape[1]
    return loss(outputs.flatten(0, 1), targets.repeat_interleave(members, 0)).view(-1, members).mean(1)


def losses_for(outputs: Outputs) -> tuple[str, ...]:
    """Return the names of the losses that suit the outputs of a network, the default first."""
    if isinstance(outputs, Classes):
        return CLASS_LOSSES
    if isinstance(outputs, Labels):
        return LABEL_LOSSES
    return ERROR_LOSSES if isinstance(outputs, Reconstruction) else VALUE_LOSSES


def _like(targets: Tensor, outputs: Tensor) -> Tensor:
    return targets.view(outputs.shape)


def _mean(errors: Tensor) -> Tensor:
    return errors.mean(1) if errors.shape[1] > 1 else errors.squeeze(1)
