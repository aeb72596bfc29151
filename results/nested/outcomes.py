"""What a training of any configuration would have given, learnt from recorded ones: the benchmark that searches are replayed on.

Strategies propose configurations that the table doesn't hold, so a forest of randomised trees (scikit-learn's `ExtraTrees`) is
fitted to it: from plain features of a configuration to the logarithm of the best loss up to each epoch. It is nothing like the
models inside of the strategies, which are Gaussian processes and Parzen estimators, and it is piecewise constant, so that fine
steps near the end of a search mean less on it than in real trainings. A training that stopped early keeps its best loss; one that
gave no loss counts as one as bad as the worst 1 %.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automl.simulation import Measurement
from search_spaces.configuration import FAMILIES, Configuration
from search_spaces.language import Space
from search_spaces.mlp import MLP, Residual
from search_spaces.storing import space_overrides_from_dict
from search_spaces.variation import crossover, mutate, rearrange, replay, sample

HERE = Path(__file__).parent
TABLES = ("kin8nm", "letter")
TREES, LEAF, SHARE = 300, 2, 0.4  # trees, least trainings in a leaf, share of features tried for a split
ABSENT = -10.0
POSITIONS = 6  # of blocks
RANDOM, FRONT, ROUNDS, CHILDREN = 4000, 40, 60, 10  # of the search for the best value

Array = NDArray[np.float64]


class Outcomes:
    """A recorded table and the forest fitted to it, as a `Benchmark`. The loss is that of the best epoch so far.

    A training costs its epochs. space: where the table's configurations come from.
    """

    def __init__(self, name: str, folder: Path = HERE) -> None:
        header = json.loads((folder / f"{name}.space.json").read_text())
        overrides = space_overrides_from_dict(header["space"], Configuration, FAMILIES)
        self.space: Space[Configuration] = Space(Configuration, overrides)
        self.epochs = int(header["epochs"])
        self.name = name
        self._records = [json.loads(line) for line in gzip.decompress((folder / f"{name}.jsonl.gz").read_bytes()).splitlines()]
        self._known: dict[Configuration, Array] = {}

    def train(self, configuration: Configuration, start: int, stop: int, seed: int) -> Measurement:
        """Return what the forest says."""
        return Measurement(float(self.curve(configuration)[stop - 1]), float(stop - start))

    def curve(self, configuration: Configuration) -> Array:
        """Return the best loss up to each epoch, `(epochs,)`."""
        if configuration not in self._known:
            self._known[configuration] = np.minimum.accumulate(
                np.exp(self._forest.predicted(features(configuration, self._names)))
            )
        return self._known[configuration]

    @cached_property
    def recorded(self) -> tuple[list[Configuration], Array, NDArray[np.bool_]]:
        """All recorded configurations, the logarithm of their losses `(n, epochs)`, and which were drawn at random."""
        members = [replay(self.space, record["decisions"]) for record in self._records]
        curves = [_filled(record["curve"], self.epochs) for record in self._records]
        losses = np.array([np.minimum.accumulate(curve) for curve in curves])
        worst = np.nanquantile(losses, 0.99, axis=0)
        losses = np.log(np.where(np.isfinite(losses), np.minimum(losses, worst), worst))
        return members, losses, np.array([record["origin"] == "random" for record in self._records])

    @cached_property
    def _names(self) -> list[str]:
        return sorted({name for member in self.recorded[0] for name, _ in described(member)})

    @cached_property
    def inputs(self) -> Array:
        """The features of all recorded configurations."""
        return np.stack([features(member, self._names) for member in self.recorded[0]])

    @cached_property
    def _forest(self) -> _Forest:
        return _Forest(self.inputs, self.recorded[1])

    def agreement(self) -> dict[str, float]:
        """Return how well forests foretell trainings that they weren't fitted to (five folds), at the last epoch.

        r2, rank: of the logarithm of the loss, its explained variance and Spearman's correlation; rank_good: the latter among the
        better half. early: Spearman's correlation of the recorded losses after a ninth of the epochs with those at the end.
        """
        from scipy.stats import spearmanr

        losses = self.recorded[1]
        fold = np.random.default_rng(0).permutation(len(losses)) % 5
        told = np.empty(len(losses))
        for part in range(5):
            forest = _Forest(self.inputs[fold != part], losses[fold != part])
            told[fold == part] = [forest.predicted(row)[-1] for row in self.inputs[fold == part]]
        last = losses[:, -1]
        good = last < np.median(last)
        return {
            "trainings": len(losses),
            "r2": round(float(1 - ((told - last) ** 2).sum() / ((last - last.mean()) ** 2).sum()), 3),
            "rank": round(float(spearmanr(told, last)[0]), 3),
            "rank_good": round(float(spearmanr(told[good], last[good])[0]), 3),
            "early": round(float(spearmanr(losses[:, self.epochs // 9 - 1], last)[0]), 3),
        }

    def references(self) -> dict[str, float]:
        """Return the lowest loss that a long search finds here, and the median of random configurations."""
        rng = random.Random(f"nested/references/{self.name}")
        drawn = [sample(self.space, rng) for _ in range(RANDOM)]
        pool = {member: float(self.curve(member)[-1]) for member in [*drawn, *self.recorded[0]]}
        for _ in range(ROUNDS):
            front = sorted(pool, key=lambda member: pool[member])[:FRONT]
            for parent in front:
                for _ in range(CHILDREN):
                    start = crossover(self.space, parent, rng.choice(front), rng) if rng.random() < 1 / 3 else parent
                    child = (rearrange if rng.random() < 1 / 4 else mutate)(self.space, start, rng)
                    pool[child] = float(self.curve(child)[-1])
        median = float(np.median([pool[member] for member in drawn]))
        return {"best": round(min(pool.values()), 6), "median": round(median, 6)}


class _Forest:
    """A fitted forest, walked for one configuration at a time in all trees at once: scikit-learn takes 50 times as long."""

    def __init__(self, inputs: Array, outputs: Array) -> None:
        from sklearn.ensemble import ExtraTreesRegressor

        model = ExtraTreesRegressor(TREES, min_samples_leaf=LEAF, max_features=SHARE, random_state=0)
        self._mean, self._scale = outputs.mean(0), outputs.std(0)
        trees = [tree.tree_ for tree in model.fit(inputs, (outputs - self._mean) / self._scale).estimators_]
        starts = np.cumsum([0, *(tree.node_count for tree in trees)])
        self._roots = starts[:-1]
        self._feature = np.concatenate([tree.feature for tree in trees])
        self._threshold = np.concatenate([tree.threshold for tree in trees])
        pairs = list(zip(trees, starts, strict=False))
        self._left = np.concatenate([tree.children_left + start for tree, start in pairs])
        self._right = np.concatenate([tree.children_right + start for tree, start in pairs])
        self._values = np.concatenate([tree.value[:, :, 0] for tree in trees])

    def predicted(self, row: Array) -> Array:
        """Return the outputs for one row of features."""
        row, nodes = row.astype(np.float32).astype(np.float64), self._roots
        while True:
            of = self._feature[nodes]
            inner = of >= 0
            if not inner.any():
                return np.asarray(self._values[nodes].mean(0) * self._scale + self._mean)
            below = np.where(row[of] <= self._threshold[nodes], self._left[nodes], self._right[nodes])
            nodes = np.where(inner, below, nodes)


def features(configuration: Configuration, names: Sequence[str]) -> Array:
    """Return the features of these names; what a configuration doesn't have is `ABSENT`, and 0 among options."""
    made = dict(described(configuration))
    return np.array([made.get(name, 0.0 if "=" in name else ABSENT) for name in names])


