"""What a search shows while it runs: a live table on a terminal, plain lines elsewhere, both on standard error."""

from __future__ import annotations

import os
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Self

from automl.progress import Ended, Place, Progress

if TYPE_CHECKING:
    from rich.console import Group
    from rich.live import Live
    from rich.table import Table

_PATIENCE = 2.0  # seconds of reading before that is said
_LINE_EVERY = 15.0  # seconds between plain lines that bring no news
_NODES = 12  # of a cluster, shown by name


@contextmanager
def announced(data: object) -> Iterator[None]:
    """Say on standard error what is being read, if that takes some seconds: before it is done nothing else can be shown."""
    what = str(data) if isinstance(data, (str, os.PathLike)) else f"a {type(data).__name__}"
    timer = threading.Timer(_PATIENCE, lambda: print(f"reading {what} ...", file=sys.stderr))  # noqa: T201
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class View:
    """Shows a search to a person. Use as a context manager and as a callback of the study."""

    def __init__(self, metric: str) -> None:
        from rich.console import Console

        self.metric = metric
        self.console = Console(stderr=True, highlight=False)
        self._live: Live | None = None
        self._shown: tuple[str, int] | None = None
        self._baselines = 0
        self._nodes: Counter[Place] = Counter()
        self._next_line = 0.0

    def __enter__(self) -> Self:
        if self.console.is_terminal or self.console.is_jupyter:
            from rich.live import Live

            self._live = Live(console=self.console, refresh_per_second=4, transient=False)
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, lines: Sequence[str]) -> None:
        """Print lines as they are."""
        for line in lines:
            self.console.print(line, markup=False, soft_wrap=True)

    def __call__(self, progress: Progress) -> None:
        """Show the search as it stands."""
        if self._live is not None:
            self.say(progress.news)
            self._live.update(_screen(progress, self.metric))
        else:
            self._lines(progress)

    def _lines(self, progress: Progress) -> None:
        news = [*self._changes(progress.nodes), *progress.news]
        news += [f"baseline {_outcome(entry)}" for entry in progress.baselines[self._baselines :]]
        self._baselines = len(progress.baselines)
        best = progress.best
        if best is not None and (best.name, best.epochs) != self._shown:
            self._shown = (best.name, best.epochs)
            news.append(f"best so far {_outcome(best)}")
        if news or progress.elapsed >= self._next_line:
            self._next_line = progress.elapsed + _LINE_EVERY
            self.say([f"[{progress.elapsed:6.1f} s] {line}" for line in news or [_state(progress)]])

    def _changes(self, nodes: Sequence[Place]) -> list[str]:
        """Return a line on the machines that joined and left the cluster since the last time, if any did."""
        before, now = self._nodes, Counter(replace(node, running=()) for node in nodes)
        if before == now:
            return []
        self._nodes = now
        joined, left = list((now - before).elements()), list((before - now).elements())
        parts = [f"{_named([f'{node.name} ({_size(node)})' for node in joined])} joined"] if joined else []
        parts += [f"{_named([node.name for node in left])} left"] if left else []
        return [f"{'; '.join(parts)}; {_count(len(nodes), 'node')} now"]


def _state(progress: Progress) -> str:
    left = "" if progress.time_limit is None else f", {max(0.0, progress.time_limit - progress.elapsed):.0f} s left"
    counts = (
        f"{progress.configurations} networks, {progress.ended} trials done, {progress.running} running, {progress.failed} failed"
    )
    refused = f", {progress.refused} over a limit" if progress.refused else ""
    return counts + refused + left


def _outcome(entry: Ended) -> str:
    score = f"{entry.score:.5g}" if entry.score is not None else f"{entry.status}: {entry.reason}"
    return f"{entry.name}: {score} ({entry.epochs} epochs, {entry.seconds:.1f} s)"


def _size(node: Place) -> str:
    gpus = f", {_count(node.gpus, 'GPU')}" if node.gpus else ""
    return _count(node.cpus, "CPU") + gpus


def _count(number: float, what: str) -> str:
    return f"{number:g} {what}{'' if number == 1 else 's'}"


def _named(names: Sequence[str]) -> str:
    """Return a list of names in words, a long one shortened."""
    more = [f"{len(names) - _NODES} more"] if len(names) > _NODES else []
    return ", ".join([*names[:_NODES], *more])


def _screen(progress: Progress, metric: str) -> Group:
    """Return the table, with a line for each machine of a cluster below it."""
    from rich.console import Group
    from rich.text import Text

    width = max((len(node.name) for node in progress.nodes[:_NODES]), default=0)
    lines = [f"{node.name:{width}}  {_size(node)}  {', '.join(node.running) or 'idle'}" for node in progress.nodes[:_NODES]]
    lines += [f"and {_count(len(progress.nodes) - _NODES, 'node')} more"] if len(progress.nodes) > _NODES else []
    return Group(_table(progress, metric), *(Text(line, no_wrap=True, overflow="ellipsis") for line in lines))


def _table(progress: Progress, metric: str) -> Table:
    from rich.table import Table

    best = "none yet" if progress.best is None else _outcome(progress.best)
    table = Table(
        title=f"{progress.elapsed:.0f} s: {_state(progress)}",
        caption=f"best: {best}",
        title_justify="left",
        caption_justify="left",
    )
    for name, justify in (("model", "left"), (metric, "right"), ("epochs", "right"), ("seconds", "right"), ("status", "left")):
        table.add_column(name, justify="right" if justify == "right" else "left")
    for entry in (*progress.baselines, *(entry for entry in progress.latest if not entry.is_baseline)):
        score = "" if entry.score is None else f"{entry.score:.5g}"
        table.add_row(entry.name, score, str(entry.epochs), f"{entry.seconds:.1f}", entry.status)
    return table
