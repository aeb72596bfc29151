"""The baselines of what is rebuilt: the mean row, and principal components as many as a code has numbers.

Both are `LinearAutoencoder` networks whose weights are found in closed form, so they stand on the board by the same error, and
are stored, predict and export like all networks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from automl.library import library
from automl.training.feed import as_inputs, feed_of
from automl.training.networks import CPU
from automl.training.rows import loss_weight

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from automl.task import Fold, Task
    from search_spaces.autoencoder import LinearAutoencoderNetwork

MEAN_ROW, COMPONENTS = "mean_row", "pca"

_MOST_VALUES = 50_000_000  # of the matrix that components are taken of: 400 MB
_DIRECT = 1500  # up to so many outputs their covariance is decomposed, beyond the matrix itself, roughly


def fit_components(network: LinearAutoencoderNetwork, task: Task, fold: Fold, name: str, seed: int) -> str:
    """Set the network to the mean of the fit rows, and to their components unless `name` is `MEAN_ROW`; return what to know."""
    rows, most = fold.fit, max(_MOST_VALUES // network.rebuilt.width, 1000)
    note = ""
    if len(rows) > most:
        note = f"fitted on {most} of {len(rows)} rows, because its matrix holds {_MOST_VALUES} values at most"
        rows = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
    with torch.no_grad():
        parts = [network.rebuilt.targets(*as_inputs(block)) for block in feed_of(task.features, rows, CPU).blocks()]
    values, present = (torch.cat(part).double().numpy() for part in zip(*parts, strict=True))
    weight = loss_weight(task, rows)
    shares = present if weight is None else present * np.asarray(weight)[:, None]
    mean = (values * shares).sum(0) / np.maximum(shares.sum(0), np.finfo(np.float64).tiny)
    centred = (values - mean) * present
    if weight is not None:
        centred *= np.sqrt(np.asarray(weight))[:, None]
    code = 0 if name == MEAN_ROW else min(network.encoder.out_features, *centred.shape)
    network.set(torch.tensor(mean), torch.tensor(_components(centred, code, seed)))
    return note


def _components(centred: NDArray[Any], number: int, seed: int) -> NDArray[Any]:
    """Return so many right singular vectors, those of the greatest values first, `(number, width)`."""
    width = centred.shape[1]
    if number == 0:
        return np.zeros((0, width))
    if width <= _DIRECT:
        _, vectors = np.linalg.eigh(centred.T @ centred)  # ascending
        return np.ascontiguousarray(vectors[:, ::-1][:, :number].T)
    with library():
        from sklearn.utils.extmath import randomized_svd

        _, _, found = randomized_svd(centred, number, random_state=seed)
        return np.asarray(found)
