"""The seam between a search and whoever decides what runs next."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, Protocol, TypeAlias

from typing_extensions import TypeVar

from automl.errors import OptionError
from search_spaces.base import Scalar, plain
from search_spaces.configuration import Configuration
from search_spaces.language import Searchable, Space

F = TypeVar("F", bound=Searchable, default=Configuration)

Schedule: TypeAlias = Literal["auto", "full", "halving", "hyperband", "median"]


@dataclass(frozen=True)
class Proposal(Generic[F]):
    """Train configuration `number` from epoch `start` to epoch `stop` of `total`; `start > 0` continues an earlier proposal."""

    number: int
    configuration: F
    start: int
    stop: int
    total: int


@dataclass(frozen=True)
class Result(Generic[F]):
    """What became of a proposal. `loss` is lower-is-better, whatever the metric; None: it failed.

    `ended`: more epochs can't help (it stopped early, reached `total`, or failed), so it must not be continued. A loss that isn't
    finite becomes None, and what failed has ended.

    seconds: what it cost. others: the further objectives of the search, lower is better, in its order; empty where it has none or
    they aren't known. violation: by how much hard limits were broken, 0 where they held; above 0 nothing was trained, and `loss`
    is None.
    """

    proposal: Proposal[F]
    loss: float | None
    ended: bool
    seconds: float = 0.0
    others: tuple[float, ...] = ()
    violation: float = 0.0

    def __post_init__(self) -> None:
        if self.loss is None or not all(math.isfinite(value) for value in (self.loss, *self.others)):
            object.__setattr__(self, "loss", None)
            object.__setattr__(self, "ended", True)

    @property
    def values(self) -> tuple[float, ...] | None:
        """All objectives, the loss first; None where it failed."""
        return None if self.loss is None else (self.loss, *self.others)


@dataclass(frozen=True)
class Plan(Generic[F]):
    """What a strategy has to keep to.

    epochs: of a full training. seed: all chance comes from it. n_trials: the number of configurations, None for no end. schedule:
    who is trained for how long; "auto" is the strategy's own choice. enqueue: configurations to try right after the default.
    prior: a user's guess of good values by path, which fades with evidence. workers: how many train at the same time. objectives:
    how many there are, the loss included. Raises `OptionError` for what can't be a plan.
    """

    epochs: int
    seed: int = 0
    n_trials: int | None = None
    schedule: Schedule = "auto"
    enqueue: tuple[F, ...] = ()
    prior: Mapping[str, Scalar] = field(default_factory=dict)
    workers: int = 1
    objectives: int = 1

    def __post_init__(self) -> None:
        for name in ("epochs", "n_trials", "workers", "objectives"):
            value = plain(getattr(self, name))
            if not (name == "n_trials" and value is None) and (type(value) is not int or value < 1):
                raise OptionError(f"Plan: {name} must be a whole number, at least 1, got {value!r:.100}")
        enqueue: object = self.enqueue
        if not isinstance(enqueue, tuple | list):
            raise OptionError(f"Plan: enqueue must be a tuple of configurations, got {enqueue!r:.100}")
        prior: object = self.prior
        if not isinstance(prior, Mapping) or not all(isinstance(path, str) for path in prior):
            raise OptionError(f"Plan: prior must be a dict of path: value, got {prior!r:.100}")


class Suggester(Protocol[F]):
    """Thinks of configurations. It knows nothing of rungs: a schedule (`FullTraining`, `Halving`) says how long each is trained.

    Deterministic: a suggestion depends on the seed, the number, what began and what was observed, in the order of observation.
    """

    @property
    def infeasible(self) -> int:
        """How many draws made no network and were drawn again."""
        ...

    def suggest(self, number: int) -> F:
        """Return the configuration for a number. Raises `Infeasible` where a bounded number of draws found none."""
        ...

    def begin(self, number: int, configuration: F) -> None:
        """Learn that a configuration, suggested here or not, is being trained."""
        ...

    def observe(self, result: Result[F]) -> None:
        """Learn from a result."""
        ...


class Strategy(Protocol[F]):
    """Decides what runs next. Deterministic: the same seed and the same calls give the same proposals.

    The study calls `ask` whenever a worker is free or about to be, `tell` once for each proposal in order of completion. When it
    resumes a search, it first calls `adopt` for what an earlier process proposed, then `tell` for what of it finished.
    Randomness is derived from the seed and the configuration's number, so a resumed search goes on as it would have.
    """

    @property
    def done(self) -> bool:
        """Whether no further proposal will ever come (counting what is still untold)."""
        ...

    @property
    def infeasible(self) -> int:
        """How many draws made no network and were drawn again."""
        ...

    @property
    def closed(self) -> frozenset[int]:
        """Numbers of configurations that will never be continued: their checkpoints may go."""
        ...

    def ask(self, room: int) -> list[Proposal[F]]:
        """Return at most `room` proposals; an empty list means: nothing until something is told."""
        ...

    def tell(self, results: Sequence[Result[F]]) -> None:
        """Learn from results."""
        ...

    def adopt(self, proposals: Sequence[Proposal[F]]) -> None:
        """Take over proposals that were asked in an earlier process, as if this object had made them."""
        ...


Maker: TypeAlias = Callable[[Space[F], Plan[F]], Strategy[F]]
