"""What goes wrong in a process of its own stays there, and nothing is left of it."""

import ctypes
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import cloudpickle
import pytest
import torch

from automl.errors import OptionError, RunError
from automl.executors import Workers, default_executor
from automl.executors.handle import Zygote
from automl.executors.inline import InlineExecutor
from search_spaces.configuration import Configuration
from search_spaces.language import Architecture, Choice
from search_spaces.mlp import MLP

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes of their own need Linux")

DEEDS = ("none", "hang", "hold", "segfault", "kill", "exit", "print", "print in c", "print and exit", "look")


class Wild(Architecture):
    """A family that does to its process whatever it is told to."""

    deed: str = Choice(*DEEDS)

    def build(self, inputs, outputs):
        if self.deed == "hang":
            time.sleep(600)
        elif self.deed == "hold":
            ctypes.PyDLL(None).sleep(600)  # without letting another thread of Python run
        elif self.deed == "segfault":
            ctypes.string_at(0)
        elif self.deed == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.deed == "exit":
            sys.exit(3)
        elif self.deed == "print":
            sys.stdout.write("a word from a child\n")
            sys.stderr.write("another\n")
        elif self.deed == "print in c":
            ctypes.CDLL(None).puts(b"a word from C")
        elif self.deed == "print and exit":
            sys.stderr.write("last words\n")
            sys.exit(4)
        elif self.deed == "look":
            raise ValueError(f"threads {torch.get_num_threads()} cuda {torch.cuda.is_initialized()} parent {os.getppid()}")
        return MLP().build(inputs, outputs)


cloudpickle.register_pickle_by_value(sys.modules[__name__])


def running(group):
    """Return the processes of a process group that live."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, _, own = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
            except OSError:
                continue
            if int(own) == group and state != "Z":
                found.append(int(entry.name))
    return found


def wait_until(condition, seconds=60):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.01)
    return False


def collect(executor, count, seconds=60):
    ended, until = {}, time.monotonic() + seconds
    while len(ended) < count and time.monotonic() < until:
        ended.update(executor.wait(1.0))
    return ended


def group(executor):
    return executor._zygote._process.pid


@pytest.fixture(scope="module")
def place(make_executor):
    executor, folder = make_executor("processes", (Wild,), workers=2)
    with executor:
        yield executor, folder
    assert running(group(executor)) == []


@pytest.fixture
def executor(place):
    return place[0]


@pytest.fixture
def wild(trial):
    return lambda number, deed, **changes: trial(number, Configuration(architecture=Wild(deed=deed)), **changes)


def run(executor, *trials):
    ticket = executor.submit(trials)
    return collect(executor, 1)[ticket]


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        ("segfault", "signal 11 (SIGSEGV); logs/trial-{first:05}.log says where"),
        ("kill", "was killed (signal 9)"),
        ("exit", "ended itself with exit code 3; it printed nothing"),
        ("print and exit", "ended itself with exit code 4; logs/trial-{first:05}.log may say why"),
    ],
)
def test_a_child_that_dies_is_an_outcome_for_its_whole_cohort(executor, wild, deed, reason):
    innocent = executor.submit([wild(0, "none")])
    first = 100 + DEEDS.index(deed)
    guilty = executor.submit([wild(first, "none"), wild(2, deed)])
    ended = collect(executor, 2)
    assert [outcome.status for outcome in ended[innocent]] == ["finished"]
    assert [(outcome.trial, outcome.status, outcome.score) for outcome in ended[guilty]] == [
        (first, "killed", None),
        (2, "killed", None),
    ]
    assert all(reason.format(first=first) in outcome.reason for outcome in ended[guilty])


def logs(folder):
    """Return what each file of a run's logs holds, but for that of the zygote."""
    return {path.name: path.read_text() for path in (folder / "logs").iterdir() if path.name != "workers.log"}


def test_the_log_of_a_cohort_says_where_it_crashed(place, wild):
    executor, folder = place
    run(executor, wild(300, "segfault"))
    assert "Segmentation fault" in logs(folder)["trial-00300.log"]
    assert "Segmentation fault" not in (folder / "logs" / "workers.log").read_text()


