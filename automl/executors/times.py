"""When a cohort of trials must end, whatever runs it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from automl.trial import Trial

__all__ = ["GRACE", "allowance_of", "deadline_of"]

GRACE = 1.0  # seconds beyond its deadline before a cohort is killed


def deadline_of(trials: Sequence[Trial]) -> float:
    """Return when the last of them must end, in `time.time()` seconds; infinite if one has no deadline."""
    return max((math.inf if trial.deadline is None else trial.deadline) for trial in trials)


def allowance_of(trials: Sequence[Trial]) -> float:
    """Return the seconds that they may take together; infinite if one has no allowance."""
    return sum((math.inf if trial.allowance is None else trial.allowance) for trial in trials)
