"""Checkpoints: what training needs to go on, and what of it is kept, in plain files.

    <root>/00012/fold-0/choose.npy              predictions for the choose rows by the best epoch; kept for ever
    <root>/-0003/fold-0/report.npy              a baseline's predictions for the report rows, looked at when the search has ended
    <root>/00012/fold-0/epoch-9/weights.safetensors   the last weights
                               /best.safetensors      the best weights, where they aren't the last
                               /training.safetensors  optimizer and generators
                               /state.json            how far, how well

A folder appears under its name whole or not at all, so a killed process leaves nothing that could be mistaken for a checkpoint.
Checkpoints belong to the study: trials write them, only the study deletes.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from automl.errors import RunError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Weights: TypeAlias = Mapping[str, Tensor]
Role: TypeAlias = Literal["choose", "report"]

_FORMAT = 1
_EPOCH = "epoch-"  # with which the names of checkpoints begin
_UNFINISHED = ".unfinished-"


@dataclass(frozen=True)
class Progress:
    """How far training has come, over all rungs.

    epoch: epochs trained. best_epoch: the first with the best score, 0 while none has one. best_score: in the metric's sign.
    stopped: further epochs can't help. epoch_seconds: of the last epoch, scoring included. curve: (epoch, score).
    """

    epoch: int = 0
    best_epoch: int = 0
    best_score: float | None = None
    stopped: bool = False
    epoch_seconds: float = 0.0
    curve: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Snapshot:
    """Training between two epochs. `best` is `last` itself where the last epoch is the best.

    training: what training needs beside the weights, to go on; empty for what can't be trained on, such as a baseline.
    """

    progress: Progress
    last: Weights
    best: Weights
    training: Weights


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of a run, below one folder."""

    root: Path

    def folder(self, configuration_number: int, fold: int, epoch: int) -> Path:
        """Return where a checkpoint lies, whether it exists or not."""
        return self._fold(configuration_number, fold) / f"{_EPOCH}{epoch}"

    def exists(self, configuration_number: int, fold: int, epoch: int) -> bool:
        """Whether there is such a checkpoint."""
        return (self.folder(configuration_number, fold, epoch) / "state.json").is_file()

    def write(self, configuration_number: int, fold: int, snapshot: Snapshot) -> Path:
        """Write a checkpoint, in the place of one that an earlier, killed process may have left, and return its folder."""
        folder = self.folder(configuration_number, fold, snapshot.progress.epoch)
        try:
            return self._write(folder, snapshot)
        except (OSError, SafetensorError) as error:
            raise RunError(f"{folder} must be writable, with room for a checkpoint, but: {error}") from error

    @staticmethod
    def _write(folder: Path, snapshot: Snapshot) -> Path:
        draft = folder.with_name(f"{_UNFINISHED}{os.getpid()}-{folder.name}")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        best_is_last = snapshot.best is snapshot.last
        save_file(dict(snapshot.last), draft / "weights.safetensors")
        if not best_is_last:
            save_file(dict(snapshot.best), draft / "best.safetensors")
        save_file(dict(snapshot.training), draft / "training.safetensors")
        state = {"format": _FORMAT, "best_is_last": best_is_last, **asdict(snapshot.progress)}
        (draft / "state.json").write_text(json.dumps(state))
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
        return folder

    def read(self, configuration_number: int, fold: int, epoch: int) -> Snapshot:
        """Return a checkpoint. Raises `RunError` where it is missing or damaged."""
        folder = self.folder(configuration_number, fold, epoch)
        state = _state(folder)
        last = _tensors(folder / "weights.safetensors")
        best = last if state["best_is_last"] else _tensors(folder / "best.safetensors")
        known = {entry.name for entry in fields(Progress)}
        values = {name: value for name, value in state.items() if name in known}
        progress = Progress(**{**values, "curve": tuple((epoch, score) for epoch, score in state["curve"])})
        return Snapshot(progress, last, best, _tensors(folder / "training.safetensors"))

    def best(self, configuration_number: int, fold: int, epoch: int) -> Weights:
        """Return the weights of the best epoch up to a checkpoint. Raises `RunError` where it is missing or damaged."""
        folder = self.folder(configuration_number, fold, epoch)
        return _tensors(folder / ("weights.safetensors" if _state(folder)["best_is_last"] else "best.safetensors"))

    def write_predictions(self, configuration_number: int, fold: int, predictions: NDArray[Any], role: Role = "choose") -> None:
        """Keep predictions for choose (or report) rows: probabilities `(rows, classes)` float32, or values `(rows,)` float64."""
        place = self._fold(configuration_number, fold) / f"{role}.npy"
        draft = place.with_name(f"{_UNFINISHED}{os.getpid()}-{place.name}")
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            np.save(draft, predictions, allow_pickle=False)
            draft.replace(place)
        except OSError as error:
            raise RunError(f"{place} must be writable, with room for predictions, but: {error}") from error

    def predictions(self, configuration_number: int, fold: int, role: Role = "choose") -> NDArray[Any]:
        """Return the predictions for the choose (or report) rows by the best epoch.

        Report predictions are kept for baselines only. Raises `RunError` where they are missing or damaged.
        """
        place = self._fold(configuration_number, fold) / f"{role}.npy"
        try:
            predictions: NDArray[Any] = np.load(place, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise RunError(f"{place} must hold predictions, but can't be read: {error}") from error
        return predictions

    def release(self, configuration_number: int) -> None:
        """Delete all weights of a configuration; its predictions stay."""
        for folder in self._folds(configuration_number):
            for entry in folder.iterdir():
                if entry.is_dir():
                    shutil.rmtree(entry, ignore_errors=True)

    def latest(self, configuration_number: int, fold: int, epoch: int) -> int:
        """Return the epoch of the last checkpoint up to `epoch`: a fold that stopped early has none of a rung's last epoch.

        Where there is none, `epoch` itself.
        """
        found = [known for known in _epochs(self._fold(configuration_number, fold)) if known <= epoch]
        return max(found, default=epoch)

    def discard_before(self, configuration_number: int, epoch: int) -> None:
        """Delete the checkpoints of a configuration that lie before `epoch`, but for each fold's last.

        A later one holds the best weights too; a fold that stopped early has no later one.
        """
        for folder in self._folds(configuration_number):
            for known in sorted(_epochs(folder))[:-1]:
                if known < epoch:
                    shutil.rmtree(folder / f"{_EPOCH}{known}", ignore_errors=True)

    def sweep(self) -> None:
        """Delete what killed processes left half written. Call it while nothing trains."""
        for entry in self.root.glob(f"*/fold-*/{_UNFINISHED}*"):
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink(missing_ok=True)

    def _fold(self, configuration_number: int, fold: int) -> Path:
        return self.root / f"{configuration_number:05d}" / f"fold-{fold}"

    def _folds(self, configuration_number: int) -> Iterator[Path]:
        yield from (self.root / f"{configuration_number:05d}").glob("fold-*")


def _epochs(fold: Path) -> Iterator[int]:
    """Yield the epochs of the checkpoints in a fold's folder, in no order."""
    yield from (int(entry.name.removeprefix(_EPOCH)) for entry in fold.glob(f"{_EPOCH}*"))


def _state(folder: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = json.loads((folder / "state.json").read_text())
    except FileNotFoundError:
        raise RunError(f"{folder} must hold a checkpoint, but there is none; it was deleted or never written") from None
    except (OSError, ValueError) as error:
        raise RunError(f"{folder / 'state.json'} must be readable JSON, but isn't: {error}") from error
    if state.get("format") != _FORMAT:
        raise RunError(f"{folder} must be a checkpoint of format {_FORMAT}, got {state.get('format')!r}")
    return state


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path} must hold tensors, but can't be read: {error}") from error
