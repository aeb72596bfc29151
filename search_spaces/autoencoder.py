"""Autoencoders: a row of a table, or an image, through a code of few numbers and back again.

The width of the code belongs to the task, because a wider one always rebuilds better. So that all kinds compare, a network says
in evaluation how badly it rebuilds a row from its (mean) code; in training what its kind makes small.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from search_spaces.base import Infeasible
from search_spaces.language import Architecture, Choice, Float, Int, OneOf, Searchable
from search_spaces.layers import ACTIVATIONS, NORMALISATIONS
from search_spaces.rebuilt import Rebuilt
from search_spaces.spec import Image, Reconstruction, Table, as_table
from search_spaces.tables import TableInput

if TYPE_CHECKING:
    from search_spaces.spec import Inputs, Outputs

_CALMEST, _WILDEST = -8.0, 4.0  # log variances of a code: beyond, a step of training would overflow


class RebuildingNetwork(nn.Module, ABC):
    """A network that rebuilds rows. `rebuilt` says what of them."""

    rebuilt: Rebuilt

    @abstractmethod
    def encode(self, *tensors: Tensor) -> Tensor:
        """Return the (mean) codes `(batch, code)` of rows."""

    @abstractmethod
    def decode(self, code: Tensor) -> Tensor:
        """Return the outputs `(batch, rebuilt.width)` for codes."""

    def reconstruct(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Return rows as they are rebuilt, in the form and the units of the inputs (see `Rebuilt.restored`)."""
        return self.rebuilt.restored(self.decode(self.encode(*tensors)))


