"""Who decides what runs next: strategies by name, samplers of Optuna's, or whatever makes one.

Libraries are imported when they are first used.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from automl.errors import OptionError, nearest
from automl.strategies.base import F, Maker, Plan, Schedule, Strategy, Suggester
from automl.strategies.checked import made_by
from automl.strategies.halving import Halving
from automl.strategies.hyperband import hyperband
from automl.strategies.median import MedianStopping
from automl.strategies.priors import Guided, space_with_guess
from automl.strategies.schedules import FullTraining
from search_spaces.language import Space

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

__all__ = ["SCHEDULES", "STRATEGIES", "Plan", "chosen", "is_object", "strategy_for", "strategy_name"]

# Where suggesters are, which their modules' libraries make slow to import: (module, class or function), made of (space, plan).
_SUGGESTERS = {
    "bayes": ("bayes", "Bayes"),
    "evolution": ("evolution", "Evolution"),
    "tpe": ("tpe", "TPE"),
    "gp": ("optuna_suggester", "gp"),
    "cmaes": ("optuna_suggester", "cmaes"),
    "nsga2": ("optuna_suggester", "nsga2"),
    "random": ("random_search", "RandomSearch"),
}
_SCHEDULES: dict[str, Callable[..., Strategy[Any]]] = {
    "full": FullTraining,
    "halving": Halving,
    "hyperband": hyperband,
    "median": MedianStopping,
}
STRATEGIES = ("auto", *_SUGGESTERS)
SCHEDULES = ("auto", *_SCHEDULES)
CROWD = 64  # workers
_SAMPLER, _OWN = "optuna:", "own:"  # how strategies are named that were given as objects

Given: TypeAlias = "str | BaseSampler | Maker[F]"


def strategy_for(given: Given[F], space: Space[F], plan: Plan[F]) -> Strategy[F]:
    """Return the strategy of a name (one of `STRATEGIES`), around a sampler of Optuna's, or that a function (space, plan) makes.

    Where trainings are stopped early the space's schedules must be ones whose early epochs say something of the late ones: cosine
    or constant. A function's strategy is used as it is, also where `plan.schedule` asks for another. Of a prior it takes the
    default from which it begins; freeze-thaw takes that, and weights (see `guess`); all others are guided by it (see `priors`).
    Raises `OptionError` for an unknown name, `SpaceError` for an enqueued configuration or a guess outside of the space.
    """
    name, schedule = chosen(given, plan)
    begun = space_with_guess(space, plan.prior) if plan.prior else space
    made: Suggester[F]
    if is_sampler(given):
        made = _loaded("optuna_suggester", "StudySuggester")(space, plan, given)
    elif not isinstance(given, str):
        return made_by(cast("Maker[F]", given), begun, plan, name)
    elif schedule == "auto":
        return cast("Strategy[F]", _loaded("freeze_thaw", "FreezeThaw")(begun, plan))
    else:
        made = suggester_for(name, space, plan)
    if plan.prior:
        made = Guided(made, begun, plan)
    return _SCHEDULES[schedule](made, begun, plan)


def chosen(given: Given[F], plan: Plan[F]) -> tuple[str, Schedule]:
    """Return the names of strategy and schedule that are meant where either is "auto".

    A run has these on record, so that it goes on with them whatever the plan of a later process. The schedule stays "auto" where
    the strategy itself decides how long each is trained: `bayes`, and a user's own. Raises `OptionError` for an unknown name.
    """
    name = strategy_name(given)
    name = automatic(plan) if name == "auto" else name
    if plan.schedule not in SCHEDULES:
        hint = nearest(plan.schedule, SCHEDULES)
        raise OptionError(f"schedule must be one of {', '.join(SCHEDULES)}, got {plan.schedule!r}{hint}")
    decides = name == "bayes" or name.startswith(_OWN)
    return name, "halving" if plan.schedule == "auto" and not decides else plan.schedule


def automatic(plan: Plan[F]) -> str:
    """Return the name of the strategy that suits a search.

    Bayesian search, which finds more than any other here while trainings are few, and decides by learning curves how long each
    goes on. Evolution where a model would be the bottleneck, with more than `CROWD` workers, and for several objectives, of which
    it keeps a whole front (results/lcbench, results/scaling).
    """
    return "evolution" if plan.workers > CROWD or plan.objectives > 1 else "bayes"


def suggester_for(name: str, space: Space[F], plan: Plan[F]) -> Suggester[F]:
    """Return the suggester of this name."""
    module, made = _SUGGESTERS[name]
    return cast("Suggester[F]", _loaded(module, made)(space, plan))


def strategy_name(given: object, *, is_record: bool = False) -> str:
    """Return the name under which a strategy is on record: an object's says its class.

    is_record: `given` may be such a name already. Raises `OptionError` for what is no strategy.
    """
    if isinstance(given, str) and (given in STRATEGIES or (is_record and is_object(given))):
        return given
    if is_sampler(given):
        return f"{_SAMPLER}{type(given).__name__}"
    if isinstance(given, type) and _is_sampler_class(given):
        raise OptionError(f"strategy must be a sampler, not its class; write {given.__name__}()")
    if callable(given):
        return f"{_OWN}{getattr(given, '__qualname__', type(given).__name__)}"
    objects = "" if isinstance(given, str) else ", an Optuna sampler, or a function of a space and a plan"
    raise OptionError(f"strategy must be one of {', '.join(STRATEGIES)}{objects}, got {given!r}{nearest(given, STRATEGIES)}")


def is_object(name: str) -> bool:
    """Return whether a name on record stands for a strategy that was an object."""
    return name.startswith((_SAMPLER, _OWN))


def is_sampler(given: object) -> bool:
    """Return whether this is a sampler of Optuna's; without loading Optuna, which whoever made one has done."""
    return _is_sampler_class(type(given))


def _is_sampler_class(given: type) -> bool:
    samplers = sys.modules.get("optuna.samplers")
    return samplers is not None and issubclass(given, samplers.BaseSampler)


def _loaded(module: str, name: str) -> Any:
    return getattr(import_module(f"automl.strategies.{module}"), name)
