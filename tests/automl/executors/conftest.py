import pytest

from automl.executors.inline import InlineExecutor
from automl.executors.processes import ProcessesExecutor
from automl.executors.wire import families_to_text
from automl.trial import Trial


@pytest.fixture(scope="session")
def make_executor(tmp_path_factory, toy_task, request):
    """Return a function that makes an executor for a folder of its own, which holds a task."""

    def make(kind, families=(), workers=2, storage=""):
        folder = tmp_path_factory.mktemp(kind)
        toy_task().save(folder / "task")
        if kind == "inline":
            return InlineExecutor(folder / "task", folder / "checkpoints"), folder
        if kind == "processes":
            return ProcessesExecutor(folder / "task", folder / "checkpoints", families, workers), folder
        from automl.executors.ray import RayExecutor, Terms
        from automl.executors.shares import Packing

        _, cluster = request.getfixturevalue("made_cluster")
        terms = Terms(workers, families_to_text(families), storage, Packing(1.0, "auto", uses_gpu=False))
        return RayExecutor(folder, cluster, terms), folder

    return make


@pytest.fixture
def trial(toy_configuration):
    """Return a function that makes the trial of this number: a small network, two epochs, unless told otherwise."""

    def make(number, configuration=None, fold=0, deadline=None):
        return Trial(number, number, configuration or toy_configuration(), 5, 0, 2, 2, fold, deadline)

    return make
