import numpy as np
import pytest
import torch
from torch import nn

from automl.baselines import fit_baseline
from automl.training import loop
from automl.training.average import Average
from automl.training.checkpoint import Checkpoints
from automl.training.course import Span
from automl.training.feed import Decoded
from automl.training.learner import Learner
from automl.training.loop import fit_all, train
from automl.training.micro_batches import Batch
from automl.training.networks import CPU, build_network, mixed_precision, predict_network
from automl.training.pace import epoch_seconds
from automl.training.rows import Rows
from search_spaces.augmentation import CutMix, ImageAugmentation, Mix, Mixup, NoAugmentation
from search_spaces.averaging import EMA, NoAveraging
from search_spaces.configuration import Configuration
from search_spaces.losses import MSE, CrossEntropy
from search_spaces.optimizers import Recipe
from search_spaces.resnet import Basic, ResNet


def configuration(augmentation=None, averaging=None, loss=None):
    recipe = Recipe(batch_size=32, loss=loss or CrossEntropy(), averaging=averaging or NoAveraging())
    network = ResNet(width=8, stages=(Basic(widening=1.0),), dropout=0.2)
    return Configuration(architecture=network, recipe=recipe, augmentation=augmentation or NoAugmentation())


EVERYTHING = ImageAugmentation(flip="both", shift=0.2, crop=0.6, rotation=10.0, colour=0.2, cutout=0.25, mixing=CutMix())


@pytest.mark.parametrize("kind", ["multiclass", "regression"])
def test_networks_learn_images(toy_images, kind):
    task = toy_images(kind)
    loss = MSE() if kind == "regression" else CrossEntropy()
    trained = train(configuration(averaging=EMA(span=0.1), loss=loss), task, task.folds[0], Span(0, 0, 20, 20))
    first, best = trained.curve[0][1], trained.progress.best_score
    assert best > 0.9 if kind == "multiclass" else best < first / 2


@pytest.mark.parametrize("averaging", [NoAveraging(), EMA()])
def test_rungs_give_the_weights_of_training_in_one_go(toy_images, tmp_path, averaging):
    task, made_of = toy_images(), configuration(EVERYTHING, averaging)
    whole = train(made_of, task, task.folds[0], Span(3, 0, 5, 5))
    checkpoints, earlier = Checkpoints(tmp_path), None
    for start, stop in ((0, 1), (1, 3), (3, 5)):
        part = train(made_of, task, task.folds[0], Span(3, start, stop, 5), earlier)
        checkpoints.write(0, 0, part.snapshot)
        earlier = checkpoints.read(0, 0, stop)
    for name in ("last", "best"):
        mine, theirs = getattr(whole.snapshot, name), getattr(earlier, name)
        assert all(torch.equal(value, theirs[key]) for key, value in mine.items())
    assert whole.progress.curve == earlier.progress.curve


def test_what_is_scored_is_the_mean_and_training_goes_on_from_the_last(toy_images):
    task = toy_images()
    fold = task.folds[0]
    trained = train(configuration(averaging=EMA(span=0.1)), task, fold, Span(0, 0, 3, 3))
    assert trained.progress.best_epoch == 3
    assert any(not torch.equal(value, trained.snapshot.last[name]) for name, value in trained.snapshot.best.items())
    network = build_network(configuration().architecture, fold.inputs, fold.outputs, 0)
    network.load_state_dict(trained.snapshot.best)
    np.testing.assert_array_equal(predict_network(network, task.features, fold.outputs, fold.choose), trained.predictions)


def test_a_mean_follows_the_recipe_and_leaves_the_network_alone():
    network = nn.BatchNorm1d(1)
    average = Average(network, EMA(span=0.1))
    for step, value in enumerate((1.0, 3.0, 5.0), start=1):
        nn.init.constant_(network.weight, value)
        network.running_mean.fill_(value)
        network.num_batches_tracked += 1
        average.follow(network, step, 30)
    mean = 1.0
    for step, value in ((2, 3.0), (3, 5.0)):
        mean += EMA(span=0.1).weight(step, 30) * (value - mean)
    assert average.network.weight.item() == pytest.approx(mean)
    assert average.network.running_mean.item() == pytest.approx(mean)
    assert average.network.num_batches_tracked.item() == 3
    assert network.weight.item() == 5.0
    assert not average.network.weight.requires_grad


def test_files_decoded_on_the_way_train_the_same_network(toy_images, tmp_path):
    there, on_the_way = toy_images(), toy_images(files=tmp_path)
    assert isinstance(Rows.of(on_the_way, on_the_way.folds[0].fit, on_the_way.folds[0].outputs, CPU).features, Decoded)
    made_of = configuration(ImageAugmentation(shift=0.1))
    one, other = (train(made_of, task, task.folds[0], Span(1, 0, 2, 2)) for task in (there, on_the_way))
    assert one.curve == other.curve
    assert all(torch.equal(value, other.snapshot.last[name]) for name, value in one.snapshot.last.items())
    for name in ("linear", "boosting"):
        one, other = (fit_baseline(name, task, task.folds[0], 0) for task in (there, on_the_way))
        np.testing.assert_array_equal(one.predictions, other.predictions)


