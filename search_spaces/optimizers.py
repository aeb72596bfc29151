"""How a network is trained: optimizer, schedule, batch size, penalties, clipping, loss, averaging, pretraining.

A recipe is searched like an architecture, and holds nothing that its optimizer doesn't use: `recipe/optimizer/AdamW/weight_decay`
exists only where AdamW was chosen. Ranges suit small networks on standardised inputs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from search_spaces.averaging import EMA, Averaging, NoAveraging
from search_spaces.language import Choice, Float, OneOf, Searchable
from search_spaces.losses import (
    CLASS_LOSSES,
    MAE,
    MSE,
    VALUE_LOSSES,
    BinaryCrossEntropy,
    CrossEntropy,
    Focal,
    Huber,
    Loss,
    OwnError,
)
from search_spaces.penalties import (
    L1,
    L2,
    ClipNorm,
    Clipping,
    ClipValue,
    ElasticNet,
    NoClipping,
    NoPenalty,
    Regularisation,
    is_matrix,
)
from search_spaces.pretraining import Autoencoding, NoPretraining, Pretraining
from search_spaces.schedules import Constant, Cosine, OneCycle, Schedule, Step

__all__ = [
    "CLASS_LOSSES",
    "EMA",
    "L1",
    "L2",
    "MAE",
    "MSE",
    "SGD",
    "VALUE_LOSSES",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Autoencoding",
    "Averaging",
    "BinaryCrossEntropy",
    "ClipNorm",
    "ClipValue",
    "Clipping",
    "Constant",
    "Cosine",
    "CrossEntropy",
    "ElasticNet",
    "Focal",
    "Huber",
    "Loss",
    "Momentum",
    "NoAveraging",
    "NoClipping",
    "NoPenalty",
    "NoPretraining",
    "OneCycle",
    "Optimizer",
    "OwnError",
    "Pretraining",
    "RMSprop",
    "Recipe",
    "Regularisation",
    "Schedule",
    "Step",
]


class Optimizer(Searchable, ABC):
    """A way to turn gradients into steps; its `lr` is the learning rate where the schedule's factor is 1."""

    @abstractmethod
    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Return torch's optimizer for these parameters, all on one device; fused where torch has it.

        It may have several parameter groups, all with the learning rate `lr`. Raises `ValueError` where there is no parameter.
        """


class AdamW(Optimizer):
    """Adam with decoupled weight decay on matrices (Loshchilov & Hutter 2019)."""

    lr: float = Float(1e-4, 2e-2, log=True, default=3e-3)
    weight_decay: float = Float(1e-5, 0.3, log=True, default=1e-2)

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        every = list(parameters)
        groups: list[dict[str, Any]] = [
            {"params": [parameter for parameter in every if is_matrix(parameter)], "weight_decay": self.weight_decay},
            {"params": [parameter for parameter in every if not is_matrix(parameter)], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW([group for group in groups if group["params"]], lr=self.lr, fused=True)


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015)."""

    lr: float = Float(1e-4, 2e-2, log=True, default=2e-3)

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.Adam(parameters, lr=self.lr, fused=True)


class SGD(Optimizer):
    """Stochastic gradient descent without momentum."""

    lr: float = Float(1e-3, 2.0, log=True, default=0.1)

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=self.lr, fused=True)


class Momentum(Optimizer):
    """Stochastic gradient descent with momentum, Nesterov's or Polyak's (Sutskever et al. 2013)."""

    lr: float = Float(1e-4, 0.5, log=True, default=3e-2)
    momentum: float = Float(0.8, 0.99, default=0.9)
    nesterov: bool = Choice(True, False)

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=self.lr, momentum=self.momentum, nesterov=self.nesterov, fused=True)


class Adagrad(Optimizer):
    """Adagrad (Duchi et al. 2011)."""

    lr: float = Float(1e-3, 0.3, log=True, default=3e-2)

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        every = list(parameters)
        on_cpu = all(parameter.device.type == "cpu" for parameter in every)
        return torch.optim.Adagrad(every, lr=self.lr, fused=True if on_cpu else None)


class Adadelta(Optimizer):
    """Adadelta (Zeiler 2012); `rho` is the decay of its two averages."""

    lr: float = Float(0.05, 5.0, log=True, default=1.0)
    rho: float = Float(0.8, 0.99, default=0.9)

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.Adadelta(parameters, lr=self.lr, rho=self.rho)


class RMSprop(Optimizer):
    """RMSprop (Tieleman & Hinton 2012); `alpha` is the decay of the average of squares."""

    lr: float = Float(3e-5, 1e-2, log=True, default=1e-3)
    alpha: float = Float(0.9, 0.999, default=0.99)

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.RMSprop(parameters, lr=self.lr, alpha=self.alpha)


class Recipe(Searchable):
    """How to train a network. The default suits small networks on tables of some thousand rows."""

    optimizer: Optimizer = OneOf(AdamW, Adam, SGD, Momentum, Adagrad, Adadelta, RMSprop)
    schedule: Schedule = OneOf(Cosine, Constant, Step, OneCycle)
    batch_size: int = Choice(8, 16, 32, 64, 128, 256, 512, 1024, ordered=True, default=256)
    regularisation: Regularisation = OneOf(NoPenalty, L1, L2, ElasticNet)
    clipping: Clipping = OneOf(NoClipping, ClipNorm, ClipValue)
    loss: Loss = OneOf(CrossEntropy, Focal, MSE, MAE, Huber, BinaryCrossEntropy, OwnError)
    averaging: Averaging = OneOf(NoAveraging, EMA)
    pretraining: Pretraining = OneOf(NoPretraining, Autoencoding)
