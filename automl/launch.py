"""Putting a search together: data, space, strategy, workers and record, for a new run or an earlier one."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from automl.baselines import baseline_names
from automl.budget import default_epochs, searched_space
from automl.errors import RunError
from automl.executors import Workers
from automl.limits import Limits
from automl.live import View
from automl.options import SearchOptions
from automl.result import SearchResult
from automl.run_folder import Run, check_free, make_empty
from automl.strategies import strategy_for
from automl.study import Callback, Study
from automl.task import DataOptions, make_task
from search_spaces.domains import Families
from search_spaces.storing import overrides_from_dict, overrides_to_dict


@dataclass(frozen=True)
class Launch:
    """A search about to begin. started: `time.time()` of the user's call, from which the time limit counts."""

    started: float
    options: SearchOptions
    families: Families
    callbacks: Sequence[Callback]
    verbose: bool

    def new(self, path: Path, data: Any, data_options: DataOptions, *, overwrite: bool) -> SearchResult:
        """Begin a search in the folder `path`."""
        check_free(path, overwrite=overwrite)
        with Workers(self.options.executor, self.families) as workers:  # they load their libraries while the data are read
            task = make_task(data, data_options)
            options = replace(self.options, epochs=self.options.epochs or default_epochs(len(task.folds[0].fit)))
            make_empty(path)
            settings = {**options.to_dict(), "space": overrides_to_dict(options.space)}
            run = Run.create(path, task, settings)
            return replace(self, options=options)._search(run, workers, spent=0.0)

    def resumed(self, path: Path, spent: float) -> SearchResult:
        """Go on with the search in the folder `path`, of which `spent` seconds count against the time limit."""
        with Workers(self.options.executor, self.families) as workers:
            run = Run.open(path, self.families)
            return self._search(run, workers, spent)

    def _search(self, run: Run, workers: Workers, spent: float) -> SearchResult:
        options, task = self.options, run.task
        limits = Limits(options.time_limit, self.started, spent)
        space = searched_space(task, options, self.families)
        with run.store, self._view(task.metric) as view:
            if view is not None:
                view.say(task.describe())
            study = Study(
                run_folder=run,
                strategy=strategy_for(space, options),
                executor=workers.executor(run.path, options.workers),
                limits=limits,
                seed=options.seed,
                callbacks=[*self.callbacks, *([view] if view is not None else [])],
            )
            try:
                study.run(baseline_names(task.kind) if options.baselines else ())
            except KeyboardInterrupt:
                study.ended_by = "interrupted; resume goes on"
        return SearchResult(run, options.include_baselines, study.ended_by)
