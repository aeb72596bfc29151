"""Whole searches on a Ray cluster: the same as on one machine, and gone on with wherever they were cut off."""

import dataclasses
import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import psutil
import pytest

import automl
from automl.cli_options import check_ended_well
from automl.errors import OptionError, RunError
from automl.executors.cluster import Cluster
from automl.strategies.base import Proposal

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a made-up Ray cluster needs Linux")

QUICK = {
    "target": "sold",
    "epochs": 3,
    "folds": 1,
    "families": ["MLP"],
    "strategy": "random",
    "portfolio": False,
    "verbose": False,
}


def table(rows=240):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"size": rng.normal(size=rows), "age": rng.integers(18, 80, rows)})
    frame["sold"] = np.where(frame["size"] + 0.3 * rng.normal(size=rows) > 0.5, "yes", "no")
    return frame


def outcomes(result):
    """Return what became of each network, but for clocks, by number and epochs."""
    found = {}
    for record in result.run.store.records():
        if isinstance(record.proposal, Proposal):
            key = record.proposal.number, record.proposal.stop
            clocks = {"trial": 0, "seconds": 0.0, "predict_ms": 0.0, "peak_bytes": 0, "utilisation": 0.0}
            found[key] = [dataclasses.replace(outcome, **clocks) for outcome in record.outcomes]
    return found


@pytest.fixture(scope="module")
def address(made_cluster):
    return made_cluster[0].address


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("storage")


@pytest.fixture(scope="module")
def searched(address, kept, tmp_path_factory):
    out = tmp_path_factory.mktemp("cluster") / "run"
    return automl.search(table(), n_trials=4, cluster=address, storage=kept, schedule="halving", out=out, **QUICK)


def test_a_search_on_a_cluster_is_the_one_on_a_single_machine(searched, tmp_path):
    alone = automl.search(table(), n_trials=4, executor="inline", schedule="halving", out=tmp_path / "run", **QUICK)
    mine, other = outcomes(searched), outcomes(alone)
    both = mine.keys() & other.keys()  # which of them go on depends on the order in which they end
    assert {number for number, _ in both} == {0, 1, 2, 3}
    assert {key: mine[key] for key in both} == {key: other[key] for key in both}
    if searched.best_entry.number == alone.best_entry.number and searched.best_entry.epochs == alone.best_entry.epochs:
        assert np.array_equal(searched.best.predict(table()), alone.best.predict(table()))


def test_the_board_says_where_networks_were_trained(searched):
    board = searched.leaderboard()
    assert set(board["host"]) == {searched.run.store.records()[0].outcomes[0].host}
    assert set(board["device"]) == {"cpu"}
    assert (board["peak_memory_bytes"] > 1e6).all()


def test_a_search_whose_folder_is_lost_goes_on_from_the_storage(searched, address, kept):
    path, before = searched.path, outcomes(searched)
    best = searched.best_entry
    shutil.rmtree(path)
    again = automl.search(resume=path, cluster=address, storage=kept, n_trials=6, verbose=False)
    after = outcomes(again)
    assert {key: after[key] for key in before} == before
    assert {number for number, _ in after} == set(range(6))
    assert {entry.number for entry in again.entries} >= {best.number}
    assert len(again.model(best.number).predict(table())) == len(table())
    with pytest.raises(RunError, match="neither does"):
        automl.search(resume=path.with_name("other"), storage=kept, cluster=address, verbose=False)


def test_a_storage_with_another_search_of_the_name_is_left_alone(searched, address, kept, tmp_path):
    with pytest.raises(RunError, match=r"storage must have no other search of this name, but .*/run holds one; go on with it"):
        automl.search(table(), n_trials=1, cluster=address, storage=kept, out=tmp_path / searched.path.name, **QUICK)


