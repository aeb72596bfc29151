"""One recurrent layer over rows of any lengths, and how it becomes ONNX without its length being frozen.

While it exports, torch unrolls recurrent layers over as many steps as the example has, and says nothing of it. So here an
exported layer is one operator, `search_spaces::recurrence`, whose steps stay free. `torch.export` runs it as it is; for ONNX
`translations` says how it becomes ONNX's own RNN, GRU or LSTM, which take any number of steps and the rows' lengths. Without
them `torch.onnx.export` refuses a network that holds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

# By name: the module that holds a layer's weights, torch's function, and where ONNX wants torch's gates. Torch's are input,
# forget, cell, output of an LSTM and reset, update, new of a GRU; ONNX's input, output, forget, cell and update, reset, new.
_Cell = tuple[Callable[..., nn.RNNBase], Callable[..., tuple[Tensor, ...]], tuple[int, ...]]
_CELLS: dict[str, _Cell] = {
    "rnn_tanh": (nn.RNN, torch.rnn_tanh, (0,)),
    "rnn_relu": (partial(nn.RNN, nonlinearity="relu"), torch.rnn_relu, (0,)),
    "gru": (nn.GRU, torch.gru, (1, 0, 2)),
    "lstm": (nn.LSTM, torch.lstm, (0, 3, 1, 2)),
}
_WORTH_PACKING = 3  # packed sequences pay on a CPU where so many times as many steps are there as aren't padding
_PARTS = 4  # the weights of a direction: of the input, of the state, and the biases of both


class Recurrence(nn.Module):
    """One layer of recurrent cells, in one direction or in both, the second beginning at each row's own end.

    kind: "rnn_tanh", "rnn_relu", "gru" or "lstm", as torch defines them. directions: 1 or 2.

    **Shape**: features `(batch, steps, width_in)` to `(batch, steps, directions * width)`, with 0 at padding where rows differ
    in length; of two directions the first comes first.
    """

    def __init__(self, kind: str, width_in: int, width: int, directions: int) -> None:
        super().__init__()
        self.kind = kind
        self.cell = _CELLS[kind][0](width_in, width, batch_first=True, bidirectional=directions == 2)

    def gates(self) -> Iterator[tuple[str, int, Tensor]]:
        """Yield the weights of each gate: "input", "state", "input bias" or "state bias", the gate's position, the weights."""
        names = ("input", "state", "input bias", "state bias")
        for i, weights in enumerate(self.cell.parameters()):
            for position, gate in enumerate(weights.chunk(len(_CELLS[self.kind][2]))):
                yield names[i % _PARTS], position, gate

    def forward(self, features: Tensor, lengths: Tensor | None) -> Tensor:
        """Return the states. `lengths` are those of `lengths_of`: int64 `(batch,)`, or None where no row has padding."""
        if torch.compiler.is_exporting() and lengths is not None:
            return cast(Tensor, recurrence(features, lengths, list(self.cell.parameters()), self.kind))
        return _states(features, lengths, list(self.cell.parameters()), self.kind)


def lengths_of(mask: Tensor) -> Tensor | None:
    """Return how many steps each row has, from a mask bool `(batch, steps)`, on the CPU, or None where all have all of them.

    While a network is exported, nothing may depend on what the rows are, and lengths it is.
    """
    if torch.compiler.is_exporting():
        return mask.sum(1)
    return None if bool(mask.all()) else mask.sum(1).cpu()


def _states(features: Tensor, lengths: Tensor | None, weights: list[Tensor], kind: str) -> Tensor:
    """Return the states of a layer whose weights are torch's, `(batch, steps, directions * width)`, 0 at padding.

    A CPU computes the states of padding, too, and forgets them: packed sequences take it two to three times as long.
    """
    if lengths is None:
        return _run(features, features.shape[0], weights, kind, True)
    if features.device.type != "cpu" or int(lengths.sum()) * _WORTH_PACKING < features.shape[0] * features.shape[1]:
        packed = pack_padded_sequence(features, lengths.cpu(), batch_first=True, enforce_sorted=False)
        data = _run(packed.data, features.shape[0], weights, kind, packed.batch_sizes)
        states = PackedSequence(data, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)
        return pad_packed_sequence(states, batch_first=True, total_length=features.shape[1])[0]
    steps, ends = torch.arange(features.shape[1]), lengths.unsqueeze(1)
    padding = (steps >= ends).unsqueeze(2)
    found = [_run(features, features.shape[0], weights[:_PARTS], kind, True)]
    if len(weights) > _PARTS:
        backwards = torch.where(steps < ends, ends - 1 - steps, steps).unsqueeze(2)  # each row from its own end
        turned = features.gather(1, backwards.expand_as(features))
        second = _run(turned, features.shape[0], weights[_PARTS:], kind, True)
        found.append(second.gather(1, backwards.expand_as(second)))
    return torch.cat(found, 2).masked_fill(padding, 0.0)


