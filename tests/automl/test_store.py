import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from automl import database
from automl.database import FORMAT
from automl.errors import RunError
from automl.store import Event, Store
from automl.strategies.base import Proposal, Result
from automl.trial import Outcome, Trial
from search_spaces.configuration import Configuration
from search_spaces.mlp import MLP

SETTINGS = {"seed": 7, "space": {"architecture/MLP/*": [1, None, "a"]}}

REFUSED = Outcome(5, "infeasible", "too many parameters", parameters=9, violation=0.7)


class OwnNet(MLP):
    """A user's family."""


def proposal(number, start=0, stop=3, configuration=None):
    return Proposal(number, configuration or Configuration(), start, stop, 9)


def trials_of(made, first, folds=2):
    if isinstance(made, str):
        return [Trial(first + fold, -1, made, 11, 0, 1, 1, fold, 2e9) for fold in range(folds)]
    span = (made.start, made.stop, made.total)
    return [Trial(first + fold, made.number, made.configuration, 2**55 + fold, *span, fold, None) for fold in range(folds)]


def outcome(trial, score=0.1 + 0.2):
    curve = ((1, 1 / 3), (2, score), (3, 1e-300))
    ran = ("node-ü", "cuda:3 NVIDIA H100", 2**41, 1 / 3)
    return Outcome(trial, "finished", "", score, 3, 2, 1.5, 1234, 0.25, curve, 5000, 0.1 + 0.7, 2**40, 0.0, *ran)


def a_result(made):
    return Result(made, -0.3, False, 3.0, (0.1 + 0.7, 1234.0), 0.0)


@pytest.fixture
def store(tmp_path):
    with Store.create(tmp_path, SETTINGS) as store:
        yield store


def fill(store):
    """Write a record of each kind: a finished proposal, a failed one, one under way, and two baselines, one under way."""
    first, second, third = (
        proposal(0),
        proposal(1, configuration=Configuration(architecture=MLP(dropout=0.25))),
        proposal(0, 3, 9),
    )
    store.begin(first, trials_of(first, 0))
    store.begin("linear", trials_of("linear", 2))
    store.begin(second, trials_of(second, 4))
    store.finish([outcome(4), REFUSED], Result(second, None, ended=True, violation=0.7))
    store.finish([outcome(2), outcome(3)], None)
    store.finish([outcome(0), outcome(1)], a_result(first))
    store.begin(third, trials_of(third, 6))
    store.begin("boosting", trials_of("boosting", 8))
    return first, second, third


def test_what_was_written_is_read_back_equal(store):
    first, second, third = fill(store)
    records = store.records()
    assert [record.proposal for record in records] == [first, "linear", second, third, "boosting"]
    assert records[0].trials == tuple(trials_of(first, 0))
    assert records[1].trials == tuple(trials_of("linear", 2))
    assert records[0].outcomes == (outcome(0), outcome(1))
    assert records[0].result == a_result(first)
    assert records[1].outcomes == (outcome(2), outcome(3))
    assert records[1].result is None
    assert records[2].outcomes == (outcome(4), REFUSED)
    assert records[2].result == Result(second, None, ended=True, violation=0.7)
    assert [(record.outcomes, record.result, record.ended, record.place) for record in records[3:]] == [
        ((), None, None, None)
    ] * 2


def test_places_tell_the_order_in_which_records_ended(store):
    fill(store)
    ended = sorted((record for record in store.records() if record.place is not None), key=lambda record: record.place)
    assert [record.trials[0].number for record in ended] == [4, 2, 0]
    assert all(record.began <= record.ended <= time.time() for record in ended)


def test_settings_and_numbers_and_events(store):
    assert store.settings() == SETTINGS
    assert store.next_trial_number() == 0
    fill(store)
    assert store.next_trial_number() == 10
    store.add_event("resumed", {"after": 2})
    store.add_event("ended", {})
    first, second = store.events()
    assert first == Event(first.time, "resumed", {"after": 2})
    assert second.kind == "ended"
    assert first.time <= second.time <= time.time()


