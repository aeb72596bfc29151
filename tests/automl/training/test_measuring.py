"""What networks cost before they are trained, and that what breaks a limit isn't."""

import time
from dataclasses import replace
from unittest.mock import ANY

import numpy as np
import pytest
import safetensors.torch
import torch

from automl.demands import Demands, tightened
from automl.member import Member, weights_of
from automl.training.checkpoint import Checkpoints
from automl.training.measuring import bytes_as_saved, lacked_memory, latency_ms, measured, row_memory
from automl.training.networks import build_network, one_thread
from automl.trial import Trial, run_trials, trial_from_dict, trial_to_dict
from search_spaces.averaging import EMA
from search_spaces.language import Architecture, Int
from search_spaces.mlp import MLP, Plain
from search_spaces.optimizers import SGD, AdamW


class Unreal(Architecture):
    """A user's family that looks at its weights while it builds, and takes its time to predict."""

    width: int = Int(1, 512)

    def build(self, inputs, outputs):
        network = Sleepy(outputs.width, self.width)
        assert network.weight.sum().item() >= 0
        return network


class Sleepy(torch.nn.Module):
    def __init__(self, outputs, width):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(width, outputs))

    def forward(self, numeric, codes):
        time.sleep(0.004)
        return numeric.nan_to_num().mean(1, keepdim=True) * self.weight.mean(0)


class Huge(Architecture):
    """A network that would take 7 GB."""

    width: int = Int(1, 100000)

    def build(self, inputs, outputs):
        layers = [torch.nn.Linear(self.width, self.width) for _ in range(2)]
        return torch.nn.Sequential(*layers, torch.nn.Linear(self.width, 1, bias=True), torch.nn.Linear(1, 1, bias=False))


class Hungry(Architecture):
    """A network without room for the gradient of a single row, and for as many rows forward as `room`."""

    width: int = Int(1, 512)
    room: int = Int(0, 9)

    def build(self, inputs, outputs):
        return HungryNetwork(self, outputs.width)


class HungryNetwork(torch.nn.Module):
    def __init__(self, made_of, outputs):
        super().__init__()
        self.room = made_of.room
        self.first, self.last = torch.nn.Linear(3, made_of.width), torch.nn.Linear(made_of.width, outputs)

    def forward(self, numeric, codes):
        hidden = self.first(numeric.nan_to_num()).tanh()
        if self.training:
            hidden.register_hook(self.refuse)
            if len(numeric) > self.room:
                raise torch.OutOfMemoryError(f"no room for {len(numeric)}")
        return self.last((2 * hidden).tanh())

    def refuse(self, gradient):
        raise torch.OutOfMemoryError(f"no room for {len(gradient)}")


def wide(configuration, width=256):
    return replace(configuration, architecture=MLP(blocks=(Plain(width=width), Plain(width=width))))


def trial(configuration, demands, **changes):
    return replace(Trial(7, 3, configuration, 5, 0, 2, 9, 0, None, demands=demands), **changes)


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path)


def test_a_limit_is_broken_by_the_share_above_it():
    demands = Demands(max_parameters=100, max_bytes=50)
    assert demands.broken({"max_parameters": 100, "max_bytes": 50}) == (0.0, "")
    twice, reason = demands.broken({"max_parameters": 200, "max_bytes": 50})
    both, _ = demands.broken({"max_parameters": 200, "max_bytes": 100})
    assert both == pytest.approx(2 * twice)
    assert reason == "200 parameters, more than max_parameters=100"
    assert Demands().broken({"max_latency_ms": 1e9}) == (0.0, "")


@pytest.mark.parametrize("limit", ["max_parameters", "max_bytes", "max_latency_ms", "max_memory"])
def test_what_breaks_a_limit_is_refused_and_not_trained(limit, toy_task, toy_configuration, checkpoints):
    at_most = 1e-6 if limit == "max_latency_ms" else 1000
    [outcome] = run_trials([trial(wide(toy_configuration()), Demands(**{limit: at_most}))], toy_task(), checkpoints)
    assert (outcome.status, outcome.score, outcome.epochs, outcome.curve) == ("infeasible", None, 0, ())
    assert outcome.reason.endswith(f", more than {limit}={at_most:.15g}")
    assert outcome.violation > 0
    assert not list(checkpoints.root.iterdir())
    assert outcome.parameters > 1000


