"""The command line: what it prints where, and what it says to whom gives it what it can't use."""

import json
import os
import re
import shutil

import numpy as np
import pandas as pd
import pytest

import automl
from automl.board import COLUMNS
from automl.cli import main

QUICK = ("--n-trials", "2", "--epochs", "2", "--folds", "1", "--executor", "inline", "--no-baselines")


@pytest.fixture
def run(command_line, sales):
    """Return a function that runs the command line in an empty folder with the table `sales.csv`."""
    sales().to_csv("sales.csv", index=False)
    return command_line


@pytest.fixture(scope="module")
def model(searched, tmp_path_factory):
    """Return the folder of an exported model, ONNX included."""
    folder = tmp_path_factory.mktemp("cli") / "model"
    searched.best.export(folder)
    return folder


def refused(done, *parts):
    """Check that bad input was told in one line, and nothing else was printed."""
    assert done.code == 2, done.err
    assert done.out == ""
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    for part in parts:
        assert part in done.err


# ------------------------------------------------------------------------------------------------------------- what it does


def test_a_search_prints_its_board_and_tells_what_it_does_in_plain_lines(run):
    done = run("search", "sales.csv", "--target", "sold", "--out", "run", *QUICK)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == "run"
    assert lines[1].split() == ["rank", "model", "validation", "report", "seconds", "ms/1000", "params", "epochs", "status"]
    assert re.match(r"   1 \w+ #\d", lines[2])
    assert "2 networks tried, 0 failed" in done.out
    assert "the search ended: all trials are done" in done.out
    assert "binary task, target 'sold', metric roc_auc" in done.err
    assert "best so far MLP #" in done.err
    assert "\x1b" not in done.out + done.err


def test_every_command_with_json_prints_json_alone(run, searched, model):
    search = run("search", "sales.csv", "--target", "sold", "--out", "run", "--json", *QUICK)
    again = run("leaderboard", "run", "--json")
    resumed = run("resume", "run", "--n-trials", "3", "--json")
    predicted = run("predict", model, "sales.csv", "--probabilities", "--json")
    for done in (search, again, resumed, predicted):
        assert (done.code, done.err) == (0, "")
    board = json.loads(search.out)
    assert board["metric"] == "roc_auc"
    assert board["path"] == "run"
    assert tuple(board["leaderboard"][0]) == COLUMNS
    assert [row["rank"] for row in board["leaderboard"]] == [1, 2]
    assert board["leaderboard"][1]["report_score"] is None
    assert json.loads(again.out) == board
    assert len(json.loads(resumed.out)["leaderboard"]) == 3
    rows = json.loads(predicted.out)
    assert [row["probability_yes"] for row in rows] == searched.best.predict_proba("sales.csv")[:, 1].tolist()


def test_the_board_is_that_of_python(run, searched):
    board = json.loads(run("leaderboard", searched.path, "--json").out)["leaderboard"]
    expected = searched.leaderboard()
    assert [row["model"] for row in board] == expected["model"].tolist()
    assert [row["validation_score"] for row in board] == expected["validation_score"].tolist()
    text = run("leaderboard", searched.path, "--top", "2").out
    assert [line.split()[0] for line in text.splitlines()[2:5]] == ["1", "2", "binary"]
    assert max(len(line) for line in text.splitlines()[1:4]) <= 80


def test_a_run_folder_an_exported_model_and_python_predict_the_same(run, searched, model, sales):
    by_run = run("predict", searched.path, "sales.csv", "--probabilities")
    by_model = run("predict", model, "sales.csv", "--probabilities")
    assert by_run.code == by_model.code == 0
    assert by_run.out == by_model.out
    written = run("predict", model, "sales.csv", "--out", "predictions.csv")
    assert (written.code, written.out) == (0, "")
    assert "240 predictions written to predictions.csv" in written.err
    table = pd.read_csv("predictions.csv")
    assert table["sold"].tolist() == list(searched.best.predict(sales()))
    assert by_run.out.splitlines()[0] == "sold,probability_no,probability_yes"


def test_kinds_of_columns_can_be_told(run):
    words = ("--column", "age=categorical", "--column", "size=numeric")
    done = run("search", "sales.csv", "--target", "sold", "--out", "run", *words, *QUICK)
    assert done.code == 0
    assert "age: categorical" in done.err
    assert automl.SearchResult.open("run").run.task.encoder.to_dict() != {}


