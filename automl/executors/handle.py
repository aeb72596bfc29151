"""The driver's end of the zygote: starts it, talks to it, ends it. Imports nothing heavy, so that the zygote can start first."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Self

from automl.errors import RunError
from automl.executors.wire import Inbox, pack

# Not `-m automl.executors.zygote`: it must find what this process finds, in the same order, before it imports anything of ours.
_BOOT = """import json, sys
sys.path[:] = json.loads(sys.argv[1])
from automl.executors.zygote import main
main(*map(int, sys.argv[2:]))"""
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",  # its threads would start with numpy, and not live on in a fork
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",  # asking whether there is a GPU must not initialise CUDA before a fork
}
_LAST_WORDS = 1.0  # seconds that a zygote has to end its children
_TAIL = 3000  # characters of the log in an error


class Zygote:
    """A process with torch loaded, which forks one child for each cohort of trials. `start` returns before it is ready.

    control: our end of its socket; when that closes, whatever the reason, the zygote kills its children and goes.
    early: the file that takes what it prints until it is given a log.
    """

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket, early: IO[bytes]) -> None:
        self.control = control
        self._process = process
        self._early = early
        self._inbox = Inbox()
        self._log: tuple[Path, int] | None = None
        self._has_spoken = False

    @classmethod
    def start(cls) -> Self:
        """Start a zygote that imports from where this process does. Raises `RunError` where no Python can be started."""
        path = [str(Path(entry).absolute()) for entry in sys.path]
        control, theirs = socket.socketpair()
        early = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the zygote
        words = [
            sys.executable,
            "-P",
            "-u",
            "-X",
            "faulthandler",
            "-c",
            _BOOT,
            json.dumps(path),
            str(theirs.fileno()),
            str(os.getpid()),
        ]
        try:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter
                words,
                stdin=subprocess.DEVNULL,
                stdout=early,
                stderr=early,
                pass_fds=(theirs.fileno(),),
                env={**os.environ, **_ENVIRONMENT},
                process_group=0,  # Ctrl-C in a terminal is for the driver
            )
        except OSError as error:
            control.close()
            early.close()
            raise RunError(f"sys.executable must be a Python to start workers with, but {sys.executable!r}: {error}") from error
        finally:
            theirs.close()
        return cls(process, control, early)

    def set_up(self, log: Path, message: Mapping[str, Any]) -> None:
        """Send the first message; from now on the zygote prints to `log`, behind what it holds."""
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log = (log, log.stat().st_size if log.exists() else 0)
        self.send({"kind": "setup", "log": str(log), **message})

    def send(self, message: Mapping[str, Any], pipe: int | None = None) -> None:
        """Send a message, and with it a file descriptor. Raises `RunError` if the zygote is gone."""
        data = pack(message)
        try:
            if pipe is not None:
                sent = socket.send_fds(self.control, [data], [pipe])
                data = data[sent:]
            self.control.sendall(data)
        except OSError as error:
            raise self.gone() from error

    def receive(self) -> list[dict[str, Any]]:
        """Return the messages that have come, without waiting. Raises `RunError` if the zygote is gone."""
        messages: list[dict[str, Any]] = []
        try:
            while data := self.control.recv(1 << 16, socket.MSG_DONTWAIT):
                messages += self._inbox.take(data)
        except BlockingIOError:
            self._has_spoken = self._has_spoken or bool(messages)
            return messages
        except OSError as error:
            raise self.gone() from error
        if not messages:
            raise self.gone()
        return messages

    def gone(self) -> RunError:
        """Return the error that says how the zygote ended, with the end of its log."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_LAST_WORDS)
        where = f"; all of it is in {self._log[0]}" if self._log is not None else ""
        return RunError(
            "the process that starts trials must live as long as the search, but it ended with exit code "
            f"{self._process.returncode} and printed:\n{self._printed()}\n(the end of its log{where}); fix what it says, "
            "or run trials in this process with executor='inline'"
        )

    def _printed(self) -> str:
        size = os.fstat(self._early.fileno()).st_size
        text = os.pread(self._early.fileno(), size, 0)  # the position in the file is the zygote's
        if self._log is not None and self._log[0].exists():
            text += self._log[0].read_bytes()[self._log[1] :]
        return text.decode(errors="replace")[-_TAIL:].strip() or "nothing"

    def stop(self) -> None:
        """End the zygote and its children. Stopping twice does nothing."""
        if self._early.closed:
            return
        with contextlib.suppress(RunError):
            self.receive()
        self.control.close()
        try:
            self._process.wait(_LAST_WORDS if self._has_spoken else 0)
        except subprocess.TimeoutExpired:  # it is still loading, or stuck
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._early.close()
