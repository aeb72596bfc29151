"""From the outcomes of trials to the score of a configuration: its one fold's, or that of pooled out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from automl.metrics import metric
from automl.strategies.base import Proposal, Result
from automl.task import Task
from automl.training.checkpoint import Checkpoints
from automl.trial import SCORED, Outcome, Status


def out_of_fold(task: Task, checkpoints: Checkpoints, number: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the choose rows `(n,)` and a configuration's predictions for them `(n, classes)` or `(n,)`.

    A row that several folds choose on (repeats) gets the mean of its predictions.
    """
    predictions = [np.asarray(checkpoints.predictions(number, fold), np.float64) for fold in range(len(task.folds))]
    rows = np.concatenate([fold.choose for fold in task.folds])
    unique, inverse, counts = np.unique(rows, return_inverse=True, return_counts=True)
    total = np.zeros((len(unique), *predictions[0].shape[1:]))
    np.add.at(total, inverse, np.concatenate(predictions))
    return unique, total / counts.reshape(-1, *[1] * (total.ndim - 1))


def choose_score(task: Task, checkpoints: Checkpoints, number: int, outcomes: Sequence[Outcome]) -> float | None:
    """Return the metric of a configuration on the choose rows, or None where a fold failed or the metric is undefined."""
    if len(outcomes) < len(task.folds) or any(outcome.status not in SCORED for outcome in outcomes):
        return None
    if len(outcomes) == 1:
        return outcomes[0].score
    rows, predictions = out_of_fold(task, checkpoints, number)
    weight = None if task.score_weight is None else task.score_weight[rows]
    score = metric(task.metric, task.kind).score(task.target[rows], predictions, weight)
    return score if np.isfinite(score) else None


def joint_status(outcomes: Sequence[Outcome]) -> tuple[Status, str]:
    """Return the status of a configuration over its folds, and the first reason given for it, if any: the worst one counts."""
    for outcome in outcomes:
        if outcome.status not in SCORED:
            return outcome.status, outcome.reason
    statuses = {outcome.status for outcome in outcomes}
    for status in ("cut", "finished", "stopped"):
        if status in statuses:
            reasons = (outcome.reason for outcome in outcomes if outcome.status == status and outcome.reason)
            return status, next(reasons, "")
    return "killed", "no outcome"


def judge(
    task: Task, checkpoints: Checkpoints, proposal: Proposal, outcomes: Sequence[Outcome], others: tuple[float, ...] = ()
) -> Result:
    """Return what the strategy is told of a proposal's outcomes; others: the further objectives of its configuration."""
    score = choose_score(task, checkpoints, proposal.number, outcomes)
    status, _ = joint_status(outcomes)
    loss = None if score is None else metric(task.metric, task.kind).loss(score)
    return Result(
        proposal,
        loss,
        ended=loss is None or status != "finished" or proposal.stop >= proposal.total,
        seconds=sum(outcome.seconds for outcome in outcomes),
        others=() if loss is None else others,
        violation=max(outcome.violation for outcome in outcomes),
    )
