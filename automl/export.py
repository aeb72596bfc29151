"""A predictor's networks as one ONNX file, which counts as written only once onnxruntime predicts what torch predicts.

The file begins where the encoder ends. Of a table it takes the arrays `numeric` float32 `(batch, p)`, NaN for missing, and
`categorical` int64 `(batch, q)`, those of the two that have columns; of images `images` uint8 or float32 `(batch, height, width,
channels)`, as decoders write them; of sequences `values` float32 `(batch, time, channels)` and `lengths` int64 `(batch,)`; of
texts `tokens` int64 `(batch, length)`, of those beside columns `(batch, texts, length)`; batch, time and length are any. Scaling,
embeddings, softmax or the target's units, and the mean over the members are inside. It returns `probabilities` float32 `(batch,
classes)`, of labels `(batch, labels)`; `values` float64 `(batch,)`, of several `(batch, targets)`, called `predictions` of
sequences; `forecast` float64 `(batch, horizon)`; or `errors` float64 `(batch,)` and `code` float32 `(batch, code)`.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from automl.data.features import Features
from automl.data.target import Label
from automl.errors import ExportError
from automl.example_rows import example_rows, values_in_row
from automl.member import Member, mean_prediction
from automl.rebuilding import codes, has_code
from automl.training.feed import as_inputs
from automl.training.networks import Numbers
from search_spaces.recurrence import Recurrence, translations
from search_spaces.spec import (
    Classes,
    Forecast,
    Inputs,
    Labels,
    Mixed,
    Outputs,
    Reconstruction,
    Table,
    Values,
    Vector,
    as_table,
)

if TYPE_CHECKING:
    from search_spaces.autoencoder import RebuildingNetwork

OPSET = 23
TOLERANCE = 1e-5  # between onnxruntime and torch: of probabilities, and of values in standard units
_BATCHES = (1, 2, 7, 100)
_VALUES = 2**22  # of the inputs of the largest batch: what networks make of large images would fill the memory
_EXAMPLE_ROWS = 3  # torch takes a batch of one for a constant
_CHATTER = (
    (FutureWarning, r"`isinstance\(treespec, LeafSpec\)` is deprecated"),
    (UserWarning, "# The axis name: .* will not be used"),
)


def write_onnx(path: Path, members: Sequence[Member], classes: Sequence[Label]) -> None:
    """Write the mean of the members' predictions as ONNX and compare it with torch. Raises `ExportError`, leaving no file."""
    whole = _Whole(members).eval()
    inputs = members[0].inputs
    example = [torch.from_numpy(array) for array in _present(inputs, example_rows(inputs, _EXAMPLE_ROWS))]
    axes = [free for free, has in zip(inputs.free, _has_values(inputs), strict=True) if has]
    names = input_names(inputs)
    with _quiet():
        try:
            program = torch.onnx.export(
                whole,
                tuple(example),
                dynamo=True,
                opset_version=OPSET,
                input_names=names,
                output_names=whole.names,
                custom_translation_table=_translations(whole),
                dynamic_shapes=(tuple(dict(free) for free in axes),),
                verbose=False,
            )
        except Exception as error:
            raise ExportError(f"{_families(members)} can't be written as ONNX: {_reason(error)}; save without it") from error
    if program is None:
        raise ExportError(f"{_families(members)} can't be written as ONNX: torch made no program; save without it")
    program.model.metadata_props["classes"] = json.dumps(list(classes))
    if isinstance(inputs, Table | Mixed):
        table = as_table(inputs)
        for kind, columns in (("numeric", table.numeric), ("categorical", table.categorical)):
            program.model.metadata_props[kind] = json.dumps([column.name for column in columns])
    program.save(path, external_data=False)
    try:
        _verify(path, members)
    except ExportError:
        path.unlink()
        raise


def input_names(inputs: Inputs) -> list[str]:
    """Return the names of the inputs of an exported file: of a table those of the two arrays that have columns."""
    return [name for name, has in zip(inputs.tensors, _has_values(inputs), strict=True) if has]


def _has_values(inputs: Inputs) -> tuple[bool, ...]:
    """Return which of the spec's tensors have any values in a row."""
    if isinstance(inputs, Table | Mixed):
        table = as_table(inputs)
        return bool(table.numeric), bool(table.categorical), *[True] * isinstance(inputs, Mixed)
    return (True,) * len(inputs.tensors)


