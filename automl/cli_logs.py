"""`automl logs`: what went wrong in a search, and what its trials printed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from automl.cli_options import AsJson, Family, RunFolder, open_run
from automl.errors import OptionError

if TYPE_CHECKING:
    from automl.result import SearchResult

SETTINGS = {"ignore_unknown_options": True}  # else -1, the number of a baseline, would be taken for an option


def logs(
    run: RunFolder,
    number: Annotated[
        str | None,
        typer.Argument(help="A network, 12 for MLP #12, or a baseline, e.g. linear. [default: what failed]", show_default=False),
    ] = None,
    family: Family = None,
    as_json: AsJson = False,
) -> None:
    """Print where the trials of a network ran, how they ended and what they printed; or all that failed, a line each.

    **Example**: automl logs results/adult 12
    """
    from automl.logs import as_data

    if number is not None and number.startswith("--"):
        raise OptionError(f"{number} must be an option of automl logs: --family or --json")
    result = open_run(run, family)
    if number is None:
        _show_failed(result, as_json=as_json)
    elif as_json:
        typer.echo(json.dumps({"path": str(result.path), **as_data(result.run, number)}))
    else:
        typer.echo(result.logs(number))


def _show_failed(result: SearchResult, *, as_json: bool) -> None:
    from automl.logs import failed

    wrong = failed(result.entries)
    if as_json:
        rows = [{"number": one.number, "model": one.name, "status": one.status, "reason": one.reason} for one in wrong]
        typer.echo(json.dumps({"path": str(result.path), "failed": rows}))
        return
    for entry in wrong:
        typer.echo(f"{entry.name}: {entry.status}{f': {entry.reason}' if entry.reason else ''}")
    if not wrong:
        typer.echo("nothing failed", err=True)
    for entry in (wrong or result.entries)[:1]:
        example = entry.name if entry.is_baseline else entry.number
        typer.echo(f"all of one network: automl logs {result.path} {example}", err=True)
