"""A predictor's networks as one ONNX file, which counts as written only once onnxruntime predicts what torch predicts.

The file begins where the encoder ends. Of a table it takes the arrays `numeric` float32 `(batch, p)`, NaN for missing, and
`categorical` int64 `(batch, q)`, those of the two that have columns; of images `images` uint8 or float32 `(batch, height, width,
channels)`, as decoders write them; any batch. Scaling, embeddings, softmax or the target's units, and the mean over the members
are inside. It returns `probabilities` float32 `(batch, classes)` or `values` float64 `(batch,)`.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from automl.data.features import Features
from automl.data.target import Label
from automl.errors import ExportError
from automl.member import Member, mean_prediction
from automl.training.feed import as_inputs
from search_spaces.spec import Image, Inputs, Table, Values

OPSET = 23
TOLERANCE = 1e-5  # between onnxruntime and torch: of probabilities, and of values in standard units
_BATCHES = (1, 2, 7, 100)
_VALUES = 2**22  # of the inputs of the largest batch: what networks make of large images would fill the memory
_EXAMPLE_ROWS = 3  # torch takes a batch of one for a constant
_CHATTER = (
    (FutureWarning, r"`isinstance\(treespec, LeafSpec\)` is deprecated"),
    (UserWarning, "# The axis name: batch will not be used"),
)


def write_onnx(path: Path, members: Sequence[Member], classes: Sequence[Label]) -> None:
    """Write the mean of the members' predictions as ONNX and compare it with torch. Raises `ExportError`, leaving no file."""
    whole = _Whole(members).eval()
    inputs = members[0].inputs
    example = [torch.from_numpy(array) for array in _present(inputs, _rows(inputs, _EXAMPLE_ROWS))]
    names = input_names(inputs)
    with _quiet():
        try:
            program = torch.onnx.export(
                whole,
                tuple(example),
                dynamo=True,
                opset_version=OPSET,
                input_names=names,
                output_names=[whole.output],
                dynamic_shapes=(tuple({0: torch.export.Dim("batch")} for _ in example),),
                verbose=False,
            )
        except Exception as error:
            raise ExportError(f"{_families(members)} can't be written as ONNX: {_reason(error)}; save without it") from error
    if program is None:
        raise ExportError(f"{_families(members)} can't be written as ONNX: torch made no program; save without it")
    program.model.metadata_props["classes"] = json.dumps(list(classes))
    if isinstance(inputs, Table):
        for kind, columns in (("numeric", inputs.numeric), ("categorical", inputs.categorical)):
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
    return (bool(inputs.numeric), bool(inputs.categorical)) if isinstance(inputs, Table) else (True,)


class _Whole(nn.Module):
    """All members, from the arrays that have values to the mean prediction."""

    def __init__(self, members: Sequence[Member]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(member.network for member in members)
        self.outputs = [member.outputs for member in members]
        self.has_values = _has_values(members[0].inputs)
        self.output = "values" if isinstance(self.outputs[0], Values) else "probabilities"

    def forward(self, *arrays: Tensor) -> Tensor:
        given = iter(arrays)
        kinds = (torch.float32, torch.int64)  # of a table's two tensors: other inputs always have values
        stored = (
            next(given) if has else arrays[0].new_zeros((arrays[0].shape[0], 0), dtype=kind)
            for has, kind in zip(self.has_values, kinds, strict=False)
        )
        inputs = as_inputs(tuple(stored))
        predictions = []
        for network, outputs in zip(self.networks, self.outputs, strict=True):
            raw = network(*inputs)
            if isinstance(outputs, Values):
                predictions.append(raw.squeeze(1).double() * outputs.std + outputs.mean)
            else:
                predictions.append(raw.softmax(1))
        return torch.stack(predictions).mean(0) if len(predictions) > 1 else predictions[0]


def _values(inputs: Inputs) -> int:
    """Return how many numbers a row has, at least one."""
    if isinstance(inputs, Table):
        return max(1, len(inputs.numeric) + len(inputs.categorical))
    return inputs.height * inputs.width * inputs.channels


def _present(inputs: Inputs, arrays: Features) -> list[NDArray[Any]]:
    return [np.asarray(array) for array, has in zip(arrays, _has_values(inputs), strict=True) if has]


def _rows(inputs: Inputs, rows: int) -> Features:
    """Return rows that a network must be able to take: far out of the range, missing, infinite, codes never seen."""
    rng = np.random.default_rng(rows)
    return _table_rows(inputs, rows, rng) if isinstance(inputs, Table) else (_images(inputs, rows, rng),)


def _images(inputs: Image, rows: int, rng: np.random.Generator) -> NDArray[Any]:
    shape = (rows, inputs.height, inputs.width, inputs.channels)
    if inputs.dtype == "uint8":
        return rng.integers(0, 256, shape, np.uint8)
    images = rng.normal(inputs.mean, inputs.std, shape).astype(np.float32)
    return np.where(rng.random(shape) < 0.01, np.float32(np.nan), images)


def _table_rows(inputs: Table, rows: int, rng: np.random.Generator) -> Features:
    numeric = np.empty((rows, len(inputs.numeric)), np.float32)
    for position, column in enumerate(inputs.numeric):
        low, high = column.quantiles[0], column.quantiles[-1]
        numeric[:, position] = rng.uniform(low, high, rows)
        odd = [np.nan, np.inf, -np.inf, high + 3 * (high - low), low - 3 * (high - low)]
        numeric[:, position] = np.where(rng.random(rows) < 0.3, rng.choice(odd, rows), numeric[:, position])
    codes = [rng.integers(-1, len(column.counts) + 2, rows) for column in inputs.categorical]
    categorical = np.stack(codes, 1) if codes else np.empty((rows, 0), np.int64)
    return numeric, categorical.astype(np.int64)


def _verify(path: Path, members: Sequence[Member]) -> None:
    """Raise `ExportError` unless onnxruntime predicts what torch predicts, for several batch sizes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    outputs = members[0].outputs
    mean, unit = (outputs.mean, outputs.std) if isinstance(outputs, Values) else (0.0, 1.0)
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        inputs = members[0].inputs
        for rows in [rows for rows in _BATCHES if rows <= max(2, _VALUES // _values(inputs))]:
            arrays = _rows(inputs, rows)
            feed = dict(zip(input_names(inputs), _present(inputs, arrays), strict=True))
            written, expected = session.run(None, feed)[0], mean_prediction(members, arrays)
            _compare((written - mean) / unit, (expected - mean) / unit, f"{_families(members)}, batch of {rows}")
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
