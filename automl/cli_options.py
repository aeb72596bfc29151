"""What the commands of the command line share: options, and from their texts to what `automl.search` takes."""

from __future__ import annotations

import importlib
import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automl.errors import OptionError, RunError

if TYPE_CHECKING:
    from automl.result import SearchResult
    from search_spaces.language import Architecture

RunFolder = Annotated[Path, typer.Argument(help="The folder of a search (its --out).", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Family = Annotated[
    list[str] | None,
    typer.Option(
        "--family", help="A family to search: a name (MLP) or your own as module:Class. Repeat for several.", show_default=False
    ),
]


Cluster = Annotated[
    str | None,
    typer.Option(
        help="Run trials on a Ray cluster: auto (the one this process belongs to), ray://HOST:10001, or local.",
        show_default=False,
    ),
]
Storage = Annotated[
    str | None,
    typer.Option(help="A folder or URL (s3://...) that all nodes of the cluster reach, for checkpoints.", show_default=False),
]
CpusPerTrial = Annotated[float | None, typer.Option(help="CPUs of a node that a trial takes. [default: 1]")]
GpusPerTrial = Annotated[str | None, typer.Option(help="GPUs that a trial takes, or a part of one. [default: auto]")]


class TaskKind(StrEnum):
    """Kinds of tasks, as options of the command line."""

    binary = "binary"
    multiclass = "multiclass"
    regression = "regression"
    multilabel = "multilabel"
    reconstruction = "reconstruction"


class InputKind(StrEnum):
    """Kinds of data, as options of the command line."""

    table = "table"
    images = "images"
    sequences = "sequences"
    texts = "texts"


class ScheduleKind(StrEnum):
    """How long each configuration is trained, as options of the command line."""

    auto = "auto"
    full = "full"
    halving = "halving"
    hyperband = "hyperband"
    median = "median"


class TokenizerKind(StrEnum):
    """Ways to cut texts, as options of the command line."""

    words = "words"
    bpe = "bpe"
    bytes = "bytes"


class ImageFit(StrEnum):
    """What becomes of images of another shape, as options of the command line."""

    crop = "crop"
    pad = "pad"
    stretch = "stretch"


def kinds_of_columns(given: list[str] | None) -> dict[str, str] | None:
    """Return the kinds of columns by name, from NAME=KIND. Raises `OptionError`."""
    if not given:
        return None
    pairs = [entry.rpartition("=") for entry in given]
    for entry, (name, _, kind) in zip(given, pairs, strict=True):
        if not name or not kind:
            raise OptionError(f"--column must be NAME=KIND, e.g. zip=categorical, got {entry!r}")
    return {name: kind for name, _, kind in pairs}


def size_in_pixels(given: str | None) -> int | tuple[int, int] | None:
    """Return a size, from PIXELS or HEIGHTxWIDTH. Raises `OptionError`."""
    if given is None:
        return None
    parts = given.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() for part in parts):
        raise OptionError(f"--image-size must be a number of pixels or HEIGHTxWIDTH, e.g. 64 or 48x64, got {given!r}")
    return int(parts[0]) if len(parts) == 1 else (int(parts[0]), int(parts[1]))


def networks_in(path: Path | None) -> list[Any]:
    """Return what a JSON file holds, as a list of networks. Raises `OptionError` where it can't be read."""
    if path is None:
        return []
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OptionError(f"--enqueue must be a file of JSON, a network or a list of them, but {path}: {error}") from error
    return content if isinstance(content, list) else [content]


def guesses_given(given: list[str] | None) -> dict[str, Any] | None:
    """Return a prior, from PATH=VALUE; a value that isn't JSON is a text. Raises `OptionError`."""
    if not given:
        return None
    guesses: dict[str, Any] = {}
    for entry in given:
        path, _, value = entry.partition("=")
        if not path or not value:
            raise OptionError(f"--prior must be PATH=VALUE, e.g. '*/lr=3e-4', got {entry!r}")
        try:
            guesses[path] = json.loads(value)
        except ValueError:
            guesses[path] = value
    return guesses


def gpus_given(given: str | None) -> Any:
    """Return a number of GPUs, or what was given in its place."""
    try:
        return None if given is None else float(given)
    except ValueError:
        return given


def check_ended_well(result: SearchResult) -> None:
    """Raise `RunError` where a search had to end before its time."""
    if result.failed:
        raise RunError(result.ended_by)


def families_given(given: list[str] | None) -> list[Any] | None:
    """Return families as `automl.search` takes them: names, and the classes that module:Class names."""
    return [_imported(name) if ":" in name else name for name in given] if given else None


def family_classes(given: list[str] | None) -> tuple[type[Architecture], ...]:
    """Return the classes of families, ours where none are given."""
    from automl.options import families_for

    return families_for(families_given(given))


def _imported(name: str) -> Any:
    """Return the class that `module:Class` names; modules in the working directory count."""
    module, _, attribute = name.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        return getattr(importlib.import_module(module), attribute)
    except Exception as error:  # the user's module may raise anything
        raise OptionError(f"--family must be a name or module:Class that can be imported, got {name!r} ({error})") from error


def open_run(run: Path, family: list[str] | None) -> SearchResult:
    """Return the search in a folder; its families are ours, or those given."""
    from automl.result import SearchResult

    return SearchResult.open(run, families=family_classes(family))
