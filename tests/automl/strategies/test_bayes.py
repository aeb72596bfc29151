"""Bayesian search: it learns, keeps the contract with and without learning curves, and its model stays small."""

import random
import statistics
from typing import Any

import pytest

from automl.errors import RunError
from automl.strategies import evidence
from automl.strategies.base import Plan, Proposal, Result, Strategy, Suggester
from automl.strategies.bayes import INITIAL, Bayes
from automl.strategies.evidence import Evidence, milestone
from automl.strategies.freeze_thaw import FreezeThaw, rungs
from automl.strategies.random_search import RandomSearch
from automl.strategies.schedules import FullTraining
from automl.testing import check_strategy
from search_spaces.language import Choice, Float, Int, OneOf, Repeat, Searchable, Space


class Block(Searchable):
    pass


class Plain(Block):
    width: int = Int(16, 512, log=True, multiple_of=8)


class Residual(Block):
    width: int = Int(16, 512, log=True, multiple_of=8)
    expansion: float = Float(1.0, 4.0)


class Net(Searchable):
    activation: str = Choice("relu", "gelu", "silu")
    lr: float = Float(1e-4, 1e-1, log=True)
    blocks: tuple[Block, ...] = Repeat(OneOf(Plain, Residual), 1, 4)


SPACE = Space(Net)


def loss(net: Net, epoch: int = 9) -> float:
    """Return a loss whose best is in a corner: silu, the largest lr, one Residual after the other, all of them wide."""
    widths = [unit(block) for block in net.blocks]
    kinds = sum(isinstance(block, Residual) for block in net.blocks)
    lr = Net.domains["lr"].to_unit(net.lr)
    final = 2 * (1 - lr) ** 2 + (net.activation != "silu") + (4 - kinds) / 2 + sum((1 - width) ** 2 for width in widths)
    return float(final + 3 / epoch)


def unit(block: Any) -> float:
    return float(type(block).domains["width"].to_unit(block.width))


def run(strategy: Strategy[Net], epochs: int) -> list[Result[Net]]:
    """Return all results of a search that spends so many epochs on one worker."""
    results: list[Result[Net]] = []
    while epochs > 0:
        (proposal,) = strategy.ask(1)
        epochs -= proposal.stop - proposal.start
        results.append(Result(proposal, loss(proposal.configuration, proposal.stop), ended=proposal.stop == proposal.total))
        strategy.tell(results[-1:])
    return results


def best(results: list[Result[Net]]) -> float:
    return min(result.loss for result in results if result.loss is not None)


def full(suggester: type[Suggester[Net]], seed: int) -> FullTraining[Net]:
    plan = Plan[Net](9, seed=seed)
    return FullTraining(suggester(SPACE, plan), SPACE, plan)  # type: ignore[call-arg]


def test_it_is_far_ahead_of_random_search():
    by_chance = min(best(run(full(RandomSearch, seed), 9 * 40)) for seed in range(2))
    assert max(best(run(full(Bayes, seed), 9 * 20)) for seed in range(2)) < by_chance - 0.3
    assert max(best(run(FreezeThaw(SPACE, Plan(9, seed=seed)), 9 * 10)) for seed in range(2)) < by_chance - 0.3


@pytest.mark.parametrize("epochs", [1, 2, 9, 52, 243])
def test_rungs(epochs: int):
    assert rungs(epochs)[-1] == epochs
    assert rungs(epochs)[0] == max(1, round(epochs / 9))


@pytest.mark.parametrize("objectives", [1, 2])
def test_the_contract(objectives: int):
    check_strategy(FreezeThaw, asks=25, objectives=objectives)


def test_what_is_asked_at_once_differs():
    strategy = FreezeThaw(SPACE, Plan(9))
    results = [Result(proposal, loss(proposal.configuration, 1), ended=False) for proposal in strategy.ask(8)]
    strategy.tell(results)
    proposals = strategy.ask(60)
    assert len(proposals) == 60
    assert len({(proposal.number, proposal.start) for proposal in proposals}) == 60
    assert len({proposal.configuration for proposal in proposals}) == 60


def test_one_of_nine_is_trained_in_full():
    strategy = FreezeThaw(SPACE, Plan(9, n_trials=27))
    told: list[Proposal[Net]] = []
    while not strategy.done:
        (proposal,) = strategy.ask(1)
        told.append(proposal)
        strategy.tell([Result(proposal, loss(proposal.configuration, proposal.stop), ended=proposal.stop == 9)])
    assert len({proposal.number for proposal in told}) == 27
    assert sum(proposal.stop == 9 for proposal in told) >= 3
    assert strategy.closed == frozenset(range(27))


def test_what_stopped_early_is_no_full_training_unless_it_is_the_best():
    strategy = FreezeThaw(SPACE, Plan(9, n_trials=18))
    told: list[Proposal[Net]] = []
    while not strategy.done:
        (proposal,) = strategy.ask(1)
        told.append(proposal)
        slow = proposal.number in {2, 3}
        value = 1e3 if slow else loss(proposal.configuration, proposal.stop)
        strategy.tell([Result(proposal, value, ended=slow or proposal.stop == 9)])
    assert sum(proposal.stop == 9 for proposal in told) == 2
    quick = FreezeThaw(SPACE, Plan(9, n_trials=9))
    for proposal, value in zip(quick.ask(9), [3.0, 2.0, 1.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0], strict=True):
        quick.tell([Result(proposal, value, ended=value == 1.0)])
    assert quick.done


def test_a_run_with_other_rungs_is_refused_in_words():
    net = SPACE.default()
    with pytest.raises(RunError, match="proposal 0 must stop at one of the epochs 1, 3, 9, got 5; resume with equal epochs"):
        FreezeThaw(SPACE, Plan(9)).adopt([Proposal(0, net, 0, 5, 9)])


def test_the_model_stays_small():
    known: Evidence[Net] = Evidence(SPACE, 1)
    rng = random.Random(0)
    for number in range(evidence.MOST + 100):
        net = SPACE.draw(lambda _, leaf: leaf.sample(rng))
        known.begin(number, net)
        known.observe(Result(Proposal(number, net, 0, 9, 9), loss(net), ended=True))
    points, numbers = known.chosen((1.0,))
    assert evidence.BEST + evidence.RECENT < len(points.y) == len(numbers) <= evidence.MOST
    ranked = sorted(range(evidence.MOST + 100), key=lambda number: known.seen[number].values or ())
    assert set(ranked[: evidence.BEST]) <= set(numbers)
    assert len({milestone(count) for count in range(1, 10_000)}) < 80


def test_a_guess_is_followed_at_first():
    def lr(prior: dict[str, Any]) -> float:
        strategy = FreezeThaw(Space(Net, {"lr": Float(1e-4, 1e-1, default=3e-4)}), Plan(9, prior=prior))
        nets = {result.proposal.number: result.proposal.configuration for result in run(strategy, 60)}
        return statistics.mean(Net.domains["lr"].to_unit(net.lr) for number, net in nets.items() if INITIAL <= number < 10)

    assert lr({"lr": 3e-4}) < lr({}) - 0.2


def test_failures_are_avoided():
    strategy = FullTraining(Bayes(SPACE, Plan(9)), SPACE, Plan(9))
    failed = []
    for _ in range(40):
        (proposal,) = strategy.ask(1)
        net = proposal.configuration
        fails = net.lr > 3e-3
        failed.append(fails)
        strategy.tell([Result(proposal, None if fails else loss(net), ended=True)])
    assert sum(failed[15:]) < 8
