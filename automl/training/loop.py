"""The training loop: one network, one fold, from epoch `start` to epoch `stop` of `total`.

Read from top to bottom: `train` prepares, `_epochs` pretrains where the recipe says so and goes from epoch to epoch,
`train_epoch` from step to step. Pretraining belongs to no epoch, but to the seconds of the trial that begins. Nothing calls back
and nothing reports from within: what became of it is the value that `train` returns. Stopping at an epoch and going on later,
in another process, gives the very weights of training in one go (on the CPU).
"""

from __future__ import annotations

import math
import time

import numpy as np
import torch
from torch import Tensor, nn

from automl.errors import NoModelError
from automl.task import Fold, Task
from automl.training.checkpoint import Snapshot
from automl.training.clock import Clock
from automl.training.course import Course, Ending, Exam, Span, Trained
from automl.training.feed import as_inputs
from automl.training.learner import Learner, own_randomness
from automl.training.memory import ran_out_of_memory
from automl.training.micro_batches import Batch, add_gradient
from automl.training.networks import CPU, NetworkFault, device_for, forward, mixed_precision, one_thread
from automl.training.pretraining import pretrain
from automl.training.rows import Rows
from search_spaces.configuration import Configuration
from search_spaces.domains import Infeasible


def train(
    configuration: Configuration,
    task: Task,
    fold: Fold,
    span: Span,
    earlier: Snapshot | None = None,
    device: torch.device = CPU,
) -> Trained:
    """Train a configuration on a fold: `earlier` (a snapshot after `span.start` epochs) goes on, None begins with new weights.

    Raises `Infeasible` or `NetworkFault` where the configuration fails. All other exceptions are bugs, or want of memory.
    """
    loss = type(configuration.recipe.loss).__name__
    if loss not in task.losses:
        raise Infeasible(f"recipe/loss must be one of {', '.join(task.losses)} for a {task.kind} task, got {loss}")
    with own_randomness(device):
        rows, exam = Rows.of(task, fold.fit, fold.outputs, device), Exam.of(task, fold, device)
        learner = Learner(configuration, fold.inputs, fold.outputs, span.seed, device)
        course = Course(learner, rows, exam, span, earlier)
        return course.trained(*_epochs(course))


def _epochs(course: Course) -> tuple[Ending, str]:
    """Train and score epoch by epoch, to the end of the span or to a reason to end before it; return which."""
    hopeless = course.hopeless()
    if hopeless:
        return "cut", hopeless
    if not course.progress.epoch:
        pretrained = pretrain(course.learner, course.rows, course.span.seed, course.clock)
        if pretrained.ending is not None:
            return pretrained.ending, pretrained.reason
    while course.progress.epoch < course.span.stop and not course.progress.stopped:
        ended = _epoch(course, course.progress.epoch + 1)
        if ended is not None:
            return ended
    if course.progress.stopped:
        return "stopped", f"no better score for {course.progress.epoch - course.progress.best_epoch} epochs"
    return "finished", ""


def _epoch(course: Course, epoch: int) -> tuple[Ending, str] | None:
    """Train and score one epoch; return a reason to end, if there is one."""
    began = time.perf_counter()
    if course.progress.epoch and not course.clock.fits(course.progress.epoch_seconds):
        return "cut", f"epoch {epoch} would have ended after the deadline"
    share, loss = train_epoch(course.learner, course.rows, epoch, course.span.total, course.clock)
    if share == 0:
        return "cut", f"the deadline came before the first batch of epoch {epoch}"
    if not math.isfinite(loss):
        return "diverged", f"the loss is {loss} in epoch {epoch}"
    predictions, score = course.examine()
    if not np.isfinite(predictions).all():
        return "diverged", f"predictions after epoch {epoch} aren't finite"
    if math.isnan(score):
        return "error", f"{course.exam.metric.name} is undefined on the {len(predictions)} choose rows of this fold"
    course.advance(predictions, score, time.perf_counter() - began)
    return None if share == 1 else ("cut", f"the deadline came in epoch {epoch}, after {share:.0%} of it")


def train_epoch(learner: Learner, rows: Rows, epoch: int, total: int, clock: Clock) -> tuple[float, float]:
    """Train on all rows once, or until the clock is over; return the share of the epoch that was done and the mean loss.

    epoch: counted from 1. No step reads a result from the device: the loss is read once, at the end. A step for which memory runs
    out is done again with the same rows, augmented as they were, in micro-batches; batch norms see those instead of the batch.
    Augmentation and the optimizer's own step aren't done again: what they take doesn't depend on micro-batches.
    """
    recipe, network, parameters = learner.recipe, learner.network, learner.parameters

    def mean_loss(part: Batch) -> Tensor:
        with mixed_precision(learner.device):
            outputs = forward(network, part.inputs)
        return part.mean_loss(recipe.loss, outputs.float())

    steps, done = rows.steps(recipe.batch_size), 0
    loss_sum = torch.zeros((), device=learner.device)
    network.train()
    for stored, target, weight in rows.batches(recipe.batch_size, learner.batches):
        if clock.over():
            break
        learner.set_rate(recipe.schedule.factor((epoch - 1 + done / steps) / total))
        inputs, mix = learner.augmentation.apply(as_inputs(stored), learner.inputs, learner.changes)
        loss = add_gradient(learner, Batch.of(inputs, target, weight, mix), parameters, mean_loss)
        recipe.regularisation.add_gradient(parameters)
        recipe.clipping.apply(parameters)
        learner.optimizer.step()
        loss_sum += loss
        done += 1
        if learner.average is not None:
            learner.average.follow(network, (epoch - 1) * steps + done, total * steps)
    return done / steps, float(loss_sum) / max(done, 1)


def fit_all(configuration: Configuration, task: Task, fold: Fold, epochs: int, total: int, seed: int) -> nn.Module:
    """Train a configuration on the fit rows of `fold` alone, for a fixed number of epochs; return it in evaluation mode.

    epochs, total: as those of the trial that found the configuration, so that the learning rate takes the same course. The fold
    needs no choose rows: nothing is scored. Raises `NoModelError` where training fails.
    """
    try:
        device = device_for(task)
        with one_thread(), own_randomness(device):
            learner = Learner(configuration, fold.inputs, fold.outputs, seed, device)
            rows = Rows.of(task, fold.fit, fold.outputs, device)
            pretrained = pretrain(learner, rows, seed, Clock(None))
            if pretrained.ending is not None:
                raise NoModelError(f"refit: pretraining must stay finite, but {pretrained.reason}")
            for epoch in range(1, epochs + 1):
                _, loss = train_epoch(learner, rows, epoch, total, Clock(None))
                if not math.isfinite(loss):
                    raise NoModelError(f"refit: the loss must stay finite, but is {loss} in epoch {epoch}")
            return learner.judged.eval().to(CPU)
    except (Infeasible, NetworkFault, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not ran_out_of_memory(error):
            raise
        raise NoModelError(f"refit: the network can't be trained on these rows: {error}") from error
