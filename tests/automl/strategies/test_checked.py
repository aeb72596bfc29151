"""A user's own strategy: one that keeps the contract is left alone, one that breaks it is told so in a sentence."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from automl.errors import OptionError
from automl.strategies import strategy_for
from automl.strategies.base import Plan, Proposal, Result
from automl.testing import check_strategy, example_space

SPACE = example_space()
PLAN = Plan(9, schedule="full")


class Own:
    """The random strategy, whose answers are changed on their way."""

    infeasible = 0

    def __init__(self, change: Callable[[list[Proposal]], Any]) -> None:
        self.sound = strategy_for("random", SPACE, PLAN)
        self.change = change

    @property
    def done(self) -> bool:
        return self.sound.done

    @property
    def closed(self) -> frozenset[int]:
        return self.sound.closed

    def ask(self, room: int) -> Any:
        return self.change(self.sound.ask(room))

    def tell(self, results: list[Result]) -> None:
        self.sound.tell(results)

    def adopt(self, proposals: list[Proposal]) -> None:
        self.sound.adopt(proposals)


def each(**changes: Any) -> Callable[[list[Proposal]], Any]:
    return lambda asked: [replace(proposal, **changes) for proposal in asked]


def test_a_sound_one_is_left_alone():
    check_strategy(lambda space, plan: strategy_for(lambda s, p: strategy_for("random", s, p), space, plan), asks=30)


@pytest.mark.parametrize(("change", "law"), [
    (lambda _: None, "must return a list of Proposals, got None"),
    (lambda _: ["x"], "must return a list of Proposals"),
    (lambda asked: asked * 2, "must return at most 2 proposals, got 4"),
    (lambda _: [], "must return a proposal where nothing is in training"),
    (lambda _: 1 / 0, r"ask\(2\) must not raise, but raised ZeroDivisionError"),
    (each(number=-1), "a number of 0 or more"),
    (each(number=0), "continues what is still in training"),
    (each(start=3), "must start at epoch 0"),
    (each(stop=0), "must train within 0 and 9"),
    (each(stop=2.5), "must be whole numbers"),
    (each(configuration=None), "must lie in the space"),
    (each(configuration=SPACE.default().architecture), "must lie in the space"),
])  # fmt: skip
def test_what_breaks_the_contract_is_one_error(change: Callable[[list[Proposal]], Any], law: str):
    strategy = strategy_for(lambda *_: Own(change), SPACE, PLAN)
    with pytest.raises(OptionError, match=f"strategy own:.*{law}"):
        strategy.ask(2)


@pytest.mark.parametrize("maker", [lambda *_: None, lambda *_: 5, lambda: 3])
def test_what_makes_no_strategy_is_refused(maker: Any):
    with pytest.raises(OptionError, match=r"strategy own:.*Strategy"):
        strategy_for(maker, SPACE, PLAN)


def test_what_ended_is_not_trained_again():
    strategy = strategy_for(lambda *_: Own(each(number=0)), SPACE, PLAN)
    (first,) = strategy.ask(1)
    strategy.tell([Result(first, 1.0, ended=True)])
    with pytest.raises(OptionError, match="continues what ended"):
        strategy.ask(1)
