"""What a forecast has to beat: the last value, the value of one season before, and ridge regression from the window.

All three are `NaiveForecast` networks, so they are stored, predict and export like all networks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from automl.data.window_format import WindowFormat
from automl.library import library
from automl.training.feed import feed_of
from automl.training.networks import CPU, build_network
from search_spaces.naive import NaiveForecast, NaiveNetwork
from search_spaces.spec import Forecast

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from automl.task import Fold, Task

NAIVE, SEASONAL, LINEAR = "naive", "seasonal naive", "linear"

_MOST_VALUES = 50_000_000  # of the matrix that the regression is fitted on: 400 MB


def season_of(task: Task) -> int | None:
    """Return the season of the series, in steps, of a task that is a forecast; else None."""
    encoder: object = task.encoder
    return encoder.season if isinstance(encoder, WindowFormat) else None


def naive_names(season: int) -> tuple[str, ...]:
    """Return the names of the baselines of forecasts; without a season there is no seasonal one."""
    return (NAIVE, SEASONAL, LINEAR) if season > 1 else (NAIVE, LINEAR)


def naive_family(name: str, season: int) -> NaiveForecast:
    """Return the architecture of a baseline."""
    return NaiveForecast(season=season if name == SEASONAL else 1)


def fit_naive(name: str, season: int, task: Task, fold: Fold, seed: int) -> tuple[NaiveNetwork, str]:
    """Return the network of a baseline, and what should be known of it."""
    network = cast(NaiveNetwork, build_network(naive_family(name, season), fold.inputs, fold.outputs, seed))
    return network, _fit_linear(network, task, fold, seed) if name == LINEAR else ""


def _fit_linear(network: NaiveNetwork, task: Task, fold: Fold, seed: int) -> str:
    """Set the network's linear function by ridge regression on the fit rows."""
    assert isinstance(fold.outputs, Forecast)
    rows, note = fold.fit, ""
    most = max(_MOST_VALUES // network.linear.in_features, 1000)
    if len(rows) > most:
        note = f"fitted on {most} of {len(rows)} rows, because its matrix holds {_MOST_VALUES} values at most"
        rows = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
    with torch.no_grad():
        parts = [network.window(*block) for block in feed_of(task.features, rows, CPU).blocks()]
        windows, last = (torch.cat(part).double().numpy() for part in zip(*parts, strict=True))
    channel = network.channel
    weight, bias = _ridge(windows, (task.target[rows] - channel.mean) / channel.std - last)
    with torch.no_grad():
        network.linear.weight.copy_(torch.tensor(weight))
        network.linear.bias.copy_(torch.tensor(bias))
    return note


def _ridge(windows: NDArray[Any], futures: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return weights `(horizon, context)` and biases `(horizon,)`."""
    with library():
        from sklearn.linear_model import Ridge

        model = Ridge(solver="cholesky").fit(windows, futures)
        return np.reshape(model.coef_, (futures.shape[1], -1)), np.reshape(model.intercept_, -1)
