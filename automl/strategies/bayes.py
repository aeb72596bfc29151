"""Bayesian search over nested spaces: a Gaussian process on the tree of decisions, and expected improvement."""

from __future__ import annotations

import random
from collections import Counter
from typing import Generic

from automl.strategies.base import F, Plan, Result
from automl.strategies.decision_tree import Decision
from automl.strategies.evidence import Evidence, one_thread
from automl.strategies.search_step import Step
from search_spaces.base import Infeasible
from search_spaces.language import Space
from search_spaces.variation import sample

__all__ = ["INITIAL", "Bayes", "spread"]

INITIAL = 5  # configurations before anything is modelled


class Bayes(Generic[F]):
    """A suggester. The first `INITIAL` suggestions are spread over the space; then each is where the model expects most."""

    def __init__(self, space: Space[F], plan: Plan[F]) -> None:
        self._space = space
        self._seed = plan.seed
        self._evidence = Evidence(space, plan.objectives)
        self._refused: Counter[str] = Counter()

    @property
    def infeasible(self) -> int:
        """How many draws made no network and were drawn again."""
        return self._refused.total()

    def suggest(self, number: int) -> F:
        """Return a configuration. Raises `Infeasible` where a bounded number of draws made no network."""
        evidence = self._evidence
        if number < INITIAL or not evidence.seen:
            return spread(self._space, evidence, self._seed, number, self._refused)
        rng = random.Random(f"bayes/{self._seed}/{number}")
        with one_thread():
            step = Step(evidence, rng, [(waiting, 1.0) for waiting in evidence.waiting], (1, 1))
            step.weigh((), 1)
        for i in range(len(step.sketches)):
            configuration = step.build(i, self._refused)
            if configuration is not None:
                return configuration
        return sample(self._space, rng, self._refused)

    def begin(self, number: int, configuration: F) -> None:
        """Take a configuration for running until something is observed of it."""
        self._evidence.begin(number, configuration)

    def observe(self, result: Result[F]) -> None:
        """Learn from a result."""
        self._evidence.observe(result)


def spread(space: Space[F], evidence: Evidence[F], seed: int, number: int, refused: Counter[str]) -> F:
    """Return a configuration of a Latin hypercube over each decision (McKay et al. 1979), of `INITIAL` at a time.

    Raises `Infeasible` where a bounded number of draws made no network.
    """
    block, place = divmod(number, INITIAL)
    rng = random.Random(f"spread/{seed}/{number}")

    def choose(decision: Decision) -> float:
        order = list(range(INITIAL))
        random.Random(f"spread/{seed}/{block}/{decision.slot}").shuffle(order)
        return (order[place] + rng.random()) / INITIAL

    try:
        return evidence.tree.build(evidence.tree.sketch(choose))
    except Infeasible as error:
        refused[str(error)] += 1
        return sample(space, rng, refused)
