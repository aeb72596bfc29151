import math
from pathlib import Path

import numpy as np
import pytest

from automl.errors import OptionError
from automl.options import SearchOptions, families_for, path_option
from automl.strategies import STRATEGIES
from search_spaces.configuration import FAMILIES
from search_spaces.mlp import MLP


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"time_limit": 0}, "time_limit must be a positive number of seconds, got 0"),
        ({"time_limit": -1.5}, "time_limit must be a positive number of seconds, got -1.5"),
        ({"time_limit": math.nan}, "time_limit must be a positive number of seconds, got nan"),
        ({"time_limit": "60"}, "time_limit must be a positive number of seconds, got '60'"),
        ({"time_limit": True}, "time_limit must be a positive number of seconds, got True"),
        ({"n_trials": 0}, "n_trials must be a whole number, at least 1, got 0"),
        ({"n_trials": 2.5}, "n_trials must be a whole number, at least 1, got 2.5"),
        ({"workers": -1}, "workers must be a whole number, at least 0, got -1"),
        ({"seed": -1}, "seed must be a whole number, at least 0, got -1"),
        ({"epochs": 0}, "epochs must be a whole number, at least 1, got 0"),
        ({"strategy": "tpee"}, f"strategy must be one of {', '.join(STRATEGIES)}, got 'tpee'; did you mean 'tpe'?"),
        ({"time_limit": 10**400}, f"time_limit must be a positive number of seconds, got {10**400!r:.100}"),
        ({"max_parameters": "many"}, "max_parameters must be a positive number of parameters, got 'many'"),
        ({"portfolio": "no"}, "portfolio must be True or False, got 'no'"),
        ({"baselines": None}, "baselines must be True or False, got None"),
        (
            {"objectives": "latency"},
            "objectives must be a list of names out of latency, parameters, bytes, seconds, got 'latency'; give ['latency']",
        ),
        ({"executor": "process"}, "executor must be one of processes, inline, got 'process'; did you mean 'processes'?"),
    ],
)
def test_an_option_that_cannot_be_says_where_what_and_the_nearest_fix(given, message):
    with pytest.raises(OptionError) as error:
        SearchOptions(**given)
    assert str(error.value) == message


def test_objectives_must_be_names():
    with pytest.raises(OptionError, match="objectives must be one of latency"):
        SearchOptions(objectives=[np.array([1, 2])])


def test_numbers_of_numpy_are_numbers():
    options = SearchOptions(
        n_trials=np.int64(3), time_limit=np.float32(2), seed=np.uint8(1), max_bytes=np.int32(9), baselines=np.False_
    )
    assert options == SearchOptions(n_trials=3, time_limit=2.0, seed=1, max_bytes=9, baselines=False)
    assert type(options.to_dict()["n_trials"]) is int


def test_without_limits_a_search_takes_ten_minutes():
    assert SearchOptions().time_limit == 600.0
    assert SearchOptions(n_trials=3).time_limit is None


def test_options_survive_their_storage():
    options = SearchOptions(time_limit=5.0, n_trials=3, workers=2, families=("MLP",))
    assert SearchOptions.from_dict(options.to_dict()) == options
    assert SearchOptions.from_dict({**options.to_dict(), "an option of a later version": 1}) == options


def test_families_by_name_and_class():
    assert families_for(None) == FAMILIES
    assert families_for(["MLP", MLP]) == (MLP,)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["MPL"], f"family must be one of {', '.join(family.__name__ for family in FAMILIES)}, got 'MPL'; did you mean 'MLP'?"),
        ("MLP", "families must be a list of names or Architecture classes, got 'MLP'"),
        ([], "families must be a list of names or Architecture classes, got []"),
        (MLP, "families must be a list of names or Architecture classes, got <class 'search_spaces.mlp.MLP'>"),
        ([int], "family must be a name or a subclass of Architecture, got <class 'int'>"),
    ],
)
def test_unknown_families_are_refused(given, message):
    with pytest.raises(OptionError) as error:
        families_for(given)
    assert str(error.value) == message


def test_a_path_may_begin_at_home():
    assert path_option("out", "~/run") == Path.home() / "run"


@pytest.mark.parametrize("given", [3, "", None, b""])
def test_a_path_must_be_one(given):
    with pytest.raises(OptionError, match="out must be a path"):
        path_option("out", given)
