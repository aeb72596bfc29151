"""Putting a search together: data, space, strategy, workers and record, for a new run or for one that goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from automl.backlog import Backlog
from automl.baselines import baseline_names
from automl.budget import searched_space
from automl.data.options import DataOptions
from automl.durations import Durations
from automl.enqueued import Enqueued, configurations
from automl.errors import OptionError
from automl.executors import Workers
from automl.limits import Limits
from automl.live import View, announced
from automl.objectives import Ledger
from automl.options import SearchOptions
from automl.portfolio import portfolio_for
from automl.result import SearchResult
from automl.run_folder import Run, check_free, make_empty
from automl.storage import Mirror, storage_of
from automl.strategies import Given, chosen, is_object, strategy_for, strategy_name
from automl.strategies.base import Plan, Proposal, Strategy
from automl.strategies.priors import space_with_guess
from automl.strategies.schedules import known
from automl.study import Callback, Study
from automl.task import Task, make_task
from search_spaces.configuration import FAMILIES, Configuration
from search_spaces.language import Architecture, Space
from search_spaces.storing import space_overrides_from_dict, space_overrides_to_dict

_SHARE = 3  # at most one of so many trials is of the portfolio


@dataclass(frozen=True)
class Launch:
    """A search about to begin.

    started: `time.time()` of the user's call, from which the time limit counts. enqueue: networks to try first. strategy: what
    the user gave, a name or an object; options hold its name.
    """

    started: float
    families: tuple[type[Architecture], ...]
    callbacks: Sequence[Callback]
    verbose: bool
    enqueue: Sequence[Enqueued] = ()
    strategy: Given[Configuration] = "auto"

    def new(
        self,
        path: Path,
        data: Any,
        data_options: DataOptions,
        options: SearchOptions,
        overrides: Mapping[str, object],
        *,
        overwrite: bool,
    ) -> SearchResult:
        """Search in the folder `path`, in the place of a search that is there if `overwrite`; `overrides` are of the space."""
        check_free(path, overwrite=overwrite)  # before minutes are spent on the data
        storage = storage_of(path, options.storage)
        if storage is not None:
            storage.check_free(overwrite=overwrite)
        # They load their libraries while the data are read.
        with Workers(options.executor, self.families, options.on_cluster, options.workers) as workers:
            with announced(data) if self.verbose else nullcontext():
                task = make_task(data, data_options)
            space, epochs = searched_space(task, options, self.families, overrides)
            options, enqueue = replace(options, epochs=epochs), self._tried_first(options, space, task)
            places = workers.capacity(options.workers)
            name, schedule = chosen(self.strategy, _plan(options, enqueue, places))
            options = replace(options, strategy=name, schedule=schedule)
            strategy = strategy_for(self.strategy if is_object(name) else name, space, _plan(options, enqueue, places))
            make_empty(path, overwrite=overwrite)
            listed = [configuration.to_dict() for configuration in enqueue]
            settings = {**options.to_dict(), "space": space_overrides_to_dict(space), "enqueue": listed}
            run = Run.create(path, task, settings, self.families)
            if storage is not None:
                storage.clear()
                storage.keep_task(path)
            return self._search(run, strategy, options, workers)

    def resumed(self, path: Path, changes: Mapping[str, Any]) -> SearchResult:
        """Go on with the search in the folder `path`; what isn't None of `changes` goes before its own options.

        Without a new time limit, what earlier runs used counts against theirs. A folder that is gone is made again from the copy
        in the storage, where one is given.
        """
        given = {name: value for name, value in changes.items() if value is not None}
        if "executor" in given and "cluster" not in given:
            given = {"cluster": None, "storage": None, "cpus_per_trial": 1.0, "gpus_per_trial": "auto", **given}
        elif "cluster" in given:
            given = {"workers": 0, **given}
        storage = storage_of(path, given.get("storage"))
        if storage is not None and not (path / "run.db").exists():
            storage.restore(path)
        run = Run.open(path, self.families)
        with run.store:
            settings = run.store.settings()
            options = SearchOptions.from_dict({**settings, **_latest_options(run), **given})
            space = Space(Configuration, space_overrides_from_dict(settings["space"], Configuration, (*FAMILIES, *self.families)))
            enqueue = configurations(settings["enqueue"], space, self.families, options.prior)
            with Workers(options.executor, self.families, options.on_cluster, options.workers) as called:
                plan = _plan(options, enqueue, called.capacity(options.workers))
                strategy = strategy_for(self._strategy_again(options.strategy), space, plan)
                spent = 0.0 if "time_limit" in given else _seconds_spent(run)
                return self._search(run, strategy, options, called, spent)

    def _tried_first(self, options: SearchOptions, space: Space[Configuration], task: Task) -> tuple[Configuration, ...]:
        """Return what is tried after the default: what the user enqueued, then the portfolio.

        The portfolio is left out where the user has a guess, which it doesn't follow. Where the number of trials is limited, the
        strategy has something to propose too. Raises `OptionError` where that is too small for what was enqueued.
        """
        enqueued, fold, most = configurations(self.enqueue, space, self.families, options.prior), task.folds[0], options.n_trials
        first = len(known(space_with_guess(space, options.prior), Plan(1, enqueue=enqueued)))
        if most is not None and enqueued and most < first:
            raise OptionError(f"n_trials must be at least {first}, to try the default and all that is enqueued, got {most}")
        if not options.portfolio or options.prior:
            return enqueued
        others = [one for one in portfolio_for(space, fold.inputs, fold.outputs) if one not in enqueued]
        return (*enqueued, *(others if most is None else others[: max(0, min(most // _SHARE, most - first - 1))]))

    def _strategy_again(self, name: str) -> Given[Configuration]:
        """Return the strategy of a search that goes on, `name` on its record. Raises `OptionError` where another one is given."""
        given = strategy_name(self.strategy)
        if given == "auto" and is_object(name):
            raise OptionError(
                f"the search had a strategy that was an object, {name}; pass it again: search(resume=..., strategy=...)"
            )
        if given in ("auto", name):
            return name if given == "auto" else self.strategy
        raise OptionError(f"strategy must be that of the earlier search, {name}, where it is given with resume; got {given}")

    def _search(
        self, run: Run, strategy: Strategy[Configuration], options: SearchOptions, workers: Workers, spent: float = 0.0
    ) -> SearchResult:
        limits = Limits(options.time_limit, self.started, spent, workers.closing)
        with ExitStack() as stack:
            stack.enter_context(run.store)
            run.store.add_event("started", {"called": self.started, "spent": spent, "options": options.to_dict()})
            view = stack.enter_context(View(run.task.metric)) if self.verbose else None
            if view is not None:
                view.say([*run.task.describe(), *([workers.notice] if workers.notice else []), f"run folder: {run.path}"])
            storage = storage_of(run.path, options.storage)
            mirror = Mirror(storage, run, view.say if view is not None else lambda _: None) if storage is not None else None
            if view is not None and options.cluster is not None and storage is None and _has_paused(run):
                view.say(
                    ["networks that go on train anew, with the same result: their checkpoints went with the cluster's memory"]
                )
            study = Study(
                run_folder=run,
                strategy=strategy,
                executor=stack.enter_context(workers.executor(run.path, options.workers, "" if storage is None else storage.url)),
                limits=limits,
                seed=options.seed,
                backlog=Backlog(options.n_trials, Durations(run.task.folds[0])),
                callbacks=[*self.callbacks, *([view] if view is not None else []), *([mirror] if mirror is not None else [])],
                demands=options.demands,
                ledger=Ledger(tuple(options.objectives)),
            )
            study.run(baseline_names(run.task) if options.baselines else ())
            ending = {"ended_by": study.ended_by, "infeasible": strategy.infeasible, "failed": study.failed}
            run.store.add_event("ended", ending)
            if mirror is not None:
                mirror.copy()
        return SearchResult(run, options.include_baselines)


def _plan(options: SearchOptions, enqueue: tuple[Configuration, ...], workers: int) -> Plan[Configuration]:
    return Plan(
        epochs=cast(int, options.epochs),
        seed=options.seed,
        n_trials=options.n_trials,
        schedule=options.schedule,
        enqueue=enqueue,
        prior=options.prior,
        workers=workers,
        objectives=1 + len(options.objectives),
    )


def _latest_options(run: Run) -> dict[str, Any]:
    """Return the options that the run had last: those of a resumed search go before those that it began with."""
    started = [event for event in run.store.events() if event.kind == "started"]
    return dict(started[-1].data["options"]) if started else {}


def _has_paused(run: Run) -> bool:
    """Whether a network of an earlier process may be gone on with."""
    proposed = [record for record in run.store.records() if isinstance(record.proposal, Proposal)]
    return any(record.result is None or not record.result.ended for record in proposed)


def _seconds_spent(run: Run) -> float:
    """Return the seconds that count against the time limit: from the last call to the last sign of life, and those before."""
    events = run.store.events()
    started = [event for event in events if event.kind == "started"]
    if not started:
        return 0.0
    last = [event.time for event in events] + [record.ended for record in run.store.records() if record.ended is not None]
    return float(started[-1].data["spent"] + max(last) - started[-1].data["called"])
