"""Rows that are sequences of steps, of numbers or of tokens: how they become features, are pooled, and become predictions.

Every family for sequences and texts is a body between `StepInput` and a linear layer: a module from features `(batch, steps,
width)` and a mask bool `(batch, steps)`, True where a step is no padding, to `(batch, body.width)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from search_spaces.codes import UNKNOWN, KnownTokens
from search_spaces.language import Choice, Float, Infeasible, Int, Searchable
from search_spaces.layers import head
from search_spaces.spec import Forecast, Text, TimeSeries

if TYPE_CHECKING:
    from search_spaces.spec import Inputs, Outputs

LIMIT = 1e3  # standard deviations; what lies beyond is no measurement
_LEAST_SPREAD = 1e-2  # standard deviations of a channel; rows that vary less aren't blown up to the full


class StepInput(Searchable):
    """The features of steps.

    scaling: of the numbers of a sequence: "standard", by the fit rows' means and standard deviations; "row", further by those of
    the row itself (Kim et al., "Reversible Instance Normalization", 2022); "last", further relative to the row's last values
    (NLinear of Zeng et al., "Are Transformers Effective for Time Series Forecasting?", 2023). Forecasts are brought back.
    embedding: features of a token. token_dropout: the share of tokens that count as unknown while training.
    """

    scaling: str = Choice("standard", "row", "last")
    embedding: int = Int(16, 256, log=True, multiple_of=8, default=64)
    token_dropout: float = Float(0.0, 0.4, default=0.1)

    def build(self, inputs: Inputs, outputs: Outputs) -> StepFeatures:
        """Return a module from the tensors of `inputs` to features `(batch, steps, module.width)` and a mask `(batch, steps)`."""
        if isinstance(inputs, TimeSeries):
            return SeriesFeatures(inputs, outputs, self.scaling)
        if isinstance(inputs, Text):
            return TokenFeatures(inputs, self.embedding, self.token_dropout)
        raise Infeasible(f"inputs must be TimeSeries or Text, got {type(inputs).__name__}")

    @staticmethod
    def narrow(inputs: Inputs, outputs: Outputs) -> dict[str, object]:
        """Return overrides that close the decisions which don't matter to sequences, or to texts."""
        if isinstance(inputs, Text):
            return {"scaling": "standard"}
        # The first is the default: on ETTh1 forecasts by the row's own scale erred less, from the first epoch on.
        scalings = (
            Choice("row", "last", "standard", default="row") if isinstance(outputs, Forecast) else Choice("standard", "row")
        )
        return {"scaling": scalings, "embedding": 64, "token_dropout": 0.1}


class StepFeatures(nn.Module):
    """Features of steps; `width` is the number of a step's features."""

    width: int

    def rescaled(self, outputs: Tensor, *_tensors: Tensor) -> Tensor:
        """Return the outputs of a network in the units of its spec; the tensors are those of the inputs."""
        return outputs


