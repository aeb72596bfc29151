"""Pretraining teaches a network its inputs, all but the last layer, once, and disturbs nothing else."""

import time
from dataclasses import replace

import pytest
import torch
from torch import nn

from automl.errors import NoModelError
from automl.training import loop
from automl.training.checkpoint import Checkpoints
from automl.training.clock import Clock
from automl.training.course import Span
from automl.training.learner import Learner, own_randomness
from automl.training.loop import fit_all, train
from automl.training.networks import CPU, NetworkFault
from automl.training.pretraining import _MOST_WEIGHTS, decoder, pretrain
from automl.training.rows import Rows
from automl.trial import Trial, run_trials
from search_spaces.averaging import EMA
from search_spaces.configuration import Configuration
from search_spaces.convnet import VGG, VGGStage
from search_spaces.domains import Infeasible
from search_spaces.language import Architecture, Choice
from search_spaces.linear import Linear
from search_spaces.losses import CrossEntropy
from search_spaces.mlp import MLP, Plain
from search_spaces.optimizers import Recipe
from search_spaces.pretraining import Autoencoding, Masking, NoNoise, NoPretraining, Swapping

PLAIN, DENOISING = Autoencoding(noise=NoNoise(), epochs=8), Autoencoding(noise=Masking(share=0.2), epochs=8)
LAYERWISE = Autoencoding(noise=Swapping(share=0.2), epochs=8, layerwise=True)
EVERY = [PLAIN, DENOISING, LAYERWISE]


def of_tables(pretraining, *, dropout=0.1, **recipe):
    mlp = MLP(dropout=dropout, blocks=(Plain(width=32), Plain(width=16)))
    return Configuration(architecture=mlp, recipe=Recipe(batch_size=32, pretraining=pretraining, **recipe))


def of_images(pretraining):
    vgg = VGG(width=8, opening=0, stages=(VGGStage(layers=1),))
    return Configuration(architecture=vgg, recipe=Recipe(batch_size=32, pretraining=pretraining))


def pretrained(configuration, task, seed=0, clock=None):
    """Return the learner before and after, and what was returned."""
    fold = task.folds[0]
    with own_randomness(CPU):
        learner = Learner(configuration, fold.inputs, fold.outputs, seed, CPU)
        before = learner.weights()
        rows = Rows.of(task, fold.fit, fold.outputs, CPU)
        return learner, before, pretrain(learner, rows, seed, clock or Clock(None))


@pytest.mark.parametrize("how", EVERY, ids=["plain", "denoising", "layerwise"])
@pytest.mark.parametrize("kind", ["tables", "images"])
def test_it_lowers_the_error_and_leaves_the_last_layer_alone(toy_task, toy_images, how, kind):
    task, made_of = (toy_task(), of_tables(how)) if kind == "tables" else (toy_images(), of_images(replace(how, epochs=16)))
    learner, before, came = pretrained(made_of, task)
    assert came.ending is None
    assert len(came.errors) == (2 if how.layerwise else 1)
    for errors in came.errors:
        assert errors[-1] < 0.8 * errors[0]
    after, trained = learner.weights(), {name for name, one in learner.network.named_parameters() if one.requires_grad}
    last = list(after)[-1].rpartition(".")[0]
    for name in trained:
        assert torch.equal(before[name], after[name]) == name.startswith(last), name
    assert all(parameter.grad is None for parameter in learner.parameters)
    assert all(parameter.requires_grad for parameter in learner.parameters)
    assert all(module.training for module in learner.network.modules())
    assert not any(module._forward_pre_hooks for module in learner.network.modules())


@pytest.mark.parametrize("how", EVERY, ids=["plain", "denoising", "layerwise"])
def test_equal_seeds_give_equal_weights_whatever_the_global_generator(toy_task, how):
    task = toy_task()
    first, _, _ = pretrained(of_tables(how), task, seed=1)
    torch.rand(3)
    again, _, _ = pretrained(of_tables(how), task, seed=1)
    assert all(torch.equal(one, again.weights()[name]) for name, one in first.weights().items())
    other, _, _ = pretrained(of_tables(how), task, seed=2)
    assert not torch.equal(first.weights()["blocks.0.0.weight"], other.weights()["blocks.0.0.weight"])


