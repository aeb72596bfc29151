"""Numbers become bounded features of unit size, by the formulas that the docstrings name."""

import math

import pytest
import torch

from search_spaces.columns import CLIP, Centre, NoEmbedding, Periodic, PiecewiseLinear, Ramps, curve, distinct
from search_spaces.spec import NumericColumn

SCALINGS = ("standard", "robust", "quantile")
GRID = [i / 48 for i in range(49)]


def column(values: list[float], mean: float = 0.0, std: float = 1.0) -> NumericColumn:
    return NumericColumn("x", mean, std, tuple(values), 0.0)


def scaled(col: NumericColumn, scaling: str, *values: float) -> list[float]:
    centre = Centre([col], scaling)
    return curve(scaling, centre.knots)(centre(torch.tensor(values).unsqueeze(1))).flatten().tolist()


UNIFORM = column([10 * u for u in GRID], 5.0, 2.9)
SKEWED = column([math.exp(8 * u) for u in GRID], 300.0, 600.0)
COUNTS = column([0.0] * 40 + [1.0] * 8 + [50.0], 0.5, 2.0)
CONSTANT = column([4.0] * 49, 4.0, 0.0)


def test_ramps_say_how_far_a_value_has_come_in_each_interval():
    out = Ramps([[0.0, 1.0, 3.0], [5.0, 6.0]])(torch.tensor([[2.0, 5.5], [-9.0, 9.0]]))
    assert out.tolist() == [[[1.0, 0.5], [0.5, 0.0]], [[0.0, 0.0], [1.0, 0.0]]]


def test_ramps_of_a_single_knot_stay_zero():
    assert Ramps([[3.0]])(torch.tensor([[3.0], [9.0]])).tolist() == [[[0.0]], [[0.0]]]


@pytest.mark.parametrize(("scaling", "centre", "unit"), [("standard", 5.0, 2.9), ("robust", 5.0, 5.0)])
def test_affine_scalings_centre_and_stretch(scaling, centre, unit):
    out = Centre([UNIFORM], scaling)(torch.tensor([[centre], [centre + unit], [math.nan]])).flatten().tolist()
    assert out == pytest.approx([0.0, 1.0, 0.0])


def test_smooth_clip_bends_only_far_values():
    near, far = scaled(UNIFORM, "robust", 5.5, 20.0)
    assert near == pytest.approx(0.1, rel=1e-3)
    assert 2.0 < far < CLIP


def test_quantile_scaling_gives_normal_scores():
    low, middle, high = scaled(SKEWED, "quantile", math.exp(8 * 0.25), math.exp(4.0), math.exp(8 * 0.75))
    assert middle == pytest.approx(0.0, abs=1e-5)
    assert [low, high] == pytest.approx([-0.67, 0.67], abs=0.03)


def test_quantile_scaling_puts_ties_at_the_middle_of_their_ranks():
    zero, one, most = scaled(COUNTS, "quantile", 0.0, 1.0, 50.0)
    assert zero < one < most
    assert zero == pytest.approx(torch.special.ndtri(torch.tensor(20 / 49)).item(), abs=1e-4)


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("col", [UNIFORM, SKEWED, COUNTS, CONSTANT], ids=["uniform", "skewed", "counts", "constant"])
def test_everything_is_bounded_monotone_and_missing_is_finite(scaling, col):
    values = [-math.inf, -3e38, -10.0, *sorted(set(col.quantiles)), 3e38, math.inf, math.nan]
    out = scaled(col, scaling, *values)
    assert all(math.isfinite(value) and abs(value) <= CLIP for value in out)
    assert out[:-1] == sorted(out[:-1])


@pytest.mark.parametrize("scaling", SCALINGS)
def test_a_column_that_does_not_vary_is_zero(scaling):
    assert scaled(CONSTANT, scaling, 4.0, 5.0, -math.inf) == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("scaling", SCALINGS)
