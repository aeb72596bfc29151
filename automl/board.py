"""The leaderboard: one row for each configuration and each baseline, ranked on the choose rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from automl.metrics import metric
from automl.objectives import OBJECTIVES
from automl.run_folder import Run
from automl.scoring import choose_score, joint_status
from automl.store import Record
from automl.strategies.base import Proposal
from automl.strategies.pareto import front
from automl.trial import SCORED, Outcome

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

COLUMNS = (
    "rank",
    "model",
    "family",
    "validation_score",
    "report_score",
    "training_seconds",
    "predict_ms_per_1000",
    "parameters",
    "epochs",
    "host",
    "device",
    "peak_memory_bytes",
    "utilisation",
    "status",
    "reason",
)
_BEFORE_OBJECTIVES = COLUMNS.index("parameters") + 1
_TEXTS = ("model", "family", "host", "device", "status", "reason")
_PLACE = ("host", "device", "peak_memory_bytes", "utilisation")  # of interest where trials ran in several
_REASON_WIDTH = 30  # characters that reasons need before places get any
_HEADINGS = {
    "validation_score": "validation",
    "report_score": "report",
    "training_seconds": "seconds",
    "predict_ms_per_1000": "ms/1000",
    "parameters": "params",
    "latency_ms": "ms/row",
    "weight_bytes": "bytes",
    "peak_memory_bytes": "memory",
    "utilisation": "busy",
}


@dataclass(frozen=True)
class Entry:
    """A configuration, or a baseline, over all of its rungs and folds.

    number: the configuration's; negative for a baseline. score: on the choose rows, in the metric's own sign, None if it failed.
    loss: the same, lower is better. seconds: of training, all rungs and folds. predict_ms: for 1000 rows, all folds' networks.
    parameters: of one network. epochs: trained by one network; of each fold, fold_epochs: trained, best_epochs: the epoch scored.
    others: the further objectives of the search, in its order; empty for baselines and what failed. violation: above 0, it broke
    a hard limit. hosts, devices: where it ran, in the order of the first trials there; peak_bytes, utilisation: the largest, and
    the mean over its seconds, of what `Outcome` says of them.
    """

    number: int
    name: str
    family: str
    score: float | None
    loss: float | None
    seconds: float
    predict_ms: float
    parameters: int
    epochs: int
    fold_epochs: tuple[int, ...]
    fold_seeds: tuple[int, ...]
    best_epochs: tuple[int, ...]
    total: int
    status: str
    reason: str
    others: tuple[float, ...] = ()
    violation: float = 0.0
    hosts: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    peak_bytes: int = 0
    utilisation: float = 0.0

    @property
    def is_baseline(self) -> bool:
        """Whether this is one of the reference models, not a searched network."""
        return self.number < 0


def entries(run: Run) -> list[Entry]:
    """Return every configuration and baseline that ended at least one rung, the best first, the failed ones last."""
    groups: dict[int, list[Record]] = {}
    for record in run.store.records():
        if record.outcomes:
            groups.setdefault(record.trials[0].configuration_number, []).append(record)
    found = [_entry(run, number, records) for number, records in groups.items()]
    return sorted(found, key=lambda entry: (entry.loss is None, entry.loss or 0.0, entry.number))


def _entry(run: Run, number: int, records: Sequence[Record]) -> Entry:
    scored = [record for record in records if all(outcome.status in SCORED for outcome in record.outcomes)]
    last = (scored or records)[-1]
    everything = [outcome for record in records for outcome in record.outcomes]
    score = _score(run, number, last)
    status, reason = joint_status(records[-1].outcomes)
    return Entry(
        number=number,
        name=last.proposal if isinstance(last.proposal, str) else f"{_family(last)} #{number}",
        family=_family(last),
        score=score,
        loss=None if score is None else metric(run.task.metric, run.task.kind).loss(score),
        seconds=sum(outcome.seconds for outcome in everything),
        predict_ms=sum(outcome.predict_ms for outcome in last.outcomes),
        parameters=max(outcome.parameters for outcome in last.outcomes),
        epochs=max(outcome.epochs for outcome in everything),
        fold_epochs=tuple(outcome.epochs for outcome in last.outcomes),
        fold_seeds=tuple(trial.seed for trial in last.trials),
        best_epochs=tuple(outcome.best_epoch for outcome in last.outcomes),
        total=last.trials[0].total,
        status=status,
        reason=reason,
        others=() if last.result is None else last.result.others,
        violation=max(outcome.violation for outcome in everything),
        hosts=tuple(dict.fromkeys(outcome.host for outcome in everything if outcome.host)),
        devices=tuple(dict.fromkeys(outcome.device for outcome in everything if outcome.device)),
        peak_bytes=max(outcome.peak_bytes for outcome in everything),
        utilisation=_utilisation([outcome for outcome in everything if outcome.device]),
    )


def _utilisation(outcomes: Sequence[Outcome]) -> float:
    """Return the share of all seconds of trials in which their devices worked."""
    seconds = sum(outcome.seconds for outcome in outcomes)
    return sum(outcome.utilisation * outcome.seconds for outcome in outcomes) / seconds if seconds else 0.0


def _family(record: Record) -> str:
    return "baseline" if isinstance(record.proposal, str) else type(record.proposal.configuration.architecture).__name__


def _score(run: Run, number: int, record: Record) -> float | None:
    """Return the score a strategy was told; a baseline's is computed from its predictions."""
    if not isinstance(record.proposal, Proposal):
        return choose_score(run.task, run.checkpoints, number, record.outcomes)
    if record.result is None or record.result.loss is None:
        return None
    return metric(run.task.metric, run.task.kind).loss(record.result.loss)  # the sign changes back


