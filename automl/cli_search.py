"""`automl search` and `automl resume`, and the board that both print at the end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from automl.cli_options import (
    AsJson,
    Cluster,
    CpusPerTrial,
    Family,
    GpusPerTrial,
    ImageFit,
    InputKind,
    RunFolder,
    ScheduleKind,
    Storage,
    TaskKind,
    TokenizerKind,
    check_ended_well,
    families_given,
    gpus_given,
    guesses_given,
    kinds_of_columns,
    networks_in,
    size_in_pixels,
)

if TYPE_CHECKING:
    from automl.result import SearchResult

_FILE_WIDTH = 160  # characters of a line where output doesn't go to a terminal


def search(  # noqa: PLR0913, PLR0917 - one parameter for each option of the command
    data: Annotated[
        Path,
        typer.Argument(
            help="A table (CSV, TSV, Parquet; columns may hold texts or paths of images), a folder with a folder of images for "
            "each class, or an .npz file of images or sequences.",
            show_default=False,
        ),
    ],
    target: Annotated[
        list[str] | None,
        typer.Option(help="Column to predict; repeat for several. Without one, of a table: autoencoders.", show_default=False),
    ] = None,
    time_limit: Annotated[
        float | None, typer.Option(help="Seconds, everything included. [default: 600, without --n-trials]")
    ] = None,
    n_trials: Annotated[int | None, typer.Option(help="Number of configurations to try.")] = None,
    metric: Annotated[str | None, typer.Option(help="E.g. roc_auc, accuracy, log_loss, rmse, mae. [default: by task]")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run. [default: automl-results/DATE-TIME]")] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    task: Annotated[TaskKind | None, typer.Option(help="What is learnt. [default: detected]", case_sensitive=False)] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="Kind of a column, NAME=KIND (numeric, categorical, ...). Repeat.")
    ] = None,
    validation: Annotated[Path | None, typer.Option(help="Your own rows to choose with.")] = None,
    test: Annotated[Path | None, typer.Option(help="Your own rows to report on; never trained on.")] = None,
    folds: Annotated[int | None, typer.Option(help="Choose on out-of-fold predictions. [default: 5 below 1000 rows]")] = None,
    groups: Annotated[str | None, typer.Option(help="Column whose values must not be split.")] = None,
    time_column: Annotated[str | None, typer.Option(help="Column of time: later rows choose and report.")] = None,
    inputs: Annotated[InputKind | None, typer.Option(help="What the data are. [default: detected]")] = None,
    id_column: Annotated[str | None, typer.Option(help="Column that tells sequences apart, where rows are steps.")] = None,
    horizon: Annotated[int | None, typer.Option(help="Forecast the target so many steps ahead.")] = None,
    context: Annotated[int | None, typer.Option(help="Steps of history that a forecast sees. [default: by the data]")] = None,
    season: Annotated[
        int | None, typer.Option(help="Steps after which the series repeats itself. [default: by the data]")
    ] = None,
    tokenizer: Annotated[TokenizerKind, typer.Option(help="How texts are cut.")] = TokenizerKind.words,
    code: Annotated[int | None, typer.Option(help="Numbers that autoencoders reduce a row to. [default: by the columns]")] = None,
    sample_weight: Annotated[str | None, typer.Option(help="Column of row weights.")] = None,
    image_size: Annotated[str | None, typer.Option(help="Pixels, 64 or 48x64 (height x width). [default: by the images]")] = None,
    image_fit: Annotated[ImageFit, typer.Option(help="What to do with images of another shape.")] = ImageFit.crop,
    image_memory: Annotated[
        float | None, typer.Option(help="Bytes that decoded images may take. [default: a quarter of the free memory]")
    ] = None,
    max_broken: Annotated[float, typer.Option(help="Share of image files that may be unreadable.")] = 0.01,
    balanced: Annotated[bool, typer.Option(help="Weigh classes equally in the loss.")] = False,
    family: Family = None,
    prior: Annotated[
        list[str] | None,
        typer.Option(help="A guess of a good value, PATH=VALUE, e.g. '*/lr=3e-4'. Repeat for several.", show_default=False),
    ] = None,
    strategy: Annotated[
        str, typer.Option(help="Who thinks of configurations: auto, bayes, evolution, tpe, gp, cmaes, nsga2 or random.")
    ] = "auto",
    schedule: Annotated[ScheduleKind, typer.Option(help="How long each is trained.")] = ScheduleKind.auto,
    objective: Annotated[
        list[str] | None,
        typer.Option(help="Minimise too: latency, parameters, bytes or seconds. Repeat for several.", show_default=False),
    ] = None,
    max_parameters: Annotated[float | None, typer.Option(help="Train no network with more parameters.")] = None,
    max_bytes: Annotated[float | None, typer.Option(help="Train no network whose weights take more bytes in a file.")] = None,
    max_latency_ms: Annotated[float | None, typer.Option(help="Train no network slower to predict one row.")] = None,
    max_memory: Annotated[float | None, typer.Option(help="Train no network that takes more bytes to train.")] = None,
    enqueue: Annotated[
        Path | None, typer.Option(help="A JSON file: a network to try first, or a list of them.", show_default=False)
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of a full training. [default: by rows]")] = None,
    workers: Annotated[int | None, typer.Option(help="Trainings at the same time. [default: all cores]")] = None,
    executor: Annotated[str | None, typer.Option(help="processes or inline. [default: processes]")] = None,
    cluster: Cluster = None,
    storage: Storage = None,
    cpus_per_trial: CpusPerTrial = None,
    gpus_per_trial: GpusPerTrial = None,
    portfolio: Annotated[bool, typer.Option(help="First try what was good on other data.")] = True,
    baselines: Annotated[bool, typer.Option(help="Fit reference models beside the networks.")] = True,
    overwrite: Annotated[bool, typer.Option(help="Replace an earlier search in --out.")] = False,
    as_json: AsJson = False,
) -> None:
    """Search for the best network.

    **Example**: automl search adult.csv --target income --time-limit 120 --out results/adult

    Ctrl-C ends the search with the best so far, saved; `automl resume` goes on.
    """
    from automl.api import search as run_search

    result = run_search(
        data,
        target=target[0] if target is not None and len(target) == 1 else target or None,
        time_limit=time_limit,
        n_trials=n_trials,
        metric=metric,
        out=out,
        seed=seed,
        task=None if task is None else task.value,
        columns=kinds_of_columns(column),
        validation=validation,
        test=test,
        folds=folds,
        groups=groups,
        time_column=time_column,
        inputs=None if inputs is None else inputs.value,
        id_column=id_column,
        horizon=horizon,
        context=context,
        season=season,
        tokenizer=tokenizer.value,
        code=code,
        sample_weight=sample_weight,
        image_size=size_in_pixels(image_size),
        image_fit=image_fit.value,
        image_memory=image_memory,
        max_broken=max_broken,
        class_weight="balanced" if balanced else None,
        families=families_given(family),
        prior=guesses_given(prior),
        strategy=strategy,
        schedule=schedule.value,
        objectives=tuple(objective or ()),
        max_parameters=max_parameters,
        max_bytes=max_bytes,
        max_latency_ms=max_latency_ms,
        max_memory=max_memory,
        enqueue=networks_in(enqueue),
        epochs=epochs,
        workers=workers,
        executor=executor,
        cluster=cluster,
        storage=storage,
        cpus_per_trial=cpus_per_trial,
        gpus_per_trial=gpus_given(gpus_per_trial),
        portfolio=portfolio,
        baselines=baselines,
        overwrite=overwrite,
        verbose=not as_json,
    )
    show(result, as_json=as_json)
    check_ended_well(result)
    _ = result.best_entry  # raises: a search without a model must not look like success


def resume(  # noqa: PLR0913, PLR0917 - one parameter for each option of the command
    run: RunFolder,
    time_limit: Annotated[float | None, typer.Option(help="Seconds for this continuation. [default: what is left]")] = None,
    n_trials: Annotated[int | None, typer.Option(help="Configurations in all. [default: as before]")] = None,
    workers: Annotated[int | None, typer.Option(help="Trainings at the same time. [default: as before]")] = None,
    executor: Annotated[str | None, typer.Option(help="processes or inline: go on without a cluster.")] = None,
    cluster: Cluster = None,
    storage: Storage = None,
    cpus_per_trial: CpusPerTrial = None,
    gpus_per_trial: GpusPerTrial = None,
    family: Family = None,
    as_json: AsJson = False,
) -> None:
    """Go on with a search that was killed or interrupted.

    **Example**: automl resume results/adult --time-limit 300
    """
    from automl.api import search as run_search

    result = run_search(
        resume=run,
        time_limit=time_limit,
        n_trials=n_trials,
        workers=workers,
        executor=executor,
        cluster=cluster,
        storage=storage,
        cpus_per_trial=cpus_per_trial,
        gpus_per_trial=gpus_given(gpus_per_trial),
        families=families_given(family),
        verbose=not as_json,
    )
    show(result, as_json=as_json)
    check_ended_well(result)
    _ = result.best_entry


def show(result: SearchResult, *, as_json: bool, top: int | None = None, front: bool = False) -> None:
    """Print the board of a search, or its front."""
    from automl.board import records, text_table

    board = result.front() if front else result.leaderboard()
    board = board if top is None else board.head(top)
    if as_json:
        about = {"path": str(result.path), "metric": result.run.task.metric}
        typer.echo(json.dumps({**about, "front" if front else "leaderboard": records(board)}))
        return
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_FILE_WIDTH)
    console.print(str(result.path), markup=False, soft_wrap=True)
    console.print(text_table(board, console.width))
    console.print(result.summary(), markup=False, soft_wrap=True)
