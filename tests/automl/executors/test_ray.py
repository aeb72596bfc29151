"""Nodes and workers of a Ray cluster die, and no finished trial is lost. The contract that all executors share is elsewhere."""

import ctypes
import dataclasses
import os
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

import cloudpickle
import numpy as np
import psutil
import pytest

from automl.executors import cohorts
from automl.executors.base import WorkersGone
from automl.executors.cluster import Cluster, Machine
from automl.executors.files import read_files
from automl.executors.ray import RayExecutor, Terms
from automl.executors.shares import Packing
from automl.executors.wire import families_to_text
from search_spaces.configuration import Configuration
from search_spaces.language import Architecture, Choice
from search_spaces.mlp import MLP, Plain

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a made-up Ray cluster of several nodes needs Linux")

MARKS = Path(tempfile.mkdtemp(prefix="marks-"))  # files by which trials and tests tell each other something
SECONDS = 90.0


class Wild(Architecture):
    """A family that does to its worker whatever it is told to."""

    deed: str = Choice("kill", "kill once", "hold", "wait", "memory", "look")

    def build(self, inputs, outputs):
        sys.stdout.write(f"a word before: {self.deed}\n")
        sys.stdout.flush()
        once = MARKS / "killed"
        if self.deed == "kill" or (self.deed == "kill once" and not once.exists()):
            once.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.deed == "look":
            raise ValueError(f"devices {os.environ.get('CUDA_VISIBLE_DEVICES')!r}")
        elif self.deed == "hold":
            ctypes.PyDLL(None).sleep(600)  # without letting another thread of Python run
        elif self.deed == "memory":
            held = [np.ones(2**24) for _ in range(200)]
            time.sleep(600 + len(held))
        while self.deed == "wait" and not (MARKS / "go").exists():
            time.sleep(0.02)
        return MLP().build(inputs, outputs)


cloudpickle.register_pickle_by_value(sys.modules[__name__])
WIDE = Configuration(architecture=MLP(blocks=(Plain(width=256), Plain(width=256))))  # more than Ray keeps beside the driver


@pytest.fixture(autouse=True)
def no_marks():
    for mark in MARKS.iterdir():
        mark.unlink()


@pytest.fixture
def place(make_executor):
    executor, folder = make_executor("ray", (Wild,), workers=0)
    with executor:
        yield executor, folder


@pytest.fixture
def join(made_cluster):
    """Return a function that adds a node to the one of two CPUs; it is gone after the test."""
    made, cluster = made_cluster
    joined = []

    def add(**resources):
        joined.append(made.add_node(**resources))
        wait_until(lambda: len(cluster.machines()) == len(made.list_all_nodes()))
        return joined[-1]

    yield add
    for added in joined:
        if added in made.list_all_nodes():
            made.remove_node(added)
    wait_until(lambda: len(cluster.machines()) == 1)


@pytest.fixture
def node(join):
    """Return a second node of two CPUs."""
    return join(num_cpus=2)


def wait_until(condition):
    until = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def collect(executor, *tickets):
    ended, until = {}, time.monotonic() + SECONDS
    while set(tickets) - set(ended):
        ended.update(executor.wait(0.2))
        assert time.monotonic() < until
    return [ended[ticket] for ticket in tickets]


def wild(deed):
    return Configuration(architecture=Wild(deed=deed))


def comparable(outcomes):
    return [dataclasses.replace(o, seconds=0.0, predict_ms=0.0, peak_bytes=0, utilisation=0.0, host="") for o in outcomes]


def rungs(trial, number):
    """Return two trials of one network: an epoch, and the one after it."""
    first = dataclasses.replace(trial(number, WIDE), stop=1)
    return first, dataclasses.replace(first, number=number + 1, start=1, stop=2)


def in_turn(executor, trials):
    return [comparable(collect(executor, executor.submit([each]))[0]) for each in trials]


def reference(make_executor, *trials):
    executor, folder = make_executor("inline", (Wild,))
    with executor:
        return in_turn(executor, trials), folder


def at_work(executor, node_id=None):
    return [ticket for node in executor.nodes() for ticket in node.tickets if node_id in {None, node.name}]


def test_a_killed_worker_is_replaced_and_its_trial_runs_again(place, make_executor, trial):
    executor, folder = place
    outcomes = collect(executor, executor.submit([trial(1, wild("kill once"))]))[0]
    (expected,), _ = reference(make_executor, trial(1, wild("kill once")))
    assert comparable(outcomes) == expected
    assert executor.news() == [f"#1 runs again: its process died on {socket.gethostname()}"]
    executor.stop()  # logs of what was killed come when they come
    assert (folder / "logs" / "trial-00001.log").read_text() == "a word before: kill once\n" * 2


