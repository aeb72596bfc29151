"""What a model of Optuna's is shown of a search: configurations as points, and what became of them, bounded in number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeAlias

from automl.strategies.base import F, Result
from automl.strategies.coding import coded
from automl.strategies.pareto import front
from automl.strategies.ranking import Trace, ranked
from search_spaces.base import Leaf, Scalar
from search_spaces.language import Space

Point: TypeAlias = "dict[str, float]"


@dataclass(frozen=True)
class Told:
    """A point and what became of it. values: None where it failed. violation: by how much hard limits were broken."""

    point: Point
    values: tuple[float, ...] | None
    violation: float = 0.0


class History(Generic[F]):
    """All configurations that were begun, and all that was observed of them.

    leaves: of every path that occurred. points: a number for each decision of a configuration (see `coding`), by its number.
    """

    def __init__(self, space: Space[F], objectives: int) -> None:
        self.leaves: dict[str, Leaf] = {}
        self.points: dict[int, Point] = {}
        self._space = space
        self._objectives = objectives
        self._traces: dict[int, Trace] = {}
        self._others: dict[int, tuple[float, ...]] = {}
        self._violations: dict[int, float] = {}

    @property
    def scored(self) -> int:
        """How many configurations have a loss."""
        return sum(not trace.failed for trace in self._traces.values())

    def begin(self, number: int, configuration: F) -> None:
        """Take a configuration for running until something is observed of it."""
        made = dict(configuration.decisions())
        point = self.points[number] = {}

        def choose(path: str, leaf: Leaf) -> Scalar:
            self.leaves[path] = leaf
            point[path] = coded(leaf, made[path])
            return made[path]

        self._space.draw(choose)

    def observe(self, result: Result[F]) -> None:
        """Learn from a result."""
        number = result.proposal.number
        trace = self._traces.setdefault(number, Trace())
        trace.ended = trace.ended or result.ended
        self._violations[number] = result.violation
        if result.loss is None or len(result.others) != self._objectives - 1:
            trace.failed = True
        else:
            trace.losses[result.proposal.stop] = result.loss
            self._others[number] = result.others

    def told(self, best: int, recent: int) -> list[Told]:
        """Return so many of the best and so many of the latest, by number.

        The first value is the loss where all were trained equally long, else the place in `ranking`. Of several objectives, those
        that none dominates are the best.
        """
        ranking = ranked(self._traces)
        places: dict[int, float] = {number: place for place, number in enumerate(ranking)}
        if len({max(self._traces[number].losses) for number in ranking}) == 1:
            losses = {number: self._traces[number].losses for number in ranking}
            places = {number: known[max(known)] for number, known in losses.items()}
        values = {number: (places[number], *self._others[number]) for number in ranking}
        if self._objectives > 1:
            chosen = [ranking[i] for i in front([values[number] for number in ranking])]
            ranking = [*chosen, *(number for number in ranking if number not in set(chosen))]
        latest = sorted(self._traces.keys() - ranking[:best])[-recent:]
        shown = sorted({*ranking[:best], *latest})
        return [Told(self.points[number], values.get(number), self._violations[number]) for number in shown]

    def running(self, most: int) -> list[Point]:
        """Return the points of the latest of which nothing was observed."""
        return [self.points[number] for number in sorted(self.points.keys() - self._traces.keys())[-most:]]
