import sys

import pytest

from automl.executors import bell

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a made-up Ray cluster needs Linux")


@pytest.mark.usefixtures("made_cluster")
def test_a_trial_that_waits_for_something_keeps_its_cpu():
    import ray

    def other():
        return "not alone"

    def waiting():
        try:
            return bell.got(ray.remote(other).options(num_cpus=2).remote(), 2.0)
        except TimeoutError:
            return "alone"

    assert ray.get(ray.remote(waiting).options(num_cpus=2).remote()) == "alone"
