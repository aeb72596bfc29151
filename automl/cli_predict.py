"""`automl predict`: from files to a table of predictions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automl.cli_options import AsJson, Family, family_classes, open_run
from automl.errors import OptionError

if TYPE_CHECKING:
    import pandas as pd

    from automl.data.series_format import SeriesFormat
    from automl.predictor import Predictor

_MANY_IMAGES = (".npz", ".npy", ".csv", ".tsv", ".parquet")  # files that hold images, or their paths


def predict(
    model: Annotated[Path, typer.Argument(help="The folder of an exported model, or of a search.", show_default=False)],
    data: Annotated[
        list[Path], typer.Argument(help="A table (CSV, TSV, Parquet); or images, folders of them, or .npz.", show_default=False)
    ],
    out: Annotated[Path | None, typer.Option(help="CSV file to write. [default: standard output]")] = None,
    probabilities: Annotated[bool, typer.Option(help="Add a column for each class.")] = False,
    family: Family = None,
    as_json: AsJson = False,
) -> None:
    """Predict the rows of a file, or images.

    **Example**: automl predict model/ new_rows.csv --out predictions.csv

    **Example**: automl predict model/ *.png

    **Example**: automl predict model/ history.csv
    """
    from automl.board import records
    from automl.model_folder import load

    if as_json and out is not None:
        raise OptionError("--json prints, and --out writes CSV; give one of them")
    is_run = (model / "run.db").is_file()
    predictor = open_run(model, family).best if is_run else load(model, families=family_classes(family))
    table = _predictions(predictor, data, probabilities=probabilities)
    if as_json:
        typer.echo(json.dumps(records(table)))
    elif out is not None:
        try:
            table.to_csv(out, index=False)
        except OSError as error:
            raise OptionError(f"--out must be a file that can be written, but {error}") from error
        typer.echo(f"{len(table)} predictions written to {out}", err=True)
    else:
        typer.echo(table.to_csv(index=False), nl=False)


def _predictions(predictor: Predictor, paths: list[Path], *, probabilities: bool) -> pd.DataFrame:
    """Return a row for each row of the data, or step ahead: its name, where it has one, and a column for each thing predicted."""
    import pandas as pd

    from automl.forecasts import future_table

    names, rows = data_to_predict(predictor, paths)
    if predictor.kind == "forecast" and not probabilities:
        return future_table(predictor, rows)
    shares = predictor.predict_proba(rows) if probabilities else None
    predicted = predictor.predict(rows) if shares is None else predictor.labels(shares)
    columns = predictor.targets if predicted.ndim == 2 else (predictor.target or "anomaly_score",)
    values = predicted.reshape(len(predicted), -1).T
    table = pd.DataFrame({**names, **dict(zip(columns, values, strict=True))})
    if shares is not None:
        for name, column in zip(predictor.classes or predictor.targets, shares.T, strict=True):
            table[f"probability_{name}"] = column
    return table


def data_to_predict(predictor: Predictor, paths: list[Path]) -> tuple[dict[str, list[str]], Any]:
    """Return columns that name the rows, and the data; of several paths those that are folders stand for their images.

    Raises `OptionError` where a model of tables or sequences gets several files, and a model of images several of which one is no
    image.
    """
    from automl.data.image_files import is_image_path
    from automl.data.image_format import ImageFormat
    from automl.data.series_format import SeriesFormat as Sequences

    single = paths[0]
    if not isinstance(predictor.encoder, ImageFormat):
        if len(paths) > 1:
            raise OptionError(f"this model predicts the rows of one file, got {len(paths)}")
        return _named_sequences(predictor.encoder, single) if isinstance(predictor.encoder, Sequences) else ({}, single)
    if len(paths) == 1 and not single.is_dir() and single.suffix.lower() in _MANY_IMAGES:
        return {}, single
    files = [file for path in paths for file in (_images_below(path) if path.is_dir() else [str(path)])]
    other = next((file for file in files if not is_image_path(file)), None)
    if other is not None:
        alone = f"; {', '.join(_MANY_IMAGES)} are predicted one at a time" if len(paths) > 1 else ""
        raise OptionError(f"this model predicts images: give image files or folders of them, got {other!r}{alone}")
    return {"image" if predictor.target != "image" else "path": files}, files


def _named_sequences(form: SeriesFormat, path: Path) -> tuple[dict[str, list[str]], Any]:
    """Return the ids of the sequences in a table whose rows are steps, and the table; any other file as it is."""
    if form.table is None:
        return {}, path
    from automl.data.load import read_table
    from automl.data.series_encode import ids_of

    table = read_table(path)
    return {form.table.id_column: list(ids_of(form, table.frame))}, table


def _images_below(folder: Path) -> list[str]:
    """Return the paths of all images in a folder, beginning as the folder's was given."""
    from automl.data.image_files import all_images

    return [str(folder / Path(file).relative_to(folder.absolute())) for file in all_images(folder)]
