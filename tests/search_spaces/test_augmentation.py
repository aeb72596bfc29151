"""Augmentations change what they say they change, row by row, from the generator that they are given."""

import torch

from search_spaces.augmentation import NoAugmentation
from search_spaces.testing import INPUTS


def test_no_augmentation_hands_back_what_came_and_draws_nothing():
    generator = torch.Generator().manual_seed(0)
    before, features = generator.get_state(), (torch.rand(4, 3), torch.zeros(4, 1, dtype=torch.int64))
    changed, mix = NoAugmentation().apply(features, INPUTS["both"], generator)
    assert changed is features
    assert mix is None
    assert torch.equal(generator.get_state(), before)
