"""The whole way from images to a model, on tiny ones: every form that they come in, every end that a search may come to."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image as Picture
from torch import nn
from torch.utils.data import Dataset, TensorDataset

import automl
from automl.board import COLUMNS
from automl.data.pictures import Pictures
from automl.errors import DataError, SpaceError
from search_spaces import Architecture, Choice, Int
from search_spaces.configuration import FAMILIES
from search_spaces.spec import Image

OURS = {family.__name__ for family in FAMILIES if Image in family.takes}
SMALL = {"families": ["VGG"], "space": {"*/width": 8}}
QUICK = {"executor": "inline", "verbose": False, "folds": 1}
SHOWN = ["model", "validation_score", "report_score", "parameters", "epochs", "status"]


class Pairs(Dataset):
    """Images with channels first, as tensors, and the names of their classes."""

    def __init__(self, images, labels):
        self.images, self.labels = images, labels

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, position):
        return torch.tensor(self.images[position]).permute(2, 0, 1), self.labels[position]


@pytest.fixture(scope="module")
def disk(tmp_path_factory, stripes, write_photos):
    """Return a folder that holds `photos`, `photos.csv` and `images.npz`; nobody may change it."""
    folder = write_photos(tmp_path_factory.mktemp("images"), *stripes())
    images, labels = stripes()
    np.savez(folder / "images.npz", x=images, y=labels)
    return folder


@pytest.fixture(scope="module")
def result(tmp_path_factory, stripes):
    """Return the result of a search of networks of all families, and all baselines."""
    out = tmp_path_factory.mktemp("search") / "run"
    return automl.search(stripes(), n_trials=3, epochs=9, schedule="full", out=out, **QUICK)


def forms(disk, images, labels):
    """Return the same labelled images in every form, with the name of the target where one is due."""
    shares, codes = torch.tensor(images).permute(0, 3, 1, 2) / 255, torch.tensor(np.unique(labels, return_inverse=True)[1])
    return {
        "arrays": ((images, labels), None),
        "npz": (disk / "images.npz", None),
        "folder": (disk / "photos", None),
        "csv": (disk / "photos.csv", "kind"),
        "frame": (pd.read_csv(disk / "photos.csv").assign(photo=lambda frame: f"{disk}/" + frame["photo"]), "kind"),
        "Dataset": (Pairs(images, labels), None),
        "TensorDataset": (TensorDataset(shares, codes), None),
        "PIL": (([*map(Picture.fromarray, images)], labels), None),
    }


# ------------------------------------------------------------------------------------------------------- what comes out of it


def test_the_board_has_networks_of_families_for_images_and_the_baselines(result):
    board = result.leaderboard()
    assert tuple(board.columns) == COLUMNS
    networks, baselines = board[board["family"] != "baseline"], board[board["family"] == "baseline"]
    assert len(networks) == 3
    assert set(networks["family"]) <= OURS
    assert set(baselines["model"]) == {"majority", "linear", "boosting"}
    assert set(board["status"]) <= {"finished", "stopped"}
    assert baselines.set_index("model")["report_score"]["linear"] > 0.9
    assert networks["validation_score"].max() > 0.6  # of three classes
    assert "best network: " in result.summary()


def test_the_report_score_is_that_of_the_images_that_nothing_saw(result, stripes):
    task = result.run.task
    seen = np.concatenate([task.folds[0].fit, task.folds[0].choose])
    assert not set(seen) & set(task.report)
    images, labels = stripes()
    rows = np.asarray(task.report)
    assert result.evaluate((images[rows], labels[rows]))["accuracy"] == pytest.approx(
        result.report[result.best_entry.number].value
    )


def test_everything_is_shown_in_a_line(result):
    assert repr(result).startswith("SearchResult('")
    assert "3 networks" in repr(result)
    assert repr(result.best).endswith(", multiclass, target='target', images=8x10)")
    assert "colour images of 8 x 10 pixels" in repr(result.run.task)
    assert len(repr(result.run.task)) < 400


def test_a_result_can_be_opened_again(result, stripes):
    again = automl.SearchResult.open(result.path)
    pd.testing.assert_frame_equal(again.leaderboard(), result.leaderboard())
    images, _ = stripes(30, seed=1)
    np.testing.assert_array_equal(again.best.predict_proba(images), result.best.predict_proba(images))


def test_refit_trains_on_all_images(result, stripes):
    refitted = result.refit()
    assert [member.inputs.rows for member in refitted.members] == [120]
    assert refitted.evaluate(stripes(60, seed=1))["accuracy"] > 0.6


# ----------------------------------------------------------------------------------------------------- whatever they come in


def test_the_same_images_in_any_form_give_the_same_search(disk, stripes, tmp_path):
    images, labels = stripes()
    found = {}
    for name, (data, target) in forms(disk, images, labels).items():
        options = {**QUICK, "n_trials": 1, "epochs": 2, "baselines": name == "folder", "out": tmp_path / name}
        found[name] = automl.search(data, target=target, **options)
    wanted = found["arrays"]
    for name, other in found.items():
        board = other.leaderboard().query("family != 'baseline'").reset_index(drop=True)
        pd.testing.assert_frame_equal(board[SHOWN[1:]], wanted.leaderboard()[SHOWN[1:]], obj=name)
        np.testing.assert_array_equal(other.best.predict_proba(images), wanted.best.predict_proba(images), err_msg=name)
    assert {name: other.run.task.target_name for name, other in found.items()} == {
        **dict.fromkeys(("npz", "folder", "Dataset", "TensorDataset"), "label"),
        **dict.fromkeys(("csv", "frame"), "kind"),
        **dict.fromkeys(("arrays", "PIL"), "target"),
    }
    assert found["TensorDataset"].best.classes == (0, 1, 2)


def test_a_model_predicts_and_is_evaluated_on_images_in_any_form(result, disk, stripes, tmp_path):
    images, labels = stripes()
    model = result.best
    labelled = forms(disk, images, labels)
    del labelled["arrays"], labelled["TensorDataset"]  # one is what all are compared with; codes are no names
    probabilities, truth = model.predict_proba(images), model.evaluate((images, labels))
    assert probabilities.shape == (120, 3)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)
    assert (model.predict(images) == np.array(model.classes)[probabilities.argmax(1)]).all()
    paths = sorted(map(str, disk.glob("photos/*/*.png")))
    unlabelled = {"paths": paths, "bytes": [Path(path).read_bytes() for path in paths], "tensor": torch.tensor(images)}
    unlabelled |= {name: data[0] if isinstance(data, tuple) else data for name, (data, _) in labelled.items()}
    for name, data in unlabelled.items():
        np.testing.assert_array_equal(model.predict_proba(data), probabilities, err_msg=name)
    table = labelled["frame"][0].rename(columns={"kind": "target"})
    table.to_csv(tmp_path / "table.csv", index=False)
    labelled |= {"csv": (tmp_path / "table.csv", None), "frame": (table, None)}
    for name, (data, _) in labelled.items():
        assert model.evaluate(data) == truth, name
    assert next(iter(truth)) == "accuracy"


def test_shares_are_never_taken_for_black_by_a_model_of_bytes(result, stripes):
    images, _ = stripes()
    with pytest.raises(DataError, match="multiply them by 255"):
        result.best.predict_proba(images / 255)


def test_one_image_is_predicted_like_many(result, disk, stripes):
    images, _ = stripes()
    first = result.best.predict(images)[:1]
    for one in (images[0], Picture.fromarray(images[0]), disk / "photos" / "across" / "000.png"):
        assert (result.best.predict(one) == first).all()


def test_files_decoded_on_the_way_give_the_search_of_decoded_ones(disk, stripes, tmp_path):
    options = {**QUICK, "n_trials": 2, "epochs": 2, "seed": 5}
    memory = automl.search(disk / "photos", out=tmp_path / "memory", **options)
    lazy = automl.search(disk / "photos", image_memory=0, out=tmp_path / "lazy", **options)
    assert isinstance(lazy.run.task.features[0], Pictures)
    assert isinstance(memory.run.task.features[0], np.ndarray)
    pd.testing.assert_frame_equal(lazy.leaderboard()[SHOWN], memory.leaderboard()[SHOWN])
    images, _ = stripes(30, seed=1)
    np.testing.assert_array_equal(lazy.best.predict_proba(images), memory.best.predict_proba(images))
    np.testing.assert_array_equal(lazy.refit().predict_proba(images), memory.refit().predict_proba(images))


@pytest.mark.skipif(sys.platform != "linux", reason="processes of their own need Linux")
def test_processes_decode_files_on_the_way_too(disk, tmp_path):
    options = {**QUICK, "n_trials": 2, "epochs": 2, "image_memory": 0, "baselines": False, **SMALL}
    inline = automl.search(disk / "photos.csv", target="kind", out=tmp_path / "inline", **options)
    options["executor"] = "processes"
    processes = automl.search(disk / "photos.csv", target="kind", workers=1, out=tmp_path / "processes", **options)
    pd.testing.assert_frame_equal(processes.leaderboard()[SHOWN], inline.leaderboard()[SHOWN])


def test_a_broken_file_is_named_and_left_out(stripes, write_photos, tmp_path, capsys):
    write_photos(tmp_path, *stripes())
    (tmp_path / "photos" / "down" / "050.png").write_bytes(b"no image")
    options = {**QUICK, **SMALL, "verbose": True, "n_trials": 1, "epochs": 1, "baselines": False}
    result = automl.search(tmp_path / "photos", out=tmp_path / "run", **options)
    assert len(result.run.task.target) == 119
    assert "1 of 120 images can't be read" in capsys.readouterr().err
    with pytest.raises(DataError, match=r"at most 0 of 120 images may be unreadable .*down.050\.png"):
        automl.search(tmp_path / "photos", out=tmp_path / "other", max_broken=0, **options)
    assert not (tmp_path / "other").exists()
    with pytest.raises(DataError, match=r"all images must be readable, but .*down.050\.png"):
        result.best.predict(tmp_path / "photos")


# ------------------------------------------------------------------------------------------------------------- kinds of search


def test_numbers_are_learnt_from_images(stripes, tmp_path):
    images, _ = stripes()
    light = images.mean((1, 2, 3)) * 1000
    result = automl.search((images, light), n_trials=2, epochs=9, schedule="full", out=tmp_path / "run", **QUICK, **SMALL)
    board = result.leaderboard()
    assert (result.run.task.kind, result.run.task.metric) == ("regression", "rmse")
    assert set(board.query("family == 'baseline'")["model"]) == {"mean", "linear", "boosting"}
    predicted = result.best.predict(images)
    assert predicted.dtype == np.float64
    assert np.corrcoef(predicted, light)[0, 1] > 0.5
    assert result.evaluate((images, light))["rmse"] == pytest.approx(np.sqrt(np.mean((predicted - light) ** 2)))
    with pytest.raises(automl.OptionError, match="predict_proba needs classes"):
        result.best.predict_proba(images)


def test_below_a_thousand_images_are_scored_out_of_fold(stripes, tmp_path):
    options = {**QUICK, **SMALL, "folds": None, "n_trials": 2, "epochs": 1, "out": tmp_path / "run"}
    result = automl.search(stripes(60), **options)
    assert len(result.run.task.folds) == len(result.best.members) == 5
    assert len(result.run.task.report) == 0
    score = result.report[result.best_entry.number]
    assert "corrected for choosing among 2" in score.method
    assert score.low <= score.value <= score.high
    assert result.refit().members[0].inputs.rows == 60
    assert len(result.best.predict(stripes(9)[0])) == 9


def test_own_test_images_in_another_form_are_reported_on(disk, stripes, tmp_path):
    options = {**QUICK, **SMALL, "n_trials": 1, "epochs": 1, "baselines": False, "out": tmp_path / "run"}
    images, labels = stripes(60, seed=1)
    result = automl.search((images, labels), test=disk / "photos", **options)
    assert len(result.run.task.report) == 120
    assert result.evaluate(disk / "photos")["accuracy"] == result.report[result.best_entry.number].value
    assert result.refit().members[0].inputs.rows == 60


def test_the_images_are_made_to_be_as_asked(disk, tmp_path):
    options = {**QUICK, **SMALL, "n_trials": 1, "epochs": 1, "baselines": False, "out": tmp_path / "run"}
    result = automl.search(disk / "photos", image_size=(12, 9), image_fit="pad", **options)
    assert result.run.task.features[0].shape == (120, 12, 9, 3)
    assert repr(result.best).endswith("images=12x9)")
    assert len(result.best.predict(disk / "photos")) == 120


def test_the_time_limit_holds(stripes, tmp_path):
    started = time.monotonic()
    result = automl.search(stripes(), time_limit=3, verbose=False, executor="inline", folds=1, out=tmp_path / "run")
    assert len(result.best.predict(stripes()[0])) == 120
    assert time.monotonic() - started < 3 + 2


# ----------------------------------------------------------------------------------------------------------------- coming back


def test_an_interrupted_search_goes_on_to_the_end_of_one_that_was_not(disk, tmp_path):
    def interrupt(progress):
        if progress.ended >= 1:
            raise KeyboardInterrupt

    options = {**QUICK, **SMALL, "n_trials": 3, "epochs": 3, "baselines": False, "image_memory": 0}
    result = automl.search(disk / "photos", callbacks=[interrupt], out=tmp_path / "run", **options)
    assert result.ended_by == "interrupted"
    assert len(result.best.predict(disk / "photos")) == 120
    resumed = automl.search(resume=result.path, verbose=False)
    whole = automl.search(disk / "photos", out=tmp_path / "whole", **options)
    pd.testing.assert_frame_equal(resumed.leaderboard()[SHOWN], whole.leaderboard()[SHOWN])
    np.testing.assert_array_equal(resumed.best.predict_proba(disk / "photos"), whole.best.predict_proba(disk / "photos"))


KILLED = """
import os, signal, sys, automl

