"""What runs on the nodes of a Ray cluster: a cohort of trials in a folder of its own, from the data to files that travel back.

Nothing here holds on to the driver: a worker reads the data once (without a copy, out of the node's object store), trains, and
returns outcomes, predictions and checkpoints as values.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import automl
from automl.errors import RunError
from automl.executors.bell import got
from automl.executors.bell import ring as ring_bell
from automl.executors.files import Files, is_weights, read_files, write_files
from automl.executors.wire import families_from_text, outcome_to_dict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from automl.storage import Storage
    from automl.task import Task
    from automl.trial import Outcome, Trial
    from search_spaces.domains import Families

LOG_BYTES = 200_000  # of what a cohort printed, from its end
_FOLDER = "automl-ray-"  # how the names of folders of workers begin
FETCH = 60.0  # seconds to fetch a checkpoint from another node


@dataclass(frozen=True)
class Job:
    """What all trials of a search share. header, arrays: the task. families: pickled by the driver. storage: URL, or ""."""

    version: str
    header: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]
    families: str
    storage: str


class Answer(TypedDict):
    """What comes back of a cohort. crash: a traceback, of a bug of ours; predictions: files; log: what was printed.

    device_bytes: memory of the GPU that it could use, 0 without one. lost: why it couldn't run here. unkept: why the storage
    didn't take its checkpoints, which come back then.
    """

    outcomes: list[dict[str, Any]]
    crash: str
    predictions: Files
    log: str
    device_bytes: int
    lost: str
    unkept: str


class _Unfit(Exception):
    """What keeps this node from running trials of the search."""


@dataclass(frozen=True)
class _Loaded:
    """A job as this process uses it."""

    key: str
    task: Task
    families: Families
    storage: Storage | None


_loaded: list[_Loaded] = []  # at most one: a worker serves one search at a time


def run_cohort(job: Sequence[Any], trials: Sequence[Mapping[str, Any]], earlier: Sequence[Any], call: Mapping[str, Any]) -> Any:
    """Run a cohort and return its `Answer`, and the checkpoints it leaves (`Files`; in a storage: nothing).

    job: a reference to a `Job`, wrapped so that Ray doesn't read it. earlier: the same of `Files` to go on from, or empty. call:
    the ticket, the attempt, the `Bell`.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix=f"{_FOLDER}{os.getpid()}-"))
    except OSError as error:
        return {**_nothing(), "lost": f"{socket.gethostname()}: {error}"}, {}
    try:
        _see_own_devices()
        with _printing_to(folder / "log"):
            answer, weights = _answered(job, trials, earlier, folder, lambda: ring_bell(call, folder))
        answer["log"] = tail(folder / "log")
        return answer, weights
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _nothing() -> Answer:
    return {"outcomes": [], "crash": "", "predictions": {}, "log": "", "device_bytes": 0, "lost": "", "unkept": ""}


def salvage(folder: str) -> str:
    """Return what a worker that was killed had printed, and delete what it left on this node."""
    path = Path(folder)
    if not path.name.startswith(_FOLDER):
        return ""
    text = tail(path / "log")
    shutil.rmtree(path, ignore_errors=True)
    return text