def test_a_closed_record_is_read_and_reopened_but_not_written(store, tmp_path):
    fill(store)
    before = store.records()
    store.close()
    store.close()
    assert store.records() == before
    with pytest.raises(RunError, match="must be open for writing"):
        store.begin("linear", trials_of("linear", 20))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.db", "run.db.lock"]
    with Store.open(tmp_path) as again:
        assert again.records() == before
        again.begin("majority", trials_of("majority", again.next_trial_number()))
        assert len(again.records()) == len(before) + 1


def test_a_reader_sees_a_search_that_goes_on_and_can_not_write(store, tmp_path):
    reader = Store.open(tmp_path, read_only=True)
    assert reader.records() == []
    fill(store)
    assert reader.records() == store.records()
    assert reader.settings() == SETTINGS
    with pytest.raises(RunError, match="opened to be read"):
        reader.add_event("note", {})


def test_closing_while_someone_reads_does_no_harm(store, tmp_path):
    fill(store)
    reader = sqlite3.connect(tmp_path / "run.db")
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM trials").fetchone()
    store.close()
    reader.close()
    assert len(Store.open(tmp_path, read_only=True).records()) == 5


def test_a_call_that_fails_leaves_nothing_behind(store):
    made = proposal(0)
    store.begin(made, trials_of(made, 0))
    with pytest.raises(sqlite3.IntegrityError):
        store.begin(proposal(1), trials_of(proposal(1), 1))
    with pytest.raises(sqlite3.IntegrityError):
        store.finish([outcome(0), outcome(99)], Result(made, 0.5, ended=True))
    (record,) = store.records()
    assert (record.proposal, record.outcomes, record.result) == (made, (), None)
    store.finish([outcome(0), outcome(1)], Result(made, 0.5, ended=True))


def test_a_family_of_the_user_is_needed_to_read_its_configurations(tmp_path):
    own = Configuration(architecture=OwnNet(dropout=0.125))
    with Store.create(tmp_path, {}, (OwnNet,)) as store:
        store.begin(proposal(0, configuration=own), trials_of(proposal(0, configuration=own), 0))
        assert store.records()[0].trials[0].configuration == own
    assert Store.open(tmp_path, (OwnNet, MLP), read_only=True).records()[0].proposal.configuration == own
    with pytest.raises(RunError, match=r"configuration 0: every family must be known.*OwnNet.*families="):
        Store.open(tmp_path, read_only=True).records()


def test_a_second_writer_is_refused_by_name(store, tmp_path):
    with pytest.raises(RunError, match=rf"process {os.getpid()} on .*this one: close the earlier search"):
        Store.open(tmp_path)
    code = f"from pathlib import Path; from automl.store import Store; Store.open(Path({str(tmp_path)!r}))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f"RunError: {tmp_path} can have one writer at a time, but process {os.getpid()} on" in other.stderr
    fill(store)
    store.close()
    Store.open(tmp_path).close()


def test_a_folder_that_holds_a_run_takes_no_second_one(store, tmp_path):
    store.close()
    with pytest.raises(RunError, match=r"already holds a search; go on with it \(resume\)"):
        Store.create(tmp_path, {})
    Store.open(tmp_path).close()


def test_a_creation_that_was_killed_can_be_repeated(tmp_path):
    connection = sqlite3.connect(tmp_path / "run.db")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    with pytest.raises(RunError, match=r"but is empty; begin the search again"):
        Store.open(tmp_path)
    with Store.create(tmp_path, SETTINGS) as store:
        assert store.settings() == SETTINGS


