"""Our evolution as the sampler of a plain Optuna study: a model of scikit-learn's, tuned over a nested space."""

from __future__ import annotations

import optuna
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from automl.samplers import EvolutionSampler

ROWS = 500


def model(trial: optuna.Trial) -> Pipeline:
    """Return a model: which parameters it has depends on its kind."""
    kind = trial.suggest_categorical("kind", ["forest", "linear", "svm"])
    if kind == "forest":
        depth, share = trial.suggest_int("depth", 2, 16), trial.suggest_float("share of features", 0.05, 1.0)
        return make_pipeline(RandomForestClassifier(20, max_depth=depth, max_features=share, random_state=0))
    strength = trial.suggest_float(f"C of {kind}", 1e-3, 1e3, log=True)
    if kind == "linear":
        return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000))
    return make_pipeline(StandardScaler(), SVC(C=strength, gamma=trial.suggest_float("gamma", 1e-4, 1.0, log=True)))


def accuracy(trial: optuna.Trial) -> float:
    """Return the mean accuracy over three folds."""
    pixels, digits = load_digits(return_X_y=True)
    return float(cross_val_score(model(trial), pixels[:ROWS], digits[:ROWS], cv=3).mean())


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=EvolutionSampler(seed=0))
    study.optimize(accuracy, n_trials=30)
    print(f"accuracy {study.best_value:.3f} with {study.best_params}")
