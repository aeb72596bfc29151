"""Searches in simulated time: a strategy, a benchmark whose trainings are recorded, and any number of workers.

    simulation = simulate("bayes", MyBenchmark(), workers=8, budget=100.0)
    simulation.best()

Nothing is trained and no time passes: a training ends after the cost that the benchmark has recorded for it. So a strategy can be
tried on hours of training in seconds, and a run depends on its seed alone.
"""

from __future__ import annotations

import heapq
import math
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Generic, Protocol

from automl.errors import OptionError
from automl.strategies import strategy_for
from automl.strategies.base import F, Maker, Plan, Proposal, Result, Strategy
from search_spaces.base import plain
from search_spaces.language import Space

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

__all__ = ["Benchmark", "Event", "Maker", "Measurement", "Simulation", "simulate"]

MOST_WORKERS = 100_000
MOST_FREE = 10_000  # trainings in a row without any cost: of such a search the budget sees no end


@dataclass(frozen=True)
class Measurement:
    """What a training gave: see `Result` for the fields. seconds: what it cost, in the benchmark's unit, at least 0.

    ended: it stopped by itself, and more epochs can't help.
    """

    loss: float | None
    seconds: float
    others: tuple[float, ...] = ()
    ended: bool = False
    violation: float = 0.0


class Benchmark(Protocol[F]):
    """Trainings whose outcomes are recorded or modelled."""

    @property
    def space(self) -> Space[F]:
        """What is searched."""
        ...

    @property
    def epochs(self) -> int:
        """How many epochs a full training has."""
        ...

    def train(self, configuration: F, start: int, stop: int, seed: int) -> Measurement:
        """Return the outcome of training on from epoch `start` to `stop`, and what these epochs cost.

        Equal arguments must give equal outcomes. `seed` is the simulation's, for benchmarks that hold several runs of each.
        """
        ...


@dataclass(frozen=True)
class Event(Generic[F]):
    """A training that ended. time: simulated, since the begin. spent: the cost of all trainings that had ended by then."""

    time: float
    spent: float
    result: Result[F]

    @property
    def proposal(self) -> Proposal[F]:
        """What was trained."""
        return self.result.proposal


@dataclass
class Simulation(Generic[F]):
    """What happened, in the order of time. asks, tells: seconds of real time of each call of the strategy."""

    events: list[Event[F]] = field(default_factory=list)
    asks: list[float] = field(default_factory=list)
    tells: list[float] = field(default_factory=list)
    proposed: int = 0

    def best(self) -> Result[F] | None:
        """Return the lowest loss among the longest trainings; None where nothing was scored."""
        scored = [event.result for event in self.events if event.result.loss is not None]
        longest = max((result.proposal.stop for result in scored), default=0)
        return min((result for result in scored if result.proposal.stop == longest), key=_loss, default=None)


def _loss(result: Result[F]) -> float:
    return float("inf") if result.loss is None else result.loss


def simulate(
    strategy: str | BaseSampler | Maker[F],
    benchmark: Benchmark[F],
    *,
    budget: float,
    workers: int = 1,
    seed: int = 0,
    plan: Plan[F] | None = None,
) -> Simulation[F]:
    """Search on a benchmark until its budget is spent or the strategy is done, and return what happened.

    strategy: a name, a sampler of Optuna's, or a function (space, plan) that makes one. budget: of all workers together, in the
    benchmark's unit of cost; a training that would go beyond it is charged and lost. workers: how many train at the same time,
    asynchronously: whoever is free asks at once. plan: what the strategy is told; `epochs`, `seed` and `workers` are filled in.

    Deterministic: trainings that end at the same time are told in the order in which they began. Raises `OptionError` where
    `MOST_FREE` trainings in a row cost nothing, and for an option or a measurement that makes no sense.
    """
    if type(plain(workers)) is not int or not 1 <= workers <= MOST_WORKERS:
        raise OptionError(f"workers must be a whole number from 1 to {MOST_WORKERS}, got {workers!r}")
    if not _is_number(budget) or not budget > 0:
        raise OptionError(f"budget must be a number above 0, got {budget!r}")
    if type(plain(seed)) is not int or seed < 0:
        raise OptionError(f"seed must be a whole number, at least 0, got {seed!r}")
    _check_benchmark(benchmark)
    if plan is not None and not isinstance(plan, Plan):
        raise OptionError(f"plan must be a Plan, got {plan!r:.100}")
    given: Plan[F] = Plan(benchmark.epochs) if plan is None else plan
    told = replace(given, epochs=benchmark.epochs, seed=seed, workers=workers)
    return _Clock(strategy_for(strategy, benchmark.space, told), benchmark, budget, told).run()


