"""Freeze-thaw: at each step the search begins a configuration or goes on with a paused one, whichever promises more.

After Swersky et al. 2014 ("Freeze-thaw Bayesian optimization"): all are compared by the improvement that is expected of them at
full budget, for each epoch that is left until there. Unlike there a configuration pauses only at rungs, as in halving.
"""

from __future__ import annotations

import math
import random
from bisect import insort
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

import numpy as np

from automl.strategies.base import F, Plan, Proposal, Result
from automl.strategies.bayes import INITIAL, spread
from automl.strategies.evidence import Evidence, one_thread, progress
from automl.strategies.guess import Guess
from automl.strategies.halving import level_of
from automl.strategies.schedules import known
from automl.strategies.search_step import Paused, Step
from search_spaces.language import Space
from search_spaces.variation import sample

__all__ = ["FreezeThaw", "rungs"]

ETA = 3
LEVELS = 3
FRONT = 100  # paused configurations of a rung that may go on
AT_ONCE = 50  # proposals of one step that are believed to turn out as expected, before the next is chosen
FULL = 9  # one of so many configurations is trained in full, where their number is limited


def rungs(epochs: int) -> tuple[int, ...]:
    """Return the epochs at which a full training of `epochs` pauses: total/9, total/3, total, at least one epoch each.

    The nearest whole epochs, because rungs should be even on the model's scale, the logarithm of epochs. Halving rounds down: it
    compares within a rung only.
    """
    return tuple(sorted({max(1, round(epochs / ETA**level)) for level in range(LEVELS)}))


@dataclass
class _Member(Generic[F]):
    """A configuration. asked: the last epoch that was proposed; reached: that was told of."""

    configuration: F
    asked: int = 0
    reached: int = 0
    ended: bool = False

    @property
    def runs(self) -> bool:
        return self.asked > self.reached and not self.ended


