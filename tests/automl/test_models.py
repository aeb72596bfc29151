"""From checkpoints to models: what predicts is what was scored."""

import numpy as np
import pytest

import automl
from automl import models
from automl.errors import ExportError, NoModelError
from automl.member import mean_prediction
from automl.metrics import metric

OPTIONS = {"n_trials": 2, "epochs": 2, "executor": "inline", "verbose": False}


def named(result, name):
    return next(row for row in result.entries if row.name == name)


@pytest.fixture(scope="module")
def prices(tmp_path_factory, sales):
    """Return a search on numbers over three folds, and its rows."""
    frame = sales(150)
    frame["price"] = 1e6 + 1e4 * frame["size"] + 5e3 * (frame["colour"] == "red")
    out = tmp_path_factory.mktemp("prices") / "run"
    return automl.search(frame, target="price", folds=3, repeats=1, out=out, **OPTIONS), frame


def test_every_network_that_has_weights_scores_again_what_it_scored(searched):
    task = searched.run.task
    choose = np.asarray(task.folds[0].choose)
    for row in searched.entries:
        if row.name == "boosting":
            continue
        predicted = models.predict_rows(searched.run, row, choose)
        score = metric(task.metric, task.kind).score(task.target[choose], predicted)
        assert score == pytest.approx(row.score, abs=1e-6), row.name


def test_boosting_is_fitted_again_as_it_was(searched):
    boosting = named(searched, "boosting")
    choose = np.asarray(searched.run.task.folds[0].choose)
    predicted = models.predict_rows(searched.run, boosting, choose)
    stored = searched.run.checkpoints.predictions(boosting.number, 0)
    np.testing.assert_allclose(predicted, stored, atol=1e-5)


def test_the_networks_of_all_folds_are_averaged(prices):
    result, frame = prices
    best = result.best
    assert len(best.members) == 3
    assert not best.classes
    alone = [mean_prediction([member], best.encoder.transform(frame)) for member in best.members]
    np.testing.assert_allclose(best.predict(frame), np.mean(alone, 0))


def test_refit_trains_one_network_on_all_rows_for_the_epochs_that_were_best(prices):
    result, frame = prices
    refitted = result.refit()
    assert len(refitted.members) == 1
    assert refitted.members[0].inputs.rows == 150
    assert refitted.scores["refitted"] is True
    assert refitted.members[0].architecture == result.best.members[0].architecture
    again = result.refit()
    np.testing.assert_array_equal(again.predict(frame), refitted.predict(frame))


@pytest.mark.parametrize("name", ["mean", "linear", "boosting"])
def test_baselines_on_numbers_predict_in_the_units_of_the_target(prices, name):
    result, frame = prices
    model = models.predictor(result.run, named(result, name), {})
    predicted = model.predict(frame)
    assert predicted.shape == (150,)
    assert abs(predicted.mean() - frame["price"].mean()) < 2e3
    error = np.sqrt(((predicted - frame["price"]) ** 2).mean())
    assert error < 1.1 * frame["price"].std() if name == "mean" else 0.6 * frame["price"].std()


def test_linear_baselines_are_exported_like_networks(searched, sales, tmp_path):
    linear = models.predictor(searched.run, named(searched, "linear"), {})
    linear.save(tmp_path / "model")
    loaded = automl.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(sales(30)), linear.predict_proba(sales(30)))


def test_trees_can_not_be_exported_or_trained_again(searched, sales, tmp_path):
    boosting = models.predictor(searched.run, named(searched, "boosting"), {})
    assert boosting.predict_proba(sales(5)).shape == (5, 2)
    with pytest.raises(ExportError, match="'boosting' or 'tfidf', which can't be exported; export the best network"):
        boosting.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()
    for name in ("boosting", "linear"):
        with pytest.raises(ExportError, match=f"refit trains networks, but the best model is the baseline '{name}'"):
            models.refitted(searched.run, named(searched, name), {})


def test_several_classes_keep_the_labels_type(sales, tmp_path):
    frame = sales(180)
    frame["grade"] = np.digitize(frame["size"], [-0.5, 0.5]) * 10
    result = automl.search(frame, target="grade", task="multiclass", folds=1, out=tmp_path / "run", **OPTIONS)
    assert result.best.classes == (0, 10, 20)
    for name in ("majority", "linear", "boosting"):
        model = models.predictor(result.run, named(result, name), {})
        probabilities = model.predict_proba(frame)
        assert probabilities.shape == (180, 3)
        np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)
        assert set(model.predict(frame)) <= {0, 10, 20}


def test_a_failed_networks_reason_is_told_before_that_of_a_baseline(tmp_path, sales):
    from search_spaces.mlp import MLP

    class Faulty(MLP):
        def build(self, inputs, outputs):
            raise ZeroDivisionError("a slip")

    result = automl.search(sales(), target="sold", families=[Faulty], folds=1, out=tmp_path / "run", **OPTIONS)
    with pytest.raises(NoModelError, match=r"Faulty #0 ended as 'error'.*a slip"):
        _ = result.best
    assert "2 networks tried, 2 failed (2 error)" in result.summary()
    assert (result.leaderboard()["family"] == "baseline").sum() == 3
