"""The kit finds what it is there to find: each broken strategy breaks one law."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from automl.strategies import strategy_for
from automl.strategies.base import Plan, Proposal, Result, Strategy
from automl.testing import Rehearsal, check_strategy, example_space
from search_spaces.configuration import Configuration
from search_spaces.language import Choice, Space
from search_spaces.optimizers import OneCycle, Recipe


class Broken:
    """A strategy that passes everything on to a sound one, to be broken in one place."""

    def __init__(self, space: Space[Configuration], plan: Plan) -> None:
        self.sound = strategy_for("random", space, plan)
        self.earlier: list[Proposal] = []

    @property
    def done(self) -> bool:
        return self.sound.done

    @property
    def closed(self) -> frozenset[int]:
        return self.sound.closed

    def ask(self, room: int) -> list[Proposal]:
        return self.sound.ask(room)

    def tell(self, results: Sequence[Result]) -> None:
        self.sound.tell(results)

    def adopt(self, proposals: Sequence[Proposal]) -> None:
        self.sound.adopt(proposals)


class TooMany(Broken):
    def ask(self, room: int) -> list[Proposal]:
        return self.sound.ask(room + 1)


class Unseeded(Broken):
    def ask(self, room: int) -> list[Proposal]:
        if not self.earlier:
            self.earlier = self.sound.ask(1)
            return self.earlier
        random.seed(None)
        return self.sound.ask(random.randint(0, room))


class NoDefault(Broken):
    def ask(self, room: int) -> list[Proposal]:
        return [p for p in self.sound.ask(room) if p.number]


class Forgetful(Broken):
    def __init__(self, space: Space[Configuration], plan: Plan) -> None:
        super().__init__(space, replace(plan, schedule="full"))

    def adopt(self, proposals: Sequence[Proposal]) -> None:
        pass


class Reopening(Broken):
    @property
    def closed(self) -> frozenset[int]:
        return frozenset(list(self.sound.closed)[-1:])


class Hasty(Broken):
    def ask(self, room: int) -> list[Proposal]:
        return [replace(p, start=0) for p in self.sound.ask(room)]


class Outside(Broken):
    def ask(self, room: int) -> list[Proposal]:
        outside = Recipe(schedule=OneCycle())
        return [replace(p, configuration=replace(p.configuration, recipe=outside)) for p in self.sound.ask(room)]


class Endless(Broken):
    @property
    def done(self) -> bool:
        return False


class Untidy(Broken):
    @property
    def closed(self) -> frozenset[int]:
        return frozenset()


class Stubborn(Broken):
    def tell(self, results: Sequence[Result]) -> None:
        self.sound.tell([Result(r.proposal, 0.0, ended=False) for r in results])


@pytest.mark.parametrize(
    ("make", "law"),
    [
        (TooMany, "at most"),
        (Unseeded, "two strategies with one seed|go on as it would have"),
        (NoDefault, "must be the default"),
        (Forgetful, "was closed|still in training"),
        (Reopening, "must only grow"),
        (Hasty, "where the last one stopped"),
        (Outside, "must lie in the space"),
        (Endless, "must be done"),
        (Untidy, "must be closed when"),
        (Stubborn, "ended or failed"),
    ],
)
def test_a_broken_strategy_is_found_out(make: Callable[[Space[Configuration], Plan], Strategy], law: str):
    with pytest.raises(AssertionError, match=law):
        check_strategy(make, asks=40)


def test_a_sound_strategy_passes():
    check_strategy(Broken, asks=40)


def test_the_kit_uses_the_space_that_it_is_given():
    space = Space(Configuration, {**example_space().overrides, "recipe/batch_size": Choice(64, 128)})
    rehearsal = Rehearsal(Broken, space, Plan(epochs=9))
    rehearsal.run(30)
    assert {proposal.configuration.recipe.batch_size for proposal in rehearsal.asked} == {64, 128}
