import pytest

from automl.budget import default_epochs, searched_space
from automl.errors import SpaceError
from automl.options import SearchOptions
from search_spaces import Choice
from search_spaces.configuration import FAMILIES


def batch_sizes(task, given=None, **options):
    space = searched_space(task, SearchOptions(**options), FAMILIES, given or {})
    return space.leaves()["recipe/batch_size"].values


def test_more_rows_need_fewer_epochs():
    epochs = [default_epochs(rows, 1, None) for rows in (100, 1000, 10_000, 100_000, 10_000_000)]
    assert epochs == sorted(epochs, reverse=True)
    assert epochs[0] == 243
    assert epochs[-1] == 9


def test_rungs_are_whole_epochs():
    assert all(default_epochs(rows, 1, limit) % 9 == 0 for rows in (50, 5000, 500_000) for limit in (1.0, 30.0, None))


def test_little_time_means_shorter_trainings_but_never_too_short_to_learn():
    assert default_epochs(30_000, 1, 10.0) < default_epochs(30_000, 1, 300.0)
    assert default_epochs(200, 10, 10.0) * 4 >= 300


def test_batches_are_as_large_as_the_time_limit_wants(toy_task):
    task = toy_task(rows=3000)
    assert min(batch_sizes(task, time_limit=600, epochs=81)) == 32
    assert min(batch_sizes(task, time_limit=10, epochs=81)) > 32
    assert min(batch_sizes(task, n_trials=3, epochs=81)) == 32


def test_the_users_batch_sizes_go_before_ours(toy_task):
    given = {"recipe/batch_size": Choice(32, 64)}
    assert batch_sizes(toy_task(rows=3000), given, time_limit=1, epochs=243) == (32, 64)


def test_under_halving_schedules_are_patient(toy_task):
    def kinds(**options):
        space = searched_space(toy_task(), SearchOptions(n_trials=1, **options), FAMILIES, {})
        return set(space.leaves()["recipe/schedule/kind"].values)

    assert kinds(halving=True) == {"Cosine", "Constant"}
    assert "OneCycle" in kinds(halving=False)


def test_a_wrong_override_says_that_it_is_of_the_space(toy_task):
    with pytest.raises(SpaceError, match=r"^space: "):
        searched_space(toy_task(), SearchOptions(n_trials=1), FAMILIES, {"recipe/lr": 1.0})
