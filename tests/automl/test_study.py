"""The search loop, with an executor that trains nothing and a strategy that says what it is told to."""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from automl.backlog import Backlog
from automl.demands import Demands
from automl.executors.base import Node
from automl.limits import Limits
from automl.objectives import Ledger
from automl.progress import Place
from automl.run_folder import Run
from automl.strategies import strategy_for
from automl.strategies.base import Plan, Proposal
from automl.study import Study, seed_of
from automl.testing import example_space
from automl.training.checkpoint import Progress, Snapshot
from automl.trial import Outcome
from search_spaces.configuration import Configuration
from search_spaces.domains import Infeasible


class ScriptedExecutor:
    """Ends cohorts in the order of submission, with the outcomes that `script` makes of a trial.

    `size` fit in at a time; `places` of them would be trained at once, all unless told otherwise.
    """

    def __init__(self, script=lambda trial: Outcome(trial.number, "finished", score=0.5), size=2, places=None):
        self.script = script
        self.size = size
        self.places = places
        self.waiting = {}
        self.submitted = []
        self.most = 0
        self.stopped = 0
        self.kept = []

    def room(self):
        return self.size - len(self.waiting)

    def free(self):
        return (self.places or self.size) - len(self.waiting)

    def submit(self, trials):
        self.submitted.append(list(trials))
        self.waiting[len(self.submitted)] = list(trials)
        self.most = max(self.most, len(self.waiting))
        return len(self.submitted)

    def wait(self, seconds):
        time.sleep(0.001)
        if not self.waiting:
            return []
        ticket = min(self.waiting)
        return [(ticket, [self.script(trial) for trial in self.waiting.pop(ticket)])]

    def nodes(self):
        return ()

    def news(self):
        return []

    def keep(self, closed, best):
        self.kept.append((closed, best))

    def stop(self):
        self.stopped += 1
        self.waiting.clear()

    @property
    def names(self):
        return [
            trials[0].configuration if isinstance(trials[0].configuration, str) else trials[0].configuration_number
            for trials in self.submitted
        ]


class ClusterExecutor(ScriptedExecutor):
    """A cluster of two machines: the second joins with the third cohort, and every cohort runs on the one joined last."""

    def nodes(self):
        at_work = tuple(self.waiting)
        first = Node("node-a", 16.0, 0.0, () if len(self.submitted) > 2 else at_work)
        return (first, Node("node-b", 8.0, 1.0, at_work)) if len(self.submitted) > 2 else (first,)


class ScriptedStrategy:
    """Proposes what it was given, in this order, then nothing; done when all is told, unless it is `endless`."""

    def __init__(self, proposals, closed=(), *, endless=False):
        self.proposals = list(proposals)
        self.told = []
        self.adopted = []
        self.expected = len(self.proposals)
        self.closing = frozenset(closed)
        self.endless = endless

    @property
    def done(self):
        return not self.endless and len(self.told) >= self.expected

    @property
    def closed(self):
        return self.closing & {result.proposal.number for result in self.told}

    def ask(self, room):
        asked, self.proposals = self.proposals[:room], self.proposals[room:]
        return asked

    def tell(self, results):
        self.told.extend(results)

    def adopt(self, proposals):
        self.adopted.extend(proposals)
        self.proposals = [proposal for proposal in self.proposals if proposal not in proposals]


class Forever(ScriptedStrategy):
    """Always has one more."""

    def __init__(self):
        super().__init__([], endless=True)
        self.asked = 0

    def ask(self, room):
        self.asked += room
        return [proposal(self.asked - 1 - position) for position in range(room)]


class Eager(ScriptedStrategy):
    """Done as soon as all is proposed, as strategies are."""

    @property
    def done(self):
        return not self.proposals


class Dry(ScriptedStrategy):
    """Can't draw another network after the last of its proposals."""

    def ask(self, room):
        if not self.proposals:
            raise Infeasible("no such network")
        return super().ask(room)


def proposal(number, start=0, stop=3, total=9):
    return Proposal(number, Configuration(), start, stop, total)


def scored(score, **more):
    return lambda trial: Outcome(trial.number, "finished", score=score, epochs=trial.stop, **more)


