"""Whatever a user has becomes a frame and a target; what can't is refused with what must hold and what came."""

import gzip
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from automl.data.load import load, read_table
from automl.errors import DataError

ROWS = "".join(f"{i},{i % 7}.5,{'xyz'[i % 3]},{'no' if i % 2 else 'yes'}\n" for i in range(30))
CSV = "a,b,c,y\n" + ROWS
X = np.arange(40.0).reshape(20, 2)
Y = [0, 1] * 10


@pytest.fixture
def file(tmp_path):
    def write(name, content, encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return write


# ---------------------------------------------------------------------------------------------------------- files that can


@pytest.mark.parametrize(
    ("name", "content", "encoding"),
    [
        ("plain.csv", CSV, "utf-8"),
        ("UPPER.CSV", CSV, "utf-8"),
        ("dots.in.name.csv", CSV, "utf-8"),
        ("byte order mark.csv", CSV, "utf-8-sig"),
        ("utf16.csv", CSV, "utf-16"),
        ("tabs.tsv", CSV.replace(",", "\t"), "utf-8"),
        ("tabs.csv", CSV.replace(",", "\t"), "utf-8"),
        ("bars.txt", CSV.replace(",", "|"), "utf-8"),
        ("semicolons.csv", CSV.replace(",", ";"), "utf-8"),
        ("decimal commas.csv", CSV.replace(",", ";").replace(".5", ",5"), "utf-8"),
        ("windows.csv", CSV.replace("\n", "\r\n"), "utf-8"),
        ("old mac.csv", CSV.replace("\n", "\r"), "utf-8"),
        ("spaces.csv", CSV.replace(",", " , "), "utf-8"),
        ("blank lines.csv", "\n" + CSV.replace("\n", "\n\n"), "utf-8"),
        ("no last newline.csv", CSV.rstrip("\n"), "utf-8"),
        ("quotes.csv", CSV.replace("x", '"x"'), "utf-8"),
    ],
)
def test_text_files_are_read_alike(file, name, content, encoding):
    loaded = load(file(name, content, encoding), " y")
    assert loaded.frame.columns.tolist() == ["a", "b", "c"]
    assert loaded.frame["a"].tolist() == list(range(30))
    assert loaded.frame["b"].tolist() == [i % 7 + 0.5 for i in range(30)]
    assert loaded.frame["c"].str.strip().tolist() == list("xyz" * 10)
    assert loaded.target.str.strip().tolist() == ["yes", "no"] * 15
    assert (loaded.target.name, loaded.source, loaded.positional, loaded.notices) == ("y", name, False, ())


def test_compressed_and_parquet_files_equal_plain_ones(file, tmp_path):
    plain = load(file("a.csv", CSV), "y")
    plain.frame.assign(y=plain.target).to_parquet(tmp_path / "a.parquet")
    for path in (file("a.csv.gz", gzip.compress(CSV.encode())), tmp_path / "a.parquet", str(tmp_path / "a.parquet")):
        pd.testing.assert_frame_equal(load(path, "y").frame, plain.frame)


def test_latin_1_is_read_with_a_notice(file):
    loaded = load(file("a.csv", CSV.replace("x", "é"), "latin-1"), "y")
    assert loaded.frame["c"][0] == "é"
    assert "Latin-1" in loaded.notices[0]


def test_characters_cut_by_the_sample_are_no_reason_for_latin_1(file):
    loaded = load(file("a.csv", "a,y\n" + "é日本,1\n" * 20_000), "y")
    assert loaded.notices == ()
    assert loaded.frame["a"].unique().tolist() == ["é日本"]


def test_quoted_fields_may_hold_separators_quotes_and_lines(file):
    loaded = load(file("a.csv", CSV.replace("x", '"x, ""q""\nz"')), "y")
    assert loaded.frame["c"][0] == 'x, "q"\nz'


def test_names_of_rows_and_separators_at_the_end_of_lines(file):
    r = load(file("r.csv", "a,b,c,y\n" + "".join(f"r{i},{line}\n" for i, line in enumerate(ROWS.splitlines()))), "y")
    assert r.frame.columns.tolist() == ["column_1", "a", "b", "c"]
    ends = load(file("ends.csv", "a,b,c,y\n" + ROWS.replace("\n", ",\n")), "y")
    assert ends.frame["a"].tolist() == list(range(30))


def test_only_an_empty_field_is_missing_for_certain(file):
    text = "number,word,y\n" + "1,None,0\n?,NA,1\n,,0\nNA,nan,1\n2,x,0\n"
    frame = load(file("a.csv", text), "y").frame
    assert frame["number"].isna().tolist() == [False, True, True, True, False]
    assert frame["word"].tolist()[:2] == ["None", "NA"]
    assert frame["word"].isna().tolist() == [False, False, True, False, False]


def test_codes_with_leading_zeros_stay_text(file):
    frame = load(file("a.csv", "zip,n,y\n" + "".join(f"0{i % 9}123,{i},{i % 2}\n" for i in range(20))), "y").frame
    assert frame["zip"].tolist()[:2] == ["00123", "01123"]
    assert frame["n"].tolist() == list(range(20))


def test_a_header_longer_than_the_sample(file):
    names = [f"a_rather_long_name_{i}" for i in range(4000)]
    row = ",".join("1" for _ in names)
    loaded = load(file("wide.csv", "\n".join([",".join([*names, "y"]), *(f"{row},{i}" for i in (0, 1))])), "y")
    assert loaded.frame.shape == (2, 4000)


# ------------------------------------------------------------------------------------------------------- files that can't


@pytest.mark.parametrize(
    ("name", "content", "target", "words"),
    [
        ("empty.csv", "", "y", ["must hold a table", "empty file"]),
        ("blank.csv", " \n \n", "y", ["must hold a table", "empty file"]),
        ("header.csv", "a,y\n", "y", ["rows below its header", "'a,y'"]),
        ("binary.csv", bytes(range(256)), "y", ["must be text", "binary"]),
        ("table.xlsx", b"PK", "y", ["must end in .csv", "got '.xlsx'", "DataFrame"]),
        ("table", "a,y\n1,2\n", "y", ["must end in .csv", "got no ending"]),
        ("table.parquet", "hello", "y", ["must be a Parquet file"]),
        ("long.csv", CSV + "1,2,3,4,5,6\n", "y", ["4 fields", "line 32"]),
        ("quote.csv", CSV + '1,"2,3,4\n', "y", ["EOF inside string"]),
        ("bad.csv.gz", b"no gzip" * 9, "y", ["can be read"]),
        ("cut.csv.gz", gzip.compress(CSV.encode(), mtime=0)[:60], "y", ["can be read"]),
        ("typo.csv", CSV, "yy", ["target: 'yy'", "'a', 'b', 'c', 'y'", "did you mean 'y'?"]),
        ("none.csv", "a,b\n", None, ["must hold rows below its header"]),
        ("list.csv", CSV, ["y", "cc"], ["target: 'cc'", "did you mean 'c'"]),
        ("same.csv", CSV, ["y", "y"], ["target: 'y' must be named once, it is named twice"]),
        ("dict.csv", CSV, {"y": 1}, ["the name of a column or a list of names", "got dict", "(X, y)"]),
        ("set.csv", CSV, {"y"}, ["the name of a column or a list of names", "got set"]),
        ("array.csv", CSV, np.array(["y"]), ["the name of a column or a list of names", "got ndarray"]),
        ("no_names.csv", CSV, [], ["the name of a column or a list of names", "got an empty list"]),
        ("twice.csv", CSV.replace("a,b", "y,b"), "y", ["one column", "2 have this name"]),
        ("nameless.csv", ROWS, "y", ["first line", "names"]),
        ("one.csv", "y\n1\n2\n", "y", ["a column besides the target 'y'"]),
        ("gone.csv", "a,y\n" + "1,\n" * 9, "y", ["target 'y' must have values", "9 rows"]),
        ("blank_target.csv", "a,y\n" + "1, \n" * 9, "y", ["must have values"]),
    ],
)
def test_files_that_are_no_table_are_refused(file, name, content, target, words):
    with pytest.raises(DataError) as error:
        load(file(name, content), target)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_paths_without_a_file_are_refused(file, tmp_path):
    file("adult.csv", CSV)
    with pytest.raises(DataError, match=r"did you mean 'adult\.csv'\?"):
        load(tmp_path / "adlt.csv", "y")
    with pytest.raises(DataError, match="got a folder"):
        load(tmp_path, "y")
    with pytest.raises(DataError, match="download it first"):
        load("https://example.org/adult.csv", "y")


# ------------------------------------------------------------------------------------------------------------------ frames


def test_rows_without_a_target_are_left_out_and_counted():
    frame = pd.DataFrame({"a": range(6), "y": [1.5, None, np.inf, 2.5, np.nan, 3.5]}, index=list("uvwxyz"))
    loaded = load(frame, "y")
    assert loaded.rows.tolist() == [0, 3, 5]
    assert loaded.rows.dtype == np.int64
    assert loaded.frame["a"].tolist() == [0, 3, 5]
    assert loaded.frame.index.tolist() == loaded.target.index.tolist() == [0, 1, 2]
    assert loaded.notices == ("3 of 6 rows have no target 'y' (missing or infinite); they are left out",)
    assert frame.columns.tolist() == ["a", "y"], "the user's frame is as it was"


def test_marks_among_whole_numbers_of_a_target_are_missing(file):
    loaded = load(file("a.csv", "a,y\n" + "1,0\n2,1\n3,?\n4,NA\n"), "y")
    assert loaded.target.tolist() == [0, 1]
    assert load(pd.DataFrame({"a": range(4), "y": ["NA", "x", "x", "NA"]}), "y").target.tolist() == ["NA", "x", "x", "NA"]


@pytest.mark.parametrize(
    ("labels", "target", "names"),
    [
        ([0, 1, 2], 2, ["0", "1"]),
        ([0, 1, 2], np.int64(2), ["0", "1"]),
        ([0, 1, 2], "2", ["0", "1"]),
        ([1.5, None, "y"], "y", ["1.5", "column_2"]),
        ([pd.NaT, ("p", 1), "y"], "y", ["column_1", "p_1"]),
        ([" a ", "b", "y "], "y", ["a", "b"]),
        (["a", "a", "y"], "y", ["a", "a.1"]),
        (["a.1", "a.1", "y"], "y", ["a.1", "a.1.1"]),
        (pd.MultiIndex.from_tuples([("a", "p"), ("a", "q"), ("t", "")]), ("t", ""), ["a_p", "a_q"]),
        (pd.MultiIndex.from_tuples([("a", "p"), ("a", "q"), ("t", "")]), "t", ["a_p", "a_q"]),
    ],
)
def test_names_of_columns_become_unique_text(labels, target, names):
    data = np.c_[X, Y]
    loaded = load(pd.DataFrame(data, columns=labels), target)
    assert loaded.frame.columns.tolist() == names
    assert loaded.target.tolist() == Y
    assert bool(loaded.notices) == (len(set(map(str, labels))) < 3)


def test_numbered_names_never_meet_existing_ones():
    frame = pd.DataFrame(np.ones((2, 5)), columns=["a", "a", "a.1", "a", "a"])
    assert read_table(frame).frame.columns.tolist() == ["a", "a.2", "a.1", "a.3", "a.4"]


# -------------------------------------------------------------------------------------------------------- arrays and pairs


@pytest.mark.parametrize(
    "pair",
    [
        (X, Y),
        (X.tolist(), tuple(Y)),
        (X.astype(object), np.array(Y)[:, None]),
        (pd.DataFrame(X), pd.DataFrame({"target": Y})),
        (np.ma.array(X), pd.array(Y)),
        ((tuple(row) for row in X), pd.Series(Y, index=range(20, 40))),
        ({"x0": X[:, 0], "x1": X[:, 1]}, Y),
        (SimpleNamespace(to_pandas=lambda: pd.DataFrame(X)), Y),
        (SimpleNamespace(toarray=lambda: X), Y),
    ],
)
def test_pairs_are_read_alike(pair):
    loaded = load(pair)
    np.testing.assert_array_equal(loaded.frame.to_numpy(), X)
    assert loaded.target.tolist() == Y
    assert loaded.target.name == "target"
    assert loaded.notices == ()


def test_lists_keep_the_type_of_each_column():
    loaded = load(([[1, "a", None], [2, "b", True]] * 5, Y[:10]))
    assert loaded.positional
    assert loaded.frame["x0"].tolist() == [1, 2] * 5
    assert loaded.frame["x1"].tolist() == ["a", "b"] * 5
    assert loaded.frame["x2"].isna().tolist() == [True, False] * 5


def test_names_come_from_structured_arrays_and_series():
    array = np.array([(1, 2.0)] * 20, dtype=[("a", int), ("b", float)])
    loaded = load((array, pd.Series(Y, name="label")))
    assert (loaded.frame.columns.tolist(), loaded.target.name) == (["a", "b"], "label")
    assert load((X, Y), "outcome").target.name == "outcome"


def test_masked_values_are_missing():
    assert load((np.ma.masked_equal(X, 3.0), Y)).frame.isna().sum().tolist() == [0, 1]


def test_rows_are_matched_by_position_and_said_so():
    loaded = load((pd.DataFrame(X), pd.Series(Y, index=range(19, -1, -1))))
    assert loaded.target.tolist() == Y
    assert "matched by position" in loaded.notices[0]


@pytest.mark.parametrize(
    ("data", "target", "words"),
    [
        ((X, Y[:-1]), None, "same length, got 20 and 19"),
        ((X, X.reshape(10, 2, 2)), None, "one value for each row, or one for each row and target, got shape (10, 2, 2)"),
        ((X, None), None, "y: must be an array"),
        ((X, "y"), None, "got str 'y'"),
        ((X, {"a": 1}), None, "got dict"),
        ((X, Y, Y), None, "got 3 parts"),
        ([X, Y], None, "a tuple, (X, y), got a list"),
        (X, "y", "give (X, y)"),
        ((X[:, 0], Y), None, "X.reshape(-1, 1)"),
        ((X[:, :, None], Y), None, "two dimensions (rows, columns), got shape (20, 2, 1)"),
        (([[1, 2], [3]], [0, 1]), None, "rows of one length, but their lengths are 1, 2"),
        ((X[:0], []), None, "must have rows, got none"),
        ((X[:, :0], Y), None, "a column besides the target"),
        (None, "y", "got NoneType None"),
        (5, "y", "got int 5"),
        (load, "y", "got function"),
        (pd.Series(Y), "y", "series.to_frame()"),
        (pd.DataFrame(), "y", "must have columns, got none"),
        (pd.DataFrame({"a": [], "y": []}), "y", "must have rows, got none"),
        ({"a": [1], "y": [1, 2]}, "y", "columns of one length"),
        ((pd.DataFrame({"a": Y, "y": Y}), pd.Series(Y, name="y")), None, "its column 'y' is y; drop it"),
        ((X, pd.date_range("2020", periods=20)), None, "numbers or labels, got a column of type time"),
        ((X, [1j] * 20), None, "got a column of type complex"),
        ((X, [{1}] * 20), None, "got a column of type nested"),
    ],
)
def test_what_is_no_table_is_refused(data, target, words):
    with pytest.raises(DataError) as error:
        load(data, target)
    assert words in str(error.value), str(error.value)


def test_rows_to_predict_come_as_dicts_too():
    rows = [{"a": 1, "b": "x"}, {"b": "y"}]
    assert read_table(rows).frame["a"].isna().tolist() == [False, True]
    assert read_table(rows[0]).frame.shape == (1, 2)
    assert read_table({"a": [1, 2]}).frame.shape == (2, 1)
