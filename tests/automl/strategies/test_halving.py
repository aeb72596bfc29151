"""Successive halving as ASHA has it, with scores that say which configuration should win."""

import random
from dataclasses import replace

import pytest

from automl.errors import RunError
from automl.strategies import halving, strategy_for
from automl.strategies.base import Plan, Proposal, Result, Strategy
from automl.strategies.halving import rungs
from automl.strategies.pareto import fronts
from automl.testing import example_space


def begin(n_trials: int | None, epochs: int = 9) -> Strategy:
    return strategy_for("random", example_space(), Plan(epochs, n_trials=n_trials))


def loss(proposal: Proposal) -> float:
    return random.Random(proposal.number).random() + 1 / proposal.stop


def one_worker(strategy: Strategy, limit: int = 10_000) -> list[Proposal]:
    """Run to the end or the limit with one worker."""
    ran: list[Proposal] = []
    while len(ran) < limit and (proposals := strategy.ask(1)):
        strategy.tell([Result(proposals[0], loss(proposals[0]), ended=False)])
        ran += proposals
    return ran


@pytest.mark.parametrize(
    ("epochs", "stops"),
    [(27, (3, 9, 27)), (9, (1, 3, 9)), (10, (1, 3, 10)), (5, (1, 5)), (2, (1, 2)), (1, (1,)), (100, (11, 33, 100))],
)
def test_rungs_are_thirds_of_at_least_one_epoch(epochs: int, stops: tuple[int, ...]):
    assert rungs(epochs) == stops


def test_nine_of_which_three_of_which_one():
    ran = one_worker(begin(9))
    assert [sum(p.stop == stop for p in ran) for stop in (1, 3, 9)] == [9, 3, 1]
    best = min(ran, key=lambda p: random.Random(p.number).random())
    assert ran[-1] == replace(best, start=3, stop=9)


def test_a_continuation_goes_before_a_new_configuration():
    assert [(p.start, p.stop) for p in one_worker(begin(None), limit=14)].count((3, 9)) == 1
    assert (one_worker(begin(None), limit=4)[3].start, one_worker(begin(None), limit=4)[3].stop) == (1, 3)


def test_asynchronous_with_several_workers():
    strategy = begin(None)
    first = strategy.ask(4)
    strategy.tell([Result(p, loss(p), ended=False) for p in first[:3]])
    best = min(first[:3], key=loss)
    (proposal,) = strategy.ask(1)
    assert (proposal.number, proposal.start, proposal.stop) == (best.number, 1, 3)


@pytest.mark.parametrize("n_trials", [1, 2, 4, 5, 10, 40])
def test_a_limited_search_trains_one_in_full(n_trials: int):
    ran = one_worker(begin(n_trials))
    assert len({p.number for p in ran}) == n_trials
    assert any(p.stop == 9 for p in ran)


def test_where_the_best_fails_the_next_one_goes_on():
    strategy = begin(3)
    ran = []
    while proposals := strategy.ask(1):
        ran += proposals
        failed = proposals[0].stop == 3 and sum(p.stop == 3 for p in ran) == 1
        strategy.tell([Result(proposals[0], None if failed else loss(proposals[0]), ended=failed)])
    assert [p.stop for p in ran] == [1, 1, 1, 3, 3, 9]
    assert ran[3].number != ran[4].number == ran[5].number


def test_what_ended_is_not_continued_though_it_is_the_best():
    strategy = begin(None)
    first = strategy.ask(3)
    best = min(first, key=loss)
    strategy.tell([Result(p, loss(p), ended=p is best) for p in first])
    assert strategy.closed == {best.number}
    assert [p.start for p in strategy.ask(2)] == [0, 0]


def test_failures_count_as_members_of_a_rung():
    strategy = begin(None)
    first = strategy.ask(3)
    strategy.tell([Result(p, None if p.number else loss(p), ended=False) for p in first])
    (proposal,) = strategy.ask(1)
    assert (proposal.number, proposal.start) == (0, 1)


def test_what_was_refused_is_no_member_of_a_rung():
    strategy = begin(None)
    first = strategy.ask(9)
    strategy.tell([Result(p, None, ended=True, violation=1.0) for p in first[:7]])
    strategy.tell([Result(p, loss(p), ended=False) for p in first[7:]])
    (tenth,) = strategy.ask(1)
    assert tenth.start == 0
    strategy.tell([Result(tenth, loss(tenth), ended=False)])
    assert [p.start for p in strategy.ask(2)] == [1, 0]


def test_a_tell_stays_quick_with_several_objectives(monkeypatch: pytest.MonkeyPatch):
    sizes: list[int] = []
    monkeypatch.setattr(halving, "fronts", lambda values: sizes.append(len(values)) or fronts(values))
    strategy = strategy_for("random", example_space(), Plan(9, schedule="halving", objectives=2))
    for p in strategy.ask(400):
        strategy.tell([Result(p, loss(p), ended=False, others=(random.Random(-p.number).random(),))])
    assert max(sizes) == halving.FRONT + 1


def test_with_several_objectives_fronts_go_on_and_each_by_its_loss():
    strategy = strategy_for("random", example_space(), Plan(9, schedule="halving", objectives=2))
    values = [(0.5, 0.5), (0.6, 0.6), (0.1, 0.9), (0.2, 0.95), (0.9, 0.1), (0.95, 0.2), (0.7, 0.7), (0.8, 0.8), (0.9, 0.9)]
    strategy.tell(
        [Result(p, loss, ended=False, others=(other,)) for p, (loss, other) in zip(strategy.ask(9), values, strict=True)]
    )
    assert [(p.number, p.start) for p in strategy.ask(4)] == [(2, 1), (0, 1), (4, 1), (9, 0)]


def test_not_done_while_a_result_may_send_somebody_on():
    strategy = begin(3)
    first = strategy.ask(5)
    assert len(first) == 3
    strategy.tell([Result(p, loss(p), ended=False) for p in first[:2]])
    assert not strategy.done
    assert strategy.ask(1) == []
    strategy.tell([Result(first[2], loss(first[2]), ended=False)])
    assert strategy.ask(3)[0].start == 1


def test_a_rung_sends_on_only_its_first_so_checkpoints_stay_few(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(halving, "FRONT", 5)
    strategy = begin(None)
    ran = one_worker(strategy, limit=400)
    numbers = {p.number for p in ran}
    assert len(numbers - strategy.closed) <= 2 * 5
    for p in ran:
        if p.start == 1:
            earlier = [loss(q) for q in ran[: ran.index(p)] if q.stop == 1]
            assert sum(other < loss(replace(p, stop=1)) for other in earlier) < 5


def test_all_are_closed_in_the_end():
    strategy = begin(12)
    ran = one_worker(strategy)
    assert strategy.done
    assert strategy.closed == {p.number for p in ran} == set(range(12))


def test_other_epochs_than_those_of_the_earlier_process_are_refused():
    with pytest.raises(RunError, match="must stop at one of the epochs 3, 9, 27, got 1"):
        begin(None, epochs=27).adopt(begin(None, epochs=9).ask(1))
