"""What a search hands back: the board, the best model, and honest scores for it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from automl import models
from automl.board import Entry, entries, frame, front_frame, front_of, objectives_of
from automl.data.window_format import WindowFormat
from automl.errors import NoModelError, OptionError, RunError
from automl.forecasts import scale_name
from automl.metrics import metric
from automl.options import families_for, path_option
from automl.reporting import ReportScore, report_scores
from automl.run_folder import Run

if TYPE_CHECKING:
    import pandas as pd

    from automl.predictor import Predictor
    from search_spaces.configuration import Configuration
    from search_spaces.language import Architecture

_NAMED = 8  # networks of the front, in the summary
_NUMBERS = 20  # of networks, in an error


@dataclass(frozen=True, repr=False)
class SearchResult:
    """The outcome of a search, read from its folder.

    include_baselines: whether `best` may be a baseline.
    """

    run: Run
    include_baselines: bool = False

    def __repr__(self) -> str:
        networks = [entry for entry in self.entries if not entry.is_baseline]
        best = next((entry for entry in networks if entry.score is not None), None)
        found = "none scored" if best is None else f"best {best.name}, validation {self.run.task.metric} {best.score:.5g}"
        return f"SearchResult({str(self.path)!r}, {len(networks)} networks, {found})"

    @classmethod
    def open(cls, path: str | Path, families: Sequence[str | type[Architecture]] = ()) -> Self:
        """Read the result of a run, also while it still goes on in another process.

        Raises `RunError` where `path` holds no run, or one with families of the user's own that aren't given in `families`.
        """
        run = Run.open(path_option("path", path), families_for(families or None), read_only=True)
        return cls(run, bool(run.store.settings()["include_baselines"]))

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self.run.path

    @cached_property
    def _ended(self) -> Mapping[str, Any]:
        """What the search noted at its end, if it came to one."""
        events = [event for event in self.run.store.events() if event.kind in {"started", "ended"}]
        return events[-1].data if events and events[-1].kind == "ended" else {"ended_by": "", "infeasible": 0}

    @property
    def ended_by(self) -> str:
        """Why the search ended, in words; empty while it runs, and where it was killed."""
        return str(self._ended["ended_by"])

    @property
    def failed(self) -> bool:
        """Whether the search had to end before its time, because the machines that it ran on were gone."""
        return bool(self._ended.get("failed", False))

    @cached_property
    def entries(self) -> list[Entry]:
        """Every configuration and baseline, the best first."""
        return entries(self.run)

    @cached_property
    def best_entry(self) -> Entry:
        """The best network, or the best model of all with `include_baselines`. Raises `NoModelError` if there is none."""
        scored = [entry for entry in self.entries if entry.loss is not None]
        for entry in scored:
            if not entry.is_baseline or self.include_baselines:
                return entry
        failed = sorted((entry for entry in self.entries if entry.loss is None), key=lambda entry: entry.is_baseline)
        reasons = f"; {failed[0].name} ended as {failed[0].status!r}: {failed[0].reason}" if failed else ""
        is_late = not failed or failed[0].status in {"timeout", "cut", "killed"}
        advice = "; give the search more time or more trials" if is_late else ""
        if failed and failed[0].violation:
            advice = "; raise the limit, or give a space of cheaper networks"
        raise NoModelError(f"no network was trained to a score{reasons}{advice}")

    @cached_property
    def report(self) -> Mapping[int, ReportScore]:
        """Scores on rows that chose nothing, for the best network and the baselines, by configuration number."""
        best = next((entry for entry in self.entries if not entry.is_baseline and entry.loss is not None), None)
        return report_scores(self.run, self.entries, best)

    def leaderboard(self) -> pd.DataFrame:
        """Return the board: one row for each configuration and baseline, ranked by `validation_score`.

        Columns: rank, model, family, validation_score (on the choose rows), report_score (on the report rows; for the best
        network and the baselines), training_seconds, predict_ms_per_1000 (rows), parameters, epochs, host, device (where it was
        trained; several are joined by ", "), peak_memory_bytes (the most while it was trained: of a GPU what torch took, else all
        that the process held), utilisation (the share of that time in which the device worked; 0 also of a GPU where `pynvml` is
        missing), status, reason. In a search with objectives also latency_ms (of one row) and weight_bytes, where they are
        minimised, and front: whether no other network is as good in everything and better in something.
        """
        return frame(self.entries, {number: score.value for number, score in self.report.items()}, self.objectives)

    @property
    def objectives(self) -> tuple[str, ...]:
        """What the search minimised beside its metric."""
        return objectives_of(self.run)

    def front(self) -> pd.DataFrame:
        """Return the networks that no other beats in everything, the best by the metric first.

        Without objectives these are the best alone, and those that tie with it.

        Columns: number (for `model`), model, validation_score, one for each objective (latency_ms, parameters, weight_bytes,
        training_seconds), epochs. Networks that were stopped early count too, as they are.
        """
        return front_frame(self.entries, self.objectives)

    @cached_property
    def best(self) -> Predictor:
        """The best network with its preprocessing (or model, with `include_baselines`): predicts, evaluates, exports."""
        return models.predictor(self.run, self.best_entry, self._scores(self.best_entry))

    def entry(self, number: int) -> Entry:
        """Return the configuration of this number, as in "MLP #12", or baseline. Raises `OptionError` where there is none."""
        for entry in self.entries:
            if entry.number == number:
                return entry
        known = ", ".join(str(entry.number) for entry in sorted(self.entries, key=lambda entry: entry.number)[:_NUMBERS])
        raise OptionError(f"number must be that of a network on the board (12 of 'MLP #12'), got {number!r}; there are {known}")

    def model(self, number: int) -> Predictor:
        """Return the network of this number with its preprocessing, for one that isn't the best, such as another of the front.

        Raises `OptionError` for an unknown number, `NoModelError` where it wasn't trained to a score, `RunError` where its
        weights were deleted: those of the front and of the few best are kept.
        """
        entry = self._scored_entry(number)
        if not models.has_weights(self.run, entry):
            networks = [other for other in self.entries if not other.is_baseline]
            kept = ", ".join(other.name for other in networks if models.has_weights(self.run, other)) or "none"
            raise RunError(
                f"{entry.name} must have its weights, but they were deleted when others had left it behind (there are those of "
                f"{kept}); train it again with search(..., enqueue=[result.configuration({number})])"
            )
        return models.predictor(self.run, entry, self._scores(entry))

    def configuration(self, number: int) -> Configuration:
        """Return what the network of this number was made of, e.g. to `enqueue` it in another search."""
        found, _ = models.configuration_of(self.run, self.entry(number))
        if found is None or number < 0:
            raise OptionError(f"number must be that of a searched network, got {number}, a baseline")
        return found

    def _scored_entry(self, number: int) -> Entry:
        """Return the entry of this number. Raises `NoModelError` where it has no score: it failed, or broke a hard limit."""
        entry = self.entry(number)
        if entry.loss is None:
            raise NoModelError(f"{entry.name} must have been trained to a score, but ended as {entry.status!r}: {entry.reason}")
        return entry

    def _scores(self, entry: Entry) -> dict[str, Any]:
        """Return what a model card says of a model."""
        reported = self.report.get(entry.number)
        scores: dict[str, Any] = {"metric": self.run.task.metric, "validation": entry.score, "model": entry.name}
        if reported is not None:
            scores["report"] = reported.value
            scores["report_interval"] = [reported.low, reported.high]
            scores["report_method"] = reported.method
            if reported.mase is not None:
                scores["report_mase"] = reported.mase
        return scores

    def evaluate(self, test: Any) -> dict[str, float]:
        """Return the best model's scores on the user's own test data (a path, a DataFrame with the target, or (X, y))."""
        return self.best.evaluate(test)

    def refit(self, number: int | None = None) -> Predictor:
        """Train the best network, or that of a number, again on all rows but those given as `test=`.

        It is trained for the epochs that were best. What comes out has no score of its own. Raises `ExportError` where the model
        is a baseline, `NoModelError` where it wasn't trained to a score, such as one that breaks a hard limit.
        """
        entry = self.best_entry if number is None else self._scored_entry(number)
        return models.refitted(self.run, entry, self._scores(entry))

    def summary(self) -> str:
        """Return in a few lines what was searched, what won, and by how much."""
        task = self.run.task
        target = f", target {task.target_name!r}" if task.target_name else ""
        networks = [entry for entry in self.entries if not entry.is_baseline]
        refused = [entry for entry in networks if entry.violation]
        failed = [entry for entry in networks if entry.loss is None and not entry.violation]
        lines = [
            f"{task.kind} task{target}, {len(task.target)} rows; metric {task.metric}",
            f"{len(networks)} networks tried, {len(failed)} failed{f' ({self._reasons(failed)})' if failed else ''}"
            + (f", {len(refused)} over a limit and not trained" if refused else ""),
        ]
        if any(entry.loss is not None for entry in networks):
            lines += self._winner()
        if self.objectives:
            lines.append(self._front_in_short())
        if self.ended_by:
            redrawn = (
                f"; {self._ended['infeasible']} draws made no network and were drawn again" if self._ended["infeasible"] else ""
            )
            lines.append(f"the search ended: {self.ended_by}{redrawn}")
        return "\n".join([*lines, f"run folder: {self.path}"])

    def _front_in_short(self) -> str:
        names = [entry.name for entry in front_of(self.entries)]
        named = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
        what = f"front of {self.run.task.metric} and {', '.join(self.objectives)}"
        count = f"{len(names)} network{'' if len(names) == 1 else 's'}"
        return f"{what}: {count} that no other beats in everything{': ' if names else ''}{named}"

    @staticmethod
    def _reasons(failed: list[Entry]) -> str:
        counts: dict[str, int] = {}
        for entry in failed:
            counts[entry.status] = counts.get(entry.status, 0) + 1
        return ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))

    def _winner(self) -> list[str]:
        """Return the lines on the best network and how it stands against the baselines."""
        network = next(entry for entry in self.entries if not entry.is_baseline and entry.loss is not None)
        lines = [f"best network: {network.name}, validation {self.run.task.metric} {network.score:.5g}"]
        reported = self.report.get(network.number)
        if reported is None:
            lines.append(f"no honest score: there are no report rows, or {self.run.task.metric} is undefined on them")
        else:
            interval = f"95 % interval {reported.low:.5g} to {reported.high:.5g}"
            lines.append(f"honest score: {reported.value:.5g} ({interval}; {reported.method})")
        baselines = [entry for entry in self.entries if entry.is_baseline and entry.loss is not None]
        if reported is not None and reported.mase is not None:
            lines.append(self._scaled([network, *baselines]))
        if baselines:
            lines.append(self._verdict(network, min(baselines, key=self._standing)))
        return lines

    def _scaled(self, entries: list[Entry]) -> str:
        """Return the line of MASE on the rows that chose nothing."""
        known = {entry.name: self.report[entry.number].mase for entry in entries if entry.number in self.report}
        errors = ", ".join(f"{name} {mase:.4g}" for name, mase in known.items() if mase is not None)
        encoder: object = self.run.task.encoder
        naive = scale_name(encoder.season if isinstance(encoder, WindowFormat) else 1)
        return f"MASE, the mean absolute error in units of that of {naive} in the rows that trained: {errors}"

    def _standing(self, entry: Entry) -> float:
        """Return the loss by which baselines are compared with the network: on rows that chose nothing, where there are any."""
        if entry.number in self.report:
            return metric(self.run.task.metric, self.run.task.kind).loss(self.report[entry.number].value)
        return math.inf if entry.loss is None else entry.loss

    def _verdict(self, network: Entry, baseline: Entry) -> str:
        """Say who wins, on the rows that chose nothing where both have such a score."""
        scoring = metric(self.run.task.metric, self.run.task.kind)
        ours, theirs, where = network.score, baseline.score, "the validation rows"
        if network.number in self.report and baseline.number in self.report:
            ours, theirs = self.report[network.number].value, self.report[baseline.number].value
            where = "the report rows" if len(self.run.task.report) else "out-of-fold predictions"
        if ours is None or theirs is None:
            return f"baseline {baseline.name}: no score"
        if scoring.loss(theirs) < scoring.loss(ours):
            return f"A BASELINE WINS: {baseline.name} scores {theirs:.5g} on {where}, the best network {ours:.5g}"
        return f"best baseline: {baseline.name}, {theirs:.5g} on {where} against {ours:.5g}"
