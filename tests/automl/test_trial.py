import json
import time
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch

import automl.trial
from automl.baselines import baseline_names
from automl.metrics import metric
from automl.training.checkpoint import Checkpoints
from automl.training.course import Ending
from automl.trial import SCORED, Outcome, Status, Trial, run_trials, trial_from_dict, trial_to_dict
from search_spaces.domains import Infeasible
from search_spaces.language import Architecture, Choice, Int
from search_spaces.optimizers import SGD, Constant


class Faulty(Architecture):
    """A user's family that goes wrong."""

    fault: str = Choice("value", "memory", "device memory", "infeasible", "interrupt")
    width: int = Int(1, 9)

    def build(self, inputs, outputs):
        raise {
            "value": ValueError("a mistake in build"),
            "memory": MemoryError(),
            "device memory": torch.OutOfMemoryError("CUDA out of memory"),
            "infeasible": Infeasible("too narrow"),
            "interrupt": KeyboardInterrupt(),
        }[self.fault]


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path)


def a_trial(configuration, **changes):
    return replace(Trial(7, 3, configuration, 5, 0, 2, 9, 0, None), **changes)


def test_a_ladder_of_rungs(toy_task, toy_configuration, checkpoints):
    task, configuration = toy_task(), toy_configuration()
    outcomes = []
    for start, stop in [(0, 1), (1, 3), (3, 9)]:
        [outcome] = run_trials([a_trial(configuration, start=start, stop=stop)], task, checkpoints)
        outcomes.append(outcome)
        assert outcome.trial == 7
        assert outcome.status == "finished"
        assert outcome.epochs == stop
        assert [epoch for epoch, _ in outcome.curve] == list(range(start + 1, stop + 1))
        assert checkpoints.exists(3, 0, stop)
        assert 0 < outcome.seconds < 60
    curve = [score for outcome in outcomes for _, score in outcome.curve]
    assert outcomes[-1].score == max(curve) == curve[outcomes[-1].best_epoch - 1]
    predictions = checkpoints.predictions(3, 0)
    assert metric(task.metric, task.kind).score(task.target[task.folds[0].choose], predictions) == outcomes[-1].score


def test_equal_trials_have_equal_outcomes(toy_task, toy_configuration, tmp_path):
    def run(place):
        [outcome] = run_trials([a_trial(toy_configuration())], toy_task(), Checkpoints(tmp_path / place))
        return replace(outcome, seconds=0, predict_ms=0, peak_bytes=0, utilisation=0)

    assert run("first") == run("second")


@pytest.mark.parametrize(
    ("fault", "status", "reason"),
    [
        ("value", "error", "Faulty.build raised ValueError: a mistake in build (test_trial.py:"),
        ("memory", "out_of_memory", "MemoryError"),
        ("device memory", "out_of_memory", "CUDA out of memory"),
        ("infeasible", "infeasible", "too narrow"),
    ],
)
def test_failures_are_values_and_never_carry_a_score(fault, status, reason, toy_task, toy_configuration, checkpoints):
    configuration = replace(toy_configuration(), architecture=Faulty(fault=fault))
    failed, fine = run_trials([a_trial(configuration), a_trial(toy_configuration(), number=8)], toy_task(), checkpoints)
    assert failed.status == status
    assert reason in failed.reason
    assert failed.score is None
    assert failed.status not in SCORED
    assert fine.status == "finished"


def test_diverged_and_undefined_carry_no_score(toy_task, toy_configuration, checkpoints):
    task = toy_task(target=np.tile([0, 1, 1], 100))
    [undefined] = run_trials([a_trial(toy_configuration())], task, checkpoints)
    assert (undefined.status, undefined.score) == ("error", None)
    broken = toy_task("regression", target=np.full(300, np.nan))
    [diverged] = run_trials([a_trial(toy_configuration("regression"))], broken, checkpoints)
    assert (diverged.status, diverged.score) == ("diverged", None)


