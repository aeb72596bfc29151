"""Where trials run. Every executor gives equal outcomes for equal trials; the study knows only `base.Executor`.

    processes   a process for each cohort of trials, forked from a zygote: one that hangs or crashes is killed alone. Needs Linux.
    inline      in this process, one after the other: for debugging, tiny runs, and systems without a safe fork

On macOS, fork is unsafe once system libraries have been used; Windows has none. There trials run inline.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from automl.executors.base import Executor
    from automl.executors.handle import Zygote
    from search_spaces.domains import Families

__all__ = ["Workers", "default_executor"]


def default_executor() -> str:
    """Return "processes" where trials can have processes of their own, "inline" elsewhere."""
    return "processes" if sys.platform == "linux" and hasattr(os, "fork") else "inline"


class Workers:
    """Those who will run trials, called before there is work: they load their libraries while the data are read.

    executor: "processes" or "inline". families: the user's own. notice: what the user should know, or "".
    Leave its `with`, and no process is left.
    """

    def __init__(self, executor: str, families: Families = ()) -> None:
        from automl.executors.handle import Zygote

        self.notice = ""
        self._families = families
        self._zygote: Zygote | None = None
        if executor == "processes" and default_executor() == "processes":
            self._zygote = Zygote.start()
        elif executor == "processes":
            self.notice = (
                f"trials run one after the other in this process: processes of their own need Linux, this is {sys.platform}"
            )

    def executor(self, folder: Path, workers: int) -> Executor:
        """Return the executor for the run in `folder`, with at most so many cohorts of trials at the same time."""
        task, checkpoints = folder / "task", folder / "checkpoints"
        if self._zygote is None:
            from automl.executors.inline import InlineExecutor

            return InlineExecutor(task, checkpoints)
        from automl.executors.processes import ProcessesExecutor

        return ProcessesExecutor(task, checkpoints, self._families, workers, self._zygote)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._zygote is not None:
            self._zygote.stop()
