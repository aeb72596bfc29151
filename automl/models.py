"""From the checkpoints of a run to models that predict."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from automl.baselines import FITTED_AGAIN, baseline_configuration
from automl.board import Entry
from automl.boosting import Boosting
from automl.data.statistics import describe_inputs, describe_outputs
from automl.errors import ExportError
from automl.member import Member, mean_prediction
from automl.naive import season_of
from automl.predictor import Predictor
from automl.run_folder import Run
from automl.strategies.base import Proposal
from automl.task import Fold
from automl.text_baseline import Tfidf
from automl.training.feed import as_stored
from automl.training.loop import fit_all
from automl.training.networks import load_network
from search_spaces.configuration import Configuration
from search_spaces.language import Architecture
from search_spaces.spec import Inputs, Outputs


def predictor(run: Run, entry: Entry, scores: dict[str, Any]) -> Predictor:
    """Return the model of a board's row: the networks of all folds, whose predictions are averaged."""
    return _predictor(run, _members(run, entry), scores)


def has_weights(run: Run, entry: Entry) -> bool:
    """Whether the weights of a board's row are still there; a baseline that is fitted again needs none."""
    if entry.is_baseline and entry.name in FITTED_AGAIN:
        return True
    epochs = entry.fold_epochs
    return entry.loss is not None and all(run.checkpoints.exists(entry.number, fold, epochs[fold]) for fold in range(len(epochs)))


def predict_rows(run: Run, entry: Entry, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return a model's predictions for rows of the task: probabilities `(rows, classes)` or values `(rows,)`."""
    return mean_prediction(_members(run, entry), run.task.features, rows)


def refitted(run: Run, entry: Entry, scores: dict[str, Any]) -> Predictor:
    """Train a configuration again on all rows but the user's own test rows, for the epochs that were best when some rows chose.

    Raises `ExportError` for a baseline that isn't a network.
    """
    task = run.task
    configuration, seed = configuration_of(run, entry)
    if configuration is None or entry.is_baseline:
        raise ExportError(f"refit trains networks, but the best model is the baseline {entry.name!r}; fit it with scikit-learn")
    held_back = [] if task.reports_own else [task.report]
    rows = np.unique(np.concatenate([*held_back, *(part for fold in task.folds for part in (fold.fit, fold.choose))]))
    outputs = describe_outputs(task, rows)
    inputs = describe_inputs(task.features, rows, task.encoder, task.target, outputs)
    everything = Fold(rows, np.zeros(0, np.int64), inputs, outputs)
    epochs = max(1, round(statistics.median(entry.best_epochs)))
    network = fit_all(configuration, task, everything, epochs, entry.total, seed)
    member = Member(configuration.architecture, inputs, everything.outputs, network)
    return _predictor(run, (member,), {**scores, "refitted": True})


def _predictor(run: Run, members: tuple[Member, ...], scores: dict[str, Any]) -> Predictor:
    task = run.task
    about = (task.kind, task.classes, task.target_name, task.metric)
    return Predictor(members, task.encoder, *about, scores, task.targets)


def configuration_of(run: Run, entry: Entry) -> tuple[Configuration | None, int]:
    """Return the configuration of a board's row (None for a baseline that is fitted again) and its seed on the first fold."""
    record = next(record for record in run.store.records() if record.trials[0].configuration_number == entry.number)
    seed = record.trials[0].seed
    if isinstance(record.proposal, Proposal):
        return record.proposal.configuration, seed
    return baseline_configuration(record.proposal, season_of(run.task)), seed


def _members(run: Run, entry: Entry) -> tuple[Member, ...]:
    task = run.task
    configuration, _ = configuration_of(run, entry)
    members = []
    for number, (fold, epochs) in enumerate(zip(task.folds, entry.fold_epochs, strict=True)):
        if configuration is None:
            model = FITTED_AGAIN[entry.name](task, fold, entry.fold_seeds[number], most=entry.best_epochs[number])
            members.append(Member(NoNetwork(), fold.inputs, fold.outputs, FittedAgain(model)))
        else:
            network = load_network(run.checkpoints, entry.number, number, epochs, configuration, task)
            members.append(Member(configuration.architecture, fold.inputs, fold.outputs, network))
    return tuple(members)


class NoNetwork(Architecture):
    """Stands for a baseline of scikit-learn's beside networks; it can't be built, and has no file format."""

    def build(self, inputs: Inputs, outputs: Outputs) -> nn.Module:
        names = " or ".join(map(repr, FITTED_AGAIN))
        raise ExportError(
            f"the best model is a baseline of scikit-learn's, {names}, which can't be exported; export the best network"
        )


class FittedAgain(nn.Module):
    """A baseline in a network's place: `forward` returns what a network would that predicts the same."""

    def __init__(self, model: Boosting | Tfidf) -> None:
        super().__init__()
        self.model = model

    def forward(self, *inputs: Tensor) -> Tensor:
        """Predict from what a network takes: `(batch, width)`."""
        return self.model.raw(tuple(tensor.numpy() for tensor in as_stored(inputs)))
