"""A predictor's networks as one ONNX file, which counts as written only once onnxruntime predicts what torch predicts.

The file begins where `Columns` ends: it takes the arrays `numeric` float32 `(batch, p)`, NaN for missing, and `categorical` int64
`(batch, q)`, those of the two that have columns, for any batch. Scaling, embeddings, softmax or the target's units, and the mean
over the members are inside. It returns `probabilities` float32 `(batch, classes)` or `values` float64 `(batch,)`.
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

from automl.data.target import Label
from automl.errors import ExportError
from automl.member import Member, mean_prediction
from search_spaces.spec import Inputs, Values

OPSET = 23
TOLERANCE = 1e-5  # between onnxruntime and torch: of probabilities, and of values in standard units
_BATCHES = (1, 2, 7, 100)
_EXAMPLE_ROWS = 3  # torch takes a batch of one for a constant
_CHATTER = (
    (FutureWarning, r"`isinstance\(treespec, LeafSpec\)` is deprecated"),
    (UserWarning, "# The axis name: batch will not be used"),
)


def write_onnx(path: Path, members: Sequence[Member], classes: Sequence[Label]) -> None:
    """Write the mean of the members' predictions as ONNX and compare it with torch. Raises `ExportError`, leaving no file."""
    whole = _Whole(members).eval()
    example = [torch.from_numpy(array) for array in _present(*_rows(members[0].inputs, _EXAMPLE_ROWS))]
    names = input_names(members[0].inputs)
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
    for kind, columns in (("numeric", members[0].inputs.numeric), ("categorical", members[0].inputs.categorical)):
        program.model.metadata_props[kind] = json.dumps([column.name for column in columns])
    program.save(path, external_data=False)
    try:
        _verify(path, members)
    except ExportError:
        path.unlink()
        raise


def input_names(inputs: Inputs) -> list[str]:
    """Return the names of the inputs of an exported file: those of the two arrays that have columns."""
    return [name for name, columns in (("numeric", inputs.numeric), ("categorical", inputs.categorical)) if columns]


class _Whole(nn.Module):
    """All members, from the arrays that have columns to the mean prediction."""

    def __init__(self, members: Sequence[Member]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(member.network for member in members)
        self.outputs = [member.outputs for member in members]
        self.has_numeric, self.has_categorical = (bool(columns) for columns in _both(members[0].inputs))
        self.output = "values" if isinstance(self.outputs[0], Values) else "probabilities"

    def forward(self, *arrays: Tensor) -> Tensor:
        rows = arrays[0].shape[0]
        numeric = arrays[0] if self.has_numeric else arrays[0].new_zeros((rows, 0), dtype=torch.float32)
        categorical = arrays[-1] if self.has_categorical else arrays[0].new_zeros((rows, 0), dtype=torch.int64)
        predictions = []
        for network, outputs in zip(self.networks, self.outputs, strict=True):
            raw = network(numeric, categorical)
            if isinstance(outputs, Values):
                predictions.append(raw.squeeze(1).double() * outputs.std + outputs.mean)
            else:
                predictions.append(raw.softmax(1))
        return torch.stack(predictions).mean(0) if len(predictions) > 1 else predictions[0]


def _both(inputs: Inputs) -> tuple[Sequence[Any], Sequence[Any]]:
    return inputs.numeric, inputs.categorical


def _present(*arrays: NDArray[Any]) -> list[NDArray[Any]]:
    return [array for array in arrays if array.shape[1]]


def _rows(inputs: Inputs, rows: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return rows that a network must be able to take: far out of the range, missing, infinite, codes never seen."""
    rng = np.random.default_rng(rows)
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
        for rows in _BATCHES:
            arrays = _rows(members[0].inputs, rows)
            feed = dict(zip(input_names(members[0].inputs), _present(*arrays), strict=True))
            written, expected = session.run(None, feed)[0], mean_prediction(members, *arrays)
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
