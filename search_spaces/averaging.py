"""Averaging: which weights are scored and kept, the last ones or a running mean of those that training went through.

Like a schedule it is a pure function of where training stands, so a training that is cut into rungs averages as one that isn't.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

from search_spaces.language import Float, Searchable

_EARLY = 8  # before its span is full, the mean reaches back over about one ninth of the steps so far


class Averaging(Searchable, ABC):
    """A running mean of a network's weights; `is_active` is False where there is nothing to average."""

    is_active: ClassVar[bool] = True

    @abstractmethod
    def weight(self, step: int, steps: int) -> float:
        """Return the weight of the newest weights in the mean, in (0, 1]: `mean += weight * (newest - mean)`.

        step: the steps taken so far, from 1 on. steps: those of the full training. At the first step it is 1, so that the
        weights before training are no part of any mean.
        """


class NoAveraging(Averaging):
    """The last weights alone."""

    is_active: ClassVar[bool] = False

    def weight(self, step: int, steps: int) -> float:
        return 1.0


class EMA(Averaging):
    """An exponential moving average (Polyak & Juditsky 1992) whose time constant is the share `span` of the full training.

    A share, so that it means the same for every number of rows, batch size and epochs. Early in training the mean is the
    polynomial-decay average of Shamir & Zhang 2013 (section 4, eta = 8) instead: its memory grows with the steps, so the
    scores of the first epochs aren't those of weights long left behind, which a mere correction of the bias would give.
    """

    span: float = Float(0.002, 0.1, log=True, default=0.02)

    def weight(self, step: int, steps: int) -> float:
        return max(-math.expm1(-1 / (self.span * max(steps, 1))), min(1.0, (_EARLY + 1) / (step + _EARLY)))
