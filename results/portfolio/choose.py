"""Choose a portfolio for each family and kind of data from what `collect.py` trained, and judge it on data sets that had no part.

Losses are compared as regrets: 0 is the best that any candidate of the family reached on a data set, 1 the median candidate, and
what is worse than twice that, or failed, counts 2. A portfolio begins with the family's default. Then, one after the other, comes
the candidate that lowers the mean over data sets of the best regret so far the most: greedily, as in Feurer et al., "Auto-Sklearn
2.0" (2022), algorithm 1.

Its worth: for each data set a portfolio is chosen on the others, and the regret of its first k entries on this one is compared
with that of the default and k - 1 configurations as a search without portfolio begins with (`automl.strategies.start`: two of
three the default with changes, the others random; the mean over 2,000 draws without replacement among the candidates drawn in
this way). Children of good configurations (`bred`) were bred from all data sets, the one left out included, so the portfolios
without them are judged too. Tables in HELD were neither bred from nor chosen by: their portfolio is the one that is shipped. A
portfolio is shipped where it saves at least `WORTH` of the regret, and its family isn't one of `BEHIND`.

    python results/portfolio/choose.py              # some seconds; writes worth.md and automl/portfolio.json

Intervals: 95 %, paired bootstrap over data sets.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from collect import CANDIDATES, HELD, TRAININGS
from numpy.typing import NDArray

from automl.portfolio import FILE, Entry, to_data
from search_spaces.configuration import FAMILIES, Configuration

HERE = Path(__file__).parent
KINDS = {"classes": "Classes", "values": "Values"}
LONGEST = {"Table": 6, "Image": 4}  # entries, the default included
WORST = 2.0
SHOWN = (2, 3, 4, 6)  # trials, the default's included
JUDGED, WORTH = 3, 0.1  # trials, and the regret that a portfolio must save by then, one data set left out, to be shipped
BEHIND = ("ViT",)  # not shipped: a search would begin with a family that most others beat on all data sets
DRAWS = 2000


def regrets(family: str, kind: str) -> pd.DataFrame:
    """Return the regret of each candidate (columns, by number) on each data set (rows) of a kind."""
    frame = pd.read_csv(TRAININGS)
    frame = frame[(frame["family"] == family) & (frame["kind"] == kind)]
    losses = frame.pivot_table(index="data", columns="number", values="loss", dropna=False, sort=False)
    losses = losses[sorted(losses.columns)]
    complete = frame.groupby("data")["number"].nunique()  # what is still being collected says nothing yet
    losses = losses.loc[complete.index[complete == complete.max()]]
    best, median = losses.min(axis=1), losses.median(axis=1)
    scaled = losses.sub(best, axis=0).div((median - best).clip(lower=1e-9), axis=0)
    return scaled.clip(upper=WORST).fillna(WORST)


def greedy(table: pd.DataFrame, length: int, among: Sequence[int]) -> list[int]:
    """Return candidates in the order in which they lower the mean of the best regrets most, the default first."""
    chosen = [0]
    while len(chosen) < length:
        best = table[chosen].min(axis=1)
        left = [number for number in among if number not in chosen]
        means = [float(np.minimum(best, table[number]).mean()) for number in left]
        chosen.append(left[int(np.argmin(means))])
    return chosen


def usual(row: pd.Series[float], hows: Sequence[str], trials: int) -> float:
    """Return the mean best regret of so many trials as a search without portfolio begins with."""
    rng = np.random.default_rng(0)
    pools = {how: np.array([number for number, made in enumerate(hows) if made == how]) for how in ("near", "random")}
    values = row.to_numpy()
    found = np.full(DRAWS, values[0])
    orders = {how: np.argsort(rng.random((DRAWS, len(pool))), axis=1) for how, pool in pools.items()}
    taken = {"near": 0, "random": 0}
    for number in range(1, trials):
        how = "random" if number % 3 == 0 else "near"
        found = np.minimum(found, values[pools[how][orders[how][:, taken[how]]]])
        taken[how] += 1
    return float(found.mean())


def interval(differences: NDArray[np.float64]) -> str:
    """Return the mean of differences and its interval."""
    rng = np.random.default_rng(0)
    means = rng.choice(differences, (10_000, len(differences))).mean(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return f"{differences.mean():+.2f} ({low:+.2f}, {high:+.2f})"


def left_out(table: pd.DataFrame, length: int, among: Sequence[int]) -> pd.DataFrame:
    """Return the best regret after each number of trials (columns) of the portfolio chosen without a data set (rows) on it."""
    rows = {name: table.loc[name, greedy(table.drop(index=name), length, among)].cummin().to_numpy() for name in table.index}
    return pd.DataFrame.from_dict(rows, orient="index", columns=range(1, length + 1))


def saved(own: pd.DataFrame, hows: Sequence[str], length: int) -> float:
    """Return by how much a portfolio without bred candidates lowers the regret of `JUDGED` trials on the data set left out."""
    found = left_out(own, length, [number for number, how in enumerate(hows) if how != "bred"])[JUDGED]
    return float(np.mean([usual(own.loc[name], hows, JUDGED) - found[name] for name in own.index]))


def worth(family: str, kind: str, hows: Sequence[str], length: int) -> Iterator[str]:
    """Yield the lines of the table of a family and kind."""
    table = regrets(family, kind)
    own = table.drop(index=[name for name in HELD if name in table.index])
    first = [number for number, how in enumerate(hows) if how != "bred"]
    with_bred, without = left_out(own, length, list(table.columns)), left_out(own, length, first)
    held, shipped = table.loc[[name for name in HELD if name in table.index]], greedy(own, length, list(table.columns))
    for trials in (trials for trials in SHOWN if trials <= length):
        start = np.array([usual(table.loc[name], hows, trials) for name in own.index])
        held_start = np.array([usual(held.loc[name], hows, trials) for name in held.index])
        cells = [
            f"{own[0].mean():.2f}",
            f"{start.mean():.2f}",
            f"{without[trials].mean():.2f}",
            interval(without[trials].to_numpy() - start),
            f"{with_bred[trials].mean():.2f}" if "bred" in hows else "",
            interval(with_bred[trials].to_numpy() - start) if "bred" in hows else "",
            f"{held[shipped[:trials]].min(axis=1).mean():.2f}, {held_start.mean():.2f}" if len(held) else "",
        ]
        yield f"| {family} | {kind}: {len(own)} | {trials} | {' | '.join(cells)} |"


def listed() -> dict[str, list[dict[str, Any]]]:
    """Return the candidates of each family that was trained, in the order of their numbers."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in map(json.loads, CANDIDATES.read_text().splitlines()):
        found.setdefault(line["family"], []).append(line)
    return found