def tail(path: Path) -> str:
    """Return the end of a text file; "" where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LOG_BYTES))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def _answered(
    job: Sequence[Any], given: Sequence[Mapping[str, Any]], earlier: Sequence[Any], folder: Path, ring: Callable[[], float]
) -> tuple[Answer, Files]:
    from automl.training.checkpoint import Checkpoints
    from automl.trial import run_trials, trial_from_dict

    answer = _nothing()
    try:
        loaded = _load(job)
        ahead = ring()  # only now its time begins: a new worker takes seconds to load
        trials = [_by_own_clock(trial_from_dict(trial, loaded.families), ahead) for trial in given]
        numbers = {trial.configuration_number for trial in trials}
        checkpoints = Checkpoints(folder / "checkpoints")
        write_files(checkpoints.root, _brought(earlier, numbers, loaded.storage))
        outcomes = run_trials(trials, loaded.task, checkpoints)
        _drop_older(checkpoints, trials, outcomes)
        files = read_files(checkpoints.root, numbers)
        if loaded.storage is not None:
            answer["unkept"] = _kept(loaded.storage, numbers, files)
    except (_Unfit, OSError, RunError) as error:
        answer["lost"] = f"{socket.gethostname()}: {error}"
        return answer, {}
    except Exception:  # noqa: BLE001 - the driver raises it
        answer["crash"] = traceback.format_exc()
        return answer, {}
    answer["device_bytes"] = _device_bytes()
    weights = {path: content for path, content in files.items() if is_weights(path)}
    answer["outcomes"] = [outcome_to_dict(outcome) for outcome in outcomes]
    answer["predictions"] = {path: content for path, content in files.items() if path not in weights}
    return answer, weights if loaded.storage is None or answer["unkept"] else {}


def _load(job: Sequence[Any]) -> _Loaded:
    """Return the job, which this process reads once."""
    key = job[0].hex()
    if not _loaded or _loaded[0].key != key:
        from automl.executors.zygote import preload
        from automl.storage import Storage
        from automl.task import Task

        preload()
        _sweep()
        given: Job = got(job[0])
        if given.version != automl.__version__:
            raise _Unfit(f"all nodes must have automl {given.version}, but this one has {automl.__version__}")
        storage = Storage(given.storage) if given.storage else None
        task = Task.of_parts(dict(given.header), dict(given.arrays))
        _loaded[:] = [_Loaded(key, task, families_from_text(given.families), storage)]
    return _loaded[0]


def _sweep() -> None:
    """Delete what workers left here that were killed together with their driver, who would have seen to it."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*"):
        owner = folder.name.removeprefix(_FOLDER).partition("-")[0]
        if owner.isdecimal() and not Path(f"/proc/{owner}").exists() and Path("/proc/self").exists():
            shutil.rmtree(folder, ignore_errors=True)


def _kept(storage: Storage, numbers: set[int], files: Files) -> str:
    """Write files into the storage, and return why that failed, or ""."""
    try:
        storage.keep(numbers, files)
    except RunError as error:
        return str(error)
    return ""


def _brought(earlier: Sequence[Any], numbers: set[int], storage: Storage | None) -> Mapping[str, NDArray[np.uint8]]:
    """Return the checkpoints to go on from; none where the node that held them is gone."""
    import ray

    kept: Mapping[str, NDArray[np.uint8]] = {}
    with contextlib.suppress(RunError):  # the storage isn't there now
        kept = {} if storage is None else storage.kept(numbers)
    if any(is_weights(path) for path in kept):
        return kept
    try:
        return {**kept, **got(earlier[0], FETCH)} if earlier else kept
    except (ray.exceptions.ObjectLostError, TimeoutError):
        return kept


def _drop_older(checkpoints: Any, trials: Sequence[Trial], outcomes: Sequence[Outcome]) -> None:
    """Delete the checkpoints that nobody will go on from."""
    for trial in trials:
        is_done = all(outcome.status in {"finished", "stopped"} for outcome in outcomes)
        checkpoints.discard_before(trial.configuration_number, trial.stop if is_done else trial.start)


def _see_own_devices() -> None:
    """Hide the GPUs of the node from a cohort that asked for none; Ray shows those that it gave to others."""
    import ray

    if not ray.get_gpu_ids():
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def _device_bytes() -> int:
    import torch

    cuda: Any = torch.cuda
    return int(cuda.get_device_properties(0).total_memory) if cuda.is_initialized() else 0


def _by_own_clock(trial: Trial, ahead: float) -> Trial:
    """Return a trial whose deadline is by the clock of this node, `ahead` seconds before the driver's."""
    return trial if trial.deadline is None else replace(trial, deadline=trial.deadline + ahead)


@contextlib.contextmanager
def _printing_to(path: Path) -> Iterator[None]:
    """Let all that this process prints go to a file, also what code in C prints."""
    streams = (sys.stdout, sys.stderr)
    kept = [os.dup(number) for number in (1, 2)]
    with path.open("wb", buffering=0) as file:
        try:
            for number, stream in enumerate(streams, start=1):
                stream.flush()
                os.dup2(file.fileno(), number)
            yield
        finally:
            for number, (stream, own) in enumerate(zip(streams, kept, strict=True), start=1):
                with contextlib.suppress(ValueError):  # a family has closed it
                    stream.flush()
                os.dup2(own, number)
                os.close(own)
