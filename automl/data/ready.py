"""Features that are made row by row as they are read, whatever other rows hold: images, sequences, windows of a series.

Tables are otherwise: their columns are judged over all rows that may be seen, before anything is encoded.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from automl.data.features import Features


class Ready(ABC):
    """The features of some rows, and the encoder that makes the same of new data."""

    @property
    @abstractmethod
    def encoder(self) -> Any:
        """An `automl.data.encoders.Encoder`."""

    @property
    @abstractmethod
    def features(self) -> Features:
        """The features, in the order of `tensors` of the spec."""

    @abstractmethod
    def joined(self, others: Sequence[Ready]) -> Features:
        """Return the features of these rows and of others of the same kind and form, one part behind the other."""
