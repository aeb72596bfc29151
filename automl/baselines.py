"""Baselines: what a network has to beat, on the same rows, by the same metric, on the same board.

    majority, mean   the shares of the classes, or the mean of the target
    linear           logistic or ridge regression, on what the family `Linear` makes of the columns
    tfidf            in its place where there are texts: the same on their words and pairs of words (see `automl.text_baseline`)
    boosting         scikit-learn's histogram gradient boosting with its default settings, on all but texts
    mean_row, pca    of what is rebuilt: the mean row, and principal components (see `automl.components`)
    naive, seasonal naive, linear   of forecasts: the last value, that of one season before, ridge regression (see `automl.naive`)

The first two are `Linear` networks whose weights were found otherwise, so they are stored, predict and export like all networks.
Boosting and tfidf are fitted again where they are needed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import nn

from automl.boosting import Boosting, fit_boosting
from automl.components import COMPONENTS, MEAN_ROW, fit_components
from automl.library import BaselineFault
from automl.naive import fit_naive, naive_family, naive_names, season_of
from automl.regressions import NEVER, Effort, fit_regression
from automl.text_baseline import Tfidf, fit_tfidf
from automl.training.checkpoint import Weights
from automl.training.feed import as_inputs, feed_of
from automl.training.networks import CPU, Numbers, build_network, predict_network, standardised
from automl.training.rows import loss_weight
from search_spaces.autoencoder import LinearAutoencoder, LinearAutoencoderNetwork
from search_spaces.configuration import Configuration
from search_spaces.linear import Linear, LinearNetwork
from search_spaces.spec import Classes, Labels, Mixed, Reconstruction, Table, Text, Values, Vector

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from automl.task import Fold, Task

__all__ = [
    "FITTED_AGAIN",
    "BaselineFault",
    "Boosting",
    "Fitted",
    "baseline_configuration",
    "baseline_names",
    "fit_baseline",
    "fit_boosting",
]

FITTED_AGAIN: dict[str, Callable[..., Boosting | Tfidf]] = {"boosting": fit_boosting, "tfidf": fit_tfidf}

_MOST_VALUES = 50_000_000  # of the matrix that a linear baseline is fitted on: 400 MB
_RAREST = 1e-6  # share of a label, from either end


@dataclass(frozen=True)
class Fitted:
    """A fitted baseline.

    predictions, report: for the choose and the report rows, like a network's. weights: of a `Linear` network; None for one that
    is fitted again. parameters: their number. predict_ms: for 1000 rows. cut: whether the deadline took iterations away. reason:
    what to know.
    """

    predictions: NDArray[Any]
    report: NDArray[Any]
    weights: Weights | None
    parameters: int
    predict_ms: float
    cut: bool = False
    reason: str = ""
    iterations: int = 0


def baseline_names(task: Task) -> tuple[str, ...]:
    """Return the names of the baselines for a task, the quickest first."""
    inputs, outputs = task.folds[0].inputs, task.folds[0].outputs
    constant = "majority" if isinstance(outputs, Classes) else "mean"
    if isinstance(outputs, Reconstruction):
        return (MEAN_ROW, COMPONENTS)
    if (season := season_of(task)) is not None:
        return naive_names(season)
    if not isinstance(inputs, Linear.takes) or not isinstance(outputs, Classes | Values | Labels | Vector):
        return ()
    columns = not isinstance(inputs, Text) and not (isinstance(inputs, Mixed) and inputs.table == Table((), (), inputs.rows))
    boosting = ("boosting",) if columns and isinstance(outputs, Classes | Values) else ()
    return (constant, "tfidf" if isinstance(inputs, Text | Mixed) else "linear", *boosting)


def baseline_configuration(name: str, season: int | None = None) -> Configuration | None:
    """Return the configuration whose network a baseline's checkpoint holds (at epoch 0), or None for one that is fitted again.

    season: of the series, where a forecast is made (see `automl.naive.season_of`).
    """
    if season is not None:
        return Configuration(architecture=naive_family(name, season))
    if name in {MEAN_ROW, COMPONENTS}:
        return Configuration(architecture=LinearAutoencoder())
    return None if name in FITTED_AGAIN else Configuration(architecture=Linear())


def fit_baseline(name: str, task: Task, fold: Fold, seed: int, deadline: float | None = None) -> Fitted:
    """Fit a baseline on the fit rows and predict the choose rows; deadline in `time.time()` seconds.

    Raises `BaselineFault` where scikit-learn can't fit these rows.
    """
    if name in FITTED_AGAIN:
        model = FITTED_AGAIN[name](task, fold, seed, deadline)
        predictions, report, milliseconds = _predicted(lambda rows: model.predict(task.features, rows), task, fold)
        return Fitted(predictions, report, None, 0, milliseconds, model.cut, model.note, model.iterations)
    network, cut, reason = _fitted(name, task, fold, seed, deadline)
    predict = partial(predict_network, network, task.features, fold.outputs)
    predictions, report, milliseconds = _predicted(predict, task, fold)
    size = sum(parameter.numel() for parameter in network.parameters())
    return Fitted(predictions, report, network.state_dict(), size, milliseconds, cut, reason)


def _fitted(name: str, task: Task, fold: Fold, seed: int, deadline: float | None) -> tuple[nn.Module, bool, str]:
    """Return the network of a baseline, whether it was cut, and what should be known."""
    if isinstance(fold.outputs, Reconstruction):
        autoencoder = cast(LinearAutoencoderNetwork, build_network(LinearAutoencoder(), fold.inputs, fold.outputs, seed))
        return autoencoder, False, fit_components(autoencoder, task, fold, name, seed)
    if (season := season_of(task)) is not None:
        naive, note = fit_naive(name, season, task, fold, seed)
        return naive, False, note
    network = cast(LinearNetwork, build_network(Linear(), fold.inputs, fold.outputs, seed))
    if name == "linear":
        return network, *_fit_linear(network, task, fold, seed, deadline)
    _fit_constant(network, task, fold)
    return network, False, ""


def _predicted(
    predict: Callable[[NDArray[np.int64]], NDArray[Any]], task: Task, fold: Fold
) -> tuple[NDArray[Any], NDArray[Any], float]:
    """Return the predictions for the choose and for the report rows, and the milliseconds for 1000 rows."""
    began = time.perf_counter()
    predictions = predict(fold.choose)
    milliseconds = 1e6 * (time.perf_counter() - began) / max(len(predictions), 1)
    report = predict(task.report) if len(task.report) else predictions[:0]
    return predictions, report, milliseconds


# --------------------------------------------------------------------------------------------------------- majority, mean


def _fit_constant(network: LinearNetwork, task: Task, fold: Fold) -> None:
    """Let the network say the same of every row: the logarithms of the classes' shares, or the mean."""
    target, weight = task.target[fold.fit], loss_weight(task, fold.fit)
    if isinstance(fold.outputs, Numbers):
        means = np.average(standardised(target, fold.outputs), axis=0, weights=weight)
        bias = np.asarray(means, np.float64).reshape(-1)
    elif isinstance(fold.outputs, Labels):
        shares = np.clip(np.average(target, axis=0, weights=weight), _RAREST, 1 - _RAREST)
        bias = np.log(shares / (1 - shares))
    else:
        shares = np.bincount(target, weights=weight, minlength=fold.outputs.width) / len(target)
        bias = np.maximum(np.log(np.maximum(shares, np.finfo(np.float64).tiny)), NEVER)
    _set_weights(network, np.zeros(tuple(network.linear.weight.shape)), bias)


