import sys
import threading
import time
from importlib import machinery
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from automl.training import usage
from automl.training.usage import Meter

CPU, GPU = torch.device("cpu"), torch.device("cuda")
MEGABYTE = 1 << 20


def idle(seconds):
    threading.Event().wait(seconds)


def metered(work):
    with Meter(CPU) as meter:
        work()
    return meter.usage


def work_for(seconds):
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets the peak begin anew")
def test_the_peak_is_that_of_the_time_within():
    def take(size):
        np.ones(size * MEGABYTE, np.uint8).sum()

    large, small = metered(lambda: take(200)), metered(lambda: take(20))
    assert large.peak_bytes - small.peak_bytes > 150 * MEGABYTE
    assert small.peak_bytes > 20 * MEGABYTE


def test_utilisation_is_the_share_of_time_in_which_this_process_computed():
    assert metered(lambda: work_for(0.05)).utilisation > metered(lambda: idle(0.1)).utilisation
    assert metered(lambda: idle(0.1)).utilisation < 0.2


def test_several_threads_are_no_more_than_all_of_the_time():
    def both():
        values = np.ones((600, 600))
        threads = [threading.Thread(target=lambda: [values @ values for _ in range(5)]) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert 0 < metered(both).utilisation <= 1


def test_it_is_measured_whatever_is_raised():
    meter = Meter(CPU)

    def fail():
        with meter:
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert meter.usage.device == "cpu"
    assert meter.usage.peak_bytes > 0


def test_a_system_without_proc_tells_the_peak_of_all_its_time(monkeypatch):
    def missing(*_):
        raise FileNotFoundError

    monkeypatch.setattr(usage.os, "open", missing)
    monkeypatch.setattr("resource.getrusage", lambda _: SimpleNamespace(ru_maxrss=3000))
    assert metered(lambda: None).peak_bytes == 3000 * 1024
    monkeypatch.setattr(usage.sys, "platform", "darwin")
    assert metered(lambda: None).peak_bytes == 3000


def test_measuring_takes_no_time_that_a_trial_would_notice():
    times = []
    for _ in range(100):
        began = time.perf_counter()
        metered(lambda: None)
        times.append(time.perf_counter() - began)
    assert sorted(times)[50] < 2e-4, "seconds; 0.00002 on an idle machine"


@pytest.fixture
def gpu(monkeypatch):
    """Make torch believe in a GPU that holds 5 MB at most, is called H100 and works for a quarter and three quarters in turn."""
    asked = []

    def utilization(device):
        asked.append(device)
        return 25 if len(asked) % 2 else 75

    made_up = {
        "is_initialized": lambda: True,
        "reset_peak_memory_stats": lambda _: None,
        "max_memory_allocated": lambda _: 5 * MEGABYTE,
        "current_device": lambda: 0,
        "get_device_name": lambda _: "NVIDIA H100",
        "utilization": utilization,
    }
    for name, function in made_up.items():
        monkeypatch.setattr(torch.cuda, name, function)
    monkeypatch.setattr(usage, "_SAMPLE_EVERY", 0.001)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return asked


def give_pynvml(monkeypatch, there):
    spec = machinery.ModuleSpec("pynvml", None) if there else None
    monkeypatch.setattr(usage.importlib.util, "find_spec", lambda _: spec)


def wait_for(asked, count):
    until = time.monotonic() + 30
    while len(asked) < count and time.monotonic() < until:
        idle(0.001)


def test_of_a_gpu_it_is_its_own_memory_and_what_the_driver_says(gpu, monkeypatch):
    give_pynvml(monkeypatch, there=True)
    with Meter(GPU) as meter:
        wait_for(gpu, 4)
    assert (meter.usage.device, meter.usage.peak_bytes) == ("cuda:0 NVIDIA H100", 5 * MEGABYTE)
    assert 0.25 < meter.usage.utilisation < 0.75


def test_without_the_drivers_library_a_gpus_utilisation_is_unknown(gpu, monkeypatch):
    give_pynvml(monkeypatch, there=False)
    with Meter(GPU) as meter:
        work_for(0.01)
    assert (meter.usage.device, meter.usage.utilisation) == ("cuda:0 NVIDIA H100", 0.0)
    assert gpu == []


@pytest.mark.usefixtures("gpu")
def test_a_driver_that_does_not_tell_fails_no_trial(monkeypatch):
    asked = []

    def refuse(device):
        asked.append(device)
        raise RuntimeError("not supported")

    give_pynvml(monkeypatch, there=True)
    monkeypatch.setattr(torch.cuda, "utilization", refuse)
    with Meter(GPU) as meter:
        wait_for(asked, 1)
    assert meter.usage.utilisation == 0.0


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize(("visible", "name"), [("3", "cuda:3"), ("5,1", "cuda:5"), ("GPU-4f2a", "cuda:0"), ("", "cuda:0")])
def test_a_gpu_has_the_number_that_its_machine_gives_it(monkeypatch, visible, name):
    give_pynvml(monkeypatch, there=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with Meter(GPU) as meter:
        pass
    assert meter.usage.device == f"{name} NVIDIA H100"


@pytest.mark.usefixtures("gpu")
def test_a_gpu_that_nobody_used_does_not_count(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    give_pynvml(monkeypatch, there=False)
    with Meter(GPU) as meter:
        pass
    assert (meter.usage.device, meter.usage.peak_bytes > 5 * MEGABYTE) == ("cpu", True)
