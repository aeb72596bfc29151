"""Every optimizer trains; the recipe's space holds what the chosen optimizer uses, and nothing else."""

import random

import pytest
import torch
from torch import nn

from search_spaces import optimizers
from search_spaces.language import Space
from search_spaces.optimizers import SGD, Adadelta, Adagrad, Adam, AdamW, Momentum, Optimizer, Recipe, RMSprop
from search_spaces.variation import sample

EVERY = [AdamW(), Adam(), SGD(), Momentum(), Momentum(nesterov=False), Adagrad(), Adadelta(), RMSprop()]


def trained(optimizer: Optimizer, steps: int) -> tuple[float, nn.Module]:
    """The last loss of a tiny network, as a share of the first."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 1))
        x = torch.randn(64, 5)
    target, built, losses = x[:, :1] * x[:, 1:2], optimizer.build(net.parameters()), []
    for _ in range(steps):
        loss = (net(x) - target).square().mean()
        built.zero_grad()
        loss.backward()
        built.step()
        losses.append(loss.item())
    return losses[-1] / losses[0], net


@pytest.mark.parametrize("optimizer", EVERY, ids=repr)
def test_trains(optimizer: Optimizer):
    share, _ = trained(optimizer, 300)
    assert share < 0.5


@pytest.mark.parametrize("optimizer", EVERY, ids=repr)
def test_state_can_be_saved_and_restored(optimizer: Optimizer):
    _, net = trained(optimizer, 2)
    built = optimizer.build(net.parameters())
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    built.step()
    again = optimizer.build(net.parameters())
    again.load_state_dict(built.state_dict())
    assert str(again.state_dict()) == str(built.state_dict())


@pytest.mark.parametrize("optimizer", EVERY, ids=repr)
def test_all_groups_have_the_learning_rate(optimizer: Optimizer):
    built = optimizer.build(nn.Linear(2, 2).parameters())
    assert {group["lr"] for group in built.param_groups} == {getattr(optimizer, "lr")}  # noqa: B009  no base class declares it


@pytest.mark.parametrize("optimizer", EVERY, ids=repr)
def test_nothing_to_train_is_refused(optimizer: Optimizer):
    with pytest.raises(ValueError, match="empty parameter list"):
        optimizer.build([])


def test_decay_shrinks_matrices_only():
    net = nn.Linear(3, 3)
    before = [parameter.detach().clone() for parameter in net.parameters()]
    built = AdamW(lr=1e-2, weight_decay=0.1).build(net.parameters())
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    built.step()
    torch.testing.assert_close(net.weight.detach(), before[0] * (1 - 1e-2 * 0.1))
    torch.testing.assert_close(net.bias.detach(), before[1])


def test_biases_alone_can_be_trained():
    assert len(AdamW().build([nn.Parameter(torch.zeros(3))]).param_groups) == 1


def test_only_what_the_chosen_optimizer_uses_is_decided():
    rng = random.Random(0)
    for _ in range(50):
        recipe = sample(Space(Recipe), rng)
        made = dict(recipe.decisions())
        chosen = type(recipe.optimizer).__name__
        below = {path.split("/")[1] for path in made if path.startswith("optimizer/")}
        assert below == {"kind", chosen}
        assert ("optimizer/AdamW/weight_decay" in made) == (chosen == "AdamW")


def test_the_default_recipe():
    assert Recipe().to_dict() == {
        "family": "Recipe",
        "optimizer": {"family": "AdamW", "lr": 0.003, "weight_decay": 0.01},
        "schedule": {"family": "Cosine", "warmup": 0.03},
        "batch_size": 256,
        "regularisation": {"family": "NoPenalty"},
        "clipping": {"family": "NoClipping"},
        "loss": {"family": "CrossEntropy", "label_smoothing": 0.0},
        "averaging": {"family": "NoAveraging"},
        "pretraining": {"family": "NoPretraining"},
    }


def test_every_public_name_exists():
    assert all(hasattr(optimizers, name) for name in optimizers.__all__)
