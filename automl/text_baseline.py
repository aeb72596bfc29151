"""TF-IDF with logistic or ridge regression: what networks for texts have to beat.

Texts are seen as their runs of one and two tokens (of bytes one to five) from the tokenizer of the task, weighted as usual:
`(1 + log tf) * idf`, rows of length 1 (Salton & Buckley 1988, in scikit-learn's smooth form); columns beside them as the family
`Linear` sees them. It is fitted again wherever it is needed, as boosting is: its runs have no place in a network.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from automl.data.columns import Columns
from automl.data.features import Features
from automl.library import library
from automl.regressions import Effort, Regression, fit_regression
from automl.training.feed import as_inputs, feed_of
from automl.training.networks import CPU, build_network, read_outputs
from automl.training.rows import loss_weight
from search_spaces.linear import Linear, LinearNetwork
from search_spaces.spec import Mixed, Outputs, Text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from automl.task import Fold, Task

_ORDERS = {"words": 2, "bpe": 2, "bytes": 5}  # tokens of the longest run
_LEAST_ROWS = 2  # that a run must occur in
_MOST_RUNS = 200_000  # the most frequent ones
_MOST_VALUES = 20_000_000  # runs of the rows that it is fitted on, counted each time: about a gigabyte while they are sorted
_BLOCK = 4096  # rows that are predicted at once
_C = 10.0  # inverse penalty: rows of length 1 need a weaker one than scikit-learn's 1


@dataclass(frozen=True)
class Tfidf:
    """A fitted model. iterations: allowed ones. cut: whether the deadline took some away. note: what to know."""

    runs: _Runs
    table: LinearNetwork | None
    regression: Regression
    outputs: Outputs
    note: str = ""

    @property
    def iterations(self) -> int:
        """The iterations that were allowed."""
        return self.regression.iterations

    @property
    def cut(self) -> bool:
        """Whether the deadline took iterations away."""
        return self.regression.cut

    def predict(self, features: Features, rows: NDArray[np.int64] | None = None) -> NDArray[Any]:
        """Return what a network's `predict` returns, of features as they are stored."""
        return read_outputs(self.raw(features, rows), self.outputs)

    def raw(self, features: Features, rows: NDArray[np.int64] | None = None) -> Tensor:
        """Return logits, or values in standard units, float32 `(rows, width)`, of features as they are stored."""
        every = np.arange(len(features[0])) if rows is None else rows
        blocks = [every[first : first + _BLOCK] for first in range(0, len(every), _BLOCK)] or [every]
        weight, bias = self.regression.weight, self.regression.bias
        with library():
            raw = [_matrix(self.runs, self.table, features, block) @ weight.T + bias for block in blocks]
        return torch.from_numpy(np.concatenate(raw)).float()


def fit_tfidf(task: Task, fold: Fold, seed: int, deadline: float | None = None, *, most: int | None = None) -> Tfidf:
    """Fit the model on the fit rows; deterministic unless a deadline cuts it.

    most: iterations; those of a model that a deadline cut give the same model again. Raises `BaselineFault` where scikit-learn
    can't fit these rows.
    """
    inputs, order = fold.inputs, _order(task)
    assert isinstance(inputs, Text | Mixed)
    rows, note = _some(task, fold, order, seed)
    columns = inputs.table if isinstance(inputs, Mixed) and (inputs.table.numeric or inputs.table.categorical) else None
    table = None if columns is None else cast(LinearNetwork, build_network(Linear(), columns, fold.outputs, seed).eval())
    with library():
        vocabulary = (inputs.text if isinstance(inputs, Mixed) else inputs).vocabulary
        runs = _Runs.fit(_tokens(task.features, rows), vocabulary, order)
        matrix = _matrix(runs, table, task.features, rows)
    effort = Effort(_C, most, deadline)
    regression = fit_regression(matrix, task.target[rows], loss_weight(task, rows), fold.outputs, effort)
    return Tfidf(runs, table, regression, fold.outputs, "; ".join(filter(None, (note, regression.note))))


def _order(task: Task) -> int:
    """Return the tokens of the longest run."""
    tokenizer = task.encoder.tokenizer if isinstance(task.encoder, Columns) else None
    return _ORDERS["words" if tokenizer is None else tokenizer.kind]


