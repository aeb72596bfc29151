"""Which rows make gradients (*fit*), which stop and select (*choose*), and which are only scored at the very end (*report*).

The score of a search is worth as much as this module. Its laws, each a property test: the three roles are disjoint in every fold;
with folds, every row that isn't kept for reporting is chosen on once in each repeat, but for those without which a class couldn't
be learnt; every class is in fit in every fold (in time order nobody can promise that); no group plays two roles; in time order
fit comes before choose, and choose before report, where wanted with a gap; the same seed deals the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from automl.errors import DataError, OptionError

Rows: TypeAlias = NDArray[np.int64]
Folds: TypeAlias = list[tuple[Rows, Rows]]
Counts: TypeAlias = NDArray[np.float64]  # rows of each stratum in each group, (groups, strata)

SMALL = 1000  # rows; below, one holdout says too little, so out-of-fold predictions choose and nothing is kept for reporting
CAP = 20_000  # rows to choose or to report with: the standard error is small enough, and scoring stays quick
_FOLDS, _REPEATS = 5, 2
_REPORT, _CHOOSE, _CHOOSE_ALONE = 0.2, 0.15, 0.2  # shares of the rows; the last where nothing is kept for reporting
_FIT_ROLE = 0
_PINNED = -1  # a unit that is in fit in every fold, or plays no role in time


@dataclass(frozen=True)
class Division:
    """How to deal out the rows. folds, repeats: None for what suits the number of rows; one fold is a holdout.

    chooses, reports: whether rows for choosing and for reporting are to be taken here; False: the user brings them. gap: how far
    rows reach ahead in time, as the future of a forecast does; those that reach into the next role play none.
    """

    folds: int | None = None
    repeats: int | None = None
    chooses: bool = True
    reports: bool = True
    seed: int = 0
    gap: int = 0

    def sizes(self, rows: int) -> tuple[int, int]:
        """Return the number of folds and of repeats for so many rows."""
        if not self.chooses:
            return 1, 1
        folds = self.folds or (_FOLDS if rows < SMALL else 1)
        return folds, self.repeats or (_REPEATS if self.folds is None and folds > 1 else 1)


def make_folds(
    strata: Rows, division: Division, groups: Rows | None = None, times: NDArray[Any] | None = None
) -> tuple[Folds, Rows]:
    """Return (fit, choose) for each fold, repeat by repeat, and the report rows; all are sorted row numbers, int64.

    Args:
        strata: what to balance the roles by, `(rows,)`: codes of classes, or `quantile_bins` of values.
        division: the sizes.
        groups: codes of groups that must stay whole, `(rows,)`.
        times: when each row was; later rows choose, the latest report, and rows of one time stay together, `(rows,)`.

    Raises:
        DataError: there are too few rows, groups or times.
        OptionError: there are fewer rows or groups than folds.

    """
    rows = np.arange(len(strata))
    folds, repeats = division.sizes(len(rows))
    if times is not None:
        fit, choose, report = _by_time(times, division)
        return [(fit, choose)], report
    if folds == 1:
        fit, choose, report = _holdout(rows, strata, groups, division)
        return [(fit, choose)], report
    report = rows[:0]
    if len(rows) >= SMALL and division.reports:
        _, _, report = _holdout(rows, strata, groups, Division(chooses=False, seed=division.seed))
    seen = np.setdiff1d(rows, report)
    found: Folds = []
    for repeat in range(repeats):
        rng = np.random.default_rng([division.seed, 1, repeat])
        found += _folds(seen, strata[seen], None if groups is None else groups[seen], (folds, division.folds is not None), rng)
    return found, report


def quantile_bins(values: NDArray[np.float64]) -> Rows:
    """Return strata `(rows,)` for a target of numbers: up to 20 bins, with at least 10 rows in each."""
    bins = max(1, min(20, len(values) // 10))
    ranks = np.empty(len(values), dtype=np.int64)
    ranks[np.argsort(values, kind="stable")] = np.arange(len(values))
    return ranks * bins // max(1, len(values))


def _wanted(rows: int, division: Division) -> tuple[int, int]:
    """Return how many rows choose and how many report in a holdout; 0 where none are wanted."""
    report = min(CAP, max(1, round(_REPORT * rows))) if division.reports else 0
    share = _CHOOSE if division.reports else _CHOOSE_ALONE
    return (min(CAP, max(1, round(share * rows))) if division.chooses else 0), report


def _too_few(what: str, division: Division) -> DataError:
    roles = ["fit", *["choose"] * division.chooses, *["report"] * division.reports]
    return DataError(f"rows must be divided into {', '.join(roles)}, but {what} are too few; give more, or validation= and test=")


# --------------------------------------------------------------------------------------------------------------- holdouts


def _holdout(rows: Rows, strata: Rows, groups: Rows | None, division: Division) -> tuple[Rows, Rows, Rows]:
    rng = np.random.default_rng([division.seed, 0])
    choose, report = _wanted(len(rows), division)
    if groups is None:
        roles = _deal(strata, choose, report, rng)
    else:
        counts = _group_counts(strata, groups)
        shares = np.array([len(rows) - choose - report, choose, report]) / max(1, len(rows))
        roles = _deal_groups(counts, shares, rng)[groups]
    parts = tuple(np.flatnonzero(roles == role) for role in range(3))
    if any(not len(part) for part, wanted in zip(parts, (1, choose, report), strict=True) if wanted):
        raise _too_few(f"{len(rows)} rows" if groups is None else f"{groups.max() + 1} groups over {len(rows)} rows", division)
    return parts[0], parts[1], parts[2]


def _shuffled(strata: Rows, rng: np.random.Generator) -> Rows:
    """Return the row numbers stratum by stratum, the smallest stratum first, at random within each."""
    return np.lexsort((rng.random(len(strata)), strata, np.bincount(strata)[strata] if len(strata) else strata))


def _deal(strata: Rows, choose: int, report: int, rng: np.random.Generator) -> Rows:
    """Return each row's role: 0 fit, 1 choose, 2 report.

    The rows are laid out stratum by stratum and taken at even distances, so that each stratum is divided like the whole, to
    within a row or two. The first of each stratum always fits, the second chooses and the third reports, so that rare classes are
    learnt and scored; but where there are more strata than rows to choose, only the first is sure.
    """
    order = _shuffled(strata, rng)
    starts = np.flatnonzero(np.diff(strata[order], prepend=-1))
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    roles = np.zeros(len(strata), dtype=np.int64)
    taken = rank == 0
    for role, wanted in ((1, choose), (2, report)):
        if wanted >= len(starts):
            roles[order[rank == role]] = role
            taken |= rank == role
    free = order[~taken]
    choose, report = (max(0, wanted - int((roles == role).sum())) for role, wanted in ((1, choose), (2, report)))
    if choose + report > len(free):
        scale = len(free) / (choose + report)
        choose, report = int(choose * scale), int(report * scale)
    roles[_evenly(free, report, rng)] = 2
    roles[_evenly(free[roles[free] == _FIT_ROLE], choose, rng)] = 1
    return roles


def _evenly(rows: Rows, count: int, rng: np.random.Generator) -> Rows:
    """Return `count` of the rows, at even distances from a random start."""
    if not count:
        return rows[:0]
    positions = (np.arange(count) + rng.random()) * len(rows) / count
    return rows[np.minimum(positions.astype(np.int64), len(rows) - 1)]


def _by_time(times: NDArray[Any], division: Division) -> tuple[Rows, Rows, Rows]:
    """Return fit, choose and report rows, cut between two different times as near as possible to the shares."""
    moments, position, counts = np.unique(times, return_inverse=True, return_counts=True)
    cuts = division.chooses + division.reports
    if len(moments) <= cuts:
        raise _too_few(f"{len(moments)} different times in time_column", division)
    before = np.cumsum(counts)[:-1]  # rows before each moment but the first
    lost = int((times > moments[-1] - division.gap).sum()) if division.gap else 0  # rows that a gap takes, about
    sizes = [size for size in _wanted(max(len(times) - cuts * lost, 1), division) if size]
    chosen: list[int] = []
    end = len(times)
    for size, earlier in zip(reversed(sizes), range(cuts - 1, -1, -1), strict=True):
        allowed = before[earlier : chosen[0] if chosen else None]
        chosen.insert(0, earlier + int(np.abs(allowed - (end - size)).argmin()))
        end -= size + int(_too_near(times, moments[chosen[0] + 1], division.gap).sum())
    part = np.searchsorted(np.array(chosen, dtype=np.int64), position, side="left")
    role = np.array([0, *[1] * division.chooses, *[2] * division.reports])[part]
    for cut in chosen:
        role[_too_near(times, moments[cut + 1], division.gap)] = _PINNED
    roles = tuple(np.flatnonzero(role == number) for number in range(3))
    if any(not len(rows) for rows, wanted in zip(roles, (True, division.chooses, division.reports), strict=True) if wanted):
        raise _too_few(f"{len(times)} rows, with gaps of {division.gap} between the roles,", division)
    return roles[0], roles[1], roles[2]


def _too_near(times: NDArray[Any], begins: Any, gap: int) -> NDArray[np.bool_]:
    """Return which rows come before a role that begins then, but no more than the gap."""
    return np.asarray((times < begins) & (times >= begins - gap)) if gap else np.zeros(len(times), dtype=bool)


# ------------------------------------------------------------------------------------------------------------------ folds


def _folds(seen: Rows, strata: Rows, groups: Rows | None, wanted: tuple[int, bool], rng: np.random.Generator) -> Folds:
    """Return one repeat; `wanted`: the number of folds, and whether it was asked for, so that fewer won't do."""
    folds, is_asked = wanted
    names = np.arange(len(seen)) if groups is None else np.unique(groups, return_inverse=True)[1]
    counts = None if groups is None else _group_counts(strata, names)
    free = _free(strata) if counts is None else int((~_sole_carriers(counts)).sum())
    units = "rows" if groups is None else "groups"
    if is_asked and folds > free:
        raise OptionError(f"folds must be at most {free}, the {units} that training can spare, got {folds}")
    folds = min(folds, free)
    if not is_asked and _rare(strata) > 1:
        folds = min(folds, _rare(strata))
    if folds < 2:
        raise DataError(f"folds must leave out at least two {units} in turn, but training can spare only {free}; give more rows")
    if counts is None:
        fold = _deal_folds(strata, folds, rng)
    else:
        fold = _deal_groups(counts, np.full(folds, 1 / folds), rng, spread=True)[names]
    return [(seen[fold != number], seen[fold == number]) for number in range(folds) if (fold == number).any()]


