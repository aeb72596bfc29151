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
from search_spaces import Architecture, Choice, Float, Infeasible, Int, OneOf, Repeat, Searchable, Space, SpaceError
from search_spaces.domains import FloatRange, IntRange, Options
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
    assert SAMPLE != dataclasses.replace(SAMPLE, bias=False)
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
        ({"__annotations__": {"family": int}, "family": Int(1, 2)}, "Bad/family: the name is taken by the language; choose another"),
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
    assert SAMPLE.to_dict() == stored
    assert list(SAMPLE.to_dict()) == list(stored)
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
    with pytest.raises(SpaceError, match=r"^body must be one of the families that are given \(none are\), got 'Residual'; the cl"):
        Trial.from_dict(trial.to_dict())


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


# --------------------------------------------------------------------------------------------------------------- spaces
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
        ({"activation": "glu"}, "activation must stay within one of 'relu', 'gelu', 'silu', got one of 'glu'; did you mean 'gelu'?"),
        ({"blocks/0": OneOf(Mean)}, "blocks/0 must stay within Plain, Residual, got Mean"),
        ({"blocks/*": OneOf(Mean)}, "blocks/* matches nothing that could be narrowed to OneOf(Mean)"),
        ({"blocks/0": OneOf(Plain), "blocks/0/kind": "Residual"}, "blocks/0/kind must stay within one of 'Plain', got one of 'Residual'"),
        ({"blocks/0": "Plain"}, "blocks/0 must be narrowed to OneOf(...), got one of 'Plain'; narrow 'blocks/0/kind' to choose by name"),
        ({"pooling": "Mean"}, "pooling must be narrowed to OneOf(...), got one of 'Mean'"),
        ({"dropout": OneOf(Mean)}, "dropout must be narrowed to a float in [0.0, 0.5], got OneOf(Mean)"),
        ({"dropout": Int(0, 0)}, "dropout must stay within a float in [0.0, 0.5], got an int in [0, 0]"),
        (
            {"pooling": Mean},
            f"pooling must be narrowed to a domain (Int, Float, Choice, OneOf) or a finite scalar, got {Mean!r}; write OneOf(Mean)",
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


# -------------------------------------------------------------------------------------------------------- other processes
DEFINITIONS = '''
import sys
from abc import ABC, abstractmethod
import cloudpickle
from search_spaces import Choice, Float, Int, OneOf, Repeat, Searchable, Space

class Block(Searchable, ABC):
    @abstractmethod
    def build(self): ...

class Plain(Block):
    width: int = Int(16, 512, log=True)
    def build(self): return self.width

class Net(Searchable):
    flag: object = Choice(True, 1)
    blocks: tuple[Block, ...] = Repeat(OneOf(Block, default=Plain()), 1, 3)

net = Net(flag=1, blocks=(Plain(width=64), Plain()))
space = Space(Net, {"blocks/*": OneOf(Plain), "*/width": Int(32, 64)})
with open(sys.argv[1], "wb") as file:
    cloudpickle.dump((Net, Plain, net, space), file)
'''
USES = '''
import dataclasses, json, random, sys
import cloudpickle
from search_spaces import Infeasible, SpaceError
from search_spaces.domains import Options
from search_spaces.variation import crossover, mutate, rearrange, replay, sample

with open(sys.argv[1], "rb") as file:
    Net, Plain, net, space = cloudpickle.load(file)
assert Net.__module__ == "__main__"
assert net == Net(flag=1, blocks=(Plain(width=64), Plain()))
assert net != Net(flag=True, blocks=net.blocks)
assert hash(net) == hash(dataclasses.replace(net))
assert Net.from_dict(json.loads(json.dumps(net.to_dict())), (Plain,)) == net
assert [field.name for field in dataclasses.fields(net)] == ["flag", "blocks"]
assert isinstance(Net.domains["flag"], Options) and Net.domains["blocks"].item.is_open
rng = random.Random(0)
for _ in range(50):
    a, b = sample(space, rng), sample(space, rng)
    for child in (mutate(space, a, rng), rearrange(space, a, rng), crossover(space, a, b, rng)):
        space.check(child)
        assert replay(space, dict(child.decisions())) == child
for change, error in ((lambda: setattr(net, "flag", True), AttributeError), (lambda: Net(flag=2), SpaceError)):
    try:
        change()
    except error:
        continue
    raise AssertionError(error)
print("as before")
'''


def test_families_of_main_travel_by_cloudpickle(tmp_path):
    pickled = tmp_path / "families"
    for script in (DEFINITIONS, USES):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-", str(pickled)],
            input=script,
            capture_output=True,
            text=True,
            check=False,
            cwd=HERE.parents[1],
        )
        assert done.returncode == 0, done.stderr
    assert done.stdout == "as before\n"


def test_the_language_loads_without_torch():
    script = "import sys, search_spaces, search_spaces.variation, search_spaces.storing; print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=HERE.parents[1])
    assert done.stdout == "False False\n"


def test_the_public_names_are_sorted_and_there():
    assert search_spaces.__all__ == sorted(search_spaces.__all__)
    assert all(hasattr(search_spaces, name) for name in search_spaces.__all__)
