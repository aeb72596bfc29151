"""A model's folder as files: written whole or not at all, and read only if every byte is the one that was written.

    model.json            what the model is, the size and sha256 of every other file, and the sha256 of its own contents
    weights.safetensors   the weights of all members
    model.onnx            the same networks for other runtimes (only where exported)
    README.md             the model card

What the entries mean is for `automl.predictor`, which writes them, and `automl.model_folder`, which reads them.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from automl.errors import ExportError, ModelError

FORMAT = "automl-model"
VERSION = 1
MANIFEST = "model.json"
WEIGHTS = "weights.safetensors"
ONNX = "model.onnx"
CARD = "README.md"
_SEALED = (WEIGHTS, ONNX, CARD)
_LARGEST_MANIFEST = 2**28  # bytes; the categories of a table fit many times


@contextmanager
def writing(folder: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield an empty folder beside `folder` that takes its place when the block ends well, and vanishes when it doesn't.

    Raises `ExportError` where `folder` may not be replaced or written.
    """
    final = folder.expanduser().resolve()
    _check_free(final, overwrite=overwrite)
    mark = secrets.token_hex(4)
    partial, old = (final.with_name(f".{final.name}.{mark}.{state}") for state in ("partial", "old"))
    try:
        partial.mkdir(parents=True)
        yield partial
        if final.exists():
            final.rename(old)
        partial.rename(final)
    except OSError as error:
        raise ExportError(f"{folder} must be a folder that can be written: {error}") from error
    finally:
        if old.exists() and not final.exists():
            old.rename(final)
        for leftover in (partial, old):
            shutil.rmtree(leftover, ignore_errors=True)


def _check_free(folder: Path, *, overwrite: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise ExportError(f"a model is written as a folder, but {folder} is a file; choose another path")
    names = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    foreign = [name for name in names if name not in (MANIFEST, *_SEALED)]
    if foreign or (names and MANIFEST not in names):
        first = ", ".join((foreign or names)[:3])
        raise ExportError(f"a model is written into an empty folder, but {folder} holds {first}; choose another path")
    if names and not overwrite:
        raise ExportError(f"{folder} holds a model already; choose another path or pass overwrite=True (--overwrite)")
    if folder in (Path.cwd(), *Path.cwd().parents):
        raise ExportError(f"a model can't take the place of the working directory {folder}; name a folder to be made in it")


def seal(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write `model.json`: the manifest with the sizes and hashes of the files already in the folder, and its own hash."""
    files = {path.name: _described(path.read_bytes()) for path in sorted(folder.iterdir())}
    whole = {"format": FORMAT, "version": VERSION, **manifest, "files": files}
    whole["sha256"] = _digest(whole)
    (folder / MANIFEST).write_text(json.dumps(whole, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _described(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _digest(manifest: Mapping[str, Any]) -> str:
    """Return the sha256 of a manifest without its own: of its meaning, not of its white space."""
    rest = {name: value for name, value in manifest.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, allow_nan=False).encode()).hexdigest()


def read_model(folder: Path) -> tuple[dict[str, Any], bytes]:
    """Return the manifest and the contents of `weights.safetensors`, every file checked against its hash.

    Raises `ModelError` where `folder` isn't a model of a version that we know, or a file is missing, truncated or altered.
    """
    try:
        manifest = _manifest(folder)
        contents = {name: _checked(folder, name, described) for name, described in manifest["files"].items()}
    except OSError as error:
        raise ModelError(f"{folder} can't be read: {error}") from error
    return manifest, contents[WEIGHTS]


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.is_file():
        raise ModelError(f"{folder} must be the folder of a model, {_lack(folder)}")
    if path.stat().st_size > _LARGEST_MANIFEST:
        raise ModelError(f"{path} must be smaller than {_LARGEST_MANIFEST} bytes, got {path.stat().st_size}")
    try:
        manifest = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} must be JSON, as it was written; it is damaged: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ModelError(f"{path} doesn't describe a model: its format must be {FORMAT!r}")
    if manifest.get("version") != VERSION:
        raise ModelError(
            f"{path} has format version {manifest.get('version')!r}, and this automl reads version {VERSION}; "
            "install the version of automl that wrote it (versions/automl in the file)"
        )
    return _verified(manifest, path)


def _lack(folder: Path) -> str:
    """Say what is wrong with a folder that has no manifest."""
    if not folder.exists():
        return "but there is nothing at this path"
    if not folder.is_dir():
        return f"but it is a file; a model's folder holds {MANIFEST}"
    if (folder / "run.db").exists():
        return f"but it is the folder of a search; write its best model with 'automl export {folder} model/' first"
    return f"but it holds no {MANIFEST}"


def _verified(manifest: dict[str, Any], path: Path) -> dict[str, Any]:
    try:
        digest = _digest(manifest)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} must hold finite numbers only: {error}") from error
    if manifest.get("sha256") != digest:
        raise ModelError(f"{path} was altered after it was written: its sha256 differs; export the model again")
    files = manifest.get("files")
    if not isinstance(files, dict) or WEIGHTS not in files or not set(files) <= set(_SEALED):
        raise ModelError(f"{path}: files must name {WEIGHTS} and nothing but {', '.join(_SEALED)}")
    return manifest


def _checked(folder: Path, name: str, described: Any) -> bytes:
    """Return the contents of a file if they are those that were written."""
    path = folder / name
    if not path.is_file():
        raise ModelError(f"{path} is missing; copy the whole folder of the model again")
    size = described.get("bytes") if isinstance(described, dict) else None
    if path.stat().st_size != size:
        raise ModelError(f"{path} must have {size} bytes, got {path.stat().st_size}: it was truncated or altered; copy it again")
    content = path.read_bytes()
    if _described(content) != described:
        raise ModelError(f"{path} was altered after it was written: its sha256 differs from that in {MANIFEST}; copy it again")
    return content