def _check_benchmark(benchmark: object) -> None:
    """Raise `OptionError` for what isn't a `Benchmark`."""
    if isinstance(benchmark, type):
        name = benchmark.__name__
        raise OptionError(f"benchmark must be an object with space, epochs and train, got the class {name}; give {name}()")
    space, train = getattr(benchmark, "space", None), getattr(benchmark, "train", None)
    if not isinstance(space, Space) or not callable(train):
        raise OptionError(
            f"benchmark must have a Space as space and a method train, got {benchmark!r:.100} with space {space!r:.100} "
            f"and train {train!r:.100}"
        )
    epochs = getattr(benchmark, "epochs", None)
    if type(plain(epochs)) is not int or plain(epochs) < 1:
        raise OptionError(f"benchmark.epochs must be a whole number of at least 1, got {epochs!r}")


def _check(measured: object, proposal: Proposal[F], objectives: int) -> None:
    """Raise `OptionError` that names the proposal where a benchmark's measurement makes no sense."""
    train = f"benchmark.train for proposal {proposal.number} from epoch {proposal.start} to {proposal.stop}"
    if not isinstance(measured, Measurement):
        raise OptionError(f"{train} must return a Measurement, got {measured!r:.100}")
    seconds, violation, others = measured.seconds, measured.violation, measured.others
    if not _is_number(seconds) or not 0 <= seconds < math.inf:
        raise OptionError(f"{train}: seconds must be a finite number of at least 0, got {seconds!r:.100}")
    if not _is_number(violation) or not 0 <= violation < math.inf:
        raise OptionError(f"{train}: violation must be a finite number of at least 0, got {violation!r:.100}")
    if violation > 0 and measured.loss is not None:
        raise OptionError(f"{train}: loss must be None where a limit was broken, by {violation!r}, got {measured.loss!r:.100}")
    if type(plain(measured.ended)) is not bool:
        raise OptionError(f"{train}: ended must be True or False, got {measured.ended!r:.100}")
    if measured.loss is not None and not _is_number(measured.loss):
        raise OptionError(f"{train}: loss must be a number, or None where it failed, got {measured.loss!r:.100}")
    if not isinstance(others, tuple) or not all(_is_number(other) for other in others):
        raise OptionError(f"{train}: others must be a tuple of numbers, got {others!r:.100}")
    expected, failed = objectives - 1, measured.loss is None or not math.isfinite(measured.loss)
    if len(others) != expected and (others or not failed):
        raise OptionError(f"{train}: others must have {expected} of the plan's {objectives} objectives, got {len(others)}")


def _is_number(value: object) -> bool:
    """Whether this is a number, NaN and the infinite ones too; True and False aren't."""
    return isinstance(plain(value), int | float) and not isinstance(plain(value), bool)


class _Clock(Generic[F]):
    """A simulation on its way. running: (end, order, result) of trainings that were begun."""

    def __init__(self, strategy: Strategy[F], benchmark: Benchmark[F], budget: float, plan: Plan[F]) -> None:
        self._strategy = strategy
        self._benchmark = benchmark
        self._workers = plan.workers
        self._left = budget
        self._seed = plan.seed
        self._objectives = plan.objectives
        self._now = 0.0
        self._spent = 0.0
        self._free = 0
        self._running: list[tuple[float, int, Result[F]]] = []
        self._simulation: Simulation[F] = Simulation()

    def run(self) -> Simulation[F]:
        while True:
            self._fill()
            if not self._running:
                return self._simulation
            self._now, _, result = heapq.heappop(self._running)
            self._spent += result.seconds
            self._simulation.events.append(Event(self._now, self._spent, result))
            began = time.perf_counter()
            self._strategy.tell([result])
            self._simulation.tells.append(time.perf_counter() - began)

    def _fill(self) -> None:
        """Give work to all who are free, as far as the budget goes."""
        while self._left > 0 and len(self._running) < self._workers and not self._strategy.done:
            began = time.perf_counter()
            proposals = self._strategy.ask(self._workers - len(self._running))
            self._simulation.asks.append(time.perf_counter() - began)
            if not proposals:
                return
            for proposal in proposals:
                self._begin(proposal)

    def _begin(self, proposal: Proposal[F]) -> None:
        measured = self._benchmark.train(proposal.configuration, proposal.start, proposal.stop, self._seed)
        _check(measured, proposal, self._objectives)
        order = self._simulation.proposed
        self._simulation.proposed += 1
        self._free = 0 if measured.seconds > 0 else self._free + 1
        if self._free >= MOST_FREE:
            raise OptionError(
                f"benchmark must record a cost that uses up the budget, but {MOST_FREE} trainings in a row cost 0; give what is "
                "refused a cost too, or the plan a number of trials below that"
            )
        fits = measured.seconds <= self._left + 1e-9
        self._left = max(0.0, self._left - measured.seconds)
        if not fits:
            return
        ended = measured.ended or measured.loss is None or proposal.stop >= proposal.total
        result = Result(proposal, measured.loss, ended, measured.seconds, measured.others, measured.violation)
        heapq.heappush(self._running, (self._now + measured.seconds, order, result))
