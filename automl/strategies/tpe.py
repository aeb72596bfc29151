"""Bayesian search by Optuna's TPE: what is asked of it, and what it is told under halving.

Losses at different epochs can't be compared, so TPE is told an order, not losses: that of `ranking`. Failures come last, without
a value (Optuna's pruned trials): the model learns to avoid what runs out of memory. What breaks hard limits comes behind even
those, in the order of by how much. Several objectives are modelled as Optuna does (Ozaki et al. 2022): those that the fewest
dominate count as good.
"""

from __future__ import annotations

from collections.abc import Callable

from automl.strategies.base import F
from automl.strategies.modelled import Modelled

BEST, RECENT = 100, 150  # configurations that the model sees: bounds the time of a suggestion
PENDING = 50


class TPE(Modelled[F]):
    """A suggester: tree-structured Parzen estimators (Bergstra et al. 2011; multivariate, Falkner et al. 2018), from Optuna."""

    name = "tpe"
    tries = 10

    def _model(self, seed: int) -> Callable[[], F]:
        from automl.strategies.optuna_samplers import Model  # Optuna takes most of a second to import

        told, running = self._history.told(BEST, RECENT), self._history.running(PENDING)
        model = Model(self._history.leaves, told, running, seed, self._objectives)
        return lambda: model.draw(self._space)
