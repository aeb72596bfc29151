import math
import time

import numpy as np
import pytest
import torch

from automl import baselines, boosting, regressions
from automl.baselines import BaselineFault, baseline_configuration, baseline_names, fit_baseline, fit_boosting
from automl.library import fit_in_time
from automl.metrics import metric
from automl.training.checkpoint import Checkpoints, Progress, Snapshot
from automl.training.feed import to_tensor
from automl.training.networks import build_network, load_network, predict_network
from search_spaces.linear import Linear
from search_spaces.spec import CategoricalColumn, Table


def chosen(task):
    fold = task.folds[0]
    return task.features[0][fold.choose], task.features[1][fold.choose]


def features(task, rows):
    fold = task.folds[0]
    network = build_network(Linear(), fold.inputs, fold.outputs, 0)
    with torch.no_grad():
        return network.features(to_tensor(task.features[0][rows]), to_tensor(task.features[1][rows])).double().numpy()


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_linear_network_predicts_what_scikit_learn_predicts(kind, weighted, toy_task):
    from sklearn.linear_model import LogisticRegression, Ridge

    weight = np.linspace(0.1, 3, 300, dtype=np.float32) if weighted else None
    task = toy_task(kind, loss_weight=weight)
    fold = task.folds[0]
    fitted = fit_baseline("linear", task, fold, 0)
    weights = None if weight is None else weight[fold.fit] / weight[fold.fit].mean()
    train, test = features(task, fold.fit), features(task, fold.choose)
    if kind == "regression":
        target = (task.target[fold.fit] - fold.outputs.mean) / fold.outputs.std
        model = Ridge(solver="cholesky").fit(train, target, sample_weight=weights)
        expected = fold.outputs.mean + fold.outputs.std * model.predict(test)
        np.testing.assert_allclose(fitted.predictions, expected, atol=1e-5 * fold.outputs.std)
    else:
        model = LogisticRegression(warm_start=True, max_iter=20).fit(train, task.target[fold.fit], sample_weight=weights)
        model.set_params(max_iter=280).fit(train, task.target[fold.fit], sample_weight=weights)
        np.testing.assert_allclose(fitted.predictions, model.predict_proba(test), atol=1e-5)
    assert not fitted.cut
    assert fitted.reason == ""


def test_the_report_rows_are_predicted_too(toy_task):
    task = toy_task(report=np.arange(0, 300, 5))
    for name in baseline_names(task):
        fitted = fit_baseline(name, task, task.folds[0], 0)
        chosen_again = np.isin(task.folds[0].choose, task.report)
        np.testing.assert_allclose(fitted.predictions[chosen_again], fitted.report[np.isin(task.report, task.folds[0].choose)])
    assert fit_baseline("linear", toy_task(), task.folds[0], 0).report.shape == (0, 2)


def test_a_class_without_fit_rows_is_never_predicted(toy_task):
    task = toy_task("multiclass")
    target = task.target.copy()
    target[task.folds[0].fit[target[task.folds[0].fit] == 1]] = 0
    task = toy_task("multiclass", target=target)
    for name in baseline_names(task):
        predictions = fit_baseline(name, task, task.folds[0], 0).predictions
        assert predictions.shape == (100, 3)
        np.testing.assert_allclose(predictions.sum(1), 1, atol=1e-5)
        assert predictions[:, 1].max() < 1e-9


def test_constants_are_shares_and_means(toy_task):
    task = toy_task("multiclass")
    fold = task.folds[0]
    fitted = fit_baseline("majority", task, fold, 0)
    shares = np.array(fold.outputs.counts) / len(fold.fit)
    np.testing.assert_allclose(fitted.predictions, np.tile(shares, (100, 1)), rtol=1e-5)
    task = toy_task("regression")
    fitted = fit_baseline("mean", task, task.folds[0], 0)
    np.testing.assert_allclose(fitted.predictions, task.target[task.folds[0].fit].mean(), rtol=1e-9)
    weight = np.arange(300, dtype=np.float32)
    weighted = toy_task("regression", loss_weight=weight)
    fit = weighted.folds[0].fit
    expected = np.average(weighted.target[fit], weights=weight[fit])
    np.testing.assert_allclose(fit_baseline("mean", weighted, weighted.folds[0], 0).predictions, expected, rtol=1e-7)