def test_noise_makes_a_difference(toy_task):
    task = toy_task()
    seen = {how.noise: pretrained(of_tables(how), task)[0].weights()["blocks.0.0.weight"] for how in EVERY[:2]}
    assert not torch.equal(*seen.values())


def test_no_chance_of_training_is_spent(toy_task):
    """Batches, augmentation, dropout and torch's own generator stand where they would stand without pretraining."""
    task = toy_task()
    states = []
    for how in (NoPretraining(), DENOISING):
        fold = task.folds[0]
        with own_randomness(CPU):
            learner = Learner(of_tables(how), fold.inputs, fold.outputs, 0, CPU)
            pretrain(learner, Rows.of(task, fold.fit, fold.outputs, CPU), 0, Clock(None))
            states.append({k: v for k, v in learner.training_state().items() if k.startswith(("generator", "optimizer"))})
            dropouts = {module.generator for module in learner.network.modules() if hasattr(module, "generator")}
        assert dropouts == {learner.dropout}
    assert all(torch.equal(one, states[1][name]) for name, one in states[0].items())


def test_nothing_happens_without_it(toy_task):
    learner, before, came = pretrained(of_tables(NoPretraining()), toy_task())
    assert came.errors == ()
    assert all(torch.equal(one, learner.weights()[name]) for name, one in before.items())


def test_each_stage_is_trained_once_behind_frozen_ones(toy_task, monkeypatch):
    from automl.training import pretraining

    seen, once = [], pretraining._pass

    def watched(course, autoencoder):
        before = course.learner.weights()
        came = once(course, autoencoder)
        after = course.learner.weights()
        seen.append({name for name, one in before.items() if not torch.equal(one, after[name])})
        return came

    monkeypatch.setattr(pretraining, "_pass", watched)
    pretrained(of_tables(replace(LAYERWISE, epochs=4)), toy_task())
    assert len(seen) == 4
    first, second = seen[0] | seen[1], seen[2] | seen[3]
    assert {name.split(".")[1] for name in first if name.startswith("blocks")} == {"0"}
    assert second == {name for name in second if name.startswith("blocks.1.")}  # not even statistics of norms before it
    assert {"blocks.1.0.weight", "blocks.1.1.running_mean"} <= second


def test_training_is_better_than_nothing_and_goes_on_without_pretraining_again(toy_task, tmp_path, monkeypatch):
    task, made_of = toy_task(), of_tables(DENOISING, averaging=EMA())
    calls, once = [], loop.pretrain
    monkeypatch.setattr(loop, "pretrain", lambda *given: calls.append(given) or once(*given))
    whole = train(made_of, task, task.folds[0], Span(3, 0, 4, 4))
    assert len(calls) == 1
    checkpoints, earlier = Checkpoints(tmp_path), None
    for start, stop in ((0, 1), (1, 4)):
        part = train(made_of, task, task.folds[0], Span(3, start, stop, 4), earlier)
        checkpoints.write(0, 0, part.snapshot)
        earlier = checkpoints.read(0, 0, stop)
    assert len(calls) == 2
    assert all(torch.equal(value, earlier.last[name]) for name, value in whole.snapshot.last.items())
    without = train(of_tables(NoPretraining(), averaging=EMA()), task, task.folds[0], Span(3, 0, 4, 4))
    assert not torch.equal(without.snapshot.last["blocks.0.0.weight"], whole.snapshot.last["blocks.0.0.weight"])


def test_a_refit_pretrains_too(toy_task):
    task = toy_task()
    fold = task.folds[0]
    plain, first, again = (fit_all(of_tables(how), task, fold, 1, 1, seed=0) for how in (NoPretraining(), DENOISING, DENOISING))
    assert torch.equal(first.blocks[0][0].weight, again.blocks[0][0].weight)
    assert not torch.equal(first.blocks[0][0].weight, plain.blocks[0][0].weight)
    with pytest.raises(NoModelError, match="recipe/pretraining"):
        fit_all(Configuration(architecture=Linear(), recipe=Recipe(pretraining=PLAIN)), task, fold, 1, 1, seed=0)


