"""The ONNX file predicts what torch predicts, says nothing while it is made, and the model card tells how to use it."""

import json
import re
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

import automl
from automl.errors import ExportError, ModelError
from automl.export import write_onnx
from automl.member import Member, mean_prediction
from automl.predictor import Predictor
from automl.training.networks import build_network
from search_spaces.language import Architecture, Choice
from search_spaces.linear import Linear
from search_spaces.mlp import MLP, Plain
from search_spaces.spec import CategoricalColumn, Classes, NumericColumn, Table, Values

SMALL = MLP(blocks=(Plain(width=16),))
NUMBERS = tuple(NumericColumn(name, 5.0, 3.0, tuple(np.linspace(0, 10, 49).tolist()), 0.1) for name in ("x", "y"))
WORDS = (CategoricalColumn("c", (5, 50, 45)), CategoricalColumn("d", (0, 90, 0, 10)))


def members(architecture, inputs, outputs, number=1) -> tuple[Member, ...]:
    networks = (build_network(architecture, inputs, outputs, seed).eval() for seed in range(number))
    return tuple(Member(architecture, inputs, outputs, network) for network in networks)


@pytest.fixture(scope="module")
def exported(toy_task, tmp_path_factory):
    """Return a predictor of several networks and the folder that it was exported to."""
    task = toy_task("multiclass")
    fold = task.folds[0]
    scores = {"report": 0.8, "report_interval": (0.7, 0.9), "report_method": "100 rows | new", "validation": 0.85}
    networks = members(SMALL, fold.inputs, fold.outputs, 2)
    predictor = Predictor(networks, task.encoder, task.kind, task.classes, "t|t", "accuracy", scores)
    return predictor, predictor.export(tmp_path_factory.mktemp("models") / "model")


def test_the_folder_is_complete_and_loads(exported) -> None:
    predictor, folder = exported
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "model.json", "model.onnx", "weights.safetensors"]
    assert set(json.loads((folder / "model.json").read_text())["files"]) == {"README.md", "model.onnx", "weights.safetensors"}
    rows = [{"x": 1.0, "y": 2.0, "z": 3.0, "c": "q"}]
    assert (automl.load(folder).predict_proba(rows) == predictor.predict_proba(rows)).all()


@pytest.mark.parametrize("rows", [1, 3, 64, 1000])
def test_onnx_predicts_what_the_loaded_predictor_does(exported, rows) -> None:
    _, folder = exported
    rng = np.random.default_rng(rows)
    frame = {"x": rng.normal(size=rows), "y": rng.normal(size=rows) * 10, "z": np.where(rng.random(rows) < 0.3, np.nan, 1e4)}
    frame["c"] = rng.choice(["p", "q", "never seen", ""], rows).tolist()
    loaded = automl.load(folder)
    encoded = loaded.encoder.transform(frame)
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    feed = {"numeric": encoded.numeric, "categorical": encoded.categorical.astype(np.int64)}
    (probabilities,) = session.run(["probabilities"], feed)
    assert np.abs(probabilities - loaded.predict_proba(frame)).max() < 1e-5


@pytest.mark.parametrize("harm", ["missing", "altered"])
def test_a_harmed_onnx_file_is_refused(exported, tmp_path, harm) -> None:
    predictor, folder = exported
    predictor.save(tmp_path / "model")
    for path in folder.iterdir():
        (tmp_path / "model" / path.name).write_bytes(path.read_bytes())
    path = tmp_path / "model" / "model.onnx"
    path.unlink() if harm == "missing" else path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(ModelError, match=r"model\.onnx"):
        automl.load(tmp_path / "model")