@pytest.mark.parametrize("name", ["majority", "linear"])
def test_linear_baselines_are_checkpoints_of_networks(name, toy_task, tmp_path):
    task, checkpoints = toy_task(), Checkpoints(tmp_path)
    fitted = fit_baseline(name, task, task.folds[0], 0)
    checkpoints.write(-1, 0, Snapshot(Progress(), fitted.weights, fitted.weights, {}))
    network = load_network(checkpoints, -1, 0, 0, baseline_configuration(name), task)
    np.testing.assert_array_equal(predict_network(network, chosen(task), task.folds[0].outputs), fitted.predictions)
    assert baseline_configuration("boosting") is None


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_boosting_equals_scikit_learns_defaults(kind, toy_task):
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    task = toy_task(kind)
    fold = task.folds[0]
    model = (HistGradientBoostingRegressor if kind == "regression" else HistGradientBoostingClassifier)(
        categorical_features=[3], random_state=0
    )
    columns = np.column_stack([task.features[0].astype(np.float64), task.features[1]])
    model.fit(columns[fold.fit], task.target[fold.fit])
    expected = (model.predict if kind == "regression" else model.predict_proba)(columns[fold.choose])
    fitted = fit_boosting(task, fold, 0)
    np.testing.assert_allclose(fitted.predict(chosen(task)), expected, rtol=1e-5)
    assert (fitted.iterations, fitted.cut) == (100, False)
    again = fit_baseline("boosting", task, fold, 0)
    np.testing.assert_array_equal(again.predictions, fitted.predict(chosen(task)))
    assert again.weights is None


def test_boosting_takes_any_number_of_categories_infinities_and_gaps(toy_task):
    rng = np.random.default_rng(0)
    task = toy_task(rows=900)
    codes = rng.integers(0, 1000, (900, 1)).astype(np.int32)
    numeric = task.features[0].copy()
    numeric[::7, 0], numeric[::11, 1], numeric[::13, 2] = np.inf, -np.inf, np.nan
    task = toy_task(rows=900, features=(numeric, codes))
    counts = np.bincount(codes[task.folds[0].fit, 0], minlength=1000)
    table = Table(task.folds[0].inputs.numeric, (CategoricalColumn("c", tuple(counts.tolist())),), 600)
    [lookup] = boosting._codes(table)
    kept = lookup[np.flatnonzero(~np.isnan(lookup))]
    assert np.isnan(lookup[0])
    assert np.isnan(lookup[counts == 0]).all()
    assert len(np.unique(kept)) == 255
    fold = task.folds[0].__class__(task.folds[0].fit, task.folds[0].choose, table, task.folds[0].outputs)
    for name in ("boosting", "linear"):
        predictions = fit_baseline(name, task, fold, 0).predictions
        assert np.isfinite(predictions).all()


def test_boosting_stands_a_class_with_a_single_row_in_many(toy_task):
    task = toy_task("multiclass", rows=15_100, choose=range(100))
    target = np.where(task.target == 2, 0, task.target)
    target[500] = 2
    task = toy_task("multiclass", rows=15_100, choose=range(100), target=target)
    fitted = fit_boosting(task, task.folds[0], 0)
    assert fitted.predict(chosen(task)).shape == (100, 3)


def test_what_does_not_converge_says_so_and_prints_nothing(toy_task, monkeypatch, capfd):
    monkeypatch.setattr(regressions, "LINEAR_ITERATIONS", (1, 2))
    task = toy_task("multiclass")
    fitted = fit_baseline("linear", task, task.folds[0], 0)
    assert fitted.reason == "did not converge in 2 iterations"
    assert not fitted.cut
    assert capfd.readouterr() == ("", "")


def test_large_matrices_are_fitted_on_a_part_of_the_rows(toy_task, monkeypatch):
    monkeypatch.setattr(baselines, "_MOST_VALUES", 10)
    task = toy_task(rows=2000)
    fitted = fit_baseline("linear", task, task.folds[0], 0)
    assert fitted.reason == "fitted on 1000 of 1333 rows, because its matrix holds 10 values at most"
    fold = task.folds[0]
    assert metric("roc_auc", "binary").score(task.target[fold.choose], fitted.predictions) > 0.9


def test_deadlines_take_iterations_away():
    def slow(iterations):
        time.sleep(max(0.2, 0.02 * (iterations - 10)))
        return False

    began = time.time()
    iterations, stopped = fit_in_time(slow, 10, 1000, began + 1.0)
    assert 15 < iterations < 60
    assert not stopped
    assert time.time() < began + 1.6
    assert fit_in_time(lambda _: False, 10, 100, None) == (100, False)
    assert fit_in_time(lambda _: False, 10, 100, time.time() - 1) == (10, False)
    assert fit_in_time(lambda _: True, 10, 100, None) == (10, True)


def test_a_cut_baseline_is_scored_and_says_so(toy_task):
    task = toy_task("multiclass", rows=6000)
    fitted = fit_baseline("boosting", task, task.folds[0], 0, deadline=time.time() + 0.05)
    assert fitted.cut
    assert fitted.reason.endswith("of 100 iterations in the time left")
    assert not math.isnan(metric("accuracy", "multiclass").score(task.target[task.folds[0].choose], fitted.predictions))


def test_failures_of_the_library_are_faults(toy_task):
    task = toy_task(rows=60, target=np.tile([0, 1, 1], 20))
    with pytest.raises(BaselineFault, match="ValueError"):
        fit_baseline("linear", task, task.folds[0], 0)
