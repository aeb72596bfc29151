"""Zero-cost proxies: what a network that was never trained says of its accuracy after training. Higher is meant to be better.

As collected by Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS" (ICLR 2021). All take a network as it was built,
images float32 `(batch, channels, height, width)` as the network takes them, and labels int64 `(batch,)`; all use the network up:
its weights, gradients and mode are others afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from search_spaces.images import Standardise

TINY = 1e-300
_K = 1e-5  # added to eigenvalues, in the paper's equation


def gradient_norm(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the sum over weight matrices and kernels of the norm of their gradient of the cross-entropy of one batch.

    Abdelfattah et al. 2021, section 3.1. Natural logarithm of it, which changes no order.
    """
    network.train().zero_grad(set_to_none=True)
    functional.cross_entropy(network(images), labels).backward()
    weights = [parameter for parameter in network.parameters() if parameter.ndim > 1 and parameter.grad is not None]
    norms = sum(float(parameter.grad.norm()) for parameter in weights if parameter.grad is not None)
    return math.log(max(norms, TINY))


def synflow(network: nn.Module, images: Tensor, labels: Tensor) -> float:  # noqa: ARG001  the signature is that of all proxies
    """Return the sum over parameters of `theta * dR/dtheta`, R the sum of outputs for ones, all weights made positive.

    Tanaka et al., "Pruning neural networks without any data by iteratively conserving synaptic flow" (2020), equation 4, summed
    as by Abdelfattah et al. It needs no data: of `images` only the size counts. In float64, batch normalisation as in evaluation
    (at the start: the identity), ones where a network has standardised its pixels. Natural logarithm, which changes no order.
    """
    network.eval().double().zero_grad(set_to_none=True)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    standards = [module for module in network.modules() if isinstance(module, Standardise)]
    ones = torch.ones(1, *images.shape[1:], dtype=torch.float64)
    network(ones * (standards[0].mean + standards[0].std) if standards else ones).sum().backward()
    flows = (
        float((parameter.detach() * parameter.grad).sum()) for parameter in network.parameters() if parameter.grad is not None
    )
    return math.log(max(sum(flows), TINY))


def jacobian_covariance(network: nn.Module, images: Tensor, labels: Tensor) -> float:  # noqa: ARG001  as above
    """Return how unlike each other the gradients are that the sum of outputs has with respect to each image of a batch.

    Mellor et al., "Neural Architecture Search without Training" (arXiv 2006.04647v1, equation 3): of the eigenvalues s of the
    correlation matrix of these gradients, `-sum(log(s + k) + 1 / (s + k))`. Minus infinity where a gradient is zero.
    """
    network.train().zero_grad(set_to_none=True)
    leaves = images.clone().requires_grad_()
    (gradients,) = torch.autograd.grad(network(leaves).sum(), leaves)
    rows = gradients.flatten(1).double()
    rows = rows - rows.mean(1, keepdim=True)
    norms = rows.norm(dim=1, keepdim=True)
    if not bool((norms > 0).all()):
        return -math.inf
    rows = rows / norms
    eigenvalues = torch.linalg.eigvalsh(rows @ rows.T).clamp_min(0.0) + _K
    return -float((eigenvalues.log() + 1 / eigenvalues).sum())


PROXIES: Mapping[str, Callable[[nn.Module, Tensor, Tensor], float]] = {
    "gradient norm": gradient_norm,
    "synflow": synflow,
    "jacobian covariance": jacobian_covariance,
}
