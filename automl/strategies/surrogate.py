"""The Gaussian process over whichever columns some configurations use, whatever order they were met in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from automl.strategies.gaussian_process import Belief, Data, Kernel, Posterior, fitted, usual_scale
from automl.strategies.tree_features import Columns

__all__ = ["Hyperparameters", "Points", "Surrogate", "learned"]

Array = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Points:
    """Observations, or what could be one. features: (n, all columns); t: log epochs / log total (n,); y: values (n,)."""

    features: Array
    t: Array
    y: Array

    def and_others(self, others: Points) -> Points:
        """Return these and others."""
        width = others.features.shape[1]
        mine = np.pad(self.features, ((0, 0), (0, width - self.features.shape[1])))
        pairs = ((mine, others.features), (self.t, others.t), (self.y, others.y))
        return Points(*(np.concatenate(pair) for pair in pairs))


@dataclass(frozen=True)
class Hyperparameters:
    """A kernel whose length scales are known by the name of their group; `usual` is that of any other group."""

    kernel: Kernel
    scales: Mapping[str, float]
    usual: float

    def of(self, columns: Columns, at: Indices) -> Array:
        """Return the length scales of some columns."""
        return np.array([self.scales.get(columns.groups[i], self.usual) for i in at.tolist()], dtype=np.float64)


def learned(columns: Columns, points: Points) -> Hyperparameters:
    """Return the most probable hyperparameters for some observations."""
    at = _used(columns, points.features)
    names = sorted({columns.groups[i] for i in at.tolist()})
    index = {name: i for i, name in enumerate(names)}
    groups = np.array([index[columns.groups[i]] for i in at.tolist()], dtype=np.intp)
    kernel = fitted(Data(points.features[:, at], points.t, points.y, groups), len(names))
    return Hyperparameters(kernel, dict(zip(names, kernel.scales.tolist(), strict=True)), usual_scale(len(names)))


class Surrogate:
    """What is believed of configurations after some observations."""

    def __init__(self, columns: Columns, hyperparameters: Hyperparameters, points: Points) -> None:
        self._columns = columns
        self._hyperparameters = hyperparameters
        self._at = _used(columns, points.features)
        self._scales = hyperparameters.of(columns, self._at)
        kernel = replace(hyperparameters.kernel, scales=self._scales)
        own = np.arange(len(self._at))
        self._posterior = Posterior(kernel, Data(points.features[:, self._at], points.t, points.y, own))

    def mean(self, features: Array, t: Array) -> Array:
        """Return what is expected of configurations at epochs; features: (m, all columns), t: (m,)."""
        return self._posterior.mean(self._scaled(features), t)

    def belief(self, features: Array, stops: Array) -> Belief:
        """Return what is believed of configurations that would be observed next at `stops` (m,); features: (m, all columns)."""
        return self._posterior.belief(self._scaled(features), stops)

    def _scaled(self, features: Array) -> Array:
        others = np.setdiff1d(_used(self._columns, features), self._at)
        others = np.array(sorted(others.tolist(), key=self._columns.names.__getitem__), dtype=np.intp)
        z = features[:, self._at] / self._scales
        more = features[:, others] / self._hyperparameters.of(self._columns, others)
        return np.concatenate([z, more], axis=1)


def _used(columns: Columns, features: Array) -> Indices:
    """Return the columns in which not all is 0, by name."""
    used = np.flatnonzero(features.any(axis=0)).tolist()
    return np.array(sorted(used, key=columns.names.__getitem__), dtype=np.intp)
