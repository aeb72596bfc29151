"""The whole way from a data set to a model, on tiny data."""

import json
import time

import numpy as np
import pandas as pd
import pytest

import automl
from automl.board import COLUMNS
from automl.errors import NoModelError, OptionError, RunError, SpaceError
from automl.training.checkpoint import Checkpoints
from search_spaces import Choice, Int

QUICK = {"epochs": 3, "folds": 1, "verbose": False, "workers": 1}


def table(rows=240, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {"size": rng.normal(size=rows), "age": rng.integers(18, 80, rows), "colour": rng.choice(["red", "green"], rows)}
    )
    frame["sold"] = np.where(frame["size"] + (frame["colour"] == "red") + 0.3 * rng.normal(size=rows) > 0.5, "yes", "no")
    return frame


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    out = tmp_path_factory.mktemp("search") / "run"
    return automl.search(table(), target="sold", n_trials=4, executor="inline", out=out, **QUICK)


def test_the_board_has_a_row_for_every_network_and_baseline(result):
    board = result.leaderboard()
    assert tuple(board.columns) == COLUMNS
    assert {"MLP", "baseline"} <= set(board["family"]) <= {"MLP", "FTTransformer", "TabM", "baseline"}
    assert {"majority", "linear", "boosting"} < set(board["model"])
    assert (board["family"] != "baseline").sum() == 4
    assert board["rank"].tolist() == list(range(1, len(board) + 1))
    assert board["validation_score"].is_monotonic_decreasing


def test_only_the_best_network_and_the_baselines_have_a_report_score(result):
    board = result.leaderboard()
    networks = board[board["family"] != "baseline"]
    assert networks["report_score"].notna().sum() == 1
    assert networks.iloc[0]["model"] == result.best_entry.name
    assert board[board["family"] == "baseline"]["report_score"].notna().all()


def test_the_report_score_is_that_of_the_rows_that_nothing_saw(result):
    task = result.run.task
    seen = np.concatenate([task.folds[0].fit, task.folds[0].choose])
    assert not set(seen) & set(task.report)
    rows = table().iloc[np.asarray(task.report)]
    assert result.evaluate(rows)["roc_auc"] == pytest.approx(result.report[result.best_entry.number].value)


def test_the_best_model_is_a_network_unless_baselines_are_included(result):
    assert not result.best_entry.is_baseline
    assert result.best.predict(table(5)).shape == (5,)
    assert result.best.classes == ("no", "yes")


def test_with_baselines_included_the_best_of_all_is_taken(tmp_path):
    space = {"recipe/optimizer/kind": "SGD", "recipe/optimizer/SGD/lr": 1e-3}
    kwargs = {**QUICK, "space": space, "executor": "inline", "out": tmp_path / "run", "schedule": "full", "epochs": 1}
    result = automl.search(table(), target="sold", n_trials=1, include_baselines=True, **kwargs)
    assert result.best_entry.is_baseline
    assert set(result.best.predict(table(20))) <= {"yes", "no"}
    assert "A BASELINE WINS" in result.summary()


def test_the_summary_says_what_won(result):
    assert f"best network: {result.best_entry.name}" in result.summary()
    assert "4 networks tried, 0 failed" in result.summary()


def test_a_result_can_be_opened_again(result):
    again = automl.SearchResult.open(result.path)
    pd.testing.assert_frame_equal(again.leaderboard(), result.leaderboard())
    np.testing.assert_array_equal(again.best.predict_proba(table(9)), result.best.predict_proba(table(9)))


def test_what_is_no_list_of_families_is_refused(result):
    with pytest.raises(OptionError, match="families must be a list"):
        automl.SearchResult.open(result.path, families=int)
    with pytest.raises(OptionError, match="path must be a path"):
        automl.SearchResult.open(None)


def test_refit_trains_on_all_rows(result):
    refitted = result.refit()
    assert refitted.members[0].inputs.rows == 240
    assert len(refitted.members) == 1
    assert refitted.evaluate(table(200, seed=1))["accuracy"] > 0.6


def test_a_search_without_report_rows_corrects_for_choosing(tmp_path):
    kwargs = {"epochs": 2, "verbose": False, "executor": "inline", "out": tmp_path / "run"}
    result = automl.search(table(90), target="sold", n_trials=3, folds=3, repeats=2, **kwargs)
    assert len(result.best.members) == 6
    score = result.report[result.best_entry.number]
    assert "corrected for choosing among 3" in score.method
    assert "on out-of-fold predictions" in result.summary()
    assert score.low <= score.value <= score.high


