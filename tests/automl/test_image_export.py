"""Every family for images is trained, exported, loaded, the same in ONNX; what a card says of images; what no file may say."""

import contextlib
import json
import re
import shutil
import subprocess
import sys
from typing import ClassVar

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image as Picture
from torch import nn

import automl
from automl.card import model_card
from automl.data.image_format import ImageFormat
from automl.errors import ModelError
from automl.member import Member
from automl.predictor import Predictor
from automl.training.networks import build_network
from search_spaces.attention import ViT
from search_spaces.configuration import FAMILIES, space_for
from search_spaces.convnet import VGG
from search_spaces.language import Architecture
from search_spaces.linear import Linear
from search_spaces.losses import CLASS_LOSSES
from search_spaces.spec import Classes, Image

TAKING = [*(family for family in FAMILIES if Image in family.takes and Classes in family.gives), Linear]
QUICK = {"n_trials": 1, "epochs": 1, "folds": 1, "executor": "inline", "verbose": False, "baselines": False}
BATCHES = (1, 5, 33, 120)


@pytest.fixture(scope="module")
def exported(stripes, tmp_path_factory):
    """Return a function that trains a family's default for an epoch, exports it, once, and returns the model and its folder."""
    made = {}

    def make(family, kind="uint8"):
        if (family, kind) not in made:
            folder = tmp_path_factory.mktemp("models")
            data = of_kind(kind, *stripes())
            result = automl.search(data, families=[family], out=folder / "run", **QUICK)
            assert result.best_entry.status == "finished", result.best_entry.reason
            made[family, kind] = result.best, result.best.export(folder / "model")
        return made[family, kind]

    return make


def of_kind(kind, images, labels):
    """Return images and labels as they are, or as floats of five channels, or with numbers to learn."""
    if kind == "float32":
        return (np.concatenate([images, images[..., :2]], -1).astype(np.float32) - 99.5) * 1000, labels
    return images, images.mean((1, 2, 3)) * 1000 if kind == "regression" else labels


def run_onnx(folder, images):
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    assert [entry.name for entry in session.get_inputs()] == ["images"]
    return session.run(None, {"images": images})[0]


# ---------------------------------------------------------------------------------------------------------- every family


@pytest.mark.parametrize("family", TAKING)
def test_every_family_trains_exports_and_loads(exported, stripes, family):
    model, folder = exported(family)
    assert {type(member.architecture) for member in model.members} == {family}
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "model.json", "model.onnx", "weights.safetensors"]
    loaded = automl.load(folder)
    assert repr(loaded) == repr(model)
    assert loaded.encoder == model.encoder == ImageFormat(8, 10, 3)
    images, labels = stripes(60, seed=1)
    np.testing.assert_array_equal(loaded.predict(images), model.predict(images))
    np.testing.assert_array_equal(loaded.predict_proba(images), model.predict_proba(images))
    assert loaded.evaluate((images, labels)) == model.evaluate((images, labels))


@pytest.mark.parametrize("family", TAKING)
def test_onnx_takes_bytes_as_decoders_write_them_in_any_number(exported, stripes, family):
    model, folder = exported(family)
    for rows in BATCHES:
        images = np.random.default_rng(rows).permutation(stripes(120, seed=rows)[0])[:rows]
        probabilities = run_onnx(folder, images)
        assert probabilities.dtype == np.float32
        assert np.abs(probabilities - model.predict_proba(images)).max() < 1e-5


@pytest.mark.parametrize("kind", ["float32", "regression"])
@pytest.mark.parametrize(
    "family", [Linear, *(pytest.param(family, marks=pytest.mark.slow) for family in TAKING if family is not Linear)]
)
def test_other_pixels_and_numbers_to_learn_are_exported_too(exported, stripes, family, kind):
    model, folder = exported(family, kind)
    images, _ = of_kind(kind, *stripes(33, seed=1))
    loaded = automl.load(folder)
    predicted = loaded.predict_proba(images) if loaded.classes else loaded.predict(images)
    unit = 1.0 if loaded.classes else loaded.members[0].outputs.std
    assert np.abs(run_onnx(folder, images) - predicted).max() < 1e-5 * unit
    np.testing.assert_array_equal(loaded.predict(images), model.predict(images))
    assert loaded.encoder.channels == images.shape[-1]
    if kind == "float32":  # the card can't know how its user gets such pixels
        zeros = run_example(folder, (folder / "README.md").read_text(encoding="utf-8"))["images"]
        assert (zeros.shape, zeros.dtype) == ((1, 8, 10, 5), np.float32)


