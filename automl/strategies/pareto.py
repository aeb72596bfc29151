"""Who dominates whom, where several values are minimised at once: fronts, crowding and the volume that a front covers.

A point dominates another one if it is nowhere worse and somewhere better. Values are rows of equal lengths, lower is better; what
failed isn't given. Only numpy is needed, and only when a function is called.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

Values: TypeAlias = "Sequence[Sequence[float]]"

MATRIX = 500  # points of which all pairs are compared at once

__all__ = ["crowding", "dominates", "front", "fronts", "hypervolume"]


def dominates(a: Sequence[float], b: Sequence[float]) -> bool:
    """Return whether `a` is nowhere worse than `b` and somewhere better."""
    return all(x <= y for x, y in zip(a, b, strict=True)) and any(x < y for x, y in zip(a, b, strict=True))


def front(values: Values) -> list[int]:
    """Return the positions of the points that no other dominates, in ascending order. Equal points are all in it or all not.

    values: (points, objectives). One pass in lexicographic order, so that whoever dominates a point comes before it.
    """
    import numpy as np

    found: list[int] = []
    if not len(values):
        return found
    points = np.asarray(values, dtype=np.float64)
    if not points.size:  # without objectives, as of those that broke a hard limit, all are equal
        return list(range(len(values)))
    kept = np.empty_like(points)
    for i in np.lexsort(points.T[::-1]).tolist():
        earlier = kept[: len(found)]
        if not ((earlier <= points[i]).all(axis=1) & (earlier < points[i]).any(axis=1)).any():
            kept[len(found)] = points[i]
            found.append(i)
    return sorted(found)


def fronts(values: Values) -> list[list[int]]:
    """Return all positions in fronts: first those that none dominates, then those that only the first front does, and so on.

    values: (points, objectives). Non-dominated sorting as in NSGA-II (Deb et al. 2002, section III A).
    """
    import numpy as np

    sorted_: list[list[int]] = []
    left = np.arange(len(values))
    points = np.asarray(values, dtype=np.float64)
    while len(left) > MATRIX:
        best = left[front(points[left])]  # type: ignore[arg-type]
        sorted_.append(best.tolist())
        left = np.setdiff1d(left, best)
    if not len(left):
        return sorted_
    a, b = points[left][:, None], points[left][None]
    dominated = np.logical_and((a <= b).all(axis=2), (a < b).any(axis=2))
    while len(left):
        free = ~dominated.any(axis=0)
        sorted_.append(left[free].tolist())
        left, dominated = left[~free], dominated[np.ix_(~free, ~free)]
    return sorted_


def crowding(values: Values) -> list[float]:
    """Return how far apart each point of a front lies from its neighbours: the higher, the lonelier.

    values: (points, objectives). The crowding distance of NSGA-II (Deb et al. 2002, section III B): the sum over the objectives
    of the gap between a point's two neighbours, as a share of the front's range; infinite at the ends. An objective in which all
    points are equal adds nothing, and of equal points one at most is at an end.
    """
    distances = [0.0] * len(values)
    for objective in range(len(values[0]) if values else 0):
        order = sorted(range(len(values)), key=lambda i: (values[i][objective], i))
        low, high = values[order[0]][objective], values[order[-1]][objective]
        if low == high:
            continue
        distances[order[0]] = distances[order[-1]] = math.inf
        for before, i, after in zip(order, order[1:], order[2:], strict=False):
            distances[i] += (values[after][objective] - values[before][objective]) / (high - low)
    return distances


def hypervolume(values: Values, reference: Sequence[float]) -> float:
    """Return the area that is dominated by some of the points and dominates `reference`. For two objectives.

    values: (points, 2); points that aren't better than `reference` in both objectives add nothing. Raises `ValueError` for
    another number of objectives.
    """
    if len(reference) != 2 or any(len(point) != 2 for point in values):
        raise ValueError(f"hypervolume takes two objectives, got a reference of {len(reference)}; choose two of them")
    area, height = 0.0, reference[1]
    for x, y in sorted((point[0], point[1]) for point in values):
        if x < reference[0] and y < height:
            area += (reference[0] - x) * (height - y)
            height = y
    return area
