"""`automl.load`: from a model's folder back to a predictor, running no code from the file.

Everything in the folder is data. What it says is checked before it is used: families are looked up by name among those that the
caller knows, and a network is built by their code and then filled with the weights, which must fit it exactly.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load as tensors_from
from torch import Tensor, nn

from automl.data.encoders import Encoder, check_fits, encoder_from_dict
from automl.data.flips import FLIPS
from automl.data.window_format import WindowFormat
from automl.errors import ModelError, OptionError, nearest
from automl.member import Member
from automl.metrics import TASK_KINDS, metric
from automl.model_files import MANIFEST, WEIGHTS, read_model
from automl.predictor import Predictor
from automl.training.networks import NetworkFault, build_network
from search_spaces.configuration import KNOWN
from search_spaces.domains import Infeasible, SpaceError
from search_spaces.language import Architecture
from search_spaces.spec import (
    CategoricalColumn,
    Classes,
    Forecast,
    Image,
    Inputs,
    Labels,
    Mixed,
    NumericColumn,
    Outputs,
    Reconstruction,
    Table,
    Text,
    TimeSeries,
    Values,
    Vector,
)
from search_spaces.spec_files import inputs_from_dict, outputs_from_dict

T = TypeVar("T")
_OUTPUTS: Mapping[str, tuple[type[Outputs], ...]] = {  # of each kind of task
    "binary": (Classes,),
    "multiclass": (Classes,),
    "regression": (Values, Vector),
    "multilabel": (Labels,),
    "forecast": (Forecast,),
    "reconstruction": (Reconstruction,),
}
Families = Mapping[str, type[Architecture]]


def load(path: str | os.PathLike[str], families: Sequence[type[Architecture]] = ()) -> Predictor:
    """Return the predictor that `Predictor.save` or `export` wrote into the folder `path`.

    families: your own architectures that the model may be made of; ours are known. A family of the same name goes before ours.

    Raises:
        ModelError: the folder isn't a model, it is incomplete, altered or of an unknown version, or needs a family not given.
        OptionError: `families` holds something else than architectures.

    """
    if not isinstance(path, str | os.PathLike):
        raise ModelError(f"load takes the path of a model's folder, got {type(path).__name__}")
    known = {family.__name__: family for family in (*KNOWN, *_checked_families(families))}
    folder = Path(path).expanduser()
    manifest, content = read_model(folder)
    try:
        tensors = tensors_from(content)
        return _predictor(manifest, tensors, known)
    except SafetensorError as error:
        raise ModelError(f"{folder / WEIGHTS} must be a safetensors file: {error}") from error
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError, MemoryError, Infeasible, NetworkFault) as error:
        where = "" if str(error).startswith(str(folder)) else f"{folder / MANIFEST}: "
        raise ModelError(f"{where}{_described(error)}") from error


def _described(error: Exception) -> str:
    """Return the message of an error that explains itself; of any other its kind too."""
    explains = isinstance(error, ModelError | SpaceError | OptionError | Infeasible | NetworkFault) and str(error)
    return str(error) if explains else f"it isn't what automl writes ({type(error).__name__}: {error})"


def _checked_families(families: Any) -> tuple[type[Architecture], ...]:
    given = tuple(families) if isinstance(families, list | tuple | set | frozenset) else (families,)
    for family in given:
        if not (isinstance(family, type) and issubclass(family, Architecture)):
            raise OptionError(f"families must be a list of Architecture classes, e.g. families=[MyNet], got {family!r}")
    return given


def _predictor(manifest: dict[str, Any], tensors: dict[str, Tensor], known: Families) -> Predictor:
    task, entries = _field(manifest, "task", dict), _field(manifest, "members", list)
    kind, classes = _field(task, "kind", str), _field(task, "classes", list)
    if kind not in TASK_KINDS:
        raise ModelError(f"task/kind must be one of {', '.join(TASK_KINDS)}, got {kind!r}{nearest(kind, TASK_KINDS)}")
    if not all(isinstance(label, str | int | float | bool) for label in classes):
        raise ModelError("task/classes must be texts, numbers or booleans")
    targets = task.get("targets", [])
    if not isinstance(targets, list) or not all(isinstance(name, str) for name in targets):
        raise ModelError("task/targets must be a list of texts")
    if not entries:
        raise ModelError("members must hold at least one network")
    encoder = encoder_from_dict(manifest)
    members = []
    for position, entry in enumerate(entries):
        prefix = f"{position}."
        own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
        members.append(_member(entry, own, known, encoder, kind, f"members/{position}"))
        _check_width(members[-1].outputs, len(classes), len(targets), f"members/{position}")
    return Predictor(
        members=tuple(members),
        encoder=encoder,
        kind=kind,
        classes=tuple(classes),
        target=_field(task, "target", str),
        targets=tuple(targets),
        metric=metric(_field(task, "metric", str), kind).name,
        scores=_field(manifest, "scores", dict),
    )


def _field(data: Any, name: str, kind: type[T]) -> T:
    if not isinstance(data, dict) or not isinstance(data.get(name), kind):
        raise ModelError(f"{name} must be there and be a {kind.__name__}")
    value: T = data[name]
    return value


def _member(entry: Any, own: dict[str, Tensor], known: Families, encoder: Encoder, kind: str, where: str) -> Member:
    """Return a member with its weights; a network is only built where there are weights for it."""
    if not own:
        raise ModelError(f"{where} has no weights in {WEIGHTS}")
    described = _field(entry, "architecture", dict)
    name = described.get("family")
    if not isinstance(name, str) or name not in known:
        hint = f"{nearest(name, known)}; if the family is your own, pass it: automl.load(path, families=[{name}])"
        raise ModelError(f"{where} must be of a known family ({', '.join(sorted(known))}), got {name!r}{hint}")
    architecture = known[name].from_dict(described, tuple(known.values()), f"{where}/architecture")
    inputs, outputs = inputs_from_dict(_field(entry, "inputs", dict)), outputs_from_dict(_field(entry, "outputs", dict))
    _check_statistics(inputs, outputs, where)
    check_fits(inputs, encoder, where)
    _check_kind(outputs, kind, encoder, where)
    # Shapes cost nothing: no file may have gigabytes taken by saying that its images are large.
    with contextlib.suppress(NetworkFault), torch.device("meta"):  # a family may need the values of tensors to build
        _check_weights(build_network(architecture, inputs, outputs, seed=0), own, where)
    network = build_network(architecture, inputs, outputs, seed=0)
    _check_weights(network, own, where)
    network.load_state_dict(own)
    return Member(architecture, inputs, outputs, network.eval())


def _check_weights(network: nn.Module, own: dict[str, Tensor], where: str) -> None:
    """Raise `ModelError` unless these are weights of the network, and all of them."""
    expected = network.state_dict()
    for key in sorted({*expected, *own}):
        if key not in own or key not in expected:
            raise ModelError(f"{where}: {WEIGHTS} {'lacks' if key not in own else 'holds a stray'} {key!r}")
        if own[key].shape != expected[key].shape or own[key].dtype != expected[key].dtype:
            shapes = [f"{value.dtype} {tuple(value.shape)}" for value in (expected[key], own[key])]
            raise ModelError(f"{where}: {key} in {WEIGHTS} must be {shapes[0]}, got {shapes[1]}")


def _check_statistics(inputs: Inputs, outputs: Outputs, where: str) -> None:
    """Raise `ModelError` for statistics that no data have: a family's code may count on them."""
    _check_inputs(inputs, where)
    match outputs:
        case Classes():
            _check_counts(outputs.counts, where)
        case Labels():
            _check_counts((outputs.rows, *outputs.counts), where)
            if not all(count <= outputs.rows for count in outputs.counts):
                raise ModelError(f"{where}/outputs: counts must be at most rows, {outputs.rows}, got {outputs.counts}")
        case Vector():
            _check_scale(outputs.mean, outputs.std, f"{where}/outputs")
        case Values() | Forecast():
            _check_scale((outputs.mean,), (outputs.std,), f"{where}/outputs")
        case Reconstruction():
            _check_counts((outputs.code,), where)
    if isinstance(outputs, Forecast):
        _check_counts((outputs.horizon, outputs.channel), where)
        if not (isinstance(inputs, TimeSeries) and outputs.channel < len(inputs.channels) and outputs.horizon):
            raise ModelError(f"{where}/outputs: channel and horizon must be of the inputs, got {outputs}")


