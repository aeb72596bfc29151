import json
import subprocess
import sys

import numpy as np
import onnxruntime
import pandas as pd
import pytest

import automl
from automl.baselines import baseline_names
from automl.errors import DataError, OptionError
from automl.forecasts import future_table

N = 400
TIMES = pd.date_range("2024-03-01", periods=N, freq="h")


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    t = np.arange(N)
    load = 1000 + 300 * np.sin(2 * np.pi * t / 24) + 30 * rng.normal(size=N)
    return pd.DataFrame({"when": TIMES, "load": load, "wind": rng.normal(size=N), "site": np.where(t % 5 < 3, "a", "b")})


@pytest.fixture(scope="module")
def result(data, tmp_path_factory):
    return automl.search(
        data,
        target="load",
        horizon=6,
        n_trials=2,
        epochs=4,
        families=["SeriesMLP"],
        executor="inline",
        schedule="full",
        out=tmp_path_factory.mktemp("forecast") / "run",
    )


def test_networks_and_baselines_are_compared_on_later_rows(result):
    board = result.leaderboard().set_index("model")
    assert {"naive", "seasonal naive", "linear"} <= set(board.index)
    assert (board["status"] == "finished").all()
    scores = board["report_score"].dropna()
    assert scores["seasonal naive"] < scores["naive"] / 3
    assert scores["linear"] < scores["seasonal naive"]
    best = scores[[name for name in scores.index if name.startswith("SeriesMLP")]].iloc[0]
    assert best < scores["naive"]
    task = result.run.task
    assert (task.kind, task.metric, task.encoder.season) == ("forecast", "mae", 24)
    assert baseline_names(task) == ("naive", "seasonal naive", "linear")
    assert (
        "MASE, the mean absolute error in units of that of the seasonal naive forecast (24 steps before) in the rows"
        in result.summary()
    )
    assert result.report[result.best_entry.number].mase == pytest.approx(best / task.encoder.scale)


def test_seasons_may_be_as_long_as_windows(data, tmp_path):
    done = automl.search(
        data,
        target="load",
        horizon=6,
        season=5000,
        n_trials=1,
        epochs=1,
        families=["SeriesMLP"],
        executor="inline",
        out=tmp_path / "run",
    )
    board = done.leaderboard().set_index("model")
    assert board["status"]["seasonal naive"] == "finished"
    done.best.export(tmp_path / "model")
    assert "nan" not in (tmp_path / "model" / "README.md").read_text(encoding="utf-8").split()
    assert "MASE" not in done.summary()  # no season was seen twice
    assert board["report_score"]["seasonal naive"] == board["report_score"]["naive"]  # a longer season than the windows


def test_baselines_say_again_what_was(result, data):
    task = result.run.task
    rows = task.report
    futures = task.target[rows]
    seasonal = {entry.name: entry.number for entry in result.entries if entry.is_baseline}
    begins = N - 6 - np.arange(len(rows))[::-1]
    for name, season in (("naive", 1), ("seasonal naive", 24)):
        predicted = result.run.checkpoints.predictions(seasonal[name], 0, "report")
        again = np.stack([data["load"][begins - season + step % season] for step in range(6)], 1)
        np.testing.assert_allclose(predicted, again, rtol=1e-5)
    np.testing.assert_allclose(futures[-1], data["load"][-6:])


def test_models_are_exported_and_forecast_alike(result, data, tmp_path):
    model = result.best
    values = model.predict(data)
    assert values.shape == (6,)
    model.export(tmp_path / "model")
    again = automl.load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict(data), values)
    windows, lengths = again.encoder.transform(data)
    session = onnxruntime.InferenceSession(tmp_path / "model" / "model.onnx")
    longer = np.concatenate([windows, np.full((1, 5, windows.shape[2]), np.nan, np.float32)], 1)
    for fed in (windows, longer):
        (ahead,) = session.run(["forecast"], {"values": fed, "lengths": lengths})
        np.testing.assert_allclose(ahead[0], values, rtol=1e-4)
    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    assert "The season has 24 steps. In the rows that trained, the seasonal naive forecast (24 steps before) has" in card
    assert "Rows are 1 h apart (`when`)" in card
    assert "`site=b`" in card


def test_evaluation_rolls_over_all_windows(result, data):
    scores = result.best.evaluate(data)
    assert next(iter(scores)) == "mae"
    assert scores["mase"] == pytest.approx(scores["mae"] / result.run.task.encoder.scale)
    context = result.run.task.encoder.context
    ends = range(context, N - 6 + 1, 40)
    single = [np.abs(result.best.predict(data[:end]) - data["load"][end : end + 6]).mean() for end in ends]
    assert np.mean(single) == pytest.approx(scores["mae"], rel=0.3)
    with pytest.raises(OptionError, match="call predict"):
        result.best.predict_proba(data)
    with pytest.raises(DataError, match="steps of history"):
        result.best.evaluate(data[:20])


@pytest.mark.parametrize("name", ["naive", "seasonal naive", "linear"])
def test_baselines_are_models_too(result, data, name, tmp_path):
    from automl import models

    entry = next(entry for entry in result.entries if entry.name == name)
    model = models.predictor(result.run, entry, {})
    model.export(tmp_path / "model")
    values = automl.load(tmp_path / "model").predict(data)
    expected = {"naive": data["load"].iloc[-1:].repeat(6), "seasonal naive": data["load"][-24:-18]}
    if name in expected:
        np.testing.assert_allclose(values, expected[name], rtol=1e-5)
    else:
        np.testing.assert_allclose(values, 1000 + 300 * np.sin(2 * np.pi * np.arange(N, N + 6) / 24), atol=60)


def test_refit_trains_on_all_windows(result, data):
    model = result.refit()
    assert model.members[0].inputs.rows > result.best.members[0].inputs.rows
    assert model.predict(data).shape == (6,)


def test_forecasts_have_their_times(result, data):
    printed = future_table(result.best, data[:300]).to_csv(index=False).split("\n")
    assert printed[0] == "when,load"
    assert printed[1].startswith("2024-03-13 12:00:00,")
    assert len(printed) == 1 + 6 + 1


def test_the_command_line_forecasts(result, data, tmp_path):
    data[:300].to_csv(tmp_path / "history.csv", index=False)
    command = [sys.executable, "-m", "automl", "predict", result.path, tmp_path / "history.csv", "--json"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [row["when"] for row in rows] == [str(time) for time in TIMES[300:306]]
    np.testing.assert_allclose([row["load"] for row in rows], result.best.predict(data[:300]), rtol=1e-6)
