"""Who is trained for how long, where everyone is trained in full; and the numbering that all schedules share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic

from automl.strategies.base import F, Plan, Proposal, Result, Suggester
from search_spaces.language import Space
from search_spaces.variation import default_of


class Configurations(Generic[F]):
    """Hands out configurations by number: the space's default, those enqueued, then what the suggester thinks of.

    Raises `SpaceError` for an enqueued configuration that lies outside of the space.
    """

    def __init__(self, suggester: Suggester[F], space: Space[F], plan: Plan[F]) -> None:
        self._suggester = suggester
        self._known = known(space, plan)
        self._next = 0
        self._count = plan.n_trials

    @property
    def exhausted(self) -> bool:
        """Whether all have been handed out."""
        return self._count is not None and self._next >= self._count

    def hand_out(self) -> tuple[int, F]:
        """Return the next number and its configuration."""
        number = self._next
        configuration = self._known[number] if number < len(self._known) else self._suggester.suggest(number)
        self.adopt(number, configuration)
        return number, configuration

    def adopt(self, number: int, configuration: F) -> None:
        """Count a configuration as handed out."""
        self._next = max(self._next, number + 1)
        self._suggester.begin(number, configuration)


class FullTraining(Generic[F]):
    """A strategy that trains each configuration from its first epoch to its last."""

    def __init__(self, suggester: Suggester[F], space: Space[F], plan: Plan[F]) -> None:
        self._suggester = suggester
        self._configurations = Configurations(suggester, space, plan)
        self._epochs = plan.epochs
        self._closed: set[int] = set()

    @property
    def infeasible(self) -> int:
        """How many draws made no network and were drawn again."""
        return self._suggester.infeasible

    @property
    def done(self) -> bool:
        """Whether no further proposal will ever come."""
        return self._configurations.exhausted

    @property
    def closed(self) -> frozenset[int]:
        """Numbers of configurations that will never be continued: all that were told."""
        return frozenset(self._closed)

    def ask(self, room: int) -> list[Proposal[F]]:
        """Return as many proposals as there is room for."""
        proposals: list[Proposal[F]] = []
        while len(proposals) < room and not self.done:
            number, configuration = self._configurations.hand_out()
            proposals.append(Proposal(number, configuration, 0, self._epochs, self._epochs))
        return proposals

    def tell(self, results: Sequence[Result[F]]) -> None:
        """Learn from results."""
        for result in results:
            self._suggester.observe(result)
            self._closed.add(result.proposal.number)

    def adopt(self, proposals: Sequence[Proposal[F]]) -> None:
        """Take over proposals that were asked in an earlier process."""
        for proposal in proposals:
            self._configurations.adopt(proposal.number, proposal.configuration)


def known(space: Space[F], plan: Plan[F]) -> list[F]:
    """Return what is tried first: the space's default, where that is a network, and what the user enqueued.

    Raises `SpaceError` for an enqueued configuration that lies outside of the space.
    """
    for configuration in plan.enqueue:
        space.check(configuration)
    default = default_of(space)
    return [*plan.enqueue] if default is None else [default, *plan.enqueue]