def test_a_trial_that_kills_every_worker_fails(place, trial, monkeypatch):
    monkeypatch.setattr(cohorts, "RETRIES", 1)
    executor, folder = place
    ((outcome,),) = collect(executor, executor.submit([trial(2, wild("kill"))]))
    assert (outcome.status, outcome.reason) == ("killed", f"its process died on {socket.gethostname()}, 2 times")
    assert outcome.seconds > 0
    executor.stop()
    assert (folder / "logs" / "trial-00002.log").read_text() == "a word before: kill\n" * 2


def test_a_hung_trial_is_killed_run_again_and_ends_as_timeout(place, trial):
    executor, _ = place
    hung = dataclasses.replace(trial(3, wild("hold")), allowance=0.2)
    ((outcome,),) = collect(executor, executor.submit([hung]))
    assert (outcome.status, outcome.reason) == ("timeout", "it was still running after its time and had to be killed, 2 times")


def test_what_never_began_has_no_time(place, trial):
    executor, _ = place
    blocking = [executor.submit([trial(10 + i, wild("wait"))]) for i in range(2)]
    wait_until(lambda: executor.wait(0.1) == [] and len(at_work(executor)) == 2)
    ((outcome,),) = collect(executor, executor.submit([trial(12, deadline=time.time() + 0.5)]))
    assert (outcome.status, outcome.reason, outcome.seconds) == ("timeout", "no worker was free before its deadline", 0)
    (MARKS / "go").touch()
    assert {outcomes[0].status for outcomes in collect(executor, *blocking)} == {"finished"}


@pytest.mark.parametrize(("workers", "free", "room"), [(0, 4, 6), (3, 3, 3), (4, 4, 6), (5, 4, 6)])
def test_no_more_run_at_the_same_time_than_asked_for(make_executor, monkeypatch, workers, free, room):
    two = [Machine(name, name, {"CPU": 2.0, "memory": 2.0**40}) for name in ("one", "other")]
    with make_executor("ray", workers=workers)[0] as executor:
        monkeypatch.setattr(Cluster, "machines", lambda _: two)
        assert (executor.free(), executor.room()) == (free, room)


def test_a_node_that_is_killed_loses_no_trial_and_one_that_joins_is_used(place, node, join, made_cluster, make_executor, trial):
    executor, _ = place
    made, cluster = made_cluster
    assert executor.room() == 6
    trials = [trial(20 + i, wild("wait")) for i in range(4)]
    tickets = [executor.submit([each]) for each in trials]
    wait_until(lambda: executor.wait(0.1) == [] and len(at_work(executor)) == 4)
    made.remove_node(node, allow_graceful=False)
    wait_until(lambda: executor.wait(0.1) == [] and len(cluster.machines()) == 1)
    assert executor.room() == 0
    join(num_cpus=3)
    wait_until(lambda: executor.wait(0.1) == [] and len(at_work(executor)) == 4)
    assert [len(each.tickets) for each in executor.nodes()] == [2, 2]
    (MARKS / "go").touch()
    expected, _ = reference(make_executor, *trials)
    assert [comparable(outcomes) for outcomes in collect(executor, *tickets)] == expected
    news = executor.news()
    assert len(news) == 2
    assert all("runs again: its node died" in line for line in news)


def test_checkpoints_that_died_with_their_node_are_trained_again(place, node, made_cluster, make_executor, trial):
    executor, folder = place
    made, cluster = made_cluster
    blocking = [executor.submit([trial(30 + i, wild("wait"))]) for i in range(2)]
    wait_until(lambda: executor.wait(0.1) == [] and len(at_work(executor)) == 2)
    first, further = rungs(trial, 32)
    tickets = [executor.submit([dataclasses.replace(first, number=34 + i, configuration_number=34 + i)]) for i in range(4)]
    begun = collect(executor, executor.submit([first]), *tickets)[0]
    made.remove_node(node, allow_graceful=False)
    (MARKS / "go").touch()
    collect(executor, *blocking)
    wait_until(lambda: len(cluster.machines()) == 1)
    gone_on = collect(executor, executor.submit([further]))[0]
    expected, inline = reference(make_executor, first, further)
    assert [comparable(begun), comparable(gone_on)] == expected
    executor.keep(frozenset(), frozenset({32}))
    assert_equal_files(folder, inline, 32)


def assert_equal_files(folder, other, number):
    mine, theirs = (read_files(root / "checkpoints", [number]) for root in (folder, other))
    same = [path for path in theirs if path.endswith((".npy", "epoch-2/weights.safetensors", "epoch-2/training.safetensors"))]
    assert len(same) == 3
    assert all(np.array_equal(mine[path], theirs[path]) for path in same)


