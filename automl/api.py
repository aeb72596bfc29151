"""`automl.search` and what it takes to begin, or go on with, a search: data, space, strategy, workers, record."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from automl.baselines import baseline_names
from automl.budget import default_epochs, searched_space
from automl.errors import OptionError
from automl.executors import Executor, default_executor, executor_for, start_workers
from automl.limits import Limits
from automl.live import View
from automl.options import SearchOptions, families_for, path_option
from automl.progress import Progress
from automl.result import SearchResult
from automl.run_folder import Run, check_free, make_empty
from automl.strategies import strategy_for
from automl.study import Callback, Study
from automl.task import DataOptions, make_task
from search_spaces.domains import Families
from search_spaces.language import Architecture


def search(  # noqa: PLR0913 - the one place where a user says everything; packed into two dataclasses at once
    data: Any = None,
    *,
    target: str | None = None,
    time_limit: float | None = None,
    n_trials: int | None = None,
    metric: str | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    task: Literal["binary", "multiclass", "regression"] | None = None,
    columns: Mapping[str, str] | None = None,
    validation: Any = None,
    test: Any = None,
    folds: int | None = None,
    repeats: int | None = None,
    groups: Any = None,
    time_column: Any = None,
    sample_weight: Any = None,
    class_weight: Any = None,
    families: Sequence[str | type[Architecture]] | None = None,
    space: Mapping[str, Any] | None = None,
    strategy: str = "tpe",
    halving: bool = True,
    epochs: int | None = None,
    workers: int | None = None,
    executor: Literal["processes", "inline"] | None = None,
    baselines: bool = True,
    include_baselines: bool = False,
    callbacks: Sequence[Callable[[Progress], bool | None]] = (),
    verbose: bool = True,
    overwrite: bool = False,
    resume: str | Path | None = None,
) -> SearchResult:
    """Search architectures and training recipes for a data set, and return the best model with the record of the search.

    What is learnt:
        data: a path to CSV, TSV or Parquet, a pandas DataFrame, or (X, y) of arrays or frames.
        target: the column to predict; not with (X, y).
        task: binary, multiclass or regression; detected from the target unless given.
        metric: what is maximised or minimised; roc_auc, accuracy or rmse by task unless given.
        columns: kinds of columns by name (numeric, boolean, categorical, datetime, text, ...), where detection errs.
        sample_weight: a column's name or an array `(rows,)`; counts in loss and metric. class_weight: "balanced" or {label: weight};
            counts in the loss only.

    Which rows do what:
        validation, test: the user's own rows to choose with and to report on, in any form that `data` may have.
        folds, repeats: choose on out-of-fold predictions; by default 5 x 2 below 1000 rows, a stratified holdout above.
        groups: a column's name or an array; no group is on two sides. time_column: likewise; later rows choose, the latest report.

    What is searched:
        families: names or Architecture classes. space: overrides of the space, `{"architecture/MLP/blocks/length": Int(1, 2)}`.
        strategy: "tpe" or "random". halving: stop poor configurations early (asynchronous successive halving).
        epochs: of a full training; by the number of rows unless given.

    How long and where:
        time_limit: seconds from call to return. n_trials: configurations to try. Neither: 600 seconds.
        seed: with n_trials and one worker, the same seed gives the same search.
        workers: processes that train at the same time; all cores unless given. executor: "processes" or "inline".
        out: the run's folder; `automl-results/<date and time>` unless given. overwrite: replace an earlier search in it.
        resume: the folder of a search that was killed or interrupted; goes on with its own data and options, and with
            `time_limit`, `n_trials`, `workers`, `executor` and `families` where given.
        callbacks: called with a `Progress` about twice a second; one that returns True ends the search.
        verbose: show progress on standard error.

    Ctrl-C ends the search and returns the best so far; what ran goes on with `resume`.

    Raises:
        DataError: the data can't be used. OptionError, SpaceError: an option can't. RunError: the folder can't.

    """
    started = time.time()
    if resume is not None:
        if data is not None or target is not None or out is not None:
            raise OptionError("resume goes on with the data and folder of the earlier search; give no data, target or out with it")
        changes = {"time_limit": time_limit, "n_trials": n_trials, "workers": workers, "executor": executor}
        chosen = families_for(families)
        return resume_search(resume, {k: v for k, v in changes.items() if v is not None}, chosen, callbacks, verbose=verbose)
    if data is None:
        raise OptionError("search needs data: a path to CSV, TSV or Parquet, a pandas DataFrame, or (X, y)")
    chosen = families_for(families)
    options = SearchOptions(
        time_limit=time_limit,
        n_trials=n_trials,
        strategy=strategy,
        halving=halving,
        epochs=epochs,
        seed=seed,
        workers=workers or 0,
        executor=executor or default_executor(),
        baselines=baselines,
        include_baselines=include_baselines,
        space=dict(space or {}),
        families=tuple(family.__name__ for family in chosen),
    )
    data_options = DataOptions(
        target=target,
        kind=task,
        metric=metric,
        columns=columns,
        validation=validation,
        test=test,
        folds=folds,
        repeats=repeats,
        groups=groups,
        time=time_column,
        sample_weight=sample_weight,
        class_weight=class_weight,
        seed=seed,
    )
    path = path_option("out", out) if out is not None else _default_path()
    begun = Beginning(started, options, chosen, tuple(callbacks), verbose)
    return begun.new(path, data, data_options, overwrite=overwrite)
