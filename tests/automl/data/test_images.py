"""Images come in: the same from every form, decoded now or later, in any size, for training and for prediction."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import TensorDataset

from automl.data import image_encode, pictures
from automl.data.assemble import assemble
from automl.data.image_format import ImageFormat
from automl.data.labelled import read_labelled
from automl.data.options import DataOptions
from automl.data.picture import draw, draw_array
from automl.data.pictures import Pictures, cores, gather, memory_for_images
from automl.data.pixels import read_pixels
from automl.data.statistics import describe_inputs, describe_target
from automl.errors import DataError, ModelError, OptionError

ROOT = Path(__file__).parents[3]
Y = [0, 1] * 12
FORMS = st.builds(
    ImageFormat,
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    channels=st.sampled_from([1, 3]),
    dtype=st.sampled_from(["uint8", "float32"]),
    fit=st.sampled_from(["crop", "pad", "stretch"]),
    scale=st.sampled_from([1.0, 255.0]),
)


# ----------------------------------------------------------------------------------------------------------- forms agree


def test_all_forms_of_the_same_images_give_the_same_arrays(make):
    images, frame = make.pixels(), make.frame()
    wanted = assemble((images, Y), DataOptions())
    absolute = frame.assign(photo=[str(make.root / path) for path in frame["photo"]])
    forms = {
        "npz": (make.npz(x=images, y=Y), None),
        "csv": (make.csv(frame), "animal"),
        "frame": (absolute, "animal"),
        "frame and labels": ((absolute[["photo"]], frame["animal"]), None),
        "paths": (([*absolute["photo"]], Y), None),
        "PIL": (([*map(Image.fromarray, images)], Y), None),
        "bytes": (([*map(make.encoded, images)], Y), None),
        "arrays": (([*images], Y), None),
        "shares": ((images / 255, Y), None),
        "tensor": ((torch.tensor(images), Y), None),
        "dataset": (TensorDataset(torch.tensor(images).permute(0, 3, 1, 2) / 255, torch.tensor(Y)), None),
        "pairs": ([*zip(images, Y, strict=True)], None),
    }
    for name, (data, target) in forms.items():
        made = assemble(data, DataOptions(target=target))
        np.testing.assert_array_equal(made.features[0], wanted.features[0], err_msg=name)
        assert replace(made.encoder, scale=1.0) == wanted.encoder, name
        np.testing.assert_array_equal(made.target, wanted.target, err_msg=name)
        np.testing.assert_array_equal(made.folds[0][0], wanted.folds[0][0], err_msg=name)
        rows = [data] if isinstance(data, list) or not isinstance(data, tuple) else [data[0]]
        np.testing.assert_array_equal(
            wanted.encoder.transform(rows[0])[0] if name not in {"shares", "dataset"} else images, images
        )


def test_a_folder_is_sorted_by_class_and_name(make):
    images = make.pixels()
    made = assemble(make.photos(images), DataOptions())
    assert (made.classes, made.target_name, made.target.tolist()) == (("cat", "dog"), "label", [0] * 12 + [1] * 12)
    np.testing.assert_array_equal(made.features[0], np.concatenate([images[::2], images[1::2]]))


def test_paths_of_a_frame_are_relative_to_the_working_directory(make, monkeypatch):
    monkeypatch.chdir(make.root)
    made = assemble(make.frame(), DataOptions(target="animal"))
    monkeypatch.chdir("/")
    assert len(made.features[0]) == 24


def test_columns_beside_the_paths_may_weigh_and_group(make):
    frame = make.frame(weight=range(1, 25), scene=[position // 2 for position in range(24)])
    made = assemble(make.csv(frame), DataOptions(target="animal", sample_weight="weight", groups="scene"))
    assert made.score_weight[3] == pytest.approx(4 / np.mean(range(1, 25)))
    for fit, choose in made.folds:
        assert not set(frame["scene"][fit]) & set(frame["scene"][choose])
    assert not made.notices


def test_values_beside_images_go_with_their_rows_where_some_are_broken(make):
    images = [*map(Image.fromarray, make.pixels())]
    images[7] = b"broken"
    made = assemble((images, np.arange(24) % 2 * 1.0), DataOptions(sample_weight=np.arange(24) + 1))
    kept = np.delete(np.arange(24) + 1, 7)
    np.testing.assert_allclose(made.score_weight, kept / kept.mean(), rtol=1e-6)


def test_numbers_may_be_learnt_from_images(make):
    made = assemble((make.pixels(), np.linspace(0, 1, 24)), DataOptions())
    assert (made.kind, made.classes) == ("regression", ())


# ------------------------------------------------------------------------------------------------------------- own rows


def test_parts_of_an_npz_file_choose_and_report(make):
    x, y = make.pixels(), np.array(Y)
    made = assemble(make.npz(x_train=x, y_train=y, x_valid=x[:6], y_valid=y[:6], x_test=x[:4], y_test=y[:4]), DataOptions())
    ((fit, choose),) = made.folds
    assert (fit.tolist(), choose.tolist(), made.report.tolist()) == ([*range(24)], [*range(24, 30)], [*range(30, 34)])
    assert made.reports_own
    np.testing.assert_array_equal(made.features[0], np.concatenate([x, x[:6], x[:4]]))


def test_the_users_own_test_rows_go_before_those_of_the_file(make):
    x, y = make.pixels(), np.array(Y)
    made = assemble(make.npz(x_train=x, y_train=y, x_test=x, y_test=y), DataOptions(test=(x[:3], y[:3])))
    assert len(made.report) == 3


def test_folds_go_before_a_validation_part(make):
    path = make.npz(x_train=make.pixels(), y_train=Y, x_val=make.pixels(), y_val=Y)
    made = assemble(path, DataOptions(folds=3, repeats=1))
    assert (len(made.folds), len(made.target)) == (3, 24)
    assert any("validation part is left out" in notice for notice in made.notices)


def test_test_images_without_labels_are_left_out(make):
    made = assemble(make.npz(x_train=make.pixels(), y_train=Y, x_test=make.pixels()), DataOptions())
    assert not made.reports_own
    assert "no labels" in made.notices[0]


def test_own_rows_from_data_in_parts_are_those_of_the_part(make):
    x, y = make.pixels(), np.array(Y)
    path = make.npz(x_train=x, y_train=y, x_val=x[:5], y_val=y[:5], x_test=x[:4], y_test=y[:4])
    made = assemble((x, y), DataOptions(validation=path, test=path))
    assert (len(made.folds[0][1]), len(made.report)) == (5, 4)
    make.npz(x_train=x[:6], y_train=y[:6])
    assert len(assemble((x, y), DataOptions(test=path)).report) == 6, "it has no other part"
    make.photos().rename(make.root / "train")
    make.file("test/cat/1.png", x[0])
    make.file("test/dog/1.png", x[1])
    made = assemble(make.root / "train", DataOptions(test=make.root))
    np.testing.assert_array_equal(made.features[0][made.report], x[:2])


@pytest.mark.parametrize("parts", [("test",), ("val", "test"), ("test", "val"), ("val",)])
def test_parts_without_training_images_train_nothing_but_are_predicted(make, parts):
    x, y = make.pixels(), np.array(["a", "b"])[Y]
    sizes = {"val": 6, "test": 4}
    path = make.npz(**{f"{kind}_{part}": array[: sizes[part]] for part in parts for kind, array in {"x": x, "y": y}.items()})
    with pytest.raises(DataError, match=r"must hold images to train on .*, but animals\.npz holds .* alone; give it as"):
        assemble(path, DataOptions())
    form = assemble((x, y), DataOptions()).encoder
    size = sizes["test" if "test" in parts else "val"]
    np.testing.assert_array_equal(form.transform(path)[0], x[:size])
    (features,), target = read_labelled(path, form, "target")
    np.testing.assert_array_equal(features, x[:size])
    assert target.tolist() == y[:size].tolist()
    assert len(assemble((x, y), DataOptions(test=path)).report) == size


def test_folders_of_parts_without_one_to_train_on(make):
    make.photos().rename(make.root / "test")
    with pytest.raises(DataError, match=r"must hold images to train on .*holds test alone"):
        assemble(make.root, DataOptions())
    assert len(read_labelled(make.root, ImageFormat(12, 16, 3), "label")[1]) == 24


def test_test_images_without_labels_are_predicted_but_not_scored(make):
    x = make.pixels()
    path = make.npz(x_train=x, y_train=Y, x_test=x[:3])
    form = assemble(path, DataOptions()).encoder
    assert len(form.transform(path)[0]) == 3
    with pytest.raises(DataError, match="images need their labels beside them"):
        read_labelled(path, form, "label")


def test_rows_beside_are_made_to_be_like_those_of_training(make):
    grey = make.photos([image[..., 0] for image in make.pixels(20, 30, 3)])
    made = assemble((make.pixels(), np.array(["cat", "dog"])[Y]), DataOptions(test=grey))
    assert made.features[0].shape == (48, 12, 16, 3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"test": pd.DataFrame({"a": [1, 2], "target": [0, 1]})}, "test: data: must be images, as in training, got a table"),
        ({"validation": (np.zeros((2, 12, 16, 3)), [0, 7])}, "validation: target 'target' must hold the classes of training"),
        (
            {"test": (np.full((2, 12, 16, 3), 300), [0, 1])},
            "test: images must hold numbers from 0 to 255, as in training, got 300",
        ),
        ({"test": (np.zeros((2, 12, 16, 5)), [0, 1])}, "test: images must have 3 channels, as in training, got 5"),
        ({"columns": {"x": "numeric"}}, "columns must be left out for images"),
        ({"groups": "scene"}, "groups must name a column"),
        ({"target": None, "image_size": 0}, "image_size must be a whole number from 1 to 4096"),
        ({"image_size": (3, 4, 5)}, r"image_size .* got \(3, 4, 5\)"),
        ({"image_size": "64"}, "image_size .* got '64'"),
        ({"image_fit": "corp"}, "image_fit must be one of crop, pad, stretch, got 'corp'; did you mean 'crop'"),
        ({"image_memory": -1}, "image_memory must be bytes, 0 or more, got -1"),
        ({"max_broken": 5}, "max_broken must be a share, from 0 to 1, got 5"),
    ],
)
def test_what_a_user_may_say_wrong_about_images(make, options, words):
    with pytest.raises((DataError, OptionError), match=words):
        assemble((make.pixels(), Y), DataOptions(**options))


def test_tables_stay_tables(make):
    x, frame = np.arange(48.0).reshape(24, 2) ** 2 % 7, make.frame(size=np.arange(24) ** 2 % 7)
    assert len(assemble((x, Y), DataOptions()).features) == 2
    assert len(assemble(frame, DataOptions(target="animal")).features) == 2, "from here the files can't be seen"
    ignored = assemble(make.csv(frame), DataOptions(target="animal", columns={"photo": "ignored"}))
    assert [feature.shape for feature in ignored.features] == [(24, 1), (24, 0)]
    with pytest.raises(DataError, match="test: data: must be a table, as in training, got images"):
        assemble((x, Y), DataOptions(test=(make.pixels(), Y)))


# ------------------------------------------------------------------------------------------------------ files when wanted


def test_files_beyond_the_memory_are_decoded_when_rows_are_taken(make):
    folder = make.photos(odd={"cat/broken.png": b""})
    now, later = (assemble(folder, DataOptions(image_memory=memory)) for memory in (None, 0))
    (stored,) = later.features
    assert isinstance(stored, Pictures)
    assert isinstance(now.features[0], np.ndarray)
    assert (stored.shape, stored.dtype, len(stored)) == (now.features[0].shape, now.features[0].dtype, 24)
    rows = np.array([5, 3, 3, 23])
    np.testing.assert_array_equal(stored[rows], now.features[0][rows])
    np.testing.assert_array_equal(gather(stored, rows), stored[rows])
    assert (now.notices, now.target.tolist()) == (later.notices, later.target.tolist())
    assert Pictures(np.array(stored.paths.tolist()), later.encoder)[rows].tobytes() == stored[rows].tobytes()
    assert stored[rows[:0]].shape == (0, 12, 16, 3)
    statistics = [
        describe_inputs(m.features, np.arange(24), m.encoder, m.target, describe_target(m.target, rows, "ab"))
        for m in (now, later)
    ]
    assert statistics[0] == statistics[1]


def test_a_file_that_vanishes_later_is_named(make):
    made = assemble(make.photos(), DataOptions(image_memory=0))
    (make.root / "photos/cat/02.png").unlink()
    for take in (lambda rows: made.features[0][rows], lambda rows: gather(made.features[0], rows)):
        with pytest.raises(DataError, match=r"cat/02\.png: must be an image that can be read, but no such file"):
            take(np.arange(4))


def test_own_rows_beside_files_that_are_decoded_when_wanted(make):
    folder, x = make.photos(), make.pixels()
    made = assemble(folder, DataOptions(image_memory=0, test=folder))
    assert made.features[0].shape == (48, 12, 16, 3)
    with pytest.raises(OptionError, match=r"must be files too .* raise image_memory"):
        assemble(folder, DataOptions(image_memory=0, test=(x, np.array(["cat", "dog"])[Y])))


def test_memory_is_a_quarter_of_what_is_free(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "_PROC", tmp_path)
    monkeypatch.setattr(pictures, "_CGROUP", tmp_path)
    (tmp_path / "meminfo").write_text("MemTotal: 900 kB\nMemAvailable: 400 kB\n")
    assert memory_for_images() == 100 * 1024
    (tmp_path / "memory.max").write_text("6000\n")
    (tmp_path / "memory.current").write_text("2000\n")
    assert memory_for_images() == 1000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory_for_images() == 100 * 1024
    (tmp_path / "meminfo").unlink()
    assert memory_for_images() > 0


def test_cores_are_those_that_this_process_may_use(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {3, 5}, raising=False)
    assert cores() == 2
    monkeypatch.delattr("os.sched_getaffinity")
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert cores() == 1


# ---------------------------------------------------------------------------------------------------------- sizes and forms


@pytest.mark.parametrize(
    ("size", "fit", "wanted"),
    [
        (None, "crop", (56, 72, 1)),
        (8, "crop", (8, 8, 1)),
        ((6, 16), "pad", (6, 16, 1)),
        ((6, 16), "stretch", (6, 16, 1)),
    ],
)
def test_sizes_as_wanted_or_as_they_suit(size, fit, wanted):
    image = np.full((300, 400), 99, dtype=np.uint8)
    image[:, :30] = image[:, 370:] = 255
    made = assemble(([image] * 24, Y), DataOptions(image_size=size, image_fit=fit))
    assert made.features[0].shape == (24, *wanted)
    edges, middle = made.features[0][0][:, [0, -1], 0], made.features[0][0][:, wanted[1] // 2, 0]
    assert (middle == 99).all()
    wanted_edge = 99 if size == 8 else 0 if fit == "pad" else 255
    np.testing.assert_allclose(edges, wanted_edge, atol=15)


def test_scaling_down_averages_instead_of_leaving_out():
    chess = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    small = draw(Image.fromarray(chess), ImageFormat(8, 8, 1))
    assert small.min() >= 120
    assert small.max() <= 135


@given(form=FORMS, height=st.integers(1, 40), width=st.integers(1, 40), channels=st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_any_image_takes_any_form(form, height, width, channels):
    array = np.random.default_rng(0).integers(0, 256, (height, width, channels)).astype(np.uint8)
    mode = ("L", "LA", "RGB", "RGBA")[channels - 1]
    image = Image.fromarray(array[..., 0] if channels == 1 else array)
    assert image.mode == mode
    drawn, same = draw(image, form), draw_array(array, form)
    for made in (drawn, same):
        assert (made.shape, made.dtype.name) == (form.shape, form.dtype)
        assert 0 <= made.min() <= made.max() <= (255 if form.dtype == "uint8" else 255 / form.scale)
    if channels in {1, 3}:
        assert np.abs(drawn.astype(float) - same).max() <= (2 if form.dtype == "uint8" else 2 / form.scale)


def test_a_form_is_json_and_nothing_else_is_a_form():
    form = ImageFormat(12, 16, 3, "float32", "pad", 255.0)
    data = json.loads(json.dumps(form.to_dict()))
    assert ImageFormat.from_dict(data) == form
    wrong = [{}, [], None, data | {"kind": "columns"}, data | {"format": 2}, data | {"height": 0}, data | {"width": 4097}]
    wrong += [
        data | {"channels": 1.5},
        data | {"dtype": "int8"},
        data | {"fit": []},
        data | {"scale": 2},
        data | {"height": True},
    ]
    for other in wrong:
        with pytest.raises(ModelError):
            ImageFormat.from_dict(other)


# -------------------------------------------------------------------------------------------------------------- predicting


def test_one_image_is_predicted_like_many(make):
    images = make.pixels()
    form = assemble((images, Y), DataOptions()).encoder
    path = make.file("one.png", images[0])
    for one in (
        images[0],
        torch.tensor(images[0]).permute(2, 0, 1),
        path,
        str(path),
        [path],
        Image.fromarray(images[0]),
        path.read_bytes(),
    ):
        np.testing.assert_array_equal(form.transform(one)[0], images[:1])
    np.testing.assert_array_equal(form.transform(make.root)[0], images[:1])
    np.save(make.root / "all.npy", images)
    np.testing.assert_array_equal(form.transform(make.root / "all.npy")[0], images)
    np.testing.assert_array_equal(form.transform(make.npz(x_train=images, x_test=images[:2], y_test=Y[:2]))[0], images[:2])
    grey = ImageFormat(12, 16, 1)
    assert grey.transform(images[0])[0].shape == (1, 12, 16, 1)
    assert grey.transform(images[..., 0])[0].shape == (24, 12, 16, 1)
    assert grey.transform(images)[0].shape == (24, 12, 16, 1)
    assert form.transform(images[..., 0])[0].shape == (24, 12, 16, 3)
    assert form.transform(images[:0])[0].shape == (0, 12, 16, 3)


def test_floats_mean_what_they_meant_in_training(make):
    images = make.pixels()
    shares = assemble((images / 255, Y), DataOptions()).encoder
    np.testing.assert_array_equal(shares.transform(images / np.float32(255))[0], images)
    np.testing.assert_array_equal(shares.transform(images)[0], images, "bytes are bytes")
    fine = assemble((images / 300, Y), DataOptions()).encoder
    assert (fine.dtype, fine.scale) == ("float32", 255)
    np.testing.assert_allclose(fine.transform(images)[0], images / 255, rtol=1e-6)
    with pytest.raises(DataError, match="from 0 to 1, as in training, got 0 to 255"):
        shares.transform(images.astype(np.float32))


@pytest.mark.parametrize(
    "shares",
    [
        lambda x: x / 300,
        lambda x: [*(x / 300)],
        lambda x: [image[: 9 + row % 3] for row, image in enumerate(x / 300)],
        lambda x: [Image.fromarray(x[0]), *(x[1:] / 300)],
        lambda x: TensorDataset(torch.tensor(x / 300, dtype=torch.float32), torch.tensor(Y)),
        lambda x: [*zip(torch.tensor(x / 300).permute(0, 3, 1, 2), Y, strict=True)],
    ],
)
def test_shares_of_white_are_refused_by_a_form_of_bytes(make, shares):
    x = make.pixels()
    form = assemble((x, Y), DataOptions()).encoder
    data = shares(x)
    labelled = data if isinstance(data, TensorDataset) or isinstance(data[0], tuple) else (data, Y)
    for use in (
        lambda: form.transform(data),
        lambda: read_labelled(labelled, form, "target"),
        lambda: assemble((x, Y), DataOptions(test=labelled)),
    ):
        with pytest.raises(DataError, match="from 0 to 1 with fractions; multiply them by 255"):
            use()


def test_bytes_among_shares_of_white_are_refused_in_training(make):
    x = make.pixels()
    for first in (Image.fromarray(x[0]), x[0]):
        with pytest.raises(DataError, match="multiply them by 255"):
            assemble(([first, *(x[1:] / 300)], Y), DataOptions())


def test_a_dark_image_among_floats_is_no_share(make):
    x = make.pixels() / 1.0
    x[3] = 0.5
    assert ImageFormat(6, 8, 3).transform(x)[0][3].max() <= 1


def test_sixteen_bits_have_the_units_of_eight(make):
    grey = make.pixels(12, 16)
    deep = make.photos([image.astype(np.uint16) * 257 for image in grey])
    made = assemble(deep, DataOptions())
    assert (made.encoder.dtype, made.encoder.scale) == ("float32", 1)
    np.testing.assert_allclose(made.features[0], np.concatenate([grey[::2], grey[1::2]])[..., None], rtol=1e-6)
    shallow = made.encoder.transform([make.file("8.png", grey[0]), make.file("16.png", grey[0].astype(np.uint16) * 257)])[0]
    np.testing.assert_allclose(shallow, np.stack([grey[0], grey[0]])[..., None], rtol=1e-6)
    shares = replace(made.encoder, scale=255.0).transform([make.root / "8.png", make.root / "16.png"])[0]
    np.testing.assert_allclose(shares, shallow / 255, rtol=1e-6)


def test_more_files_than_memory_are_predicted_one_by_one(make, monkeypatch):
    folder = make.photos()
    form = ImageFormat(6, 8, 3)
    (now,) = form.transform(folder)
    monkeypatch.setattr(image_encode, "memory_for_images", lambda: 24 * 6 * 8 * 3 - 1)
    (later,) = form.transform(folder)
    assert isinstance(now, np.ndarray)
    assert isinstance(later, Pictures)
    np.testing.assert_array_equal(later[np.arange(24)], now)
    assert isinstance(form.transform(sorted(folder.glob("*/*.png"))[1:])[0], np.ndarray), "these are few enough"
    (broken,) = form.transform([make.file("x.png", b"?"), *folder.glob("*/*.png")])
    with pytest.raises(DataError, match=r"x\.png: must be an image that can be read, but no image that Pillow knows"):
        gather(broken, np.arange(25))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (
            lambda make: [make.file("a.png", make.pixels()[0]), make.file("b.png", b"?")],
            r"all images must be readable, but .*b\.png \(",
        ),
        (lambda make: make.root / "c.png", r"c\.png \(no such file\)"),
        (lambda make: make.file("a/b.txt", b"?").parent, "must hold images .*got none"),
        (lambda _: pd.DataFrame({"a": [1]}), "must be images, as in training: .*got DataFrame"),
        (lambda _: 3, "must be images, as in training"),
        (lambda _: "photo", "photo: must be a file"),
        (lambda _: np.zeros((2, 12, 16, 5)), "must have 3 channels, as in training, got 5"),
        (lambda _: np.zeros((2, 2, 12, 16, 3)), r"must have the shape"),
        (lambda _: np.full((2, 12, 16, 3), np.nan), r"must hold finite numbers, but 2 of 2 .*nan_to_num"),
        (lambda _: np.zeros((2, 12, 16), "M8[s]"), "images must be numbers"),
    ],
)
def test_what_can_not_be_predicted(make, data, words):
    with pytest.raises(DataError, match=words):
        ImageFormat(12, 16, 3).transform(data(make))


def test_predicting_from_files_loads_no_other_heavy_library(make):
    path = make.file("one.png", make.pixels()[0])
    code = f"""import sys; from automl.data.image_format import ImageFormat