def test_statistics_out_of_the_ordinary_stay_finite(scaling):
    huge = column([-1e300, *[1e38] * 47, 1e300], 1e300, math.inf)
    empty = column([math.nan, math.nan], math.nan, math.nan)
    tiny = column([1e-42 * u for u in GRID], 0.0, 1e-42)
    for col in (huge, empty, tiny):
        assert all(map(math.isfinite, scaled(col, scaling, 0.0, 1.0, math.nan, math.inf)))


def test_far_outliers_leave_the_bulk_its_resolution():
    col = column([*GRID[:-1], 1e9], 2e7, 1e8)
    a, b = scaled(col, "robust", 0.5, 0.51)
    assert b - a > 0.01
    assert scaled(col, "quantile", 0.51)[0] - scaled(col, "quantile", 0.5)[0] > 0.01


def test_distinct_drops_what_float32_cannot_tell_apart():
    assert distinct([0.0, 0.0, 1.0, 1.0 + 1e-9, 2.0, 1e9, 1e9 + 1]) == [0.0, 1.0, 2.0, 1e9]


@pytest.mark.parametrize(
    ("embedding", "width"), [(NoEmbedding(), 1), (PiecewiseLinear(bins=8, width=6), 6), (Periodic(frequencies=5, width=3), 3)]
)
def test_embeddings_have_the_width_that_they_say(embedding, width):
    columns = [UNIFORM, SKEWED, CONSTANT]
    module = embedding.build(Centre(columns, "robust").knots)
    assert module(torch.randn(7, 3), torch.randn(7, 3)).shape == (7, module.width) == (7, 3 * width)


def test_steep_ramps_magnify_no_rounding():
    col = column([1000.0 + 1e-2 * u for u in GRID], 1000.0, 0.003)
    centre = Centre([col], "standard")
    x = torch.tensor([[1000.0 + 1e-2 * u] for u in GRID])
    out = Ramps(centre.knots)(centre(x)).sum(-1).flatten()
    expected = (x.flatten().double() - 1000) / 1e-2 * 48
    assert torch.allclose(out.double(), expected.clamp(0, 48), atol=1e-3)


def test_columns_may_know_different_numbers_of_quantiles():
    columns = [column([0.0, 1.0]), UNIFORM]
    centre = Centre(columns, "quantile")
    assert curve("quantile", centre.knots)(centre(torch.zeros(3, 2))).isfinite().all()


def test_piecewise_linear_starts_linear_and_can_bend_at_quantiles():
    module = PiecewiseLinear(bins=4, width=2).build([UNIFORM.quantiles])
    x = torch.linspace(0.0, 10.0, 41).unsqueeze(1)
    bends = module(x, x).diff(n=2, dim=0).abs()
    assert bends.max() < 1e-5
    with torch.no_grad():
        module.weight.normal_(generator=torch.Generator().manual_seed(0))
    bends = module(x, x).diff(n=2, dim=0).abs().amax(1)
    assert [i + 1 for i, bend in enumerate(bends.tolist()) if bend > 1e-4] == [10, 20, 30]


def test_few_distinct_values_all_become_knots():
    module = PiecewiseLinear(bins=4, width=2).build([[0.0] * 46 + [1.0, 2.0, 3.0]])
    assert module.ramps(torch.tensor([[2.0]])).tolist() == [[[1.0, 1.0, 0.0]]]


def test_periodic_is_the_cosine_of_learnt_frequencies():
    module = Periodic(frequencies=4, width=3).build([[0.0, 1.0]] * 2)
    x = torch.randn(5, 2)
    waves = torch.cos(x[:, 1:] * module.frequency[1] + module.phase[4:])
    expected = torch.cat([x, (waves @ module.weight[1] + module.bias[2:])], 1)
    assert torch.allclose(module(x, x)[:, [0, 1, 4, 5]], expected, atol=1e-6)
