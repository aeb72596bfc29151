"""What the parts of model cards share: how a kind of data is spoken of, and values that can't break Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Manifest = Mapping[str, Any]  # the contents of `model.json`


@dataclass(frozen=True)
class Part:
    """How a card speaks of one kind of data.

    noun: what rows are ("rows", "images"). described: what the model predicts from, in a few words. section: what its inputs
    are. use: the name of the data in an example, an argument of the command line, and what can be given. onnx: how to use
    `model.onnx`.
    """

    noun: str
    described: Callable[[Manifest], str]
    section: Callable[[Manifest], str]
    use: Callable[[Manifest], tuple[str, str, str]]
    onnx: Callable[[Manifest], str]


def shown_result(manifest: Manifest) -> str:
    """Return the last lines of an example: the session run on `feed`, a line of the script before, and its first row printed."""
    task, outputs = manifest["task"], manifest["members"][0]["outputs"]["spec"]
    if outputs == "Reconstruction":
        return "errors, *code = session.run(None, feed)\nprint(errors[0], *(numbers[0] for numbers in code))"
    if outputs == "Classes":
        return '(probabilities,) = session.run(None, feed)\nprint(dict(zip(model["task"]["classes"], probabilities[0])))'
    name = "probabilities" if outputs == "Labels" else "values"
    named = f'dict(zip(model["task"]["targets"], {name}[0]))' if task.get("targets") and outputs != "Forecast" else f"{name}[0]"
    return f"({name},) = session.run(None, feed)\nprint({named})"


PREAMBLE = """import json
from pathlib import Path

import numpy as np
import onnxruntime
"""
OPENED = """model = json.loads(Path("model.json").read_text(encoding="utf-8"))
session = onnxruntime.InferenceSession("model.onnx")
"""


def plain_text(value: object) -> str:
    """Return a value so that it can't break a line, a table or a code span of Markdown."""
    text = " ".join(str(value).split())
    return "".join(f"\\{character}" if character in "|*_[]<>#\\" else character for character in text.replace("`", "'"))


def code_text(value: object) -> str:
    """Return a value so that it can't end a code span."""
    return " ".join(str(value).split()).replace("`", "'")
