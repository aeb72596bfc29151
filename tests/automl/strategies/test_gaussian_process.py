"""The Gaussian process says what the textbook's formulas say."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from automl.strategies.acquisition import log_improvement
from automl.strategies.gaussian_process import JITTER, Data, Kernel, Posterior, covariance, fitted, likelihood, matern
from automl.strategies.gaussian_process import squared_distances as distances
from automl.strategies.warping import Warp, scalarised

Array = NDArray[np.float64]


def data(n: int = 30, seed: int = 0) -> Data:
    rng = np.random.default_rng(seed)
    x, t = rng.random((n, 3)), rng.choice([0.3, 0.6, 1.0], n)
    y = np.sin(5 * x[:, 0]) + (1 - t) + 0.1 * rng.standard_normal(n)
    return Data(x, t, (y - y.mean()) / y.std(), np.array([0, 1, 1]))


KERNEL = Kernel(np.array([0.4, 0.8]), 0.5, 0.4, 0.6, 0.9, 0.3, 0.2, 1e-2)


def direct(x: Array, t: Array, z: Array, u: Array) -> Array:
    scales = KERNEL.scales[np.array([0, 1, 1])]
    products = (x / scales) @ (z / scales).T
    m = matern(distances(x / scales, z / scales, products))[0] + KERNEL.trend * products
    return covariance(KERNEL, m, (t[:, None] - u) ** 2)


def test_posterior_against_the_formula():
    d, rng = data(), np.random.default_rng(1)
    z, stops = rng.random((7, 3)), rng.choice([0.3, 1.0], 7)
    k = direct(d.x, d.t, d.x, d.t) + (KERNEL.noise + JITTER) * np.eye(len(d.y))
    full, told = (direct(z, at, d.x, d.t) for at in (np.ones(7), stops))
    inverse = np.linalg.inv(k)
    variance = np.diag(direct(z, stops, z, stops) - told @ inverse @ told.T) + KERNEL.noise + JITTER
    joint = np.diag(direct(z, np.ones(7), z, stops) - full @ inverse @ told.T)
    posterior = Posterior(KERNEL, d)
    belief = posterior.belief(z / KERNEL.scales[d.groups], stops)
    assert belief.mean == pytest.approx(full @ inverse @ d.y)
    assert belief.gain == pytest.approx(np.abs(joint) / np.sqrt(variance))
    assert posterior.mean(z / KERNEL.scales[d.groups], stops) == pytest.approx(told @ inverse @ d.y)


def test_the_kernel_and_its_slope_by_the_book():
    squared = np.array([0.0, 1e-6, 0.3, 2.0, 40.0])
    r = np.sqrt(squared)
    value, slope = matern(squared)
    assert value == pytest.approx((1 + np.sqrt(5) * r + 5 / 3 * squared) * np.exp(-np.sqrt(5) * r))
    up, down = (matern(squared[2:] + sign * 1e-6)[0] for sign in (1, -1))
    assert slope[2:] == pytest.approx(-2 * (up - down) / 2e-6, rel=1e-5)
    assert slope[0] == pytest.approx(5 / 3)


def test_many_near_duplicates_and_hardly_any_noise_leave_variances_in_place():
    rng = np.random.default_rng(3)
    x = np.repeat(rng.random((25, 3)), 10, axis=0) + 1e-4 * rng.standard_normal((250, 3))
    d = Data(x, rng.choice([0.3, 1.0], 250), np.sin(5 * x[:, 0]), np.array([0, 1, 1]))
    kernel = Kernel(np.array([1.0, 3.0]), 0.5, 0.4, 2.0, 50.0, 0.3, 25.0, 1.8e-5)
    z = np.concatenate([x[::10] + 1e-5, rng.random((25, 3))]) / kernel.scales[d.groups]
    belief = Posterior(kernel, d).belief(z, np.full(50, 0.3))
    for i in range(20):
        assert (belief._told > kernel.noise + JITTER).all()
        assert np.isfinite(belief.gain).all()
        belief.believe(i)


def test_to_believe_is_to_observe_what_is_expected():
    d, rng = data(), np.random.default_rng(2)
    z, stops = rng.random((6, 3)), np.array([0.3, 0.6, 1.0, 1.0, 0.3, 0.6])
    scaled = z / KERNEL.scales[d.groups]
    posterior = Posterior(KERNEL, d)
    belief = posterior.belief(scaled, stops)
    x, t, y = d.x, d.t, d.y
    for i in (1, 2):
        belief.believe(i)
        y = np.append(y, posterior.mean(scaled[i : i + 1], stops[i : i + 1]))
        x, t = np.concatenate([x, z[i : i + 1]]), np.append(t, stops[i])
    again = Posterior(KERNEL, Data(x, t, y, d.groups)).belief(scaled, stops)
    assert belief.mean == pytest.approx(again.mean, abs=1e-6)
    others = [0, 3, 4, 5]
    assert belief.gain[others] == pytest.approx(again.gain[others], rel=1e-3)


def test_the_slope_of_the_likelihood():
    d, logs = data(), KERNEL.logs
    gaps = (d.t[:, None] - d.t) ** 2
    _, slope = likelihood(Kernel.of(logs), d, gaps)
    for i, step in enumerate(1e-5 * np.eye(len(logs))):
        up, down = (likelihood(Kernel.of(logs + sign * step), d, gaps)[0] for sign in (1, -1))
        assert slope[i] == pytest.approx((up - down) / 2e-5, rel=1e-4, abs=1e-5)


def test_what_matters_gets_the_shorter_scale():
    kernel = fitted(data(80), 2)
    assert kernel.scales[0] < kernel.scales[1]
    assert np.array_equal(fitted(data(80), 2).logs, kernel.logs)


def test_log_improvement_against_the_formula_and_far_away():
    mean, deviation = np.linspace(-1, 4, 11), np.linspace(0.5, 1.5, 11)
    z = (0.3 - mean) / deviation
    assert log_improvement(mean, deviation, 0.3) == pytest.approx(np.log(deviation * (norm.pdf(z) + z * norm.cdf(z))))
    far = log_improvement(np.array([10.0, 100.0, 1e4, 1e8]), np.ones(4), 0.0)
    assert np.isfinite(far).all()
    assert (np.diff(far) <= 0).all()


@pytest.mark.parametrize("losses", [[1.0], [2.0, 2.0], [0.1, 0.2, 0.3, 90.0], [-3.0, 1e6, 2.0]])
def test_warping_keeps_the_order(losses: list[float]):
    values = np.sort(np.array(losses))
    warped = Warp.of(values)(values)
    assert np.isfinite(warped).all()
    assert (np.diff(warped) >= 0).all()


def test_failures_are_as_bad_as_the_worst():
    assert scalarised([(1.0,), None, (3.0,)], (1.0,)).tolist() == [1.0, 3.0, 3.0]
    assert scalarised([None, None], (1.0,)).tolist() == [0.0, 0.0]
    both = scalarised([(0.0, 1.0), (1.0, 0.0), (0.4, 0.4), (1.0, 1.0), None], (0.5, 0.5))
    assert both.argmin() == 2
    assert both[3] == both[4] == both.max()
