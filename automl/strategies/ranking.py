"""Who is better, where some were trained for longer than others.

Losses at different epochs can't be compared. As in BOHB (Falkner et al. 2018, section 3.2) the longest trainings of which there
are enough decide: configurations are ordered by their loss at the highest rung that `ENOUGH` of them have reached. Unlike BOHB
the others keep a place, behind those: they weren't among the best of a lower rung, and come in the order of the rung they
reached, then of their loss there. What ended early by itself keeps its loss at all later rungs. Failures have no place.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from automl.strategies.base import Result
from automl.strategies.pareto import crowding, fronts

Place: TypeAlias = "tuple[float, bool, int, float, int]"

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


@dataclass
class Record:
    """What is known of a configuration with a rank. values: all objectives, by the epoch reached."""

    values: dict[int, tuple[float, ...]] = field(default_factory=dict)
    violation: float = 0.0
    ended: bool = False


class Ranking:
    """The same order, kept up to date result by result, for any number of objectives and with hard limits.

    Who broke a hard limit comes behind all who kept them, and the more the later (constraint domination: Deb et al. 2002).
    """

    def __init__(self) -> None:
        self._records: dict[int, Record] = {}
        self._failed: set[int] = set()
        self._reached: defaultdict[int, set[int]] = defaultdict(set)
        self._level = 0

    def __contains__(self, number: int) -> bool:
        """Whether a configuration has a place."""
        return number in self._records

    def observe(self, result: Result[Any]) -> None:
        """Learn from a result."""
        number, epoch = result.proposal.number, result.proposal.stop
        record = self._records.get(number, Record())
        values = result.values
        if number in self._failed:
            return
        if values is None and not result.violation > 0:
            self._failed.add(number)
            self._records.pop(number, None)
            for reached in self._reached.values():
                reached.discard(number)
        else:
            self._records[number] = record
            record.violation = result.violation
            record.ended = record.ended or result.ended
            if values is not None:
                self._reach(number, epoch, values)
        self._level = max((at for at, reached in self._reached.items() if len(reached) >= ENOUGH), default=0)

    def place(self, number: int) -> Place:
        """Return what configurations with a place are sorted by: by their loss, where they came as far as enough others."""
        record = self._records[number]
        if not record.values:
            return record.violation, True, 0, 0.0, number
        last = max(record.values)
        if self._level and number in self._reached[self._level]:
            return record.violation, False, 0, self._compared(number)[0], number
        return record.violation, True, -last, record.values[last][0], number

    def sorted(self, numbers: Iterable[int]) -> list[int]:
        """Return configurations by their loss, best first."""
        return sorted(numbers, key=self.place)

    def fronts(self, numbers: Iterable[int]) -> list[int]:
        """Return configurations by all objectives: front by front, and in each the loneliest first (NSGA-II: Deb et al. 2002).

        Fronts are of those who can be compared: who came as far, and kept the limits or broke them by as much.
        """
        alike: defaultdict[tuple[float, bool, int], list[int]] = defaultdict(list)
        for number in sorted(numbers):
            alike[self.place(number)[:3]].append(number)
        return [number for key in sorted(alike) for number in self._by_fronts(alike[key])]

    def _by_fronts(self, numbers: list[int]) -> list[int]:
        values = [self._compared(number) for number in numbers]
        order: list[int] = []
        for front in fronts(values):
            distances = crowding([values[i] for i in front])
            order += [numbers[i] for _, i in sorted(zip(distances, front, strict=True), key=lambda pair: (-pair[0], pair[1]))]
        return order

    def _compared(self, number: int) -> tuple[float, ...]:
        """Return the values at the epoch that is compared, or the last ones."""
        values = self._records[number].values
        return values.get(self._level) or values[max(values)] if values else ()

    def _reach(self, number: int, epoch: int, values: tuple[float, ...]) -> None:
        if epoch not in self._reached:
            self._reached[epoch] = {
                n for n, record in self._records.items() if record.ended and epoch > max(record.values, default=epoch)
            }
        self._records[number].values[epoch] = values
        self._reached[epoch].add(number)
        if self._records[number].ended:
            for later, reached in self._reached.items():
                if later > epoch:
                    reached.add(number)
