import numpy as np
import pytest
import torch
from torch import nn

from automl.errors import RunError
from automl.training.checkpoint import Checkpoints
from automl.training.clock import Clock
from automl.training.course import Span
from automl.training.loop import train
from automl.training.networks import (
    build_network,
    derived_seed,
    load_network,
    one_thread,
    predict_network,
    standardised,
)
from search_spaces.spec import Classes, Values


class Sums(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.width = width

    def forward(self, numeric, categorical):
        return numeric.sum(1, keepdim=True) * torch.arange(1, self.width + 1) + categorical.sum(1, keepdim=True)


def test_probabilities_and_values():
    numeric, categorical = np.float32([[1, 2], [3, 4]]), np.int32([[1], [0]])
    probabilities = predict_network(Sums(2), (numeric, categorical), Classes((1, 1)))
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(probabilities[0], np.exp([0, 3]) / np.exp([0, 3]).sum(), rtol=1e-5)
    values = predict_network(Sums(1), (numeric, categorical), Values(1e9, 10.0))
    assert values.dtype == np.float64
    np.testing.assert_array_equal(values, [1e9 + 40, 1e9 + 70])


def test_any_number_of_rows_gives_the_same_predictions():
    rng = np.random.default_rng(0)
    numeric, categorical = rng.normal(size=(20_000, 2)).astype(np.float32), np.zeros((20_000, 0), np.int32)
    numeric.flags.writeable = False
    together = predict_network(Sums(3), (numeric, categorical), Classes((1, 1, 1)))
    assert together.shape == (20_000, 3)
    apart = np.concatenate(
        [predict_network(Sums(3), (numeric[i : i + 1], categorical[:1]), Classes((1, 1, 1))) for i in range(50)]
    )
    np.testing.assert_allclose(together[:50], apart, rtol=1e-6)
    assert predict_network(Sums(3), (numeric[:0], categorical[:0]), Classes((1, 1, 1))).shape == (0, 3)
    assert predict_network(Sums(1), (numeric[:0], categorical[:0]), Values(0, 1)).shape == (0,)


def test_standardising_keeps_the_digits_of_large_values():
    target = 1e9 + np.array([0.0, 1.0, 2.0])
    np.testing.assert_array_equal(standardised(target, Values(1e9 + 1, 2.0)), np.float32([-0.5, 0, 0.5]))


def test_weights_come_from_the_seed_and_from_nothing_else(toy_task, toy_configuration):
    fold, architecture = toy_task().folds[0], toy_configuration().architecture

    def weights(seed):
        return build_network(architecture, fold.inputs, fold.outputs, seed).state_dict()["head.weight"]

    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = weights(1)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(1)
    assert torch.equal(first, weights(1))
    assert not torch.equal(first, weights(2))
    assert derived_seed(1, "weights") != derived_seed(1, "batches")


def test_the_best_network_is_loaded_from_a_checkpoint(toy_task, toy_configuration, tmp_path):
    task, checkpoints = toy_task(), Checkpoints(tmp_path)
    fold, configuration = task.folds[0], toy_configuration(batch_size=64)
    trained = train(configuration, task, fold, Span(0, 0, 6, 6))
    checkpoints.write(4, 0, trained.snapshot)
    network = load_network(checkpoints, 4, 0, 6, configuration, task)
    assert not network.training
    predictions = predict_network(network, task.features, fold.outputs, fold.choose)
    np.testing.assert_array_equal(predictions, trained.predictions)
    with pytest.raises(RunError, match="epoch-5 must hold a checkpoint"):
        load_network(checkpoints, 4, 0, 5, configuration, task)


def test_one_thread_inside_as_many_as_before_outside():
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_the_clock_keeps_a_reserve(monkeypatch):
    monkeypatch.setattr("automl.training.clock.time.time", lambda: 100.0)
    clock = Clock(110.0)
    assert clock.fits(10)
    clock.reserve(scoring=2.0, saved_bytes=0)
    assert not clock.fits(7)
    assert not clock.over()
    clock.reserve(scoring=0.0, saved_bytes=10**10)
    assert clock.over()
    assert Clock(None).fits(1e9)