def _check_inputs(inputs: Inputs, where: str) -> None:
    _check_counts((inputs.rows,), where)
    match inputs:
        case Table():
            _check_columns(inputs.numeric, inputs.categorical, where)
        case Image():
            _check_scale(inputs.mean, inputs.std, f"{where}/inputs")
            if not set(inputs.flips) <= set(FLIPS):
                raise ModelError(f"{where}/inputs: flips must be of {', '.join(FLIPS)}, got {inputs.flips}")
        case TimeSeries():
            _check_columns(inputs.channels, (), where)
            _check_scale([c.mean for c in inputs.channels], [c.std for c in inputs.channels], f"{where}/inputs")
            _check_counts((inputs.length, inputs.shortest), where)
            if not (inputs.channels and 1 <= inputs.shortest <= inputs.length):
                raise ModelError(f"{where}/inputs: there must be channels, and 1 <= shortest <= length")
        case Text():
            _check_counts((inputs.vocabulary, inputs.length), where)
            if inputs.vocabulary < 2 or inputs.length < 1:
                raise ModelError(
                    f"{where}/inputs: vocabulary must be at least 2 and length 1, got {inputs.vocabulary} and {inputs.length}"
                )
            _check_counts(inputs.unseen, where)
            if not all(1 < code < inputs.vocabulary for code in inputs.unseen):
                raise ModelError(f"{where}/inputs: unseen must be codes from 2 on, of the vocabulary of {inputs.vocabulary}")
        case Mixed():
            _check_inputs(inputs.table, where)
            _check_inputs(inputs.text, where)


