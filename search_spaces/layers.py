"""Layers that several families share, so that a family's own file holds only its own idea."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from search_spaces.spec import Classes, Labels

if TYPE_CHECKING:
    from collections.abc import Callable

    from search_spaces.spec import Outputs

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


def _group_norm(channels: int) -> nn.Module:
    # A group of one channel would be zero at every map of one pixel, and torch refuses it there for a batch of one.
    groups = next((groups for groups in (8, 4, 2) if channels % groups == 0 and channels // groups >= 4), 1)
    return nn.GroupNorm(groups, channels)


def _map_norm(channels: int) -> nn.Module:
    return nn.GroupNorm(1, channels)  # over channels and pixels of an image together


NORMALISATIONS: dict[str, Callable[[int], nn.Module]] = {
    "none": nn.Identity,
    "batch": nn.BatchNorm1d,
    "layer": nn.LayerNorm,
    "group": _group_norm,
}
IMAGE_NORMALISATIONS: dict[str, Callable[[int], nn.Module]] = {
    "none": nn.Identity,
    "batch": nn.BatchNorm2d,
    "group": _group_norm,
    "layer": _map_norm,
}


class Dropout(nn.Module):
    """Dropout that draws from its own generator, so that training depends on no global state.

    p: the share of entries that are zeroed, in [0, 1), rounded to a multiple of 2^-16: an entry is decided by 16 random bits,
    which cost a CPU a fraction of a random number.

    **Shape**: any, unchanged.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0.0 <= p < 1.0:
            raise ValueError(f"Dropout: 0 <= p < 1 must hold, got p={p}")
        self.p = p
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Zero a share `p` of the entries in training and scale up the others; return `x` itself in evaluation."""
        if not self.training or self.p == 0.0:
            return x
        words = torch.empty((x.numel() + 3) // 4, dtype=torch.int64, device=x.device)
        bits = words.random_(-(2**63), None, generator=self.generator)
        dropped = round(self.p * 2**16)
        kept = bits.view(torch.int16)[: x.numel()].view(x.shape) >= dropped - 2**15
        return x * kept.to(x.dtype).mul_(2**16 / (2**16 - dropped))


@runtime_checkable
class Drawing(Protocol):
    """A module that draws random numbers while it trains."""

    generator: torch.Generator | None


def set_dropout_generator(network: nn.Module, generator: torch.Generator | None) -> None:
    """Let every module in `network` that draws, as `Dropout` does, draw from `generator`; None stands for torch's global one."""
    for module in network.modules():
        if isinstance(module, Drawing):
            module.generator = generator


def head(width: int, outputs: Outputs) -> nn.Linear:
    """Return a linear layer to the outputs whose bias starts at the log base rates of classes and labels, and at 0 for values."""
    linear = nn.Linear(width, outputs.width)
    with torch.no_grad():
        linear.bias.copy_(torch.tensor(base_rates(outputs)))
    return linear


def base_rates(outputs: Outputs) -> list[float]:
    """Return what a network says that knows nothing of a row, `(width,)`: log shares, log odds, or 0 for values."""
    if isinstance(outputs, Classes):
        rows = sum(outputs.counts) + outputs.width
        return [math.log((count + 1) / rows) for count in outputs.counts]
    if isinstance(outputs, Labels):
        return [math.log((count + 1) / (outputs.rows - count + 1)) for count in outputs.counts]
    return [0.0] * outputs.width
