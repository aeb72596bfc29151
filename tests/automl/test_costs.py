"""What networks may cost, what is minimised beside the metric, and networks to try first: from the options to the board."""

import json
import re

import numpy as np
import pandas as pd
import pytest

import automl
from automl.board import COLUMNS
from automl.errors import NoModelError, OptionError, RunError, SpaceError
from automl.strategies.pareto import dominates
from search_spaces.configuration import Configuration
from search_spaces.mlp import MLP, Plain
from search_spaces.optimizers import SGD, Recipe
from search_spaces.resnet import ResNet

QUICK = {"epochs": 3, "folds": 1, "verbose": False, "workers": 1, "executor": "inline", "baselines": False, "families": ["MLP"]}
LIMIT = 3000


@pytest.fixture(scope="module")
def found(tmp_path_factory, sales):
    """Return the result of a search with a limit and objectives; nobody may change its folder."""
    out = tmp_path_factory.mktemp("costs") / "run"
    costs = {"objectives": ["latency", "parameters"], "max_parameters": LIMIT}
    return automl.search(sales(), target="sold", n_trials=14, strategy="random", out=out, **costs, **QUICK)


def told(result):
    return [record.result for record in result.run.store.records()]


def test_nothing_above_a_limit_is_trained(found):
    outcomes = [outcome for record in found.run.store.records() for outcome in record.outcomes]
    above = [outcome for outcome in outcomes if outcome.parameters > LIMIT]
    assert {len(above) > 0, len(above) < len(outcomes)} == {True}
    for outcome in above:
        assert (outcome.status, outcome.epochs, outcome.curve) == ("infeasible", 0, ())
        assert re.fullmatch(r"[\d,]+ parameters, more than max_parameters=3000", outcome.reason)
    assert all(not outcome.violation for outcome in outcomes if outcome not in above)
    assert {result.violation > 0 for result in told(found)} == {True, False}
    assert f"{len(above)} over a limit and not trained" in found.summary()
    assert "0 failed" in found.summary()


def test_what_was_told_has_all_objectives_and_costs(found):
    for record in found.run.store.records():
        result, [outcome] = record.result, record.outcomes
        if result.loss is None:
            assert result.others == ()
            continue
        assert result.others[1] == outcome.parameters
        assert result.others[0] > 0
        assert result.seconds == outcome.seconds
        assert [epoch for epoch, _ in outcome.curve] == list(range(result.proposal.start + 1, result.proposal.stop + 1))


def test_all_rungs_of_a_network_have_its_one_latency(found):
    latencies = {}
    for result in told(found):
        if result.loss is not None:
            latencies.setdefault(result.proposal.number, set()).add(result.others[0])
    assert {len(values) for values in latencies.values()} == {1}
    assert len(latencies) < sum(result.loss is not None for result in told(found))


def test_the_front_is_of_those_that_no_other_beats(found):
    front, board = found.front(), found.leaderboard()
    assert list(front.columns) == ["number", "model", "validation_score", "latency_ms", "parameters", "epochs"]
    scored = {entry.number: (entry.loss, *entry.others) for entry in found.entries if entry.loss is not None}
    expected = {number for number, values in scored.items() if not any(dominates(other, values) for other in scored.values())}
    assert set(front["number"]) == expected
    assert front["validation_score"].is_monotonic_decreasing
    assert front["model"].iloc[0] == found.best_entry.name
    assert tuple(name for name in board.columns if name not in {"latency_ms", "front"}) == COLUMNS
    assert board.loc[board["front"], "model"].tolist() == front["model"].tolist()
    assert board["latency_ms"].isna().equals(board["rank"].isna())
    assert re.search(rf"{len(front)} networks? that no other beats in everything", found.summary())


def test_every_network_of_the_front_can_be_used(found, sales):
    for number in found.front()["number"]:
        predictor = found.model(number)
        assert predictor.predict(sales(5)).shape == (5,)
        assert predictor.members[0].architecture == found.configuration(number).architecture
        assert predictor.scores["model"] == found.entry(number).name
    best = found.best_entry.number
    np.testing.assert_array_equal(found.model(best).predict_proba(sales()), found.best.predict_proba(sales()))


def test_numbers_of_networks_that_can_not_be_used_are_refused_in_words(found):
    refused = next(entry for entry in found.entries if entry.violation)
    with pytest.raises(NoModelError, match="infeasible"):
        found.model(refused.number)
    with pytest.raises(NoModelError, match=r"more than max_parameters=3000"):
        found.refit(refused.number)
    with pytest.raises(OptionError, match="number must be that of a network on the board"):
        found.model(99)


