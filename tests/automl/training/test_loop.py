import math
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from automl.errors import NoModelError
from automl.training.checkpoint import Checkpoints
from automl.training.clock import Clock
from automl.training.course import Span, patience
from automl.training.learner import Learner, own_randomness
from automl.training.loop import fit_all, train, train_epoch
from automl.training.networks import CPU, NetworkFault
from automl.training.rows import Rows
from search_spaces.configuration import Configuration
from search_spaces.domains import Infeasible
from search_spaces.language import Architecture, Choice, Int
from search_spaces.optimizers import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    ClipNorm,
    Constant,
    ElasticNet,
    Momentum,
    OneCycle,
    Recipe,
    RMSprop,
)

OPTIMIZERS = (AdamW(), Adam(), SGD(), Momentum(), Adagrad(), Adadelta(), RMSprop())


class Own(Architecture):
    """A user's family: torch's own dropout and batch norm, tied weights, and whatever can go wrong."""

    width: int = Int(2, 64, default=8)
    fault: str = Choice("", "build", "forward", "backward", "shape", "nan", "late nan", "none", "lazy", "infeasible", "module")

    def build(self, inputs, outputs):
        if self.fault == "build":
            raise ZeroDivisionError("a mistake in build")
        if self.fault == "infeasible":
            raise Infeasible("too wide for this table")
        if self.fault == "module":
            return "network"
        return OwnNetwork(len(inputs.numeric), self.width, outputs.width, self.fault)


def refuse(gradient):
    raise RuntimeError(f"a mistake in backward of {len(gradient)} rows")


class OwnNetwork(nn.Module):
    def __init__(self, columns, width, outputs, fault):
        super().__init__()
        self.fault = fault
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))
        self.first, self.norm = nn.Linear(columns, width), nn.BatchNorm1d(width)
        self.drop, self.tied = nn.Dropout(0.3), nn.Linear(width, width)
        self.again = self.tied
        self.last = nn.LazyLinear(outputs) if fault == "lazy" else nn.Linear(width, outputs + (fault == "shape"))
        if fault == "none":
            for parameter in self.parameters():
                parameter.requires_grad_(False)

    def forward(self, numeric, categorical):
        x = self.drop(self.norm(self.first(torch.nan_to_num(numeric) / 1e4)).relu())
        x = self.last(self.again(self.tied(x).relu()))
        self.seen += self.training
        if self.fault == "forward" and self.training:
            raise ValueError("a mistake\nin forward")
        if self.fault == "backward" and x.requires_grad:
            x.register_hook(refuse)
        if self.fault == "nan" or (self.fault == "late nan" and self.training and self.seen > 20):
            return x * math.nan
        return x


def spans(configuration, task, stops, tmp_path, total=9, **options):
    """Train in rungs, each from the checkpoint that the last one wrote; return the last one's result."""
    checkpoints, earlier, start = Checkpoints(tmp_path), None, 0
    for stop in stops:
        trained = train(configuration, task, task.folds[0], Span(5, start, stop, total, **options), earlier)
        if trained.snapshot is not None:
            checkpoints.write(1, 0, trained.snapshot)
        start = trained.progress.epoch
        earlier = checkpoints.read(1, 0, start)
    return trained


def assert_same_weights(first, second):
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: type(optimizer).__name__)
def test_three_rungs_give_the_very_weights_of_one(optimizer, toy_task, toy_configuration, tmp_path):
    recipe = {"optimizer": optimizer, "regularisation": ElasticNet(), "clipping": ClipNorm(), "schedule": OneCycle()}
    configuration, task = toy_configuration(**recipe), toy_task()
    once = spans(configuration, task, [9], tmp_path / "once")
    thrice = spans(configuration, task, [1, 3, 9], tmp_path / "thrice")
    assert_same_weights(once.snapshot.last, thrice.snapshot.last)
    assert_same_weights(once.snapshot.best, thrice.snapshot.best)
    assert_same_weights(once.snapshot.training, thrice.snapshot.training)
    assert once.progress.curve == thrice.progress.curve
    assert thrice.curve == once.curve[3:]


