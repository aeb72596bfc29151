import json
import math
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.errors import DataError, OptionError, RunError
from automl.task import DataOptions, Task, make_task
from search_spaces.spec import Classes, Values


def table(rows=300, seed=0, kind="binary"):
    """A table with numbers, categories and missing values, and a target that depends on them."""
    rng = np.random.default_rng(seed)
    number, word = rng.normal(size=rows), rng.choice(["a", "b", "c"], size=rows)
    score = number + (word == "a") + rng.normal(size=rows) * 0.3
    target = {
        "binary": np.where(score > 0.5, "yes", "no"),
        "multiclass": np.digitize(score, [0, 0.7]) + 1,
        "regression": score * 10 + 100,
    }[kind]
    number[rng.random(rows) < 0.1] = np.nan
    return pd.DataFrame({"number": number, "word": word, "other": rng.random(rows), "y": target})


def make(frame, **options):
    return make_task(frame, DataOptions(**{"target": "y", **options}))


def roles(task):
    return [(set(fold.fit.tolist()), set(fold.choose.tolist())) for fold in task.folds], set(task.report.tolist())


# ------------------------------------------------------------------------------------------------------------ what is made


@pytest.mark.parametrize(
    ("kind", "metric", "losses"),
    [("binary", "roc_auc", "CrossEntropy"), ("multiclass", "accuracy", "CrossEntropy"), ("regression", "rmse", "MSE")],
)
def test_a_task_says_what_is_learnt(kind, metric, losses):
    task = make(table(1200, kind=kind))
    assert (task.kind, task.metric, task.target_name) == (kind, metric, "y")
    assert losses in task.losses
    assert task.features[0].shape == (1200, 2)
    assert task.features[0].dtype == np.float32
    assert task.features[1].shape == (1200, 1)
    assert task.features[1].dtype == np.int32
    assert task.target.dtype == (np.float64 if kind == "regression" else np.int64)
    assert task.classes == {"binary": ("no", "yes"), "multiclass": (1, 2, 3), "regression": ()}[kind]
    assert task.loss_weight is None
    assert task.score_weight is None
    assert (len(task.folds), len(task.folds[0].fit), len(task.folds[0].choose), len(task.report)) == (1, 780, 180, 240)


def test_statistics_are_those_of_the_fit_rows():
    task = make(table(1200, kind="regression"))
    fold = task.folds[0]
    number = task.features[0][fold.fit, 0].astype(np.float64)
    column = fold.inputs.numeric[0]
    assert column.name == "number"
    assert column.missing == pytest.approx(np.isnan(number).mean())
    assert column.mean == pytest.approx(np.nanmean(number))
    assert column.std == pytest.approx(np.nanstd(number))
    assert len(column.quantiles) == 49
    assert column.quantiles == pytest.approx(np.nanquantile(number, np.linspace(0, 1, 49)))
    assert fold.inputs.categorical[0].counts == tuple(np.bincount(task.features[1][fold.fit, 0], minlength=4))
    assert fold.inputs.rows == len(fold.fit)
    assert fold.outputs == Values(pytest.approx(task.target[fold.fit].mean()), pytest.approx(task.target[fold.fit].std()))
    assert make(table(1200)).folds[0].outputs == Classes(
        tuple(np.bincount(make(table(1200)).target[make(table(1200)).folds[0].fit]))
    )


def test_small_data_are_folded_and_each_fold_knows_only_its_own_rows():
    frame = table(200)
    frame.loc[7, "word"] = "only here"
    task = make(frame)
    assert len(task.folds) == 10
    assert not len(task.report)
    code = task.features[1][7, 0]
    assert code > 0
    for fold in task.folds:
        assert fold.inputs.categorical[0].counts[code] == int(7 in fold.fit)
        assert fold.outputs.counts == tuple(np.bincount(task.target[fold.fit]))


def test_odd_columns_have_finite_statistics():
    frame = table(300)
    frame["infinite"] = np.where(np.arange(300) % 3 == 0, np.inf, np.arange(300) * 1.5)
    frame["rare"] = np.nan
    frame.loc[5, "rare"] = 2.5
    frame.loc[6, "rare"] = 3.5
    frame["huge"] = np.linspace(-1e300, 1e300, 300)
    task = make(frame, folds=3)
    for fold in task.folds:
        for column in fold.inputs.numeric:
            assert all(map(math.isfinite, (column.mean, column.std, *column.quantiles)))
            assert column.std > 0
            assert list(column.quantiles) == sorted(column.quantiles)
            assert 0 <= column.missing <= 1
    json.dumps([fold.inputs.numeric[0].mean for fold in task.folds], allow_nan=False)


