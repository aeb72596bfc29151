import os
import sys

import pytest

from automl.executors.inline import InlineExecutor
from automl.executors.processes import ProcessesExecutor
from automl.executors.wire import families_to_text
from automl.trial import Trial

# Nodes on loopback, and dead ones found within two seconds; read by Ray when it starts.
ENVIRONMENT = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "2",
    "RAY_memory_monitor_refresh_ms": "100",
}


@pytest.fixture(scope="session")
def made_cluster():
    """Return a Ray cluster of one node with two CPUs, to which nodes can be added, and a connection to it."""
    if sys.platform != "linux":
        pytest.skip("a made-up Ray cluster of several nodes needs Linux")
    os.environ.update(ENVIRONMENT)
    from automl.executors.cluster import Cluster, imported

    imported("auto")
    from ray.cluster_utils import Cluster as MadeUp

    made = MadeUp(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    with Cluster.connect(made.address) as cluster:
        yield made, cluster
    made.shutdown()
    for name in ENVIRONMENT:
        del os.environ[name]


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
