"""Memory that runs out: how it is told, and how to go on with fewer rows at a time."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

_Result = TypeVar("_Result")
# What allocators of the CPU, of CUDA's libraries and CUDA itself say.
_FULL = ("allocate memory", "not enough memory", "ALLOC_FAILED", "CUDA error: out of memory")


def ran_out_of_memory(error: BaseException | None) -> bool:
    """Whether an exception, or one behind it, says that the host's or the device's memory is full."""
    if error is None:
        return False
    full = isinstance(error, MemoryError | torch.OutOfMemoryError)
    # The allocator of the CPU raises a plain RuntimeError.
    allocator = isinstance(error, RuntimeError) and any(words in str(error) for words in _FULL)
    return full or allocator or ran_out_of_memory(error.__cause__)


def with_fewer_rows(attempt: Callable[[int], _Result], rows: int, device: torch.device) -> tuple[_Result, int]:
    """Return what `attempt(rows)` returns, or where memory runs out, that of half as many rows, and so on; and how many it took.

    Raises what the attempt raises, and `MemoryError` where memory runs out with a single row.
    """
    while True:
        try:
            return attempt(rows), rows
        except Exception as error:
            if not ran_out_of_memory(error):
                raise
            if rows == 1:
                raise MemoryError(f"with a single row at a time: {error}") from error
        # Not in the handler: the exception's traceback would hold the tensors of the attempt. A family may have made cycles.
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()
        rows = (rows + 1) // 2


def cut(tensor: Tensor, most: int) -> tuple[Tensor, ...]:
    """Return the rows of a tensor in order, in parts of nearly equal sizes of at most `most` rows."""
    return tensor.tensor_split(-(-len(tensor) // most))


def memory_of(device: torch.device) -> int:
    """Return the bytes of a device's memory, or of the host's for the CPU, whoever uses them."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
