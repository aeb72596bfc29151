"""A network with everything that changes while it learns, so that training can stop at an epoch and go on elsewhere.

Each kind of chance has a generator of its own: weights (used once), batches, augmentation, dropout, and torch's global one for
whatever a family draws by itself, such as `nn.Dropout`. All are part of the state.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from automl.training.average import Average
from automl.training.checkpoint import Weights
from automl.training.networks import NetworkFault, build_network, derived_seed, described
from search_spaces.configuration import Configuration
from search_spaces.layers import set_dropout_generator
from search_spaces.spec import Inputs, Outputs


@contextmanager
def own_randomness(device: torch.device) -> Iterator[None]:
    """Give torch's global generators back at the end as they were."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else [], device_type="cuda"):
        yield


class Learner:
    """A network in training. Use it within `own_randomness`.

    micro_batch: how many rows of a batch go through the network at once, since memory ran out with more; None: all of them.

    Raises `Infeasible` or `NetworkFault` where the architecture makes no network that can be trained.
    """

    def __init__(self, configuration: Configuration, inputs: Inputs, outputs: Outputs, seed: int, device: torch.device) -> None:
        self.recipe, self.augmentation, self.inputs = configuration.recipe, configuration.augmentation, inputs
        self.network = build_network(configuration.architecture, inputs, outputs, seed).to(device)
        self.parameters = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        if not self.parameters:
            raise NetworkFault(f"{type(self.network).__name__} must have parameters to train, but has none")
        self.optimizer = self.recipe.optimizer.build(self.parameters)
        self.rates = [(group, float(group["lr"])) for group in self.optimizer.param_groups]
        self.batches = torch.Generator().manual_seed(derived_seed(seed, "batches"))
        self.changes = torch.Generator(device).manual_seed(derived_seed(seed, "augmentation"))
        self.dropout = torch.Generator(device).manual_seed(derived_seed(seed, "dropout"))
        self.device = device
        self.micro_batch: int | None = None  # no part of the state: a training that goes on tries the whole batch again
        self.average = Average(self.network, self.recipe.averaging) if self.recipe.averaging.is_active else None
        set_dropout_generator(self.network, self.dropout)
        torch.manual_seed(derived_seed(seed, "global"))

    @property
    def size(self) -> int:
        """Return the number of values in all parameters."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    def set_rate(self, factor: float) -> None:
        """Set the learning rate to a multiple of the recipe's."""
        for group, rate in self.rates:
            group["lr"] = rate * factor

    @property
    def judged(self) -> nn.Module:
        """The network that is scored and kept: with the mean of the latest weights where the recipe averages them."""
        return self.network if self.average is None else self.average.network

    def weights(self) -> Weights:
        """Return a copy of the parameters and buffers in training, on the CPU."""
        return _copied(self.network)

    def judged_weights(self) -> Weights:
        """Return a copy of the parameters and buffers that are scored, on the CPU."""
        return _copied(self.judged)

    def training_state(self) -> Weights:
        """Return a copy of what training needs beside the weights: the optimizer's state and the generators'."""
        state = {f"generator/{name}": value for name, value in self._generators().items()}
        for index, values in self.optimizer.state_dict()["state"].items():
            for name, value in values.items():
                if value is not None:
                    state[f"optimizer/{index}/{name}"] = value.detach().to("cpu", copy=True).contiguous()
        if self.average is not None:
            state |= {f"average/{name}": value for name, value in _copied(self.average.network).items()}
        return state

    def restore(self, weights: Weights, training_state: Weights) -> None:
        """Go on from what `weights` and `training_state` returned."""
        self.network.load_state_dict(weights)
        if self.average is not None:
            self.average.network.load_state_dict(_below("average/", training_state))
        optimizer: dict[int, dict[str, Tensor]] = {}
        numbered = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        for key, value in _below("optimizer/", training_state).items():
            index, _, entry = key.partition("/")
            parameter = numbered[int(index)]
            # Fused optimizers walk over both in the order of memory: moments must lie there as their weights do.
            laid_out = torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value
            optimizer.setdefault(int(index), {})[entry] = laid_out.detach()
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": optimizer, "param_groups": groups})
        self.rates = [(group, rate) for group, (_, rate) in zip(self.optimizer.param_groups, self.rates, strict=True)]
        self.batches.set_state(training_state["generator/batches"])
        self.changes.set_state(training_state["generator/augmentation"])
        self.dropout.set_state(training_state["generator/dropout"])
        torch.set_rng_state(training_state["generator/global"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(training_state["generator/global_cuda"], self.device)

    def _generators(self) -> dict[str, Tensor]:
        own = {"batches": self.batches, "augmentation": self.changes, "dropout": self.dropout}
        states = {**{name: generator.get_state() for name, generator in own.items()}, "global": torch.get_rng_state()}
        if self.device.type == "cuda":
            states["global_cuda"] = torch.cuda.get_rng_state(self.device)
        return states


def backward(network: nn.Module, loss: Tensor) -> None:
    """Compute the gradients of a loss. Raises `NetworkFault` for whatever the network's code raises there."""
    try:
        loss.backward()  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise NetworkFault(f"the gradient of {type(network).__name__} raised {described(error)}") from error


def _copied(network: nn.Module) -> Weights:
    state = network.state_dict()
    strange = [name for name, value in state.items() if not isinstance(value, Tensor)]
    if strange:
        raise NetworkFault(f"the state of {type(network).__name__} must be tensors, but {strange[0]!r} is none")
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in state.items()}


def _below(prefix: str, state: Weights) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
