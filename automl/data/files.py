"""Reading CSV, TSV and Parquet files: separators, encodings and headers are found out, and what is no table is refused.

A CSV file has no types, so whether a word says "missing" depends on its column: `NA` or `?` among numbers is no number, but among
words it is a word. Only an empty field is missing for certain. (pandas would take `None` and `NA` for missing everywhere.)
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import pandas as pd

from automl.data.names import unique_names
from automl.data.values import MARKS, words_to_numbers
from automl.errors import DataError, nearest

_OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_TEXT = (".csv", ".tsv", ".tab", ".txt")
_PARQUET = (".parquet", ".pq")
_SEPARATORS = (",", ";", "\t", "|")
_SAMPLE = 1 << 16  # bytes from which separator, encoding and header are found out
_CODE = re.compile(r"0\d+", re.ASCII)
_WHOLE = re.compile(r"\s*[+-]?\d{1,15}\s*", re.ASCII)
_SOME = 20  # words that are tried before all are
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+,\d+([eE][+-]?\d+)?\s*|\s*[+-]?\d+\s*", re.ASCII)


def read_file(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Return the table in a file, with unique names, and notices. Raises `DataError` where there is none."""
    path = path.expanduser()
    suffix = _checked_suffix(path)
    try:
        if suffix in _PARQUET:
            return _read_parquet(path)
        return _read_text(path)
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise DataError(f"{path}: must be a file that can be read, but {error}") from error


def _checked_suffix(path: Path) -> str:
    """Return the suffix that says the format, without that of a compression."""
    if not path.exists():
        beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        advice = "; download it first" if "://" in str(path) or ":/" in str(path) else nearest(path.name, beside)
        raise DataError(f"{path}: must be a file, there is none of this name{advice}")
    if path.is_dir():
        raise DataError(f"{path}: must be a file, got a folder; name one file in it")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    suffix = suffixes[-2] if len(suffixes) > 1 and suffixes[-1] in _OPENERS else "".join(suffixes[-1:])
    if suffix not in _TEXT + _PARQUET:
        known = ", ".join(_TEXT + _PARQUET)
        raise DataError(f"{path}: must end in {known} (text also in .gz, .bz2, .xz), got {suffix or 'no ending'!r}; "
                        "read it with pandas and give the DataFrame")  # fmt: skip
    if path.stat().st_size == 0:
        raise DataError(f"{path}: must hold a table, got an empty file")
    return suffix


def _read_parquet(path: Path) -> tuple[pd.DataFrame, list[str]]:
    try:
        frame = pd.read_parquet(path)
    except (ValueError, KeyError, TypeError, NotImplementedError) as error:  # pyarrow's errors are ValueErrors
        raise DataError(f"{path}: must be a Parquet file, but {str(error).splitlines()[0]}") from error
    names, notices = unique_names(frame.columns)
    return frame.set_axis(names, axis=1).reset_index(drop=True), notices


def _open(path: Path) -> IO[bytes]:
    return cast(IO[bytes], _OPENERS.get(path.suffix.lower(), io.open)(path, "rb"))


# --------------------------------------------------------------------------------------------------------------------- text


def _read_text(path: Path) -> tuple[pd.DataFrame, list[str]]:
    with _open(path) as file:
        sample = file.read(_SAMPLE)
    encoding = _encoding(path, sample)
    try:
        return _read_decoded(path, sample, encoding)
    except UnicodeDecodeError:
        frame, notices = _read_decoded(path, sample, "latin-1")
        return frame, [*notices, f"{path.name} is not in UTF-8; it was read as Latin-1"]


def _encoding(path: Path, sample: bytes) -> str:
    if sample.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if b"\0" in sample:
        raise DataError(f"{path}: must be text, got a binary file")
    if not sample.strip():
        raise DataError(f"{path}: must hold a table, got an empty file")
    return "utf-8-sig"


def _read_decoded(path: Path, sample: bytes, encoding: str) -> tuple[pd.DataFrame, list[str]]:
    whole = len(sample) < _SAMPLE
    lines = _decoded(sample, encoding, whole).splitlines(keepends=True)
    separator, rows = _rows(path, lines if whole else lines[:-1])
    header, rows = rows[0], rows[1:]
    if not rows:
        raise DataError(f"{path}: must hold rows below its header, got the header alone: {separator.join(header)[:100]!r}")
    if {len(row) for row in rows} == {len(header) + 1}:
        header = ["", *header]  # R leaves the names of rows without a name
    names, notices = unique_names(header)
    codes = [name for position, name in enumerate(names) if _are_codes([row[position] for row in rows if position < len(row)])]
    frame = _parse(path, encoding, separator, names, codes)
    for name in frame.columns:
        if name not in codes and pd.api.types.is_string_dtype(frame[name].dtype):
            frame[name] = _typed(frame[name], decimal_comma=separator != ",")
    return frame, notices


def _decoded(sample: bytes, encoding: str, whole: bool) -> str:
    """Decode the beginning of a file, which may end within a character."""
    with io.TextIOWrapper(io.BytesIO(sample), encoding, errors="strict" if whole else "replace", newline="") as text:
        return text.read()


def _rows(path: Path, lines: list[str]) -> tuple[str, list[list[str]]]:
    """Return the separator that gives most rows the fields of the header, and the rows it makes; blank lines are left out."""
    best, rating = (",", [[""]]), (0.0, 0)
    for separator in _SEPARATORS:
        try:
            rows = [row for row in csv.reader(lines, delimiter=separator) if row]
        except csv.Error as error:
            raise DataError(f"{path}: must be a table in text, but {error}") from error
        width = len(rows[0]) if rows else 0
        share = sum(len(row) in {width, width + 1} for row in rows) / max(len(rows), 1)
        if (share if width > 1 else 0.0, width) > rating:
            best, rating = (separator, rows), (share if width > 1 else 0.0, width)
    return best


def _are_codes(fields: list[str]) -> bool:
    """Return whether fields are digits of one length, some with a leading zero: names, not numbers (postal codes)."""
    fields = [field.strip() for field in fields if field.strip()]
    return len({len(field) for field in fields}) == 1 and all(map(str.isdigit, fields)) and any(map(_CODE.fullmatch, fields))


def _parse(path: Path, encoding: str, separator: str, names: list[str], codes: list[str]) -> pd.DataFrame:
    try:
        with _open(path) as file, warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            options: Any = {"dtype": dict.fromkeys(codes, str), "keep_default_na": False, "na_values": [""], "low_memory": False}
            return pd.read_csv(file, sep=separator, encoding=encoding, names=names, header=0, index_col=False, **options)
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        raise DataError(
            f"{path}: every line must have the {len(names)} fields of the header, but {str(error).strip()}"
        ) from error


def _typed(series: pd.Series[Any], decimal_comma: bool) -> pd.Series[Any]:
    """Return numbers where text is nothing but numbers and marks of missing ones, whole ones as Int64; else the text.

    decimal_comma: read `1,5` as 1.5; only where the comma is not the separator.
    """
    words = [word for word in series.dropna().unique().tolist() if word.strip().lower() not in MARKS]
    if decimal_comma and words and all(map(_DECIMAL_COMMA.fullmatch, words)):
        series, words = series.str.replace(",", "."), [word.replace(",", ".") for word in words]
    if not words or np.isnan(words_to_numbers(words[:_SOME])).any() or np.isnan(words_to_numbers(words)).any():
        return series
    if any(word.strip().lower() in {"true", "false"} for word in words):
        return series
    whole = all(_WHOLE.fullmatch(word) for word in words)
    return pd.to_numeric(series, errors="coerce").astype("Int64" if whole else "float64")
