"""Hard limits on what a network may cost: what they are, what was measured, and by how much it breaks them.

A network that breaks one is refused before it is trained, by the worker that would have trained it (`training.measuring`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

# By the name of the limit: how its quantity is spoken of. The cheapest to measure come first.
_SPOKEN = {
    "max_parameters": "{:,.0f} parameters",
    "max_bytes": "{:,.0f} bytes of weights",
    "max_latency_ms": "{:.4g} ms for a row",
    "max_memory": "{:,.0f} bytes to train",
    "max_row_memory": "{:,.0f} bytes to train two rows at a time",
}


@dataclass(frozen=True)
class Demands:
    """What a network must keep to; None: no limit.

    max_parameters: their number. max_bytes: of the file of weights. max_latency_ms: to predict one row. max_memory: bytes that a
    training takes. is_timed: latency is measured also where it has no limit, because it is an objective. max_row_memory: bytes
    that a training takes with two rows at a time, whatever its batch; learnt from the network `learnt_from`, given by no user.
    """

    max_parameters: float | None = None
    max_bytes: float | None = None
    max_latency_ms: float | None = None
    max_memory: float | None = None
    is_timed: bool = False
    max_row_memory: float | None = None
    learnt_from: str = ""

    def broken(self, measured: Mapping[str, float]) -> tuple[float, str]:
        """Return by how much limits are broken, and in words which; (0, "") where those that were measured hold.

        measured: quantities by the names of their limits. The violation is the sum of log(quantity / limit) over broken limits,
        so that twice too many parameters weigh as much as twice too slow.
        """
        violation, reasons = 0.0, []
        for name, value in measured.items():
            limit = getattr(self, name)
            if limit is not None and value > limit:
                violation += math.log(value / limit)
                why = f"more than {name}={limit:.15g}"
                if name == "max_row_memory":
                    why = f"no less than the {limit + 1:,.0f} of {self.learnt_from}, which ran out of memory"
                reasons.append(f"{_SPOKEN[name].format(value)}, {why}")
        return violation, "; ".join(reasons)


def tightened(demands: Demands | None, needed: int, name: str) -> Demands | None:
    """Return demands that also refuse what takes as much memory as a network that ran out of it; never looser ones.

    needed: bytes to train it two rows at a time, as `training.measuring.row_memory` has them. name: the network's.
    """
    before = Demands() if demands is None else demands
    if before.max_row_memory is not None and before.max_row_memory < needed:
        return demands
    return replace(before, max_row_memory=needed - 1, learnt_from=name)


@dataclass(frozen=True)
class Measured:
    """What was measured of a network before its training; 0 where nobody asked, or an earlier limit was broken already.

    parameters: their number. weight_bytes: of the file of weights. latency_ms: to predict one row. memory_bytes: of a training.
    violation, reason: as `Demands.broken` returns them.
    """

    parameters: int = 0
    weight_bytes: int = 0
    latency_ms: float = 0.0
    memory_bytes: int = 0
    violation: float = 0.0
    reason: str = ""
