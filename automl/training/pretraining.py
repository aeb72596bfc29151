"""Pretraining: a network learns to rebuild its inputs before the first epoch of training.

It happens once, where a training begins: a snapshot of a later epoch holds what came of it. All chance has generators of its own,
the optimizer and the decoders are thrown away, and a recipe without pretraining takes no notice of any of this.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from automl.training.clock import Clock
from automl.training.feed import as_inputs
from automl.training.learner import Learner, own_randomness
from automl.training.micro_batches import Batch, add_gradient
from automl.training.networks import derived_seed, forward, mixed_precision
from automl.training.rows import Rows
from automl.training.stages import Stage, stages_of
from search_spaces.domains import Infeasible
from search_spaces.images import PooledPixels
from search_spaces.layers import set_dropout_generator
from search_spaces.optimizers import Adam
from search_spaces.pretraining import Autoencoding, spoilt_inputs
from search_spaces.rebuilt import SIDE, Rebuilt
from search_spaces.spec import Image

if TYPE_CHECKING:
    from automl.training.course import Ending

_OPTIMIZER = Adam(lr=1e-3)  # its usual rate: what a recipe's optimizer is searched for is another task
_EXAMPLES = 2  # rows that show the parts of a network
_MOST_WEIGHTS = 2**23  # of a decoder; beyond, it is given means over places or tokens


@dataclass(frozen=True)
class Pretrained:
    """What became of pretraining.

    errors: of each stage the mean error in each pass, while it is trained. ending, reason: why training can't go on; None and
    nothing where it can.
    """

    errors: tuple[tuple[float, ...], ...] = ()
    ending: Ending | None = None
    reason: str = ""


def pretrain(learner: Learner, rows: Rows, seed: int, clock: Clock) -> Pretrained:
    """Pretrain a network that is new on the features of rows, as its recipe says; use it within `own_randomness`.

    Statistics of norms stay as they are then; gradients, modes and torch's generators are as before. Raises `Infeasible` where
    the network or its inputs can't be pretrained, `NetworkFault` where the family fails.
    """
    how = learner.recipe.pretraining
    if not isinstance(how, Autoencoding):
        return Pretrained()
    with own_randomness(learner.device):
        torch.manual_seed(derived_seed(seed, "pretraining"))
        dropout = torch.Generator(learner.device).manual_seed(derived_seed(seed, "pretraining dropout"))
        set_dropout_generator(learner.network, dropout)
        try:
            return _pretrained(_Course(learner, rows, how, seed, clock))
        finally:
            set_dropout_generator(learner.network, learner.dropout)


class _Course:
    """All that the stages share."""

    def __init__(self, learner: Learner, rows: Rows, how: Autoencoding, seed: int, clock: Clock) -> None:
        self.learner, self.rows, self.how, self.clock = learner, rows, how, clock
        self.order = torch.Generator().manual_seed(derived_seed(seed, "pretraining batches"))
        self.noise = torch.Generator(learner.device).manual_seed(derived_seed(seed, "pretraining noise"))
        try:
            self.rebuilt = Rebuilt(learner.inputs).to(learner.device)
        except Infeasible as error:
            raise Infeasible(f"recipe/pretraining must be NoPretraining: {error}") from error


def _pretrained(course: _Course) -> Pretrained:
    learner, errors = course.learner, list[tuple[float, ...]]()
    examples = as_inputs(next(course.rows.features.blocks(_EXAMPLES)))
    stages = stages_of(learner.network, examples, layerwise=course.how.layerwise)
    passes = max(1, round(course.how.epochs / len(stages)))
    steps = course.rows.steps(learner.recipe.batch_size)
    for number, stage in enumerate(stages):
        autoencoder, means = _Autoencoder(course, stage), list[float]()
        with autoencoder.learning():
            for epoch in range(1, passes + 1):
                done, mean = _pass(course, autoencoder)
                where = f"pass {number * passes + epoch} of {len(stages) * passes} of pretraining"
                if done < steps:
                    return Pretrained((*errors, tuple(means)), "cut", f"the deadline came in {where}")
                if not math.isfinite(mean):
                    return Pretrained((*errors, tuple(means)), "diverged", f"the error is {mean} in {where}")
                means.append(mean)
        errors.append(tuple(means))
    return Pretrained(tuple(errors))


def _pass(course: _Course, autoencoder: _Autoencoder) -> tuple[int, float]:
    """Train on all rows once, or until the clock is over; return the steps that were done and the mean error.

    Where memory runs out, noise and the variance that an error is relative to are those of micro-batches.
    """
    done, error_sum = 0, torch.zeros((), device=course.learner.device)
    for stored, target, _ in course.rows.batches(course.learner.recipe.batch_size, course.order):
        if course.clock.over():
            break
        batch = Batch(as_inputs(stored), target)
        error_sum += add_gradient(course.learner, batch, autoencoder.parameters, autoencoder.error)
        autoencoder.optimizer.step()
        done += 1
    return done, float(error_sum) / max(done, 1)


class _Autoencoder:
    """A stage of a network that encodes, and a decoder that rebuilds what the stage is given. Works within `learning`."""

    def __init__(self, course: _Course, stage: Stage) -> None:
        self.learner, self.stage, self._course = course.learner, stage, course
        given = _rebuilt_shape(course) if stage.first is None else stage.first.shape
        self.decoder, self._rebuilt = decoder(stage.last.shape, given)
        self.decoder.to(self.learner.device)
        self.parameters = [*stage.parameters, *self.decoder.parameters()]
        self.optimizer = _OPTIMIZER.build(self.parameters)
        self._given, self._code = torch.zeros(0), torch.zeros(0)

    @contextmanager
    def learning(self) -> Iterator[None]:
        """Let this stage alone be in training mode and have gradients, and what the stage is given be spoilt."""
        network, own, learnt = self.learner.network, set(self.stage.own), set(self.stage.parameters)
        hooks = [self.stage.last.module.register_forward_pre_hook(self._leave)]
        if self.stage.first is not None:
            hooks.append(self.stage.first.module.register_forward_pre_hook(self._enter))
        for module in network.modules():
            module.training = module in own
        for parameter in self.learner.parameters:
            parameter.requires_grad_(parameter in learnt)
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
            for parameter in self.learner.parameters:
                parameter.requires_grad_(True).grad = None
            network.train()

    def error(self, batch: Batch) -> Tensor:
        """Return the mean error of a batch: of inputs as `Rebuilt` has it, of features relative to their variance."""
        inputs, noise = batch.inputs, self._course.how.noise
        spoilt = inputs
        if self.stage.first is None:
            spoilt = spoilt_inputs(self.learner.inputs, inputs, noise, self._course.noise)
        self._code = torch.zeros(0)
        with mixed_precision(self.learner.device):
            forward(self.learner.network, spoilt)
        if self._code.shape[1:] != self.stage.last.shape:
            must = "recipe/pretraining must be NoPretraining for a network whose last layer is given other features in training"
            raise Infeasible(f"{must}, got {type(self.learner.network).__name__}")
        outputs: Tensor = self.decoder(self._code.float())
        if self.stage.first is None:
            return self._course.rebuilt.error(outputs.flatten(1), *inputs).mean()
        given = self._rebuilt(self._given).reshape(outputs.shape)
        squares: Tensor = (outputs - given).square().mean()
        spread: Tensor = given.var(correction=0).clamp_min(1e-6)
        return squares / spread

    def _enter(self, _module: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        axis = 0 if self.stage.first is None else self.stage.first.axis
        given = arguments[0].detach().movedim(axis, 0)
        self._given = given.float()
        spoilt = self._course.how.noise.apply(given, given.new_zeros(()), self._course.noise)
        return (spoilt.movedim(0, axis), *arguments[1:])

    def _leave(self, _module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        self._code = arguments[0].movedim(self.stage.last.axis, 0)


def _rebuilt_shape(course: _Course) -> tuple[int, ...]:
    inputs = course.learner.inputs
    if not isinstance(inputs, Image):
        return (course.rebuilt.width,)
    square = PooledPixels.square(inputs, SIDE)
    return inputs.channels, -(-inputs.height // square), -(-inputs.width // square)


def decoder(code: tuple[int, ...], rebuilt: tuple[int, ...]) -> tuple[nn.Module, nn.Module]:
    """Return a linear module from rows of a shape, and what of rows of another shape its outputs, which may be flat, rebuild.

    Maps are rebuilt from maps place by place, tokens from as many tokens one by one, all else from everything at once. Where
    that would take too many weights, from means over places or tokens; and if they are still too many, nothing but such means.
    """
    everything = nn.Identity()
    if len(code) == len(rebuilt) == 3:  # channels, height, width
        return _MapDecoder(code, rebuilt), everything
    if len(code) == len(rebuilt) == 2 and code[0] == rebuilt[0]:  # tokens, width
        return nn.Linear(code[1], rebuilt[1]), everything
    known, asked = _Mean(code), _Mean(rebuilt)
    if math.prod(code) * math.prod(rebuilt) <= _MOST_WEIGHTS:
        return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(code), math.prod(rebuilt))), everything
    if known.width * math.prod(rebuilt) <= _MOST_WEIGHTS:
        return nn.Sequential(known, nn.Linear(known.width, math.prod(rebuilt))), everything
    return nn.Sequential(known, nn.Linear(known.width, asked.width)), asked


class _Mean(nn.Module):
    """The mean over places of maps, or over tokens; of rows that are flat, themselves."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        maps = len(shape) == 3  # channels, height, width
        self.axes, self.width = ((2, 3), shape[0]) if maps else (tuple(range(1, len(shape))), shape[-1])

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(self.axes) if self.axes else x


class _MapDecoder(nn.Module):
    """Each place of small maps becomes a square of places of large ones; large maps become means of their places."""

    def __init__(self, code: tuple[int, ...], rebuilt: tuple[int, ...]) -> None:
        super().__init__()
        self.size = rebuilt[1], rebuilt[2]
        self.factor = max(1, -(-rebuilt[1] // code[1]), -(-rebuilt[2] // code[2]))
        self.linear = nn.Conv2d(code[0], rebuilt[0] * self.factor**2, 1)

    def forward(self, maps: Tensor) -> Tensor:
        large = functional.pixel_shuffle(self.linear(maps), self.factor)
        if self.factor == 1:
            return functional.adaptive_avg_pool2d(large, self.size)
        return large[:, :, : self.size[0], : self.size[1]].contiguous()
