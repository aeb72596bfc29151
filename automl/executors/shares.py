"""What a trial takes of a node, and how many fit into a cluster: given by the user, or learnt from what the first trials took."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from automl.executors.cluster import Machine
    from automl.trial import Outcome

MARGIN = 1.25  # of memory, over the most that was measured
GRAIN = 2**30  # bytes: a share that changes with every trial would keep Ray from using its workers again
CONTEXT = 600_000_000  # bytes that CUDA takes in each process, which nobody allocates
MOST_ON_A_GPU = 8
_BUSY = 0.9  # of a GPU that trials may use together


@dataclass(frozen=True)
class Share:
    """What a cohort of trials asks for. cpus, gpus: numbers, fractions allowed; memory: bytes of the host."""

    cpus: float = 1.0
    gpus: float = 0.0
    memory: int = 0

    def __str__(self) -> str:
        gpus = f" and {self.gpus:g} GPU" if self.gpus else ""
        memory = f" and {self.memory / 1e9:.1f} GB of memory" if self.memory else ""
        return f"{self.cpus:g} CPU{gpus}{memory}"

    @property
    def options(self) -> dict[str, float]:
        """The same in Ray's words."""
        named = {"num_cpus": self.cpus, "num_gpus": self.gpus, "memory": self.memory}
        return {name: value for name, value in named.items() if value or name == "num_cpus"}

    def fitting(self, machine: Machine) -> int:
        """Return how many fit on a node that has nothing else to do."""
        asked = {"CPU": self.cpus, "memory": self.memory}
        places = [int(machine.resources.get(name, 0) / each + 1e-9) for name, each in asked.items() if each]
        if self.gpus:
            places.append(_on_gpus(machine.resources.get("GPU", 0), self.gpus))
        return min(places, default=1)

    def slots(self, machines: Sequence[Machine]) -> int:
        """Return how many fit into the cluster."""
        return sum(self.fitting(machine) for machine in machines)


def _on_gpus(gpus: float, each: float) -> int:
    """Return how many trials fit: those that take a part of a GPU lie on one."""
    return int(gpus) * int(1 / each + 1e-9) if each < 1 else int(gpus / each + 1e-9)


class Packing:
    """Decides on the share of a cohort. gpus: as the user said, or "auto"; uses_gpu: whether these networks train on a GPU.

    "auto": a whole GPU until one trial that trained on it has ended, then the part that the greediest so far took of its memory
    (with a margin) or of its time, whichever is more. Host memory is asked for by the same rule, so that nodes aren't overfilled;
    never more than the smallest node could give to a single trial.
    """

    def __init__(self, cpus: float, gpus: float | str, *, uses_gpu: bool) -> None:
        self._cpus = cpus
        self._gpus = 0.0 if gpus == "auto" and not uses_gpu else gpus
        self._memory = 0
        self._part = 0.0

    def share(self, machines: Sequence[Machine]) -> Share:
        """Return what a cohort takes now."""
        rooms = [machine.resources["memory"] for machine in machines if machine.resources.get("memory")]
        memory = int(min(self._memory, *rooms)) if rooms else 0
        if self._gpus != "auto":
            return Share(self._cpus, float(self._gpus), memory)
        on_gpu, on_cpu = Share(self._cpus, self._part or 1.0, memory), Share(self._cpus, 0.0, memory)
        # Where nothing can run yet, nodes with GPUs are probably still to come.
        return on_gpu if on_gpu.slots(machines) or not on_cpu.slots(machines) else on_cpu

    def learn(self, outcomes: Iterable[Outcome], device_bytes: int, share: Share) -> None:
        """Take from outcomes what trials need. device_bytes: memory of the GPU that they trained on; share: of what they had.

        How busy a GPU is says something of a trial that had it alone only.
        """
        for outcome in outcomes:
            if not outcome.peak_bytes:
                continue
            if not outcome.device.startswith("cuda"):
                self._memory = max(self._memory, GRAIN * math.ceil(MARGIN * outcome.peak_bytes / GRAIN))
                continue
            taken = (MARGIN * outcome.peak_bytes + CONTEXT) / device_bytes if device_bytes else 1.0
            part = max(taken, outcome.utilisation / _BUSY if share.gpus >= 1 else 0.0)
            self._part = max(self._part, 1 / max(1, min(MOST_ON_A_GPU, int(1 / part))) if part < 1 else 1.0)
