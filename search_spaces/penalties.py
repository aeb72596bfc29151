"""What happens to gradients between the backward pass and the step: penalties on weights, and clipping.

Penalties add their gradient instead of being part of the loss: the result is the same, without a graph over all weights. They
act on matrices only; to pull biases and the scales of norms towards zero doesn't help (Goodfellow et al. 2016, section 7.1).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from search_spaces.language import Float, Searchable


class Regularisation(Searchable, ABC):
    """A penalty on the weights, added to the loss."""

    @abstractmethod
    def add_gradient(self, parameters: Iterable[nn.Parameter]) -> None:
        """Add the penalty's gradient to `.grad` in place; parameters without a gradient stay as they are."""


class NoPenalty(Regularisation):
    """No penalty."""

    def add_gradient(self, parameters: Iterable[nn.Parameter]) -> None:
        """Do nothing."""


class L1(Regularisation):
    """`strength * sum(|w|)`: drives weights to zero."""

    strength: float = Float(1e-7, 1e-3, log=True, default=1e-5)

    def add_gradient(self, parameters: Iterable[nn.Parameter]) -> None:
        _add(parameters, lasso=self.strength, ridge=0.0)


class L2(Regularisation):
    """`strength / 2 * sum(w^2)`. Under an adaptive optimizer it isn't AdamW's weight decay: it passes through the step sizes."""

    strength: float = Float(1e-7, 1e-2, log=True, default=1e-4)

    def add_gradient(self, parameters: Iterable[nn.Parameter]) -> None:
        _add(parameters, lasso=0.0, ridge=self.strength)


class ElasticNet(Regularisation):
    """`strength * (ratio * sum(|w|) + (1 - ratio) / 2 * sum(w^2))` (Zou & Hastie 2005)."""

    strength: float = Float(1e-7, 1e-3, log=True, default=1e-5)
    ratio: float = Float(0.0, 1.0, default=0.5)

    def add_gradient(self, parameters: Iterable[nn.Parameter]) -> None:
        _add(parameters, lasso=self.strength * self.ratio, ridge=self.strength * (1 - self.ratio))


class Clipping(Searchable, ABC):
    """A bound on gradients."""

    @abstractmethod
    def apply(self, parameters: Iterable[nn.Parameter]) -> None:
        """Bound `.grad` in place; a gradient that isn't finite stays so, and shows as a loss that isn't."""


class NoClipping(Clipping):
    """No bound."""

    def apply(self, parameters: Iterable[nn.Parameter]) -> None:
        """Do nothing."""


class ClipNorm(Clipping):
    """All gradients are scaled down together where their joint Euclidean norm exceeds `limit` (Pascanu et al. 2013)."""

    limit: float = Float(0.1, 10.0, log=True, default=1.0)

    def apply(self, parameters: Iterable[nn.Parameter]) -> None:
        nn.utils.clip_grad_norm_(parameters, self.limit, foreach=True)


class ClipValue(Clipping):
    """Each gradient is cut to [-limit, limit]."""

    limit: float = Float(0.01, 1.0, log=True, default=0.1)

    def apply(self, parameters: Iterable[nn.Parameter]) -> None:
        nn.utils.clip_grad_value_(parameters, self.limit, foreach=True)


def is_matrix(parameter: Tensor) -> bool:
    """Whether penalties and decay act on a parameter: weights of layers and embeddings, but no biases and scales."""
    return parameter.ndim > 1


@torch.no_grad()
def _add(parameters: Iterable[nn.Parameter], lasso: float, ridge: float) -> None:
    """Add `lasso * sign(w) + ridge * w` to the gradients of all matrices."""
    pairs: list[tuple[Tensor, Tensor]] = [(p, p.grad) for p in parameters if p.grad is not None and is_matrix(p)]
    if not pairs:
        return
    weights, gradients = [weight for weight, _ in pairs], [gradient for _, gradient in pairs]
    if ridge:
        torch._foreach_add_(gradients, weights, alpha=ridge)
    if lasso:
        torch._foreach_add_(gradients, torch._foreach_sign(weights), alpha=lasso)  # noqa: SLF001  public in all but name
