"""Measure how good searches with default settings are on sequences, beside baselines.

Each search is `automl.search(SET.npz, time_limit=SECONDS, seed=SEED, metric="accuracy")`, all else by default. The .npz holds
x_train, len_train, y_train and the same of the test, whose sequences are only scored, at the end, by the best network and by the
baselines: they choose nothing. Baselines are fitted on the rows that the networks are fitted on, of which linear and boosting see
summaries (statistics of each channel, and the sequence resampled).

    python results/sequences/search.py SEQUENCES_FOLDER                                 # 180 s; seeds 0 to 2, of gunpoint 0 to 4
    python results/sequences/search.py SEQUENCES_FOLDER --only gunpoint --seconds 60 --seeds 1 2

SEQUENCES_FOLDER holds fsdd_logmel.npz (2,700 and 300 spoken digits, 9 to 64 frames of 32 mel bands), italypowerdemand.npz (67 and
1,029 days of 24 hours) and gunpoint.npz (50 and 150 movements of 150 steps), or other sets named with --only. Writes search.json
(raw) and search.md (tables) beside this script; a search of the same set, seconds and seed replaces the earlier one, all others
stay.
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

import automl

HERE = Path(__file__).parent
SEEDS = {"fsdd_logmel": 3, "italypowerdemand": 3, "gunpoint": 5}
SECONDS = 180.0
BASELINES = ("boosting", "linear", "majority")


def measure(path: Path, seconds: float, seed: int) -> dict[str, Any]:
    """Return what one search gives on one set of sequences."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.time()
        out = Path(folder) / "run"
        result = automl.search(path, time_limit=seconds, seed=seed, metric="accuracy", out=out, verbose=False)
        took = time.time() - began
        best, reports, task = result.best_entry, result.report, result.run.task
        networks = [entry for entry in result.entries if not entry.is_baseline]
        return {
            "sequences": path.stem,
            "seconds": seconds,
            "seed": seed,
            "task": repr(task),
            "test rows": len(task.report),
            "test": reports[best.number].value,
            "interval": [reports[best.number].low, reports[best.number].high],
            "validation": best.score,
            "model": best.name,
            "parameters": best.parameters,
            "epochs": best.epochs,
            "baselines": {
                entry.name: reports[entry.number].value
                for entry in result.entries
                if entry.number in reports and entry.is_baseline
            },
            "networks": len(networks),
            "trained in full": sum(entry.epochs == entry.total for entry in networks),
            "failed": sum(entry.loss is None for entry in networks),
            "families": dict(Counter(entry.family for entry in networks).most_common()),
            "took": round(took, 2),
            "machine": machine(),
        }


def machine() -> str:
    """Return what it ran on."""
    import torch

    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "optuna", "scikit-learn", "numpy"))
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{platform.machine()}, {os.cpu_count()} cores{gpu}, Python {platform.python_version()}, {libraries}"


def means(rows: list[dict[str, Any]]) -> str:
    """Return the mean over the seeds of each set, as a Markdown table."""
    lines = ["| sequences | seconds | seeds | network, test: mean (deviation) | " + " | ".join(BASELINES) + " |"]
    lines.append("|---|---|---|---|" + "---|" * len(BASELINES))
    for name, seconds in dict.fromkeys((row["sequences"], row["seconds"]) for row in rows):
        own = [row for row in rows if (row["sequences"], row["seconds"]) == (name, seconds)]
        scores = [row["test"] for row in own]
        spread = f" ({stdev(scores):.4f})" if len(scores) > 1 else ""
        others = [[row["baselines"][baseline] for row in own if baseline in row["baselines"]] for baseline in BASELINES]
        cells = " | ".join(f"{fmean(values):.4f}" if values else "" for values in others)
        lines.append(f"| {name} | {seconds:g} | {len(own)} | {fmean(scores):.4f}{spread} | {cells} |")
    return "\n".join(lines)


def table(rows: list[dict[str, Any]]) -> str:
    """Return the searches as a Markdown table, the best score on the test rows in bold."""
    names = ["sequences", "seconds", "seed", "network, test (95 % interval)", *BASELINES]
    names += ["network, validation", "best network", "networks tried (in full, failed)", "families tried", "took, s"]
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    for row in rows:
        scores = [row["test"], *(row["baselines"].get(name) for name in BASELINES)]
        top = max(score for score in scores if score is not None)
        cells = ["" if score is None else f"**{score:.4f}**" if score == top else f"{score:.4f}" for score in scores]
        low, high = row["interval"]
        families = ", ".join(f"{name} {count}" for name, count in row["families"].items())
        found = f"{row['validation']:.4f} | {row['model']}, {row['epochs']} epochs, {row['parameters']:,} parameters"
        tried = f"{row['networks']} ({row['trained in full']}, {row['failed']}) | {families} | {row['took']:.1f}"
        first = f"{row['sequences']} | {row['seconds']:g} | {row['seed']} | {cells[0]} ({low:.4f} to {high:.4f})"
        lines.append(f"| {first} | {' | '.join(cells[1:])} | {found} | {tried} |")
    return "\n".join(lines)


def key(row: dict[str, Any]) -> tuple[str, float, int]:
    """Return what tells one search from another."""
    return row["sequences"], row["seconds"], row["seed"]


def write(row: dict[str, Any]) -> None:
    """Put a row into the files, in the place of the one with its key."""
    raw = HERE / "search.json"
    earlier = json.loads(raw.read_text(encoding="utf-8"))["rows"] if raw.exists() else []
    rows = sorted([*(other for other in earlier if key(other) != key(row)), row], key=key)
    raw.write_text(json.dumps({"rows": rows}, indent=1) + "\n", encoding="utf-8")
    machines = "\n".join(dict.fromkeys(other["machine"] for other in rows))
    head = "Accuracy: `python results/sequences/search.py SEQUENCES_FOLDER`; how it is measured: see the script."
    (HERE / "search.md").write_text(f"{head}\n\n{means(rows)}\n\n{table(rows)}\n\n{machines}\n", encoding="utf-8")


def main() -> None:
    """Run the searches, and write after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sequences", type=Path)
    parser.add_argument("--only", nargs="+", default=list(SEEDS))
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--seeds", type=int, nargs="+", default=None)
    options = parser.parse_args()
    for name in options.only:
        for seed in options.seeds or range(SEEDS.get(name, 3)):
            row = measure(options.sequences / f"{name}.npz", options.seconds, seed)
            print(json.dumps(row), flush=True)
            write(row)


if __name__ == "__main__":
    main()
