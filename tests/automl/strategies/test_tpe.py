"""TPE: what it is told under halving, that it learns, that it stays quick, that it leaves Optuna and the process as they were."""

import logging
import os
import random
import subprocess
import sys
import time
import warnings
from collections.abc import Callable

import pytest

from automl.strategies import strategy_for
from automl.strategies.base import Plan, Proposal, Result
from automl.strategies.history import History
from automl.strategies.ranking import ENOUGH, Trace, ranked
from automl.strategies.tpe import BEST, RECENT, TPE
from automl.testing import example_space
from search_spaces.configuration import Configuration
from search_spaces.language import Choice, OneOf, Space
from search_spaces.mlp import MLP
from search_spaces.optimizers import AdamW


def test_within_one_rung_the_order_is_that_of_the_losses():
    traces = {number: Trace({9: loss}) for number, loss in enumerate((0.5, 0.1, 0.3))}
    assert ranked(traces) == [1, 2, 0]


def test_the_highest_rung_with_enough_decides():
    traces = {n: Trace({1: n / 100, 3: -n / 100}) for n in range(ENOUGH)}  # at epoch 3 the order is the other way round
    traces |= {n: Trace({1: -1.0}) for n in (50, 51)}  # better than all, but not trained for long
    assert ranked(traces) == [*reversed(range(ENOUGH)), 50, 51]


def test_a_rung_with_too_few_does_not_decide():
    traces = {n: Trace({1: n / 100, 3: -n / 100}) for n in range(ENOUGH - 1)}
    traces[50] = Trace({1: -1.0})
    assert ranked(traces) == [50, *range(ENOUGH - 1)]


def test_what_ended_early_keeps_its_loss_at_later_rungs():
    traces = {n: Trace({1: 1.0, 3: n / 100}, ended=False) for n in range(ENOUGH)}
    traces[50] = Trace({1: 0.035}, ended=True)
    assert ranked(traces) == [0, 1, 2, 3, 50, *range(4, ENOUGH)]


def test_behind_them_the_longer_trained_come_first():
    traces = {n: Trace({1: 0.0, 3: 0.0, 9: n / 100}) for n in range(ENOUGH)}
    traces |= {50: Trace({1: 0.2}), 51: Trace({1: 0.1}), 52: Trace({1: 0.9, 3: 0.9})}
    assert ranked(traces)[ENOUGH:] == [52, 51, 50]


def test_failures_have_no_place():
    assert ranked({0: Trace({9: 0.5}), 1: Trace(ended=True, failed=True), 2: Trace({1: 0.1}, ended=True, failed=True)}) == [0]


def searched(name: str, loss: Callable[[Configuration], float | None], asks: int = 60, seed: int = 0) -> list[Configuration]:
    """Ask for configurations one after the other, and tell the loss of each."""
    strategy = strategy_for(name, example_space(), Plan(epochs=9, schedule="full", seed=seed))
    found = []
    for _ in range(asks):
        (proposal,) = strategy.ask(1)
        strategy.tell([Result(proposal, loss(proposal.configuration), ended=True)])
        found.append(proposal.configuration)
    return found


def network(configuration: Configuration) -> MLP:
    assert isinstance(configuration.architecture, MLP)
    return configuration.architecture


def test_it_learns():
    def loss(configuration: Configuration) -> float:
        mlp = network(configuration)
        return mlp.dropout + abs(len(mlp.blocks) - 4) + (not isinstance(configuration.recipe.optimizer, AdamW))

    late = {
        name: sum(loss(made) for seed in range(2) for made in searched(name, loss, seed=seed)[30:]) for name in ("tpe", "random")
    }
    assert late["tpe"] < 0.5 * late["random"]


def test_it_learns_from_failures():
    def loss(configuration: Configuration) -> float | None:
        return None if len(network(configuration).blocks) > 3 else 0.5

    late = searched("tpe", loss)[30:]
    assert sum(loss(configuration) is None for configuration in late) < 10  # 15 at random


def test_the_history_is_capped():
    tpe = TPE(example_space(), Plan(epochs=9))
    random_search = strategy_for("random", example_space(), Plan(epochs=9, schedule="full"))
    for proposal in random_search.ask(BEST + RECENT + 100):
        tpe.begin(proposal.number, proposal.configuration)
        tpe.observe(Result(proposal, float(proposal.number), ended=True))
    told = tpe._history.told(BEST, RECENT)
    assert [one.values for one in told] == [(n,) for n in [*range(BEST), *range(BEST + 100, BEST + 100 + RECENT)]]


