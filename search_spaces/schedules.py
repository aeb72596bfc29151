"""Schedules: how the learning rate goes from the first step of a full training to its last.

A schedule is a pure function of progress, so a training that is cut into rungs follows the same curve as one that isn't.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

from search_spaces.language import Float, Int, Searchable

START = 0.1  # the factor at which a warm-up begins: at zero the first step would be wasted
DIVISOR = 25.0  # one-cycle's peak, divided by its first learning rate
FINAL_DIVISOR = 1e4  # one-cycle's first learning rate, divided by its last


class Schedule(Searchable, ABC):
    """A learning rate over time, as a multiple of the optimizer's."""

    @abstractmethod
    def factor(self, progress: float) -> float:
        """Return the multiple of the learning rate, in (0, 1] or 0 at the end, at `progress` in [0, 1] of the full training."""


class Cosine(Schedule):
    """Half a cosine from 1 to 0 after a linear warm-up over the share `warmup` (Loshchilov & Hutter 2017, without restarts)."""

    warmup: float = Float(0.0, 0.2, default=0.03)

    def factor(self, progress: float) -> float:
        if progress < self.warmup:
            return _rising(progress / self.warmup)
        return _half_cosine(1.0, 0.0, (progress - self.warmup) / (1 - self.warmup))


class Constant(Schedule):
    """Always 1, after a linear warm-up over the share `warmup`."""

    warmup: float = Float(0.0, 0.2, default=0.03)

    def factor(self, progress: float) -> float:
        return _rising(progress / self.warmup) if progress < self.warmup else 1.0


class Step(Schedule):
    """Multiplied by `drop` at each of `drops` evenly spaced points, after a linear warm-up over the share `warmup`."""

    warmup: float = Float(0.0, 0.2, default=0.03)
    drops: int = Int(1, 4, default=2)
    drop: float = Float(0.05, 0.5, log=True, default=0.1)

    def factor(self, progress: float) -> float:
        if progress < self.warmup:
            return _rising(progress / self.warmup)
        passed = min(int(progress * (self.drops + 1)), self.drops)
        return self.drop**passed


class OneCycle(Schedule):
    """Rises by half a cosine over the share `warmup`, and falls by another to nearly nothing.

    Smith & Topin 2018, with two phases as torch and fastai have it; momentum stays as it is.
    """

    warmup: float = Float(0.1, 0.5, default=0.3)

    def factor(self, progress: float) -> float:
        first, last = 1 / DIVISOR, 1 / (DIVISOR * FINAL_DIVISOR)
        if progress < self.warmup:
            return _half_cosine(first, 1.0, progress / self.warmup)
        return _half_cosine(1.0, last, (progress - self.warmup) / (1 - self.warmup))


def _rising(share: float) -> float:
    return _line(START, 1.0, share)


def _line(start: float, stop: float, share: float) -> float:
    return start + (stop - start) * share


def _half_cosine(start: float, stop: float, share: float) -> float:
    return _line(start, stop, (1 - math.cos(math.pi * share)) / 2)