def test_a_deadline_cuts_it(toy_task):
    task, long = toy_task(rows=3000), of_tables(Autoencoding(epochs=100))
    _, _, came = pretrained(long, task, clock=Clock(time.time()))
    assert (came.ending, came.reason) == ("cut", "the deadline came in pass 1 of 100 of pretraining")
    began = time.time()
    trained = train(long, task, task.folds[0], Span(0, 0, 3, 3, deadline=began + 0.4))
    assert time.time() - began < 2
    assert trained.ending == "timeout"
    assert "of pretraining" in trained.reason
    assert trained.snapshot is None


def test_what_can_come_to_nothing_is_not_begun(toy_task):
    """Pretraining that takes all of the allowance is known before: its passes count like epochs."""
    task = toy_task(rows=3000)
    spans = [Span(0, 0, 1, 1, deadline=time.time() + 100, choosy=True) for _ in range(2)]
    slow = train(of_tables(Autoencoding(epochs=1)), task, task.folds[0], spans[0])
    assert slow.ending == "finished"
    from automl.training.course import Course, Exam

    fold = task.folds[0]
    with own_randomness(CPU):
        learner = Learner(of_tables(Autoencoding(epochs=100)), fold.inputs, fold.outputs, 0, CPU)
        course = Course(learner, Rows.of(task, fold.fit, fold.outputs, CPU), Exam.of(task, fold, CPU), spans[1], None)
    course.predict_ms, course.clock = 100.0, Clock(time.time() + 5)
    assert course.hopeless().startswith("pretraining and an epoch would take about")
    learner.recipe = Recipe()
    assert course.hopeless() == ""


class Own(Architecture):
    """A user's family with nothing special, and with what can go wrong."""

    fault: str = Choice("", "nan", "none", "keyword", "backward", "shape", "skips")

    def build(self, inputs, outputs):
        return OwnNetwork(len(inputs.numeric), outputs.width, self.fault)


def refuse(_gradient):
    raise RuntimeError("a mistake in backward")


class OwnNetwork(nn.Module):
    def __init__(self, columns, outputs, fault):
        super().__init__()
        self.fault = fault
        self.first, self.norm, self.drop = nn.Linear(columns, 8), nn.BatchNorm1d(8), nn.Dropout(0.3)
        self.last = nn.Linear(8, outputs)
        if fault == "none":
            self.first.requires_grad_(False), self.norm.requires_grad_(False)

    def forward(self, numeric, categorical):
        x = self.drop(self.norm(self.first(torch.nan_to_num(numeric) / 1e4)).relu())
        if self.fault == "nan" and self.training:
            x = x / 0
        if self.fault == "shape" and self.training:
            return self.last(x.unsqueeze(1)).squeeze(1)
        if self.fault == "skips" and self.training:
            return nn.functional.linear(x, self.last.weight, self.last.bias)
        if self.fault == "backward" and x.requires_grad and self.training:
            x.register_hook(refuse)
        return self.last(input=x) if self.fault == "keyword" else self.last(x)


def own(fault="", how=LAYERWISE):
    return Configuration(architecture=Own(fault=fault), recipe=Recipe(batch_size=32, pretraining=how))


def test_families_of_users_need_nothing_special(toy_task):
    learner, before, came = pretrained(own(), toy_task())
    assert came.errors[0][-1] < came.errors[0][0]
    assert torch.equal(before["last.weight"], learner.weights()["last.weight"])
    again, _, _ = pretrained(own(), toy_task())  # torch's own dropout draws from the global generator
    assert torch.equal(again.weights()["first.weight"], learner.weights()["first.weight"])


class Together(Architecture):
    """Members side by side, before the axis of the batch."""

    def build(self, inputs, outputs):
        return Members(len(inputs.numeric), outputs.width)


class Members(nn.Module):
    def __init__(self, columns, outputs):
        super().__init__()
        self.layers, self.head = nn.Sequential(nn.Linear(columns, 8), nn.ReLU(), nn.Linear(8, 6)), nn.Linear(6, outputs)

    def forward(self, numeric, categorical):
        return self.head(self.layers((torch.nan_to_num(numeric) / 1e4).expand(3, -1, -1))).mean(0)


