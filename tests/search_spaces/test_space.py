"""Spaces by example: what overrides narrow, which defaults remain, and what the errors say."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import pytest

from search_spaces import Choice, Float, Int, OneOf, Repeat, Searchable, Space, SpaceError
from search_spaces.domains import FloatRange, IntRange, Options


class Block(Searchable, ABC):
    @abstractmethod
    def build(self, width: int) -> int: ...


class Plain(Block):
    width: int = Int(16, 512, log=True, multiple_of=16)

    def build(self, width: int) -> int:
        return self.width


class Residual(Block):
    width: int = Int(16, 512, log=True, multiple_of=16, default=128)
    expansion: float = Float(1.0, 4.0)

    def build(self, width: int) -> int:
        return width


class Mean(Searchable):
    power: int = Choice(1, 2, 4, ordered=True)


class Network(Searchable):
    activation: str = Choice("relu", "gelu", "silu")
    dropout: float = Float(0.0, 0.5, default=0.1)
    bias: bool = Choice(True, False)
    clip: float | None = Choice(None, 0.1, 1.0)
    blocks: tuple[Block, ...] = Repeat(OneOf(Plain, Residual), 1, 4, default=2)
    pooling: Mean = OneOf(Mean)


class Trial(Searchable):
    body: Block = OneOf(Block, default=Plain(width=32))
    lr: float = Float(1e-4, 1.0, log=True)


SAMPLE = Network(
    activation="gelu",
    dropout=0.25,
    blocks=(Plain(width=64), Residual(width=96, expansion=1.5)),
    pooling=Mean(power=2),
)


def test_a_space_narrows_by_path_glob_brackets_scalar_and_kind():
    space = Space(
        Network,
        {
            "blocks/length": Int(2, 4),
            "blocks/[01]": OneOf(Residual),
            "blocks/2/kind": "Plain",
            "*/width": Int(32, 64),
            "blocks/0/Residual/width": 48,
            "pooling/power": 4,
            "clip": None,
            "dropout": 0,
        },
    )
    assert space.leaves() == {
        "activation": Options(("relu", "gelu", "silu")),
        "dropout": Options((0.0,), ordered=True),
        "bias": Options((True, False)),
        "clip": Options((None,)),
        "blocks/length": IntRange(2, 4, default=2),
        "blocks/0/kind": Options(("Residual",)),
        "blocks/1/kind": Options(("Residual",)),
        "blocks/2/kind": Options(("Plain",)),
        "blocks/3/kind": Options(("Plain", "Residual")),
        "blocks/*/Plain/width": IntRange(32, 64, log=True, multiple_of=16, default=64),
        "blocks/0/Residual/width": Options((48,), ordered=True),
        "blocks/1/Residual/width": IntRange(32, 64, log=True, multiple_of=16, default=64),
        "blocks/3/Residual/width": IntRange(32, 64, log=True, multiple_of=16, default=64),
        "blocks/*/Residual/expansion": FloatRange(1.0, 4.0),
        "pooling/power": Options((4,), ordered=True),
    }
    default = space.default()
    assert default.blocks == (Residual(width=48), Residual(width=64))
    assert (default.dropout, default.pooling.power) == (0.0, 4)


def test_the_last_override_of_a_path_counts():
    assert Space(Network, {"*/width": 64, "blocks/0/*/width": 32}).default().blocks == (Plain(width=32), Plain(width=64))
    assert Space(Network, {"blocks/0/*/width": 32, "*/width": 64}).default().blocks == (Plain(width=64), Plain(width=64))


def test_a_narrower_domain_keeps_the_declared_scale():
    leaves = Space(Trial, {"body": OneOf(Plain), "lr": Float(0.01, 0.1), "*/width": Choice(64, 32)}).leaves()
    assert leaves["lr"] == FloatRange(0.01, 0.1, log=True, default=0.01)
    assert leaves["body/Plain/width"] == Options((32, 64), ordered=True, default=64)
    assert Space(Network, {"pooling/power": Choice(4, 1)}).leaves()["pooling/power"] == Options((1, 4), ordered=True)
    assert Space(Network, {"dropout": Choice(0, 0.5)}).leaves()["dropout"] == Options((0.0, 0.5), ordered=True)


def test_the_default_moves_to_the_nearest_value_unless_another_is_stated():
    assert Space(Network, {"dropout": Float(0.2, 0.5)}).default().dropout == 0.2
    assert Space(Network, {"dropout": Float(0.0, 0.5, default=0.3)}).default().dropout == 0.3
    assert Space(Network, {"activation": Choice("silu", "gelu")}).default().activation == "silu"
    assert Space(Network, {"activation": Choice("silu", "relu")}).default().activation == "relu"
    assert Space(Network, {"activation": Choice("relu", "silu", default="silu")}).default().activation == "silu"
    assert Space(Trial, {"body": OneOf(Plain, Residual)}).default() == Trial()
    assert Space(Trial, {"body": OneOf(Residual, Plain, default=Residual(width=256))}).default().body == Residual(width=256)


def test_an_open_field_must_be_filled():
    with pytest.raises(SpaceError) as error:
        Space(Trial).default()
    assert str(error.value) == "body is open: the space must say which families are searched, e.g. {'body': OneOf(...)}"
    assert Space(Trial, {"body": OneOf(Residual)}).default().body == Residual()


def test_check_names_the_first_decision_outside():
    space = Space(Network, {"blocks/length": Int(1, 2), "activation": "relu"})
    space.check(Network())
    with pytest.raises(SpaceError, match=r"^activation must be one of 'relu', got 'gelu'; did you mean 'relu'\?$"):
        space.check(SAMPLE)
    with pytest.raises(SpaceError, match=r"^blocks/length must be an int in \[1, 2\], got 3; the nearest is 2$"):
        space.check(Network(blocks=(Plain(),) * 3))
    with pytest.raises(SpaceError, match=r"^the space holds members of Network, got Plain\(width=80\)$"):
        space.check(Plain())


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        ({"bloks/length": 1}, "Network has no decision at 'bloks/length'; did you mean 'blocks/length'?"),
        ({"blocks/7/Plain/width": 64}, "Network has no decision at 'blocks/7/Plain/width'; did you mean 'blocks/3/Plain/width'?"),
        ({"blocks/*/Plain/wdth": 64}, "Network has no decision at 'blocks/*/Plain/wdth'; did you mean 'blocks/*/Plain/width'?"),
        ({"pooling/kind": "Mean"}, "Network has no decision at 'pooling/kind'; did you mean 'pooling'?"),
        ({"blocks/length": Int(1, 9)}, "blocks/length must stay within an int in [1, 4], got an int in [1, 9]"),
        ({"blocks/length": 9}, "blocks/length must stay within an int in [1, 4], got one of 9; the nearest is 4"),
        ({"*/width": 70}, "*/width must stay within an int in [16, 512], a multiple of 16, got one of 70; the nearest is 64"),
        ({"bias": 1}, "bias must stay within one of True, False, got one of 1"),
        (
            {"activation": Choice("relu", "glu")},
            "activation must stay within one of 'relu', 'gelu', 'silu', got one of 'relu', 'glu'",
        ),
        (
            {"activation": "glu"},
            "activation must stay within one of 'relu', 'gelu', 'silu', got one of 'glu'; did you mean 'gelu'?",
        ),
        ({"blocks/0": OneOf(Mean)}, "blocks/0 must stay within Plain, Residual, got Mean"),
        ({"blocks/*": OneOf(Mean)}, "blocks/* matches nothing that could be narrowed to OneOf(Mean)"),
        (
            {"blocks/0": OneOf(Plain), "blocks/0/kind": "Residual"},
            "blocks/0/kind must stay within one of 'Plain', got one of 'Residual'",
        ),
        (
            {"blocks/0": "Plain"},
            "blocks/0 must be narrowed to OneOf(...), got one of 'Plain'; narrow 'blocks/0/kind' to choose by name",
        ),
        ({"pooling": "Mean"}, "pooling must be narrowed to OneOf(...), got one of 'Mean'"),
        ({"dropout": OneOf(Mean)}, "dropout must be narrowed to a float in [0.0, 0.5], got OneOf(Mean)"),
        ({"dropout": Int(0, 0)}, "dropout must stay within a float in [0.0, 0.5], got an int in [0, 0]"),
        (
            {"pooling": Mean},
            f"pooling must be narrowed to a domain (Int, Float, Choice, OneOf) or a finite scalar, got {Mean}; write OneOf(Mean)",
        ),
        (
            {"dropout": float("nan")},
            "dropout must be narrowed to a domain (Int, Float, Choice, OneOf) or a finite scalar, got nan",
        ),
        (
            {"blocks": Repeat(OneOf(Plain), 1, 2)},
            "blocks must be narrowed by its parts, got Repeat(...); narrow 'blocks/length' and 'blocks/*' instead",
        ),
        ({"blocks": 3}, "Network has no decision at 'blocks'; narrow 'blocks/length' and 'blocks/*' instead"),
    ],
)
def test_wrong_overrides_are_errors_when_the_space_is_made(overrides, text):
    with pytest.raises(SpaceError) as error:
        Space(Network, overrides)
    assert str(error.value) == text


def test_numpy_scalars_narrow():
    assert Space(Network, {"dropout": np.float64(0.5), "*/width": np.int64(64)}).default().blocks == (Plain(width=64),) * 2


def test_a_family_that_is_reached_from_itself_is_an_error():
    class Nest(Block):
        inner: Block = OneOf(Block, default=Plain())

        def build(self, width: int) -> int:
            return width

    with pytest.raises(SpaceError, match="is too deep: a family can be reached from itself"):
        Space(Trial, {"body": OneOf(Nest), "*/inner": OneOf(Nest, Plain)})
    finite = Space(Trial, {"body": OneOf(Nest), "body/Nest/inner": OneOf(Plain)})
    assert finite.default().body == Nest(inner=Plain(width=80))
