"""The kit finds what it is there to find: each broken strategy breaks one law."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch

from automl import testing
from automl.strategies import strategy_for
from automl.strategies.base import Plan, Proposal, Result, Strategy
from automl.testing import Rehearsal, check_strategy, example_space, narrowed, single
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

    @property
    def infeasible(self) -> int:
        return self.sound.infeasible

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
        return self.sound.ask(random.SystemRandom().randint(1, room) if room else 0)


class Global(Broken):
    def ask(self, room: int) -> list[Proposal]:
        random.random()
        return self.sound.ask(room)


class GlobalOfNumpy(Broken):
    def tell(self, results: Sequence[Result]) -> None:
        np.random.rand()  # noqa: NPY002 - what the kit is to find
        self.sound.tell(results)


class GlobalOfTorch(Broken):
    def ask(self, room: int) -> list[Proposal]:
        torch.rand(1)
        return self.sound.ask(room)


class Unscored(Broken):
    def tell(self, results: Sequence[Result]) -> None:
        if any(result.values is None for result in results):
            raise ValueError("expected a number")
        self.sound.tell(results)


class Unlimited(Broken):
    def tell(self, results: Sequence[Result]) -> None:
        for result in results:
            if result.violation > 0:
                raise KeyError("violation")
        self.sound.tell(results)


class Lonely(Broken):
    def ask(self, room: int) -> list[Proposal]:
        return self.sound.ask(room if room < 10 else 0)


class OneByOne(Broken):
    def tell(self, results: Sequence[Result]) -> None:
        self.sound.tell(results[:1])


class Wide(Broken):
    def __init__(self, space: Space[Configuration], plan: Plan) -> None:
        super().__init__(example_space(), plan)


class Picky(Broken):
    def ask(self, room: int) -> list[Proposal]:
        known = [proposal.configuration for proposal in self.earlier]
        asked = [p for p in self.sound.ask(room) if p.start or p.configuration not in known]
        self.earlier += asked
        return asked


class Discouraged(Broken):
    """Once most has failed, it gives up without saying so."""

    def tell(self, results: Sequence[Result]) -> None:
        self.sound.tell(results)
        self.earlier += [result.proposal for result in results if result.loss is None]

    def ask(self, room: int) -> list[Proposal]:
        return self.sound.ask(room) if len(self.earlier) < 10 else []


class OneObjective(Broken):
    def tell(self, results: Sequence[Result]) -> None:
        if any(len(result.values or ()) > 1 for result in results):
            raise ValueError("too many values")
        self.sound.tell(results)


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


class Unbounded(Broken):
    def __init__(self, space: Space[Configuration], plan: Plan) -> None:
        super().__init__(space, replace(plan, n_trials=None))


class Untidy(Broken):
    @property
    def closed(self) -> frozenset[int]:
        return frozenset()


class Stubborn(Broken):
    def tell(self, results: Sequence[Result]) -> None:
        self.sound.tell([Result(r.proposal, 0.0, ended=False) for r in results])


class Uncounted(Broken):
    @property
    def infeasible(self) -> int:
        raise AttributeError("'Uncounted' object has no attribute 'infeasible'")


class Silent(Broken):
    def ask(self, room: int) -> list[Proposal]:
        return cast(Any, None)


class Bare(Broken):
    def ask(self, room: int) -> list[Proposal]:
        return cast(Any, [proposal.configuration for proposal in self.sound.ask(room)])


class Listing(Broken):
    @property
    def closed(self) -> frozenset[int]:
        return cast(Any, sorted(self.sound.closed))


class Undecided(Broken):
    @property
    def done(self) -> bool:
        raise RuntimeError("who knows")


@pytest.mark.parametrize(
    ("make", "law"),
    [
        (TooMany, "at most"),
        (Unseeded, "two strategies with one seed|go on as it would have"),
        (Global, r"ask\(3\) must leave the global generator of random alone"),
        (GlobalOfNumpy, "must leave the global generator of numpy alone"),
        (GlobalOfTorch, "must leave the global generator of torch alone"),
        (Unscored, r"tell\(.*: None\]\) must not raise, got ValueError: expected a number"),
        (Unlimited, r"tell\(.*violation .*\) must not raise, got KeyError"),
        (Lonely, "must propose something when nothing is in training"),
        (OneByOne, "go on as it would have|still in training|was closed"),
        (Wide, "must lie in the space"),
        (Picky, "must propose something when nothing is in training"),
        (Discouraged, "must propose something when nothing is in training"),
        (NoDefault, "must be the default"),
        (Forgetful, "was closed|still in training"),
        (Reopening, "must only grow"),
        (Hasty, "where the last one stopped"),
        (Outside, "must lie in the space"),
        (Endless, "must propose something when nothing is in training"),
        (Untidy, "must be closed when"),
        (Stubborn, "ended or failed"),
        (Uncounted, "infeasible must not raise, got AttributeError: .* no attribute 'infeasible'"),
        (Silent, r"ask\(3\) must return a list of Proposals, got None"),
        (Bare, r"ask\(3\) must return a list of Proposals, got \[Configuration"),
        (Listing, r"closed must be a set of whole numbers, got \[\]"),
        (Undecided, "done must not raise, got RuntimeError: who knows"),
    ],
)
def test_a_broken_strategy_is_found_out(make: Callable[[Space[Configuration], Plan], Strategy], law: str):
    with pytest.raises(AssertionError, match=law):
        check_strategy(make, asks=40)


@pytest.mark.parametrize("counts", [{"asks": 0}, {"objectives": 0}])
def test_a_kit_that_would_try_nothing_is_refused(counts: dict[str, int]):
    with pytest.raises(ValueError, match=f"{next(iter(counts))} must be a whole number, at least 1, got 0"):
        check_strategy(Broken, **counts)
    with pytest.raises(TypeError, match=r"make must be a function \(space, plan\) that returns a strategy, got 'bayes'"):
        check_strategy("bayes")  # type: ignore[arg-type]


def test_a_search_with_an_end_must_come_to_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(testing, "PATIENCE", 50)
    with pytest.raises(AssertionError, match="of 20 configurations must be done after 50 steps"):
        check_strategy(Unbounded, asks=40)


def test_a_sound_strategy_passes():
    check_strategy(Broken, asks=40)
    check_strategy(OneObjective, asks=40)
    check_strategy(Broken, asks=40, objectives=3)


def test_who_says_that_it_takes_several_objectives_must():
    with pytest.raises(AssertionError, match=r"must not raise, got ValueError: too many values"):
        check_strategy(OneObjective, asks=40, objectives=2)


def test_all_kinds_of_results_are_invented():
    rehearsal = Rehearsal(Broken, example_space(), Plan(epochs=9, objectives=2), failures=0.5)
    rehearsal.run(100)
    assert {len(result.values) for result in rehearsal.told if result.values is not None} == {2}
    assert any(result.violation > 0 for result in rehearsal.told)
    assert any(result.loss is None and result.violation == 0 for result in rehearsal.told)
    assert all(result.loss is None for result in rehearsal.told if result.violation > 0)


def test_the_narrower_spaces_are_what_they_say():
    space = example_space()
    part, one = narrowed(space), single(space)
    leaves = [leaf for leaf in part.leaves().values() if leaf.from_unit(0.0) == leaf.from_unit(1.0)]
    assert len(leaves) > 5
    assert one.default() == space.default()
    assert all(leaf.from_unit(0.0) == leaf.from_unit(1.0) for leaf in one.leaves().values())


def test_the_kit_uses_the_space_that_it_is_given():
    space = Space(Configuration, {**example_space().overrides, "recipe/batch_size": Choice(64, 128)})
    rehearsal = Rehearsal(Broken, space, Plan(epochs=9))
    rehearsal.run(30)
    assert {proposal.configuration.recipe.batch_size for proposal in rehearsal.asked} == {64, 128}
