"""Ray as a search wants it: set up before it is loaded, quiet, and reached without waiting for minutes."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from automl.errors import OptionError

__all__ = ["imported", "is_loud", "quiet", "reach", "restore", "set_up", "silence"]

_ANSWER = 10.0  # seconds for a cluster that is to be joined to answer

# Read by Ray when it starts, in this process and in those that it starts: so they come first.
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",  # of two results of a task that failed, one is never looked at
    "RAY_task_oom_retries": "0",  # otherwise one trial too large is run again for ever; the executor counts
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # a trial without a GPU sees those that its node shows it
}
_JOINED = {
    "RAY_worker_lease_timeout_milliseconds": "10000",  # else workers are given back after 0.5 s, and found again after 0.1
    "RAY_NUM_REDIS_GET_RETRIES": "2",  # twenty times it would try to join what isn't a cluster, or keeps us out
    "RAY_py_gcs_connect_timeout_s": "5",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "86400",  # Ray would end this process when the cluster is gone
}
_ON_LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_OWN = {
    _ON_LOOPBACK: "0",  # what makes all of Ray listen on loopback alone, whatever its name says
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_memory_monitor_refresh_ms": "250",
}
LOGS = "AUTOML_RAY_LOGS"  # set to 1, what Ray has to say is shown


def set_up(address: str) -> dict[str, str | None]:
    """Set the environment in which Ray is to be loaded, and which its processes inherit; what the user has set stands.

    Returns what was there before, for `restore`.
    """
    wanted = _ENVIRONMENT | (_OWN if address == "local" else _JOINED)
    if address != "local" and _has_token():
        wanted["RAY_AUTH_MODE"] = "token"  # Ray uses the token only where it is told to
    before = {name: os.environ.get(name) for name in wanted}
    for name, value in wanted.items():
        os.environ.setdefault(name, value)
    if address == "local" and "ray" in sys.modules:  # it has read this one already
        import ray._private.ray_constants as constants

        constants.ENABLE_RAY_CLUSTER = os.environ[_ON_LOOPBACK] != "0"
    return before


def restore(before: dict[str, str | None]) -> None:
    """Undo `set_up`."""
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)


def imported(address: str) -> Any:
    """Return Ray. Raises `OptionError` where it isn't installed."""
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise OptionError(f"cluster={address!r} needs Ray, which isn't installed: pip install 'automl[ray]' ({error})") from error
    return ray


def _has_token() -> bool:
    """Whether there is a token with which clusters may be joined; where Ray looks for one."""
    named = "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ
    return named or (Path.home() / ".ray" / "auth_token").exists()


def reach(address: str) -> None:
    """Raise `OSError` where nobody listens: Ray would try for minutes."""
    named = os.environ.get("RAY_ADDRESS", "") if address == "auto" else address
    host, _, port = named.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return
    socket.create_connection((host.strip("[]"), int(port)), _ANSWER).close()
    if host in _LOOPBACK and not named.startswith("ray://"):
        import ray

        own = str(cast(Any, ray).util.get_node_ip_address())  # what Ray takes these names for
        try:
            socket.create_connection((own, int(port)), _ANSWER).close()
        except OSError as error:
            raise OSError(f"{error} at {own}:{port}; for a cluster on loopback alone set {_ON_LOOPBACK}=0") from error


def is_loud() -> bool:
    """Whether the user wants to see what Ray has to say."""
    return os.environ.get(LOGS, "") not in ("", "0")


def quiet() -> None:
    """Keep the cluster's own messages from standard output, where `--json` prints; there is no public switch for them."""
    if is_loud():
        return
    import ray._private.worker as driver

    driver.print_to_stdstream = lambda *_, **__: None


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Keep what a shutdown prints from the terminal."""
    logger = logging.getLogger("ray")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