def test_what_is_no_record_is_refused_in_words(tmp_path):
    with pytest.raises(RunError, match=r"nowhere must hold a search \(a file run.db\), but has none"):
        Store.open(tmp_path / "nowhere")
    with pytest.raises(RunError, match="must hold a search"):
        Store.open(tmp_path, read_only=True)
    (tmp_path / "run.db").write_text("PK\3\4 these are not the records you are looking for " * 100)
    for refused in (
        lambda: Store.open(tmp_path),
        lambda: Store.open(tmp_path, read_only=True),
        lambda: Store.create(tmp_path, {}),
    ):
        with pytest.raises(RunError, match=r"run.db must be the record of a search.*file is not a database"):
            refused()
    (tmp_path / "run.db").unlink()
    with sqlite3.connect(tmp_path / "run.db") as foreign:
        foreign.execute("CREATE TABLE birds (name TEXT)")
    foreign.close()
    for refused in (lambda: Store.open(tmp_path), lambda: Store.create(tmp_path, {})):
        with pytest.raises(RunError, match="another program's database"):
            refused()


def test_a_damaged_record_is_an_error_not_a_crash(store, tmp_path):
    for number in range(0, 400, 2):
        made = proposal(number)
        store.begin(made, trials_of(made, number))
    store.close()
    path = tmp_path / "run.db"
    path.write_bytes(path.read_bytes()[:8192] + bytes(path.stat().st_size - 8192))
    with pytest.raises(RunError, match=r"run.db must be the record of a search.*SQLite says"):
        Store.open(tmp_path, read_only=True).records()


def test_another_format_is_refused_by_number(store, tmp_path):
    store.close()
    with sqlite3.connect(tmp_path / "run.db") as connection:
        connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
    connection.close()
    with pytest.raises(RunError, match=f"must have format 2 or {FORMAT}, but has format {FORMAT + 1}"):
        Store.open(tmp_path, read_only=True)


@pytest.fixture
def of_format_2(store, tmp_path, to_format_2):
    """Return the file of a filled record as the version of format 2 would have written it, and what its records were."""
    fill(store)
    records = store.records()
    store.close()
    to_format_2(tmp_path)
    nowhere = {"host": "", "device": "", "peak_bytes": 0, "utilisation": 0.0}
    plain = [tuple(replace(outcome, **nowhere) for outcome in record.outcomes) for record in records]
    return tmp_path, [replace(record, outcomes=outcomes) for record, outcomes in zip(records, plain, strict=True)]


def version_of(folder):
    with closing(sqlite3.connect(folder / "run.db")) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


def columns_of_outcomes(folder):
    with closing(sqlite3.connect(folder / "run.db")) as connection:
        return [row[1] for row in connection.execute("PRAGMA table_info(outcomes)")]


def test_a_record_of_the_format_before_is_read_as_it_is(of_format_2):
    folder, records = of_format_2
    before = (folder / "run.db").read_bytes()
    assert Store.open(folder, read_only=True).records() == records
    assert (folder / "run.db").read_bytes() == before


def test_a_record_of_the_format_before_is_gone_on_with_while_it_is_being_read(of_format_2, tmp_path_factory):
    folder, records = of_format_2
    reader = Store.open(folder, read_only=True)
    with Store.open(folder) as store:
        assert version_of(folder) == FORMAT
        assert store.records() == reader.records() == records
        store.finish([outcome(6), outcome(7)], Result(records[3].proposal, 0.5, ended=True))
        assert store.records()[3].outcomes == reader.records()[3].outcomes == (outcome(6), outcome(7))
    Store.open(folder).close()  # nothing is added twice
    new = tmp_path_factory.mktemp("new")
    Store.create(new, {}).close()
    assert columns_of_outcomes(folder) == columns_of_outcomes(new)


def test_a_move_to_this_format_that_fails_changes_nothing(of_format_2, monkeypatch):
    folder, records = of_format_2
    monkeypatch.setattr(database, "_ADDED", database._ADDED + "; ALTER TABLE nonsense ADD COLUMN host TEXT")
    with pytest.raises(RunError, match="no such table: nonsense"):
        Store.open(folder)
    assert version_of(folder) == 2
    assert Store.open(folder, read_only=True).records() == records
    monkeypatch.undo()
    with Store.open(folder) as store:
        assert store.records() == records


