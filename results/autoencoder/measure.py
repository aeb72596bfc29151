"""Does the error of rebuilding a row tell rare rows? Against principal components and scikit-learn's IsolationForest.

Of each table one class is the rare one: of mammography as it is (2.3 %), of the others thinned to 3 % of all rows. The label is
taken away before anything is read. 60 % of the rows are searched without a target: TRIALS configurations for up to EPOCHS epochs,
the default first, then TPE's. All that is measured is measured on the other 40 %: the reconstruction error, and how well the
score of each method puts rare rows before usual ones (ROC AUC; labels are looked at here, and nowhere else). Nothing is told what
is rare, and rare rows are among those that train, as they would be. "pca" is the baseline on the search's own board: as many
components as the code has numbers. IsolationForest has its default settings, numbers as they are (missing: the median) and
categories one-hot; it rebuilds nothing, so it has no error. Each figure is the mean of SEEDS seeds (of thinning, split and
search) with the standard deviation between them.

    python results/autoencoder/measure.py TABLES_FOLDER     # about a minute of one core

TABLES_FOLDER holds mammography.csv, mushroom.csv, magic.csv and spambase.csv. Writes results.json and results.md beside this
script.
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
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

import automl
from automl import models

HERE = Path(__file__).parent
RARE = {"mammography": None, "mushroom": "p", "magic": "h", "spambase": "1"}  # None: the rarer class, not thinned
SHARE = 0.03
COLUMNS = ("table", "rows", "features", "code", "method", "error", "ROC AUC")


def thinned(folder: Path, name: str, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the features of a table and which rows are rare."""
    frame = pd.read_csv(folder / f"{name}.csv")
    label = frame.pop(frame.columns[-1]).astype(str)
    counts, wanted = label.value_counts(), RARE[name]
    if wanted is None:
        return frame, (label == counts.idxmin()).to_numpy()
    rare = np.flatnonzero(label == wanted)
    assert len(rare), f"{name}: no row is {wanted!r}, but {sorted(counts.index)} are"
    usual = np.flatnonzero(label != wanted)
    kept = np.random.default_rng(seed).choice(rare, round(SHARE / (1 - SHARE) * len(usual)), replace=False)
    rows = np.sort(np.concatenate([usual, kept]))
    return frame.iloc[rows].reset_index(drop=True), np.isin(rows, kept)


def forest(train: pd.DataFrame, test: pd.DataFrame, seed: int) -> np.ndarray:
    """Return the scores of an IsolationForest, greater for odder rows."""
    both = pd.get_dummies(pd.concat([train, test]), dtype=float)
    both = both.fillna(both.iloc[: len(train)].median())
    fitted = IsolationForest(random_state=seed).fit(both.iloc[: len(train)].to_numpy())
    return -fitted.score_samples(both.iloc[len(train) :].to_numpy())


def measured(folder: Path, name: str, trials: int, epochs: int, seed: int) -> list[dict[str, Any]]:
    """Return a line for each method on one table."""
    frame, rare = thinned(folder, name, seed)
    train, test, _, odd = train_test_split(frame, rare, train_size=0.6, random_state=seed, stratify=rare)
    train, test = train.reset_index(drop=True), test.reset_index(drop=True)
    with tempfile.TemporaryDirectory() as out:
        result = automl.search(
            train, n_trials=trials, epochs=epochs, seed=seed, workers=1, executor="inline", out=Path(out) / "run", verbose=False
        )
        best = result.best
        assert not result.best_entry.is_baseline, "include_baselines is off unless asked for"
        pca = next(entry for entry in result.entries if entry.name == "pca")
        components = models.predictor(result.run, pca, {})
        scores = {"automl.search": best.anomaly_score(test), "pca": components.anomaly_score(test)}
        code = best.encode(test.head(1)).shape[1]
        features = len(best.encoder.numeric) + len(best.encoder.categorical)
    same = {"table": name, "rows": len(train), "features": features, "code": code, "rare": float(odd.mean())}
    lines = [
        {**same, "method": method, "error": float(score.mean()), "auc": float(roc_auc_score(odd, score))}
        for method, score in scores.items()
    ]
    alone = float(roc_auc_score(odd, forest(train, test, seed)))
    return [*lines, {**same, "method": "IsolationForest", "error": None, "auc": alone}]


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=RARE)
    given = parser.parse_args()
    began = time.process_time()
    lines = []
    for name in [given.only] if given.only else RARE:
        for seed in range(given.seeds):
            lines += measured(given.folder, name, given.trials, given.epochs, seed)
            print(*lines[-3:], sep="\n", flush=True)
    setting = {
        "trials": given.trials,
        "epochs": given.epochs,
        "seeds": given.seeds,
        "cpu_seconds": round(time.process_time() - began, 1),
        "versions": {name: version(name) for name in ("torch", "numpy", "scikit-learn")} | {"python": platform.python_version()},
    }
    (HERE / "results.json").write_text(json.dumps({**setting, "lines": lines}, indent=1) + "\n", encoding="utf-8")
    (HERE / "results.md").write_text("\n".join(shown(lines)) + "\n", encoding="utf-8")


def shown(lines: list[dict[str, Any]]) -> list[str]:
    """Return a table of the mean of all seeds."""
    rows = [f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS)]
    frame = pd.DataFrame(lines)
    for (table, method), own in frame.groupby(["table", "method"], sort=False):
        error = "" if own["error"].isna().all() else f"{own['error'].mean():.3f} ± {own['error'].std():.3f}"
        auc = f"{own['auc'].mean():.3f} ± {own['auc'].std():.3f}"
        first = own.iloc[0]
        cells = (table, first["rows"], first["features"], first["code"], method, error, auc)
        rows.append(f"| {' | '.join(map(str, cells))} |")
    return rows


if __name__ == "__main__":
    main()
