"""Bayesian search by Optuna's TPE: what is asked of it, and what it is told under halving.

Losses at different epochs can't be compared, so TPE is told an order, not losses. As in BOHB (Falkner et al. 2018, section 3.2)
the model is of the longest trainings of which there are enough: configurations are ordered by their loss at the highest rung
that `ENOUGH` of them have reached. Unlike BOHB the others stay in the model, behind those: they weren't among the best of a lower
rung, and come in the order of the rung they reached, then of their loss there. What ended early by itself keeps its loss at all
later rungs. Failures come last, without a value (Optuna's pruned trials): the model learns to avoid what runs out of memory.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic

from automl.strategies.base import F, Result
from automl.strategies.coding import coded
from search_spaces.base import Infeasible, Leaf, Scalar
from search_spaces.language import Space
from search_spaces.variation import mutate, sample

ENOUGH = 10  # configurations with a loss before anything is modelled: Optuna's `n_startup_trials`
BEST, RECENT = 100, 150  # configurations that the model sees: bounds the time of a suggestion
PENDING = 50
CHANGES = (1, 5)  # decisions of the default that are changed, at least and at most
TRIES = 10  # infeasible draws from the model before one is drawn at random


@dataclass
class Trace:
    """What is known of a configuration. losses: by the epoch reached; ended: more epochs can't help; failed: at any epoch."""

    losses: dict[int, float] = field(default_factory=dict)
    ended: bool = False
    failed: bool = False


class TPE(Generic[F]):
    """A suggester: tree-structured Parzen estimators (Bergstra et al. 2011; multivariate, Falkner et al. 2018), from Optuna.

    Before `ENOUGH` configurations have a loss there is nothing to model. Two of three of these first ones are the space's default
    with a few decisions changed, because a good default is nearer to the best than a random draw is; the others are random.
    """

    def __init__(self, space: Space[F], seed: int) -> None:
        self._space = space
        self._seed = seed
        self._points: dict[int, dict[str, float]] = {}
        self._leaves: dict[str, Leaf] = {}
        self._traces: dict[int, Trace] = {}
        self._refused: Counter[str] = Counter()

    @property
    def infeasible(self) -> int:
        """How many draws made no network and were drawn again."""
        return self._refused.total()

    def begin(self, number: int, configuration: F) -> None:
        """Take a configuration for running until something is observed of it."""
        made = dict(configuration.decisions())
        point = self._points[number] = {}

        def choose(path: str, leaf: Leaf) -> Scalar:
            self._leaves[path] = leaf
            point[path] = coded(leaf, made[path])
            return made[path]

        self._space.draw(choose)

    def observe(self, result: Result[F]) -> None:
        """Learn from a result."""
        trace = self._traces.setdefault(result.proposal.number, Trace())
        trace.ended = trace.ended or result.ended
        if result.loss is None:
            trace.failed = True
        else:
            trace.losses[result.proposal.stop] = result.loss

    def suggest(self, number: int) -> F:
        """Return a configuration. Raises `Infeasible` where a bounded number of draws made no network."""
        rng = random.Random(f"tpe/{self._seed}/{number}")
        if sum(not trace.failed for trace in self._traces.values()) >= ENOUGH:
            from automl.strategies.optuna_samplers import Model  # Optuna takes most of a second to import

            model = Model(self._leaves, self._told(), self._running(), rng.getrandbits(32))
            for _ in range(TRIES):
                try:
                    return model.draw(self._space)
                except Infeasible as error:
                    self._refused[str(error)] += 1
            return sample(self._space, rng, self._refused)
        return sample(self._space, rng, self._refused) if number % 3 == 0 else self._near_default(rng)

    def _near_default(self, rng: random.Random) -> F:
        """Return the default with `CHANGES` decisions changed, and what these open."""
        try:
            changed = self._space.default()
        except Infeasible:
            return sample(self._space, rng, self._refused)
        for _ in range(rng.randint(*CHANGES)):
            changed = mutate(self._space, changed, rng, self._refused)
        return changed

    def _told(self) -> list[tuple[dict[str, float], int | None]]:
        """Return what the model sees, by number: points, and their place in the ranking or None where they failed."""
        ranking = ranked(self._traces)
        recent = sorted(self._traces.keys() - ranking[:BEST])[-RECENT:]
        places: dict[int, int | None] = {number: place for place, number in enumerate(ranking)}
        return [(self._points[number], places.get(number)) for number in sorted({*ranking[:BEST], *recent})]

    def _running(self) -> list[dict[str, float]]:
        return [self._points[number] for number in sorted(self._points.keys() - self._traces.keys())[-PENDING:]]


def ranked(traces: Mapping[int, Trace]) -> list[int]:
    """Return the numbers of all that didn't fail, best first, by the rule at the top of this module."""
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