# ------------------------------------------------------------------------------------------------------------------ honesty


@given(st.integers(0, 50), st.sampled_from([150, 1100]), st.sampled_from(["binary", "multiclass", "regression"]), st.data())
@settings(max_examples=25)
def test_rows_that_choose_or_report_change_nothing_that_training_sees(seed, rows, kind, data):
    frame = table(rows, seed, kind)
    task = make(frame, seed=seed)
    number = data.draw(st.integers(0, len(task.folds) - 1))
    fold = task.folds[number]
    changed = frame.copy()
    victims = fold.choose if len(task.folds) > 1 else np.r_[fold.choose, task.report]
    changed.loc[victims, "number"] = np.where(np.arange(len(victims)) % 2, 1e6, np.nan)
    changed.loc[victims, "word"] = "never seen before"
    again = make(changed, seed=seed)
    other = again.folds[number]
    assert np.array_equal(fold.fit, other.fit)
    assert fold.inputs.numeric == other.inputs.numeric
    assert fold.outputs == other.outputs
    kept = [count for count in other.inputs.categorical[0].counts if count]
    assert kept == [count for count in fold.inputs.categorical[0].counts if count]
    if len(task.folds) == 1:
        assert task.encoder == again.encoder
        assert fold.inputs == other.inputs
        assert np.array_equal(task.features[0][fold.fit], again.features[0][fold.fit], equal_nan=True)
        assert not again.features[1][victims].any()


def test_the_seed_decides():
    frame = table(1100)
    one, two, three = (make(frame, seed=seed) for seed in (1, 1, 2))
    assert one.fingerprint == two.fingerprint != three.fingerprint
    assert roles(one) == roles(two) != roles(three)


def test_a_column_that_counts_the_rows_is_no_feature():
    frame = table(1500)
    frame["position"] = np.arange(1500) + 17
    task = make(frame.sort_values("y"))  # sorted by the target, but then the counter is shuffled: a feature like any other
    assert "position" in task.encoder.names
    frame = frame.sort_values("y").assign(position=np.arange(1500) + 17)
    task = make(frame)
    assert "position" not in task.encoder.names
    assert any("position" in notice for notice in task.notices)
    assert "position" in make(frame, columns={"position": "numeric"}).encoder.names


# -------------------------------------------------------------------------------------------------------------- own rows


@pytest.mark.parametrize("form", ["frame", "path", "pair"])
def test_own_rows_choose_and_report(form, tmp_path):
    data, validation, test = table(1000, 0), table(90, 1), table(60, 2)
    validation.loc[3, "word"] = "unseen"
    if form == "path":
        for name, frame in (("validation", validation), ("test", test)):
            frame.to_csv(tmp_path / f"{name}.csv", index=False)
        task = make(data, validation=str(tmp_path / "validation.csv"), test=tmp_path / "test.csv")
    elif form == "frame":
        task = make(data, validation=validation, test=test)
    else:
        pairs = [(frame.drop(columns="y"), frame["y"]) for frame in (data, validation, test)]
        task = make_task(pairs[0], DataOptions(validation=pairs[1], test=pairs[2]))
    [fold] = task.folds
    assert np.array_equal(fold.fit, np.arange(1000))
    assert np.array_equal(fold.choose, np.arange(1000, 1090))
    assert np.array_equal(task.report, np.arange(1090, 1150))
    assert task.features[1][1003, 0] == 0
    assert [task.classes[code] for code in task.target[1090:]] == test["y"].tolist()
    assert np.array_equal(task.features[0][1090:, 1], test["other"].to_numpy(np.float32))


def test_with_a_test_set_no_other_rows_report():
    task = make(table(1000), test=table(50, 1))
    assert len(task.folds[0].fit) + len(task.folds[0].choose) == 1000
    assert np.array_equal(task.report, np.arange(1000, 1050))
    small = make(table(200), test=table(50, 1))
    assert len(small.folds) == 10
    assert set(np.concatenate([fold.choose for fold in small.folds])) == set(range(200))
    task = make(table(1000), validation=table(50, 1))
    assert len(task.report) == 200
    assert task.report.max() < 1000
    assert np.array_equal(task.folds[0].choose, np.arange(1000, 1050))