def test_columns_may_have_an_equals_sign_in_their_names(run, sales):
    sales().rename(columns={"age": "a=b"}).to_csv("odd.csv", index=False)
    done = run("search", "odd.csv", "--target", "sold", "--out", "run", "--column", "a=b=categorical", *QUICK)
    assert done.code == 0
    assert "a=b: categorical" in done.err


FAMILY = """
from search_spaces.mlp import MLP

class Mine(MLP):
    def build(self, inputs, outputs):
        return super().build(inputs, outputs)
"""


def test_a_family_of_ones_own_is_searched_exported_and_loaded_by_name(run, tmp_path):
    (tmp_path / "cli_family.py").write_text(FAMILY)
    own = ("--family", "cli_family:Mine")
    assert run("search", "sales.csv", "--target", "sold", "--out", "run", *own, *QUICK).code == 0
    refused(run("leaderboard", "run"), "Mine", "--family module:Class")
    assert "Mine #0" in run("leaderboard", "run", *own).out
    assert run("resume", "run", "--n-trials", "3", *own).code == 0
    assert run("export", "run", "model", "--no-onnx", *own).code == 0
    refused(run("predict", "model", "sales.csv"), "VGG, ViT), got 'Mine'")
    assert run("predict", "model", "sales.csv", *own).out == run("predict", "run", "sales.csv", *own).out


def test_export_writes_the_best_network_verified_and_described(run, searched):
    done = run("export", searched.path, "model")
    assert (done.code, done.out) == (0, "")
    assert f"{searched.best_entry.name} written to model" in done.err
    assert sorted(os.listdir("model")) == ["README.md", "model.json", "model.onnx", "weights.safetensors"]  # noqa: PTH208


def test_export_can_train_once_more_on_all_rows_and_leave_out_onnx(run, searched):
    assert run("export", searched.path, "model", "--refit", "--no-onnx").code == 0
    assert sorted(os.listdir("model")) == ["README.md", "model.json", "weights.safetensors"]  # noqa: PTH208
    loaded = automl.load("model")
    assert loaded.members[0].inputs.rows == 240
    assert loaded.scores["refitted"] is True
    refused(run("export", searched.path, "model", "--no-onnx"), "holds a model already", "--overwrite")
    assert run("export", searched.path, "model", "--no-onnx", "--overwrite").code == 0
    assert automl.load("model").members[0].inputs.rows < 240


def test_a_search_that_found_no_model_says_so_and_fails(run):
    words = ("search", "sales.csv", "--target", "sold", "--time-limit", "0.001", "--executor", "inline", "--no-baselines")
    done = run(*words, "--out", "run")
    assert done.code == 1
    assert "0 networks tried" in done.out
    for again in (done, run("predict", "run", "sales.csv"), run("export", "run", "model")):
        assert again.code == 1
        assert "error: no network was trained to a score" in again.err
    assert run("leaderboard", "run").code == 0
    assert json.loads(run(*words, "--out", "other", "--json").out)["leaderboard"] == []