def test_deleted_weights_are_told_with_a_way_to_get_them_back(tmp_path, sales):
    options = {**QUICK, "epochs": 1, "schedule": "full", "strategy": "random"}
    result = automl.search(sales(), target="sold", n_trials=7, out=tmp_path / "run", **options)
    last = result.entries[-1]
    with pytest.raises(
        RunError,
        match=rf"{last.name} must have its weights.*enqueue=\[result.configuration\({last.number}\)\]",
    ):
        result.model(last.number)
    assert len(result.front()) == 1
    assert "front" not in result.leaderboard().columns
    again = automl.search(
        sales(), target="sold", n_trials=2, enqueue=[result.configuration(last.number)], out=tmp_path / "again", **options
    )
    assert again.configuration(1) == result.configuration(last.number)
    assert again.refit(1).predict(sales(4)).shape == (4,)


def test_an_interrupted_search_is_told_the_same_again(tmp_path, sales):
    def interrupt(progress):
        if progress.ended >= 5:
            raise KeyboardInterrupt

    costs = {"objectives": ("parameters", "bytes"), "max_parameters": LIMIT, "enqueue": [MLP(blocks=(Plain(width=16),))]}
    kwargs = {**QUICK, **costs, "n_trials": 9}
    first = automl.search(sales(), target="sold", callbacks=[interrupt], out=tmp_path / "run", **kwargs)
    before = told(first)
    resumed = automl.search(resume=first.path, verbose=False)
    whole = automl.search(sales(), target="sold", out=tmp_path / "whole", **kwargs)
    assert told(resumed)[: len(before)] == before
    assert [(r.proposal, r.loss, r.others, r.violation) for r in told(resumed)] == [
        (r.proposal, r.loss, r.others, r.violation) for r in told(whole)
    ]
    columns = ["model", "validation_score", "parameters", "weight_bytes", "front", "epochs", "status"]
    pd.testing.assert_frame_equal(resumed.leaderboard()[columns], whole.leaderboard()[columns])


def test_a_search_in_which_all_is_refused_says_what_to_do(tmp_path, sales):
    result = automl.search(sales(), target="sold", n_trials=3, max_bytes=100, out=tmp_path / "run", **QUICK)
    with pytest.raises(NoModelError, match=r"more than max_bytes=100; raise the limit, or give a space of cheaper networks"):
        _ = result.best
    assert (result.run.path / "checkpoints").exists() is False or not list((result.run.path / "checkpoints").rglob("*.json"))


def test_folds_are_one_network_to_a_limit_and_several_to_the_clock(tmp_path, sales):
    options = {**QUICK, "folds": 3, "repeats": 1, "epochs": 1}
    result = automl.search(
        sales(90), target="sold", n_trials=1, objectives=["seconds", "parameters", "bytes"], out=tmp_path / "run", **options
    )
    [record] = result.run.store.records()
    assert record.result.others[0] == pytest.approx(sum(outcome.seconds for outcome in record.outcomes))
    assert record.result.others[1] == record.outcomes[0].parameters
    assert list(result.front().columns)[3:6] == ["training_seconds", "parameters", "weight_bytes"]


# --------------------------------------------------------------------------------------------------------- networks tried first


def test_enqueued_networks_come_after_the_default_in_every_form(tmp_path, sales):
    small = MLP(blocks=(Plain(width=16),))
    whole = Configuration(architecture=MLP(blocks=(Plain(width=24),)), recipe=Recipe(optimizer=SGD(lr=0.01)))
    enqueue = [small, whole.to_dict(), MLP(blocks=(Plain(width=32),)).to_dict(), small]
    options = {**QUICK, "epochs": 1, "n_trials": 5, "schedule": "full"}
    result = automl.search(sales(900), target="sold", enqueue=enqueue, out=tmp_path / "run", **options)
    default, first, second, third, drawn = (result.configuration(number) for number in range(5))
    assert (first.architecture.blocks, first.recipe) == (small.blocks, default.recipe)
    assert first.architecture.input == default.architecture.input
    assert (second.architecture.blocks, second.recipe.optimizer) == (whole.architecture.blocks, SGD(lr=0.01))
    assert second.recipe.batch_size < whole.recipe.batch_size
    assert third.architecture.blocks == (Plain(width=32),)
    assert drawn not in {default, first, second, third}
    assert result.run.store.settings()["enqueue"][1] == second.to_dict()