@pytest.mark.parametrize("name", ["validation", "test"])
def test_wrong_own_rows_are_named(name, tmp_path):
    strange = table(50, 1)
    strange.loc[0, "y"] = "perhaps"
    with pytest.raises(DataError, match=f"{name}: .*perhaps"):
        make(table(), **{name: strange})
    with pytest.raises(DataError, match=f"{name}: .*'y'"):
        make(table(), **{name: strange.drop(columns="y")})
    with pytest.raises(DataError, match=f"{name}: .*number"):
        make(table(), **{name: table(50, 1).drop(columns="number")})
    with pytest.raises(DataError, match=f"{name}: "):
        make(table(), **{name: tmp_path / "missing.csv"})


# ------------------------------------------------------------------------------------------------- groups, time and weights


@pytest.mark.parametrize("rows", [300, 1200])
@pytest.mark.parametrize("as_column", [True, False])
def test_no_group_is_on_two_sides(rows, as_column):
    frame = table(rows)
    groups = np.array([f"g{number}" for number in np.random.default_rng(0).integers(0, 40, rows)])
    task = make(frame.assign(patient=groups), groups="patient") if as_column else make(frame, groups=groups)
    assert task.encoder.names == ("number", "word", "other")
    for fold in task.folds:
        sides = [set(groups[part]) for part in (fold.fit, fold.choose, task.report)]
        assert not sides[0] & sides[1]
        assert not sides[2] & (sides[0] | sides[1])
    if as_column:
        assert "patient: groups the rows, no feature" in task.describe()


@pytest.mark.parametrize(
    "times",
    [
        np.random.default_rng(0).permutation(400) * 0.5,
        pd.date_range("2020-01-01", periods=400)[::-1],
        [f"{1 + day % 28}.{1 + day // 28 % 12}.{2000 + day // 336}" for day in range(400)],
        [f"{minute // 60:02}:{minute % 60:02}" for minute in range(400)],
    ],
)
def test_later_rows_choose_and_the_latest_report(times):
    frame = table(400)
    task = make(frame.assign(when=times), time="when")
    readable = pd.Series(range(400)) if isinstance(times, list) else pd.Series(times)
    [fold] = task.folds
    assert (len(fold.fit), len(fold.choose), len(task.report)) == (260, 60, 80)
    assert readable[fold.fit].max() < readable[fold.choose].min()
    assert readable[fold.choose].max() < readable[task.report].min()
    assert "when" not in task.encoder.names
    assert "when: orders the rows, no feature" in task.describe()
    assert make(frame, time=times).fingerprint != ""


def test_classes_that_come_too_late_are_said():
    frame = table(400, kind="multiclass")
    frame.loc[390:, "y"] = 4
    task = make(frame, time=np.arange(400))
    assert task.classes == (1, 2, 3, 4)
    assert task.folds[0].outputs.counts[3] == 0
    assert any(notice.startswith("4 can't be learnt") for notice in task.notices)


@pytest.mark.parametrize("as_column", [True, False])
def test_sample_weights_count_in_loss_and_score(as_column):
    frame, weight = table(400), np.random.default_rng(0).integers(0, 5, 400)
    task = make(frame.assign(w=weight), sample_weight="w") if as_column else make(frame, sample_weight=weight)
    assert "w" not in task.encoder.names
    for each in (task.loss_weight, task.score_weight):
        assert each.dtype == np.float32
        assert each == pytest.approx(weight / weight.mean())


def test_weights_of_own_rows_are_those_of_the_same_column():
    data, validation, test = (table(rows, rows).assign(w=float(rows)) for rows in (1000, 50, 40))
    task = make(data, validation=validation, test=test.drop(columns="w"), sample_weight="w")
    assert task.score_weight[:1000] == pytest.approx(1.0)
    assert task.score_weight[1000:1050] == pytest.approx(0.05)
    assert task.score_weight[1050:] == pytest.approx(0.001)


def test_class_weights_count_in_the_loss_only():
    frame = table(400)
    task = make(frame, class_weight="balanced")
    assert task.score_weight is None
    assert np.bincount(task.target, task.loss_weight) == pytest.approx([200, 200], rel=1e-5)
    task = make(frame, class_weight={"yes": 3}, sample_weight=np.full(400, 2.0))
    assert task.score_weight == pytest.approx(1.0)
    assert task.loss_weight[task.target == 1] == pytest.approx(3 * task.loss_weight[task.target == 0][0])
    numbered = make(table(400, kind="multiclass"), class_weight={"2": 5, 3: 1})
    assert numbered.loss_weight[numbered.target == 1][0] == pytest.approx(5 * numbered.loss_weight[numbered.target == 0][0])