def test_checkpoints_go_through_a_storage(tmp_path, make_executor, trial):
    executor, folder = make_executor("ray", (Wild,), storage=f"file://{tmp_path}/kept")
    trials = rungs(trial, 40)
    with executor:
        expected, inline = reference(make_executor, *trials)
        assert in_turn(executor, trials) == expected
        stored = sorted(path.name for path in (tmp_path / "kept/checkpoints/00040/fold-0").iterdir())
        assert stored == ["choose.npy", "epoch-2"]
        executor.keep(frozenset({40}), frozenset({40}))
        assert_equal_files(folder, inline, 40)
        executor.keep(frozenset({40}), frozenset())
        assert [path.name for path in (tmp_path / "kept").rglob("*") if path.is_file()] == ["choose.npy"]


def test_a_storage_that_goes_away_loses_nothing(tmp_path, make_executor, trial):
    (tmp_path / "kept").write_text("a file in the place of the folder")
    executor, folder = make_executor("ray", (Wild,), storage=f"{tmp_path}/kept")
    trials = rungs(trial, 90)
    with executor:
        expected, inline = reference(make_executor, *trials)
        assert in_turn(executor, trials) == expected
        executor.keep(frozenset(), frozenset({90}))
        assert_equal_files(folder, inline, 90)
        (said,) = executor.news()
    assert "kept must be there as long as the search" in said
    assert said.endswith("checkpoints stay in the memory of the cluster meanwhile")


def test_several_trials_share_a_gpu_and_others_see_none(made_cluster, join, tmp_path, toy_task, trial):
    join(num_cpus=3, num_gpus=1)
    toy_task().save(tmp_path / "task")
    looks = {}
    for gpus in (0.5, 0.0):
        terms = Terms(0, families_to_text((Wild,)), "", Packing(1.0, gpus, uses_gpu=True))
        with RayExecutor(tmp_path, made_cluster[1], terms) as executor:
            looks[gpus] = collect(executor, *(executor.submit([trial(80 + i, wild("look"))]) for i in range(2)))
            if gpus:
                assert executor.room() == 3  # two on the GPU, and one waits
                assert sorted(node.gpus for node in executor.nodes()) == [0, 1]
    seen = {gpus: [outcome.reason for (outcome,) in outcomes] for gpus, outcomes in looks.items()}
    assert all("devices '0'" in reason for reason in seen[0.5])
    assert all("devices ''" in reason for reason in seen[0.0])


def test_a_trial_out_of_memory_is_an_outcome(made_cluster, join, tmp_path, toy_task, trial, monkeypatch):
    monkeypatch.setattr(cohorts, "RETRIES", 0)
    memory = psutil.virtual_memory()
    threshold = 1 - (memory.available - 2**30) / memory.total
    monkeypatch.setenv("RAY_memory_usage_threshold", f"{threshold:.3f}")
    join(num_cpus=3)
    toy_task().save(tmp_path / "task")
    terms = Terms(0, families_to_text((Wild,)), "", Packing(3.0, 0.0, uses_gpu=False))
    with RayExecutor(tmp_path, made_cluster[1], terms) as executor:
        assert executor.room() == 2
        ((outcome,),) = collect(executor, executor.submit([trial(50, wild("memory"))]))
    assert (outcome.status, outcome.reason) == (
        "out_of_memory",
        f"its node ran out of memory, and it was killed on {socket.gethostname()}",
    )


def test_nothing_is_left_of_what_is_stopped(make_executor, trial):
    executor, _ = make_executor("ray", (Wild,), workers=0)
    with executor:
        for i in range(3):
            executor.submit([trial(60 + i, wild("hold"))])
        wait_until(lambda: executor.wait(0.1) == [] and len(at_work(executor)) == 2)
        begun = [cohort.began for cohort in executor._cohorts.values() if cohort.began is not None]
        stopping = time.monotonic()
    assert time.monotonic() - stopping < 5
    wait_until(lambda: not any(psutil.pid_exists(began["pid"]) for began in begun))
    assert not any(Path(began["folder"]).exists() for began in begun)


def test_a_cluster_that_is_gone_is_said_to_be(make_executor, trial, monkeypatch):
    executor, _ = make_executor("ray", (Wild,))
    with executor:
        executor.submit([trial(70, wild("wait"))])
        monkeypatch.setattr("automl.executors.cluster.GONE", 1.0)
        monkeypatch.setattr(Cluster, "_is_there", lambda _: False)
        with pytest.raises(WorkersGone, match=r"must be there until the search ends, but hasn't answered for 1 s"):
            collect(executor, 0)
