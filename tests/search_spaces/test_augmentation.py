"""Augmentations change what they say they change, row by row, from the generator that they are given."""

import json
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from search_spaces.augmentation import CutMix, ImageAugmentation, Mix, Mixing, Mixup, NoAugmentation, NoMixing
from search_spaces.language import Infeasible, Space
from search_spaces.spec import Classes, Image, Values
from search_spaces.testing import INPUTS
from search_spaces.variation import sample

SIZES = [(32, 32, 3), (14, 14, 1), (5, 40, 2), (40, 5, 5), (1, 1, 1), (1, 1, 3), (1, 9, 3), (28, 28, 1)]
STILL = ImageAugmentation(shift=0.0)
ONE_EACH = [
    ImageAugmentation(flip="both", shift=0.0),
    ImageAugmentation(flip="horizontal", shift=0.2),
    ImageAugmentation(shift=0.0, crop=0.3),
    ImageAugmentation(shift=0.0, rotation=45.0),
    ImageAugmentation(flip="both", shift=0.2, crop=0.4, rotation=20.0),
    ImageAugmentation(shift=0.0, colour=0.5),
    ImageAugmentation(shift=0.0, cutout=0.6),
]
MIXING = [Mixup(alpha=0.05), Mixup(alpha=1.0), CutMix(alpha=0.1), CutMix(alpha=2.0)]
MIXED = [ImageAugmentation(shift=0.0, mixing=mixing) for mixing in MIXING]
TOGETHER = ImageAugmentation(flip="both", shift=0.25, crop=0.1, rotation=45.0, colour=0.5, cutout=0.6, mixing=CutMix())
EVERY = [STILL, *ONE_EACH, *MIXED, TOGETHER]


def spec(height: int, width: int, channels: int, dtype: str = "uint8", flips: tuple[str, ...] = ("horizontal",)) -> Image:
    mean, std = (120.0, 60.0) if dtype == "uint8" else (0.5, 2.0)
    return Image(height, width, channels, dtype, (mean,) * channels, (std,) * channels, flips, 100)


def pictures(inputs: Image, rows: int = 12, seed: int = 0) -> Tensor:
    stored = torch.rand(rows, inputs.height, inputs.width, inputs.channels, generator=torch.Generator().manual_seed(seed))
    scaled = (stored * 255).round() if inputs.dtype == "uint8" else stored * 4 - 1.5
    return scaled.permute(0, 3, 1, 2)


def applied(augmentation: ImageAugmentation, images: Tensor, inputs: Image, seed: int = 0) -> tuple[Tensor, Mix | None]:
    (changed,), mix = augmentation.apply((images,), inputs, torch.Generator().manual_seed(seed))
    return changed, mix


def test_no_augmentation_hands_back_what_came_and_draws_nothing():
    generator = torch.Generator().manual_seed(0)
    before, features = generator.get_state(), (torch.rand(4, 3), torch.zeros(4, 1, dtype=torch.int64))
    changed, mix = NoAugmentation().apply(features, INPUTS["both"], generator)
    assert changed is features
    assert mix is None
    assert torch.equal(generator.get_state(), before)


def test_at_zero_strength_images_are_the_same_and_nothing_is_drawn():
    inputs, generator = spec(32, 32, 3), torch.Generator().manual_seed(0)
    images, before = pictures(inputs), generator.get_state()
    (changed,), mix = STILL.apply((images,), inputs, generator)
    assert changed is images
    assert mix is None
    assert torch.equal(generator.get_state(), before)


def test_only_images_are_taken():
    with pytest.raises(Infeasible, match="Image"):
        ImageAugmentation().apply((torch.zeros(2, 3),), INPUTS["both"], torch.Generator())


@pytest.mark.parametrize("augmentation", EVERY, ids=repr)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("rows", [1, 12])
def test_form_and_sources(augmentation: ImageAugmentation, size: tuple[int, int, int], rows: int):
    for dtype in ("uint8", "float32"):
        inputs = spec(*size, dtype)
        images = pictures(inputs, rows)
        kept, state = images.clone(), torch.get_rng_state()
        changed, mix = applied(augmentation, images, inputs)
        again, mix_again = applied(augmentation, images, inputs)
        assert changed.shape == images.shape
        assert changed.dtype == torch.float32
        assert changed.is_contiguous(memory_format=torch.channels_last)
        assert changed.isfinite().all()
        assert dtype == "float32" or 0 <= changed.min() <= changed.max() <= 255
        assert torch.equal(images, kept), "what came in must stay"
        assert torch.equal(torch.get_rng_state(), state), "nothing may be drawn from torch's global generator"
        assert torch.equal(changed, again)
        assert (mix is None) == isinstance(augmentation.mixing, NoMixing) == (mix_again is None)
        if mix is not None:
            assert mix.partner.shape == mix.share.shape == (rows,)
            assert (mix.partner.dtype, mix.share.dtype) == (torch.int64, torch.float32)
            assert sorted(mix.partner.tolist()) == list(range(rows))
            assert 0 <= mix.share.min() <= mix.share.max() <= 1


