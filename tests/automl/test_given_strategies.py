"""Strategies that a user brings to a search, and a user's guess: what is on record of them, and how such a search goes on."""

import optuna
import pytest

import automl
from automl.cli_options import guesses_given
from automl.errors import OptionError, SpaceError
from automl.options import SearchOptions
from automl.strategies import strategy_for
from automl.strategies.base import Plan, Strategy
from search_spaces.configuration import Configuration
from search_spaces.language import Space
from search_spaces.mlp import MLP


def search(sales, tmp_path, **options):
    given = {
        "n_trials": 3,
        "epochs": 1,
        "folds": 1,
        "workers": 1,
        "baselines": False,
        "executor": "inline",
        "verbose": False,
        "families": ["MLP"],
    }
    return automl.search(sales(), target="sold", out=tmp_path / "run", overwrite=True, **{**given, **options})


def again(tmp_path, **options):
    return automl.search(resume=tmp_path / "run", n_trials=5, verbose=False, families=["MLP"], **options)


def mine(space: Space[Configuration], plan: Plan) -> Strategy:
    return strategy_for("random", space, plan)


@pytest.mark.parametrize(
    ("make", "name"), [(lambda: optuna.samplers.CmaEsSampler(seed=1), "optuna:CmaEsSampler"), (lambda: mine, "own:mine")]
)
def test_a_search_with_an_object_is_resumed_with_it(sales, tmp_path, make, name):
    assert len(search(sales, tmp_path, strategy=make()).leaderboard()) == 3
    with pytest.raises(OptionError, match=rf"{name}; pass it again: search\(resume="):
        again(tmp_path)
    with pytest.raises(OptionError, match=f"must be that of the earlier search, {name}, .* got random"):
        again(tmp_path, strategy="random")
    assert len(again(tmp_path, strategy=make()).leaderboard()) == 5


def test_a_guess_is_tried_first_and_stays_on_record(sales, tmp_path):
    result = search(sales, tmp_path, n_trials=1, prior={"architecture/MLP/dropout": 0.125})
    assert isinstance(result.configuration(0).architecture, MLP)
    assert result.configuration(0).architecture.dropout == 0.125
    assert result.run.store.settings()["prior"] == {"architecture/MLP/dropout": 0.125}
    assert len(again(tmp_path).leaderboard()) == 5


def test_a_guess_that_is_none_leaves_an_earlier_search_as_it_was(sales, tmp_path):
    search(sales, tmp_path, n_trials=1)
    with pytest.raises(SpaceError, match="prior: architecture/MLP/dropout must be a float"):
        search(sales, tmp_path, prior={"architecture/MLP/dropout": 3})
    assert len(again(tmp_path).leaderboard()) == 5


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"strategy": 3}, "strategy must be one of auto"),
        ({"strategy": optuna.samplers.RandomSampler}, r"write RandomSampler\(\)"),
        ({"prior": [("a", 1)]}, "prior must be a dict"),
        ({"prior": {"a": float("nan")}}, "prior must be a dict .* got 'a': nan"),
        ({"prior": {"a": object()}}, "prior must be a dict"),
        ({"strategy": "cmaes", "objectives": ["parameters"]}, "CMA-ES serves one objective, got 2"),
    ],
)
def test_what_cannot_be_is_one_clear_error(sales, tmp_path, given, message):
    with pytest.raises(OptionError, match=message):
        search(sales, tmp_path, **given)


def test_guesses_from_the_command_line():
    given = ["*/lr=3e-4", "recipe/optimizer/kind=AdamW", "a=true", "b=null", "c=x=y"]
    assert guesses_given(given) == {"*/lr": 3e-4, "recipe/optimizer/kind": "AdamW", "a": True, "b": None, "c": "x=y"}
    assert guesses_given(None) is None
    with pytest.raises(OptionError, match="--prior must be PATH=VALUE"):
        guesses_given(["lr"])


def test_options_with_a_guess_survive_their_storage():
    options = SearchOptions(n_trials=1, strategy="optuna:GPSampler", prior={"*/lr": 1e-3})
    assert SearchOptions.from_dict(options.to_dict()) == options
