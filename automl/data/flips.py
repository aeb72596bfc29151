"""Which ways to mirror an image change no label, as far as a simple model can tell: a cat stays a cat, a 3 doesn't stay a 3.

The rule: a ridge regression on pixels, averaged to at most 8 x 8, is fitted on every other one of at most 2,000 fit rows (on the
codes of classes, classes counting alike), and predicts the other half as they are and mirrored; then the halves swap. A flip is
offered where the mirrored images keep 80 % of what the model scores above chance (balanced accuracy; R² for values), and no class
with at least 10 hits loses more than half of them. Nothing is offered where the model isn't better than chance by five standard
errors: who learns nothing from an image can't say what mirroring does to it.

Kept with 2,000 rows, over eight draws: CIFAR-10 left to right 0.94 to 1.10, upside down 0.26 to 0.41; MNIST 0.28 to 0.31 and
0.12 to 0.17; the 8 x 8 digits of scikit-learn 0.25 to 0.28 both ways; arrows that point left or right, at random places, -0.99 to
-0.85 and 0.87 to 1.00. With 400 rows of CIFAR-10: 0.70 to 1.23 and 0.10 to 0.69.

A model of pixels knows where light and dark are. What only shapes tell, and brightness doesn't, it can't see: labels that hang on
both (light or dark, and an arrow to the left or right) may get a flip that they shouldn't; close it then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from search_spaces.spec import Classes, Outputs

Array: TypeAlias = NDArray[Any]
Floats: TypeAlias = NDArray[np.float64]

FLIPS = {"horizontal": 2, "vertical": 1}  # the axis of `(n, h, w, c)` that each turns round
_CELLS = 8  # of a side
_RIDGE = 0.1  # times rows times the variance of pixels; a hundredth to a tenth give the same flips
_KEPT = 0.8  # of the score above chance
_CLASS_KEPT, _HITS = 0.5, 10  # of the hits of a class, and how many make a class count
_ERRORS = 5.0  # standard errors above chance
_LEAST = 50  # rows; of fewer nothing can be said


def flips_that_keep_labels(images: Array, target: Array, outputs: Outputs) -> tuple[str, ...]:
    """Return those of "horizontal" and "vertical" that change no label of `images` `(n, h, w, c)`, by the module's rule.

    target: the code or value of each image, `(n,)`; give at most some thousand images.
    """
    known = target >= 0 if isinstance(outputs, Classes) else np.isfinite(target)
    images, target = images[known], target[known]
    if len(images) < _LEAST:
        return ()
    judge = _judge_of_classes(target) if isinstance(outputs, Classes) else _judge_of_values(target)
    cells = {name: _cells(np.flip(images, axis)) for name, axis in FLIPS.items() if images.shape[axis] > 1}
    return judge(_cells(images), cells)


def flips_line(flips: tuple[str, ...]) -> str:
    """Return what a user is told of the flips."""
    if not flips:
        return "images: not mirrored in training, a linear model on coarse pixels can't tell mirrored ones as well"
    return f"images: may be mirrored ({' and '.join(flips)}) in training, which costs a linear model on coarse pixels little"


Judge: TypeAlias = Callable[[Floats, dict[str, Floats]], tuple[str, ...]]


def _judge_of_classes(codes: Array) -> Judge:
    present, codes = np.unique(codes, return_inverse=True)
    counts = np.bincount(codes)
    chance = 1 / len(present)
    error = float(np.sqrt((chance * (1 - chance) / counts).sum())) / len(present)
    truth = np.eye(len(present))[codes]

    def hits(predicted: Floats) -> Floats:
        return np.bincount(codes, predicted.argmax(1) == codes, len(present)).astype(np.float64)

    def judge(plain: Floats, mirrored: dict[str, Floats]) -> tuple[str, ...]:
        predicted = _predict_halves(plain, mirrored, truth, 1 / counts[codes])
        found = hits(predicted.pop(""))
        score = float((found / counts).mean()) - chance
        if score <= _ERRORS * error:
            return ()
        kept = {name: hits(values) for name, values in predicted.items()}
        return tuple(
            name
            for name, left in kept.items()
            if float((left / counts).mean()) - chance >= _KEPT * score and (left >= _CLASS_KEPT * found)[found >= _HITS].all()
        )

    return judge


def _judge_of_values(values: Array) -> Judge:
    spread = float(values.var())

    def score(predicted: Floats) -> float:
        return 1 - float(((values - predicted[:, 0]) ** 2).mean()) / spread if spread else 0.0

    def judge(plain: Floats, mirrored: dict[str, Floats]) -> tuple[str, ...]:
        predicted = _predict_halves(plain, mirrored, values[:, None].astype(np.float64), np.ones(len(values)))
        found = score(predicted.pop(""))
        if found <= _ERRORS / np.sqrt(len(values)):
            return ()
        return tuple(name for name, other in predicted.items() if score(other) >= _KEPT * found)

    return judge


def _predict_halves(plain: Floats, mirrored: dict[str, Floats], truth: Floats, weight: Floats) -> dict[str, Floats]:
    """Return the predictions for the images as they are, "", and mirrored, each by the model of the other half."""
    predicted = {name: np.empty_like(truth) for name in ("", *mirrored)}
    half = np.arange(len(plain)) % 2
    for side in (0, 1):
        model = _ridge(plain[half == side], truth[half == side], weight[half == side])
        for name, cells in {"": plain, **mirrored}.items():
            predicted[name][half != side] = model(cells[half != side])
    return predicted


def _ridge(cells: Floats, truth: Floats, weight: Floats) -> Callable[[Floats], Floats]:
    """Return the prediction of a weighted ridge regression, in closed form; the intercept isn't shrunk."""
    weight = weight[:, None] / weight.sum()
    mean, middle = (weight * cells).sum(0), (weight * truth).sum(0)
    centred = cells - mean
    square = centred.T @ (weight * centred)
    ridge = (_RIDGE * float(np.trace(square)) / len(square) or 1.0) * np.eye(len(square))
    slopes = np.linalg.solve(square + ridge, centred.T @ (weight * (truth - middle)))
    return lambda others: (others - mean) @ slopes + middle


def _cells(images: Array) -> Floats:
    """Return the means of pixels in at most 8 x 8 parts of each image, `(n, parts * channels)`."""
    cells = images
    for axis in (1, 2):
        starts = np.linspace(0, images.shape[axis], min(images.shape[axis], _CELLS) + 1).astype(np.int64)
        sizes = np.diff(starts).reshape((-1,) + (1,) * (3 - axis))
        cells = np.add.reduceat(cells, starts[:-1], axis=axis, dtype=np.float64) / sizes
    return cells.reshape(len(images), -1)