def test_loading_and_predicting_arrays_need_neither_pandas_nor_the_search(exported):
    code = (
        f"import automl, numpy, sys; automl.load({str(exported(Linear)[1])!r}).predict(numpy.zeros((2, 8, 10, 3), 'uint8'))\n"
        "print(*(name for name in ('pandas', 'PIL', 'optuna', 'sklearn', 'onnx', 'onnxruntime', 'automl.study',"
        " 'automl.training.loop', 'typer', 'rich') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


# --------------------------------------------------------------------------------------------------------------- the card


def example_of(card, first):
    """Return the card's example that begins with an import."""
    (example,) = re.findall(rf"```python\n(import {first}\n.*?)```", card, re.DOTALL)
    return example


def run_example(folder, card):
    """Run the card's example without automl in a model's folder, and return its variables."""
    variables = {}
    with contextlib.chdir(folder):
        exec(example_of(card, "json"), variables)  # noqa: S102 - our own words
    return variables


def test_the_card_tells_of_images(exported):
    model, folder = exported(VGG)
    card = (folder / "README.md").read_text(encoding="utf-8")
    fit = model.members[0].inputs
    assert "from images: one network, VGG." in card
    assert f"set by {fit.rows} images." in card
    assert "## Images\n\n8 x 10 pixels (height x width), red, green, blue, uint8; those of another shape are scaled until" in card
    assert f"mean {fit.mean[0]:.4g}, {fit.mean[1]:.4g}, {fit.mean[2]:.4g} and standard" in card
    assert "automl predict path/of/this/folder *.png" in card
    assert "column" not in card
    assert "row" not in card.replace("rows that", "")  # how it was scored


def test_the_example_with_automl_runs(exported, stripes, capsys):
    model, folder = exported(VGG)
    example = example_of((folder / "README.md").read_text(encoding="utf-8"), "automl")
    images, _ = stripes(3)
    exec(example.replace("path/of/this/folder", str(folder)), {"images": images})  # noqa: S102 - our own words
    shown = capsys.readouterr().out
    assert str(model.predict(images)) in shown
    assert str(model.classes) in shown


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
def test_the_example_without_automl_shows_what_automl_predicts(exported, tmp_path, capsys, fit, mode):
    _, folder = exported(VGG)
    folder = shutil.copytree(folder, tmp_path / "model")
    smooth = np.random.default_rng(0).integers(0, 256, (4, 4, 4)).astype(np.uint8)
    Picture.fromarray(smooth).resize((13, 17)).convert(mode).save(folder / "image.png")
    manifest = json.loads((folder / "model.json").read_text())
    manifest["images"]["fit"] = fit
    variables = run_example(folder, model_card(manifest, onnx=True))
    (drawn,) = ImageFormat(8, 10, 3, fit=fit).transform(folder / "image.png")
    assert np.abs(variables["images"].astype(int) - drawn).max() <= 1  # rounding
    (probabilities,) = run_onnx(folder, drawn)
    np.testing.assert_allclose(variables["probabilities"][0], probabilities, atol=1e-2)
    assert "'across': " in capsys.readouterr().out


def test_the_example_runs_as_it_stands(exported, stripes, tmp_path):
    _, folder = exported(VGG)
    folder = shutil.copytree(folder, tmp_path / "model")
    Picture.fromarray(stripes(3)[0][0]).save(folder / "image.png")
    example = example_of((folder / "README.md").read_text(encoding="utf-8"), "json")
    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, check=True, cwd=folder)
    assert set(re.findall(r"'(\w+)':", done.stdout)) == {"across", "down", "slanted"}


# ------------------------------------------------------------------------------------------------------------ what is refused


def model_of(family, side=8):
    """Return an untrained model of a family's default."""
    inputs, outputs = Image(side, side, 3, "uint8", (99.0,) * 3, (50.0,) * 3, ("horizontal",), 100), Classes((50, 50))
    architecture = space_for(inputs, outputs, CLASS_LOSSES, (family,)).default().architecture
    member = Member(architecture, inputs, outputs, build_network(architecture, inputs, outputs, 0).eval())
    return Predictor((member,), ImageFormat(side, side, 3), "binary", ("no", "yes"), "t", "accuracy", {})


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Return the folders of a model of each of two families; tests that change them take a copy."""
    root = tmp_path_factory.mktemp("saved")
    return {family: model_of(family).save(root / family.__name__) for family in (Linear, ViT)}


FORM, INPUTS = "images", "members/0/inputs"


def both(**changes):
    """Return the same changes of the images' form and of what the network takes."""
    return {f"{place}/{name}": value for place in (FORM, INPUTS) for name, value in changes.items()}


