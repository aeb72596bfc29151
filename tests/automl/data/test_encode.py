"""Features of times, columns found by name or place, refusals, and state that survives JSON."""

import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from automl.data.columns import Category, Columns, Number, Time
from automl.data.kinds import Detected, detect_kinds
from automl.errors import DataError, ModelError

ADULT = Path(__file__).parents[4] / "shared" / "data" / "tabular" / "adult.csv"


def fitted(frame, **overrides):
    kinds = detect_kinds(frame, overrides)
    return Columns.fit(frame, kinds), kinds


def assert_same(one, other):
    np.testing.assert_allclose(one.numeric, other.numeric, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(one.categorical, other.categorical)


# ------------------------------------------------------------------------------------------------------------------- times


def test_times_become_days_and_the_parts_that_vary():
    columns, _ = fitted(pd.DataFrame({"t": pd.date_range("2020-01-01", periods=800, freq="D")}))
    names = ("days", "year", "month", "day", "weekday", "year_sin", "year_cos", "week_sin", "week_cos")
    assert columns.numeric == tuple(f"t.{name}" for name in names)
    row = dict(zip(names, columns.transform({"t": ["2024-02-29"]}).numeric[0], strict=True))
    assert (row["year"], row["month"], row["day"], row["weekday"]) == (2024, 2, 29, 3)
    hours, _ = fitted(pd.DataFrame({"t": pd.date_range("2020-01-01", periods=48, freq="h")}))
    features = dict(zip(hours.numeric, hours.transform({"t": ["2020-01-01 18:30"]}).numeric[0], strict=True))
    assert features["t.hour"] == 18.5
    angle = 18.5 / 24 * 2 * np.pi
    np.testing.assert_allclose([features["t.day_sin"], features["t.day_cos"]], [np.sin(angle), np.cos(angle)], rtol=1e-5)


def test_days_before_1970_and_microseconds_are_exact():
    times = pd.Series(pd.to_datetime(["1901-12-31 23:59:59.999999", "1902-01-01 00:00:00.000000"] * 10))
    columns, _ = fitted(pd.DataFrame({"t": times, "x": range(20)}))
    encoded = columns.transform(pd.DataFrame({"t": times, "x": 0}))
    features = dict(zip(columns.numeric, encoded.numeric.T, strict=True))
    assert features["t.year"][:2].tolist() == [1901, 1902]
    assert features["t.weekday"][:2].tolist() == [1, 2]
    assert features["t.month"][:2].tolist() == [12, 1]


@pytest.mark.parametrize("written", ["%m/%d/%Y", "%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"])
def test_times_fitted_from_text_are_understood_in_their_form_and_as_times(written):
    times = pd.Series(pd.date_range("2020-01-01", periods=90))
    columns, _ = fitted(pd.DataFrame({"t": times.dt.strftime(written)}))
    assert_same(columns.transform({"t": times}), columns.transform({"t": times.dt.strftime(written)}))
    assert np.isnan(columns.transform({"t": ["soon"]}).numeric).all()


# ------------------------------------------------------------------------------------------------------- names and refusals


def test_columns_are_found_by_name_or_else_by_position():
    frame = pd.DataFrame({"a": [1.0, 2.0, 4.0], "k": 7, "b": ["p", "q", "p"]})
    columns, _ = fitted(frame)
    assert (columns.names, columns.inputs) == (("a", "b"), ("a", "k", "b"))
    expected = columns.transform(frame)
    assert_same(columns.transform(frame[["b", "a"]].assign(more=0)), expected)
    assert_same(columns.transform(frame.to_numpy()), expected)
    assert_same(columns.transform(frame.to_dict("records")), expected)
    assert columns.transform(frame.iloc[:0]).numeric.shape == (0, 1)
    positional = Columns(columns.inputs, columns.columns, positional=True)
    assert_same(positional.transform(frame.set_axis(["u", "v", "w"], axis=1)), expected)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (pd.DataFrame({"n": [1], "c": ["a"]}), "missing 't'"),
        (pd.DataFrame({"nn": [1], "c": ["a"], "t": "2020-01-01"}), "missing 'n'; did you mean 'nn'?"),
        (np.ones((2, 4)), "must have 3 columns in the order of training, got 4"),
        (pd.DataFrame({"n": pd.to_datetime(["2020"]), "c": ["a"], "t": "2020-01-01"}), "'n' must hold numbers as in training"),
        (pd.DataFrame({"n": [[1]], "c": ["a"], "t": "2020-01-01"}), "got a column of type nested"),
        (pd.DataFrame({"n": [1], "c": ["a"], "t": [True]}), "'t' must hold times"),
        (pd.DataFrame({"n": ["many"] * 10, "c": "a", "t": "2020-01-01"}), "must hold numbers, as in training, got 'many'"),
        (pd.DataFrame({"n": [1] * 10, "c": ["a"] * 10, "t": ["soon"] * 10}), "must hold times, written like 2024-01-31"),
        ("nowhere.csv", "must be a file"),
    ],
)
def test_other_columns_than_those_of_training_are_refused(data, words):
    columns, _ = fitted(pd.DataFrame({"n": [1.5, 2, 4] * 9, "c": list("abc") * 9, "t": pd.date_range("2020", periods=27)}))
    with pytest.raises(DataError) as error:
        columns.transform(data)
    assert words in str(error.value), str(error.value)


def test_columns_without_any_value_are_missing_whatever_their_dtype():
    columns, _ = fitted(pd.DataFrame({"n": [1.5, 2, 4] * 9, "c": list("abc") * 9, "t": pd.date_range("2020", periods=27)}))
    for nothing in (None, np.nan, pd.NaT, ""):
        encoded = columns.transform([{"n": nothing, "c": nothing, "t": nothing}] * 12)
        assert np.isnan(encoded.numeric).all()
        assert not encoded.categorical.any()


@pytest.mark.parametrize(
    "damage",
    [
        {"format": 2},
        {"columns": None},
        {"columns": [{"column": "a", "kind": "pickle"}]},
        {"columns": [{"column": "a", "kind": "category", "categories": "abc"}]},
        {"columns": [{"column": "a", "kind": "category", "categories": [1]}]},
        {"columns": [{"column": "a", "kind": "number", "form": "", "ruler": [0, 1]}]},
        {"columns": [{"kind": "number"}]},
        {"inputs": "abc"},
    ],
)
def test_damaged_state_is_refused(damage):
    columns, _ = fitted(pd.DataFrame({"n": [1.5, 2, 4], "c": ["a", "b", "a"]}))
    with pytest.raises(ModelError, match="columns"):
        Columns.from_dict({**columns.to_dict(), **damage})
    with pytest.raises(ModelError, match="columns"):
        Columns.from_dict({})


def test_state_is_plain_data():
    times = pd.Series(pd.date_range("2020", periods=27))
    columns = Columns.fit(
        pd.DataFrame({"n": [1.5, 2, 4] * 9, "c": list("abc") * 9, "t": times}),
        {"n": Detected("numeric", ""), "c": Detected("categorical", ""), "t": Detected("datetime", "")},
    )
    assert [type(column) for column in columns.columns] == [Number, Category, Time]
    assert Columns.from_dict(json.loads(json.dumps(columns.to_dict(), allow_nan=False))) == columns


@pytest.mark.skipif(not ADULT.exists(), reason="the shared data are not beside this checkout")
def test_fifty_thousand_rows_are_encoded_in_a_moment():
    frame = pd.read_csv(ADULT)
    columns, _ = fitted(frame.drop(columns="income"))
    start = time.perf_counter()
    columns.transform(frame)
    assert time.perf_counter() - start < 0.3