@pytest.fixture
def folder(tmp_path, toy_task):
    """Return a function that makes the folder of a new run, or opens the one that it made."""

    def make(task=None):
        path = tmp_path / "run"
        return Run.open(path) if path.exists() else Run.create(path, task or toy_task(), {})

    return make


@pytest.fixture
def study(folder):
    """Return a function that makes a study in a new run, or in the one that it made before."""
    runs = []

    def make(strategy, executor=None, limits=None, callbacks=(), task=None):
        for run in runs:
            run.store.close()
        runs.append(folder(task))
        executor = executor or ScriptedExecutor()
        return Study(runs[-1], strategy, executor, limits or Limits(None, time.time()), seed=7, callbacks=callbacks)

    yield make
    for run in runs:
        run.store.close()


def test_every_proposal_is_run_recorded_and_told_once(study):
    strategy, executor = ScriptedStrategy([proposal(number) for number in range(5)]), ScriptedExecutor(size=3)
    searching = study(strategy, executor)
    searching.run(())
    assert executor.names == [0, 1, 2, 3, 4]
    assert [result.proposal.number for result in strategy.told] == [0, 1, 2, 3, 4]
    assert {result.loss for result in strategy.told} == {-0.5}
    records = searching.run_folder.store.records()
    assert [record.result for record in records] == strategy.told
    assert [trial.number for record in records for trial in record.trials] == [0, 1, 2, 3, 4]
    assert searching.ended_by == "all trials are done"
    assert executor.stopped == 1
    assert executor.most <= 3


def test_a_space_in_which_nothing_more_can_be_drawn_ends_the_search(study):
    searching = study(Dry([proposal(0)], endless=True), ScriptedExecutor())
    searching.run(())
    assert searching.ended_by == "no further network could be drawn: no such network"
    assert searching.tally.best.name == "MLP #0"


def test_what_waits_begins_where_nothing_more_can_be_drawn(study):
    executor = ScriptedExecutor(size=6, places=1)
    searching = study(Dry([proposal(number) for number in range(5)], endless=True), executor)
    searching.backlog = Backlog(n_trials=5)
    searching.run(())
    assert executor.names == [0, 1, 2, 3, 4]
    assert searching.ended_by == "no further network could be drawn: no such network"


def test_near_the_end_the_longest_of_those_that_wait_begins_first(study):
    lengths = [3, 1, 9, 3, 3, 1, 2, 9]
    strategy = ScriptedStrategy([proposal(number, stop=stop) for number, stop in enumerate(lengths)])
    executor = ScriptedExecutor(scored(0.5, seconds=1.0, curve=((1, 0.5),)), size=6, places=2)
    searching = study(strategy, executor)
    searching.backlog = Backlog(n_trials=8)
    searching.run(())
    assert executor.names == [0, 1, 2, 3, 4, 7, 6, 5]
    assert searching.ended_by == "all trials are done"
    assert [result.proposal.number for result in strategy.told] == executor.names


def test_what_the_end_of_the_time_kept_from_beginning_waits_on_record(study):
    strategy = ScriptedStrategy([proposal(0), proposal(1)])
    outcomes = {0: Outcome(0, "finished", score=0.5, seconds=1.0), 1: Outcome(1, "timeout", "its deadline came before it began")}
    searching = study(strategy, ScriptedExecutor(lambda trial: outcomes[trial.number]))
    searching.run(())
    assert [result.proposal.number for result in strategy.told] == [0]
    assert searching.run_folder.store.records()[1].outcomes == ()
    assert searching.tally.failed == 0


@pytest.mark.parametrize("status", ["diverged", "out_of_memory", "infeasible", "timeout", "killed", "error"])
def test_a_failure_is_told_as_none_and_ended_and_keeps_its_reason(study, status):
    strategy = ScriptedStrategy([proposal(0), proposal(1)])
    outcomes = {0: Outcome(0, status, "the reason", seconds=1.0), 1: Outcome(1, "finished", score=0.25, epochs=3)}
    searching = study(strategy, ScriptedExecutor(lambda trial: outcomes[trial.number]))
    searching.run(())
    assert [(result.loss, result.ended) for result in strategy.told] == [(None, True), (-0.25, False)]
    assert searching.run_folder.store.records()[0].outcomes[0] == outcomes[0]
    assert (searching.tally.failed, searching.tally.best.name) == (1, "MLP #1")


