"""Trials in this process, one after the other: what a debugger can step through, and what systems without fork have."""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from automl.errors import RunError
from automl.executors.base import Node, TrialCrashed
from automl.task import Task
from automl.training.checkpoint import Checkpoints
from automl.trial import Outcome, Trial, run_trials


class InlineExecutor:
    """Runs a cohort within `wait`. Deadlines are kept by the training loop alone: nothing here can kill a trial that hangs."""

    def __init__(self, task_folder: Path, checkpoints_root: Path) -> None:
        self._task = Task.load(task_folder)
        self._checkpoints = Checkpoints(checkpoints_root)
        self._waiting: deque[tuple[int, list[Trial]]] = deque()
        self._submitted = 0
        self._is_stopped = False

    def room(self) -> int:
        return 0 if self._waiting or self._is_stopped else 1

    def free(self) -> int:
        return self.room()

    def submit(self, trials: Sequence[Trial]) -> int:
        if self._is_stopped:
            raise RunError("the executor must be running to take trials, but was stopped; make another")
        self._submitted += 1
        self._waiting.append((self._submitted, list(trials)))
        return self._submitted

    def wait(self, seconds: float) -> list[tuple[int, list[Outcome]]]:
        if not self._waiting:
            return []
        ticket, trials = self._waiting.popleft()
        try:
            return [(ticket, run_trials(trials, self._task, self._checkpoints))]
        except Exception as error:
            raise TrialCrashed(f"running trials {[trial.number for trial in trials]} raised\n{traceback.format_exc()}") from error

    def nodes(self) -> tuple[Node, ...]:
        return ()

    def news(self) -> list[str]:
        return []

    def keep(self, closed: frozenset[int], best: frozenset[int]) -> None:
        """Do nothing: trials write into the folder of the run themselves."""

    def stop(self) -> None:
        self._is_stopped = True
        self._waiting.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
