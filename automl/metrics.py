"""How predictions are scored.

A score is taken after every epoch of every trial, so each metric is a few lines of numpy rather than a call into scikit-learn;
the tests hold both equal. An undefined score is NaN, never an exception or a warning: whether it fails a trial is for the caller
to say.

Weights are given as `(draws, rows)`: a bootstrap over the rows is a matter of weights, and scores all its draws at once.

Of several targets, or steps ahead, a score is the mean of each one's own, as with scikit-learn's `multioutput="uniform_average"`;
but rmse is the root of mse in any case. So is the score of labels, but for accuracy, which counts the rows that are right in all
labels. A label is said of a row from a probability of 0.5.

One deviation from scikit-learn: averages over classes (`roc_auc`, `average_precision`) run over the classes that occur in the
rows. A class with a single row always goes to the fit rows, and would otherwise make every score of its task undefined.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from automl.errors import OptionError, nearest

TaskKind: TypeAlias = Literal["binary", "multiclass", "regression", "multilabel", "forecast", "reconstruction"]
Needs: TypeAlias = Literal["probabilities", "labels", "values"]
Array: TypeAlias = NDArray[Any]
Floats: TypeAlias = NDArray[np.float64]
Measure: TypeAlias = Callable[[Array, Array, Floats], Floats]

TASK_KINDS: tuple[TaskKind, ...] = get_args(TaskKind)
CLASSES: tuple[TaskKind, ...] = ("binary", "multiclass")
LABELS: tuple[TaskKind, ...] = ("multilabel",)
VALUES: tuple[TaskKind, ...] = ("regression", "forecast")
ERRORS: tuple[TaskKind, ...] = ("reconstruction",)
LIKELY = 0.5  # the probability from which a label is said of a row


@dataclass(frozen=True)
class Metric:
    """A score of predictions against a target.

    kinds: the tasks it can score. needs: what it looks at: all probabilities, the most probable label, or values.
    """

    name: str
    greater_is_better: bool
    kinds: tuple[TaskKind, ...]
    needs: Needs
    _measure: Measure = field(repr=False, compare=False)

    def score(self, target: Array, prediction: Array, weight: Array | None = None) -> float:
        """Return the score, in the metric's own sign; NaN where it is undefined or the predictions aren't finite.

        Args:
            target: class codes `(rows,)`, labels as 0 and 1 `(rows, labels)`, or values `(rows,)` or `(rows, targets)`.
            prediction: probabilities `(rows, classes)`, or numbers in the shape of the target.
            weight: how much each row counts, `(rows,)`, not negative; None: all the same.

        Raises:
            ValueError: the shapes don't fit each other.

        """
        weights = np.ones(len(target)) if weight is None else weight
        return float(self.scores(target, prediction, weights.reshape(1, -1))[0])

    def scores(self, target: Array, prediction: Array, weights: Array) -> Floats:
        """Return `score` under each row of `weights`, `(draws, rows)`, as float64 `(draws,)`."""
        is_alike = self.needs == "values" or target.ndim == 2
        fits = (prediction.shape == target.shape if is_alike else prediction.ndim == 2) and weights.ndim == 2
        if not (fits and len(prediction) == len(target) == weights.shape[1]):
            shapes = f"predictions {prediction.shape} under weights {weights.shape}"
            raise ValueError(f"{self.name}: {len(target)} rows can't be scored by {shapes}")
        if not len(target) or not np.isfinite(prediction).all():
            return np.full(len(weights), math.nan)
        with np.errstate(all="ignore"):
            scores = self._measure(target, prediction, weights.astype(np.float64, copy=False))
        return np.where(np.isfinite(scores) & (weights.sum(1) > 0), scores, math.nan)

    def loss(self, score: float) -> float:
        """Return the score in the sign in which lower is better."""
        return -score if self.greater_is_better else score


def metric(name: str, kind: TaskKind) -> Metric:
    """Return the metric called `name`. Raises `OptionError` where there is none, or where it can't score this kind of task."""
    fitting = [known.name for known in METRICS.values() if kind in known.kinds]
    if not isinstance(name, str) or name not in fitting:
        other = METRICS.get(str(name))
        here = f" (it scores {' and '.join(other.kinds)} tasks)" if other else nearest(name, fitting)
        raise OptionError(f"metric of a {kind} task must be one of {', '.join(fitting)}, got {name!r}{here}")
    return METRICS[name]


