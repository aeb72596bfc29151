"""How predictions are scored.

A score is taken after every epoch of every trial, so each metric is a few lines of numpy rather than a call into scikit-learn;
the tests hold both equal. An undefined score is NaN, never an exception or a warning: whether it fails a trial is for the caller
to say.

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

TaskKind: TypeAlias = Literal["binary", "multiclass", "regression"]
Needs: TypeAlias = Literal["probabilities", "labels", "values"]
Array: TypeAlias = NDArray[Any]
Measure: TypeAlias = Callable[[Array, Array, Array], float]

TASK_KINDS: tuple[TaskKind, ...] = get_args(TaskKind)
CLASSES: tuple[TaskKind, ...] = ("binary", "multiclass")
VALUES: tuple[TaskKind, ...] = ("regression",)


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
            target: class codes `(rows,)`, or values `(rows,)`.
            prediction: probabilities `(rows, classes)`, or values `(rows,)`.
            weight: how much each row counts, `(rows,)`, not negative; None: all the same.

        Raises:
            ValueError: the shapes don't fit each other.

        """
        dimensions = 1 if self.needs == "values" else 2
        if prediction.ndim != dimensions or len(prediction) != len(target):
            raise ValueError(f"{self.name}: {len(target)} rows can't be scored by predictions of shape {prediction.shape}")
        weights = np.ones(len(target)) if weight is None else np.asarray(weight, dtype=np.float64)
        if not weights.sum() > 0 or not np.isfinite(prediction).all():
            return math.nan
        with np.errstate(all="ignore"):
            score = float(self._measure(target, prediction, weights))
        return score if math.isfinite(score) else math.nan

    def loss(self, score: float) -> float:
        """Return the score in the sign in which lower is better."""
        return -score if self.greater_is_better else score


def metric(name: str, kind: TaskKind) -> Metric:
    """Return the metric called `name`. Raises `OptionError` where there is none, or where it can't score this kind of task."""
    fitting = [known.name for known in METRICS.values() if kind in known.kinds]
    if name not in fitting:
        here = f" (it scores {' and '.join(METRICS[name].kinds)} tasks)" if name in METRICS else nearest(name, fitting)
        raise OptionError(f"metric of a {kind} task must be one of {', '.join(fitting)}, got {name!r}{here}")
    return METRICS[name]


def default_metric(kind: TaskKind) -> Metric:
    """Return the metric for a task whose user named none."""
    names: dict[TaskKind, str] = {"binary": "roc_auc", "multiclass": "accuracy", "regression": "rmse"}
    return METRICS[names[kind]]


# ----------------------------------------------------------------------------------------------------------------- labels


def _accuracy(target: Array, prediction: Array, weight: Array) -> float:
    return float(np.average(prediction.argmax(1) == target, weights=weight))


def _confusion(target: Array, prediction: Array, weight: Array) -> Array:
    """Return the weight of each (true, predicted) pair, `(classes, classes)`."""
    width = prediction.shape[1]
    pairs = target.astype(np.int64) * width + prediction.argmax(1)
    return np.bincount(pairs, weights=weight, minlength=width * width).reshape(width, width)


def _balanced_accuracy(target: Array, prediction: Array, weight: Array) -> float:
    confusion = _confusion(target, prediction, weight)
    rows = confusion.sum(1)
    return float(np.mean(np.diag(confusion)[rows > 0] / rows[rows > 0]))


def _f1(target: Array, prediction: Array, weight: Array) -> float:
    """F1 of class 1 where there are two, else the mean over all classes that are true or predicted somewhere."""
    confusion = _confusion(target, prediction, weight)
    sums = confusion.sum(0) + confusion.sum(1)
    each = np.divide(2 * np.diag(confusion), sums, out=np.zeros(len(sums)), where=sums > 0)
    return float(each[1]) if len(each) == len(CLASSES) else float(each[sums > 0].mean())


