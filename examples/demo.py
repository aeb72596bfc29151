"""From a data set to an exported model in about a minute: search, leaderboard, export, and predictions of a fresh process.

    python examples/demo.py [seconds]

The data are the handwritten digits that ship with scikit-learn: 1797 images of 8x8 pixels, one column for each pixel.
"""

import subprocess
import sys
from pathlib import Path

import pandas as pd
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import automl

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
HERE = Path("automl-results")


def main() -> None:
    """Run the demo in the working directory."""
    data, target = load_digits(return_X_y=True, as_frame=True)
    known, unseen, labels, answers = train_test_split(data, target, test_size=0.2, random_state=0, stratify=target)

    result = automl.search((known, labels), time_limit=SECONDS, out=HERE / "demo", overwrite=True)
    print(result.leaderboard().head(12).to_string(index=False))
    print(result.summary())

    model, rows, predictions = HERE / "demo-model", HERE / "unseen.csv", HERE / "predictions.csv"
    result.best.export(model, overwrite=True)
    print(f"\nexported to {model}:", *sorted(path.name for path in model.iterdir()))

    unseen.to_csv(rows, index=False)
    subprocess.run([sys.executable, "-m", "automl", "predict", str(model), str(rows), "--out", str(predictions)], check=True)
    reloaded = pd.read_csv(predictions)["target"].to_numpy()
    same = (reloaded == result.best.predict(unseen)).all()
    accuracy = (reloaded == answers.to_numpy()).mean()
    print(f"a fresh process predicts {len(reloaded)} rows that the search never saw: accuracy {accuracy:.4f}")
    print(f"the same predictions as before the export: {'yes' if same else 'NO'}")
    sys.exit(not same)


if __name__ == "__main__":
    main()
