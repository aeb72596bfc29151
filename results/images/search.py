"""Measure how good searches with default settings are on images, beside baselines.

Each search is `automl.search(SET.npz, time_limit=SECONDS, seed=SEED)` with default settings. The .npz holds x_train, y_train,
x_test and y_test; the test part is only scored, at the end, by the best network and by the baselines. Baselines are fitted on the
rows that the networks are fitted on (not on those that choose), which linear and boosting see as pooled pixels.

    python results/images/search.py IMAGES_FOLDER                                      # mnist_small 120 s, cifar10_small 300 s
    python results/images/search.py IMAGES_FOLDER --only cifar10_small --seconds 60 --seeds 1 2

IMAGES_FOLDER holds mnist_small.npz (10,000 and 2,000 images) and cifar10_small.npz (5,000 and 1,000), or other sets named with
--only, which get 300 s. Seed 0 unless given. Writes search.json (raw) and search.md (table) beside this script; a search of the
same set, seconds and seed replaces the earlier one, all others stay.
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
from typing import Any

import automl

HERE = Path(__file__).parent
SECONDS = {"mnist_small": 120.0, "cifar10_small": 300.0}
USUAL_SECONDS = 300.0
BASELINES = ("boosting", "linear", "majority")


def measure(path: Path, seconds: float, seed: int) -> dict[str, Any]:
    """Return what one search gives on one set of images."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.time()
        result = automl.search(path, time_limit=seconds, seed=seed, out=Path(folder) / "run", verbose=False)
        took = time.time() - began
        best, reports, task = result.best_entry, result.report, result.run.task
        networks = [entry for entry in result.entries if not entry.is_baseline]
        return {
            "images": path.stem,
            "seconds": seconds,
            "seed": seed,
            "metric": task.metric,
            "test rows": len(task.report),
            "test": reports[best.number].value,
            "interval": [reports[best.number].low, reports[best.number].high],
            "validation": best.score,
            "model": best.name,
            "parameters": best.parameters,
            "epochs": best.epochs,
            "full training, epochs": best.total,
            "baselines": {
                entry.name: reports[entry.number].value
                for entry in result.entries
                if entry.number in reports and entry.is_baseline
            },
            "networks": len(networks),
            "trained in full": sum(entry.epochs == entry.total for entry in networks),
            "failed": sum(entry.loss is None for entry in networks),
            "endings": dict(Counter(entry.status for entry in networks).most_common()),
            "families": dict(Counter(entry.family for entry in networks).most_common()),
            "took": round(took, 2),
            "ended": result.ended_by,
            "machine": machine(),
        }


def machine() -> str:
    """Return what it ran on."""
    import torch

    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "optuna", "scikit-learn", "numpy"))
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{platform.machine()}, {os.cpu_count()} cores{gpu}, Python {platform.python_version()}, {libraries}"


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table, the best score on the test rows in bold."""
    names = ["images", "seconds", "seed", "network, test (95 % interval)", *BASELINES]
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
        first = f"{row['images']} | {row['seconds']:g} | {row['seed']} | {cells[0]} ({low:.4f} to {high:.4f})"
        lines.append(f"| {first} | {' | '.join(cells[1:])} | {found} | {tried} |")
    return "\n".join(lines)


def key(row: dict[str, Any]) -> tuple[str, float, int]:
    """Return what tells one search from another."""
    return row["images"], row["seconds"], row["seed"]


def write(row: dict[str, Any]) -> None:
    """Put a row into the files, in the place of the one with its key."""
    raw = HERE / "search.json"
    earlier = json.loads(raw.read_text(encoding="utf-8"))["rows"] if raw.exists() else []
    rows = sorted([*(other for other in earlier if key(other) != key(row)), row], key=key)
    raw.write_text(json.dumps({"rows": rows}, indent=1) + "\n", encoding="utf-8")
    machines = "\n".join(dict.fromkeys(other["machine"] for other in rows))
    head = "Accuracy: `python results/images/search.py IMAGES_FOLDER`; how it is measured: see the script."
    (HERE / "search.md").write_text(f"{head}\n\n{table(rows)}\n\n{machines}\n", encoding="utf-8")


def main() -> None:
    """Run the searches, and write after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--only", nargs="+", default=list(SECONDS))
    parser.add_argument("--seconds", type=float, default=None)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    options = parser.parse_args()
    for seed in options.seeds:
        for name in options.only:
            seconds = options.seconds or SECONDS.get(name, USUAL_SECONDS)
            row = measure(options.images / f"{name}.npz", seconds, seed)
            print(json.dumps(row), flush=True)
            write(row)


if __name__ == "__main__":
    main()
