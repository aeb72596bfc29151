"""Searches with Optuna's own samplers and pruners in a plain study, as Optuna's pages show it: what ours are compared with."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import optuna

from automl.simulation import Event, Simulation
from automl.strategies.base import F, Proposal, Result
from search_spaces.base import Infeasible
from search_spaces.language import Space
from search_spaces.leaves import FloatRange, IntRange, Options

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.trial import Trial

    from search_spaces.base import Leaf, Scalar


class Curves(Protocol[F]):
    """A benchmark that knows whole learning curves. curve: losses after each of `epochs` epochs; an epoch costs 1."""

    space: Space[F]
    epochs: int

    def curve(self, configuration: F) -> Any: ...


def search(
    benchmark: Curves[F], sampler: BaseSampler, budget: float, pruner: BasePruner | None = None, first: F | None = None
) -> Simulation[F]:
    """Search within a budget (epochs) with one worker. pruner: without, all is trained in full; first: is tried first."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=sampler, pruner=pruner or optuna.pruners.NopPruner())
    if first is not None:
        study.enqueue_trial(parameters(benchmark.space, first))
    simulation: Simulation[F] = Simulation()
    spent = 0.0
    while True:
        began = time.perf_counter()
        trial = study.ask()
        try:
            configuration = suggested(benchmark.space, trial)
        except Infeasible:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            continue
        simulation.asks.append(time.perf_counter() - began)
        curve = np.asarray(benchmark.curve(configuration))
        epochs = len(curve)
        stop = epochs if pruner is None else _stopped(trial, curve)
        if spent + stop > budget:
            return simulation
        spent += stop
        proposal = Proposal(simulation.proposed, configuration, 0, stop, epochs)
        simulation.events.append(Event(spent, spent, Result(proposal, float(curve[stop - 1]), ended=True, seconds=stop)))
        simulation.proposed += 1
        began = time.perf_counter()
        if stop < epochs:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(trial, float(curve[-1]))
        simulation.tells.append(time.perf_counter() - began)


def _stopped(trial: Trial, curve: np.ndarray[Any, Any]) -> int:
    """Return the epoch at which the study's pruner stops a training, or the last."""
    for epoch, loss in enumerate(curve.tolist(), 1):
        trial.report(loss, epoch)
        if epoch < len(curve) and trial.should_prune():
            return epoch
    return len(curve)


def parameters(space: Space[F], configuration: F) -> dict[str, Scalar]:
    """Return the parameters that a configuration has in Optuna: whole numbers of steps where a leaf has steps."""
    made, found = dict(configuration.decisions()), {}

    def choose(path: str, leaf: Leaf) -> Scalar:
        value = made[path]
        found[path] = value // leaf.multiple_of if isinstance(leaf, IntRange) else value  # type: ignore[operator]
        return value

    space.draw(choose)
    return found


def suggested(space: Space[F], trial: Trial) -> F:
    """Return what Optuna suggests, one parameter for each open decision."""

    def choose(path: str, leaf: Leaf) -> Scalar:
        match leaf:
            case FloatRange():
                return trial.suggest_float(path, leaf.low, leaf.high, log=leaf.log)
            case IntRange(multiple_of=1):
                return trial.suggest_int(path, leaf.low, leaf.high, log=leaf.log)
            case IntRange():
                of = leaf.multiple_of
                return of * trial.suggest_int(path, leaf.low // of, leaf.high // of, log=leaf.log)
            case Options():
                return trial.suggest_categorical(path, leaf.values)  # type: ignore[no-any-return]
        raise AssertionError(f"no leaf {leaf!r}")

    return space.draw(choose)
