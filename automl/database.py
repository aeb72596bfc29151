"""The SQLite file under a run's record: one process writes, any number read, and no kill leaves half a transaction.

The write-ahead log makes a call durable against the death of the process; a power cut may take the last calls, but damages
nothing (`synchronous=NORMAL`). The right to write is a transaction held open on an empty file beside the database, because the
system ends it when its process dies, however it dies, on every platform that has SQLite. Both files belong on a local disk.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Self

from automl.errors import RunError

FORMAT = 3
_EARLIER = (2,)  # formats that are read as they are, and brought up to ours where they are written
_APPLICATION = 0x4155544F  # "AUTO": tells our files from other people's SQLite files
_WAIT = 10.0  # seconds for a reader that holds the file for a moment

# A baseline's name stands in the place of a configuration. A proposal's trials differ only in what `trials` holds.
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE proposals (
    id INTEGER PRIMARY KEY, began REAL NOT NULL, number INTEGER NOT NULL, baseline TEXT, configuration TEXT,
    start INTEGER NOT NULL, stop INTEGER NOT NULL, total INTEGER NOT NULL
);
CREATE TABLE trials (
    number INTEGER PRIMARY KEY, proposal INTEGER NOT NULL REFERENCES proposals (id),
    fold INTEGER NOT NULL, seed INTEGER NOT NULL, deadline REAL
);
CREATE TABLE outcomes (
    place INTEGER PRIMARY KEY, ended_at REAL NOT NULL, trial INTEGER NOT NULL UNIQUE REFERENCES trials (number),
    status TEXT NOT NULL, reason TEXT NOT NULL, score REAL, epochs INTEGER NOT NULL, best_epoch INTEGER NOT NULL,
    seconds REAL NOT NULL, parameters INTEGER NOT NULL, predict_ms REAL NOT NULL, curve TEXT NOT NULL,
    weight_bytes INTEGER NOT NULL, latency_ms REAL NOT NULL, memory_bytes INTEGER NOT NULL, violation REAL NOT NULL,
    host TEXT NOT NULL, device TEXT NOT NULL, peak_bytes INTEGER NOT NULL, utilisation REAL NOT NULL
);
CREATE TABLE results (
    proposal INTEGER PRIMARY KEY REFERENCES proposals (id), loss REAL, ended INTEGER NOT NULL, seconds REAL NOT NULL,
    others TEXT NOT NULL, violation REAL NOT NULL
);
CREATE TABLE events (id INTEGER PRIMARY KEY, time REAL NOT NULL, kind TEXT NOT NULL, data TEXT NOT NULL);
"""

# Columns that came with format 3, in the order of the tables.
_ADDED = """
ALTER TABLE outcomes ADD COLUMN host TEXT NOT NULL DEFAULT '';
ALTER TABLE outcomes ADD COLUMN device TEXT NOT NULL DEFAULT '';
ALTER TABLE outcomes ADD COLUMN peak_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outcomes ADD COLUMN utilisation REAL NOT NULL DEFAULT 0
"""


class Database:
    """The file at `path`. `writer` and `lock` are the two connections of the process that may write, None for a reader."""

    def __init__(self, path: Path, writer: sqlite3.Connection | None, lock: sqlite3.Connection | None) -> None:
        self.path = path
        self._writer = writer
        self._lock = lock

    @classmethod
    def create(cls, path: Path, settings: Mapping[str, Any]) -> Self:
        """Make the file, with the settings in its table `meta`, and hold the right to write."""
        text = json.dumps(settings)
        return cls._to_write(path, lambda writer: _lay_down(writer, path, text))

    @classmethod
    def open(cls, path: Path, *, read_only: bool) -> Self:
        """Open a file that `create` made. One of an earlier format keeps it until it is opened for writing."""
        if not path.is_file():
            raise RunError(
                f"{path.parent} must hold a search (a file {path.name}), but has none; give the folder that a search wrote (out)"
            )
        with _explained(path), closing(_connect_to_read(path)) as connection:
            if not _is_ours(connection, path):
                raise RunError(f"{path} must be the record of a search, but is empty; begin the search again")
        return cls(path, None, None) if read_only else cls._to_write(path, _take_over)

    @classmethod
    def _to_write(cls, path: Path, prepare: Callable[[sqlite3.Connection], None]) -> Self:
        with ExitStack() as stack:
            lock = stack.enter_context(closing(_locked(path)))
            stack.enter_context(_explained(path))
            writer = stack.enter_context(closing(_connect_to_write(path)))
            prepare(writer)
            stack.pop_all()
        return cls(path, writer, lock)

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give a connection for one transaction: what is written is kept as a whole, or not at all if anything raises."""
        if self._writer is None:
            raise RunError(f"{self.path} must be open for writing, but was closed, or opened to be read")
        with _explained(self.path), _transaction(self._writer, "IMMEDIATE"):
            yield self._writer

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give a connection that sees the file as it is at one moment."""
        with ExitStack() as stack:
            stack.enter_context(_explained(self.path))
            connection = self._writer or stack.enter_context(closing(_connect_to_read(self.path)))
            stack.enter_context(_transaction(connection, "DEFERRED"))
            yield connection

    def close(self) -> None:
        """Give the right to write back; reading stays possible."""
        writer, lock, self._writer, self._lock = self._writer, self._lock, None, None
        if writer is not None:
            with contextlib.suppress(sqlite3.OperationalError):  # someone is reading: then the log stays beside the file
                writer.execute("PRAGMA journal_mode = DELETE")  # one plain file, which can be read from a read-only disk too
            writer.close()
        if lock is not None:
            lock.close()


