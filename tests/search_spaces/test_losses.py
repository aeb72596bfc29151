"""Losses: one number for each row, equal to torch's where torch has them."""

import pytest
import torch
from torch.nn import functional

from search_spaces.losses import (
    CLASS_LOSSES,
    ERROR_LOSSES,
    LABEL_LOSSES,
    MAE,
    MSE,
    VALUE_LOSSES,
    BinaryCrossEntropy,
    CrossEntropy,
    Focal,
    Huber,
    Loss,
    row_losses,
)
from search_spaces.optimizers import Recipe

LOGITS = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
CODES = torch.tensor([0, 1, 2, 0, 1, 2, 0])
OUTPUTS, VALUES = LOGITS[:, :1], LOGITS[:, 1]


@pytest.mark.parametrize("loss", [CrossEntropy(), CrossEntropy(label_smoothing=0.1), Focal()])
def test_losses_of_classes_are_per_row(loss: Loss):
    rows = loss(LOGITS, CODES)
    assert rows.shape == (7,)
    assert rows[2:3].item() == pytest.approx(loss(LOGITS[2:3], CODES[2:3]).item())


@pytest.mark.parametrize("loss", [MSE(), MAE(), Huber()])
def test_losses_of_values_are_per_row(loss: Loss):
    rows = loss(OUTPUTS, VALUES)
    assert rows.shape == (7,)
    assert rows[2:3].item() == pytest.approx(loss(OUTPUTS[2:3], VALUES[2:3]).item())


def test_one_row_keeps_its_dimension():
    assert MSE()(OUTPUTS[:1], VALUES[:1]).shape == (1,)
    assert CrossEntropy()(LOGITS[:1], CODES[:1]).shape == (1,)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.2])
def test_label_smoothing_equals_torch(smoothing: float):
    expected = torch.nn.CrossEntropyLoss(label_smoothing=smoothing)(LOGITS, CODES)
    torch.testing.assert_close(CrossEntropy(label_smoothing=smoothing)(LOGITS, CODES).mean(), expected)


def test_label_smoothing_spreads_the_mass_over_all_classes():
    targets = functional.one_hot(CODES, 3) * 0.9 + 0.1 / 3
    expected = -(targets * LOGITS.log_softmax(1)).sum(1)
    torch.testing.assert_close(CrossEntropy(label_smoothing=0.1)(LOGITS, CODES), expected)


def test_focal_without_gamma_is_cross_entropy():
    torch.testing.assert_close(Focal(gamma=0.0)(LOGITS, CODES), CrossEntropy()(LOGITS, CODES))


def test_focal_is_its_formula():
    p = LOGITS.softmax(1).gather(1, CODES[:, None])[:, 0]
    torch.testing.assert_close(Focal(gamma=2.5)(LOGITS, CODES), -((1 - p) ** 2.5) * p.log())


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_has_finite_gradients_for_certain_rows(gamma: float):
    logits = torch.tensor([[200.0, 0.0], [0.0, 200.0]], requires_grad=True)
    Focal(gamma=gamma)(logits, torch.tensor([0, 0])).sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_values_equal_torch():
    targets = VALUES[:, None]
    torch.testing.assert_close(MSE()(OUTPUTS, VALUES).mean(), functional.mse_loss(OUTPUTS, targets))
    torch.testing.assert_close(MAE()(OUTPUTS, VALUES).mean(), functional.l1_loss(OUTPUTS, targets))
    torch.testing.assert_close(Huber(delta=0.5)(OUTPUTS, VALUES).mean(), functional.huber_loss(OUTPUTS, targets, delta=0.5))


def test_the_recipe_knows_the_listed_losses_and_no_others():
    families = {path.split("/")[1] for path in _loss_paths()} - {"kind"}
    assert {*CLASS_LOSSES, *VALUE_LOSSES, *LABEL_LOSSES, *ERROR_LOSSES} >= families
    for name in CLASS_LOSSES + VALUE_LOSSES:
        assert type(Recipe.from_dict({"loss": {"family": name}}).loss).__name__ == name


def _loss_paths() -> list[str]:
    from search_spaces.language import Space

    return [path for path in Space(Recipe).leaves() if path.startswith("loss/")]


@pytest.mark.parametrize("loss", [CrossEntropy(label_smoothing=0.1), Focal(), MSE(), MAE(), Huber(), BinaryCrossEntropy()])
def test_members_have_losses_of_their_own(loss):
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(7, 5, 3, generator=generator)
    targets = torch.arange(7) % 3 if isinstance(loss, CrossEntropy | Focal) else torch.rand(7, 3, generator=generator)
    rows = row_losses(loss, outputs, targets)
    torch.testing.assert_close(rows, torch.stack([loss(outputs[:, k], targets) for k in range(5)], 1).mean(1))
    torch.testing.assert_close(row_losses(loss, outputs[:, 0], targets), loss(outputs[:, 0], targets))
