"""A model's folder: what is written comes back, and whatever else is found there is refused in one clear line."""

import json
import math
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from torch import nn

import automl
from automl.errors import ExportError, ModelError, OptionError
from automl.member import Member
from automl.predictor import Predictor
from automl.training.networks import build_network
from search_spaces.language import Architecture, Int
from search_spaces.linear import Linear
from search_spaces.mlp import MLP, Plain

ROWS = pd.DataFrame({"x": [0.1, np.nan, 3.0], "y": [1.0, 2.0, 1e9], "z": [None, 1e4, -1e4], "c": ["p", "never seen", None]})


class Own(Architecture):
    """A family of a user's own."""

    width: int = Int(1, 8, default=4)

    def build(self, inputs, outputs):
        return OwnNetwork(self.width, outputs.width)


class OwnNetwork(nn.Module):
    def __init__(self, width, classes):
        super().__init__()
        self.first, self.last = nn.Linear(1, width), nn.Linear(width, classes)
        self.register_buffer("steps", torch.tensor(3))

    def forward(self, numeric, categorical):
        return self.last(self.first(categorical.float()).tanh()) * self.steps


@pytest.fixture(scope="module")
def predictor_of(toy_task):
    """Return a function that makes an untrained predictor."""

    def make(kind="binary", architecture=None, members=1, **changes):
        task = toy_task(kind)
        fold, family = task.folds[0], architecture or MLP(blocks=(Plain(width=16),))
        networks = [build_network(family, fold.inputs, fold.outputs, seed).eval() for seed in range(members)]
        everyone = tuple(Member(family, fold.inputs, fold.outputs, network) for network in networks)
        scores = {"metric": task.metric, "validation": 0.75, "model": type(family).__name__}
        given = {"kind": kind, "classes": task.classes, "target": "t", "metric": task.metric, "scores": scores} | changes
        return Predictor(everyone, task.encoder, **given)

    return make


@pytest.fixture(scope="module")
def saved(predictor_of, tmp_path_factory):
    """Return the folder of a model; tests that change it take a copy."""
    return predictor_of().save(tmp_path_factory.mktemp("models") / "model")


@pytest.fixture
def copy(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "model")


# ------------------------------------------------------------------------------------------------------------- back and forth


@pytest.mark.parametrize(("kind", "members"), [("binary", 1), ("multiclass", 3), ("regression", 2)])
def test_what_is_saved_comes_back(predictor_of, tmp_path, kind, members) -> None:
    predictor = predictor_of(kind, members=members)
    assert predictor.save(tmp_path / "new" / "model") == tmp_path / "new" / "model"
    loaded = automl.load(tmp_path / "new" / "model")
    assert repr(loaded) == repr(predictor)
    for name in ("kind", "classes", "target", "metric", "scores", "encoder"):
        assert getattr(loaded, name) == getattr(predictor, name)
    assert (loaded.predict(ROWS) == predictor.predict(ROWS)).all()
    if kind != "regression":
        assert (loaded.predict_proba(ROWS) == predictor.predict_proba(ROWS)).all()


@pytest.mark.parametrize("classes", [("no", "yes"), (0, 1), (False, True), (0.5, 1.5)])
def test_classes_keep_their_type(predictor_of, tmp_path, classes) -> None:
    loaded = automl.load(predictor_of(classes=classes).save(tmp_path / "model"))
    assert [(type(label), label) for label in loaded.classes] == [(type(label), label) for label in classes]


def test_linear_baselines_come_back(predictor_of, tmp_path) -> None:
    predictor = predictor_of(architecture=Linear())
    loaded = automl.load(predictor.save(tmp_path / "model"))
    assert (loaded.predict_proba(ROWS) == predictor.predict_proba(ROWS)).all()


