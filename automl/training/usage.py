"""What a trial took of the machine that ran it: its host and device, its memory at the peak, and how busy the device was."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import socket
import sys
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import torch

_RESET_PEAK = b"5"  # what Linux takes in clear_refs for "let the peak of the resident memory begin anew"
_PEAK = re.compile(rb"VmHWM:\s+(\d+) kB")
_SAMPLE_EVERY = 0.25  # seconds; the driver's own samples are as far apart


@dataclass(frozen=True)
class Usage:
    """What a `Meter` has seen; see `Outcome` for the fields."""

    host: str
    device: str
    peak_bytes: int
    utilisation: float


class Meter:
    """Measures what happens within its `with`, then has it in `usage`. On a CPU that takes some hundredths of a millisecond.

    A GPU on which nothing was done by the end doesn't count: then this was the work of a CPU.
    """

    usage: Usage

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._sampler: _Sampler | None = None

    def __enter__(self) -> Self:
        if self._device.type == "cuda":
            if _is_cuda_in_use():  # else its memory is empty, and nothing here should be the first to touch it
                torch.cuda.reset_peak_memory_stats(self._device)
            if importlib.util.find_spec("pynvml") is not None:
                self._sampler = _Sampler(self._device)
                self._sampler.start()
        _begin_peak()
        self._began, self._worked = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        wall, worked = time.perf_counter() - self._began, time.process_time() - self._worked
        sampled = 0.0 if self._sampler is None else self._sampler.stop()
        host = socket.gethostname()
        if self._device.type == "cuda" and _is_cuda_in_use():
            peak = torch.cuda.max_memory_allocated(self._device)
            self.usage = Usage(host, _cuda_name(self._device), peak, sampled)
        else:
            self.usage = Usage(host, "cpu", _peak(), min(1.0, worked / wall) if wall > 0 else 0.0)


class _Sampler:
    """Asks the driver now and then, in a thread of its own, how busy a GPU is."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._samples: list[float] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> float:
        """Return the mean share of time in which the GPU worked; 0.0 where the driver doesn't say."""
        self._over.set()
        self._thread.join()
        return sum(self._samples) / len(self._samples) if self._samples else 0.0

    def _sample(self) -> None:
        with contextlib.suppress(Exception):  # whatever the driver's library raises, where it can't tell: no trial fails by that
            while not self._over.wait(_SAMPLE_EVERY):
                if _is_cuda_in_use():  # before that, the question would set it up, in this thread
                    self._samples.append(torch.cuda.utilization(self._device) / 100)


def _is_cuda_in_use() -> bool:
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


def _cuda_name(device: torch.device) -> str:
    """Return "cuda:0 NVIDIA H100": the number that the machine gives the GPU, where this process sees some of them only."""
    index = torch.cuda.current_device() if device.index is None else device.index
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    number = visible[index].strip() if index < len(visible) else ""
    return f"cuda:{number if number.isdecimal() else index} {torch.cuda.get_device_name(index)}"


def _begin_peak() -> None:
    """Let the peak of this process's memory begin anew, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open("/proc/self/clear_refs", os.O_WRONLY)
        try:
            os.write(descriptor, _RESET_PEAK)
        finally:
            os.close(descriptor)


def _peak() -> int:
    """Return the most bytes of memory that this process held: since `_begin_peak`, or else since it began; 0 if unknown."""
    with contextlib.suppress(OSError):
        descriptor = os.open("/proc/self/status", os.O_RDONLY)
        try:
            found = _PEAK.search(os.read(descriptor, 1 << 13))
        finally:
            os.close(descriptor)
        if found is not None:
            return int(found[1]) << 10
    try:
        import resource
    except ImportError:  # Windows
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most << 10  # bytes on macOS, kilobytes elsewhere
