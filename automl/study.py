"""The search loop: the only place where strategy, executor, store and checkpoints meet."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from automl.backlog import Backlog
from automl.demands import Demands, tightened
from automl.executors.base import Executor, WorkersGone
from automl.limits import Limits
from automl.metrics import metric
from automl.objectives import Ledger
from automl.progress import Place, Progress, Tally, name_of
from automl.run_folder import Run
from automl.scoring import choose_score, judge
from automl.store import Record
from automl.strategies.base import Proposal, Result, Strategy
from automl.trial import Outcome, Trial
from search_spaces.configuration import Configuration
from search_spaces.domains import Infeasible

_TICK = 0.5  # seconds between two looks at the callbacks
_PATIENCE = 5  # proposals that don't fit into the time left, before no more are asked for until something ends

Callback = Callable[[Progress], bool | None]


@dataclass
class Study:
    """One search: asks the strategy, runs the trials, keeps the record.

    demands: what networks must keep to before they are trained; those that run out of memory tighten them. ledger: what networks
    cost, for the objectives of the search. backlog: what was proposed and waits for its turn.
    A callback is called after outcomes and about twice a second; the search ends early where it returns True. ended_by: why it
    ended, in words; failed: it couldn't go on.
    """

    run_folder: Run
    strategy: Strategy
    executor: Executor
    limits: Limits
    seed: int
    callbacks: Sequence[Callback] = ()
    demands: Demands | None = None
    ledger: Ledger = field(default_factory=Ledger)
    backlog: Backlog = field(default_factory=Backlog)
    running: dict[int, Proposal | str] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    baselines: dict[str, int] = field(default_factory=dict)
    ended_by: str = ""
    failed: bool = False
    _waiting: dict[tuple[int, int], Sequence[Trial]] = field(default_factory=dict)
    _is_hopeless: bool = False

    def run(self, baselines: Sequence[str]) -> None:
        """Search until the limits close or the strategy is done; a killed search goes on where it was.

        Ctrl-C ends it like a callback: what runs is abandoned, and goes on when the search is resumed.
        """
        try:
            self._take_over(baselines)
            while self.running or (self._is_open() and (self.backlog.waiting or not self.strategy.done)):
                self._begin()
                if not self.running:
                    break
                self._collect(self.executor.wait(_TICK))
                if self._interrupted():
                    self.ended_by = "a callback ended it"
                    return
            over = (
                "all trials are done"
                if self.strategy.done and not self.backlog.left
                else "the time is over, or too short for another trial"
            )
            self.ended_by = self.limits.stopped or over
        except WorkersGone as error:
            self.ended_by, self.failed = str(error), True
        except KeyboardInterrupt:
            self.ended_by = "interrupted"
        finally:
            self.executor.stop()

    def _take_over(self, baselines: Sequence[str]) -> None:
        """Learn what an earlier process finished, and begin again what it had begun."""
        self.baselines = {name: -1 - position for position, name in enumerate(baselines)}
        self.run_folder.checkpoints.sweep()
        records = self.run_folder.store.records()
        earlier = [(record.proposal, record) for record in records if isinstance(record.proposal, Proposal)]
        self.strategy.adopt([proposal for proposal, _ in earlier])
        last = {(proposal.number, proposal.stop): (proposal, record) for proposal, record in earlier}
        for proposal, record in sorted(last.values(), key=lambda pair: pair[1].place or 0):
            if record.result is not None and not (self.limits.open() and was_cut_by_the_end(record)):
                self.ledger.enter(proposal, record.outcomes)
                self._learn(proposal, record.outcomes, record.result)
        if not self.limits.open():
            return  # what would begin now could only fail, and be on record as failed
        for record in records:
            if record.outcomes:
                continue
            if isinstance(record.proposal, str):
                self._submit(record.proposal, record.trials)
            else:
                self._wait(record.proposal, record.trials)
        for proposal, record in last.values():
            if was_cut_by_the_end(record):  # again, and with trials of its own: what it reached before stays on record
                self._wait(proposal)
        self._begin_waiting()
        known = {record.proposal for record in records}
        if not earlier:  # a network goes before the baselines, which go before all other networks
            self._ask(1)
            self._begin_waiting()
        for name, number in self.baselines.items():
            if name not in known:
                trials = self._trials(number, name, (0, 1, 1))
                self.run_folder.store.begin(name, trials)
                self._submit(name, trials)

    def _is_open(self) -> bool:
        """Whether there is time, and more may be proposed or is."""
        return self.limits.open() or (bool(self.backlog.waiting) and self.limits.remaining() > 0)

    def _begin(self) -> None:
        """Begin what waits and can finish, and ask for more as long as there is room."""
        dropped = self.backlog.dropped
        while self._is_open():
            has_begun = self._begin_waiting()
            self._is_hopeless |= self.backlog.dropped >= dropped + _PATIENCE
            has_asked = not self._is_hopeless and self._ask(self.executor.room())
            if not has_begun and not has_asked:
                break

    def _begin_waiting(self) -> bool:
        """Begin what there is room for; whether that was anything."""
        free = self.executor.free()
        begun = self.backlog.take(self.executor.room(), free, free + len(self.running), self.limits.remaining())
        for proposal in begun:
            self._submit(proposal, self._waiting.pop((proposal.number, proposal.stop)))
        return bool(begun)

    def _ask(self, room: int) -> bool:
        """Ask for as many proposals as are wanted, and put them on record; whether there was one.

        The search draws to its end where no further network can be drawn.
        """
        wanting = self.backlog.wanting(room, self.limits.remaining()) if self.limits.open() else 0
        if not wanting:
            return False
        began, proposals = time.perf_counter(), list[Proposal]()
        try:
            proposals = self.strategy.ask(wanting)
        except Infeasible as error:
            self.limits.stop(f"no further network could be drawn: {error}")
        self.backlog.learn_thinking(time.perf_counter() - began, len(proposals), wanting)
        for proposal in proposals:
            self._wait(proposal)
        return bool(proposals)

    def _wait(self, proposal: Proposal, trials: Sequence[Trial] = ()) -> None:
        """Let a proposal wait for its turn, on record, so that a resumed search goes on with it. trials: if it is on record."""
        if not trials:
            trials = self._trials(proposal.number, proposal.configuration, span_of(proposal))
            self.run_folder.store.begin(proposal, trials)
        self._waiting[proposal.number, proposal.stop] = trials
        self.backlog.add(proposal)

    def _trials(self, number: int, configuration: Configuration | str, span: tuple[int, int, int]) -> list[Trial]:
        """Return a trial for each fold; `span` is (start, stop, total) in epochs."""
        start, stop, total = span
        first = self.run_folder.store.next_trial_number()
        return [
            Trial(
                number=first + fold,
                configuration_number=number,
                configuration=configuration,
                seed=seed_of(self.seed, number, fold),
                start=start,
                stop=stop,
                total=total,
                fold=fold,
                deadline=self.limits.deadline,
            )
            for fold in range(len(self.run_folder.task.folds))
        ]

    def _submit(self, proposal: Proposal | str, trials: Sequence[Trial]) -> None:
        allowance = self.limits.allowance(proposal)
        each = None if allowance is None else allowance / len(trials)
        given = [replace(trial, deadline=self.limits.deadline, allowance=each, demands=self.demands) for trial in trials]
        self.running[self.executor.submit(given)] = proposal
        self.tally.begin(proposal)

    def _collect(self, ended: Sequence[tuple[int, list[Outcome]]]) -> None:
        """Record what ended, tell the strategy, and let go of the checkpoints that nobody will continue."""
        self._is_hopeless = self._is_hopeless and not ended
        task, checkpoints = self.run_folder.task, self.run_folder.checkpoints
        for ticket, outcomes in ended:
            proposal = self.running.pop(ticket)
            if all(outcome.status == "timeout" and not outcome.seconds for outcome in outcomes):
                continue  # the end of the time came before it began: on record as begun, it waits for a resumed search
            if isinstance(proposal, str):
                self.run_folder.store.finish(outcomes, None)
                self.tally.end(proposal, outcomes, None, choose_score(task, checkpoints, self.baselines[proposal], outcomes))
                continue
            result = judge(task, checkpoints, proposal, outcomes, self.ledger.enter(proposal, outcomes))
            self.run_folder.store.finish(outcomes, result)
            self._learn(proposal, outcomes, result)
            checkpoints.discard_before(proposal.number, proposal.start)  # the rung before may be being read
        if ended:
            closed = self.strategy.closed
            self.tally.settle(closed)
            best = self.tally.best_numbers()
            self.executor.keep(closed, best)
            self.run_folder.release(closed, keep=best)

    def _learn(self, proposal: Proposal, outcomes: Sequence[Outcome], result: Result) -> None:
        for outcome in outcomes:
            if outcome.status == "out_of_memory" and outcome.memory_bytes:
                name = f"{type(proposal.configuration.architecture).__name__} #{proposal.number}"
                self.demands = tightened(self.demands, outcome.memory_bytes, name)
        self.strategy.tell([result])
        self.backlog.durations.learn(proposal, outcomes)
        scoring = metric(self.run_folder.task.metric, self.run_folder.task.kind)
        self.tally.end(proposal, outcomes, result, None if result.loss is None else scoring.loss(result.loss))

    def _interrupted(self) -> bool:
        """Show where the search stands; whether a callback asked for its end."""
        news = self.executor.news()
        for line in news:
            self.run_folder.store.add_event("lost", {"what": line})
        progress = replace(self.tally.progress(self.limits, len(self.running), self._places()), news=tuple(news))
        answers = [callback(progress) for callback in self.callbacks]
        return True in answers

    def _places(self) -> tuple[Place, ...]:
        """Return the machines of a cluster, with what runs on each by name."""
        running = {ticket: name_of(proposal) for ticket, proposal in self.running.items()}
        return tuple(
            Place(node.name, node.cpus, node.gpus, tuple(running[ticket] for ticket in node.tickets if ticket in running))
            for node in self.executor.nodes()
        )


def span_of(proposal: Proposal) -> tuple[int, int, int]:
    """Return the epochs (start, stop, total) of a proposal."""
    return proposal.start, proposal.stop, proposal.total


def was_cut_by_the_end(record: Record) -> bool:
    """Whether the time of the whole search was over before a proposal was done, rather than its own allowance."""
    deadline = record.trials[0].deadline
    if record.ended is None or deadline is None or record.ended < deadline - _TICK:
        return False
    return any(outcome.status in {"cut", "timeout"} for outcome in record.outcomes)


def seed_of(seed: int, number: int, fold: int) -> int:
    """Return the seed of a configuration on a fold: the same for all of its rungs, whatever else runs."""
    digest = hashlib.sha256(f"{seed}/{number}/{fold}".encode()).digest()
    return int.from_bytes(digest[:7], "big")
