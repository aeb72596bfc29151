"""The zygote: a process that has loaded what trials need, and forks a child for each cohort in milliseconds.

Not multiprocessing: its forkserver runs the user's script again, and fails where that came from a notebook or from stdin.

A fork copies one thread. So nothing here may start others or compute in parallel: no backward pass, no CUDA. A child may use
CUDA, but each pays for a context of its own, which takes seconds. When the driver goes, however it goes, its end of the socket
closes and the zygote kills its children; when the zygote goes, the kernel does.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import inspect
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections import deque
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from automl.executors.logs import log_of, print_to
from automl.executors.wire import Inbox, families_from_text, outcome_to_dict, pack

if TYPE_CHECKING:
    from automl.task import Task
    from automl.training.checkpoint import Checkpoints
    from search_spaces.domains import Families

_LOOK_UP = 1000  # milliseconds between two looks whether the driver lives, should another process hold its end of the socket
_PR_SET_PDEATHSIG = 1  # from <sys/prctl.h>
_FITTED_BY_SKLEARN = ("linear", "boosting")  # baselines
_OOM_SCORE = "500"  # of 1000: where memory runs out, the system should end a trial, not the search


@dataclass(frozen=True)
class Cohort:
    """Trials as JSON data, the pipe that takes their outcomes, and the file that takes what they print."""

    ticket: int
    trials: list[dict[str, Any]]
    pipe: int
    log: Path


def main(descriptor: int, driver: int) -> NoReturn:
    """Serve the driver, the process of this id, at the other end of the socket of this descriptor, until it goes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=descriptor)
    code = 1
    try:
        preload()
        Forker(control, driver).serve()
        code = 0
    except BaseException:  # noqa: BLE001 - the driver reads it from the log
        traceback.print_exc()
    finally:
        os._exit(code)


def preload() -> None:
    """Load what a child would load otherwise, each for itself."""
    import_module("automl.trial")
    import torch

    torch.set_num_threads(1)
    spare_the_compiler()


def spare_the_compiler() -> None:
    """Take from torch's optimizers what is there for torch.compile only.

    Their first step would load the compiler, which takes as long as all else that a trial needs, and which no trial uses.
    """
    import torch

    for optimizer in [value for value in vars(torch.optim).values() if isinstance(value, type)]:
        for name in ("step", "add_param_group", "zero_grad", "state_dict", "load_state_dict"):
            method: Any = vars(optimizer).get(name)
            bare: Any = method and inspect.unwrap(method)
            if bare is not method:
                setattr(optimizer, name, torch.no_grad()(bare) if name == "step" else bare)


