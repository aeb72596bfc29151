"""What models of forecasts say beside their predictions: when the steps ahead are, and how errors compare with a naive one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.data.window_format import WindowFormat
from automl.errors import OptionError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from automl.data.encoders import Encoder
    from automl.predictor import Predictor


def scaled_error(encoder: Encoder, target: NDArray[Any], prediction: NDArray[Any]) -> float | None:
    """Return MASE: the mean absolute error of forecasts, divided by that of the naive one (see `scale_name`) in training.

    It is the mean over all windows and steps ahead, scaled as in Hyndman & Koehler ("Another look at measures of forecast
    accuracy", 2006). NaN for a series that never changed; None where nothing is forecast.
    """
    scale = scale_of(encoder)
    if scale is None:
        return None
    return float(np.abs(prediction - target).mean()) / scale if scale and len(target) else math.nan


def scale_of(encoder: object) -> float | None:
    """Return what MASE divides by; None where nothing is forecast."""
    return encoder.scale if isinstance(encoder, WindowFormat) else None


def scale_name(season: int) -> str:
    """Return what the forecast is called whose error in the rows that trained is a MASE of 1."""
    return f"the seasonal naive forecast ({season} steps before)" if season > 1 else "the naive forecast (one step before)"


def future_table(predictor: Predictor, history: object) -> pd.DataFrame:
    """Return the forecast after a history: a row for each step ahead, its time as text (or number, from 1) and its value."""
    import pandas as pd

    form: object = predictor.encoder
    if not isinstance(form, WindowFormat):
        raise OptionError(f"forecasts need a model that was searched with horizon=, but this is a {predictor.kind} model")
    name, when = form.future(history)
    values = predictor.predict(history)
    if when.dtype.kind == "M":
        days = when.astype("datetime64[D]")
        when = np.char.replace((days if (days == when).all() else when.astype("datetime64[s]")).astype(str), "T", " ")
    return pd.DataFrame({name if name != predictor.target else "step": when, predictor.target: values})
