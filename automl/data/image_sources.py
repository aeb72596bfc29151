"""Whether data are images, and where: the one place that knows all forms in which people have them.

Nothing is decoded here. What is no image data comes back as it came, or as the table that it was read to, so that no file is read
twice.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from automl.data.image_files import ROLES, Arrays, PathColumn, find_paths, is_image_path, read_folder, read_npz, sort_arrays
from automl.data.picture import BrokenError
from automl.errors import DataError

if TYPE_CHECKING:
    from automl.data.load import Table

Array: TypeAlias = NDArray[Any]

_ARRAYS = (".npz", ".npy")
_SHOWN = 5  # broken images that are named
_TRIED = 20  # items of a Dataset that are asked for until one can be read
LABEL = "label"  # the target's name where the data name none


@dataclass(frozen=True, eq=False)
class Found:
    """Images as a user has them.

    images: one array or tensor with the images along its first axis, or a sequence of single images of any origin (see
    `automl.data.picture`). labels: one for each, or None; `Inputs` hold theirs. column, table: where they are named in a table.
    source: for reports. target: the name of the labels. part: which rows these are, "train" unless the data have none of it.
    parts: the other rows found beside, "validation" and "test", with or without labels.
    """

    images: Any
    labels: Any = None
    source: str = "arrays"
    target: str | None = None
    table: Table | None = None
    column: PathColumn | None = None
    notices: tuple[str, ...] = ()
    part: str = "train"
    parts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_array(self) -> bool:
        """Return whether the images are one array."""
        return hasattr(self.images, "ndim")

    @property
    def is_files(self) -> bool:
        """Return whether the images are files, which can be read again."""
        try:
            return not self.is_array and all(isinstance(item, str) for item in self.images)
        except BrokenError:  # the first item of a Dataset
            return False

    @property
    def is_inputs(self) -> bool:
        """Return whether the images are the inputs of a Dataset."""
        return isinstance(self.images, Inputs)

    def named(self, broken: Mapping[int, str]) -> str:
        """Return the names of broken images, the first few, each with its reason."""
        more = f" and {len(broken) - _SHOWN} more" if len(broken) > _SHOWN else ""
        return ", ".join(f"{self._name(position)} ({broken[position]})" for position in sorted(broken)[:_SHOWN]) + more

    def _name(self, position: int) -> str:
        item = None if self.is_inputs else self.images[position]
        return item if isinstance(item, str) and item else f"row {position}"


class Inputs(Sequence[Any]):
    """The inputs of a torch Dataset (or list) of (input, label); the labels of those asked for are kept."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self.labels: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, position: Any) -> Any:
        try:
            pair = self._dataset[position]
        except Exception as error:
            raise BrokenError(str(error) or type(error).__name__) from error
        if not isinstance(pair, (tuple, list)):
            return pair
        if len(pair) != 2:
            raise DataError(f"data: items of a Dataset must be (input, label), got {len(pair)} parts")
        label = pair[1]
        is_scalar = hasattr(label, "item") and int(np.prod(getattr(label, "shape", (0,)))) == 1
        self.labels[position] = label.item() if is_scalar else label
        return pair[0]


def find_images(data: Any, ignored: Iterable[object] = (), part: str = "train") -> tuple[Found | None, Any]:
    """Return the images in `data` and None; or None, and the data as far as they were read: a `Table` for a path of a table.

    ignored: columns of a table that are no paths of images, whatever they look like. part: of images in several parts (x_train,
    x_test; train/, test/) the one that is wanted; `Found.part` tells where there is another alone. Raises `DataError` for what
    can't be read.
    """
    if isinstance(data, tuple):
        if len(data) == 2 and not is_image_path(data[0]):
            found = _part(_images(data[0], ignored), part)
            if isinstance(found, Found):
                return replace(found, labels=data[1], target=None), None
        return None, data
    found = _part(_images(data, ignored), part)
    return (found, None) if isinstance(found, Found) else (None, data if found is None else found)


def _part(found: Found | Table | None, part: str) -> Found | Table | None:
    """Return another part of the images where it is wanted and there."""
    if not isinstance(found, Found) or part not in found.parts:
        return found
    wanted = found.parts[part]
    if isinstance(wanted, Path):
        return replace(_from_folder(wanted), part=part)
    return replace(found, images=wanted[0], labels=wanted[1], part=part, notices=(), parts={})


def _images(data: Any, ignored: Iterable[object]) -> Found | Table | None:
    """Return the images in data that are no (X, y), or the table that was read, or None for anything else."""
    if isinstance(data, (str, os.PathLike)):
        return _from_path(Path(os.fspath(data)).expanduser(), ignored)
    if type(data).__name__ == "NpzFile":
        return _from_arrays(sort_arrays(dict(data), "npz"), "npz")
    for read in (_from_sequence, _from_dataset):
        found = read(data)
        if found is not None:
            return found
    if type(data).__name__ == "DataFrame" or hasattr(data, "to_pandas"):
        return _from_table(data, [Path()], ignored)
    return Found(data) if getattr(data, "ndim", 0) >= 3 else None


# -------------------------------------------------------------------------------------------------------------------- paths


