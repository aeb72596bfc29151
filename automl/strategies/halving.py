"""Successive halving: many configurations are trained a little, and only the best of them in full.

Asynchronous (ASHA; Li et al. 2018, "A System for Massively Parallel Hyperparameter Tuning", algorithm 2): a configuration goes on
as soon as it is among the best `1 / eta` of those that came as far as it did, so no worker ever waits for a rung to fill.

Two deviations. A rung sends on only its best `FRONT` configurations: in a long search this bounds the checkpoints that are
kept, and by then a configuration further down won't win. And where the number of configurations is limited and a rung has sent on
nobody who got a score, its best goes on in the end even if they were fewer than `eta`: a search trains one in full.

Failures count as members of their rung. What broke a hard limit doesn't: it wasn't trained, and where most are refused nobody
would be stopped early.

With several objectives those that no other dominates are the best of a rung, then those that only these dominate, and so on; the
loss orders each front (Schmucker et al. 2021, "Multi-objective asynchronous successive halving").
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic

from automl.errors import RunError
from automl.strategies.base import F, Plan, Proposal, Result, Suggester
from automl.strategies.pareto import fronts
from automl.strategies.schedules import Configurations
from search_spaces.language import Space

ETA = 3
LEVELS = 3
FRONT = 100


def rungs(epochs: int) -> tuple[int, ...]:
    """Return the epochs at which a full training of `epochs` pauses: total/9, total/3, total, at least one epoch each."""
    return tuple(sorted({max(1, epochs // ETA**level) for level in range(LEVELS)}))


def lowest_rung(_number: int) -> int:
    """Begin with the first rung, whatever the number."""
    return 0


def level_of(proposal: Proposal[F], stops: Sequence[int]) -> int:
    """Return which of the stops a proposal trains to. Raises `RunError` for another epoch: those of the run were others."""
    if proposal.stop in stops:
        return stops.index(proposal.stop)
    known = ", ".join(map(str, stops))
    raise RunError(
        f"proposal {proposal.number} must stop at one of the epochs {known}, got {proposal.stop}; resume with equal epochs"
    )


@dataclass
class _Rung:
    """How far some configurations were trained. refused: how many weren't trained at all, because hard limits were broken.

    values: of the best `FRONT` that didn't fail; ranking: their numbers, best first.
    """

    stop: int
    begun: set[int] = field(default_factory=set)
    told: set[int] = field(default_factory=set)
    refused: int = 0
    values: dict[int, tuple[float, ...]] = field(default_factory=dict)
    ranking: list[int] = field(default_factory=list)

    @property
    def pending(self) -> bool:
        """Whether a result is still to come."""
        return len(self.begun) > len(self.told)

    def rank(self, number: int, values: tuple[float, ...]) -> list[int]:
        """Take in what a configuration has reached; return who isn't among the best `FRONT` any more, and is forgotten."""
        self.values[number] = values
        if len(values) == 1:
            insort(self.ranking, number, key=lambda known: (self.values[known], known))
        else:
            self.ranking = _by_fronts(self.values)
        behind = self.ranking[FRONT:]
        del self.ranking[FRONT:]
        for other in behind:
            del self.values[other]
        return behind


def _by_fronts(values: Mapping[int, tuple[float, ...]]) -> list[int]:
    """Return all numbers by front, then loss."""
    by_loss = sorted(values, key=lambda number: (values[number], number))
    return [by_loss[i] for each in fronts([values[number] for number in by_loss]) for i in each]


