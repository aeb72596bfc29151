"""How the driver of a search on a cluster learns what begins where, by whose clock."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

RING = 5.0  # seconds to tell the driver that something begins


class Began(TypedDict):
    """What a worker says before it runs a cohort. node: Ray's id. folder: where it keeps its files."""

    ticket: int
    attempt: int
    node: str
    host: str
    pid: int
    folder: str


class Bell:
    """An actor that workers tell what they begin, and that the driver asks for news."""

    def __init__(self) -> None:
        self._news: list[Began] = []
        self._rung = asyncio.Event()

    async def began(self, what: Began) -> float:
        """Take news, and return the time here: the clocks of nodes differ."""
        self._news.append(what)
        self._rung.set()
        return time.time()

    async def close(self) -> None:
        """Let whoever waits for news go."""
        self._rung.set()

    async def now(self) -> float:
        """Return the time here."""
        return time.time()

    async def news(self) -> list[Began]:
        """Return what came since the last call, as soon as there is something."""
        await self._rung.wait()
        self._rung.clear()
        news, self._news = self._news, []
        return news


def ring(call: Mapping[str, Any], folder: Path) -> float:
    """Tell the driver that a cohort begins here, and return by how many seconds the clock here is ahead of the driver's.

    The driver must know before anything happens that could kill this process.
    """
    import ray

    began: Began = {
        "ticket": call["ticket"],
        "attempt": call["attempt"],
        "node": ray.get_runtime_context().get_node_id(),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "folder": str(folder),
    }
    try:
        there = got(call["bell"].began.remote(began), RING)
    except (ray.exceptions.RayError, TimeoutError):  # without the bell it runs unseen
        return 0.0
    return time.time() - float(there) + float(call["ahead"])


def got(reference: Any, seconds: float | None = None) -> Any:
    """Return what a reference stands for; `TimeoutError` after some seconds.

    While `ray.get` waits, Ray takes a task's CPU for one that begins beside it, in one more process.
    """
    return reference.future().result(timeout=seconds)
