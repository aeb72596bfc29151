"""What each column of a table is, so that a user need not say it: detected from all values, reported in one line, overridable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

ColumnKind: TypeAlias = Literal["numeric", "boolean", "categorical", "datetime", "text", "constant", "identifier", "ignored"]
USED: frozenset[str] = frozenset({"numeric", "boolean", "categorical", "datetime"})


@dataclass(frozen=True)
class Detected:
    """What a column is and why: `line` is one line for the user, `form` how its text is read (dates, durations), else empty."""

    kind: ColumnKind
    line: str
    form: str = ""

    @property
    def used(self) -> bool:
        """Return whether the column becomes features; all others are set aside."""
        return self.kind in USED


def detect_kinds(frame: pd.DataFrame, overrides: Mapping[str, str] | None = None) -> dict[str, Detected]:
    """Return what each column of the frame is, in its order; `overrides` maps names to kinds ("ignored" sets a column aside).

    Raises `OptionError` for an override of an unknown column or kind, `DataError` where no column can be used.
    """
    raise NotImplementedError
