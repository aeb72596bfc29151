"""The model card: what a model is, how good it is and how that was measured, and how to use it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from automl.card_base import Part, code_text, plain_text
from automl.card_forecast import FORECAST
from automl.card_image import IMAGES
from automl.card_series import SERIES
from automl.card_table import TABLE
from automl.card_text import has_texts, part_of

# By the key of the encoder; the first that is there counts.
_PARTS: Mapping[str, Part] = {"images": IMAGES, "sequences": SERIES, "forecast": FORECAST, "columns": TABLE}
_CLASSES_SHOWN = 20
_TASKS = {
    "binary": "the more probable of two classes",
    "multiclass": "the most probable of several classes",
    "regression": "a number",
    "multilabel": "the labels that a row is likely to have",
    "forecast": "its next values",
    "reconstruction": "how badly a row is rebuilt from a few numbers",
}


def model_card(manifest: Mapping[str, Any], *, onnx: bool) -> str:
    """Return the card as Markdown. manifest: the contents of `model.json`; onnx: whether there is a `model.onnx`."""
    about = part_of(manifest) if has_texts(manifest) else next(part for key, part in _PARTS.items() if key in manifest)
    parts = [_title(manifest, about), _scores(manifest), about.section(manifest), _use(manifest, about)]
    return "\n".join([*parts, *([about.onnx(manifest)] if onnx else []), _rest(manifest, about)])


def _title(manifest: Mapping[str, Any], about: Part) -> str:
    task, members = manifest["task"], manifest["members"]
    inputs, outputs = members[0]["inputs"], members[0]["outputs"]
    families = ", ".join(sorted({member["architecture"]["family"] for member in members}))
    number = f"the mean of {len(members)} networks of the family {families}" if len(members) > 1 else f"one network, {families}"
    name = f"**{plain_text(task['target'])}**, " if task["target"] else ""
    what = f"Predicts {name}{_TASKS[task['kind']]}, from {about.described(manifest)}: {number}."
    fitted = inputs["rows"] if "rows" in inputs else inputs["table"]["rows"]
    rows = f"Its weights were set by {fitted} {about.noun}{' (those of the first network)' if len(members) > 1 else ''}."
    lines = [f"# {plain_text(task['target'] or 'How far a row is from the usual')}", "", what, rows]
    if task["classes"]:
        shown = list(zip(task["classes"], outputs["counts"], strict=True))[:_CLASSES_SHOWN]
        total = max(sum(outputs["counts"]), 1)
        more = f", and {len(task['classes']) - len(shown)} more" if len(task["classes"]) > len(shown) else ""
        lines.append(
            "Classes: " + ", ".join(f"`{code_text(label)}` ({count / total:.1%})" for label, count in shown) + more + "."
        )
    elif task.get("targets") and outputs["spec"] != "Forecast":
        lines.append("Targets: " + ", ".join(f"`{code_text(name)}`" for name in task["targets"]) + ".")
    elif outputs["spec"] == "Reconstruction":
        lines.append(
            "The error is the mean over what a row holds, in units in which the mean row of the training data errs by about 1; "
            "for rows unlike the training data it is greater. It is no probability: compare it with the errors of usual rows."
        )
    elif outputs["spec"] in {"Values", "Forecast"}:
        lines.append(f"In those rows the target has mean {outputs['mean']:.6g} and standard deviation {outputs['std']:.6g}.")
    return "\n".join([*lines, ""])


def _scores(manifest: Mapping[str, Any]) -> str:
    scores, metric = manifest["scores"], manifest["task"]["metric"]
    lines = ["## How good it is", "", "| measured on | score |", "|---|---|"]
    if isinstance(scores.get("report"), int | float):
        method = scores.get("report_method", "rows that chose nothing")
        interval = scores.get("report_interval")
        bounds = f", 95 % interval {interval[0]:.5g} to {interval[1]:.5g}" if _is_interval(interval) else ""
        lines.append(f"| {plain_text(method)} | {plain_text(metric)} **{scores['report']:.5g}**{bounds} |")
    if isinstance(scores.get("validation"), int | float):
        optimistic = "the rows that chose this model among others, so it is optimistic"
        lines.append(f"| {optimistic} | {plain_text(metric)} {scores['validation']:.5g} |")
    if len(lines) == 4:
        lines = [*lines[:2], "No score of this model is known; measure it with `evaluate` on rows that it has never seen."]
    elif scores.get("refitted"):
        lines += ["", "These are the scores before it was trained once more on all rows, for which there are no scores."]
    return "\n".join([*lines, ""])


def _is_interval(interval: Any) -> bool:
    return isinstance(interval, list) and len(interval) == 2 and all(isinstance(bound, int | float) for bound in interval)


def _use(manifest: Mapping[str, Any], about: Part) -> str:
    name, argument, rows = about.use(manifest)
    task = manifest["task"]
    if task["kind"] == "reconstruction":
        code = manifest["members"][0]["outputs"]["code"]
        rows += f"""
print(model.encode({name}))  # the {code} numbers that each becomes
print(model.reconstruct({name}))  # what is rebuilt from them; predict says how far off it is, as anomaly_score does"""
    names = "model.classes" if task["classes"] else "model.targets"
    predictor = f"print(model.predict_proba({name}), {names})\n" if task["classes"] or task["kind"] == "multilabel" else ""
    return f"""## With automl

```python
import automl

model = automl.load("path/of/this/folder")   # families=[YourFamily] if the architecture is your own
print(model.predict({name}))  # {rows}
{predictor}```

On the command line: `automl predict path/of/this/folder {argument}`.
Loading runs no code from these files and refuses files that were altered, this one too: keep notes in another file.
"""


def _rest(manifest: Mapping[str, Any], about: Part) -> str:
    noun = about.noun
    versions = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
    return f"""## Limits

It knows what its training {noun} show: for inputs unlike any of them it still predicts, but nothing was measured there.
Scores hold for {noun} drawn like the training {noun}.

Made with {versions}. Architecture, statistics of the data and hashes of the files are in `model.json`.
"""