def _run(features: Tensor, batch: int, weights: list[Tensor], kind: str, layout: Tensor | bool) -> Tensor:
    """Return torch's states. layout: True for features `(batch, steps, width)`, or the batch sizes of packed ones."""
    directions = len(weights) // _PARTS
    start = features.new_zeros(directions, batch, weights[1].shape[1])
    starts = (start, start) if kind == "lstm" else start
    # Torch's arguments: weights, with biases, one layer, no dropout, whether gradients are wanted, both directions.
    rest = (weights, True, 1, 0.0, torch.is_grad_enabled(), directions == 2)
    run = _CELLS[kind][1]
    return run(features, starts, *rest, True)[0] if layout is True else run(features, layout, starts, *rest)[0]


@torch.library.custom_op("search_spaces::recurrence", mutates_args=())
def recurrence(features: Tensor, lengths: Tensor, weights: Sequence[Tensor], kind: str) -> Tensor:
    """Return the states of a layer, as an operator that exporters see as a whole. It has no gradients."""
    return _states(features, lengths, list(weights), kind)


@recurrence.register_fake
def _(features: Tensor, lengths: Tensor, weights: Sequence[Tensor], kind: str) -> Tensor:  # noqa: ARG001  the operator's
    width = len(weights) // _PARTS * weights[1].shape[1]
    return features.new_empty(features.shape[0], features.shape[1], width)


def translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """Return what `torch.onnx.export` must be given as `custom_translation_table` for networks with recurrent layers.

    Written are the operators RNN, GRU and LSTM of opset 22, with the gates in ONNX's order (see its specification: GRU with
    `linear_before_reset`, as torch computes it).
    """
    import onnxscript

    op: Any = onnxscript.opset23

    def reordered(weights: Any, kind: str) -> Any:
        order = _CELLS[kind][2]
        width = weights.shape[0] // len(order)
        rows = [gate * width + row for gate in order for row in range(width)]
        return weights if len(order) == 1 else op.Gather(weights, op.Constant(value_ints=rows), axis=0)

    def translated(features: Any, lengths: Any, weights: Sequence[Any], kind: str) -> Any:
        parts, directions = [reordered(part, kind) for part in weights], len(weights) // _PARTS
        # ONNX has the directions' weights along a first axis, and the two biases of each behind one another.
        of_input, of_state, first, second = (
            op.Concat(*(op.Unsqueeze(part, [0]) for part in parts[i::_PARTS]), axis=0) for i in range(_PARTS)
        )
        sizes = op.Cast(lengths, to=onnxscript.INT32.dtype)
        given = (op.Transpose(features, perm=[1, 0, 2]), of_input, of_state, op.Concat(first, second, axis=1), sizes)
        named = {"hidden_size": weights[1].shape[1], "direction": "bidirectional" if directions == 2 else "forward"}
        if kind == "lstm":
            states, *_ = op.LSTM(*given, **named)
        elif kind == "gru":
            states, *_ = op.GRU(*given, **named, linear_before_reset=1)
        else:
            states, *_ = op.RNN(*given, **named, activations=["Tanh" if kind == "rnn_tanh" else "Relu"] * directions)
        # From (steps, directions, batch, width); 0 stands for a size that stays.
        return op.Reshape(op.Transpose(states, perm=[2, 0, 1, 3]), op.Constant(value_ints=[0, 0, -1]))

    return {torch.ops.search_spaces.recurrence.default: translated}
