import pytest

from automl.errors import RunError
from automl.run_folder import check_free, make_empty
from automl.store import Store


def test_a_new_or_empty_folder_is_free(tmp_path):
    check_free(tmp_path / "new", overwrite=False)
    check_free(tmp_path, overwrite=False)


def test_a_file_is_no_folder(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(RunError, match=r"out must be a folder, but .* is a file; choose another path"):
        check_free(file, overwrite=True)


def test_a_folder_of_others_is_never_taken(tmp_path):
    (tmp_path / "thesis.docx").write_text("")
    for overwrite in (False, True):
        with pytest.raises(RunError, match=r"holds thesis\.docx; choose another path"):
            check_free(tmp_path, overwrite=overwrite)


@pytest.mark.parametrize("name", ["task.csv", "tasks", "logs", "checkpoints", "task", "run.database"])
def test_what_is_only_called_like_ours_is_never_deleted(tmp_path, name):
    folder = tmp_path / name
    if folder.suffix:
        folder.write_text("a,b\n1,2\n")
    else:
        folder.mkdir()
        (folder / "mine.txt").write_text("")
    for overwrite in (False, True):
        with pytest.raises(RunError, match=r"out must be an empty folder, but .* holds"):
            make_empty(tmp_path, overwrite=overwrite)
    assert folder.exists()


def test_another_search_is_replaced_only_on_demand(tmp_path):
    store = Store.create(tmp_path, {})
    (tmp_path / "task").mkdir()
    with pytest.raises(RunError, match="holds another search; go on with it"):
        check_free(tmp_path, overwrite=False)
    with pytest.raises(RunError, match="can have one writer at a time"):
        check_free(tmp_path, overwrite=True)
    store.close()
    check_free(tmp_path, overwrite=True)
    make_empty(tmp_path, overwrite=True)
    assert list(tmp_path.iterdir()) == []