@pytest.mark.parametrize("command", [(), ("search",), ("resume",), ("leaderboard",), ("logs",), ("predict",), ("export",)])
def test_help_teaches_by_example(run, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    done = run(*command, "--help")
    assert done.code == 0
    assert "automl " + (command or ("search",))[0] in done.out
    assert "Example" in done.out
    assert "DATE-TIME" in done.out or command != ("search",)


# ----------------------------------------------------------------------------------------------------------------- bad input

FILES = {
    "empty.csv": b"",
    "blank.csv": b"\n \n",
    "binary.csv": bytes(range(256)) * 20,
    "binary.parquet": bytes(range(256)) * 20,
    "text.docx": b"x",
    "missing.csv": b"a,y\n1,\n2,\n3,\n",
    "one.csv": b"a,y\n1,x\n2,x\n3,x\n",
    "few.csv": b"a,y\n1,x\n2,z\n3,w\n",
    "constant.csv": b"a,y\n" + b"1,x\n1,z\n" * 6,
    "alone.csv": b"y\nx\nz\n",
}


@pytest.mark.parametrize(
    ("name", "target", "parts"),
    [
        ("sale.csv", "sold", ["there is none of this name", "did you mean 'sales.csv'?"]),
        (".", "sold", ["must hold a subfolder of images for each class"]),
        ("text.docx", "sold", ["must end in .csv"]),
        ("empty.csv", "y", ["empty file"]),
        ("blank.csv", "y", ["empty file"]),
        ("binary.csv", "y", ["must be text, got a binary file"]),
        ("binary.parquet", "y", ["must be a Parquet file"]),
        ("sales.csv", "slod", ["'slod' must be one of the columns", "did you mean 'sold'?"]),
        ("missing.csv", "y", ["must have values, all 3 rows are missing"]),
        ("one.csv", "y", ["at least two different values, got 'x' alone"]),
        ("few.csv", "y", ["must have classes that repeat, got 3 in 3 rows"]),
        ("constant.csv", "y", ["at least one column besides the target must be usable"]),
        ("alone.csv", "y", ["must have a column besides the target"]),
    ],
)
def test_bad_data_are_one_clear_error(run, name, target, parts, tmp_path):
    for other, content in FILES.items():
        (tmp_path / other).write_bytes(content)
    refused(run("search", name, "--target", target, "--out", "run", *QUICK), *parts)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--metric", "rocauc"], ["'rocauc'", "did you mean 'roc_auc'?"]),
        (["--metric", "rmse"], ["metric of a binary task"]),
        (["--task", "regression"], ["must hold numbers for regression"]),
        (["--family", "MPL"], ["did you mean 'MLP'?"]),
        (["--family", "no_such_module:Net"], ["--family must be a name or module:Class", "No module named"]),
        (["--family", "json:Net"], ["has no attribute 'Net'"]),
        (["--family", "json:loads"], ["must be a name or a subclass of Architecture"]),
        (["--strategy", "tep"], ["must be one of auto, bayes, evolution, tpe", "did you mean 'tpe'?"]),
        (["--executor", "process"], ["did you mean 'processes'?"]),
        (["--time-limit", "0"], ["time_limit must be a positive number of seconds, got 0"]),
        (["--time-limit", "-3"], ["time_limit", "got -3"]),
        (["--time-limit", "nan"], ["time_limit", "got nan"]),
        (["--time-limit", "inf"], ["time_limit", "got inf"]),
        (["--n-trials", "0"], ["n_trials must be a whole number, at least 1"]),
        (["--epochs", "0"], ["epochs must be a whole number, at least 1"]),
        (["--workers", "-1"], ["workers must be a whole number"]),
        (["--seed", "-1"], ["seed must be a whole number"]),
        (["--folds", "0"], ["folds must be a whole number, at least 1"]),
        (["--column", "age"], ["--column must be NAME=KIND"]),
        (["--column", "aeg=text"], ["'aeg' must be a column", "did you mean 'age'?"]),
        (["--column", "age=txt"], ["columns['age'] must be one of", "did you mean 'text'?"]),
        (["--groups", "nope"], ["groups must name a column"]),
        (["--time-column", "nope"], ["time_column must name a column"]),
        (["--sample-weight", "nope"], ["sample_weight must name a column"]),
        (["--validation", "sales.csv"], ["folds and repeats must be left out with validation="]),
        (["--test", "nope.csv"], ["test: nope.csv: must be a file"]),
        (["--out", "sales.csv"], ["out must be a folder, but sales.csv is a file"]),
        (["--out", "."], ["out must be an empty folder, but . holds sales.csv"]),
        (["--out", "/dev/null/run"], ["out must be a folder that can be written"]),
    ],
)
def test_bad_options_are_one_clear_error(run, words, parts, tmp_path):
    refused(run("search", "sales.csv", "--target", "sold", "--out", "run", *QUICK, *words), *parts)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["serch", "sales.csv"], "Did you mean 'search'?"),
        (["search", "--target", "sold"], "Missing argument"),
        (["search", "sales.csv", "--target", "sold", "--time-limt", "3"], "--time-limit"),
        (["search", "sales.csv", "--target", "sold", "--time-limit", "soon"], "'--time-limit'"),
        (["search", "sales.csv", "--target", "sold", "--task", "clas"], "'binary', 'multiclass'"),
        (["leaderboard", "run", "--top", "0"], "'--top'"),
    ],
)
def test_misspelt_commands_are_usage_errors(run, words, part):
    done = run(*words)
    assert (done.code, done.out) == (2, "")
    assert part in " ".join(done.err.replace("│", " ").split())
    assert "Traceback" not in done.err


