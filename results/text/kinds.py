"""Compare what texts are read as: words, pieces of words (BPE), bytes.

On the training rows alone (split is "train"), in three folds: logistic regression on TF-IDF weights (the baseline tfidf) is
fitted on two thirds, and the rest is scored. The tokenizer is fitted on all of them, as in a search with folds. The default,
"words", was chosen by such figures, and so were the lower case and the single digits that belong to it.

    python results/text/kinds.py TEXT_FOLDER                 # a few minutes

Writes kinds.md beside this script.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from automl.data.tokens import KINDS
from automl.metrics import metric
from automl.task import DataOptions, Task, make_task
from automl.text_baseline import fit_tfidf

HERE = Path(__file__).parent
METRICS = {"sms_spam": "f1", "trec6": "accuracy"}
FOLDS = 3


def scores(task: Task) -> Iterator[float]:
    """Yield the score of each fold."""
    scoring = metric(task.metric, task.kind)
    for fold in task.folds:
        yield scoring.score(task.target[fold.choose], fit_tfidf(task, fold, 0).predict(task.features, fold.choose))


def row(path: Path, kind: str) -> str:
    """Return the line of a set and a tokenizer."""
    rows = pd.read_csv(path, keep_default_na=False)
    train, test = (rows[rows["split"] == split].drop(columns="split") for split in ("train", "test"))
    options = DataOptions(target="label", metric=METRICS[path.stem], test=test, folds=FOLDS, tokenizer=kind)
    began = time.process_time()
    task = make_task(train, options)
    seconds = time.process_time() - began
    found = list(scores(task))
    tokenizer = task.encoder.tokenizer
    score = f"{statistics.mean(found):.4f} | {min(found):.4f} to {max(found):.4f}"
    return f"| {path.stem} | {kind} | {len(tokenizer.vocabulary):,} | {tokenizer.length} | {seconds:.1f} | {score} |"


def main() -> None:
    """Compare, print, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=Path)
    options = parser.parse_args()
    lines = [
        "| texts | read as | codes | length, 99 % | seconds to read | mean score | of the folds |",
        "|---|---|--:|--:|--:|--:|---|",
    ]
    for name in METRICS:
        for kind in KINDS:
            lines.append(row(options.texts / f"{name}.csv", kind))
            print(lines[-1], flush=True)
    libraries = ", ".join(f"{library} {version(library)}" for library in ("tokenizers", "scikit-learn", "numpy"))
    where = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {libraries}"
    head = "`python results/text/kinds.py TEXT_FOLDER`: F1 of spam and accuracy; how it is measured: see the script."
    (HERE / "kinds.md").write_text("\n".join([head, "", *lines, "", where, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
