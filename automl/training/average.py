"""A running mean of a network's weights: what is scored and kept where the recipe averages them."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from search_spaces.averaging import Averaging


class Average:
    """A second network whose weights follow those of `network`; the recipe's `averaging` says how closely."""

    def __init__(self, network: nn.Module, averaging: Averaging) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._averaging = averaging

    @torch.no_grad()
    def follow(self, network: nn.Module, step: int, steps: int) -> None:
        """Move the mean towards the weights after `step` of `steps`; statistics of norms are averaged too, counters copied."""
        weight = self._averaging.weight(step, steps)
        mean, latest = self.network.state_dict(), network.state_dict()
        floats: dict[int, tuple[Tensor, Tensor]] = {}  # by address: tied weights have several names
        for name, value in mean.items():
            if value.is_floating_point():
                floats[value.data_ptr()] = (value, latest[name])
            else:
                value.copy_(latest[name])
        means, newest = zip(*floats.values(), strict=True)
        torch._foreach_lerp_(means, newest, weight)