def test_equal_seeds_give_equal_searches(tmp_path):
    def run(name):
        out = tmp_path / name
        found = automl.search(table(), target="sold", n_trials=5, seed=3, executor="inline", baselines=False, out=out, **QUICK)
        records = [(record.proposal, [o.curve for o in record.outcomes]) for record in found.run.store.records()]
        return records, found.best.members[0].network.state_dict()

    (one, weights), (two, others) = run("one"), run("two")
    assert one == two
    assert all(bool((weights[name] == others[name]).all()) for name in weights)


def test_processes_give_the_outcomes_of_inline(result, tmp_path):
    other = automl.search(table(), target="sold", n_trials=4, executor="processes", out=tmp_path / "run", **QUICK)
    columns = ["model", "validation_score", "report_score", "epochs", "status"]
    pd.testing.assert_frame_equal(other.leaderboard()[columns], result.leaderboard()[columns])


def test_a_callback_sees_progress_and_can_end_the_search(tmp_path):
    seen = []

    def stop(progress):
        seen.append(progress)
        return progress.ended >= 2

    kwargs = {**QUICK, "executor": "inline", "out": tmp_path / "run"}
    result = automl.search(table(), target="sold", n_trials=50, callbacks=[stop], **kwargs)
    assert result.ended_by == "a callback ended it"
    assert seen[-1].ended == 2
    assert seen[-1].best is not None


def test_ctrl_c_returns_the_best_so_far_and_resume_goes_on(tmp_path):
    def interrupt(progress):
        if progress.ended >= 2:
            raise KeyboardInterrupt

    kwargs = {**QUICK, "executor": "inline", "out": tmp_path / "run", "baselines": False}
    result = automl.search(table(), target="sold", n_trials=5, callbacks=[interrupt], **kwargs)
    assert result.ended_by == "interrupted"
    assert result.best.predict(table(3)).shape == (3,)
    resumed = automl.search(resume=result.path, verbose=False)
    whole = automl.search(table(), target="sold", n_trials=5, **{**kwargs, "out": tmp_path / "whole"})
    columns = ["model", "validation_score", "epochs", "status"]
    pd.testing.assert_frame_equal(resumed.leaderboard()[columns], whole.leaderboard()[columns])


def test_resuming_with_more_trials_goes_on(tmp_path):
    first = automl.search(table(), target="sold", n_trials=2, executor="inline", out=tmp_path / "run", **QUICK)
    more = automl.search(resume=first.path, n_trials=4, verbose=False)
    assert (more.leaderboard()["family"] != "baseline").sum() == 4


def test_checkpoints_of_losers_are_deleted_but_for_the_best_few(tmp_path):
    kwargs = {**QUICK, "epochs": 1, "executor": "inline", "out": tmp_path / "run", "schedule": "full", "baselines": False}
    result = automl.search(table(), target="sold", n_trials=9, strategy="random", **kwargs)
    checkpoints = Checkpoints(result.path / "checkpoints")
    kept = [entry.number for entry in result.entries if checkpoints.exists(entry.number, 0, 1)]
    assert sorted(kept) == sorted(entry.number for entry in result.entries[:5])


def test_the_space_can_be_narrowed(tmp_path):
    space = {"architecture/MLP/blocks/length": Int(1, 2), "recipe/optimizer/kind": Choice("SGD"), "*/width": 16}
    kwargs = {**QUICK, "epochs": 1, "executor": "inline", "out": tmp_path / "run", "baselines": False, "families": ["MLP"]}
    result = automl.search(table(), target="sold", n_trials=3, space=space, **kwargs)
    for record in result.run.store.records():
        found = record.proposal.configuration
        assert len(found.architecture.blocks) <= 2
        assert type(found.recipe.optimizer).__name__ == "SGD"


def test_the_time_limit_holds_for_everything_from_call_to_return(tmp_path):
    started = time.monotonic()
    result = automl.search(table(3000), target="sold", time_limit=8, out=tmp_path / "run", verbose=False)
    assert result.best.predict(table(3)).shape == (3,)
    assert time.monotonic() - started < 8 + 2


