import pytest

from automl.budget import Pace, affordable_batches, full_training, image_training, pace_of, searched_space
from automl.errors import SpaceError
from automl.options import SearchOptions
from search_spaces import Choice
from search_spaces.configuration import FAMILIES, Configuration


def epochs(rows, seconds=0.0, time_limit=None):
    return full_training(Pace(rows, max(1, rows // 256), seconds), time_limit)


def test_more_rows_need_fewer_epochs():
    lengths = [epochs(rows) for rows in (100, 1000, 10_000, 100_000, 10_000_000)]
    assert lengths == sorted(lengths, reverse=True)
    assert (lengths[0], lengths[-1]) == (243, 9)


def test_rungs_are_whole_epochs():
    assert all(epochs(rows, 0.1, limit) % 9 == 0 for rows in (50, 5000, 500_000) for limit in (1.0, 30.0, None))


def test_little_time_or_a_slow_machine_means_shorter_trainings():
    assert epochs(10_000, 0.1, 10.0) < epochs(10_000, 0.1, 300.0) == epochs(10_000, 0.003, 10.0)


def test_a_training_is_never_too_short_to_learn():
    assert epochs(200, 10.0, 1.0) >= 243


def test_batches_are_as_large_as_the_time_wants_but_never_larger_than_usual():
    sizes = (32, 64, 128, 256)
    assert affordable_batches(sizes, 128, 1.0, 1000.0) == [32, 64, 128, 256]
    assert affordable_batches(sizes, 128, 10.0, 100.0) == [64, 128, 256]
    assert affordable_batches(sizes, 128, 1000.0, 1.0) == [128, 256]


def test_images_are_trained_long_where_there_is_time():
    assert image_training(Pace(4000, 62, 2.8), 300.0) == 36
    assert image_training(Pace(8000, 125, 4.6), 120.0) == 9
    assert image_training(Pace(50_000, 780, 60.0), 60.0) == 3, "a training must have rungs"
    lengths = [image_training(Pace(rows, 1, 0.0), None) for rows in (100, 4000, 10_000, 1_000_000)]
    assert lengths == [243, 54, 27, 18]


def test_the_pace_is_of_all_folds(toy_task):
    pace = pace_of(toy_task(rows=600), Configuration())
    assert (pace.rows, pace.steps) == (400, 2)
    assert 0 < pace.seconds < 5


def test_the_users_batch_sizes_go_before_ours(toy_task):
    given = {"recipe/batch_size": Choice(32, 64)}
    space, _ = searched_space(toy_task(rows=3000), SearchOptions(time_limit=1, epochs=9000), FAMILIES, given)
    assert space.leaves()["recipe/batch_size"].values == (32, 64)


@pytest.mark.parametrize("limits", [{"n_trials": 3}, {"time_limit": 60}])
def test_epochs_can_be_given(toy_task, limits):
    _, length = searched_space(toy_task(), SearchOptions(epochs=5, **limits), FAMILIES, {})
    assert length == 5


def test_under_halving_schedules_are_patient(toy_task):
    def kinds(**options):
        space, _ = searched_space(toy_task(), SearchOptions(n_trials=1, **options), FAMILIES, {})
        return set(space.leaves()["recipe/schedule/kind"].values)

    assert kinds(schedule="halving") == {"Cosine", "Constant"}
    assert "OneCycle" in kinds(schedule="full")


def test_a_wrong_override_says_that_it_is_of_the_space(toy_task):
    with pytest.raises(SpaceError, match=r"^space: "):
        searched_space(toy_task(), SearchOptions(n_trials=1), FAMILIES, {"recipe/lr": 1.0})