def _connect_to_write(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_WAIT, isolation_level=None)
    connection.row_factory = sqlite3.Row
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _connect_to_read(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", timeout=_WAIT, isolation_level=None, uri=True)
    connection.row_factory = sqlite3.Row
    return connection


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection, kind: str) -> Iterator[None]:
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        connection.rollback()  # nothing, after a commit


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what SQLite says of a file into a `RunError`; a broken constraint is a bug of ours and stays what it is."""
    try:
        yield
    except sqlite3.IntegrityError:
        raise
    except sqlite3.DatabaseError as error:
        raise RunError(f"{path} must be the record of a search, on a disk with space, but SQLite says: {error}") from error


def _is_ours(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether a file is a record in a format that we know; False for an empty one. Raises `RunError` for anything else."""
    ((application,),) = connection.execute("PRAGMA application_id")
    version = _version(connection)
    ((tables,),) = connection.execute("SELECT count(*) FROM sqlite_master")
    if application == _APPLICATION and version not in {*_EARLIER, FORMAT}:
        known = " or ".join(map(str, (*_EARLIER, FORMAT)))
        raise RunError(f"{path} must have format {known}, but has format {version}; use the version of automl that wrote it")
    if application != _APPLICATION and tables:
        raise RunError(
            f"{path} must be the record of a search, but is another program's database; give the folder that a search wrote"
        )
    return bool(application == _APPLICATION)


def _lay_down(connection: sqlite3.Connection, path: Path, settings: str) -> None:
    """Write tables and settings. What a killed creation left is an empty file, which may be used."""
    if _is_ours(connection, path):
        raise RunError(f"{path.parent} already holds a search; go on with it (resume), or choose another folder (out)")
    with _transaction(connection, "IMMEDIATE"):
        for statement in _SCHEMA.split(";"):
            connection.execute(statement)
        connection.execute("INSERT INTO meta VALUES ('settings', ?), ('writer', ?)", (settings, _signature()))
        connection.execute(f"PRAGMA user_version = {FORMAT}")
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")


def _version(connection: sqlite3.Connection) -> int:
    ((version,),) = connection.execute("PRAGMA user_version")
    return int(version)


def _take_over(connection: sqlite3.Connection) -> None:
    """Bring the tables up to this format, where they are of an earlier one, and sign as the writer."""
    with _transaction(connection, "IMMEDIATE"):
        if _version(connection) in _EARLIER:
            for statement in _ADDED.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {FORMAT}")
        connection.execute("UPDATE meta SET value = ? WHERE key = 'writer'", (_signature(),))


def _signature() -> str:
    return json.dumps({"pid": os.getpid(), "host": socket.gethostname()})


def check_unused(path: Path) -> None:
    """Raise `RunError`, naming the process, where another one has the right to write the file at `path`, whatever it holds."""
    _locked(path).close()


def _locked(path: Path) -> sqlite3.Connection:
    """Return the right to write. Raises `RunError`, naming the process, where another one holds it."""
    lock = sqlite3.connect(path.with_name(path.name + ".lock"), timeout=0, isolation_level=None)
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        lock.close()
        raise RunError(
            f"{path.parent} can have one writer at a time, but {_writer_of(path)} is using it; wait for its end, stop it, "
            "or choose another folder (a search that runs can always be looked at)"
        ) from error
    return lock


def _writer_of(path: Path) -> str:
    with contextlib.suppress(sqlite3.Error, ValueError), closing(_connect_to_read(path)) as connection:
        ((text,),) = connection.execute("SELECT value FROM meta WHERE key = 'writer'")
        writer = json.loads(text)
        own = " (this one: close the earlier search first)" if text == _signature() else ""
        return f"process {writer['pid']} on {writer['host']}{own}"
    return "another process"
