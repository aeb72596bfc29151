"""What is rebuilt of a row: targets in standard units, errors over what is there, and the way back to the units of the data."""

import math

import pytest
import torch

from search_spaces.base import Infeasible
from search_spaces.made_up import INPUTS, made_up_batch
from search_spaces.rebuilt import LARGEST, Rebuilt
from search_spaces.spec import CategoricalColumn, Image, Mixed, NumericColumn, Table

NAN = float("nan")
REBUILT = [name for name, spec in INPUTS.items() if isinstance(spec, Table | Image | Mixed)]
EVEN = NumericColumn("even", 50.0, 29.0, tuple(float(i) * 100 / 48 for i in range(49)), 0.0)
HEAVY = NumericColumn("heavy", 1e7, 1e9, (*(float(i) for i in range(48)), 1e12), 0.0)
CODES = CategoricalColumn("codes", (5, 40, 0, 30, 25))


@pytest.mark.parametrize("name", REBUILT)
@pytest.mark.parametrize("hostile", [False, True])
def test_targets_errors_and_gradients_are_finite_whatever_comes_in(name: str, hostile: bool) -> None:
    rebuilt, batch = Rebuilt(INPUTS[name]), made_up_batch(INPUTS[name], hostile=hostile)
    values, present = rebuilt.targets(*batch)
    assert values.shape == present.shape == (12, rebuilt.width)
    assert values.abs().max() <= LARGEST
    assert set(present.unique().tolist()) <= {0.0, 1.0}
    assert (values[present == 0] == 0).all()
    outputs = torch.randn(12, rebuilt.width, generator=torch.Generator().manual_seed(0), requires_grad=True)
    error = rebuilt.error(outputs, *batch)
    assert error.shape == (12,)
    error.sum().backward()
    assert error.isfinite().all()
    assert outputs.grad is not None
    assert outputs.grad.isfinite().all()
    expected = [tensor.shape for tensor in batch[:2]]
    assert [tensor.shape for tensor in rebuilt.restored(outputs)] == expected


def test_numbers_of_the_fit_rows_have_about_variance_one_also_beside_a_huge_value() -> None:
    rows = torch.stack([torch.linspace(0, 100, 48), torch.arange(48.0)], 1)
    values, _ = Rebuilt(Table((EVEN, HEAVY), (), 100)).targets(rows, torch.zeros(48, 0, dtype=torch.int64))
    assert values.mean(0).tolist() == pytest.approx([0, 0], abs=0.25)
    assert values.std(0).tolist() == pytest.approx([1, 1], abs=0.25)


def test_what_a_row_lacks_does_not_count_and_a_column_counts_once() -> None:
    rebuilt = Rebuilt(Table((EVEN,), (CODES,), 100))
    assert rebuilt.width == 1 + 3
    numeric, categorical = torch.tensor([[50.0], [NAN], [50.0], [NAN]]), torch.tensor([[1], [1], [0], [2]])
    outputs = torch.tensor([[2.0, 100.0, 0.0, 0.0]] * 4)  # two standard units off the middle; surely code 1
    assert rebuilt.error(outputs, numeric, categorical).tolist() == pytest.approx([2, 0, 4, 0], abs=1e-3)
    wrong = torch.tensor([[0.0, 0.0, 100.0, 0.0]] * 4)
    assert rebuilt.error(wrong, numeric, categorical).tolist() == pytest.approx([1, 2, 0, 0], abs=1e-3)


def test_rows_come_back_in_the_units_of_the_table() -> None:
    constant, sole = NumericColumn("constant", 3.0, 1.0, (3.0, 3.0), 0.0), CategoricalColumn("sole", (0, 0, 9))
    rebuilt = Rebuilt(Table((constant, EVEN), (sole, CODES), 100))
    numeric, categorical = torch.tensor([[3.0, 7.0], [3.0, 93.0]]), torch.tensor([[2, 4], [2, 1]])
    values, _ = rebuilt.targets(numeric, categorical)
    logits = torch.cat([values[:, :1], values[:, 1:] * 50], 1)
    numbers, codes = rebuilt.restored(logits)
    assert numbers.tolist() == [pytest.approx(row, abs=1e-3) for row in numeric.tolist()]
    assert codes.tolist() == categorical.tolist()
    far, _ = rebuilt.restored(logits * 1e6)
    assert far[:, 1].tolist() == [0.0, 100.0]  # no further than the fit rows go


def test_images_come_back_in_squares() -> None:
    image = Image(5, 40, 2, "uint8", (100.0, 50.0), (10.0, 5.0), (), 100)
    rebuilt, images = Rebuilt(image), torch.full((3, 2, 5, 40), 90.0)
    values, _ = rebuilt.targets(images)
    assert values.shape == (3, rebuilt.width) == (3, 2 * 2 * 14)
    (restored,) = rebuilt.restored(values)
    assert restored.shape == images.shape
    assert torch.allclose(restored, images)


def test_others_than_tables_and_images_are_infeasible() -> None:
    with pytest.raises(Infeasible, match="must be Table, got Text"):
        Rebuilt(INPUTS["texts"])


def test_probabilities_are_taken_over_the_codes_of_one_column() -> None:
    two = CategoricalColumn("two", (0, 4, 4))
    rebuilt = Rebuilt(Table((), (two, CODES), 8))
    values = rebuilt.values(torch.tensor([[math.log(3.0), 0.0, 0.0, 0.0, math.log(2.0)]]))
    assert values[0].tolist() == pytest.approx([0.75, 0.25, 0.25, 0.25, 0.5])
