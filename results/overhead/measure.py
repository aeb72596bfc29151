"""Measure what a search costs beside training: start-up, driver, store, ask, process start, and the end.

One search of 60 seconds on adult (48842 rows, 14 columns), default settings, as many workers as cores. Every moment of every
worker is either inside a trial or a baseline (their `seconds`, scoring included) or overhead:

    overhead = 1 - sum of seconds / (workers x wall time from call to return)

The libraries of this process are imported before the call; those of the workers are not. `import automl` is timed in a process
of its own, five times, beside an empty interpreter.

    python results/overhead/measure.py DATA_FOLDER/tabular/adult.csv

Writes results.json and README.md beside this script. Seed 0.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import automl
from automl.options import available_cores

HERE = Path(__file__).parent
SECONDS = 60.0


def import_seconds(code: str) -> float:
    """Return the median time of an interpreter that runs `code` and ends."""
    times = []
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def measure(path: Path) -> dict[str, Any]:
    """Return the figures of one search."""
    for module in ("automl.launch", "automl.executors.processes", "sklearn.ensemble", "optuna"):
        import_module(module)
    with tempfile.TemporaryDirectory() as folder:
        began = time.time()
        result = automl.search(path, target="income", time_limit=SECONDS, out=Path(folder) / "run", verbose=False)
        wall = time.time() - began
        records = result.run.store.records()
    outcomes = [outcome for record in records for outcome in record.outcomes]
    first = min(record.ended - sum(outcome.seconds for outcome in record.outcomes) for record in records if record.ended)
    workers = available_cores()
    busy = sum(outcome.seconds for outcome in outcomes)
    return {
        "wall seconds": wall,
        "overrun seconds": wall - SECONDS,
        "workers": workers,
        "trials and baselines": len(outcomes),
        "busy worker seconds": busy,
        "overhead share": 1 - busy / (workers * wall),
        "first trial began after seconds": first - began,
        "import automl seconds, interpreter included": import_seconds("import automl"),
        "empty interpreter seconds": import_seconds("pass"),
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    figures = measure(parser.parse_args().data)
    versions = {name: version(name) for name in ("torch", "optuna", "scikit-learn", "pandas")}
    machine = {"python": platform.python_version(), "system": platform.system(), "processor": platform.machine(), **versions}
    (HERE / "results.json").write_text(json.dumps({"machine": machine, "seed": 0, **figures}, indent=1) + "\n")
    rows = [
        f"| {name} | {value:.3f} |" if isinstance(value, float) else f"| {name} | {value} |" for name, value in figures.items()
    ]
    text = ["# What a search costs beside training", "", "| figure | value |", "|---|--:|", *rows, ""]
    command = "`python results/overhead/measure.py adult.csv`, 2 cores, seed 0; how it is measured: see the script."
    (HERE / "README.md").write_text("\n".join([*text, command, "", json.dumps(machine), ""]))
    print("\n".join(rows))


if __name__ == "__main__":
    main()
