import pytest

from automl.executors.inline import InlineExecutor
from automl.executors.processes import ProcessesExecutor
from automl.trial import Trial


@pytest.fixture(scope="session")
def make_executor(tmp_path_factory, toy_task):
    """Return a function that makes an executor for a folder of its own, which holds a task."""

    def make(kind, families=(), workers=2):
        folder = tmp_path_factory.mktemp(kind)
        toy_task().save(folder / "task")
        if kind == "inline":
            return InlineExecutor(folder / "task", folder / "checkpoints"), folder
        return ProcessesExecutor(folder / "task", folder / "checkpoints", families, workers), folder

    return make


@pytest.fixture
def trial(toy_configuration):
    """Return a function that makes the trial of this number: a small network, two epochs, unless told otherwise."""

    def make(number, configuration=None, fold=0, deadline=None):
        return Trial(number, number, configuration or toy_configuration(), 5, 0, 2, 2, fold, deadline)

    return make