def test_a_broken_limit_is_told_and_counted_apart_from_failures(study):
    refused = Outcome(0, "infeasible", "9 parameters, more than max_parameters=5", parameters=9, violation=0.6)
    outcomes = {0: refused, 1: Outcome(1, "killed", "signal 9"), 2: Outcome(2, "finished", score=0.25, seconds=1.5)}
    strategy = ScriptedStrategy([proposal(number) for number in range(3)])
    searching = study(strategy, ScriptedExecutor(lambda trial: outcomes[trial.number]))
    searching.demands = Demands(max_parameters=5)
    searching.run(())
    assert {trial.demands for trials in searching.executor.submitted for trial in trials} == {Demands(max_parameters=5)}
    assert [(result.loss, result.violation, result.ended) for result in strategy.told[:2]] == [
        (None, 0.6, True),
        (None, 0.0, True),
    ]
    progress = searching.tally.progress(searching.limits, 0)
    assert (progress.ended, progress.refused, progress.failed) == (3, 1, 1)
    assert [entry.name for entry in progress.latest] == ["MLP #1", "MLP #2"]
    assert [record.result for record in searching.run_folder.store.records()] == strategy.told


def test_who_runs_out_of_memory_tightens_what_is_demanded_of_later_ones_also_when_resumed(study):
    lacking = {1: 900, 2: 0, 3: 500, 4: 700}

    def train(trial):
        number = trial.configuration_number
        if number in lacking:
            return Outcome(trial.number, "out_of_memory", "no room", seconds=1.0, memory_bytes=lacking[number])
        return Outcome(trial.number, "finished", score=0.5, seconds=1.0, memory_bytes=10)

    def run(numbers):
        executor = ScriptedExecutor(train, size=1)
        searching = study(ScriptedStrategy([proposal(number) for number in numbers]), executor)
        searching.run(("majority",))
        return searching.demands, [trials[0].demands for trials in executor.submitted]

    ninth = Demands(max_row_memory=899, learnt_from="MLP #1")
    fifth = Demands(max_row_memory=499, learnt_from="MLP #3")
    assert run(range(6)) == (fifth, [None, None, None, ninth, ninth, fifth, fifth])
    assert run(range(8)) == (fifth, [fifth, fifth])


def test_what_is_demanded_by_the_user_stays_beside_what_was_learnt(study):
    def train(trial):
        return Outcome(trial.number, "out_of_memory", "no room", seconds=1.0, memory_bytes=100)

    searching = study(ScriptedStrategy([proposal(0), proposal(1)]), ScriptedExecutor(train, size=1))
    searching.demands = Demands(max_parameters=5, is_timed=True)
    searching.run(())
    assert searching.executor.submitted[1][0].demands == Demands(
        max_parameters=5, is_timed=True, max_row_memory=99, learnt_from="MLP #0"
    )


def test_objectives_are_those_of_the_configuration_over_all_of_its_rungs_also_when_resumed(study):
    def train(trial):
        first = {"latency_ms": 0.25, "weight_bytes": 4096} if not trial.start else {}
        curve = ((trial.start + 1, 0.25), (trial.stop, 0.5))
        return Outcome(trial.number, "finished", score=0.5, seconds=trial.stop / 4, parameters=7, curve=curve, **first)

    proposals = [proposal(0), proposal(0, 3, 9), proposal(1)]

    def run(given):
        strategy = ScriptedStrategy(proposals)
        searching = study(strategy, ScriptedExecutor(train, size=1))
        searching.ledger = Ledger(("seconds", "bytes", "latency", "parameters"))
        strategy.ask, asked = lambda room: asked(min(room, max(0, given - len(strategy.told)))), strategy.ask
        searching.run(())
        return strategy.told

    assert [result.others for result in run(1)] == [(0.75, 4096.0, 0.25, 7.0)]
    told = run(3)
    assert [result.others for result in told] == [(0.75, 4096.0, 0.25, 7.0), (3.0, 4096.0, 0.25, 7.0), (0.75, 4096.0, 0.25, 7.0)]
    assert [result.seconds for result in told] == [0.75, 2.25, 0.75]
    assert run(3) == told