def _check_columns(numeric: Sequence[NumericColumn], categorical: Sequence[CategoricalColumn], where: str) -> None:
    for column in numeric:
        _check_finite((column.mean, column.std, column.missing, *column.quantiles), where)
        if len(column.quantiles) < 2 or sorted(column.quantiles) != list(column.quantiles):
            raise ModelError(f"{where}/inputs: quantiles of {column.name!r} must be ascending, at least two")
    for codes in categorical:
        _check_counts(codes.counts, where)
        if not codes.counts:
            raise ModelError(f"{where}/inputs: counts of {codes.name!r} must hold at least the code 0")


def _check_scale(mean: Sequence[float], std: Sequence[float], where: str) -> None:
    _check_finite((*mean, *std), where)
    if not all(spread > 0 for spread in std):
        raise ModelError(f"{where}: std must be greater than 0, got {std[0] if len(std) == 1 else std}")
    if len(mean) != len(std):
        raise ModelError(f"{where}: mean and std must be of one length, got {len(mean)} and {len(std)}")


def _check_finite(numbers: Sequence[Any], where: str) -> None:
    if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
        raise ModelError(f"{where}: statistics must be finite numbers")


def _check_counts(counts: Sequence[Any], where: str) -> None:
    if not all(type(count) is int and 0 <= count < 2**63 for count in counts):
        raise ModelError(f"{where}: counts must be whole numbers from 0")


def _check_kind(outputs: Outputs, kind: str, encoder: Encoder, where: str) -> None:
    """Raise `ModelError` unless these are outputs of such a task, of no more steps than the encoder forecasts."""
    if not isinstance(outputs, _OUTPUTS[kind]):
        raise ModelError(f"{where}/outputs must be of a {kind} task, got {type(outputs).__name__}")
    horizon = encoder.horizon if isinstance(encoder, WindowFormat) else None
    if (outputs.horizon if isinstance(outputs, Forecast) else None) != horizon:
        raise ModelError(f"{where}/outputs: horizon must be that of forecast, {horizon}")


def _check_width(outputs: Outputs, classes: int, targets: int, where: str) -> None:
    if (outputs.width if isinstance(outputs, Classes) else 0) != classes:
        raise ModelError(f"{where}/outputs must have the width of task/classes, {classes}")
    if isinstance(outputs, Labels | Vector) and outputs.width != targets:
        raise ModelError(f"{where}/outputs must have the width of task/targets, {targets}")
