import json
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.data.options import DataOptions
from automl.data.seasons import find_cycles, find_season, seasonal_error
from automl.data.time_steps import Step, find_step
from automl.data.window_format import WindowFormat
from automl.data.windows import load_windows
from automl.errors import DataError, ModelError, OptionError
from automl.task import Task, _fingerprint, make_task

N = 300
HOURS = pd.date_range("2024-03-01", periods=N, freq="h")


def series(n=N, season=24, seed=0):
    rng = np.random.default_rng(seed)
    t = np.arange(n)
    return 10 + 3 * np.sin(2 * np.pi * t / season) + rng.normal(size=n) / 3 + t / 100


def table(**columns):
    return pd.DataFrame({"when": HOURS, "load": series(), **columns})


def load(data, target="load", horizon=4, like=None, **options):
    return load_windows(data, DataOptions(target=target, horizon=horizon, **options), like)


# ------------------------------------------------------------------------------------------------------------------- windows


def test_a_window_ends_where_its_future_begins():
    data = table(wind=np.arange(N) % 7, site=["a", "b", "c"] * (N // 3))
    loaded = load(data, context=10)
    values, lengths = loaded.ready.features
    assert loaded.ready.encoder.channels == (
        "load", "wind", "site=a", "site=b", "site=c", "day.sin", "day.cos",
    )  # fmt: skip
    assert (lengths == 10).all()
    assert len(values) == len(loaded.target) == N - 10 - 4 + 1
    for row, begins in ((0, 10), (5, 15), (-1, N - 4)):
        np.testing.assert_allclose(values[row, :, 0], data["load"][begins - 10 : begins], rtol=1e-6)
        np.testing.assert_array_equal(values[row, :, 1], data["wind"][begins - 10 : begins])
        np.testing.assert_array_equal(loaded.target.iloc[row], data["load"][begins : begins + 4])
        assert loaded.times[row] == begins
    np.testing.assert_array_equal(values[0, :, 2:5].argmax(1), np.arange(10) % 3)
    hour = HOURS[:10].hour.to_numpy()
    np.testing.assert_allclose(values[0, :, 5], np.sin(2 * np.pi * hour / 24), atol=1e-6)


def test_what_is_predicted_from_is_the_last_window():
    data = table(wind=np.arange(N) / 7)
    loaded = load(data, context=10)
    form = WindowFormat.from_dict(json.loads(json.dumps(loaded.ready.encoder.to_dict())))
    assert form == loaded.ready.encoder
    for history in (
        data[:-4],
        data[:-4].sample(frac=1, random_state=0),
        data.assign(load=data["load"].where(data.index < N - 4)),
    ):
        values, lengths = form.transform(history)
        np.testing.assert_array_equal(values[0], loaded.ready.features[0][-1])
        assert lengths.tolist() == [10]
        name, times = form.future(history)
        assert name == "when"
        assert times.tolist() == HOURS[-4:].to_numpy("datetime64[us]").tolist()


@given(st.integers(60, 200), st.integers(1, 8), st.integers(2, 12), st.booleans(), st.booleans(), st.data())
@settings(max_examples=30, deadline=None)
def test_no_role_sees_the_future_of_another(steps, horizon, context, chooses, reports, data):
    holes = data.draw(st.sets(st.integers(0, steps - 1), max_size=3))
    values = pd.Series(series(steps)).where(~np.isin(np.arange(steps), list(holes)))
    later = {} if chooses else {"validation": series(60)}
    later |= {} if reports else {"test": series(60)}
    try:
        task = make_task(values, DataOptions(target="target", horizon=horizon, context=context, **later))
    except DataError:
        assert steps < context + 4 * horizon * (1 + len(holes))
        return
    rows = task.target[:, 0]
    place = {value: step for step, value in enumerate(values)}
    (fold,), report = task.folds, task.report
    assert len(report) or (reports and not chooses)
    parts = [fold.fit, *([fold.choose] if chooses else []), *([report] if reports and chooses else [])]
    spans = [[place[rows[row]] for row in part] for part in parts]
    assert all(max(one) + horizon <= min(other) for one, other in pairwise(spans))
    assert np.isfinite(task.target).all()


def test_nothing_that_is_reported_on_or_chooses_is_measured():
    plain, spiked = table(wind=series(seed=1)), table(wind=series(seed=1))
    spiked.loc[N * 3 // 4 :, ["load", "wind"]] *= 1e6
    one, other = (make_task(data, DataOptions(target="load", horizon=4)) for data in (plain, spiked))
    assert one.folds[0].inputs == other.folds[0].inputs
    assert one.folds[0].outputs == other.folds[0].outputs
    assert one.encoder == other.encoder
    assert one.folds[0].fit.tolist() == other.folds[0].fit.tolist()
    assert one.target[one.report].max() * 1e3 < other.target[other.report].max()


def test_many_windows_are_spread_evenly(monkeypatch):
    monkeypatch.setattr("automl.data.window_encode.MOST_WINDOWS", 50)
    loaded = load(table(), season=24, context=10)
    steps = set(np.diff(loaded.times))
    assert len(steps) == 1
    assert len(loaded.times) <= 50
    assert np.gcd(steps.pop(), 24) == 1
    assert any("windows are used" in notice for notice in loaded.notices)


def test_own_later_rows_go_on_where_training_ended():
    data = table()
    task = make_task(data[:200], DataOptions(target="load", horizon=4, context=10, validation=data[200:240], test=data[240:]))
    fold = task.folds[0]
    np.testing.assert_array_equal(task.target[fold.choose][0], data["load"][200:204])
    assert len(fold.choose) == 40 - 3  # the first of them have their history in the training data
    np.testing.assert_array_equal(task.target[task.report][0], data["load"][240:244])  # and so have those that report
    np.testing.assert_array_equal(task.features[0][task.report][0, :, 0], data["load"][230:240].astype(np.float32))
    assert len(task.report) == 60 - 3
    assert len(fold.fit) == 200 - 10 - 3
    assert task.reports_own


def test_parts_may_be_shorter_than_the_context_where_they_follow_on():
    data = table()
    parts = {"validation": data[280:290], "test": data[290:]}
    task = make_task(data[:280], DataOptions(target="load", horizon=4, context=24, **parts))
    np.testing.assert_array_equal(task.target[task.folds[0].choose][0], data["load"][280:284])
    np.testing.assert_array_equal(task.features[0][task.report][-1, :, 0], data["load"][272:296].astype(np.float32))
    assert len(task.report) == len(task.folds[0].choose) == 10 - 3
    parts = {"validation": data[270:], "test": data[240:270]}
    with pytest.raises(DataError, match="test: when: must be later than the data before, which end at 2024-03-13T11:00:00"):
        make_task(data[:240], DataOptions(target="load", horizon=4, context=10, **parts))


def test_nothing_reports_that_is_earlier_than_what_chooses():
    data = table()
    task = make_task(data[:200], DataOptions(target="load", horizon=4, context=10, validation=data[200:]))
    assert not len(task.report)
    assert len(task.folds[0].fit) == 200 - 10 - 3
    assert any(notice.startswith("no rows report") for notice in task.notices)


@pytest.mark.parametrize("part", ["validation", "test"])
def test_later_rows_must_have_all_channels(part):
    data = table(wind=series(seed=1), site=["a", "b"] * (N // 2))
    with pytest.raises(
        DataError, match=f"{part}: data: the columns of training must be there, missing 'wind'; did you mean 'wnd'"
    ):
        make_task(data[:200], DataOptions(target="load", horizon=4, **{part: data[200:].rename(columns={"wind": "wnd"})}))


def test_the_memory_of_windows_is_that_of_all_their_channels(monkeypatch):
    sites = {f"site{i}": pd.Categorical.from_codes(np.arange(N) * (i + 1) % 11 % 6, list("abcdef")) for i in range(5)}
    monkeypatch.setattr("automl.data.window_encode.MOST_BYTES", most := 4 * 100 * 10 * 30)
    for data in (table(**sites), table(wind=series(seed=1))):
        loaded = load(data, context=10)
        values, _ = loaded.ready.features
        assert values.nbytes <= most
        assert values.nbytes > most / 3
        assert len(loaded.ready.encoder.channels) == values.shape[2]
        assert loaded.ready.encoder == load(data, context=10).ready.encoder


# ------------------------------------------------------------------------------------------------------------ strange inputs


def written(frame, path):
    frame.to_csv(path / "series.csv", index=False)
    return path / "series.csv"


STRANGE = {
    "unsorted": (lambda: table().sample(frac=1, random_state=0), "not in the order of time", 1 + N - 10 - 4),
    "few duplicates": (lambda: pd.concat([table()[:5].assign(load=0.0), table()]), "5 rows have the time of another", 287),
    "gaps": (lambda: table().drop(index=[100, 101]), "2 of 300 steps of 1 h have no row", 287 - 5),
    "missing targets": (lambda: table().assign(load=lambda f: f.load.where(f.index % 50 > 0)), "6 of 300 steps have no", 267),
    "infinite": (
        lambda: table().assign(load=lambda f: f.load.where(f.index != 99, np.inf)),
        "1 of 300 steps have no target",
        283,
    ),
    "text dates": (lambda: table().assign(when=HOURS.strftime("%d.%m.%Y %H:%M")), "", 287),
    "words in numbers": (lambda: table().astype({"load": str}), "", 287),
    "time zone": (lambda: table().assign(when=HOURS.tz_localize("Asia/Tokyo")), "", 287),
    "index of times": (lambda: table().set_index("when"), "", 287),
    "index of periods": (lambda: table().set_index(pd.PeriodIndex(HOURS, freq="h")).drop(columns="when"), "", 287),
    "no times": (lambda: table().drop(columns="when"), "no column of times", 287),
    "the target alone": (lambda: pd.Series(series(), name="load"), "no column of times", 287),
    "an array": (lambda: (np.arange(2 * N).reshape(N, 2) % 9, series()), "no column of times", 287),
    "irregular": (lambda: table().assign(when=HOURS[0] + pd.to_timedelta(np.arange(N) ** 2, "s")), "no regular step", 287),
    "no time": (lambda: table().assign(when=HOURS.where(np.arange(N) > 4)), "5 of 300 rows have no time", 282),
    "trading days": (lambda: table().assign(when=pd.bdate_range("2020-01-01", periods=N)), "", 287),
    "months": (lambda: table().assign(when=pd.date_range("1990-01-31", periods=N, freq="ME")), "", 287),
    "constant": (lambda: table().assign(load=5.0), "the same value in all steps that train", 287),
    "many categories": (lambda: table(site=[f"s{i % 20}" for i in range(N)]), "20 categories are too many", 287),
    "two times": (lambda: table(also=HOURS), "is no channel", 287),
    "boolean": (lambda: table().assign(load=np.arange(N) % 24 > 11), "", 287),
}


@pytest.mark.parametrize(("make", "notice", "windows"), STRANGE.values(), ids=STRANGE)
def test_strange_series_are_read(make, notice, windows):
    loaded = load(make(), None if isinstance(make(), tuple) else "load", context=10)
    assert len(loaded.target) == windows
    assert notice in " ".join(loaded.notices)
    assert bool(notice) == bool(loaded.notices), loaded.notices
    form = loaded.ready.encoder
    values, _ = form.transform(make())
    assert values.shape == (1, 10, len(form.channels))
    assert len(form.future(make())[1]) == 4


REFUSED = {
    "too short": (lambda: table()[:12], {}, "at least 14 steps for a horizon of 4 .* got 12"),
    "too long a horizon": (table, {"horizon": 150}, "a horizon of at most 99"),
    "too long a context": (table, {"context": 290}, "shorter horizon or context"),
    "all missing": (lambda: table().assign(load=np.nan), {}, "must have values"),
    "nothing but gaps": (lambda: table().assign(load=lambda f: f.load.where(f.index % 3 > 0)), {}, "interpolate"),
    "words": (lambda: table().assign(load="high"), {}, "must hold numbers to forecast, got 'high'"),
    "times as target": (lambda: table(also=HOURS), {"target": "also"}, "must hold numbers"),
    "several series": (lambda: pd.concat([table(), table()]), {}, "must be one series"),
    "no such target": (table, {"target": "laod"}, "did you mean 'load'"),
    "no target named": (lambda: table(wind=1.5), {"target": None}, "must name the column to forecast"),
    "several targets": (lambda: table(wind=series()), {"target": ["load", "wind"]}, "search once for each"),
    "no such time": (table, {"time": "whne"}, "did you mean 'when'"),
    "no rows": (lambda: table()[:0], {}, "must have rows"),
    "no time at all": (lambda: table().assign(when="x"), {"time": "when"}, "must hold numbers or times"),
}


@pytest.mark.parametrize(("make", "options", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_series_is_refused(make, options, message):
    with pytest.raises(DataError, match=message):
        load(make(), **options)


@pytest.mark.parametrize("option", [{"sample_weight": "load"}, {"repeats": 2}, {"class_weight": "balanced"}])
def test_options_of_other_tasks_are_refused(option):
    with pytest.raises(OptionError, match="must be left out"):
        load(table(), **option)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: table()[:9], "at least 10 steps"),
        (lambda: table().drop(columns="load"), "'load' must be one of the columns"),
        (lambda: table().drop(columns="when"), "must have the column 'when'"),
        (lambda: table().assign(load=np.nan), "must have values in a history"),
    ],
    ids=["short", "no target", "no time", "missing"],
)
def test_histories_that_say_too_little_are_refused(make, message):
    form = load(table(), context=10).ready.encoder
    with pytest.raises(DataError, match=message):
        form.transform(make())


@pytest.mark.parametrize(("name", "least"), [("horizon", 1), ("context", 2), ("season", 1)])
def test_sizes_beyond_all_windows_are_refused(name, least):
    with pytest.raises(OptionError, match=f"{name} must be a whole number from {least} to 1048576, got 1000000000"):
        load(table(), **{name: 10**9})


def test_later_rows_must_be_later():
    trained = load(table(), context=10)
    with pytest.raises(DataError, match="must be later than the data before, which end at 2024-03-13T11:00:00"):
        load(table()[:100], like=trained, context=10)
    with pytest.raises(DataError, match="must have 4 steps with a target after 10 steps of history"):
        load(table().assign(when=HOURS + pd.Timedelta("90D"))[:8], like=trained, context=10)


def test_files_are_read(tmp_path):
    loaded = load(str(written(table(), tmp_path)), context=10)
    assert len(loaded.target) == 287
    assert loaded.target_name == "load"


@pytest.mark.parametrize(
    "change",
    [{"context": 0}, {"horizon": "4"}, {"cycles": ["century"]}, {"scale": -1.0}, {"kind": "x"}, {"format": 9}, {"columns": 1}],
)
def test_altered_forms_are_refused(change):
    form = load(table(), context=10).ready.encoder
    with pytest.raises(ModelError, match=r"forecast|columns"):
        WindowFormat.from_dict({**form.to_dict(), **change})


@pytest.mark.parametrize(
    ("unit", "size"),
    [
        ("microseconds", 1e-200),
        ("microseconds", 0.5),
        ("weekdays", 1e-9),
        ("months", 1.5),
        ("months", 1e300),
        ("microseconds", 2e18),
        ("microseconds", float("inf")),
        ("microseconds", 10**400),
        ("month ends", float("nan")),
        ("numbers", 1.0),
        ("days", 1),
        ("weekdays", None),
    ],
)
def test_steps_that_no_series_keeps_are_refused(unit, size):
    state = load(table(), context=10).ready.encoder.to_dict()
    state["axis"]["step"] = {"unit": unit, "size": size}
    with pytest.raises(ModelError, match=r"forecast: .*(step|Error)"):
        WindowFormat.from_dict(state)


def test_numbers_beyond_all_steps_are_refused():
    data = table().drop(columns="when").assign(at=np.arange(N) / 4)
    state = load(data, time="at", context=10).ready.encoder.to_dict()
    state["axis"]["step"]["size"] = 1e-200
    with pytest.raises(DataError, match=r"at: rows must be 1e-200 apart, as in training, got 0 to 74\.75"):
        WindowFormat.from_dict(state).transform(data)


# ----------------------------------------------------------------------------------------------------------- steps and seasons


@pytest.mark.parametrize("freq", ["s", "10min", "h", "D", "B", "W", "MS", "ME", "QS", "QE", "YS", "YE"])
def test_steps_are_found_and_continued(freq):
    times = pd.date_range("2015-01-03", periods=66, freq=freq).to_numpy("datetime64[us]").astype(np.int64)
    step = find_step(times[:60])
    np.testing.assert_array_equal(step.times(times[59], np.arange(1, 7)), times[60:])
    if freq != "B":
        gaps = np.delete(times, [10, 11, 30])
        assert find_step(gaps) == step
        assert step.positions(gaps, times[0]).tolist() == np.delete(np.arange(66), [10, 11, 30]).tolist()


@pytest.mark.parametrize("freq", ["h", "B", "MS", "ME"])
def test_a_task_keeps_its_fingerprint(freq, tmp_path):
    task = make_task(table(when=pd.date_range("2001-01-01", periods=N, freq=freq)), DataOptions(target="load", horizon=4))
    task.save(tmp_path / "task")
    assert _fingerprint(Task.load(tmp_path / "task")) == task.fingerprint == _fingerprint(task)


def test_numbers_and_irregular_times_have_their_steps_too():
    assert find_step(np.arange(9) * 0.25) == Step("numbers", 0.25)
    assert find_step(np.array([0.0, 1, 2, 4, 5, 7])) == Step("numbers", 1.0)
    assert find_step(np.cumsum(np.arange(1, 30)) * 1_000_003) is None
    assert find_step(np.array([5])) is None
    assert str(Step("microseconds", 9e8)) == "15 min"
    assert str(Step("months", 3)) == "3 months"


def test_seasons_are_found():
    hour = Step("microseconds", 3.6e9)
    assert find_season(series(200), hour) == 24
    assert find_season(series(200), None) == 24
    assert find_season(series(300, 7), None) == 7
    assert find_season(np.random.default_rng(0).normal(size=300).cumsum(), hour) == 1
    assert find_season(np.ones(300), hour) == find_season(np.full(300, np.nan), hour) == find_season(np.zeros(0), None) == 1
    assert find_cycles(100, hour) == ("day",)
    assert find_cycles(400, hour) == ("day", "week")
    assert find_cycles(400, None) == find_cycles(10, hour) == ()
    assert seasonal_error(np.array([1.0, 2, 4, np.nan, 5]), 1) == 1.5
    assert seasonal_error(np.ones(3), 5) == 0.0
