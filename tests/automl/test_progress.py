import time

from automl.limits import Limits
from automl.progress import Tally
from automl.strategies.base import Proposal, Result
from automl.trial import Outcome
from search_spaces.configuration import Configuration


def proposal(number, start=0, stop=3):
    return Proposal(number, Configuration(), start, stop, 9)


def end(tally, asked, *scores, status="finished", others=()):
    """Begin and end a proposal, with an outcome for each score; as for accuracy, the loss is the mean score's negative."""
    outcomes = [Outcome(0, status, "why", score, epochs=asked.stop, seconds=2.0) for score in scores]
    loss = None if None in scores else -sum(scores) / len(scores)
    tally.begin(asked)
    tally.end(asked, outcomes, Result(asked, loss, ended=False, others=others), None if loss is None else -loss)


def test_nothing_has_happened_at_first():
    progress = Tally().progress(Limits(60.0, time.time()), 0)
    assert (progress.begun, progress.ended, progress.failed, progress.configurations, progress.best) == (0, 0, 0, 0, None)
    assert (progress.baselines, progress.latest, progress.time_limit) == ((), (), 60.0)


def test_rungs_are_counted_as_trials_and_configurations_once():
    tally = Tally()
    end(tally, proposal(0), 0.5)
    end(tally, proposal(0, 3, 9), 0.6)
    end(tally, proposal(1), None, status="killed")
    tally.begin(proposal(2))
    progress = tally.progress(Limits(None, time.time() - 5), running=1)
    assert (progress.begun, progress.ended, progress.failed, progress.running, progress.configurations) == (4, 3, 1, 1, 3)
    assert 5 <= progress.elapsed < 60
    assert [entry.name for entry in progress.latest] == ["MLP #0", "MLP #0", "MLP #1"]
    assert (progress.latest[-1].status, progress.latest[-1].reason, progress.latest[-1].score) == ("killed", "why", None)


def test_the_best_has_the_lowest_loss_and_failures_have_none():
    tally = Tally()
    for number, score in enumerate([0.5, 0.9, None, 0.7]):
        end(tally, proposal(number), score, status="error" if score is None else "finished")
    assert (tally.best.name, tally.best.score, tally.best.epochs, tally.best.seconds) == ("MLP #1", 0.9, 3, 2.0)
    assert tally.best_numbers() == {0, 1, 3}


def test_folds_count_together():
    tally = Tally()
    end(tally, proposal(0), 0.5, 0.7)
    assert tally.best.score == 0.6
    assert tally.best.seconds == 4.0


def test_baselines_are_on_record_but_never_the_best():
    tally = Tally()
    tally.begin("linear")
    tally.end("linear", [Outcome(0, "finished", score=0.99)], None)
    end(tally, proposal(0), 0.5)
    progress = tally.progress(Limits(None, time.time()), 0)
    assert [entry.name for entry in progress.baselines] == ["linear"]
    assert (progress.ended, progress.best.name) == (1, "MLP #0")


def test_only_a_few_best_and_latest_are_kept_at_hand():
    tally = Tally()
    for number in range(20):
        end(tally, proposal(number), number / 20)
    assert tally.best_numbers() == {15, 16, 17, 18, 19}
    assert [entry.name for entry in tally.progress(Limits(None, time.time()), 0).latest] == [f"MLP #{n}" for n in range(12, 20)]


def test_a_configuration_counts_with_its_latest_rung():
    tally = Tally()
    end(tally, proposal(0), 0.9)
    end(tally, proposal(0, 3, 9), 0.2)
    for number in range(1, 6):
        end(tally, proposal(number), 0.5)
    assert 0 not in tally.best_numbers()


def test_who_goes_on_pushes_nobody_from_the_front_as_its_values_may_get_worse():
    tally = Tally()
    for number in range(2, 7):  # the few best by score alone
        end(tally, proposal(number), 0.9, others=(100.0,))
    end(tally, proposal(0), 0.5, others=(2.0,))
    end(tally, proposal(1), 0.6, others=(1.0,))
    tally.settle(frozenset({0}))
    assert tally.best_numbers() == {0, 2, 3, 4, 5, 6}
    end(tally, proposal(1, 3, 9), 0.4, others=(4.0,))
    tally.settle(frozenset({0, 1}))
    assert tally.best_numbers() == {0, 2, 3, 4, 5, 6}
    end(tally, proposal(7), 0.7, others=(1.0,))
    tally.settle(frozenset({0, 1, 7}))
    assert tally.best_numbers() == {7, 2, 3, 4, 5, 6}


def test_without_further_objectives_the_best_that_are_over_stay_with_all_ties():
    tally = Tally()
    for number, score in enumerate([0.7, 0.7, 0.6, *[0.9] * 5]):
        end(tally, proposal(number), score)
    tally.settle(frozenset({0, 1, 2}))
    assert tally.best_numbers() == {0, 1, 3, 4, 5, 6, 7}
