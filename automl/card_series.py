"""The parts of a model card that speak of sequences."""

from __future__ import annotations

from automl.card_base import OPENED, PREAMBLE, Manifest, Part, code_text, plain_text, shown_result

_CHANNELS_SHOWN = 50


def _described(manifest: Manifest) -> str:
    channels = len(manifest["sequences"]["channels"])
    return f"sequences of {channels} {'channels' if channels > 1 else 'channel'}"


def _series(manifest: Manifest) -> str:
    inputs, series = manifest["members"][0]["inputs"], manifest["sequences"]
    lines = ["## Sequences", "", *_origin(manifest), *_lengths(manifest), "", "| channel | in training |", "|---|---|"]
    for channel in inputs["channels"][:_CHANNELS_SHOWN]:
        missing = f", {channel['missing']:.1%} missing" if channel["missing"] else ""
        bounds = f"{channel['quantiles'][0]:.6g} to {channel['quantiles'][-1]:.6g}"
        lines.append(f"| {plain_text(channel['name'])} | {bounds}{missing} |")
    more = len(series["channels"]) - _CHANNELS_SHOWN
    return "\n".join([*lines, *(["", f"and {more} more, all in `model.json`."] if more > 0 else []), ""])


def _origin(manifest: Manifest) -> list[str]:
    series = manifest["sequences"]
    table = series["table"]
    if table is not None:
        times = f" in the order of `{code_text(table['time_column'])}`" if table["time_column"] else " in their order"
        gaps = " The last channel is the time since the step before, in seconds where times are times." if table["gaps"] else ""
        return [
            f"From a table with a row for each step: rows with the same `{code_text(table['id_column'])}` are a sequence{times}.",
            f"Numbers are channels, and so is each category, 1 where it holds.{gaps}",
        ]
    if series["steps"]:
        first, last = code_text(series["steps"][0]), code_text(series["steps"][-1])
        return [f"From a table with a row for each sequence: the columns `{first}` to `{last}` are its steps."]
    return ["From arrays `(n, steps, channels)`; a step that is NaN in all channels at the end of a sequence is padding."]


def _lengths(manifest: Manifest) -> list[str]:
    inputs, pooled = manifest["members"][0]["inputs"], manifest["sequences"]["pooled"]
    spread = inputs["shortest"] < inputs["length"]
    lengths = f"{inputs['shortest']} to {inputs['length']}" if spread else str(inputs["length"])
    means = f" Each step stands for the mean of {pooled} steps of the data." if pooled > 1 else ""
    return [f"Sequences of training had {lengths} steps; the network takes any length, but was measured at no other.{means}"]


def _use(manifest: Manifest) -> tuple[str, str, str]:
    series = manifest["sequences"]
    if series["table"] is not None:
        return "steps", "steps.csv", "a DataFrame or a path; one prediction for each id, in the order in which ids first appear"
    if series["steps"]:
        return "rows", "rows.csv", "a DataFrame, a path to CSV or Parquet, or an array (n, steps)"
    axes = "(n, steps, channels)" if len(series["channels"]) > 1 else "(n, steps)"
    return "sequences", "sequences.npz", f"an array {axes}, a list of arrays of any lengths, or (x, lengths)"


def _onnx(manifest: Manifest) -> str:
    inputs, series = manifest["members"][0]["inputs"], manifest["sequences"]
    steps, channels = inputs["length"], len(series["channels"])
    scaled = "; a channel is `(number - shift) * scale` (`rulers` in `model.json`: low, high, shift, scale)"
    units = scaled if _is_scaled(series) else ""
    made = "; `columns` in `model.json` says how each column of a step becomes one" if series["table"] is not None else units
    means = f"; each step is the mean of {series['pooled']}" if series["pooled"] > 1 else ""
    return f"""## Without automl

`model.onnx` runs wherever ONNX does, for any number of sequences of any length. It takes `values` float32 `(batch, time,
channels)`, NaN where missing{made}{means};
and `lengths` int64 `(batch,)`, the steps of each sequence: what stands behind them is padding and changes nothing. Standardising
is inside.

```python
{PREAMBLE}
{OPENED}values = np.zeros((1, {steps}, {channels}), np.float32)  # yours
feed = {{"values": values, "lengths": np.array([{steps}], np.int64)}}
{shown_result(manifest)}
```
"""


def _is_scaled(series: Manifest) -> bool:
    """Return whether a channel is in other units than the data."""
    return any(shift != 0.0 or scale != 1.0 for _, _, shift, scale in series["rulers"])


SERIES = Part("sequences", _described, _series, _use, _onnx)