def _from_path(path: Path, ignored: Iterable[object]) -> Found | Table:
    suffix = path.suffix.lower()
    if path.is_dir():
        return _from_folder(path)
    if suffix in _ARRAYS:
        arrays = read_npz(path)
        return (
            Found(arrays[""], source=path.name) if suffix == ".npy" else _from_arrays(sort_arrays(arrays, path.name), path.name)
        )
    if suffix and is_image_path(path):
        return Found([str(path.absolute())], source=path.name)
    return _from_table(path, [path.parent, Path()], ignored)


def _from_folder(path: Path) -> Found:
    folder = read_folder(path)
    return Found(folder.paths, folder.labels, path.name, LABEL, notices=folder.notices, part=folder.part, parts=folder.parts)


def _from_arrays(arrays: Arrays, source: str) -> Found:
    """Return the images of a file to train on, or those of the test, or else of the validation; the other parts beside them."""
    part = next(role for role in ROLES if role in arrays.parts)
    images, labels = arrays.parts[part]
    parts = {role: pair for role, pair in arrays.parts.items() if role != part}
    return Found(images, labels, source, LABEL, notices=arrays.notices, part=part, parts=parts)


def _from_table(data: Any, bases: Sequence[Path], ignored: Iterable[object]) -> Found | Table:
    from automl.data.load import read_table

    table = read_table(data)
    column, notices = find_paths(table.frame, bases, map(str, ignored))
    if column is None:
        return replace(table, notices=(*table.notices, *notices))
    return Found(column.paths(table.frame), None, table.source, table=table, column=column, notices=(*table.notices, *notices))


# ------------------------------------------------------------------------------------------------------------ many in memory


def _from_sequence(data: Any) -> Found | None:
    """Return the images in a list, a Series or an array of objects: paths, bytes, PIL images, arrays, or (image, label)."""
    is_column = getattr(data, "ndim", 0) == 1 and getattr(getattr(data, "dtype", None), "kind", "O") in "OU"
    items = list(data) if isinstance(data, list) or is_column else []
    if not items:
        return None
    first = items[0]
    if len(items) == 2 and getattr(first, "ndim", 0) >= 2 and getattr(items[1], "ndim", 2) == 1:
        if first.ndim == 2:
            return None  # the loader of tables says what is wrong
        raise DataError("data: images and labels must be a tuple, (X, y), got a list of both")
    if isinstance(first, tuple) and len(first) == 2 and _is_image(first[0]):
        return Found(Inputs(items), None, "pairs", LABEL)
    if isinstance(first, list) and first and isinstance(first[0], list):
        return _nested(items)
    return _from_items(items) if all(map(_is_image, items)) else None


def _from_items(items: list[Any]) -> Found:
    arrays = [item for item in items if hasattr(item, "ndim")]
    if len(arrays) == len(items) and len({(tuple(item.shape), item.dtype) for item in arrays}) == 1:
        return Found(_stacked(arrays))
    return Found([os.path.abspath(item) if is_image_path(item) else item for item in items])  # noqa: PTH100 (quicker)


def _nested(items: list[Any]) -> Found | None:
    try:
        array = np.asarray(items)
    except ValueError:
        return None
    return Found(array) if array.ndim >= 3 and array.dtype.kind in "biuf" else None


def _is_image(item: Any) -> bool:
    if is_image_path(item) or isinstance(item, bytes):
        return True
    if hasattr(item, "ndim"):
        return item.ndim in {2, 3} and hasattr(item, "dtype") and not hasattr(item, "iloc")
    return is_pil(item)


def is_pil(item: Any) -> bool:
    """Return whether an object is an image of PIL, without loading PIL for the question."""
    return "PIL.Image" in sys.modules and isinstance(item, sys.modules["PIL.Image"].Image)


def _stacked(arrays: list[Any]) -> Any:
    stack: Callable[[list[Any]], Any] = np.stack
    if hasattr(arrays[0], "detach"):
        stack = sys.modules["torch"].stack
    return stack(arrays)


def _from_dataset(data: Any) -> Found | None:
    """Return the images of a torch Dataset."""
    names = [f"{kind.__module__}.{kind.__name__}" for kind in type(data).__mro__]
    if not any(name.startswith("torch.utils.data.") for name in names):
        return None
    kind = type(data).__name__
    if any(name.endswith(".DataLoader") for name in names):
        raise DataError("data: must be a Dataset, got a DataLoader, which shuffles and batches; give loader.dataset")
    if not hasattr(data, "__len__") or not hasattr(data, "__getitem__"):
        raise DataError(f"data: a Dataset must have a length and items, {kind} has none; give list({kind.lower()})")
    tensors = getattr(data, "tensors", None)
    if isinstance(tensors, tuple) and len(tensors) == 2 and tensors[0].ndim >= 3:
        return Found(tensors[0], tensors[1], kind, LABEL)
    if not len(data):
        raise DataError(f"data: must have rows, got an empty {kind}")
    inputs = Inputs(data)
    first = _first(inputs)
    if first is not None and not _is_image(first):
        got = f"shape {tuple(first.shape)}" if hasattr(first, "shape") else type(first).__name__
        raise DataError(f"data: items of a Dataset must be (image, label), but the input of the first is of {got}")
    return Found(inputs, None, kind, LABEL)


def _first(inputs: Inputs) -> Any:
    """Return the first input that can be read, None where the first few can't."""
    for position in range(min(len(inputs), _TRIED)):
        try:
            return inputs[position]
        except BrokenError:
            continue
    return None
