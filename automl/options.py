"""What a search is told beside its data: checked once, at the edge, and stored with the run so that it can be resumed."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from automl.demands import Demands
from automl.errors import OptionError, nearest
from automl.executors import OnCluster
from automl.objectives import OBJECTIVES
from automl.strategies import SCHEDULES, strategy_name
from automl.strategies.base import Schedule
from search_spaces.base import Scalar, is_number, plain
from search_spaces.configuration import FAMILIES
from search_spaces.language import Architecture

EXECUTORS = ("processes", "inline")
AUTO = "auto"
_ADDRESS = re.compile(r"auto|local|(ray://)?[A-Za-z0-9_.\-\[\]:]*[A-Za-z0-9\]]:\d{1,5}")
_LEAST_CPUS = 0.1  # below, a node would be given more processes than it can start
_LIMITS = {"max_parameters": "parameters", "max_latency_ms": "milliseconds", "max_bytes": "bytes", "max_memory": "bytes"}
DEFAULT_TIME_LIMIT = 600.0  # seconds, where neither a time limit nor a number of trials is given


@dataclass(frozen=True)
class SearchOptions:
    """How to search. See `automl.search` for each."""

    time_limit: float | None = None
    n_trials: int | None = None
    strategy: str = "auto"
    schedule: Schedule = "auto"
    epochs: int | None = None
    seed: int = 0
    workers: int = 0
    executor: str = "processes"
    cluster: str | None = None
    storage: str | None = None
    cpus_per_trial: float = 1.0
    gpus_per_trial: float | str = AUTO
    portfolio: bool = True
    baselines: bool = True
    include_baselines: bool = False
    families: tuple[str, ...] = ()
    objectives: Sequence[str] = ()
    max_parameters: float | None = None
    max_latency_ms: float | None = None
    max_bytes: float | None = None
    max_memory: float | None = None
    prior: Mapping[str, Scalar] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for entry in fields(self):
            object.__setattr__(self, entry.name, plain(getattr(self, entry.name)))
        _check_positive("time_limit", self.time_limit, "seconds")
        _check_whole("n_trials", self.n_trials, 1)
        _check_whole("epochs", self.epochs, 1)
        _check_whole("workers", self.workers, 0)
        _check_whole("seed", self.seed, 0)
        if self.seed is None:
            raise OptionError("seed must be a whole number, at least 0, got None")
        strategy_name(self.strategy, is_record=True)
        _check_known("schedule", self.schedule, SCHEDULES)
        _check_known("executor", self.executor, EXECUTORS)
        for name, unit in _LIMITS.items():
            _check_positive(name, getattr(self, name), unit)
        for name in ("portfolio", "baselines", "include_baselines"):
            _check_flag(name, getattr(self, name))
        object.__setattr__(self, "objectives", _checked_objectives(self.objectives))
        object.__setattr__(self, "prior", _checked_prior(self.prior))
        if self.time_limit is None and self.n_trials is None:
            object.__setattr__(self, "time_limit", DEFAULT_TIME_LIMIT)
        self._check_cluster()
        if not self.workers and self.cluster is None:
            object.__setattr__(self, "workers", available_cores())

    def _check_cluster(self) -> None:
        """Check what is said of a cluster."""
        if self.cluster is None:
            usual = {entry.name: entry.default for entry in fields(self)}
            for name in ("storage", "cpus_per_trial", "gpus_per_trial"):
                value = getattr(self, name)
                if value != usual[name]:
                    raise OptionError(f"{name} needs a cluster: give cluster= too, or leave out {name}={value!r}")
            return
        if not isinstance(self.cluster, str) or not _ADDRESS.fullmatch(self.cluster):
            raise OptionError(
                f"cluster must be 'auto' (the one this process belongs to), 'local' (one of this machine), 'ray://host:10001' or "
                f"'host:6379', got {self.cluster!r}{nearest(self.cluster, ('auto', 'local'))}"
            )
        if self.storage is not None and (not isinstance(self.storage, str) or not self.storage):
            raise OptionError(f"storage must be a folder or a URL that every node reaches, got {self.storage!r}")
        _check_positive("cpus_per_trial", self.cpus_per_trial, "CPUs")
        if self.cpus_per_trial < _LEAST_CPUS:
            raise OptionError(f"cpus_per_trial must be at least {_LEAST_CPUS} CPUs, got {self.cpus_per_trial!r}")
        if self.gpus_per_trial not in (AUTO, 0):
            if isinstance(self.gpus_per_trial, str):
                raise OptionError(f"gpus_per_trial must be a number of GPUs or 'auto', got {self.gpus_per_trial!r}")
            _check_positive("gpus_per_trial", self.gpus_per_trial, "GPUs")
            if self.gpus_per_trial > 1 and self.gpus_per_trial != int(self.gpus_per_trial):
                raise OptionError(f"gpus_per_trial must be a part of one GPU or a whole number, got {self.gpus_per_trial!r}")

    @property
    def on_cluster(self) -> OnCluster | None:
        """How to use a cluster, where one is named."""
        if self.cluster is None:
            return None
        return OnCluster(self.cluster, self.cpus_per_trial, self.gpus_per_trial)

    @property
    def demands(self) -> Demands | None:
        """What networks must keep to and are measured by; None where nothing is to be measured before training."""
        demands = Demands(**{name: getattr(self, name) for name in _LIMITS}, is_timed="latency" in self.objectives)
        return None if demands == Demands() and "bytes" not in self.objectives else demands

    def to_dict(self) -> dict[str, Any]:
        """Return the options as JSON data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SearchOptions:
        """Return the options that `to_dict` wrote; options that an old run lacks take their defaults."""
        known = {entry.name for entry in fields(cls)}
        given = {name: value for name, value in data.items() if name in known}
        return cls(**{**given, "families": tuple(data["families"])})


