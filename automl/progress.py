"""Where a search stands: what the live view shows and callbacks are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from automl.limits import Limits
from automl.scoring import joint_status
from automl.strategies.base import Proposal, Result
from automl.strategies.pareto import front
from automl.trial import Outcome

_KEPT = 5  # configurations whose checkpoints stay whatever the strategy says


def name_of(proposal: Proposal | str) -> str:
    """Return what a proposal is called wherever it is shown, "MLP #12"; a baseline has its name."""
    if isinstance(proposal, str):
        return proposal
    return f"{type(proposal.configuration.architecture).__name__} #{proposal.number}"


@dataclass(frozen=True)
class Ended:
    """One configuration or baseline that ended a rung. `loss` is lower-is-better; None: it failed, for `reason`.

    is_refused: it broke a hard limit, and wasn't trained.
    """

    name: str
    loss: float | None
    score: float | None
    epochs: int
    seconds: float
    status: str
    reason: str
    is_baseline: bool
    is_refused: bool = False


@dataclass(frozen=True)
class Place:
    """A machine of the cluster that the search runs on. running: what is at work there, "MLP #12" or the name of a baseline."""

    name: str
    cpus: float
    gpus: float
    running: tuple[str, ...] = ()


@dataclass(frozen=True)
class Progress:
    """A search at one moment. Times in seconds; `score` is in the metric's own sign, on the choose rows.

    begun, ended, failed: proposals, baselines not counted. running: those at work or queued, baselines included. refused: those
    that broke a hard limit, which aren't counted as failed. nodes: the machines of a cluster; empty on one machine. news:
    of machines and trials that were lost, since the last look.
    """

    elapsed: float
    time_limit: float | None
    begun: int
    ended: int
    failed: int
    running: int
    configurations: int
    best: Ended | None
    baselines: tuple[Ended, ...]
    latest: tuple[Ended, ...]
    refused: int = 0
    nodes: tuple[Place, ...] = ()
    news: tuple[str, ...] = ()


@dataclass
class Tally:
    """Counts what a study begins and ends.

    values: the last ones of all objectives, by number; losses: the first of these. front: the values, by number, of the
    configurations that won't go on and that none of these dominates. Who goes on pushes nobody from it, as values may get worse,
    and what was let go doesn't come back.
    """

    begun: int = 0
    failed: int = 0
    refused: int = 0
    numbers: set[int] = field(default_factory=set)
    ended: list[Ended] = field(default_factory=list)
    best: Ended | None = None
    losses: dict[int, float] = field(default_factory=dict)
    values: dict[int, tuple[float, ...]] = field(default_factory=dict)
    settled: set[int] = field(default_factory=set)
    front: dict[int, tuple[float, ...]] = field(default_factory=dict)

    def begin(self, proposal: Proposal | str) -> None:
        """Count a proposal as begun."""
        if isinstance(proposal, Proposal):
            self.begun += 1
            self.numbers.add(proposal.number)

    def end(
        self, proposal: Proposal | str, outcomes: Sequence[Outcome], result: Result | None, score: float | None = None
    ) -> None:
        """Count a proposal, or a baseline (without a result), as ended; `score` is over all folds together."""
        status, reason = joint_status(outcomes)
        entry = Ended(
            name=name_of(proposal),
            loss=None if result is None else result.loss,
            score=score,
            epochs=max(outcome.epochs for outcome in outcomes),
            seconds=sum(outcome.seconds for outcome in outcomes),
            status=status,
            reason=reason,
            is_baseline=isinstance(proposal, str),
            is_refused=result is not None and result.violation > 0,
        )
        self.ended.append(entry)
        if isinstance(proposal, str):
            return
        self.numbers.add(proposal.number)
        if entry.is_refused:
            self.refused += 1
            return
        if entry.loss is None:
            self.failed += 1
            return
        self.losses[proposal.number] = entry.loss
        self.values[proposal.number] = (entry.loss, *(result.others if result is not None else ()))
        if self.best is None or self.best.loss is None or entry.loss < self.best.loss:
            self.best = entry

    def settle(self, closed: frozenset[int]) -> None:
        """Let configurations that won't go on take their place on the front, and those leave it that they dominate."""
        new = {number: self.values[number] for number in sorted(closed - self.settled) if number in self.values}
        if not new:
            return
        self.settled |= new.keys()
        rivals = {**self.front, **new}
        numbers = list(rivals)
        self.front = {numbers[i]: rivals[numbers[i]] for i in front(list(rivals.values()))}

    def best_numbers(self) -> frozenset[int]:
        """Return the numbers of the few best configurations so far, and of the front: their weights are kept."""
        best = sorted(self.losses, key=lambda number: (self.losses[number], number))[:_KEPT]
        return frozenset({*best, *self.front})

    def progress(self, limits: Limits, running: int, nodes: tuple[Place, ...] = ()) -> Progress:
        """Return the search as it stands."""
        return Progress(
            elapsed=limits.elapsed(),
            time_limit=limits.time_limit,
            begun=self.begun,
            ended=sum(not entry.is_baseline for entry in self.ended),
            failed=self.failed,
            running=running,
            configurations=len(self.numbers),
            best=self.best,
            baselines=tuple(entry for entry in self.ended if entry.is_baseline),
            latest=tuple([entry for entry in self.ended if not entry.is_refused][-8:]),
            refused=self.refused,
            nodes=nodes,
        )
