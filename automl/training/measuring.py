"""What a network costs, measured before it is trained: parameters, bytes of its weights, time to predict a row, memory to train.

The cheapest come first, and nothing more is measured once a limit is broken, so that refusing a network takes milliseconds.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.overrides import TorchFunctionMode

from automl.demands import Demands, Measured
from automl.task import Fold, Task
from automl.training.feed import Stack, as_inputs, feed_of
from automl.training.learner import own_randomness
from automl.training.memory import memory_of, ran_out_of_memory
from automl.training.networks import CPU, NetworkFault, build_network, device_for, forward, mixed_precision
from search_spaces.configuration import Configuration
from search_spaces.language import Architecture
from search_spaces.optimizers import Optimizer, Recipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WARM, _FEWEST, _MOST = 3, 5, 101  # predictions
_ENOUGH = 0.1  # seconds of predictions
_OPINIONS = 3  # latencies measured of a network before it is refused
_ROWS = 16  # different rows that are predicted in turn
_FEWEST_ROWS = 2  # that any network can be trained on: batch norm takes no single one
_LENGTHS = 1024  # rows, of which the longest counts where any batch may come
_OWN_SHARE = 0.5  # of all memory: who takes less, as far as can be estimated, doesn't run out of it by itself
_FEW = 4  # rows whose activations are counted; twice as many tell what each more takes
_DTYPES = {torch.float64: "F64", torch.int64: "I64", torch.float16: "F16", torch.bfloat16: "BF16", torch.uint8: "U8"}
_ALIGNED, _LENGTH = 8, 8  # bytes, of the header of a safetensors file and of its length before it


def measured(configuration: Configuration, task: Task, fold: Fold, demands: Demands) -> Measured:
    """Measure what is demanded of a configuration's network, as far as the first limit that it breaks.

    Raises `Infeasible` or `NetworkFault` where the configuration makes no network.
    """
    counted = _counted(configuration.architecture, fold)
    size, weight_bytes = _size(counted), bytes_as_saved(counted)
    violation, reason = demands.broken({"max_parameters": size, "max_bytes": weight_bytes})
    if violation:
        return Measured(size, weight_bytes, violation=violation, reason=reason)
    counts_memory = demands.max_memory is not None or demands.max_row_memory is not None
    held = _bytes_held(counted, configuration.recipe) if counts_memory else 0
    violation, reason = demands.broken({"max_memory": held, "max_row_memory": held})
    if violation:  # of a network that is too large for the memory none is built to be timed
        return Measured(size, weight_bytes, memory_bytes=held, violation=violation, reason=reason)
    milliseconds, memory = 0.0, 0
    if demands.is_timed or demands.max_latency_ms is not None:
        milliseconds = _latency_within(demands, configuration.architecture, task, fold)
        violation, reason = demands.broken({"max_latency_ms": milliseconds})
    if demands.max_row_memory is not None and not violation:
        violation, reason = demands.broken({"max_row_memory": row_memory(configuration, task, fold)})
    if demands.max_memory is not None and not violation:
        memory = held + _bytes_of_batch(configuration, task, fold)
        violation, reason = demands.broken({"max_memory": memory})
    return Measured(size, weight_bytes, milliseconds, memory, violation, reason)


class _Undrawn(TorchFunctionMode):
    """Leaves out what `torch.nn.init` does: memory that nobody writes to takes no time, and on most systems no room.

    Not torch's meta device: the first random tensor on it imports a computer algebra system, which takes seconds.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        if getattr(func, "__module__", "") == torch.nn.init.__name__:
            return args[0] if args else given["tensor"]
        return func(*args, **given)


def _counted(architecture: Architecture, fold: Fold) -> nn.Module:
    """Return the network with arbitrary weights, to be counted: that is cheap whatever its size."""
    with _Undrawn():
        return build_network(architecture, fold.inputs, fold.outputs, seed=0)


def parameters_of(architecture: Architecture, fold: Fold) -> int:
    """Return the number of parameters of the network that an architecture makes for a fold.

    Raises `Infeasible` or `NetworkFault` where it makes none.
    """
    return _size(_counted(architecture, fold))


