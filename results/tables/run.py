"""Measure how good searches with default settings are on tables, beside baselines.

For each table: 80 % of the rows (train_test_split, random_state 0, stratified for classes) are searched with default settings;
the other 20 % are handed over as `test=` and only scored. Beside the networks stand our baselines, which see what the networks
see (the fit rows), and, stricter, scikit-learn's histogram gradient boosting with default settings, trained on *all* of the 80 %.

    python results/tables/run.py DATA_FOLDER --seconds 30                      # every table of MANIFEST.csv
    python results/tables/run.py DATA_FOLDER --seconds 120 --only kin8nm letter adult

DATA_FOLDER holds MANIFEST.csv (columns file, name, target, task) and the files it names. Writes `<seconds>s.json` (raw) and
`<seconds>s.md` (table) beside this script. Seed 0. Nothing here was used to tune kin8nm, letter or adult.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import accuracy_score, roc_auc_score, root_mean_squared_error
from sklearn.model_selection import train_test_split

import automl

HERE = Path(__file__).parent


def boosting(train: pd.DataFrame, test: pd.DataFrame, target: str, metric: str) -> float:
    """Return the score of default histogram gradient boosting that was trained on all rows of `train`."""
    frames = []
    for frame in (train, test):
        features = frame.drop(columns=target)
        for name in features.columns[[dtype == "str" for dtype in features.dtypes.astype(str)]]:
            values = train[name].value_counts().index[:254]
            features[name] = pd.Categorical(features[name].where(features[name].isin(values)), categories=values)
        frames.append(features)
    if metric == "rmse":
        regressor = HistGradientBoostingRegressor(random_state=0, categorical_features="from_dtype").fit(frames[0], train[target])
        return float(root_mean_squared_error(test[target], regressor.predict(frames[1])))
    classifier = HistGradientBoostingClassifier(random_state=0, categorical_features="from_dtype").fit(frames[0], train[target])
    if metric == "roc_auc":
        return float(roc_auc_score(test[target], classifier.predict_proba(frames[1])[:, 1]))
    return float(accuracy_score(test[target], classifier.predict(frames[1])))


def measure(path: Path, target: str, kind: str, seconds: float) -> dict[str, Any]:
    """Return what one search gives on one table."""
    frame = pd.read_csv(path)
    frame = frame[frame[target].notna()]
    train, test = train_test_split(frame, test_size=0.2, random_state=0, stratify=None if kind == "regression" else frame[target])
    begun = time.time()
    with tempfile.TemporaryDirectory() as folder:
        result = automl.search(
            train, target=target, test=test, time_limit=seconds, seed=0, out=Path(folder) / "run", verbose=False
        )
        took = time.time() - begun
        board = result.leaderboard()
        reports = {row.model: row.report_score for row in board.itertuples() if not np.isnan(row.report_score)}
        metric = result.run.task.metric
        best = result.best_entry
        row = {
            "table": path.stem,
            "metric": metric,
            "network": reports[best.name],
            **{name: score for name, score in reports.items() if name != best.name},
            "boosting, all rows": boosting(train, test, target, metric),
            "model": best.name,
            "epochs": best.epochs,
            "networks tried": int((board["family"] != "baseline").sum()),
            "failed": int(board["validation_score"].isna().sum()),
            "seconds": round(took, 2),
        }
    print(json.dumps(row), flush=True)
    return row


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table, the better of network and boosting on all rows in bold."""
    names = ["network", "boosting, all rows", "boosting", "linear", "majority", "mean"]
    lines = ["| table | metric | " + " | ".join(names) + " | networks tried | seconds |", "|" + "---|" * (len(names) + 4)]
    for row in rows:
        cells = [f"{row[name]:.4f}" if isinstance(row.get(name), float) else "" for name in names]
        sign = 1 if row["metric"] == "rmse" else -1
        winner = 0 if sign * row["network"] < sign * row["boosting, all rows"] else 1
        cells[winner] = f"**{cells[winner]}**"
        lines.append(f"| {row['table']} | {row['metric']} | {' | '.join(cells)} | {row['networks tried']} | {row['seconds']} |")
    return "\n".join(lines)


def main() -> None:
    """Measure the tables and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--only", nargs="*", default=None)
    options = parser.parse_args()
    manifest = pd.read_csv(options.data / "MANIFEST.csv")
    chosen = manifest[manifest["file"].str.startswith("tabular/")]
    if options.only:
        chosen = chosen[chosen["name"].isin(options.only)]
    rows = [
        measure(
            options.data / entry.file, entry.target, "regression" if "regression" in entry.task else "classes", options.seconds
        )
        for entry in chosen.itertuples()
    ]
    versions = {name: version(name) for name in ("torch", "optuna", "scikit-learn", "pandas", "numpy")}
    machine = {"python": platform.python_version(), "system": platform.system(), "processor": platform.machine(), **versions}
    name = f"{options.seconds:g}s"
    (HERE / f"{name}.json").write_text(
        json.dumps({"machine": machine, "seconds": options.seconds, "seed": 0, "rows": rows}, indent=1) + "\n"
    )
    (HERE / f"{name}.md").write_text(f"{table(rows)}\n\n2 cores, seed 0; {json.dumps(machine)}\n")


if __name__ == "__main__":
    main()