def default_metric(kind: TaskKind) -> Metric:
    """Return the metric for a task whose user named none."""
    names: dict[TaskKind, str] = {
        "binary": "roc_auc",
        "multiclass": "accuracy",
        "regression": "rmse",
        "multilabel": "roc_auc",
        "forecast": "mae",
        "reconstruction": "reconstruction_error",
    }
    return METRICS[names[kind]]


# Below: target and prediction as in `Metric.score`, weights `(draws, rows)` -> scores `(draws,)`.
# ----------------------------------------------------------------------------------------------------------------- labels


def _ratio(above: Array, below: Array) -> Floats:
    return np.asarray(above / below, dtype=np.float64)


def _mean(values: Array, weights: Floats) -> Floats:
    return _ratio(weights @ values.astype(np.float64), weights.sum(1))


def _mean_of_columns(measure: Measure) -> Measure:
    """Return a measure of one target as the mean over several, `(rows, targets)`."""

    def measured(target: Array, prediction: Array, weights: Floats) -> Floats:
        if target.ndim == 1:
            return measure(target, prediction, weights)
        columns = [measure(target[:, c], prediction[:, c], weights) for c in range(target.shape[1])]
        return np.asarray(np.stack(columns, axis=1).mean(1))

    return measured


def _mean_defined(scores: Floats) -> Floats:
    """Return the means `(draws,)` of the scores `(draws, classes)` that are defined."""
    defined = np.isfinite(scores)
    return _ratio(np.where(defined, scores, 0.0).sum(1), defined.sum(1))


def _accuracy(target: Array, prediction: Array, weights: Floats) -> Floats:
    if target.ndim == 2:
        return _mean(((prediction >= LIKELY) == (target > 0)).all(1), weights)
    return _mean(prediction.argmax(1) == target, weights)


def _per_class(codes: Array, weights: Floats, width: int) -> Floats:
    """Return the weight of each code, `(draws, width)`; codes that are `width` are left out."""
    if len(weights) == 1:
        return np.bincount(codes, weights[0], minlength=width)[None, :width].astype(np.float64)
    return np.stack([weights[:, codes == code].sum(1) for code in range(width)], axis=1)


def _balanced_accuracy(target: Array, prediction: Array, weights: Floats) -> Floats:
    width = prediction.shape[1]
    hits = _per_class(np.where(prediction.argmax(1) == target, target, width), weights, width)
    return _mean_defined(hits / _per_class(target, weights, width))


def _f1(target: Array, prediction: Array, weights: Floats) -> Floats:
    """F1 of class 1 where there are two, else the mean over all classes (labels) that are true or predicted somewhere."""
    if target.ndim == 2:
        said, true = prediction >= LIKELY, target > 0
        return _mean_defined(_ratio(2 * weights @ (said & true), weights @ said.astype(np.float64) + weights @ true))
    width = prediction.shape[1]
    guess = prediction.argmax(1)
    hits = _per_class(np.where(guess == target, target, width), weights, width)
    each = 2 * hits / (_per_class(target, weights, width) + _per_class(guess, weights, width))
    return np.nan_to_num(each[:, 1]) if width == len(CLASSES) else _mean_defined(each)


# ---------------------------------------------------------------------------------------------------------- probabilities


def _log_loss(target: Array, prediction: Array, weights: Floats) -> Floats:
    # The smallest probability follows the type: a float32 softmax says 0 where float64 would say 1e-46.
    smallest = np.finfo(prediction.dtype).eps
    if target.ndim == 2:
        chosen = np.where(target > 0, prediction, 1 - prediction)
        return _mean(-np.log(np.clip(chosen.astype(np.float64), smallest, 1.0)).mean(1), weights)
    chosen = prediction[np.arange(len(target)), target] / prediction.sum(1)
    return _mean(-np.log(np.clip(chosen.astype(np.float64), smallest, 1 - smallest)), weights)


