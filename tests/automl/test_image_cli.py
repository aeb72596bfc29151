"""The command line with images: a folder of them is searched, models predict files and folders, and errors name the file."""

import json
import os

import numpy as np
import pandas as pd
import pytest
from PIL import Image as Picture

import automl
from automl.board import COLUMNS

QUICK = ("--n-trials", "2", "--epochs", "2", "--folds", "1", "--executor", "inline", "--no-baselines")


@pytest.fixture
def run(command_line, stripes, write_photos, tmp_path):
    """Return a function that runs the command line in a folder with `photos`, `photos.csv` and `images.npz`."""
    images, labels = stripes(60)
    np.savez(write_photos(tmp_path, images, labels) / "images.npz", x=images, y=labels)
    return command_line


@pytest.fixture(scope="module")
def searched(stripes, write_photos, tmp_path_factory):
    """Return the result of a search of a folder; nobody may change it."""
    folder = write_photos(tmp_path_factory.mktemp("cli"), *stripes(60))
    options = {"n_trials": 2, "epochs": 2, "folds": 1, "executor": "inline", "verbose": False, "baselines": False}
    return automl.search(folder / "photos", out=folder / "run", **options)


@pytest.fixture(scope="module")
def model(searched, tmp_path_factory):
    """Return the folder of a saved model."""
    return searched.best.save(tmp_path_factory.mktemp("cli") / "model")


def refused(done, *parts):
    """Check that bad input was told in one line, and nothing else was printed."""
    assert (done.code, done.out) == (2, ""), done.err
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    for part in parts:
        assert part in done.err


# ------------------------------------------------------------------------------------------------------------- what it does


def test_a_folder_is_searched_looked_at_exported_and_predicted(run):
    search = run("search", "photos/", "--out", "run", "--image-size", "8x10", "--image-fit", "pad", *QUICK)
    assert search.code == 0, search.err
    assert "multiclass task, target 'label', metric accuracy, 3 classes" in search.err
    assert "images: 8 x 10 pixels, in colour, uint8" in search.err
    assert "2 networks tried, 0 failed" in search.out
    board = run("leaderboard", "run", "--top", "1")
    assert [line.split()[0] for line in board.out.splitlines()[2:4]] == ["1", "multiclass"]
    assert run("export", "run", "model", "--no-onnx").code == 0
    assert sorted(os.listdir("model")) == ["README.md", "model.json", "weights.safetensors"]  # noqa: PTH208
    predicted = run("predict", "model", "photos/")
    assert (predicted.code, predicted.err) == (0, "")
    assert predicted.out == run("predict", "run", "photos").out
    lines = predicted.out.splitlines()
    assert lines[0] == "image,label"
    assert len(lines) == 61
    assert lines[1].startswith("photos/across/000.png,")


def test_files_and_folders_are_predicted_as_from_python(run, searched, model):
    files = ["photos/down/020.png", "photos/across/003.png"]
    done = run("predict", model, *files, "photos/slanted", "--probabilities", "--json")
    assert (done.code, done.err) == (0, "")
    rows = json.loads(done.out)
    assert [row["image"] for row in rows] == [*files, *(f"photos/slanted/{number:03}.png" for number in range(40, 60))]
    probabilities = searched.best.predict_proba([row["image"] for row in rows])
    for column, name in enumerate(("across", "down", "slanted")):
        assert [row[f"probability_{name}"] for row in rows] == probabilities[:, column].tolist()
    assert [row["label"] for row in rows] == searched.best.predict([row["image"] for row in rows]).tolist()


def test_whatever_holds_many_images_is_predicted_row_by_row(run, searched, model, stripes):
    expected = searched.best.predict(stripes(60)[0]).tolist()
    np.save("images.npy", stripes(60)[0])
    for name in ("images.npz", "images.npy", "photos.csv"):
        done = run("predict", model, name, "--json")
        assert [row["label"] for row in json.loads(done.out)] == expected, name
    written = run("predict", model, "photos", "--out", "predictions.csv")
    assert (written.code, written.out) == (0, "")
    assert "60 predictions written to predictions.csv" in written.err
    assert pd.read_csv("predictions.csv")["label"].tolist() == expected


def test_json_alone_is_printed(run):
    search = run("search", "images.npz", "--out", "run", "--json", *QUICK)
    resumed = run("resume", "run", "--n-trials", "3", "--json")
    board = run("leaderboard", "run", "--json")
    for done, networks in ((search, 2), (resumed, 3), (board, 3)):
        assert (done.code, done.err) == (0, "")
        assert [tuple(row) for row in json.loads(done.out)["leaderboard"]] == [COLUMNS] * networks


def test_a_table_of_paths_is_searched_and_tested_on_a_folder(run):
    done = run("search", "photos.csv", "--target", "kind", "--test", "photos", "--out", "run", *QUICK)
    assert done.code == 0, done.err
    assert "target 'kind'" in done.err
    assert "60 report" in done.err


FAMILY = """
from torch import nn
from search_spaces import Architecture, Int
from search_spaces.spec import Image

class Mine(Architecture):
    takes = (Image,)
    width: int = Int(4, 16)

    def build(self, inputs, outputs):
        layers = nn.Conv2d(inputs.channels, self.width, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        return nn.Sequential(nn.BatchNorm2d(inputs.channels), *layers, nn.Linear(self.width, outputs.width))
"""


def test_a_family_of_ones_own_is_searched_exported_as_onnx_and_predicts(run, tmp_path):
    (tmp_path / "image_family.py").write_text(FAMILY)
    own = ("--family", "image_family:Mine")
    assert run("search", "images.npz", "--out", "run", *own, *QUICK).code == 0
    exported = run("export", "run", "model", *own)
    assert (exported.code, exported.out) == (0, "")
    assert sorted(os.listdir("model")) == ["README.md", "model.json", "model.onnx", "weights.safetensors"]  # noqa: PTH208
    refused(run("predict", "model", "photos"), "got 'Mine'")
    assert run("predict", "model", "photos", *own).out == run("predict", "run", "photos", *own).out


