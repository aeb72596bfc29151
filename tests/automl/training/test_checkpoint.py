import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from automl.errors import RunError
from automl.training.checkpoint import Checkpoints, Progress, Snapshot

LAST = {"a": torch.arange(3.0), "count": torch.tensor(7), "none": torch.zeros(0, 4)}
BEST = {"a": torch.ones(3), "count": torch.tensor(2), "none": torch.zeros(0, 4)}
TRAINING = {"generator/batches": torch.Generator().get_state()}
PROGRESS = Progress(4, 2, 1 / 3, False, 0.25, ((1, 0.1), (2, 1 / 3), (3, 0.3), (4, 0.2)))


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path / "checkpoints")


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(value, second[name]) for name, value in first.items())


def test_a_snapshot_is_read_as_it_was_written(checkpoints):
    folder = checkpoints.write(12, 0, Snapshot(PROGRESS, LAST, BEST, TRAINING))
    assert folder == checkpoints.folder(12, 0, 4) == checkpoints.root / "00012" / "fold-0" / "epoch-4"
    assert checkpoints.exists(12, 0, 4)
    assert not checkpoints.exists(12, 0, 3)
    read = checkpoints.read(12, 0, 4)
    assert read.progress == PROGRESS
    assert same(read.last, LAST)
    assert same(read.best, BEST)
    assert same(read.training, TRAINING)
    assert same(checkpoints.best(12, 0, 4), BEST)


def test_best_weights_that_are_the_last_are_written_once(checkpoints):
    folder = checkpoints.write(0, 1, Snapshot(PROGRESS, LAST, LAST, {}))
    assert not (folder / "best.safetensors").exists()
    read = checkpoints.read(0, 1, 4)
    assert read.best is read.last
    assert same(checkpoints.best(0, 1, 4), LAST)


def test_the_form_of_a_checkpoint_on_disk(checkpoints):
    folder = checkpoints.write(-1, 0, Snapshot(PROGRESS, LAST, BEST, {}))
    assert folder.parts[-3:] == ("-0001", "fold-0", "epoch-4")
    assert json.loads((folder / "state.json").read_text()) == {
        "format": 1,
        "best_is_last": False,
        "epoch": 4,
        "best_epoch": 2,
        "best_score": 1 / 3,
        "stopped": False,
        "epoch_seconds": 0.25,
        "curve": [[1, 0.1], [2, 1 / 3], [3, 0.3], [4, 0.2]],
    }
    names = {entry.name for entry in folder.iterdir()}
    assert names == {"weights.safetensors", "best.safetensors", "training.safetensors", "state.json"}


def test_writing_again_replaces_what_a_killed_process_left(checkpoints):
    checkpoints.write(1, 0, Snapshot(PROGRESS, LAST, LAST, {}))
    checkpoints.write(1, 0, Snapshot(PROGRESS, BEST, BEST, {}))
    assert same(checkpoints.best(1, 0, 4), BEST)
    assert [entry.name for entry in (checkpoints.root / "00001" / "fold-0").iterdir()] == ["epoch-4"]


def test_a_process_killed_while_writing_leaves_no_checkpoint(checkpoints, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("automl.training.checkpoint.json.dumps", killed)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.write(1, 0, Snapshot(PROGRESS, LAST, BEST, {}))
    monkeypatch.setattr("automl.training.checkpoint.np.save", lambda path, *_, **__: (path.write_bytes(b"half"), killed()))
    with pytest.raises(KeyboardInterrupt):
        checkpoints.write_predictions(1, 0, np.zeros(3))
    assert not checkpoints.exists(1, 0, 4)
    assert len(list((checkpoints.root / "00001" / "fold-0").iterdir())) == 2
    checkpoints.sweep()
    assert list((checkpoints.root / "00001" / "fold-0").iterdir()) == []


@pytest.mark.parametrize("predictions", [np.float32([[0.25, 0.75]]), np.array([1e9 + 0.1])])
def test_predictions_are_kept_exactly_and_outlive_the_weights(predictions, checkpoints):
    checkpoints.write_predictions(3, 0, predictions * 2)
    checkpoints.write_predictions(3, 0, predictions)
    for fold in (0, 1):
        checkpoints.write(3, fold, Snapshot(PROGRESS, LAST, BEST, {}))
    checkpoints.release(3)
    assert not checkpoints.exists(3, 0, 4)
    assert not checkpoints.exists(3, 1, 4)
    read = checkpoints.predictions(3, 0)
    assert read.dtype == predictions.dtype
    assert np.array_equal(read, predictions)
    checkpoints.release(3)
    checkpoints.release(99)


def test_earlier_rungs_are_discarded(checkpoints):
    for epoch in (1, 3, 9, 27):
        checkpoints.write(3, 0, Snapshot(replace(PROGRESS, epoch=epoch), LAST, BEST, {}))
    checkpoints.discard_before(3, 9)
    assert [epoch for epoch in (1, 3, 9, 27) if checkpoints.exists(3, 0, epoch)] == [9, 27]


def test_what_is_missing_or_damaged_is_one_clear_error(checkpoints):
    with pytest.raises(RunError, match="epoch-4 must hold a checkpoint, but there is none"):
        checkpoints.read(3, 0, 4)
    with pytest.raises(RunError, match="must hold a checkpoint"):
        checkpoints.best(3, 0, 4)
    with pytest.raises(RunError, match=r"choose\.npy must hold predictions"):
        checkpoints.predictions(3, 0)
    folder = checkpoints.write(3, 0, Snapshot(PROGRESS, LAST, BEST, {}))
    (folder / "weights.safetensors").write_bytes(b"half")
    with pytest.raises(RunError, match=r"weights\.safetensors must hold tensors"):
        checkpoints.read(3, 0, 4)
    (folder / "state.json").write_text('{"format": 2}')
    with pytest.raises(RunError, match="must be a checkpoint of format 1, got 2"):
        checkpoints.read(3, 0, 4)
    (folder / "state.json").write_text("{")
    with pytest.raises(RunError, match="must be readable JSON"):
        checkpoints.read(3, 0, 4)
    (folder.parent / "choose.npy").write_bytes(b"half")
    with pytest.raises(RunError, match="must hold predictions"):
        checkpoints.predictions(3, 0)
