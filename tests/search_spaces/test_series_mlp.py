"""SeriesMLP sees the steps that matter, is a linear map where asked for, learns to forecast, and exports with free lengths."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from search_spaces.language import Space
from search_spaces.series_mlp import SeriesMLP
from search_spaces.spec import Classes, Forecast, NumericColumn, TimeSeries
from search_spaces.steps import StepInput
from search_spaces.testing import INPUTS, OUTPUTS, check_family

ONE, RAGGED = INPUTS["one channel"], INPUTS["ragged sequences"]
STANDARD = NumericColumn("a", 0.0, 1.0, (-2.0, 0.0, 2.0), 0.0)


def build(net, inputs=RAGGED, outputs=OUTPUTS["multiclass"], seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return net.build(inputs, outputs)


def test_conforms():
    check_family(SeriesMLP, {"ragged": RAGGED}, {"binary": OUTPUTS["binary"], "forecast": OUTPUTS["forecast"]}, samples=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_random_members_conform(seed):
    check_family(SeriesMLP, samples=3, seed=seed)


@pytest.mark.parametrize(("outputs", "seen"), [(Classes((5, 5)), slice(0, 12)), (Forecast(3, 0, 0.0, 1.0), slice(-12, None))])
def test_of_longer_rows_the_steps_that_matter_are_seen(outputs, seen):
    inputs = TimeSeries((STANDARD,), 12, 12, 100)
    network = build(SeriesMLP(), inputs, outputs).eval()
    values = torch.randn(2, 20, 1, generator=torch.Generator().manual_seed(0)).requires_grad_()
    whole, few = network(values, torch.tensor([20, 20])), network(values[:, seen], torch.tensor([12, 12]))
    torch.testing.assert_close(whole, few)


def test_without_blocks_it_is_a_linear_map():
    network = build(SeriesMLP(blocks=0), TimeSeries((STANDARD,), 12, 12, 100), OUTPUTS["multiclass"]).eval()
    first, second = torch.randn(2, 5, 12, 1, generator=torch.Generator().manual_seed(0))
    lengths, zero = torch.full((5,), 12), torch.zeros(5, 12, 1)
    both, apart = network(first + second, lengths), network(first, lengths) + network(second, lengths) - network(zero, lengths)
    torch.testing.assert_close(both, apart)


def test_own_past_alone():
    inputs, outputs = TimeSeries(RAGGED.channels, 12, 12, 100), Forecast(3, 3, 0.0, 1.0)
    narrowed = Space(SeriesMLP, SeriesMLP.narrow(inputs, outputs)).default()
    assert narrowed.channels == "own"
    values = torch.randn(4, 12, 6, generator=torch.Generator().manual_seed(0))
    other = torch.cat([torch.randn_like(values[..., :3]), values[..., 3:4], torch.randn_like(values[..., 4:])], 2)
    network, lengths = build(narrowed, inputs, outputs).eval(), torch.full((4,), 12)
    torch.testing.assert_close(network(values, lengths), network(other, lengths))


@pytest.mark.parametrize("scaling", ["last", "row"])
def test_forecasts_start_from_the_level_of_the_window(scaling):
    inputs, outputs = TimeSeries((STANDARD,), 12, 12, 100), Forecast(3, 0, 0.5, 2.0)
    values = torch.randn(4, 12, 1, generator=torch.Generator().manual_seed(0))
    made = build(SeriesMLP(input=StepInput(scaling=scaling)), inputs, outputs)(values, torch.full((4,), 12))
    level = values[:, -1] if scaling == "last" else values.mean(1)
    torch.testing.assert_close(made * 2.0 + 0.5, level.expand(-1, 3))


def test_forecasts_are_linear_by_default_and_scaled_by_their_window():
    inputs, outputs = TimeSeries((STANDARD,), 12, 12, 100), Forecast(3, 0, 0.5, 2.0)
    usual = Space(SeriesMLP, SeriesMLP.narrow(inputs, outputs)).default()
    assert (usual.blocks, usual.input.scaling) == (0, "row")


def test_long_rows_are_seen_in_means():
    inputs = TimeSeries((STANDARD,), 100_000, 100_000, 100)
    network = build(SeriesMLP(), inputs, Classes((5, 5)))
    assert sum(parameter.numel() for parameter in network.parameters()) < 2e6
    assert network(torch.randn(2, 50, 1), torch.tensor([50, 3])).shape == (2, 2)


@pytest.mark.parametrize("scaling", ["last", "row", "standard"])
def test_learns_to_forecast_waves(scaling):
    outputs, generator = Forecast(6, 0, 0.0, 1.0), torch.Generator().manual_seed(0)
    starts = torch.rand(320, 1, generator=generator) * 8
    waves = torch.sin((starts + torch.arange(30)) * (2 * torch.pi / 8))
    values, future, lengths = waves[:, :24, None], waves[:, 24:], torch.full((320,), 24)
    network = build(SeriesMLP(input=StepInput(scaling=scaling)), TimeSeries((STANDARD,), 24, 24, 256), outputs)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    for step in range(100):
        rows = slice(step % 4 * 64, step % 4 * 64 + 64)
        functional.mse_loss(network(values[rows], lengths[rows]), future[rows]).backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        assert functional.mse_loss(network.eval()(values[256:], lengths[256:]), future[256:]) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("outputs", ["multiclass", "forecast"])
@pytest.mark.parametrize("net", [SeriesMLP(), SeriesMLP(blocks=0), SeriesMLP(input=StepInput(scaling="last"), channels="own")])
def test_onnx_agrees_at_lengths_never_seen(net, outputs, check_onnx_lengths):
    check_onnx_lengths(build(net, RAGGED, OUTPUTS[outputs]).eval(), RAGGED)
