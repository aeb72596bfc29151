"""The parts of a model card that speak of the columns of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from automl.card_base import OPENED, PREAMBLE, Manifest, Part, plain_text, shown_result

_COLUMNS_SHOWN = 50


def _described(manifest: Manifest) -> str:
    inputs = manifest["members"][0]["inputs"]
    return f"{len(inputs['numeric']) + len(inputs['categorical'])} features"


def _columns(manifest: Manifest) -> str:
    return "\n".join([*column_lines(manifest["members"][0]["inputs"]), ""])


def column_lines(table: Mapping[str, Any], others: Sequence[str] = ()) -> list[str]:
    """Return the section of the features of a table, and of `others`, which are rows of it already; of very many the first."""
    lines = ["## Features", "", "| feature | kind | in training |", "|---|---|---|", *others]
    for column in table["numeric"]:
        missing = f", {column['missing']:.1%} missing" if column["missing"] else ""
        bounds = f"{column['quantiles'][0]:.6g} to {column['quantiles'][-1]:.6g}"
        lines.append(f"| {plain_text(column['name'])} | number | {bounds}{missing} |")
    lines += [
        f"| {plain_text(column['name'])} | category | {sum(map(bool, column['counts'][1:]))} categories |"
        for column in table["categorical"]
    ]
    features = len(lines) - 4
    if features > _COLUMNS_SHOWN:
        lines = [*lines[: 4 + _COLUMNS_SHOWN], "", f"and {features - _COLUMNS_SHOWN} more, all in `model.json`."]
    return lines


def _use(_: Manifest) -> tuple[str, str, str]:
    return "rows", "rows.csv", "a DataFrame, a path to CSV or Parquet, or a list of dicts"


def typical_row(table: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return the lines of an example that make arrays of one row, and the entries of `feed` that hold them."""
    feeds, setup = [], []
    if table["numeric"]:
        middle = [f"{column['quantiles'][len(column['quantiles']) // 2]:.6g}" for column in table["numeric"]]
        setup.append(f"numeric = np.array([[{', '.join(middle)}]], np.float32)  # np.nan where missing")
        feeds.append('"numeric": numeric')
    if table["categorical"]:
        codes = [str(max(range(len(c["counts"])), key=c["counts"].__getitem__)) for c in table["categorical"]]
        setup.append(f"categorical = np.array([[{', '.join(codes)}]], np.int64)  # 0 where unknown or missing")
        feeds.append('"categorical": categorical')
    return setup, feeds


def _onnx(manifest: Manifest) -> str:
    setup, feeds = typical_row(manifest["members"][0]["inputs"])
    return f"""## Without automl

`model.onnx` runs wherever ONNX does, for any number of rows. It takes features; `columns` in `model.json` says how each column
becomes one: a number is `(number - shift) * scale`, infinite ones are `low` or `high` before (`ruler` holds low, high, shift and
scale), parts of a time likewise; a category is its position in `categories`, counted from 1, or 0 if it isn't there. `numeric`
takes numbers and parts of times, `categorical` categories, each in the order of `columns`. One typical row of the training data:

```python
{PREAMBLE}
{OPENED}{chr(10).join(setup)}
feed = {{{", ".join(feeds)}}}
{shown_result(manifest)}
```
"""


TABLE = Part("rows", _described, _columns, _use, _onnx)