assert ImageFormat(4, 4, 3).transform([{str(path)!r}])[0].shape == (1, 4, 4, 3)
print(*sorted({{"pandas", "torch", "scipy"}} & set(sys.modules)))"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == ""


def test_an_image_of_pil_is_not_changed(make):
    path = make.file("large.jpg", Image.new("RGB", (400, 300)), kind="JPEG")
    with Image.open(path) as image:
        assert ImageFormat(8, 8, 1).transform([image])[0].shape == (1, 8, 8, 1)
        assert (image.size, image.mode) == ((400, 300), "RGB")


def test_labelled_rows_for_a_model_that_exists(make):
    images, frame = make.pixels(), make.frame()
    form = assemble((images, Y), DataOptions()).encoder
    for data in (
        make.csv(frame),
        (images, frame["animal"]),
        make.npz(x_train=images[:2], y_train=["a", "b"], x_test=images, y_test=[*frame["animal"]]),
    ):
        (features,), target = read_labelled(data, form, "animal")
        np.testing.assert_array_equal(features, images)
        assert target.tolist() == frame["animal"].tolist()
    for data, words in ((images, "need their labels"), (frame[["animal"]], "must be images with their labels")):
        with pytest.raises(DataError, match=words):
            read_labelled(data, form, "animal")


