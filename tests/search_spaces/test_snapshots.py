"""What a configuration builds and learns stays what it was: a change here changes the meaning of files that exist."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from search_spaces.configuration import KNOWN
from search_spaces.made_up import made_up_batch
from search_spaces.spec import Classes, Image, Table
from search_spaces.testing import INPUTS, OUTPUTS

NETWORKS = json.loads((Path(__file__).parents[1] / "snapshots" / "networks.json").read_text())


def batch_of(inputs) -> tuple[torch.Tensor, ...]:
    numeric = torch.linspace(-2, 2, 64).unsqueeze(1).repeat(1, 6)
    if isinstance(inputs, Table):
        return numeric, torch.arange(64).unsqueeze(1).repeat(1, 5) % 3
    if isinstance(inputs, Image):
        shades = 120 + 60 * numeric[:, :1, None, None] * torch.linspace(0, 1, 14)
        return (shades.expand(64, 1, 14, 14),)
    return tuple(tensor.repeat(6, *[1] * (tensor.ndim - 1))[:64] for tensor in made_up_batch(inputs))


def measured(family) -> dict[str, float]:
    """Parameters of the default network, and its loss after three steps on invented rows."""
    inputs = next(inputs for inputs in INPUTS.values() if isinstance(inputs, family.takes))
    outputs = next(outputs for outputs in OUTPUTS.values() if isinstance(outputs, family.gives))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = family().build(inputs, outputs).eval()
    batch = batch_of(inputs)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(4):
        made = network(*batch)
        loss = nn.functional.cross_entropy(made, torch.arange(64) // 32) if isinstance(outputs, Classes) else made.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {"parameters": sum(parameter.numel() for parameter in network.parameters()), "loss": round(loss.item(), 4)}


@pytest.mark.parametrize("family", KNOWN)
def test_default_networks_are_those_of_the_snapshot(family):
    assert measured(family) == pytest.approx(NETWORKS[family.__name__], rel=1e-3)