def test_each_cohort_prints_to_a_file_of_its_own_and_not_to_the_terminal(place, wild, capfd):
    executor, folder = place
    assert [outcome.status for outcome in run(executor, wild(310, "print"), wild(311, "print in c"))] == ["finished"] * 2
    assert run(executor, wild(123456, "print"))[0].status == "finished"
    assert capfd.readouterr() == ("", "")
    assert wait_until(lambda: "a word from C" in logs(folder)["trial-00310.log"])  # C code's words come out at the end
    assert logs(folder)["trial-00310.log"] == "a word from a child\nanother\na word from C\n"
    assert logs(folder)["trial-123456.log"] == "a word from a child\nanother\n"
    assert "trial-00311.log" not in logs(folder)


def test_who_runs_again_prints_behind_what_it_printed_before(place, wild):
    executor, folder = place
    for _ in range(2):
        run(executor, wild(320, "print"))
    assert logs(folder)["trial-00320.log"] == "a word from a child\nanother\n" * 2


def test_who_prints_nothing_leaves_no_file(place, wild):
    executor, folder = place
    run(executor, wild(330, "none"))
    run(executor, wild(331, "kill"))
    run(executor, wild(332, "hang", deadline=time.time() + 0.1))
    assert wait_until(lambda: not {"trial-00330.log", "trial-00331.log", "trial-00332.log"} & set(logs(folder)))


def test_without_room_for_a_file_a_trial_runs_and_prints_to_the_zygotes(make_executor, wild):
    executor, folder = make_executor("processes", (Wild,), workers=1)
    (folder / "logs" / "trial-00001.log").mkdir()
    with executor:
        assert run(executor, wild(1, "print"))[0].status == "finished"
    assert "a word from a child" in (folder / "logs" / "workers.log").read_text()


def test_a_trial_that_hangs_is_killed_alone_after_its_deadline(executor, wild):
    assert run(executor, wild(0, "none"))[0].status == "finished"
    begun, deadline = time.time(), time.time() + 0.3
    late = executor.submit([wild(1, "hold", deadline=deadline), wild(2, "none", deadline=deadline - 0.2)])
    other = executor.submit([wild(3, "none", deadline=None)])
    assert list(collect(executor, 1)) == [other]
    ended = collect(executor, 1)[late]
    assert [(outcome.trial, outcome.status) for outcome in ended] == [(1, "timeout"), (2, "timeout")]
    assert "1 s after its deadline" in ended[0].reason
    assert 1.2 < time.time() - begun < 3.0
    assert 1.0 < sum(outcome.seconds for outcome in ended) < 3.0


def test_a_trial_that_hangs_is_killed_after_its_allowance_counted_from_its_own_start(executor, wild):
    begun = time.time()
    ticket = executor.submit([replace(wild(1, "hang", deadline=begun + 100), allowance=0.2)])
    [outcome] = collect(executor, 1)[ticket]
    assert outcome.status == "timeout"
    assert 1.2 < time.time() - begun < 4.0


def test_waiting_lasts_as_long_as_it_is_told_to(executor, wild):
    executor.submit([wild(1, "hang", deadline=time.time() + 0.5)])
    begun = time.monotonic()
    assert executor.wait(0.2) == []
    assert 0.2 <= time.monotonic() - begun < 0.5
    assert len(collect(executor, 1)) == 1


def test_a_worker_that_gets_free_begins_the_next_cohort_without_the_driver(executor, wild):
    tickets = [executor.submit([wild(number, "print")]) for number in range(3)]
    assert executor.room() == 0
    time.sleep(1.0)
    begun = time.monotonic()
    ended = {}
    while len(ended) < 3:
        ended.update(executor.wait(0.0))
    assert time.monotonic() - begun < 0.1
    assert sorted(ended) == tickets


def test_a_child_has_one_thread_no_cuda_and_the_zygote_as_parent(executor, wild):
    (outcome,) = run(executor, wild(1, "look"))
    assert f"threads 1 cuda False parent {group(executor)}" in outcome.reason
    assert len(list(Path(f"/proc/{group(executor)}/task").iterdir())) == 1


