"""Column names as everything here knows them: unique, trimmed text, whatever a file or frame had."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence

_SHOWN = 10
_NO_LABELS = frozenset({"None", "nan", "NaT", "<NA>"})


def unique_names(labels: Iterable[object]) -> tuple[list[str], list[str]]:
    """Return a text for each label, all different, and the notices due.

    The levels of a MultiIndex are joined by `_`; a label without text becomes `column_3` (counted from 1); what is there already
    gets a number: `x`, `x.1`.
    """
    wanted = [_text(label) or f"column_{position}" for position, label in enumerate(labels, start=1)]
    names: list[str] = []
    used: set[str] = set()
    taken = set(wanted)
    for name in wanted:
        free = name
        if name in used:
            free = next(other for number in itertools.count(1) if (other := f"{name}.{number}") not in taken)
        names.append(free)
        used.add(free)
        taken.add(free)
    repeated = [name for name, times in Counter(wanted).items() if times > 1]
    notices = (
        [f"several columns are named {listed(repeated)}; the later ones are called {repeated[0]}.1 and so on"] if repeated else []
    )
    return names, notices


def _text(label: object) -> str:
    if isinstance(label, tuple):
        return "_".join(text for part in label if (text := _text(part)))
    text = str(label).strip()
    return "" if text in _NO_LABELS else text


def listed(names: Sequence[object]) -> str:
    """Return names as a user should see them: the first ten, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(repr(name) for name in names[:_SHOWN]) + more


def unnamed(width: int, name: object = None) -> list[str]:
    """Return the names of several targets that came without."""
    return [f"{name or 'target'}_{i}" for i in range(width)]
