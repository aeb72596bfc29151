"""Expected improvement, on the scale of logarithms, where hopeless candidates still differ from more hopeless ones."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, log_ndtr

__all__ = ["log_improvement"]

Array = NDArray[np.float64]

FAR = -1.0  # below, the difference of the two terms is taken apart
FARTHEST = -1e6


def log_improvement(mean: Array, deviation: Array, best: float) -> Array:
    """Return the logarithm of the expected improvement on `best`, lower values being better.

    As in Ament et al. 2023 ("Unexpected improvements to expected improvement for Bayesian optimization", equation 9), but for
    their two ranges of very small values, which are one here.
    """
    z = np.maximum((best - mean) / deviation, FARTHEST)
    near = np.maximum(z, FAR)
    phi = np.exp(-0.5 * near * near) / math.sqrt(2 * math.pi)
    value = np.log(phi + near * np.exp(log_ndtr(near)))
    far = np.minimum(z, FAR)
    # phi(z) + z Phi(z) = phi(z) (1 + z m(z)), with m the ratio of Mills; the bracket falls like 1 / z**2
    mills = erfcx(-far / math.sqrt(2)) * math.sqrt(math.pi / 2)
    bracket = np.where(far > -1e3, 1 + far * mills, 1 / (far * far))
    tail = -0.5 * far * far - 0.5 * math.log(2 * math.pi) + np.log(np.maximum(bracket, 1e-300))
    return np.asarray(np.where(z < FAR, tail, value) + np.log(deviation))
