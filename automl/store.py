"""The record of a run: what was proposed, what was tried, what came of it, and when.

A search writes here before it acts and after it learns, so that a search killed at any moment goes on where it was. Each call
that writes is one transaction of `automl.database`: after kill -9 it is there as a whole or not at all.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

from automl.database import Database
from automl.errors import RunError, SpaceError
from automl.strategies.base import Proposal, Result
from automl.trial import Outcome, Trial
from search_spaces.configuration import FAMILIES, Configuration
from search_spaces.domains import Families

_FILE = "run.db"
_ADD_OUTCOME = """
INSERT INTO outcomes VALUES (
    NULL, :ended_at, :trial, :status, :reason, :score, :epochs, :best_epoch, :seconds, :parameters, :predict_ms, :curve,
    :weight_bytes, :latency_ms, :memory_bytes, :violation, :host, :device, :peak_bytes, :utilisation
)
"""


@dataclass(frozen=True)
class Record:
    """A proposal, or a baseline by its name, with its trials and what came of them.

    outcomes: of those trials that ended, in the order of `trials`. result: what the strategy was told; None while it goes on, and
    for baselines. began: when it was put on record; ended: None until there is an outcome; both in `time.time()` seconds. place:
    rises in the order in which records ended, whatever the clock did; None until there is an outcome.
    """

    proposal: Proposal | str
    trials: tuple[Trial, ...]
    outcomes: tuple[Outcome, ...]
    result: Result | None
    began: float
    ended: float | None
    place: int | None


@dataclass(frozen=True)
class Event:
    """Something worth remembering that is no trial. `time` is `time.time()`."""

    time: float
    kind: str
    data: Mapping[str, Any]


class Store:
    """The record in the folder of a run. Make one with `create` or `open`; `close` it, or leave its `with`, to let others write.

    Reading stays possible after `close`. families: the user's own, needed to read configurations of theirs.
    """

    def __init__(self, database: Database, families: Families = ()) -> None:
        self._database = database
        self._families = tuple(dict.fromkeys([*FAMILIES, *families]))

    @classmethod
    def create(cls, folder: Path, settings: Mapping[str, Any], families: Families = ()) -> Self:
        """Begin the record of a new run in `folder`, which is made if need be. `settings` are JSON data.

        Raises `RunError` where the folder already holds a run, and where another process is writing one there.
        """
        folder.mkdir(parents=True, exist_ok=True)
        return cls(Database.create(folder / _FILE, settings), families)

    @classmethod
    def open(cls, folder: Path, families: Families = (), *, read_only: bool = False) -> Self:
        """Open the record of an earlier run, to go on with it or (`read_only`) to look at it, even while it goes on.

        Raises `RunError` where there is none, where it can't be read, and where another process is writing to it.
        """
        return cls(Database.open(folder / _FILE, read_only=read_only), families)

    @property
    def path(self) -> Path:
        """The file."""
        return self._database.path

    def settings(self) -> dict[str, Any]:
        """Return what `create` was given."""
        with self._database.reading() as connection:
            ((text,),) = connection.execute("SELECT value FROM meta WHERE key = 'settings'")
        return dict(json.loads(text))

    def next_trial_number(self) -> int:
        """Return the smallest number above those of all trials."""
        with self._database.reading() as connection:
            ((last,),) = connection.execute("SELECT max(number) FROM trials")
        return 0 if last is None else int(last) + 1

    def begin(self, proposal: Proposal | str, trials: Sequence[Trial]) -> None:
        """Record that these trials of a proposal, or of the baseline of this name, are about to run.

        There must be at least one, and they must differ in nothing but number, fold, seed and deadline.
        """
        first = trials[0]
        baseline = proposal if isinstance(proposal, str) else None
        configuration = None if isinstance(proposal, str) else json.dumps(proposal.configuration.to_dict())
        row = (time.time(), first.configuration_number, baseline, configuration, first.start, first.stop, first.total)
        with self._database.writing() as connection:
            cursor = connection.execute("INSERT INTO proposals VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)", row)
            rows = [(trial.number, cursor.lastrowid, trial.fold, trial.seed, trial.deadline) for trial in trials]
            connection.executemany("INSERT INTO trials VALUES (?, ?, ?, ?, ?)", rows)

    def finish(self, outcomes: Sequence[Outcome], result: Result | None) -> None:
        """Record what became of trials of one proposal: at least one, and with the last ones its result (None for a baseline)."""
        now = time.time()
        rows = [{**asdict(outcome), "curve": json.dumps(outcome.curve), "ended_at": now} for outcome in outcomes]
        with self._database.writing() as connection:
            connection.executemany(_ADD_OUTCOME, rows)
            if result is not None:
                others = json.dumps(result.others)
                row = (result.loss, result.ended, result.seconds, others, result.violation, outcomes[0].trial)
                connection.execute("INSERT INTO results SELECT proposal, ?, ?, ?, ?, ? FROM trials WHERE number = ?", row)

    def add_event(self, kind: str, data: Mapping[str, Any]) -> None:
        """Record that something happened now; `data` are JSON data."""
        row = (time.time(), kind, json.dumps(data))
        with self._database.writing() as connection:
            connection.execute("INSERT INTO events VALUES (NULL, ?, ?, ?)", row)

    def events(self) -> list[Event]:
        """Return all events, the earliest first."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT time, kind, data FROM events ORDER BY id").fetchall()
        return [Event(moment, kind, json.loads(text)) for moment, kind, text in rows]

    def records(self) -> list[Record]:
        """Return all proposals and baselines, in the order in which they began.

        Raises `RunError` where one is of a family that is neither built in nor among `families`.
        """
        with self._database.reading() as connection:
            proposals = connection.execute("SELECT * FROM proposals ORDER BY id").fetchall()
            results = {row["proposal"]: row for row in connection.execute("SELECT * FROM results")}
            trials: dict[int, list[sqlite3.Row]] = {row["id"]: [] for row in proposals}
            for row in connection.execute("SELECT * FROM trials LEFT JOIN outcomes ON trial = number ORDER BY number"):
                trials[row["proposal"]].append(row)
        return [self._record(row, trials[row["id"]], results.get(row["id"])) for row in proposals]

    def _record(self, row: sqlite3.Row, trials: Sequence[sqlite3.Row], result: sqlite3.Row | None) -> Record:
        number, span = row["number"], (row["start"], row["stop"], row["total"])
        made = self._configuration(row)
        ended = [trial for trial in trials if trial["place"] is not None]
        proposal = made if isinstance(made, str) else Proposal(number, made, *span)
        return Record(
            proposal=proposal,
            trials=tuple(Trial(t["number"], number, made, t["seed"], *span, t["fold"], t["deadline"]) for t in trials),
            outcomes=tuple(_outcome(trial) for trial in ended),
            result=_result(proposal, result),
            began=row["began"],
            ended=max((trial["ended_at"] for trial in ended), default=None),
            place=max((trial["place"] for trial in ended), default=None),
        )

    def _configuration(self, row: sqlite3.Row) -> Configuration | str:
        if row["baseline"] is not None:
            return str(row["baseline"])
        try:
            return Configuration.from_dict(json.loads(row["configuration"]), self._families)
        except SpaceError as error:
            raise RunError(
                f"{self.path}, configuration {row['number']}: every family must be known, but {error}; give those that "
                "the search was given (families=[...], --family module:Class)"
            ) from error

    def copy_to(self, path: Path) -> None:
        """Write the record as it is now into a new file."""
        with self._database.reading() as connection, closing(sqlite3.connect(path)) as copy:
            connection.backup(copy)

    def close(self) -> None:
        """End writing, and let another process write. Closing twice does nothing."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _result(proposal: Proposal | str, row: sqlite3.Row | None) -> Result | None:
    if row is None or isinstance(proposal, str):
        return None
    others = tuple(json.loads(row["others"]))
    return Result(proposal, row["loss"], bool(row["ended"]), row["seconds"], others, row["violation"])


def _outcome(row: sqlite3.Row) -> Outcome:
    known = frozenset(row.keys())  # a file of an earlier format has fewer
    values = {entry.name: row[entry.name] for entry in fields(Outcome) if entry.name in known}
    curve = tuple((epoch, score) for epoch, score in json.loads(row["curve"]))
    return Outcome(**{**values, "curve": curve})
