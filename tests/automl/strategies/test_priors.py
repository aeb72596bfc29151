"""A user's guess: where it applies, that a good one speeds a search up, and that a wrong one is recovered from."""

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from statistics import fmean

import pytest

from automl.strategies import strategy_for
from automl.strategies.base import Plan, Result, Schedule, Strategy
from automl.strategies.halving import Halving
from automl.strategies.priors import SHARE, Guided, guesses, space_with_guess
from automl.strategies.random_search import RandomSearch
from automl.strategies.schedules import FullTraining
from automl.strategies.tpe import TPE
from automl.testing import check_strategy, example_space
from search_spaces.base import Scalar
from search_spaces.configuration import Configuration
from search_spaces.language import Choice, Float, Int, Searchable, Space, SpaceError
from search_spaces.optimizers import AdamW


class Task(Searchable):
    """A problem whose best is known: rate 0.003, depth 4, kind b."""

    rate: float = Float(1e-5, 1.0, log=True)
    depth: int = Int(1, 8)
    kind: str = Choice("a", "b", "c")
    momentum: float = Float(0.0, 1.0)

    @property
    def loss(self) -> float:
        rate = math.log10(self.rate / 0.003)
        return rate**2 + 0.2 * abs(self.depth - 4) + (self.kind != "b") + (self.momentum - 0.5) ** 2


GOOD = {"rate": 0.002, "depth": 4, "kind": "b"}
WRONG = {"rate": 0.9, "depth": 8}


def losses(name: str, prior: Mapping[str, Scalar], asks: int, seed: int = 0, schedule: Schedule = "full") -> list[float]:
    strategy = strategy_for(name, Space(Task), Plan(9, seed=seed, schedule=schedule, prior=prior))
    found = []
    for _ in range(asks):
        (proposal,) = strategy.ask(1)
        found.append(proposal.configuration.loss)
        strategy.tell([Result(proposal, found[-1], ended=True)])
    return found


@pytest.mark.parametrize("name", ["random", "tpe"])
def test_a_good_guess_speeds_the_search_up(name: str):
    with_guess, without = (fmean(min(losses(name, prior, 20, seed)) for seed in range(5)) for prior in (GOOD, {}))
    assert with_guess < 0.5 * without


def test_a_wrong_guess_is_recovered_from():
    late = {str(prior): fmean(fmean(losses("tpe", prior, 60, seed)[40:]) for seed in range(3)) for prior in (WRONG, {})}
    assert late[str(WRONG)] < 1.3 * late["{}"]
    best = {str(prior): fmean(min(losses("random", prior, 100, seed)) for seed in range(5)) for prior in (WRONG, {})}
    assert best[str(WRONG)] < 1.3 * best["{}"] + 0.05


def share_after(prior: Mapping[str, Scalar], asks: int) -> float:
    space = space_with_guess(Space(Task), prior)
    plan = Plan(9, prior=prior)
    guided = Guided(RandomSearch(Space(Task), plan), space, plan)
    strategy = FullTraining(guided, space, plan)
    for _ in range(asks):
        (proposal,) = strategy.ask(1)
        strategy.tell([Result(proposal, proposal.configuration.loss, ended=True)])
    return guided.share


def test_the_share_fades_and_faster_where_the_guess_is_wrong():
    assert share_after(GOOD, 0) == SHARE
    assert share_after(GOOD, 20) == SHARE / 2
    assert share_after(WRONG, 20) < 0.2 * share_after(GOOD, 20)
    assert share_after(GOOD, 150) == 0.0


def test_the_first_configuration_is_the_default_with_the_guess():
    prior = {"recipe/optimizer/kind": "AdamW", "recipe/optimizer/AdamW/lr": 3e-4, "architecture/MLP/blocks/length": 3}
    (first,) = strategy_for("random", example_space(), Plan(9, prior=prior)).ask(1)
    assert first.configuration.recipe.optimizer == AdamW(lr=3e-4)
    assert len(first.configuration.architecture.blocks) == 3


def test_globs_name_all_that_hold_the_value():
    found = guesses(example_space(), {"*/lr": 3e-4})
    assert len(found) == 4  # of the others the ranges end above 3e-4
    assert {leaf.default for leaf in found.values()} == {3e-4}
    assert "recipe/optimizer/kind" not in guesses(example_space(), {"recipe/optimizer/*": 0.01})


def test_the_last_that_names_a_path_counts():
    found = guesses(example_space(), {"*/lr": 3e-4, "recipe/optimizer/AdamW/lr": 1e-3})
    assert found["recipe/optimizer/AdamW/lr"].default == 1e-3
    assert found["recipe/optimizer/Adam/lr"].default == 3e-4


def test_the_space_stays_what_it_was():
    space = Space(Task, {"rate": Float(1e-3, 1e-1), "depth": Choice(2, 4, 8)})
    guided = space_with_guess(space, {"rate": 0.05, "depth": 8})
    assert guided.default() == Task(rate=0.05, depth=8)
    unit = {path: [leaf.from_unit(u / 10) for u in range(11)] for path, leaf in space.leaves().items()}
    assert unit == {path: [leaf.from_unit(u / 10) for u in range(11)] for path, leaf in guided.leaves().items()}


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        ({"rat": 0.1}, "prior: Task has no decision at 'rat'; did you mean 'rate'?"),
        ({"*": 1}, "prior: a pattern must name a decision, such as '*/lr', got '*'"),
        ({"*/rat": 0.1}, "prior: Task has no decision at '*/rat'; did you mean '*/rate'?"),
        ({"rate": 3.0}, "prior: rate must be a float in [1e-05, 1.0], got 3.0; the nearest is 1.0"),
        ({"kind": "B"}, "prior: kind must be one of 'a', 'b', 'c', got 'B'; did you mean 'b'?"),
        ({"*e": "nothing"}, "prior: *e must be"),
    ],
)
def test_a_guess_outside_of_the_space_is_refused(prior: Mapping[str, Scalar], message: str):
    with pytest.raises(SpaceError, match=re.escape(message)):
        strategy_for("random", Space(Task), Plan(9, prior=prior))


def test_a_guess_of_a_family_that_is_not_searched_says_so():
    message = r"no decision at 'architecture/ResNet/dropout': 'ResNet' isn't searched here; architecture/kind must be .*MLP"
    with pytest.raises(SpaceError, match=message):
        guesses(example_space(), {"architecture/ResNet/dropout": 0.1})


def test_a_narrowed_space_is_respected():
    with pytest.raises(SpaceError, match=r"rate must be a float in \[0.1, 1.0\], got 0.01; the nearest is 0.1"):
        strategy_for("random", Space(Task, {"rate": Float(0.1, 1.0)}), Plan(9, prior={"rate": 0.01}))


@pytest.mark.parametrize("inner", [RandomSearch, TPE])
def test_the_whole_contract_with_a_guess(inner: type):
    def make(space: Space[Configuration], plan: Plan) -> Strategy:
        guess = {path: leaf.from_unit(0.75) for path, leaf in space.leaves().items() if path.endswith("/lr")}
        guided = Guided(inner(space, plan), space, replace(plan, prior=guess))
        return Halving(guided, space, plan)

    check_strategy(make, asks=40)
