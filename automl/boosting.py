"""Histogram gradient boosting with scikit-learn's default settings, on our arrays.

It is fitted again wherever it is needed: its trees have no file format without pickle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from automl.data.features import Features
from automl.library import fit_in_time, library
from automl.training.feed import as_inputs, feed_of
from automl.training.networks import CPU
from automl.training.rows import loss_weight
from search_spaces.images import PooledPixels, Standardise
from search_spaces.spec import Classes, Image, Inputs, Mixed, Outputs, Table, TimeSeries, Values, as_table
from search_spaces.summary import SeriesSummary

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from automl.task import Fold, Task

ITERATIONS = (10, 100)  # at first, at most: the latter is scikit-learn's default

SIDE = 10  # pixels: images are pooled until neither side is longer; each pixel costs time for each tree and class
POINTS = (4, 32)  # that sequences are resampled to, of very many channels and of up to `_FEW_CHANNELS`

_FEW_CHANNELS = 4
_MOST_CATEGORIES = 254  # scikit-learn takes 255 for each column; the last one stands for all rare ones
_LARGEST = 1e30  # stands for infinity
_EARLY_STOPPING_ROWS = 10_000  # above, scikit-learn sets rows aside, stratified, which needs two of each class


@dataclass(frozen=True)
class Boosting:
    """A fitted boosting model: scikit-learn's estimator behind our codes.

    cut: whether the deadline took iterations away. note: what to know.
    """

    estimator: Any
    columns: _Columns
    outputs: Outputs
    iterations: int
    cut: bool
    note: str = ""

    def predict(self, features: Features, rows: NDArray[np.int64] | None = None) -> NDArray[Any]:
        """Return probabilities `(rows, classes)` as float32, or values `(rows,)` as float64; features as they are stored."""
        table = self.columns.of(features, rows)
        with library():
            if isinstance(self.outputs, Values):
                return np.asarray(self.estimator.predict(table), np.float64)
            probabilities = np.zeros((len(table), self.outputs.width), np.float32)
            probabilities[:, self.estimator.classes_] = self.estimator.predict_proba(table)
            return probabilities

    def raw(self, features: Features) -> Tensor:
        """Return what a network would that predicts the same: logits, or values in standard units, `(rows, width)`."""
        predicted, outputs = torch.from_numpy(self.predict(features)), self.outputs
        if isinstance(outputs, Values):
            return ((predicted - outputs.mean) / (outputs.std or 1.0)).unsqueeze(1)
        return predicted.clamp_min(torch.finfo(torch.float32).tiny).log()


def fit_boosting(task: Task, fold: Fold, seed: int, deadline: float | None = None, *, most: int = ITERATIONS[1]) -> Boosting:
    """Fit histogram gradient boosting with its default settings on the fit rows; deterministic unless a deadline cuts it.

    most: iterations; those of a model that a deadline cut give the same model again. Missing numbers and codes are missing to it.
    Raises `BaselineFault` where scikit-learn can't fit these rows.
    """
    rows, columns = fold.fit, _Columns(fold.inputs)
    table, target, weight = columns.of(task.features, rows), task.target[rows], loss_weight(task, rows)
    flags = [i >= table.shape[1] - len(columns.codes) for i in range(table.shape[1])]
    with library():
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        options: dict[str, Any] = {"categorical_features": flags, "random_state": seed % 2**32, "warm_start": True}
        estimator = HistGradientBoostingRegressor(**options)
        if isinstance(fold.outputs, Classes):
            estimator = HistGradientBoostingClassifier(**options, early_stopping=_early_stopping(target))

        def fit(iterations: int) -> bool:
            estimator.set_params(max_iter=iterations)
            estimator.fit(table, target, sample_weight=weight)
            return int(estimator.n_iter_) < iterations

        iterations, stopped = fit_in_time(fit, min(ITERATIONS[0], most), most, deadline)
    cut = not stopped and iterations < ITERATIONS[1]
    notes = ["fitted on the columns beside the texts"] if isinstance(fold.inputs, Mixed) else []
    notes += [f"{iterations} of {ITERATIONS[1]} iterations in the time left"] if cut else []
    return Boosting(estimator, columns, fold.outputs, iterations, cut, "; ".join(notes))


def _early_stopping(target: NDArray[np.int64]) -> str | bool:
    """Return scikit-learn's default, unless a class is too small for the rows it would set aside."""
    counts = np.bincount(target)
    return "auto" if len(target) <= _EARLY_STOPPING_ROWS or counts[counts > 0].min() > 1 else False


class _Columns:
    """What boosting sees: numbers and few enough categories of a table, pooled pixels of images, summaries of sequences.

    Of a table some columns of which are texts it sees the others.
    """

    def __init__(self, inputs: Inputs) -> None:
        self.pool: nn.Module | None = None
        if isinstance(inputs, Image):
            self.pool = nn.Sequential(Standardise(inputs), PooledPixels(inputs, SIDE))
        elif isinstance(inputs, TimeSeries):
            self.pool = SeriesSummary(inputs, max(POINTS[0], min(POINTS[1], POINTS[1] * _FEW_CHANNELS // len(inputs.channels))))
        self.codes = _codes(as_table(inputs)) if isinstance(inputs, Table | Mixed) else ()

    def of(self, features: Features, rows: NDArray[np.int64] | None) -> NDArray[np.float64]:
        """Return the columns `(rows, columns)` of some rows, or of all."""
        if self.pool is not None:
            feed = feed_of(features, rows, CPU)
            return np.concatenate([self.pool(*as_inputs(block)).double().numpy() for block in feed.blocks()])
        numeric, categorical = (np.asarray(stored) if rows is None else stored[rows] for stored in features[:2])
        numbers = np.clip(np.asarray(numeric, np.float64), -_LARGEST, _LARGEST)
        return np.column_stack([numbers, *(table[categorical[:, i]] for i, table in enumerate(self.codes))])


def _codes(inputs: Table) -> tuple[NDArray[np.float64], ...]:
    """Return for each categorical column what its codes become: few enough categories, NaN for missing and never seen."""
    tables = []
    for column in inputs.categorical:
        counts = np.array(column.counts)
        counts[:1] = 0
        order = np.argsort(-counts, kind="stable")
        table = np.full(len(counts), np.nan)
        table[order] = np.minimum(np.arange(len(counts)), _MOST_CATEGORIES)
        table[counts == 0] = np.nan
        tables.append(table)
    return tuple(tables)
