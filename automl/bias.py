"""How far a score can be trusted: an interval for one model's score, and the score of a winner without the luck of having won.

The best of many configurations was chosen by the very scores that are then shown for it, so its score is too good. Bootstrap
bias correction (BBC-CV; Tsamardinos, Greasidou, Borboudakis: Bootstrapping the out-of-sample predictions for efficient and
accurate cross-validation, Machine Learning 107, 2018) repeats the choice on resampled out-of-fold predictions, and scores each
winner on the rows that its choice didn't see. No model is trained again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from automl.metrics import Metric

Array: TypeAlias = NDArray[Any]

RESAMPLES = 500  # the paper uses 500 to 1000
LEVEL = 0.95  # of the intervals
_AT_ONCE = 100_000  # weights in memory at a time, draws x rows: they fit the cache


def bootstrap_interval(
    metric: Metric, target: Array, prediction: Array, weight: Array | None = None, *, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """Return the ends of a 95 % percentile interval of a model's score over resampled rows; NaN where it is undefined.

    Args:
        metric: what is scored, in its own sign.
        target: codes or values `(rows,)`.
        prediction: `(rows, classes)` or `(rows,)`.
        weight: of the rows, `(rows,)`.
        resamples: how often the rows are drawn.
        seed: of the draws.

    """
    own = _weights(target, weight)
    scores = [metric.scores(target, prediction, draws * own) for draws in _draws(len(target), resamples, seed)]
    return _ends(np.concatenate(scores) if scores else np.zeros(0))


def corrected_score(
    metric: Metric, target: Array, predictions: Array, weight: Array | None = None, *, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float, float]:
    """Return the score to expect of the best configuration on new rows, and the ends of a 95 % interval (BBC-CV).

    The interval is wide rather than narrow: each draw scores about 37 % of the rows.

    Args:
        metric: what chose the configuration, in its own sign.
        target: codes or values `(rows,)`.
        predictions: out-of-fold predictions of *all* configurations that could have been chosen, `(configurations, rows,
            classes)` or `(configurations, rows)`; leaving losers out leaves bias in.
        weight: of the rows, `(rows,)`.
        resamples: how often the rows are drawn.
        seed: of the draws.

    """
    own = _weights(target, weight)
    scores = [_scores_of_winners(metric, target, predictions, draws, own) for draws in _draws(len(target), resamples, seed)]
    found = np.concatenate(scores) if scores else np.zeros(0)
    defined = found[np.isfinite(found)]
    return (float(defined.mean()) if len(defined) else math.nan, *_ends(found))


def _scores_of_winners(metric: Metric, target: Array, predictions: Array, draws: Array, own: Array) -> Array:
    """Return for each draw the score of the configuration that is best on the drawn rows, on the rows left out."""
    sign = -1.0 if metric.greater_is_better else 1.0
    losses = np.stack([sign * metric.scores(target, prediction, draws * own) for prediction in predictions])
    winners = np.where(np.isnan(losses), math.inf, losses).argmin(0)
    scores = np.full(len(draws), math.nan)
    for winner in np.unique(winners):
        won = (winners == winner) & np.isfinite(losses[winner])
        scores[won] = metric.scores(target, predictions[winner], (draws[won] == 0) * own)
    return scores


def _draws(rows: int, resamples: int, seed: int) -> Iterator[Array]:
    """Yield how often each row is drawn, `(draws, rows)`, a few draws at a time."""
    rng = np.random.default_rng(seed)
    at_once = max(1, _AT_ONCE // max(1, rows))
    for start in range(0, resamples if rows else 0, at_once):
        draws = min(at_once, resamples - start)
        cells = rng.integers(0, rows, size=(draws, rows)) + np.arange(draws)[:, None] * rows
        yield np.bincount(cells.ravel(), minlength=draws * rows).reshape(draws, rows).astype(np.float64)


def _weights(target: Array, weight: Array | None) -> Array:
    return np.ones(len(target)) if weight is None else weight.astype(np.float64)


def _ends(scores: Array) -> tuple[float, float]:
    defined = scores[np.isfinite(scores)]
    if not len(defined):
        return math.nan, math.nan
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
