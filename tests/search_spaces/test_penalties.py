"""Penalties add the analytic gradient of their formula; clipping bounds what it says."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from search_spaces.penalties import L1, L2, ClipNorm, ClipValue, ElasticNet, NoClipping, NoPenalty, Regularisation


def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))


def gradients(net: nn.Module, penalty: Callable[[list[Tensor]], Tensor] | None) -> list[Tensor]:
    """The gradients of a loss, with `penalty(matrices)` as a part of it."""
    net.zero_grad()
    loss = net(torch.linspace(-1, 1, 20).reshape(5, 4)).square().sum()
    if penalty is not None:
        loss = loss + penalty([p for p in net.parameters() if p.ndim > 1])
    loss.backward()
    return [p.grad.clone() for p in net.parameters() if p.grad is not None]


@pytest.mark.parametrize(
    ("regularisation", "penalty"),
    [
        (NoPenalty(), lambda ws: 0.0 * ws[0].sum()),
        (L1(strength=1e-3), lambda ws: 1e-3 * sum(w.abs().sum() for w in ws)),
        (L2(strength=1e-2), lambda ws: 1e-2 / 2 * sum(w.square().sum() for w in ws)),
        (
            ElasticNet(strength=1e-3, ratio=0.25),
            lambda ws: 1e-3 * sum(0.25 * w.abs().sum() + 0.75 / 2 * w.square().sum() for w in ws),
        ),
    ],
)
def test_gradients_are_those_of_the_formula(regularisation: Regularisation, penalty: Callable[[list[Tensor]], Tensor]):
    net = network()
    expected = gradients(net, penalty)
    gradients(net, None)
    regularisation.add_gradient(net.parameters())
    for parameter, gradient in zip(net.parameters(), expected, strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, gradient)


@pytest.mark.parametrize("regularisation", [L1(), L2(), ElasticNet()])
def test_parameters_without_gradient_stay_without(regularisation: Regularisation):
    net = network()
    regularisation.add_gradient(net.parameters())
    assert all(parameter.grad is None for parameter in net.parameters())


def norm(net: nn.Module) -> float:
    return math.sqrt(sum(float(p.grad.square().sum()) for p in net.parameters() if p.grad is not None))


def test_clip_norm_bounds_the_joint_norm_and_keeps_the_direction():
    net = network()
    before = torch.cat([gradient.flatten() for gradient in gradients(net, None)])
    ClipNorm(limit=0.5).apply(net.parameters())
    after = torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])
    assert norm(net) == pytest.approx(0.5, rel=1e-4)
    torch.testing.assert_close(after / after.norm(), before / before.norm(), rtol=1e-4, atol=1e-6)


def test_clip_value_bounds_each_gradient():
    net = network()
    before = gradients(net, None)
    ClipValue(limit=0.1).apply(net.parameters())
    for parameter, gradient in zip(net.parameters(), before, strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, gradient.clamp(-0.1, 0.1))


@pytest.mark.parametrize("clipping", [NoClipping(), ClipNorm(limit=10.0), ClipValue(limit=1.0)])
def test_small_gradients_stay(clipping: NoClipping | ClipNorm | ClipValue):
    net = network()
    expected = [gradient * 1e-3 for gradient in gradients(net, None)]
    for parameter, gradient in zip(net.parameters(), expected, strict=True):
        parameter.grad = gradient.clone()
    clipping.apply(net.parameters())
    for parameter, gradient in zip(net.parameters(), expected, strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, gradient)
