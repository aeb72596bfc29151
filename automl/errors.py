"""Every error that a user of automl can meet.

    Exception
    ├── AutomlError                what went wrong at the edge of a search: where, what must hold, what came, the nearest fix
    │   ├── DataError  (ValueError)    the data, or a column of it, can't be used
    │   ├── OptionError (ValueError)   an option of ours is unknown or contradicts another
    │   ├── RunError                   a run's folder can't be used, or another process is using it
    │   ├── ModelError (ValueError)    a model's folder is incomplete, altered or unknown to us
    │   ├── ExportError                a model can't be written in this form, or the written one disagrees
    │   └── NoModelError               the search ended without a network that can predict
    ├── SpaceError     (ValueError)    a search space or configuration is malformed (search_spaces)
    └── Infeasible                     a configuration makes no network (search_spaces; an outcome inside a search)

Inside a search errors are values (`Outcome.status`); these are raised at its edge. The command line prints them and exits with 2.
"""

from __future__ import annotations

from search_spaces.domains import Infeasible, SpaceError, nearest

__all__ = [
    "AutomlError",
    "DataError",
    "ExportError",
    "Infeasible",
    "ModelError",
    "NoModelError",
    "OptionError",
    "RunError",
    "SpaceError",
    "nearest",
]


class AutomlError(Exception):
    """Base of all errors that automl raises for its users."""


class DataError(AutomlError, ValueError):
    """The data can't be used as they are."""


class OptionError(AutomlError, ValueError):
    """An option is unknown, out of range or contradicts another."""


class RunError(AutomlError):
    """The folder of a run can't be used for what was asked."""


class ModelError(AutomlError, ValueError):
    """The folder of a model can't be loaded."""


class ExportError(AutomlError):
    """A model can't be exported in this form."""


class NoModelError(AutomlError):
    """The search ended without a network that can predict."""