def _some(task: Task, fold: Fold, order: int, seed: int) -> tuple[NDArray[np.int64], str]:
    """Return the rows to fit, and what should be said of them."""
    values = int((np.asarray(task.features[-1][fold.fit]) > 0).sum()) * order
    if values <= _MOST_VALUES:
        return fold.fit, ""
    most = max(1000, int(len(fold.fit) * _MOST_VALUES / values))
    note = f"fitted on {most} of {len(fold.fit)} rows, because their runs of tokens are {_MOST_VALUES} at most"
    return np.sort(np.random.default_rng(seed).choice(fold.fit, most, replace=False)), note


def _tokens(features: Features, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the tokens of rows `(rows, texts, length)`."""
    tokens = np.asarray(features[-1][rows], np.int64)
    return tokens if tokens.ndim == 3 else tokens[:, None]


def _matrix(runs: _Runs, table: LinearNetwork | None, features: Features, rows: NDArray[np.int64]) -> Any:
    """Return the features of the regression, sparse `(rows, runs + features of the columns)`."""
    from scipy import sparse

    parts = [runs.weigh(_tokens(features, rows))]
    if table is not None:
        with torch.no_grad():
            feed = feed_of(features[:2], rows, CPU)
            columns = torch.cat([table.features(*as_inputs(block)) for block in feed.blocks()])
        parts.append(sparse.csr_matrix(columns.double().numpy()))
    return sparse.hstack(parts, format="csr")


@dataclass(frozen=True)
class _Runs:
    """The runs of tokens that are known, as ascending keys, with their inverse document frequencies."""

    keys: NDArray[np.int64]
    idf: NDArray[np.float64]
    vocabulary: int
    order: int

    @classmethod
    def fit(cls, tokens: NDArray[np.int64], vocabulary: int, order: int) -> _Runs:
        rows, keys = _found(tokens, vocabulary, order)
        every, position = np.unique(keys, return_inverse=True)
        pairs = np.unique(rows * max(len(every), 1) + position)  # a row and a run that it holds, once
        counts = np.bincount(pairs % max(len(every), 1), minlength=len(every))
        known = np.flatnonzero(counts >= min(_LEAST_ROWS, len(tokens)))
        known = np.sort(known[np.argsort(-counts[known], kind="stable")[:_MOST_RUNS]])
        return cls(every[known], np.log((1 + len(tokens)) / (1 + counts[known])) + 1, vocabulary, order)

    def weigh(self, tokens: NDArray[np.int64]) -> Any:
        from scipy import sparse

        rows, keys = _found(tokens, self.vocabulary, self.order)
        at = np.minimum(np.searchsorted(self.keys, keys), max(len(self.keys) - 1, 0))
        known = self.keys[at] == keys if len(self.keys) else np.zeros(len(keys), bool)
        shape = (len(tokens), len(self.keys))
        matrix = sparse.csr_matrix((np.ones(int(known.sum())), (rows[known], at[known])), shape)
        matrix.sum_duplicates()
        matrix.data = (1 + np.log(matrix.data)) * self.idf[matrix.indices]
        lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(1)).ravel())
        return sparse.diags_array(1 / np.where(lengths > 0, lengths, 1)) @ matrix


def _found(tokens: NDArray[np.int64], vocabulary: int, order: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return all runs in texts `(rows, texts, length)`: the rows they are in, and keys that tell runs and columns apart."""
    known = np.where((tokens >= 0) & (tokens < vocabulary), tokens, 1)
    pieces = [piece for text in range(tokens.shape[1]) for piece in _pieces(known[:, text], vocabulary, order)]
    columns = np.repeat(np.arange(tokens.shape[1]), len(pieces) // tokens.shape[1])
    keys = [keys * tokens.shape[1] + column for (_, keys), column in zip(pieces, columns, strict=True)]
    return np.concatenate([rows for rows, _ in pieces]), np.concatenate(keys)


def _pieces(tokens: NDArray[np.int64], vocabulary: int, most: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield the runs of one token, of two, ... in texts `(rows, length)`: no token of a run is 0, so that no two are one key."""
    runs = np.zeros_like(tokens)
    for behind in range(min(most, tokens.shape[1])):
        last = tokens[:, behind:]
        runs = runs[:, : last.shape[1]] * vocabulary + last
        rows, at = np.nonzero(last)
        yield rows, runs[rows, at]
