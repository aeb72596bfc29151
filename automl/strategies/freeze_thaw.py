"""Freeze-thaw: at each step the search begins a configuration or goes on with a paused one, whichever promises more.

After Swersky et al. 2014 ("Freeze-thaw Bayesian optimization"): all are compared by the improvement that is expected of them at
full budget, for each epoch that is left until there. A configuration pauses at the rungs only, because what goes on and what is
told of it costs something too.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

import numpy as np

from automl.strategies.base import F, Plan, Proposal, Result
from automl.strategies.bayes import INITIAL, spread
from automl.strategies.evidence import Evidence, progress
from automl.strategies.schedules import known
from automl.strategies.search_step import Step
from search_spaces.language import Space
from search_spaces.variation import sample

__all__ = ["FreezeThaw", "rungs"]

ETA = 3
LEVELS = 3
COST = 1.0  # power of the epochs that are left, by which expected improvement is divided
FRONT = 100  # paused configurations of a rung that may go on
FULL = 9  # one of so many configurations is trained in full, where their number is limited


def rungs(epochs: int) -> tuple[int, ...]:
    """Return the epochs at which a full training of `epochs` pauses: total/9, total/3, total, at least one epoch each."""
    return tuple(sorted({max(1, round(epochs / ETA**level)) for level in range(LEVELS)}))


@dataclass
class _Member(Generic[F]):
    """A configuration. asked: the last epoch that was proposed; reached: that was told of; worth: its last loss."""

    configuration: F
    asked: int = 0
    reached: int = 0
    ended: bool = False
    worth: float | None = None

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
        self._rungs = rungs(plan.epochs)
        self._evidence = Evidence(space)
        self._members: dict[int, _Member[F]] = {}
        self._closed: set[int] = set()
        self._refused: Counter[str] = Counter()
        self._proposed = 0

    @property
    def infeasible(self) -> int:
        """How many draws made no network and were drawn again."""
        return self._refused.total()

    @property
    def done(self) -> bool:
        """Whether no further proposal will ever come."""
        if not self._exhausted:
            return False
        members = self._members.items()
        more = any(not member.ended and n not in self._closed and member.asked < self._plan.epochs for n, member in members)
        return self._wanting <= 0 or not more

    @property
    def closed(self) -> frozenset[int]:
        """Numbers of configurations that will never be continued."""
        if self.done:
            return frozenset(number for number, member in self._members.items() if not member.runs)
        return frozenset(self._closed)

    def ask(self, room: int) -> list[Proposal[F]]:
        """Return at most `room` proposals."""
        proposals: list[Proposal[F]] = []
        while len(proposals) < room and not self._exhausted and self._first:
            proposals.append(self._begin(self._beginning(len(self._members))))
        if self._exhausted:
            room = min(room, len(proposals) + self._wanting - sum(member.runs for member in self._members.values()))
        if len(proposals) < room:
            proposals += self._modelled(room - len(proposals))
        return proposals

    def tell(self, results: Sequence[Result[F]]) -> None:
        """Learn from results."""
        for result in results:
            number = result.proposal.number
            member = self._members[number]
            member.reached = max(member.reached, result.proposal.stop)
            member.worth = result.loss
            if result.ended or member.reached >= self._plan.epochs:
                member.ended = True
                self._closed.add(number)
            self._evidence.observe(result)
            self._close(member.reached)

    def adopt(self, proposals: Sequence[Proposal[F]]) -> None:
        """Take over proposals that were asked in an earlier process."""
        for proposal in proposals:
            self._proposed += 1
            member = self._members.setdefault(proposal.number, _Member(proposal.configuration))
            member.asked = max(member.asked, proposal.stop)
            self._evidence.begin(proposal.number, proposal.configuration)

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
        full = sum(member.ended and member.worth is not None for member in self._members.values())
        return max(1, (self._plan.n_trials or 0) // FULL) - full

    def _beginning(self, number: int) -> F:
        if number < len(self._known):
            return self._known[number]
        return spread(self._space, self._evidence, self._plan.seed, number, self._refused)

    def _modelled(self, room: int) -> list[Proposal[F]]:
        """Return what the model expects most of, one after the other."""
        rng = random.Random(f"freeze-thaw/{self._plan.seed}/{self._proposed}")
        pending = [(n, progress(member.asked, self._plan.epochs)) for n, member in self._members.items() if member.runs]
        paused = [n for n, member in self._members.items() if n not in self._closed and not member.runs]
        step = Step(self._evidence, self._evidence.model(pending), rng, paused, room)
        new = len(step.sketches)
        left = [self._plan.epochs - self._members[n].reached for n in paused]
        handicap = -COST * np.log(np.array([self._plan.epochs] * new + left))
        proposals: list[Proposal[F]] = []
        while len(proposals) < room:
            if self._exhausted:
                handicap[:new] = -np.inf
            scores = step.scores + handicap
            i = int(np.argmax(scores)) if len(scores) else -1
            if i < 0 or scores[i] == -np.inf:
                if self._exhausted:
                    break
                proposals.append(self._begin(sample(self._space, rng, self._refused)))
                continue
            handicap[i] = -np.inf
            if i >= new:
                proposals.append(self._continue(paused[i - new]))
            else:
                configuration = step.build(i, self._refused)
                if configuration is None:
                    continue
                proposals.append(self._begin(configuration))
            step.believe(i)
        return proposals

    def _begin(self, configuration: F) -> Proposal[F]:
        proposal = Proposal(len(self._members), configuration, 0, self._rungs[0], self._plan.epochs)
        self.adopt([proposal])
        return proposal

    def _continue(self, number: int) -> Proposal[F]:
        member = self._members[number]
        stop = next(rung for rung in self._rungs if rung > member.reached)
        proposal = Proposal(number, member.configuration, member.reached, stop, self._plan.epochs)
        self.adopt([proposal])
        return proposal

    def _close(self, reached: int) -> None:
        """Close all but the best `FRONT` of those that paused at an epoch."""
        paused = [
            (member.worth, number)
            for number, member in self._members.items()
            if number not in self._closed and member.asked == member.reached == reached and member.worth is not None
        ]
        self._closed |= {number for _, number in sorted(paused)[FRONT:]}
