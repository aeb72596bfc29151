"""What is to be learnt: rows as arrays, the roles that they play, and the specs that networks are built from.

A task is made once, saved once, and read by every process of a search from the same memory-mapped files. Nothing in it is
pickled: arrays are .npy files, all else is JSON. It holds the user's own validation and test rows behind the rows of the data.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from automl.data.encoders import Encoder, encoder_from_dict, encoder_to_dict
from automl.data.features import Features
from automl.data.image_format import ImageFormat
from automl.data.options import DataOptions
from automl.data.pictures import Pictures
from automl.errors import RunError
from automl.metrics import TaskKind
from automl.task_folder import read_arrays, shapes, write_arrays
from search_spaces.spec import Image, Inputs, Mixed, Outputs, Text, TimeSeries
from search_spaces.spec_files import inputs_from_dict, outputs_from_dict, spec_to_dict

__all__ = ["DataOptions", "Fold", "Task", "make_task"]

Array: TypeAlias = NDArray[Any]
Rows: TypeAlias = NDArray[np.int64]

_FORMAT = 1
_LINES = 100  # columns that `describe` speaks of
_FIELDS = ("target", "loss_weight", "score_weight", "report")
_FILES = "files"  # the paths of images that are decoded when they are needed, in the place of the images


@dataclass(frozen=True, eq=False, repr=False)
class Fold:
    """One division of the rows: `fit` makes gradients, `choose` stops and selects. Both are sorted, and no row is in both.

    inputs, outputs: the specs, with statistics of the fit rows only.
    """

    fit: Rows
    choose: Rows
    inputs: Inputs
    outputs: Outputs

    def __repr__(self) -> str:
        return f"Fold({len(self.fit)} fit, {len(self.choose)} choose)"


@dataclass(frozen=True, eq=False, repr=False)
class Task:
    """A learning task; with several folds `encoder` knows the values of all rows but `report`, while a fold's specs know its own.

    metric: the name of what is maximised or minimised. losses: the names of the losses that fit this kind of task.
    features: what the fold's inputs describe, as it is stored: of a table numeric float32 (rows, p), NaN for missing, and
    categorical int32 (rows, q); images uint8 or float32 (rows, height, width, channels), or the files that they are decoded from.
    encoder: from data as users have them to features. target: codes into `classes`, int64 (rows,), or values, float64 (rows,); of
    several (rows, targets), their names in `targets`: values, or labels as 0 and 1; zeros where nothing is to be predicted. code:
    the numbers that autoencoders reduce a row to, None for what suits.
    loss_weight, score_weight: float32 (rows,) or None; only the first holds class weights.
    report: rows that nothing but the final report may see; empty for small data. reports_own: they are the user's own test rows,
    which no refit may see either. classes: the labels, as the user wrote them.
    reasons: what was detected, one line each. notices: what the user should know. fingerprint: sha256 of all that training sees,
    of images decoded on the way of their paths.
    """

    kind: TaskKind
    metric: str
    losses: tuple[str, ...]
    features: Features
    target: Array
    loss_weight: Array | None
    score_weight: Array | None
    folds: tuple[Fold, ...]
    report: Rows
    encoder: Encoder
    classes: tuple[str | int | float | bool, ...]
    target_name: str
    targets: tuple[str, ...] = ()
    code: int | None = None
    reports_own: bool = False
    notices: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    fingerprint: str = ""

    def __post_init__(self) -> None:
        if not self.fingerprint:
            object.__setattr__(self, "fingerprint", _fingerprint(self))

    def __repr__(self) -> str:
        return f"Task({self._target_line()}; {self._rows_line()})"

    def save(self, folder: str | Path) -> None:
        """Write the task into `folder`, whole or not at all; an earlier task there is replaced."""
        beside = {"notices": self.notices, "reasons": self.reasons, "fingerprint": self.fingerprint}
        write_arrays(Path(folder), {**_header(self), **beside}, _arrays(self))

    @classmethod
    def load(cls, folder: str | Path) -> Task:
        """Return the task in `folder`, its arrays memory-mapped and read-only. Raises `RunError` where it is incomplete."""
        try:
            return cls.of_parts(*read_arrays(Path(folder)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RunError(f"{folder} must hold a saved task, but its header can't be read: {error}") from error

    @staticmethod
    def of_parts(header: dict[str, Any], arrays: dict[str, Array]) -> Task:
        """Return the task that `read_arrays` found in a folder."""
        return _from_parts(header, arrays)

    def describe(self) -> list[str]:
        """Return what the task is, one line each: target, rows, columns (of very many, the first), notices."""
        more = len(self.reasons) - _LINES
        reasons = [*self.reasons[:_LINES], *([f"... and {more} more columns"] if more > 0 else [])]
        return [self._target_line(), self._rows_line(), *reasons, *(line for line in self.notices if line not in reasons)]

    def _target_line(self) -> str:
        about = f", target {self.target_name!r}" if self.target_name else ""
        what = f"{self.kind} task{about}, metric {self.metric}"
        if not self.classes:
            return what
        counts = np.bincount(self.target, minlength=len(self.classes))
        most = np.argsort(-counts, kind="stable")[:5]
        shares = ", ".join(f"{self.classes[code]!r} {counts[code] / counts.sum():.1%}" for code in most)
        return f"{what}, {len(self.classes)} classes: {shares}{', ...' if len(self.classes) > len(most) else ''}"

    def _rows_line(self) -> str:
        first, features = self.folds[0], _features_line(self.folds[0].inputs)
        if len(self.folds) > 1:
            seen = len(self.target) - len(self.report)
            rows = f"{len(self.folds)} folds over {seen} rows choose, {len(self.report) or 'no'} rows report"
        else:
            rows = f"{len(first.fit)} rows fit, {len(first.choose)} choose, {len(self.report) or 'none'} report"
        return f"{features}; {rows}"


def make_task(data: object, options: DataOptions) -> Task:
    """Return what is to be learnt from the user's data: a path, DataFrame, (X, y), images.

    The columns are fitted on rows that may be seen, the statistics of each fold on its fit rows. Raises `DataError` where the
    data can't be used, `OptionError` where an option can't.
    """
    from automl.data.assemble import assemble  # loads pandas, which a worker that only reads tasks never needs
    from automl.data.flips import flips_line
    from automl.data.statistics import describe_inputs, describe_outputs
    from search_spaces.losses import losses_for

    made = assemble(data, options)
    folds = []
    for fit, choose in made.folds:
        outputs = describe_outputs(made, fit)
        inputs = describe_inputs(made.features, fit, made.encoder, made.target, outputs)
        folds.append(Fold(fit=fit, choose=choose, inputs=inputs, outputs=outputs))
    first = folds[0].inputs
    flips = (flips_line(first.flips),) if isinstance(first, Image) else ()
    return Task(
        kind=made.kind,
        metric=made.metric.name,
        losses=losses_for(folds[0].outputs),
        features=made.features,
        target=made.target,
        loss_weight=made.loss_weight,
        score_weight=made.score_weight,
        folds=tuple(folds),
        report=made.report,
        encoder=made.encoder,
        classes=made.classes,
        target_name=made.target_name,
        targets=made.targets,
        code=made.code,
        reports_own=made.reports_own,
        notices=made.notices,
        reasons=(*made.reasons, *flips),
    )


def _features_line(inputs: Inputs) -> str:
    match inputs:
        case Image():
            colours = {1: "grey", 3: "colour"}.get(inputs.channels, f"{inputs.channels}-channel")
            return f"{colours} images of {inputs.height} x {inputs.width} pixels"
        case TimeSeries():
            steps = f"{inputs.shortest} to {inputs.length}" if inputs.shortest < inputs.length else f"{inputs.length}"
            return f"sequences of {steps} steps with {len(inputs.channels)} values each"
        case Text():
            return f"texts of up to {inputs.length} tokens, {inputs.vocabulary} different ones"
        case Mixed():
            return f"{_features_line(inputs.table)}, {len(inputs.names)} of text"
    return f"{len(inputs.numeric)} numeric and {len(inputs.categorical)} categorical features"


def _arrays(task: Task) -> dict[str, Array]:
    present: dict[str, Array] = {}
    for name, stored in zip(task.folds[0].inputs.tensors, task.features, strict=True):
        if isinstance(stored, Pictures):
            present[f"{name}-{_FILES}"] = stored.paths
        else:
            present[name] = np.asarray(stored)
    present |= {name: getattr(task, name) for name in _FIELDS if getattr(task, name) is not None}
    for number, fold in enumerate(task.folds):
        present |= {f"fit-{number}": fold.fit, f"choose-{number}": fold.choose}
    return present


def _header(task: Task) -> dict[str, Any]:
    """Return all that training sees of a task beside its arrays, as JSON data."""
    return {
        "format": _FORMAT,
        "kind": task.kind,
        "metric": task.metric,
        "losses": list(task.losses),
        "target": task.target_name,
        "targets": list(task.targets),
        "code": task.code,
        "reports_own": task.reports_own,
        "classes": list(task.classes),
        **encoder_to_dict(task.encoder),
        "folds": [{"inputs": spec_to_dict(fold.inputs), "outputs": spec_to_dict(fold.outputs)} for fold in task.folds],
    }


def _fingerprint(task: Task) -> str:
    arrays = _arrays(task)
    header = {**_header(task), "arrays": shapes(arrays)}
    digest = hashlib.sha256(json.dumps(header, sort_keys=True, allow_nan=False).encode())
    for array in arrays.values():
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _from_parts(header: dict[str, Any], arrays: dict[str, Array]) -> Task:
    if header["format"] != _FORMAT:
        raise ValueError(f"its format is {header['format']!r}, and this version reads {_FORMAT}")
    folds = tuple(
        Fold(arrays[f"fit-{n}"], arrays[f"choose-{n}"], inputs_from_dict(specs["inputs"]), outputs_from_dict(specs["outputs"]))
        for n, specs in enumerate(header["folds"])
    )
    encoder = encoder_from_dict(header)
    return Task(
        kind=header["kind"],
        metric=header["metric"],
        losses=tuple(header["losses"]),
        reports_own=header.get("reports_own", False),
        features=_features_from(arrays, encoder, folds[0].inputs.tensors),
        target=arrays["target"],
        loss_weight=arrays.get("loss_weight"),
        score_weight=arrays.get("score_weight"),
        folds=folds,
        report=arrays["report"],
        encoder=encoder,
        classes=tuple(header["classes"]),
        target_name=header["target"],
        targets=tuple(header.get("targets", ())),
        code=header.get("code"),
        notices=tuple(header["notices"]),
        reasons=tuple(header["reasons"]),
        fingerprint=header["fingerprint"],
    )


def _features_from(arrays: dict[str, Array], encoder: Encoder, names: tuple[str, ...]) -> Features:
    if isinstance(encoder, ImageFormat) and f"{names[0]}-{_FILES}" in arrays:
        return (Pictures(arrays[f"{names[0]}-{_FILES}"], encoder),)
    return tuple(arrays[name] for name in names)
