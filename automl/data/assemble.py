"""From the user's data and options to arrays and row numbers: the order of the steps, and nothing that another module can do.

The order is what keeps scores honest. Rows are dealt out before anything is read from them but the target; the kinds of columns
and their categories come from rows that may be seen; the user's validation and test rows are only ever looked up. Of tables whose
rows are steps (id_column) they come from all rows of the data, report rows too: they are the form of all sequences.
"""

# ruff: noqa: PD011 (the values of our Target are an array)
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from automl.data.columns import Columns
from automl.data.image_load import Images
from automl.data.kinds import Detected, as_inputs, detect_kinds, notable_lines
from automl.data.load import Loaded
from automl.data.names import listed
from automl.data.roles import Roles, class_factors, read_roles, row_counters, weights_beside
from automl.data.series_load import Series
from automl.data.sources import load_data
from automl.data.splits import Division, Folds, Rows, make_folds
from automl.data.target import Label, Target
from automl.data.targets import detect_kind, encode
from automl.data.unlabelled import code_for, without_texts
from automl.errors import DataError, OptionError
from automl.metrics import Metric, TaskKind, default_metric, metric

if TYPE_CHECKING:
    from automl.data.encoders import Encoder
    from automl.data.features import Features
    from automl.data.options import DataOptions

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Assembled:
    """Everything of a task but statistics; rows are those of the data, then the user's validation rows, then the test rows.

    features: as `encoder` makes them. folds: (fit, choose) row numbers. classes: empty unless rows are of one class each.
    targets: the names of several. Arrays as in `automl.task.Task`.
    """

    kind: TaskKind
    metric: Metric
    features: Features
    target: Array
    loss_weight: Array | None
    score_weight: Array | None
    folds: Folds
    report: Rows
    reports_own: bool
    encoder: Encoder
    classes: tuple[Label, ...]
    target_name: str
    targets: tuple[str, ...]
    code: int | None
    notices: tuple[str, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Beside:
    """The user's own validation or test rows; `name` is the option that they came by."""

    name: str
    loaded: Loaded
    target: Array
    weight: Array
    notices: tuple[str, ...]


def assemble(data: object, options: DataOptions) -> Assembled:
    """Read, judge, divide and encode. Raises `DataError` and `OptionError`."""
    loaded = load_data(data, options)
    options, set_aside = _with_parts(loaded, options)
    kind, why = _kind(loaded, options)
    scoring = default_metric(kind) if options.metric is None else metric(options.metric, kind)
    target = encode(loaded.target, kind, len(loaded.rows))
    roles = _roles(data, loaded, options)
    folds, report, seen = _divided(target, roles, _division(loaded, options))
    encoder, kinds = _encoder(loaded, seen, roles, options)
    besides = _besides(loaded, target, kind, options)
    folds, report = _with_own_rows(len(target.values), folds, report, besides)
    everything = np.concatenate([target.values, *(beside.target for beside in besides)])
    weight = _weights(roles, besides, seen)
    loss_weight = _loss_weights(weight, everything, target, seen, options)
    _check_weights(loss_weight, weight, folds, report)
    _check_scores(scoring, everything, target.classes, weight, folds)
    return Assembled(
        kind=kind,
        metric=scoring,
        features=_features(encoder, loaded, besides),
        target=everything,
        loss_weight=loss_weight,
        score_weight=weight,
        folds=folds,
        report=report,
        reports_own=options.test is not None,
        encoder=encoder,
        classes=target.classes,
        target_name=loaded.target_name,
        targets=tuple(map(str, loaded.target.columns)) if isinstance(loaded.target, pd.DataFrame) else (),
        code=code_for(kind, encoder, options.code),
        notices=(
            *([why] if kind == "reconstruction" else []),
            *loaded.notices,
            *set_aside,
            *(n for beside in besides for n in beside.notices),
            *_late(target, folds),
            *notable_lines(kinds),
            *_beside(loaded, roles),
        ),
        reasons=(why, *loaded.reasons, *(found.line for found in kinds.values()), *_of_texts(encoder)),
    )


def _kind(loaded: Loaded, options: DataOptions) -> tuple[TaskKind, str]:
    """Return the kind of task and the line that says why."""
    if options.horizon is None:
        return detect_kind(loaded.target, options.kind)
    if options.kind not in {None, "forecast"}:
        raise OptionError(f"task must be left out with horizon=, which makes it a forecast, got {options.kind!r}")
    return "forecast", f"{loaded.target_name}: forecast, {options.horizon} steps ahead"


def _roles(data: object, loaded: Loaded, options: DataOptions) -> Roles:
    """Return groups, times and weights; where time orders the steps inside of rows, it doesn't order the rows."""
    inside = options.horizon is not None or options.id_column is not None
    given = None if options.id_column is not None else data  # whose rows are steps: there are fewer sequences
    roles = read_roles(given, loaded, replace(options, time=None) if inside else options)
    return roles if loaded.times is None else replace(roles, times=loaded.times)


def _with_parts(loaded: Loaded, options: DataOptions) -> tuple[DataOptions, list[str]]:
    """Return the options with the user's own rows that were found in the data, unless he gave others, and the notices due."""
    parts, notices = dict(loaded.parts), []
    if "validation" in parts and (options.folds or options.repeats) and options.validation is None:
        notices.append(f"{loaded.source}: its validation part is left out, because folds choose")
        del parts["validation"]
    wanted = {name: part for name, part in parts.items() if getattr(options, name) is None}
    has_none = loaded.ready is not None and not len(loaded.frame.columns)
    if has_none and options.columns and options.id_column is None and options.horizon is None:
        raise OptionError("columns must be left out for images and arrays of sequences, which have none")
    return replace(options, **wanted), notices


def _beside(loaded: Loaded, roles: Roles) -> list[str]:
    """Return a notice of the columns beside images (and their like) that nothing is made of."""
    names = [name for name in loaded.frame.columns if name not in roles.columns] if loaded.ready is not None else []
    what = "images" if isinstance(loaded.ready, Images) else "sequences"
    return [f"columns {listed(names)} are set aside: networks learn from the {what} alone"] if names else []


def _division(loaded: Loaded, options: DataOptions) -> Division:
    """Return the sizes of the roles; folds of images and sequences aren't repeated unasked: their networks take long."""
    division = options.division
    if isinstance(loaded.ready, Images | Series):
        return replace(division, repeats=division.repeats or 1)
    return replace(division, gap=loaded.gap)


def _divided(target: Target, roles: Roles, division: Division) -> tuple[Folds, Rows, Rows]:
    """Return the folds, the report rows, and the rows from which kinds of columns and weights may be read."""
    folds, report = make_folds(target.strata, division, roles.groups, roles.times)
    return folds, report, folds[0][0] if len(folds) == 1 else np.setdiff1d(np.arange(len(target.values)), report)


def _encoder(loaded: Loaded, seen: Rows, roles: Roles, options: DataOptions) -> tuple[Encoder, dict[str, Detected]]:
    """Return what makes features of the data, fitted on the rows that may be seen, and the kinds of columns, {} for images."""
    if loaded.ready is not None:
        return loaded.ready.encoder, {}
    part = loaded.frame.iloc[seen].reset_index(drop=True)
    kinds = _kinds(part, loaded.rows[seen], roles, options)
    if loaded.target is None:
        kinds = without_texts(kinds)
    return Columns.fit(part, kinds, loaded.positional, options.tokenizer), kinds


def _of_texts(encoder: Encoder) -> list[str]:
    """Return the line that says what texts become, where there are any."""
    return [encoder.tokenizer.describe()] if isinstance(encoder, Columns) and encoder.tokenizer is not None else []


def _kinds(part: pd.DataFrame, positions: Rows, roles: Roles, options: DataOptions) -> dict[str, Detected]:
    """Return the kinds of columns, judged by the rows that may be seen; columns with another role are set aside."""
    wanted = {str(name): kind for name, kind in (options.columns or {}).items()}
    kinds = detect_kinds(part, {**wanted, **dict.fromkeys(roles.columns, "ignored")})
    kinds = as_inputs(kinds, options.inputs, wanted)
    for name, line in roles.columns.items():
        kinds[name] = replace(kinds[name], line=line)
    for name in row_counters(part, positions):
        others = [other for other, found in kinds.items() if found.used and other != name]
        if kinds[name].kind == "numeric" and name not in wanted and others:
            kinds[name] = Detected("identifier", f"{name}: identifier, set aside, it counts the rows", notable=True)
    return kinds


def _besides(loaded: Loaded, target: Target, kind: TaskKind, options: DataOptions) -> list[_Beside]:
    """Return the user's own rows, those for validation first. Raises `DataError` that names the option."""
    besides: list[_Beside] = []
    for name, data in (("validation", options.validation), ("test", options.test)):
        before = besides[-1].loaded if besides and loaded.times is not None else loaded  # in time, each part follows the last
        besides += [] if data is None else [_own_rows(name, data, before, target, kind, options)]
    return besides


def _own_rows(name: str, data: object, loaded: Loaded, target: Target, kind: TaskKind, options: DataOptions) -> _Beside:
    """Return "validation" or "test" rows, read like those of training."""
    try:
        own = load_data(data, options, loaded, name)
        values = encode(own.target, kind, len(own.rows), target.classes).values
        return _Beside(name, own, values, weights_beside(own, options), tuple(f"{name}: {notice}" for notice in own.notices))
    except DataError as error:
        raise DataError(f"{name}: {error}") from error


def _with_own_rows(rows: int, folds: Folds, report: Rows, besides: Sequence[_Beside]) -> tuple[Folds, Rows]:
    """Let validation rows choose and test rows report; they stand behind the `rows` of the data."""
    for beside in besides:
        own = np.arange(rows, rows + len(beside.target))
        if beside.name == "validation":
            folds = [(fit, own) for fit, _ in folds]
        else:
            report = own
        rows += len(own)
    return folds, report


def _features(encoder: Encoder, loaded: Loaded, besides: Sequence[_Beside]) -> Features:
    """Return the features of all rows, one part behind the other. Raises `DataError` that names the option."""
    if loaded.ready is not None:
        return loaded.ready.joined([beside.loaded.ready for beside in besides if beside.loaded.ready is not None])
    encoded = [encoder.transform(loaded.frame)]
    for beside in besides:
        try:
            encoded.append(encoder.transform(beside.loaded.frame))
        except DataError as error:
            raise DataError(f"{beside.name}: {error}") from error
    return encoded[0] if len(encoded) == 1 else tuple(np.concatenate(columns) for columns in zip(*encoded, strict=True))


# ---------------------------------------------------------------------------------------------------------------- weights


def _weights(roles: Roles, besides: Sequence[_Beside], seen: Rows) -> Array | None:
    """Return the user's weights, float32 with mean 1 over the rows seen, or None."""
    if roles.weight is None:
        return None
    mean = roles.weight[seen].mean()
    weight = np.concatenate([roles.weight, *(beside.weight for beside in besides)])
    return np.asarray(weight / mean if mean > 0 else weight, dtype=np.float32)


def _loss_weights(own: Array | None, codes: Array, target: Target, seen: Rows, options: DataOptions) -> Array | None:
    """Return the user's weights times those of the classes, float32 with mean 1 over the rows seen, or None."""
    if options.class_weight is None:
        return own
    each = np.ones(len(codes)) if own is None else own.astype(np.float64)
    sums = np.bincount(codes[seen], each[seen], minlength=len(target.classes)) if target.classes else each[:0]
    each *= class_factors(options.class_weight, target.classes, sums)[codes]
    mean = each[seen].mean()
    if not mean > 0:
        raise DataError("class_weight and sample_weight must not be 0 together for all rows that train")
    return np.asarray(each / mean, dtype=np.float32)


def _check_weights(loss: Array | None, score: Array | None, folds: Folds, report: Rows) -> None:
    """Raise `DataError` where all rows of a role weigh nothing."""
    roles = [("fit", loss, fit) for fit, _ in folds]
    roles += [("choose", score, choose) for _, choose in folds] + [("report", score, report)]
    for role, weight, rows in roles:
        if weight is not None and len(rows) and not weight[rows].any():
            raise DataError(f"sample_weight and class_weight must not be 0 for all rows that {role}, got {len(rows)} zeros")


def _check_scores(scoring: Metric, target: Array, classes: Sequence[Label], weight: Array | None, folds: Folds) -> None:
    """Raise `DataError` where not even a constant prediction has a score, so that no trial could have one."""
    for _, choose in folds:
        rows = target[choose]
        guess = np.full((len(rows), len(classes)), 1 / len(classes)) if classes else np.zeros(rows.shape)
        if np.isnan(scoring.score(rows, guess, None if weight is None else weight[choose])):
            values = ", ".join(repr(classes[int(value)] if classes else float(value)) for value in np.unique(rows)[:3])
            raise DataError(
                f"metric {scoring.name} must be defined on the rows that choose, but {len(rows)} of them hold only {values}; "
                "give more rows, fewer folds, another metric, or validation="
            )


def _late(target: Target, folds: Folds) -> list[str]:
    """Return a notice of the classes that some fold has no fit row of: only an order of time brings that about."""
    counts = [np.bincount(target.values[fit], minlength=len(target.classes)) for fit, _ in folds if target.classes]
    labels = ", ".join(repr(target.classes[code]) for code in np.flatnonzero((np.array(counts) == 0).any(0))) if counts else ""
    return [f"{labels} can't be learnt: all rows of these classes come after those that train"] if labels else []
