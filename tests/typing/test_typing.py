"""The other half of a public interface: what a type checker must accept, and what it must refuse."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MARK = "# expect error"
FEWEST_CASES = 8


@pytest.fixture(scope="module")
def refused_lines() -> dict[str, set[int]]:
    """Return the lines that mypy refuses, of both files: one run, because starting takes longer than checking."""
    files = [HERE / "right.py", HERE / "wrong.py"]
    options = ["--strict", "--no-error-summary", "--hide-error-context", "--show-absolute-path"]
    command = [sys.executable, "-m", "mypy", *options, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=HERE.parents[1])
    found: dict[str, set[int]] = {file.name: set() for file in files}
    for line in done.stdout.splitlines():
        match = re.match(r"(.+\.py):(\d+): error: ", line)
        if match:
            assert Path(match[1]).name in found, line
            found[Path(match[1]).name].add(int(match[2]))
    assert done.returncode == 1, done.stdout + done.stderr
    return found


def test_right_uses_are_accepted(refused_lines):
    assert refused_lines["right.py"] == set()


def test_exactly_the_wrong_uses_are_refused(refused_lines):
    lines = (HERE / "wrong.py").read_text().splitlines()
    marked = {number for number, line in enumerate(lines, start=1) if line.rstrip().endswith(MARK)}
    assert len(marked) >= FEWEST_CASES
    assert refused_lines["wrong.py"] == marked, [lines[number - 1] for number in refused_lines["wrong.py"] ^ marked]


def test_what_is_accepted_also_runs():
    command = [sys.executable, "-W", "error", str(HERE / "right.py")]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