@pytest.mark.parametrize("augmentation", [*ONE_EACH, *MIXED, TOGETHER], ids=repr)
def test_other_draws_give_other_images(augmentation: ImageAugmentation):
    inputs = spec(32, 32, 3)
    images = pictures(inputs)
    assert not torch.equal(applied(augmentation, images, inputs, 1)[0], applied(augmentation, images, inputs, 2)[0])


@pytest.mark.parametrize("augmentation", ONE_EACH, ids=repr)
def test_rows_have_draws_of_their_own(augmentation: ImageAugmentation):
    inputs = spec(32, 32, 3)
    changed, _ = applied(augmentation, pictures(inputs, 1).expand(12, -1, -1, -1), inputs)
    assert len({tuple(image.flatten().tolist()) for image in changed}) > 1


@pytest.mark.parametrize("augmentation", ONE_EACH, ids=repr)
def test_rows_stay_apart_where_nothing_is_mixed(augmentation: ImageAugmentation):
    inputs = spec(14, 10, 3)
    first, other = pictures(inputs), pictures(inputs)
    other[4] = 255 - other[4]
    one, two = applied(augmentation, first, inputs)[0], applied(augmentation, other, inputs)[0]
    rows = [row for row in range(12) if row != 4]
    assert torch.equal(one[rows], two[rows])
    assert not torch.equal(one[4], two[4])


@settings(max_examples=30, deadline=None)
@given(
    size=st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(1, 4)),
    seed=st.integers(0, 2**32),
    flip=st.sampled_from(["none", "horizontal", "vertical", "both"]),
    shift=st.floats(0, 0.25),
)
def test_flips_and_shifts_copy_pixels_of_the_mirrored_plane(size: tuple[int, int, int], seed: int, flip: str, shift: float):
    """Each image is a window onto endless mirror images of its original, moved by at most the shift."""
    inputs = spec(*size)
    images = pictures(inputs, 5, seed)
    changed, _ = applied(ImageAugmentation(flip=flip, shift=shift), images, inputs, seed)
    down, along = round(shift * size[0]), round(shift * size[1])
    for image, new in zip(images, changed, strict=True):
        plane = torch.cat([image.flip(1), image, image.flip(1)], 1)
        plane = torch.cat([plane.flip(2), plane, plane.flip(2)], 2)
        windows = [
            plane[:, size[0] + y : 2 * size[0] + y, size[1] + x : 2 * size[1] + x]
            for y in range(-down, down + 1)
            for x in range(-along, along + 1)
        ]
        ways = [(), *([(1,)] if flip in ("vertical", "both") else []), *([(2,)] if flip in ("horizontal", "both") else [])]
        ways += [(1, 2)] if flip == "both" else []
        assert any(torch.equal(new, window.flip(way)) for window in windows for way in ways)


@pytest.mark.parametrize("flip", ["horizontal", "vertical"])
def test_half_of_the_images_are_mirrored(flip: str):
    inputs = spec(2, 2, 1)
    images = pictures(inputs, 1).expand(4000, -1, -1, -1)
    changed, _ = applied(ImageAugmentation(flip=flip, shift=0.0), images, inputs)
    same = (changed == images).flatten(1).all(1)
    assert same.float().mean().item() == pytest.approx(0.5, abs=0.03)
    assert torch.equal(changed[~same], images[~same].flip(2 if flip == "vertical" else 3))


def test_warps_and_copies_agree():
    """A crop and a rotation of next to nothing leave what flip and shift do: windows of whole pixels."""
    inputs = spec(9, 14, 2)
    images = pictures(inputs, 40)
    changed, _ = applied(ImageAugmentation(flip="both", shift=0.15, crop=1 - 1e-6, rotation=1e-4), images, inputs)
    for image, new in zip(images, changed, strict=True):
        plane = torch.cat([image.flip(1), image, image.flip(1)], 1)
        plane = torch.cat([plane.flip(2), plane, plane.flip(2)], 2)
        windows = [plane[:, 9 + y : 18 + y, 14 + x : 28 + x] for y in (-1, 0, 1) for x in (-2, -1, 0, 1, 2)]
        assert min((new - window.flip(way)).abs().max() for window in windows for way in ((), 1, 2, (1, 2))) < 0.1


