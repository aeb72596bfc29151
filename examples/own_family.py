"""A family of one's own in one file, searched beside ours without registration, exported and loaded again."""

from __future__ import annotations

import torch
from sklearn.datasets import load_breast_cancer
from torch import Tensor, nn

import automl
from search_spaces import Architecture, Float, Int, OneOf
from search_spaces.spec import Inputs, Outputs
from search_spaces.tables import TableInput


class Gated(Architecture):
    """One wide hidden layer whose features switch one another on and off (a gated linear unit, Dauphin et al. 2017)."""

    input: TableInput = OneOf(TableInput)
    width: int = Int(32, 512, log=True)
    sharpness: float = Float(0.5, 4.0, log=True)

    def build(self, inputs: Inputs, outputs: Outputs) -> nn.Module:
        """Return the network."""
        return GatedNetwork(self, inputs, outputs)


class GatedNetwork(nn.Module):
    """`(batch, p)` numbers and `(batch, q)` codes to `(batch, outputs.width)`."""

    def __init__(self, family: Gated, inputs: Inputs, outputs: Outputs) -> None:
        super().__init__()
        self.input = family.input.build(inputs)
        self.hidden = nn.Linear(self.input.width, 2 * family.width)
        self.head = nn.Linear(family.width, outputs.width)
        self.sharpness = family.sharpness

    def forward(self, numeric: Tensor, categorical: Tensor) -> Tensor:
        """Predict a batch."""
        values, gates = self.hidden(self.input(numeric, categorical)).chunk(2, dim=1)
        out: Tensor = self.head(values * torch.sigmoid(self.sharpness * gates))
        return out


frame = load_breast_cancer(as_frame=True).frame
result = automl.search(frame, target="target", families=["MLP", Gated], time_limit=20, out="automl-results/own", overwrite=True)
print(result.leaderboard()[["rank", "model", "validation_score", "status"]].head(8).to_string(index=False))
result.best.export("automl-results/own-model", overwrite=True)
print(automl.load("automl-results/own-model", families=[Gated]).predict(frame.head()))