def test_one_failed_fold_fails_the_whole_configuration(study, toy_task):
    task = toy_task()
    first, second = (replace(task.folds[0], choose=part) for part in np.array_split(task.folds[0].choose, 2))
    strategy = ScriptedStrategy([proposal(0)])
    ends = {0: Outcome(0, "finished", score=0.5), 1: Outcome(1, "killed", "signal 9")}
    searching = study(strategy, ScriptedExecutor(lambda trial: ends[trial.number]), task=toy_task(folds=(first, second)))
    searching.run(())
    assert [(trial.fold, trial.configuration_number) for trial in searching.executor.submitted[0]] == [(0, 0), (1, 0)]
    assert len({trial.seed for trial in searching.executor.submitted[0]}) == 2
    assert (strategy.told[0].loss, strategy.told[0].ended) == (None, True)


def test_a_training_that_stopped_early_or_is_whole_has_ended(study):
    proposals = [proposal(0), proposal(1), proposal(2, stop=9)]
    statuses = {0: "stopped", 1: "finished", 2: "finished"}
    strategy = ScriptedStrategy(proposals)
    study(strategy, ScriptedExecutor(lambda trial: Outcome(trial.number, statuses[trial.number], score=0.5))).run(())
    assert [result.ended for result in strategy.told] == [True, False, True]


def test_one_network_begins_then_the_baselines_each_once(study):
    strategy, executor = ScriptedStrategy([proposal(number) for number in range(3)]), ScriptedExecutor(size=2)
    searching = study(strategy, executor)
    searching.run(("majority", "linear"))
    assert executor.names == [0, "majority", "linear", 1, 2]
    assert [result.proposal.number for result in strategy.told] == [0, 1, 2]
    baselines = [record for record in searching.run_folder.store.records() if isinstance(record.proposal, str)]
    assert [(record.trials[0].configuration_number, record.result) for record in baselines] == [(-1, None), (-2, None)]
    again = ScriptedExecutor()
    study(ScriptedStrategy([proposal(3)]), again).run(("majority", "linear", "boosting"))
    assert again.names == ["boosting", 3]


def test_a_rung_has_the_seed_of_the_rung_before(study):
    executor = ScriptedExecutor()
    study(ScriptedStrategy([proposal(4), proposal(5), proposal(4, 3, 9)]), executor).run(())
    seeds = [trials[0].seed for trials in executor.submitted]
    assert seeds[0] == seeds[2] == seed_of(7, 4, 0) != seeds[1]
    assert len({seed_of(seed, number, fold) for seed in range(5) for number in range(5) for fold in range(5)}) == 125


def test_what_was_killed_goes_on_under_its_numbers_and_what_had_ended_is_told_in_its_order(study):
    proposals = [proposal(number) for number in range(6)]
    slow = iter([0, 2])  # ends come in another order than beginnings

    class Killed(ScriptedExecutor):
        def wait(self, seconds):
            ticket = next(slow, None)
            if ticket is None:
                raise KeyboardInterrupt
            return [(ticket + 1, [self.script(trial) for trial in self.waiting.pop(ticket + 1)])]

    first = study(ScriptedStrategy(proposals), Killed(size=3))
    first.run(())
    assert first.ended_by == "interrupted"
    assert first.executor.names == [0, 1, 2, 3, 4]
    strategy, executor = ScriptedStrategy(proposals), ScriptedExecutor(size=3)
    second = study(strategy, executor, Limits(600.0, time.time()))
    second.run(())
    assert [asked.number for asked in strategy.adopted] == [0, 1, 2, 3, 4]
    assert [result.proposal.number for result in strategy.told] == [0, 2, 1, 3, 4, 5]
    assert executor.names == [1, 3, 4, 5]
    assert [trials[0].number for trials in executor.submitted] == [1, 3, 4, 5]
    assert [trials[0].seed for trials in executor.submitted[:3]] == [
        first.executor.submitted[number][0].seed for number in (1, 3, 4)
    ]
    assert all(trials[0].deadline == second.limits.deadline for trials in executor.submitted)
    assert (second.tally.begun, len(second.tally.numbers)) == (4, 6)


