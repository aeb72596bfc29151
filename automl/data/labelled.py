"""Rows with their target, read for a model that exists: features as its encoder makes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from automl.data.columns import Columns
from automl.data.encoders import Encoder
from automl.data.features import Features
from automl.data.image_load import load_images
from automl.data.image_sources import find_images
from automl.data.load import load
from automl.data.options import DataOptions
from automl.data.series_encode import options_for
from automl.data.series_format import SeriesFormat
from automl.data.series_load import load_series
from automl.data.series_sources import find_series
from automl.data.targets import AnyTarget
from automl.data.window_encode import labelled_windows
from automl.data.window_format import WindowFormat
from automl.errors import DataError


def read_labelled(data: Any, encoder: Encoder, target: str | Sequence[str]) -> tuple[Features, AnyTarget]:
    """Return the features and the target of rows that have one; `target` is its name, or the names of several.

    Of images in several parts (x_train, x_test; train/, test/) those of the test are taken. Raises `DataError` where the data
    aren't what the encoder takes, or have no target, and for images that can't be read: a score is one of all rows.
    """
    if isinstance(encoder, Columns):
        loaded = load(data, None if isinstance(data, tuple) else list(target) if isinstance(target, tuple) else target or None)
        every = encoder.transform(data[0] if isinstance(data, tuple) else loaded.frame)
        features = tuple(column[loaded.rows] for column in every) if isinstance(data, tuple) else tuple(every)
        return features, loaded.target
    if isinstance(encoder, SeriesFormat):
        return _sequences(data, encoder, target)
    if isinstance(encoder, WindowFormat):
        windows, futures = labelled_windows(encoder, data)
        return windows, pd.DataFrame(futures)
    found, _ = find_images(data, part="test")
    if found is None:
        raise DataError(f"data: must be images with their labels, as in training, got {type(data).__name__}")
    loaded = load_images(found, DataOptions(max_broken=0), target, encoder)
    assert loaded.ready is not None
    return loaded.ready.features, loaded.target


def _sequences(data: Any, form: SeriesFormat, target: str | Sequence[str]) -> tuple[Features, AnyTarget]:
    """Return the features and the target of sequences that have one."""
    options = options_for(form)
    found = find_series(data, options, part="test")
    assert found is not None  # what must be sequences is, or can't be read
    loaded = load_series(found, options, list(target) if isinstance(target, tuple) else target, form)
    assert loaded.ready is not None
    assert loaded.target is not None
    return loaded.ready.features, loaded.target