class FreezeThaw(Generic[F]):
    """A strategy that models learning curves, and thinks of configurations and of how long each is trained.

    Where the number of configurations is limited, it goes on with the best until one of `FULL` was trained in full.
    """

    def __init__(self, space: Space[F], plan: Plan[F]) -> None:
        self._space = space
        self._plan = plan
        self._known = known(space, plan)
        self._guess = Guess(space, plan.prior)
        self._rungs = rungs(plan.epochs)
        self._evidence = Evidence(space, plan.objectives)
        self._members: dict[int, _Member[F]] = {}
        self._running: dict[int, None] = {}
        self._rankings: dict[int, list[tuple[float, int]]] = {rung: [] for rung in self._rungs[:-1]}
        self._closed: set[int] = set()
        self._full = 0
        self._best = math.inf
        self._next = 0  # not how many there are: a search that was cut off may have left gaps
        self._proposed = 0
        self._refused: Counter[str] = Counter()

    @property
    def infeasible(self) -> int:
        """How many draws made no network and were drawn again."""
        return self._refused.total()

    @property
    def done(self) -> bool:
        """Whether no further proposal will ever come."""
        if not self._exhausted:
            return False
        unfinished = any(self._members[number].asked < self._plan.epochs for number in self._running)
        return self._wanting <= 0 or not (unfinished or self._paused())

    @property
    def closed(self) -> frozenset[int]:
        """Numbers of configurations that will never be continued."""
        if self.done:
            return frozenset(self._members.keys() - self._running.keys())
        return frozenset(self._closed)

    def ask(self, room: int) -> list[Proposal[F]]:
        """Return at most `room` proposals. Raises `Infeasible` where a bounded number of draws made no network."""
        proposals: list[Proposal[F]] = []
        while len(proposals) < room and not self._exhausted and self._first:
            proposals.append(self._begin(self._beginning(self._next)))
        left = room - len(proposals)
        if self._exhausted:
            left = min(left, self._wanting - len(self._running))
        return proposals + self._modelled(left) if left > 0 else proposals

    def tell(self, results: Sequence[Result[F]]) -> None:
        """Learn from results."""
        for result in results:
            number = result.proposal.number
            member = self._members[number]
            member.reached = max(member.reached, result.proposal.stop)
            self._evidence.observe(result)
            if result.ended or member.reached >= self._plan.epochs:
                member.ended = True
                self._full += self._is_full(result)
                self._closed.add(number)
            elif result.loss is not None:
                self._rank(number, member.reached, result.loss)
            if result.loss is not None:
                self._best = min(self._best, result.loss)
            if not member.runs:
                self._running.pop(number, None)

    def adopt(self, proposals: Sequence[Proposal[F]]) -> None:
        """Take over proposals that were asked in an earlier process. Raises `RunError` for one with another rung."""
        for proposal in proposals:
            level_of(proposal, self._rungs)
            self._proposed += 1
            number = proposal.number
            self._next = max(self._next, number + 1)
            member = self._members.setdefault(number, _Member(proposal.configuration))
            member.asked = max(member.asked, proposal.stop)
            self._running[number] = None
            self._evidence.begin(number, proposal.configuration)

    @property
    def _exhausted(self) -> bool:
        return self._plan.n_trials is not None and len(self._members) >= self._plan.n_trials

    @property
    def _first(self) -> bool:
        """Whether the next configuration is one of those before there is a model."""
        return len(self._members) < max(INITIAL, len(self._known)) or not self._evidence.seen

    @property
    def _wanting(self) -> int:
        """How many configurations have still to be trained in full."""
        return max(1, (self._plan.n_trials or 0) // FULL) - self._full

    def _is_full(self, result: Result[F]) -> bool:
        """Whether what ended was trained in full, or stopped early as the best so far."""
        if result.loss is None:
            return False
        return result.proposal.stop >= self._plan.epochs or result.loss <= self._best

    def _beginning(self, number: int) -> F:
        if number < len(self._known):
            return self._known[number]
        return spread(self._space, self._evidence, self._plan.seed, number, self._refused)

    def _modelled(self, room: int) -> list[Proposal[F]]:
        """Return what the model expects most of, one after the other."""
        rng = random.Random(f"freeze-thaw/{self._plan.seed}/{self._proposed}")
        total = self._plan.epochs
        with one_thread():
            pending = [(number, progress(self._members[number].asked, total)) for number in sorted(self._running)]
            step = Step(self._evidence, rng, pending, (self._rungs[0], total))
            step.weigh([Paused(n, self._members[n].reached, self._next_rung(n)) for n in self._paused()], min(room, AT_ONCE))
            proposals = self._chosen(step, room)
        while len(proposals) < room and not self._exhausted:
            proposals.append(self._begin(sample(self._space, rng, self._refused)))
        return proposals

    def _chosen(self, step: Step[F], room: int) -> list[Proposal[F]]:
        """Return proposals for the best of a step, as far as it has any; after `AT_ONCE` of them its beliefs stay as they are."""
        new, paused = len(step.sketches), self._paused()
        handicap = np.array(
            [self._guess.weight(sketch, len(self._evidence.seen)) for sketch in step.sketches] + [0.0] * len(paused)
        )
        proposals: list[Proposal[F]] = []
        while len(proposals) < room:
            if self._exhausted:
                handicap[:new] = -np.inf
            if not np.isfinite(handicap).any():
                break
            i = int(np.argmax(step.scores + handicap))
            handicap[i] = -np.inf
            configuration = step.build(i, self._refused) if i < new else None
            if i >= new:
                proposals.append(self._continue(paused[i - new]))
            elif configuration is not None:
                proposals.append(self._begin(configuration))
            else:
                continue
            if len(proposals) < AT_ONCE:
                step.believe(i)
        return proposals

    def _next_rung(self, number: int) -> int:
        return next(rung for rung in self._rungs if rung > self._members[number].reached)

    def _begin(self, configuration: F) -> Proposal[F]:
        proposal = Proposal(self._next, configuration, 0, self._rungs[0], self._plan.epochs)
        self.adopt([proposal])
        return proposal

    def _continue(self, number: int) -> Proposal[F]:
        member = self._members[number]
        proposal = Proposal(number, member.configuration, member.reached, self._next_rung(number), self._plan.epochs)
        self.adopt([proposal])
        return proposal

    def _rank(self, number: int, rung: int, loss: float) -> None:
        """Rank a configuration at a rung, and close what isn't among the best `FRONT` of it and didn't go on before."""
        ranking = self._rankings[rung]
        insort(ranking, (loss, number))
        for _, last in ranking[FRONT:]:
            if self._members[last].asked == rung:
                self._closed.add(last)
        del ranking[FRONT:]

    def _paused(self) -> list[int]:
        """Return the numbers of all that could go on."""
        ranked = ((number, rung) for rung, ranking in self._rankings.items() for _, number in ranking)
        return sorted(number for number, rung in ranked if self._members[number].asked == rung)
