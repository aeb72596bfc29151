"""Evolution: it learns on nested spaces, with every variant and several objectives, keeps to hard limits, and stays quick."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from automl.errors import OptionError
from automl.strategies.base import Plan, Proposal, Result, Suggester
from automl.strategies.evolution import Evolution, Variant
from automl.strategies.pareto import hypervolume
from automl.strategies.random_search import RandomSearch
from automl.strategies.schedules import FullTraining
from automl.strategies.start import near_default
from automl.testing import check_strategy, example_space
from search_spaces.language import Choice, Float, Infeasible, Int, OneOf, Repeat, Searchable, Space
from search_spaces.variation import sample

VARIANTS: tuple[Variant, ...] = ("aging", "elitist", "annealed")


class Item(Searchable):
    """A part of a made-up nested problem."""

    size: float = Float(0.0, 1.0)


class Plain(Item):
    """The worse kind of item."""


class Better(Item):
    """The better kind of item."""

    extra: int = Int(1, 64, log=True)


class Problem(Searchable):
    """Best: five better items, of size 1 and extra 8, mode "c"."""

    mode: str = Choice("a", "b", "c", "d")
    items: tuple[Item, ...] = Repeat(OneOf(Plain, Better), 1, 6)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.items) == 2 and self.mode == "d":
            raise Infeasible("two items have no mode d")


SPACE = Space(Problem)


def loss(made: Problem) -> float:
    items = sum(1 - item.size + (abs(item.extra - 8) / 64 if isinstance(item, Better) else 1) for item in made.items)
    return items / len(made.items) + abs(len(made.items) - 5) / 5 + (made.mode != "c")


def losses(made: Suggester[Problem], count: int = 120) -> list[float]:
    """Tell the loss of one configuration after the other, and return them."""
    found = []
    strategy = FullTraining(made, SPACE, Plan(epochs=1))
    for _ in range(count):
        (proposal,) = strategy.ask(1)
        found.append(loss(proposal.configuration))
        strategy.tell([Result(proposal, found[-1], ended=True)])
    return found


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_variant_finds_far_better_than_random_search(variant: Variant):
    seeds = range(4)
    ours = mean([min(losses(Evolution(SPACE, Plan(1, seed), variant))) for seed in seeds])
    theirs = mean([min(losses(RandomSearch(SPACE, Plan(1, seed)))) for seed in seeds])
    assert ours < 0.5 * theirs


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_variant_keeps_the_contract(variant: Variant):
    check_strategy(lambda space, plan: FullTraining(Evolution(space, plan, variant, population=5), space, plan), asks=60)


def test_an_unknown_variant_or_a_population_of_one_is_refused():
    with pytest.raises(OptionError, match="must be one of aging, elitist, annealed, got 'agng'; did you mean 'aging'"):
        Evolution(SPACE, Plan(1), "agng")  # type: ignore[arg-type]
    for odd in (1, 2.5, "ten", True):
        with pytest.raises(OptionError, match=f"population must be a whole number, at least 2, got {odd!r}"):
            Evolution(SPACE, Plan(1), population=odd)  # type: ignore[arg-type]


def run(outcome: Callable[[Proposal[Problem]], Result[Problem]], plan: Plan[Problem], count: int = 120) -> list[Result[Problem]]:
    strategy = FullTraining(Evolution(SPACE, plan), SPACE, plan)
    results = []
    for _ in range(count):
        (proposal,) = strategy.ask(1)
        results.append(outcome(proposal))
        strategy.tell(results[-1:])
    return results


def objectives(proposal: Proposal[Problem]) -> Result[Problem]:
    made = proposal.configuration
    return Result(proposal, loss(made), ended=True, others=(len(made.items) + sum(item.size for item in made.items),))


def test_nothing_is_suggested_twice_where_there_is_something_else():
    found = {result.proposal.configuration for result in run(objectives, Plan(1))}
    assert len(found) == 120


def test_what_was_enqueued_is_not_taken_for_a_random_draw():
    default = SPACE.default()
    enqueued = tuple(replace(default, mode=mode) for mode in "bcd")
    plan = Plan(1, enqueue=enqueued)
    strategy = FullTraining(Evolution(SPACE, plan), SPACE, plan)
    asked = []
    for _ in range(10):
        (proposal,) = strategy.ask(1)
        asked.append(proposal.configuration)
        better = proposal.configuration in enqueued
        strategy.tell([Result(proposal, 0.0 if better else 1.0 + (proposal.number > 0), ended=True)])
    assert asked[:4] == [default, *enqueued]
    drawn = random.Random("evolution/0/7")
    assert asked[7] == near_default(SPACE, drawn)  # which it is where no random draw was better
    assert [asked[n] for n in (4, 5)] == [sample(SPACE, random.Random(f"evolution/0/{n}")) for n in (4, 5)]


def test_what_fails_has_no_children():
    def outcome(proposal: Proposal[Problem]) -> Result[Problem]:
        failed = proposal.configuration.mode == "c"
        return Result(proposal, None if failed else loss(proposal.configuration), ended=True)

    late = run(outcome, Plan(1))[60:]
    assert sum(result.loss is None for result in late) < 15  # 15 at random


def test_broken_limits_are_left_behind():
    def outcome(proposal: Proposal[Problem]) -> Result[Problem]:
        broken = max(0.0, 1.5 - sum(item.size for item in proposal.configuration.items[:2]))
        return Result(proposal, None if broken else loss(proposal.configuration), ended=True, violation=broken)

    early, late = (sum(result.violation > 0 for result in part) for part in _halves(run(outcome, Plan(1, 1))))
    assert late < 0.5 * early


def _halves(results: list[Result[Problem]]) -> tuple[list[Result[Problem]], list[Result[Problem]]]:
    return results[:20] * 3, results[-60:]


def volume(results: Sequence[Result[Problem]]) -> float:
    return hypervolume([result.values for result in results if result.values], (3.0, 12.0))


def test_several_objectives_cover_more_than_random_search():
    seeds = range(3)
    ours = mean([volume(run(objectives, Plan(1, seed, objectives=2))) for seed in seeds])
    theirs = []
    for seed in seeds:
        strategy = FullTraining(RandomSearch(SPACE, Plan(1, seed)), SPACE, Plan(1))
        theirs.append(volume([objectives(proposal) for proposal in strategy.ask(120)]))
    assert ours > 1.05 * mean(theirs)


def test_evolution_over_a_space_of_ours_under_several_objectives():
    space = example_space()
    evolution = Evolution(space, Plan(9, objectives=2))
    for number in range(30):
        configuration = evolution.suggest(number)
        evolution.begin(number, configuration)
        others = (random.Random(number).random(),)
        evolution.observe(Result(Proposal(number, configuration, 0, 9, 9), number % 7 / 7, ended=True, others=others))
        space.check(configuration)