def test_a_score_is_one_of_all_images(make):
    folder = make.photos(odd={"cat/broken.png": b"?"})
    form = assemble(folder, DataOptions()).encoder
    with pytest.raises(DataError, match=r"at most 0 of 25 images may be unreadable .*cat/broken\.png"):
        read_labelled(folder, form, "label")


# -------------------------------------------------------------------------------------------------------------- statistics


def test_statistics_are_those_of_the_fit_rows(make):
    made = assemble((make.pixels(), Y), DataOptions())
    rows = np.arange(5)
    inputs = describe_inputs(made.features, rows, made.encoder, made.target, describe_target(made.target, rows, made.classes))
    assert (inputs.height, inputs.width, inputs.channels, inputs.dtype, inputs.rows) == (12, 16, 3, "uint8", 5)
    np.testing.assert_allclose(inputs.mean, make.pixels()[:5].mean((0, 1, 2)))
    np.testing.assert_allclose(inputs.std, make.pixels()[:5].std((0, 1, 2)))
    assert inputs.flips == ()
    json.dumps([inputs.mean, inputs.std])


def test_constant_channels_have_a_spread_of_one():
    made = assemble((np.full((24, 4, 4, 2), 7), Y), DataOptions())
    rows = np.arange(24)
    inputs = describe_inputs(made.features, rows, made.encoder, made.target, describe_target(made.target, rows, made.classes))
    assert (inputs.mean, inputs.std) == ((7.0, 7.0), (1.0, 1.0))