def kill(progress):
    if progress.ended >= 2:
        os.kill(os.getpid(), signal.SIGKILL)

options = dict(n_trials=4, epochs=2, folds=1, baselines=False, image_memory=0, families=["VGG"], space={"*/width": 8})
automl.search("photos.csv", target="kind", out=sys.argv[1], executor="inline", verbose=False, callbacks=[kill], **options)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="kills, as Linux does")
def test_a_killed_search_goes_on_without_what_it_had_done(disk, tmp_path):
    path = tmp_path / "run"
    environment = {**os.environ, "PYTHONPATH": str(Path(automl.__file__).parents[1])}
    command = [sys.executable, "-c", KILLED, path]
    done = subprocess.run(command, cwd=disk, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    before = [record for record in automl.SearchResult.open(path).run.store.records() if record.outcomes]
    assert len(before) >= 2
    resumed = automl.search(resume=path, verbose=False)
    assert [record for record in resumed.run.store.records() if record in before] == before
    assert len(resumed.entries) == 4
    assert len(resumed.best.predict(disk / "photos")) == 120


# --------------------------------------------------------------------------------------------------------------- what to search


def halves(rows=200):
    """Return images that are bright on the left or on the right: mirrored ones have another label."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 100, (rows, 8, 8)).astype(np.uint8)
    sides = rng.integers(0, 2, rows)
    images[sides == 0, :, :4] += 100
    images[sides == 1, :, 4:] += 100
    return images, np.array(["left", "right"])[sides]


def test_a_flip_that_changes_labels_is_offered_to_those_only_who_ask(tmp_path):
    options = {**QUICK, "families": ["VGG"], "n_trials": 4, "epochs": 1, "strategy": "random", "baselines": False}
    small = SMALL["space"] | {"architecture/VGG/opening": 0}
    plain = automl.search(halves(), space=small, out=tmp_path / "plain", **options)
    assert plain.run.task.folds[0].inputs.flips == ("vertical",)
    assert not {"horizontal", "both"} & {record.proposal.configuration.augmentation.flip for record in plain.run.store.records()}
    for number, asked in enumerate(("horizontal", Choice("horizontal", "both"))):
        space = {**small, "augmentation/ImageAugmentation/flip": asked}
        result = automl.search(halves(), space=space, out=tmp_path / str(number), **options)
        drawn = {record.proposal.configuration.augmentation.flip for record in result.run.store.records()}
        assert drawn <= {"horizontal", "both"}
        assert len(result.leaderboard()) == 4
    with pytest.raises(SpaceError, match=r"flip.*sideways"):
        automl.search(halves(), space={"augmentation/ImageAugmentation/flip": "sideways"}, out=tmp_path / "no", **options)
    assert not (tmp_path / "no").exists()


class Mine(Architecture):
    """A family of a user's own: one convolution."""

    takes: ClassVar[tuple[type, ...]] = (Image,)

    width: int = Int(4, 64, default=8)

    def build(self, inputs, outputs):
        convolution = nn.Conv2d(inputs.channels, self.width, 3, padding=1)
        scaled = nn.BatchNorm2d(inputs.channels)
        return nn.Sequential(
            scaled, convolution, nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(self.width, outputs.width)
        )

    @staticmethod
    def narrow(inputs, outputs):  # noqa: ARG004
        return {"width": Int(4, 2 * min(inputs.height, inputs.width), default=8)}


class Undeclared(Architecture):
    """A family that doesn't say that it takes images."""

    def build(self, inputs, outputs):
        return nn.Linear(1, outputs.width)


def test_a_family_of_ones_own_is_searched_saved_and_loaded(stripes, tmp_path):
    options = {**QUICK, "n_trials": 3, "epochs": 30, "schedule": "full", "baselines": False, "out": tmp_path / "run"}
    result = automl.search(stripes(), families=[Mine], **options)
    assert {entry.family for entry in result.entries} == {"Mine"}
    assert all(4 <= record.proposal.configuration.architecture.width <= 16 for record in result.run.store.records())
    result.best.save(tmp_path / "model")  # with ONNX in the tests of the command line
    images, labels = stripes(60, seed=1)
    loaded = automl.load(tmp_path / "model", families=[Mine])
    np.testing.assert_array_equal(loaded.predict_proba(images), result.best.predict_proba(images))
    assert loaded.evaluate((images, labels))["accuracy"] > 0.6


@pytest.mark.parametrize(
    ("families", "is_table", "says"),
    [
        (["MLP"], False, "families must take Image inputs, but MLP doesn't .*of ours do .*VGG"),
        (["ResNet", "MLP"], False, "Image inputs, but MLP doesn't"),
        ([Undeclared], False, "Image inputs, but Undeclared doesn't .see `takes`"),
        (["ResNet"], True, "families must take Table inputs, but ResNet doesn't .*of ours do MLP"),
        ([Mine], True, "Table inputs, but Mine doesn't"),
    ],
)
def test_families_that_do_not_take_such_inputs_are_refused(stripes, sales, tmp_path, families, is_table, says):
    data, target = (sales(), "sold") if is_table else (stripes(), None)
    with pytest.raises(SpaceError, match=says):
        automl.search(data, target=target, families=families, n_trials=1, out=tmp_path / "run", **QUICK)
    assert not (tmp_path / "run").exists()