def objectives_of(run: Run) -> tuple[str, ...]:
    """Return the objectives of a search beside its metric, by name."""
    return tuple(run.store.settings().get("objectives", ()))


def front_of(rows: Sequence[Entry]) -> list[Entry]:
    """Return the networks that no other dominates in score and further objectives, in the order of the board.

    Each counts as it is, however long it was trained: a network that was stopped early is a network too, whose score and cost are
    what a user would get. Longer trained it might score better, and push others from the front, but it can't mislead anyone.
    """
    scored = [row for row in rows if row.loss is not None and not row.is_baseline]
    return [scored[i] for i in front([(row.loss or 0.0, *row.others) for row in scored])]


def front_frame(rows: Sequence[Entry], objectives: Sequence[str]) -> pd.DataFrame:
    """Return the front as a DataFrame: number, model, validation_score, a column for each objective, epochs."""
    import pandas as pd

    names = ("number", "model", "validation_score", *(OBJECTIVES[name] for name in objectives), "epochs")
    table = [(row.number, row.name, row.score, *row.others, row.epochs) for row in front_of(rows)]
    counts = [OBJECTIVES[name] for name in objectives if name in {"parameters", "bytes"}]
    return pd.DataFrame(table, columns=pd.Index(names)).astype(dict.fromkeys(counts, "int64"))


def frame(rows: Sequence[Entry], report: dict[int, float], objectives: Sequence[str] = ()) -> pd.DataFrame:
    """Return the board as a DataFrame with `COLUMNS`; failed models have no rank, and few have a report score.

    With objectives there are columns for those that `COLUMNS` lack, and whether a network is on the front.
    """
    import pandas as pd

    table = [
        (
            None if entry.loss is None else rank,
            entry.name,
            entry.family,
            entry.score,
            report.get(entry.number),
            round(entry.seconds, 3),
            round(entry.predict_ms, 3),
            entry.parameters,
            entry.epochs,
            ", ".join(entry.hosts),
            ", ".join(entry.devices),
            entry.peak_bytes,
            round(entry.utilisation, 3),
            entry.status,
            entry.reason,
        )
        for rank, entry in enumerate(rows, start=1)
    ]
    board = pd.DataFrame(table, columns=pd.Index(COLUMNS))
    floats = {"validation_score": "float64", "report_score": "float64"}
    return _with_objectives(board.astype({"rank": "Int64", **floats}), rows, objectives)


def _with_objectives(board: pd.DataFrame, rows: Sequence[Entry], objectives: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    more = {}
    for position, name in enumerate(objectives):
        if OBJECTIVES[name] not in COLUMNS:
            values = [row.others[position] if row.others else None for row in rows]
            more[OBJECTIVES[name]] = pd.Series(values, dtype="Int64" if name == "bytes" else "float64")
    if objectives:
        best = {row.number for row in front_of(rows)}
        more["front"] = pd.Series([row.number in best for row in rows], dtype="bool")
    for place, (name, column) in enumerate(more.items(), start=_BEFORE_OBJECTIVES):
        board.insert(place, name, column)
    return board


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a DataFrame as JSON data, numbers with all their digits; what is missing is None."""
    plain = table.astype(object).where(table.notna(), None)
    return [dict(zip(plain.columns, row, strict=True)) for row in plain.itertuples(index=False)]


def text_table(board: pd.DataFrame, width: int | None = None) -> Table:
    """Return the board for a terminal of 80 characters: a model's name says its family, and reasons show where there are any.

    Where trials ran is shown if that was on several hosts, or on another device than the CPU, as far as `width` characters have
    room for it (None: any number has).
    """
    rows = records(board)
    hidden = {"family"} if any(row.get("reason") for row in rows) else {"family", "reason"}
    for shown in range(len(_PLACE) if _is_spread(rows) else 0, -1, -1):
        columns = [name for name in board.columns if name not in {*hidden, *_PLACE[shown:]}]
        if width is None or _least_width(rows, columns) <= width:
            break
    return _text_table(rows, columns)


def _least_width(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> int:
    """Return the characters in which a table cuts nothing off; reasons may be broken."""
    from rich.console import Console
    from rich.measure import Measurement

    console = Console(width=1000)
    rigid = Measurement.get(console, console.options, _text_table(rows, [name for name in columns if name != "reason"]))
    return rigid.maximum + (_REASON_WIDTH if "reason" in columns else 0)


def _is_spread(rows: Sequence[dict[str, Any]]) -> bool:
    """Whether there were several hosts, or another device than the CPU."""
    hosts = {name for row in rows for name in (row.get("host") or "").split(", ")} - {""}
    return len(hosts) > 1 or any(row.get("device") not in {None, "", "cpu"} for row in rows)


def _text_table(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for name in columns:
        table.add_column(_HEADINGS.get(name, name), justify="left" if name in _TEXTS else "right", no_wrap=name != "reason")
    for row in rows:
        table.add_row(*(Text(_cell(name, row[name])) for name in columns))
    return table


def _cell(name: str, value: Any) -> str:
    if value is None or value is False:
        return ""
    if value is True:
        return "*"
    if name == "peak_memory_bytes":
        return f"{value / 1e6:.0f} MB"
    if name == "utilisation":
        return f"{value:.0%}"
    return f"{value:.5g}" if isinstance(value, float) else str(value)
