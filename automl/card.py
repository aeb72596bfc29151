"""The model card: what a model is, how good it is and how that was measured, and how to use it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_COLUMNS_SHOWN = 50
_CLASSES_SHOWN = 20
_MODES = {1: "L", 3: "RGB"}  # of Pillow, by channels
_TASKS = {
    "binary": "the more probable of two classes",
    "multiclass": "the most probable of several classes",
    "regression": "a number",
}


def model_card(manifest: Mapping[str, Any], *, onnx: bool) -> str:
    """Return the card as Markdown. manifest: the contents of `model.json`; onnx: whether there is a `model.onnx`."""
    of_images = "images" in manifest
    features, onnx_part = (_images, _onnx_images) if of_images else (_columns, _onnx_table)
    parts = [_title(manifest), _scores(manifest), features(manifest), _use(manifest), *([onnx_part(manifest)] if onnx else [])]
    return "\n".join([*parts, _rest(manifest)])


def _title(manifest: Mapping[str, Any]) -> str:
    task, members = manifest["task"], manifest["members"]
    inputs, outputs = members[0]["inputs"], members[0]["outputs"]
    families = ", ".join(sorted({member["architecture"]["family"] for member in members}))
    number = f"the mean of {len(members)} networks of the family {families}" if len(members) > 1 else f"one network, {families}"
    features = "images" if "images" in manifest else f"{len(inputs['numeric']) + len(inputs['categorical'])} features"
    what = f"Predicts **{_plain(task['target'])}**, {_TASKS[task['kind']]}, from {features}: {number}."
    noun = "images" if "images" in manifest else "rows"
    rows = f"Its weights were set by {inputs['rows']} {noun}{' (those of the first network)' if len(members) > 1 else ''}."
    lines = [f"# {_plain(task['target'])}", "", what, rows]
    if task["classes"]:
        shown = list(zip(task["classes"], outputs["counts"], strict=True))[:_CLASSES_SHOWN]
        total = max(sum(outputs["counts"]), 1)
        more = f", and {len(task['classes']) - len(shown)} more" if len(task["classes"]) > len(shown) else ""
        lines.append("Classes: " + ", ".join(f"`{_code(label)}` ({count / total:.1%})" for label, count in shown) + more + ".")
    else:
        lines.append(f"In those rows the target has mean {outputs['mean']:.6g} and standard deviation {outputs['std']:.6g}.")
    return "\n".join([*lines, ""])


def _scores(manifest: Mapping[str, Any]) -> str:
    scores, metric = manifest["scores"], manifest["task"]["metric"]
    lines = ["## How good it is", "", "| measured on | score |", "|---|---|"]
    if isinstance(scores.get("report"), int | float):
        method = scores.get("report_method", "rows that chose nothing")
        interval = scores.get("report_interval")
        bounds = f", 95 % interval {interval[0]:.5g} to {interval[1]:.5g}" if _is_interval(interval) else ""
        lines.append(f"| {_plain(method)} | {_plain(metric)} **{scores['report']:.5g}**{bounds} |")
    if isinstance(scores.get("validation"), int | float):
        optimistic = "the rows that chose this model among others, so it is optimistic"
        lines.append(f"| {optimistic} | {_plain(metric)} {scores['validation']:.5g} |")
    if len(lines) == 4:
        lines = [*lines[:2], "No score of this model is known; measure it with `evaluate` on rows that it has never seen."]
    elif scores.get("refitted"):
        lines += ["", "These are the scores before it was trained once more on all rows, for which there are no scores."]
    return "\n".join([*lines, ""])


def _is_interval(interval: Any) -> bool:
    return isinstance(interval, list) and len(interval) == 2 and all(isinstance(bound, int | float) for bound in interval)


def _columns(manifest: Mapping[str, Any]) -> str:
    inputs = manifest["members"][0]["inputs"]
    lines = ["## Features", "", "| feature | kind | in training |", "|---|---|---|"]
    for column in inputs["numeric"]:
        missing = f", {column['missing']:.1%} missing" if column["missing"] else ""
        bounds = f"{column['quantiles'][0]:.6g} to {column['quantiles'][-1]:.6g}"
        lines.append(f"| {_plain(column['name'])} | number | {bounds}{missing} |")
    lines += [
        f"| {_plain(column['name'])} | category | {sum(map(bool, column['counts'][1:]))} categories |"
        for column in inputs["categorical"]
    ]
    features = len(lines) - 4
    if features > _COLUMNS_SHOWN:
        lines = [*lines[: 4 + _COLUMNS_SHOWN], "", f"and {features - _COLUMNS_SHOWN} more, all in `model.json`."]
    return "\n".join([*lines, ""])


def _images(manifest: Mapping[str, Any]) -> str:
    inputs, images = manifest["members"][0]["inputs"], manifest["images"]
    colours = {1: "grey", 3: "red, green, blue"}.get(images["channels"], f"{images['channels']} channels")
    means = ", ".join(f"{mean:.4g}" for mean in inputs["mean"])
    stds = ", ".join(f"{std:.4g}" for std in inputs["std"])
    fits = {
        "crop": "those of another shape are scaled until they cover it, and their middle is taken",
        "pad": "those of another shape are scaled until they fit, with black around them",
        "stretch": "those of another shape are stretched",
    }
    return f"""## Images

