import re
import time
from dataclasses import replace

import pytest

from automl import live
from automl.live import View
from automl.progress import Ended, Place, Progress


def ended(name="MLP #0", score=0.5, epochs=3, status="finished", reason="", *, baseline=False):
    loss = None if score is None else -score
    return Ended(name, loss, score, epochs, 1.25, status, reason, baseline)


def progress(elapsed=1.0, best=None, baselines=(), latest=(), time_limit=60.0):
    return Progress(elapsed, time_limit, 4, 3, 1, 1, 2, best, tuple(baselines), tuple(latest))


@pytest.fixture
def lines(capsys):
    """Return a function that shows progress in a view that writes to no terminal, and returns the lines on standard error."""

    def show(*shown):
        with View("accuracy") as view:
            for one in shown:
                view(one)
        printed = capsys.readouterr()
        assert printed.out == ""
        return printed.err.splitlines()

    return show


def test_plain_lines_tell_news_once(lines):
    best, better, deeper = ended("MLP #0"), ended("MLP #3", 0.75), ended("MLP #3", 0.8, epochs=9)
    linear = ended("linear", 0.7, 0, baseline=True)
    shown = lines(
        progress(1.0, best),
        progress(1.5, best, [linear]),
        progress(2.0, better, [linear]),
        progress(2.5, better, [linear]),
        progress(3.0, deeper, [linear]),
    )
    assert shown == [
        "[   1.0 s] best so far MLP #0: 0.5 (3 epochs, 1.2 s)",
        "[   1.5 s] baseline linear: 0.7 (0 epochs, 1.2 s)",
        "[   2.0 s] best so far MLP #3: 0.75 (3 epochs, 1.2 s)",
        "[   3.0 s] best so far MLP #3: 0.8 (9 epochs, 1.2 s)",
    ]


def test_plain_lines_say_now_and_then_that_the_search_lives(lines):
    shown = lines(*(progress(0.5 * tick) for tick in range(100)))
    assert len(shown) == 4
    assert shown[0] == "[   0.0 s] 2 networks, 3 trials done, 1 running, 1 failed, 60 s left"


def test_networks_over_a_limit_are_counted_apart(lines):
    shown = lines(replace(progress(0.0), refused=7))
    assert shown == ["[   0.0 s] 2 networks, 3 trials done, 1 running, 1 failed, 7 over a limit, 60 s left"]


def test_without_a_limit_no_time_is_left(lines):
    assert lines(progress(0.0, time_limit=None)) == ["[   0.0 s] 2 networks, 3 trials done, 1 running, 1 failed"]


def test_a_failed_baseline_says_why(lines):
    failed = ended("boosting", None, 0, "error", "no [/b] of [red]", baseline=True)
    assert lines(progress(1.0, None, [failed])) == ["[   1.0 s] baseline boosting: error: no [/b] of [red] (0 epochs, 1.2 s)"]


def test_long_lines_are_not_broken(lines, capsys):
    view = View("accuracy")
    view.say(["word " * 100])
    assert capsys.readouterr().err.count("\n") == 1
    assert lines() == []


def test_a_terminal_shows_a_live_table_that_stays(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with View("accuracy") as view:
        view.say(["binary task"])
        view(progress(1.0))
        baseline = ended("linear", 0.7, 0, baseline=True)
        latest = [baseline, ended("MLP #1", None, 1, "killed", "why"), ended("MLP #0", 0.8125)]
        view(progress(7.0, ended("MLP #0", 0.8125), [baseline], latest))
    shown = capsys.readouterr().err
    assert "\x1b[" in shown
    last = shown[shown.rindex("7 s: 2 networks") :]
    assert "53 s left" in last
    for words in (["linear", "0.7", "finished"], ["MLP #1", "killed"], ["MLP #0", "0.8125"], ["best: MLP #0: 0.8125"]):
        assert any(all(word in line for word in words) for line in last.splitlines()), words
    assert last.count("linear") == 1


A, B = Place("node-a", 16.0, 1.0, ("MLP #12", "CNN #14")), Place("node-bb", 1.0, 0.0)


def on(*nodes, elapsed=1.0):
    return replace(progress(elapsed), nodes=nodes)


def test_plain_lines_tell_which_machines_join_and_leave(lines):
    c = Place("c", 8.5, 2.0)
    shown = lines(on(A), on(replace(A, running=())), on(A, B, c), on(c, B, A), on(c, B, B), on(), progress(2.0))
    assert shown == [
        "[   1.0 s] node-a (16 CPUs, 1 GPU) joined; 1 node now",
        "[   1.0 s] node-bb (1 CPU), c (8.5 CPUs, 2 GPUs) joined; 3 nodes now",
        "[   1.0 s] node-bb (1 CPU) joined; node-a left; 3 nodes now",
        "[   1.0 s] c, node-bb, node-bb left; 0 nodes now",
    ]


def test_a_large_cluster_is_one_line(lines):
    (line,) = lines(on(*(replace(B, name=f"n{number}") for number in range(100))))
    assert line.startswith("[   1.0 s] n0 (1 CPU), n1 (1 CPU), ")
    assert line.endswith("n11 (1 CPU), 88 more joined; 100 nodes now")


def on_a_terminal(monkeypatch, capsys, shown, width):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("LINES", "60")
    with View("accuracy") as view:
        view(shown)
    return re.sub(r"\x1b\[[0-9?;]*[a-zA-Z]", "", capsys.readouterr().err).splitlines()


def test_a_terminal_shows_what_each_machine_runs(monkeypatch, capsys):
    shown = on_a_terminal(monkeypatch, capsys, on(A, B), 100)
    assert [line.rstrip() for line in shown[-2:]] == ["node-a   16 CPUs, 1 GPU  MLP #12, CNN #14", "node-bb  1 CPU  idle"]


def test_a_narrow_terminal_has_a_line_for_each_machine(monkeypatch, capsys):
    busy = replace(A, running=tuple(f"MLP #{number}" for number in range(64)))
    shown = on_a_terminal(monkeypatch, capsys, on(busy, *[B] * 13), 60)
    (line,) = (line for line in shown if line.startswith("node-a"))
    assert line.startswith("node-a   16 CPUs, 1 GPU  MLP #0, MLP #1")
    assert line.rstrip().endswith("…")
    assert len(line) == 60
    assert shown[-1].rstrip() == "and 2 nodes more"


def test_an_error_within_leaves_the_terminal_as_it_was(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    view = View("accuracy")

    def fail():
        with view:
            view(progress(1.0))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert capsys.readouterr().err.rstrip().endswith("\x1b[?25h")  # the cursor is back


def test_long_reading_is_said(capsys, monkeypatch):
    monkeypatch.setattr(live, "_PATIENCE", 0.01)
    with live.announced("photos"):
        time.sleep(0.2)
    assert capsys.readouterr().err == "reading photos ...\n"
    monkeypatch.setattr(live, "_PATIENCE", 60.0)
    with live.announced("photos"):
        pass
    assert capsys.readouterr().err == ""
