"""Searches without a target: autoencoders, scored by what they rebuild, that encode, reconstruct and tell odd rows."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import automl
from automl.cli import app
from automl.result import SearchResult
from search_spaces.spec import Reconstruction


def table(rows: int = 240, seed: int = 0) -> pd.DataFrame:
    """Return rows that two numbers say all of, with holes."""
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(2, rows))
    frame = pd.DataFrame({
        "a": first, "b": 2 * first + 0.1 * rng.normal(size=rows), "c": 1000 * second, "d": first - second, "e": second - 1.0,
        "colour": np.where(second > 0, "red", "blue"), "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(24 * first, unit="D"),
    })  # fmt: skip
    frame.loc[::9, "c"] = np.nan
    frame.loc[::8, "colour"] = None
    return frame


def search(data: object, out: Path, **options) -> SearchResult:
    usual = {"n_trials": 2, "epochs": 4, "workers": 1, "executor": "inline", "verbose": False}
    return automl.search(data, out=out / "run", **{**usual, **options})


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> SearchResult:
    return search(table(), tmp_path_factory.mktemp("unlabelled"), include_baselines=False, folds=1)


def test_autoencoders_are_searched_beside_the_mean_row_and_components(result: SearchResult) -> None:
    board = result.leaderboard().set_index("model")
    assert set(board["family"]) == {"Autoencoder", "baseline"}
    errors = board["validation_score"]
    assert errors["pca"] < 0.8 * errors["mean_row"]
    assert 0.5 < errors["mean_row"] < 1.5
    assert np.isfinite(board["report_score"].dropna()).all()
    task = result.run.task
    assert task.kind == "reconstruction"
    assert any("no target was given" in line for line in task.notices)
    features = len(task.encoder.numeric) + len(task.encoder.categorical)
    assert task.folds[0].outputs == Reconstruction(round(features / 4))


def test_predictors_encode_reconstruct_and_score(result: SearchResult) -> None:
    model, frame = result.best, table(50, seed=1)
    codes, rebuilt, scores = model.encode(frame), model.reconstruct(frame), model.anomaly_score(frame)
    assert codes.shape == (50, result.run.task.folds[0].outputs.code)
    assert list(rebuilt.columns) == list(frame.columns)
    assert rebuilt.shape == frame.shape
    assert set(rebuilt["colour"]) <= {"red", "blue"}
    assert rebuilt["when"].dtype.kind == "M"
    assert np.corrcoef(rebuilt["a"], frame["a"])[0, 1] > 0.5
    assert scores.shape == (50,)
    np.testing.assert_array_equal(model.predict(frame), scores)
    assert model.evaluate(frame) == {"reconstruction_error": pytest.approx(scores.mean())}
    odd = frame.assign(b=-frame["b"] * 3)
    assert model.anomaly_score(odd).mean() > 1.5 * scores.mean()
    assert model.encode(frame.head(0)).shape == (0, codes.shape[1])
    assert len(model.reconstruct(frame.head(0))) == 0


def test_models_survive_export_and_say_what_they_are(result: SearchResult, tmp_path: Path) -> None:
    import onnxruntime

    folder = result.best.export(tmp_path / "model")
    again, frame = automl.load(folder), table(30, seed=2)
    np.testing.assert_allclose(again.anomaly_score(frame), result.best.anomaly_score(frame))
    np.testing.assert_allclose(again.encode(frame), result.best.encode(frame))
    pd.testing.assert_frame_equal(again.reconstruct(frame), result.best.reconstruct(frame))
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "model.encode(rows)" in card
    assert "how badly a row is rebuilt" in card
    numeric, categorical = again.encoder.transform(frame)
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    errors, code = session.run(["errors", "code"], {"numeric": numeric, "categorical": categorical.astype(np.int64)})
    np.testing.assert_allclose(errors, again.anomaly_score(frame), rtol=1e-4)
    np.testing.assert_allclose(code, again.encode(frame), atol=1e-4)


def test_the_best_is_trained_again_on_all_rows(result: SearchResult) -> None:
    refitted = result.refit()
    assert refitted.members[0].inputs.rows == 240
    assert np.isfinite(refitted.anomaly_score(table(20, seed=3))).all()


def test_components_are_a_model_like_networks(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    linear = pd.DataFrame(rng.normal(size=(200, 2)) @ rng.normal(size=(2, 6)), columns=list("abcdef"))
    linear += 0.1 * rng.normal(size=(200, 6))
    result = search(linear, tmp_path, n_trials=1, epochs=1, folds=1, include_baselines=True)
    assert result.best_entry.name == "pca"
    model = result.best
    assert model.encode(linear).shape == (200, 2)
    rebuilt = model.reconstruct(linear)
    assert np.abs(rebuilt - linear).mean().mean() < 0.3
    again = automl.load(model.export(tmp_path / "model"))
    np.testing.assert_allclose(again.anomaly_score(linear), model.anomaly_score(linear))


def test_folds_have_the_mean_error_and_the_first_code(tmp_path: Path) -> None:
    frame = table(60)
    model = search(frame, tmp_path, folds=2, repeats=1, n_trials=1, epochs=1).best
    assert len(model.members) == 2
    alone = [type(model)(**{**vars(model), "members": (member,)}) for member in model.members]
    np.testing.assert_allclose(model.anomaly_score(frame), np.mean([each.anomaly_score(frame) for each in alone], 0))
    np.testing.assert_array_equal(model.encode(frame), alone[0].encode(frame))


def test_columns_of_text_are_set_aside(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    words = [" ".join(rng.choice(["lorem", "ipsum", "dolor", "sit", "amet", "elit"], 12)) for _ in range(120)]
    result = search(table(120).assign(text=words), tmp_path, n_trials=1, epochs=1, folds=1)
    assert "text" not in result.best.reconstruct(table(3).assign(text="lorem")).columns
    assert any("text, set aside" in line for line in result.run.task.notices)
    with pytest.raises(automl.DataError, match="all columns are texts"):
        search(pd.DataFrame({"text": words, "more": words[::-1]}), tmp_path, overwrite=True)


@pytest.mark.parametrize(("options", "message"), [
    ({"code": 40}, "code must be below the number of features, .*got 40"),
    ({"code": 2, "target": "colour"}, "code must be left out with a target.*got 2"),
    ({"task": "binary"}, "target: must name the column to predict for a binary task"),
    ({"metric": "rmse"}, "reconstruction_error, got 'rmse'"),
])  # fmt: skip
def test_options_that_do_not_fit(options: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(automl.OptionError, match=message):
        search(table(60), tmp_path, **options)


def test_one_column_alone_is_not_rebuilt(tmp_path: Path) -> None:
    with pytest.raises(automl.DataError, match="fewer than 2 features to rebuild"):
        search(table()[["a"]], tmp_path)


def test_models_with_a_target_do_not_encode(tmp_path: Path) -> None:
    model = search(table(), tmp_path, target="colour", n_trials=1, epochs=1, folds=1, families=["MLP"]).best
    for asked in (model.encode, model.reconstruct, model.anomaly_score):
        with pytest.raises(automl.OptionError, match=f"{asked.__name__} needs a model that was searched without a target"):
            asked(table(3))


def test_images_are_learnt_where_asked(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    bright = rng.integers(0, 200, (80, 1, 1))
    images = (bright + rng.integers(0, 30, (80, 12, 10))).astype(np.uint8)
    with pytest.raises(automl.DataError, match="or task='reconstruction' to learn the images themselves"):
        search(images, tmp_path)
    result = search(images, tmp_path, task="reconstruction", n_trials=1, epochs=2, folds=1, code=2)
    board = result.leaderboard().set_index("model")["validation_score"]
    assert board["pca"] < 0.3 * board["mean_row"]
    model = result.best
    assert type(model.members[0].architecture).__name__ == "ConvAutoencoder"
    assert model.encode(images).shape == (80, 2)
    assert model.reconstruct(images).shape == (80, 12, 10, 1)
    assert model.reconstruct(images).dtype == np.uint8
    assert model.anomaly_score(images[:3]).shape == (3,)
    labelled = search((images, ["a", "b"] * 40), tmp_path, task="reconstruction", n_trials=1, epochs=1, folds=1, overwrite=True)
    assert labelled.best.kind == "reconstruction"


def test_on_the_command_line(tmp_path: Path) -> None:
    table(120).to_csv(tmp_path / "rows.csv", index=False)
    run, rows = str(tmp_path / "run"), str(tmp_path / "rows.csv")
    arguments = ["search", rows, "--n-trials", "1", "--epochs", "1", "--executor", "inline", "--out", run, "--folds", "1"]
    searched = CliRunner().invoke(app, arguments)
    assert searched.exit_code == 0, searched.output
    predicted = CliRunner().invoke(app, ["predict", run, rows, "--out", str(tmp_path / "scores.csv")])
    assert predicted.exit_code == 0, predicted.output
    scores = pd.read_csv(tmp_path / "scores.csv")
    assert list(scores.columns) == ["anomaly_score"]
    assert len(scores) == 120
    assert (scores["anomaly_score"] >= 0).all()