def test_where_no_time_is_left_nothing_begins_that_could_only_fail(study):
    def interrupted(_):
        raise KeyboardInterrupt

    proposals = [proposal(number) for number in range(3)]
    study(ScriptedStrategy(proposals), ScriptedExecutor(), callbacks=[interrupted]).run(("majority",))
    late = study(ScriptedStrategy(proposals), limits=Limits(5.0, time.time() - 9))
    late.run(("majority", "linear"))
    assert late.executor.submitted == []
    assert "the time is over" in late.ended_by
    later = study(ScriptedStrategy(proposals))
    later.run(("majority", "linear"))
    assert {record.proposal for record in later.run_folder.store.records() if record.outcomes} >= {"majority", "linear"}
    assert len(later.strategy.told) == 3


def test_what_can_not_finish_in_time_is_not_begun(study):
    slow = scored(0.5, seconds=3.0, curve=((1, 0.5), (2, 0.5), (3, 0.5)))  # a second for an epoch
    proposals = [proposal(0), *(proposal(number, 0, 90, 90) for number in range(1, 9)), proposal(9, 0, 5, 90)]
    strategy, executor = ScriptedStrategy(proposals), ScriptedExecutor(slow, size=1)
    searching = study(strategy, executor, Limits(30.0, time.time()))
    searching.run(())
    assert executor.names == [0]
    assert [bool(record.outcomes) for record in searching.run_folder.store.records()] == [True] + [False] * 5
    assert searching.ended_by == "the time is over, or too short for another trial"


def test_what_is_short_enough_still_begins_beside_what_is_not(study):
    slow = scored(0.5, seconds=3.0, curve=((1, 0.5), (2, 0.5), (3, 0.5)))
    proposals = [proposal(0), proposal(1, 0, 90, 90), proposal(2), proposal(0, 3, 9), proposal(3, 0, 90, 90), proposal(4)]
    executor = ScriptedExecutor(slow, size=1)
    study(ScriptedStrategy(proposals), executor, Limits(30.0, time.time())).run(())
    assert executor.names == [0, 2, 0, 4]


def test_a_strategy_that_never_ends_is_ended_by_the_limits(study):
    executor, began = ScriptedExecutor(), time.monotonic()
    searching = study(Forever(), executor, Limits(1.0, time.time()))
    searching.run(())
    assert "the time is over" in searching.ended_by
    assert len(executor.submitted) > 10
    assert time.monotonic() - began < 5
    assert (executor.waiting, executor.stopped) == ({}, 1)
    assert sum(bool(record.outcomes) for record in searching.run_folder.store.records()) == len(executor.submitted)


class Slow(Forever):
    """Takes its time for each proposal; notes what it was asked for, and in how many seconds the search has to end."""

    def __init__(self, limits):
        super().__init__()
        self.limits = limits
        self.noted = []

    def ask(self, room):
        self.noted.append((room, self.limits.remaining()))
        time.sleep(0.1 * room)
        return super().ask(room)


def test_a_slow_strategy_is_asked_for_what_it_can_think_of_in_the_time_left(study):
    limits = Limits(1.0, time.time())
    strategy = Slow(limits)
    searching = study(strategy, ScriptedExecutor(size=20), limits)
    searching.run(())
    assert strategy.noted[0][0] == 1
    assert all(0.1 * room <= remaining for room, remaining in strategy.noted)
    assert searching.ended_by == "the time is over, or too short for another trial"


def test_a_strategy_that_has_nothing_to_say_does_not_hang_the_search(study):
    searching = study(ScriptedStrategy([proposal(0)], endless=True))
    searching.run(())
    assert searching.executor.names == [0]


def write_checkpoint(run, number, epoch):
    weights = {"w": torch.zeros(1)}
    run.checkpoints.write(number, 0, Snapshot(Progress(epoch=epoch), weights, weights, {}))


def test_checkpoints_of_closed_configurations_go_but_for_the_five_best(study):
    strategy = ScriptedStrategy([proposal(number, 0, 9) for number in range(8)], closed=range(7))
    searching = study(strategy, ScriptedExecutor())
    checkpoints = searching.run_folder.checkpoints

    def train(trial):
        write_checkpoint(searching.run_folder, trial.configuration_number, trial.stop)
        return Outcome(trial.number, "finished", score=trial.number / 10, epochs=trial.stop)

    searching.executor.script = train
    searching.run(())
    assert [number for number in range(8) if checkpoints.exists(number, 0, 9)] == [3, 4, 5, 6, 7]


