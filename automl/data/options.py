"""What a user may say about the data beside the data: checked for contradictions before anything is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from automl.data.image_format import FITS, LARGEST
from automl.data.splits import Division
from automl.errors import OptionError, nearest

BALANCED = "balanced"
INPUTS = ("table", "images", "sequences", "texts")
TOKENIZERS = ("words", "bpe", "bytes")


@dataclass(frozen=True, eq=False)
class DataOptions:
    """How to read the data and which rows do what. See `automl.search` for each; None: detect it, or do without.

    validation, test: data in any form that the training data may have. groups, time, sample_weight: the name of a column, or one
    value for each row of the data. class_weight: "balanced" or {label: weight}.

    inputs: what the rows are, one of `INPUTS`. id_column: of a table whose rows are steps, the column that tells sequences apart;
    `time` then orders their steps. horizon: the steps ahead that are forecast, of a table whose rows are steps in time; context:
    the steps of history that a forecast sees; season: the steps after which a series repeats itself. tokenizer: how texts are cut
    into tokens, one of `TOKENIZERS`. code: the numbers that autoencoders reduce a row to.

    image_size: pixels of a side, or (height, width). image_fit: what becomes of images of another shape, see `ImageFormat`.
    image_memory: bytes that decoded images may take; None: a quarter of what is free. Beyond, files are decoded when they are
    wanted. max_broken: the share of images that may be unreadable, which are left out; unless it is 0, one always may.

    Raises:
        OptionError: an option is out of range or contradicts another.

    """

    target: Any = None
    kind: str | None = None
    metric: str | None = None
    columns: Mapping[str, str] | None = None
    validation: Any = None
    test: Any = None
    folds: int | None = None
    repeats: int | None = None
    groups: Any = None
    time: Any = None
    sample_weight: Any = None
    class_weight: str | Mapping[Any, float] | None = None
    inputs: str | None = None
    id_column: str | None = None
    horizon: int | None = None
    context: int | None = None
    season: int | None = None
    tokenizer: str = TOKENIZERS[0]
    code: int | None = None
    image_size: int | tuple[int, int] | None = None
    image_fit: str = FITS[0]
    image_memory: float | None = None
    max_broken: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        whole = (("folds", 1), ("repeats", 1), ("seed", 0), ("horizon", 1), ("context", 2), ("season", 1), ("code", 1))
        for name, low in whole:
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < low):
                raise OptionError(f"{name} must be a whole number, at least {low}, got {value!r}")
        given = {name for name in ("validation", "folds", "repeats", "groups", "time") if getattr(self, name) is not None}
        if "validation" in given and given & {"folds", "repeats"}:
            raise OptionError("folds and repeats must be left out with validation=, whose rows choose; got both")
        if self.id_column is not None:
            given -= {"time"}  # it orders the steps inside of sequences
        if "time" in given and given & {"groups", "repeats"}:
            raise OptionError("groups and repeats must be left out with a time column, which orders all rows; got both")
        if "time" in given and (self.folds or 1) > 1:
            raise OptionError(f"folds must be left out with a time column, whose later rows choose, got {self.folds}")
        if self.folds == 1 and (self.repeats or 1) > 1:
            raise OptionError(f"repeats must be 1 for a single fold, got {self.repeats}; use folds=5")
        self._check_class_weight()
        self._check_kinds()
        self._check_images()

    def _check_class_weight(self) -> None:
        weight = self.class_weight
        if not (weight is None or isinstance(weight, Mapping) or (isinstance(weight, str) and weight == BALANCED)):
            raise OptionError(f"class_weight must be 'balanced' or a dict of label: weight, got {weight!r}")

    def _check_kinds(self) -> None:
        for name, known in (("inputs", INPUTS), ("tokenizer", TOKENIZERS)):
            value = getattr(self, name)
            if value not in known and not (value is None and name == "inputs"):
                raise OptionError(f"{name} must be one of {', '.join(known)}, got {value!r}{nearest(value, known)}")
        if self.horizon is None and (self.context is not None or self.season is not None):
            raise OptionError("context and season must be left out without horizon=, the number of steps to forecast")
        if self.horizon is not None and (self.groups is not None or self.id_column is not None or (self.folds or 1) > 1):
            raise OptionError("groups, id_column and folds must be left out with horizon=: one series is divided in time")

    def _check_images(self) -> None:
        size = self.image_size
        sides = list(size) if isinstance(size, (tuple, list)) else [size, size]
        right = all(isinstance(side, int) and not isinstance(side, bool) and 1 <= side <= LARGEST for side in sides)
        if size is not None and not (right and len(sides) == 2):
            raise OptionError(f"image_size must be a whole number from 1 to {LARGEST}, or two, (height, width), got {size!r}")
        if self.image_fit not in FITS:
            raise OptionError(
                f"image_fit must be one of {', '.join(FITS)}, got {self.image_fit!r}{nearest(self.image_fit, FITS)}"
            )
        for name, value, most in (("image_memory", self.image_memory, float("inf")), ("max_broken", self.max_broken, 1.0)):
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if value is not None and not (is_number and 0 <= value <= most):
                unit = "bytes, 0 or more" if most > 1 else "a share, from 0 to 1"
                raise OptionError(f"{name} must be {unit}, got {value!r}")

    @property
    def division(self) -> Division:
        """The sizes of the roles. Of a series nothing reports that lies before the rows that choose."""
        is_earlier = self.horizon is not None and self.validation is not None
        return Division(self.folds, self.repeats, self.validation is None, self.test is None and not is_earlier, self.seed)