class Forker:
    """Forks a child for each cohort, at most `workers` at the same time, and tells the driver how they ended.

    folder, families, task, checkpoints: there once the driver has sent the first message, which comes before any cohort. folder:
    the run's.
    """

    folder: Path
    families: Families
    task: Task
    checkpoints: Checkpoints

    def __init__(self, control: socket.socket, driver: int) -> None:
        self.control = control
        self.driver = driver
        self.inbox = Inbox()
        self.pipes: deque[int] = deque()
        self.waiting: deque[Cohort] = deque()
        self.running: dict[int, Cohort] = {}
        self.workers = 0
        self.own_id = os.getpid()
        self.libc = ctypes.CDLL(None)
        self.bell, self.rope = socket.socketpair()

    def serve(self) -> None:
        """Do what the driver says until it goes; then kill all children."""
        self.bell.setblocking(False)
        self.rope.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.rope.fileno())
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        poll.register(self.bell, select.POLLIN)
        try:
            while os.getppid() == self.driver:
                ready = [descriptor for descriptor, _ in poll.poll(_LOOK_UP)]
                if self.bell.fileno() in ready:
                    self.bell.recv(1 << 12)
                if self.control.fileno() in ready and not self.listen():
                    return
                self.reap()
                self.start_waiting()
        finally:
            self.kill_all()

    def listen(self) -> bool:
        """Take what the driver has sent; False if it is gone."""
        try:
            data, pipes, _, _ = socket.recv_fds(self.control, 1 << 16, 1)
        except ConnectionResetError:
            return False
        self.pipes.extend(pipes)
        for message in self.inbox.take(data):
            if message["kind"] == "setup":
                self.set_up(message)
            elif message["kind"] == "run":
                log = self.folder / log_of(message["trials"][0]["number"])
                self.waiting.append(Cohort(message["ticket"], message["trials"], self.pipes.popleft(), log))
            else:
                self.kill(message["ticket"])
        return bool(data)

    def set_up(self, message: dict[str, Any]) -> None:
        """Print to the log of the run, and load its task and the user's families, for all children at once."""
        from automl.task import Task
        from automl.training.checkpoint import Checkpoints
        from search_spaces.configuration import FAMILIES

        earlier = os.pread(1, 1 << 20, 0)
        print_to(Path(message["log"]))
        os.write(1, earlier)
        sys.path[:] = message["path"]
        self.folder = Path(message["folder"])
        self.families = (*FAMILIES, *families_from_text(message["families"]))
        self.task = Task.load(Path(message["task"]))
        self.checkpoints = Checkpoints(Path(message["checkpoints"]))
        self.workers = message["workers"]
        gc.collect()
        gc.freeze()  # no child's collector touches, and so copies, what all of them share

    def start_waiting(self) -> None:
        """Fork as many children as there are free workers."""
        while self.waiting and len(self.running) < self.workers:
            cohort = self.waiting.popleft()
            if any(trial["configuration"] in _FITTED_BY_SKLEARN for trial in cohort.trials):
                import_module("sklearn.ensemble")  # once here, not once in each child that fits such a baseline
                import_module("sklearn.linear_model")
            self.libc.fflush(None)  # what C code has kept back would be printed by every child
            try:
                child = os.fork()
            except OSError:  # no memory for one more process, or too many
                traceback.print_exc()
                self.tell({"kind": "ended", "ticket": cohort.ticket, "code": 1})
            else:
                if child == 0:
                    self.live(cohort)
                self.running[child] = cohort
                self.tell({"kind": "started", "ticket": cohort.ticket, "time": time.time()})
            os.close(cohort.pipe)

    def reap(self) -> None:
        """Tell the driver which children have ended."""
        while self.running:
            child, status = os.waitpid(-1, os.WNOHANG)
            if child == 0:
                return
            if child in self.running:
                cohort = self.running.pop(child)
                drop_empty(cohort.log)
                self.tell({"kind": "ended", "ticket": cohort.ticket, "code": os.waitstatus_to_exitcode(status)})

    def tell(self, message: dict[str, Any]) -> None:
        """Send a message to the driver; that it is gone shows at the next look."""
        with contextlib.suppress(OSError):
            self.control.sendall(pack(message))

    def kill(self, ticket: int) -> None:
        """Forget a cohort that waits, or kill its child if it still lives; not yet reaped, its id can't be another's."""
        for cohort in [cohort for cohort in self.waiting if cohort.ticket == ticket]:
            self.waiting.remove(cohort)
            os.close(cohort.pipe)
        for child, own in self.running.items():
            if own.ticket == ticket:
                os.kill(child, signal.SIGKILL)

    def kill_all(self) -> None:
        """Kill all children, and wait until they are gone."""
        for child in self.running:
            os.kill(child, signal.SIGKILL)
        for child, cohort in self.running.items():
            os.waitpid(child, 0)
            drop_empty(cohort.log)

    def live(self, cohort: Cohort) -> NoReturn:
        """Be a child: run a cohort, send what came of it, and end without any clean-up of the zygote's."""
        code = 1
        try:
            self.leave_home()
            with contextlib.suppress(OSError):  # without room for a file of its own it prints to the zygote's
                print_to(cohort.log)
            answer = pack(self.run(cohort))
            with os.fdopen(cohort.pipe, "wb") as pipe:
                pipe.write(answer)
            code = 0
        except SystemExit as ending:
            code = ending.code if isinstance(ending.code, int) else 1
        except BaseException:  # noqa: BLE001 - nothing may climb from here into the zygote's loop
            traceback.print_exc()
        finally:
            self.libc.fflush(None)
            os._exit(code)

    def leave_home(self) -> None:
        """Let go of what is the zygote's, and die when it dies."""
        self.libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self.own_id:
            os._exit(1)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for end in (self.control, self.bell, self.rope):
            end.close()
        for other in self.waiting:
            os.close(other.pipe)
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)

    def run(self, cohort: Cohort) -> dict[str, Any]:
        """Return the message to the driver: outcomes, or a traceback that is our fault."""
        from automl.trial import run_trials, trial_from_dict

        try:
            trials = [trial_from_dict(trial, self.families) for trial in cohort.trials]
            outcomes = run_trials(trials, self.task, self.checkpoints)
        except Exception:  # noqa: BLE001 - the driver raises it
            return {"crash": traceback.format_exc()}
        return {"outcomes": [outcome_to_dict(outcome) for outcome in outcomes]}


def drop_empty(log: Path) -> None:
    """Delete the file of a cohort that printed nothing."""
    with contextlib.suppress(OSError):
        if not log.stat().st_size:
            log.unlink()
