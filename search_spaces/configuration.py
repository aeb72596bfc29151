"""What a trial is made of: one root for architecture, recipe and augmentation, so that one language searches all three."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from search_spaces.attention import ViT
from search_spaces.augmentation import Augmentation, ImageAugmentation, NoAugmentation
from search_spaces.autoencoder import Autoencoder, LinearAutoencoder
from search_spaces.averaging import EMA, NoAveraging
from search_spaces.cell import Cell
from search_spaces.conv_autoencoder import ConvAutoencoder
from search_spaces.convnet import VGG, Inception
from search_spaces.densenet import DenseNet
from search_spaces.ft_transformer import FTTransformer
from search_spaces.inception_time import InceptionTime
from search_spaces.language import Architecture, Choice, OneOf, Searchable, Space, SpaceError
from search_spaces.leaves import Options
from search_spaces.linear import Linear
from search_spaces.losses import CrossEntropy
from search_spaces.mlp import MLP
from search_spaces.naive import NaiveForecast
from search_spaces.optimizers import AdamW, Recipe
from search_spaces.pretraining import Autoencoding, NoPretraining
from search_spaces.recurrent import Recurrent
from search_spaces.resnet import ResNet
from search_spaces.schedules import Cosine
from search_spaces.series_augmentation import SeriesAugmentation
from search_spaces.series_mlp import SeriesMLP
from search_spaces.spec import Forecast, Image, Reconstruction, Table, Text, TimeSeries
from search_spaces.tabm import TabM
from search_spaces.temporal import TCN
from search_spaces.text_cnn import TextCNN
from search_spaces.transformer import Transformer

if TYPE_CHECKING:
    from search_spaces.spec import Inputs, Outputs

# Those that are searched; of those that suit a task, the first is the default.
FAMILIES: tuple[type[Architecture], ...] = (
    MLP,
    VGG,
    ResNet,
    Inception,
    DenseNet,
    Cell,
    ViT,
    FTTransformer,
    TabM,
    TextCNN,
    TCN,
    SeriesMLP,
    Transformer,
    InceptionTime,
    Recurrent,
    Autoencoder,
    ConvAutoencoder,
)
KNOWN: tuple[type[Architecture], ...] = (*FAMILIES, Linear, NaiveForecast, LinearAutoencoder)  # may stand in a file


class Configuration(Searchable):
    """An architecture, the recipe that trains it, and how its inputs are varied: paths `architecture/MLP/...`, `recipe/...`."""

    architecture: Architecture = OneOf(Architecture, default=cast("Architecture", MLP()))
    recipe: Recipe = OneOf(Recipe)
    augmentation: Augmentation = OneOf(NoAugmentation, ImageAugmentation, SeriesAugmentation)


def families_for(inputs: Inputs, outputs: Outputs, families: tuple[type[Architecture], ...]) -> tuple[type[Architecture], ...]:
    """Return those of `families` that serve both specs. Raises `SpaceError` where one that isn't ours doesn't, or none does."""
    suited = tuple(family for family in families if serves(family, inputs, outputs))
    every = set(FAMILIES) <= set(families)  # asked for by nobody: those that suit are meant
    strangers = [family.__name__ for family in families if family not in suited and not (every and family in FAMILIES)]
    if strangers or not suited:
        ours = ", ".join(family.__name__ for family in FAMILIES if serves(family, inputs, outputs))
        takes = all(isinstance(inputs, family.takes) for family in families if family.__name__ in strangers)
        must = f"give {type(outputs).__name__}" if takes else f"take {type(inputs).__name__} inputs"
        wrong = ", ".join(strangers) or ", ".join(family.__name__ for family in families)
        raise SpaceError(f"families must {must}, but {wrong} doesn't (see `takes`, `gives`); of ours do {ours}")
    return suited


def _usual_first(families: tuple[type[Architecture], ...], outputs: Outputs) -> tuple[type[Architecture], ...]:
    """Return families with the default first: forecasts begin with a linear map of the window, which is hard to beat."""
    return tuple(sorted(families, key=lambda family: family is not SeriesMLP)) if isinstance(outputs, Forecast) else families


def serves(family: type[Architecture], inputs: Inputs, outputs: Outputs) -> bool:
    """Whether a family takes these inputs and gives these outputs."""
    return isinstance(inputs, family.takes) and isinstance(outputs, family.gives)


def space_for(
    inputs: Inputs,
    outputs: Outputs,
    losses: tuple[str, ...],
    families: tuple[type[Architecture], ...] = FAMILIES,
    overrides: Mapping[str, object] | None = None,
) -> Space[Configuration]:
    """Return the space that is searched for a task.

    `losses` are the names of the losses that suit the task. Those of `families` that take such inputs are searched; each may
    narrow itself to the specs (see `Architecture`); `overrides` come last and so win. Raises `SpaceError` for overrides that are
    no part of the space, and for families of others than ours that don't take these inputs.
    """
    suited = families_for(inputs, outputs, families)
    narrowed: dict[str, object] = {"architecture": OneOf(*_usual_first(suited, outputs)), "recipe/loss/kind": Choice(*losses)}
    narrowed["recipe/batch_size"] = _batch_sizes(inputs, outputs)
    narrowed |= _choices(inputs, outputs)
    narrowed |= _pretraining(inputs, outputs, suited)
    for family in suited:
        own = getattr(family, "narrow", None)
        if own is not None:
            narrowed |= {f"architecture/{family.__name__}/{path}": domain for path, domain in own(inputs, outputs).items()}
    for path, override in (overrides or {}).items():
        narrowed.pop(path, None)
        narrowed[path] = override
    return Space(Configuration, narrowed)


_Defaults: TypeAlias = Mapping[str, tuple[type[Searchable], str, object]]

# Chosen by hand, with single seeds, on small images and the minutes that a search has (results/images/README.md): smaller
# batches, a longer warm-up, softer targets, and the mean of the last weights.
_IMAGE_DEFAULTS: _Defaults = {
    "recipe/optimizer/AdamW/lr": (AdamW, "lr", 4e-3),
    "recipe/optimizer/AdamW/weight_decay": (AdamW, "weight_decay", 0.05),
    "recipe/schedule/Cosine/warmup": (Cosine, "warmup", 0.15),
    "recipe/loss/CrossEntropy/label_smoothing": (CrossEntropy, "label_smoothing", 0.1),
}
# Chosen with single seeds on held-out training rows of trec6, fsdd_logmel and gunpoint, in seconds of one core: texts gain from
# larger steps, sequences nothing beyond noise from other rates, averages and augmentation.
_TEXT_DEFAULTS: _Defaults = {"recipe/optimizer/AdamW/lr": (AdamW, "lr", 5e-3)}
_BATCHES: Mapping[type[Inputs], int] = {Image: 64, TimeSeries: 32, Text: 64}
_FORECASTS = 128  # windows in a batch: they overlap, so that neighbours say much the same
_FEW_ROWS = 1000  # of which pretraining may make more
_SMALLEST_BATCH = 32
_SMALLEST_BATCHES: Mapping[type[Inputs], int] = {TimeSeries: 8, Text: 16}  # where tens of rows must make enough steps
_PLAIN: Mapping[str, object] = {
    "augmentation": OneOf(NoAugmentation),
    "recipe/averaging": OneOf(NoAveraging),  # not measured on tables and texts
}


def _choices(inputs: Inputs, outputs: Outputs) -> Mapping[str, object]:
    """Return the overrides of recipe and augmentation that suit a kind of inputs."""
    match inputs:
        case Image() if not isinstance(outputs, Reconstruction):
            return {
                **_restated(_IMAGE_DEFAULTS),
                "recipe/averaging": OneOf(NoAveraging, EMA, default=EMA()),
                "augmentation": OneOf(ImageAugmentation),
                **_below("augmentation/ImageAugmentation", ImageAugmentation.narrow(inputs, outputs)),
            }
        case TimeSeries():
            return {
                "recipe/averaging": OneOf(NoAveraging, EMA),
                "augmentation": OneOf(NoAugmentation, SeriesAugmentation),
                **_below("augmentation/SeriesAugmentation", SeriesAugmentation.narrow(inputs, outputs)),
            }
        case Text():
            return {**_restated(_TEXT_DEFAULTS), **_PLAIN}
    return _PLAIN


def _restated(defaults: _Defaults) -> dict[str, object]:
    return {path: replace(cast(Any, family.domains[name]), default=value) for path, (family, name, value) in defaults.items()}


def _below(path: str, overrides: Mapping[str, object]) -> dict[str, object]:
    return {f"{path}/{name}": override for name, override in overrides.items()}


def _pretraining(inputs: Inputs, outputs: Outputs, families: tuple[type[Architecture], ...]) -> dict[str, object]:
    """Return the choices where rows can be rebuilt and are few, and networks have layers to pretrain and another task; else none.

    Where there are many rows it costs much and was never shown to help (results/pretraining); `space` opens it there.
    """
    rebuilds = isinstance(inputs, Table | Image) and not isinstance(outputs, Reconstruction)
    if not rebuilds or inputs.rows > _FEW_ROWS or all(family is Linear for family in families):
        return {"recipe/pretraining": OneOf(NoPretraining)}
    return {f"recipe/pretraining/Autoencoding/{path}": override for path, override in Autoencoding.narrow(inputs).items()}


def _batch_sizes(inputs: Inputs, outputs: Outputs) -> object:
    """Return the batch sizes with at least four steps to an epoch, or the smallest; the default leaves twenty."""
    declared, least = cast(Options, Recipe.domains["batch_size"]), _SMALLEST_BATCHES.get(type(inputs), _SMALLEST_BATCH)
    sizes = [size for size in cast("tuple[int, ...]", declared.values) if size >= least]
    allowed = [size for size in sizes if size <= max(inputs.rows // 4, min(sizes))]
    default = _FORECASTS if isinstance(outputs, Forecast) else _BATCHES.get(type(inputs), cast(int, declared.default))
    usual = [size for size in allowed if size <= min(default, max(inputs.rows // 20, min(sizes)))]
    return Choice(*allowed, ordered=True, default=max(usual))
