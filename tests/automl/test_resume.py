"""Searches that are killed: no finished trial is lost or repeated, no process stays behind, and they come to the same end."""

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import uuid
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

import automl
from automl.errors import RunError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes of their own need Linux")

PATIENCE = 120  # seconds, for a machine with better things to do
MARK = "AUTOML_TEST_MARK"

# Slow enough to be killed at work, on any machine.
FAMILY = """
import time
from search_spaces.mlp import MLP

class Slow(MLP):
    def build(self, inputs, outputs):
        time.sleep(0.15)
        return super().build(inputs, outputs)
"""


@pytest.fixture
def place(tmp_path, sales):
    sales().to_csv(tmp_path / "sales.csv", index=False)
    (tmp_path / "slow_family.py").write_text(FAMILY)
    return tmp_path


@pytest.fixture
def slow_family(place, monkeypatch):
    """Return the family's class, in this process."""
    monkeypatch.syspath_prepend(place)
    monkeypatch.delitem(sys.modules, "slow_family", raising=False)
    import slow_family

    return slow_family.Slow


@pytest.fixture
def begin(place):
    """Return a function that starts the command line in a process; all that it leaves behind must carry the mark."""
    mark = uuid.uuid4().hex
    started = []

    def call(*words):
        command = [sys.executable, "-m", "automl", *words, "--family", "slow_family:Slow"]
        environment = {**os.environ, MARK: mark, "PYTHONPATH": str(Path(automl.__file__).parents[1])}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(command, cwd=place, env=environment, **pipes))
        return started[-1]

    yield call
    for process in started:
        process.kill()
        process.communicate()
    assert wait_until(lambda: left_behind(mark) == []), left_behind(mark)


