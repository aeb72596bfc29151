"""A conformance kit for strategies: the whole contract of `automl.strategies.base.Strategy`, tried on invented scores.

    def test_my_strategy():
        check_strategy(lambda space, plan: MyStrategy(space, plan.seed, plan.epochs))

Nothing is trained, so that a strategy can be tried over hundreds of proposals in seconds: see `Rehearsal`.
"""

from __future__ import annotations

from dataclasses import replace

from automl.rehearsal import FAILURES, PATIENCE, Rehearsal, require
from automl.simulation import Benchmark, Event, Measurement, Simulation, simulate
from automl.strategies.base import Maker, Plan
from search_spaces.configuration import Configuration, space_for
from search_spaces.language import Choice, Float, Int, Space
from search_spaces.leaves import FloatRange, IntRange, Options
from search_spaces.losses import CLASS_LOSSES
from search_spaces.mlp import MLP
from search_spaces.narrowing import every_path
from search_spaces.spec import CategoricalColumn, Classes, NumericColumn, Table

__all__ = ["Benchmark", "Event", "Measurement", "Rehearsal", "Simulation", "check_strategy", "example_space", "simulate"]

EPOCHS = 9
COUNT = 20  # configurations in a search with an end
CROWD = 20  # workers where there are many
ALIKE = 5  # configurations asked for where there is only one


def example_space() -> Space[Configuration]:
    """Return the space of a small classification task, of the family MLP alone, with schedules that suit halving."""
    column = NumericColumn("x", 0.0, 1.0, (-2.0, -1.0, 0.0, 1.0, 2.0), 0.1)
    inputs = Table((column, column), (CategoricalColumn("c", (0, 30, 70)),), 1000)
    patient = {"recipe/schedule/kind": Choice("Cosine", "Constant")}
    return space_for(inputs, Classes((50, 50)), CLASS_LOSSES, families=(MLP,), overrides=patient)


def check_strategy(
    make: Maker[Configuration], space: Space[Configuration] | None = None, asks: int = 200, objectives: int = 1
) -> None:
    """Try a strategy over `asks` proposals; raise `AssertionError` that says which part of the contract it breaks.

    `make(space, plan)` returns a new strategy, which may leave parts of the plan aside that it has no use for, but not the seed
    and the number of configurations. objectives: how many results have; above 1 for strategies that say they take several.
    Raises `ValueError` where `asks` or `objectives` is no whole number from 1 on, `TypeError` where `make` is no function.

    What is tried: two strategies with one seed propose the same; one that took over an earlier process goes on as it would have;
    each proposal lies in the space, also where it was narrowed, where leaves hold one value and where only one configuration is
    left; many workers, results in any order, failures (some, or all), losses that are no numbers, and hard limits that are broken
    are survived; the process's own chance isn't touched; a search with an end is done, with all configurations closed.
    """
    for name, count in (("asks", asks), ("objectives", objectives)):
        if type(count) is not int or count < 1:
            raise ValueError(f"{name} must be a whole number, at least 1, got {count!r}")
    if not callable(make):
        raise TypeError(f"make must be a function (space, plan) that returns a strategy, got {make!r:.100}")
    space = example_space() if space is None else space
    plan = Plan(EPOCHS, objectives=objectives)
    first, second = (Rehearsal(make, space, plan) for _ in range(2))
    first.run(asks)
    second.run(asks // 2)
    third = second.resumed()
    second.run(asks)
    third.run(asks)
    require(first.asked == second.asked, "two strategies with one seed must propose the same when they are told the same")
    require(first.asked == third.asked, "after adopt and tell a strategy must go on as it would have without the interruption")
    Rehearsal(make, space, replace(plan, workers=CROWD), workers=CROWD).run(asks // 2)
    Rehearsal(make, narrowed(space), plan).run(asks // 2)
    _check_single(Rehearsal(make, single(space), plan))
    for failures in (FAILURES, 1.0):
        _check_end(Rehearsal(make, space, replace(plan, n_trials=min(asks, COUNT)), failures))


def narrowed(space: Space[Configuration]) -> Space[Configuration]:
    """Return a part of a space: each leaf narrowed to its middle or its first options, and each third one to its default."""
    overrides = dict(space.overrides)
    paths = every_path(space.family, "", space.searched, everything=False)
    for i, (path, leaf) in enumerate((path, space.searched(path, domain)) for path, domain in paths):
        if isinstance(leaf, IntRange | FloatRange | Options) and i % 3 == 0:
            overrides[path] = leaf.default
        elif isinstance(leaf, IntRange):
            overrides[path] = Int(leaf.from_unit(0.25), leaf.from_unit(0.75), multiple_of=leaf.multiple_of)
        elif isinstance(leaf, FloatRange):
            overrides[path] = Float(leaf.from_unit(0.25), leaf.from_unit(0.75))
        elif isinstance(leaf, Options):
            overrides[path] = Choice(*leaf.values[: (len(leaf.values) + 1) // 2])
    return Space(space.family, overrides)


def single(space: Space[Configuration]) -> Space[Configuration]:
    """Return the space that holds nothing but the default of a space."""
    return Space(space.family, {**space.overrides, **dict(space.default().decisions())})


def _check_single(rehearsal: Rehearsal) -> None:
    """Run a search that has only one configuration to propose: it may go on, or be done."""
    for _ in range(PATIENCE):
        numbers = {proposal.number for proposal in rehearsal.asked}
        if len(numbers) >= ALIKE or (rehearsal.done and not rehearsal.running):
            return
        rehearsal.step()
    raise AssertionError(f"in a space of one configuration a search must go on or be done, got neither in {PATIENCE} steps")


def _check_end(rehearsal: Rehearsal) -> None:
    """Run a search with an end; raise `AssertionError` where it doesn't, or isn't tidy afterwards."""
    count = rehearsal.plan.n_trials
    for _ in range(PATIENCE):
        if rehearsal.done and not rehearsal.running:
            break
        rehearsal.step()
    numbers = {proposal.number for proposal in rehearsal.asked}
    require(rehearsal.done, f"a search of {count} configurations must be done after {PATIENCE} steps")
    require(len(numbers) == count, f"a search of {count} configurations must propose as many, got {len(numbers)}")
    rest = rehearsal.strategy.ask(rehearsal.workers)
    require(not rest and rehearsal.done, "a strategy that said it is done must propose nothing, and stay done")
    require(numbers <= rehearsal.closed, "all configurations must be closed when the search is done")