def _steps(positive: Array, score: Array, weights: Floats) -> tuple[Floats, Floats]:
    """Return the weight of positives and of negatives at each different score, `(draws, scores)`, from the highest down."""
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    starts = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1])))
    everyone = weights[:, order]
    inside = everyone * positive[order]
    if len(starts) == len(score):
        return inside, everyone - inside
    return np.add.reduceat(inside, starts, axis=1), np.add.reduceat(everyone - inside, starts, axis=1)


def _roc_area(positive: Array, score: Array, weights: Floats) -> Floats:
    """Return the chance that a positive scores above a negative, ties counting half."""
    hits, misses = _steps(positive, score, weights)
    total = misses.sum(1, keepdims=True)
    below = total - np.cumsum(misses, axis=1) + misses / 2
    return _ratio(np.einsum("ds,ds->d", hits, below), hits.sum(1) * total[:, 0])


def _precision(positive: Array, score: Array, weights: Floats) -> Floats:
    """Return the mean precision over the steps of recall, without interpolation."""
    hits, misses = _steps(positive, score, weights)
    found = np.cumsum(hits, axis=1)
    taken = found + np.cumsum(misses, axis=1)
    precision = np.divide(found, taken, out=np.zeros_like(taken), where=taken > 0)
    return _ratio(np.einsum("ds,ds->d", hits, precision), found[:, -1])


def _one_against_rest(measure: Measure) -> Measure:
    """Return a metric for any number of classes (class 1 where there are two, else the mean over those present) or labels."""

    def measured(target: Array, prediction: Array, weights: Floats) -> Floats:
        width = prediction.shape[1]
        if target.ndim == 2:
            return _mean_defined(np.stack([measure(target[:, c] > 0, prediction[:, c], weights) for c in range(width)], axis=1))
        columns = [1] if width == len(CLASSES) else np.unique(target).tolist()
        return _mean_defined(np.stack([measure(target == c, prediction[:, c], weights) for c in columns], axis=1))

    return measured


# ----------------------------------------------------------------------------------------------------------------- values


def _mse(target: Array, prediction: Array, weights: Floats) -> Floats:
    return _mean((target - prediction.astype(np.float64)) ** 2, weights)


def _rmse(target: Array, prediction: Array, weights: Floats) -> Floats:
    return np.sqrt(_mean_of_columns(_mse)(target, prediction, weights))


def _mae(target: Array, prediction: Array, weights: Floats) -> Floats:
    return _mean(np.abs(target - prediction.astype(np.float64)), weights)


def _r2(target: Array, prediction: Array, weights: Floats) -> Floats:
    """Return the share of variance explained; undefined for a constant target (scikit-learn says 0 or 1)."""
    centred = target - _mean(target, weights)[:, None]
    variance = (weights * centred**2).sum(1) / weights.sum(1)
    rounding = np.finfo(np.float64).eps * np.abs(target).max()  # a constant may differ by this from its own mean
    return 1 - _mse(target, prediction, weights) / np.where(variance > (4 * rounding) ** 2, variance, 0.0)


# ----------------------------------------------------------------------------------------------------------------- errors


def _own_error(_: Array, prediction: Array, weights: Floats) -> Floats:
    return _mean(prediction, weights)


_ANY_CLASSES: tuple[TaskKind, ...] = (*CLASSES, *LABELS)
METRICS: dict[str, Metric] = {
    known.name: known
    for known in (
        Metric("accuracy", True, _ANY_CLASSES, "labels", _accuracy),
        Metric("balanced_accuracy", True, CLASSES, "labels", _balanced_accuracy),
        Metric("f1", True, _ANY_CLASSES, "labels", _f1),
        Metric("roc_auc", True, _ANY_CLASSES, "probabilities", _one_against_rest(_roc_area)),
        Metric("average_precision", True, _ANY_CLASSES, "probabilities", _one_against_rest(_precision)),
        Metric("log_loss", False, _ANY_CLASSES, "probabilities", _log_loss),
        Metric("rmse", False, VALUES, "values", _rmse),
        Metric("mae", False, VALUES, "values", _mean_of_columns(_mae)),
        Metric("mse", False, VALUES, "values", _mean_of_columns(_mse)),
        Metric("r2", True, VALUES, "values", _mean_of_columns(_r2)),
        Metric("reconstruction_error", False, ERRORS, "values", _own_error),
    )
}