def test_the_loss_that_is_told_is_that_of_the_last_epoch():
    space = example_space()
    history = History(space, objectives=1)
    for number, losses in enumerate([(0.9, 0.2), (0.5, 0.4)]):
        history.begin(number, space.default())
        for stop, loss in zip((3, 9), losses, strict=True):
            proposal = Proposal(number, space.default(), 0, stop, 9)
            history.observe(Result(proposal, loss, ended=stop == 9))
    assert [told.values for told in history.told(best=9, recent=9)] == [(0.2,), (0.4,)]


def test_an_ask_stays_quick_at_a_thousand_trials():
    strategy = strategy_for("tpe", example_space(), Plan(epochs=9, schedule="full"))
    strategy.adopt(strategy_for("random", example_space(), Plan(epochs=9, schedule="full")).ask(1000))
    strategy.tell(_results(strategy_for("random", example_space(), Plan(epochs=9, schedule="full")).ask(1000)))
    strategy.ask(1)
    took = []
    for _ in range(5):
        began = time.process_time()
        strategy.ask(1)
        took.append(time.process_time() - began)
    assert min(took) < 0.150


def _results(proposals: list[Proposal]) -> list[Result]:
    return [Result(proposal, random.Random(proposal.number).random(), ended=True) for proposal in proposals]


def test_optuna_groups_as_we_do():
    import optuna

    from automl.strategies.history import Told
    from automl.strategies.optuna_samplers import Model, groups

    tpe = TPE(example_space(), Plan(epochs=9))
    proposals = strategy_for("random", example_space(), Plan(epochs=9, schedule="full")).ask(100)
    for proposal in proposals:
        tpe.begin(proposal.number, proposal.configuration)
    told = [Told(point, (i,)) for i, point in enumerate(tpe._history.points.values())]
    model = Model(tpe._history.leaves, told, [], 0)
    trials = model._study.get_trials(deepcopy=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(multivariate=True, group=True, n_startup_trials=0)
    sampler.infer_relative_search_space(model._study, trials[0])
    assert sampler._search_space_group is not None
    theirs = [{p for p, d in group.items() if not d.single()} for group in sampler._search_space_group.search_spaces]
    assert sorted(map(sorted, filter(None, theirs))) == sorted(map(sorted, groups(trials)))


def test_every_kind_of_leaf_survives():
    overrides = {
        "architecture": OneOf(MLP),
        "recipe/batch_size": 64,
        "architecture/MLP/dropout": 0.25,
        "recipe/optimizer/kind": Choice("Momentum"),
    }
    strategy = strategy_for("tpe", Space(Configuration, overrides), Plan(epochs=9, schedule="full"))
    for _ in range(30):
        (proposal,) = strategy.ask(1)
        assert proposal.configuration.recipe.batch_size == 64
        assert network(proposal.configuration).dropout == 0.25
        strategy.tell([Result(proposal, random.Random(proposal.number).random(), ended=True)])


def test_nothing_global_is_changed(capfd: pytest.CaptureFixture[str]):
    import optuna

    before = random.getstate(), optuna.logging.get_verbosity(), logging.getLogger("optuna").level, list(warnings.filters)
    searched("tpe", lambda configuration: network(configuration).dropout, asks=15)
    assert before == (
        random.getstate(),
        optuna.logging.get_verbosity(),
        logging.getLogger("optuna").level,
        list(warnings.filters),
    )
    assert capfd.readouterr() == ("", "")


SCRIPT = """
from automl.strategies import strategy_for
from automl.strategies.base import Plan, Result
from automl.testing import example_space
import hashlib, sys
assert "optuna" not in sys.modules
strategy = strategy_for("tpe", example_space(), Plan(9, schedule="full"))
for i in range(20):
    (proposal,) = strategy.ask(1)
    strategy.tell([Result(proposal, (i * 7 % 10) / 10, True)])
assert "optuna" in sys.modules
print(hashlib.sha256(repr(proposal).encode()).hexdigest())
"""


def test_another_process_gets_the_same_and_optuna_is_imported_late():
    printed = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True, text=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1
