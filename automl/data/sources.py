"""Whatever a user has becomes one `Loaded`: each kind of data is asked in turn whether the data are of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from automl.data.image_load import images_of
from automl.data.load import Loaded, load
from automl.data.series_load import series_of
from automl.data.windows import load_windows

if TYPE_CHECKING:
    from automl.data.options import DataOptions


def load_data(data: Any, options: DataOptions, like: Loaded | None = None, part: str = "train") -> Loaded:
    """Return the target, and the table or what is ready as it was read, of any data. Raises `DataError`.

    like: the data of training, where these are rows beside them: of the same kind and form, with the same target. part: of data
    in several parts the one that is wanted, "train", "validation" or "test".
    """
    if options.horizon is not None:
        return load_windows(data, options, like)
    if options.inputs in {None, "sequences"}:
        loaded, data = series_of(data, options, like, part)
        if loaded is not None:
            return loaded
    if options.inputs in {None, "images"}:
        loaded, data = images_of(data, options, like, part)
        if loaded is not None:
            return loaded
    return load(data, options.target)