def _free(strata: Rows) -> int:
    """Return the number of rows whose stratum has other rows."""
    counts = np.bincount(strata)
    return int(counts[counts > 1].sum())


def _rare(strata: Rows) -> int:
    """Return the number of rows that may be left out beside those of the largest stratum; 0 if it is the only one.

    With no more folds than that, each can hold two classes, without which many metrics are undefined.
    """
    counts = np.sort(np.bincount(strata))[:-1]
    return int(counts[counts > 1].sum())


def _deal_folds(strata: Rows, folds: int, rng: np.random.Generator) -> Rows:
    """Return the fold that each row is chosen in; a row that is its stratum's only one is pinned to fit."""
    pinned = np.bincount(strata)[strata] == 1
    order = _shuffled(strata, rng)
    order = order[~pinned[order]]
    fold = np.full(len(strata), _PINNED, dtype=np.int64)
    fold[order] = np.arange(len(order)) % folds
    return fold


# ----------------------------------------------------------------------------------------------------------------- groups


def _group_counts(strata: Rows, groups: Rows) -> Counts:
    """Return how many rows of each stratum a group has, `(groups, strata)`."""
    present, codes = np.unique(strata, return_inverse=True)
    shape = (int(groups.max()) + 1, len(present))
    return np.bincount(groups * shape[1] + codes, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)