@pytest.mark.parametrize("kind", ["multiclass", "regression"])
def test_three_rungs_equal_one_with_a_users_network_and_weights(kind, toy_task, toy_configuration, tmp_path):
    weight = np.linspace(0, 3, 300, dtype=np.float32)
    task = toy_task(kind, loss_weight=weight, score_weight=weight)
    configuration = replace(toy_configuration(kind), architecture=Own())
    once = spans(configuration, task, [9], tmp_path / "once")
    torch.manual_seed(99)  # what a process drew before must not count
    thrice = spans(configuration, task, [1, 3, 9], tmp_path / "thrice")
    assert_same_weights(once.snapshot.last, thrice.snapshot.last)
    assert once.progress.best_score == thrice.progress.best_score


def test_early_stopping_is_the_same_in_rungs_and_ends_the_ladder(toy_task, toy_configuration, tmp_path):
    task = toy_task(rows=60)
    configuration = toy_configuration(dropout=0.0, optimizer=SGD(lr=2.0), schedule=Constant(), batch_size=8)  # 5 steps
    once = spans(configuration, task, [60], tmp_path / "once", total=60)
    assert patience(60, 100) == 15
    assert once.ending == "stopped"
    assert "no better score for 30 epochs" in once.reason
    assert once.progress.epoch - once.progress.best_epoch == patience(60, 5) == 30
    rungs = [3, 10, 20, 30, 50, 60]
    ladder = spans(configuration, task, rungs, tmp_path / "ladder", total=60)
    assert ladder.progress.curve == once.progress.curve
    assert ladder.ending == "stopped"
    assert ladder.snapshot is None, "a stopped training is not gone on with"
    assert ladder.progress.best_score == max(score for _, score in once.curve)


def test_training_learns_and_leaves_the_global_generator_alone(toy_task, toy_configuration):
    task = toy_task("multiclass", rows=600)
    made_of = toy_configuration(optimizer=AdamW(lr=2e-3))
    torch.manual_seed(3)
    before = torch.get_rng_state()
    trained = train(made_of, task, task.folds[0], Span(0, 0, 12, 12))
    assert torch.equal(before, torch.get_rng_state())
    assert trained.ending == "finished"
    assert trained.progress.best_score > 0.8
    assert trained.predictions.shape == (200, 3)
    assert trained.predictions.dtype == np.float32
    assert trained.predict_ms > 0
    again = train(made_of, task, task.folds[0], Span(0, 0, 12, 12))
    other = train(made_of, task, task.folds[0], Span(1, 0, 12, 12))
    assert again.curve == trained.curve
    assert other.curve != trained.curve


def test_values_are_predicted_in_units_of_the_target(toy_task, toy_configuration):
    task = toy_task("regression", rows=600)
    trained = train(toy_configuration("regression"), task, task.folds[0], Span(0, 0, 15, 15))
    assert trained.predictions.dtype == np.float64
    assert trained.progress.best_score < 0.5 * task.target.std()
    assert abs(trained.predictions.mean() - 1e6) < 1000


@pytest.mark.parametrize(("rows", "batch"), [(66, 64), (300, 1024), (194, 64), (6, 32), (130, 128)])
def test_no_batch_is_too_small_for_batch_norm(rows, batch, toy_task, toy_configuration):
    task = toy_task(rows=rows)
    trained = train(toy_configuration(batch_size=batch), task, task.folds[0], Span(0, 0, 2, 2))
    assert trained.ending == "finished"


def test_batches_are_even_and_hold_each_row_once(toy_task):
    task = toy_task(rows=300, loss_weight=np.linspace(1, 3, 300, dtype=np.float32))
    fold = task.folds[0]
    rows = Rows.of(task, fold.fit, fold.outputs, CPU)
    assert rows.weight.mean().item() == pytest.approx(1)
    batches = list(rows.batches(4, torch.Generator().manual_seed(0)))
    assert len(batches) == rows.steps(4) == 50
    assert {len(target) for _, target, _ in batches} == {4}
    weights = torch.cat([weight for *_, weight in batches])
    assert not torch.equal(weights, rows.weight)
    assert torch.equal(weights.sort().values, rows.weight.sort().values)
    assert [len(batch[2]) for batch in rows.batches(60, torch.Generator())] == [67, 67, 66]


