"""The scores that are shown: on rows that chose nothing, or corrected for having chosen on them."""

from dataclasses import replace

import numpy as np
import pytest

import automl
from automl.board import Entry
from automl.reporting import report_scores
from automl.run_folder import Run

OPTIONS = {"n_trials": 2, "epochs": 2, "executor": "inline", "verbose": False}


def entry(number, score):
    """Return a board's row of two folds."""
    loss = None if score is None else -score
    return Entry(number, f"#{number}", "MLP", score, loss, 1.0, 1.0, 10, 2, (2, 2), (0, 0), (1, 1), 2, "finished", "")


@pytest.fixture
def halves(toy_task, tmp_path):
    """Return a function that makes a run whose two folds choose on a half of the rows each, and writes predictions into it."""
    stores = []

    def make(predictions, **changes):
        task = toy_task(metric="accuracy")
        folds = tuple(replace(task.folds[0], choose=part) for part in np.array_split(np.arange(300), 2))
        run = Run.create(tmp_path / "run", toy_task(metric="accuracy", folds=folds, **changes), {})
        stores.append(run.store)
        for number, predicted in predictions.items():
            for fold, part in enumerate(folds):
                run.checkpoints.write_predictions(number, fold, predicted[part.choose])
        return run

    yield make
    for store in stores:
        store.close()


def probabilities(codes):
    return np.stack([1 - codes, codes], 1).astype(np.float32)


def test_report_rows_give_the_scores_of_the_best_network_and_the_baselines(searched):
    networks = [row for row in searched.entries if not row.is_baseline]
    assert set(searched.report) == {networks[0].number, -1, -2, -3}
    for score in searched.report.values():
        assert score.low <= score.value <= score.high
        assert score.method == f"{len(searched.run.task.report)} rows that neither trained nor chose anything"
    assert searched.report[-1].value == 0.5


def test_the_same_run_always_reports_the_same(searched):
    assert automl.SearchResult.open(searched.path).report == searched.report


def test_the_linear_baseline_reports_what_its_network_predicts(searched):
    linear = next(row for row in searched.entries if row.name == "linear")
    from automl.metrics import metric
    from automl.models import predict_rows

    rows = np.asarray(searched.run.task.report)
    score = metric("roc_auc", "binary").score(searched.run.task.target[rows], predict_rows(searched.run, linear, rows))
    assert searched.report[linear.number].value == pytest.approx(score)


def test_test_rows_of_the_user_go_before_both(sales, tmp_path):
    test = sales(60, seed=5)
    result = automl.search(sales(120), target="sold", test=test, folds=2, repeats=1, out=tmp_path / "run", **OPTIONS)
    reported = result.report[result.best_entry.number]
    assert reported.value == pytest.approx(result.evaluate(test)["roc_auc"])
    assert "60 rows" in reported.method


def test_the_winner_of_many_is_corrected_and_baselines_are_not(halves, toy_task):
    truth = toy_task(metric="accuracy").target
    rng = np.random.default_rng(0)
    guesses = {number: probabilities(rng.integers(0, 2, 300)) for number in range(40)}
    run = halves({**guesses, -1: guesses[0]})
    accuracy = {number: float((guess.argmax(1) == truth).mean()) for number, guess in guesses.items()}
    rows = sorted((entry(number, score) for number, score in accuracy.items()), key=lambda row: -row.score)
    scores = report_scores(run, [*rows, entry(-1, accuracy[0])], rows[0])
    assert set(scores) == {rows[0].number, -1}
    winner = scores[rows[0].number]
    assert "corrected for choosing among 40 (BBC-CV)" in winner.method
    assert winner.value < rows[0].score - 0.02  # the best of forty coins isn't a good coin
    assert abs(winner.value - 0.5) < 0.05
    assert scores[-1].value == accuracy[0]
    assert scores[-1].method == "out-of-fold predictions"


def test_failed_models_have_no_score_and_are_no_rivals(halves, toy_task):
    good = probabilities(toy_task(metric="accuracy").target)
    run = halves({0: good})
    scores = report_scores(run, [entry(0, 1.0), entry(1, None), entry(-1, None)], entry(0, 1.0))
    assert scores == {}
    best = entry(0, 1.0)
    scores = report_scores(run, [best, entry(1, None), entry(-1, None)], best)
    assert set(scores) == {0}
    assert "among 1 " in scores[0].method


def test_row_weights_count(halves, toy_task):
    truth = toy_task(metric="accuracy").target
    half = np.where(np.arange(300) < 150, truth, 1 - truth)
    run = halves({-1: probabilities(half)}, score_weight=np.where(np.arange(300) < 150, 3.0, 1.0).astype(np.float32))
    assert report_scores(run, [entry(-1, 0.75)], None)[-1].value == pytest.approx(0.75)


def test_one_fold_without_report_rows_has_no_honest_score(toy_task, tmp_path):
    run = Run.create(tmp_path / "run", toy_task(), {})
    with run.store:
        assert report_scores(run, [entry(-1, 0.5)], None) == {}


def test_where_the_metric_is_undefined_there_is_no_score_and_the_summary_says_so(sales, tmp_path):
    frame = sales()
    test = frame[frame["sold"] == "yes"].head(9)
    result = automl.search(frame, target="sold", test=test, folds=1, baselines=False, out=tmp_path / "run", **OPTIONS)
    assert result.report == {}
    assert "no honest score: there are no report rows, or roc_auc is undefined on them" in result.summary()
    assert result.leaderboard()["report_score"].isna().all()
    result.best.save(tmp_path / "model")
    assert "report" not in automl.load(tmp_path / "model").scores
