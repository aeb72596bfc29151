"""Where a run keeps what its trials print: a file for each cohort that printed, named by the number of its first trial."""

from __future__ import annotations

import os
from pathlib import Path

WORKERS = "logs/workers.log"  # of the process that starts trials


def log_of(first: int) -> str:
    """Return the file for the cohort whose first trial has this number, below the run's folder: "logs/trial-00012.log"."""
    return f"logs/trial-{first:05}.log"


def print_to(path: Path) -> None:
    """Let all that this process prints, C code included, go to the end of a file. Raises `OSError` where it can't be written."""
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
