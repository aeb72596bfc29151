"""A search handed to a Ray cluster as a job, as README has it: on loopback, and only what was started here is ended."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from sklearn.datasets import load_iris

import automl

pytestmark = pytest.mark.slow

ROOT = Path(automl.__file__).parents[1]
SECONDS = 240  # for any one command


def free_ports(count):
    with ExitStack() as stack:
        sockets = [stack.enter_context(closing(socket.socket())) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def environment():
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(16),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
    }


class Head:
    """A head node in a session of its own, and what talks to it."""

    def __init__(self, folder):
        port, dashboard, client, agent = free_ports(4)
        self.address = f"http://127.0.0.1:{dashboard}"
        self.environment = environment()
        self.log = folder / "head.log"
        command = ["ray", "start", "--head", "--block", "--num-cpus=2", f"--temp-dir={folder}", f"--port={port}"]
        command += [
            f"--dashboard-port={dashboard}",
            f"--ray-client-server-port={client}",
            f"--dashboard-agent-listen-port={agent}",
        ]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log, start_new_session=True)

    def wait(self):
        until = time.monotonic() + SECONDS
        while "Ray runtime started." not in self.log.read_text(errors="replace"):
            assert self.process.poll() is None, self.log.read_text(errors="replace")
            assert time.monotonic() < until
            time.sleep(0.1)

    def run(self, *words):
        done = subprocess.run(
            list(map(str, words)), env=self.environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def submit(self, *words):
        return self.run("ray", "job", "submit", "--address", self.address, "--", *words)

    def processes(self):
        return [int(path.name) for path in Path("/proc").glob("[0-9]*") if session_of(int(path.name)) == self.process.pid]

    def stop(self):
        """End all that is in the session: `ray stop` would end every Ray of this user."""
        self.process.terminate()
        try:
            self.process.wait(30)
        finally:
            for process in self.processes():
                os.kill(process, signal.SIGKILL)


def session_of(process):
    try:
        return os.getsid(process)
    except OSError:  # it has ended
        return None


@pytest.fixture(scope="module")
def head():
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # paths of sockets must be short
    started = Head(folder)
    try:
        started.wait()
        yield started
    finally:
        started.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def searched(head, tmp_path_factory):
    """Return the folder of a search that ran as a job, and its storage."""
    folder = tmp_path_factory.mktemp("job")
    load_iris(as_frame=True).frame.to_csv(folder / "iris.csv", index=False)
    out, storage = folder / "run", folder / "storage"
    how = ("--n-trials", 3, "--epochs", 2, "--folds", 1, "--strategy", "random", "--schedule", "full", "--family", "MLP")
    data = (folder / "iris.csv", "--target", "target", "--task", "multiclass")
    printed = head.submit("automl", "search", *data, *how, "--cluster", "auto", "--out", out, "--storage", storage)
    assert "succeeded" in printed
    return out, storage


def finished(head, out):
    """Return the networks on the board that were trained, as the command line prints it from outside of the cluster."""
    board = json.loads(head.run("automl", "leaderboard", out, "--json"))
    return [row for row in board["leaderboard"] if row["family"] == "MLP" and row["status"] == "finished"]


def test_a_search_runs_as_a_job(head, searched):
    assert len(finished(head, searched[0])) == 3


def test_another_job_goes_on_from_the_storage_when_the_folder_is_lost(head, searched, tmp_path):
    out = tmp_path / searched[0].name
    head.submit("automl", "resume", out, "--cluster", "auto", "--storage", searched[1], "--n-trials", 4)
    assert len(finished(head, out)) == 4


def test_a_job_that_fails_says_so(head, tmp_path):
    with pytest.raises(AssertionError, match=r"missing\.csv"):
        head.submit("automl", "search", tmp_path / "missing.csv", "--cluster", "auto")


LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}  # as Linux writes addresses


def listened_on(process):
    """Return the addresses that a process listens on, one for each port."""
    opened = {link.readlink().name for link in Path(f"/proc/{process}/fd").iterdir()}
    lines = [line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]]
    return [local.partition(":")[0] for _, local, _, state, *more in lines if state == "0A" and f"socket:[{more[5]}]" in opened]


@pytest.mark.usefixtures("searched")
def test_nothing_listens_beyond_loopback(head):
    addresses = [address for process in head.processes() for address in listened_on(process)]
    assert len(addresses) > 5
    assert set(addresses) <= LOOPBACK
