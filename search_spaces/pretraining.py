"""Pretraining: what a network learns of its inputs alone, before it is told what they are inputs of.

An autoencoder's work: the network up to its last layer becomes the encoder, a linear decoder behind it rebuilds the rows, and is
thrown away. It needs nothing of a family but a network of layers, see `Autoencoding`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from search_spaces.language import Choice, Float, Int, OneOf, Searchable
from search_spaces.spec import Image

if TYPE_CHECKING:
    from search_spaces.spec import Inputs

MOST_EPOCHS = 100
_ROWS_SEEN = 300_000  # by pretraining, repeats counted: about a quarter of what a full training shows
_LEAST_CHOICE = 3  # epochs that may be searched, however many rows there are


class Noise(Searchable, ABC):
    """How values are spoilt before they are rebuilt as they were (Vincent et al. 2008)."""

    @abstractmethod
    def apply(self, values: Tensor, blank: Tensor, generator: torch.Generator) -> Tensor:
        """Return spoilt values, of the shape and type that came in; what came in stays as it is.

        values: `(batch, ...)`; of maps `(batch, channels, height, width)` a place is spoilt in all channels. blank: what stands
        for nothing, broadcastable to a row. generator: of the values' device; nothing is drawn from any other.
        """


class NoNoise(Noise):
    """Nothing is spoilt: a plain autoencoder."""

    def apply(self, values: Tensor, blank: Tensor, generator: torch.Generator) -> Tensor:
        return values


class Masking(Noise):
    """A share of the values is blank (Vincent et al. 2010, section 3.3)."""

    share: float = Float(0.05, 0.5, default=0.2)

    def apply(self, values: Tensor, blank: Tensor, generator: torch.Generator) -> Tensor:
        return torch.where(_spoilt(values, self.share, generator), blank, values)


class Swapping(Noise):
    """A share of the values is that of another row of the batch: values as they come, in rows where they don't belong.

    What salt and pepper are to pixels (Vincent et al. 2010, section 3.3), to columns of any kind (Bahri et al., "SCARF", 2022).
    All values that a row is given come from one other row.
    """

    share: float = Float(0.05, 0.5, default=0.2)

    def apply(self, values: Tensor, blank: Tensor, generator: torch.Generator) -> Tensor:
        spoilt = _spoilt(values, self.share, generator)
        partner = torch.randperm(len(values), generator=generator, device=values.device)
        return torch.where(spoilt, values[partner], values)


def _spoilt(values: Tensor, share: float, generator: torch.Generator) -> Tensor:
    shape = (len(values), 1, *values.shape[2:]) if values.ndim == 4 else values.shape
    return torch.rand(shape, generator=generator, device=values.device) < share


def spoilt_inputs(inputs: Inputs, tensors: tuple[Tensor, ...], noise: Noise, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Return the tensors of a table (those of texts beside it as they are) or of images with noise.

    Blank are missing numbers and codes, and the mean's colour.
    """
    device = tensors[0].device
    if isinstance(inputs, Image):
        return (noise.apply(tensors[0], torch.tensor(inputs.mean, device=device).view(-1, 1, 1), generator),)
    numeric, categorical, *rest = tensors
    missing = torch.tensor(float("nan"), device=device), torch.tensor(0, device=device)
    return (noise.apply(numeric, missing[0], generator), noise.apply(categorical, missing[1], generator), *rest)


class Pretraining(Searchable, ABC):
    """What is learnt of the inputs alone, on the fit rows, before the first epoch of training."""

    @abstractmethod
    def passes(self) -> int:
        """Return how often, about, it sees all fit rows; 0 where there is nothing to do."""


class NoPretraining(Pretraining):
    """Training begins with the weights as they were drawn."""

    def passes(self) -> int:
        return 0


class Autoencoding(Pretraining):
    """The network learns to rebuild its inputs (see `search_spaces.rebuilt`), plain or from spoilt ones, as an autoencoder.

    layerwise: as a whole, or stage by stage (Bengio et al. 2007; Vincent et al. 2010, section 3.4): each stage is trained once,
    behind those before it, which are frozen and see their inputs unspoilt; the first rebuilds the inputs, each other one the
    output of the stage before. epochs: passes over the fit rows, of all stages together, at least one for each.

    It works with the networks of any family that have a layer, a module with a matrix among its weights, before the last one
    that a forward pass comes to. What is pretrained is everything up to the input of this last layer; the last layer isn't. So
    nothing can be pretrained of a linear model, which is `Infeasible`. Stages are the members of the outermost `nn.Sequential`
    or `nn.ModuleList` that hold layers, of which each is given what the one before has made of its inputs; what is computed
    before the first belongs to it, and what stands behind one of them to this one. A network of a single stage is trained as a
    whole either way.

    All rows count the same, whatever their weights, and augmentation plays no part. Unlike in both papers decoders are linear,
    their weights aren't tied, what is rebuilt is measured by squares, and the optimizer is Adam with a rate of its own, whatever
    the recipe's is.
    """

    noise: Noise = OneOf(Masking, Swapping, NoNoise)
    epochs: int = Int(1, MOST_EPOCHS, log=True, default=10)
    layerwise: bool = Choice(False, True)

    def passes(self) -> int:
        return self.epochs

    @staticmethod
    def narrow(inputs: Inputs) -> dict[str, object]:
        """Return overrides that leave as many epochs as so many rows are worth."""
        return {"epochs": Int(1, min(MOST_EPOCHS, max(_LEAST_CHOICE, _ROWS_SEEN // max(inputs.rows, 1))))}