# ----------------------------------------------------------------------------------------------------------------- bad input


def test_a_broken_image_is_named(run, model, tmp_path):
    (tmp_path / "photos" / "down" / "020.png").write_bytes(b"no image")
    for given in (["photos"], ["photos/across/000.png", "photos/down/020.png"], ["photos.csv"]):
        refused(run("predict", model, *given), "images must be readable", "020.png")
    search = ("search", "photos", "--out", "run", *QUICK)
    refused(run(*search, "--max-broken", "0"), "at most 0 of 60 images", "max_broken=0", "020.png")
    assert not (tmp_path / "run").exists()
    done = run(*search)
    assert done.code == 0
    assert "1 of 60 images can't be read" in done.err
    assert "020.png" in done.err


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["photo"], ["photo", "did you mean 'photos'?"]),
        (["photos/across"], ["must hold a subfolder of images for each class", "20 files beside each other"]),
        (["photos/across/000.png"], ["images need their labels beside them"]),
        (["empty"], ["must hold a subfolder of images for each class"]),
        (["image.npz"], ["image.npz", "did you mean 'images.npz'?"]),
        (["broken.npz"], ["must be an .npz file"]),
        (["photos.csv"], ["target: must name the column to predict", "'photo', 'kind'"]),
        (["photos.csv", "--target", "photo"], ["another column than 'photo', which holds the paths of images"]),
        (["photos.csv", "--target", "kin"], ["did you mean 'kind'?"]),
        (["photos", "--image-size", "8x"], ["--image-size must be a number of pixels or HEIGHTxWIDTH", "'8x'"]),
        (["photos", "--image-size", "8x8x3"], ["--image-size must be a number of pixels or HEIGHTxWIDTH"]),
        (["photos", "--image-size", "big"], ["--image-size must be a number of pixels or HEIGHTxWIDTH"]),
        (["photos", "--image-size", "-8"], ["--image-size must be a number of pixels or HEIGHTxWIDTH"]),
        (["photos", "--image-size", "0"], ["image_size must be a whole number from 1 to 4096"]),
        (["photos", "--image-size", "8x5000"], ["image_size must be a whole number from 1 to 4096"]),
        (["photos", "--max-broken", "2"], ["max_broken must be a share, from 0 to 1"]),
        (["photos", "--family", "MLP"], ["families must take Image inputs, but MLP doesn't"]),
        (["photos", "--task", "regression"], ["must hold numbers for regression"]),
        (["photos", "--metric", "rmse"], ["metric of a multiclass task"]),
        (["photos", "--groups", "nope"], ["groups must name a column"]),
        (["photos", "--test", "sales.csv"], ["must be images, as in training"]),
    ],
)
def test_bad_data_and_options_are_one_clear_error(run, words, parts, tmp_path, sales):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.npz").write_bytes(b"PK broken")
    sales().to_csv("sales.csv", index=False)
    refused(run("search", *words, "--out", "run", *QUICK), *parts)
    assert not (tmp_path / "run").exists()


def test_a_misspelt_fit_is_a_usage_error(run):
    done = run("search", "photos", "--image-fit", "crob", "--out", "run", *QUICK)
    assert (done.code, done.out) == (2, "")
    assert "--image-fit" in done.err


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["nowhere.png"], ["nowhere.png (no such file)"]),
        (["*.png"], ["*.png (no such file)"]),
        (["photos/across/000.png", "nowhere.png"], ["nowhere.png (no such file)"]),
        (["nowhere"], ["give image files or folders of them, got 'nowhere'"]),
        (["notes.txt"], ["give image files or folders of them, got 'notes.txt'"]),
        (["photos", "notes.txt"], ["got 'notes.txt'"]),
        (["images.npz", "photos"], ["got 'images.npz'; .npz, .npy, .csv, .tsv, .parquet are predicted one at a time"]),
        (["empty"], ["empty: must hold images"]),
        (["nowhere.npz"], ["nowhere.npz", "there is none of this name"]),
        (["sales.csv"], ["must be images, as in training"]),
        (["photos", "--json", "--out", "p.csv"], ["give one of them"]),
    ],
)
def test_what_is_no_image_is_not_predicted(run, model, sales, tmp_path, words, parts):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("no image")
    sales().to_csv("sales.csv", index=False)
    refused(run("predict", model, *words), *parts)


def test_images_of_other_kinds_than_the_model_takes_are_predicted_or_refused(run, model, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 4)).astype(np.uint8)
    Picture.fromarray(pixels).save(tmp_path / "odd.png")
    Picture.fromarray(pixels[..., 0]).save(tmp_path / "grey.jpg")
    assert len(run("predict", model, "odd.png", "grey.jpg").out.splitlines()) == 3
    np.save("five.npy", np.zeros((3, 8, 10, 5), np.uint8))
    refused(run("predict", model, "five.npy"), "must have 3 channels, as in training, got 5")


def test_numbers_have_no_probabilities_but_are_predicted(run, stripes):
    pd.read_csv("photos.csv").assign(light=stripes(60)[0].mean((1, 2, 3))).drop(columns="kind").to_csv("light.csv", index=False)
    assert run("search", "light.csv", "--target", "light", "--out", "run", *QUICK).code == 0
    refused(run("predict", "run", "photos", "--probabilities"), "predict_proba needs classes")
    predicted = [row["light"] for row in json.loads(run("predict", "run", "photos", "--json").out)]
    assert predicted == automl.SearchResult.open("run").best.predict("photos").tolist()
