"""Who decides what runs next: strategies by name. Libraries are imported when they are first used."""

from __future__ import annotations

from importlib import import_module
from typing import Any, cast

from automl.errors import OptionError, nearest
from automl.strategies.base import F, Plan, Strategy, Suggester
from automl.strategies.halving import Halving
from automl.strategies.schedules import FullTraining
from search_spaces.language import Space

__all__ = ["SCHEDULES", "STRATEGIES", "Plan", "strategy_for"]

# Where suggesters are, which their modules' libraries make slow to import: (module, class), made of (space, plan).
_SUGGESTERS = {
    "tpe": ("tpe", "TPE"),
    "gp": ("optuna_suggester", "gp"),
    "cmaes": ("optuna_suggester", "cmaes"),
    "nsga2": ("optuna_suggester", "nsga2"),
    "random": ("random_search", "RandomSearch"),
}
STRATEGIES = ("auto", *_SUGGESTERS)
SCHEDULES = ("auto", "full", "halving")


def strategy_for(name: str, space: Space[F], plan: Plan[F]) -> Strategy[F]:
    """Return the strategy called `name` (one of `STRATEGIES`) over a space.

    Where trainings are stopped early the space's schedules must be ones whose early epochs say something of the late ones: cosine
    or constant. Raises `OptionError` for an unknown name, `SpaceError` for an enqueued configuration outside of the space.
    """
    if name not in STRATEGIES:
        raise OptionError(f"strategy must be one of {', '.join(STRATEGIES)}, got {name!r}{nearest(name, STRATEGIES)}")
    suggester = suggester_for("tpe" if name == "auto" else name, space, plan)
    return FullTraining(suggester, space, plan) if plan.schedule == "full" else Halving(suggester, space, plan)


def suggester_for(name: str, space: Space[F], plan: Plan[F]) -> Suggester[F]:
    """Return the suggester of this name."""
    module, made = _SUGGESTERS[name]
    return cast("Suggester[F]", _loaded(module, made)(space, plan))


def _loaded(module: str, name: str) -> Any:
    return getattr(import_module(f"automl.strategies.{module}"), name)