def main() -> None:
    """Choose, judge, and write both files."""
    columns = ("family", "data sets", "trials", "default", "usual start", "portfolio", "difference", "with bred", "difference")
    lines = [f"| {' | '.join(columns)} | held out: portfolio, usual start |", "|---|---|" + "--:|" * (len(columns) - 1)]
    entries, seconds = [], pd.read_csv(TRAININGS)
    names = {family.__name__: family for family in FAMILIES}
    for family, candidates in listed().items():
        inputs = "Table" if "values" in candidates[0] else "Image"
        hows = [line["how"] for line in candidates]
        for kind in (kind for kind in KINDS if kind in candidates[0]):
            table = regrets(family, kind)
            lines += worth(family, kind, hows, LONGEST[inputs])
            own = table.drop(index=[name for name in HELD if name in table.index])
            if family in BEHIND or saved(own, hows, LONGEST[inputs]) < WORTH:
                continue
            for number in greedy(own, LONGEST[inputs], list(table.columns)):
                took = seconds[(seconds["family"] == family) & (seconds["number"] == number)]["seconds"].mean()
                print(family, kind, number, hows[number], f"regret {own[number].mean():.2f}", f"{took:.2f} s")
                configuration = Configuration.from_dict(candidates[number][kind], tuple(names.values()))
                entries.append(Entry((inputs, KINDS[kind]), configuration))
    (HERE / "worth.md").write_text("\n".join(lines) + "\n")
    FILE.write_text(json.dumps(to_data(entries), indent=1) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
