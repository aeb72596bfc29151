"""A family of one's own for sequences and texts: a body between features of steps and predictions, searched beside ours."""

from __future__ import annotations

from typing import ClassVar

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import automl
from search_spaces import Architecture, Int, OneOf
from search_spaces.spec import Inputs, Outputs, Text, TimeSeries
from search_spaces.steps import MaxOfSteps, MeanOfSteps, StepInput, StepNetwork


class Summaries(Architecture):
    """What every step says by itself, its mean and its maximum over a row (after Zaheer et al., "Deep Sets", 2017)."""

    takes: ClassVar[tuple[type[Inputs], ...]] = (TimeSeries, Text)

    input: StepInput = OneOf(StepInput)
    width: int = Int(32, 256, log=True)

    def build(self, inputs: Inputs, outputs: Outputs) -> nn.Module:
        """Return the network."""
        features = self.input.build(inputs, outputs)
        return StepNetwork(features, Body(features.width, self.width), outputs)


class Body(nn.Module):
    """Features `(batch, steps, before)` and a mask `(batch, steps)` to `(batch, width)`."""

    def __init__(self, before: int, hidden: int) -> None:
        super().__init__()
        self.width = 2 * hidden
        self.each = nn.Sequential(nn.Linear(before, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.mean, self.max = MeanOfSteps(hidden), MaxOfSteps(hidden)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Summarise the steps of each row; those that are padding count for nothing."""
        steps = self.each(features)
        return torch.cat([self.mean(steps, mask), self.max(steps, mask)], 1)


images, labels = load_digits(return_X_y=True)
rows = images.reshape(-1, 8, 8)  # eight steps of eight channels, from the upper row of pixels to the lowest
families = [Summaries, "SeriesMLP"]  # the first is tried first
out = "automl-results/own-steps"
result = automl.search((rows, labels), inputs="sequences", families=families, time_limit=30, out=out, overwrite=True)
print(result.leaderboard()[["rank", "model", "validation_score", "status"]].to_string(index=False))
result.best.export("automl-results/own-steps-model", overwrite=True)
print(automl.load("automl-results/own-steps-model", families=[Summaries]).predict(rows[:5]))
