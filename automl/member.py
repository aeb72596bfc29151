"""A trained network with the two specs that it was built for: what a predictor averages over, and what is written to a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from automl.data.features import Features
from automl.errors import ExportError
from automl.training.networks import NetworkFault, build_network, predict_network
from search_spaces.domains import Infeasible
from search_spaces.language import Architecture
from search_spaces.spec import Inputs, Outputs
from search_spaces.spec_files import spec_to_dict


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


def mean_prediction(members: Sequence[Member], features: Features, rows: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
    """Return the members' mean prediction: probabilities `(rows, classes)` or values `(rows,)` in the target's units.

    features: as an encoder makes them. rows: which of them, any number; None: all.
    """
    predictions = [predict_network(member.network, features, member.outputs, rows) for member in members]
    mean: NDArray[np.float64] = np.asarray(predictions, np.float64).mean(axis=0)
    return mean


def weights_of(members: Sequence[Member]) -> dict[str, Tensor]:
    """Return the weights and buffers of all members, those of member i behind the prefix `i.`, each with memory of its own.

    Raises `ExportError` for a network whose state holds anything but tensors, or that its architecture doesn't build again.
    """
    weights = {}
    for position, member in enumerate(members):
        state = member.network.state_dict()
        for name, value in state.items():
            if not isinstance(value, Tensor):
                family = type(member.architecture).__name__
                raise ExportError(f"{family}: the network's state must hold tensors only, but {name} is a {type(value).__name__}")
            weights[f"{position}.{name}"] = value.detach().cpu().contiguous().clone()
        _check_rebuilds(member, state)
    return weights


def _check_rebuilds(member: Member, state: Mapping[str, Tensor]) -> None:
    """Raise `ExportError` unless the architecture builds a network that takes these weights: a file holds nothing else of it."""
    family = type(member.architecture).__name__
    try:
        built = build_network(member.architecture, member.inputs, member.outputs, seed=0).state_dict()
    except (Infeasible, NetworkFault) as error:
        if isinstance(error.__cause__, ExportError):
            raise error.__cause__ from None
        raise ExportError(f"{family} can't be built again, so a file of it couldn't be loaded: {error}") from error
    for name in sorted({*built, *state}):
        shapes = [tuple(weights[name].shape) if name in weights else "nothing" for weights in (built, state)]
        if shapes[0] != shapes[1]:
            raise ExportError(f"{family}.build must always make the same weights, but {name} is now {shapes[0]}, was {shapes[1]}")
