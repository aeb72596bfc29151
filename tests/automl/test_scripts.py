"""Searches are begun from anywhere, as users write them, with frames of everything that pandas has."""

import datetime as dt
import decimal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import automl
from automl.data.columns import Category, Number, Time

ROOT = Path(automl.__file__).parents[1]

# No `__main__` guard, and a family that is defined nowhere else: what a forkserver would run again, or not find.
SCRIPT = """
import sys
sys.path.append({root!r})
import pandas as pd
import automl
from search_spaces import Int
from search_spaces.mlp import MLP

FACTOR = 2

class Own(MLP):
    extra: int = Int(1, 4)

    def build(self, inputs, outputs):
        assert FACTOR * self.extra <= 8
        return super().build(inputs, outputs)

print("once")
frame = pd.read_csv("sales.csv")
options = dict(n_trials=3, epochs=2, folds=1, workers=2, executor="processes", baselines=False, verbose=False)
result = automl.search(frame, target="sold", families=["MLP", Own], out="run", space={{"architecture/kind": "Own"}}, **options)
board = result.leaderboard()
print(*board["family"], *board["status"])
result.best.save("model")
print((automl.load("model", families=[Own]).predict_proba(frame) == result.best.predict_proba(frame)).all())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="processes of their own need Linux")
@pytest.mark.parametrize("way", ["script", "stdin", "notebook"])
def test_a_search_runs_from(way, sales, tmp_path):
    sales().to_csv(tmp_path / "sales.csv", index=False)
    script = SCRIPT.format(root=str(ROOT))
    (tmp_path / "search.py").write_text(script)
    cell = f"scope = {{'__name__': '__main__', 'In': []}}; exec(compile({script!r}, '<cell>', 'exec'), scope)"
    words, text = {"script": (["search.py"], None), "stdin": (["-"], script), "notebook": (["-c", cell], None)}[way]
    command = [sys.executable, *words]
    done = subprocess.run(command, input=text, capture_output=True, text=True, cwd=tmp_path, timeout=300, check=False)
    assert done.stderr == ""
    assert done.stdout.split() == ["once", *["Own"] * 3, *["finished"] * 3, "True"]


ROWS = 240


def everything():
    """Return a frame with a column of every dtype of pandas 3, and a target that depends on some of them."""
    rng = np.random.default_rng(0)
    whole, real, words = rng.integers(0, 100, ROWS), rng.normal(size=ROWS), rng.choice(["red", "green", "blue"], ROWS)
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, ROWS), unit="D")
    sizes = pd.Categorical(rng.choice(["s", "m", "l"], ROWS), categories=["s", "m", "l"], ordered=True)
    mixed = [None if row % 7 == 0 else word for row, word in enumerate(words)]
    names = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64"]
    frame = pd.DataFrame({name: whole.astype(name) + rng.integers(0, 3, ROWS).astype(name) for name in names})
    return frame.assign(
        bool=real > 0,
        boolean=pd.array(np.where(real > 0.5, True, None), dtype="boolean"),
        Int64=pd.array(np.where(whole % 5 == 0, None, whole), dtype="Int64"),
        UInt8=pd.array(whole, dtype="UInt8"),
        Float32=pd.array(real, dtype="Float32"),
        Float64=pd.array(np.where(real > 1, None, real), dtype="Float64"),
        mixed_words=pd.Series(mixed, dtype="object"),
        str=pd.Series(words, dtype="str"),
        string=pd.array(mixed, dtype="string"),
        pyarrow_string=pd.array(mixed, dtype="string[pyarrow]"),
        category=pd.Categorical(words),
        ordered=sizes,
        numbers_as_categories=pd.Categorical(whole % 4),
        naive=days,
        zoned=days.tz_localize("Europe/Berlin"),
        seconds=days.astype("datetime64[s]"),
        timedelta=pd.to_timedelta(whole, unit="h"),
        period=days.to_period("M"),
        interval=pd.cut(real, 5),
        sparse=pd.arrays.SparseArray(np.where(whole < 80, 0, whole)),
        arrow_int=pd.array(whole, dtype=pd.ArrowDtype(pa.int32())),
        arrow_bool=pd.array((real > 0).tolist(), dtype=pd.ArrowDtype(pa.bool_())),
        arrow_decimal=pd.array([decimal.Decimal(int(n)) / 4 for n in whole], dtype=pd.ArrowDtype(pa.decimal128(9, 2))),
        arrow_date=pd.array([day.date() for day in days], dtype=pd.ArrowDtype(pa.date32())),
        arrow_time=pd.array(days.to_list(), dtype=pd.ArrowDtype(pa.timestamp("us"))),
        arrow_text=pd.array(words.tolist(), dtype=pd.ArrowDtype(pa.string())),
        arrow_dictionary=pd.array(words.tolist(), dtype=pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))),
        date=pd.Series([day.date() for day in days], dtype="object"),
        clock=pd.Series([dt.time(int(n) % 24, 30) for n in whole], dtype="object"),
        decimals=pd.Series([decimal.Decimal(int(n)) / 8 for n in whole], dtype="object"),
        bought=np.where(real + (words == "red") + whole / 100 > 0.8, "yes", "no"),
    )


@pytest.fixture(scope="module")
def bought(tmp_path_factory):
    """Return a search over a frame with every dtype, and the frame."""
    frame = everything()
    out = tmp_path_factory.mktemp("dtypes")
    options = {"n_trials": 2, "epochs": 2, "folds": 1, "executor": "inline", "baselines": False, "verbose": False}
    return automl.search(frame, target="bought", out=out / "run", **options), frame


def test_a_frame_of_every_dtype_is_searched_exported_and_loaded(bought, tmp_path):
    result, frame = bought
    result.best.export(tmp_path / "model")
    loaded = automl.load(tmp_path / "model")
    expected = result.best.predict_proba(frame)
    np.testing.assert_allclose(loaded.predict_proba(frame), expected, atol=1e-6)
    np.testing.assert_allclose(loaded.predict_proba(frame[::-1].iloc[:7, ::-1]), expected[::-1][:7], atol=1e-6)
    assert loaded.predict(frame).tolist() == result.best.predict(frame).tolist()
    reopened = automl.SearchResult.open(result.path).best
    np.testing.assert_array_equal(reopened.predict_proba(frame), expected)


def test_no_dtype_is_set_aside(bought):
    result, frame = bought
    made = {column.column: type(column) for column in result.run.task.encoder.columns}
    assert set(made) == set(frame.columns) - {"bought"}
    for name in ("naive", "zoned", "seconds", "period", "arrow_date", "arrow_time", "date"):
        assert made[name] is Time, name
    for name in ("mixed_words", "str", "string", "pyarrow_string", "category", "arrow_text", "arrow_dictionary"):
        assert made[name] is Category, name
    for name in ("int8", "uint64", "float16", "Int64", "Float64", "sparse", "timedelta", "arrow_decimal", "decimals"):
        assert made[name] is Number, name


def test_a_parquet_file_of_the_frame_predicts_what_the_frame_does(bought, tmp_path):
    result, frame = bought
    unknown_to_parquet = ["period", "interval", "sparse", "timedelta", "arrow_dictionary"]
    frame.drop(columns=unknown_to_parquet).to_parquet(tmp_path / "rows.parquet")
    stored = pd.concat([pd.read_parquet(tmp_path / "rows.parquet"), frame[unknown_to_parquet]], axis=1)
    np.testing.assert_allclose(result.best.predict_proba(stored), result.best.predict_proba(frame), atol=1e-6)