def left_behind(mark):
    """Return the commands of all processes that carry the mark."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if f"{MARK}={mark}".encode() in (entry / "environ").read_bytes():
                    found.append((entry / "cmdline").read_text())
            except OSError:
                continue
    return found


def wait_until(condition):
    until = time.monotonic() + PATIENCE
    while not (met := condition()) and time.monotonic() < until:
        time.sleep(0.02)
    return met


def finished(run):
    """Return what is known of each finished trial, by its number."""
    try:
        with closing(sqlite3.connect(f"{(run / 'run.db').as_uri()}?mode=ro", uri=True)) as connection:
            rows = connection.execute(
                "SELECT trials.number, proposals.number, start, stop, fold, seed, configuration, outcomes.* "
                "FROM outcomes JOIN trials ON trial = trials.number JOIN proposals ON proposal = proposals.id"
            ).fetchall()
    except sqlite3.OperationalError:  # it isn't there yet
        return {}
    return {row[0]: row[1:] for row in rows}


def search(strategy, *more):
    words = ["search", "sales.csv", "--target", "sold", "--out", "run", "--no-baselines", "--strategy", strategy]
    return [*words, "--epochs", "3", "--folds", "1", "--workers", "2", "--executor", "processes", *more]


def stop_after(process, run, trials, how):
    """Send a signal to a search that has finished so many trials, and return the trials finished, its output and errors."""
    assert wait_until(lambda: len(finished(run)) >= trials or process.poll() is not None)
    assert process.poll() is None, process.communicate()[1]
    process.send_signal(how)
    out, err = process.communicate(timeout=PATIENCE)
    return finished(run), out, err


def unrepeated(rows):
    """Whether no part of a training was run twice."""
    spans = [(row[0], row[1], row[3]) for row in rows.values()]  # configuration, start epoch, fold
    return len(spans) == len(set(spans))


def test_a_search_killed_twice_loses_and_repeats_nothing(begin, place):
    run = place / "run"
    first, _, _ = stop_after(begin(*search("tpe", "--n-trials", "12")), run, 3, signal.SIGKILL)
    second, _, _ = stop_after(begin("resume", "run"), run, len(first) + 3, signal.SIGKILL)
    last = begin("resume", "run", "--json")
    out, err = last.communicate(timeout=PATIENCE)
    assert last.returncode == 0, err
    rows = finished(run)
    assert len(first) < len(second) < len(rows)
    assert {number: second[number] for number in first} == first
    assert {number: rows[number] for number in second} == second
    assert unrepeated(rows)
    assert {row[0] for row in rows.values()} == set(range(12))
    board = json.loads(out)["leaderboard"]
    assert len(board) == 12
    assert all(row["status"] in ("finished", "stopped") for row in board)
    assert not list(run.glob("checkpoints/*/*/.unfinished-*"))


def test_a_killed_search_comes_to_the_end_of_one_that_was_left_alone(begin, place, slow_family, tmp_path):
    run = place / "run"
    before, _, _ = stop_after(begin(*search("random", "--n-trials", "6", "--schedule", "full")), run, 2, signal.SIGKILL)
    resumed = automl.search(resume=run, families=[slow_family], verbose=False)
    options = {"n_trials": 6, "epochs": 3, "folds": 1, "executor": "inline", "strategy": "random", "schedule": "full"}
    whole = automl.search(
        place / "sales.csv",
        target="sold",
        families=[slow_family],
        baselines=False,
        out=tmp_path / "whole",
        verbose=False,
        **options,
    )
    columns = ["model", "validation_score", "report_score", "parameters", "epochs", "status"]
    pd.testing.assert_frame_equal(resumed.leaderboard()[columns], whole.leaderboard()[columns])
    after = finished(run)
    assert {number: after[number] for number in before} == before
    assert (resumed.best.predict_proba(place / "sales.csv") == whole.best.predict_proba(place / "sales.csv")).all()


def test_a_running_search_can_be_looked_at_and_ctrl_c_ends_it_with_the_best_so_far(begin, place, slow_family):
    run = place / "run"
    process = begin(*search("tpe", "--n-trials", "300"))
    assert wait_until(lambda: len(finished(run)) >= 3 or process.poll() is not None)
    board = automl.SearchResult.open(run, families=[slow_family]).leaderboard()
    assert len(board) >= 2
    assert board["rank"].notna().all()
    with pytest.raises(RunError, match=f"process {process.pid} on .* is using it"):
        automl.search(resume=run, families=[slow_family])
    rows, out, err = stop_after(process, run, 3, signal.SIGINT)
    assert process.returncode == 0, err
    assert "the search ended: interrupted" in out
    assert "best network: Slow #" in out
    begun = len({row[0] for row in rows.values()})
    automl.search(resume=run, n_trials=begun + 4, families=[slow_family], executor="inline", verbose=False)
    after = finished(run)
    assert {number: after[number] for number in rows} == rows
    assert len(after) > len(rows)
    assert unrepeated(after)


@pytest.mark.parametrize("when", [0.1, 0.4, 0.8, 1.2, 1.6])
@pytest.mark.slow
def test_a_search_killed_at_its_beginning_leaves_nothing_that_is_in_the_way(begin, place, when):
    process = begin(*search("tpe", "--n-trials", "2"))
    time.sleep(when)
    process.kill()
    process.communicate()
    record = place / "run" / "run.db"
    words = ["resume", "run"] if record.is_file() and record.stat().st_size else search("tpe", "--n-trials", "2")
    again = begin(*words)
    _, err = again.communicate(timeout=PATIENCE)
    assert again.returncode == 0, err


def test_a_search_of_the_format_before_is_shown_and_gone_on_with(searched, tmp_path, to_format_2):
    shutil.copytree(searched.path, tmp_path / "run")
    to_format_2(tmp_path / "run")
    before = automl.SearchResult.open(tmp_path / "run")
    assert [entry.score for entry in before.entries] == [entry.score for entry in searched.entries]
    result = automl.search(resume=tmp_path / "run", n_trials=4, verbose=False)
    assert len([entry for entry in result.entries if not entry.is_baseline]) == 4
    hosts = {outcome.host for record in result.run.store.records() for outcome in record.outcomes}
    assert hosts == {"", socket.gethostname()}
