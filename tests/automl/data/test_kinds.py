"""What columns are judged to be, and why, on invented columns and on all the real tables."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from automl.data.columns import Columns
from automl.data.kinds import detect_kinds, notable_lines
from automl.data.load import load
from automl.data.target import detect_task
from automl.errors import DataError, OptionError

TABLES = Path(__file__).parents[4] / "shared" / "data" / "tabular"
N = 60
RNG = np.random.default_rng(0)
REALS = RNG.normal(size=N).round(3)
INTS = RNG.integers(0, 9, N).tolist()
DAYS = pd.date_range("2020-01-01", periods=N, freq="2D")
SENTENCES = [" ".join(RNG.choice(["the", "cat", "sat", "on", "a", "mat"], 8)) for _ in range(N)]

JUDGED = {
    # numbers
    "few whole numbers": (INTS, "numeric", "0 to 8"),
    "zero and one": ([0, 1] * 30, "numeric", "0 to 1"),
    "text of numbers": ([f" {value} " for value in REALS], "numeric", ""),
    "text of numbers with marks": (["?", "NA", "", None, "1.5", "2", "7"] * 9, "numeric", "57.1% missing"),
    "text of truth and numbers": (["1", "0", "true"] * 20, "numeric", "0 to 1"),
    "one odd word": ([*map(str, REALS[:-1]), "oops"], "numeric", "'oops' taken as missing"),
    "gaps": ([1.5, None, 2.0] * 20, "numeric", "1.5 to 2, 33.3% missing"),
    "infinite": ([1.5, np.inf, 2.0] * 20, "numeric", "20 infinite"),
    "durations": ([f"{value} days 01:00:00" for value in INTS], "numeric", "seconds"),
    "clock": ([f"{value}:30" for value in INTS], "numeric", "seconds"),
    # truth
    "truth in text": (["TRUE", "false", None] * 20, "boolean", "33.3% missing"),
    # words
    "answers": (["yes", "no"] * 30, "categorical", "2 values"),
    "words that could mean missing": (["NA", "None", "x"] * 20, "categorical", "3 values ('NA' is one)"),
    "missing for certain": (["nan", " ", "x", "y"] * 15, "categorical", "2 values, 50.0% missing"),
    "numbers and a word": (["2", "3", "4", "5more"] * 15, "categorical", "4 values"),
    "codes with zeros": ([f"0{value}123" for value in INTS], "categorical", "9 values"),
    "versions": ([f"1.{value}.0" for value in INTS], "categorical", "9 values"),
    "addresses": ([f"10.0.{value}.1" for value in INTS], "categorical", "9 values"),
    "half repeated": ([f"v{i // 2}" for i in range(N)], "categorical", "30 values"),
    "one word or nothing": (["x", None] * 30, "categorical", "'x' or nothing"),
    "emoji": (["😀", "é", "日本"] * 20, "categorical", "3 values"),
    "short and all different": (list("abcdefghij"), "categorical", "10 values"),
    # times
    "ISO": (DAYS.strftime("%Y-%m-%d"), "datetime", "2020-01-01 to 2020-04-28, written ISO8601"),
    "ISO with clock and zone": (DAYS.strftime("%Y-%m-%dT%H:%M:%SZ"), "datetime", "written ISO8601"),
    "month first": (DAYS.strftime("%m/%d/%Y"), "datetime", "2020-01-01 to 2020-04-28, written %m/%d/%Y"),
    "day first": (DAYS.strftime("%d/%m/%Y %H:%M"), "datetime", "2020-01-01 to 2020-04-28, written %d/%m/%Y %H:%M"),
    "day or month first": ([f"0{1 + i % 9}/0{1 + i % 7}/2020" for i in range(N)], "datetime", "(%d/%m/%Y would fit as well)"),
    "German": (DAYS.strftime("%d.%m.%Y"), "datetime", "written %d.%m.%Y"),
    "names of months": (DAYS.strftime("%b %d, %Y"), "datetime", "written %b %d, %Y"),
    "twelve hours": (DAYS.strftime("%m/%d/%Y %I:%M %p"), "datetime", "written %m/%d/%Y %I:%M %p"),
    "marks among times": ([*DAYS.strftime("%Y-%m-%d")[:-3], "NA", "unknown", ""], "datetime", "5.0% missing"),
    "YYYYMMDD": (DAYS.strftime("%Y%m%d").astype(int), "datetime", "YYYYMMDD"),
    # texts
    "sentences": (SENTENCES, "text", "8 words in each row"),
    "names of people": ([f"Jane {word}" for word in RNG.integers(1 << 60, size=N)], "text", "60 different values"),
    # set aside
    "constant": ([5] * N, "constant", "always '5'"),
    "constant word": (["x"] * N, "constant", "always 'x'"),
    "nothing": ([None] * N, "constant", "no values"),
    "only infinite": ([np.inf, -np.inf] * 30, "constant", "no finite value"),
    "hashes": ([f"{value:x}" for value in RNG.integers(1 << 60, size=N)], "identifier", "60 different values in 60 rows"),
    "counter": (range(100, 100 + N), "identifier", "of its own in every row"),
    "lists": ([[1], [2, 3]] * 30, "ignored", "lists"),
    "bytes": ([b"a", b"b"] * 30, "ignored", "bytes"),
    "objects": ([object()] * N, "ignored", "other objects"),
}


@pytest.mark.parametrize("name", JUDGED)
def test_a_column_is_judged_from_its_values(name):
    values, kind, line = JUDGED[name]
    found = detect_kinds(pd.DataFrame({"c": pd.Series(list(values)), "more": RNG.normal(size=len(values))}))["c"]
    assert found.kind == kind, found.line
    assert line in found.line
    assert found.line.startswith("c: ")
    assert found.used == (kind in {"numeric", "boolean", "categorical", "datetime", "text"})
    assert found.notable or found.used


@pytest.mark.parametrize("name", ["id", "user_id", "PassengerId", "customerID", "uuid", "row number", "Unnamed: 0"])
def test_whole_numbers_all_different_are_identifiers_by_name(name):
    values = RNG.permutation(10**6)[:N]
    assert detect_kinds(pd.DataFrame({name: values, "x": REALS}))[name].kind == "identifier"
    assert detect_kinds(pd.DataFrame({name: np.append(values[:-1], values[0]), "x": REALS}))[name].kind == "numeric"


@pytest.mark.parametrize("name", ["paid", "width", "grid", "solid", "Covid", "humidity"])
def test_names_that_only_end_like_identifiers(name):
    assert detect_kinds(pd.DataFrame({name: RNG.permutation(10**6)[:N], "x": REALS}))[name].kind == "numeric"


def test_an_identifier_is_used_where_there_is_nothing_else():
    kinds = detect_kinds(pd.DataFrame({"t": range(N), "k": 1}))
    assert kinds["t"].kind == "numeric"
    assert "no other column" in notable_lines(kinds)[0]


def test_words_that_look_like_an_identifier_are_texts_where_there_is_nothing_else():
    kinds = detect_kinds(pd.DataFrame({"t": [f"w{value}" for value in range(N)], "k": 1}))
    assert kinds["t"].kind == "text"
    assert "no other column" in notable_lines(kinds)[0]


def test_complex_numbers_are_refused_unless_set_aside():
    frame = pd.DataFrame({"z": REALS + 1j, "x": REALS})
    with pytest.raises(DataError, match="'z' must hold real numbers"):
        detect_kinds(frame)
    assert detect_kinds(frame, {"z": "ignored"})["z"].kind == "ignored"


# --------------------------------------------------------------------------------------------------------------- overrides


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("few whole numbers", "categorical"),
        ("zero and one", "boolean"),
        ("counter", "numeric"),
        ("hashes", "categorical"),
        ("sentences", "categorical"),
        ("numbers and a word", "numeric"),
        ("codes with zeros", "numeric"),
        ("durations", "numeric"),
        ("truth in text", "categorical"),
        ("day or month first", "categorical"),
        ("marks among times", "datetime"),
        ("YYYYMMDD", "numeric"),
        ("YYYYMMDD", "datetime"),
        ("constant", "numeric"),
        *((name, "ignored") for name in JUDGED),
    ],
)
def test_a_user_knows_better(name, kind):
    frame = pd.DataFrame({"c": pd.Series(list(JUDGED[name][0]))})
    frame["more"] = RNG.normal(size=len(frame))
    kinds = detect_kinds(frame, {"c": kind})
    assert kinds["c"].kind == kind
    assert "as you asked" in kinds["c"].line
    encoded = Columns.fit(frame, kinds).transform(frame)
    features = encoded.numeric.shape[1] - 1 + encoded.categorical.shape[1]
    assert features > 1 if kind == "datetime" else features == (kind != "ignored")


@pytest.mark.parametrize(
    ("overrides", "error", "words"),
    [
        ({"agee": "numeric"}, OptionError, "did you mean 'age'?"),
        ({"age": "categoric"}, OptionError, "did you mean 'categorical'?"),
        ({"word": "numeric"}, DataError, "can't be numeric: none of its values can be read so, e.g. 'a'"),
        ({"word": "datetime"}, DataError, "can't be datetime"),
        ({"word": "boolean"}, DataError, "can't be boolean"),
        ({"age": "boolean"}, DataError, "9 of its values are neither true"),
        ({"list": "categorical"}, DataError, "set it to 'ignored'"),
        ({"age": "ignored", "word": "ignored"}, DataError, "at least one column besides the target must be usable"),
    ],
)
def test_impossible_overrides_are_refused(overrides, error, words):
    frame = pd.DataFrame({"age": [1, 2, 3, 4] * 3, "word": ["a", "b", "c", "a"] * 3, "list": [[1]] * 12})
    with pytest.raises(error) as raised:
        detect_kinds(frame, overrides)
    assert words in str(raised.value), str(raised.value)


# ------------------------------------------------------------------------------------------------------------- real tables

EXPECTED = {  # the task, how many columns are numeric and categorical, and what the others are
    "abalone": ("regression", 7, 1, {}),
    "adult": ("binary", 6, 8, {}),
    "auto_mpg": ("regression", 6, 2, {}),
    "bank_marketing": ("binary", 7, 9, {}),
    "bike_hourly": ("regression", 12, 0, {"dteday": "datetime"}),
    "california_housing": ("regression", 8, 1, {}),
    "car": ("multiclass", 0, 6, {}),
    "concrete": ("regression", 8, 0, {}),
    "cpu_act": ("regression", 21, 0, {}),
    "credit_g": ("binary", 7, 13, {}),
    "diamonds": ("regression", 6, 3, {}),
    "electrical_grid": ("binary", 12, 0, {}),
    "glass": ("multiclass", 9, 0, {}),
    "iris": ("multiclass", 4, 0, {}),
    "kin8nm": ("regression", 8, 0, {}),
    "letter": ("multiclass", 16, 0, {}),
    "magic": ("binary", 10, 0, {}),
    "mammography": ("binary", 6, 0, {}),
    "mushroom": ("binary", 0, 21, {"veil-type": "constant"}),
    "phoneme": ("binary", 5, 0, {}),
    "segment": ("multiclass", 18, 0, {"region-pixel-count": "constant"}),
    "spambase": ("binary", 57, 0, {}),
    "splice": ("multiclass", 0, 60, {}),
    "telco_churn": ("binary", 9, 10, {}),
    "titanic": ("binary", 5, 4, {"PassengerId": "identifier", "Name": "text"}),
    "vehicle": ("multiclass", 18, 0, {}),
}


@pytest.mark.skipif(not TABLES.exists(), reason="the shared data are not beside this checkout")
@pytest.mark.parametrize("name", EXPECTED)
def test_real_tables_are_judged_sensibly(name):
    task, numeric, categorical, others = EXPECTED[name]
    path = TABLES / f"{name}.csv"
    loaded = load(path, pd.read_csv(path, nrows=1).columns[-1])
    kinds = {column: found.kind for column, found in detect_kinds(loaded.frame).items()}
    assert list(kinds.values()).count("numeric") == numeric
    assert list(kinds.values()).count("categorical") == categorical
    assert {column: kind for column, kind in kinds.items() if kind not in {"numeric", "categorical"}} == others
    assert detect_task(loaded.target)[0] == task
