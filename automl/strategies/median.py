"""Median stopping: who learns worse than half of the others is stopped (Golovin et al. 2017, "Google Vizier", section 3.2.2).

A training pauses after each of `PIECES` equal parts. It is stopped there if its best loss so far is above the median of the
others' losses, each averaged over the pauses up to the same epoch; before `ENOUGH` others have come as far nobody is. Unlike
halving nothing waits for its turn: who isn't stopped goes on at once, before anything new begins.

Two deviations. All who came as far count, not only those who finished, because with many workers few have. And with several
objectives a training is stopped only if it is above the median in each.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median
from typing import Generic

from automl.strategies.base import F, Plan, Proposal, Result, Suggester
from automl.strategies.halving import level_of
from automl.strategies.schedules import Configurations
from search_spaces.language import Space

PIECES = 6
ENOUGH = 5  # others that came as far, before anyone is stopped


def pauses(epochs: int) -> tuple[int, ...]:
    """Return the epochs at which a training of `epochs` pauses, its end included."""
    return tuple(sorted({max(1, round(epochs * part / PIECES)) for part in range(1, PIECES + 1)}))


class MedianStopping(Generic[F]):
    """A strategy that begins each configuration in the order of its number, and stops those that fall behind."""

    def __init__(self, suggester: Suggester[F], space: Space[F], plan: Plan[F]) -> None:
        self._suggester = suggester
        self._configurations = Configurations(suggester, space, plan)
        self._stops = pauses(plan.epochs)
        self._members: dict[int, F] = {}
        self._begun: set[tuple[int, int]] = set()  # (number, level)
        self._told: set[tuple[int, int]] = set()
        self._losses: dict[int, list[float]] = {}  # at each pause, as far as it came
        self._averages: list[dict[int, float]] = [{} for _ in self._stops]  # of the losses up to a level, by number
        self._others: list[dict[int, tuple[float, ...]]] = [{} for _ in self._stops]  # further objectives at a level, by number
        self._ready: dict[int, int] = {}  # the level that each comes to next, of those that go on
        self._closed: set[int] = set()

    @property
    def infeasible(self) -> int:
        """How many draws made no network and were drawn again."""
        return self._suggester.infeasible

    @property
    def done(self) -> bool:
        """Whether no further proposal will ever come: all configurations are out, and none that trains could go on."""
        last = len(self._stops) - 1
        return self._configurations.exhausted and not self._ready and all(level == last for _, level in self._begun - self._told)

    @property
    def closed(self) -> frozenset[int]:
        """Numbers of configurations that will never be continued."""
        return frozenset(self._closed)

    def ask(self, room: int) -> list[Proposal[F]]:
        """Return at most `room` proposals: first continuations, of the longest trained, then new configurations."""
        proposals: list[Proposal[F]] = []
        while len(proposals) < room:
            if self._ready:
                number = min(self._ready, key=lambda known: (-self._ready[known], known))
                proposals.append(self._begin(number, self._ready[number]))
            elif not self._configurations.exhausted:
                number, configuration = self._configurations.hand_out()
                self._members[number] = configuration
                proposals.append(self._begin(number, 0))
            else:
                break
        return proposals

    def tell(self, results: Sequence[Result[F]]) -> None:
        """Learn from results, and decide at once who goes on."""
        for result in results:
            self._suggester.observe(result)
            number, level = result.proposal.number, level_of(result.proposal, self._stops)
            if (number, level) in self._told:
                continue
            self._told.add((number, level))
            self._learn(result, level)
            if result.ended or level == len(self._stops) - 1 or self._is_behind(number, level):
                self._closed.add(number)
            elif (number, level + 1) not in self._begun:
                self._ready[number] = level + 1

    def adopt(self, proposals: Sequence[Proposal[F]]) -> None:
        """Take over proposals that were asked in an earlier process."""
        for proposal in proposals:
            if proposal.number not in self._members:
                self._configurations.adopt(proposal.number, proposal.configuration)
                self._members[proposal.number] = proposal.configuration
            self._begin(proposal.number, level_of(proposal, self._stops))

    def _begin(self, number: int, level: int) -> Proposal[F]:
        self._begun.add((number, level))
        self._ready.pop(number, None)
        start = self._stops[level - 1] if level else 0
        return Proposal(number, self._members[number], start, self._stops[level], self._stops[-1])

    def _learn(self, result: Result[F], level: int) -> None:
        if result.loss is None:
            return
        number = result.proposal.number
        losses = self._losses.setdefault(number, [])
        losses.append(result.loss)
        self._averages[level][number] = fmean(losses)
        self._others[level][number] = result.others

    def _is_behind(self, number: int, level: int) -> bool:
        """Whether a configuration is above the median of the others that came as far, in each objective."""
        others = [known for known in self._averages[level] if known != number]
        if (number, level + 1) in self._begun or len(others) < ENOUGH:
            return False
        if min(self._losses[number]) <= median(self._averages[level][other] for other in others):
            return False
        mine = self._others[level][number]
        known = [self._others[level][other] for other in others if len(self._others[level][other]) == len(mine)]
        return not known or all(value > median(column) for value, *column in zip(mine, *known, strict=True))
