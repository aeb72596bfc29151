"""Under bfloat16 autocast, as on GPUs that have it, networks of images, sequences and texts train; here on the CPU's."""

import random

import pytest
import torch

from search_spaces.configuration import FAMILIES
from search_spaces.language import Infeasible, Space
from search_spaces.made_up import INPUTS, OUTPUTS, made_up_batch
from search_spaces.spec import Mixed, Table
from search_spaces.steps import POOLINGS
from search_spaces.variation import sample

LARGE = {"grey images", "ragged sequences", "texts"}  # what trains on a GPU
CASES = [
    pytest.param(family, name, id=f"{family.__name__}, {name}")
    for family in FAMILIES
    for name in sorted(LARGE)
    if isinstance(INPUTS[name], family.takes) and not isinstance(INPUTS[name], Table | Mixed)
]


@pytest.mark.parametrize(("family", "name"), CASES)
def test_networks_train_in_bfloat16(family, name):
    inputs = INPUTS[name]
    outputs = next(OUTPUTS[key] for key in ("binary", "reconstruction") if isinstance(OUTPUTS[key], family.gives))
    narrow = getattr(family, "narrow", lambda *_: {})
    space, rng = Space(family, narrow(inputs, outputs)), random.Random(0)
    for member in (space.default(), sample(space, rng), sample(space, rng)):
        try:
            network = member.build(inputs, outputs)
        except Infeasible:
            continue
        for mode in (True, False):
            with torch.autocast("cpu", torch.bfloat16), torch.set_grad_enabled(mode):
                made = network.train(mode)(*made_up_batch(inputs))
            assert made.float().isfinite().all()
            if mode:
                made.float().sum().backward()


@pytest.mark.parametrize("pooling", POOLINGS)
def test_poolings_take_features_of_either_type(pooling):
    for kind in (torch.float32, torch.bfloat16):
        with torch.autocast("cpu", torch.bfloat16):
            pooled = POOLINGS[pooling](4)(torch.randn(3, 5, 4).to(kind), torch.arange(5) < torch.tensor([[5], [1], [3]]))
        assert pooled.float().isfinite().all()
