"""Losses on a scale that a Gaussian process can model: bad configurations are far worse than good ones are good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Warp", "scalarised"]

Array = NDArray[np.float64]

SUM = 0.05  # share of the sum in a scalarised loss


@dataclass(frozen=True)
class Warp:
    """A rising function of the loss, and its scale.

    Chosen by a few runs on LCBench's development tasks, at budgets of 10 and 20 trainings, among others against losses as they
    are, by rank, and as logarithms of the distance to the best. What bends from the median on instead of the mean was as good
    there, but worse on NAS-Bench-201, as it makes too much of the differences among the best.
    """

    middle: float
    spread: float
    mean: float
    deviation: float

    @staticmethod
    def of(losses: Array) -> Warp:
        """Return the warp for some losses (n,), at least one."""
        plain = Warp(float(losses.mean()), float(losses.std()) or 1.0, 0.0, 1.0)
        bent = plain.bent(losses)
        return Warp(plain.middle, plain.spread, float(bent.mean()), float(bent.std()) or 1.0)

    def bent(self, losses: Array) -> Array:
        """Return losses as they are up to their mean, and as a logarithm beyond."""
        z = (losses - self.middle) / self.spread
        return np.asarray(np.where(z > 0, np.log1p(np.maximum(z, 0.0)), z))

    def __call__(self, losses: Array) -> Array:
        """Return warped losses, of mean 0 and deviation 1 over those that the warp was made for."""
        return np.asarray((self.bent(losses) - self.mean) / self.deviation)


def scalarised(values: Sequence[tuple[float, ...] | None], weights: Sequence[float]) -> Array:
    """Return one loss for each tuple of values; None is as bad as the worst.

    Several are first warped and brought to [0, 1], then joined as in ParEGO (Knowles 2006, equation 2): the largest of the
    weighted values, and a little of their sum.
    """
    known = np.array([entry for entry in values if entry is not None], dtype=np.float64).reshape(-1, len(weights))
    losses = np.zeros(len(values))
    if not len(known):
        return losses
    joined = known[:, 0]
    if len(weights) > 1:
        parts = np.array([Warp.of(part).bent(part) for part in known.T])
        low, high = parts.min(axis=1)[:, None], parts.max(axis=1)[:, None]
        weighted = np.array(weights)[:, None] * (parts - low) / np.maximum(high - low, 1e-12)
        joined = weighted.max(axis=0) + SUM * weighted.sum(axis=0)
    there = np.array([entry is not None for entry in values])
    losses[there], losses[~there] = joined, joined.max()
    return losses
