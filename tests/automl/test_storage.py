"""A storage behind fsspec: this machine's folders here, and one in memory that knows no folders at all."""

import numpy as np
import pytest

from automl.errors import OptionError, RunError
from automl.storage import Storage, storage_of

PATHS = ("00003/fold-0/choose.npy", "00003/fold-0/epoch-1/state.json", "00003/fold-0/epoch-1/weights.safetensors")


@pytest.fixture(params=["path", "file", "memory"])
def storage(request, tmp_path):
    return Storage(
        {"path": f"{tmp_path}/kept", "file": f"file://{tmp_path}/kept", "memory": f"memory://{tmp_path}/kept"}[request.param]
    )


def files(*paths):
    return {path: np.frombuffer(path.encode(), dtype=np.uint8) for path in paths}


def contents(found):
    return {path: bytes(content).decode() for path, content in found.items()}


def test_files_of_configurations_are_kept_replaced_and_dropped(storage):
    storage.check_free(overwrite=False)
    storage.keep([3], files(*PATHS))
    storage.keep([4], files("00004/fold-0/choose.npy"))
    assert contents(storage.kept([3])) == {path: path for path in PATHS}
    later = (PATHS[0], "00003/fold-0/epoch-2/state.json")
    storage.keep([3], files(*later))
    assert set(storage.kept([3, 4, 5])) == {*later, "00004/fold-0/choose.npy"}
    storage.keep([3], files("00003/fold-0/epoch-3/state.json"))
    assert set(storage.kept([3])) == {PATHS[0], "00003/fold-0/epoch-3/state.json"}  # predictions stay
    storage.drop(3)
    storage.drop(5)
    assert set(storage.kept([3, 4])) == {PATHS[0], "00004/fold-0/choose.npy"}


def test_two_handles_see_the_same(storage):
    storage.keep([3], files(*PATHS))
    assert set(Storage(storage.url).kept([3])) == set(PATHS)


def test_nothing_is_restored_from_nothing(storage, tmp_path):
    with pytest.raises(RunError, match=r"run must hold a search, or .*kept a copy of it, but neither does"):
        storage.restore(tmp_path / "run")


def test_the_place_of_a_run_has_its_name_and_is_the_same_from_everywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert storage_of(tmp_path / "runs" / "adult", "kept").url == f"{tmp_path}/kept/adult"
    assert storage_of(tmp_path / "adult", "file:///bucket/x/").url == "file:///bucket/x/adult"
    assert storage_of(tmp_path / "adult", None) is None


def test_the_memory_of_a_process_is_no_storage_of_a_cluster(tmp_path):
    with pytest.raises(OptionError, match="'memory://x' is in the memory of one process"):
        storage_of(tmp_path, "memory://x")


def test_a_storage_that_is_gone_is_said_to_be(tmp_path):
    storage = Storage(f"{tmp_path}/kept")
    storage.check_free(overwrite=False)
    (tmp_path / "kept").rmdir()
    (tmp_path / "kept").write_text("a file in its place")
    with pytest.raises(RunError, match=r"kept must be there as long as the search, but \w+Error: "):
        storage.keep([3], files(*PATHS))


def test_a_url_that_nobody_knows_is_refused():
    with pytest.raises(OptionError, match="storage must be a folder or a URL that fsspec can open, but 'no-such://x'"):
        Storage("no-such://x")


def test_what_can_not_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OptionError, match="storage must be a folder that can be written"):
        Storage(f"{tmp_path}/file/kept").check_free(overwrite=False)
