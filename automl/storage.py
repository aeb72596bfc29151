"""A folder that every node of a cluster reaches, by a path or a URL of fsspec: checkpoints, and a copy of the record.

<storage>/run.db            the record, as it was a moment ago
<storage>/task/...          the data as the networks see them
<storage>/checkpoints/...   as in the folder of a run
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from automl.errors import OptionError, RunError
from automl.executors.files import Files, in_order, is_weights

if TYPE_CHECKING:
    from automl.progress import Progress
    from automl.run_folder import Run

_CHECKPOINTS = "checkpoints"
_RECORD = "run.db"
_EVERY = 2.0  # seconds between two copies of the record


class Storage:
    """A place for the files of one search. url: a path, or a URL such as s3://bucket/folder.

    Raises `OptionError` where fsspec doesn't know such a URL, or lacks what it needs for it.
    """

    def __init__(self, url: str) -> None:
        import fsspec

        try:
            self._files, self._root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise OptionError(f"storage must be a folder or a URL that fsspec can open, but {url!r}: {error}") from error
        self.url = url

    def check_free(self, *, overwrite: bool) -> None:
        """Raise `OptionError` where nothing can be written, `RunError` where it holds a search (unless `overwrite`)."""
        try:
            self._files.makedirs(self._root, exist_ok=True)
            self._files.pipe_file(f"{self._root}/.writable", b"")
            self._files.rm_file(f"{self._root}/.writable")
        except Exception as error:  # the libraries behind it raise what they like
            raise OptionError(f"storage must be a folder that can be written, but {self.url!r}: {error}") from error
        if self._has_record() and not overwrite:
            raise RunError(
                f"storage must have no other search of this name, but {self.url} holds one; go on with it (resume), choose "
                "another out, or pass overwrite"
            )

    def keep(self, numbers: Iterable[int], files: Mapping[str, NDArray[np.uint8]]) -> None:
        """Write the files of some configurations; others of them are deleted. Raises `RunError` where that fails."""
        root = f"{self._root}/{_CHECKPOINTS}"
        with self._explained():
            earlier = {path for number in numbers for path in self._paths(f"{root}/{number:05d}")}
            for path in in_order(files):
                self._write(f"{root}/{path}", files[path].tobytes())
            self._forget(earlier - {f"{root}/{path}" for path in files})

    def kept(self, numbers: Iterable[int]) -> Files:
        """Return the files of some configurations. Raises `RunError` where they can't be read."""
        root = f"{self._root}/{_CHECKPOINTS}"
        with self._explained():
            paths = [path for number in numbers for path in self._paths(f"{root}/{number:05d}")]
            return {path[len(root) + 1 :]: np.frombuffer(self._files.cat_file(path), dtype=np.uint8) for path in paths}

    def drop(self, number: int) -> None:
        """Delete the weights of a configuration; its predictions stay. Raises `RunError` where that fails."""
        with self._explained():
            self._forget(self._paths(f"{self._root}/{_CHECKPOINTS}/{number:05d}"))

    def clear(self) -> None:
        """Delete all that an earlier search left here. Raises `RunError` where that fails."""
        with self._explained():
            for name in (_RECORD, "task", _CHECKPOINTS):
                if self._files.exists(f"{self._root}/{name}"):
                    self._files.rm(f"{self._root}/{name}", recursive=True)

    def keep_task(self, run: Path) -> None:
        """Copy the data of a run. Raises `RunError` where that fails."""
        with self._explained():
            for path in sorted((run / "task").iterdir()):
                self._write(f"{self._root}/task/{path.name}", path.read_bytes())

    def keep_record(self, run: Run) -> None:
        """Copy the record of a run as it is now. Raises `RunError` where that fails."""
        with self._explained(), tempfile.TemporaryDirectory(prefix="automl-") as folder:
            copy = Path(folder) / _RECORD
            run.store.copy_to(copy)
            self._write(f"{self._root}/{_RECORD}.new", copy.read_bytes())
            self._files.mv(f"{self._root}/{_RECORD}.new", f"{self._root}/{_RECORD}")

    def restore(self, run: Path) -> None:
        """Make the folder of a run from the copy. Raises `RunError` where there is none."""
        if not self._has_record():
            raise RunError(
                f"{run} must hold a search, or {self.url} a copy of it, but neither does; give the folder of the search"
            )
        with self._explained():
            for path in [*self._paths(f"{self._root}/task"), *self._paths(f"{self._root}/{_CHECKPOINTS}")]:
                self._bring(path, run / path[len(self._root) + 1 :])
            self._bring(f"{self._root}/{_RECORD}", run / f"{_RECORD}.new")  # last, so that it is there when all is
            (run / f"{_RECORD}.new").rename(run / _RECORD)

    def _bring(self, path: str, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(self._files.cat_file(path))

    def _forget(self, paths: Iterable[str]) -> None:
        """Delete files of checkpoints, and the folders that are empty then, where there are such things."""
        gone = [path for path in paths if is_weights(path)]
        for path in gone:
            self._files.rm_file(path)
        for folder in sorted({path.rpartition("/")[0] for path in gone}):
            if not self._paths(folder):
                with contextlib.suppress(OSError):
                    self._files.rmdir(folder)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what the libraries behind it raise, which is anything, into `RunError`."""
        try:
            yield
        except Exception as error:
            said = " ".join(str(error).split())[:300]
            raise RunError(
                f"storage {self.url} must be there as long as the search, but {type(error).__name__}: {said}"
            ) from error

    def _has_record(self) -> bool:
        return bool(self._files.exists(f"{self._root}/{_RECORD}"))

    def _paths(self, folder: str) -> list[str]:
        return sorted(self._files.find(folder)) if self._files.exists(folder) else []

    def _write(self, path: str, content: bytes) -> None:
        self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._files.pipe_file(path, content)


def storage_of(run: Path, url: str | None) -> Storage | None:
    """Return the place of a run in a storage: a folder of its name. Nodes must find it too, so a path is made absolute."""
    if url is None:
        return None
    if url.startswith("memory:"):
        raise OptionError(f"storage must be a folder or a URL that all nodes reach, but {url!r} is in the memory of one process")
    if url.rstrip("/").endswith(":"):
        raise OptionError(f"storage must name a folder or a bucket behind the kind of place (s3://bucket/runs), got {url!r}")
    root = url.rstrip("/") if "://" in url else Path(url).expanduser().absolute().as_posix()
    return Storage(f"{root}/{run.absolute().name}")


class Mirror:
    """A callback of the study that copies the record into a storage, after outcomes, but not too often.

    say: takes lines for the user; where copying fails, it is said once, and tried again with the next outcomes.
    """

    def __init__(self, storage: Storage, run: Run, say: Callable[[Sequence[str]], None]) -> None:
        self._storage = storage
        self._run = run
        self._say = say
        self._is_said = False
        self._ended = -1
        self._next = 0.0

    def __call__(self, progress: Progress) -> None:
        """Copy the record if something ended since the last copy."""
        ended = progress.ended + len(progress.baselines)
        if ended != self._ended and time.monotonic() >= self._next:
            self.copy()
            self._ended, self._next = ended, time.monotonic() + _EVERY

    def copy(self) -> None:
        """Copy the record."""
        try:
            self._storage.keep_record(self._run)
        except RunError as error:
            if not self._is_said:
                self._say([str(error)])
            self._is_said = True
