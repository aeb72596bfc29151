"""What trials take of made-up nodes: given, or learnt from what the first ones took."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl.executors.cluster import Machine
from automl.executors.shares import Packing, Share
from automl.trial import Outcome

GB = 10**9


def machine(cpus=8, gpus=0, memory=64 * GB):
    return Machine("id", "host", {"CPU": cpus, "memory": memory, **({"GPU": gpus} if gpus else {})})


def on_gpu(peak_bytes, utilisation=0.0):
    return Outcome(1, "finished", device="cuda:0 NVIDIA H100", peak_bytes=peak_bytes, utilisation=utilisation)


@pytest.mark.parametrize(
    ("share", "fitting"),
    [
        (Share(1.0), 8),
        (Share(3.0), 2),
        (Share(0.5), 16),
        (Share(9.0), 0),
        (Share(1.0, 1.0), 2),
        (Share(1.0, 0.5), 4),
        (Share(1.0, 0.4), 4),  # two on each GPU: no trial lies on two
        (Share(1.0, 2.0), 1),
        (Share(5.0, 0.5), 1),
        (Share(1.0, 0.0, 20 * GB), 3),
    ],
)
def test_as_many_fit_as_every_resource_allows(share, fitting):
    assert share.fitting(machine(8, 2)) == fitting
    assert share.slots([machine(8, 2)] * 3) == 3 * fitting


@given(st.sampled_from([0.1, 0.2, 0.25, 0.3, 1 / 3, 0.5, 0.7, 1.0]), st.integers(1, 8))
def test_no_gpu_is_given_more_than_it_has(gpus, count):
    fitting = Share(0.001, gpus).fitting(machine(100, count))
    assert fitting >= count
    assert fitting / count * gpus <= 1 + 1e-6


def test_a_share_in_words_of_ray():
    assert Share(2.0).options == {"num_cpus": 2.0}
    assert Share(1.0, 0.25, 5).options == {"num_cpus": 1.0, "num_gpus": 0.25, "memory": 5}


def test_tables_take_no_gpu_and_what_the_user_says_stands():
    assert Packing(1.0, "auto", uses_gpu=False).share([machine(8, 2)]).gpus == 0
    packing = Packing(2.0, 0.3, uses_gpu=True)
    packing.learn([on_gpu(70 * GB)], 80 * GB, Share(1.0, 1.0))
    assert packing.share([machine(8, 2)]) == Share(2.0, 0.3)


def test_a_gpu_is_shared_by_as_many_as_its_memory_holds():
    packing, machines = Packing(1.0, "auto", uses_gpu=True), [machine(32, 2), machine(8)]
    assert packing.share(machines).gpus == 1.0  # nothing is known yet
    packing.learn([on_gpu(10 * GB)], 80 * GB, Share(1.0, 1.0))  # 10 GB with a margin, and what CUDA takes itself: 13.1
    assert packing.share(machines).gpus == pytest.approx(1 / 6)
    assert packing.share(machines).slots(machines) == 12
    packing.learn([on_gpu(1 * GB)], 80 * GB, Share(1.0, 1.0))  # the greediest counts
    assert packing.share(machines).gpus == pytest.approx(1 / 6)
    packing.learn([on_gpu(70 * GB)], 80 * GB, Share(1.0, 1.0))
    assert packing.share(machines).gpus == 1.0


def test_a_gpu_that_one_trial_keeps_busy_is_not_shared():
    packing = Packing(1.0, "auto", uses_gpu=True)
    packing.learn([on_gpu(1 * GB, utilisation=0.8)], 80 * GB, Share(1.0, 1.0))
    assert packing.share([machine(8, 1)]).gpus == 1.0
    other = Packing(1.0, "auto", uses_gpu=True)
    other.learn([on_gpu(GB // 100, utilisation=0.1)], 80 * GB, Share(1.0, 1.0))
    assert other.share([machine(8, 1)]).gpus == pytest.approx(1 / 8)  # no more than eight


def test_what_sharers_do_together_says_nothing_of_one():
    packing = Packing(1.0, "auto", uses_gpu=True)
    packing.learn([on_gpu(1 * GB, utilisation=0.2)], 80 * GB, Share(1.0, 1.0))
    assert packing.share([machine(8, 1)]).gpus == pytest.approx(0.25)
    packing.learn([on_gpu(1 * GB, utilisation=0.8)], 80 * GB, Share(1.0, 0.25))
    assert packing.share([machine(8, 1)]).gpus == pytest.approx(0.25)


def test_where_no_node_can_hold_a_trial_those_with_gpus_are_waited_for():
    packing = Packing(1.0, "auto", uses_gpu=True)
    assert packing.share([machine(0)]) == Share(1.0, 1.0)
    assert str(packing.share([])) == "1 CPU and 1 GPU"


def test_without_a_gpu_in_the_cluster_networks_train_on_cpus():
    assert Packing(1.0, "auto", uses_gpu=True).share([machine(8)]) == Share(1.0, 0.0)


def test_nodes_are_not_filled_with_more_than_their_memory():
    packing = Packing(1.0, "auto", uses_gpu=False)
    packing.learn([Outcome(1, "finished", device="cpu", peak_bytes=16 * GB), Outcome(2, "timeout")], 0, Share())
    machines = [machine(8), machine(8, memory=30 * GB)]
    assert packing.share(machines) == Share(1.0, 0.0, 19 * 2**30)  # 16 GB with a margin, in whole GiB
    assert packing.share(machines).slots(machines) == 4
    packing.learn([Outcome(1, "finished", device="cpu", peak_bytes=32 * GB)], 0, Share())
    assert packing.share(machines).memory == 30 * GB  # one trial at a time can always run