def test_weights_of_the_last_two_rungs_are_kept(study):
    rungs = [proposal(number, start, stop) for start, stop in ((0, 1), (1, 3), (3, 9)) for number in (0, 1)]
    searching = study(ScriptedStrategy(rungs), ScriptedExecutor(size=1))
    checkpoints = searching.run_folder.checkpoints

    def train(trial):
        if trial.configuration_number == 1 and trial.start == 3:
            return Outcome(trial.number, "killed", "signal 9")
        write_checkpoint(searching.run_folder, trial.configuration_number, trial.stop)
        return Outcome(trial.number, "finished", score=0.5, epochs=trial.stop)

    searching.executor.script = train
    searching.run(())
    kept = [(number, epoch) for number in (0, 1) for epoch in (1, 3, 9) if checkpoints.exists(number, 0, epoch)]
    assert kept == [(0, 3), (0, 9), (1, 3)]


class Broken(Exception):
    pass


@pytest.mark.parametrize("where", ["submit", "wait", "ask", "tell", "callback"])
def test_whatever_raises_nothing_is_left_running_and_the_search_can_go_on(study, where):
    def fail(*_):
        raise Broken

    strategy, executor = ScriptedStrategy([proposal(number) for number in range(3)]), ScriptedExecutor()
    searching = study(strategy, executor, callbacks=[fail] if where == "callback" else [])
    if where != "callback":
        setattr(executor if where in ("submit", "wait") else strategy, where, fail)
    with pytest.raises(Broken):
        searching.run(("majority",))
    assert (executor.stopped, executor.waiting) == (1, {})
    resumed = study(ScriptedStrategy([proposal(number) for number in range(3)]))
    resumed.run(("majority",))
    assert all(record.outcomes for record in resumed.run_folder.store.records())
    assert len(resumed.run_folder.store.records()) == 4
    assert len(resumed.strategy.told) == 3


def test_a_callback_that_returns_true_ends_the_search(study):
    seen = []

    def enough(progress):
        seen.append(progress)
        return progress.ended >= 2

    searching = study(ScriptedStrategy([proposal(number) for number in range(9)]), callbacks=[lambda _: None, enough])
    searching.run(())
    assert searching.ended_by == "a callback ended it"
    assert seen[-1].ended == 2
    assert searching.executor.stopped == 1


def test_callbacks_are_told_which_machine_runs_what(study):
    shown = []
    searching = study(
        ScriptedStrategy([proposal(number) for number in range(5)]),
        ClusterExecutor(size=2),
        callbacks=[lambda progress: shown.append(progress.nodes)],
    )
    searching.run(["majority"])
    assert shown[0] == (Place("node-a", 16.0, 0.0, ("majority",)),)
    assert shown[1] == (Place("node-a", 16.0, 0.0), Place("node-b", 8.0, 1.0, ("MLP #1",)))
    assert shown[-1] == (Place("node-a", 16.0, 0.0), Place("node-b", 8.0, 1.0))
    assert {name for nodes in shown for node in nodes for name in node.running} == {
        "majority",
        *(f"MLP #{n}" for n in range(1, 5)),
    }


def test_on_one_machine_callbacks_are_told_of_no_nodes(study):
    shown = []
    study(ScriptedStrategy([proposal(0)]), callbacks=[lambda progress: shown.append(progress.nodes)]).run(())
    assert set(shown) == {()}


@pytest.mark.parametrize(("workers", "order"), [(1, [0, 1, 2, 3]), (2, [0, 2, 3, 1])])
def test_of_the_last_ones_the_longest_begins_first_where_several_run_at_once(study, workers, order):
    def script(trial):
        executor.size = 8
        curve = tuple((epoch, 0.5) for epoch in range(trial.start + 1, trial.stop + 1))
        return Outcome(trial.number, "finished", score=0.5, epochs=trial.stop, seconds=float(len(curve)), curve=curve)

    executor = ScriptedExecutor(script, size=1, places=workers)
    made = study(ScriptedStrategy([proposal(0), proposal(1, stop=1), proposal(2, stop=9), proposal(3, stop=3)]), executor)
    made.run(())
    assert executor.names == order


