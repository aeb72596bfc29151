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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import pandas as pd

from automl.data.names import unique_names
from automl.data.values import MARKS, are_codes, words_to_numbers
from automl.errors import DataError, nearest

_OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_TEXT = (".csv", ".tsv", ".tab", ".txt")
_PARQUET = (".parquet", ".pq")
_SEPARATORS = (",", ";", "\t", "|")
_SAMPLE, _LARGEST_SAMPLE = 1 << 16, 1 << 24  # bytes from which separator, encoding and header are found out
_LINES = 20  # that a sample should hold
_OPTIONS: dict[str, Any] = {
    "index_col": False,  # or pandas takes the first of too many fields as the index
    "keep_default_na": False,
    "na_values": [""],
    "low_memory": False,  # or it judges columns piece by piece
    "skipinitialspace": True,
}
_ADDRESS = re.compile(r"\w{2,}:/")
_WHOLE = re.compile(r"\s*[+-]?\d{1,15}\s*", re.ASCII)
_SOME = 20  # words that are tried before all are
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+,\d+([eE][+-]?\d+)?\s*|\s*[+-]?\d+\s*", re.ASCII)


def read_file(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Return the table in a file, with the names as they are there, and notices. Raises `DataError` where there is none."""
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
        advice = "; download it first" if _ADDRESS.match(str(path)) else nearest(path.name, beside)
        raise DataError(f"{path}: must be a file, there is none of this name{advice}")
    if path.is_dir():
        raise DataError(f"{path}: must be a file, got a folder; name one file in it")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    suffix = suffixes[-2] if len(suffixes) > 1 and suffixes[-1] in _OPENERS else "".join(suffixes[-1:])
    if suffix not in _TEXT + _PARQUET:
        known = f"{', '.join(_TEXT + _PARQUET)} (text also in .gz, .bz2, .xz)"
        got = repr(suffix) if suffix else "no ending"
        raise DataError(f"{path}: must end in {known}, got {got}; read it with pandas and give the DataFrame")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: must hold a table, got an empty file")
    return suffix


def _read_parquet(path: Path) -> tuple[pd.DataFrame, list[str]]:
    try:
        frame = pd.read_parquet(path)
    except (ValueError, KeyError, TypeError, NotImplementedError) as error:  # pyarrow's errors are ValueErrors
        raise DataError(f"{path}: must be a Parquet file, but {str(error).splitlines()[0]}") from error
    return frame, []


def _open(path: Path) -> IO[bytes]:
    return cast(IO[bytes], _OPENERS.get(path.suffix.lower(), io.open)(path, "rb"))


# --------------------------------------------------------------------------------------------------------------------- text


def _read_text(path: Path) -> tuple[pd.DataFrame, list[str]]:
    with _open(path) as file:
        sample = file.read(_SAMPLE)
        while sample.count(b"\n") < _LINES and len(sample) < _LARGEST_SAMPLE and (more := file.read(_SAMPLE)):
            sample += more
        whole = not file.read(1)
    encoding = _encoding(path, sample)
    try:
        return _read_decoded(path, _decoded(sample, encoding, whole), encoding)
    except UnicodeDecodeError:
        frame, notices = _read_decoded(path, _decoded(sample, "latin-1", whole), "latin-1")
        return frame, [*notices, f"{path.name} is not in UTF-8; it was read as Latin-1"]


def _encoding(path: Path, sample: bytes) -> str:
    if sample.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if b"\0" in sample:
        raise DataError(f"{path}: must be text, got a binary file")
    if not sample.strip():
        raise DataError(f"{path}: must hold a table, got an empty file")
    return "utf-8-sig"


def _read_decoded(path: Path, lines: list[str], encoding: str) -> tuple[pd.DataFrame, list[str]]:
    separator, rows = _rows(lines)
    header, rows = rows[0], rows[1:]
    if not rows:
        raise DataError(f"{path}: must hold rows below its header, got the header alone: {separator.join(header)[:100]!r}")
    if {len(row) for row in rows} == {len(header) + 1}:  # a separator at the end of each line, or R's names of rows
        header = ["", *header] if any(row[-1] for row in rows) else [*header, ""]
    names, _ = unique_names(header)
    codes = [name for position, name in enumerate(names) if are_codes(row[position] for row in rows if position < len(row))]
    frame = _parse(path, encoding, separator, names, codes)
    for name in frame.columns:
        if name not in codes and isinstance(frame[name].dtype, pd.StringDtype):
            frame[name] = _typed(frame[name], decimal_comma=separator != ",")
    return frame.set_axis(header, axis=1), []


def _decoded(sample: bytes, encoding: str, whole: bool) -> list[str]:
    """Return the lines at the beginning of a file, which may end within a line or character."""
    with io.TextIOWrapper(io.BytesIO(sample), encoding, errors="strict" if whole else "replace", newline="") as text:
        lines = list(text)
    return lines if whole else lines[:-1]


def _rows(lines: list[str]) -> tuple[str, list[list[str]]]:
    """Return the separator that gives most rows the fields of the header, and the rows it makes; blank lines are left out."""
    best, rating = (",", [[""]]), (0.0, 0)
    for separator in _SEPARATORS:
        with _long_fields():
            rows = [row for row in csv.reader(lines, delimiter=separator, skipinitialspace=True) if row]
        width = len(rows[0]) if rows else 0
        share = sum(len(row) in {width, width + 1} for row in rows) / max(len(rows), 1)
        if (share if width > 1 else 0.0, width) > rating:
            best, rating = (separator, rows), (share if width > 1 else 0.0, width)
    return best


@contextmanager
def _long_fields() -> Iterator[None]:
    """Let a field be as long as a sample: texts may be, and Python's own limit is 131,072 characters."""
    usual = csv.field_size_limit(_LARGEST_SAMPLE + _SAMPLE)
    try:
        yield
    finally:
        csv.field_size_limit(usual)


def _parse(path: Path, encoding: str, separator: str, names: list[str], codes: list[str]) -> pd.DataFrame:
    try:
        with _open(path) as file, warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            types: Any = dict.fromkeys(codes, str)
            frame: pd.DataFrame = pd.read_csv(
                file, sep=separator, encoding=encoding, names=names, header=0, dtype=types, **_OPTIONS
            )
            return frame
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