def test_a_record_of_the_first_format_is_refused_in_words(store, tmp_path):
    store.close()
    with closing(sqlite3.connect(tmp_path / "run.db")) as connection:
        connection.execute("PRAGMA user_version = 1")
    for read_only in (True, False):
        with pytest.raises(RunError, match="must have format 2 or 3, but has format 1; use the version of automl that wrote it"):
            Store.open(tmp_path, read_only=read_only)


def test_the_format_is_the_one_that_files_have(store, tmp_path):
    """Whoever changes the tables must also change FORMAT, and this test."""
    store.close()
    connection = sqlite3.connect(tmp_path / "run.db")
    tables = connection.execute("SELECT name FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").fetchall()
    columns = {name: [row[1] for row in connection.execute(f"PRAGMA table_info({name})")] for (name,) in tables}
    header = connection.execute("PRAGMA application_id").fetchone() + connection.execute("PRAGMA user_version").fetchone()
    connection.close()
    assert header == (0x4155544F, 3)
    assert columns == {
        "events": ["id", "time", "kind", "data"],
        "meta": ["key", "value"],
        "outcomes": [
            "place",
            "ended_at",
            "trial",
            "status",
            "reason",
            "score",
            "epochs",
            "best_epoch",
            "seconds",
            "parameters",
            "predict_ms",
            "curve",
            "weight_bytes",
            "latency_ms",
            "memory_bytes",
            "violation",
            "host",
            "device",
            "peak_bytes",
            "utilisation",
        ],
        "proposals": ["id", "began", "number", "baseline", "configuration", "start", "stop", "total"],
        "results": ["proposal", "loss", "ended", "seconds", "others", "violation"],
        "trials": ["number", "proposal", "fold", "seed", "deadline"],
    }


WRITER = """
import sys
from pathlib import Path
from automl.store import Store
from automl.strategies.base import Proposal, Result
from automl.trial import Outcome, Trial
from search_spaces.configuration import Configuration

store = Store.open(Path(sys.argv[1]))
while True:
    number = store.next_trial_number()
    made = Proposal(number, Configuration(), 0, 1, 1)
    store.begin(made, [Trial(number + fold, number, made.configuration, 5, 0, 1, 1, fold, None) for fold in range(5)])
    print("begun", number, flush=True)
    store.finish([Outcome(number + fold, "finished", score=0.5) for fold in range(5)], Result(made, -0.5, True))
    print("finished", number, flush=True)
"""


def test_kill_9_loses_nothing_that_was_written_and_frees_the_run(store, tmp_path):
    store.close()
    dice = random.Random(3)
    for _ in range(2):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as writer:
            said = [writer.stdout.readline()]
            time.sleep(dice.uniform(0.02, 0.2))
            writer.send_signal(signal.SIGKILL)
            said += writer.stdout.readlines()
        read = Store.open(tmp_path, read_only=True).records()
        with Store.open(tmp_path) as again:
            records = {record.trials[0].number: record for record in again.records()}
        assert list(records.values()) == read
        for what, number in (line.split() for line in said if line.endswith("\n")):
            assert len(records[int(number)].trials) == 5
            assert what == "begun" or records[int(number)].result is not None
        assert {(len(record.trials), len(record.outcomes), record.result is None) for record in records.values()} <= {
            (5, 5, False),
            (5, 0, True),
        }


def test_a_call_costs_less_than_a_trial_would_notice(store):
    begun = time.perf_counter()
    for number in range(0, 200, 2):
        made = proposal(number)
        store.begin(made, trials_of(made, number))
        store.finish([outcome(number), outcome(number + 1)], Result(made, 0.5, ended=True))
    assert (time.perf_counter() - begun) / 200 < 0.005, "seconds a call; 0.0005 on an idle machine"


def test_settings_must_be_json(tmp_path):
    with pytest.raises(TypeError, match="JSON"):
        Store.create(tmp_path, {"path": Path("x")})
    assert not list(tmp_path.iterdir())
