"""A user's guess of good values as a weight on what a model expects.

As in piBO (Hvarfner et al. 2022, "piBO: augmenting acquisition functions with user beliefs for Bayesian optimization", equation
6): the acquisition is multiplied by the density of the guess to the power of beta / n, so that the guess fades with evidence.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from automl.strategies.base import F
from automl.strategies.decision_tree import Sketch
from automl.strategies.priors import KEPT, SPREAD, guesses
from search_spaces.base import Scalar
from search_spaces.language import Space
from search_spaces.leaves import Options

__all__ = ["Guess"]

BETA = 10.0


class Guess:
    """What a user guesses. A number is normally distributed around it on the scale of its leaf."""

    def __init__(self, space: Space[F], prior: Mapping[str, Scalar]) -> None:
        leaves = guesses(space, prior) if prior else {}
        self._guessed = {path: (leaf, leaf.to_unit(leaf.default)) for path, leaf in leaves.items()}

    def weight(self, sketch: Sketch, observed: int) -> float:
        """Return what is added to the logarithm of the acquisition of a candidate after so many observations."""
        if not self._guessed:
            return 0.0
        total = 0.0
        for path, unit in sketch.by_path().items():
            if path in self._guessed:
                leaf, guess = self._guessed[path]
                if isinstance(leaf, Options) and not leaf.ordered:
                    others = max(1, len(leaf.values) - 1)
                    total += math.log(KEPT if leaf.from_unit(unit) == leaf.default else (1 - KEPT) / others)
                else:
                    total -= (unit - guess) ** 2 / (2 * SPREAD**2)
        return BETA / max(1, observed) * total
