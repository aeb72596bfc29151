"""The command line: the same searches, boards and models as from Python.

Results go to standard output (as JSON with `--json`), progress and errors to standard error. Exit codes: 0; 1 when a search has
no model; 2 for bad input; 130 after Ctrl-C outside of a search's trials.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from automl.cli_logs import SETTINGS, logs
from automl.cli_options import AsJson, Family, RunFolder, open_run
from automl.cli_predict import predict
from automl.cli_search import resume, search, show
from automl.errors import AutomlError, Infeasible, NoModelError, SpaceError

if TYPE_CHECKING:
    from automl.predictor import Predictor
    from automl.result import SearchResult

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="""Search neural architectures and training recipes for your data, and export the best model.

**Examples**

    automl search adult.csv --target income --time-limit 600 --out results/adult

    automl leaderboard results/adult

    automl logs results/adult 12

    automl export results/adult model/

    automl predict model/ new_rows.csv --out predictions.csv

    automl search photos/ --time-limit 600 --out results/photos

    automl search power.csv --target load --horizon 24

    automl search unlabelled.csv

    automl search adult.csv --target income --objective latency --max-parameters 50000

    automl predict model/ *.png
""",
)

_INTERRUPTED = 130  # the exit code after a Ctrl-C that came before the search loop, or during its end


app.command()(search)
app.command()(resume)


@app.command()
def leaderboard(
    run: RunFolder,
    top: Annotated[int | None, typer.Option(min=1, help="Rows to print. [default: all]")] = None,
    front: Annotated[bool, typer.Option("--front", help="Only the networks that no other beats in everything.")] = False,
    family: Family = None,
    as_json: AsJson = False,
) -> None:
    """Print the board of a search, also while it runs.

    **Example**: automl leaderboard results/adult --top 10
    """
    show(open_run(run, family), as_json=as_json, top=top, front=front)


app.command(context_settings=SETTINGS)(logs)
app.command()(predict)


@app.command()
def export(  # noqa: PLR0913, PLR0917 - one parameter for each option of the command
    run: RunFolder,
    model: Annotated[Path, typer.Argument(help="Folder to write.", show_default=False)],
    number: Annotated[
        int | None, typer.Option(help="Another network than the best, e.g. 12 for MLP #12.", show_default=False)
    ] = None,
    refit: Annotated[bool, typer.Option(help="Train once more on all rows first.")] = False,
    onnx: Annotated[bool, typer.Option(help="Write and verify model.onnx too.")] = True,
    overwrite: Annotated[bool, typer.Option(help="Replace an earlier model in the folder.")] = False,
    family: Family = None,
) -> None:
    """Write the best model of a search as a folder that needs no search: weights, description, ONNX, model card.

    **Example**: automl export results/adult model/
    """
    result = open_run(run, family)
    entry = result.best_entry if number is None else result.entry(number)
    predictor = _model(result, number, refit=refit)
    if onnx:
        predictor.export(model, overwrite=overwrite)
    else:
        predictor.save(model, overwrite=overwrite)
    typer.echo(f"{entry.name} written to {model}", err=True)


def _model(result: SearchResult, number: int | None, *, refit: bool) -> Predictor:
    if refit:
        return result.refit(number)
    return result.best if number is None else result.model(number)


def main() -> None:
    """Run the command line."""
    try:
        app()
    except SystemExit as ending:
        if ending.code == _INTERRUPTED:
            typer.echo("interrupted; what a search had on record goes on with 'automl resume FOLDER'", err=True)
        raise
    except NoModelError as error:
        _fail(str(error), 1)
    except (AutomlError, SpaceError, Infeasible) as error:
        _fail(str(error), 2)
    except MemoryError as error:
        _fail(f"the memory of this machine is full ({error}); give smaller images (--image-size) or fewer rows", 1)
    except BrokenPipeError:
        sys.exit(1)


def _fail(message: str, code: int) -> None:
    typer.echo(f"error: {message}", err=True)
    sys.exit(code)
