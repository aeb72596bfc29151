"""A Ray cluster at arm's length: joined or started, looked at, left. Quiet, and where it is our own on loopback alone."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, cast

from automl.errors import OptionError
from automl.executors.base import Node, WorkersGone
from automl.executors.ray_setup import imported, is_loud, quiet, reach, restore, set_up, silence

LOOK = 1.0  # seconds between two looks at the nodes
GONE = 15.0  # seconds without an answer after which a cluster counts as gone
_MOST_CPUS = 8  # made up for each core
_STOPPING, _LEAVING = 2.0, 1.0
_CONNECT = 1.0  # seconds for the head of a cluster that was there to answer


@dataclass(frozen=True)
class Machine:
    """A node of the cluster. id: Ray's. name: its host. resources: by Ray's names (CPU, GPU, memory in bytes), used or not."""

    id: str
    name: str
    resources: Mapping[str, float]

    def node(self, tickets: Iterable[int]) -> Node:
        """Return it as it is shown, with the tickets of what runs there."""
        return Node(self.name, self.resources.get("CPU", 0), self.resources.get("GPU", 0), tuple(tickets))


@dataclass
class Cluster:
    """A connection to a Ray cluster; leave its `with`, and it is closed, and with it a cluster that was started for it.

    address: what the user named. is_own: it was started here. was_connected: the user's program had joined it already.
    before: the environment as it was.
    """

    address: str
    is_own: bool
    was_connected: bool
    before: dict[str, str | None] = field(default_factory=dict)
    _machines: list[Machine] = field(default_factory=list)
    _answered: float = field(default_factory=time.monotonic)
    _watcher: threading.Thread | None = None
    _closed: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def connect(cls, address: str, cpus: int = 0) -> Self:
        """Join a cluster: "auto", "ray://host:port" or "host:port"; or start one of this machine, "local".

        cpus: of a local one, all cores unless given, and no more than eight times as many. Raises `OptionError` where there is
        none, or Ray isn't installed.
        """
        before = set_up(address)
        ray = imported(address)
        if ray.is_initialized():
            restore(before)
            return cls._joined(ray, address)
        told: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": is_loud()}
        if address == "local":
            told |= {"num_cpus": min(cpus or _cores(), _MOST_CPUS * _cores()), "include_dashboard": False}
        try:
            reach(address)
            ray.init(address=address, **told)
        except Exception as error:
            restore(before)
            raise OptionError(_unreachable(address, error)) from error
        quiet()
        return cls(address, is_own=address == "local", was_connected=False, before=before)

    @classmethod
    def _joined(cls, ray: Any, address: str) -> Self:
        """Return the connection that the user's program has already. Raises `OptionError` where another one is meant."""
        if ray.util.client.ray.is_connected():
            known, own = "a client's", address.startswith("ray://")
        else:
            known, own = str(ray.get_runtime_context().gcs_address), False
        if own:
            return cls(address, is_own=False, was_connected=True)
        if address not in ("auto", known):
            raise OptionError(
                f"cluster must be 'auto' where the program is connected to a Ray cluster already ({known}), got {address!r}; "
                "or call ray.shutdown() first"
            )
        return cls(address, is_own=False, was_connected=True)

    @property
    def closing(self) -> float:
        """The seconds that it takes to leave: less where the cluster goes on without us."""
        return _STOPPING if self.is_own else _LEAVING

    def described(self) -> str:
        """Return in one line what the cluster has."""
        machines = self.machines()
        cpus, gpus = (sum(machine.resources.get(name, 0) for machine in machines) for name in ("CPU", "GPU"))
        nodes = "1 node" if len(machines) == 1 else f"{len(machines)} nodes"
        return f"Ray cluster {self.address!r}: {nodes}, {cpus:g} CPUs" + (f", {gpus:g} GPUs" if gpus else "")

    def machines(self) -> list[Machine]:
        """Return the nodes that live, as of a second or two ago. Raises `WorkersGone` after `GONE` seconds without an answer."""
        if self._watcher is None:
            self._look()
            self._watcher = threading.Thread(target=self._watch, name="automl-cluster", daemon=True)
            self._watcher.start()
        if time.monotonic() - self._answered > GONE:
            raise WorkersGone(
                f"the cluster {self.address!r} must be there until the search ends, but hasn't answered for {GONE:g} s; what was "
                "found is in the run's folder: start the cluster again and resume"
            )
        return self._machines

    @property
    def answers(self) -> bool:
        """Whether the head answered a moment ago: else nothing should be asked of Ray that could wait for it."""
        return time.monotonic() - self._answered < 3 * LOOK + _CONNECT

    def _watch(self) -> None:
        """Look at the nodes again and again, in a thread: where the head is gone, Ray may not return for minutes."""
        while not self._closed.wait(LOOK):
            self._look()

    def _look(self) -> None:
        with contextlib.suppress(Exception):  # Ray's errors of lost connections have no common base; the search sees the silence
            if self._is_there():
                import ray

                nodes = cast(Any, ray).nodes()
                self._machines = [_machine(node) for node in nodes if node["Alive"]]
                self._answered = time.monotonic()

    def _is_there(self) -> bool:
        """Whether the head answers. Ray itself would wait for it, longer than a search should."""
        import ray

        if cast(Any, ray).util.client.ray.is_connected():
            return True
        host, _, port = str(ray.get_runtime_context().gcs_address).rpartition(":")
        with contextlib.suppress(OSError), socket.create_connection((host.strip("[]"), int(port)), _CONNECT):
            return True
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        if self.was_connected:
            return
        import ray

        with silence(), contextlib.suppress(Exception):  # it may be gone
            ray.shutdown()
        restore(self.before)


def _machine(node: Mapping[str, Any]) -> Machine:
    return Machine(node["NodeID"], node["NodeManagerHostname"], dict(node["Resources"]))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _unreachable(address: str, error: Exception) -> str:
    root: BaseException = error
    while root.__cause__ is not None:
        root = root.__cause__
    said = " ".join((str(error) if root is error else f"{error} ({root})").split())[:400]
    if address == "auto":
        fix = "start one (ray start --head), submit the search to one (ray job submit), or use cluster='local'"
    elif address == "local":
        fix = "run without cluster= on this machine alone"
    else:
        fix = "check host and port (10001 for ray://), the Ray version, and the token (RAY_AUTH_TOKEN) of the cluster"
    return f"cluster must be a Ray cluster that can be joined, but {address!r}: {type(error).__name__}: {said}; {fix}"
