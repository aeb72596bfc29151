"""Sequences are read as they were meant, and read again in the same form: order, channels, units, averages, statistics."""

import json

import numpy as np
import pandas as pd
import pytest

from automl.data import series_encode
from automl.data.assemble import assemble
from automl.data.encoders import encoder_from_dict, encoder_to_dict
from automl.data.labelled import read_labelled
from automl.data.options import DataOptions
from automl.data.series_format import LONGEST, SeriesFormat
from automl.data.sources import load_data
from automl.data.statistics import QUANTILES, describe_series
from automl.errors import DataError, ModelError

LONG = DataOptions(id_column="id", time="t", target="y")


def read(data, **options):
    """Return what is read of data, and its values and lengths."""
    loaded = load_data(data, DataOptions(**options))
    return loaded, *loaded.ready.features


@pytest.fixture
def walks():
    """Return a table of the steps of six sequences: numbers, a category, groups and weights; its rows are shuffled."""
    rng = np.random.default_rng(0)
    rows = [
        {"id": f"w{i}", "t": step, "v": 10.0 * i + step, "c": "pq"[step % 2], "who": i // 2, "weight": 1.0 + i, "y": "ab"[i % 2]}
        for i in range(6)
        for step in range(3 + i)
    ]
    return pd.DataFrame(rows).iloc[rng.permutation(len(rows))].reset_index(drop=True)


# ------------------------------------------------------------------------------------------------------------ tables of steps


def test_rows_of_an_id_are_a_sequence_in_the_order_of_time(walks):
    loaded, values, lengths = read(walks, id_column="id", time="t", target="y")
    ids = walks["id"].drop_duplicates().tolist()  # as they first appear
    assert lengths.tolist() == [3 + int(name[1:]) for name in ids]
    for row, name in enumerate(ids):
        steps = np.arange(lengths[row])
        np.testing.assert_array_equal(values[row, : lengths[row], 0], 10 * int(name[1:]) + steps)
    assert loaded.target.tolist() == ["ab"[int(name[1:]) % 2] for name in ids]


def test_categories_are_channels(walks):
    loaded, values, lengths = read(walks, id_column="id", time="t", target="y")
    assert loaded.ready.form.channels == ("v", "who", "weight", "c=p", "c=q")
    p, q = values[0, : lengths[0], 3], values[0, : lengths[0], 4]
    np.testing.assert_array_equal(p, [1.0, 0.0] * (lengths[0] // 2) + [1.0] * (lengths[0] % 2))
    np.testing.assert_array_equal(p + q, 1.0)


def test_groups_and_weights_may_be_columns_of_the_steps(walks):
    made = assemble(
        pd.concat([walks.assign(id=walks["id"] + str(i), who=walks["who"] * 10 + i) for i in range(8)]),
        DataOptions(id_column="id", time="t", target="y", groups="who", sample_weight="weight", folds=1, metric="accuracy"),
    )
    assert made.encoder.channels == ("v", "c=p", "c=q")
    assert len(made.target) == 48
    assert made.score_weight is not None
    assert not any("set aside" in line for line in made.notices)


def test_groups_and_weights_may_be_arrays_by_sequence(walks):
    many = pd.concat([walks.assign(id=walks["id"] + str(i)) for i in range(8)])
    options = {"id_column": "id", "time": "t", "target": "y", "folds": 1}
    made = assemble(many, DataOptions(groups=np.arange(48) // 2, sample_weight=np.ones(48), **options))
    sides = [set(rows // 2) for rows in (*made.folds[0], made.report)]
    assert not sides[0] & sides[1]
    assert not (sides[0] | sides[1]) & sides[2]
    with pytest.raises(DataError, match="groups must have one value for each of the 48 rows of the data, got 47"):
        assemble(many, DataOptions(groups=np.arange(47), **options))


def test_validation_and_test_tables_are_read_like_those_of_training(walks):
    own = walks.assign(v=walks["v"] + 1)
    made = assemble(walks, DataOptions(id_column="id", time="t", target="y", validation=own, test=own[own["id"] != "w5"]))
    assert (len(made.folds[0][1]), len(made.report)) == (6, 5)
    np.testing.assert_array_equal(made.features[0][6:12, 0, 0], made.features[0][:6, 0, 0] + 1)
    with pytest.raises(DataError, match="validation: data: the columns of training must be there, missing 'v'"):
        assemble(walks, DataOptions(id_column="id", time="t", target="y", validation=own.drop(columns="v")))


def test_a_group_that_changes_within_a_sequence_is_named(walks):
    walks.loc[walks.index[walks["id"] == "w4"][0], "who"] = 77
    with pytest.raises(DataError, match="column 'who' must be the same in all steps of a sequence, but 'w4' has"):
        load_data(walks, DataOptions(id_column="id", time="t", target="y", groups="who"))


def test_times_that_vary_are_a_channel(walks):
    walks["t"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(walks["t"] ** 2, unit="h")
    loaded, values, _ = read(walks, id_column="id", time="t", target="y")
    assert loaded.ready.form.channels[-1] == "t.difference"
    np.testing.assert_allclose(values[0, :3, -1], [0.0, 3600.0, 3 * 3600.0])


def test_further_columns_are_ignored_and_missing_ones_named(walks):
    form = load_data(walks.drop(columns=["who", "weight"]), LONG).ready.form
    values, lengths = form.transform(walks.drop(columns="y"))
    again, _ = form.transform(walks.assign(z=1.0)[::-1].sort_values("t")[walks.columns.tolist()])
    assert len(lengths) == 6
    np.testing.assert_array_equal(np.sort(values.sum((1, 2))), np.sort(again.sum((1, 2))))
    with pytest.raises(DataError, match="missing 'v'"):
        form.transform(walks.drop(columns="v"))
    with pytest.raises(DataError, match="must be a table with a row for each step, and the column 'id', as in training"):
        form.transform(np.zeros((3, 4, 5)))


def test_a_category_never_seen_is_no_channel_of_its_own(walks):
    form = load_data(walks, LONG).ready.form
    values, lengths = form.transform(walks.assign(c="new"))
    assert (values[0, : lengths[0], 3:] == 0).all()


def test_labels_may_be_matched_by_id(walks):
    labels = pd.Series({f"w{i}": f"label {i}" for i in range(6)})
    loaded = load_data((walks.drop(columns="y"), labels), DataOptions(id_column="id", time="t"))
    assert loaded.target.tolist() == [f"label {name[1:]}" for name in walks["id"].drop_duplicates()]


def test_files_hold_the_same_as_frames(walks, tmp_path):
    walks.to_csv(tmp_path / "walks.csv", index=False)
    walks.to_parquet(tmp_path / "walks.parquet")
    expected = load_data(walks, LONG)
    for name in ("walks.csv", "walks.parquet"):
        loaded = load_data(tmp_path / name, LONG)
        assert loaded.ready.form == expected.ready.form
        for ours, theirs in zip(loaded.ready.features, expected.ready.features, strict=True):
            np.testing.assert_array_equal(ours, theirs)


# ---------------------------------------------------------------------------------------------------------------- npz files


@pytest.fixture
def npz(tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / "waves.npz"
    parts = {}
    for role, rows in (("train", 12), ("test", 5)):
        parts[f"x_{role}"] = rng.integers(0, 255, (rows, 16, 8), np.uint8)
        parts[f"len_{role}"] = rng.integers(3, 17, rows)
        parts[f"y_{role}"] = np.arange(rows) % 3
        parts[f"speaker_{role}"] = np.arange(rows) // 2
    np.savez(path, classes=np.array(["no", "yes", "stop"]), **parts)
    return path, parts


def test_an_npz_file_has_parts_classes_and_groups(npz):
    path, parts = npz
    loaded, _, lengths = read(path)
    np.testing.assert_array_equal(lengths, parts["len_train"])
    assert loaded.target.tolist()[:4] == ["no", "yes", "stop", "no"]
    assert loaded.frame["speaker"].tolist() == parts["speaker_train"].tolist()
    (x, ends), labels = loaded.parts["test"]
    assert (len(x), len(ends), labels.tolist()) == (5, 5, ["no", "yes", "stop", "no", "yes"])


def test_the_test_part_reports_and_is_what_models_evaluate_on(npz):
    path, parts = npz
    made = assemble(path, DataOptions(folds=1, groups="speaker", metric="accuracy"))
    assert made.report.tolist() == [12, 13, 14, 15, 16]
    features, target = read_labelled(path, made.encoder, made.target_name)
    np.testing.assert_array_equal(features[1], parts["len_test"])
    np.testing.assert_array_equal(features[0], made.features[0][12:, : features[0].shape[1]])
    assert target.tolist() == ["no", "yes", "stop", "no", "yes"]
    np.testing.assert_array_equal(made.encoder.transform(path)[1], parts["len_test"])


def test_what_holds_no_training_sequences_says_so(npz):
    path, parts = npz
    np.savez(path, **{name: array for name, array in parts.items() if name.endswith("test")})
    with pytest.raises(DataError, match=r"must hold sequences to train on .* waves\.npz holds test alone"):
        load_data(path, DataOptions())


# -------------------------------------------------------------------------------------------------- units, averages, padding


def test_numbers_that_float32_would_blur_are_shifted():
    x = 1.7e9 + np.random.default_rng(0).normal(size=(12, 20, 2))
    loaded, values, _ = read((x, ["a", "b"] * 6))
    assert np.abs(values).max() < 10
    np.testing.assert_allclose(np.diff(values, axis=1), np.diff(x, axis=1), atol=1e-5)
    np.testing.assert_array_equal(loaded.ready.form.transform(x)[0], values)


def test_sequences_that_are_too_long_are_averaged():
    x = np.arange(2 * (LONGEST + 2), dtype=np.float64) // 2
    loaded, values, lengths = read(([x, x[:7]] * 6, ["a", "b"] * 6))
    assert loaded.ready.form.pooled == 3
    assert lengths.tolist()[:2] == [-(-len(x) // 3), 3]
    np.testing.assert_allclose(values[1, :3, 0] - values[1, 0, 0], np.array([1 / 3, 5 / 3, 3]) - 1 / 3, atol=1e-3)
    assert any(
        f"the longest sequence has {len(x)} steps, more than {LONGEST}: means of 3 steps" in line for line in loaded.notices
    )
    np.testing.assert_array_equal(loaded.ready.form.transform([x])[1], lengths[:1])


def test_averages_leave_missing_values_out():
    x = np.arange(LONGEST + 4, dtype=np.float64)
    x[1], x[2:4], x[4:6] = np.nan, np.nan, [1.0, 2.0]
    _, values, _ = read(([x, x[:9]] * 6, ["a", "b"] * 6))
    np.testing.assert_allclose(values[0, :3, 0], [0.0, np.nan, 1.5], atol=1e-3)


def test_sequences_that_outgrow_the_memory_are_averaged(monkeypatch):
    monkeypatch.setattr(series_encode, "memory_for_images", lambda: 12 * 20 * 4 / 2.0)
    loaded, values, _ = read(([np.ones(20), np.ones(5)] * 6, ["a", "b"] * 6))
    assert values.shape == (12, 10, 1)
    assert any("GiB in all: means of 2 steps" in line for line in loaded.notices)


def test_parts_are_joined_as_long_as_the_longest():
    rng = np.random.default_rng(0)
    data = ([rng.normal(size=n) for n in [4, 5] * 12], ["a", "b"] * 12)
    made = assemble(data, DataOptions(folds=1, test=([rng.normal(size=9)] * 4, ["a", "b"] * 2)))
    assert made.features[0].shape == (28, 9, 1)
    assert made.features[1].tolist() == [4, 5] * 12 + [9] * 4


def test_one_sequence_may_come_without_an_axis_of_sequences():
    one = load_data((np.ones((12, 20, 1)), ["a", "b"] * 6), DataOptions()).ready.form
    three = load_data((np.ones((12, 20, 3)), ["a", "b"] * 6), DataOptions()).ready.form
    assert one.transform(np.ones(7))[0].shape == (1, 7, 1)
    assert one.transform(np.ones((7, 4)))[0].shape == (7, 4, 1)
    assert three.transform(np.ones((7, 3)))[0].shape == (1, 7, 3)
    with pytest.raises(DataError, match="must have 3 channels, as in training, got 1"):
        three.transform(np.ones((7, 4)))


# ------------------------------------------------------------------------------------------------------- statistics, storage


def test_statistics_are_those_of_the_steps_of_the_rows_given():
    x = np.full((6, 5, 1), 9.0)
    x[:2, :, 0] = [[1.0, 2.0, np.nan, np.nan, np.nan], [3.0, np.nan, 6.0, np.nan, np.nan]]
    form = load_data((x, ["a", "b"] * 3), DataOptions()).ready
    described = describe_series(form.features, np.array([0, 1]), form.encoder)
    assert (described.length, described.shortest, described.rows) == (3, 2, 2)
    channel = described.channels[0]
    assert (channel.name, channel.mean, channel.missing) == ("x0", 3.0, 0.2)
    assert len(channel.quantiles) == QUANTILES
    assert channel.quantiles[0] == 1.0


@pytest.mark.parametrize("kind", ["arrays", "wide", "long"])
def test_a_form_can_be_stored(kind, walks):
    wide = pd.DataFrame(np.ones((12, 4))).add_prefix("t").assign(y=["a", "b"] * 6)
    options = {"arrays": DataOptions(), "wide": DataOptions(inputs="sequences", target="y"), "long": LONG}[kind]
    walks["t"] **= 2
    data = {"arrays": (np.ones((12, 4, 2)), ["a", "b"] * 6), "wide": wide, "long": walks}[kind]
    form = load_data(data, options).ready.form
    assert encoder_from_dict(json.loads(json.dumps(encoder_to_dict(form)))) == form


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "images"}, "kind must be 'sequences', got 'images'"),
        ({"format": 2}, "format must be 1, got 2; a newer automl may read it"),
        ({"channels": []}, "channels must be one at least"),
        ({"channels": "x"}, "expected a list of texts"),
        ({"rulers": []}, "rulers must be 2, one for each channel, got 0"),
        ({"rulers": [[0], [1]]}, "must be what automl wrote, but ValueError"),
        ({"pooled": 0}, "pooled must be a whole number, at least 1, got 0"),
        ({"table": {"columns": {}}}, "must be what automl wrote, but KeyError"),
    ],
)
def test_what_is_no_form_is_refused(change, words):
    form = load_data((np.ones((12, 4, 2)), ["a", "b"] * 6), DataOptions()).ready.form
    with pytest.raises(ModelError, match=words):
        SeriesFormat.from_dict({**form.to_dict(), **change})
