import pytest
import torch

from search_spaces.naive import NaiveForecast
from search_spaces.spec import Classes, Forecast, NumericColumn, TimeSeries
from search_spaces.testing import check_family

NAN = float("nan")
SERIES = TimeSeries((NumericColumn("y", 10.0, 2.0, (0.0, 20.0), 0.1), NumericColumn("x", 0.0, 1.0, (0.0, 1.0), 0.0)), 6, 6, 100)
AHEAD = Forecast(4, 0, 12.0, 4.0)


def forecast(window, season=1, length=None):
    values = torch.tensor([window, [7.0] * len(window)]).unsqueeze(2).repeat(1, 1, 2)
    network = NaiveForecast(season=season).build(SERIES, AHEAD).eval()
    with torch.no_grad():
        standard = network(values, torch.tensor([length or len(window), len(window)]))
    return (standard * AHEAD.std + AHEAD.mean)[0].tolist()


def test_conforms():
    check_family(NaiveForecast)


@pytest.mark.parametrize(
    ("window", "season", "length", "expected"),
    [
        ([1, 2, 3, 4, 5, 6], 1, None, [6, 6, 6, 6]),
        ([1, 2, 3, 4, 5, 6], 3, None, [4, 5, 6, 4]),
        ([1, 2, 3, 4, 5, 6], 6, None, [1, 2, 3, 4]),
        ([1, 2, 3, 4, 5, 6], 7, None, [6, 6, 6, 6]),
        ([1, 2, 3, 4, 5, NAN], 1, None, [5, 5, 5, 5]),
        ([1, 2, 3, 4, NAN, 6], 3, None, [4, 6, 6, 4]),
        ([NAN] * 6, 3, None, [10, 10, 10, 10]),
        ([0, 0, 1, 2, 3, 4, 5, 6], 3, None, [4, 5, 6, 4]),
        ([1, 2, 3, 9, 9, 9], 2, 3, [2, 3, 2, 3]),
        ([5, 6], 3, None, [6, 5, 6, 6]),
    ],
    ids=[
        "last",
        "season",
        "whole window",
        "long season",
        "last missing",
        "one missing",
        "all missing",
        "long",
        "padded",
        "short",
    ],
)
def test_says_again_what_was(window, season, length, expected):
    assert forecast([float(value) for value in window], season, length) == pytest.approx(expected, abs=1e-4)


def test_gives_forecasts_alone():
    assert NaiveForecast.gives == (Forecast,)
    with pytest.raises(Exception, match="Forecast"):
        NaiveForecast().build(SERIES, Classes((1, 2)))
