"""The whole way from sequences to a model: a board, an exported folder, other lengths in onnxruntime, the command line."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest

import automl
from automl.errors import DataError, OptionError
from search_spaces.language import Architecture, Choice
from search_spaces.linear import LinearSeries
from search_spaces.spec import TimeSeries

QUICK = {"executor": "inline", "verbose": False, "folds": 1}


class Summary(Architecture):
    """A linear model of sequences, as a family that is searched."""

    takes = (TimeSeries,)
    kind: str = Choice("one", "other")

    def build(self, inputs, outputs):
        return LinearSeries(inputs, outputs)


@pytest.fixture(scope="module")
def waves():
    """Return a function that makes sequences of several lengths, how fast they swing, and how high."""

    def make(rows=60, seed=0):
        rng = np.random.default_rng(seed)
        kinds, heights = np.arange(rows) % 3, rng.uniform(1, 3, rows)
        steps = [np.arange(length) for length in rng.integers(10, 24, rows)]
        swings = [h * np.sin(t * (0.2 + 0.6 * k) + rng.uniform(0, 6)) for t, k, h in zip(steps, kinds, heights, strict=True)]
        series = [np.stack([swing, rng.normal(size=len(swing))], 1).astype(np.float32) for swing in swings]
        return series, np.array(["slow", "middle", "fast"])[kinds], heights

    return make


@pytest.fixture(scope="module")
def result(tmp_path_factory, waves):
    """Return the result of a search of two networks and all baselines."""
    series, labels, _ = waves()
    out = tmp_path_factory.mktemp("series") / "run"
    return automl.search((series, labels), n_trials=2, epochs=4, families=[Summary], out=out, **QUICK)


@pytest.fixture(scope="module")
def model(result, tmp_path_factory):
    """Return the folder of the exported network."""
    return result.best.export(tmp_path_factory.mktemp("model") / "model")


def test_the_board_has_networks_and_the_baselines(result):
    board = result.leaderboard()
    assert set(board["model"]) >= {"majority", "linear", "boosting"}
    assert set(board["status"]) <= {"finished", "stopped"}
    assert "sequences of 10 to 23 steps" in repr(result.run.task)


def test_a_model_predicts_in_another_process_what_it_predicted_here(model, waves, tmp_path):
    series, labels, _ = waves(9, seed=1)
    longest = max(map(len, series))
    padded = np.full((9, longest + 4, 2), np.nan, np.float32)
    for row, one in zip(padded, series, strict=True):
        row[: len(one)] = one
    np.save(tmp_path / "new.npy", padded)
    code = f"""import automl, numpy as np
from tests.automl.test_series_search import Summary
model = automl.load({str(model)!r}, families=[Summary])
np.save({str(tmp_path / "out.npy")!r}, model.predict_proba({str(tmp_path / "new.npy")!r}))"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, cwd=Path(__file__).parents[2])
    here = automl.load(model, families=[Summary])
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), here.predict_proba(series), atol=1e-6)
    assert here.evaluate((series, labels))["accuracy"] == np.mean(here.predict(series) == labels)


def test_onnx_takes_lengths_never_seen(model):
    session = onnxruntime.InferenceSession(model / "model.onnx")
    predictor = automl.load(model, families=[Summary])
    rng = np.random.default_rng(0)
    for rows, steps in ((1, 1), (2, 24), (5, 77), (3, 300)):
        values = rng.normal(size=(rows, steps, 2)).astype(np.float32)
        lengths = rng.integers(1, steps + 1, rows)
        (written,) = session.run(None, {"values": values, "lengths": lengths})
        np.testing.assert_allclose(written, predictor.predict_proba((values, lengths)), atol=1e-5)


def test_the_card_says_how_to_use_the_file(model):
    card = (model / "README.md").read_text()
    assert "Sequences of training had 10 to 23 steps; the network takes any length" in card
    code = card.split("```python\n")[2].split("```")[0]
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, cwd=model)


def test_numbers_are_predicted_of_a_table_of_steps(waves, tmp_path, command_line):
    series, _, heights = waves()
    frame = pd.concat(
        [
            pd.DataFrame(one, columns=["swing", "noise"]).assign(id=f"w{i}", t=np.arange(len(one)), height=height)
            for i, (one, height) in enumerate(zip(series, heights, strict=True))
        ]
    )
    options = {"id_column": "id", "time_column": "t", "target": "height"}
    options |= {"n_trials": 1, "epochs": 2, "families": [Summary], "include_baselines": True}
    result = automl.search(frame, out=tmp_path / "run", **options, **QUICK)
    assert {"mean", "linear", "boosting"} <= set(result.leaderboard()["model"])
    assert result.evaluate(frame)["r2"] > 0.5
    result.best.save(tmp_path / "model")
    frame.drop(columns="height").to_csv(tmp_path / "new.csv", index=False)
    done = command_line("predict", tmp_path / "model", tmp_path / "new.csv", "--json")
    rows = json.loads(done.out)
    assert [row["id"] for row in rows] == [f"w{i}" for i in range(60)]
    np.testing.assert_allclose([row["height"] for row in rows], result.best.predict(frame), rtol=1e-5)


def test_an_npz_file_is_searched_and_predicted_on_the_command_line(waves, tmp_path, command_line):
    series, labels, _ = waves()
    values = np.zeros((60, 24, 2), np.float32)
    for row, one in zip(values, series, strict=True):
        row[: len(one)] = one
    np.savez(tmp_path / "waves.npz", x=values, len=[len(one) for one in series], y=labels)
    done = command_line(
        "search", tmp_path / "waves.npz", "--n-trials", 1, "--epochs", 1, "--folds", 1, "--executor", "inline", "--out", "run",
        "--family", "SeriesMLP", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "majority" in {row["model"] for row in json.loads(done.out)["leaderboard"]}
    done = command_line("predict", "run", tmp_path / "waves.npz")
    assert done.code == 0, done.err
    assert len(done.out.splitlines()) == 61


def test_what_a_user_may_give_wrong_is_told(model, waves, tmp_path):
    predictor = automl.load(model, families=[Summary])
    with pytest.raises(DataError, match="must have 2 channels, as in training, got 3"):
        predictor.predict(np.zeros((4, 9, 3)))
    with pytest.raises(DataError, match=r"data: must be arrays \(n, steps, 2\), or a list of them, as in training, got a table"):
        predictor.predict(pd.DataFrame({"a": [1.0]}))
    series, labels, _ = waves()
    with pytest.raises(OptionError, match="columns must be left out"):
        automl.search((series, labels), columns={"x0": "numeric"}, n_trials=1, out=tmp_path / "run", **QUICK)
