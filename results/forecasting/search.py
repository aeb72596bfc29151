"""Measure how good searches with default settings are at forecasts, beside the naive ones.

Each search is `automl.search(SERIES.csv, target=TARGET, horizon=HORIZON, time_limit=SECONDS, seed=SEED)`, all else by default:
windows in the order of time, of which the last 20 % only report. They choose nothing, and no window that trains or chooses
reaches into their span. All models, naive ones too, forecast all of these windows; errors are means over windows and steps ahead,
in the units of the series. RMSE is the square root of the mean squared error over all of them. MASE divides MAE by that of the
seasonal naive forecast of one step in the span that trains (Hyndman & Koehler 2006).

    python results/forecasting/search.py FORECASTING_FOLDER                        # 180 s, seeds 0 to 2
    python results/forecasting/search.py FORECASTING_FOLDER --only ETTh1-24 --seconds 60 --seeds 0

FORECASTING_FOLDER holds ETTh1.csv (17,420 hours of seven channels; OT is forecast), daily_min_temperatures.csv (3,650 days) and
airline_passengers.csv (144 months). Writes search.json (raw) and search.md (tables) beside this script; a search of the same
series, seconds and seed replaces the earlier one, all others stay.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np

import automl
from automl import models
from automl.forecasts import scaled_error

HERE = Path(__file__).parent
SERIES = {
    "ETTh1-24": ("ETTh1.csv", "OT", 24),
    "ETTh1-96": ("ETTh1.csv", "OT", 96),
    "temperatures-7": ("daily_min_temperatures.csv", "Temp", 7),
    "passengers-12": ("airline_passengers.csv", "Passengers", 12),
}
SEEDS = (0, 1, 2)
SECONDS = 180.0
BASELINES = ("naive", "seasonal naive", "linear")


def measure(folder: Path, name: str, seconds: float, seed: int) -> dict[str, Any]:
    """Return what one search gives on one series."""
    file, target, horizon = SERIES[name]
    with tempfile.TemporaryDirectory() as runs:
        began = time.time()
        out = Path(runs) / "run"
        result = automl.search(
            folder / file, target=target, horizon=horizon, time_limit=seconds, seed=seed, out=out, verbose=False
        )
        took = time.time() - began
        task, best = result.run.task, result.best_entry
        networks = [entry for entry in result.entries if not entry.is_baseline]
        return {
            "series": name,
            "seconds": seconds,
            "seed": seed,
            "task": repr(task),
            "windows": task.reasons[1],
            "report windows": len(task.report),
            "errors": {entry.name if entry.is_baseline else "network": errors(result, entry) for entry in shown(result)},
            "interval": [result.report[best.number].low, result.report[best.number].high],
            "validation": best.score,
            "model": best.name,
            "parameters": best.parameters,
            "epochs": best.epochs,
            "networks": len(networks),
            "trained in full": sum(entry.epochs == entry.total for entry in networks),
            "failed": sum(entry.loss is None for entry in networks),
            "families": dict(Counter(entry.family for entry in networks).most_common()),
            "took": round(took, 2),
            "machine": machine(),
        }


def shown(result: automl.SearchResult) -> list[Any]:
    """Return the best network and the baselines."""
    return [result.best_entry, *(entry for entry in result.entries if entry.is_baseline and entry.loss is not None)]


def errors(result: automl.SearchResult, entry: Any) -> dict[str, float]:
    """Return the errors of a model over the report windows."""
    run = result.run
    rows = np.asarray(run.task.report)
    predicted, target = np.asarray(models.predict_rows(run, entry, rows)), run.task.target[rows]
    off = predicted - target
    mase = scaled_error(run.task.encoder, target, predicted)
    assert mase is not None
    return {"mae": float(np.abs(off).mean()), "rmse": float(np.sqrt(np.square(off).mean())), "mase": mase}


def machine() -> str:
    """Return what it ran on."""
    import torch

    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "optuna", "scikit-learn", "numpy"))
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{platform.machine()}, {os.cpu_count()} cores{gpu}, Python {platform.python_version()}, {libraries}"


def means(rows: list[dict[str, Any]]) -> str:
    """Return the means over the seeds of each series, as a Markdown table."""
    names = ("network", *BASELINES)
    lines = ["| series | seconds | seeds | error | " + " | ".join(names) + " |", "|---|---|---|---|" + "---|" * len(names)]
    for name, seconds in dict.fromkeys((row["series"], row["seconds"]) for row in rows):
        own = [row for row in rows if (row["series"], row["seconds"]) == (name, seconds)]
        for error in ("mae", "rmse", "mase"):
            found = {model: [row["errors"][model][error] for row in own if model in row["errors"]] for model in names}
            least = min(fmean(values) for values in found.values() if values)
            cells = [cell(values, least) for values in found.values()]
            lines.append(f"| {name} | {seconds:g} | {len(own)} | {error.upper()} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(values: list[float], least: float) -> str:
    """Return a mean, in bold if it is the least, with its deviation where seeds differ."""
    if not values:
        return ""
    mean = fmean(values)
    text = f"**{mean:.4f}**" if mean == least else f"{mean:.4f}"
    return f"{text} ({stdev(values):.4f})" if len(values) > 1 and stdev(values) > 0 else text


def table(rows: list[dict[str, Any]]) -> str:
    """Return the searches as a Markdown table."""
    names = ["series", "seconds", "seed", "network, MAE (95 % interval)", "network, validation MAE", "best network", "windows"]
    names += ["networks tried (in full, failed)", "families tried", "took, s"]
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    for row in rows:
        low, high = row["interval"]
        families = ", ".join(f"{name} {count}" for name, count in row["families"].items())
        found = f"{row['validation']:.4f} | {row['model']}, {row['epochs']} epochs, {row['parameters']:,} parameters"
        tried = f"{row['networks']} ({row['trained in full']}, {row['failed']}) | {families} | {row['took']:.1f}"
        first = f"{row['series']} | {row['seconds']:g} | {row['seed']} | {row['errors']['network']['mae']:.4f}"
        lines.append(f"| {first} ({low:.4f} to {high:.4f}) | {found} | {row['windows']} | {tried} |")
    return "\n".join(lines)


def key(row: dict[str, Any]) -> tuple[str, float, int]:
    """Return what tells one search from another."""
    return row["series"], row["seconds"], row["seed"]


def write(row: dict[str, Any]) -> None:
    """Put a row into the files, in the place of the one with its key."""
    raw = HERE / "search.json"
    earlier = json.loads(raw.read_text(encoding="utf-8"))["rows"] if raw.exists() else []
    rows = sorted([*(other for other in earlier if key(other) != key(row)), row], key=key)
    raw.write_text(json.dumps({"rows": rows}, indent=1) + "\n", encoding="utf-8")
    machines = "\n".join(dict.fromkeys(other["machine"] for other in rows))
    head = "Errors: `python results/forecasting/search.py FORECASTING_FOLDER`; how they are measured: see the script."
    (HERE / "search.md").write_text(f"{head}\n\n{means(rows)}\n\n{table(rows)}\n\n{machines}\n", encoding="utf-8")


def main() -> None:
    """Run the searches, and write after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", choices=list(SERIES), default=list(SERIES))
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    options = parser.parse_args()
    for name in options.only:
        for seed in options.seeds:
            row = measure(options.folder, name, options.seconds, seed)
            print(json.dumps(row), flush=True)
            write(row)


if __name__ == "__main__":
    main()
