"""Median stopping: who is stopped when, on losses that say it."""

import pytest

from automl.errors import RunError
from automl.strategies import strategy_for
from automl.strategies.base import Plan, Proposal, Result, Strategy
from automl.strategies.median import ENOUGH, pauses
from automl.testing import example_space


def begin(n_trials: int | None = None, epochs: int = 12, objectives: int = 1) -> Strategy:
    return strategy_for("random", example_space(), Plan(epochs, n_trials=n_trials, schedule="median", objectives=objectives))


def run(strategy: Strategy, losses: list[float], others: list[float] | None = None) -> list[Proposal]:
    """Run with one worker until the configurations after those with a loss begin; return what ran."""
    ran: list[Proposal] = []
    while (proposals := strategy.ask(1)) and proposals[0].number < len(losses):
        number = proposals[0].number
        further = () if others is None else (others[number],)
        strategy.tell([Result(proposals[0], losses[number], ended=False, others=further)])
        ran += proposals
    return ran


@pytest.mark.parametrize(
    ("epochs", "stops"), [(12, (2, 4, 6, 8, 10, 12)), (3, (1, 2, 3)), (1, (1,)), (50, (8, 17, 25, 33, 42, 50))]
)
def test_pieces_are_equal_and_of_an_epoch_at_least(epochs: int, stops: tuple[int, ...]):
    assert pauses(epochs) == stops


def test_the_first_are_trained_to_the_end_and_the_worse_half_is_stopped():
    ran = run(begin(), [0.1, 0.2, 0.3, 0.4, 0.5, 0.35, 0.25])
    reached = {p.number: p.stop for p in ran}
    assert reached == {**dict.fromkeys(range(ENOUGH), 12), 5: 2, 6: 12}
    assert [p.start for p in ran[:6]] == [0, 2, 4, 6, 8, 10]


def test_what_equals_the_median_goes_on():
    assert run(begin(), [0.3] * 7)[-1].stop == 12


def test_the_others_are_averaged_and_oneself_is_taken_at_its_best():
    strategy = begin(epochs=2)
    while (proposal := strategy.ask(1)[0]).number < ENOUGH:
        strategy.tell([Result(proposal, 1.0 if proposal.stop == 1 else 0.0, ended=False)])
    strategy.tell([Result(proposal, 0.9, ended=False)])
    assert strategy.ask(1)[0].start == 1


def test_the_stopped_are_closed_and_the_search_ends():
    strategy = begin(n_trials=8)
    run(strategy, [0.1, 0.2, 0.3, 0.4, 0.5, 0.9, 0.9, 0.9])
    assert strategy.done
    assert strategy.closed == set(range(8))


def test_not_done_while_somebody_may_go_on():
    strategy = begin(n_trials=1)
    (first,) = strategy.ask(2)
    assert not strategy.done
    assert strategy.ask(1) == []
    strategy.tell([Result(first, 0.5, ended=False)])
    assert strategy.ask(1)[0].start == first.stop


def test_with_several_objectives_only_who_is_behind_in_all_is_stopped():
    reached = {p.number: p.stop for p in run(begin(objectives=2), [*[0.1] * 5, 0.9, 0.9], [*[1.0] * 5, 0.5, 2.0])}
    assert (reached[5], reached[6]) == (12, 2)


def test_objectives_that_grow_with_training_are_compared_with_what_others_had_at_the_same_epoch():
    strategy = begin(objectives=2)
    while (proposals := strategy.ask(1)) and proposals[0].number <= ENOUGH:
        behind = proposals[0].number == ENOUGH
        others = (proposals[0].stop * (2.0 if behind else 1.0),)
        strategy.tell([Result(proposals[0], 0.9 if behind else 0.1, ended=False, others=others)])
        reached = proposals[0].stop
    assert reached == 2


def test_other_epochs_than_those_of_the_earlier_process_are_refused():
    with pytest.raises(RunError, match="must stop at one of the epochs 1, 2, 3, got 8"):
        begin(epochs=3).adopt([Proposal(0, example_space().default(), 0, 8, 50)])
