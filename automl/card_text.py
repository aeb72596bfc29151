"""The parts of a model card that speak of texts, alone or beside the columns of a table."""

from __future__ import annotations

from typing import Any

from automl.card_base import OPENED, PREAMBLE, Manifest, Part, plain_text, shown_result
from automl.card_table import column_lines, typical_row

_READ = {
    "words": "words, digits and signs, in lower case; words that occur once in training are unknown",
    "bpe": "pieces of words, in lower case (byte pair encoding)",
    "bytes": "the bytes of UTF-8",
}


def has_texts(manifest: Manifest) -> bool:
    """Return whether some columns are texts."""
    return "tokenizer" in manifest.get("columns", {})


def part_of(manifest: Manifest) -> Part:
    """Return how a card speaks of a model of texts, or of texts beside other columns."""
    return _TEXT if manifest["members"][0]["inputs"]["spec"] == "Text" else _MIXED


def _described_mixed(manifest: Manifest) -> str:
    inputs = manifest["members"][0]["inputs"]
    table, texts = inputs["table"], len(inputs["names"])
    return f"{len(table['numeric']) + len(table['categorical'])} features and {texts} column{'s' * (texts > 1)} of text"


def _texts(manifest: Manifest) -> str:
    tokenizer = manifest["columns"]["tokenizer"]
    known = len(tokenizer["library"]["model"]["vocab"]) - 2
    cut = f"{tokenizer['cut']:.1%} of the training texts were longer" if tokenizer["cut"] else "no training text was longer"
    return f"""## Texts

Read as {_READ[tokenizer["kind"]]}: {known} different ones.
The first {tokenizer["length"]} of a text are read, and what follows is left out; {cut}. A missing text is read like an empty one.
"""


def _mixed(manifest: Manifest) -> str:
    inputs = manifest["members"][0]["inputs"]
    texts = [f"| {plain_text(name)} | text | see below |" for name in inputs["names"]]
    return "\n".join([*column_lines(inputs["table"], texts), "", _texts(manifest)])


def _use_text(_: Manifest) -> tuple[str, str, str]:
    return "texts", "texts.csv", "a list of texts, a DataFrame, or a path to CSV or Parquet"


def _use_mixed(_: Manifest) -> tuple[str, str, str]:
    return "rows", "rows.csv", "a DataFrame, a path to CSV or Parquet, or a list of dicts"


def _onnx(manifest: Manifest) -> str:
    inputs = manifest["members"][0]["inputs"]
    is_text = inputs["spec"] == "Text"
    setup, feeds = ([], []) if is_text else typical_row(inputs["table"])
    shape = "(batch, length)" if is_text else f"(batch, {len(inputs['names'])}, length)"
    others = "" if is_text else _OTHERS
    texts: list[Any] = ["A text of yours."] * (1 if is_text else len(inputs["names"]))
    rows = "" if is_text else "[None]"
    return f"""## Without automl

`model.onnx` runs wherever ONNX does, for any number of rows and texts of any length. It takes `tokens`, int64
`{shape}`: 0 stands behind the end of a text.
The library `tokenizers` makes them of texts, with what `columns/tokenizer/library` in `model.json` holds.{others}

```python
{PREAMBLE}from tokenizers import Tokenizer

{OPENED}tokenizer = Tokenizer.from_str(json.dumps(model["columns"]["tokenizer"]["library"]))
texts = {texts!r}
tokens = np.array([encoding.ids for encoding in tokenizer.encode_batch(texts)], np.int64){rows}
{"".join(f"{line}{chr(10)}" for line in setup)}feed = {{{", ".join([*feeds, '"tokens": tokens'])}}}
{shown_result(manifest)}
```
"""


_OTHERS = """
The other columns become `numeric` and `categorical`, as `columns` in `model.json` says: a number is `(number - shift) * scale`,
infinite ones are `low` or `high` before, parts of a time likewise; a category is its position in `categories`, counted from 1, or
0 if it isn't there. The texts of a row are those of its columns of text, in their order. One typical row:"""
_TEXT = Part("texts", lambda _: "texts", _texts, _use_text, _onnx)
_MIXED = Part("rows", _described_mixed, _mixed, _use_mixed, _onnx)
