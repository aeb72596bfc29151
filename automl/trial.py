"""A trial is a pure function: `run_trials(trials, task, checkpoints) -> outcomes`, the same in any process on any machine."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, TypeAlias

from automl.baselines import BaselineFault, fit_baseline
from automl.demands import Demands, Measured
from automl.errors import DataError, RunError
from automl.metrics import metric
from automl.task import Task
from automl.training.checkpoint import Checkpoints, Progress, Snapshot
from automl.training.course import Span
from automl.training.loop import train
from automl.training.measuring import lacked_memory, measured, timed_again
from automl.training.memory import ran_out_of_memory
from automl.training.networks import CPU, NetworkFault, described, device_for, one_thread
from automl.training.usage import Meter
from search_spaces.configuration import KNOWN, Configuration
from search_spaces.domains import Families, Infeasible

Status: TypeAlias = Literal[
    "finished",  # trained to `stop`
    "stopped",  # stopped early: no improvement for the patience
    "cut",  # the deadline came; scored by the best epoch so far
    "diverged",  # a loss or prediction that isn't finite
    "out_of_memory",
    "infeasible",  # the configuration makes no network for this task, or one that breaks a hard limit
    "timeout",  # the deadline passed and the worker had to be killed, or nothing was trained before it
    "killed",  # the worker died
    "error",  # an exception in a user's family or in a baseline's library
]
Costs: TypeAlias = dict[int, Measured]  # of networks, by the number of the configuration
SCORED: frozenset[Status] = frozenset({"finished", "stopped", "cut"})


@dataclass(frozen=True)
class Trial:
    """One network to train, or one baseline to fit, on one fold.

    number: the trial's own number, unique in a run. configuration: what to train, or the name of a baseline.
    configuration_number: trials that differ only in fold or epochs share it, and with it their checkpoints. seed: equal for all
    rungs of a configuration on a fold. start, stop, total: epochs. deadline: in `time.time()` seconds, or None. allowance: the
    seconds that it may take from its own start, or None. demands: what its network must keep to before its first epoch, or None.
    """

    number: int
    configuration_number: int
    configuration: Configuration | str
    seed: int
    start: int
    stop: int
    total: int
    fold: int
    deadline: float | None
    allowance: float | None = None
    demands: Demands | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a trial.

    score: the metric on the fold's choose rows, in the metric's own sign, of the best epoch; None unless status is in SCORED.
    epochs: trained in all rungs together; best_epoch: the one scored (of boosting, its iterations). seconds: spent in this trial,
    scoring included, and pretraining, which only the trial that begins a training has.
    predict_ms: milliseconds to predict 1000 rows. curve: (epoch, score) for each epoch trained in this trial. weight_bytes,
    latency_ms, memory_bytes, violation: as `Measured`, where the trial had demands and began at epoch 0; a violation above 0: the
    network broke a hard limit, and wasn't trained. Of one that ran out of memory memory_bytes are those of `lacked_memory`.

    Where it ran, and what it took there; of a trial that never ran, nothing. host: the machine's name. device: "cpu", or a GPU,
    "cuda:0 NVIDIA H100". peak_bytes: the most memory while it ran: of the GPU what torch took, else all that the process held.
    utilisation: the share of its seconds, from 0 to 1, in which the device worked; 0 also of a GPU without `pynvml` to ask.
    """

    trial: int
    status: Status
    reason: str = ""
    score: float | None = None
    epochs: int = 0
    best_epoch: int = 0
    seconds: float = 0.0
    parameters: int = 0
    predict_ms: float = 0.0
    curve: tuple[tuple[int, float], ...] = ()
    weight_bytes: int = 0
    latency_ms: float = 0.0
    memory_bytes: int = 0
    violation: float = 0.0
    host: str = ""
    device: str = ""
    peak_bytes: int = 0
    utilisation: float = 0.0


def trial_to_dict(trial: Trial) -> dict[str, Any]:
    """Return a trial as JSON data."""
    values = {entry.name: getattr(trial, entry.name) for entry in fields(Trial)}
    made_of, demands = trial.configuration, None if trial.demands is None else asdict(trial.demands)
    return {**values, "configuration": made_of if isinstance(made_of, str) else made_of.to_dict(), "demands": demands}


def trial_from_dict(data: Mapping[str, Any], families: Families = ()) -> Trial:
    """Return the trial that `trial_to_dict` wrote; `families` are those known beside the built-in ones."""
    made_of = data["configuration"]
    known = tuple(dict.fromkeys([*KNOWN, *families]))
    configuration = made_of if isinstance(made_of, str) else Configuration.from_dict(made_of, known)
    values = {entry.name: data[entry.name] for entry in fields(Trial)}
    demands = None if data["demands"] is None else Demands(**data["demands"])
    return Trial(**{**values, "configuration": configuration, "demands": demands})


def run_trials(trials: Sequence[Trial], task: Task, checkpoints: Checkpoints) -> list[Outcome]:
    """Run trials one after the other and return an outcome for each, in their order.

    Reads the checkpoint that a trial continues, writes the one that it ends with and the predictions for the choose rows; touches
    nothing else. Trials share the time to their deadline: none may use up what the others need. A network is measured on its
    first fold, for all of them. What can go wrong with a configuration is an outcome; an exception is a bug, or the user's
    Ctrl-C.
    """
    costs: Costs = {}
    with one_thread():
        return [_run(_with_share(trial, len(trials) - i), task, checkpoints, costs) for i, trial in enumerate(trials)]


def _with_share(trial: Trial, waiting: int) -> Trial:
    """Give a trial a deadline of its own: its allowance, or its share of the time left if `waiting` trials need some of it."""
    now = time.time()
    ends = [] if trial.deadline is None else [now + (trial.deadline - now) / waiting]
    ends += [] if trial.allowance is None else [now + trial.allowance]
    return replace(trial, deadline=min(ends)) if ends else trial


