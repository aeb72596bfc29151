"""`automl logs` and `SearchResult.logs`: what became of trials, where they ran and what they printed."""

import json
import os
import socket
import sys

import cloudpickle
import pytest

import automl
from automl.errors import OptionError
from automl.run_folder import Run
from automl.strategies.base import Proposal, Result
from automl.trial import Outcome, Trial
from search_spaces.configuration import Configuration
from search_spaces.mlp import MLP

CRASH = "the process died of signal 11 (SIGSEGV); logs/trial-00003.log says where"


class Loud(MLP):
    """A family that prints."""

    def build(self, inputs, outputs):
        sys.stdout.write("a word from Loud\n")
        os.write(2, b"and one past Python\n")
        return super().build(inputs, outputs)


cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture
def ran(tmp_path, toy_task):
    """Return a run of two folds with two rungs of network 0, network 1 that died, 2 over a limit, 3 at work and a baseline."""
    run = Run.create(tmp_path / "run", toy_task(), {"include_baselines": False})

    def add(proposal, outcomes, span=(0, 3, 9), number=-1):
        first = run.store.next_trial_number()
        made = proposal if isinstance(proposal, str) else proposal.configuration
        run.store.begin(
            proposal, [Trial(first + fold, number, made, 5, *span, fold, None) for fold in range(max(1, len(outcomes)))]
        )
        if outcomes:
            ended = [Outcome(first + fold, *words[:2], **words[2]) for fold, words in enumerate(outcomes)]
            loss = None if ended[0].score is None else -ended[0].score
            violation = ended[0].violation
            result = None if isinstance(proposal, str) else Result(proposal, loss, ended=True, violation=violation)
            run.store.finish(ended, result)

    def network(number, start=0, stop=3):
        return Proposal(number, Configuration(), start, stop, 9)

    here = {"host": "node-a", "device": "cpu", "seconds": 1.25, "score": 0.5}
    add(network(0), [("finished", "", here), ("stopped", "no better for long", {**here, "seconds": 0.5})], number=0)
    add(network(0, 3, 9), [("cut", "the time was over", {**here, "host": "node-b"})], (3, 9, 9), number=0)
    add(network(1), [("killed", CRASH, {"host": "node-b", "seconds": 2.0})], number=1)
    add(network(2), [("infeasible", "over max_parameters", {"violation": 0.5})], number=2)
    add("linear", [("error", "no [/b] of it", {})], (0, 1, 1), number=-2)
    add(network(3), [], number=3)
    run.store.close()
    (run.path / "logs").mkdir()
    (run.path / "logs" / "trial-00000.log").write_text("first\nwords\n")
    (run.path / "logs" / "trial-00003.log").write_bytes("Fatal Python error: Segmentation fault ü \xff\n".encode("latin-1"))
    return run.path


def test_a_network_tells_its_trials_then_what_was_printed(command_line, ran):
    done = command_line("logs", ran, "0")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "MLP #0",
        "epochs 0 to 3 of 9, fold 0: finished (node-a, cpu, 1.25 s)",
        "epochs 0 to 3 of 9, fold 1: stopped (node-a, cpu, 0.50 s): no better for long",
        "epochs 3 to 9 of 9, fold 0: cut (node-b, cpu, 1.25 s): the time was over",
        "",
        "logs/trial-00000.log:",
        "first",
        "words",
    ]
    assert automl.SearchResult.open(ran).logs(0) + "\n" == done.out


def test_a_crash_is_told_with_its_traceback_whatever_its_bytes(command_line, ran):
    done = command_line("logs", ran, "1")
    assert f"epochs 0 to 3 of 9, fold 0: killed (node-b, 2.00 s): {CRASH}" in done.out
    assert "logs/trial-00003.log:\nFatal Python error: Segmentation fault" in done.out


@pytest.mark.parametrize("ways", [["1", "#1", "MLP #1"], ["linear", "-2"]])
def test_a_network_or_baseline_can_be_named_in_several_ways(command_line, ran, ways):
    first, *others = [command_line("logs", ran, way) for way in ways]
    assert (first.code, first.err) == (0, "")
    assert all(other == first for other in others)
    assert "killed" in first.out or first.out.splitlines()[:2] == ["linear", "fold 0: error (0.00 s): no [/b] of it"]