def _set_weights(network: LinearNetwork, weight: NDArray[Any], bias: NDArray[Any]) -> None:
    with torch.no_grad():
        network.linear.weight.copy_(torch.tensor(weight))
        network.linear.bias.copy_(torch.tensor(bias))


# ----------------------------------------------------------------------------------------------------------------- linear


def _fit_linear(network: LinearNetwork, task: Task, fold: Fold, seed: int, deadline: float | None) -> tuple[bool, str]:
    """Fit the network's only layer with scikit-learn; return whether it was cut, and what should be known."""
    width = network.linear.in_features
    rows, most = fold.fit, max(_MOST_VALUES // max(width, 1), 1000)
    notes = []
    if len(rows) > most:
        notes.append(f"fitted on {most} of {len(rows)} rows, because its matrix holds {_MOST_VALUES} values at most")
        rows = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
    with torch.no_grad():
        blocks = feed_of(task.features, rows, CPU).blocks()
        features = torch.cat([network.features(*as_inputs(block)) for block in blocks]).double().numpy()
    effort = Effort(deadline=deadline)
    fitted = fit_regression(features, task.target[rows], loss_weight(task, rows), fold.outputs, effort)
    _set_weights(network, fitted.weight, fitted.bias)
    return fitted.cut, "; ".join([*notes, *([fitted.note] if fitted.note else [])])
