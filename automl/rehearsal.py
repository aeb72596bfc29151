"""Searches in which nothing is trained: the part of the study, with invented results, which watches all that a strategy does.

Some workers, results that come in any order, failures of every kind. A strategy that breaks its contract raises `AssertionError`.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import cast

from automl.strategies.base import Maker, Plan, Proposal, Result
from search_spaces.base import plain
from search_spaces.configuration import Configuration
from search_spaces.language import Infeasible, Space, SpaceError

__all__ = ["Rehearsal", "require"]

WORKERS = 3
FAILURES = 0.1  # share of proposals that fail
ENDS = 0.1  # share that stops early
REFUSED = 0.3  # share of the failures that break a hard limit
PATIENCE = 1000  # steps without which a search must get on


@dataclass
class Rehearsal:
    """A search in which nothing is trained. Each step asks for as much as there are free workers, and ends some of what runs."""

    make: Maker[Configuration]
    space: Space[Configuration]
    plan: Plan
    failures: float = FAILURES
    workers: int = WORKERS
    asked: list[Proposal] = field(default_factory=list)
    told: list[Result] = field(default_factory=list)
    running: list[Proposal] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.strategy = self.make(self.space, self.plan)
        self.chance = random.Random("rehearsal")
        self.ended: set[int] = set()

    @property
    def done(self) -> bool:
        """What the strategy says of it. Raises `AssertionError` where it raises."""
        return bool(self._read("done"))

    @property
    def closed(self) -> AbstractSet[int]:
        """What the strategy says of it. Raises `AssertionError` where it raises, or says something other than a set of ints."""
        closed = self._read("closed")
        if not isinstance(closed, AbstractSet) or not all(type(plain(number)) is int for number in closed):
            raise AssertionError(f"closed must be a set of whole numbers, got {closed!r:.100}")
        return closed

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
        for _ in range(self.chance.randint(1, self.workers)):
            if self.running:
                self.tell(self.running.pop(self.chance.randrange(len(self.running))))

    def ask(self) -> None:
        """Ask once. Raises `AssertionError` for a proposal that breaks the contract."""
        room, done = self.workers - len(self.running), self.done
        with _watched(f"ask({room})"):
            proposals: object = self.strategy.ask(room)
        if not isinstance(proposals, list) or not all(isinstance(proposal, Proposal) for proposal in proposals):
            raise AssertionError(f"ask({room}) must return a list of Proposals, got {proposals!r:.100}")
        require(len(proposals) <= room, f"at most {room} proposals were asked for, got {len(proposals)}")
        require(not (done and proposals), "a strategy that said it is done must propose nothing")
        require(
            bool(self.running or proposals or self.done),
            "a strategy that isn't done must propose something when nothing is in training",
        )
        for proposal in proposals:
            self._check(proposal)
            self.asked.append(proposal)
            self.running.append(proposal)
        self._count_infeasible()

    def tell(self, proposal: Proposal) -> None:
        """Tell an invented result."""
        result = self._invented(proposal)
        done, closed = self.done, self.closed
        with _watched(f"tell([{_short(result)}])"):
            self.strategy.tell([result])
        self.told.append(result)
        if result.ended:
            self.ended.add(proposal.number)
        require(self.done or not done, "a strategy that said it is done must stay so")
        require(closed <= self.closed, f"closed must only grow, but {sorted(closed - self.closed)} went")
        open_ = {other.number for other in self.running} & self.closed
        require(not open_, f"configurations {sorted(open_)} are in training, so they must not be closed")

    def resumed(self) -> Rehearsal:
        """Return this search with a new strategy, which takes over what was asked, some of it still running, and told."""
        copied = [*self.asked], [*self.told], [*self.running]
        other = Rehearsal(self.make, self.space, self.plan, self.failures, self.workers, *copied)
        other.chance.setstate(self.chance.getstate())
        other.ended = set(self.ended)
        with _watched("adopt and tell of an earlier process"):
            other.strategy.adopt(self.asked)
            other.strategy.tell(self.told)
        return other

    def _invented(self, proposal: Proposal) -> Result:
        """Return a loss that falls with the epochs, or a failure: none, NaN or infinite, or a hard limit that was broken."""
        fate = random.Random(f"{proposal.number}/{proposal.stop}")
        failed, early = fate.random() < self.failures, fate.random() < ENDS
        refused = failed and proposal.start == 0 and fate.random() < REFUSED
        loss = random.Random(proposal.number).random() + fate.random() / proposal.stop
        others = tuple(random.Random(f"{proposal.number}/{i}").random() for i in range(1, self.plan.objectives))
        result = Result(proposal, loss, ended=early or proposal.stop == proposal.total, seconds=1.0, others=others)
        if refused:
            return replace(result, loss=None, others=(), violation=fate.uniform(0.1, 10.0))
        return replace(result, loss=fate.choice((None, math.nan, math.inf)), others=()) if failed else result

    def _check(self, proposal: Proposal) -> None:
        number, where = proposal.number, f"proposal {proposal.number} from epoch {proposal.start} to {proposal.stop}"
        try:
            self.space.check(proposal.configuration)
        except (SpaceError, KeyError) as error:
            raise AssertionError(f"{where} must lie in the space: {error}") from error
        require(0 <= proposal.start < proposal.stop <= proposal.total, f"{where} must train within 0 and {proposal.total}")
        require(number not in self.closed, f"{where} is of a configuration that was closed")
        earlier = [other for other in self.asked if other.number == number]
        if not earlier:
            require(proposal.start == 0, f"{where} must start at epoch 0: nothing of it was trained")
            require(bool(self.asked) or self._is_default(proposal.configuration), "the first configuration must be the default")
            return
        last = earlier[-1]
        require(number not in {other.number for other in self.running}, f"{where} continues what is still in training")
        require(number not in self.ended, f"{where} continues what ended or failed")
        require(proposal.start == last.stop, f"{where} must start where the last one stopped, at {last.stop}")
        same = (proposal.configuration, proposal.total) == (last.configuration, last.total)
        require(same, f"{where} must have the configuration and the total of what it continues")

    def _read(self, name: str) -> object:
        try:
            return cast(object, getattr(self.strategy, name))
        except Exception as error:
            raise AssertionError(f"{name} must not raise, got {type(error).__name__}: {error}") from error

    def _count_infeasible(self) -> None:
        count = self._read("infeasible")
        require(type(plain(count)) is int, f"infeasible must be a whole number, got {count!r:.100}")

    def _is_default(self, configuration: Configuration) -> bool:
        try:
            return configuration == self.space.default()
        except Infeasible:
            return True


def require(holds: bool, law: str) -> None:
    """Raise `AssertionError` with the law where it doesn't hold."""
    if not holds:
        raise AssertionError(law)


@contextmanager
def _watched(call: str) -> Iterator[None]:
    """Turn what a strategy raises, and its use of the process's own chance, into an `AssertionError`."""
    before = _global_chance()
    try:
        yield
    except (Infeasible, AssertionError):
        raise
    except Exception as error:
        raise AssertionError(f"{call} must not raise, got {type(error).__name__}: {error}") from error
    changed = [name for name, state in _global_chance().items() if before.get(name, state) != state]
    require(not changed, f"{call} must leave the global generator of {', '.join(changed)} alone; derive chance from the seed")


def _global_chance() -> dict[str, object]:
    """Return the state of the global generators of all libraries that are loaded."""
    states: dict[str, object] = {"random": random.getstate()}
    if "numpy" in sys.modules:
        name, keys, *rest = sys.modules["numpy"].random.get_state()
        states["numpy"] = (name, keys.tobytes(), *rest)
    if "torch" in sys.modules:
        states["torch"] = sys.modules["torch"].get_rng_state().numpy().tobytes()
    return states


def _short(result: Result) -> str:
    at = f"configuration {result.proposal.number} at epoch {result.proposal.stop}"
    return f"{at}: violation {result.violation:.3g}" if result.violation > 0 else f"{at}: {result.values}"