class Coding(nn.Module, ABC):
    """From what an encoder says of a row to its code."""

    mean: nn.Linear

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the (mean) codes `(batch, code)` of `(batch, width_in)`."""
        out: Tensor = self.mean(hidden)
        return out

    @abstractmethod
    def corrupted(self, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the rows that the encoder sees in training."""

    @abstractmethod
    def drawn(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Return the codes that the decoder sees in training, and what they cost beside the error, `(batch,)` or a number."""


class CodeKind(Searchable, ABC):
    """What training makes small."""

    @abstractmethod
    def build(self, width_in: int, code: int, columns: float) -> Coding:
        """Return the module. columns: over how many the error of a row is the mean."""


class PlainCode(CodeKind):
    """The error itself."""

    def build(self, width_in: int, code: int, columns: float) -> Coding:
        """Return a linear layer."""
        return _Denoised(width_in, code, 0.0)


class DenoisingCode(CodeKind):
    """The error of the row as it was, rebuilt from one in which a share `noise` of the cells is that of other rows.

    Vincent et al., "Extracting and Composing Robust Features with Denoising Autoencoders" (2008); cells of other rows of the
    batch, in the place of zeros, are as likely as the true ones column by column, whatever their kind.
    """

    noise: float = Float(0.02, 0.4, log=True, default=0.1)

    def build(self, width_in: int, code: int, columns: float) -> Coding:
        """Return a linear layer."""
        return _Denoised(width_in, code, self.noise)


class VariationalCode(CodeKind):
    """The error, rebuilt from a code that is drawn from a normal distribution, and its divergence from the standard one.

    Kingma and Welling, "Auto-Encoding Variational Bayes" (2014), equation 10, with one draw; `beta` as in Higgins et al.,
    "beta-VAE" (2017). The divergence is doubled and divided by the number of columns: with `beta` 1 the sum is the bound on the
    likelihood under normal errors of variance 1, in units of the error. Errors are smaller than that, hence the smaller betas.
    """

    beta: float = Float(1e-4, 1.0, log=True, default=0.01)

    def build(self, width_in: int, code: int, columns: float) -> Coding:
        """Return two linear layers."""
        return _Drawn(width_in, code, 2.0 * self.beta / columns)


class _Denoised(Coding):
    def __init__(self, width_in: int, code: int, noise: float) -> None:
        super().__init__()
        self.mean, self.noise = nn.Linear(width_in, code), noise
        self.generator: torch.Generator | None = None

    def corrupted(self, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(self._swapped(tensor) for tensor in tensors) if self.noise else tensors

    def drawn(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        return self.mean(hidden), hidden.new_zeros(())

    def _swapped(self, tensor: Tensor) -> Tensor:
        """Return the rows with a share of their cells exchanged for those of other rows of the batch."""
        if not tensor.numel():
            return tensor
        draws = torch.empty(tensor.shape, device=tensor.device).uniform_(generator=self.generator)
        other = (draws / self.noise * len(tensor)).long().clamp_max(len(tensor) - 1)  # below the noise a draw says which row
        return torch.where(draws < self.noise, tensor.gather(0, other), tensor)


class _Drawn(Coding):
    def __init__(self, width_in: int, code: int, price: float) -> None:
        super().__init__()
        self.mean, self.spread, self.price = nn.Linear(width_in, code), nn.Linear(width_in, code), price
        self.generator: torch.Generator | None = None

    def corrupted(self, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tensors

    def drawn(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.mean(hidden), self.spread(hidden).clamp(_CALMEST, _WILDEST)
        noise = torch.empty_like(mean).normal_(generator=self.generator)
        divergence = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1.0).sum(1)
        return mean + noise * (0.5 * log_variance).exp(), self.price * divergence


class Autoencoder(Architecture):
    """An encoder and a decoder of `depth` hidden layers each, of `width` units, about a linear map into the code and out of it.

    What the linear maps see beside the hidden layers is the row itself, and the code itself: an autoencoder without hidden layers
    is a principal component analysis (Baldi and Hornik 1989), and the others need to learn only what that can't say.
    """

    takes = (Table,)
    gives = (Reconstruction,)

    kind: CodeKind = OneOf(PlainCode, DenoisingCode, VariationalCode)
    input: TableInput = OneOf(TableInput)
    activation: str = Choice(*ACTIVATIONS, default="silu")
    normalisation: str = Choice(*NORMALISATIONS, default="batch")
    width: int = Int(16, 512, log=True, multiple_of=8, default=128)
    depth: int = Int(1, 4, default=2)

    def build(self, inputs: Inputs, outputs: Outputs) -> AutoencoderNetwork:
        """Return the network."""
        return AutoencoderNetwork(self, inputs, outputs)

    @staticmethod
    def narrow(inputs: Inputs, outputs: Outputs) -> dict[str, object]:  # noqa: ARG004  the signature is the language's
        """Return overrides that close decisions which these columns leave without effect."""
        return {f"input/{path}": override for path, override in TableInput.narrow(as_table(inputs)).items()}


class AutoencoderNetwork(RebuildingNetwork):
    """What an `Autoencoder` builds.

    **Shape**: the tensors of the inputs to `(batch, 1)`, the error of each row; in training what is made small.
    """

    def __init__(self, family: Autoencoder, inputs: Inputs, outputs: Outputs) -> None:
        super().__init__()
        code = code_of(outputs)
        self.rebuilt = Rebuilt(inputs)
        self.input = family.input.build(as_table(inputs))
        self.encoder = _hidden(self.input.width, family)
        self.coding = family.kind.build(family.width + self.rebuilt.width, code, self.rebuilt.columns)
        self.decoder = _hidden(code, family)
        self.head = nn.Linear(family.width + code, self.rebuilt.width)

    def encode(self, *tensors: Tensor) -> Tensor:
        out: Tensor = self.coding(self._hidden(tensors))
        return out

    def decode(self, code: Tensor) -> Tensor:
        out: Tensor = self.head(torch.cat([self.decoder(code), code], 1))
        return out

    def forward(self, *tensors: Tensor) -> Tensor:
        """Return the errors of rows; in training those of what the kind corrupted or drew, and what that costs."""
        if not self.training:
            return self.rebuilt.error(self.decode(self.encode(*tensors)), *tensors).unsqueeze(1)
        code, cost = self.coding.drawn(self._hidden(self.coding.corrupted(tensors)))
        return (self.rebuilt.error(self.decode(code), *tensors) + cost).unsqueeze(1)

    def _hidden(self, tensors: tuple[Tensor, ...]) -> Tensor:
        row, _ = self.rebuilt.targets(*tensors)
        return torch.cat([self.encoder(self.input(*tensors)), row], 1)


def code_of(outputs: Outputs) -> int:
    """Return the width of the code. Raises `Infeasible` for outputs that have none."""
    if not isinstance(outputs, Reconstruction):
        raise Infeasible(f"outputs must be Reconstruction, got {type(outputs).__name__}")
    return outputs.code


def _hidden(width_in: int, family: Autoencoder) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in [width_in, *[family.width] * (family.depth - 1)]:
        layers += [nn.Linear(width, family.width), NORMALISATIONS[family.normalisation](family.width)]
        layers.append(ACTIVATIONS[family.activation]())
    return nn.Sequential(*layers)


class LinearAutoencoder(Architecture):
    """The baselines: principal components of what is rebuilt, missing at its mean; without components the mean row alone.

    `build` returns a `LinearAutoencoderNetwork`, which is set in closed form.
    """

    takes = (Table, Image)
    gives = (Reconstruction,)

    def build(self, inputs: Inputs, outputs: Outputs) -> LinearAutoencoderNetwork:
        """Return the network, at random components about a mean of 0."""
        return LinearAutoencoderNetwork(inputs, outputs)


class LinearAutoencoderNetwork(RebuildingNetwork):
    """What a `LinearAutoencoder` builds; **shape** as of `AutoencoderNetwork`."""

    mean: Tensor

    def __init__(self, inputs: Inputs, outputs: Outputs) -> None:
        super().__init__()
        self.rebuilt = Rebuilt(inputs)
        self.encoder = nn.Linear(self.rebuilt.width, code_of(outputs), bias=False)
        self.decoder = nn.Linear(code_of(outputs), self.rebuilt.width, bias=False)
        self.register_buffer("mean", torch.zeros(self.rebuilt.width))

    def set(self, mean: Tensor, components: Tensor) -> None:
        """Set the mean row `(width,)` and the components `(at most code, width)`, orthonormal; the rest of the code is 0."""
        with torch.no_grad():
            self.mean.copy_(mean)
            for layer in (self.encoder, self.decoder):
                layer.weight.zero_()
            self.encoder.weight[: len(components)] = components
            self.decoder.weight[:, : len(components)] = components.T

    def encode(self, *tensors: Tensor) -> Tensor:
        values, present = self.rebuilt.targets(*tensors)
        out: Tensor = self.encoder((values - self.mean) * present)
        return out

    def decode(self, code: Tensor) -> Tensor:
        return self.rebuilt.outputs(self.decoder(code) + self.mean)

    def forward(self, *tensors: Tensor) -> Tensor:
        """Return the errors of rows."""
        return self.rebuilt.error(self.decode(self.encode(*tensors)), *tensors).unsqueeze(1)