def test_interrupts_and_bugs_of_ours_are_raised(toy_task, toy_configuration, checkpoints, monkeypatch):
    configuration = replace(toy_configuration(), architecture=Faulty(fault="interrupt"))
    with pytest.raises(KeyboardInterrupt):
        run_trials([a_trial(configuration)], toy_task(), checkpoints)

    def broken(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(automl.trial, "train", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        run_trials([a_trial(toy_configuration())], toy_task(), checkpoints)


def test_who_has_lost_a_checkpoint_is_trained_anew_with_the_same_weights(toy_task, toy_configuration, checkpoints, tmp_path):
    task, lost = toy_task(), Checkpoints(tmp_path / "lost")
    rungs = [a_trial(toy_configuration(), stop=1, total=3), a_trial(toy_configuration(), start=1, stop=3, total=3)]
    [_, expected] = run_trials(rungs, task, checkpoints)
    [alone] = run_trials(rungs[1:], task, lost)
    clocks = {"seconds": 0.0, "predict_ms": 0.0, "peak_bytes": 0, "utilisation": 0.0}
    assert replace(alone, **clocks) == replace(expected, **clocks)
    assert [epoch for epoch, _ in alone.curve] == [2, 3]
    number = rungs[1].configuration_number
    mine, other = (place.read(number, 0, 3).last for place in (checkpoints, lost))
    assert all(torch.equal(mine[name], other[name]) for name in other)


def test_a_checkpoint_of_an_earlier_rung_is_no_place_to_go_on_from(toy_task, toy_configuration, checkpoints):
    task = toy_task()
    run_trials([a_trial(toy_configuration(), stop=1, total=4)], task, checkpoints)
    [outcome] = run_trials([a_trial(toy_configuration(), start=3, stop=4, total=4)], task, checkpoints)
    assert (outcome.status, outcome.epochs) == ("finished", 4)
    assert [epoch for epoch, _ in outcome.curve] == [4]


def test_trials_share_the_time_to_their_deadline(toy_task, toy_configuration, checkpoints):
    task, deadline = toy_task(rows=9000), time.time() + 2.0
    trials = [a_trial(toy_configuration(), configuration_number=i, stop=900, total=900, deadline=deadline) for i in range(2)]
    outcomes = run_trials(trials, task, checkpoints)
    assert time.time() < deadline + 1
    assert [outcome.status for outcome in outcomes] == ["cut", "cut"]
    assert all(outcome.score is not None and 0.3 < outcome.seconds < 2 for outcome in outcomes)


def test_an_allowance_cuts_like_a_deadline(toy_task, toy_configuration, checkpoints):
    trial = a_trial(toy_configuration(), stop=9000, total=9000, deadline=time.time() + 100, allowance=0.5)
    [outcome] = run_trials([trial], toy_task(rows=3000), checkpoints)
    assert outcome.status == "cut"
    assert outcome.seconds < 2


def test_past_deadlines(toy_task, toy_configuration, checkpoints):
    task = toy_task()
    trials = [a_trial(made_of, deadline=time.time() - 1) for made_of in (toy_configuration(), "boosting")]
    for outcome in run_trials(trials, task, checkpoints):
        assert (outcome.status, outcome.score) == ("timeout", None)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_baselines_are_trials_too(kind, toy_task, checkpoints):
    task = toy_task(kind)
    names = baseline_names(task)
    trials = [a_trial(name, number=i, configuration_number=-1 - i, stop=1, total=1) for i, name in enumerate(names)]
    outcomes = run_trials(trials, task, checkpoints)
    assert [outcome.status for outcome in outcomes] == ["finished"] * 3
    constant, linear, boosting = (outcome.score for outcome in outcomes)
    assert (linear < constant and boosting < constant) if kind == "regression" else (linear > constant and boosting > constant)
    assert [checkpoints.exists(-1 - i, 0, 0) for i in range(3)] == [True, True, False]
    assert all(len(checkpoints.predictions(-1 - i, 0)) == len(task.folds[0].choose) for i in range(3))
    assert all(len(checkpoints.predictions(-1 - i, 0, "report")) == 0 for i in range(3))
    assert outcomes[1].parameters > 0


def test_a_baseline_that_its_library_refuses_is_an_error(toy_task, checkpoints):
    task = toy_task(rows=60, target=np.tile([0, 1, 1], 20), metric="accuracy")
    [outcome] = run_trials([a_trial("linear")], task, checkpoints)
    assert outcome.status == "error"
    assert "ValueError" in outcome.reason


def test_trials_are_json(toy_configuration):
    trial = a_trial(toy_configuration(), deadline=123.25)
    assert trial_from_dict(json.loads(json.dumps(trial_to_dict(trial)))) == trial
    baseline = a_trial("boosting")
    assert trial_from_dict(json.loads(json.dumps(trial_to_dict(baseline)))) == baseline
    own = a_trial(replace(toy_configuration(), architecture=Faulty(width=4)))
    assert trial_from_dict(json.loads(json.dumps(trial_to_dict(own))), (Faulty,)) == own


def test_every_ending_is_a_status():
    assert set(get_args(Ending)) <= set(get_args(Status))
    assert set(get_args(Status)) >= SCORED
    assert Outcome(1, "killed").score is None


def test_a_fold_that_stopped_early_stands_while_others_go_on(toy_task, toy_configuration, checkpoints):
    configuration = toy_configuration(dropout=0.0, optimizer=SGD(lr=2.0), schedule=Constant(), batch_size=8)
    task = toy_task(rows=60)
    [first] = run_trials([a_trial(configuration, stop=50, total=60)], task, checkpoints)
    [second] = run_trials([a_trial(configuration, start=50, stop=60, total=60)], task, checkpoints)
    assert first.status == second.status == "stopped"
    assert first.epochs == second.epochs < 50
    assert first.score == second.score
    number = a_trial(configuration).configuration_number
    checkpoints.discard_before(number, 50)
    assert checkpoints.best(number, 0, second.epochs)