def test_too_little_time_for_anything_is_a_clear_error(tmp_path):
    result = automl.search(table(), target="sold", time_limit=0.01, out=tmp_path / "run", verbose=False)
    with pytest.raises(NoModelError, match="give the search more time or more trials"):
        _ = result.best
    assert "0 networks tried" in result.summary()


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"data": None}, OptionError, "search needs data"),
        ({"strategy": "tep"}, OptionError, "did you mean 'tpe'"),
        ({"metric": "rocauc"}, OptionError, "did you mean 'roc_auc'"),
        ({"metric": "rmse"}, OptionError, "rmse"),
        ({"families": ["MPL"]}, OptionError, "did you mean 'MLP'"),
        ({"time_limit": -1}, OptionError, "time_limit must be a positive number"),
        ({"resume": "somewhere"}, OptionError, "with resume only callbacks, cluster"),
        ({"resume": "somewhere", "data": None, "target": None, "seed": 7}, OptionError, "give"),
        ({"space": {"recipe/batchsize": 64}}, SpaceError, "did you mean 'recipe/batch_size'"),
        ({"space": {"recipe/batch_size": 7}}, SpaceError, "recipe/batch_size must stay within"),
        ({"out": 7}, OptionError, "out must be a path"),
    ],
)
def test_bad_options_are_refused_before_a_folder_is_made(given, error, message, tmp_path):
    options = {"data": table(), "target": "sold", "n_trials": 1, "out": tmp_path / "run", "executor": "inline", **QUICK, **given}
    with pytest.raises(error, match=message):
        automl.search(options.pop("data"), **options)
    assert not (tmp_path / "run").exists()


def test_another_search_is_not_overwritten(result):
    before = json.dumps(result.run.store.settings())
    with pytest.raises(RunError, match="holds another search"):
        automl.search(table(), target="sold", n_trials=1, out=result.path, **QUICK)
    assert json.dumps(result.run.store.settings()) == before


def test_resuming_nothing_is_a_clear_error(tmp_path):
    with pytest.raises(RunError, match="must hold a search"):
        automl.search(resume=tmp_path / "nowhere")


def test_refit_never_sees_the_users_own_test_rows(tmp_path):
    kwargs = {**QUICK, "epochs": 1, "executor": "inline", "out": tmp_path / "run", "baselines": False}
    result = automl.search(table(), target="sold", test=table(60, seed=1), n_trials=1, **kwargs)
    assert len(result.run.task.report) == 60
    assert result.refit().members[0].inputs.rows == 240


def test_what_resume_was_told_stands_when_it_is_resumed_again(tmp_path):
    def stop(progress):
        return progress.ended >= 3

    first = automl.search(table(), target="sold", n_trials=2, executor="inline", out=tmp_path / "run", baselines=False, **QUICK)
    automl.search(resume=first.path, n_trials=5, verbose=False, callbacks=[stop])
    last = automl.search(resume=first.path, verbose=False)
    assert len(last.leaderboard()) == 5


def test_what_the_end_of_the_time_cut_is_finished_when_more_time_is_given(tmp_path):
    kwargs = {"out": tmp_path / "run", "verbose": False, "epochs": 3000, "folds": 1, "executor": "inline", "schedule": "full"}
    first = automl.search(table(2000), target="sold", time_limit=3, baselines=False, **kwargs)
    [cut] = first.entries
    assert cut.status == "cut"
    more = automl.search(resume=first.path, time_limit=4, verbose=False)
    [again] = [entry for entry in more.entries if entry.number == 0]
    assert len([record for record in more.run.store.records() if record.trials[0].configuration_number == 0]) == 2
    assert again.score is not None


def test_a_result_is_shown_in_a_line(result):
    assert repr(result).startswith("SearchResult('")
    assert len(repr(result)) < 300
    assert len(repr(result.run.task)) < 400


def test_progress_shows_the_scores_of_the_board(tmp_path):
    seen = {}

    def look(progress):
        seen.update({entry.name: entry.score for entry in (*progress.latest, *progress.baselines)})

    kwargs = {"epochs": 2, "verbose": False, "executor": "inline", "out": tmp_path / "run", "schedule": "full"}
    result = automl.search(table(90), target="sold", n_trials=2, folds=3, repeats=2, callbacks=[look], **kwargs)
    board = result.leaderboard().set_index("model")["validation_score"]
    assert seen == pytest.approx(board.to_dict())