def test_a_file_that_vanishes_is_an_outcome_that_names_it(toy_images, tmp_path):
    from automl.trial import Trial, run_trials

    task = toy_images(files=tmp_path)
    (tmp_path / "001.png").unlink()
    trial = Trial(0, 0, configuration(), 0, 0, 1, 1, 0, None)
    [outcome] = run_trials([trial], task, Checkpoints(tmp_path / "checkpoints"))
    assert outcome.status == "error"
    assert "001.png" in outcome.reason


def test_mixed_rows_are_judged_by_both_targets():
    outputs, target = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1])
    mix = Mix(torch.tensor([1, 0]), torch.tensor([0.75, 1.0]))
    each = [CrossEntropy()(outputs, labels) for labels in (target, target.flip(0))]
    expected = mix.share * each[0] + (1 - mix.share) * each[1]
    torch.testing.assert_close(Batch.of((outputs,), target, None, mix).mean_loss(CrossEntropy(), outputs), expected.mean())
    assert torch.equal(Batch.of((outputs,), target, None, None).mean_loss(CrossEntropy(), outputs), each[0].mean())
    weight = torch.tensor([0.5, 1.5])
    weighed = mix.share * each[0] * weight + (1 - mix.share) * each[1] * weight.flip(0)
    torch.testing.assert_close(Batch.of((outputs,), target, weight, mix).mean_loss(CrossEntropy(), outputs), weighed.mean())


@pytest.mark.parametrize("mixing", [Mixup(), CutMix()])
def test_networks_learn_from_mixed_images(toy_images, mixing):
    task = toy_images()
    trained = train(configuration(ImageAugmentation(mixing=mixing)), task, task.folds[0], Span(0, 0, 15, 15))
    assert trained.progress.best_score > 0.9


def test_augmentation_draws_from_its_own_generator(toy_images):
    task = toy_images()
    fold = task.folds[0]
    learners = [Learner(configuration(augmentation), fold.inputs, fold.outputs, 0, CPU) for augmentation in (None, EVERYTHING)]
    rows = Rows.of(task, fold.fit, fold.outputs, CPU)
    orders = []
    for learner in learners:
        loop.train_epoch(learner, rows, 1, 1, loop.Clock(None))
        orders.append([target for _, target, _ in rows.batches(32, learner.batches)])
    assert all(torch.equal(one, other) for one, other in zip(*orders, strict=True))
    assert not torch.equal(learners[0].changes.get_state(), learners[1].changes.get_state())


def test_convolutions_lie_channels_last(toy_images):
    fold = toy_images(channels=3).folds[0]
    network = build_network(configuration().architecture, fold.inputs, fold.outputs, 0)
    weights = [weight for weight in network.parameters() if weight.ndim == 4]
    assert weights
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)


def test_precision_is_mixed_on_a_gpu_alone(monkeypatch):
    with mixed_precision(CPU):
        assert not torch.is_autocast_enabled("cpu")
    asked = []
    monkeypatch.setattr(torch, "autocast", lambda *given: asked.append(given))
    for has_it in (False, True):

        def is_supported(*, including_emulation, has_it=has_it):
            return has_it or including_emulation

        monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_supported)
        mixed_precision(torch.device("cuda"))
    assert asked == [("cuda", torch.bfloat16)]


def test_an_epoch_of_images_is_forecast(toy_images):
    assert 0 < epoch_seconds(configuration(EVERYTHING), toy_images()) < 10


def test_refitting_keeps_the_mean(toy_images):
    task = toy_images()
    made_of = configuration(averaging=EMA(span=0.1))
    network = fit_all(made_of, task, task.folds[0], 3, 3, 0)
    trained = train(made_of, task, task.folds[0], Span(0, 0, 3, 3))
    assert trained.progress.best_epoch == 3
    assert all(torch.equal(value, trained.snapshot.best[name]) for name, value in network.state_dict().items())


def test_a_network_far_too_slow_is_not_trained(toy_images, monkeypatch):
    import time

    task = toy_images()
    monkeypatch.setattr("automl.training.course.Course._rehearse", lambda _: 1e6)  # a second for each image
    in_a_minute = time.time() + 60
    span = Span(0, 0, 3, 9, in_a_minute, choosy=True)
    trained = train(configuration(), task, task.folds[0], span)
    assert (trained.ending, trained.snapshot) == ("timeout", None)
    assert trained.reason.startswith("3 epochs would take about 2160.0 s, far more than the ")
    assert train(configuration(), task, task.folds[0], Span(0, 0, 3, 9, in_a_minute)).ending == "finished"
