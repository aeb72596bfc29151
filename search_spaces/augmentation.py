"""Augmentation: what happens to the inputs of a batch before a training step, and to no other inputs.

An augmentation is searched like an architecture. It works on whole batches where they are, each row with draws of its own, all
of them from one generator that is part of the training's state.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from search_spaces.language import Choice, Float, OneOf, Searchable
from search_spaces.spec import Image, Inputs, Outputs, Values, as_image

_FEW = 8  # pixels; on a shorter side there is no part of an image that could be moved or left out
_ASPECT = math.log(4 / 3)  # how far a crop may be stretched, as in Szegedy et al. 2015
_SEARCHED = {  # few values, so that a search often leaves a change out: drawn from ranges, all would come together
    "shift": (0.0, 0.05, 0.1, 0.15, 0.2),
    "crop": (1.0, 0.8, 0.6, 0.4),
    "rotation": (0.0, 5.0, 10.0, 20.0),
    "colour": (0.0, 0.1, 0.2, 0.4),
    "cutout": (0.0, 0.25, 0.375, 0.5),
}
_OFF = {"shift": 0.0, "crop": 1.0, "rotation": 0.0, "cutout": 0.0}  # where images have few pixels


class Mix(NamedTuple):
    """Rows that were mixed: the loss of row i is `share[i] * loss(i, y[i]) + (1 - share[i]) * loss(i, y[partner[i]])`.

    partner: int64 `(batch,)`, rows of the same batch. share: float32 `(batch,)`, in [0, 1].
    """

    partner: Tensor
    share: Tensor


class Augmentation(Searchable, ABC):
    """A random change of the inputs that leaves what they are inputs of as it is, or as `Mix` says."""

    @abstractmethod
    def apply(
        self, features: tuple[Tensor, ...], inputs: Inputs, generator: torch.Generator
    ) -> tuple[tuple[Tensor, ...], Mix | None]:
        """Return changed features, of the shapes and types that came in, and what was mixed, if anything was.

        features: the tensors of `inputs`, a batch of rows each; they aren't changed themselves. generator: of the tensors'
        device; nothing is drawn from any other.
        """


class NoAugmentation(Augmentation):
    """The inputs as they are."""

    def apply(
        self, features: tuple[Tensor, ...], inputs: Inputs, generator: torch.Generator
    ) -> tuple[tuple[Tensor, ...], Mix | None]:
        return features, None


class Mixing(Searchable, ABC):
    """A way to make one image of two, with the targets of both."""

    @abstractmethod
    def mix(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Mix | None]:
        """Return images `(batch, channels, height, width)`, each mixed with another of the batch, and the shares."""


class NoMixing(Mixing):
    """Each image for itself."""

    def mix(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Mix | None]:
        return images, None


class Mixup(Mixing):
    """Weighted means of two images (Zhang et al. 2018); the weight is drawn for each image from Beta(alpha, alpha)."""

    alpha: float = Float(0.05, 1.0, log=True, default=0.2)

    def mix(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Mix | None]:
        mix = drawn_mix(self.alpha, images, generator)
        return torch.lerp(images[mix.partner], images, mix.share.view(-1, 1, 1, 1)), mix


class CutMix(Mixing):
    """A box of another image in its place (Yun et al. 2019), of the image's own proportions.

    Its share of the area is drawn from Beta(alpha, alpha) before it is cut at the border; the targets' share is exact. Unlike
    the paper each image has a box of its own.
    """

    alpha: float = Float(0.1, 2.0, log=True, default=1.0)

    def mix(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Mix | None]:
        rows, _, height, width = images.shape
        partner, share = drawn_mix(self.alpha, images, generator)
        side = (1 - share).sqrt().unsqueeze(1)
        tall, wide = _spans(height, (height * side).round(), generator), _spans(width, (width * side).round(), generator)
        pixels = torch.arange(rows * height * width, device=images.device).view(rows, height, width)
        inside = tall.unsqueeze(2) & wide.unsqueeze(1)
        shares = 1 - tall.sum(1) * wide.sum(1) / (height * width)
        return _picked(images, torch.where(inside, pixels[partner], pixels)), Mix(partner, shares)


class ImageAugmentation(Augmentation):
    """Changes of images that leave what is seen on them as it is, applied in the order of the fields; the default is mild.

    flip: how images are mirrored, each with probability 1/2; `both` decides on each way by itself. shift: the largest move, as
    a share of the side, uniform and in whole pixels. crop: the smallest share of the area that may be left of an image, scaled
    up to all of it (Szegedy et al. 2015; the largest stretch falls to none as the share nears 1, so that each drawn area fits
    into the image without a second draw). rotation: the largest angle, in degrees to either side. colour: the largest change
    of brightness, in standard deviations, and of contrast and, with three channels, saturation, as shares. cutout: the sides of
    a box that takes the mean's colour, as shares of the image's, centred on any pixel and cut at the border (DeVries & Taylor
    2017). mixing: with other images.

    What lies beyond the border is the mirror image of what lies inside. Flips and shifts copy pixels; crops and rotations
    interpolate between four, together with flip and shift in one step.

    **Shape**: float32 `(batch, channels, height, width)`, unchanged and with channels last in memory.
    """

    flip: str = Choice("none", "horizontal", "vertical", "both")
    shift: float = Float(0.0, 0.25, default=0.1)
    crop: float = Float(0.1, 1.0, default=1.0)
    rotation: float = Float(0.0, 45.0, default=0.0)
    colour: float = Float(0.0, 0.5, default=0.0)
    cutout: float = Float(0.0, 0.6, default=0.0)
    mixing: Mixing = OneOf(NoMixing, Mixup, CutMix)

    def apply(
        self, features: tuple[Tensor, ...], inputs: Inputs, generator: torch.Generator
    ) -> tuple[tuple[Tensor, ...], Mix | None]:
        (images,) = features
        spec = as_image(inputs)
        if self.crop < 1 or self.rotation > 0:
            images = _warped(images, self, generator)
        elif self.flip != "none" or self.shift > 0:
            images = _moved(images, self, generator)
        if self.colour > 0:
            images = _coloured(images, spec, self.colour, generator)
        if self.cutout > 0:
            images = _cut_out(images, spec, self.cutout, generator)
        images, mix = self.mixing.mix(images, generator)
        return (images,), mix

    @staticmethod
    def narrow(inputs: Inputs, outputs: Outputs) -> dict[str, object]:
        """Return overrides: the flips that change no label, few strengths of each change, and what images and targets bear."""
        spec = as_image(inputs)
        narrowed: dict[str, object] = {field: Choice(*values, ordered=True) for field, values in _SEARCHED.items()}
        if min(spec.height, spec.width) < _FEW:
            narrowed |= _OFF
        ways = ("none", *spec.flips, *(["both"] if len(spec.flips) > 1 else []))
        usual = "horizontal" if "horizontal" in ways else ways[-1]
        narrowed["flip"] = Choice(*ways, default=usual)
        if isinstance(outputs, Values):
            narrowed["mixing"] = OneOf(NoMixing)
        return narrowed

    @property
    def mirrors(self) -> tuple[bool, bool]:
        """Whether rows (up and down) and columns (left and right) may be mirrored."""
        return self.flip in ("vertical", "both"), self.flip in ("horizontal", "both")


def _moved(images: Tensor, how: ImageAugmentation, generator: torch.Generator) -> Tensor:
    """Return images that are flipped and shifted, pixel by pixel."""
    rows, _, height, width = images.shape
    down, along = (
        _places(torch.arange(size, device=images.device), rows, round(how.shift * size), mirrored, generator)
        for size, mirrored in zip((height, width), how.mirrors, strict=True)
    )
    first = torch.arange(0, rows * height, height, device=images.device).unsqueeze(1)
    return _picked(images, ((first + down) * width).unsqueeze(2) + along.unsqueeze(1))


def _places(places: Tensor, rows: int, most: int, mirrored: bool, generator: torch.Generator) -> Tensor:
    """Return for each row where the pixels of one side come from: int64 `(rows, side)`."""
    side, drawn = len(places), places.expand(rows, -1)
    if most > 0:
        drawn = torch.randint(-most, most + 1, (rows, 1), generator=generator, device=places.device) + drawn
        drawn = drawn.remainder(2 * side)
        drawn = torch.minimum(drawn, 2 * side - 1 - drawn)
    if mirrored:
        drawn = torch.where(_coins(rows, places.device, generator).unsqueeze(1), side - 1 - drawn, drawn)
    return drawn


def _coins(rows: int, device: torch.device, generator: torch.Generator) -> Tensor:
    return torch.rand(rows, generator=generator, device=device) < 0.5


def _picked(images: Tensor, pixels: Tensor) -> Tensor:
    """Return images made of the pixels of others: int64 `(batch, height, width)`, counted over the whole batch."""
    flat = images.permute(0, 2, 3, 1).reshape(-1, images.shape[1])
    return flat.index_select(0, pixels.flatten()).view(*pixels.shape, -1).permute(0, 3, 1, 2)


def _warped(images: Tensor, how: ImageAugmentation, generator: torch.Generator) -> Tensor:
    """Return images that are flipped, shifted, cropped and rotated at once: one map from pixels to where they come from."""
    rows, _, height, width = images.shape
    device, ratio = images.device, height / width
    uniform = 2 * torch.rand(6, rows, generator=generator, device=device) - 1
    area = 1 - (1 - how.crop) * (uniform[0] + 1) / 2
    stretch = (uniform[1] * (-area.log()).clamp(max=_ASPECT)).exp()
    angle = uniform[2] * math.radians(how.rotation)
    scale = [(area / stretch).sqrt(), (area * stretch).sqrt()]  # of rows and of columns: the crop's sides as shares
    moves = [uniform[3 + axis] * (1 - scale[axis]) for axis in range(2)]
    for axis, size in enumerate((height, width)):
        most = round(how.shift * size)
        if most > 0:
            moves[axis] += torch.randint(-most, most + 1, (rows,), generator=generator, device=device) * (2 / size)
        if how.mirrors[axis]:
            scale[axis] = torch.where(_coins(rows, device, generator), -scale[axis], scale[axis])
    along = torch.stack([scale[1] * angle.cos(), -scale[1] * angle.sin() * ratio, moves[1]], 1)
    down = torch.stack([scale[0] * angle.sin() / ratio, scale[0] * angle.cos(), moves[0]], 1)
    grid = functional.affine_grid(torch.stack([along, down], 1), list(images.shape), align_corners=False)
    warped = functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    return warped.contiguous(memory_format=torch.channels_last)


def _coloured(images: Tensor, spec: Image, strength: float, generator: torch.Generator) -> Tensor:
    """Return images of other brightness, contrast and saturation, in the range of their type.

    Contrast is relative to the channel's mean over all images: that of a single image would let a missing pixel spread.
    """
    rows, channels, height, width = images.shape
    mean, std = (torch.tensor(values, device=images.device) for values in (spec.mean, spec.std))
    uniform = 2 * torch.rand(3, rows, 1, 1, generator=generator, device=images.device) - 1
    brightness, contrast, saturation = (strength * uniform).unbind(0)
    pixels = images.permute(0, 2, 3, 1).reshape(rows, height * width, channels)
    if channels == 3:
        grey, same = torch.full((3, 3), 1 / 3, device=images.device), torch.eye(3, device=images.device)
        pixels = pixels @ torch.lerp(grey, same, 1 + saturation)
    lines, offset = pixels.view(rows, height, width * channels), brightness * std - contrast * mean
    changed = torch.addcmul(offset.repeat(1, 1, width), lines, 1 + contrast)  # a line at once: channels alone are short loops
    changed = changed.clamp_(0.0, 255.0) if spec.dtype == "uint8" else changed
    return changed.view(rows, height, width, channels).permute(0, 3, 1, 2)


def _cut_out(images: Tensor, spec: Image, share: float, generator: torch.Generator) -> Tensor:
    """Return images with a box of the mean's colour."""
    rows, _, height, width = images.shape
    tall, wide = (
        _spans(size, torch.full((rows, 1), round(share * size), device=images.device), generator) for size in (height, width)
    )
    mean = torch.tensor(spec.mean, device=images.device).view(-1, 1, 1)
    return torch.where(tall.view(rows, 1, height, 1) & wide.view(rows, 1, 1, width), mean, images)


def _spans(side: int, lengths: Tensor, generator: torch.Generator) -> Tensor:
    """Return which pixels of a side lie in spans of `lengths` `(rows, 1)`, centred on any pixel: bool `(rows, side)`."""
    centres = torch.randint(side, lengths.shape, generator=generator, device=lengths.device)
    first, places = centres - (lengths / 2).floor(), torch.arange(side, device=lengths.device)
    return (places >= first) & (places < first + lengths)


def drawn_mix(alpha: float, images: Tensor, generator: torch.Generator) -> Mix:
    """Return partners and shares of Beta(alpha, alpha); in float64, because small alphas draw numbers below float32's least."""
    partner = torch.randperm(len(images), generator=generator, device=images.device)
    alphas = torch.full((len(images), 2), alpha, dtype=torch.float64, device=images.device)
    drawn = torch._sample_dirichlet(alphas, generator=generator)  # noqa: SLF001  the public distributions take no generator
    return Mix(partner, drawn[:, 0].float())
