"""A user's own strategy in a search: what breaks the contract is one clear error, before anything is trained by it.

`automl.testing.check_strategy` tries the same laws, and more, without a search.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic

from automl.errors import OptionError
from automl.strategies.base import F, Maker, Plan, Proposal, Result, Strategy
from search_spaces.base import Infeasible, SpaceError
from search_spaces.language import Space

__all__ = ["Checked", "made_by"]

_PARTS = ("ask", "tell", "adopt", "done", "closed", "infeasible")


def made_by(maker: Maker[F], space: Space[F], plan: Plan[F], name: str) -> Checked[F]:
    """Return the strategy that a user's function makes, checked. Raises `OptionError` where it makes none."""
    try:
        made = maker(space, plan)
    except (OptionError, SpaceError):
        raise
    except Exception as error:
        raise OptionError(
            f"strategy {name} must be a function of a space and a plan that returns a Strategy, but raised "
            f"{type(error).__name__}: {error}"
        ) from error
    return Checked(made, space, name)


class Checked(Generic[F]):
    """A strategy around another, called `name`, that raises `OptionError` where the other one breaks its contract."""

    def __init__(self, inner: Strategy[F], space: Space[F], name: str) -> None:
        self._name = name
        with self._watched("looking at its parts"):
            missing = [part for part in _PARTS if not hasattr(inner, part)]
        if missing:
            raise self._broken(
                f"it must be a Strategy (see automl.strategies.base), but {inner!r:.100} has no {', '.join(missing)}"
            )
        self._inner = inner
        self._space = space
        self._last: dict[int, Proposal[F]] = {}
        self._running: set[int] = set()
        self._ended: set[int] = set()

    @property
    def done(self) -> bool:
        """Whether no further proposal will ever come."""
        with self._watched("done"):
            return bool(self._inner.done)

    @property
    def infeasible(self) -> int:
        """How many draws made no network and were drawn again."""
        with self._watched("infeasible"):
            return int(self._inner.infeasible)

    @property
    def closed(self) -> frozenset[int]:
        """Numbers of configurations that will never be continued."""
        with self._watched("closed"):
            return frozenset(self._inner.closed) - self._running

    def ask(self, room: int) -> list[Proposal[F]]:
        """Return at most `room` proposals."""
        with self._watched(f"ask({room})"):
            given: Any = self._inner.ask(room)
        if not isinstance(given, list) or not all(isinstance(proposal, Proposal) for proposal in given):
            raise self._broken(f"ask({room}) must return a list of Proposals, got {given!r:.100}")
        if len(given) > room:
            raise self._broken(f"ask({room}) must return at most {room} proposals, got {len(given)}")
        for proposal in given:
            self._check(proposal)
            self._begin(proposal)
        if not given and not self._running and not self.done:
            raise self._broken("ask must return a proposal where nothing is in training, unless the strategy is done")
        return given

    def tell(self, results: Sequence[Result[F]]) -> None:
        """Pass results on."""
        for result in results:
            self._running.discard(result.proposal.number)
            if result.ended:
                self._ended.add(result.proposal.number)
        with self._watched("tell"):
            self._inner.tell(results)

    def adopt(self, proposals: Sequence[Proposal[F]]) -> None:
        """Pass on proposals of an earlier process."""
        for proposal in proposals:
            self._begin(proposal)
        with self._watched("adopt"):
            self._inner.adopt(proposals)

    def _begin(self, proposal: Proposal[F]) -> None:
        self._last[proposal.number] = proposal
        self._running.add(proposal.number)

    def _check(self, proposal: Proposal[F]) -> None:
        spans = (proposal.number, proposal.start, proposal.stop, proposal.total)
        if not all(type(value) is int for value in spans):
            raise self._broken(f"number, start, stop and total of a proposal must be whole numbers, got {spans}")
        where = f"proposal {proposal.number} from epoch {proposal.start} to {proposal.stop}"
        if proposal.number < 0:
            raise self._broken(f"{where} must have a number of 0 or more")
        if not 0 <= proposal.start < proposal.stop <= proposal.total:
            raise self._broken(f"{where} must train within 0 and {proposal.total}")
        try:
            self._space.check(proposal.configuration)
        except (SpaceError, KeyError) as error:
            raise self._broken(f"{where} must lie in the space: {error}") from error
        last = self._last.get(proposal.number)
        if last is None and proposal.start:
            raise self._broken(f"{where} must start at epoch 0: nothing of it was trained")
        if last is not None:
            self._check_continuation(proposal, last, where)

    def _check_continuation(self, proposal: Proposal[F], last: Proposal[F], where: str) -> None:
        if proposal.number in self._running:
            raise self._broken(f"{where} continues what is still in training")
        if proposal.number in self._ended:
            raise self._broken(f"{where} continues what ended or failed")
        if proposal.start != last.stop:
            raise self._broken(f"{where} must start where the last one stopped, at {last.stop}")
        if (proposal.configuration, proposal.total) != (last.configuration, last.total):
            raise self._broken(f"{where} must have the configuration and the total of what it continues")

    def _broken(self, law: str) -> OptionError:
        return OptionError(f"strategy {self._name}: {law}; automl.testing.check_strategy tries all of the contract")

    @contextmanager
    def _watched(self, call: str) -> Iterator[None]:
        try:
            yield
        except (Infeasible, OptionError):
            raise
        except Exception as error:
            raise self._broken(f"{call} must not raise, but raised {type(error).__name__}: {error}") from error
