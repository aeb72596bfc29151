"""What the training loop carries from epoch to epoch: how far it is, the best epoch so far, and the rows that judge it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from automl.metrics import Metric, metric
from automl.task import Fold, Task
from automl.training.checkpoint import Progress, Snapshot, Weights
from automl.training.clock import Clock
from automl.training.feed import Feed, Resident, feed_of
from automl.training.learner import Learner
from automl.training.networks import predict
from automl.training.rows import Rows
from search_spaces.spec import Outputs

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import device, nn

Ending: TypeAlias = Literal["finished", "stopped", "cut", "diverged", "timeout", "error"]

_LEAST_STEPS = 150  # without a better score, before training stops
_REHEARSAL = 0.3  # seconds, about
_BACKWARD = 2  # passes forward that a pass backward costs
_TOO_SLOW = 1.5  # times the time that there is
_TELLING = 4  # epochs, or all of a shorter span: fewer tell little of a network
_SAVED_BYTES = 16  # for each parameter: last and best weights, two moments
_MEAN_BYTES = 4  # the mean of the weights, where there is one


@dataclass(frozen=True)
class Span:
    """Which epochs to train: from `start` to `stop` of `total` (which the schedule follows). deadline: `time.time()` seconds.

    choosy: a network that is far too slow for its first epochs isn't trained at all.
    """

    seed: int
    start: int
    stop: int
    total: int
    deadline: float | None = None
    choosy: bool = False


@dataclass(frozen=True)
class Trained:
    """What became of a span.

    progress: over all spans; it is scored by its best epoch unless the ending is diverged, timeout or error. snapshot: None where
    nothing new is worth keeping. predictions: for the choose rows, by the best epoch; None where that lies before this span.
    curve: (epoch, score) of this span. parameters: their number. predict_ms: milliseconds to predict 1000 rows.
    """

    ending: Ending
    reason: str
    progress: Progress
    snapshot: Snapshot | None
    predictions: NDArray[Any] | None
    curve: tuple[tuple[int, float], ...]
    parameters: int
    predict_ms: float


def patience(total: int, steps: int) -> int:
    """Return after how many epochs without a better score training stops: a falling learning rate often rests, then gains.

    total: epochs of a full training. steps: of an epoch; of few rows an epoch is too short to tell anything.
    """
    return max(5, total // 4, -(-_LEAST_STEPS // steps))


@dataclass(frozen=True)
class Exam:
    """Scores a network on the choose rows of a fold: `target` and `weight` on the host, the features on the device."""

    metric: Metric
    outputs: Outputs
    features: Feed
    target: NDArray[Any]
    weight: NDArray[np.float32] | None

    @classmethod
    def of(cls, task: Task, fold: Fold, place: device) -> Exam:
        """Copy the choose rows of a fold onto a device."""
        features = feed_of(task.features, fold.choose, place)
        weight = None if task.score_weight is None else np.asarray(task.score_weight[fold.choose])
        target = np.asarray(task.target[fold.choose])
        return cls(metric(task.metric, task.kind), fold.outputs, features, target, weight)

    def predict(self, network: nn.Module) -> NDArray[Any]:
        """Return the predictions of a network for the choose rows."""
        return predict(network, self.features, self.outputs)

    def score(self, predictions: NDArray[Any]) -> float:
        """Return the metric in its own sign; NaN where it is undefined or the predictions aren't finite."""
        return self.metric.score(self.target, predictions, self.weight)


