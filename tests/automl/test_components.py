"""The mean row and principal components, set in closed form on any features."""

import numpy as np
import pytest
import torch

from automl import components
from automl.components import COMPONENTS, MEAN_ROW, fit_components
from automl.training.networks import predict_network
from search_spaces.autoencoder import LinearAutoencoder
from search_spaces.spec import Reconstruction


def error(task, name: str, code: int = 2) -> float:
    fold = task.folds[0]
    network = LinearAutoencoder().build(fold.inputs, Reconstruction(code))
    assert fit_components(network, task, fold, name, 0) == ""
    return float(predict_network(network, task.features, Reconstruction(code), fold.fit).mean())


def test_more_components_rebuild_better(toy_task) -> None:
    task = toy_task("regression")
    errors = [error(task, MEAN_ROW), *(error(task, COMPONENTS, code) for code in (1, 2, 4))]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] == pytest.approx(0.95, abs=0.2)  # three numbers of variance 1, a category of four


def test_wide_features_are_decomposed_roughly_to_the_same(toy_task, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = error(toy_task("regression"), COMPONENTS)
    monkeypatch.setattr(components, "_DIRECT", 1)
    assert error(toy_task("regression"), COMPONENTS) == pytest.approx(exact, rel=1e-3)


def test_of_many_rows_some_are_fitted(toy_task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(components, "_MOST_VALUES", 700)
    task = toy_task("regression", rows=3000)
    network = LinearAutoencoder().build(task.folds[0].inputs, Reconstruction(2))
    assert "fitted on 1000 of 2000 rows" in fit_components(network, task, task.folds[0], COMPONENTS, 0)


def test_weights_count(toy_task) -> None:
    task = toy_task("regression")
    fold, weight = task.folds[0], np.ones(300, np.float32)
    weight[fold.fit[:100]] = 0.0
    weighted = toy_task("regression", loss_weight=weight)
    means = []
    for each in (task, weighted):
        network = LinearAutoencoder().build(fold.inputs, Reconstruction(2))
        fit_components(network, each, fold, MEAN_ROW, 0)
        means.append(network.mean)
    assert not torch.allclose(*means)
    values, present = network.rebuilt.targets(
        torch.tensor(task.features[0][fold.fit[100:]]), torch.tensor(task.features[1][fold.fit[100:]]).long()
    )
    torch.testing.assert_close(means[1], (values * present).sum(0) / present.sum(0), atol=1e-4, rtol=1e-4)
