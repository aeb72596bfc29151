"""A trained network with the two specs that it was built for: what a predictor averages over, and what is written to a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from automl.errors import ExportError
from automl.training.networks import predict_network
from search_spaces.language import Architecture
from search_spaces.spec import Inputs, Outputs, spec_to_dict


@dataclass(frozen=True, eq=False)
class Member:
    """One network of a predictor, on the CPU."""

    architecture: Architecture
    inputs: Inputs
    outputs: Outputs
    network: nn.Module

    def to_dict(self) -> dict[str, Any]:
        """Return all but the weights as JSON data."""
        return {
            "architecture": self.architecture.to_dict(),
            "inputs": spec_to_dict(self.inputs),
            "outputs": spec_to_dict(self.outputs),
        }


def mean_prediction(members: Sequence[Member], numeric: NDArray[np.float32], categorical: NDArray[Any]) -> NDArray[np.float64]:
    """Return the members' mean prediction: probabilities `(rows, classes)` or values `(rows,)` in the target's units.

    numeric: float32 `(rows, p)`; categorical: integers `(rows, q)`; any number of rows, also none.
    """
    predictions = [predict_network(member.network, numeric, categorical, member.outputs) for member in members]
    return np.mean(np.asarray(predictions, np.float64), axis=0)


def weights_of(members: Sequence[Member]) -> dict[str, Tensor]:
    """Return the weights and buffers of all members, those of member i behind the prefix `i.`, each with memory of its own.

    Raises `ExportError` for a network whose state holds anything but tensors.
    """
    weights = {}
    for position, member in enumerate(members):
        for name, value in member.network.state_dict().items():
            if not isinstance(value, Tensor):
                family = type(member.architecture).__name__
                raise ExportError(f"{family}: the network's state must hold tensors only, but {name} is a {type(value).__name__}")
            weights[f"{position}.{name}"] = value.detach().cpu().contiguous().clone()
    return weights
