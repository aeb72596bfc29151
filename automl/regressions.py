"""Logistic and ridge regression with scikit-learn, as weights and biases of one linear layer for any kind of outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from automl.library import fit_in_time, library
from automl.training.networks import Numbers, standardised
from search_spaces.spec import Labels, Outputs

if TYPE_CHECKING:
    from numpy.typing import NDArray

Matrix: TypeAlias = Any  # (rows, features): a numpy array, or one of scipy's sparse ones in CSR form

LINEAR_ITERATIONS = (20, 300)  # at first, at most

_DIRECT_FEATURES = 500  # up to here ridge regression is solved directly, beyond by iterations
NEVER = -30.0  # the logit of a class without fit rows


@dataclass(frozen=True)
class Regression:
    """A fitted layer: `features @ weight.T + bias` are logits, or values in standard units, like a network's.

    weight: (width, features). bias: (width,). iterations: allowed ones. cut: whether the deadline took some away. note: what to
    know.
    """

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    iterations: int = 0
    cut: bool = False
    note: str = ""


@dataclass(frozen=True)
class Effort:
    """How hard to fit: the inverse of the penalty of logistic regression, the most iterations, and a deadline (`time.time()`)."""

    c: float = 1.0
    most: int | None = None  # as many as there are
    deadline: float | None = None

    @property
    def iterations(self) -> int:
        """The most iterations."""
        return LINEAR_ITERATIONS[1] if self.most is None else self.most


def fit_regression(
    features: Matrix, target: NDArray[Any], weight: NDArray[Any] | None, outputs: Outputs, effort: Effort
) -> Regression:
    """Fit a layer. target: as in a task, of the rows of `features`. Raises `BaselineFault` where scikit-learn can't fit them."""
    if isinstance(outputs, Numbers):
        return _ridge(features, standardised(target, outputs).astype(np.float64), weight)
    if isinstance(outputs, Labels):
        return _each_label(features, target, weight, effort)
    return _logistic(features, target, weight, outputs.width, effort)


def _ridge(features: Matrix, target: NDArray[Any], weight: NDArray[Any] | None) -> Regression:
    with library():
        from sklearn.linear_model import Ridge

        iterated = "lsqr" if isinstance(features, np.ndarray) else "sparse_cg"
        solver = "cholesky" if features.shape[1] <= _DIRECT_FEATURES and iterated == "lsqr" else iterated
        model = Ridge(solver=solver).fit(features, target, sample_weight=weight)
        return Regression(model.coef_.reshape(-1, features.shape[1]), np.asarray(model.intercept_).reshape(-1))


def _each_label(features: Matrix, target: NDArray[Any], weight: NDArray[Any] | None, effort: Effort) -> Regression:
    """Return a logistic regression for each label; of one that all rows or none have, its odds."""
    weights, biases = np.zeros((target.shape[1], features.shape[1])), np.zeros(target.shape[1])
    with library():
        from sklearn.linear_model import LogisticRegression

        for label, has in enumerate(target.T):
            if has.min() == has.max():
                biases[label] = -NEVER if has[0] else NEVER
                continue
            model = LogisticRegression(C=effort.c, max_iter=effort.iterations).fit(features, has, sample_weight=weight)
            weights[label], biases[label] = model.coef_[0], model.intercept_[0]
    return Regression(weights, biases)


def _logistic(features: Matrix, target: NDArray[Any], weight: NDArray[Any] | None, width: int, effort: Effort) -> Regression:
    with library():
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(C=effort.c, warm_start=True)
        spent = 0

        def fit(iterations: int) -> bool:
            nonlocal spent
            model.set_params(max_iter=iterations - spent)
            model.fit(features, target, sample_weight=weight)
            spent = iterations
            return bool(model.n_iter_.max() < model.max_iter)

        iterations, converged = fit_in_time(fit, min(LINEAR_ITERATIONS[0], effort.iterations), effort.iterations, effort.deadline)
    cut = not converged and iterations < LINEAR_ITERATIONS[1]
    note = "" if converged else f"did not converge in {iterations} iterations"
    return Regression(*_logits(model, width), iterations, cut, note)


def _logits(model: Any, width: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return weights `(width, features)` and biases whose softmax is what a logistic regression predicts."""
    weight, bias = np.zeros((width, model.coef_.shape[1])), np.full(width, NEVER)
    if len(model.classes_) == len(model.coef_):
        weight[model.classes_], bias[model.classes_] = model.coef_, model.intercept_
    else:  # of two classes scikit-learn keeps one logit, the other is 0
        weight[model.classes_[1]], bias[model.classes_] = model.coef_[0], (0.0, model.intercept_[0])
    return weight, bias
