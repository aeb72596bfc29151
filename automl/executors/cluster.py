"""A Ray cluster at arm's length: joined or started, looked at, left. Quiet, and where it is our own on loopback alone."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, cast

from automl.errors import OptionError
from automl.executors.base import Node, WorkersGone

LOOK = 1.0  # seconds between two looks at the nodes
GONE = 15.0  # seconds without an answer after which a cluster counts as gone
_CONNECT = 1.0
_SECONDS = 30  # to wait for a cluster that was named
_HEAD = "node:__internal_head__"

# Read by Ray when it starts, in this process and in those that it starts: so they come first.
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",  # of two results of a task that failed, one is never looked at
    "RAY_task_oom_retries": "0",  # otherwise one trial too large is run again for ever; the executor counts
    "RAY_gcs_rpc_server_reconnect_timeout_s": "86400",  # Ray would end this process when the cluster is gone
    "RAY_gcs_server_request_timeout_seconds": "10",
    "RAY_worker_lease_timeout_milliseconds": "10000",  # else workers are given back after 0.5 s, and found again after 0.1
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # a trial without a GPU sees those that its node shows it
}
_OWN = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # what makes all of Ray listen on loopback alone, whatever its name says
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_memory_monitor_refresh_ms": "250",
}
LOGS = "AUTOML_RAY_LOGS"  # set to 1, what Ray has to say is shown


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
    """

    address: str
    is_own: bool
    was_connected: bool
    _machines: list[Machine] = field(default_factory=list)
    _looked: float = -1e9
    _answered: float = field(default_factory=time.monotonic)

    @classmethod
    def connect(cls, address: str, workers: int = 0) -> Self:
        """Join a cluster: "auto", "ray://host:port" or "host:port"; or start one of this machine, "local".

        workers: CPUs of a local one, all cores unless given. Raises `OptionError` where there is none, or Ray isn't installed.
        """
        ray = imported(address)
        if ray.is_initialized():
            return cls(address, is_own=False, was_connected=True)
        told: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": _is_loud()}
        if address == "local":
            told |= {"num_cpus": workers or _cores(), "include_dashboard": False}
        try:
            ray.init(address=address, **told)
        except Exception as error:
            raise OptionError(_unreachable(address, error)) from error
        _quiet()
        return cls(address, is_own=address == "local", was_connected=False)

    def described(self) -> str:
        """Return in one line what the cluster has."""
        machines = self.machines()
        cpus, gpus = (sum(machine.resources.get(name, 0) for machine in machines) for name in ("CPU", "GPU"))
        nodes = "1 node" if len(machines) == 1 else f"{len(machines)} nodes"
        return f"Ray cluster {self.address!r}: {nodes}, {cpus:g} CPUs" + (f", {gpus:g} GPUs" if gpus else "")

    def machines(self) -> list[Machine]:
        """Return the nodes that live, as of a second ago at most.

        Raises `WorkersGone` where the cluster doesn't answer for `GONE` seconds.
        """
        now = time.monotonic()
        if now - self._looked < LOOK:
            return self._machines
        self._looked = now
        try:
            if self._is_there():
                import ray

                nodes = cast(Any, ray).nodes()
                self._machines = [_machine(node) for node in nodes if node["Alive"]]
                self._answered = time.monotonic()
        except Exception as error:
            if not _is_lost(error):
                raise
        if time.monotonic() - self._answered > GONE:
            raise WorkersGone(
                f"the cluster {self.address!r} must be there until the search ends, but hasn't answered for {GONE:g} s; what was "
                "found is in the run's folder: start the cluster again and resume"
            )
        return self._machines

    def _is_there(self) -> bool:
        """Whether the head answers. Ray itself would wait for it, longer than a search should."""
        import ray

        if self.address.startswith("ray://"):
            return bool(cast(Any, ray).util.client.ray.is_connected())
        host, _, port = str(ray.get_runtime_context().gcs_address).rpartition(":")
        with contextlib.suppress(OSError), socket.create_connection((host.strip("[]"), int(port)), _CONNECT):
            return True
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.was_connected:
            return
        import ray

        with _silence(), contextlib.suppress(Exception):  # it may be gone
            ray.shutdown()


def imported(address: str) -> Any:
    """Return Ray, set up before it is loaded. Raises `OptionError` where it isn't installed."""
    if "ray" not in sys.modules:
        for name, value in (_ENVIRONMENT | (_OWN if address == "local" else {})).items():
            os.environ.setdefault(name, value)
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise OptionError(f"cluster={address!r} needs Ray, which isn't installed: pip install 'automl[ray]' ({error})") from error
    return ray


def _machine(node: Mapping[str, Any]) -> Machine:
    return Machine(node["NodeID"], node["NodeManagerHostname"], dict(node["Resources"]))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _unreachable(address: str, error: Exception) -> str:
    said = " ".join(str(error).split())[:300]
    if address == "auto":
        fix = "start one (ray start --head), submit the search to one (ray job submit), or use cluster='local'"
    elif address == "local":
        fix = "run without cluster= on this machine alone"
    else:
        fix = "check host and port (10001 for ray://), the Ray version, and the token (RAY_AUTH_TOKEN) of the cluster"
    return f"cluster must be a Ray cluster that can be joined, but {address!r}: {type(error).__name__}: {said}; {fix}"


def _is_lost(error: Exception) -> bool:
    return isinstance(error, ConnectionError | OSError | TimeoutError) or type(error).__module__.startswith(("ray", "grpc"))


def _is_loud() -> bool:
    return os.environ.get(LOGS, "") not in ("", "0")


def _quiet() -> None:
    """Keep the cluster's own messages from standard output, where `--json` prints; there is no public switch for them."""
    if _is_loud():
        return
    import ray._private.worker as driver

    driver.print_to_stdstream = lambda *_, **__: None


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep what a shutdown prints from the terminal."""
    import logging

    logger = logging.getLogger("ray")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