def test_a_cluster_that_goes_away_leaves_the_best_so_far(address, tmp_path, monkeypatch):
    monkeypatch.setattr("automl.executors.cluster.GONE", 1.0)

    def end_of_the_world(progress):
        if progress.ended >= 2:
            monkeypatch.setattr(Cluster, "_is_there", lambda _: False)

    out = tmp_path / "run"
    result = automl.search(table(), time_limit=600, cluster=address, callbacks=[end_of_the_world], out=out, **QUICK)
    assert result.failed
    assert "hasn't answered for 1 s" in result.ended_by
    assert len(result.best.predict(table())) == len(table())
    with pytest.raises(RunError, match="start the cluster again and resume"):
        check_ended_well(result)
    monkeypatch.undo()
    assert not automl.search(resume=out, cluster=address, n_trials=3, time_limit=60, verbose=False).failed


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cluster": "locl"}, r"cluster must be 'auto' .* got 'locl'; did you mean 'local'\?"),
        ({"cluster": 3}, "cluster must be 'auto'"),
        ({"cluster": "http://head:8265"}, "cluster must be 'auto'"),
        ({"storage": "s3://bucket"}, "storage needs a cluster"),
        ({"cluster": "local", "storage": 3}, "storage must be a folder or a URL"),
        ({"cluster": "local", "storage": "no-such://bucket"}, "storage must be a folder or a URL that fsspec can open"),
        ({"cluster": "local", "storage": "/proc/none"}, "storage must be a folder that can be written"),
        ({"cluster": "local", "cpus_per_trial": 0}, "cpus_per_trial must be a positive number of CPUs, got 0"),
        ({"cluster": "local", "cpus_per_trial": 0.0001}, "cpus_per_trial must be at least 0.1 CPUs, got 0.0001"),
        (
            {"cluster": "local", "storage": "s3://"},
            r"storage must name a folder or a bucket .* \(s3://bucket/runs\), got 's3://'",
        ),
        ({"cluster": "local", "gpus_per_trial": "all"}, "gpus_per_trial must be a number of GPUs or 'auto', got 'all'"),
        ({"cluster": "local", "gpus_per_trial": 1.5}, "gpus_per_trial must be a part of one GPU or a whole number, got 1.5"),
        ({"cluster": "localhost:1"}, r"must be 'auto' where the program is connected .* got 'localhost:1'; or call ray.shutdown"),
        ({"gpus_per_trial": 1}, "gpus_per_trial needs a cluster"),
        ({"cluster": "local", "executor": "inline"}, "executor says where on this machine trials run: leave 'inline' out"),
    ],
)
def test_what_is_said_wrongly_of_a_cluster_is_refused(given, message, tmp_path):
    with pytest.raises(OptionError, match=message):
        automl.search(table(), n_trials=1, out=tmp_path / "run", **QUICK, **given)
    assert not (tmp_path / "run").exists()


def test_a_cluster_that_nobody_answers_for_is_said_to_be_missing_at_once(monkeypatch):
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(OptionError, match=r"'localhost:1': ConnectionRefusedError: .*; check host and port"):
        Cluster.connect("localhost:1")


def test_what_never_fits_is_refused_before_a_search_is_overwritten(searched, monkeypatch):
    before = sorted(path.name for path in searched.path.rglob("*"))
    monkeypatch.setattr(Cluster, "connect", classmethod(lambda cls, address, _: cls(address, is_own=True, was_connected=True)))
    given = {"cluster": "local", "gpus_per_trial": 1, "out": searched.path, "overwrite": True}
    with pytest.raises(OptionError, match=r"must fit on this machine, but a trial takes 1 CPU and 1 GPU, .* ask for less"):
        automl.search(table(), n_trials=1, **given, **QUICK)
    assert sorted(path.name for path in searched.path.rglob("*")) == before


LOCAL = """
import json, psutil, automl
from pathlib import Path

def look(progress):
    for process in psutil.Process().children(recursive=True):
        seen.add(process.pid)
        try:
            heard.update(at.laddr.ip for at in process.net_connections("tcp") if at.status == "LISTEN")
        except psutil.Error:
            pass

seen, heard = set(), set()
result = automl.search("rows.csv", target="sold", n_trials=1, epochs=1, folds=1, families=["MLP"], cluster="local", workers=1,
    baselines=False, callbacks=[look], verbose=False, out="run")
print(json.dumps([sorted(seen), sorted(heard), result.best_entry.name]))
"""


def test_a_cluster_of_ones_own_is_quiet_hears_nobody_else_and_leaves_nothing(tmp_path, monkeypatch):
    table().to_csv(tmp_path / "rows.csv", index=False)
    monkeypatch.delenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", raising=False)
    done = subprocess.run([sys.executable, "-c", LOCAL], capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False)
    assert done.stderr == ""
    seen, heard, best = json.loads(done.stdout)
    assert best == "MLP #0"
    assert len(seen) > 3
    assert set(heard) <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
    assert not [pid for pid in seen if psutil.pid_exists(pid)]
