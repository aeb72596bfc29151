"""What happened to the trials of one configuration, rung by rung, and what they printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from automl.board import Entry
from automl.errors import OptionError
from automl.executors.logs import log_of
from automl.progress import name_of
from automl.run_folder import Run
from automl.store import Record
from automl.trial import SCORED, Outcome, Trial
from search_spaces.base import nearest

_BEGUN = "begun"  # the status of a trial without an outcome


@dataclass(frozen=True)
class Rung:
    """Trials of one configuration, or baseline, that ran together. log: the file of what they printed, "" if they didn't."""

    record: Record
    log: str
    printed: str

    def trials(self) -> list[tuple[Trial, Outcome | None]]:
        """Return the trials, each with its outcome; None where there is none yet."""
        outcomes = {outcome.trial: outcome for outcome in self.record.outcomes}
        return [(trial, outcomes.get(trial.number)) for trial in self.record.trials]


def rungs(run: Run, given: int | str) -> list[Rung]:
    """Return what was tried of a configuration, in this order. given: its number, 12, "12", "#12" or "MLP #12", or a baseline.

    Raises `OptionError` where there is none.
    """
    groups: dict[int, list[Record]] = {}
    for record in run.store.records():
        groups.setdefault(record.trials[0].configuration_number, []).append(record)
    number = _number(groups, given)
    return [_rung(run, record) for record in groups[number]]


def _number(groups: Mapping[int, Sequence[Record]], given: int | str) -> int:
    names = {name_of(records[0].proposal): number for number, records in groups.items()}
    text = str(given).strip()
    bare = text.removeprefix("#")
    if text in names:
        return names[text]
    if bare.removeprefix("-").isdecimal() and int(bare) in groups:
        return int(bare)
    numbers = sorted(number for number in groups if number >= 0)
    baselines = sorted(name for name, number in names.items() if number < 0)
    known = ([f"networks {numbers[0]} to {numbers[-1]}"] if numbers else []) + [f"baseline {name}" for name in baselines]
    raise OptionError(
        f"number must be that of a network of the search (12 of 'MLP #12') or a baseline's name, got {given!r}; there are "
        f"{', '.join(known) or 'none yet'}{nearest(text, baselines)}"
    )


def _rung(run: Run, record: Record) -> Rung:
    name = log_of(record.trials[0].number)
    try:
        printed = (run.path / name).read_text(encoding="utf-8", errors="replace")
    except OSError:
        printed = ""
    return Rung(record, name if printed else "", printed)


def as_text(run: Run, given: int | str) -> str:
    """Return a line for each trial of a configuration, and what was printed. Raises `OptionError` where there is none."""
    tried = rungs(run, given)
    lines = [name_of(tried[0].record.proposal)]
    for rung in tried:
        lines += [_line(rung.record, trial, outcome) for trial, outcome in rung.trials()]
    for rung in tried:
        lines += ["", f"{rung.log}:", rung.printed.rstrip("\n")] if rung.log else []
    if not any(rung.log for rung in tried):
        is_kept = (run.path / "logs").is_dir() or run.store.settings().get("cluster")
        where = "" if is_kept else ": trials that run inline print where the search was started"
        lines += [f"nothing that they printed is on record{where}"]
    return "\n".join(lines)


def _line(record: Record, trial: Trial, outcome: Outcome | None) -> str:
    """Return a trial in a line: "epochs 3 to 9 of 9, fold 0: killed (node-a, cpu, 1.20 s): out of memory"."""
    epochs = "" if isinstance(record.proposal, str) else f"epochs {trial.start} to {trial.stop} of {trial.total}, "
    where = f"{epochs}fold {trial.fold}: "
    if outcome is None:
        return f"{where}{_BEGUN}, without an outcome: it runs, waits, or was interrupted"
    place = ", ".join(part for part in (outcome.host, outcome.device, f"{outcome.seconds:.2f} s") if part)
    return f"{where}{outcome.status} ({place}){f': {outcome.reason}' if outcome.reason else ''}"


def as_data(run: Run, given: int | str) -> dict[str, Any]:
    """Return the same as JSON data. Raises `OptionError` where there is none."""
    tried = rungs(run, given)
    first = tried[0].record
    return {
        "number": first.trials[0].configuration_number,
        "model": name_of(first.proposal),
        "rungs": [
            {
                "start": rung.record.trials[0].start,
                "stop": rung.record.trials[0].stop,
                "total": rung.record.trials[0].total,
                "trials": [_trial(trial, outcome) for trial, outcome in rung.trials()],
                "log": rung.log or None,
                "printed": rung.printed,
            }
            for rung in tried
        ],
    }


def _trial(trial: Trial, outcome: Outcome | None) -> dict[str, Any]:
    known = outcome or Outcome(trial.number, "killed")
    return {
        "trial": trial.number,
        "fold": trial.fold,
        "status": _BEGUN if outcome is None else known.status,
        "reason": known.reason,
        "host": known.host,
        "device": known.device,
        "seconds": known.seconds,
        "peak_memory_bytes": known.peak_bytes,
        "utilisation": known.utilisation,
    }


def failed(entries: Sequence[Entry]) -> list[Entry]:
    """Return the configurations and baselines that went wrong, by number; what broke a limit did not."""
    wrong = [entry for entry in entries if not entry.violation and (entry.loss is None or entry.status not in SCORED)]
    return sorted(wrong, key=lambda entry: entry.number)