def test_balanced_classes_weigh_alike_in_the_fit_rows_whatever_the_rest():
    task = make(table(1500), class_weight="balanced")
    fit = task.folds[0].fit
    weights = np.bincount(task.target[fit], task.loss_weight[fit])
    assert weights[0] == pytest.approx(weights[1])


def test_weights_groups_and_times_follow_rows_that_are_left_out():
    frame = table(400).assign(w=np.arange(400.0), y=lambda f: f["y"].where(np.arange(400) % 10 != 0))
    named, given = make(frame, sample_weight="w"), make(frame.drop(columns="w"), sample_weight=np.arange(400.0))
    assert len(named.target) == 360
    assert np.array_equal(named.score_weight, given.score_weight)
    assert named.score_weight[0] == pytest.approx(1 / np.delete(np.arange(400), np.s_[::10]).mean())


# ---------------------------------------------------------------------------------------------------------------- bad input

WRONG_DATA = {
    "negative weight": ({"sample_weight": [-1.0] + [1.0] * 299}, r"sample_weight must be .*-1.0 for row 0"),
    "missing weight": ({"sample_weight": [1.0, math.nan] + [1.0] * 298}, "sample_weight must be .*nan for row 1"),
    "infinite weight": ({"sample_weight": [math.inf] * 300}, "sample_weight must be finite"),
    "words as weight": ({"sample_weight": "word"}, "sample_weight must be finite numbers"),
    "no weight at all": ({"sample_weight": np.zeros(300)}, "sample_weight must not be 0"),
    "too few weights": ({"sample_weight": [1.0] * 299}, "one value for each of the 300 rows of the data, got 299"),
    "too many weights": ({"sample_weight": [1.0] * 301}, "one value for each of the 300 rows of the data, got 301"),
    "weights in a table": ({"sample_weight": np.ones((300, 2))}, "sample_weight must be the name of a column or one value"),
    "unknown column": ({"groups": "wrod"}, "groups must name a column .*did you mean 'word'"),
    "target as groups": ({"groups": "y"}, "groups must name a column other than the target"),
    "missing group": (
        {"groups": [None] + ["a"] * 299},
        r"groups must have a value in every row, 1 have none \(the first is row 0\)",
    ),
    "two groups": ({"groups": ["a", "b"] * 150, "folds": 1}, "too few"),
    "one group": ({"groups": ["a"] * 300}, "too few|leave out"),
    "words as time": ({"time": "word"}, "time_column must hold numbers or times"),
    "missing time": ({"time": "number"}, "time_column must hold"),
    "one time": ({"time": [1] * 300}, "1 different times"),
    "unknown target": ({"target": "why"}, "target"),
}


@pytest.mark.parametrize("case", WRONG_DATA)
def test_data_that_cannot_be_used_are_an_error(case):
    options, text = WRONG_DATA[case]
    with pytest.raises(DataError, match=text):
        make(table(), **options)


WRONG_OPTIONS = {
    "no folds": ({"folds": 0}, "folds must be a whole number, at least 1"),
    "half a fold": ({"folds": 2.5}, "folds must be a whole number"),
    "true repeats": ({"repeats": True}, "repeats must be a whole number"),
    "too many folds": ({"folds": 301}, "folds must be at most 300"),
    "repeated holdout": ({"folds": 1, "repeats": 2}, "repeats must be 1"),
    "folds and validation": ({"folds": 2, "validation": table()}, "folds and repeats must be left out with validation"),
    "folds and time": ({"folds": 2, "time": "other"}, "folds must be left out with a time column"),
    "groups and time": ({"groups": "word", "time": "other"}, "groups and repeats must be left out with a time column"),
    "one column, two roles": ({"groups": "word", "sample_weight": "word"}, "'word' has another role already"),
    "class weight of what": ({"class_weight": "blanced"}, "class_weight must be 'balanced' or a dict"),
    "class weight of nobody": ({"class_weight": {"yess": 2}}, "got 'yess'; did you mean 'yes'"),
    "negative class weight": ({"class_weight": {"yes": -2}}, r"class_weight\['yes'\] must be a number, 0 or more"),
    "metric": ({"metric": "acuracy"}, "did you mean 'accuracy'"),
    "metric of another task": ({"metric": "rmse"}, "it scores regression and forecast tasks"),
    "kind": ({"kind": "binry"}, "did you mean 'binary'"),
    "column kind": ({"columns": {"word": "categoric"}}, "did you mean 'categorical'"),
    "column": ({"columns": {"wrod": "text"}}, "did you mean 'word'"),
}