def test_ctrl_c_is_for_the_driver(executor, wild):
    ticket = executor.submit([wild(1, "hang", deadline=time.time() + 0.5)])
    assert wait_until(lambda: len(running(group(executor))) == 2)
    assert group(executor) != os.getpgrp()
    os.killpg(group(executor), signal.SIGINT)
    assert collect(executor, 1)[ticket][0].status == "timeout"


def test_a_cohort_may_be_larger_than_any_buffer(executor, wild):
    trials = [wild(number, "exit") for number in range(2000)]
    assert [outcome.trial for outcome in run(executor, *trials)] == list(range(2000))


def test_cohorts_leave_no_descriptors_open(executor, wild):
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - no Path is wanted
    for deed in ("none", "kill", "none"):
        run(executor, wild(1, deed))
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_stopping_kills_what_runs(make_executor, wild):
    executor, folder = make_executor("processes", (Wild,))
    with executor:
        for number, deed in enumerate(["hang", "hold", "none"]):
            executor.submit([wild(number, deed)])
        assert wait_until(lambda: len(running(group(executor))) == 3)
        executor.wait(0.0)
        begun = time.monotonic()
        executor.stop()
        assert time.monotonic() - begun < 1.0
        assert running(group(executor)) == []
        assert logs(folder) == {}


def test_a_zygote_that_dies_is_an_error_with_its_log_and_takes_its_children_along(make_executor, wild):
    executor, folder = make_executor("processes", (Wild,), workers=1)
    with executor:
        done = executor.submit([wild(0, "none")])
        held = executor.submit([wild(1, "hold")])
        assert list(collect(executor, 1)) == [done]
        assert wait_until(lambda: executor.wait(0.0) == [] and executor._cohorts[held].started)
        os.kill(group(executor), signal.SIGKILL)
        (folder / "logs" / "workers.log").write_text("its last words")
        with pytest.raises(RunError, match=r"(?s)ended with exit code -9 and printed:.*its last words.*workers.log"):
            collect(executor, 1)
        assert wait_until(lambda: running(group(executor)) == [])
        with pytest.raises(RunError, match="exit code -9"):
            executor.submit([wild(2, "none")])
    assert (folder / "logs" / "workers.log").exists()


def test_a_family_that_the_zygote_can_not_import_is_an_error_that_names_its_module(make_executor, wild, monkeypatch, tmp_path):
    (tmp_path / "vanishing.py").write_text("from search_spaces.mlp import MLP\nclass Gone(MLP):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    import vanishing

    (tmp_path / "vanishing.py").unlink()
    executor, _ = make_executor("processes", (vanishing.Gone,))
    with executor:
        executor.submit([wild(0, "none")])
        with pytest.raises(RunError, match="No module named 'vanishing'"):
            collect(executor, 1)


def test_a_family_that_can_not_be_sent_is_an_error_before_anything_starts(make_executor):
    import threading

    class Holding(MLP):
        lock = threading.Lock

        def build(self, inputs, outputs):
            return guard

    guard = threading.Lock()
    with pytest.raises(OptionError, match=r"families must be fit to be sent to other processes, but Holding: cannot pickle"):
        make_executor("processes", (Holding,))


def test_a_python_that_can_not_be_started_is_an_error(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(RunError, match=r"must be a Python to start workers with.*/nowhere/python"):
        Zygote.start()


def test_workers_that_are_not_needed_end_at_once():
    with Workers("processes") as workers:
        started = workers._zygote._process.pid
        assert running(started) == [started]
        begun = time.monotonic()
    assert time.monotonic() - begun < 0.5
    assert running(started) == []


def test_other_systems_run_trials_inline_and_say_so(monkeypatch, tmp_path, toy_task):
    assert default_executor() == "processes"
    toy_task().save(tmp_path / "task")
    for platform in ("darwin", "win32"):
        monkeypatch.setattr(sys, "platform", platform)
        assert default_executor() == "inline"
        with Workers("processes") as workers:
            assert isinstance(workers.executor(tmp_path, 4), InlineExecutor)
        assert f"need Linux, this is {platform}" in workers.notice
    with Workers("inline") as workers:
        assert workers.notice == ""