def test_a_rotation_keeps_lengths_on_oblong_images():
    """A disc in the middle stays a disc, whatever the proportions of the image (further out its mirror image comes in)."""
    inputs = spec(24, 60, 1)
    y, x = torch.meshgrid(torch.arange(24) - 11.5, torch.arange(60) - 29.5, indexing="ij")
    radius = (y.square() + x.square()).sqrt()
    disc = ((9 - radius).clamp(0, 1) * 255).expand(20, 1, -1, -1)
    changed, _ = applied(ImageAugmentation(shift=0.0, rotation=45.0), disc, inputs)
    difference = (changed - disc)[:, 0, radius < 11.5].abs()
    assert difference.max() < 60
    assert difference.mean() < 10


def test_a_rotation_turns_by_at_most_its_angle():
    inputs = spec(41, 41, 1)
    y, x = torch.meshgrid(torch.arange(41) - 20.0, torch.arange(41) - 20.0, indexing="ij")
    spot = (255 * (-(y.square() + (x - 12).square()) / 8).exp()).expand(500, 1, -1, -1)
    changed, _ = applied(ImageAugmentation(shift=0.0, rotation=30.0), spot, inputs)
    mass = changed[:, 0].sum((1, 2))
    angles = torch.atan2((changed[:, 0] * y).sum((1, 2)) / mass, (changed[:, 0] * x).sum((1, 2)) / mass).rad2deg()
    assert 27 < angles.max() < 31
    assert -31 < angles.min() < -27


@pytest.mark.parametrize("crop", [0.1, 0.5, 0.9])
def test_a_crop_leaves_its_share_of_the_area(crop: float):
    """On two ramps the range of each tells the side that was left."""
    inputs = spec(50, 80, 2, "float32")
    y, x = torch.meshgrid((torch.arange(50) + 0.5) / 50, (torch.arange(80) + 0.5) / 80, indexing="ij")
    changed, _ = applied(ImageAugmentation(shift=0.0, crop=crop), torch.stack([y, x]).expand(400, -1, -1, -1), inputs)
    tall, wide = ((changed[:, i].amax((1, 2)) - changed[:, i].amin((1, 2))) for i in (0, 1))
    tall, wide = tall * 50 / 49, wide * 80 / 79
    area, stretch = tall * wide, wide / tall
    assert crop - 0.04 < area.min() < crop + 0.1
    assert 0.9 < area.max() < 1.03
    assert area.mean().item() == pytest.approx((1 + crop) / 2, abs=0.05)
    assert 3 / 4 - 0.05 < stretch.min() < stretch.max() < 4 / 3 + 0.05
    assert stretch.log().mean().item() == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_colour_is_in_units_of_the_statistics_and_keeps_means(dtype: str):
    inputs = spec(8, 8, 1, dtype)
    flat = torch.full((2000, 1, 8, 8), inputs.mean[0])
    changed, _ = applied(ImageAugmentation(shift=0.0, colour=0.2), flat, inputs)
    moved = (changed[:, 0, 0, 0] - inputs.mean[0]) / inputs.std[0]
    assert moved.min().item() == pytest.approx(-0.2, abs=0.01)
    assert moved.max().item() == pytest.approx(0.2, abs=0.01)
    assert moved.mean().item() == pytest.approx(0, abs=0.01)


def test_contrast_is_relative_to_the_mean():
    inputs = spec(1, 2, 1, "float32")
    pair = torch.tensor([-1.5, 2.5]).view(1, 1, 1, 2).expand(2000, -1, -1, -1)
    changed, _ = applied(ImageAugmentation(shift=0.0, colour=0.5), pair, inputs)
    factor = (changed[..., 1] - changed[..., 0]) / 4
    assert (round(factor.min().item(), 1), round(factor.max().item(), 1)) == (0.5, 1.5)
    assert changed.mean().item() == pytest.approx(0.5, abs=0.05)


def test_saturation_changes_colours_and_leaves_grey():
    inputs = spec(1, 2, 3)
    grey_and_red = torch.tensor([[100.0, 100, 100], [160, 70, 70]]).T.view(1, 3, 1, 2).expand(500, -1, -1, -1)
    changed, _ = applied(ImageAugmentation(shift=0.0, colour=0.3), grey_and_red, inputs)
    grey, red = changed[:, :, 0, 0], changed[:, :, 0, 1]
    torch.testing.assert_close(grey, grey[:, :1].expand(-1, 3))
    torch.testing.assert_close(red.mean(1), grey.mean(1))
    assert (red[:, 0] - red[:, 1]).std() > 10


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_cutout_is_a_box_of_the_mean(share: float):
    inputs = spec(16, 32, 2)
    images = torch.zeros(3000, 2, 16, 32)
    changed, _ = applied(ImageAugmentation(shift=0.0, cutout=share), images, inputs)
    cut = changed[:, 0] == 120.0
    assert set(changed.unique().tolist()) == {0.0, 120.0}
    assert torch.equal(cut, changed[:, 1] == 120.0)
    tall, wide = cut.any(2).sum(1), cut.any(1).sum(1)
    assert torch.equal(cut.sum((1, 2)), tall * wide)
    assert (tall.max(), wide.max()) == (16 * share, 32 * share)
    assert cut.any(0).all()