def _run(trial: Trial, task: Task, checkpoints: Checkpoints, costs: Costs) -> Outcome:
    began = time.perf_counter()
    if trial.deadline is not None and time.time() >= trial.deadline:
        return Outcome(trial.number, "timeout", "its deadline came before it began")
    with Meter(CPU if isinstance(trial.configuration, str) else device_for(task)) as meter:
        outcome = _attempt(trial, task, checkpoints, costs)
    if outcome.status == "out_of_memory":  # not in the handler: its exception held the tensors of the training
        outcome = replace(outcome, memory_bytes=_lacked(trial, task))
    return replace(outcome, seconds=time.perf_counter() - began, **asdict(meter.usage))


def _attempt(trial: Trial, task: Task, checkpoints: Checkpoints, costs: Costs) -> Outcome:
    try:
        if isinstance(trial.configuration, str):
            return _fit(trial, trial.configuration, task, checkpoints)
        return _train_if_allowed(trial, trial.configuration, task, checkpoints, costs)
    except Infeasible as error:
        return Outcome(trial.number, "infeasible", str(error))
    except (NetworkFault, BaselineFault, DataError, RunError, MemoryError, RuntimeError) as error:
        if ran_out_of_memory(error):
            return Outcome(trial.number, "out_of_memory", described(error))
        if isinstance(error, RuntimeError):
            raise
        return Outcome(trial.number, "error", str(error))


def _lacked(trial: Trial, task: Task) -> int:
    if isinstance(trial.configuration, str):
        return 0
    try:
        return lacked_memory(trial.configuration, task, task.folds[trial.fold])
    except (Infeasible, NetworkFault, DataError):
        return 0


def _train_if_allowed(trial: Trial, configuration: Configuration, task: Task, checkpoints: Checkpoints, costs: Costs) -> Outcome:
    """Train a network unless it breaks a hard limit; the outcome says what it costs."""
    number = trial.configuration_number
    if trial.demands is None or trial.start:
        return _train(trial, configuration, task, checkpoints)
    if number not in costs:
        costs[number] = measured(configuration, task, task.folds[trial.fold], trial.demands)
    cost = costs[number]
    if cost.violation:
        outcome = Outcome(trial.number, "infeasible", cost.reason, parameters=cost.parameters)
    else:
        outcome = _train(trial, configuration, task, checkpoints)
    if trial.demands.is_timed and outcome.status in {"finished", "stopped"}:  # else there is no time left
        cost = costs[number] = timed_again(cost, configuration.architecture, task, task.folds[trial.fold])
    return replace(
        outcome,
        weight_bytes=cost.weight_bytes,
        latency_ms=cost.latency_ms,
        memory_bytes=cost.memory_bytes,
        violation=cost.violation,
    )


def _train(trial: Trial, configuration: Configuration, task: Task, checkpoints: Checkpoints) -> Outcome:
    number, fold = trial.configuration_number, trial.fold
    earlier = _earlier(trial, checkpoints) if trial.start else None
    choosy = trial.allowance is not None  # the default network goes on as long as there is time
    span = Span(trial.seed, trial.start if earlier else 0, trial.stop, trial.total, trial.deadline, choosy)
    trained = train(configuration, task, task.folds[fold], span, earlier, device_for(task))
    if trained.snapshot is not None:
        checkpoints.write(number, fold, trained.snapshot)
    if trained.predictions is not None:
        checkpoints.write_predictions(number, fold, trained.predictions)
    return Outcome(
        trial=trial.number,
        status=trained.ending,
        reason=trained.reason,
        score=trained.progress.best_score if trained.ending in SCORED else None,
        epochs=trained.progress.epoch,
        best_epoch=trained.progress.best_epoch,
        parameters=trained.parameters,
        predict_ms=trained.predict_ms,
        curve=tuple(point for point in trained.curve if point[0] > trial.start),
    )


def _earlier(trial: Trial, checkpoints: Checkpoints) -> Snapshot | None:
    """Return the snapshot that a trial goes on from: of the epoch where it starts, or where its fold stopped early before.

    None where it is lost, with the node or the machine that held it: training begins anew then, which gives the same weights.
    """
    number, fold = trial.configuration_number, trial.fold
    epoch = checkpoints.latest(number, fold, trial.start)
    if not checkpoints.exists(number, fold, epoch):
        return None
    latest = checkpoints.read(number, fold, epoch)
    return latest if epoch == trial.start or latest.progress.stopped else None


def _fit(trial: Trial, name: str, task: Task, checkpoints: Checkpoints) -> Outcome:
    number, fold = trial.configuration_number, task.folds[trial.fold]
    fitted = fit_baseline(name, task, fold, trial.seed, trial.deadline)
    weight = None if task.score_weight is None else task.score_weight[fold.choose]
    score = metric(task.metric, task.kind).score(task.target[fold.choose], fitted.predictions, weight)
    if math.isnan(score):
        reason = f"{task.metric} is undefined on the {len(fold.choose)} choose rows of this fold"
        return Outcome(trial.number, "error", reason)
    if fitted.weights is not None:
        checkpoints.write(number, trial.fold, Snapshot(Progress(), fitted.weights, fitted.weights, {}))
    checkpoints.write_predictions(number, trial.fold, fitted.predictions)
    checkpoints.write_predictions(number, trial.fold, fitted.report, "report")
    return Outcome(
        trial=trial.number,
        status="cut" if fitted.cut else "finished",
        reason=fitted.reason,
        score=score,
        best_epoch=fitted.iterations,
        parameters=fitted.parameters,
        predict_ms=fitted.predict_ms,
    )