def test_who_printed_nothing_and_who_is_still_at_work(command_line, ran):
    assert command_line("logs", ran, "3").out.splitlines() == [
        "MLP #3",
        "epochs 0 to 3 of 9, fold 0: begun, without an outcome: it runs, waits, or was interrupted",
        "nothing that they printed is on record",
    ]


def test_without_a_number_what_failed_is_listed(command_line, ran):
    done = command_line("logs", ran)
    assert done.code == 0
    assert done.out.splitlines() == ["linear: error: no [/b] of it", f"MLP #1: killed: {CRASH}"]
    assert done.err == f"all of one network: automl logs {ran} linear\n"


def test_json_has_all_of_it(command_line, ran):
    listed = json.loads(command_line("logs", ran, "--json").out)
    assert listed == {
        "path": str(ran),
        "failed": [
            {"number": -2, "model": "linear", "status": "error", "reason": "no [/b] of it"},
            {"number": 1, "model": "MLP #1", "status": "killed", "reason": CRASH},
        ],
    }
    told = json.loads(command_line("logs", ran, "0", "--json").out)
    assert (told["number"], told["model"]) == (0, "MLP #0")
    first, second = told["rungs"]
    assert (first["start"], first["stop"], first["total"], first["log"], first["printed"]) == (
        0,
        3,
        9,
        "logs/trial-00000.log",
        "first\nwords\n",
    )
    assert first["trials"][1] == {
        "trial": 1,
        "fold": 1,
        "status": "stopped",
        "reason": "no better for long",
        "host": "node-a",
        "device": "cpu",
        "seconds": 0.5,
        "peak_memory_bytes": 0,
        "utilisation": 0.0,
    }
    assert (second["start"], second["log"], second["printed"]) == (3, None, "")
    assert json.loads(command_line("logs", ran, "3", "--json").out)["rungs"][0]["trials"][0]["status"] == "begun"


@pytest.mark.parametrize("given", ["12", "#12", "-7", "liner", "", "1.5"])
def test_an_unknown_number_is_refused_with_those_that_there_are(command_line, ran, given):
    done = command_line("logs", ran, given)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(
        "error: number must be that of a network of the search (12 of 'MLP #12') or a baseline's name, got "
    )
    assert repr(given) in done.err
    assert "there are networks 0 to 3, baseline linear" in done.err
    assert ("did you mean 'linear'?" in done.err) == (given == "liner")
    with pytest.raises(OptionError, match="networks 0 to 3"):
        automl.SearchResult.open(ran).logs(given)


def test_an_unknown_option_is_not_taken_for_a_number(command_line, ran):
    done = command_line("logs", ran, "--jsn")
    assert (done.code, done.out) == (2, "")
    assert "--jsn must be an option of automl logs" in done.err


def test_a_search_that_has_not_begun_anything_has_nothing_to_tell(command_line, toy_task, tmp_path):
    Run.create(tmp_path / "run", toy_task(), {"include_baselines": False}).store.close()
    done = command_line("logs", "run")
    assert (done.code, done.out, done.err) == (0, "", "nothing failed\n")
    assert "there are none yet" in command_line("logs", "run", "0").err


@pytest.mark.skipif(sys.platform != "linux", reason="processes of their own need Linux")
def test_what_networks_of_a_search_print_is_found_by_their_numbers(sales, tmp_path):
    options = {
        "n_trials": 2,
        "epochs": 1,
        "folds": 2,
        "families": [Loud],
        "executor": "processes",
        "workers": 2,
        "verbose": False,
    }
    result = automl.search(sales(), target="sold", out=tmp_path / "run", baselines=False, **options)
    for number in (0, 1):
        header, first, second, empty, file, *printed = result.logs(number).splitlines()
        assert (header, empty) == (f"Loud #{number}", "")
        for fold, line in enumerate((first, second)):
            assert line.startswith(f"epochs 0 to 1 of 1, fold {fold}: finished ({socket.gethostname()}, cpu, ")
        assert file.startswith("logs/trial-0000")
        assert set(printed) == {"a word from Loud", "and one past Python"}
    assert automl.SearchResult.open(tmp_path / "run", families=[Loud]).logs("Loud #1") == result.logs(1)


def test_trials_that_ran_inline_printed_elsewhere(searched):
    assert searched.logs("majority").splitlines()[1:] == [
        searched.logs(-1).splitlines()[1],
        "nothing that they printed is on record: trials that run inline print where the search was started",
    ]