def test_missing_pixels_stay_where_they_are():
    inputs = spec(16, 16, 3)
    images = pictures(inputs)
    images[3, 1, 5, 5] = float("nan")
    changed, _ = applied(ImageAugmentation(flip="both", shift=0.1, crop=0.9, rotation=5.0, colour=0.3), images, inputs)
    broken = changed.isnan().any(1).sum((1, 2))
    assert 1 <= broken[3] <= 9
    assert broken.sum() == broken[3]


@pytest.mark.parametrize("mixing", MIXING, ids=repr)
@pytest.mark.parametrize("size", SIZES)
def test_shares_tell_what_was_mixed(mixing: Mixing, size: tuple[int, int, int]):
    """Images of one colour each show their own share and that of their partner in the mean."""
    rows = 64
    flat = torch.arange(float(rows)).view(-1, 1, 1, 1).expand(rows, size[2], *size[:2])
    changed, mix = mixing.mix(flat, torch.Generator().manual_seed(0))
    assert mix is not None
    expected = mix.share * torch.arange(rows) + (1 - mix.share) * mix.partner
    torch.testing.assert_close(changed.mean((1, 2, 3)), expected, rtol=1e-4, atol=1e-3)
    if isinstance(mixing, CutMix):
        assert ((changed == flat) | (changed == flat[mix.partner])).all()


@pytest.mark.parametrize("alpha", [0.05, 0.2, 1.0])
def test_mixup_draws_from_beta(alpha: float):
    _, mix = Mixup(alpha=alpha).mix(torch.zeros(50_000, 1, 1, 1), torch.Generator().manual_seed(0))
    assert mix is not None
    assert mix.share.isfinite().all()
    assert mix.share.mean().item() == pytest.approx(0.5, abs=0.01)
    assert mix.share.var().item() == pytest.approx(0.25 / (2 * alpha + 1), rel=0.03)


def test_means_are_roughly_kept():
    inputs = spec(16, 16, 3)
    images = pictures(inputs, 600) / 2 + 60
    for augmentation in EVERY:
        changed, _ = applied(augmentation, images, inputs)
        assert changed.mean().item() == pytest.approx(images.mean().item(), abs=2.5), augmentation


@pytest.mark.parametrize("outputs", [Classes((5, 5)), Values(0.0, 1.0)], ids=["classes", "values"])
@pytest.mark.parametrize("flips", [(), ("horizontal",), ("vertical",), ("horizontal", "vertical")], ids=repr)
@pytest.mark.parametrize("size", SIZES)
def test_spaces_fit_the_images(size: tuple[int, int, int], flips: tuple[str, ...], outputs: Classes | Values):
    inputs = spec(*size, flips=flips)
    space, rng = Space(ImageAugmentation, ImageAugmentation.narrow(inputs, outputs)), random.Random(0)
    default = space.default()
    assert default.flip == ("horizontal" if "horizontal" in flips else "vertical" if flips else "none")
    assert (default.crop, default.rotation, default.colour, default.cutout) == (1.0, 0.0, 0.0, 0.0)
    assert default.shift == (0.1 if min(size[:2]) >= 8 else 0.0)
    assert isinstance(default.mixing, NoMixing)
    drawn = [sample(space, rng) for _ in range(100)]
    allowed = {"none", *flips} | ({"both"} if len(flips) == 2 else set())
    assert {member.flip for member in drawn} == allowed
    assert isinstance(outputs, Classes) or all(isinstance(member.mixing, NoMixing) for member in drawn)
    assert any(member.crop < 1 for member in drawn) == (min(size[:2]) >= 8)
    for member in drawn[:10]:
        assert ImageAugmentation.from_dict(json.loads(json.dumps(member.to_dict()))) == member
        assert applied(member, pictures(inputs), inputs)[0].isfinite().all()


def test_the_default():
    assert ImageAugmentation().to_dict() == {
        "family": "ImageAugmentation",
        "flip": "none",
        "shift": 0.1,
        "crop": 1.0,
        "rotation": 0.0,
        "colour": 0.0,
        "cutout": 0.0,
        "mixing": {"family": "NoMixing"},
    }
