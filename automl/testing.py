"""A conformance kit for strategies: the whole contract of `automl.strategies.base.Strategy`, tried on invented scores.

    def test_my_strategy():
        check_strategy(lambda space, plan: MyStrategy(space, plan.seed, plan.epochs))

Nothing is trained, so that a strategy can be tried over hundreds of proposals in seconds. The part of the study is played by a
`Rehearsal`: some workers, results that come in any order, failures.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from automl.simulation import Benchmark, Event, Measurement, Simulation, simulate
from automl.strategies.base import Plan, Proposal, Result, Strategy
from search_spaces.configuration import Configuration, space_for
from search_spaces.language import Choice, Infeasible, Space, SpaceError
from search_spaces.losses import CLASS_LOSSES
from search_spaces.mlp import MLP
from search_spaces.spec import CategoricalColumn, Classes, NumericColumn, Table

__all__ = ["Benchmark", "Event", "Measurement", "Rehearsal", "Simulation", "check_strategy", "example_space", "simulate"]

Maker: TypeAlias = Callable[[Space[Configuration], Plan], Strategy]

EPOCHS = 9
WORKERS = 3
FAILURES = 0.1  # share of proposals that fail
ENDS = 0.1  # share that stops early
COUNT = 20  # configurations in a search with an end
PATIENCE = 1000  # steps that such a search may take


def example_space() -> Space[Configuration]:
    """Return the space of a small classification task, of the family MLP alone, with schedules that suit halving."""
    column = NumericColumn("x", 0.0, 1.0, (-2.0, -1.0, 0.0, 1.0, 2.0), 0.1)
    inputs = Table((column, column), (CategoricalColumn("c", (0, 30, 70)),), 1000)
    patient = {"recipe/schedule/kind": Choice("Cosine", "Constant")}
    return space_for(inputs, Classes((50, 50)), CLASS_LOSSES, families=(MLP,), overrides=patient)


def check_strategy(make: Maker, space: Space[Configuration] | None = None, asks: int = 200) -> None:
    """Try a strategy over `asks` proposals; raise `AssertionError` that says which part of the contract it breaks.

    `make(space, plan)` returns a new strategy, which may leave parts of the plan aside that it has no use for, but not the seed
    and the number of configurations.
    """
    space = example_space() if space is None else space
    first, second = (Rehearsal(make, space, Plan(EPOCHS)) for _ in range(2))
    first.run(asks)
    second.run(asks // 2)
    third = second.resumed()
    second.run(asks)
    third.run(asks)
    _require(first.asked == second.asked, "two strategies with one seed must propose the same when they are told the same")
    _require(first.asked == third.asked, "after adopt and tell a strategy must go on as it would have without the interruption")
    for failures in (FAILURES, 1.0):
        _check_end(Rehearsal(make, space, Plan(EPOCHS, n_trials=COUNT), failures))


@dataclass
class Rehearsal:
    """A search in which nothing is trained. Each step asks for as much as there are free workers, and ends some of what runs."""

    make: Maker
    space: Space[Configuration]
    plan: Plan
    failures: float = FAILURES
    asked: list[Proposal] = field(default_factory=list)
    told: list[Result] = field(default_factory=list)
    running: list[Proposal] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.strategy = self.make(self.space, self.plan)
        self.chance = random.Random("rehearsal")
        self.ended: set[int] = set()

    def run(self, asks: int) -> None:
        """Step until so many proposals were made."""
        for _ in range(PATIENCE + asks):
            if len(self.asked) >= asks:
                return
            self.step()
        raise AssertionError(
            f"a search without an end must propose {asks} trainings in {PATIENCE + asks} steps, got {len(self.asked)}"
        )

    def step(self) -> None:
        """Ask, check what was proposed, and tell what became of some of what runs."""
        self.ask()
        for _ in range(self.chance.randint(1, WORKERS)):
            if self.running:
                self.tell(self.running.pop(self.chance.randrange(len(self.running))))

    def ask(self) -> None:
        """Ask once. Raises `AssertionError` for a proposal that breaks the contract."""
        room, done = WORKERS - len(self.running), self.strategy.done
        proposals = self.strategy.ask(room)
        _require(len(proposals) <= room, f"at most {room} proposals were asked for, got {len(proposals)}")
        _require(not (done and proposals), "a strategy that said it is done must propose nothing")
        for proposal in proposals:
            self._check(proposal)
            self.asked.append(proposal)
            self.running.append(proposal)

    def tell(self, proposal: Proposal) -> None:
        """Tell an invented result: a loss that falls with the epochs, or a failure."""
        fate = random.Random(f"{proposal.number}/{proposal.stop}")
        failed, early = fate.random() < self.failures, fate.random() < ENDS
        loss = None if failed else random.Random(proposal.number).random() + fate.random() / proposal.stop
        result = Result(proposal, loss, ended=failed or early or proposal.stop == proposal.total)
        done, closed = self.strategy.done, self.strategy.closed
        self.strategy.tell([result])
        self.told.append(result)
        if result.ended:
            self.ended.add(proposal.number)
        _require(self.strategy.done or not done, "a strategy that said it is done must stay so")
        _require(closed <= self.strategy.closed, f"closed must only grow, but {sorted(closed - self.strategy.closed)} went")
        open_ = {other.number for other in self.running} & self.strategy.closed
        _require(not open_, f"configurations {sorted(open_)} are in training, so they must not be closed")

    def resumed(self) -> Rehearsal:
        """Return this search with a new strategy, which takes over what was asked and told."""
        other = Rehearsal(self.make, self.space, self.plan, self.failures, [*self.asked], [*self.told], [*self.running])
        other.chance.setstate(self.chance.getstate())
        other.ended = set(self.ended)
        other.strategy.adopt(self.asked)
        for result in self.told:
            other.strategy.tell([result])
        return other

    def _check(self, proposal: Proposal) -> None:
        number, where = proposal.number, f"proposal {proposal.number} from epoch {proposal.start} to {proposal.stop}"
        try:
            self.space.check(proposal.configuration)
        except (SpaceError, KeyError) as error:
            raise AssertionError(f"{where} must lie in the space: {error}") from error
        _require(0 <= proposal.start < proposal.stop <= proposal.total, f"{where} must train within 0 and {proposal.total}")
        _require(number not in self.strategy.closed, f"{where} is of a configuration that was closed")
        earlier = [other for other in self.asked if other.number == number]
        if not earlier:
            _require(proposal.start == 0, f"{where} must start at epoch 0: nothing of it was trained")
            _require(bool(self.asked) or self._is_default(proposal.configuration), "the first configuration must be the default")
            return
        last = earlier[-1]
        _require(number not in {other.number for other in self.running}, f"{where} continues what is still in training")
        _require(number not in self.ended, f"{where} continues what ended or failed")
        _require(proposal.start == last.stop, f"{where} must start where the last one stopped, at {last.stop}")
        same = (proposal.configuration, proposal.total) == (last.configuration, last.total)
        _require(same, f"{where} must have the configuration and the total of what it continues")

    def _is_default(self, configuration: Configuration) -> bool:
        try:
            return configuration == self.space.default()
        except Infeasible:
            return True


def _check_end(rehearsal: Rehearsal) -> None:
    """Run a search with an end; raise `AssertionError` where it doesn't, or isn't tidy afterwards."""
    for _ in range(PATIENCE):
        if rehearsal.strategy.done and not rehearsal.running:
            break
        rehearsal.step()
    strategy, numbers = rehearsal.strategy, {proposal.number for proposal in rehearsal.asked}
    _require(strategy.done, f"a search of {COUNT} configurations must be done after {PATIENCE} steps")
    _require(len(numbers) == COUNT, f"a search of {COUNT} configurations must propose as many, got {len(numbers)}")
    _require(not strategy.ask(WORKERS) and strategy.done, "a strategy that said it is done must propose nothing, and stay done")
    _require(numbers <= strategy.closed, "all configurations must be closed when the search is done")


def _require(holds: bool, law: str) -> None:
    if not holds:
        raise AssertionError(law)
