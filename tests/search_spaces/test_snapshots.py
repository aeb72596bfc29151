"""What a configuration builds and learns stays what it was: a change here changes the meaning of files that exist."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from search_spaces.configuration import KNOWN
from search_spaces.spec import Table
from search_spaces.testing import INPUTS, OUTPUTS

NETWORKS = json.loads((Path(__file__).parents[1] / "snapshots" / "networks.json").read_text())


def measured(family) -> dict[str, float]:
    """Parameters of the default network, and its loss after three steps on invented rows."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        inputs = INPUTS["both"] if Table in family.takes else INPUTS["grey images"]
        network = family().build(inputs, OUTPUTS["binary"]).eval()
    numeric = torch.linspace(-2, 2, 64).unsqueeze(1).repeat(1, 6)
    codes = torch.arange(64).unsqueeze(1).repeat(1, 5) % 3
    shades = 120 + 60 * numeric[:, :1, None, None] * torch.linspace(0, 1, 14)
    batch = (numeric, codes) if isinstance(inputs, Table) else (shades.expand(64, 1, 14, 14),)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(4):
        loss = nn.functional.cross_entropy(network(*batch), (numeric[:, 0] > 0).long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {"parameters": sum(parameter.numel() for parameter in network.parameters()), "loss": round(loss.item(), 4)}


@pytest.mark.parametrize("family", KNOWN)
def test_default_networks_are_those_of_the_snapshot(family):
    assert measured(family) == pytest.approx(NETWORKS[family.__name__], rel=1e-3)
