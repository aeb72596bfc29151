"""Where the checkpoints of a search on a cluster lie between two rungs, as its driver sees it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, cast

from automl.errors import RunError
from automl.executors.files import Files, is_weights, read_files, write_files
from automl.storage import Storage

_FETCH = 30.0  # seconds to fetch the weights of a configuration


class Shelf:
    """The checkpoints by the numbers of configurations: in the cluster's memory, or in a storage where there is one.

    checkpoints: the folder of the run, on this machine; what is fetched comes here.
    """

    def __init__(self, checkpoints: Path, storage: Storage | None) -> None:
        self._root = checkpoints
        self._storage = storage
        self._held: dict[int, Any] = {}
        self._stored: set[int] = set()
        self._here: set[int] = set()

    def put(self, number: int, weights: Any, *, is_stored: bool) -> None:
        """Take what a cohort left: a reference to its checkpoints, unless the storage has them already."""
        self._here.discard(number)
        if is_stored:
            self._stored.add(number)
            self._held.pop(number, None)
        else:
            self._held[number] = weights

    def earlier(self, number: int) -> list[Any]:
        """Return a reference to the checkpoints that a configuration goes on from; none where a worker finds them in the storage.

        After a resume they may lie on this machine; where they don't, training begins anew, with the same result.
        """
        import ray

        if number in self._held:
            return [self._held[number]]
        if number in self._stored:
            return []
        local = self._local(number)
        return [ray.put(local)] if local else []

    def fetch(self, number: int) -> bool:
        """Bring checkpoints to this machine unless they are there; False where they are lost. What is slow comes next time."""
        if number in self._here:
            return True
        import ray

        try:
            files = self._fetched(number)
        except (ray.exceptions.GetTimeoutError, RunError):
            return True
        except ray.exceptions.RayError:
            self._held.pop(number, None)
            return False
        write_files(self._root, files)
        self._here.add(number)
        return True

    def _fetched(self, number: int) -> Files:
        """Return the checkpoints of a configuration, from wherever they are; nothing where only this machine may have them."""
        import ray

        if number in self._held:
            return cast(Files, ray.get(self._held[number], timeout=_FETCH))
        if self._storage is None or (number not in self._stored and self._local(number)):
            return {}
        return {path: content for path, content in self._storage.kept([number]).items() if is_weights(path)}

    def _local(self, number: int) -> Files:
        return {path: content for path, content in read_files(self._root, [number]).items() if is_weights(path)}

    def drop(self, number: int) -> None:
        """Let go of checkpoints that nobody will continue. What was fetched stays."""
        self._held.pop(number, None)
        if self._storage is not None and number in self._stored:
            self._stored.discard(number)
            with contextlib.suppress(RunError):  # what is too much there harms nobody
                self._storage.drop(number)
