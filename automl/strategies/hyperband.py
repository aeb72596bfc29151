"""Hyperband: successive halving that doesn't trust its first rung alone.

Some configurations are trained longer before they are compared for the first time, so that what learns slowly has its chance. How
many begin with which rung is as in Hyperband (Li et al. 2018, algorithm 1): with `s` rungs still to come, in proportion to
`ceil((s_max + 1) / (s + 1) * eta ** s)`.

Asynchronous (as in Klein et al. 2020, "Model-based asynchronous hyperparameter and neural architecture search"): brackets are no
batches that wait for one another, but an order in which configurations are handed out. All brackets share their rungs, so each
configuration is compared with all that were trained as long.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from automl.strategies.base import F, Plan, Suggester
from automl.strategies.halving import ETA, Halving, rungs
from search_spaces.language import Space


def hyperband(suggester: Suggester[F], space: Space[F], plan: Plan[F]) -> Halving[F]:
    """Return asynchronous Hyperband around a suggester."""
    return Halving(suggester, space, plan, first_rungs(len(rungs(plan.epochs))))


def first_rungs(levels: int) -> Callable[[int], int]:
    """Return the function from a configuration's number to its first rung: a cycle in which each bracket is spread evenly."""
    counts = [math.ceil(levels / (left + 1) * ETA**left) for left in reversed(range(levels))]
    spread = sorted(((place + 0.5) / count, level) for level, count in enumerate(counts) for place in range(count))
    return lambda number: spread[number % len(spread)][1]
