"""From a data set to a trained network: a search over architectures and training recipes.

    import automl

    result = automl.search("adult.csv", target="income", time_limit=600)
    result.leaderboard()
    result.best.export("model/")
    automl.load("model/").predict(new_rows)

Public names are loaded when they are first used (PEP 562), so that `import automl` costs milliseconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from automl.api import search
    from automl.errors import (
        AutomlError,
        DataError,
        ExportError,
        Infeasible,
        ModelError,
        NoModelError,
        OptionError,
        RunError,
        SpaceError,
    )
    from automl.model_folder import load
    from automl.predictor import Predictor
    from automl.result import SearchResult

__all__ = [
    "AutomlError",
    "DataError",
    "ExportError",
    "Infeasible",
    "ModelError",
    "NoModelError",
    "OptionError",
    "Predictor",
    "RunError",
    "SearchResult",
    "SpaceError",
    "load",
    "search",
]

__version__ = "0.1.0"

_HOMES = {"Predictor": "predictor", "SearchResult": "result", "load": "model_folder", "search": "api"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'automl' has no attribute {name!r}")
    value = getattr(import_module(f"automl.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