@given(st.integers(0, 6), st.sampled_from(["?", "u1", "i2", "i8", "f2", "f4", "f8"]))
@settings(deadline=None)
def test_pixels_of_any_type_keep_their_values(seed, dtype):
    rng = np.random.default_rng(seed)
    array = (rng.integers(0, 256, (3, 4, 5)) if dtype != "?" else rng.integers(0, 2, (3, 4, 5))).astype(dtype)
    read = read_pixels(array)
    assert read.images.dtype == np.uint8
    np.testing.assert_array_equal(read.images[..., 0] / (255 if dtype == "?" else 1), array)
    if dtype.startswith("f"):
        shares = read_pixels((array.astype(np.float64) / 255).astype(dtype))
        assert shares.scale == 255
        assert shares.images.dtype == np.uint8 or dtype == "f2"
        np.testing.assert_allclose(
            shares.images[..., 0] / (255.0 if shares.images.dtype == np.uint8 else 1), array / 255, atol=1e-3
        )


def test_whole_numbers_of_32_bits_may_be_bytes_already():
    from PIL import Image as Picture

    from automl.data.picture import draw

    shades = np.arange(64, dtype=np.uint8).reshape(8, 8)
    form = ImageFormat(8, 8, 1)
    assert np.array_equal(draw(Picture.fromarray(shades.astype(np.int32)), form)[..., 0], shades)
    assert np.array_equal(draw(Picture.fromarray(shades.astype(np.int32) * 257 * 3), form)[..., 0], shades * 3)
