"""A trial is a pure function: `run_trials(trials, task, checkpoints) -> outcomes`, the same in any process on any machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from search_spaces.configuration import Configuration

Status: TypeAlias = Literal[
    "finished",  # trained to `stop`
    "stopped",  # stopped early: no improvement for the patience
    "cut",  # the deadline came; scored by the best epoch so far
    "diverged",  # a loss or prediction that isn't finite
    "out_of_memory",
    "infeasible",  # the configuration makes no network for this task
    "timeout",  # the deadline passed and the worker had to be killed, or nothing was trained before it
    "killed",  # the worker died
    "error",  # an exception in a user's family or in a baseline's library
]
SCORED: frozenset[Status] = frozenset({"finished", "stopped", "cut"})


@dataclass(frozen=True)
class Trial:
    """One network to train, or one baseline to fit, on one fold.

    number: the trial's own number, unique in a run. configuration: what to train, or the name of a baseline. configuration_number: the number of
    the configuration; trials that differ only in fold or epochs share it, and with it their checkpoints. seed: equal for all rungs
    of a configuration on a fold. start, stop, total: epochs. deadline: seconds since the epoch (`time.time()`), or None.
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


@dataclass(frozen=True)
class Outcome:
    """What became of a trial.

    score: the metric on the fold's choose rows, in the metric's own sign, of the best epoch; None unless status is in SCORED.
    epochs: trained in all rungs together; best_epoch: the one scored. seconds: spent in this trial, scoring included.
    predict_ms: milliseconds to predict 1000 rows. curve: (epoch, score) for each epoch trained in this trial.
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


def trial_to_dict(trial: Trial) -> dict[str, Any]:
    """Return a trial as JSON data."""
    raise AssertionError


def trial_from_dict(data: Mapping[str, Any], families: tuple[type, ...] = ()) -> Trial:
    """Return the trial that `trial_to_dict` wrote."""
    raise AssertionError
