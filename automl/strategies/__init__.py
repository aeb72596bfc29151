"""Who decides what runs next: strategies by name. Libraries are imported when they are first used."""

from __future__ import annotations

from collections.abc import Callable

from automl.errors import OptionError, nearest
from automl.strategies.base import Plan, Strategy, Suggester
from automl.strategies.halving import Halving
from automl.strategies.random_search import RandomSearch
from automl.strategies.schedules import FullTraining
from automl.strategies.tpe import TPE
from search_spaces.configuration import Configuration
from search_spaces.language import Space

__all__ = ["SUGGESTERS", "Plan", "strategy_for"]

SUGGESTERS: dict[str, Callable[[Space[Configuration], int], Suggester]] = {"tpe": TPE, "random": RandomSearch}


def strategy_for(name: str, space: Space[Configuration], plan: Plan) -> Strategy:
    """Return the strategy called `name` (a key of `SUGGESTERS`) over a space.

    Under halving the space's schedules must be ones whose early epochs say something of the late ones: cosine or constant.
    Raises `OptionError` for an unknown name, `SpaceError` for an enqueued configuration outside of the space.
    """
    if name not in SUGGESTERS:
        raise OptionError(f"strategy must be one of {', '.join(SUGGESTERS)}, got {name!r}{nearest(name, SUGGESTERS)}")
    suggester = SUGGESTERS[name](space, plan.seed)
    return Halving(suggester, space, plan) if plan.halving else FullTraining(suggester, space, plan)
