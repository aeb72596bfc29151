"""Every strategy of ours keeps the whole contract; TPE and random search are functions of sets, not of orders."""

import random
from dataclasses import replace

import pytest

from automl.errors import OptionError, SpaceError
from automl.strategies import SCHEDULES, STRATEGIES, strategy_for
from automl.strategies.base import Plan, Result, Schedule, Strategy
from automl.testing import Rehearsal, check_strategy, example_space
from search_spaces.configuration import Configuration
from search_spaces.language import Infeasible, Space
from search_spaces.mlp import MLP
from search_spaces.optimizers import OneCycle, Recipe

# Each strategy with its own schedule, and each schedule around the quickest; all with all are slow.
SOME = [(name, "auto") for name in STRATEGIES] + [("random", schedule) for schedule in SCHEDULES if schedule != "auto"]
EVERY = [(name, schedule) for name in STRATEGIES for schedule in SCHEDULES]
SEVERAL = [(name, schedule) for name, schedule in SOME if name not in {"bayes", "cmaes"}]
IN_SETS = [(name, schedule) for name, schedule in EVERY if name in {"tpe", "random"} and schedule != "median"]


@pytest.fixture(autouse=True)
def quick_gaussian_process(monkeypatch: pytest.MonkeyPatch):
    """Let Optuna's Gaussian process see little: it takes seconds otherwise."""
    from automl.strategies import modelled, optuna_suggester

    monkeypatch.setattr(optuna_suggester, "PATHS_OF_GP", 3)
    monkeypatch.setattr(optuna_suggester, "BEST", 6)
    monkeypatch.setattr(optuna_suggester, "RECENT", 4)
    monkeypatch.setattr(modelled, "ENOUGH", 8)


def make(name: str, schedule: Schedule, space: Space[Configuration], plan: Plan) -> Strategy:
    return strategy_for(name, space, replace(plan, schedule=schedule))


def asks_of(name: str) -> int:
    return 13 if name == "gp" else 30


@pytest.mark.parametrize(("name", "schedule"), SOME)
def test_contract(name: str, schedule: Schedule):
    check_strategy(lambda space, plan: make(name, schedule, space, plan), asks=asks_of(name))


@pytest.mark.parametrize(("name", "schedule"), SEVERAL)
def test_contract_with_several_objectives(name: str, schedule: Schedule):
    check_strategy(lambda space, plan: make(name, schedule, space, plan), asks=asks_of(name), objectives=2)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "schedule"), EVERY)
def test_contract_over_more_asks(name: str, schedule: Schedule):
    check_strategy(lambda space, plan: make(name, schedule, space, plan), asks=20 if name == "gp" else 120)


@pytest.mark.parametrize(("name", "schedule"), IN_SETS)
def test_the_order_in_which_an_earlier_process_is_told_of_does_not_matter(name: str, schedule: Schedule):
    rehearsal = Rehearsal(lambda space, plan: make(name, schedule, space, plan), example_space(), Plan(epochs=9, seed=3))
    rehearsal.run(30)
    shuffled = random.Random(0).sample(rehearsal.told, len(rehearsal.told))
    other = make(name, schedule, rehearsal.space, rehearsal.plan)
    other.adopt(rehearsal.asked)
    other.tell(shuffled)
    assert other.ask(3) == rehearsal.strategy.ask(3)
    assert other.closed == rehearsal.strategy.closed


@pytest.mark.parametrize(("name", "schedule"), SOME)
def test_seeds_differ(name: str, schedule: Schedule):
    first, second = (make(name, schedule, example_space(), Plan(epochs=9, seed=seed)).ask(5) for seed in (0, 1))
    assert first[0] == second[0]
    assert all(a != b for a, b in zip(first[1:], second[1:], strict=True))


@pytest.mark.parametrize(("name", "schedule"), SOME)
def test_enqueued_configurations_follow_the_default(name: str, schedule: Schedule):
    space = example_space()
    wanted = tuple(replace(space.default(), recipe=Recipe(batch_size=size)) for size in (32, 64))
    strategy = make(name, schedule, space, Plan(epochs=9, enqueue=wanted))
    assert [p.configuration for p in strategy.ask(3)] == [space.default(), *wanted]


def test_what_is_enqueued_must_lie_in_the_space():
    outside = replace(example_space().default(), recipe=Recipe(schedule=OneCycle()))
    with pytest.raises(SpaceError, match="recipe/schedule/kind"):
        strategy_for("random", example_space(), Plan(epochs=9, enqueue=(outside,)))


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(OptionError, match=r"must be one of auto, .*, got 'rndom'; did you mean 'random'"):
        strategy_for("rndom", example_space(), Plan(epochs=9))


class Narrow(MLP):
    """An MLP that is infeasible with much dropout."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dropout > 0.25:
            raise Infeasible("too much dropout")


@pytest.mark.parametrize("name", STRATEGIES)
def test_infeasible_draws_are_drawn_again_and_counted(name: str):
    from search_spaces.language import OneOf

    space = Space(Configuration, {"architecture": OneOf(Narrow)})
    strategy = strategy_for(name, space, Plan(epochs=9, schedule="full"))
    for _ in range(12 if name == "gp" else 30):
        (proposal,) = strategy.ask(1)
        assert isinstance(proposal.configuration.architecture, Narrow)
        strategy.tell([Result(proposal, -proposal.configuration.architecture.dropout, ended=True)])
    assert strategy.infeasible > 0


class Never(MLP):
    """An MLP that can't be."""

    def __post_init__(self) -> None:
        raise Infeasible("never")


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_space_without_networks_says_so(name: str):
    from search_spaces.language import OneOf

    strategy = strategy_for(name, Space(Configuration, {"architecture": OneOf(Never)}), Plan(epochs=9))
    with pytest.raises(Infeasible, match="never"):
        strategy.ask(1)


def test_a_loss_that_is_not_finite_is_a_failure():
    (proposal,) = strategy_for("random", example_space(), Plan(epochs=9)).ask(1)
    for loss in (float("nan"), float("inf"), None):
        result = Result(proposal, loss, ended=False)
        assert result.loss is None
        assert result.ended
