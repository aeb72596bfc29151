"""Losses on a scale that a Gaussian process can model: bad configurations are far worse than good ones are good."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Warp"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Warp:
    """A rising function of the loss, and its scale."""

    middle: float
    spread: float
    mean: float
    deviation: float

    @staticmethod
    def of(losses: Array) -> Warp:
        """Return the warp for some losses (n,), at least one."""
        middle = float(np.median(losses))
        spread = float(middle - np.quantile(losses, 0.1))
        if spread <= 0:
            spread = float(losses.std()) or 1.0
        plain = Warp(middle, spread, 0.0, 1.0)
        bent = plain.bent(losses)
        return Warp(middle, spread, float(bent.mean()), float(bent.std()) or 1.0)

    def bent(self, losses: Array) -> Array:
        """Return losses as they are up to the median, and as a logarithm beyond."""
        z = (losses - self.middle) / self.spread
        return np.asarray(np.where(z > 0, np.log1p(np.maximum(z, 0.0)), z))

    def __call__(self, losses: Array) -> Array:
        """Return warped losses, of mean 0 and deviation 1 over those that the warp was made for."""
        return np.asarray((self.bent(losses) - self.mean) / self.deviation)
