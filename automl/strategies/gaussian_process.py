"""A Gaussian process over configurations and epochs, for a few hundred observations.

The kernel of (x, t) and (x', t') is that of a rough freeze-thaw model (compare Swersky et al. 2014, "Freeze-thaw Bayesian
optimization", whose kernel over epochs is of sums of exponentials): `a k2(t, t') + kx(x, x') (b + c kt(t, t'))`. The first term
is the curve that all configurations share; `b` is what a configuration is worth at any epoch, `c` what shows only at some. kx is
Matern 5/2 plus a linear kernel, because where a trend leads there is often more of it, up to the end of a range; both have one
length scale for each group of columns. kt and k2 are Gaussian. Hyperparameters maximise the posterior (MAP) under priors on their
logarithms; as in Hvarfner et al. 2024 ("Vanilla Bayesian optimization performs great in high dimensions", section 4.2) the one of
the length scales grows with the root of how many groups there are.

The linear kernel and the priors were chosen by a few runs on LCBench's development tasks and on NAS-Bench-201; what is reported
on the latter (results/nasbench201) is that much too good.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky
from scipy.linalg.lapack import dpotri, dtrtri
from scipy.optimize import minimize

__all__ = ["Belief", "Data", "Kernel", "Posterior", "fitted", "likelihood"]

Array = NDArray[np.float64]

SCALE, SCALE_SD = 1.2, 1.0  # prior of a length scale, for REFERENCE groups
REFERENCE = 7
OTHERS = {"shared_scale": 0.5, "curve_scale": 0.5, "shared": 0.5, "steady": 1.0, "curve": 0.3, "trend": 0.5, "noise": 1e-3}
OTHERS_SD = 1.0
NOISE_SD = 1.5
BOUND = 4.0  # logarithms by which a hyperparameter may leave its prior's middle
JITTER = 1e-5
ITERATIONS = 40


@dataclass(frozen=True)
class Data:
    """Observations. x: features (n, columns); t: log epochs / log total (n,); y: values (n,); groups: of columns (columns,)."""

    x: Array
    t: Array
    y: Array
    groups: NDArray[np.intp]


@dataclass(frozen=True)
class Kernel:
    """Hyperparameters. scales: one for each group."""

    scales: Array
    shared_scale: float
    curve_scale: float
    shared: float
    steady: float
    curve: float
    trend: float
    noise: float

    @staticmethod
    def prior(groups: int) -> Kernel:
        """Return the middle of the prior for a number of groups."""
        return Kernel(np.full(groups, usual_scale(groups)), **OTHERS)

    @staticmethod
    def of(logs: Array) -> Kernel:
        """Return the kernel of a vector: the logarithms of all scales, then of the others in the order of `OTHERS`."""
        values = np.exp(logs)
        split = len(values) - len(OTHERS)
        return Kernel(values[:split], *values[split:].tolist())

    @property
    def logs(self) -> Array:
        """The vector of which `of` makes this kernel."""
        return np.asarray(np.log(np.concatenate([self.scales, [getattr(self, name) for name in OTHERS]])))


def usual_scale(groups: int) -> float:
    """Return the middle of the prior of a length scale."""
    return SCALE * math.sqrt(max(groups, 1) / REFERENCE)


def squared_distances(x: Array, z: Array, products: Array) -> Array:
    """Return the squared distances (n, m) of the rows of `x` and `z`, whose products are `x @ z.T`.

    Where one has more columns than the other, it is as if the other were 0 in them.
    """
    d: Array = -2 * products
    d += (x * x).sum(axis=1)[:, None]
    d += (z * z).sum(axis=1)
    return np.maximum(d, 0.0, out=d)


def matern(squared: Array) -> tuple[Array, Array]:
    """Return Matern 5/2 of squared distances, and -2 times its derivative by them."""
    slope = np.sqrt(5 * squared)
    value = np.exp(-slope)
    slope += 1
    slope *= value
    value *= 5 / 3
    value *= squared
    value += slope
    slope *= 5 / 3
    return value, slope


def fitted(data: Data, groups: int) -> Kernel:
    """Return the most probable hyperparameters. Always starts from the prior: equal data give equal results."""
    centre = Kernel.prior(groups).logs
    spread = np.full(len(centre), OTHERS_SD)
    spread[:groups], spread[-1] = SCALE_SD, NOISE_SD
    gaps = (data.t[:, None] - data.t) ** 2
    bounds = [(middle - BOUND, middle + BOUND) for middle in centre]

    def loss(logs: Array) -> tuple[float, Array]:
        value, slope = likelihood(Kernel.of(logs), data, gaps)
        z = (logs - centre) / spread
        return value + 0.5 * float(z @ z), slope + z / spread

    found = minimize(loss, centre, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": ITERATIONS})
    return Kernel.of(found.x)


def likelihood(kernel: Kernel, data: Data, gaps: Array) -> tuple[float, Array]:
    """Return the negative log likelihood (without its constant) and its slope by the logarithms of all hyperparameters."""
    z = data.x / kernel.scales[data.groups]
    line = z @ z.T
    m, slope = matern(squared_distances(z, z, line))
    line *= kernel.trend
    m += line
    over = kernel.curve * np.exp(-0.5 * gaps / kernel.curve_scale**2)
    shared = kernel.shared * np.exp(-0.5 * gaps / kernel.shared_scale**2)
    k = shared + m * (kernel.steady + over)
    k[np.diag_indices_from(k)] += kernel.noise + JITTER
    try:
        factor = cholesky(k, lower=True)
    except np.linalg.LinAlgError:
        return 1e10, np.zeros(len(kernel.scales) + len(OTHERS))
    alpha = cho_solve((factor, True), data.y)
    w = 0.5 * (symmetric(dpotri(factor, lower=1)[0]) - np.outer(alpha, alpha))
    straight = w * (kernel.steady + over)
    h = straight * slope
    columns = 2 * ((z * z * h.sum(axis=1)[:, None]).sum(axis=0) - (z * ((h + kernel.trend * straight) @ z)).sum(axis=0))
    scales = np.bincount(data.groups, columns, minlength=len(kernel.scales))
    steady, w_shared = w * m, w * shared
    curves = steady * over
    others = (
        float(np.vdot(w_shared, gaps)) / kernel.shared_scale**2,
        float(np.vdot(curves, gaps)) / kernel.curve_scale**2,
        float(w_shared.sum()),
        kernel.steady * float(steady.sum()),
        float(curves.sum()),
        float(np.vdot(straight, line)),
        kernel.noise * float(np.trace(w)),
    )
    value = 0.5 * float(data.y @ alpha) + float(np.log(np.diag(factor)).sum())
    return value, np.concatenate([scales, others])


class Posterior:
    """What is known of all configurations at any epoch after some observations.

    z is (m, columns and more), in length scales; in columns beyond those of the data all that was observed is 0.
    """

    def __init__(self, kernel: Kernel, data: Data) -> None:
        self._kernel = kernel
        self._z = data.x / kernel.scales[data.groups]
        self._t = data.t
        k = covariance(kernel, _similarity(kernel, self._z, self._z), (self._t[:, None] - self._t) ** 2)
        k[np.diag_indices_from(k)] += kernel.noise + JITTER
        factor = cholesky(k, lower=True)
        self._alpha = cho_solve((factor, True), data.y)
        self._whitening = np.ascontiguousarray(dtrtri(factor, lower=1)[0].T)

    def mean(self, z: Array, t: Array) -> Array:
        """Return what is expected of configurations at epochs (m,)."""
        return np.asarray(
            covariance(self._kernel, _similarity(self._kernel, z, self._z), (t[:, None] - self._t) ** 2) @ self._alpha
        )

    def belief(self, z: Array, stops: Array) -> Belief:
        """Return what is believed of configurations at full budget, and of what they tell at epochs `stops` (m,)."""
        m = _similarity(self._kernel, z, self._z)
        k = covariance(self._kernel, m, (1.0 - self._t) ** 2)
        full = k @ self._whitening
        if (stops == 1.0).all():
            return Belief(self._kernel, (z, stops), k @ self._alpha, (full, full))
        ends = stops[:1] if (stops == stops[:1]).all() else stops[:, None]
        told = covariance(self._kernel, m, (ends - self._t) ** 2) @ self._whitening
        return Belief(self._kernel, (z, stops), k @ self._alpha, (full, told))


class Belief:
    """What is believed of some configurations at full budget, and how much of it the next observation of each would tell.

    at: z (m, columns) and the epochs `stops` (m,). mean: at full budget (m,). known: covariances with the data, times the inverse
    of the factor of theirs: at full budget and at `stops` (both (m, data)). gain: by how much the mean moves with an observation
    at `stops`, as a standard deviation (m,); where `stops` is full budget, that of the value itself but for noise.
    """

    def __init__(self, kernel: Kernel, at: tuple[Array, Array], mean: Array, known: tuple[Array, Array]) -> None:
        self.mean = mean
        self._kernel, self._known = kernel, known
        self._z, self._stops = at
        self._believed: list[tuple[Array, Array]] = []
        full, told = known
        m = 1 + kernel.trend * (self._z * self._z).sum(axis=1)
        self._told = covariance(kernel, m, 0.0) + kernel.noise + JITTER - np.einsum("ij,ij->i", told, told)
        self._joint = covariance(kernel, m, (1.0 - self._stops) ** 2) - np.einsum("ij,ij->i", full, told)

    @property
    def gain(self) -> Array:
        """See above."""
        return np.asarray(np.sqrt(np.maximum(self._joint**2 / np.maximum(self._told, JITTER), 1e-10)))

    def believe(self, i: int) -> None:
        """Take the observation of configuration `i` for made, with what is expected of it: means stay, less is to be gained."""
        m = _similarity(self._kernel, self._z, self._z[i : i + 1])[:, 0]
        full = covariance(self._kernel, m, (1.0 - self._stops[i]) ** 2) - self._known[0] @ self._known[1][i]
        told = covariance(self._kernel, m, (self._stops - self._stops[i]) ** 2) - self._known[1] @ self._known[1][i]
        for earlier_full, earlier_told in self._believed:
            full = full - earlier_told[i] * earlier_full
            told = told - earlier_told[i] * earlier_told
        scale = math.sqrt(max(told[i] + self._kernel.noise, JITTER))
        full, told = full / scale, told / scale
        self._believed.append((full, told))
        self._told = self._told - told * told
        self._joint = self._joint - full * told


def covariance(kernel: Kernel, m: Array, gaps: Array | float) -> Array:
    """Return the kernel, of similarities of configurations and squared differences of epochs."""
    over = kernel.steady + kernel.curve * np.exp(-0.5 * gaps / kernel.curve_scale**2)
    shared = kernel.shared * np.exp(-0.5 * gaps / kernel.shared_scale**2)
    return np.asarray(shared + m * over)


def symmetric(lower: Array) -> Array:
    """Return the symmetric matrix with this lower triangle."""
    below = np.tril(lower, -1)
    return np.asarray(below + below.T + np.diag(np.diag(lower)))


def _similarity(kernel: Kernel, x: Array, z: Array) -> Array:
    """Return the kernel over configurations (n, m), in length scales; one of the two may have more columns than the other."""
    own = min(x.shape[1], z.shape[1])
    products = x[:, :own] @ z[:, :own].T
    similar, _ = matern(squared_distances(x, z, products))
    products *= kernel.trend
    similar += products
    return similar
