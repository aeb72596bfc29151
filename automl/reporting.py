"""Scores on rows that chose nothing: for the best network and for the baselines.

With report rows (a holdout, or the user's own test data) they are predicted once, after the search. Without (repeated folds on
small data), the score of the best network is corrected for having been chosen as the best of many (BBC-CV, `automl.bias`); a
baseline, which nobody chose, needs no correction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl import models
from automl.bias import bootstrap_interval, corrected_score
from automl.board import Entry
from automl.forecasts import scale_of, scaled_error
from automl.metrics import Metric, metric
from automl.run_folder import Run
from automl.scoring import out_of_fold

_RESAMPLES = 500
_SEED = 0  # of the bootstrap: the same run always reports the same figures


@dataclass(frozen=True)
class ReportScore:
    """A score with a 95 % bootstrap interval, in the metric's own sign, and in words how it was taken; of forecasts also MASE."""

    value: float
    low: float
    high: float
    method: str
    mase: float | None = None


def report_scores(run: Run, entries: Sequence[Entry], best: Entry | None) -> dict[int, ReportScore]:
    """Return the report scores of the best network and of the baselines that have predictions, by configuration number.

    Where there are no rows to report on, or the metric is undefined on them (roc_auc of a single class), there is no score.
    """
    chosen = [entry for entry in entries if entry.loss is not None and (entry.is_baseline or entry is best)]
    scores = {}
    if len(run.task.report):
        scores = {entry.number: _held_out(run, entry) for entry in chosen}
    elif len(run.task.folds) > 1:
        scores = {entry.number: _out_of_fold(run, entry, entries) for entry in chosen}
    return {number: score for number, score in scores.items() if math.isfinite(score.value)}


def _held_out(run: Run, entry: Entry) -> ReportScore:
    rows = np.asarray(run.task.report)
    if entry.is_baseline:
        folds = [run.checkpoints.predictions(entry.number, fold, "report") for fold in range(len(run.task.folds))]
        predictions = np.mean(np.asarray(folds, np.float64), axis=0)
    else:
        predictions = models.predict_rows(run, entry, rows)
    if scale_of(run.task.encoder) is None:
        return _score(run, rows, predictions, f"{len(rows)} rows that neither trained nor chose anything")
    method = f"{len(rows)} windows that neither trained nor chose anything; they overlap, so the interval is too narrow"
    return _score(run, rows, predictions, method)


def _score(run: Run, rows: NDArray[Any], predictions: NDArray[Any], method: str) -> ReportScore:
    scoring, target, weight = _scoring(run, rows)
    low, high = bootstrap_interval(scoring, target, predictions, weight, resamples=_RESAMPLES, seed=_SEED)
    mase = scaled_error(run.task.encoder, target, predictions)
    mase = mase if mase is not None and math.isfinite(mase) else None  # a season too long to have been seen twice
    return ReportScore(scoring.score(target, predictions, weight), low, high, method, mase)


def _scoring(run: Run, rows: NDArray[Any]) -> tuple[Metric, NDArray[Any], NDArray[Any] | None]:
    weight = None if run.task.score_weight is None else run.task.score_weight[rows]
    return metric(run.task.metric, run.task.kind), run.task.target[rows], weight


def _out_of_fold(run: Run, entry: Entry, entries: Sequence[Entry]) -> ReportScore:
    rows, predictions = out_of_fold(run.task, run.checkpoints, entry.number)
    if entry.is_baseline:
        return _score(run, rows, predictions, "out-of-fold predictions")
    rivals = [other for other in entries if not other.is_baseline and other.loss is not None]
    everything = np.stack([out_of_fold(run.task, run.checkpoints, other.number)[1] for other in rivals])
    scoring, target, weight = _scoring(run, rows)
    value, low, high = corrected_score(scoring, target, everything, weight, resamples=_RESAMPLES, seed=_SEED)
    return ReportScore(
        value, low, high, f"out-of-fold predictions, corrected for choosing among {len(rivals)} (BBC-CV), not for early stopping"
    )