def test_equal_models_make_equal_files(predictor_of, tmp_path) -> None:
    folders = [predictor_of().save(tmp_path / name) for name in ("first", "second")]
    for name in ("model.json", "weights.safetensors", "README.md"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()


def test_a_family_of_ones_own_must_be_given(predictor_of, tmp_path) -> None:
    predictor = predictor_of(architecture=Own(width=3))
    folder = predictor.save(tmp_path / "model")
    with pytest.raises(ModelError, match=r"known family \(.*MLP.*\), got 'Own'.*automl.load\(path, families=\[Own\]\)"):
        automl.load(folder)
    loaded = automl.load(folder, families=[Own])
    assert (loaded.predict_proba(ROWS) == predictor.predict_proba(ROWS)).all()
    assert automl.load(folder, families=Own).members[0].architecture == Own(width=3)
    with pytest.raises(OptionError, match=r"families must be a list of Architecture classes.*'Own'"):
        automl.load(folder, families=["Own"])


def test_loading_and_predicting_need_no_search_code(saved) -> None:
    code = (
        f"import automl, sys; automl.load({str(saved)!r}).predict([dict(x=1, y=2, z=3, c='p')])\n"
        "print(*(name for name in ('optuna', 'sklearn', 'ray', 'onnx', 'onnxruntime', 'automl.study', 'automl.strategies.base',"
        " 'automl.training.loop', 'search_spaces.variation', 'typer', 'rich') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_scores_that_json_does_not_know_are_written_as_null(predictor_of, tmp_path) -> None:
    scores = {"report": math.nan, "report_interval": (0.5, math.inf)}
    loaded = automl.load(predictor_of(scores=scores).save(tmp_path / "model"))
    assert loaded.scores == {"report": None, "report_interval": [0.5, None]}


# ------------------------------------------------------------------------------------------------------- where it is written


def test_nothing_is_overwritten_unasked(predictor_of, copy) -> None:
    with pytest.raises(ExportError, match="holds a model already; choose another path or pass overwrite=True"):
        predictor_of().save(copy)
    before = automl.load(copy).predict(ROWS)
    predictor_of("multiclass").save(copy, overwrite=True)
    assert set(automl.load(copy).predict(ROWS)) <= {"a", "b", "c"} != set(before)
    assert sorted(path.name for path in copy.parent.iterdir()) == ["model"]


def test_folders_with_anything_else_are_refused(predictor_of, copy, tmp_path) -> None:
    (copy / "notes.txt").write_text("mine")
    with pytest.raises(ExportError, match=r"holds notes\.txt"):
        predictor_of().save(copy, overwrite=True)
    assert (copy / "notes.txt").read_text() == "mine"
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ExportError, match="is a file"):
        predictor_of().save(tmp_path / "file", overwrite=True)
    with pytest.raises(ExportError, match="must be a folder that can be written"):
        predictor_of().save(tmp_path / "file" / "model")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "README.md").write_text("mine")
    with pytest.raises(ExportError, match=r"holds README\.md"):
        predictor_of().save(tmp_path / "other", overwrite=True)


