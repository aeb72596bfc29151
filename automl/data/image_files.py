"""Where images and their labels lie on disk: a folder with one subfolder for each class, an .npz file, a column of paths."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from automl.data.names import listed
from automl.errors import DataError, nearest

if TYPE_CHECKING:
    import pandas as pd

Array: TypeAlias = NDArray[Any]

_USUAL = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".webp", ".avif", ".jp2")
ENDINGS = (*_USUAL, ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".ico", ".heic", ".heif")
ROLES = ("train", "test", "validation")  # parts of data, the one that is read unless another is wanted first
_ROLES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_X, _Y = frozenset({"x", "image", "images", "data"}), frozenset({"y", "label", "labels", "target", "targets"})
_CLASSES = "classes"
_ADDRESS = re.compile(r"\w{2,}://")
_SOME = 20  # cells of a column that tell whether it holds paths


def is_image_path(value: object) -> bool:
    """Return whether a value is a path or text that ends like a file of an image."""
    return isinstance(value, (str, os.PathLike)) and Path(value).suffix.lower() in ENDINGS


# ------------------------------------------------------------------------------------------------------------------ folders


@dataclass(frozen=True)
class Folder:
    """The images of a folder: absolute paths, the class of each, which part they are, and the folders of other parts."""

    paths: list[str]
    labels: list[str]
    notices: tuple[str, ...]
    part: str = "train"
    parts: Mapping[str, Path] = field(default_factory=dict)


def read_folder(root: Path) -> Folder:
    """Return the images of `root/CLASS/...`, or of `root/train/CLASS/...` with the folders val and test beside it as parts.

    The name of a subfolder is the class of all images below it, at any depth. So is train beside other folders, unless it holds
    folders itself (CIFAR-100 has trains). Raises `DataError` where there are no images.
    """
    folders = _subfolders(root)
    parts = {_ROLES[folder.name.lower()]: folder for folder in folders if folder.name.lower() in _ROLES}
    are_parts = all(folder.name.lower() in _ROLES for folder in folders) or ("train" in parts and _subfolders(parts["train"]))
    if parts and are_parts:
        part = next(role for role in ROLES if role in parts)
        beside = {role: folder for role, folder in parts.items() if role != part}
        others = [folder.name for folder in folders if folder not in parts.values()]
        notices = (
            (f"{root.name}: the folders {listed(others)} are neither train, val nor test; they are left out",) if others else ()
        )
        own = _read_classes(parts[part])
        return Folder(own.paths, own.labels, (*notices, *own.notices), part, beside)
    return _read_classes(root)


def all_images(root: Path) -> list[str]:
    """Return the absolute paths of all images in a folder and below, sorted. Raises `DataError` where there are none."""
    paths, _, _ = _walk(root)
    if not paths:
        raise DataError(f"{root}: must hold images ({', '.join(ENDINGS)}), got none")
    return paths


def _read_classes(root: Path) -> Folder:
    folders = _subfolders(root)
    paths, labels, empty = [], [], []
    beside = [entry.name for entry in sorted(root.iterdir()) if entry.is_file() and not entry.name.startswith(".")]
    others, hidden = list(beside), sum(entry.name.startswith(".") for entry in root.iterdir())
    for folder in folders:
        found, left_out, skipped = _walk(folder)
        paths += found
        labels += [folder.name] * len(found)
        others += [os.path.join(folder.name, name) for name in left_out]  # noqa: PTH118 (for showing)
        hidden += skipped
        if not found:
            empty.append(folder.name)
    inner = [entry.name for entry in _subfolders(root / labels[0]) if _walk(entry)[0]] if len(set(labels)) == 1 else []
    if len(inner) > 1:
        raise DataError(
            f"{root}: must hold a folder for each class, but has {labels[0]!r} alone, with folders in it; name that one"
        )
    if not paths:
        got = f"{len(beside)} files beside each other" if beside else "none"
        fix = "; give a table with a column of paths and one of labels" if any(map(is_image_path, beside)) else ""
        raise DataError(f"{root}: must hold a subfolder of images for each class, got {got}{fix}")
    return Folder(paths, labels, tuple(_notices(root.name, others, hidden, empty)))


def _notices(name: str, others: Sequence[str], hidden: int, empty: Sequence[str]) -> list[str]:
    notices = []
    if others or hidden:
        shown = [f"{listed(others)} (no images in a class's folder)"] if others else []
        shown += [f"{hidden} hidden"] if hidden else []
        number = len(others) + hidden
        notices.append(f"{name}: {number} {'file is' if number == 1 else 'files are'} left out: {' and '.join(shown)}")
    if empty:
        notices.append(f"{name}: the folders {listed(empty)} hold no images; they are no classes")
    return notices


def _subfolders(root: Path) -> list[Path]:
    try:
        return sorted(entry for entry in root.iterdir() if entry.is_dir() and not _is_hidden(entry.name))
    except OSError as error:
        raise DataError(f"{root}: must be a folder that can be read, but {error}") from error


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _walk(root: Path) -> tuple[list[str], list[str], int]:
    """Return the images below a folder, absolute and sorted, the other files, and how many are hidden."""
    images, others, hidden, seen = [], [], 0, set()
    for folder, folders, names in os.walk(root.absolute(), followlinks=True):
        real = os.path.realpath(folder)
        folders[:] = [] if real in seen else sorted(name for name in folders if not _is_hidden(name))
        if real in seen:  # a link to a folder above would go round for ever
            continue
        seen.add(real)
        for name in sorted(names):
            if _is_hidden(name):
                hidden += 1
            elif is_image_path(name):
                images.append(os.path.join(folder, name))  # noqa: PTH118 (a Path for each of a million files takes minutes)
            else:
                others.append(name)
    return images, others, hidden


# -------------------------------------------------------------------------------------------------------------- npz files


def read_npz(path: Path) -> dict[str, Array]:
    """Return the arrays of an .npz file by name, or that of an .npy file, mapped, under "".

    Raises `DataError` where the file can't be read, or holds objects of Python.
    """
    if not path.exists():
        beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError(f"{path}: must be a file, there is none of this name{nearest(path.name, beside)}")
    is_single = path.suffix.lower() == ".npy"
    if not is_single and not zipfile.is_zipfile(path):
        raise DataError(f"{path}: must be an .npz file, as np.savez writes it")
    try:
        if is_single:
            return {"": np.load(path, mmap_mode="r", allow_pickle=False)}
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, KeyError, TypeError, AttributeError, zipfile.BadZipFile, zipfile.error) as error:
        fix = "; save labels as text: y.astype(str)" if "Object arrays" in str(error) else ""
        raise DataError(f"{path}: must hold arrays without objects, but {error}{fix}") from error


@dataclass(frozen=True, eq=False)
class Arrays:
    """The parts of an .npz file by role, "train", "validation" and "test": images, and labels or None."""

    parts: Mapping[str, tuple[Array, Array | None]]
    notices: tuple[str, ...] = ()


def sort_arrays(arrays: Mapping[str, Array], source: str) -> Arrays:
    """Return arrays by role: `x`, `y`, or `x_train`, `y_train`, `x_test` and so on; `classes` are the labels of the codes in `y`.

    images and labels may stand for x and y, and the role before them (train_images). Raises `DataError` where there are none.
    """
    x: dict[str, Array] = {}
    y: dict[str, Array] = {}
    for name, array in arrays.items():
        role, kind = _role(name)
        if kind == "x" and (role not in x or array.ndim > x[role].ndim):
            x[role] = array
        elif kind == "y":
            y[role] = array
    if not x:
        raise DataError(f"{source}: must hold arrays x and y, or x_train and y_train, got {listed(list(arrays))}")
    if "" in x and "train" not in x:
        x["train"] = x.pop("")
        y = {("train" if role == "" else role): array for role, array in y.items()}
    x.pop("", None)
    names = arrays.get(_CLASSES)
    parts = {role: (array, named(y.get(role), names, source)) for role, array in x.items()}
    alone = sorted(role for role, (_, labels) in parts.items() if labels is None and role != "train")
    notices = (f"{source}: the {' and '.join(alone)} images have no labels; they are left out",) if alone else ()
    return Arrays(parts, notices)


def role_of(name: str) -> tuple[str, str]:
    """Return the role ("" where none is named) of an array by its name, and the rest of the name; two roles make no sense."""
    words = name.lower().replace("-", "_").split("_")
    roles = [_ROLES[word] for word in words if word in _ROLES]
    if len(roles) > 1:
        return "", ""
    return (roles[0] if roles else ""), "_".join(word for word in words if word not in _ROLES)


def _role(name: str) -> tuple[str, str]:
    """Return the role ("" where none is named) and "x", "y" or "" of an array by its name."""
    role, rest = role_of(name)
    return role, "x" if rest in _X else "y" if rest in _Y else ""


def named(y: Array | None, names: Array | None, source: str) -> Array | None:
    """Return labels by name where `y` holds positions in `names`."""
    if y is None or names is None or names.ndim != 1 or y.dtype.kind not in "iu" or not y.size:
        return y
    if y.min() >= 0 and y.max() < len(names):
        return np.asarray(names[y.astype(np.int64)])
    if np.isin(y, names).all():
        return y
    raise DataError(f"{source}: y must hold positions in classes, 0 to {len(names) - 1}, got {y.min()} to {y.max()}")


# ------------------------------------------------------------------------------------------------------- columns of paths


@dataclass(frozen=True)
class PathColumn:
    """A column of a table that names images; `bases` are the folders that its paths may be relative to."""

    name: str
    bases: tuple[Path, ...]

    def paths(self, frame: pd.DataFrame) -> list[str]:
        """Return the absolute path of each row, "" where the cell is empty."""
        return [self._path(value) for value in frame[self.name].tolist()]

    def _path(self, value: object) -> str:
        if not isinstance(value, (str, os.PathLike)) or not str(value).strip():
            return ""
        path = os.path.expanduser(str(value).strip())  # noqa: PTH111 (a Path for each of a million files takes minutes)
        tried = [os.path.join(base, path) for base in self.bases]  # noqa: PTH118
        return os.path.abspath(next((one for one in tried if os.path.exists(one)), tried[0]))  # noqa: PTH100, PTH110


def find_paths(frame: pd.DataFrame, bases: Iterable[Path], ignored: Iterable[str]) -> tuple[PathColumn | None, tuple[str, ...]]:
    """Return the column of a table that holds paths of images, if one does, and the notices due.

    bases: the folders that paths may be relative to. ignored: columns of which the user said what they are. A column counts where
    all of its first cells end like images and at least one of them exists. Raises `DataError` where two columns do, and where
    none exists and the table has nothing else.
    """
    bases, ignored = tuple(base.absolute() for base in bases), set(ignored)
    candidates = [PathColumn(str(name), bases) for name in frame.columns if str(name) not in ignored and _are_paths(frame[name])]
    there = [column for column in candidates if any(map(os.path.exists, column.paths(frame[:_SOME])))]
    if len(there) > 1:
        names = [column.name for column in there]
        raise DataError(
            f"data: one column must hold the paths of images, got {listed(names)}; columns={{{names[1]!r}: 'ignored'}}"
        )
    if there or not candidates:
        return (there[0] if there else None), ()
    column = candidates[0]
    example = next(str(value) for value in frame[column.name].tolist() if is_image_path(value))
    advice = "download them first" if _ADDRESS.match(example) else f"looked in {', '.join(map(str, bases))}"
    missing = f"column {column.name!r} names images, but there is no {example!r} ({advice})"
    if len(frame.columns) <= 2:
        raise DataError(f"data: {missing}")
    return None, (f"{missing}; it is taken for words",)


def _are_paths(cells: pd.Series[Any]) -> bool:
    if cells.dtype.kind in "biufcmM":
        return False
    some = [value for value in cells.dropna().head(_SOME).tolist() if str(value).strip()]
    return bool(some) and all(map(is_image_path, some))