{images["height"]} x {images["width"]} pixels (height x width), {colours}, {images["dtype"]}; {fits[images["fit"]]}.
Pixels of the training images have mean {means} and standard deviation {stds} (by channel); the network standardises by them.
"""


def _use(manifest: Mapping[str, Any]) -> str:
    name, argument, rows = "rows", "rows.csv", "a DataFrame, a path to CSV or Parquet, or a list of dicts"
    if "images" in manifest:
        has_files = manifest["images"]["channels"] in _MODES  # of other channels there are arrays only
        name, argument = "images", "*.png" if has_files else "images.npy"
        rows = f"{'paths of images, a folder of them, or ' if has_files else ''}arrays (n, height, width[, channels])"
    predictor = f"print(model.predict_proba({name}), model.classes)\n" if manifest["task"]["classes"] else ""
    return f"""## With automl

```python
import automl

model = automl.load("path/of/this/folder")   # families=[YourFamily] if the architecture is your own
print(model.predict({name}))  # {rows}
{predictor}```

On the command line: `automl predict path/of/this/folder {argument}`.
Loading runs no code from these files and refuses files that were altered, this one too: keep notes in another file.
"""


def _decoding(images: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return the imports that the example needs, what pixels are, and how an image becomes an array."""
    shape = f"{images['height']}, {images['width']}, {images['channels']}"
    mode = _MODES.get(images["channels"])
    if mode is None or images["dtype"] != "uint8":
        units = "pixels in the units of the training images (files of 16 bits divided by 257)"
        return "", units, f"images = np.zeros((1, {shape}), np.{images['dtype']})  # yours"
    scaled = {"crop": "ImageOps.fit(image, ", "pad": "ImageOps.pad(image, ", "stretch": "image.resize("}[images["fit"]]
    decode = f"""image = ImageOps.exif_transpose(Image.open("image.png")).convert("RGBA")
image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("{mode}")
image = {scaled}({images["width"]}, {images["height"]}), Image.Resampling.BILINEAR)
images = np.asarray(image).reshape(1, {shape})"""
    return "from PIL import Image, ImageOps\n", "pixels as decoders write them", decode


def _onnx_images(manifest: Mapping[str, Any]) -> str:
    images, classes = manifest["images"], manifest["task"]["classes"]
    output = "probabilities" if classes else "values"
    show = 'print(dict(zip(model["task"]["classes"], probabilities[0])))' if classes else "print(values[0])"
    imports, units, decode = _decoding(images)
    return f"""## Without automl

`model.onnx` runs wherever ONNX does, for any number of images. It takes {units}, {images["dtype"]}
`(batch, height, width, channels)`; standardising is inside. automl itself reads 16-bit images and large photographs in ways of
its own, so that figures for these may differ a little.

```python
import json
from pathlib import Path

import numpy as np
import onnxruntime
{imports}
model = json.loads(Path("model.json").read_text(encoding="utf-8"))
session = onnxruntime.InferenceSession("model.onnx")
{decode}
({output},) = session.run(None, {{"images": images}})
{show}
```
"""


def _onnx_table(manifest: Mapping[str, Any]) -> str:
    inputs, classes = manifest["members"][0]["inputs"], manifest["task"]["classes"]
    feeds, setup = [], []
    if inputs["numeric"]:
        middle = [f"{column['quantiles'][len(column['quantiles']) // 2]:.6g}" for column in inputs["numeric"]]
        setup.append(f"numeric = np.array([[{', '.join(middle)}]], np.float32)  # np.nan where missing")
        feeds.append('"numeric": numeric')
    if inputs["categorical"]:
        codes = [str(max(range(len(c["counts"])), key=c["counts"].__getitem__)) for c in inputs["categorical"]]
        setup.append(f"categorical = np.array([[{', '.join(codes)}]], np.int64)  # 0 where unknown or missing")
        feeds.append('"categorical": categorical')
    output = "probabilities" if classes else "values"
    show = 'print(dict(zip(model["task"]["classes"], probabilities[0])))' if classes else "print(values[0])"
    return f"""## Without automl

`model.onnx` runs wherever ONNX does, for any number of rows. It takes features; `columns` in `model.json` says how each column
becomes one: a number is `(number - shift) * scale`, infinite ones are `low` or `high` before (`ruler` holds low, high, shift and
scale), parts of a time likewise; a category is its position in `categories`, counted from 1, or 0 if it isn't there. `numeric`
takes numbers and parts of times, `categorical` categories, each in the order of `columns`. One typical row of the training data:

```python
import json
from pathlib import Path

import numpy as np
import onnxruntime

model = json.loads(Path("model.json").read_text(encoding="utf-8"))
session = onnxruntime.InferenceSession("model.onnx")
{chr(10).join(setup)}
({output},) = session.run(None, {{{", ".join(feeds)}}})
{show}
```
"""


def _rest(manifest: Mapping[str, Any]) -> str:
    noun, statistics = ("images", "pixels") if "images" in manifest else ("rows", "columns")
    versions = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
    return f"""## Limits

It knows what its training {noun} show: for inputs unlike any of them it still predicts, but nothing was measured there.
Scores hold for {noun} drawn like the training {noun}.

Made with {versions}. Architecture, statistics of the {statistics} and hashes of the files are in `model.json`.
"""


def _plain(value: object) -> str:
    """Return a value so that it can't break a line, a table or a code span of Markdown."""
    text = " ".join(str(value).split())
    return "".join(f"\\{character}" if character in "|*_[]<>#\\" else character for character in text.replace("`", "'"))


def _code(value: object) -> str:
    """Return a value so that it can't end a code span."""
    return " ".join(str(value).split()).replace("`", "'")