@pytest.mark.parametrize("family", [Linear, ViT])
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({f"{FORM}/height": "3"}, "height must be a whole number from 1 to 4096, got '3'"),
        ({f"{FORM}/height": 0}, "height must be a whole number from 1 to 4096, got 0"),
        ({f"{FORM}/width": 8.0}, "width must be a whole number from 1 to 4096, got 8.0"),
        ({f"{FORM}/width": True}, "width must be a whole number"),
        (both(height=10**9), "height must be a whole number from 1 to 4096"),
        ({f"{INPUTS}/height": 10**9}, "height, width, channels and dtype must be those of images"),
        ({f"{INPUTS}/height": 10**400}, "height, width, channels and dtype must be those of images"),
        ({f"{INPUTS}/height": "8"}, "height, width, channels and dtype must be those of images"),
        ({f"{INPUTS}/channels": 5000}, "height, width, channels and dtype must be those of images"),
        (both(channels=5000), "height, width, channels and dtype must be those of images"),
        (both(channels=5000, mean=[1.0] * 5000, std=[1.0] * 5000), r"weights.safetensors must be torch\.float32"),
        (both(channels=0, mean=[], std=[]), "channels must be a whole number from 1"),
        ({f"{INPUTS}/dtype": "float32"}, "height, width, channels and dtype must be those of images"),
        (both(dtype="int8"), "dtype must be one of uint8, float32"),
        ({f"{FORM}/fit": "squeeze"}, "fit must be one of crop, pad, stretch"),
        ({f"{FORM}/scale": 7}, "scale must be 1 or 255"),
        ({f"{FORM}/scale": None}, "scale must be 1 or 255"),
        ({f"{FORM}/format": 2}, "format must be 1, got 2"),
        ({f"{FORM}/kind": "sounds"}, "kind must be 'images'"),
        ({FORM: {}}, "images: must be what automl wrote"),
        ({FORM: None}, "columns, images, sequences or forecast must be there"),
        ({FORM: [8, 8, 3]}, "columns, images, sequences or forecast must be there"),
        ({f"{INPUTS}/mean": [1.0]}, "mean and std must be of one length, got 1 and 3"),
        ({f"{INPUTS}/mean": 1.0}, "it isn't what automl writes"),
        ({f"{INPUTS}/mean": ["1", "1", "1"]}, "statistics must be finite numbers"),
        ({f"{INPUTS}/std": [0.0, 1.0, 1.0]}, "std must be greater than 0"),
        ({f"{INPUTS}/std": [-1.0, 1.0, 1.0]}, "std must be greater than 0"),
        ({f"{INPUTS}/std": ["1", "1", "1"]}, "it isn't what automl writes|finite numbers"),
        ({f"{INPUTS}/flips": 7}, "it isn't what automl writes"),
        ({f"{INPUTS}/flips": ["diagonal"]}, "flips must be of horizontal, vertical"),
        ({f"{INPUTS}/flips": [["horizontal"]]}, "flips must be of|it isn't what automl writes"),
        ({f"{INPUTS}/rows": -1}, "counts must be whole numbers"),
        ({f"{INPUTS}/rows": None}, "counts must be whole numbers"),
        ({f"{INPUTS}/spec": "Table"}, "it isn't what automl writes"),
        ({INPUTS: {"spec": "Table", "numeric": [], "categorical": [], "rows": 9}}, "inputs must be"),
        ({INPUTS: {"spec": "Image"}}, "it isn't what automl writes"),
        ({"members/0/outputs/counts": [1, 2, 3]}, "must be .*, got|width"),
    ],
)
def test_manifests_that_say_what_no_images_are_are_refused(saved, altered, tmp_path, family, changes, says):
    copy = shutil.copytree(saved[family], tmp_path / "model")
    altered(copy, changes)
    with pytest.raises(ModelError, match=says) as raised:
        automl.load(copy)
    assert str(copy) in str(raised.value)


def test_no_file_has_memory_taken_by_saying_that_images_are_large(saved, altered, tmp_path, monkeypatch):
    built = []

    def build(*given, seed):
        built.append(build_network(*given, seed))
        return built[-1]

    monkeypatch.setattr("automl.model_folder.build_network", build)
    copy = shutil.copytree(saved[ViT], tmp_path / "model")
    altered(copy, both(height=4096, width=4096))
    with pytest.raises(ModelError, match=r"must be torch\.float32"):
        automl.load(copy)
    assert {weights.device.type for network in built for weights in network.parameters()} == {"meta"}


class Reader(Architecture):
    """A family whose networks depend on values of tensors, which tensors without memory don't have."""

    takes: ClassVar[tuple[type, ...]] = (Image,)

    def build(self, inputs, outputs):
        width = int(torch.tensor(inputs.mean).mean()) // 10
        return nn.Sequential(nn.Conv2d(3, width, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, outputs.width))


def test_a_family_may_read_tensors_where_it_builds(stripes, tmp_path):
    model = model_of(Reader)
    loaded = automl.load(model.save(tmp_path / "model"), families=[Reader])
    images, _ = stripes(5)
    np.testing.assert_array_equal(loaded.predict_proba(images), model.predict_proba(images))