def _sole_carriers(counts: Counts) -> NDArray[np.bool_]:
    """Return which groups hold all rows of some stratum."""
    sole = (counts > 0).sum(0) == 1
    return np.asarray((counts[:, sole] > 0).any(1))


def _deal_groups(counts: Counts, shares: NDArray[np.float64], rng: np.random.Generator, *, spread: bool = False) -> Rows:
    """Return the part that each group goes to: the largest first, each to where its strata are missed most.

    shares: how much of the rows each part should have; a share of 0 is no part. spread: the parts are folds, so a stratum must be
    in two of them, or else its group is pinned; otherwise every stratum must be in part 0.
    """
    order = rng.permutation(len(counts))
    order = order[np.argsort(-counts[order].sum(1), kind="stable")]
    totals = counts.sum(0)
    missed = shares[:, None] * totals
    carried = np.zeros(missed.shape, dtype=bool)  # which part has which stratum
    left = (counts > 0).sum(0)  # groups yet to come with each stratum
    parts = np.full(len(counts), _PINNED, dtype=np.int64)
    pinned = _sole_carriers(counts) if spread else np.zeros(len(counts), dtype=bool)
    to_come = int((~pinned).sum())
    for group in order:
        has = counts[group] > 0
        if not pinned[group]:
            allowed = _allowed(carried, has & (left == 1), shares > 0, spread=spread)
            empty = ~carried.any(1) & (shares > 0)
            if to_come <= empty.sum() and (allowed & empty).any():
                allowed &= empty
            if allowed.any():
                part = int(np.where(allowed, missed @ (counts[group] / totals), -np.inf).argmax())
                parts[group] = part
                missed[part] -= counts[group]
                carried[part] |= has
            to_come -= 1
        left -= has
    return parts


def _allowed(carried: NDArray[np.bool_], last: NDArray[np.bool_], parts: NDArray[np.bool_], *, spread: bool) -> NDArray[np.bool_]:
    """Return where a group may go that is the last with the strata `last`."""
    if not spread:
        must_fit = (last & ~carried[_FIT_ROLE]).any()
        return np.arange(len(parts)) == _FIT_ROLE if must_fit else parts
    alone = carried.sum(0) == 1  # strata that are so far in a single fold, where the last group must not follow them
    return np.asarray(~(carried & (last & alone)).any(1))
