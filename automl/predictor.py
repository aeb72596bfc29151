"""The model that comes out of a search: preprocessing, networks and postprocessing in one object.

It needs nothing of the search that made it, and can be written to a folder from which `automl.load` reads it in any process.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automl import __version__
from automl.card import model_card
from automl.data.columns import Columns
from automl.data.encoders import Encoder, encoder_to_dict, in_short
from automl.data.features import Features
from automl.data.image_format import ImageFormat
from automl.errors import OptionError
from automl.forecasts import scaled_error
from automl.member import Member, mean_prediction, weights_of
from automl.metrics import LIKELY, METRICS, TaskKind
from automl.model_files import CARD, ONNX, WEIGHTS, seal, writing

if TYPE_CHECKING:
    from automl.data.target import Label

_LIBRARIES = ("torch", "numpy", "pandas", "safetensors")


@dataclass(frozen=True, eq=False, repr=False)
class Predictor:
    """Predicts from rows as users have them.

    members: the networks whose predictions are averaged. encoder: from data to features. classes: the labels in the order of the
    columns of `predict_proba`, empty where rows aren't of one class each. target: the name of what is predicted. targets: the
    names of several. metric: what the search chose by.
    scores: JSON data for the model card: `metric`, `validation`, `model`, and where known `report`, `report_interval`,
    `report_method`.
    """

    members: tuple[Member, ...]
    encoder: Encoder
    kind: TaskKind
    classes: tuple[Label, ...]
    target: str
    metric: str
    scores: Mapping[str, Any]
    targets: tuple[str, ...] = ()

    def __repr__(self) -> str:
        families = ", ".join(sorted({type(member.architecture).__name__ for member in self.members}))
        number = f"{len(self.members)} x " if len(self.members) > 1 else ""
        return f"Predictor({number}{families}, {self.kind}, target={self.target!r}, {in_short(self.encoder)})"

    def predict(self, data: Any) -> NDArray[Any]:
        """Return for each row the most probable label, in the type that it had in the data, or the value, as `(rows,)`.

        Of a forecast the next values after the history that is given, `(horizon,)`.

        Of several targets a matrix `(rows, targets)`: values, or 1 for each label that a row is likely to have and 0 for others.
        Of a model that was made without a target the same as `anomaly_score`.

        data: of a model of tables a DataFrame, a path to CSV, TSV or Parquet, an array with the columns in the order of the
        training data, a dict of columns or a list of dicts; columns that the model doesn't use are ignored. Of a model of texts
        alone also a list, Series or array of texts (a text by itself is taken for a path: give [text]). Of a model of images
        paths, a folder, an .npz file, a table of paths, arrays, PIL images. Of a model of sequences arrays `(n, steps[,
        channels])`, a list of arrays, (x, lengths), an .npz file; or a table whose rows are steps, of which there is a prediction
        for each id, in the order in which ids first appear. Raises `DataError` for anything else.
        """
        prediction = self._prediction(self.encoder.transform(data))
        if self.kind == "forecast":
            ahead: NDArray[Any] = prediction[0]
            return ahead
        return self.labels(prediction) if self.has_probabilities else prediction

    @property
    def has_probabilities(self) -> bool:
        """Whether the model predicts classes or labels, so that it knows their probabilities."""
        return bool(self.classes) or self.kind == "multilabel"

    def predict_proba(self, data: Any) -> NDArray[np.float64]:
        """Return the probabilities of `classes`, `(rows, classes)`, or of the labels `targets`, `(rows, targets)`, for each row.

        Raises `OptionError` where numbers are predicted.
        """
        if not self.has_probabilities:
            what = f"the target {self.target!r} is a number" if self.target else "there is no target"
            raise OptionError(f"predict_proba needs classes, but {what}; call predict")
        return self._prediction(self.encoder.transform(data))

    def labels(self, probabilities: NDArray[Any]) -> NDArray[Any]:
        """Return the most probable class of each row `(rows,)`, or 0 and 1 for each label, for what `predict_proba` returned."""
        if not self.classes:
            return (probabilities >= LIKELY).astype(np.int64)
        most: NDArray[Any] = _labels(self.classes)[probabilities.argmax(1)]
        return most

    def encode(self, data: Any) -> NDArray[np.float32]:
        """Return a few numbers that say of each row what is needed to rebuild it, `(rows, code)`; data as for `predict`.

        Of several networks the first one's. Raises `OptionError` for a model that was made with a target.
        """
        from automl.rebuilding import codes

        return codes(self._rebuilding("encode"), self.encoder.transform(data))

    def reconstruct(self, data: Any) -> Any:
        """Return the rows rebuilt from what `encode` returns: a DataFrame of the features, or images `(rows, h, w, c)`.

        Numbers are in the units of the data, of categories there is the likeliest, and images are of up to 16 x 16 squares. Data
        and errors as for `encode`.
        """
        from automl.rebuilding import rows_again

        return rows_again(self._rebuilding("reconstruct"), self.encoder.transform(data), self.encoder)

    def anomaly_score(self, data: Any) -> NDArray[np.float64]:
        """Return how badly each row is rebuilt, `(rows,)`: the mean squared error of what it holds, in standard units.

        The mean row of the training data errs by about 1 of each number. Rows unlike the training data err by more than those;
        missing values count for nothing, and a row of nothing else has 0. Data and errors as for `encode`.
        """
        return mean_prediction(self._rebuilding("anomaly_score"), self.encoder.transform(data))

    def _rebuilding(self, asked: str) -> tuple[Member, ...]:
        if self.kind != "reconstruction":
            raise OptionError(f"{asked} needs a model that was searched without a target, but this predicts {self.target!r}")
        return self.members

    def evaluate(self, data: Any) -> dict[str, float]:
        """Return all scores that suit the task by name, the one that the search used first; NaN where one is undefined.

        data: as for a search: a path or a DataFrame with the target column, labelled images, or (X, y). Rows without a target
        don't count, but where there was none in the search; then data are as for `predict`. Raises `DataError`.
        """
        from automl.data.labelled import read_labelled  # needs pandas, which a model of images can do without
        from automl.data.targets import as_in_training, encode

        if self.kind == "reconstruction":
            features, target = self.encoder.transform(data), None
        else:
            features, target = read_labelled(data, self.encoder, self.targets or self.target)
        target = target if self.kind == "forecast" else as_in_training(target, self.targets)
        truth = encode(target, self.kind, len(features[0]), self.classes).values
        prediction = self._prediction(features)
        names = [self.metric, *(name for name in METRICS if name != self.metric)]
        scores = {name: METRICS[name].score(truth, prediction) for name in names if self.kind in METRICS[name].kinds}
        mase = scaled_error(self.encoder, truth, prediction)
        return scores if mase is None else {**scores, "mase": mase}

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write the model for `automl.load` into a new folder, without ONNX, and return the folder.

        overwrite: replace a model that is there. Raises `ExportError` where the folder holds anything else.
        """
        return self.export(folder, onnx=False, overwrite=overwrite)

    def export(self, folder: str | Path, *, onnx: bool = True, overwrite: bool = False) -> Path:
        """Write the model into a new folder: model.json, weights.safetensors, model.onnx and a model card; return the folder.

        onnx: whether to write model.onnx, which counts as written only once onnxruntime predicts what torch predicts.
        overwrite: replace a model that is there. The folder is complete or isn't there. Raises `ExportError`.
        """
        import safetensors.torch

        with writing(Path(folder), overwrite=overwrite) as partial:
            # Not save_file, whose files only their owner can read.
            (partial / WEIGHTS).write_bytes(safetensors.torch.save(weights_of(self.members)))
            if onnx:
                from automl.export import write_onnx

                write_onnx(partial / ONNX, self.members, self.classes)
            manifest = self._manifest()
            (partial / CARD).write_text(model_card(manifest, onnx=onnx), encoding="utf-8")
            seal(partial, manifest)
        return Path(folder)

    def _prediction(self, features: Features) -> NDArray[np.float64]:
        return mean_prediction(self.members, features)

    def _manifest(self) -> dict[str, Any]:
        return {
            "task": {
                "kind": self.kind,
                "target": self.target,
                "targets": list(self.targets),
                "classes": list(self.classes),
                "metric": self.metric,
            },
            "scores": _json(self.scores),
            "members": [member.to_dict() for member in self.members],
            **encoder_to_dict(self.encoder),
            "versions": {
                "automl": __version__,
                "python": platform.python_version(),
                **{name: version(name) for name in (*_LIBRARIES, *_decoders(self.encoder))},
            },
        }


def _decoders(encoder: Encoder) -> tuple[str, ...]:
    """Return the libraries beside ours that read the data of a model."""
    if isinstance(encoder, Columns):
        return ("tokenizers",) if encoder.tokenizer is not None else ()
    return ("pillow",) if isinstance(encoder, ImageFormat) else ()


def _labels(classes: tuple[Label, ...]) -> NDArray[Any]:
    """Return the classes as an array of their own type, or of objects where they have several."""
    if len({type(label) for label in classes}) == 1:
        return np.asarray(classes)
    labels = np.empty(len(classes), object)
    labels[:] = classes
    return labels


def _json(value: Any) -> Any:
    """Return scores as JSON data, which knows neither tuples nor numbers that aren't finite."""
    if isinstance(value, Mapping):
        return {str(name): _json(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_json(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