# ---------------------------------------------------------------------------------------------------------- probabilities


def _log_loss(target: Array, prediction: Array, weight: Array) -> float:
    # The smallest probability follows the type: a float32 softmax says 0 where float64 would say 1e-46.
    smallest = np.finfo(prediction.dtype).eps
    chosen = prediction[np.arange(len(target)), target] / prediction.sum(1)
    return float(np.average(-np.log(np.clip(chosen.astype(np.float64), smallest, 1 - smallest)), weights=weight))


def _steps(positive: Array, score: Array, weight: Array) -> tuple[Array, Array]:
    """Return the weight of positives and of negatives at each different score, from the highest score down."""
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    starts = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1])))
    inside = weight[order] * positive[order]
    return np.add.reduceat(inside, starts), np.add.reduceat(weight[order] - inside, starts)


def _roc_area(positive: Array, score: Array, weight: Array) -> float:
    """Return the chance that a positive scores above a negative, ties counting half."""
    hits, misses = _steps(positive, score, weight)
    below = misses.sum() - np.cumsum(misses) + misses / 2
    return float(hits @ below / (hits.sum() * misses.sum()))


def _precision(positive: Array, score: Array, weight: Array) -> float:
    """Return the mean precision over the steps of recall, without interpolation."""
    hits, misses = _steps(positive, score, weight)
    found = np.cumsum(hits)
    taken = found + np.cumsum(misses)
    return float(hits @ np.divide(found, taken, out=np.zeros(len(taken)), where=taken > 0) / found[-1])


def _one_against_rest(measure: Measure, needs_negatives: bool) -> Measure:
    """Return a metric for any number of classes: class 1 where there are two, else the mean over the classes present."""

    def score(target: Array, prediction: Array, weight: Array) -> float:
        width = prediction.shape[1]
        present = np.bincount(target, weights=weight, minlength=width)
        columns = [1] if width == len(CLASSES) else list(range(width))
        usable = [c for c in columns if present[c] > 0 and not (needs_negatives and present[c] == present.sum())]
        areas = [measure(target == c, prediction[:, c], weight) for c in usable]
        return sum(areas) / len(areas) if areas else math.nan

    return score


# ----------------------------------------------------------------------------------------------------------------- values


def _mse(target: Array, prediction: Array, weight: Array) -> float:
    return float(np.average((target - prediction.astype(np.float64)) ** 2, weights=weight))


def _rmse(target: Array, prediction: Array, weight: Array) -> float:
    return math.sqrt(_mse(target, prediction, weight))


def _mae(target: Array, prediction: Array, weight: Array) -> float:
    return float(np.average(np.abs(target - prediction.astype(np.float64)), weights=weight))


def _r2(target: Array, prediction: Array, weight: Array) -> float:
    """Return the share of variance explained; undefined for a constant target (scikit-learn says 0 or 1)."""
    mean = np.average(target, weights=weight)
    error = np.average((target - prediction.astype(np.float64)) ** 2, weights=weight)
    return float(1 - error / np.average((target - mean) ** 2, weights=weight))


METRICS: dict[str, Metric] = {
    known.name: known
    for known in (
        Metric("accuracy", True, CLASSES, "labels", _accuracy),
        Metric("balanced_accuracy", True, CLASSES, "labels", _balanced_accuracy),
        Metric("f1", True, CLASSES, "labels", _f1),
        Metric("roc_auc", True, CLASSES, "probabilities", _one_against_rest(_roc_area, needs_negatives=True)),
        Metric("average_precision", True, CLASSES, "probabilities", _one_against_rest(_precision, needs_negatives=False)),
        Metric("log_loss", False, CLASSES, "probabilities", _log_loss),
        Metric("rmse", False, VALUES, "values", _rmse),
        Metric("mae", False, VALUES, "values", _mae),
        Metric("mse", False, VALUES, "values", _mse),
        Metric("r2", True, VALUES, "values", _r2),
    )
}
