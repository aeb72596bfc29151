"""TF-IDF is scikit-learn's, its models are fitted again exactly, and it takes whatever texts, columns and outputs there are."""

import time

import numpy as np
import pandas as pd
import pytest
import torch

from automl import text_baseline
from automl.baselines import baseline_names, fit_baseline
from automl.metrics import metric
from automl.task import DataOptions, make_task
from automl.text_baseline import fit_tfidf

N = 240
RNG = np.random.default_rng(0)
WORDS = ["red", "green", "blue", "car", "bike", "train", "the", "a", "is", "was"]
TEXTS = [" ".join(RNG.choice(WORDS, RNG.integers(3, 9))) for _ in range(N)]
LABELS = ["warm" if "red" in text.split() else "cold" for text in TEXTS]
NUMBERS = RNG.normal(size=N)
LENGTHS = np.array([len(text.split()) for text in TEXTS]) + 0.01 * NUMBERS
COLUMNS = pd.DataFrame({"text": TEXTS, "x": NUMBERS, "w": RNG.choice(["p", "q"], N), "other": TEXTS[::-1]})


def made(data, target, **options):
    return make_task((data, target), DataOptions(folds=1, **options))


def score(task, fitted):
    choose = task.folds[0].choose
    return metric(task.metric, task.kind).score(task.target[choose], fitted.predictions)


@pytest.mark.parametrize(("kind", "orders"), [("words", (1, 2)), ("bytes", (1, 5))], ids=["pairs of words", "five bytes"])
def test_features_are_those_of_scikit_learn(kind, orders):
    from sklearn.feature_extraction.text import TfidfVectorizer

    task = made(TEXTS, LABELS, tokenizer=kind)
    fold = task.folds[0]
    model = fit_tfidf(task, fold, 0)
    rows = [" ".join(f"t{code}" for code in row if code) for row in task.features[0]]
    theirs = TfidfVectorizer(tokenizer=str.split, token_pattern=None, ngram_range=orders, sublinear_tf=True, min_df=2)
    theirs.fit([rows[row] for row in fold.fit])
    ours = text_baseline._matrix(model.runs, model.table, task.features, fold.choose)
    expected = theirs.transform([rows[row] for row in fold.choose])
    assert ours.shape == expected.shape
    assert np.allclose(np.sort(ours.toarray(), 1), np.sort(expected.toarray(), 1))


def test_words_and_their_order_are_learnt():
    task = made(TEXTS, LABELS)
    assert baseline_names(task) == ("majority", "tfidf")
    assert score(task, fit_baseline("tfidf", task, task.folds[0], 0)) > 0.95
    order = ["first" if text.find("red") < text.find("blue") else "second" for text in (f"{t} x" for t in TEXTS)]
    pairs = [f"{'red blue' if side == 'first' else 'blue red'} the car" for side in order]
    task = made(pd.DataFrame({"text": pairs}), order, columns={"text": "text"}, inputs="texts")
    assert score(task, fit_baseline("tfidf", task, task.folds[0], 0)) == 1.0


def test_columns_beside_the_texts_are_learnt_too():
    target = np.where(NUMBERS > 0, "high", "low")
    task = made(COLUMNS, target)
    assert baseline_names(task) == ("majority", "tfidf", "boosting")
    assert score(task, fit_baseline("tfidf", task, task.folds[0], 0)) > 0.9
    boosting = fit_baseline("boosting", task, task.folds[0], 0)
    assert score(task, boosting) > 0.95
    assert boosting.reason == "fitted on the columns beside the texts"


def test_texts_alone_have_no_columns_for_boosting():
    assert baseline_names(made(COLUMNS[["text", "other"]], LABELS)) == ("majority", "tfidf")


def test_a_word_means_another_thing_in_another_column():
    swapped = [left if i % 2 else right for i, (left, right) in enumerate(zip(TEXTS, TEXTS[::-1], strict=True))]
    frame = pd.DataFrame({"text": TEXTS, "other": swapped})
    task = made(frame, LABELS)
    assert score(task, fit_baseline("tfidf", task, task.folds[0], 0)) > 0.95


TARGETS = {
    "regression": (LENGTHS, (N,)),
    "several numbers": (np.column_stack([LENGTHS, NUMBERS]), (N, 2)),
    "labels": (np.column_stack([["red" in t.split() for t in TEXTS], ["car" in t.split() for t in TEXTS]]).astype(int), (N, 2)),
    "many classes": (RNG.choice(list("abcde"), N), (N, 5)),
}


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("data", [TEXTS, COLUMNS], ids=["texts", "texts beside columns"])
def test_all_outputs_have_predictions(name, data):
    target, shape = TARGETS[name]
    task = made(data, target, sample_weight=np.linspace(0.5, 2, N))
    fold = task.folds[0]
    fitted = fit_baseline("tfidf", task, fold, 0)
    assert fitted.predictions.shape == (len(fold.choose), *shape[1:])
    assert np.isfinite(fitted.predictions).all()
    constant = fit_baseline(baseline_names(task)[0], task, fold, 0)
    assert constant.predictions.shape == fitted.predictions.shape


@pytest.mark.parametrize("data", [TEXTS, COLUMNS], ids=["texts", "texts beside columns"])
def test_labels_are_learnt(data):
    right = []
    for seed in range(6):  # of the rows of one division a few decide
        task = made(data, TARGETS["labels"][0], sample_weight=np.linspace(0.5, 2, N), seed=seed)
        fold = task.folds[0]
        right.append(((fit_baseline("tfidf", task, fold, 0).predictions > 0.5) == task.target[fold.choose]).mean())
    assert np.mean(right) > 0.9


def test_a_cut_model_is_fitted_again_exactly(monkeypatch):
    task = made(TEXTS, RNG.choice(list("abcde"), N))
    fold = task.folds[0]
    cut = fit_tfidf(task, fold, 0, time.time() - 1)
    assert (cut.cut, cut.iterations) == (True, 20)
    assert "did not converge in 20 iterations" in cut.note
    again = fit_tfidf(task, fold, 0, most=cut.iterations)
    assert torch.equal(again.raw(task.features), cut.raw(task.features))
    monkeypatch.setattr(text_baseline, "_BLOCK", 7)
    assert torch.allclose(cut.raw(task.features, fold.choose), again.raw(task.features)[fold.choose], atol=1e-6)


def test_many_rows_are_fitted_in_part(monkeypatch):
    monkeypatch.setattr(text_baseline, "_MOST_VALUES", 10)
    task = made(TEXTS * 10, LABELS * 10, inputs="texts")
    fitted = fit_baseline("tfidf", task, task.folds[0], 0)
    assert "fitted on 1000 of" in fitted.reason


@pytest.mark.parametrize("texts", [["", None] * 60 + ["x y z w v"] * 0, ["same old text here"] * 119 + ["other"]])
def test_texts_without_anything_to_learn_are_no_error(texts):
    task = made(pd.DataFrame({"a": texts, "x": NUMBERS[:120]}), LABELS[:120], columns={"a": "text"})
    fitted = fit_baseline("tfidf", task, task.folds[0], 0)
    assert np.isfinite(fitted.predictions).all()