@pytest.mark.parametrize("case", WRONG_OPTIONS)
def test_options_that_cannot_be_are_an_error(case):
    options, text = WRONG_OPTIONS[case]
    with pytest.raises(OptionError, match=text):
        make(table(), **options)


def test_class_weights_need_classes():
    with pytest.raises(OptionError, match="class_weight must be left out where rows have no classes"):
        make(table(kind="regression"), class_weight="balanced")


@pytest.mark.parametrize("target", [["one"] * 300, [None] * 300, [f"label {row}" for row in range(300)]])
def test_targets_without_a_task_are_an_error(target):
    with pytest.raises(DataError, match="target"):
        make(table().assign(y=target))


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_too_few_rows_are_an_error(rows):
    with pytest.raises(DataError):
        make(table(60).iloc[:rows])


@pytest.mark.parametrize("rows", [100, 2000])
@pytest.mark.parametrize("rare", [2, 3, 5])
def test_a_rare_class_is_learnt_and_scored_everywhere(rows, rare):
    task = make(table(rows).assign(y=["yes"] * rare + ["no"] * (rows - rare)))
    for fold in task.folds:
        assert task.target[fold.fit].any()
        assert task.target[fold.choose].any()
    assert len(task.folds) == (2 * rare if rows == 100 else 1)
    assert rare < 3 or rows == 100 or task.target[task.report].any()


def test_a_metric_that_no_trial_could_have_is_an_error():
    lonely = table(100).assign(y=["yes"] + ["no"] * 99)
    with pytest.raises(DataError, match=r"metric roc_auc must be defined .* hold only 'no'; give more rows, fewer folds"):
        make(lonely)
    assert len(make(lonely, metric="accuracy").folds) == 10
    with pytest.raises(DataError, match="metric roc_auc must be defined"):
        make(table(100).assign(y=["yes"] * 3 + ["no"] * 97), folds=5)
    with pytest.raises(DataError, match=r"metric r2 must be defined .* hold only 5\.0"):
        make(table(100, kind="regression"), metric="r2", validation=table(20).assign(y=5.0))


# ------------------------------------------------------------------------------------------------------------- save and load


def same(one, two):
    fields = ("target", "report", "loss_weight", "score_weight")
    pairs = [*zip(one.features, two.features, strict=True), *((getattr(one, name), getattr(two, name)) for name in fields)]
    for mine, theirs in pairs:
        assert (mine is None) == (theirs is None)
        assert mine is None or (mine.dtype == theirs.dtype and np.array_equal(mine, theirs, equal_nan=mine.dtype.kind == "f"))
    for mine, theirs in zip(one.folds, two.folds, strict=True):
        assert np.array_equal(mine.fit, theirs.fit)
        assert np.array_equal(mine.choose, theirs.choose)
        assert (mine.inputs, mine.outputs) == (theirs.inputs, theirs.outputs)
    for name in ("kind", "metric", "losses", "encoder", "classes", "target_name", "notices", "reasons", "fingerprint"):
        assert getattr(one, name) == getattr(two, name)
    assert list(map(type, one.classes)) == list(map(type, two.classes))


LABELS = {
    "words": ["no", "yes"],
    "bools": [False, True],
    "whole": [-1, 2**60],
    "fractions": [0.1, 1.0],
    "odd words": ["", "\ud7ff ü \n\"'"],
}


@pytest.mark.parametrize("labels", [case for case in LABELS if case != "odd words"])
@pytest.mark.parametrize("rows", [120, 1100])
def test_a_saved_task_comes_back(labels, rows, tmp_path):
    frame = table(rows)
    frame["y"] = np.where(frame["y"] == "yes", LABELS[labels][1], LABELS[labels][0])
    task = make(frame, class_weight="balanced")
    assert list(task.classes) == LABELS[labels]
    task.save(tmp_path / "task")
    loaded = Task.load(str(tmp_path / "task"))
    same(task, loaded)
    assert not loaded.features[0].flags.writeable
    assert type(loaded.features[0]) is np.ndarray
    assert loaded.describe() == task.describe()
    assert not list((tmp_path / "task").glob("*.pkl"))


def test_a_task_without_numbers_or_categories_comes_back(tmp_path):
    for columns in (["number", "y"], ["word", "y"]):
        task = make(table(100)[columns])
        assert 0 in (task.features[0].shape[1], task.features[1].shape[1])
        task.save(tmp_path / "task")
        same(task, Task.load(tmp_path / "task"))


