"""What the documents and examples show is what the code does."""

import ast
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import automl
from automl.cli import app
from search_spaces.mlp import MLP, Plain

ROOT = Path(automl.__file__).parents[1]
DOCUMENTS = ("README.md", "CONTRIBUTING.md")
BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
QUICK = {"n_trials": 2, "epochs": 1, "folds": 1, "executor": "inline", "baselines": False, "verbose": False, "time_limit": None}


def blocks(document, language):
    return [text for kind, text in BLOCK.findall((ROOT / document).read_text(encoding="utf-8")) if kind == language]


def commands(text):
    """Return the words of each `automl ...` line; comments go, and in `automl a | b` only the first counts."""
    lines = [line.strip() for line in text.splitlines() if line.strip().startswith("automl ")]
    return [shlex.split(line, comments=True)[1:] for line in lines]


def test_the_readme_shows_python_and_commands():
    assert len(blocks("README.md", "python")) >= 3
    assert len([words for text in blocks("README.md", "") for words in commands(text)]) >= 5


@pytest.mark.parametrize("document", DOCUMENTS)
def test_python_in_documents_is_python(document):
    for text in blocks(document, "python"):
        ast.parse(text)


@pytest.mark.parametrize(
    "source", [*DOCUMENTS, "automl/cli.py", *(f"automl/{path.name}" for path in ROOT.glob("automl/card*.py"))]
)
def test_commands_in_documents_have_the_options_that_they_name(source):
    text = (ROOT / source).read_text(encoding="utf-8")
    parts = blocks(source, "") if source.endswith(".md") else [text.replace("**Example**: ", "\n")]
    group = typer.main.get_command(app)
    for words in (words for part in parts for words in commands(part)):
        command = group.commands[words[0]]
        with command.make_context(words[0], words[1:]) as context:
            assert context.params


@pytest.fixture
def workplace(tmp_path, monkeypatch, sales_like):
    """Work in an empty folder that has the files which the README names; searches there are short."""
    monkeypatch.chdir(tmp_path)
    sales_like.to_csv("adult.csv", index=False)
    sales_like.to_csv("adult_test.csv", index=False)
    search = automl.search
    monkeypatch.setattr(automl, "search", lambda data, **options: search(data, **{**options, **QUICK}))
    return tmp_path


@pytest.fixture
def sales_like():
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"age": rng.normal(size=120), "hours": rng.normal(size=120)})
    frame["income"] = np.where(frame["age"] + frame["hours"] > 0, ">50K", "<=50K")
    return frame.assign(y=frame["income"])


def wide_network(architecture, inputs, outputs):
    """Return what the README leaves to its reader."""
    return MLP(blocks=(Plain(width=architecture.width),)).build(inputs, outputs)


def test_the_python_of_the_readme_runs(workplace, sales_like):
    names = {"data": sales_like, "new_rows": sales_like.head(7), "WideNetwork": wide_network, "__name__": "readme"}
    for number, text in enumerate(blocks("README.md", "python")):
        exec(compile(text, f"README.md, block {number}", "exec"), names)  # noqa: S102 - our own file
    assert (workplace / "model" / "model.onnx").is_file()
    assert len(list((workplace / "automl-results").iterdir())) >= 3
    assert set(names["result"].leaderboard()["family"]) <= {"MLP", "FTTransformer", "TabM", "Wide"}


@pytest.mark.parametrize("example", sorted(path.name for path in (ROOT / "examples").glob("*.py")))
def test_examples_are_described_and_short(example):
    text = (ROOT / "examples" / example).read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) < 100


def run(words, folder):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_demo_runs(tmp_path):
    printed = run([ROOT / "examples" / "demo.py", 15], tmp_path)
    assert "the same predictions as before the export: yes" in printed


@pytest.mark.slow
def test_the_example_of_a_family_runs(tmp_path):
    printed = run([ROOT / "examples" / "own_family.py"], tmp_path)
    assert "Gated #" in printed
    assert (tmp_path / "automl-results" / "own-model" / "model.onnx").is_file()


@pytest.mark.slow
def test_the_example_of_a_family_for_steps_runs(tmp_path):
    printed = run([ROOT / "examples" / "own_steps.py"], tmp_path)
    assert "Summaries #" in printed
    assert (tmp_path / "automl-results" / "own-steps-model" / "model.onnx").is_file()


@pytest.mark.slow
def test_the_example_of_a_study_of_optunas_runs(tmp_path):
    printed = run([ROOT / "examples" / "own_optuna_study.py"], tmp_path)
    assert float(printed.removeprefix("accuracy ").split()[0]) > 0.9