@pytest.mark.parametrize("schedule", ["auto", "full", "halving", "hyperband"])
def test_what_waited_when_a_search_was_cut_off_begins_when_it_goes_on(study, schedule):
    def script(trial):
        curve = tuple((epoch, 0.5) for epoch in range(trial.start + 1, trial.stop + 1))
        seconds = float(len(curve)) * (1 + trial.configuration_number % 3)
        return Outcome(trial.number, "finished", score=1 / (2 + trial.number), epochs=trial.stop, seconds=seconds, curve=curve)

    def searching(**more):
        made = study(
            strategy_for("bayes", example_space(), Plan(9, n_trials=10, schedule=schedule, workers=3)),
            ScriptedExecutor(script, size=6, places=3),
            **more,
        )
        made.backlog = Backlog(n_trials=10)
        made.run(())
        return made

    first = searching(callbacks=[lambda progress: progress.ended >= 5])
    begun = {name for name in first.executor.names if isinstance(name, int)}
    waited = {record.proposal.number for record in first.run_folder.store.records()} - begun
    assert waited
    further = searching()
    assert waited <= set(further.executor.names)
    assert begun | set(further.executor.names) == set(range(10))
    assert further.ended_by == "all trials are done"
    again = [(record.proposal.number, record.proposal.stop) for record in further.run_folder.store.records()]
    assert len(again) == len(set(again))


def test_a_resumed_search_knows_how_far_it_is(study):
    first = study(ScriptedStrategy([proposal(number) for number in range(6)]), ScriptedExecutor(size=1))
    first.run(())
    lengths = (1, 9, 3, 1)
    executor = ScriptedExecutor(scored(0.5, seconds=1.0, curve=((1, 0.5),)), size=4, places=2)
    strategy = ScriptedStrategy([proposal(6 + i, stop=stop) for i, stop in enumerate(lengths)])
    strategy.expected = 10
    further = study(strategy, executor)
    further.backlog = Backlog(n_trials=10)
    further.backlog.durations.learn(proposal(0), [Outcome(0, "finished", score=0.5, seconds=1.0, curve=((1, 0.5),))])
    further.run(())
    assert executor.names == [7, 8, 6, 9]


def test_what_does_not_fit_is_said_to_be_left(study):
    slow = scored(0.5, seconds=3.0, curve=((1, 0.5), (2, 0.5), (3, 0.5)))
    executor = ScriptedExecutor(slow, size=1)
    searching = study(Eager([proposal(0), proposal(1, 0, 90, 90)]), executor, Limits(30.0, time.time()))
    searching.run(())
    assert executor.names == [0]
    assert searching.ended_by == "the time is over, or too short for another trial"


def test_what_waits_begins_though_all_others_ended_at_once(study):
    class AtOnce(ScriptedExecutor):
        def wait(self, seconds):
            ended = [super(AtOnce, self).wait(seconds) for _ in range(len(self.waiting))]
            return [pair for pairs in ended for pair in pairs]

    executor = AtOnce(size=6, places=2)
    searching = study(Eager([proposal(number) for number in range(6)]), executor)
    searching.backlog = Backlog(n_trials=6)
    searching.run(())
    assert sorted(executor.names) == list(range(6))


def test_what_fits_begins_though_many_others_do_not(study):
    slow = scored(0.5, seconds=3.0, curve=((1, 0.5), (2, 0.5), (3, 0.5)))
    proposals = [proposal(0), *(proposal(number, 0, 90, 90) for number in range(1, 7)), proposal(7)]
    executor = ScriptedExecutor(slow, size=8)
    first = study(ScriptedStrategy([]), executor)
    for each in proposals:
        first._wait(each)
    further = study(ScriptedStrategy([]), executor, Limits(30.0, time.time()))
    further.backlog.durations.learn(proposal(9), [Outcome(0, "finished", score=0.5, seconds=1.0, curve=((1, 0.5),))])
    further.run(())
    assert executor.names == [0, 7]