def _size(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def bytes_as_saved(network: nn.Module) -> int:
    """Return the size of the file of weights that a model of this one network is exported to, header included."""
    state = {name: value for name, value in network.state_dict().items() if isinstance(value, Tensor)}
    header: dict[str, Mapping[str, object]] = {}
    end = 0
    for name, value in sorted(state.items(), key=lambda item: (-item[1].element_size(), item[0])):
        begin, end = end, end + value.numel() * value.element_size()
        dtype = _DTYPES.get(value.dtype, "F32")
        header[f"0.{name}"] = {"dtype": dtype, "shape": list(value.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    return _LENGTH + -(-len(text) // _ALIGNED) * _ALIGNED + end


def latency_ms(network: nn.Module, task: Task, fold: Fold) -> float:
    """Return the median milliseconds in which a network on the CPU predicts one row (a batch of 1), and set it to evaluation.

    With the threads that torch may use: in a trial one. Rows are fit rows, as the network takes them, in turn; what comes before
    and after the network isn't counted. A busy machine still makes it greater, and two measurements differ by some percent.
    """
    spread = np.linspace(0, len(fold.fit) - 1, _ROWS).astype(np.int64)
    feed = feed_of(task.features, fold.fit[spread], CPU)
    blocks = [as_inputs(block) for block in feed.blocks()]
    rows = [tuple(tensor[i : i + 1] for tensor in block) for block in blocks for i in range(len(block[0]))]
    network.eval()
    times: list[float] = []
    with torch.no_grad():
        for row in rows[:_WARM]:
            forward(network, row)
        while len(times) < _FEWEST or (len(times) < _MOST and sum(times) < _ENOUGH):
            row = rows[len(times) % len(rows)]
            began = time.perf_counter()
            forward(network, row)
            times.append(time.perf_counter() - began)
    return 1000 * statistics.median(times)


def _latency_within(demands: Demands, architecture: Architecture, task: Task, fold: Fold) -> float:
    """Return a latency; the least of a few where they break the limit, so that no passing burden refuses a network."""
    network = build_network(architecture, fold.inputs, fold.outputs, seed=0)
    least = latency_ms(network, task, fold)
    for _ in range(_OPINIONS - 1):
        if not demands.broken({"max_latency_ms": least})[0]:
            break
        least = min(least, latency_ms(network, task, fold))
    return least


def timed_again(earlier: Measured, architecture: Architecture, task: Task, fold: Fold) -> Measured:
    """Return a measurement with the lesser of two latencies, seconds apart: whatever else the machine does only adds to one."""
    network = build_network(architecture, fold.inputs, fold.outputs, seed=0)
    return replace(earlier, latency_ms=min(earlier.latency_ms, latency_ms(network, task, fold)))


def _bytes_held(network: nn.Module, recipe: Recipe) -> int:
    """Return the bytes that a training takes whatever its batch: weights, gradients, the optimizer's state, averaged weights."""
    weights = sum(tensor.numel() * tensor.element_size() for tensor in network.parameters())
    return weights * (2 + _moments(recipe.optimizer) + recipe.averaging.is_active)


def _bytes_of_batch(configuration: Configuration, task: Task, fold: Fold) -> int:
    """Return the bytes that a pass forward of a batch leaves for its gradient.

    An estimate: activations of a few rows, as many times as a batch has rows; of sequences and texts of the longest among some.
    What kernels take for a moment, and the data, aren't counted.
    """
    batch_size, device = configuration.recipe.batch_size, device_for(task)
    with own_randomness(device):
        network = build_network(configuration.architecture, fold.inputs, fold.outputs, seed=0).to(device).train()
        row = _longest(task, fold, batch_size)
        few, more = (_activation_bytes(network, _same_rows(task, row, rows, device)) for rows in (_FEW, 2 * _FEW))
    return max(few, round(few + (more - few) / _FEW * (batch_size - _FEW)))


def row_memory(configuration: Configuration, task: Task, fold: Fold) -> int:
    """Return the bytes that a training takes with two rows at a time: an estimate, to be compared with those of other networks.

    Like `Measured.memory_bytes`, but whatever the batch, which goes in micro-batches where memory is short. Where there isn't
    enough to try two rows either, what was counted until it ran out. Raises `Infeasible` or `NetworkFault` where the
    configuration makes no network.
    """
    device, held, kept = device_for(task), 0, dict[int, int]()
    try:
        held = _bytes_held(_counted(configuration.architecture, fold), configuration.recipe)
        with own_randomness(device):
            network = build_network(configuration.architecture, fold.inputs, fold.outputs, seed=0).to(device).train()
            _count_kept(network, _same_rows(task, _longest(task, fold, _LENGTHS), _FEWEST_ROWS, device), kept)
    except (NetworkFault, MemoryError, RuntimeError) as error:
        if not ran_out_of_memory(error):
            raise
    return held + sum(kept.values())


def lacked_memory(configuration: Configuration, task: Task, fold: Fold) -> int:
    """Return the `row_memory` of a network that ran out of memory, or 0 where that may have been others' fault.

    Others are trainings on the same device, or rows that take more than the network: then it says nothing of networks.
    """
    needed = row_memory(configuration, task, fold)
    return needed if needed >= _OWN_SHARE * memory_of(device_for(task)) else 0


def _moments(optimizer: Optimizer) -> int:
    """Return how many values an optimizer keeps for each parameter, from one step of a parameter of its own."""
    parameter = nn.Parameter(torch.zeros(2, 2))
    parameter.grad = torch.zeros(2, 2)
    built = optimizer.build([parameter])
    built.step()
    return sum(isinstance(value, Tensor) and value.shape == parameter.shape for value in built.state[parameter].values())


def _longest(task: Task, fold: Fold, rows: int) -> int:
    """Return the longest of the first rows, where rows have lengths."""
    some = fold.fit[:rows]
    lengths = np.zeros(len(some), np.int64)
    for name, stored in zip(type(fold.inputs).tensors, task.features, strict=True):
        if name in {"lengths", "tokens"}:
            values: NDArray[np.int64] = np.asarray(stored[some])
            lengths += values if name == "lengths" else np.count_nonzero(values.reshape(len(some), -1), axis=1)
    return int(some[lengths.argmax()])


def _same_rows(task: Task, row: int, count: int, device: torch.device) -> Stack:
    feed = feed_of(task.features, np.full(count, row), device)
    return as_inputs(next(iter(feed.blocks())))


def _activation_bytes(network: nn.Module, inputs: Stack) -> int:
    """Return the bytes that a pass forward keeps for the one backward, weights aside."""
    kept: dict[int, int] = {}
    _count_kept(network, inputs, kept)
    return sum(kept.values())


def _count_kept(network: nn.Module, inputs: Stack, kept: dict[int, int]) -> None:
    """Enter into `kept` what a pass forward keeps for the one backward, as it goes: bytes by address."""
    weights = {tensor.untyped_storage().data_ptr() for tensor in (*network.parameters(), *network.buffers())}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor), mixed_precision(inputs[0].device):
        outputs = forward(network, inputs)
    del outputs  # until here it held what was kept, so that no two tensors had one address