def test_weights_of_rows_act_on_loss_and_score(toy_task, toy_configuration):
    task = toy_task(rows=300)
    flipped = task.target.copy()
    flipped[:150] = 1 - flipped[:150]
    weight = np.repeat(np.float32([0, 1]), 150)
    noisy = toy_task(rows=300, target=flipped, loss_weight=weight, score_weight=weight)
    trained = train(toy_configuration(), noisy, noisy.folds[0], Span(0, 0, 15, 15))
    assert trained.progress.best_score > 0.9, "rows without weight are wrong, and must not count"


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("build", "Own.build raised ZeroDivisionError: a mistake in build"),
        ("forward", "OwnNetwork.forward raised ValueError: a mistake in forward"),
        ("backward", "the gradient of OwnNetwork raised RuntimeError: a mistake in backward"),
        ("shape", r"must return \(batch, 2\), got \(2, 3\)"),
        ("none", "must have parameters to train"),
        ("lazy", "must know the shapes"),
        ("module", "must return an nn.Module, got str"),
    ],
)
def test_mistakes_of_a_family_are_told_from_ours(fault, words, toy_task, toy_configuration):
    task, configuration = toy_task(), replace(toy_configuration(), architecture=Own(fault=fault))
    with pytest.raises(NetworkFault, match=words):
        train(configuration, task, task.folds[0], Span(0, 0, 1, 1))


def test_divergence_before_and_after_a_scored_epoch(toy_task, toy_configuration):
    task = toy_task()
    early = train(replace(toy_configuration(), architecture=Own(fault="nan")), task, task.folds[0], Span(0, 0, 5, 5))
    assert (early.ending, early.reason) == ("diverged", "the loss is nan in epoch 1")
    assert early.snapshot is None
    assert early.predictions is None
    late = train(replace(toy_configuration(), architecture=Own(fault="late nan")), task, task.folds[0], Span(0, 0, 20, 20))
    assert late.ending == "stopped"
    assert "epoch 4; epoch" in late.reason
    assert late.progress.epoch == 3
    assert all(value.isfinite().all() for value in late.snapshot.last.values())


def test_infeasible_configurations_are_no_faults(toy_task, toy_configuration):
    task = toy_task()
    with pytest.raises(Infeasible, match="too wide"):
        train(replace(toy_configuration(), architecture=Own(fault="infeasible")), task, task.folds[0], Span(0, 0, 1, 1))
    with pytest.raises(Infeasible, match="recipe/loss must be one of CrossEntropy, Focal for a binary task, got MSE"):
        train(toy_configuration("regression"), task, task.folds[0], Span(0, 0, 1, 1))


def test_an_undefined_score_is_an_error_with_a_reason(toy_task, toy_configuration):
    target = np.tile([0, 1, 1], 100)
    task = toy_task(target=target)  # every choose row is of class 0
    trained = train(toy_configuration(), task, task.folds[0], Span(0, 0, 1, 1))
    assert trained.ending == "error"
    assert trained.reason == "roc_auc is undefined on the 100 choose rows of this fold"
    assert trained.snapshot is None


def test_deadlines_cut_between_epochs_within_one_and_before_the_first(toy_task, toy_configuration):
    task, configuration = toy_task(rows=20_000), toy_configuration()
    past = train(configuration, task, task.folds[0], Span(0, 0, 9, 9, time.time() - 1))
    assert past.ending == "timeout"
    assert "before the first batch of epoch 1" in past.reason
    assert past.snapshot is None
    began = time.time()
    short = train(configuration, task, task.folds[0], Span(0, 0, 900, 900, began + 1.0))
    assert time.time() < began + 2
    assert short.ending == "cut"
    assert short.snapshot is not None
    assert short.progress.best_score > 0.6
    assert short.progress.epoch == len(short.curve)


