"""Networks without their training: built from a configuration, asked for predictions, loaded from a checkpoint.

Whatever a family's code raises leaves here as `NetworkFault`, so that a trial can tell a family's mistakes from ours.
"""

from __future__ import annotations

import hashlib
import math
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from automl.data.features import Features
from automl.task import Task
from automl.training.checkpoint import Checkpoints
from automl.training.feed import Feed, Stack, as_inputs, feed_of
from automl.training.memory import cut, with_fewer_rows
from search_spaces.configuration import Configuration
from search_spaces.domains import Infeasible
from search_spaces.language import Architecture
from search_spaces.spec import (
    Classes,
    Forecast,
    Image,
    Inputs,
    Labels,
    Mixed,
    Outputs,
    Reconstruction,
    Table,
    Values,
    Vector,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

Numbers: TypeAlias = Values | Vector | Forecast  # outputs that have units

CPU = torch.device("cpu")


class NetworkFault(Exception):
    """A family's `build`, or the network that it built, raised an exception or returned the wrong thing."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread inside: two threads on a busy machine once took thirty times as long as one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def derived_seed(seed: int, purpose: str) -> int:
    """Return a seed for one purpose, so that e.g. the order of batches doesn't depend on how many weights were drawn."""
    digest = hashlib.blake2b(f"{seed}/{purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def build_network(architecture: Architecture, inputs: Inputs, outputs: Outputs, seed: int) -> nn.Module:
    """Return a network with weights drawn from `seed`; torch's global generator stays as it was.

    The weights of convolutions lie channels last, as the images do, so that no layer has to turn either round.

    Raises `Infeasible` where the architecture can't serve the specs, `NetworkFault` where the family fails otherwise.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derived_seed(seed, "weights"))
        try:
            network = architecture.build(inputs, outputs)
        except (Infeasible, MemoryError):
            raise
        except Exception as error:
            raise NetworkFault(f"{type(architecture).__name__}.build raised {described(error)}") from error
    if not isinstance(network, nn.Module):
        raise NetworkFault(f"{type(architecture).__name__}.build must return an nn.Module, got {type(network).__name__}")
    if any(is_lazy(parameter) for parameter in network.parameters()):
        raise NetworkFault(
            f"{type(architecture).__name__}.build must know the shapes of all parameters; lazy modules have none yet"
        )
    if isinstance(inputs, Image):
        cast(Any, network).to(memory_format=torch.channels_last)  # an overload that torch doesn't declare
    return network


def forward(network: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    """Return what the network says of a batch. Raises `NetworkFault` for whatever its code raises."""
    try:
        out: Tensor = network(*inputs)
    except (Infeasible, MemoryError):
        raise
    except Exception as error:
        raise NetworkFault(f"{type(network).__name__}.forward raised {described(error)}") from error
    return out


def described(error: Exception) -> str:
    """Return an exception in one line, with the place where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())}{place}"


def device_for(task: Task) -> torch.device:
    """Return where to train: tables on the CPU, all else on a GPU where one is visible (CUDA_VISIBLE_DEVICES hides it)."""
    is_small = isinstance(task.folds[0].inputs, Table | Mixed)
    return torch.device("cuda") if not is_small and torch.cuda.is_available() else CPU


def mixed_precision(device: torch.device) -> AbstractContextManager[object]:
    """Compute in bfloat16 inside what gains from it, where a GPU has it; on the CPU it would be slower than float32."""
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.autocast("cuda", torch.bfloat16)
    return nullcontext()


def predict(network: nn.Module, feed: Feed, outputs: Outputs, rows: int | None = None) -> NDArray[Any]:
    """Return the predictions of a network for rows on its device, and leave it in evaluation mode.

    Args:
        network: any network that `Architecture.build` returned for `outputs`.
        feed: the features of the rows, at least one.
        outputs: what the network was built for.
        rows: how many of the rows, the first ones; None: all of them.

    Returns:
        What `read_outputs` makes of the network's.

    Where memory runs out, a block of rows goes through the network in parts. Raises `MemoryError` where it runs out with a single
    row, `NetworkFault` where the network fails otherwise.

    """
    network.eval()
    with torch.no_grad():
        raw = torch.cat(list(_outputs(network, feed.blocks(rows))))
        if raw.shape != (len(feed) if rows is None else min(rows, len(feed)), outputs.width):
            expected = f"(batch, {outputs.width})"
            raise NetworkFault(f"{type(network).__name__}.forward must return {expected}, got {tuple(raw.shape)}")
        return read_outputs(raw, outputs)


def _outputs(network: nn.Module, blocks: Iterable[Stack]) -> Iterator[Tensor]:
    """Yield what a network says of blocks of rows; each in parts where memory ran out with the last one."""
    most: float = math.inf
    for block in blocks:
        rows = int(min(most, len(block[0])))
        outputs, sufficed = with_fewer_rows(partial(_outputs_of, network, block), rows, block[0].device)
        most = sufficed if sufficed < rows else most
        yield outputs


def _outputs_of(network: nn.Module, block: Stack, most: int) -> Tensor:
    if most >= len(block[0]):
        return forward(network, as_inputs(block))
    parts = zip(*(cut(tensor, most) for tensor in block), strict=True)
    return torch.cat([forward(network, as_inputs(part)) for part in parts])


def read_outputs(raw: Tensor, outputs: Outputs) -> NDArray[Any]:
    """Return what outputs `(rows, width)` of a network mean.

    Probabilities float32 of classes, `(rows, classes)`, or of labels, `(rows, labels)`; values float64 in the target's units,
    `(rows,)`, or `(rows, width)` where there are several; errors of reconstruction float64, `(rows,)`.
    """
    match outputs:
        case Classes():
            return raw.float().softmax(1).cpu().numpy()
        case Labels():
            return raw.float().sigmoid().cpu().numpy()
        case Reconstruction():
            return raw.squeeze(1).double().cpu().numpy()
        case Values():
            return in_units(raw.squeeze(1).double().cpu().numpy(), outputs)
        case Vector() | Forecast():
            return in_units(raw.double().cpu().numpy(), outputs)


def predict_network(
    network: nn.Module, features: Features, outputs: Outputs, rows: NDArray[np.int64] | None = None
) -> NDArray[Any]:
    """Return the predictions of a network on the CPU for any number of rows (None: all); see `predict`."""
    if not len(features[0] if rows is None else rows):
        return read_outputs(torch.zeros(0, outputs.width), outputs)
    return predict(network, feed_of(features, rows, CPU), outputs)


def in_units(standard: NDArray[np.float64], outputs: Numbers) -> NDArray[np.float64]:
    """Return standardised values in the target's units."""
    return np.asarray(outputs.mean) + np.asarray(outputs.std) * standard


def standardised(target: NDArray[Any], outputs: Numbers) -> NDArray[np.float32]:
    """Return a target in standard units; the difference is taken in float64, where large values keep their digits."""
    standard = (np.asarray(target, np.float64) - np.asarray(outputs.mean)) / np.asarray(outputs.std)
    return np.asarray(standard, np.float32)


def load_network(
    checkpoints: Checkpoints, number: int, fold: int, epoch: int, configuration: Configuration, task: Task
) -> nn.Module:
    """Return the best network up to a checkpoint, in evaluation mode.

    number: the configuration's. epoch: the epochs trained (`Outcome.epochs`), not the best epoch. Raises `RunError` where the
    checkpoint is missing or damaged.
    """
    where = task.folds[fold]
    network = build_network(configuration.architecture, where.inputs, where.outputs, seed=0)
    network.load_state_dict(checkpoints.best(number, fold, epoch))
    return network.eval()
