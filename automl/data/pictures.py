"""Many images as one array: decoded at once by a pool of threads (Pillow lets go of the interpreter), or file by file when asked.

What fits into memory is decoded once. What doesn't is `Pictures`, which look like an array to whoever takes rows of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from automl.data.features import Stored
from automl.data.picture import BrokenError, Item, draw
from automl.errors import DataError, OptionError

if TYPE_CHECKING:
    from automl.data.image_format import ImageFormat

Array: TypeAlias = NDArray[Any]
Broken: TypeAlias = dict[int, str]  # the reasons why images can't be read, by their position

_SHARE = 4  # decoded images may take a quarter of the free memory: copies of batches, networks and other processes want the rest
_PIECE = 16  # images that a thread is given at once
_PROC, _CGROUP = Path("/proc"), Path("/sys/fs/cgroup")
_LOOKED_AT = 16  # pixels of a side, to see whether an image can be read


class Pictures:
    """Files of images that are decoded when rows are taken: `pictures[rows]` is `(len(rows), height, width, channels)`.

    paths: of the files, absolute, a numpy array of texts `(n,)`. form: what each becomes. The calling thread decodes, and any
    number of threads may call at once. Raises `DataError` that names the file where one has vanished or is broken.
    """

    def __init__(self, paths: Array, form: ImageFormat) -> None:
        self.paths = paths
        self.form = form

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The number of images, then the shape of one."""
        return (len(self.paths), *self.form.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """What pixels are decoded to."""
        return np.dtype(self.form.dtype)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: NDArray[np.int64], /) -> Array:
        wanted = self.paths[rows]
        images = np.empty((len(wanted), *self.form.shape), dtype=self.dtype)
        for image, path in zip(images, wanted.tolist(), strict=True):
            try:
                image[...] = draw(path, self.form)
            except BrokenError as error:
                raise DataError(f"{path or 'data'}: must be an image that can be read, but {error}") from error
        return images


def gather(stored: Stored, rows: NDArray[np.int64]) -> Array:
    """Return rows of features; those of files are decoded in threads."""
    if not isinstance(stored, Pictures):
        return stored[rows]
    images, broken = decode(stored.paths[rows].tolist(), stored.form)
    if broken:
        stored[rows[list(broken)[:1]]]  # says which file is broken
    return images


def joined(parts: Sequence[Stored], paths: Sequence[Array | None], form: ImageFormat) -> Stored:
    """Return the images of all parts, one behind the other; files where one part holds files. paths: of the parts' images.

    Raises `OptionError` where only some parts can be files.
    """
    arrays = [part for part in parts if isinstance(part, np.ndarray)]
    if len(arrays) == len(parts):
        return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    files = [part for part in paths if part is not None]
    if len(files) < len(parts):
        raise OptionError(
            "validation and test must be files too where the images of the data are decoded during training; raise image_memory"
        )
    return Pictures(np.concatenate(files), form)


def decode(items: Sequence[Item], form: ImageFormat, *, in_order: bool = False) -> tuple[Array, Broken]:
    """Return all images in a form, `(n, height, width, channels)`, and those that can't be read, whose pixels are 0.

    in_order: ask for the items one after the other in this thread.
    """
    images = np.zeros((len(items), *form.shape), dtype=form.dtype)

    def fill(position: int) -> None:
        images[position] = draw(items[position], form)

    return images, in_threads(len(items), fill, in_order=in_order)


def check(items: Sequence[Item], form: ImageFormat) -> Broken:
    """Return which images can't be read: all are decoded once, to a small size, and nothing is kept."""
    small = replace(form, height=min(form.height, _LOOKED_AT), width=min(form.width, _LOOKED_AT))

    def look(position: int) -> None:
        draw(items[position], small)

    return in_threads(len(items), look)


def in_threads(number: int, work: Callable[[int], None], *, in_order: bool = False) -> Broken:
    """Do the work for all positions, in threads unless in order; return the reasons of those that are broken."""

    def piece(start: int) -> Broken:
        broken: Broken = {}
        for position in range(start, min(start + _PIECE, number)):
            try:
                work(position)
            except BrokenError as error:
                broken[position] = str(error)
        return broken

    together: Broken = {}
    starts = range(0, number, _PIECE)
    for broken in map(piece, starts) if in_order else _mapped(piece, starts):
        together |= broken
    return together


def _mapped(work: Callable[[int], Broken], starts: range) -> Iterator[Broken]:
    threads = min(cores(), len(starts))
    if threads < 2:
        yield from map(work, starts)
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
    try:
        yield from pool.map(work, starts)
    finally:
        pool.shutdown(cancel_futures=True)


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def size_decoded(number: int, form: ImageFormat) -> int:
    """Return the bytes that so many images take in a form."""
    return number * int(np.prod(form.shape)) * np.dtype(form.dtype).itemsize


def memory_for_images() -> float:
    """Return the bytes that decoded images may take: a quarter of what is free, infinite where the system doesn't tell."""
    return min(_free_of_machine(), _free_of_container()) / _SHARE


def _free_of_machine() -> float:
    try:
        lines = (_PROC / "meminfo").read_text(encoding="ascii").splitlines()
        return float(next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))) * 1024
    except (OSError, ValueError, IndexError, StopIteration):
        try:
            return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
        except (ValueError, OSError, AttributeError):
            return float("inf")


def _free_of_container() -> float:
    """Return what the limit of a container (cgroup v2) leaves, infinite where there is none."""
    try:
        limit, used = (float((_CGROUP / name).read_text(encoding="ascii")) for name in ("memory.max", "memory.current"))
    except (OSError, ValueError):
        return float("inf")
    return max(0.0, limit - used)