class Ticks(Clock):
    """A clock that is over after some looks."""

    def __init__(self, looks):
        super().__init__(None)
        self.looks = looks

    def over(self):
        self.looks -= 1
        return self.looks < 0


def test_a_deadline_is_kept_between_two_batches(toy_task, toy_configuration):
    task, fold = toy_task(), toy_task().folds[0]
    with own_randomness(CPU):
        learner = Learner(toy_configuration(), fold.inputs, fold.outputs, 0, CPU)
        rows = Rows.of(task, fold.fit, fold.outputs, CPU)
        share, loss = train_epoch(learner, rows, 1, 1, Ticks(looks=2))
    assert share == pytest.approx(2 / rows.steps(32))
    assert math.isfinite(loss)


def test_a_span_that_cannot_finish_an_epoch_is_not_begun(toy_task, toy_configuration, tmp_path):
    task, configuration = toy_task(), toy_configuration()
    first = spans(configuration, task, [2], tmp_path)
    slow = replace(first.snapshot, progress=replace(first.progress, epoch_seconds=30.0))
    began = time.time()
    second = train(configuration, task, task.folds[0], Span(5, 2, 9, 9, time.time() + 10), slow)
    assert time.time() - began < 5
    assert (second.ending, second.curve, second.snapshot) == ("cut", (), None)
    assert second.progress.best_score == first.progress.best_score


def test_the_rate_follows_the_schedule_over_all_epochs(toy_task, toy_configuration):
    task, seen = toy_task(), []
    configuration = toy_configuration(optimizer=SGD(lr=0.5), batch_size=64)
    fold = task.folds[0]

    class Watching(Clock):
        def over(self):
            seen.append(learner.optimizer.param_groups[0]["lr"])
            return False

    with own_randomness(CPU):
        learner = Learner(configuration, fold.inputs, fold.outputs, 0, CPU)
        rows = Rows.of(task, fold.fit, fold.outputs, CPU)
        for epoch in (1, 2):
            train_epoch(learner, rows, epoch, 2, Watching(None))
    steps = 2 * rows.steps(64)
    factors = [configuration.recipe.schedule.factor(step / steps) for step in range(steps)]
    assert seen[1:] == pytest.approx([0.5 * factor for factor in factors[:-1]])


def test_a_step_reads_nothing_from_the_device(toy_task, toy_configuration, monkeypatch):
    task, fold = toy_task(), toy_task().folds[0]
    reads = []
    monkeypatch.setattr(torch.Tensor, "item", reads.append)
    monkeypatch.setattr(torch.Tensor, "__bool__", reads.append)
    with own_randomness(CPU):
        configuration = toy_configuration(normalisation="layer", clipping=ClipNorm(), regularisation=ElasticNet())
        learner = Learner(configuration, fold.inputs, fold.outputs, 0, CPU)
        train_epoch(learner, Rows.of(task, fold.fit, fold.outputs, CPU), 1, 1, Clock(None))
    assert reads == []


def test_refitting_trains_on_the_fit_rows_alone(toy_task, toy_configuration):
    task, configuration = toy_task(), toy_configuration()
    everything = replace(task.folds[0], choose=np.zeros(0, np.int64))
    network = fit_all(configuration, task, everything, 3, 9, 5)
    assert not network.training
    assert_same_weights(network.state_dict(), fit_all(configuration, task, everything, 3, 9, 5).state_dict())
    with pytest.raises(NoModelError, match="refit: the loss must stay finite, but is nan in epoch 1"):
        fit_all(replace(configuration, architecture=Own(fault="nan")), task, everything, 3, 9, 5)
    with pytest.raises(NoModelError, match=r"refit: .* a mistake in build"):
        fit_all(replace(configuration, architecture=Own(fault="build")), task, everything, 3, 9, 5)


def test_the_users_interrupt_passes_through(toy_task):
    class Interrupting(Own):
        def build(self, inputs, outputs):
            raise KeyboardInterrupt

    task = toy_task()
    with pytest.raises(KeyboardInterrupt):
        train(Configuration(architecture=Interrupting(), recipe=Recipe()), task, task.folds[0], Span(0, 0, 1, 1))
