"""The language of spaces by example: families, their JSON, spaces and what their errors say."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
import pytest

import search_spaces
from search_spaces import Architecture, Choice, Float, Infeasible, Int, OneOf, Repeat, Searchable, SpaceError
from search_spaces.domains import Options
from search_spaces.language import UNSTATED

HERE = Path(__file__).parent
SNAPSHOTS = HERE / "snapshots"


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


# ------------------------------------------------------------------------------------------------------------- families
def test_a_family_has_a_sensible_default():
    assert Network() == Network(
        activation="relu", dropout=0.1, bias=True, clip=None, blocks=(Plain(width=80), Plain(width=80)), pooling=Mean(power=1)
    )


def test_decisions_have_readable_paths():
    assert dict(SAMPLE.decisions()) == {
        "activation": "gelu",
        "dropout": 0.25,
        "bias": True,
        "clip": None,
        "blocks/length": 2,
        "blocks/0/kind": "Plain",
        "blocks/0/Plain/width": 64,
        "blocks/1/kind": "Residual",
        "blocks/1/Residual/width": 96,
        "blocks/1/Residual/expansion": 1.5,
        "pooling/power": 2,
    }


def test_members_are_frozen_equal_by_value_and_usable_as_keys():
    with pytest.raises(dataclasses.FrozenInstanceError):
        SAMPLE.activation = "relu"
    twin = dataclasses.replace(SAMPLE)
    assert twin == SAMPLE
    assert {SAMPLE: 1}[twin] == 1
    assert dataclasses.replace(SAMPLE, bias=False) != SAMPLE
    assert Plain() != Mean()
    with pytest.raises(SpaceError, match="Network/dropout must be a float in"):
        dataclasses.replace(SAMPLE, dropout=0.9)


def test_true_and_1_and_1_0_make_different_members():
    class Flag(Searchable):
        value: object = Choice(True, 1, 1.0)

    members = [Flag(value=value) for value in (True, 1, 1.0)]
    assert len(set(members)) == 3
    assert [json.dumps(member.to_dict()) for member in members] == [
        '{"family": "Flag", "value": true}',
        '{"family": "Flag", "value": 1}',
        '{"family": "Flag", "value": 1.0}',
    ]
    assert [Flag.from_dict(json.loads(json.dumps(member.to_dict()))) for member in members] == members


def test_numbers_take_the_type_of_their_domain():
    member = Residual(width=np.int64(64), expansion=2)
    assert [type(member.width), type(member.expansion)] == [int, float]
    assert type(Residual(expansion=np.float64(2.5)).expansion) is float
    json.dumps(member.to_dict())


def test_fields_are_inherited_from_every_base():
    class Wide(Searchable):
        width: int = Int(1, 4)

    class Deep(Searchable):
        depth: int = Int(1, 4)

    class Both(Wide, Deep):
        width: int = Int(5, 8)

    assert dict(Both(depth=2).decisions()) == {"depth": 2, "width": 7}


def test_a_domain_is_consumed_when_the_class_is_made():
    assert Network.activation == "relu"
    assert isinstance(Network.domains["activation"], Options)
    assert UNSTATED not in vars(Network).values()


@pytest.mark.parametrize(
    ("namespace", "text"),
    [
        ({"__annotations__": {"width": int}}, "Bad/width must be given a domain (Int, Float, Choice, OneOf, Repeat)"),
        ({"__annotations__": {"width": int}, "width": 3}, "Bad/width must be given a domain (Int, Float, Choice, OneOf, Repeat)"),
        ({"width": Int(1, 2)}, "Bad/width must be annotated with the type of its values: width: ... = ..."),
        ({"__annotations__": {"draw": int}, "draw": Int(1, 2)}, "Bad/draw: the name is taken by the language; choose another"),
        (
            {"__annotations__": {"family": int}, "family": Int(1, 2)},
            "Bad/family: the name is taken by the language; choose another",
        ),
    ],
)
def test_a_malformed_family_is_an_error_where_it_is_written(namespace, text):
    with pytest.raises(SpaceError) as error:
        type("Bad", (Searchable,), namespace)
    assert str(error.value) == text


def test_an_architecture_keeps_the_name_of_its_method():
    with pytest.raises(SpaceError, match="Bad/build: the name is taken by the language"):
        type("Bad", (Architecture,), {"__annotations__": {"build": int}, "build": Int(1, 2)})


def test_an_open_field_needs_a_default():
    with pytest.raises(SpaceError, match=r"^OneOf\(Block\) is open and has no default; give one$"):
        type("Bad", (Searchable,), {"__annotations__": {"body": Block}, "body": OneOf(Block)})


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"activation": "glu"}, "Network/activation must be one of 'relu', 'gelu', 'silu', got 'glu'; did you mean 'gelu'?"),
        ({"bias": 1}, "Network/bias must be one of True, False, got 1"),
        ({"clip": 1}, "Network/clip must be one of None, 0.1, 1.0, got 1; the nearest is 1.0"),
        ({"blocks": (Plain(),) * 5}, "Network/blocks/length must be an int in [1, 4], got 5; the nearest is 4"),
        ({"blocks": (Mean(),)}, "Network/blocks/0 must be a member of Plain, Residual, got Mean(power=1)"),
    ],
)
def test_values_outside_are_refused(fields, text):
    with pytest.raises(SpaceError) as error:
        Network(**fields)
    assert str(error.value) == text


# ----------------------------------------------------------------------------------------------------------------- JSON
def test_the_json_form_is_stable():
    stored = json.loads((SNAPSHOTS / "network.json").read_text())
    written = SAMPLE.to_dict()
    assert written == stored
    assert list(written) == list(stored)
    assert Network.from_dict(stored) == SAMPLE


def test_a_file_from_before_a_field_existed_still_loads():
    old = Network.from_dict(json.loads((SNAPSHOTS / "network_v1.json").read_text()))
    assert old == Network(blocks=(Plain(), Residual(width=96)))
    assert old.blocks[1].expansion == 2.5


def test_open_fields_load_the_families_that_are_given():
    trial = Trial(body=Residual())
    assert Trial.from_dict(trial.to_dict(), families=(Plain, Residual)) == trial
    with pytest.raises(SpaceError) as error:
        Trial.from_dict(trial.to_dict(), families=(Plain,))
    known = "body must be one of Plain, got 'Residual'; the classes of other families must be given by families="
    assert str(error.value) == known
    with pytest.raises(
        SpaceError, match=r"^body must be one of the families that are given \(none are\), got 'Residual'; the cl"
    ):
        Trial.from_dict(trial.to_dict())


def test_two_families_of_one_name_are_not_confused():
    twin = type("Residual", (Residual,), {})
    stored = Trial(body=Residual()).to_dict()
    assert Trial.from_dict(stored, families=(Residual, Residual)).body == Residual()
    with pytest.raises(SpaceError) as error:
        Trial.from_dict(stored, families=(Residual, twin))
    assert str(error.value) == "body must name one family, but several of those given are called 'Residual'; rename one"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ([], "Network must be an object with a 'family', got []"),
        ({"family": "Netwrk"}, "Network must be of family Network, got 'Netwrk'"),
        ({"activaton": "relu"}, "Network has no field 'activaton'; did you mean 'activation'?"),
        ({"activation": "tanh"}, "activation must be one of 'relu', 'gelu', 'silu', got 'tanh'"),
        ({"dropout": True}, "dropout must be a float in [0.0, 0.5], got True"),
        ({"blocks": {}}, "blocks must be a list, got {}"),
        ({"blocks": []}, "blocks/length must be an int in [1, 4], got 0; the nearest is 1"),
        ({"blocks": [{"family": "Residul"}]}, "blocks/0 must be one of Plain, Residual, got 'Residul'; did you mean 'Residual'?"),
        ({"blocks": [3]}, "blocks/0 must be an object with a 'family', got 3"),
        ({"blocks": [{}]}, "blocks/0 must be one of Plain, Residual, got None"),
        (
            {"blocks": [{"family": "Plain", "width": 70}]},
            "blocks/0/Plain/width must be an int in [16, 512], a multiple of 16, got 70; the nearest is 64",
        ),
        ({"blocks": [{"family": "Plain", "wdth": 64}]}, "blocks/0/Plain has no field 'wdth'; did you mean 'width'?"),
        ({"pooling": {"family": "Mean", "power": 3}}, "pooling/power must be one of 1, 2, 4, got 3; the nearest is 2"),
    ],
)
def test_a_malformed_file_is_an_error_with_its_path(data, text):
    with pytest.raises(SpaceError) as error:
        Network.from_dict(data)
    assert str(error.value) == text


def test_infeasible_combinations_say_why():
    class Heads(Searchable):
        width: int = Int(1, 8)
        heads: int = Int(1, 8, default=1)

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.width % self.heads:
                raise Infeasible(f"heads={self.heads} must divide width={self.width}")

    with pytest.raises(Infeasible, match="heads=3 must divide width=4"):
        Heads(width=4, heads=3)


def test_the_language_loads_without_torch():
    modules = "search_spaces, search_spaces.variation, search_spaces.storing"
    script = f"import sys, {modules}; print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=HERE.parents[1])
    assert done.stdout == "False False\n"


def test_the_public_names_are_sorted_and_there():
    assert search_spaces.__all__ == sorted(search_spaces.__all__)
    assert all(hasattr(search_spaces, name) for name in search_spaces.__all__)
