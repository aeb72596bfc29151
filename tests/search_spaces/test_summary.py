"""What simple models see of sequences: statistics and resampled values, whatever the length, the padding, and what is missing."""

import math

import numpy as np
import pytest
import torch

from search_spaces.linear import Linear
from search_spaces.spec import Classes, NumericColumn, TimeSeries
from search_spaces.summary import LIMIT, SeriesSummary

NAN, INF = math.nan, math.inf


def series(channels=1, *, length=12, shortest=3, missing=0.0):
    columns = tuple(NumericColumn(f"x{i}", 0.0, 1.0, (-2.0, 0.0, 2.0), missing) for i in range(channels))
    return TimeSeries(columns, length, shortest, 100)


def one(values, points=4, **spec):
    """Return the summary of one sequence of one channel."""
    summary = SeriesSummary(series(**spec), points)
    return summary(torch.tensor(values).view(1, -1, 1), torch.tensor([len(values)]))[0].tolist()


def test_the_features_are_statistics_the_resampled_sequence_and_the_length():
    values = [0.5, -1.0, 0.0, 2.0, 1.0, 3.0]
    features = one(values, points=3)
    line = np.polyfit(np.arange(6) / 6, values, 1)[0]
    statistics = [np.mean(values), np.std(values), -1.0, 3.0, 0.5, 3.0, line]
    resampled = [-0.25, 1.0, 2.0]
    assert features == pytest.approx([*statistics, *resampled, math.log(7 / 13)], abs=1e-5)


def test_a_step_counts_in_each_share_as_far_as_it_reaches_into_it():
    assert one([1.0, 2.0, 3.0], points=2)[7:9] == pytest.approx([(1 + 0.5 * 2) / 1.5, (0.5 * 2 + 3) / 1.5])
    assert one([1.0, 2.0], points=4)[7:11] == pytest.approx([1.0, 1.0, 2.0, 2.0])


def test_missing_values_count_in_nothing_but_their_share():
    features = one([NAN, 2.0, NAN, 4.0], points=2, missing=0.1)
    assert features[:6] == pytest.approx([3.0, 1.0, 2.0, 4.0, 2.0, 4.0])
    assert features[7:10] == pytest.approx([2.0, 4.0, 0.5])
    assert one([1.0, 1.0, NAN, NAN], points=2)[7:9] == pytest.approx([1.0, 1.0])  # a share of which nothing is there


def test_sequences_of_which_nothing_is_there_are_zeros():
    assert one([NAN] * 12, missing=0.5)[:11] == [0.0] * 6 + [0.0] + [0.0] * 4


def test_everything_is_finite_and_bounded():
    wild = torch.tensor([[INF, -INF, 3e38, -3e38], [0.0, 1e-40, NAN, 2e38]]).unsqueeze(2)
    features = SeriesSummary(series(), 4)(wild, torch.tensor([4, 10**6]))
    assert features.abs().max() <= 2 * LIMIT
    assert features.isfinite().all()


def test_padding_changes_nothing():
    summary, generator = SeriesSummary(series(3), 5), torch.Generator().manual_seed(0)
    values, lengths = torch.randn(7, 12, 3, generator=generator), torch.tensor([1, 2, 3, 5, 8, 11, 12])
    behind = (torch.arange(12) >= lengths.unsqueeze(1)).unsqueeze(2)
    longer = torch.cat([values.masked_fill(behind, NAN), torch.full((7, 9, 3), INF)], 1)
    torch.testing.assert_close(summary(longer, lengths), summary(values.masked_fill(behind, 0.0), lengths))


def test_sequences_are_resampled_to_fewer_points_where_there_are_many_channels():
    assert Linear().build(series(2, length=90, shortest=90), Classes((3, 3))).linear.in_features == 2 * (7 + 32)
    assert Linear().build(series(9, length=90, shortest=90), Classes((3, 3))).linear.in_features == 9 * (7 + 16)
    assert Linear().build(series(1, length=5, shortest=5), Classes((3, 3))).linear.in_features == 7 + 5
