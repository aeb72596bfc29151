"""Strategies that a user brings to a search, and a user's guess: what is on record of them, and how such a search goes on."""

from dataclasses import replace

import optuna
import pytest

import automl
from automl.cli_options import guesses_given
from automl.enqueued import configurations
from automl.errors import OptionError, SpaceError
from automl.options import SearchOptions
from automl.strategies import chosen, strategy_for
from automl.strategies.base import Plan, Strategy
from automl.testing import example_space
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
    ("plan", "names"),
    [
        (Plan(9), ("bayes", "auto")),
        (Plan(9, schedule="full"), ("bayes", "full")),
        (Plan(9, workers=100), ("evolution", "halving")),
        (Plan(9, objectives=2, schedule="median"), ("evolution", "median")),
    ],
)
def test_what_auto_means_for_a_plan(plan, names):
    assert chosen("auto", plan) == names


def test_a_search_goes_on_with_the_strategy_that_auto_was_when_it_began(sales, tmp_path):
    search(sales, tmp_path, strategy="auto", n_trials=1)
    result = again(tmp_path, workers=100)
    assert (result.run.store.settings()["strategy"], result.run.store.settings()["schedule"]) == ("bayes", "auto")
    assert [event.data["options"]["strategy"] for event in result.run.store.events() if event.kind == "started"] == ["bayes"] * 2


def test_names_on_record_are_no_strategies_of_a_new_search(tmp_path):
    for name in ("own:x", "optuna:CmaEsSampler"):
        with pytest.raises(OptionError, match=f"strategy must be one of auto, .* got '{name}'"):
            automl.search(tmp_path / "nowhere.csv", target="sold", strategy=name)


def test_the_portfolio_leaves_room_for_the_strategy_and_for_a_guess(sales, tmp_path):
    def enqueued(**options):
        return search(sales, tmp_path, strategy="random", **options).run.store.settings()["enqueue"]

    assert len(enqueued(n_trials=3)) == 1
    assert len(enqueued(n_trials=3, enqueue=[MLP(dropout=0.125)])) == 1
    assert len(enqueued(n_trials=6, enqueue=[MLP(dropout=0.125)])) == 3
    assert enqueued(n_trials=3, prior={"architecture/MLP/dropout": 0.125}) == []


def test_with_a_guess_an_enqueued_default_is_tried_and_the_guessed_one_is_not_tried_twice():
    space, prior = example_space(), {"architecture/MLP/dropout": 0.125}
    plain, guessed = space.default(), replace(space.default(), architecture=replace(space.default().architecture, dropout=0.125))
    assert configurations([plain.architecture], space) == ()
    enqueue = configurations([plain.architecture, guessed], space, (), prior)
    strategy = strategy_for("random", space, Plan(9, enqueue=enqueue, prior=prior))
    assert [proposal.configuration for proposal in strategy.ask(2)] == [guessed, plain]


def test_too_few_trials_for_what_was_enqueued_are_refused(sales, tmp_path):
    with pytest.raises(OptionError, match=r"n_trials must be at least 3, .* got 2"):
        search(sales, tmp_path, n_trials=2, enqueue=[MLP(dropout=0.125), MLP(dropout=0.25)])
    assert not (tmp_path / "run").exists()


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
