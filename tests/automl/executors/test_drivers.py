"""Searches are started from anywhere: unguarded scripts, notebooks, stdin. And from programs that are killed."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="processes of their own need Linux")]

ROOT = Path(__file__).parents[3]

# As a user would write it: no guard, families of the script's own and of a module beside it.
SCRIPT = """
import sys
from pathlib import Path

sys.path.append({root!r})
from automl.executors import Workers
from automl.trial import Trial
from search_spaces.configuration import Configuration
from search_spaces.language import Choice
from search_spaces.mlp import MLP
from beside import Beside

WIDE = 3

def helper(inputs):
    return WIDE * len(inputs.numeric)

class Own(MLP):
    flavour: str = Choice("plain", "sweet")

    def build(self, inputs, outputs):
        assert helper(inputs) == 9 and self.flavour == "sweet"
        return super().build(inputs, outputs)

print("once")
folder = Path({folder!r})
configurations = [Configuration(architecture=Own(flavour="sweet")), Configuration(architecture=Beside()), "majority"]
with Workers("processes", (Own, Beside)) as workers:
    executor = workers.executor(folder, 2)
    tickets = [executor.submit([Trial(n, n, made, 5, 0, 1, 1, 0, None)]) for n, made in enumerate(configurations)]
    while tickets:
        for ticket, outcomes in executor.wait(10.0):
            tickets.remove(ticket)
            print(outcomes[0].status, outcomes[0].reason)
"""

BESIDE = """
from search_spaces.mlp import MLP

class Beside(MLP):
    def build(self, inputs, outputs):
        return super().build(inputs, outputs)
"""


@pytest.fixture
def folder(tmp_path, toy_task):
    toy_task().save(tmp_path / "run" / "task")
    (tmp_path / "beside.py").write_text(BESIDE)
    return tmp_path


@pytest.mark.parametrize("way", ["script", "stdin", "command", "notebook"])
def test_trials_run_from(way, folder):
    script = SCRIPT.format(root=str(ROOT), folder=str(folder / "run"))
    (folder / "search.py").write_text(script)
    cell = f"scope = {{'__name__': '__main__', 'In': []}}; exec(compile({script!r}, '<cell>', 'exec'), scope)"
    words, text = {
        "script": ([str(folder / "search.py")], None),
        "stdin": (["-"], script),
        "command": (["-c", script], None),
        "notebook": (["-c", cell], None),
    }[way]
    here = ROOT if way == "script" else folder
    done = subprocess.run(
        [sys.executable, *words], input=text, capture_output=True, text=True, cwd=here, timeout=120, check=False
    )
    assert sorted(done.stdout.split("\n")) == ["", "finished ", "finished ", "finished ", "once"], done.stderr
    assert done.stderr == ""


KILLED = """
import ctypes, sys
from pathlib import Path

from automl.executors import Workers
from automl.trial import Trial
from search_spaces.configuration import Configuration
from search_spaces.mlp import MLP

class Holding(MLP):
    def build(self, inputs, outputs):
        ctypes.PyDLL(None).sleep(600)

workers = Workers("processes", (Holding,))
executor = workers.executor(Path(sys.argv[1]), 2)
for number in range(3):
    executor.submit([Trial(number, number, Configuration(architecture=Holding()), 5, 0, 1, 1, 0, None)])
while not all(cohort.started for cohort in list(executor._cohorts.values())[:2]):
    executor.wait(0.1)
print(workers._zygote._process.pid, flush=True)
executor.wait(600.0)
"""


def living(group):
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


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_nothing_outlives_a_driver_that_is_killed(how, folder):
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder / "run")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as driver:
        group = int(driver.stdout.readline())
        assert len(living(group)) == 3
        driver.send_signal(how)
        driver.communicate()
    until = time.monotonic() + 10
    while living(group) and time.monotonic() < until:
        time.sleep(0.01)
    assert living(group) == []
    assert time.monotonic() < until - 8
