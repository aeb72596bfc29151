"""The folder of a run: everything a search knows, so that it can be resumed, read and turned into models.

run.db         settings, proposals, trials, outcomes (automl.store)
task/          the data as the networks see them (automl.task)
checkpoints/   weights and predictions of each configuration (automl.training.checkpoint)
logs/          what trials printed (automl.executors.logs)
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from automl.database import check_unused
from automl.errors import RunError
from automl.store import Store
from automl.task import Task
from automl.training.checkpoint import Checkpoints
from search_spaces.domains import Families

_OWN = re.compile(r"run\.db(\.lock)?(-wal|-shm|-journal)?|checkpoints|logs")
_OWN_TASK = frozenset({"task", "task.partial", "task.old"})


@dataclass(frozen=True, repr=False)
class Run:
    """An open run. `released` are the configurations whose weights were deleted by this process."""

    path: Path
    store: Store
    task: Task
    checkpoints: Checkpoints
    released: set[int] = field(default_factory=set)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @classmethod
    def create(cls, path: Path, task: Task, settings: dict[str, Any], families: Families = ()) -> Run:
        """Begin a new run in an empty folder."""
        task.save(path / "task")  # before the record: where that is, the run is whole, whenever this is killed
        store = Store.create(path, settings, families)
        return cls(path, store, Task.load(path / "task"), Checkpoints(path / "checkpoints"))

    @classmethod
    def open(cls, path: Path, families: Families = (), *, read_only: bool = False) -> Run:
        """Open the folder of an earlier run. Raises `RunError` where there is none, or another process writes to it."""
        with ExitStack() as stack:
            store = stack.enter_context(Store.open(path, families, read_only=read_only))
            run = cls(path, store, Task.load(path / "task"), Checkpoints(path / "checkpoints"))
            stack.pop_all()
        return run

    def release(self, closed: Iterable[int], keep: frozenset[int]) -> None:
        """Delete the weights of closed configurations, but for those to keep."""
        for number in closed:
            if number not in keep and number not in self.released:
                self.checkpoints.release(number)
                self.released.add(number)


def check_free(path: Path, *, overwrite: bool) -> None:
    """Check that a new run may use the folder `path`.

    Raises `RunError` where it holds another search (unless `overwrite`, and nobody is writing it) or anything that isn't ours.
    """
    if path.exists() and not path.is_dir():
        raise RunError(f"out must be a folder, but {path} is a file; choose another path")
    names = sorted(entry.name for entry in path.iterdir()) if path.exists() else []
    record = path / "run.db"
    # Without a record only what a killed beginning leaves is ours: a task, and nothing that others call by the same names.
    foreign = [name for name in names if not (_is_task(path / name) or (record.exists() and _OWN.fullmatch(name)))]
    if foreign:
        raise RunError(f"out must be an empty folder, but {path} holds {', '.join(foreign[:3])}; choose another path")
    if not record.exists() or not record.stat().st_size:  # an empty record is what a killed beginning leaves
        return
    if not overwrite:
        raise RunError(
            f"out must be an empty folder, but {path} holds another search; go on with it (automl resume, resume=...), "
            "choose another out, or pass overwrite"
        )
    check_unused(record)


def _is_task(folder: Path) -> bool:
    """Whether a folder is called like ours and holds arrays and nothing else."""
    return (
        folder.name in _OWN_TASK
        and folder.is_dir()
        and all(entry.name == "task.json" or entry.suffix == ".npy" for entry in folder.iterdir())
    )


def make_empty(path: Path, *, overwrite: bool) -> None:
    """Make `path` an empty folder. Raises `RunError` as `check_free` does, and where it can't be written."""
    check_free(path, overwrite=overwrite)
    try:
        for entry in path.iterdir() if path.exists() else ():
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"out must be a folder that can be written, but {error}; choose another path") from error
