"""What every executor promises, whatever it runs trials in."""

import dataclasses
import socket
import sys
import time

import cloudpickle
import numpy as np
import pytest

from automl.errors import RunError
from automl.executors.base import TrialCrashed
from search_spaces.configuration import Configuration
from search_spaces.language import Architecture, Choice
from search_spaces.mlp import MLP

linux = pytest.mark.skipif(sys.platform != "linux", reason="processes of their own need Linux")


class Wry(Architecture):
    """A family that makes mistakes."""

    mistake: str = Choice("raise", "none")

    def build(self, inputs, outputs):
        if self.mistake == "raise":
            raise ValueError("wry as ever")
        return MLP().build(inputs, outputs)


# A test module can't be imported by its name; a user's script can't either, but is pickled whole without being told to.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module", params=["inline", pytest.param("processes", marks=linux), pytest.param("ray", marks=linux)])
def place(request, make_executor):
    executor, folder = make_executor(request.param, (Wry,))
    with executor:
        yield executor, folder


@pytest.fixture
def executor(place):
    return place[0]


def collect(executor, tickets, seconds=60):
    ended, until = {}, time.monotonic() + seconds
    while set(tickets) - set(ended) and time.monotonic() < until:
        ended.update(executor.wait(1.0))
    assert set(ended) == set(tickets)
    return ended


def run(executor, *trials):
    ticket = executor.submit(trials)
    return collect(executor, [ticket])[ticket]


def without_clock(outcomes):
    varying = {"seconds": 0.0, "predict_ms": 0.0, "peak_bytes": 0, "utilisation": 0.0}
    return [dataclasses.replace(outcome, **varying) for outcome in outcomes]


def test_waiting_for_nothing_returns_at_once(executor):
    begun = time.monotonic()
    assert executor.wait(10.0) == []
    assert time.monotonic() - begun < 1


def test_a_cohort_has_an_outcome_for_each_trial_in_order(executor, trial):
    outcomes = run(executor, trial(8), trial(3), trial(5, "majority"))
    assert [outcome.trial for outcome in outcomes] == [8, 3, 5]
    assert {outcome.status for outcome in outcomes} == {"finished"}
    assert all(outcome.seconds > 0 for outcome in outcomes)


def test_outcomes_say_where_trials_ran_and_what_they_took(executor, trial):
    late = trial(9, deadline=time.time() - 0.5)
    ran, baseline, never = run(executor, trial(8), trial(3, "majority"), late)
    for outcome in (ran, baseline):
        assert (outcome.host, outcome.device) == (socket.gethostname(), "cpu")
        assert 1 << 20 < outcome.peak_bytes < 1 << 40
        assert 0 < outcome.utilisation <= 1
    assert (never.host, never.device, never.peak_bytes, never.utilisation) == ("", "", 0, 0.0)


def test_there_is_room_for_one_more_than_can_run(executor, trial):
    tickets = []
    while executor.room():
        tickets.append(executor.submit([trial(20 + len(tickets), "majority")]))
    assert len(set(tickets)) == len(tickets) >= 1
    assert all(len(outcomes) == 1 for outcomes in collect(executor, tickets).values())
    assert executor.room() == len(tickets)


def test_outcomes_and_files_equal_those_of_a_trial_in_this_process(place, make_executor, trial):
    executor, folder = place
    reference, reference_folder = make_executor("inline")
    first = trial(40)
    further = dataclasses.replace(first, number=41, start=2, stop=3, total=3)
    with reference:
        expected = [run(reference, dataclasses.replace(first, total=3)), run(reference, further)]
    got = [run(executor, dataclasses.replace(first, total=3)), run(executor, further)]
    assert [without_clock(outcomes) for outcomes in got] == [without_clock(outcomes) for outcomes in expected]
    files = sorted(path.relative_to(reference_folder) for path in (reference_folder / "checkpoints").rglob("*.npy"))
    assert files
    for file in files:
        assert np.array_equal(np.load(folder / file), np.load(reference_folder / file))


def test_a_users_family_and_its_mistakes_are_outcomes(executor, trial):
    good = trial(50, Configuration(architecture=Wry(mistake="none")))
    bad = trial(51, Configuration(architecture=Wry(mistake="raise")))
    first, second = run(executor, good, bad)
    assert first.status == "finished"
    assert (second.status, second.score) == ("error", None)
    assert "wry as ever" in second.reason


def test_nodes_are_those_of_a_cluster(executor):
    assert [(node.cpus, node.gpus, node.tickets) for node in executor.nodes()] in ([], [(2.0, 0, ())])
    assert executor.news() == []


def test_a_passed_deadline_is_an_outcome(executor, trial):
    (outcome,) = run(executor, trial(60, deadline=time.time() - 0.5))
    assert outcome.status in {"timeout", "cut"}
    assert outcome.trial == 60


def test_a_bug_is_raised_with_its_traceback_and_the_executor_goes_on(executor, trial):
    executor.submit([trial(70), trial(71, fold=99)])
    with pytest.raises(TrialCrashed, match=r"(?s)running trials \[70, 71\] raised.*_run.*IndexError"):
        collect(executor, [0])
    assert run(executor, trial(72, "majority"))[0].status == "finished"


@pytest.mark.parametrize("kind", ["inline", pytest.param("processes", marks=linux), pytest.param("ray", marks=linux)])
def test_stopping_twice_and_submitting_afterwards(kind, make_executor, trial):
    executor, _ = make_executor(kind)
    with executor:
        executor.submit([trial(0)])
        executor.stop()
        executor.stop()
        assert executor.room() == 0
        assert executor.wait(1.0) == []
        with pytest.raises(RunError, match="was stopped; make another"):
            executor.submit([trial(1)])