def test_the_cheapest_limits_are_looked_at_first(toy_task, toy_configuration):
    task, demands = toy_task(), Demands(max_parameters=10, max_latency_ms=1e-9, max_memory=1)
    found = measured(wide(toy_configuration()), task, task.folds[0], demands)
    assert found.reason.endswith("max_parameters=10")
    assert (found.latency_ms, found.memory_bytes) == (0.0, 0)
    found = measured(toy_configuration(), task, task.folds[0], Demands(max_latency_ms=1e-9, max_memory=1e15))
    assert found.reason.endswith("max_latency_ms=1e-09")
    assert found.memory_bytes == 0


def test_a_network_too_large_for_the_memory_is_never_built_to_be_timed(toy_task, toy_configuration):
    task, huge = toy_task(), replace(toy_configuration(), architecture=Huge(width=30000))
    found = measured(huge, task, task.folds[0], Demands(max_latency_ms=1e9, max_memory=1e9, is_timed=True))
    assert found.reason.endswith("max_memory=1000000000")
    assert (found.latency_ms, found.memory_bytes) == (0.0, 4 * 4 * found.parameters)
    learnt = Demands(max_latency_ms=1e9, max_row_memory=1e9, learnt_from="MLP #3")
    assert measured(huge, task, task.folds[0], learnt) == replace(found, violation=ANY, reason=ANY)


def test_what_holds_its_limits_is_trained_as_without_them(toy_task, toy_configuration, tmp_path):
    def run(demands):
        place = Checkpoints(tmp_path / str(demands is None))
        [outcome] = run_trials([trial(toy_configuration(), demands)], toy_task(), place)
        return outcome

    generous = Demands(1e6, 1e9, 1e4, 1e12)
    limited, plain = run(generous), run(None)
    assert (limited.status, limited.score, limited.curve) == ("finished", plain.score, plain.curve)
    assert limited.parameters == plain.parameters
    assert limited.weight_bytes > 4 * limited.parameters
    assert limited.latency_ms > 0
    assert limited.memory_bytes > 4 * 4 * limited.parameters
    assert (plain.weight_bytes, plain.latency_ms, plain.memory_bytes, plain.violation) == (0, 0.0, 0, 0.0)


def test_only_the_first_rung_is_measured(toy_task, toy_configuration, checkpoints):
    task, first = toy_task(), trial(toy_configuration(), Demands(max_parameters=1e6))
    run_trials([first], task, checkpoints)
    [second] = run_trials([replace(first, start=2, stop=3, demands=Demands(max_parameters=1))], task, checkpoints)
    assert second.status == "finished"
    assert second.weight_bytes == 0


def test_all_folds_are_refused_by_one_measurement(toy_task, toy_configuration, checkpoints, monkeypatch):
    times = []
    monkeypatch.setattr("automl.trial.measured", lambda *given: times.append(1) or measured(*given))
    task = toy_task()
    task = toy_task(folds=(task.folds[0], task.folds[0]))
    trials = [trial(toy_configuration(), Demands(max_parameters=9), number=8 + fold, fold=fold) for fold in (0, 1)]
    outcomes = run_trials(trials, task, checkpoints)
    assert [(outcome.trial, outcome.status) for outcome in outcomes] == [(8, "infeasible"), (9, "infeasible")]
    assert len(times) == 1


def test_refusing_is_cheap_whatever_the_size(toy_task, toy_configuration, checkpoints):
    task, huge = toy_task(), replace(toy_configuration(), architecture=Huge(width=30000))
    began = time.process_time()
    [outcome] = run_trials([trial(huge, Demands(max_parameters=10))], task, checkpoints)
    assert time.process_time() - began < 1
    assert outcome.reason == "1,800,090,002 parameters, more than max_parameters=10"


