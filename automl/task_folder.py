"""The folder of a task: arrays as .npy files beside task.json; written whole or not at all, read by mapping, without pickle."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from automl.errors import RunError

Array: TypeAlias = NDArray[Any]


def write_arrays(folder: Path, header: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Write the folder; an earlier one is replaced, and a writer that is killed leaves no half of one.

    header: JSON data, without NaN or infinity. arrays: by name, without objects.
    """
    partial, old = (folder.with_name(f"{folder.name}.{state}") for state in ("partial", "old"))
    for leftover in (partial, old):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir(parents=True)
    for name, array in arrays.items():
        np.save(partial / f"{name}.npy", array, allow_pickle=False)
    entire = {**header, "arrays": shapes(arrays)}
    (partial / "task.json").write_text(json.dumps(entire, allow_nan=False, indent=1), encoding="utf-8")
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def read_arrays(folder: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return header and arrays, which are mapped and read-only. Raises `RunError` where the folder is incomplete."""
    try:
        header = json.loads((folder / "task.json").read_text(encoding="utf-8"))
        arrays = {name: _read(folder / f"{name}.npy", dtype, tuple(shape)) for name, (dtype, *shape) in header["arrays"].items()}
    except FileNotFoundError as error:
        raise RunError(f"{folder} must hold a saved task, but {Path(error.filename).name} is missing") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError) as error:
        raise RunError(f"{folder} must hold a saved task, but it can't be read: {error}") from error
    return header, arrays


def shapes(arrays: Mapping[str, Array]) -> dict[str, list[Any]]:
    """Return the type and shape of each array, as JSON data."""
    return {name: [array.dtype.str, *array.shape] for name, array in arrays.items()}


def _read(path: Path, dtype: str, shape: tuple[int, ...]) -> Array:
    # A file without elements can't be mapped. The view drops the subclass, whose indexing is slow.
    array = np.asarray(np.load(path, mmap_mode=None if 0 in shape else "r", allow_pickle=False))
    if array.dtype.str != dtype or array.shape != shape:
        raise ValueError(f"{path.name} holds {array.dtype.str} {array.shape}, expected {dtype} {shape}")
    return array