def test_another_search_is_replaced_only_on_demand(run, searched, tmp_path):
    shutil.copytree(searched.path, tmp_path / "run")
    words = ("search", "sales.csv", "--target", "sold", "--out", "run", *QUICK)
    refused(run(*words), "run holds another search", "automl resume")
    assert run(*words, "--overwrite").code == 0
    assert len(automl.SearchResult.open("run").entries) == 2


@pytest.mark.parametrize("command", [["resume"], ["leaderboard"], ["logs"], ["export"]])
def test_a_folder_without_a_search_is_refused(run, command):
    more = ["model"] if command == ["export"] else []
    for name in ("nowhere", ".", "sales.csv"):
        refused(run(*command, name, *more), "must hold a search (a file run.db)")


@pytest.mark.parametrize(
    ("hurt", "part"),
    [
        (lambda run: (run / "run.db").write_bytes(b"garbage"), "file is not a database"),
        (lambda run: shutil.rmtree(run / "task"), "must hold a saved task"),
        (lambda run: os.truncate(run / "task" / "target.npy", 50), "must hold a saved task"),
        (lambda run: shutil.rmtree(run / "checkpoints"), "must hold"),
    ],
)
def test_a_damaged_run_is_refused(run, searched, tmp_path, hurt, part):
    shutil.copytree(searched.path, tmp_path / "run")
    hurt(tmp_path / "run")
    refused(run("export", "run", "model"), part)
    assert not (tmp_path / "model").exists()


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("hurt", "part"),
    [
        (shutil.rmtree, "there is nothing at this path"),
        (lambda model: (model / "model.json").unlink(), "holds no model.json"),
        (lambda model: (model / "weights.safetensors").unlink(), "weights.safetensors"),
        (lambda model: (model / "model.onnx").unlink(), "model.onnx"),
        (lambda model: os.truncate(model / "model.json", 200), "model.json"),
        (lambda model: os.truncate(model / "weights.safetensors", 200), "weights.safetensors"),
        (lambda model: flip(model / "model.json"), "model.json"),
        (lambda model: flip(model / "weights.safetensors"), "weights.safetensors"),
        (lambda model: flip(model / "model.onnx"), "model.onnx"),
        (lambda model: flip(model / "README.md"), "README.md"),
    ],
)
def test_a_damaged_model_is_refused(run, model, tmp_path, hurt, part):
    shutil.copytree(model, tmp_path / "model")
    hurt(tmp_path / "model")
    refused(run("predict", "model", "sales.csv"), part)


def test_predicting_what_does_not_fit_is_refused(run, model, tmp_path):
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    refused(run("predict", model, "other.csv"), "missing 'size', 'age', 'colour'")
    refused(run("predict", model, "nothing.csv"), "there is none of this name")
    refused(run("predict", model, "sales.csv", "--out", "nowhere/predictions.csv"), "--out must be a file that can be written")
    refused(run("predict", model, "sales.csv", "--out", "."), "--out must be a file that can be written")
    refused(run("predict", model, "sales.csv", "--out", "p.csv", "--json"), "give one of them")


def test_numbers_have_no_probabilities(run, sales):
    frame = sales().assign(price=np.linspace(0, 1e-6, 240))
    frame.to_csv("prices.csv", index=False)
    assert run("search", "prices.csv", "--target", "price", "--task", "regression", "--out", "run", *QUICK).code == 0
    refused(run("predict", "run", "prices.csv", "--probabilities"), "predict_proba needs classes")
    predicted = [row["price"] for row in json.loads(run("predict", "run", "prices.csv", "--json").out)]
    assert predicted == automl.SearchResult.open("run").best.predict("prices.csv").tolist()


def test_a_reason_with_brackets_is_printed_as_it_is(searched):
    from rich.console import Console

    from automl.board import text_table

    board = searched.leaderboard()
    board.loc[0, "reason"] = "no room for [/batch] of [64]"
    console = Console(width=200)
    with console.capture() as shown:
        console.print(text_table(board))
    assert "no room for [/batch] of [64]" in shown.get()


def test_ctrl_c_before_the_search_loop_is_said(monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("automl.api.search", interrupted)
    monkeypatch.setattr("sys.argv", ["automl", "search", "data.csv", "--target", "y"])
    with pytest.raises(SystemExit) as ending:
        main()
    assert ending.value.code == 130
    assert "interrupted; what a search had on record goes on" in capsys.readouterr().err
