"""What the board says of where trials ran: always in the DataFrame, on a terminal where it tells them apart and fits."""

from dataclasses import replace

import pytest
from rich.console import Console

from automl.board import COLUMNS, entries, frame, records, text_table
from automl.run_folder import Run
from automl.strategies.base import Proposal, Result
from automl.trial import Outcome, Trial
from search_spaces.configuration import Configuration

GPU = "cuda:0 NVIDIA H100 80GB HBM3"
OURS = Outcome(0, "finished", "", 0.75, 2, 2, 1.0, 10, 0.5, host="node-a", device="cpu", peak_bytes=50_000_000, utilisation=0.5)


@pytest.fixture
def board_of(tmp_path, toy_task):
    """Return a function that makes the board of a run from the outcomes of each rung, by the configuration's number."""
    stores = []

    def make(rungs):
        run = Run.create(tmp_path / f"run-{len(stores)}", toy_task(), {})
        stores.append(run.store)
        for number, outcomes in rungs:
            first = run.store.next_trial_number()
            made = Proposal(number, Configuration(), 0, 2, 2)
            run.store.begin(
                made, [Trial(first + fold, number, made.configuration, 1, 0, 2, 2, fold, None) for fold in range(len(outcomes))]
            )
            ended = [replace(outcome, trial=first + fold) for fold, outcome in enumerate(outcomes)]
            run.store.finish(ended, Result(made, -0.75 + number / 100, ended=True))
        return frame(entries(run), {})

    yield make
    for store in stores:
        store.close()


def lines(board, width):
    console = Console(width=width)
    with console.capture() as shown:
        console.print(text_table(board, width))
    return [line.rstrip() for line in shown.get().splitlines()]


def test_hosts_and_devices_are_joined_over_folds_and_rungs_and_utilisation_is_the_mean_of_all_seconds(board_of):
    board = board_of(
        [
            (0, [OURS, replace(OURS, seconds=3.0, utilisation=0.9)]),
            (0, [replace(OURS, host="node-b", device=GPU, peak_bytes=7, seconds=4.0, utilisation=0.1), OURS]),
            (1, [Outcome(0, "timeout", "late", seconds=9.0, host="node-c")]),
            (2, [Outcome(0, "timeout", "later")]),
        ]
    ).set_index("model")
    assert board["host"].tolist() == ["node-a, node-b", "node-c", ""]
    assert board["device"].tolist() == [f"cpu, {GPU}", "", ""]
    assert board["peak_memory_bytes"].tolist() == [50_000_000, 0, 0]
    assert board["utilisation"].tolist() == [pytest.approx((0.5 + 2.7 + 0.4 + 0.5) / 9, abs=0.001), 0.0, 0.0]


def test_one_machines_board_shows_no_places_but_has_them(board_of):
    board = board_of([(0, [OURS]), (1, [OURS])])
    assert tuple(board.columns) == COLUMNS
    assert [(row["host"], row["device"], row["peak_memory_bytes"], row["utilisation"]) for row in records(board)] == [
        ("node-a", "cpu", 50_000_000, 0.5)
    ] * 2
    shown = lines(board, 200)
    assert shown[0].split()[-2:] == ["epochs", "status"]
    assert not any("node-a" in line for line in shown)


@pytest.mark.parametrize("other", [replace(OURS, host="node-b"), replace(OURS, device=GPU)])
def test_several_machines_or_another_device_are_shown(board_of, other):
    shown = lines(board_of([(0, [OURS]), (1, [other])]), 200)
    assert shown[0].split()[-5:] == ["host", "device", "memory", "busy", "status"]
    for line, outcome in zip(shown[1:], (OURS, other), strict=True):
        assert f"{outcome.host} {outcome.device}" in line
        assert line.split()[-4:] == ["50", "MB", "50%", "finished"]


@pytest.mark.parametrize(
    ("width", "last"), [(130, "busy"), (100, "memory"), (94, "device"), (80, "host"), (70, "epochs"), (30, "epochs")]
)
def test_a_narrow_terminal_shows_as_much_of_places_as_fits(board_of, width, last):
    board = board_of([(0, [OURS]), (1, [replace(OURS, host="node-b", device="cuda:0 NVIDIA T4")])])
    shown = lines(board, width)
    if width > 60:
        assert shown[0].split()[-2:] == [last, "status"]
        assert all(line.endswith("finished") for line in shown[1:])
    assert len(shown) == 3
    assert max(len(line) for line in shown) <= width


def test_reasons_keep_their_room(board_of):
    reason = "a long story of what went wrong " * 5
    board = board_of([(0, [OURS]), (1, [replace(OURS, status="killed", score=None, host="node-b", reason=reason)])])
    for width in (80, 100, 120, 160):
        shown = lines(board, width)
        assert ("host" in shown[0]) == (width > 110)
        assert width < 100 or any("story of what" in line for line in shown)