def test_bytes_are_those_of_the_file(toy_task, toy_configuration):
    fold, architecture = toy_task().folds[0], toy_configuration().architecture
    network = build_network(architecture, fold.inputs, fold.outputs, seed=0)
    saved = safetensors.torch.save(weights_of([Member(architecture, fold.inputs, fold.outputs, network)]))
    assert bytes_as_saved(network) == len(saved)


def test_latency_is_that_of_one_row(toy_task):
    task = toy_task()
    network = Sleepy(task.folds[0].outputs.width, 3)
    rows = set()
    network.register_forward_pre_hook(lambda _, given: rows.add(len(given[0])))
    with one_thread():
        assert latency_ms(network, task, task.folds[0]) >= 4
    assert rows == {1}
    assert not network.training


def test_a_passing_burden_refuses_nobody(toy_task, toy_configuration, checkpoints, monkeypatch):
    times = iter([9.0, 0.5])
    monkeypatch.setattr("automl.training.measuring.latency_ms", lambda *_: next(times))
    [outcome] = run_trials([trial(toy_configuration(), Demands(max_latency_ms=1))], toy_task(), checkpoints)
    assert (outcome.status, outcome.latency_ms) == ("finished", 0.5)


def test_a_minimised_latency_is_the_lesser_of_one_before_and_one_after(toy_task, toy_configuration, checkpoints, monkeypatch):
    times = iter([0.7, 0.5])
    monkeypatch.setattr("automl.training.measuring.latency_ms", lambda *_: next(times))
    [outcome] = run_trials([trial(toy_configuration(), Demands(is_timed=True))], toy_task(), checkpoints)
    assert outcome.latency_ms == 0.5


def test_a_family_that_looks_at_its_weights_is_measured_too(toy_task, toy_configuration, checkpoints):
    slow = replace(toy_configuration(), architecture=Unreal(width=5))
    [refused] = run_trials([trial(slow, Demands(max_parameters=100, max_latency_ms=1))], toy_task(), checkpoints)
    assert refused.status == "infeasible"
    assert refused.parameters == 10
    assert "ms for a row, more than max_latency_ms=1" in refused.reason


def test_memory_counts_what_recipe_and_batch_add(toy_task, toy_configuration):
    task, large = toy_task(rows=2000), Demands(max_memory=1e15)

    def memory(**recipe):
        return measured(wide(toy_configuration(**recipe)), task, task.folds[0], large).memory_bytes

    weights = 4 * measured(wide(toy_configuration()), task, task.folds[0], large).parameters
    plain = memory(optimizer=SGD())
    assert memory(optimizer=AdamW()) - plain == 2 * weights
    assert memory(optimizer=SGD(), averaging=EMA()) - plain == weights
    few, more, most = (memory(optimizer=SGD(), batch_size=size) for size in (32, 64, 128))
    assert (most - more) == pytest.approx(2 * (more - few), rel=0.01)
    assert few > 2 * weights


@pytest.mark.parametrize("size", [32, 64])
def test_memory_is_about_what_a_whole_batch_keeps(size, toy_images):
    from search_spaces.configuration import space_for

    task = toy_images(rows=300)
    fold = task.folds[0]
    configuration = space_for(fold.inputs, fold.outputs, task.losses).default()
    configuration = replace(configuration, recipe=replace(configuration.recipe, batch_size=size))
    found = measured(configuration, task, fold, Demands(max_memory=1e15))
    network = build_network(configuration.architecture, fold.inputs, fold.outputs, seed=0).train()
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    images = torch.tensor(np.asarray(task.features[0][fold.fit[:size]])).permute(0, 3, 1, 2).float()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = network(images)
    weights = 4 * found.parameters
    assert found.memory_bytes - (5 * weights) == pytest.approx(sum(kept.values()), rel=0.25)
    assert out.shape == (size, 4)


