"""The whole way from texts to a model, on short ones: alone and beside columns, in every form, strange ones too."""

import io
import json
import re
import subprocess
import sys

import numpy as np
import onnxruntime
import pandas as pd
import pytest

import automl
from automl import models
from automl.data.encoders import check_fits
from automl.data.statistics import describe_inputs
from automl.errors import DataError, ExportError, ModelError, OptionError
from automl.export import write_onnx
from automl.member import Member
from automl.task import DataOptions, Task, make_task
from search_spaces.spec import Mixed, Table, Text
from search_spaces.spec_files import inputs_from_dict, spec_to_dict
from search_spaces.testing import INPUTS, OUTPUTS
from search_spaces.text_cnn import TextCNN

N = 200
RNG = np.random.default_rng(0)
WORDS = ["red", "green", "blue", "car", "bike", "train", "the", "a", "is", "was"]
TEXTS = [" ".join(RNG.choice(WORDS, RNG.integers(3, 9))) for _ in range(N)]
LABELS = ["warm" if "red" in text.split() else "cold" for text in TEXTS]
TABLE = pd.DataFrame({"text": TEXTS, "x": RNG.normal(size=N), "w": RNG.choice(["p", "q"], N), "kind": LABELS})
QUICK = {"n_trials": 2, "epochs": 6, "folds": 1, "executor": "inline", "verbose": False, "schedule": "full"}


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """Return the result of a search on texts alone, and the folder of its best network."""
    folder = tmp_path_factory.mktemp("texts")
    result = automl.search((TEXTS, LABELS), out=folder / "run", families=["TextCNN"], **QUICK)
    return result, result.best.export(folder / "model")


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Return the same of texts beside columns, from a file."""
    folder = tmp_path_factory.mktemp("mixed")
    TABLE.to_csv(folder / "table.csv", index=False)
    result = automl.search(folder / "table.csv", target="kind", out=folder / "run", families=["MLP"], **QUICK)
    return result, result.best.export(folder / "model")


def test_a_search_on_texts_learns_words(texts):
    result, _ = texts
    board = result.leaderboard().set_index("model")
    assert {"majority", "tfidf"} <= set(board.index)
    assert board["validation_score"]["tfidf"] > 0.95
    assert set(board["status"]) <= {"finished", "stopped"}
    assert repr(result.best) == "Predictor(TextCNN, binary, target='target', texts=8 words)"
    assert "texts are read as words, of which 10 are known, at most 8" in result.run.task.describe()
    assert isinstance(result.run.task.folds[0].inputs, Text)


def test_a_search_on_a_table_with_texts_has_baselines_of_both(mixed):
    result, _ = mixed
    board = result.leaderboard().set_index("model")
    assert {"majority", "tfidf", "boosting"} <= set(board.index)
    assert board["reason"]["boosting"] == "fitted on the columns beside the texts"
    assert repr(result.best) == "Predictor(MLP, binary, target='kind', columns=3)"
    assert isinstance(result.run.task.folds[0].inputs, Mixed)


SHOW = """
import json, sys, automl
table, *folders = sys.argv[1:]
print(json.dumps([automl.load(folder).predict_proba(table).tolist() for folder in folders]))
"""


def test_models_predict_the_same_in_a_new_process(texts, mixed, tmp_path):
    rows = TABLE.head(9)
    rows.to_csv(tmp_path / "new.csv", index=False)
    expected = [result.best.predict_proba(rows) for result, _ in (texts, mixed)]
    assert np.array_equal([automl.load(folder).predict_proba(rows) for _, folder in (texts, mixed)], expected)
    folders = [str(folder) for _, folder in (texts, mixed)]
    done = subprocess.run(
        [sys.executable, "-c", SHOW, str(tmp_path / "new.csv"), *folders], capture_output=True, text=True, check=True
    )
    assert np.array_equal(json.loads(done.stdout), expected)
    assert done.stderr == ""


@pytest.mark.parametrize("kind", ["texts", "mixed"])
def test_the_example_of_the_card_runs_without_automl(kind, request):
    result, folder = request.getfixturevalue(kind)
    card = (folder / "README.md").read_text(encoding="utf-8")
    example = next(code for code in re.findall(r"```python\n(.*?)```", card, re.DOTALL) if "onnxruntime" in code)
    example = example.replace("A text of yours.", "The red car!")
    assert "automl" not in example
    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, check=True, cwd=folder)
    shown = float(re.search(r"'warm': np.float32\(([^)]+)\)", done.stdout)[1])
    if kind == "texts":
        ours = result.best.predict_proba(["The red car!"])[0, list(result.best.classes).index("warm")]
        assert shown == pytest.approx(ours, abs=1e-4)


def test_predictions_of_the_command_line_are_those_of_python(texts, tmp_path, command_line):
    result, folder = texts
    pd.DataFrame({"message": TEXTS[:5]}).to_csv(tmp_path / "new.csv", index=False)
    done = command_line("predict", folder, tmp_path / "new.csv")
    assert done.code == 0, done.err
    table = pd.read_csv(io.StringIO(done.out))
    assert table["target"].tolist() == result.best.predict(TEXTS[:5]).tolist()


FORMS = {
    "list": TEXTS,
    "array": np.array(TEXTS),
    "objects": np.array(TEXTS, dtype=object),
    "Series": pd.Series(TEXTS, index=range(7, 7 + N)),
    "strings of Arrow": pd.Series(TEXTS, dtype="string[pyarrow]"),
    "frame": pd.DataFrame({"text": TEXTS}),
    "a column of rows": [[text] for text in TEXTS],
    "dicts": [{"text": text} for text in TEXTS],
}


@pytest.mark.parametrize("form", FORMS)
def test_texts_come_in_every_form(form, texts):
    result, _ = texts
    task = make_task((FORMS[form], LABELS), DataOptions(folds=1))
    assert np.array_equal(np.asarray(task.features[0]), np.asarray(result.run.task.features[0]))
    assert np.array_equal(result.best.predict(FORMS[form]), result.best.predict(TEXTS))


def test_a_file_of_texts_alone(tmp_path, texts):
    TABLE[["text", "kind"]].to_csv(tmp_path / "texts.csv", index=False)
    task = make_task(tmp_path / "texts.csv", DataOptions(target="kind", folds=1))
    assert np.array_equal(np.asarray(task.features[0]), np.asarray(texts[0].run.task.features[0]))
    assert texts[0].best.evaluate((TEXTS, LABELS)) == texts[0].best.evaluate((np.array(TEXTS), LABELS))


def test_only_rows_that_may_be_seen_make_the_vocabulary():
    task = make_task((TEXTS, LABELS), DataOptions(folds=1, seed=3))
    fit = task.folds[0].fit
    changed = [text if row in set(fit.tolist()) else f"{text} unseen unseen" for row, text in enumerate(TEXTS)]
    again = make_task((changed, LABELS), DataOptions(folds=1, seed=3))
    assert again.encoder == task.encoder
    tokens, vocabulary = np.asarray(task.features[0]), len(task.encoder.tokenizer.vocabulary)
    longest = int((tokens[fit] > 0).sum(1).max())
    assert task.folds[0].inputs == Text(vocabulary, longest, len(fit))
    one = fit[:1]
    described = describe_inputs(task.features, one, task.encoder, task.target, task.folds[0].outputs)
    assert described.length == (tokens[one] > 0).sum()
    assert described.unseen == tuple(code for code in range(2, vocabulary) if code not in tokens[one])


def test_tokens_that_a_fold_never_saw_are_unknown_to_its_networks():
    pairs = [row // 2 for row in range(N)]  # a word that two rows have is in the vocabulary
    rare = [f"{text} rare{chr(97 + pair // 26)}{chr(97 + pair % 26)}" for text, pair in zip(TEXTS, pairs, strict=True)]
    task = make_task((rare, LABELS), DataOptions(folds=3))
    tokens = np.asarray(task.features[0])
    for fold in task.folds:
        assert fold.inputs.unseen
        assert not np.isin(tokens[fold.fit], fold.inputs.unseen).any()
        assert np.isin(tokens[fold.choose], fold.inputs.unseen).any()
    assert inputs_from_dict(json.loads(json.dumps(spec_to_dict(fold.inputs)))) == fold.inputs


def test_a_task_of_texts_is_saved_and_loaded(tmp_path):
    for data, options in (((TEXTS, LABELS), {}), (TABLE, {"target": "kind", "tokenizer": "bpe"})):
        task = make_task(data, DataOptions(folds=1, **options))
        task.save(tmp_path)
        again = Task.load(tmp_path)
        assert (again.fingerprint, again.encoder, again.folds[0].inputs) == (task.fingerprint, task.encoder, task.folds[0].inputs)


def test_inputs_and_columns_say_what_words_are():
    table = make_task(TABLE, DataOptions(target="kind", folds=1, inputs="table"))
    assert len(table.features) == 2
    assert any("set aside because inputs are a table" in notice for notice in table.notices)
    words = make_task(TABLE, DataOptions(target="kind", folds=1, inputs="texts"))
    assert words.encoder.texts == ("text", "w")
    forced = make_task(TABLE, DataOptions(target="kind", folds=1, columns={"w": "text", "text": "ignored"}))
    assert forced.encoder.texts == ("w",)
    with pytest.raises(DataError, match="inputs='table' needs a column that is no text"):
        make_task((TEXTS, LABELS), DataOptions(inputs="table"))


def test_an_unknown_tokenizer_is_an_option_error():
    with pytest.raises(OptionError, match="tokenizer must be one of words, bpe, bytes"):
        DataOptions(tokenizer="chars")


STRANGE = {
    "empty": "",
    "missing": None,
    "not a number": float("nan"),
    "white space": " \n\t",
    "emoji": "the 😀 car 👩‍👩‍👧",
    "a megabyte": "red car " * 125_000,
    "one word of a megabyte": "r" * 1_000_000,
    "control characters": "red\x00car\x1b[31m",
    "half of a surrogate pair": "red \ud800 car",
    "a number": 12,
    "right to left": "مرحبا",
}


@pytest.mark.parametrize("name", STRANGE)
def test_strange_texts_are_predicted_and_trained_on(name, texts):
    cell = STRANGE[name]
    predicted = texts[0].best.predict_proba([cell, "the red car"])
    assert np.isfinite(predicted).all()
    assert np.allclose(predicted[1], texts[0].best.predict_proba(["the red car"])[0], atol=1e-6)
    task = make_task(([*TEXTS, *[cell] * 3], [*LABELS, "warm", "cold", "warm"]), DataOptions(folds=1))
    assert isinstance(task.folds[0].inputs, Text)


REFUSED = {
    "bytes": ([b"red"] * N, "must be str, got bytes; decode them"),
    "lists of words": ([text.split() for text in TEXTS], "rows of one length"),
    "fewer labels": (TEXTS[:-1], "must have the same length, got 199 and 200"),
    "the same text always": (["red car"] * N, "at least one column besides the target must be usable"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_holds_no_texts_is_refused(name):
    data, message = REFUSED[name]
    with pytest.raises(DataError, match=message):
        make_task((data, LABELS), DataOptions(inputs="texts"))


def test_one_text_needs_a_list(texts):
    with pytest.raises(DataError, match=r"taken for a path, and there is no file 'the red car'; give a list, \[text\]"):
        texts[0].best.predict("the red car")
    assert texts[0].best.predict(["the red car"]).shape == (1,)
    assert texts[0].best.predict([]).shape == (0,)


def test_an_altered_tokenizer_is_refused(texts, tmp_path):
    manifest = json.loads((texts[1] / "model.json").read_text())
    manifest["columns"]["tokenizer"]["length"] = 7
    for name in ("weights.safetensors", "model.onnx", "README.md"):
        (tmp_path / name).write_bytes((texts[1] / name).read_bytes())
    (tmp_path / "model.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match="was altered"):
        automl.load(tmp_path)


def test_unseen_tokens_are_unknown_in_the_exported_file_too(tmp_path):
    inputs, outputs = INPUTS["unseen tokens"], OUTPUTS["binary"]
    write_onnx(tmp_path / "model.onnx", [Member(TextCNN(), inputs, outputs, TextCNN().build(inputs, outputs).eval())], ["a", "b"])
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    unseen, unknown = (session.run(None, {"tokens": np.array([[5, code, 6]])})[0] for code in (inputs.unseen[0], 1))
    assert np.array_equal(unseen, unknown)


@pytest.mark.parametrize(
    ("unseen", "says"),
    [
        ([1], "unseen must be codes from 2 on"),
        ([12], "of the vocabulary of 12"),
        ([2.0], "whole numbers"),
        ([True], "whole numbers"),
        (7, "isn't what automl writes"),
        ([5], "lacks '.*renumbered'"),
    ],
)
def test_unseen_tokens_that_cannot_be_are_refused(texts, tmp_path, altered, unseen, says):
    for path in texts[1].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    altered(tmp_path, {"members/0/inputs/unseen": unseen})
    with pytest.raises(ModelError, match=says):
        automl.load(tmp_path)


TEXT, BESIDE = Text(12, 8, 100), Mixed(Table((), (), 100), ("a", "b"), Text(12, 8, 100))
MISFITS = {
    "another vocabulary": (TEXTS, Text(13, 8, 100), r"must be those of the tokenizer, \(12, 8\)"),
    "a longer text": (TEXTS, Text(12, 9, 100), "must be those of the tokenizer"),
    "a table": (TEXTS, Table((), (), 100), "inputs must be Text, as columns are, got Table"),
    "texts beside columns": (TEXTS, BESIDE, "inputs must be Text, as columns are, got Mixed"),
    "a text": (pd.DataFrame({"a": TEXTS, "b": TEXTS[::-1]}), TEXT, "inputs must be Mixed, as columns are, got Text"),
    "other names": (pd.DataFrame({"a": TEXTS, "c": TEXTS[::-1]}), BESIDE, "columns of texts must be those of columns"),
    "other columns": (
        pd.DataFrame({"a": TEXTS, "b": TEXTS[::-1], "x": TABLE["x"]}),
        BESIDE,
        "numeric columns must be those of columns",
    ),
}


@pytest.mark.parametrize("name", MISFITS)
def test_inputs_that_the_columns_do_not_make_are_refused(name):
    data, inputs, message = MISFITS[name]
    task = make_task((data, LABELS), DataOptions(folds=1))
    check_fits(task.folds[0].inputs, task.encoder, "members/0")
    with pytest.raises(ModelError, match=message):
        check_fits(inputs, task.encoder, "members/0")


def test_the_baseline_of_texts_predicts_and_has_no_file(texts, tmp_path):
    run = texts[0].run
    entry = next(entry for entry in texts[0].entries if entry.name == "tfidf")
    model = models.predictor(run, entry, {})
    rows = np.asarray(run.task.report)
    assert np.allclose(model.predict_proba([TEXTS[row] for row in rows]), models.predict_rows(run, entry, rows))
    assert model.evaluate(([TEXTS[row] for row in rows], [LABELS[row] for row in rows]))["roc_auc"] == pytest.approx(
        texts[0].report[entry.number].value
    )
    with pytest.raises(ExportError, match="'tfidf', which can't be exported"):
        model.save(tmp_path / "model")


def test_a_network_of_texts_is_trained_again_on_all_rows(texts):
    again = texts[0].refit()
    assert again.predict(TEXTS).shape == (N,)
    assert again.members[0].inputs.rows == N


def test_a_file_may_hold_a_text_of_a_megabyte(tmp_path):
    rows = TABLE[["text", "kind"]].copy()
    rows.loc[3, "text"] = 'red, "car"\n' * 100_000
    rows.to_csv(tmp_path / "texts.csv", index=False)
    task = make_task(tmp_path / "texts.csv", DataOptions(target="kind", folds=1))
    assert len(task.target) == N
    assert np.asarray(task.features[0])[3].all()