class _Whole(nn.Module):
    """All members, from the arrays that have values to the mean prediction."""

    def __init__(self, members: Sequence[Member]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(member.network for member in members)
        self.outputs = [member.outputs for member in members]
        self.has_values = _has_values(members[0].inputs)
        self.has_code = has_code(members)
        self.names = [output_name(self.outputs[0], members[0].inputs), *(["code"] if self.has_code else [])]

    def forward(self, *arrays: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        given = iter(arrays)
        kinds = (torch.float32, torch.int64, torch.int64)  # of a table's tensors: other inputs always have values
        stored = (
            next(given) if has else arrays[0].new_zeros((arrays[0].shape[0], 0), dtype=kind)
            for has, kind in zip(self.has_values, kinds, strict=False)
        )
        inputs = as_inputs(tuple(stored))
        predictions = [_read(network(*inputs), outputs) for network, outputs in zip(self.networks, self.outputs, strict=True)]
        mean = torch.stack(predictions).mean(0) if len(predictions) > 1 else predictions[0]
        return (mean, cast("RebuildingNetwork", self.networks[0]).encode(*inputs)) if self.has_code else mean


def _translations(network: nn.Module) -> dict[Callable[..., Any], Callable[..., Any]] | None:
    """Return how operators of ours are written: recurrent layers as ONNX's own, which torch would freeze to one length."""
    return translations() if any(isinstance(module, Recurrence) for module in network.modules()) else None


def output_name(outputs: Outputs, inputs: Inputs) -> str:
    """Return the name of what an exported file returns; that of an input can't be."""
    if isinstance(outputs, Classes | Labels):
        return "probabilities"
    if isinstance(outputs, Forecast):
        return "forecast"
    return "errors" if isinstance(outputs, Reconstruction) else "values" if "values" not in inputs.tensors else "predictions"


def _read(raw: Tensor, outputs: Outputs) -> Tensor:
    """Return what `automl.training.networks.read_outputs` returns, as operations that can be written."""
    match outputs:
        case Classes():
            return raw.softmax(1)
        case Labels():
            return raw.sigmoid()
        case Reconstruction():
            return raw.squeeze(1).double()
        case Values():
            return raw.squeeze(1).double() * outputs.std + outputs.mean
        case Vector():
            return raw.double() * torch.tensor(outputs.std, dtype=torch.float64) + torch.tensor(outputs.mean, dtype=torch.float64)
        case Forecast():
            return raw.double() * outputs.std + outputs.mean


def _present(inputs: Inputs, arrays: Features) -> list[NDArray[Any]]:
    return [np.asarray(array) for array, has in zip(arrays, _has_values(inputs), strict=True) if has]


def _verify(path: Path, members: Sequence[Member]) -> None:
    """Raise `ExportError` unless onnxruntime predicts what torch predicts, for several batch sizes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    outputs = members[0].outputs
    mean, unit = (np.asarray(outputs.mean), np.asarray(outputs.std)) if isinstance(outputs, Numbers) else (0.0, 1.0)
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        inputs = members[0].inputs
        for rows in [rows for rows in _BATCHES if rows <= max(2, _VALUES // values_in_row(inputs))]:
            arrays = example_rows(inputs, rows)
            feed = dict(zip(input_names(inputs), _present(inputs, arrays), strict=True))
            (written, *code), expected = session.run(None, feed), mean_prediction(members, arrays)
            where = f"{_families(members)}, batch of {rows}"
            _compare((written - mean) / unit, (expected - mean) / unit, where)
            if code:
                known = codes(members, arrays)
                size = max(1.0, float(np.abs(known).max()))
                _compare(code[0] / size, known / size, f"{where}, code")
    except ExportError:
        raise
    except Exception as error:
        raise ExportError(
            f"onnxruntime can't run the file written for {_families(members)}: {_reason(error)}; save without it"
        ) from error


def _compare(written: NDArray[Any], expected: NDArray[Any], where: str) -> None:
    if written.shape != expected.shape:
        raise ExportError(f"{where}: ONNX must predict an array of shape {expected.shape}, got {written.shape}; save without it")
    if not np.allclose(written, expected, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True):
        worst = np.nanmax(np.abs(written - expected))
        raise ExportError(f"{where}: ONNX and torch must agree to {TOLERANCE:g}, but differ by {worst:g}; save without it")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what torch's exporter says of itself from the user: nothing of it can be acted on."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            for category, message in _CHATTER:
                warnings.filterwarnings("ignore", message, category)
            yield
    finally:
        logger.setLevel(level)


def _families(members: Sequence[Member]) -> str:
    return ", ".join(sorted({type(member.architecture).__name__ for member in members}))


def _reason(error: BaseException) -> str:
    """Return in one line what went wrong first; torch wraps it into pages of advice for its developers."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"
