"""What the features of a task are, whatever it is about: things of which rows can be taken.

The training loop, the task's folder and the predictor know features by this alone, so that none of them asks whether a row is
one of a table or an image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from numpy.typing import NDArray

if TYPE_CHECKING:
    import numpy as np


class Stored(Protocol):
    """Features of all rows, in memory, in a mapped file or still to be decoded: a numpy array is one, so are `Pictures`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of rows, then the shape of one."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """What its values are stored as."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: NDArray[np.int64], /) -> NDArray[Any]: ...


Features: TypeAlias = tuple[Stored, ...]  # in the order of `tensors` of the spec of the inputs