def described(configuration: Configuration) -> Iterator[tuple[str, float]]:
    """Yield the features of a configuration: its decisions, numbers that span decades as logarithms, options one by one.

    Blocks are told by position, and by what they are together.
    """
    network = configuration.architecture
    assert isinstance(network, MLP)
    for path, value in configuration.decisions():
        if "/blocks/" in path:
            continue
        if isinstance(value, str | bool) or value is None:
            yield f"{path}={value}", 1.0
        else:
            yield path, float(np.log10(value)) if value > 0 and not path.endswith(("dropout", "warmup")) else float(value)
    rates = [value for path, value in configuration.decisions() if path.endswith("/lr")]
    yield "rate", float(np.log10(rates[0]))  # type: ignore[arg-type]
    widths = np.array([block.width for block in network.blocks], dtype=float)  # type: ignore[attr-defined]
    weights = float((widths[1:] * widths[:-1]).sum() + widths.sum())
    for position, block in enumerate(network.blocks[:POSITIONS]):
        yield f"block {position} width", float(np.log2(widths[position]))
        yield f"block {position} residual", float(isinstance(block, Residual))
        if isinstance(block, Residual):
            yield f"block {position} expansion", block.expansion
            weights += 2 * block.expansion * block.width**2
    yield "depth", float(len(widths))
    yield "residual", sum(isinstance(block, Residual) for block in network.blocks) / len(widths)
    yield "weights", float(np.log10(weights))
    yield from (
        ("narrowest", float(np.log2(widths.min()))),
        ("widest", float(np.log2(widths.max()))),
        ("last", float(widths[-1])),
    )


def _filled(curve: Sequence[float], epochs: int) -> list[float]:
    """Return a curve of all epochs: what stopped early keeps its best loss; infinite where there is none."""
    return [*curve, *[min(curve, default=np.inf)] * (epochs - len(curve))]


def references_of(folder: Path, name: str) -> dict[str, float]:
    """Return the references of a table and how good its forest is, computed once and kept beside it."""
    file = folder / "references.json"
    known: dict[str, dict[str, float]] = json.loads(file.read_text()) if file.exists() else {}
    if name not in known:
        outcomes = Outcomes(name, folder)
        known[name] = {**outcomes.references(), **outcomes.agreement()}
        file.write_text(json.dumps(known, indent=1) + "\n")
    return known[name]
