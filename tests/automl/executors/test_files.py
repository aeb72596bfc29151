"""Files of checkpoints travel whole, and arrive whole or not at all."""

import numpy as np

from automl.executors.files import in_order, is_weights, read_files, write_files


def files(*paths):
    return {path: np.frombuffer(path.encode(), dtype=np.uint8) for path in paths}


CHECKPOINT = ("00003/fold-0/epoch-2/state.json", "00003/fold-0/epoch-2/weights.safetensors")
PREDICTIONS = "00003/fold-0/choose.npy"


def test_what_is_written_is_read_again(tmp_path):
    given = files(*CHECKPOINT, PREDICTIONS, "-0001/fold-0/report.npy")
    write_files(tmp_path, given)
    read = read_files(tmp_path, [3, -1])
    assert {path: bytes(content) for path, content in read.items()} == {path: path.encode() for path in given}
    assert read_files(tmp_path, [4]) == {}


def test_a_checkpoint_replaces_an_earlier_one_and_leaves_others(tmp_path):
    write_files(tmp_path, files(*CHECKPOINT, "00003/fold-0/epoch-2/best.safetensors", "00003/fold-1/epoch-2/state.json"))
    write_files(tmp_path, files(*CHECKPOINT))
    assert set(read_files(tmp_path, [3])) == {*CHECKPOINT, "00003/fold-1/epoch-2/state.json"}


def test_half_written_files_are_not_read(tmp_path):
    write_files(tmp_path, files(*CHECKPOINT))
    for draft in ("fold-0/.unfinished-epoch-3", "fold-0/.unfinished-7-epoch-4"):
        (tmp_path / "00003" / draft).mkdir()
        (tmp_path / "00003" / draft / "state.json").write_text("{")
    assert set(read_files(tmp_path, [3])) == set(CHECKPOINT)


def test_predictions_are_told_from_weights():
    assert [is_weights(path) for path in (*CHECKPOINT, PREDICTIONS, "a/b.npy", "b.npy")] == [True, True, False, False, False]


def test_what_says_that_a_checkpoint_is_there_comes_last():
    assert in_order(files(*CHECKPOINT, PREDICTIONS))[-1].endswith("state.json")
