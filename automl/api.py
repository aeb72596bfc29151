"""`automl.search`: everything a user can say to a search, packed into options and handed to `automl.launch`."""

from __future__ import annotations

import inspect
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from automl.data.options import DataOptions
from automl.enqueued import Enqueued, as_list
from automl.errors import OptionError
from automl.executors import default_executor
from automl.launch import Launch
from automl.options import SearchOptions, families_for, path_option
from automl.result import SearchResult
from automl.strategies import Given, strategy_name
from automl.strategies.base import Schedule
from automl.study import Callback
from search_spaces.base import Scalar
from search_spaces.configuration import Configuration
from search_spaces.language import Architecture

_CHANGEABLE = ("time_limit", "n_trials", "workers", "executor", "cluster", "storage", "cpus_per_trial", "gpus_per_trial")
_RESUMABLE = {"resume", "families", "strategy", "callbacks", "verbose", *_CHANGEABLE}


def search(  # noqa: PLR0913 - the one place where a user says everything; packed into two dataclasses at once
    data: Any = None,
    *,
    target: str | Sequence[str] | None = None,
    time_limit: float | None = None,
    n_trials: int | None = None,
    metric: str | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    task: Literal["binary", "multiclass", "regression", "multilabel", "forecast", "reconstruction"] | None = None,
    inputs: Literal["table", "images", "sequences", "texts"] | None = None,
    columns: Mapping[str, str] | None = None,
    validation: Any = None,
    test: Any = None,
    folds: int | None = None,
    repeats: int | None = None,
    groups: Any = None,
    time_column: Any = None,
    id_column: str | None = None,
    horizon: int | None = None,
    context: int | None = None,
    season: int | None = None,
    tokenizer: Literal["words", "bpe", "bytes"] = "words",
    code: int | None = None,
    image_size: int | tuple[int, int] | None = None,
    image_fit: Literal["crop", "pad", "stretch"] = "crop",
    image_memory: float | None = None,
    max_broken: float = 0.01,
    sample_weight: Any = None,
    class_weight: Any = None,
    families: Sequence[str | type[Architecture]] | None = None,
    space: Mapping[str, Any] | None = None,
    enqueue: Sequence[Enqueued] = (),
    prior: Mapping[str, Scalar] | None = None,
    strategy: Given[Configuration] = "auto",
    schedule: Schedule = "auto",
    objectives: Sequence[str] = (),
    max_parameters: float | None = None,
    max_bytes: float | None = None,
    max_latency_ms: float | None = None,
    max_memory: float | None = None,
    epochs: int | None = None,
    workers: int | None = None,
    executor: str | None = None,
    cluster: str | None = None,
    storage: str | Path | None = None,
    cpus_per_trial: float | None = None,
    gpus_per_trial: float | Literal["auto"] | None = None,
    portfolio: bool = True,
    baselines: bool = True,
    include_baselines: bool = False,
    callbacks: Sequence[Callback] = (),
    verbose: bool = True,
    overwrite: bool = False,
    resume: str | Path | None = None,
) -> SearchResult:
    """Search architectures and training recipes for a data set, and return the best model with the record of the search.

    What is learnt:
        data: a table: a path to CSV, TSV or Parquet, a pandas DataFrame, or (X, y) of arrays or frames; columns of text are
            read too, and a list of texts is a table of one. Or images: a folder that holds a folder of images for each class, an
            .npz file with x and y (or x_train, y_train, x_test, y_test), a table with a column of paths, (X, y) with X `(n,
            height, width[, channels])`, or a torch Dataset of (image, label). Or sequences: (X, y) with X `(n, steps, channels)`,
            padded with NaN, or a list of arrays of any lengths; an .npz file with x, y and len; a table whose rows are steps
            (`id_column`).
        target: the column to predict, or a list of several (all numbers, or all labels that are 0 or 1); not with (X, y),
            folders, .npz files and Datasets. Of a table without a target autoencoders are searched, of images with
            task="reconstruction".
        task: binary, multiclass, regression or multilabel; detected from the target unless given. reconstruction: learn without
            labels, also from images.
        inputs: what the data are, "table", "images", "sequences" or "texts"; detected unless given.
        id_column: of a table whose rows are steps, the column that tells sequences apart; `time_column` orders their steps.
        horizon: forecast so many steps of the target ahead, of a table whose rows are steps in time (`time_column`). context: the
            steps of history that a forecast sees. season: the steps after which the series repeats itself; both by the data. With
            validation= and no test= nothing is left to report on.
        tokenizer: how texts are cut: "words", "bpe" (frequent parts of words) or "bytes".
        code: numbers that autoencoders reduce a row to; a quarter of the features, from 2 to 32, unless given.
        metric: what is maximised or minimised; unless given roc_auc, accuracy, rmse, of forecasts mae, by task.
        columns: kinds of columns by name (numeric, boolean, categorical, datetime, text, ...), where detection errs.
        sample_weight: a column's name or an array `(rows,)`; counts in loss and metric.
        class_weight: "balanced" or {label: weight}; counts in the loss only.

    Which rows do what:
        validation, test: the user's own rows to choose with and to report on, in any form that `data` may have.
        folds, repeats: choose on out-of-fold predictions; by default 5 x 2 below 1000 rows (5 of images and sequences), a
            stratified holdout above.
        groups: a column's name or an array; no group is on two sides.
        time_column: a column's name or an array; later rows choose, the latest report (not with `id_column`).

    How images are read:
        image_size: pixels, of both sides or (height, width); unless given that of the images, or a smaller one that suits them.
        image_fit: "crop", "pad" or "stretch" images of another shape.
        image_memory: bytes that decoded images may take, a quarter of the free memory unless given; images of files beyond are
            decoded while networks train.
        max_broken: the share of files that may be unreadable; they are named and left out.

    What is searched:
        families: names or Architecture classes. space: overrides of the space, `{"architecture/MLP/blocks/length": Int(1, 2)}`.
        enqueue: networks of the space to try right after the default: each a Configuration (e.g. `result.configuration(12)` of
            another search), an Architecture, `MLP(blocks=(Plain(width=64),))`, or either as its `to_dict()` returns it.
        prior: guesses of good values, `{"recipe/optimizer/AdamW/lr": 3e-4, "*/dropout": 0.1}`, by path or glob: tried first,
            and followed less the more is known, or as soon as they prove wrong.
        strategy: who thinks of configurations: "auto", "bayes", "evolution", "tpe", "gp", "cmaes", "nsga2" or "random"; a sampler
            of Optuna's, used as it is; or a function (space, plan) that returns a `Strategy` of your own. A search with either of
            the last two is resumed with the same `strategy`. "auto" is bayes, but evolution for several objectives and for more
            than 64 workers.
        schedule: how long each is trained: "full" trains all to the end; "halving" sends on the best third of each rung,
            "hyperband" too, but begins some with a later rung (both asynchronous); "median" stops who learns worse than half of
            the others; "auto" is the strategy's own choice.
        portfolio: try a few networks first, after those enqueued, that were good on public data (so far of family MLP on tables);
            at most a third of `n_trials`, and none with a `prior`.
        epochs: of a full training; by the number of rows unless given.

    What a network may cost:
        max_parameters, max_bytes (of the file of weights), max_latency_ms (to predict one row: the median of several, one core,
            the network alone), max_memory (bytes that a training takes, about): hard limits on one network, also where folds make
            a model of several. What breaks one is refused before it is trained.
        objectives: what is minimised beside the metric, of "latency", "parameters", "bytes" and "seconds" (of training). The best
            is still the best by the metric; `front()` has the others worth a look. Times differ from run to run, and with them
            searches that limit or minimise them.

    How long and where:
        time_limit: seconds from call to return (images are read in full). n_trials: configurations to try. Neither: 600 seconds.
        seed: with n_trials and one worker, the same seed gives the same search.
        workers: trainings at the same time; all cores (of a cluster, as many as fit) unless given.
        executor: "processes" or "inline".
        cluster: run trials on a Ray cluster instead: "auto", the one that this process belongs to; "ray://host:10001" or
            "host:6379"; or "local", one of this machine. automl must be installed on its nodes. What runs on a node that dies
            runs again on another.
        storage: a folder or a URL (s3://...) that all nodes reach: checkpoints and a copy of the record are kept there, from
            which `resume` goes on even on another machine. Without one, checkpoints travel through the memory of the cluster, and
            a search that is resumed trains anew what wasn't finished.
        cpus_per_trial, gpus_per_trial: what a trial takes of a node; 1, and "auto": none for tables, else what the first trials
            needed of a GPU, so that several share one.
        out: the run's folder; `automl-results/<date and time>` unless given. overwrite: replace an earlier search in it.
        resume: the folder of a search that was killed or interrupted; goes on with its own data and options, and with
            what is said here of how long and where, `families` and `strategy`, where given.
        callbacks: called with a `Progress` about twice a second; one that returns True ends the search.
        verbose: show progress on standard error.

    Ctrl-C ends the search and returns the best so far; what ran goes on with `resume`.

    Raises:
        DataError: the data can't be used. OptionError, SpaceError: an option can't. RunError: the folder can't.

    """
    storage = str(storage) if isinstance(storage, Path) else storage
    given = locals()
    if not isinstance(callbacks, Sequence) or not all(callable(callback) for callback in callbacks):
        raise OptionError(f"callbacks must be a list of functions of a Progress, got {callbacks!r}")
    if cluster is not None and executor is not None:
        raise OptionError(f"executor says where on this machine trials run: leave {executor!r} out with cluster={cluster!r}")
    launch = Launch(time.time(), families_for(families), tuple(callbacks), verbose, as_list(enqueue), strategy)
    if resume is not None:
        _check_resumable(given)
        return launch.resumed(path_option("resume", resume), {name: given[name] for name in _CHANGEABLE})
    if data is None:
        raise OptionError("search needs data: a path to a table, images or sequences, a pandas DataFrame, or (X, y)")
    options = SearchOptions(
        time_limit=time_limit,
        n_trials=n_trials,
        strategy=strategy_name(strategy),
        prior={} if prior is None else prior,
        schedule=schedule,
        objectives=objectives,
        max_parameters=max_parameters,
        max_bytes=max_bytes,
        max_latency_ms=max_latency_ms,
        max_memory=max_memory,
        epochs=epochs,
        seed=seed,
        workers=0 if workers is None else workers,
        executor=default_executor() if executor is None else executor,
        cluster=cluster,
        storage=storage,
        cpus_per_trial=1.0 if cpus_per_trial is None else cpus_per_trial,
        gpus_per_trial="auto" if gpus_per_trial is None else gpus_per_trial,
        portfolio=portfolio,
        baselines=baselines,
        include_baselines=include_baselines,
        families=tuple(family.__name__ for family in launch.families),
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
        inputs=inputs,
        id_column=id_column,
        horizon=horizon,
        context=context,
        season=season,
        tokenizer=tokenizer,
        code=code,
        image_size=image_size,
        image_fit=image_fit,
        image_memory=image_memory,
        max_broken=max_broken,
        sample_weight=sample_weight,
        class_weight=class_weight,
        seed=seed,
    )
    path = _default_path() if out is None else path_option("out", out)
    if not isinstance(space or {}, Mapping):
        raise OptionError(f"space must be a dict of path: domain or value, got {type(space).__name__}")
    if not isinstance(columns or {}, Mapping):
        raise OptionError(f"columns must be a dict of name: kind, got {type(columns).__name__}")
    return launch.new(path, data, data_options, options, space or {}, overwrite=overwrite)


def _check_resumable(given: Mapping[str, Any]) -> None:
    """Raise `OptionError` where options were given that a resumed search doesn't take, because its own stand."""
    usual = {name: parameter.default for name, parameter in inspect.signature(search).parameters.items()}
    plain = (bool, int, float, str)
    for name in given.keys() - _RESUMABLE:
        value = given[name]
        if value is not usual[name] and not (isinstance(value, plain) and value == usual[name]):
            raise OptionError(
                f"resume goes on with the data, the folder and the options of the earlier search: give {name} to a new search; "
                f"with resume only {', '.join(sorted(_RESUMABLE - {'resume'}))} can be given"
            )


def _default_path() -> Path:
    """Return a new folder's name below the working directory; searches begun within one second are told apart."""
    name = f"{datetime.now():%Y-%m-%d-%H%M%S}"  # noqa: DTZ005 - the user's own clock names it
    names = (name, *(f"{name}-{number}" for number in range(2, 1000)))
    return next(path for path in (Path("automl-results") / one for one in names) if not path.exists())
