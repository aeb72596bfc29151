"""Noise spoils as many values as it says, in ways that the inputs know; what is searched fits the task."""

import math
import random
from dataclasses import replace

import pytest
import torch

from search_spaces.configuration import FAMILIES, Configuration, Linear, space_for
from search_spaces.language import SpaceError
from search_spaces.losses import losses_for
from search_spaces.made_up import INPUTS, OUTPUTS, made_up_batch
from search_spaces.pretraining import Autoencoding, Masking, NoNoise, NoPretraining, Swapping, spoilt_inputs
from search_spaces.spec import Image, Mixed, Reconstruction, Table
from search_spaces.variation import sample

NOISES = [Masking(share=0.3), Swapping(share=0.3), NoNoise()]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def spoilt(name, noise, rows=400, seed=0):
    generator = seeded()
    batch = tuple(tensor[torch.randint(len(tensor), (rows,), generator=generator)] for tensor in made_up_batch(INPUTS[name]))
    return batch, spoilt_inputs(INPUTS[name], batch, noise, seeded(seed))


@pytest.mark.parametrize("name", [name for name, inputs in INPUTS.items() if isinstance(inputs, Table | Image | Mixed)])
@pytest.mark.parametrize("noise", NOISES, ids=repr)
def test_inputs_keep_their_form_and_what_came_in_stays(name, noise):
    kept = [tensor.clone() for tensor in made_up_batch(INPUTS[name])]
    batch = made_up_batch(INPUTS[name])
    changed = spoilt_inputs(INPUTS[name], batch, noise, seeded())
    assert [(one.shape, one.dtype) for one in changed] == [(one.shape, one.dtype) for one in batch]
    assert all(torch.equal(old.nan_to_num(), new.nan_to_num()) for old, new in zip(kept, batch, strict=True))
    if isinstance(noise, NoNoise):
        assert all(one is other for one, other in zip(changed, batch, strict=True))
    if isinstance(INPUTS[name], Mixed):
        assert changed[2] is batch[2]


def test_masked_numbers_and_codes_are_missing():
    numeric, categorical = torch.rand(4000, 3), torch.randint(1, 5, (4000, 2))
    masked = spoilt_inputs(INPUTS["both"], (numeric, categorical), Masking(share=0.3), seeded())
    blank = masked[0].isnan(), masked[1] == 0
    assert [float(one.float().mean()) for one in blank] == pytest.approx([0.3, 0.3], abs=0.02)
    assert torch.equal(masked[0][~blank[0]], numeric[~blank[0]])
    assert torch.equal(masked[1][~blank[1]], categorical[~blank[1]])


def test_swapped_values_come_from_the_same_column():
    numeric, categorical = torch.rand(2000, 3) + torch.tensor([0.0, 10.0, 20.0]), torch.randint(1, 5, (2000, 2))
    swapped = spoilt_inputs(INPUTS["both"], (numeric, categorical), Swapping(share=0.3), seeded())
    assert torch.equal(swapped[0].floor(), numeric.floor())
    assert float((swapped[0] != numeric).float().mean()) == pytest.approx(0.3, abs=0.03)
    assert set(swapped[0][:, 0].tolist()) <= set(numeric[:, 0].tolist())


def test_pixels_are_masked_in_all_channels_by_the_colour_of_the_mean():
    images, (masked,) = spoilt("colour images", Masking(share=0.2), rows=50)
    changed = masked != images[0]
    mean = torch.tensor(INPUTS["colour images"].mean).view(-1, 1, 1).expand_as(masked[0])
    assert float(changed.float().mean()) == pytest.approx(0.2, abs=0.02)
    assert torch.equal(masked[changed], mean.expand_as(masked)[changed])


@pytest.mark.parametrize("noise", NOISES[:2], ids=repr)
def test_noise_is_that_of_its_generator_alone(noise):
    global_state = torch.random.get_rng_state()
    (_, first), (_, again), (_, other) = (spoilt("numbers", noise, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first[0].nan_to_num(), again[0].nan_to_num())
    assert not torch.equal(first[0].nan_to_num(), other[0].nan_to_num())
    assert torch.equal(torch.random.get_rng_state(), global_state)


def test_passes_are_none_without_pretraining():
    assert NoPretraining().passes() == 0
    assert Autoencoding(epochs=7).passes() == 7


@pytest.mark.parametrize("name", INPUTS)
def test_it_is_searched_for_tables_and_images_and_not_by_default(name):
    inputs, outputs = INPUTS[name], OUTPUTS["binary"]
    try:
        space = space_for(inputs, outputs, losses_for(outputs))
    except SpaceError:
        pytest.skip("no family takes these inputs yet")
    assert space.default().recipe.pretraining == NoPretraining()
    searched = isinstance(inputs, Table | Image)
    assert ("recipe/pretraining/Autoencoding/layerwise" in space.leaves()) == searched


def test_it_is_closed_where_it_makes_no_sense():
    closed = [space_for(INPUTS["both"], OUTPUTS["binary"], losses_for(OUTPUTS["binary"]), (Linear,))]
    if any(Reconstruction in family.gives for family in FAMILIES):
        closed.append(space_for(INPUTS["both"], Reconstruction(4), losses_for(Reconstruction(4))))
    rng = random.Random(0)
    for space in closed:
        assert {type(sample(space, rng).recipe.pretraining) for _ in range(20)} == {NoPretraining}


@pytest.mark.parametrize(("rows", "most"), [(100, 100), (30_000, 10), (10_000_000, 3)])
def test_many_rows_are_seen_less_often(rows, most):
    assert Autoencoding.narrow(replace(INPUTS["both"], rows=rows))["epochs"].high == most


def test_it_is_searched_where_rows_are_few():
    for rows, searched in ((1000, True), (1001, False)):
        space = space_for(replace(INPUTS["both"], rows=rows), OUTPUTS["binary"], losses_for(OUTPUTS["binary"]))
        assert any("Autoencoding" in path for path in space.leaves()) == searched


def test_users_may_close_or_fill_it():
    from search_spaces.language import OneOf

    losses = losses_for(OUTPUTS["binary"])
    closed = space_for(INPUTS["both"], OUTPUTS["binary"], losses, overrides={"recipe/pretraining": OneOf(NoPretraining)})
    assert not any("Autoencoding" in path for path in closed.leaves())
    always = {"recipe/pretraining": OneOf(Autoencoding), "recipe/pretraining/Autoencoding/epochs": 5}
    space = space_for(INPUTS["both"], OUTPUTS["binary"], losses, overrides=always)
    assert space.default().recipe.pretraining == Autoencoding(epochs=5)


def test_json():
    written = Autoencoding(noise=Swapping(share=0.1), epochs=3, layerwise=True).to_dict()
    assert Autoencoding.from_dict(written) == Autoencoding(noise=Swapping(share=0.1), epochs=3, layerwise=True)
    older = Configuration().to_dict()
    del older["recipe"]["pretraining"]
    assert Configuration.from_dict(older, FAMILIES) == Configuration()
    assert math.isclose(Masking().share, 0.2)