class Halving(Generic[F]):
    """A strategy that trains each configuration to its first rung, and the best of each rung to the next one.

    first_rung: from a configuration's number to the rung that it begins with; the lowest, unless given (see `hyperband`). Its
    space should hold schedules that don't fall before the end of a rung (cosine, constant): one-cycle ranks badly early.
    """

    def __init__(
        self, suggester: Suggester[F], space: Space[F], plan: Plan[F], first_rung: Callable[[int], int] = lowest_rung
    ) -> None:
        self._suggester = suggester
        self._configurations = Configurations(suggester, space, plan)
        self._objectives = plan.objectives
        self._first_rung = first_rung
        self._rungs = [_Rung(stop) for stop in rungs(plan.epochs)]
        self._members: dict[int, F] = {}
        self._closed: set[int] = set()

    @property
    def infeasible(self) -> int:
        """How many draws made no network and were drawn again."""
        return self._suggester.infeasible

    @property
    def done(self) -> bool:
        """Whether no further proposal will ever come: all configurations are out, and no rung can send on one more."""
        ladder = range(len(self._rungs) - 1)
        return self._configurations.exhausted and all(
            not self._rungs[level].pending and self._promotable(level) is None for level in ladder
        )

    @property
    def closed(self) -> frozenset[int]:
        """Numbers of configurations that will never be continued."""
        if self.done:
            return frozenset(self._members) - {n for rung in self._rungs for n in rung.begun - rung.told}
        return frozenset(self._closed)

    def ask(self, room: int) -> list[Proposal[F]]:
        """Return at most `room` proposals: first continuations, of the longest trained, then new configurations."""
        proposals: list[Proposal[F]] = []
        while len(proposals) < room:
            proposal = self._continuation() or self._beginning()
            if proposal is None:
                break
            proposals.append(proposal)
        return proposals

    def tell(self, results: Sequence[Result[F]]) -> None:
        """Learn from results."""
        for result in results:
            self._suggester.observe(result)
            number, level = result.proposal.number, self._level(result.proposal)
            rung = self._rungs[level]
            if number in rung.told:
                continue
            rung.told.add(number)
            rung.refused += result.violation > 0
            is_last = level == len(self._rungs) - 1
            if result.values is not None:
                unknown = (math.inf,) * (self._objectives - len(result.values))
                behind = rung.rank(number, result.values + unknown)
                self._closed |= set(behind) - (set() if is_last else self._rungs[level + 1].begun)
            if result.ended or is_last:
                self._closed.add(number)

    def adopt(self, proposals: Sequence[Proposal[F]]) -> None:
        """Take over proposals that were asked in an earlier process."""
        for proposal in proposals:
            if proposal.number not in self._members:
                self._configurations.adopt(proposal.number, proposal.configuration)
            self._begin(proposal)

    def _begin(self, proposal: Proposal[F]) -> Proposal[F]:
        self._members[proposal.number] = proposal.configuration
        self._rungs[self._level(proposal)].begun.add(proposal.number)
        return proposal

    def _beginning(self) -> Proposal[F] | None:
        if self._configurations.exhausted:
            return None
        number, configuration = self._configurations.hand_out()
        first = self._rungs[self._first_rung(number)]
        return self._begin(Proposal(number, configuration, 0, first.stop, self._rungs[-1].stop))

    def _continuation(self) -> Proposal[F] | None:
        for level in reversed(range(len(self._rungs) - 1)):
            number = self._promotable(level)
            if number is not None:
                start, stop = self._rungs[level].stop, self._rungs[level + 1].stop
                return self._begin(Proposal(number, self._members[number], start, stop, self._rungs[-1].stop))
        return None

    def _promotable(self, level: int) -> int | None:
        """Return the best configuration of a rung that should go on and hasn't yet."""
        rung, above = self._rungs[level], self._rungs[level + 1]
        quota = min((len(rung.told) - rung.refused) // ETA, FRONT)
        if not above.pending and not above.ranking and self._complete(level):
            quota = FRONT
        return next((n for n in rung.ranking[:quota] if n not in self._closed and n not in above.begun), None)

    def _complete(self, level: int) -> bool:
        """Whether no further result will come into a rung."""
        if self._rungs[level].pending:
            return False
        if level == 0:
            return self._configurations.exhausted
        return self._complete(level - 1) and self._promotable(level - 1) is None

    def _level(self, proposal: Proposal[F]) -> int:
        return level_of(proposal, [rung.stop for rung in self._rungs])
