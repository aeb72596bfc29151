"""Where memory runs out, a batch goes through the network in parts, and the weights become what they would have become."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from automl.training.checkpoint import Checkpoints
from automl.training.clock import Clock
from automl.training.course import Span
from automl.training.learner import Learner, own_randomness
from automl.training.loop import fit_all, train, train_epoch
from automl.training.micro_batches import Batch, add_gradient
from automl.training.networks import CPU, NetworkFault, forward
from automl.training.pretraining import pretrain
from automl.training.rows import Rows
from automl.trial import Trial, run_trials
from search_spaces.augmentation import CutMix, ImageAugmentation, Mix, Mixup
from search_spaces.averaging import EMA
from search_spaces.configuration import Configuration
from search_spaces.language import Architecture, Choice, Int
from search_spaces.losses import CrossEntropy
from search_spaces.optimizers import SGD, ClipNorm, ElasticNet, Recipe
from search_spaces.pretraining import Autoencoding, NoNoise

PLENTY = 4096
MIXINGS = [Mixup(alpha=1.0), CutMix()]


class Hungry(Architecture):
    """A family whose networks find room for `most` rows in training."""

    most: int = Int(0, PLENTY)
    where: str = Choice("forward", "backward")
    norm: bool = Choice(False, True)

    def build(self, inputs, outputs):
        return HungryNetwork(self, outputs.width)


class HungryNetwork(nn.Module):
    def __init__(self, made_of, outputs):
        super().__init__()
        self.most, self.where, self.seen = made_of.most, made_of.where, []
        columns = 3 if made_of.norm or outputs < 4 else 64
        self.first, self.last = nn.Linear(columns, 16), nn.Linear(16, outputs)
        self.norm = nn.BatchNorm1d(16) if made_of.norm else nn.Identity()

    def forward(self, x, *_):
        hidden = self.norm(self.first(torch.nan_to_num(x).flatten(1) / 1e2)).tanh()
        if self.training:
            self.seen.append(len(x))
            if len(x) > self.most and self.where == "forward":
                raise torch.OutOfMemoryError(f"no room for {len(x)}")
            if len(x) > self.most:
                hidden.register_hook(self.refuse)
        return self.last(hidden)

    def refuse(self, gradient):
        raise torch.OutOfMemoryError(f"no room for {len(gradient)}")


def hungry(most, where="forward", *, norm=False, augmentation=None, **recipe):
    given = {} if augmentation is None else {"augmentation": ImageAugmentation(mixing=augmentation)}
    recipe = {"optimizer": SGD(lr=0.5), "clipping": ClipNorm(), "regularisation": ElasticNet(), **recipe}
    return Configuration(architecture=Hungry(most=most, where=where, norm=norm), recipe=Recipe(batch_size=32, **recipe), **given)


def trained(configuration, task, epochs=2):
    return train(configuration, task, task.folds[0], Span(5, 0, epochs, epochs))


def assert_close(first, second):
    assert first.keys() == second.keys()
    for name, value in first.items():
        torch.testing.assert_close(value, second[name], rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize(("most", "where"), [(1, "forward"), (5, "backward"), (16, "forward"), (31, "backward")])
def test_rows_with_weights_give_the_weights_of_whole_batches(most, where, toy_task):
    task = toy_task("multiclass", loss_weight=np.linspace(0, 3, 300, dtype=np.float32))
    whole = trained(hungry(PLENTY, averaging=EMA()), task)
    parts = trained(hungry(most, where, averaging=EMA()), task)
    assert_close(parts.snapshot.last, whole.snapshot.last)
    assert_close(parts.snapshot.best, whole.snapshot.best)
    assert [score for _, score in parts.curve] == pytest.approx([score for _, score in whole.curve], abs=1e-3)
    assert (whole.ending, whole.reason, parts.ending) == ("finished", "", "finished")
    sizes = {1: "a row", 5: "5 rows", 16: "9 rows", 31: "17 rows"}  # batches of 33 or 34 rows
    assert parts.reason == f"micro-batches of {sizes[most]}: memory ran out with more"


@pytest.mark.parametrize("mixing", MIXINGS, ids=["mixup", "cutmix"])
def test_mixed_images_give_the_weights_of_whole_batches(mixing, toy_images):
    task = toy_images(rows=240)
    task = replace(task, loss_weight=np.linspace(0, 3, 240, dtype=np.float32), fingerprint="")
    whole, parts = (trained(hungry(most, augmentation=mixing), task) for most in (PLENTY, 7))
    assert_close(parts.snapshot.last, whole.snapshot.last)
    for name in ("generator/augmentation", "generator/batches"):  # nothing was drawn again
        assert torch.equal(parts.snapshot.training[name], whole.snapshot.training[name])


def learner_and_rows(configuration, task):
    fold = task.folds[0]
    return Learner(configuration, fold.inputs, fold.outputs, 0, CPU), Rows.of(task, fold.fit, fold.outputs, CPU)


def test_it_stays_small_once_it_was_halved(toy_task):
    task = toy_task(rows=192)  # 4 batches of 32 rows
    with own_randomness(CPU):
        learner, rows = learner_and_rows(hungry(12), task)
        assert learner.micro_batch is None
        train_epoch(learner, rows, 1, 2, Clock(None))
        assert learner.micro_batch == 8
        assert learner.network.seen == [32, 16, *[8] * 16]
        train_epoch(learner, rows, 2, 2, Clock(None))
        assert learner.network.seen == [32, 16, *[8] * 32]


def test_the_loss_of_an_epoch_counts_each_row_once(toy_task):
    task = toy_task(rows=192)
    losses = []
    for most in (PLENTY, 12):
        with own_randomness(CPU):
            learner, rows = learner_and_rows(hungry(most, "backward"), task)
            losses.append(train_epoch(learner, rows, 1, 2, Clock(None)))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_parts_know_the_partners_of_their_rows():
    inputs, target, weight = (torch.arange(5.0).view(5, 1),), torch.arange(5), torch.arange(5.0)
    mix = Mix(torch.tensor([4, 3, 2, 1, 0]), torch.linspace(0, 1, 5))
    batch = Batch.of(inputs, target, weight, mix)
    parts = list(batch.parts(2))
    assert [part.rows for part in parts] == [2, 2, 1]
    assert [part.partner.tolist() for part in parts] == [[4, 3], [2, 1], [0]]
    assert [part.partner_weight.tolist() for part in parts] == [[4.0, 3.0], [2.0, 1.0], [0.0]]
    assert torch.equal(torch.cat([part.inputs[0] for part in parts]), inputs[0])
    assert [part.rows for part in Batch.of(inputs, target, None, None).parts(4)] == [3, 2]
    outputs, loss = torch.randn(5, 5, generator=torch.Generator().manual_seed(0)), CrossEntropy()
    shares = [part.rows / 5 * part.mean_loss(loss, out) for part, out in zip(parts, outputs.split([2, 2, 1]), strict=True)]
    assert sum(shares).item() == pytest.approx(batch.mean_loss(loss, outputs).item())


def test_a_gradient_replaces_the_last_one(toy_task):
    with own_randomness(CPU):
        learner, _ = learner_and_rows(hungry(4), toy_task())
        batch = Batch((torch.randn(9, 3, generator=torch.Generator().manual_seed(1)),), torch.zeros(9, dtype=torch.int64))

        def loss(part):
            return part.mean_loss(CrossEntropy(), forward(learner.network, part.inputs))

        gradients = []
        for most in (PLENTY, 4, 4):
            learner.network.most = most
            add_gradient(learner, batch, learner.parameters, loss)
            gradients.append([parameter.grad.clone() for parameter in learner.parameters])
    assert learner.network.seen == [9, 9, 5, *[3] * 6]
    for name, *of_each in zip(learner.network.state_dict(), *gradients, strict=True):
        torch.testing.assert_close(of_each[0], of_each[1], msg=name)
        assert torch.equal(of_each[1], of_each[2])


@pytest.fixture
def outcome(toy_task, tmp_path):
    def run(configuration):
        [outcome] = run_trials([Trial(7, 3, configuration, 5, 0, 2, 9, 0, None)], toy_task(), Checkpoints(tmp_path))
        return outcome

    return run


@pytest.mark.parametrize("where", ["forward", "backward"])
def test_a_trial_ends_where_there_is_no_room_for_a_single_row(where, outcome):
    failed = outcome(hungry(0, where))
    assert (failed.status, failed.score, failed.epochs) == ("out_of_memory", None, 0)
    assert "with a single row at a time: " in failed.reason
    assert "OutOfMemoryError: no room for 1" in failed.reason
    finished = outcome(hungry(1, where))
    assert (finished.status, finished.epochs) == ("finished", 2)
    assert finished.reason == "micro-batches of a row: memory ran out with more"


def test_batch_norms_see_micro_batches_and_a_single_row_is_too_few_for_them(outcome):
    assert outcome(hungry(3, norm=True)).reason == "micro-batches of 3 rows: memory ran out with more"
    failed = outcome(hungry(1, norm=True))
    assert failed.status == "out_of_memory"
    assert "with a single row at a time: HungryNetwork.forward raised ValueError: Expected more than 1 value" in failed.reason


def test_other_mistakes_are_still_mistakes(toy_task, monkeypatch):
    def mistaken(self, x, *_):
        if self.training:
            raise ValueError("a mistake") if len(x) < 20 else torch.OutOfMemoryError("no room")
        return self.last(self.first(torch.nan_to_num(x)))

    monkeypatch.setattr(HungryNetwork, "forward", mistaken)
    with pytest.raises(NetworkFault, match="a mistake"):
        trained(hungry(PLENTY), toy_task())


def test_refitting_goes_in_micro_batches_too(toy_task):
    task = toy_task()
    whole, parts = (fit_all(hungry(most), task, task.folds[0], 2, 2, 5) for most in (PLENTY, 8))
    assert_close(parts.state_dict(), whole.state_dict())


def test_pretraining_goes_in_micro_batches_too(toy_task):
    task, how = toy_task(), Autoencoding(noise=NoNoise(), epochs=2)
    learners = []
    for most in (PLENTY, 8):
        with own_randomness(CPU):
            learner, rows = learner_and_rows(hungry(most, pretraining=how), task)
            came = pretrain(learner, rows, 3, Clock(None))
        assert came.ending is None
        learners.append(learner)
    assert [learner.micro_batch for learner in learners] == [None, 5]
    assert_close(learners[1].weights(), learners[0].weights())
