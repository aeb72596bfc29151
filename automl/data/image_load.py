"""Whatever a user has of images becomes pixels, or files yet to be decoded, and one target; or one clear error.

The form (size, channels, type) is read from the headers of all images of the data, before rows are dealt out: it is no statistic,
and says nothing about labels. Images are decoded once, which is also how broken ones are found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from automl.data.features import Features, Stored
from automl.data.image_choice import choose_form, form_line
from automl.data.image_encode import in_form
from automl.data.image_format import ImageFormat
from automl.data.image_sources import Found, Inputs, find_images
from automl.data.load import Loaded, as_target, name_of, split_target
from automl.data.pictures import Broken, Pictures, check, decode, joined, memory_for_images, size_decoded
from automl.data.pixels import Pixels, as_array, read_pixels, stored
from automl.data.ready import Ready
from automl.data.series_shapes import is_of_floats
from automl.data.target import missing_target
from automl.errors import DataError

if TYPE_CHECKING:
    from automl.data.options import DataOptions

Array: TypeAlias = NDArray[Any]

_UNLABELLED = ", or task='reconstruction' to learn the images themselves"


@dataclass(frozen=True, eq=False)
class Images(Ready):
    """The images of the rows of a `Loaded`: `stored` in the form, and their paths where they can be decoded again."""

    stored: Stored
    form: ImageFormat
    paths: Array | None

    @property
    def encoder(self) -> ImageFormat:
        return self.form

    @property
    def features(self) -> Features:
        return (self.stored,)

    def joined(self, others: Sequence[Ready]) -> Features:
        parts = [self, *(other for other in others if isinstance(other, Images))]
        return (joined([part.stored for part in parts], [part.paths for part in parts], self.form),)


def images_of(data: Any, options: DataOptions, like: Loaded | None, part: str) -> tuple[Loaded | None, Any]:
    """Return images with their target and None; or None, and the data as far as they were read. Raises `DataError`.

    like, part: as for `automl.data.sources.load_data`.
    """
    found, data = find_images(data, options.columns or (), part)
    form = like.ready.form if like is not None and isinstance(like.ready, Images) else None
    if like is not None and (found is None) != (form is None):
        kinds = ("images", "a table") if form is not None else ("a table", "images")
        raise DataError(f"data: must be {kinds[0]}, as in training, got {kinds[1]}")
    if found is None:
        return None, data
    if like is None and found.part != "train":
        came = " and ".join([found.part, *found.parts])
        raise DataError(
            f"data: must hold images to train on (x_train or x, or a folder train), but {found.source} holds {came} alone; "
            f"give it as {found.part}= beside images to train on, or rename them"
        )
    return load_images(found, options, options.target if like is None else like.target_name, form), None


def load_images(found: Found, options: DataOptions, name: object, form: ImageFormat | None = None) -> Loaded:
    """Return images, in the form given or else in the one that suits them, with their target. Raises `DataError`."""
    if not len(found.images):
        raise DataError("data: must have rows, got none")
    unlabelled = options.kind == "reconstruction"
    if unlabelled:
        found = replace(found, labels=np.zeros(len(found.images)))  # whatever labels there are, they play no part
    if found.labels is None and found.table is None and not found.is_inputs:
        raise DataError(f"data: images need their labels beside them, but {found.source} holds none; give (X, y){_UNLABELLED}")
    frame, target = _labels(found, name)
    images, broken, notices, reason = _pixels(found, form, options)
    if isinstance(found.images, Inputs) and not unlabelled:
        given = found.images.labels
        target = as_target([given.get(position) for position in range(len(found.images))], name or found.target)
    if form is None and options.inputs is None and found.is_array and is_of_floats(found.images):
        notices = [*notices, _or_sequences(tuple(found.images.shape))]
    notices = [*found.notices, *notices, *_broken(found, broken, options.max_broken)]
    rows, missing = _rows(target, broken)
    if len(rows) < len(target):
        frame, target = frame.iloc[rows].reset_index(drop=True), target.iloc[rows].reset_index(drop=True)
        paths = None if images.paths is None else images.paths[rows]
        kept = Pictures(paths, images.form) if isinstance(images.stored, Pictures) and paths is not None else images.stored[rows]
        images = Images(kept, images.form, paths)
    parts = {name: part for name, part in found.parts.items() if not isinstance(part, tuple) or part[1] is not None}
    return Loaded(frame, None if unlabelled else target, rows, found.source, False, (*notices, *missing), images, reason, parts)


# ------------------------------------------------------------------------------------------------------------------- labels


def _labels(found: Found, name: object) -> tuple[pd.DataFrame, pd.Series[Any] | pd.DataFrame]:
    """Return the columns that may have roles, and the target, both for all rows; that of a Dataset is known only later."""
    rows = len(found.images)
    if found.is_inputs:
        return pd.DataFrame(index=range(rows)), pd.Series(np.zeros(rows))
    if found.table is None or found.column is None:
        frame, target = pd.DataFrame(index=range(rows)), as_target(found.labels, name or found.target)
    elif found.labels is not None:
        frame, target = found.table.frame.drop(columns=found.column.name), as_target(found.labels, name)
    else:
        table, target = split_target(found.table, name)
        if found.column.name not in table.frame:
            raise DataError(f"target: must be another column than {found.column.name!r}, which holds the paths of images")
        frame = table.frame.drop(columns=found.column.name)
    if len(target) != rows:
        shape = tuple(getattr(found.images, "shape", ()))
        fix = "; the images must come first: np.moveaxis(X, -1, 0)" if shape and shape[-1] == len(target) > 4 else ""
        raise DataError(f"X and y must have the same length, got {rows} images and {len(target)} labels{fix}")
    return frame, target


def _rows(target: pd.Series[Any] | pd.DataFrame, broken: Broken) -> tuple[Array, list[str]]:
    """Return the rows with an image and a target, and the notice due."""
    intact = np.ones(len(target), dtype=bool)
    intact[list(broken)] = False
    missing = missing_target(target[intact])
    if missing.all():
        raise DataError(f"target {name_of(target)!r} must have values, all {len(missing)} rows are missing")
    without = f"{int(missing.sum())} of {len(target)} images have no target {name_of(target)!r}"
    notice = f"{without} (missing or infinite); they are left out"
    return np.flatnonzero(intact)[~missing], [notice] if missing.any() else []


# ------------------------------------------------------------------------------------------------------------------- pixels


def _pixels(found: Found, form: ImageFormat | None, options: DataOptions) -> tuple[Images, Broken, list[str], tuple[str, ...]]:
    """Return all images, which of them are broken, the notices due, and the reasons for a form that was chosen here."""
    if form is not None:
        stored_images, broken = _decoded(found, None, form, options)
        return _kept(found, stored_images, form), broken, [], ()
    pixels = read_pixels(found.images) if found.is_array else None
    choice = choose_form(found, pixels, options)
    images, broken = _decoded(found, pixels, choice.form, options)
    form = choice.form
    if choice.is_arrays and isinstance(images, np.ndarray):
        images, scale = stored(images)
        form = replace(form, dtype=images.dtype.name, scale=scale)
    notices = [*(() if pixels is None else pixels.notices), *choice.notices]
    return _kept(found, images, form), broken, notices, (form_line(form, choice.why),)


def _or_sequences(shape: tuple[int, ...]) -> str:
    """Return the notice that an array of floats with three axes, (n, height, width), may be one of sequences."""
    taken = f"images: an array of floats of shape {shape} is taken as (n, height, width)"
    return f"{taken}; inputs='sequences' takes it as {shape[1]} steps of {shape[2]} channels"


def _kept(found: Found, images: Stored, form: ImageFormat) -> Images:
    return Images(images, form, np.array(found.images) if found.is_files else None)


def _decoded(found: Found, pixels: Pixels | None, form: ImageFormat, options: DataOptions) -> tuple[Stored, Broken]:
    """Return the images in the form, as `Pictures` where an array would take too much memory, and the broken ones."""
    if found.is_array:
        return in_form(as_array(found.images) if pixels is None else pixels.images, form), {}
    memory = memory_for_images() if options.image_memory is None else options.image_memory
    if found.is_files and size_decoded(len(found.images), form) > memory:
        return Pictures(np.array(found.images), form), check(found.images, form)
    return decode(found.images, form, in_order=found.is_inputs)


def _broken(found: Found, broken: Broken, most: float) -> list[str]:
    """Return the notice of broken images. Raises `DataError` where they are more than may be: a share, but one in any case."""
    if not broken:
        return []
    allowed = max(1, int(most * len(found.images))) if most else 0
    named, rows = found.named(broken), len(found.images)
    if len(broken) > allowed or len(broken) == rows:
        raise DataError(
            f"data: at most {allowed} of {rows} images may be unreadable (max_broken={most:g}), but {len(broken)} are: {named}"
        )
    return [f"{len(broken)} of {rows} images can't be read: {named}; left out"]
