import os

# Before torch is imported: trials and tests use one thread each, so that neither waits for the other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

# A busy machine must not turn a slow example into a failure, and a failure must come again in the next run.
settings.register_profile("automl", deadline=None, derandomize=True)
settings.load_profile("automl")

# These files share a Ray cluster, which takes long to start.
ON_A_CLUSTER = (
    "tests/automl/executors/test_bell.py",
    "tests/automl/executors/test_contract.py",
    "tests/automl/executors/test_ray.py",
    "tests/automl/test_cluster_search.py",
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give the tests of a file to one process, in their order, and those of all files on a cluster to one too."""
    from xdist.scheduler import LoadFileScheduling

    class FilesTogether(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            return "cluster" if file in ON_A_CLUSTER else file

    return FilesTogether(config, log) if config.getvalue("dist") in {"load", "loadfile"} else None