class SeriesFeatures(StepFeatures):
    """Scaled values, finite whatever comes in (missing ones as the mean), and a flag for each channel that may be missing."""

    mean: Tensor
    std: Tensor
    flagged: Tensor

    def __init__(self, inputs: TimeSeries, outputs: Outputs, scaling: str) -> None:
        super().__init__()
        self.scaling, self.outputs = scaling, outputs
        self.register_buffer("mean", torch.tensor([channel.mean for channel in inputs.channels]))
        self.register_buffer("std", torch.tensor([channel.std for channel in inputs.channels]))
        flagged = [i for i, channel in enumerate(inputs.channels) if channel.missing > 0]
        self.register_buffer("flagged", torch.tensor(flagged, dtype=torch.int64))
        self.width = len(inputs.channels) + len(flagged)

    def forward(self, values: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return features and mask; steps that are padding in every row are cut off."""
        values, mask = _cut(values, lengths)
        standard, present = self._standard(values, mask)
        level, spread = self._origin(standard, present)
        features = ((standard - level) / spread).clamp(-LIMIT, LIMIT) * present
        if len(self.flagged):
            missing = values.index_select(2, self.flagged).isnan() & mask.unsqueeze(2)
            features = torch.cat([features, missing.to(features.dtype)], 2)
        return features, mask

    def rescaled(self, outputs: Tensor, *tensors: Tensor) -> Tensor:
        """Return forecasts in the units of the target; all other outputs as they are."""
        target = self.outputs
        if not isinstance(target, Forecast) or self.scaling == "standard":
            return outputs
        level, spread = (part[:, 0, target.channel].unsqueeze(1) for part in self._origin(*self._standard(*_cut(*tensors))))
        mean, std = self.mean[target.channel], self.std[target.channel]
        return ((outputs * spread + level) * std + mean - target.mean) / target.std

    def _standard(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return values in standard units, 0 where they are missing or padding, and where they aren't, both as float."""
        present = values.isfinite() & mask.unsqueeze(2)
        infinite = ((values - self.mean) / self.std).nan_to_num(0.0, LIMIT, -LIMIT).clamp(-LIMIT, LIMIT)
        return infinite * mask.unsqueeze(2), present.to(values.dtype)

    def _origin(self, standard: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is 0 and what is 1 in the features of each row, both `(batch, 1, channels)`."""
        if self.scaling == "standard":
            return standard.new_zeros(1, 1, standard.shape[2]), standard.new_ones(1, 1, standard.shape[2])
        count = present.sum(1, keepdim=True).clamp_min(1.0)
        if self.scaling == "last":
            steps = torch.arange(1, standard.shape[1] + 1, device=standard.device).view(1, -1, 1)
            last = (present * steps).argmax(1, keepdim=True)
            return (standard * present).gather(1, last), torch.ones_like(count)
        level = (standard * present).sum(1, keepdim=True) / count
        variance = ((standard - level).square() * present).sum(1, keepdim=True) / count
        return level, (variance + _LEAST_SPREAD**2).sqrt()


class TokenFeatures(StepFeatures):
    """Embedded tokens; codes out of range and codes that no fit row had count as unknown."""

    def __init__(self, inputs: Text, width: int, dropout: float) -> None:
        super().__init__()
        self.width, self.known = width, KnownTokens(inputs)
        self.embedding = nn.Embedding(inputs.vocabulary, width)
        self.unknown = TokenDropout(dropout)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return features and mask; steps that are padding in every row are cut off."""
        steps = torch.arange(1, tokens.shape[1] + 1, device=tokens.device)
        tokens, mask = _cut(tokens, ((tokens != 0) * steps).amax(1))
        known = self.known(tokens)
        known = known.masked_fill(known == 0, UNKNOWN)  # what a text lacks before its end
        return self.embedding(self.unknown(known)) * mask.unsqueeze(2), mask


class TokenDropout(nn.Module):
    """While training, lets a share of the tokens count as unknown; its generator is that of `set_dropout_generator`."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.generator: torch.Generator | None = None

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the tokens, some of them as unknown."""
        if not self.training or self.p == 0.0:
            return tokens
        dropped = torch.rand(tokens.shape, generator=self.generator, device=tokens.device) < self.p
        return tokens.masked_fill(dropped, UNKNOWN)


def _cut(rows: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Return rows without the steps that no row has, and a mask of those that it has, at least one."""
    lengths = lengths.clamp(1, rows.shape[1])
    if not torch.compiler.is_exporting():
        rows = rows[:, : int(lengths.max()) if len(lengths) else 1]
    return rows, torch.arange(rows.shape[1], device=rows.device) < lengths.unsqueeze(1)


class StepNetwork(nn.Module):
    """Features of steps, a body, a linear layer to the outputs: see the module's docstring."""

    def __init__(self, features: StepFeatures, body: nn.Module, outputs: Outputs) -> None:
        super().__init__()
        self.input, self.body = features, body
        self.head = head(cast(int, body.width), outputs)

    def forward(self, *tensors: Tensor) -> Tensor:
        """Return the outputs `(batch, width)` for the tensors of the inputs."""
        outputs: Tensor = self.head(self.body(*self.input(*tensors)))
        return self.input.rescaled(outputs, *tensors)


# ---------------------------------------------------------------------------------------------------------------- poolings


class LastStep(nn.Module):
    """The features of each row's last step."""

    def __init__(self, _width: int) -> None:
        super().__init__()

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Return `(batch, width)` for features `(batch, steps, width)`."""
        # Not `gather`: exported, it would want to know whether there is a single step.
        last = torch.arange(1, mask.shape[1] + 1, device=mask.device) == mask.sum(1, keepdim=True)
        return (features * last.unsqueeze(2)).sum(1)


class MeanOfSteps(nn.Module):
    """The mean over each row's steps."""

    def __init__(self, _width: int) -> None:
        super().__init__()

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Return `(batch, width)` for features `(batch, steps, width)`."""
        weights = mask.unsqueeze(2).to(features.dtype)
        return (features * weights).sum(1) / weights.sum(1)


class MaxOfSteps(nn.Module):
    """The greatest value of each feature over a row's steps."""

    def __init__(self, _width: int) -> None:
        super().__init__()

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Return `(batch, width)` for features `(batch, steps, width)`."""
        return features.masked_fill(~mask.unsqueeze(2), torch.finfo(features.dtype).min).amax(1)


class WeightedSteps(nn.Module):
    """The mean over each row's steps by learned weights, which start equal (sequence pooling of Hassani et al. 2021)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = nn.Linear(width, 1, bias=False)
        nn.init.zeros_(self.score.weight)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Return `(batch, width)` for features `(batch, steps, width)`."""
        scores: Tensor = self.score(features).squeeze(2)
        weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(1)
        return (features * weights.unsqueeze(2)).sum(1)


POOLINGS: Mapping[str, Callable[[int], nn.Module]] = {
    "mean": MeanOfSteps,
    "max": MaxOfSteps,
    "attention": WeightedSteps,
    "last": LastStep,
}