def test_an_empty_folder_is_taken_unless_one_works_in_it(predictor_of, tmp_path, monkeypatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(ExportError, match="working directory"):
        predictor_of().save(".")
    monkeypatch.chdir(tmp_path)
    assert automl.load(predictor_of().save("empty")).kind == "binary"


def test_a_failed_save_leaves_what_was_there(predictor_of, copy) -> None:
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    with pytest.raises(ValueError, match=r"JSON compliant|nan"):
        predictor_of(classes=(0.0, math.nan)).save(copy, overwrite=True)
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before
    assert sorted(path.name for path in copy.parent.iterdir()) == ["model"]


def test_a_network_that_could_not_be_loaded_is_not_written(predictor_of, tmp_path) -> None:
    predictor = predictor_of(architecture=Own())
    predictor.members[0].network.first = nn.Linear(1, 7)
    with pytest.raises(ExportError, match=r"Own.build must always .*, but first.bias is now \(4,\), was \(7,\)"):
        predictor.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize("name", ["model.json", "weights.safetensors", "README.md"])
@pytest.mark.parametrize("harm", ["missing", "empty", "truncated", "altered", "longer"])
def test_files_that_are_not_those_written_are_refused(copy, name, harm) -> None:
    path = copy / name
    content = path.read_bytes()
    middle = len(content) // 2
    altered = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    harmed = {"empty": b"", "truncated": content[:middle], "altered": altered, "longer": content + b"x"}
    path.unlink() if harm == "missing" else path.write_bytes(harmed[harm])
    with pytest.raises(ModelError, match=f"model.*({name}|model.json)"):
        automl.load(copy)


def test_every_change_of_what_the_manifest_says_is_noticed(copy) -> None:
    path = copy / "model.json"
    content = path.read_bytes()
    for position in np.random.default_rng(0).integers(0, len(content), 60):
        altered = content[:position] + b"7" + content[position + 1 :]
        path.write_bytes(altered)
        if means(altered) != means(content):
            with pytest.raises(ModelError, match=r"model\.json"):
                automl.load(copy)


def means(content):
    try:
        return json.loads(content)
    except ValueError:
        return None


def test_paths_without_a_model(tmp_path, copy) -> None:
    with pytest.raises(ModelError, match="nothing at this path"):
        automl.load(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="it is a file"):
        automl.load(copy / "model.json")
    (tmp_path / "run").mkdir()
    with pytest.raises(ModelError, match=r"holds no model\.json"):
        automl.load(tmp_path / "run")
    (tmp_path / "run" / "run.db").touch()
    with pytest.raises(ModelError, match=r"folder of a search; write its best model with 'automl export .*run model/'"):
        automl.load(tmp_path / "run")
    with pytest.raises(ModelError, match="takes the path of a model's folder, got NoneType"):
        automl.load(None)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("format", "something", "format must be 'automl-model'"),
        ("version", 99, "format version 99, and this automl reads version 1"),
        ("version", None, "format version None"),
        ("files", {}, "files must name weights.safetensors"),
        ("files", ["weights.safetensors"], "files must name weights.safetensors"),
        ("files/..%2Fsecret", {"bytes": 1, "sha256": ""}, "files must name weights.safetensors and nothing but"),
        ("task", None, "task must be there"),
        ("task/kind", "regression", "outputs must be of a regression task, got Classes"),
        ("task/kind", "binery", "task/kind must be one of.*did you mean 'binary'"),
        ("task/metric", "rmse", "metric of a binary task must be one of"),
        ("task/classes", ["no"], "width of task/classes"),
        ("task/classes", [["no"], {}], "task/classes must be texts"),
        ("task/target", 7, "target must be there and be a str"),
        ("scores", None, "scores must be there"),
        ("members", [], "at least one network"),
        ("members", [None] * 1000, "architecture must be there"),
        ("members/0/architecture/family", "MPL", "known family.*did you mean 'MLP'"),
        ("members/0/architecture/family", ["MLP"], "known family"),
        ("members/0/architecture/width", 10**9, "no field 'width'"),
        ("members/0/architecture/dropout", 10**400, "dropout"),
        ("members/0/architecture/blocks", [{"family": "Plain", "width": 10**12}], "width must be"),
        ("members/0/architecture/blocks", [{"family": "Plain", "width": 32}], "must be .*, got"),
        ("members/0/inputs/spec", "Sound", "must be a Table, an Image"),
        ("members/0/inputs/numeric/0/mean", "0", "statistics must be finite numbers"),
        ("members/0/inputs/numeric/0/quantiles", [1.0, 0.0], "quantiles of 'x' must be ascending"),
        ("members/0/inputs/numeric/0/name", "other", "numeric columns must be those of columns"),
        ("members/0/inputs/categorical/0/counts", [], "counts of 'c' must hold at least"),
        ("members/0/inputs/categorical/0/counts", [1, 10**30], "counts must be whole numbers"),
        ("members/0/inputs/categorical", [], "categorical columns must be those of columns|weights"),
        ("members/0/inputs/rows", -1, "counts must be whole numbers"),
        ("members/0/outputs/spec", "Image", "must be Classes, Values"),
        ("members/0/outputs/counts", [1, 2, 3], "must be .*, got|width"),
        ("columns/columns", 7, "columns"),
        ("columns/columns/0/kind", "picture", "columns"),
    ],
)
def test_manifests_that_say_what_cannot_be_are_refused(copy, altered, path, value, says) -> None:
    altered(copy, {path.replace("%2F", "|"): value})
    with pytest.raises(ModelError, match=says) as raised:
        automl.load(copy)
    assert str(copy) in str(raised.value)


@pytest.mark.parametrize(
    "content", [b"[]", b"null", b"\xff\xfe", b"{" * 100_000, b"[" * 100_000, b'{"format": 1e999}', b"9" * 5000]
)
def test_malformed_manifests_are_refused(copy, content) -> None:
    (copy / "model.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.json"):
        automl.load(copy)


def test_weights_that_do_not_fit_are_refused(copy, altered) -> None:
    path = copy / "weights.safetensors"
    right = safetensors.torch.load_file(path)
    name = next(iter(right))
    wrong = {
        "lacks": {key: value for key, value in right.items() if key != name},
        "stray": right | {"0.more": torch.zeros(1)},
        "must be": right | {name: torch.zeros(1, 2, 3)},
        "has no weights": {f"1.{key}": value for key, value in right.items()},
        "float64": right | {name: right[name].double()},
    }
    for says, tensors in wrong.items():
        safetensors.torch.save_file(tensors, path)
        altered(copy)
        with pytest.raises(ModelError, match=says):
            automl.load(copy)
    path.write_bytes((2**62).to_bytes(8, "little") + b"{}")
    altered(copy)
    with pytest.raises(ModelError, match="must be a safetensors file"):
        automl.load(copy)