@pytest.mark.parametrize(
    ("enqueue", "error", "message"),
    [
        (MLP(), OptionError, "enqueue must be a list of networks, got MLP(.*); give \\[it\\]"),
        ([MLP], OptionError, r"enqueue\[0\] must be a Configuration, an Architecture or .*the class MLP; make one of it, MLP\("),
        ([MLP(), 7], OptionError, r"enqueue\[1\] must be .*got 7"),
        ([ResNet()], SpaceError, r"enqueue\[0\]: architecture/kind must be .*MLP.*got 'ResNet'"),
        ([{"family": "MPL"}], SpaceError, r"enqueue\[0\]: .*did you mean 'MLP'"),
        ([MLP(), MLP(dropout=0.5)], SpaceError, r"enqueue\[1\]: architecture/MLP/dropout must be .*got 0.5"),
        (
            [{"family": "Configuration", "recipe": {"family": "Recipe", "batch_size": 7}}],
            SpaceError,
            "batch_size must be .*got 7",
        ),
    ],
)
def test_what_can_not_be_enqueued_is_refused_before_a_folder_is_made(enqueue, error, message, tmp_path, sales):
    space = {"architecture/MLP/dropout": 0.0}
    with pytest.raises(error, match=message):
        automl.search(sales(), target="sold", n_trials=1, enqueue=enqueue, space=space, out=tmp_path / "run", **QUICK)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_parameters": 0}, "max_parameters must be a positive number of parameters, got 0"),
        ({"max_latency_ms": "abc"}, "max_latency_ms must be a positive number of milliseconds, got 'abc'"),
        ({"max_memory": -1.0}, "max_memory must be a positive number of bytes, got -1.0"),
        ({"max_bytes": float("nan")}, "max_bytes must be a positive number of bytes, got nan"),
        (
            {"objectives": ["latncy"]},
            "objectives must be one of latency, parameters, bytes, seconds, got 'latncy'; did you mean",
        ),
        (
            {"objectives": "latency"},
            "objectives must be a list of names out of latency, parameters, bytes, seconds, got 'lat",
        ),
        ({"resume": "somewhere", "data": None, "target": None, "max_parameters": 5}, "give max_parameters to a new search"),
    ],
)
def test_costs_that_can_not_be_are_refused(given, message, tmp_path, sales):
    options = {"data": sales(), "target": "sold", **given}
    with pytest.raises(OptionError, match=re.escape(message)):
        automl.search(options.pop("data"), out=None if "resume" in given else tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


# ------------------------------------------------------------------------------------------------------------ the command line

WORDS = ("search", "sales.csv", "--target", "sold", "--out", "run", "--epochs", "2", "--folds", "1", "--executor", "inline")


def test_the_command_line_limits_minimises_and_enqueues(command_line, sales):
    sales().to_csv("sales.csv", index=False)
    with open("first.json", "w") as file:  # noqa: PTH123
        json.dump(MLP(blocks=(Plain(width=16),)).to_dict(), file)
    more = ("--n-trials", "8", "--family", "MLP", "--no-baselines", "--enqueue", "first.json", "--strategy", "random")
    done = command_line(*WORDS, *more, "--objective", "latency", "--objective", "bytes", "--max-parameters", "3_000")
    assert done.code == 0, done.err
    head = done.out.splitlines()[1].split()
    assert {"ms/row", "bytes", "front"} <= set(head)
    assert "over a limit and not trained" in done.out
    assert re.search(r"front of roc_auc and latency, bytes: \d+ networks? that no other beats in everything: MLP #", done.out)
    front = json.loads(command_line("leaderboard", "run", "--front", "--json").out)["front"]
    assert list(front[0]) == ["number", "model", "validation_score", "latency_ms", "weight_bytes", "epochs"]
    shown = command_line("leaderboard", "run", "--front").out.splitlines()
    assert shown[1].split() == ["number", "model", "validation", "ms/row", "bytes", "epochs"]
    number = front[-1]["number"]
    exported = command_line("export", "run", "model", "--no-onnx", "--number", number)
    assert f"MLP #{number} written to model" in exported.err
    assert automl.load("model").scores["model"] == f"MLP #{number}"
    assert command_line("export", "run", "other", "--no-onnx", "--number", 99).code == 2
    assert automl.SearchResult.open("run").configuration(1).architecture.blocks == (Plain(width=16),)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--max-parameters", "0"), "max_parameters must be a positive number of parameters, got 0"),
        (("--objective", "latncy"), "did you mean 'latency'?"),
        (("--enqueue", "nowhere.json"), "--enqueue must be a file of JSON"),
        (("--enqueue", "sales.csv"), "--enqueue must be a file of JSON"),
    ],
)
def test_bad_costs_are_told_in_one_line(command_line, sales, words, part):
    sales().to_csv("sales.csv", index=False)
    done = command_line(*WORDS, "--n-trials", "1", *words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert part in done.err
