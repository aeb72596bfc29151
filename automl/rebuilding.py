"""What a model that rebuilds rows hands back beside its errors: codes, and the rows themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from automl.data.columns import Columns
from automl.errors import OptionError
from automl.training.feed import as_inputs, as_stored, feed_of, to_tensor
from automl.training.networks import CPU
from search_spaces.autoencoder import RebuildingNetwork

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from automl.data.encoders import Encoder
    from automl.data.features import Features
    from automl.member import Member


def has_code(members: Sequence[Member]) -> bool:
    """Whether the first network says what code it makes of a row."""
    return isinstance(members[0].network, RebuildingNetwork)


def codes(members: Sequence[Member], features: Features) -> NDArray[np.float32]:
    """Return the codes of rows by the first network, `(rows, code)`: those of several have nothing in common."""
    network = _first(members)
    (found,) = _in_blocks(lambda *tensors: (network.encode(*tensors),), features)
    return found


def rows_again(members: Sequence[Member], features: Features, encoder: Encoder) -> Any:
    """Return rows as the first network rebuilds them from its codes: a DataFrame of the columns, or images `(rows, h, w, c)`."""
    network = _first(members)
    rebuilt = tuple(_in_blocks(lambda *tensors: as_stored(network.reconstruct(*tensors)), features))
    if isinstance(encoder, Columns):
        from automl.data.decode import decode  # pandas, which a model of images can do without

        return decode(encoder, rebuilt)
    kind = np.dtype(members[0].inputs.dtype)  # type: ignore[union-attr]
    return np.rint(rebuilt[0]).clip(0, 255).astype(kind) if kind == np.uint8 else rebuilt[0]


def _first(members: Sequence[Member]) -> RebuildingNetwork:
    network = members[0].network
    if not isinstance(network, RebuildingNetwork):
        family = type(members[0].architecture).__name__
        raise OptionError(f"{family} must build a RebuildingNetwork (search_spaces.autoencoder) to encode and reconstruct")
    return network


def _in_blocks(make: Callable[..., tuple[Tensor, ...]], features: Features) -> list[NDArray[Any]]:
    """Return what is made of the rows, a block at a time."""
    with torch.no_grad():
        none = tuple(to_tensor(np.asarray(part)) for part in features) if not len(features[0]) else ()
        blocks = feed_of(features, None, CPU).blocks() if not none else [none]
        parts = [make(*as_inputs(block)) for block in blocks]
    return [torch.cat(part).numpy() for part in zip(*parts, strict=True)]