class Course:
    """A span on its way, and at its end. `earlier` is where an earlier span ended."""

    def __init__(self, learner: Learner, rows: Rows, exam: Exam, span: Span, earlier: Snapshot | None) -> None:
        self.learner, self.rows, self.exam, self.span = learner, rows, exam, span
        self.clock = Clock(span.deadline)
        self.predict_ms = self._rehearse()
        self.progress = Progress()
        self._start = 0
        self._best: Weights = {}
        self._predictions: NDArray[Any] | None = None
        if earlier is not None:
            self.progress, self._best, self._start = earlier.progress, earlier.best, earlier.progress.epoch
            # After the rehearsal, because what it draws must not count.
            learner.restore(earlier.last, earlier.training)

    def _rehearse(self) -> float:
        """Predict some fit rows, to know how long scoring will take; networks with a wrong shape fail here already."""
        rows = 2
        self._seconds_to_predict(rows)  # the first call is slow
        seconds = self._seconds_to_predict(rows)
        most = min(len(next(self.rows.features.blocks())[0]), int(_REHEARSAL * rows / max(seconds, 1e-6)))
        if most > rows:
            rows, seconds = most, self._seconds_to_predict(most)
        seconds /= min(rows, len(self.rows))
        self.clock.reserve(seconds * len(self.exam.target), self._bytes_to_save)
        return 1e6 * seconds

    @property
    def _bytes_to_save(self) -> int:
        return self.learner.size * (_SAVED_BYTES if self.learner.average is None else _SAVED_BYTES + _MEAN_BYTES)

    def _seconds_to_predict(self, rows: int) -> float:
        began = time.perf_counter()
        predict(self.learner.network, self.rows.features, self.exam.outputs, rows)
        return time.perf_counter() - began

    def hopeless(self) -> str:
        """Return why training can't come to anything before the deadline, judged by how long predictions take; else nothing.

        Of images that are decoded on the way nothing can be said: most of that time may be the decoder's.
        """
        epochs = min(self.span.stop - self.span.start, _TELLING)
        passes = self.learner.recipe.pretraining.passes()
        seconds = self.predict_ms / 1000 * len(self.rows) / 1000 * (1 + _BACKWARD) * (epochs + passes)
        tells = self.span.choosy and not self.progress.epoch and isinstance(self.rows.features, Resident)
        if not tells or self.clock.fits(seconds / _TOO_SLOW):
            return ""
        what = f"{epochs} epochs" if epochs > 1 else "an epoch"
        what = f"pretraining and {what}" if passes else what
        return f"{what} would take about {seconds:.1f} s, far more than the {self.clock.left():.1f} s there are"

    def examine(self) -> tuple[NDArray[Any], float]:
        """Return the predictions for the choose rows and their score; NaN where it is undefined or they aren't finite."""
        began = time.perf_counter()
        predictions = self.exam.predict(self.learner.judged)
        self.predict_ms = min(self.predict_ms, 1e6 * (time.perf_counter() - began) / len(predictions))
        score = self.exam.score(predictions)
        self.clock.reserve(time.perf_counter() - began, self._bytes_to_save)
        return predictions, score

    def advance(self, predictions: NDArray[Any], score: float, seconds: float) -> None:
        """Count an epoch that was trained and scored in `seconds`; keep its weights if it is the best so far."""
        progress, loss = self.progress, self.exam.metric.loss
        epoch, best_epoch, best_score = progress.epoch + 1, progress.best_epoch, progress.best_score
        if best_score is None or loss(score) < loss(best_score):
            best_epoch, best_score = epoch, score
            self._best, self._predictions = self.learner.judged_weights(), predictions
        stopped = epoch - best_epoch >= patience(self.span.total, self.rows.steps(self.learner.recipe.batch_size))
        self.progress = Progress(epoch, best_epoch, best_score, stopped, seconds, (*progress.curve, (epoch, score)))

    def trained(self, ending: Ending, reason: str) -> Trained:
        """Return what became of the span; an epoch that was scored stands, also when a later one diverged."""
        if ending == "diverged" and self.progress.best_epoch:
            ending, reason = "stopped", f"{reason}; epoch {self.progress.best_epoch} stands"
            self.progress = replace(self.progress, stopped=True)
            self.learner.network.load_state_dict(self._best)
        if ending == "cut" and not self.progress.best_epoch:
            ending = "timeout"
        if self.learner.micro_batch is not None:
            rows = "a row" if self.learner.micro_batch == 1 else f"{self.learner.micro_batch} rows"
            reason = f"{reason}; " * bool(reason) + f"micro-batches of {rows}: memory ran out with more"
        is_new = self.progress.epoch > self._start and ending in {"finished", "stopped", "cut"}
        return Trained(
            ending=ending,
            reason=reason,
            progress=self.progress,
            snapshot=self._snapshot() if is_new else None,
            predictions=self._predictions if is_new else None,
            curve=tuple(point for point in self.progress.curve if point[0] > self._start),
            parameters=self.learner.size,
            predict_ms=self.predict_ms,
        )

    def _snapshot(self) -> Snapshot:
        is_best = self.learner.average is None and self.progress.best_epoch == self.progress.epoch
        last = self._best if is_best else self.learner.weights()
        return Snapshot(self.progress, last, self._best, self.learner.training_state())
