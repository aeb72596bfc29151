"""The parts of a network that can be pretrained, found by one forward pass, whatever family it is of.

What a family says of its networks is how to build them, so their parts are read off: which module is entered when, and with what.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from automl.training.feed import Stack
from automl.training.networks import forward
from search_spaces.domains import Infeasible


@dataclass(frozen=True)
class Point:
    """Where features of rows enter a module, as its first argument: of `shape` without the axis that is the batch's."""

    module: nn.Module
    axis: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Stage:
    """A part of a network: what is computed from `first` (None: from the inputs) to `last`.

    own: the modules of this stage, other stages' below them left out. parameters: the trainable ones of these modules.
    """

    first: Point | None
    last: Point
    own: tuple[nn.Module, ...]
    parameters: tuple[nn.Parameter, ...]


def stages_of(network: nn.Module, inputs: Stack, *, layerwise: bool) -> list[Stage]:
    """Return the stages of a network before its last layer, see `Autoencoding`: one of all of them unless `layerwise`.

    inputs: some rows. The network is left in evaluation mode. Raises `Infeasible` where there is nothing to pretrain.
    """
    seen = _Visit(network, inputs)
    layers = [module for module in seen.last if _is_layer(module)]
    if not layers or layers[-1] not in seen.points:
        must = "recipe/pretraining must be NoPretraining for a network without layers before the last one"
        raise Infeasible(f"{must}, got {type(network).__name__}")
    head = layers[-1]
    marks = [*(_marks(network, head, seen) if layerwise else ()), head]
    places = dict(_places(network, seen.first, 0))
    starts = [0, *(seen.first[mark] for mark in marks)]
    stages: list[Stage] = []
    for i, mark in enumerate(marks):
        own = tuple(module for module, place in places.items() if starts[i] <= place < starts[i + 1])
        parameters = {p: None for module in own for p in module.parameters(recurse=False) if p.requires_grad}
        kept = tuple(p for p in parameters if not any(p is other for other in head.parameters()))
        stages.append(Stage(stages[-1].last if stages else None, seen.points[mark], own, kept))
    return stages


class _Visit:
    """What a forward pass comes to: modules by their first and by their last entry, and with what they are entered.

    points: where features of rows that depend on weights enter; the batch's axis is the one that grows with the rows.
    """

    def __init__(self, network: nn.Module, inputs: Stack) -> None:
        self.first: dict[nn.Module, int] = {}
        self.last: dict[nn.Module, int] = {}  # in the order of last entries
        self.arguments: dict[nn.Module, Tensor] = {}
        self._entries = 0
        network.eval()
        self._pass(network, tuple(torch.cat([tensor, tensor]) for tensor in inputs))
        twice = {module: argument.shape for module, argument in self.arguments.items()}
        self._pass(network, inputs)
        self.points: dict[nn.Module, Point] = {}
        for module, argument in self.arguments.items():
            shape = tuple(argument.shape)
            axes = [axis for axis, (size, grown) in enumerate(zip(shape, twice.get(module, ()), strict=False)) if size != grown]
            if argument.requires_grad and argument.ndim > 1 and axes:
                self.points[module] = Point(module, axes[0], shape[: axes[0]] + shape[axes[0] + 1 :])

    def _pass(self, network: nn.Module, inputs: Stack) -> None:
        hooks = [module.register_forward_pre_hook(self._enter) for module in network.modules()]
        try:
            with torch.enable_grad():
                forward(network, inputs)
        finally:
            for hook in hooks:
                hook.remove()

    def _enter(self, module: nn.Module, arguments: tuple[object, ...]) -> None:
        self.first.setdefault(module, self._entries)
        self.last.pop(module, None)
        self.last[module] = self._entries
        self._entries += 1
        self.arguments.pop(module, None)
        if arguments and isinstance(arguments[0], Tensor):
            self.arguments[module] = arguments[0]


def _is_layer(module: nn.Module) -> bool:
    return any("weight" in name and parameter.ndim > 1 for name, parameter in module.named_parameters(recurse=False))


def _marks(network: nn.Module, head: nn.Module, seen: _Visit) -> Iterator[nn.Module]:
    """Yield where the second stage begins and each later one, in the order of their entries."""
    begins = [
        later
        for blocks in _sequences(network, head)
        for earlier, later in pairwise(block for block in blocks if block in seen.first)
        # Members of a list that stand side by side are given the same, or what depends on no weights.
        if later in seen.points and seen.arguments[later] is not seen.arguments.get(earlier)
    ]
    yield from sorted((block for block in begins if seen.first[block] < seen.first[head]), key=lambda block: seen.first[block])


def _sequences(module: nn.Module, head: nn.Module) -> Iterator[list[nn.Module]]:
    """Yield for each of the outermost sequences of modules its members that hold layers, but not the last one."""
    children = list(module.children())
    blocks = []
    if isinstance(module, nn.Sequential | nn.ModuleList):
        blocks = [child for child in children if any(map(_is_layer, child.modules())) and head not in child.modules()]
        yield blocks
    for child in children:
        if child not in blocks:
            yield from _sequences(child, head)


def _places(module: nn.Module, first: dict[nn.Module, int], above: int) -> Iterator[tuple[nn.Module, int]]:
    """Yield each module with its first entry; one that isn't entered by itself with that of the module above."""
    place = first.get(module, above)
    yield module, place
    for child in module.children():
        yield from _places(child, first, place)
