"""scikit-learn at arm's length: one thread, no warnings printed, its failures as one exception, and deadlines kept.

A fit can't be interrupted, so a few iterations are fitted first, and then only as many as fit into the time that is left.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from automl.training.networks import described


class BaselineFault(Exception):
    """A baseline's library can't fit these rows."""


def fit_in_time(fit: Callable[[int], bool], first: int, most: int, deadline: float | None) -> tuple[int, bool]:
    """Fit `first` iterations, then on to `most`, or to as many as the deadline allows at the pace of the first ones.

    `fit(iterations)` goes on from the last call, and returns whether further iterations change nothing. Returns the iterations
    that were allowed, and what the last call of `fit` returned.
    """
    began = time.time()
    if fit(first):
        return first, True
    now = time.time()
    fitting = most if deadline is None else int(first + 0.8 * (deadline - now) * first / max(now - began, 1e-3))
    allowed = max(first, min(most, fitting))
    return allowed, fit(allowed) if allowed > first else False


@contextmanager
def library() -> Iterator[None]:
    """Keep scikit-learn to one thread and its warnings to itself; what it raises becomes a `BaselineFault`."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except (MemoryError, BaselineFault):
            raise
        except Exception as error:
            raise BaselineFault(described(error)) from error
