"""Hyperband: who begins with which rung, and that a slow learner has its chance."""

from collections import Counter

import pytest

from automl.strategies import strategy_for
from automl.strategies.base import Plan, Proposal, Result, Strategy
from automl.strategies.halving import Halving
from automl.strategies.hyperband import first_rungs
from automl.testing import example_space


def begin(n_trials: int | None, epochs: int = 9, objectives: int = 1) -> Strategy:
    return strategy_for("random", example_space(), Plan(epochs, n_trials=n_trials, schedule="hyperband", objectives=objectives))


@pytest.mark.parametrize(("levels", "counts"), [(1, (1,)), (2, (3, 2)), (3, (9, 5, 3)), (4, (27, 12, 6, 4))])
def test_brackets_are_as_large_as_in_the_paper(levels: int, counts: tuple[int, ...]):
    first = first_rungs(levels)
    assert Counter(first(number) for number in range(sum(counts))) == dict(enumerate(counts))
    assert first(0) == 0
    assert [first(number) for number in range(5)] == [first(number) for number in range(sum(counts), sum(counts) + 5)]


def test_configurations_begin_with_the_rung_of_their_bracket():
    proposals = begin(None).ask(17)
    assert [p.stop for p in proposals] == [(1, 3, 9)[first_rungs(3)(p.number)] for p in proposals]
    assert all(p.start == 0 for p in proposals)


def test_rungs_are_shared():
    strategy = begin(None)
    late = [p for p in strategy.ask(17) if p.stop == 3]
    strategy.tell([Result(p, p.number, ended=False) for p in late[:3]])
    (proposal,) = strategy.ask(1)
    assert (proposal.number, proposal.start, proposal.stop) == (late[0].number, 3, 9)


def test_a_limited_search_is_done_and_closed():
    strategy, ran = begin(12), 0
    while proposals := strategy.ask(2):
        strategy.tell([Result(p, p.number / p.stop, ended=False) for p in proposals])
        ran += len(proposals)
    assert strategy.done
    assert strategy.closed == set(range(12))
    assert ran < 36


def best_trained_in_full(schedule: str) -> float:
    """Search where those that are good in the end are bad at first; return the best loss of what was trained in full."""
    strategy = strategy_for("random", example_space(), Plan(9, n_trials=60, schedule=schedule))
    best = 1.0
    while proposals := strategy.ask(1):
        strategy.tell([Result(proposals[0], loss(proposals[0]), ended=False)])
        best = min(best, loss(proposals[0])) if proposals[0].stop == 9 else best
    return best


def loss(proposal: Proposal) -> float:
    quality = proposal.configuration.architecture.dropout  # type: ignore[attr-defined]
    return 1 - quality if proposal.stop == 1 else quality


def test_slow_learners_have_their_chance():
    assert best_trained_in_full("hyperband") < best_trained_in_full("halving")


def test_several_objectives_are_ranked_by_front_then_loss():
    strategy = strategy_for("random", example_space(), Plan(9, schedule="halving", objectives=2))
    assert isinstance(strategy, Halving)
    first = strategy.ask(6)
    values = [(0.5, 0.1), (0.1, 0.5), (0.6, 0.6), (0.3, 0.3), (0.05, 0.9), (0.2, 0.55)]
    strategy.tell([Result(p, a, ended=False, others=(b,)) for p, (a, b) in zip(first, values, strict=True)])
    assert strategy._rungs[0].ranking == [4, 1, 3, 0, 5, 2]
    assert [p.number for p in strategy.ask(3)][:2] == [4, 1]
