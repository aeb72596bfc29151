from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.data.splits import CAP, SMALL, Division, make_folds, quantile_bins
from automl.errors import DataError, OptionError


@st.composite
def classes(draw, most=2500):
    """Codes of up to 12 classes, some of them with very few rows, but always enough rows to learn from."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    width = draw(st.integers(2, 12))
    shares = rng.dirichlet(np.full(width, draw(st.sampled_from([0.2, 1.0, 10.0]))))
    codes = rng.choice(width, size=draw(st.integers(30, most)), p=shares)
    return np.unique(np.r_[codes, np.arange(width)], return_inverse=True)[1]


divisions = st.builds(Division, st.sampled_from([None, 1, 2, 5]), st.none(), st.booleans(), st.booleans(), st.integers(0, 1000))


def check_disjoint(found, report, rows):
    for fit, choose in found:
        parts = (fit, choose, report)
        assert all(part.dtype == np.int64 and (np.diff(part) > 0).all() for part in parts)
        together = np.concatenate(parts)
        assert len(np.unique(together)) == len(together) == rows


@given(classes(), divisions)
@settings(max_examples=60)
def test_rows_play_one_role_and_every_class_is_learnt(strata, division):
    found, report = make_folds(strata, division)
    check_disjoint(found, report, len(strata))
    for fit, choose in found:
        assert set(strata[fit]) == set(strata)
        assert bool(len(choose)) == division.chooses


@given(classes(most=900), st.integers(2, 7), st.integers(1, 3), st.integers(0, 99))
@settings(max_examples=40)
def test_out_of_fold_rows_cover_every_row_once_in_each_repeat(strata, folds, repeats, seed):
    found, report = make_folds(strata, Division(folds, repeats, seed=seed))
    assert len(found) == folds * repeats
    assert not len(report)
    times = np.zeros(len(strata), int)
    for _, choose in found:
        times[choose] += 1
    only = np.bincount(strata)[strata] == 1
    assert (times[~only] == repeats).all()
    assert not times[only].any()
    for fold in found:
        for code in np.unique(strata[~only]):
            assert abs((strata[fold[1]] == code).sum() - (strata[~only] == code).sum() / folds) <= 1


@given(classes(), divisions, st.integers(0, 99))
@settings(max_examples=20)
def test_the_seed_decides(strata, division, seed):
    one, two = (make_folds(strata, division) for _ in range(2))
    assert all(np.array_equal(a, b) for x, y in zip(one[0], two[0], strict=True) for a, b in zip(x, y, strict=True))
    assert np.array_equal(one[1], two[1])
    if division.chooses and len(strata) > 100:
        other = make_folds(strata, Division(division.folds, None, reports=division.reports, seed=division.seed + 1 + seed))
        assert not np.array_equal(one[0][0][1], other[0][0][1])


@given(classes(), st.data())
@settings(max_examples=60)
def test_groups_stay_whole(strata, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    number = data.draw(st.integers(15, 200))
    groups = np.unique(rng.choice(number, size=len(strata), p=rng.dirichlet(np.full(number, 2.0))), return_inverse=True)[1]
    division = data.draw(divisions)
    try:
        found, report = make_folds(strata, division, groups)
    except (DataError, OptionError):
        assert groups.max() < 60  # few groups may all be needed to learn the classes
        return
    check_disjoint(found, report, len(strata))
    for fit, choose in found:
        assert not set(groups[fit]) & set(groups[choose])
        assert not (set(groups[fit]) | set(groups[choose])) & set(groups[report])
        assert set(strata[fit]) == set(strata)


def test_folds_of_groups_cover_all_rows_but_those_of_a_class_in_one_group():
    strata = np.r_[np.tile([0, 1], 100), [2, 2]]
    groups = np.r_[np.arange(200) // 10, [20, 20]]
    found, _ = make_folds(strata, Division(folds=4, repeats=2), groups)
    chosen = np.concatenate([choose for _, choose in found])
    assert (np.bincount(chosen, minlength=202)[:200] == 2).all()
    assert set(chosen) == set(range(200))
    assert all({200, 201} <= set(fit) for fit, _ in found)


def test_groups_are_balanced_by_rows_and_class():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(400), rng.integers(5, 30, 400))
    strata = (rng.random(len(groups)) < rng.random(400)[groups]).astype(np.int64)
    [(fit, choose)], report = make_folds(strata, Division(), groups)
    for part, share in ((fit, 0.65), (choose, 0.15), (report, 0.2)):
        assert len(part) / len(groups) == pytest.approx(share, abs=0.01)
        assert strata[part].mean() == pytest.approx(strata.mean(), abs=0.02)


@given(st.lists(st.integers(0, 40), min_size=30, max_size=300), st.booleans(), st.booleans())
@settings(max_examples=60)
def test_time_runs_from_fit_over_choose_to_report(times, chooses, reports):
    moments = np.array(times, dtype=np.float64)
    division = Division(chooses=chooses, reports=reports)
    strata = np.zeros(len(moments), np.int64)
    if len(set(times)) < 1 + chooses + reports:
        with pytest.raises(DataError, match="different times"):
            make_folds(strata, division, times=moments)
        return
    found, report = make_folds(strata, division, times=moments)
    check_disjoint(found, report, len(moments))
    parts = [moments[part] for part, wanted in zip((*found[0], report), (True, chooses, reports), strict=True) if wanted]
    assert all(len(part) for part in parts)
    assert all(earlier.max() < later.min() for earlier, later in pairwise(parts))


@given(st.lists(st.integers(0, 400), min_size=40, max_size=300, unique=True), st.integers(1, 30), st.booleans(), st.booleans())
@settings(max_examples=100)
def test_no_row_reaches_over_a_gap_into_the_next_role(times, gap, chooses, reports):
    moments = np.array(times)
    division = Division(chooses=chooses, reports=reports, gap=gap)
    try:
        found, report = make_folds(np.zeros(len(moments), np.int64), division, times=moments)
    except DataError:
        assert gap * 4 > len(times)  # gaps take more than half of the rows
        return
    parts = [moments[part] for part, wanted in zip((*found[0], report), (True, chooses, reports), strict=True) if wanted]
    assert all(len(part) for part in parts)
    assert all(earlier.max() + gap < later.min() for earlier, later in pairwise(parts))
    inside = [t for t in times if all(t + gap < part.min() or t >= part.min() for part in parts[1:])]
    assert sorted(np.concatenate(parts)) == sorted(inside)


def test_gaps_take_from_no_role_more_than_from_others():
    [(fit, choose)], report = make_folds(np.zeros(1046, np.int64), Division(gap=23), times=np.arange(1046))
    assert (len(fit), len(choose), len(report)) == (650, 150, 200)


def test_time_is_cut_near_the_shares():
    [(fit, choose)], report = make_folds(np.zeros(1000, np.int64), Division(), times=np.arange(1000)[::-1])
    assert (len(fit), len(choose), len(report)) == (650, 150, 200)
    assert report.max() == 199


def test_sizes():
    strata = np.tile([0, 1], SMALL // 2)
    [(fit, choose)], report = make_folds(strata, Division())
    assert (len(fit), len(choose), len(report)) == (650, 150, 200)
    found, report = make_folds(strata[:-1], Division())
    assert (len(found), len(report)) == (10, 0)
    found, report = make_folds(strata, Division(folds=4))
    assert (len(found), len(report), len(found[0][0])) == (4, 200, 600)
    [(fit, choose)], report = make_folds(strata, Division(reports=False))
    assert (len(fit), len(choose), len(report)) == (800, 200, 0)
    [(fit, choose)], report = make_folds(strata, Division(chooses=False))
    assert (len(fit), len(choose), len(report)) == (800, 0, 200)
    [(fit, choose)], report = make_folds(np.tile([0, 1], 100_000), Division())
    assert (len(choose), len(report)) == (CAP, CAP)


def test_bins_of_values_are_even_and_ordered():
    values = np.random.default_rng(0).normal(size=1000)
    bins = quantile_bins(values)
    assert (np.bincount(bins) == 50).all()
    assert all(values[bins == code].max() < values[bins == code + 1].min() for code in range(19))
    assert set(quantile_bins(np.zeros(7))) == {0}
    [(_, choose)], _ = make_folds(bins, Division())
    assert np.abs(np.bincount(bins[choose]) - 7.5).max() <= 1


@pytest.mark.parametrize("strata", [[0], [0, 1], [0, 1, 2], []])
def test_too_few_rows_are_an_error(strata):
    codes = np.array(strata, dtype=np.int64)
    with pytest.raises(DataError, match=r"give more"):
        make_folds(codes, Division())
    with pytest.raises(DataError, match=r"too few"):
        make_folds(codes, Division(folds=1))


def test_few_rows_make_fewer_folds_unless_asked_for():
    codes = np.array([0, 0, 1, 2, 0])
    assert len(make_folds(codes, Division())[0]) == 2 * 3
    with pytest.raises(OptionError, match="folds must be at most 3"):
        make_folds(codes, Division(folds=4))
    with pytest.raises(OptionError, match="folds must be at most 2, the groups"):
        make_folds(codes, Division(folds=3), groups=np.array([0, 1, 2, 3, 1]))


def test_two_groups_cannot_play_three_roles():
    with pytest.raises(DataError, match="2 groups over 2000 rows"):
        make_folds(np.tile([0, 1], 1000), Division(), groups=np.repeat([0, 1], 1000))