@pytest.mark.parametrize(
    ("numeric", "categorical", "outputs", "names"),
    [
        (NUMBERS, (), Values(1e6, 0.5), {"numeric"}),
        ((), WORDS, Classes((50, 50)), {"categorical"}),
        (NUMBERS, WORDS, Values(-3.0, 1e-9), {"numeric", "categorical"}),
    ],
    ids=["numbers", "words", "tiny target"],
)
def test_only_inputs_that_exist_are_asked_for(tmp_path, numeric, categorical, outputs, names) -> None:
    inputs = Table(numeric, categorical, 100)
    everyone = members(SMALL, inputs, outputs)
    write_onnx(tmp_path / "model.onnx", everyone, ["a", "b"])
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    assert {entry.name for entry in session.get_inputs()} == names
    assert [entry.name for entry in session.get_outputs()] == ["probabilities" if isinstance(outputs, Classes) else "values"]
    arrays = {"numeric": np.zeros((4, len(numeric)), np.float32), "categorical": np.ones((4, len(categorical)), np.int64)}
    (written,) = session.run(None, {name: arrays[name] for name in names})
    assert np.allclose(written, mean_prediction(everyone, tuple(arrays.values())), rtol=0, atol=1e-5 * getattr(outputs, "std", 1))
    properties = session.get_modelmeta().custom_metadata_map
    assert json.loads(properties["categorical"]) == [column.name for column in categorical]


def test_linear_baselines_are_exported(tmp_path) -> None:
    write_onnx(tmp_path / "model.onnx", members(Linear(), Table(NUMBERS, WORDS, 100), Classes((5, 3, 2))), ["a", "b", "c"])
    assert (tmp_path / "model.onnx").is_file()


class Odd(Architecture):
    """Networks that onnxruntime can't repeat."""

    how: str = Choice("random", "unwritable", "fixed batch")

    def build(self, inputs, outputs):
        return OddNetwork(self.how)


class OddNetwork(nn.Module):
    def __init__(self, how):
        super().__init__()
        self.how, self.weight = how, nn.Parameter(torch.ones(1, 2))

    def forward(self, numeric, categorical):
        if self.how == "random":
            return self.weight * torch.rand_like(numeric)
        if self.how == "unwritable":
            return self.weight * numeric.nan_to_num().numpy().sum()
        return self.weight * (numeric.nan_to_num(0.0, 0.0, 0.0) if len(numeric) == 3 else torch.zeros_like(numeric))


@pytest.mark.parametrize("how", ["random", "unwritable", "fixed batch"])
def test_what_onnx_cannot_repeat_is_not_written(toy_task, tmp_path, how) -> None:
    everyone = members(Odd(how=how), Table(NUMBERS, (), 100), Classes((50, 50)))
    predictor = Predictor(everyone, toy_task().encoder, "binary", ("no", "yes"), "t", "accuracy", {})
    with pytest.raises(ExportError, match=r"Odd.*save without it"):
        predictor.export(tmp_path / "model")
    assert not list(tmp_path.iterdir())
    assert predictor.export(tmp_path / "model", onnx=False).is_dir()


@pytest.mark.slow
def test_export_prints_nothing(tmp_path) -> None:
    code = f"""
import numpy as np
from pathlib import Path
from automl.export import write_onnx
from automl.member import Member
from search_spaces.mlp import MLP
from search_spaces.spec import Classes, NumericColumn, Table
inputs, outputs = Table((NumericColumn("x", 0.0, 1.0, (0.0, 1.0), 0.0),), (), 10), Classes((5, 5))
network = MLP().build(inputs, outputs).eval()
write_onnx(Path({str(tmp_path / "model.onnx")!r}), [Member(MLP(), inputs, outputs, network)], ["a", "b"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_the_card_says_how_good_it_is_and_its_example_runs(exported) -> None:
    _, folder = exported
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert card.startswith("# t\\|t\n")
    assert r"| 100 rows \| new | accuracy **0.8**, 95 % interval 0.7 to 0.9 |" in card
    assert "accuracy 0.85" in card
    (example,) = re.findall(r"```python\n(import json\n.*?)```", card, re.DOTALL)
    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, check=True, cwd=folder)
    assert set(re.findall(r"'(\w)':", done.stdout)) == {"a", "b", "c"}
