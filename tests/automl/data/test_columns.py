"""The same values give the same features however they arrive: any dtype, CSV, Parquet, one row at a time."""

import datetime as dt
import decimal
import json

import hypothesis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import strategies as st

from automl.data.columns import Columns
from automl.data.kinds import as_inputs, detect_kinds
from automl.errors import DataError, ModelError

N = 60
RNG = np.random.default_rng(0)
INTS = RNG.integers(0, 9, N)
REALS = RNG.normal(size=N).round(3)
WORDS = [f"w{value}" for value in RNG.integers(0, 3, N)]
TRUTH = [bool(value) for value in RNG.integers(0, 2, N)]
TIMES = pd.date_range("2020-01-01 05:30", periods=N, freq="7h")


def gaps(values, dtype=object):
    values = list(values)
    values[3] = values[10] = None
    return pd.Series(values, dtype=dtype)


def arrow(values, kind):
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.array(gaps(values).tolist(), kind)))


COLUMNS = {
    **{kind: ("numeric", pd.Series(INTS.astype(kind))) for kind in ("int8", "int16", "int32", "int64")},
    **{kind: ("numeric", pd.Series(INTS.astype(kind))) for kind in ("uint8", "uint16", "uint32", "uint64")},
    **{kind: ("numeric", gaps((INTS / 4).tolist(), kind)) for kind in ("float16", "float32", "float64")},
    **{kind: ("numeric", gaps(INTS.tolist(), kind)) for kind in ("Int8", "Int64", "UInt16", "Float32", "Float64")},
    "bool": ("boolean", pd.Series(TRUTH)),
    "boolean": ("boolean", gaps(TRUTH, "boolean")),
    "object of bools": ("boolean", gaps(TRUTH)),
    "str": ("categorical", gaps(WORDS, "str")),
    "object of text": ("categorical", gaps(WORDS)),
    "string[python]": ("categorical", gaps(WORDS, "string[python]")),
    "string[pyarrow]": ("categorical", gaps(WORDS, "string[pyarrow]")),
    "category": ("categorical", gaps(WORDS, "category")),
    "ordered": ("categorical", gaps(WORDS, pd.CategoricalDtype(["w2", "w1", "w0", "never"], ordered=True))),
    "category of ints": ("categorical", pd.Series(INTS).astype("category")),
    "category of floats": ("categorical", pd.Series((INTS / 10).astype("float32")).astype("category")),
    "category of bools": ("categorical", pd.Series(TRUTH).astype("category")),
    "category of times": ("categorical", pd.Series(TIMES[INTS]).astype("category")),
    "category of intervals": ("categorical", pd.cut(pd.Series(REALS), 4)),
    "interval": ("categorical", pd.Series(pd.IntervalIndex.from_arrays(INTS, INTS + 1))),
    **{f"datetime64[{u}]": ("datetime", gaps(TIMES, f"datetime64[{u}]")) for u in ("s", "ms", "us", "ns")},
    "datetime with zone": ("datetime", pd.Series(TIMES.tz_localize("Europe/Berlin"))),
    "object of timestamps": ("datetime", gaps(TIMES)),
    "object of dates": ("datetime", gaps(TIMES.date)),
    "mixed zones": ("datetime", pd.Series([t.tz_localize(("UTC", "Asia/Tokyo")[t.day % 2]) for t in TIMES], dtype=object)),
    "period": ("datetime", pd.Series(pd.period_range("2020-01", periods=N, freq="M"))),
    "object of periods": ("datetime", pd.Series(list(pd.period_range("2020-01", periods=N, freq="M")), dtype=object)),
    "far years": ("datetime", pd.Series(np.array(["0001-01-01", "9999-12-31"] * (N // 2), dtype="datetime64[s]"))),
    "timedelta": ("numeric", gaps(pd.to_timedelta(INTS * 1000 + 1, unit="s"), "timedelta64[s]")),
    "object of timedeltas": ("numeric", gaps([dt.timedelta(minutes=int(value)) for value in INTS])),
    "object of clock times": ("numeric", gaps(TIMES.time)),
    "sparse": ("numeric", pd.Series(pd.arrays.SparseArray(INTS))),
    "sparse with gaps": ("numeric", pd.Series(pd.arrays.SparseArray(np.where(TRUTH, REALS, np.nan)))),
    "sparse bools": ("boolean", pd.Series(pd.arrays.SparseArray(TRUTH))),
    "object of ints": ("numeric", gaps(INTS.tolist())),
    "object of decimals": ("numeric", gaps([decimal.Decimal(str(value)) for value in REALS])),
    "ints and text": ("numeric", pd.Series([value if value % 2 else str(value) for value in INTS.tolist()], dtype=object)),
    "mixture": ("categorical", pd.Series([1, "a", True, 2.5, None, dt.date(2020, 1, 1)] * (N // 6), dtype=object)),
    "integers beyond 64 bits": ("numeric", pd.Series([2 ** (70 + i % 5) for i in range(N)], dtype=object)),
    "infinite": ("numeric", pd.Series(np.where(TRUTH, REALS, np.inf))),
    "huge": ("numeric", pd.Series(REALS * 1e300)),
    "tiny": ("numeric", pd.Series(REALS * 1e-300)),
    "arrow int64": ("numeric", arrow(INTS, pa.int64())),
    "arrow float16": ("numeric", arrow((INTS / 4).astype(np.float16), pa.float16())),
    "arrow bool": ("boolean", arrow(TRUTH, pa.bool_())),
    "arrow string": ("categorical", arrow(WORDS, pa.string())),
    "arrow large string": ("categorical", arrow(WORDS, pa.large_string())),
    "arrow dictionary": ("categorical", pd.Series(pd.arrays.ArrowExtensionArray(pa.array(WORDS).dictionary_encode()))),
    "arrow decimal": ("numeric", arrow([decimal.Decimal(str(value)) for value in REALS], pa.decimal128(10, 3))),
    "arrow date": ("datetime", arrow(TIMES.date, pa.date32())),
    "arrow timestamp": ("datetime", arrow(TIMES, pa.timestamp("ns"))),
    "arrow timestamp with zone": ("datetime", arrow(TIMES.tz_localize("UTC"), pa.timestamp("us", "UTC"))),
    "arrow duration": ("numeric", arrow([dt.timedelta(minutes=int(value)) for value in INTS], pa.duration("ms"))),
    "arrow time": ("numeric", arrow(TIMES.time, pa.time64("us"))),
    "one number or nothing": ("categorical", gaps([5] * N)),
    "YYYYMMDD": ("datetime", pd.Series(TIMES.strftime("%Y%m%d").astype(int))),
}
NO_PARQUET = ("intervals", "sparse", "dictionary", "periods", "ints and text", "mixture", "beyond")


def fitted(frame, **overrides):
    kinds = detect_kinds(frame, overrides)
    return Columns.fit(frame, kinds), kinds


def assert_same(one, other):
    np.testing.assert_allclose(one.numeric, other.numeric, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(one.categorical, other.categorical)


@pytest.mark.parametrize("name", COLUMNS)
def test_any_dtype_gives_the_same_features_from_frames_and_files(name, tmp_path):
    kind, series = COLUMNS[name]
    frame = pd.DataFrame({"c": series})
    columns, kinds = fitted(frame)
    assert kinds["c"].kind == kind, kinds["c"].line
    encoded = columns.transform(frame)
    assert (encoded.numeric.dtype, encoded.categorical.dtype) == (np.float32, np.int32)
    assert not np.isinf(encoded.numeric).any()
    assert encoded.numeric.shape == (N, len(columns.numeric))
    missing = np.isnan(encoded.numeric).all(1) if columns.numeric else encoded.categorical[:, 0] == 0
    np.testing.assert_array_equal(missing, series.isna())
    for row in (0, 3):
        alone = columns.transform(frame.iloc[[row]])
        np.testing.assert_array_equal(alone.numeric, encoded.numeric[[row]])
        np.testing.assert_array_equal(alone.categorical, encoded.categorical[[row]])
    frame.to_csv(tmp_path / "a.csv", index=False)
    assert_same(columns.transform(tmp_path / "a.csv"), encoded)
    if not any(word in name for word in NO_PARQUET):
        frame.to_parquet(tmp_path / "a.parquet")
        assert_same(columns.transform(tmp_path / "a.parquet"), encoded)
    assert_same(Columns.from_dict(json.loads(json.dumps(columns.to_dict()))).transform(frame), encoded)


@pytest.mark.parametrize("fit_as", ["int64", "float64", "str", "category", "Int64"])
def test_whole_numbers_are_the_same_category_in_every_dtype(fit_as):
    values = pd.DataFrame({"c": [1, 2, 30] * 20})
    columns, _ = fitted(values.astype(fit_as), c="categorical")
    assert columns.categories == (("1", "2", "30"),)
    for given in ("int8", "uint64", "float32", "str", "category", "string[python]", object):
        assert columns.transform(values.astype(given)).categorical[:3, 0].tolist() == [1, 2, 3]
    for text in ("30.0", " 30 ", "030", "+30"):
        assert columns.transform({"c": text}).categorical.tolist() == [[3]]


def test_truth_is_one_and_zero_in_every_dtype():
    columns, _ = fitted(pd.DataFrame({"b": [True, False, None] * 20, "n": [1, 0, 2] * 20}))
    for true, false in ((True, False), (1, 0), (1.0, 0.0), ("True", "False"), ("TRUE", "false"), ("1", "0")):
        encoded = columns.transform([{"b": true, "n": true}, {"b": false, "n": false}, {"b": 2, "n": 2}])
        np.testing.assert_array_equal(encoded.numeric, [[1, 1], [0, 0], [np.nan, 2]])


def test_unseen_and_missing_categories_are_code_zero():
    columns, _ = fitted(pd.DataFrame({"c": list("bac") * 20}))
    given = pd.DataFrame({"c": ["a", "b", "c", "d", None, "", " a ", np.nan, 7]}, dtype=object)
    assert columns.transform(given).categorical[:, 0].tolist() == [1, 2, 3, 0, 0, 0, 1, 0, 0]


def test_only_the_most_frequent_of_very_many_categories_are_kept():
    values = [f"v{i}" for i in range(12_000)] * 2 + ["often"] * 5
    columns, _ = fitted(pd.DataFrame({"c": values}))
    assert len(columns.categories[0]) == 10_000
    assert "often" in columns.categories[0]


def test_infinite_numbers_take_the_ends_and_nothing_overflows():
    columns, _ = fitted(pd.DataFrame({"c": [1.0, 2.5, 4.0, np.inf, -np.inf, np.nan]}))
    given = columns.transform({"c": [np.inf, -np.inf, 1e300, -1e300, np.nan]}).numeric[:, 0]
    np.testing.assert_array_equal(given, np.float32([4, 1, 1e30, -1e30, np.nan]))


def test_columns_that_float32_would_blur_are_shifted():
    seconds = 1_700_000_000.0 + np.arange(1000) / 100
    columns, _ = fitted(pd.DataFrame({"t": seconds[::-1]}))
    features = columns.transform({"t": seconds}).numeric[:, 0]
    np.testing.assert_allclose(np.diff(features), 0.01, atol=1e-4)


CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["1", "1.0", "01", "NA", "?", "nan", "2020-01-31", "1/2/2020", "12:30", "True", "1e5", "inf", " "]),
    st.dates().map(str),
    st.datetimes(),
    st.decimals(allow_nan=False, places=2),
    st.timedeltas(),
)


@hypothesis.settings(max_examples=100)
@hypothesis.given(st.lists(CELLS, min_size=2, max_size=30), st.data())
def test_no_cell_depends_on_its_neighbours_and_no_mixture_breaks(cells, data):
    frame = pd.DataFrame({"c": pd.Series(cells, dtype=object), "n": range(len(cells))})
    columns, _ = fitted(frame)
    encoded = columns.transform(frame)
    assert not np.isinf(encoded.numeric).any()
    some = data.draw(st.lists(st.integers(0, len(cells) - 1), min_size=1, max_size=3))
    part = columns.transform(frame.iloc[some])
    np.testing.assert_array_equal(part.numeric, encoded.numeric[some])
    np.testing.assert_array_equal(part.categorical, encoded.categorical[some])


# ------------------------------------------------------------------------------------------------------------------- texts

SENTENCES = [" ".join(RNG.choice(["the", "cat", "sat", "on", "a", "mat"], 8)) for _ in range(N)]
MIXED = pd.DataFrame({"first": SENTENCES, "x": REALS, "second": SENTENCES[::-1], "w": WORDS})


def of_texts(frame, kinds=None, **options):
    return Columns.fit(frame, detect_kinds(frame, kinds), **options)


def test_texts_stand_beside_the_other_columns():
    columns = of_texts(MIXED)
    numeric, categorical, tokens = columns.transform(MIXED)
    assert (columns.numeric, columns.categorical, columns.texts) == (("x",), ("w",), ("first", "second"))
    assert (numeric.shape, categorical.shape, tokens.shape) == ((N, 1), (N, 1), (N, 2, 8))
    assert (tokens.dtype, not columns.is_text) == (np.int32, True)
    assert np.array_equal(tokens[:, 0], tokens[::-1, 1]), "one tokenizer serves all texts"


def test_a_column_of_texts_alone_is_a_text():
    columns = of_texts(MIXED[["first"]])
    (tokens,) = columns.transform(MIXED)
    assert columns.is_text
    assert tokens.shape == (N, 8)
    assert [columns.tokenizer.vocabulary[code] for code in tokens[0]] == SENTENCES[0].split()


def test_several_texts_alone_are_beside_an_empty_table():
    numeric, categorical, tokens = of_texts(MIXED[["first", "second"]]).transform(MIXED)
    assert (numeric.shape, categorical.shape, tokens.shape) == ((N, 0), (N, 0), (N, 2, 8))


@pytest.mark.parametrize(
    "given",
    [
        MIXED,
        MIXED[["first"]].rename(columns={"first": "x"})["x"],
        SENTENCES,
        np.array(SENTENCES),
        np.array(SENTENCES, dtype=object),
        MIXED["first"].astype("string[pyarrow]"),
        MIXED["first"].astype("category").to_frame(),
        [[text] for text in SENTENCES],
        {"first": SENTENCES},
        [{"first": text} for text in SENTENCES],
        pa.table({"first": SENTENCES}),
    ],
    ids=["frame", "series", "list", "array", "objects", "strings of Arrow", "category", "rows", "dict", "dicts", "Arrow"],
)
def test_texts_come_in_any_form(given):
    columns = of_texts(MIXED[["first"]], positional=True)
    assert np.array_equal(columns.transform(given)[0], columns.transform(MIXED)[0])


TOKENS = {  # of a column of texts, beside the text "the cat": what counts as which text
    "none": (None, ""),
    "not a number": (float("nan"), ""),
    "missing": (pd.NA, ""),
    "the mark of a missing value": ("NaN", ""),
    "white space": (" \t\n", ""),
    "a number": (12, "12"),
    "a whole float": (12.0, "12"),
    "truth": (True, "true"),
    "a day": (dt.date(2020, 1, 31), "2020 - 01 - 31"),
    "half of a surrogate pair": ("cat\ud800", "cat \ufffd"),
    "control characters": ("cat\x00", "cat \x00"),
}


@pytest.mark.parametrize("name", TOKENS)
def test_a_cell_that_is_no_text_is_read_as_what_it_says(name):
    cell, meant = TOKENS[name]
    columns = of_texts(MIXED[["first"]], tokenizer="words")
    frame = pd.DataFrame({"first": pd.Series([cell, "the cat"], dtype=object)})
    (tokens,) = columns.transform(frame)
    assert tokens.tolist() == columns.tokenizer.encode([meant, "the cat"]).tolist()
    assert columns.transform([cell, "the cat"])[0].tolist() == tokens.tolist()


def test_texts_alone_may_all_be_missing_or_none_at_all():
    columns = of_texts(MIXED[["first"]])
    assert not columns.transform([None, None])[0].any()
    assert not columns.transform([float("nan")])[0].any()
    assert columns.transform([])[0].shape == (0, 8)
    assert columns.transform([5])[0].tolist() == columns.tokenizer.encode(["5"]).tolist()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("the cat sat", r"no file 'the cat sat'; give a list, \[text\]"),
        ("a" * 5000, r"no file 'a+'\.\.\.; give a list"),
        ("cat\0", "give a list"),
        ([b"the cat"], "must be str, got bytes; decode them"),
        (pd.DataFrame({"first": [b"the cat"]}), "'first' must hold texts as in training, got a column of type nested"),
        ([["the", "cat"], ["a", "mat"]], "must be there, missing 'first'|must have 1 columns"),
        (pd.DataFrame({"other": ["the cat"]}), "missing 'first'"),
        ("missing.csv", "there is none of this name"),
    ],
)
def test_what_holds_no_texts_is_refused(given, message):
    with pytest.raises(DataError, match=message):
        of_texts(MIXED[["first"]]).transform(given)


@pytest.mark.parametrize("kind", ["words", "bpe", "bytes"])
def test_columns_of_texts_survive_json(kind):
    columns = of_texts(MIXED, tokenizer=kind)
    again = Columns.from_dict(json.loads(json.dumps(columns.to_dict())))
    assert again == columns
    for ours, theirs in zip(again.transform(MIXED), columns.transform(MIXED), strict=True):
        assert np.array_equal(ours, theirs, equal_nan=True)


def test_a_tokenizer_is_there_where_texts_are_and_nowhere_else():
    with_texts, without = of_texts(MIXED).to_dict(), of_texts(MIXED[["x", "w"]]).to_dict()
    assert "tokenizer" not in without
    for data in ({**without, "tokenizer": with_texts["tokenizer"]}, {key: with_texts[key] for key in without}):
        with pytest.raises(ModelError, match="there must be a tokenizer where there are columns of texts, and nowhere else"):
            Columns.from_dict(data)


def test_inputs_say_whether_words_are_texts():
    kinds = detect_kinds(MIXED)
    assert [found.kind for found in as_inputs(kinds, None).values()] == ["text", "numeric", "text", "categorical"]
    assert [found.kind for found in as_inputs(kinds, "table").values()] == ["ignored", "numeric", "ignored", "categorical"]
    assert [found.kind for found in as_inputs(kinds, "texts").values()] == ["text", "numeric", "text", "text"]
