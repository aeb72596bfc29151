"""The parts of a model card that speak of forecasts."""

from __future__ import annotations

from automl.card_base import OPENED, PREAMBLE, Manifest, Part, code_text, plain_text, shown_result
from automl.data.time_steps import Step
from automl.forecasts import scale_name

_CHANNELS_SHOWN = 50


def _described(manifest: Manifest) -> str:
    return f"the {manifest['forecast']['context']} steps before"


def _series(manifest: Manifest) -> str:
    inputs, form = manifest["members"][0]["inputs"], manifest["forecast"]
    lines = ["## Windows", "", _steps(manifest), *_compared(manifest), "", "| channel | in training |", "|---|---|"]
    for channel in inputs["channels"][:_CHANNELS_SHOWN]:
        missing = f", {channel['missing']:.1%} missing" if channel["missing"] else ""
        bounds = f"{channel['quantiles'][0]:.6g} to {channel['quantiles'][-1]:.6g}"
        lines.append(f"| {plain_text(channel['name'])} | {bounds}{missing} |")
    more = len(inputs["channels"]) - _CHANNELS_SHOWN
    cycles = [f"The last channels are sines and cosines of the time of {' and '.join(form['cycles'])}."] if form["cycles"] else []
    return "\n".join([*lines, *(["", f"and {more} more, all in `model.json`."] if more > 0 else []), "", *cycles, ""])


def _steps(manifest: Manifest) -> str:
    form = manifest["forecast"]
    axis = form["axis"]
    when = "Rows are steps, in their order"
    if axis is not None and axis["step"] is None:
        when = f"Rows are steps, in the order of `{code_text(axis['column'])}`"
    elif axis is not None:
        apart = Step(axis["step"]["unit"], axis["step"]["size"])
        when = f"Rows are {apart} apart (`{code_text(axis['column'])}`), and a step without a row is missing"
    return f"{when}. From {form['context']} steps the next {form['horizon']} values are predicted."


def _compared(manifest: Manifest) -> list[str]:
    """Return the lines on what forecasts are compared with."""
    form, scores = manifest["forecast"], manifest["scores"]
    season = f"The season has {form['season']} steps." if form["season"] > 1 else "No season was found."
    if not form["scale"]:
        return [season]
    mase = scores.get("report_mase")
    reached = f" Here MASE is {mase:.4g}." if isinstance(mase, int | float) else ""
    return [
        f"{season} In the rows that trained, {scale_name(form['season'])} has a mean absolute error of {form['scale']:.6g}:",
        f"MASE is the mean absolute error divided by this.{reached}",
    ]


def _use(manifest: Manifest) -> tuple[str, str, str]:
    return "history", "history.csv", f"a DataFrame or a path, at least {manifest['forecast']['context']} steps; (horizon,) values"


def _onnx(manifest: Manifest) -> str:
    form, channels = manifest["forecast"], [channel["name"] for channel in manifest["members"][0]["inputs"]["channels"]]
    listed = ", ".join(f"`{code_text(name)}`" for name in channels[:_CHANNELS_SHOWN])
    more = ", ... (all in `model.json`)" if len(channels) > _CHANNELS_SHOWN else ""
    cycles = """ A place in a cycle is the sine and the cosine of
2 pi t / T, t in microseconds since 1970 and T a day, a week, or 365.2425 days."""
    return f"""## Without automl

`model.onnx` runs wherever ONNX does, for any number of windows. It takes `values` float32 `(batch, time, channels)`, NaN where
missing, the latest step last, and `lengths` int64 `(batch,)`, the steps of each window; it returns `forecast` float64 `(batch,
{form["horizon"]})`. Standardising is inside. Channels: {listed}{more}; `forecast` in `model.json` says how each column
becomes one (`(number - shift) * scale`; a category 1 where it holds).{cycles if form["cycles"] else ""}

```python
{PREAMBLE}
{OPENED}values = np.zeros((1, {form["context"]}, {len(channels)}), np.float32)  # yours
feed = {{"values": values, "lengths": np.array([{form["context"]}], np.int64)}}
{shown_result(manifest)}
```
"""


FORECAST = Part("windows", _described, _series, _use, _onnx)
