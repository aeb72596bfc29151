"""What is minimised beside the metric: how each objective is called, and how it is read from outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from automl.strategies.base import Proposal
from automl.trial import Outcome

# By name: the column of the board that shows it.
OBJECTIVES = {
    "latency": "latency_ms",
    "parameters": "parameters",
    "bytes": "weight_bytes",
    "seconds": "training_seconds",
}


@dataclass
class Ledger:
    """What configurations cost so far, in the order of `objectives` (names).

    latency, parameters and bytes are those of one network, also where there are folds; seconds are those of training,
    over all rungs and folds. A network is timed before its first rung and after it, and the lesser counts for all rungs.
    """

    objectives: tuple[str, ...] = ()
    _costs: dict[int, dict[str, float]] = field(default_factory=dict)
    _seconds: dict[int, dict[int, float]] = field(default_factory=dict)

    def enter(self, proposal: Proposal, outcomes: Sequence[Outcome]) -> tuple[float, ...]:
        """Take down what the outcomes of a proposal cost; return the objectives of its configuration."""
        number = proposal.number
        if not proposal.start:
            self._costs[number] = {
                "latency": min(outcome.latency_ms for outcome in outcomes),
                "parameters": float(max(outcome.parameters for outcome in outcomes)),
                "bytes": float(max(outcome.weight_bytes for outcome in outcomes)),
            }
        self._seconds.setdefault(number, {})[proposal.stop] = sum(outcome.seconds for outcome in outcomes)
        costs = {**self._costs.get(number, {}), "seconds": sum(self._seconds[number].values())}
        return tuple(costs[name] for name in self.objectives)
