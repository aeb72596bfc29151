"""`python -m automl`: the command line where the `automl` script isn't on the path."""

from __future__ import annotations

from automl.cli import main

main()