def test_labels_of_any_text_come_back(tmp_path):
    frame = table(100)
    task = make(frame.assign(y=np.where(frame["y"] == "yes", "\u2028 ü \n\"'", "x")))
    task.save(tmp_path / "task")
    same(task, Task.load(tmp_path / "task"))


def test_saving_replaces_and_survives_an_earlier_crash(tmp_path):
    one, two = make(table(100)), make(table(100, seed=1))
    (tmp_path / "task.partial").mkdir()
    (tmp_path / "task.partial" / "rubbish").touch()
    one.save(tmp_path / "task")
    two.save(tmp_path / "task")
    assert Task.load(tmp_path / "task").fingerprint == two.fingerprint != one.fingerprint
    assert [path.name for path in tmp_path.iterdir()] == ["task"]


def test_a_save_that_is_killed_leaves_no_half_task(tmp_path, monkeypatch):
    task = make(table(100))

    with monkeypatch.context() as patch:
        patch.setattr(json, "dumps", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            task.save(tmp_path / "task")
    with pytest.raises(RunError, match=r"task\.json is missing"):
        Task.load(tmp_path / "task")
    task.save(tmp_path / "task")
    same(task, Task.load(tmp_path / "task"))


@pytest.mark.parametrize("name", ["task.json", "numeric.npy", "fit-0.npy", "target.npy"])
@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "rubbish"])
def test_a_damaged_task_is_an_error(name, damage, tmp_path):
    make(table(100)).save(tmp_path / "task")
    path = tmp_path / "task" / name
    whole = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes({"empty": b"", "truncated": whole[: len(whole) // 2], "rubbish": b"\x80\x04pickle?" * 50}[damage])
    with pytest.raises(RunError, match="must hold a saved task"):
        Task.load(tmp_path / "task")


@pytest.mark.parametrize("change", [{"format": 99}, {"folds": 3}, {"classes": None}, {"columns": {}}])
def test_a_task_of_another_format_is_an_error(change, tmp_path):
    make(table(100)).save(tmp_path / "task")
    path = tmp_path / "task" / "task.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(RunError, match="must hold a saved task"):
        Task.load(tmp_path / "task")


def test_the_fingerprint_is_of_the_contents():
    frame = table(200)
    task = make(frame)
    assert len(task.fingerprint) == 64
    assert make(frame.copy()).fingerprint == task.fingerprint
    assert make(frame, metric="accuracy").fingerprint != task.fingerprint
    assert make(frame, class_weight="balanced").fingerprint != task.fingerprint
    changed = frame.copy()
    changed.loc[9, "other"] += 1e-3
    assert make(changed).fingerprint != task.fingerprint


def test_many_columns_are_described_in_few_lines():
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 150)), columns=[f"c{number}" for number in range(150)])
    lines = make(frame.assign(y=["a", "b"] * 30)).describe()
    assert len(lines) < 110
    assert "... and 51 more columns" in lines
    assert lines[0] == "binary task, target 'y', metric roc_auc, 2 classes: 'a' 50.0%, 'b' 50.0%"
    assert lines[1] == "150 numeric and 0 categorical features; 10 folds over 60 rows choose, no rows report"


def test_arrays_beside_a_file_must_fit_its_rows(tmp_path):
    frame = table(300)
    frame.to_csv(tmp_path / "data.csv", index=False)
    given = make(tmp_path / "data.csv", sample_weight=np.arange(300.0))
    assert given.score_weight == pytest.approx(np.arange(300) / 149.5)
    for rows in (299, 301):
        with pytest.raises(DataError, match=f"300 rows of the data, got {rows}"):
            make(tmp_path / "data.csv", sample_weight=np.ones(rows))
    frame.assign(y=frame["y"].where(np.arange(300) < 290)).to_csv(tmp_path / "data.csv", index=False)
    assert len(make(tmp_path / "data.csv", groups=np.arange(300) // 5).target) == 290


def test_arrays_keep_the_positions_of_their_columns():
    frame = table(200)[["number", "other", "y"]]
    numbers = frame[["number", "other"]].to_numpy()
    task = make_task((numbers, frame["y"].to_numpy()), DataOptions(sample_weight="x1"))
    assert task.encoder.names == ("x0",)
    assert np.array_equal(task.encoder.transform(numbers).numeric, task.features[0], equal_nan=True)
