"""Augmentation: what happens to the inputs of a batch before a training step, and to no other inputs.

An augmentation is searched like an architecture. It works on whole batches where they are, each row with draws of its own, all
of them from one generator that is part of the training's state.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor

from search_spaces.language import Searchable
from search_spaces.spec import Inputs


class Mix(NamedTuple):
    """Rows that were mixed: the loss of row i is `share[i] * loss(i, y[i]) + (1 - share[i]) * loss(i, y[partner[i]])`.

    partner: int64 `(batch,)`, rows of the same batch. share: float32 `(batch,)`, in [0, 1].
    """

    partner: Tensor
    share: Tensor


class Augmentation(Searchable, ABC):
    """A random change of the inputs that leaves what they are inputs of as it is, or as `Mix` says."""

    @abstractmethod
    def apply(
        self, features: tuple[Tensor, ...], inputs: Inputs, generator: torch.Generator
    ) -> tuple[tuple[Tensor, ...], Mix | None]:
        """Return changed features, of the shapes and types that came in, and what was mixed, if anything was.

        features: the tensors of `inputs`, a batch of rows each; they aren't changed themselves. generator: of the tensors'
        device; nothing is drawn from any other.
        """


class NoAugmentation(Augmentation):
    """The inputs as they are."""

    def apply(
        self, features: tuple[Tensor, ...], inputs: Inputs, generator: torch.Generator
    ) -> tuple[tuple[Tensor, ...], Mix | None]:
        return features, None