@pytest.mark.parametrize("how", EVERY, ids=["plain", "denoising", "layerwise"])
def test_the_batch_may_be_any_axis(toy_task, how):
    made_of = Configuration(architecture=Together(), recipe=Recipe(batch_size=32, pretraining=how))
    _, _, came = pretrained(made_of, toy_task())
    assert len(came.errors) == (2 if how.layerwise else 1)
    assert all(errors[-1] < errors[0] for errors in came.errors)


def test_what_goes_wrong_is_said(toy_task, tmp_path):
    task = toy_task()
    for fault in ("none", "keyword"):
        with pytest.raises(Infeasible, match="recipe/pretraining must be NoPretraining for a network without layers before"):
            pretrained(own(fault), task)
    for fault in ("shape", "skips"):
        with pytest.raises(Infeasible, match="whose last layer is given other features in training, got OwnNetwork"):
            pretrained(own(fault), task)
    with pytest.raises(NetworkFault, match="the gradient of OwnNetwork raised RuntimeError: a mistake in backward"):
        pretrained(own("backward"), task)
    _, _, came = pretrained(own("nan"), task)
    assert (came.ending, came.reason) == ("diverged", "the error is nan in pass 1 of 8 of pretraining")
    assert train(own("nan"), task, task.folds[0], Span(0, 0, 2, 2)).ending == "diverged"
    with pytest.raises(NoModelError, match="refit: pretraining must stay finite, but the error is nan"):
        fit_all(own("nan"), task, task.folds[0], 1, 1, seed=0)
    trial = Trial(0, 0, Configuration(architecture=Linear(), recipe=Recipe(pretraining=PLAIN)), 0, 0, 1, 1, 0, None)
    (outcome,) = run_trials([trial], task, Checkpoints(tmp_path))
    assert outcome.status == "infeasible"


def test_other_inputs_than_tables_and_images_are_refused(toy_task):
    from search_spaces.made_up import INPUTS, OUTPUTS

    class Steps(Architecture):
        def build(self, inputs, outputs):
            return OwnNetwork(3, outputs.width, "")

    made_of = Configuration(architecture=Steps(), recipe=Recipe(pretraining=PLAIN))
    series = next(inputs for inputs in INPUTS.values() if type(inputs).__name__ == "TimeSeries")
    task = toy_task()
    with own_randomness(CPU):
        learner = Learner(made_of, series, OUTPUTS["binary"], 0, CPU)
        rows = Rows.of(task, task.folds[0].fit, task.folds[0].outputs, CPU)
        with pytest.raises(Infeasible, match="recipe/pretraining must be NoPretraining: inputs must be Table"):
            pretrain(learner, rows, 0, Clock(None))


@pytest.mark.parametrize(
    ("code", "rebuilt"),
    [
        ((16,), (5,)),
        ((16,), (8, 4, 4)),
        ((8, 7, 4), (3, 14, 7)),
        ((8, 16, 16), (3, 7, 9)),
        ((8, 1, 1), (3, 1, 1)),
        ((10, 16), (10, 12)),
        ((10, 16), (12, 7)),
        ((512, 64), (1024,)),
        ((64, 32, 32), (1024,)),
        ((256, 512), (1024, 512)),
    ],
)
def test_decoders_rebuild_any_shape_from_any(code, rebuilt):
    module, rebuilt_of = decoder(code, rebuilt)
    outputs, given = module(torch.rand(2, *code)), rebuilt_of(torch.rand(2, *rebuilt))
    assert outputs.numel() == given.numel()
    assert sum(parameter.numel() for parameter in module.parameters()) <= 2 * _MOST_WEIGHTS
    assert given.shape == (2, *rebuilt) or rebuilt[-1] == 512


def test_losses_of_the_task_play_no_part(toy_task):
    one, other = (pretrained(of_tables(PLAIN, loss=CrossEntropy(label_smoothing=share)), toy_task())[0] for share in (0.0, 0.2))
    assert all(torch.equal(value, other.weights()[name]) for name, value in one.weights().items())
