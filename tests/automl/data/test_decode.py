"""Features become the rows again that they were made of."""

import numpy as np
import pandas as pd
import pytest

from automl.data.columns import Columns
from automl.data.decode import decode
from automl.data.encode import fit_column
from automl.data.kinds import detect_kinds
from automl.data.unlabelled import code_for, without_texts
from automl.errors import DataError, OptionError

ROWS = 60


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame({
        "small": rng.normal(size=ROWS), "huge": rng.normal(size=ROWS) * 1e20, "blurred": 1.7e9 + np.arange(ROWS) % 7,
        "colour": rng.choice(["red", "blue"], ROWS), "percent": [f"{i % 9 * 10}%" for i in range(ROWS)],
        "when": pd.Timestamp("2024-01-01 06:00") + pd.to_timedelta(rng.integers(0, 400, ROWS), unit="D"),
    })  # fmt: skip


def columns_of(table: pd.DataFrame) -> Columns:
    return Columns.fit(table, detect_kinds(table))


def test_rows_come_back_in_their_units() -> None:
    table = frame()
    columns = columns_of(table)
    again = decode(columns, columns.transform(table))
    assert list(again) == list(columns.names)
    np.testing.assert_allclose(again["small"], table["small"], rtol=1e-5)
    np.testing.assert_allclose(again["huge"], table["huge"], rtol=1e-5)
    np.testing.assert_allclose(again["blurred"], table["blurred"])
    assert again["colour"].tolist() == table["colour"].tolist()
    assert ((again["when"] - table["when"]).abs() < pd.Timedelta("2min")).all()  # float32 days


def test_what_is_missing_stays_so_and_no_rows_are_no_rows() -> None:
    table = frame()
    columns = columns_of(table)
    again = decode(columns, columns.transform(table.head(2).assign(colour="never seen", small=np.nan)))
    assert again["colour"].isna().all()
    assert again["small"].isna().all()
    assert decode(columns, columns.transform(table.head(0))).shape == (0, len(columns.names))


def test_texts_are_set_aside_unless_there_is_nothing_else() -> None:
    words = pd.Series([f"a {i} b {i * 7} c sentence of words {i % 13} and {i}" for i in range(ROWS)])
    kinds = detect_kinds(frame().assign(text=words))
    assert kinds["text"].kind == "text"
    kept = without_texts(kinds)
    assert not kept["text"].used
    assert kept["text"].notable
    assert {name for name in kept if kept[name].used} == {name for name in kinds if kinds[name].used} - {"text"}
    with pytest.raises(DataError, match="all columns are texts"):
        without_texts({"text": kinds["text"]})


@pytest.mark.parametrize(("features", "code"), [(2, 1), (3, 2), (4, 2), (20, 5), (57, 14), (400, 32)])
def test_a_code_is_a_quarter_of_the_features(features: int, code: int) -> None:
    numbers = fit_column("x", pd.Series([1.0, 2.0]), detect_kinds(pd.DataFrame({"x": [1.0, 2.5] * 9}))["x"])
    columns = Columns(tuple(map(str, range(features))), (numbers,) * features)
    assert code_for("reconstruction", columns, None) == code
    assert code_for("reconstruction", columns, 1) == 1
    assert code_for("binary", columns, None) is None
    with pytest.raises(OptionError, match=f"code must be below the number of features, {features}, .* got {features}"):
        code_for("reconstruction", columns, features)
