"""Who is better, where some were trained for longer than others.

Losses at different epochs can't be compared. As in BOHB (Falkner et al. 2018, section 3.2) the longest trainings of which there
are enough decide: configurations are ordered by their loss at the highest rung that `ENOUGH` of them have reached. Unlike BOHB
the others keep a place, behind those: they weren't among the best of a lower rung, and come in the order of the rung they
reached, then of their loss there. What ended early by itself keeps its loss at all later rungs. Failures have no place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ENOUGH = 10  # configurations with a loss before anything is modelled, or a rung decides


@dataclass
class Trace:
    """What is known of a configuration. losses: by the epoch reached; ended: more epochs can't help; failed: at any epoch."""

    losses: dict[int, float] = field(default_factory=dict)
    ended: bool = False
    failed: bool = False


def ranked(traces: Mapping[int, Trace]) -> list[int]:
    """Return the numbers of all that didn't fail, best first, by the rule above."""
    scored = {number: trace for number, trace in traces.items() if not trace.failed}
    epochs = sorted({epoch for trace in scored.values() for epoch in trace.losses}, reverse=True)
    reached = {epoch: {number for number, trace in scored.items() if _reaches(trace, epoch)} for epoch in epochs}
    level = next((epoch for epoch in epochs if len(reached[epoch]) >= ENOUGH), 0)

    def place(number: int) -> tuple[bool, int, float, int]:
        trace = scored[number]
        last = max(trace.losses)
        if level and number in reached[level]:
            return False, 0, trace.losses[level if level in trace.losses else last], number
        return True, -last, trace.losses[last], number

    return sorted(scored, key=place)


def _reaches(trace: Trace, epoch: int) -> bool:
    return epoch in trace.losses or (trace.ended and max(trace.losses) < epoch)
