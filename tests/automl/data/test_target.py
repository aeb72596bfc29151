"""Which task a target makes, and labels that come back as the user wrote them."""

# ruff: noqa: PD011 -- Target.values is an array of ours

import json

import numpy as np
import pandas as pd
import pytest

from automl.data.target import detect_task, encode_target
from automl.errors import DataError, OptionError

RNG = np.random.default_rng(0)


def target(values):
    return pd.Series(values, name="y")


@pytest.mark.parametrize(
    ("values", "kind", "why"),
    [
        ([True, False] * 9, "binary", "two values, 'False' and 'True'"),
        (["no", "yes"] * 9, "binary", "two values"),
        ([0.5, 1.5] * 9, "binary", "two values"),
        ([-1, 1] * 9, "binary", "two values"),
        (["a", "b", "c"] * 9, "multiclass", "3 labels"),
        ([1, 2, 3] * 9, "multiclass", "3 different whole numbers"),
        ([1.0, 2.0, 3.0] * 9, "multiclass", "3 different whole numbers"),
        (list(range(50)) * 20, "multiclass", "whole numbers from 0 to 49, all about as frequent"),
        (["0", "1", "2"] * 9, "multiclass", "3 different whole numbers"),
        (pd.Categorical([1.5, 2.5, 3.5] * 9), "multiclass", "3 labels"),
        ([1.5, 2.25, 3.0] * 9, "regression", "fractions"),
        ([f"{value}" for value in RNG.normal(size=30)], "regression", "fractions"),
        (RNG.poisson(30, 500), "regression", "different whole numbers"),
        (RNG.integers(0, 1000, 500), "regression", "different whole numbers"),
        ([1, 2, 3, 4, 5, 6], "regression", "6 different whole numbers"),
        ([*range(30), *range(10)] * 9 + [31], "regression", "31 different whole numbers"),
        (pd.array([1, 2, 3] * 9, dtype="Int64"), "multiclass", "3 different"),
        (pd.Categorical(["lo", "hi"] * 9, categories=["lo", "hi", "never"], ordered=True), "binary", "two values"),
    ],
)
def test_the_task_follows_from_the_values(values, kind, why):
    found, line = detect_task(target(values))
    assert found == kind
    assert why in line
    assert line.startswith(f"y: {kind} task, ")


def test_a_user_may_choose_another_task():
    kind, line = detect_task(target([1, 2, 3] * 9), "regression")
    assert kind == "regression"
    assert "as you asked; multiclass would be the choice" in line
    assert detect_task(target([0, 1] * 9), "multiclass")[0] == "multiclass"


@pytest.mark.parametrize(
    ("values", "kind", "error", "words"),
    [
        ([1, 2] * 9, "clasification", OptionError, "must be one of binary, multiclass, regression, multilabel"),
        ([1, 2] * 9, "multi-class", OptionError, "did you mean 'multiclass'?"),
        ([1] * 9, None, DataError, "two different values, got '1' alone"),
        (["a"] * 9, None, DataError, "got 'a' alone"),
        (["a", "b"] * 9, "regression", DataError, "must hold numbers for regression, got 'a'"),
        ([1, 2, 3] * 9, "binary", DataError, "two values for a binary task, got 3"),
        ([f"row {i}" for i in range(50)], None, DataError, "50 in 50 rows; is it an identifier or text?"),
        (RNG.normal(size=50), "multiclass", DataError, "use task='regression'"),
        (pd.date_range("2020", periods=9), None, DataError, "got a column of type time"),
        (pd.to_timedelta(range(9), unit="s"), None, DataError, "got a column of type duration"),
        ([[1], [2]] * 9, None, DataError, "got a column of type nested"),
    ],
)
def test_impossible_tasks_are_refused(values, kind, error, words):
    with pytest.raises(error) as raised:
        detect_task(target(values), kind)
    assert words in str(raised.value), str(raised.value)


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (["b", "a"], ("a", "b")),
        ([2, 10, 1], (1, 2, 10)),
        (np.array([2, 1], dtype=np.int8), (1, 2)),
        (np.array([0.1, 0.2], dtype=np.float32), (0.1, 0.2)),
        ([1.0, 2.0], (1.0, 2.0)),
        ([True, False], (False, True)),
        (pd.array([True, False], dtype="boolean"), (False, True)),
        (np.array(["u", "v"], dtype="<U1"), ("u", "v")),
        (pd.Categorical([3, 1], categories=[9, 3, 1]), (1, 3)),
        (pd.Categorical([1, "a"]), (1, "a")),
        (["1", "2"], ("1", "2")),
    ],
)
def test_classes_are_sorted_and_keep_their_type(values, classes):
    encoded = encode_target(target(values), "multiclass")
    assert encoded.classes == classes
    assert [type(label) for label in encoded.classes] == [type(label) for label in classes]
    assert json.loads(json.dumps(encoded.classes)) == list(classes)
    assert encoded.values.dtype == np.int64
    assert [classes[code] for code in encoded.values] == [pytest.approx(value) for value in values]


def test_rows_to_be_scored_get_the_codes_of_training():
    assert encode_target(target(["b", "a", "b"]), "binary", ("a", "b")).values.tolist() == [1, 0, 1]
    assert encode_target(target(["1", "0"]), "binary", (0, 1)).values.tolist() == [1, 0]
    assert encode_target(target([1.0, 0.0]), "binary", (0, 1)).values.tolist() == [1, 0]
    assert encode_target(target(["True", "False"]), "binary", (False, True)).values.tolist() == [1, 0]
    assert encode_target(target(["b"]), "binary", ("a", "b")).values.tolist() == [1]
    with pytest.raises(DataError, match="classes of training, 'a', 'b', got 'c'"):
        encode_target(target(["a", "c"]), "binary", ("a", "b"))


def test_values_are_float64():
    encoded = encode_target(target(["1.5", "2"]), "regression")
    assert (encoded.values.tolist(), encoded.values.dtype, encoded.classes) == ([1.5, 2.0], np.float64, ())
    with pytest.raises(DataError, match="finite numbers, 2 rows don't"):
        encode_target(target([1.5, np.inf, None]), "regression")
