"""Checkpoints as values that travel: the files of configurations, by their paths below the folder of checkpoints."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Files: TypeAlias = dict[str, NDArray[np.uint8]]  # contents by path with slashes

_LAST = "state.json"  # a checkpoint is there when this is
_DRAFT = ".unfinished-"


def read_files(root: Path, numbers: Iterable[int]) -> Files:
    """Return all files of some configurations."""
    folders = [root / f"{number:05d}" for number in sorted(set(numbers))]
    paths = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file() and _DRAFT not in str(path)]
    return {path.relative_to(root).as_posix(): np.fromfile(path, dtype=np.uint8) for path in paths}


def write_files(root: Path, files: Mapping[str, NDArray[np.uint8]]) -> None:
    """Write files; a checkpoint's folder appears whole or not at all, in the place of an earlier one."""
    for path in [path for path in files if not is_weights(path)]:
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f"{_DRAFT}{target.name}")
        files[path].tofile(draft)
        draft.replace(target)
    for folder in sorted({path.rpartition("/")[0] for path in files if is_weights(path)}):
        target = root / folder
        draft = target.with_name(f"{_DRAFT}{target.name}")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        for path in files:
            if path.rpartition("/")[0] == folder:
                files[path].tofile(draft / path.rpartition("/")[2])
        shutil.rmtree(target, ignore_errors=True)
        draft.rename(target)


def is_weights(path: str) -> bool:
    """Whether a file belongs to a checkpoint, rather than to the predictions beside it."""
    return path.count("/") > 1 and path.split("/")[-2].startswith("epoch-")


def in_order(files: Mapping[str, NDArray[np.uint8]]) -> list[str]:
    """Return the paths in an order for writing where nothing can be renamed: what says that all is there comes last."""
    return sorted(files, key=lambda path: (path.endswith(_LAST), path))
