"""Measure how good searches with default settings are on short texts, beside baselines.

Each search is `automl.search(train, target="label", test=test, metric=METRIC, time_limit=SECONDS, seed=SEED)`, all else default.
SET.csv has the columns split, label and text; the rows whose split is "test" are only scored, at the end, by the best network
and by the baselines. Baselines are fitted on the rows that the networks are fitted on (not on those that choose). tfidf is
logistic regression on TF-IDF weights of words and pairs of words, from the same tokens as the networks take.

    python results/text/search.py TEXT_FOLDER                                       # sms_spam and trec6, 180 s, seeds 0, 1, 2
    python results/text/search.py TEXT_FOLDER --only trec6 --seconds 60 --seeds 3

TEXT_FOLDER holds sms_spam.csv (UCI SMS Spam: 4,460 and 1,114 messages, F1 of spam) and trec6.csv (TREC questions: 5,452 and 500,
six classes, accuracy), or other sets named with --only, which are scored by accuracy. Writes search.json (raw) and search.md
(table) beside this script; a search of the same set, seconds and seed replaces the earlier one, all others stay.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections import Counter
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

import automl

HERE = Path(__file__).parent
METRICS = {"sms_spam": "f1", "trec6": "accuracy"}
BASELINES = ("tfidf", "majority")


def measure(path: Path, seconds: float, seed: int) -> dict[str, Any]:
    """Return what one search gives on one set of texts."""
    rows = pd.read_csv(path, keep_default_na=False)
    train, test = (rows[rows["split"] == split].drop(columns="split") for split in ("train", "test"))
    metric = METRICS.get(path.stem, "accuracy")
    with tempfile.TemporaryDirectory() as folder:
        began = time.time()
        out = Path(folder) / "run"
        result = automl.search(
            train, target="label", test=test, metric=metric, time_limit=seconds, seed=seed, out=out, verbose=False
        )
        took = time.time() - began
        best, reports, task = result.best_entry, result.report, result.run.task
        networks = [entry for entry in result.entries if not entry.is_baseline]
        inputs = task.folds[0].inputs
        return {
            "texts": path.stem,
            "seconds": seconds,
            "seed": seed,
            "metric": task.metric,
            "fit rows": len(task.folds[0].fit),
            "test rows": len(task.report),
            "vocabulary": inputs.vocabulary,
            "length": inputs.length,
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

    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "tokenizers", "optuna", "scikit-learn", "numpy"))
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{platform.machine()}, {os.cpu_count()} cores{gpu}, Python {platform.python_version()}, {libraries}"


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table, the best score on the test rows in bold."""
    names = ["texts", "metric", "seconds", "seed", "network, test (95 % interval)", *BASELINES]
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
        first = f"{row['texts']} | {row['metric']} | {row['seconds']:g} | {row['seed']} | {cells[0]} ({low:.4f} to {high:.4f})"
        lines.append(f"| {first} | {' | '.join(cells[1:])} | {found} | {tried} |")
    return "\n".join(lines)


def means(rows: list[dict[str, Any]]) -> str:
    """Return the mean over seeds of each set and time, a line each."""
    lines = []
    for (name, seconds), group in groupby(rows, key=lambda row: (row["texts"], row["seconds"])):
        own = list(group)
        network = statistics.mean(row["test"] for row in own)
        there = [base for base in BASELINES if all(base in row["baselines"] for row in own)]
        others = [f"{base} {statistics.mean(row['baselines'][base] for row in own):.4f}" for base in there]
        lines.append(f"{name}, {seconds:g} s, mean of {len(own)}: network {network:.4f}, {', '.join(others)}")
    return "\n".join(f"- {line}" for line in lines)


def key(row: dict[str, Any]) -> tuple[str, float, int]:
    """Return what tells one search from another."""
    return row["texts"], row["seconds"], row["seed"]


def write(row: dict[str, Any]) -> None:
    """Put a row into the files, in the place of the one with its key."""
    raw = HERE / "search.json"
    earlier = json.loads(raw.read_text(encoding="utf-8"))["rows"] if raw.exists() else []
    rows = sorted([*(other for other in earlier if key(other) != key(row)), row], key=key)
    raw.write_text(json.dumps({"rows": rows}, indent=1) + "\n", encoding="utf-8")
    machines = "\n".join(dict.fromkeys(other["machine"] for other in rows))
    head = "`python results/text/search.py TEXT_FOLDER`; how it is measured: see the script."
    (HERE / "search.md").write_text(f"{head}\n\n{table(rows)}\n\n{means(rows)}\n\n{machines}\n", encoding="utf-8")


def main() -> None:
    """Run the searches, and write after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--only", nargs="+", default=list(METRICS))
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    for seed in options.seeds:
        for name in options.only:
            row = measure(options.texts / f"{name}.csv", options.seconds, seed)
            print(json.dumps(row), flush=True)
            write(row)


if __name__ == "__main__":
    main()