def test_trials_with_demands_are_json(toy_configuration):
    made = trial(toy_configuration(), Demands(max_parameters=5, is_timed=True))
    assert trial_from_dict(trial_to_dict(made)) == made


# ---------------------------------------------------------------------------------------------------------- memory that ran out


def hungry(configuration, width, room=9):
    return replace(configuration, architecture=Hungry(width=width, room=room))


def test_row_memory_does_not_depend_on_the_batch(toy_task, toy_configuration):
    task = toy_task()

    def memory(width, **recipe):
        return row_memory(wide(toy_configuration(optimizer=SGD(), **recipe), width), task, task.folds[0])

    weights = 4 * measured(wide(toy_configuration()), task, task.folds[0], Demands()).parameters
    assert 2 * weights < memory(256, batch_size=8) == memory(256, batch_size=1024)
    assert memory(256) < memory(264)


def test_row_memory_is_what_was_counted_where_there_is_no_room_for_two_rows(toy_task, toy_configuration):
    task = toy_task()
    enough, short, none = (hungry(toy_configuration(), 100, room) for room in (2, 1, 0))
    whole, part = (row_memory(one, task, task.folds[0]) for one in (enough, short))
    held = 4 * 4 * measured(enough, task, task.folds[0], Demands()).parameters
    assert held < part < whole
    assert row_memory(none, task, task.folds[0]) == part


def test_only_who_takes_half_of_the_memory_is_to_blame(toy_task, toy_configuration, monkeypatch):
    task, configuration = toy_task(), hungry(toy_configuration(), 100)
    needed = row_memory(configuration, task, task.folds[0])
    assert lacked_memory(configuration, task, task.folds[0]) == 0
    monkeypatch.setattr("automl.training.measuring.memory_of", lambda _: 2 * needed)
    assert lacked_memory(configuration, task, task.folds[0]) == needed
    monkeypatch.setattr("automl.training.measuring.memory_of", lambda _: 2 * needed + 1)
    assert lacked_memory(configuration, task, task.folds[0]) == 0


def test_what_takes_as_much_as_one_that_ran_out_of_memory_is_refused(toy_task, toy_configuration, checkpoints, monkeypatch):
    task = toy_task()
    monkeypatch.setattr("automl.training.measuring.memory_of", lambda _: 1000)
    [failed] = run_trials([trial(hungry(toy_configuration(), 300), None)], task, checkpoints)
    assert failed.status == "out_of_memory"
    assert failed.memory_bytes == row_memory(hungry(toy_configuration(), 300), task, task.folds[0])
    demands = tightened(None, failed.memory_bytes, "Hungry #3")

    def again(width):
        [outcome] = run_trials([trial(hungry(toy_configuration(), width), demands)], task, checkpoints)
        return outcome

    for width in (300, 500):
        refused = again(width)
        assert (refused.status, refused.epochs) == ("infeasible", 0)
        assert refused.violation > 0
        least = f"{failed.memory_bytes:,}"
        why = f" bytes to train two rows at a time, no less than the {least} of Hungry #3, which ran out of memory"
        assert refused.reason.endswith(why)
    assert again(299).status == "out_of_memory", "it is tried, however hopeless it is"
    [trained] = run_trials([trial(toy_configuration(batch_size=1024), demands)], task, checkpoints)
    assert trained.status == "finished"


def test_demands_only_get_tighter():
    assert tightened(None, 100, "A") == Demands(max_row_memory=99, learnt_from="A")
    given = Demands(max_parameters=5, is_timed=True)
    first = tightened(given, 100, "A")
    assert first == replace(given, max_row_memory=99, learnt_from="A")
    assert tightened(first, 100, "B") == tightened(first, 101, "B") == first
    assert tightened(first, 99, "B") == replace(given, max_row_memory=98, learnt_from="B")
    assert first.broken({"max_row_memory": 99}) == (0.0, "")
    violation, reason = first.broken({"max_row_memory": 100, "max_parameters": 5})
    assert violation > 0
    assert reason == "100 bytes to train two rows at a time, no less than the 100 of A, which ran out of memory"
