"""Messages between the driver, the zygote and its children: JSON behind its length, so that nothing from a child is unpickled.

    driver to zygote    setup: where all is, once; run: a ticket and its trials, with a pipe for the outcomes; kill: a ticket
    zygote to driver    started: a ticket and when; ended: a ticket and its exit code, which is minus the signal that ended it
    child to driver     outcomes, or the traceback of a crash, through the pipe

Only the user's own classes are pickled, whole where the zygote couldn't import them, and only from the driver to the zygote.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

import cloudpickle  # type: ignore[import-untyped]

from automl.errors import OptionError

if TYPE_CHECKING:
    from automl.trial import Outcome
    from search_spaces.domains import Families

_LENGTH = struct.Struct("!Q")


def pack(message: Mapping[str, Any]) -> bytes:
    """Return the bytes of a message, which must be JSON data."""
    data = json.dumps(message).encode()
    return _LENGTH.pack(len(data)) + data


class Inbox:
    """Puts messages together again from bytes that come in pieces of any size."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def take(self, data: bytes) -> Iterator[dict[str, Any]]:
        """Add the next bytes, and yield the messages that they complete."""
        self._bytes += data
        while len(self._bytes) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._bytes)
            end = _LENGTH.size + length
            if len(self._bytes) < end:
                return
            message = json.loads(self._bytes[_LENGTH.size : end])
            del self._bytes[:end]
            yield message


def families_to_text(families: Families) -> str:
    """Return classes as text. Raises `OptionError` where one holds on to something that can't leave its process."""
    try:
        return base64.b64encode(cloudpickle.dumps(families)).decode()
    except Exception as error:
        names = ", ".join(family.__name__ for family in families)
        raise OptionError(
            f"families must be fit to be sent to other processes, but {names}: {error}; define them in a module of their own, "
            "or run trials in this process with executor='inline'"
        ) from error


def families_from_text(text: str) -> Families:
    """Return the classes that `families_to_text` wrote. It runs what the text says, so the text must come from the driver."""
    return cast("Families", cloudpickle.loads(base64.b64decode(text)))


def outcome_to_dict(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as JSON data."""
    return asdict(outcome)


def outcome_from_dict(data: Mapping[str, Any]) -> Outcome:
    """Return the outcome that `outcome_to_dict` wrote."""
    from automl.trial import Outcome

    return Outcome(**{**data, "curve": tuple((epoch, score) for epoch, score in data["curve"])})