def _checked_objectives(given: object) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Sequence):
        hint = f"; give [{given!r}]" if given in tuple(OBJECTIVES) else ""
        raise OptionError(f"objectives must be a list of names out of {', '.join(OBJECTIVES)}, got {given!r}{hint}")
    for name in given:
        _check_known("objectives", name, tuple(OBJECTIVES))
    return tuple(dict.fromkeys(given))


def _checked_prior(given: object) -> dict[str, Scalar]:
    """Return a prior as plain data; whether the space has its paths is for the space to say."""
    if not isinstance(given, Mapping):
        raise OptionError(f"prior must be a dict of path: value, got {given!r}")
    prior = {path: plain(value) for path, value in given.items()}
    for path, value in prior.items():
        if not isinstance(path, str) or not (value is None or isinstance(value, bool | str) or is_number(value)):
            raise OptionError(
                f"prior must be a dict of path: value, each a finite number, a string, a bool or None, got {path!r}: {value!r}"
            )
    return prior


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def families_for(given: Sequence[str | type[Architecture]] | None) -> tuple[type[Architecture], ...]:
    """Return the families to search: all built-in ones, or those given by name or as classes."""
    if given is None:
        return FAMILIES
    if isinstance(given, str) or not isinstance(given, Iterable) or not given:
        raise OptionError(f"families must be a list of names or Architecture classes, got {given!r}")
    known = {family.__name__: family for family in FAMILIES}
    found: list[type[Architecture]] = []
    for family in given:
        if isinstance(family, str):
            _check_known("family", family, tuple(known))
            found.append(known[family])
        elif isinstance(family, type) and issubclass(family, Architecture):
            found.append(family)
        else:
            raise OptionError(f"family must be a name or a subclass of Architecture, got {family!r}")
    return tuple(dict.fromkeys(found))


def path_option(name: str, value: object) -> Path:
    """Return a path that the user gave, `~` being their home. Raises `OptionError` for anything else."""
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        raise OptionError(f"{name} must be a path, got {value!r}")
    return Path(os.fspath(value)).expanduser()


def _check_known(name: str, value: object, known: Sequence[str]) -> None:
    if not isinstance(value, str) or value not in known:
        raise OptionError(f"{name} must be one of {', '.join(known)}, got {value!r}{nearest(value, known)}")


def _check_flag(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise OptionError(f"{name} must be True or False, got {value!r}")


def _check_positive(name: str, value: object, unit: str) -> None:
    if value is None:
        return
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < value <= sys.float_info.max:  # type: ignore[operator]
        raise OptionError(f"{name} must be a positive number of {unit}, got {value!r:.100}")


def _check_whole(name: str, value: object, low: int) -> None:
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < low:
        raise OptionError(f"{name} must be a whole number, at least {low}, got {value!r}")
