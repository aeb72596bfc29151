import itertools
import json
from dataclasses import replace

import pytest

from automl.portfolio import FILE, KINDS, Entry, entries, from_data, inside, packaged, portfolio_for, to_data
from search_spaces.base import SpaceError
from search_spaces.configuration import FAMILIES, Configuration, serves, space_for
from search_spaces.convnet import VGG
from search_spaces.ft_transformer import FTTransformer
from search_spaces.language import Choice, Int, Space
from search_spaces.losses import losses_for
from search_spaces.made_up import INPUTS, OUTPUTS, agree
from search_spaces.mlp import MLP
from search_spaces.naive import NaiveForecast

TABLE, CLASSES, VALUES = INPUTS["both"], OUTPUTS["multiclass"], OUTPUTS["regression"]
SPECS = [
    (inputs, outputs)
    for inputs, outputs in itertools.product(INPUTS.values(), OUTPUTS.values())
    if agree(inputs, outputs) and any(serves(family, inputs, outputs) for family in FAMILIES)
]


def space(inputs=TABLE, outputs=CLASSES, families=FAMILIES, overrides=None):
    return space_for(inputs, outputs, losses_for(outputs), families, overrides)


def test_the_file_holds_each_name_and_decision_that_is_known_today() -> None:
    data = json.loads(FILE.read_text(encoding="utf-8"))
    assert to_data(packaged()) == data  # a field that was renamed or added would be missing on one side
    with pytest.raises(SpaceError, match="MLPs"):
        list(from_data(json.loads(json.dumps(data).replace('"MLP"', '"MLPs"'))))


def test_every_entry_is_of_a_measured_kind_and_there_once() -> None:
    kinds = {(taken.__name__, given.__name__) for taken, given in KINDS}
    assert {entry.kind for entry in packaged()} <= kinds
    assert len(set(packaged())) == len(packaged())
    for kind in (("Table", "Classes"), ("Table", "Values")):
        assert 3 <= sum(entry.kind == kind and entry.family == "MLP" for entry in packaged()) <= 8


@pytest.mark.parametrize(("inputs", "outputs"), SPECS)
def test_all_that_is_tried_lies_inside_of_the_space_of_any_task(inputs, outputs) -> None:
    searched = space(inputs, outputs)
    found = portfolio_for(searched, inputs, outputs)
    for configuration in found:
        searched.check(configuration)
    assert len(set(found)) == len(found)
    assert searched.default() not in found
    assert bool(found) == bool(list(entries(inputs, outputs)))


def test_families_take_turns() -> None:
    tried = portfolio_for(space(), TABLE, CLASSES)
    measured = {entry.family for entry in entries(TABLE, CLASSES)}
    assert {type(one.architecture).__name__ for one in tried[: len(measured)]} == measured


def test_only_searched_families_are_tried() -> None:
    only = space(families=(FTTransformer,))
    assert {type(one.architecture) for one in portfolio_for(only, TABLE, CLASSES)} <= {FTTransformer}
    named = space(overrides={"architecture/kind": "MLP"})
    assert {type(one.architecture) for one in portfolio_for(named, TABLE, CLASSES)} == {MLP}
    assert inside(only, Configuration(architecture=VGG())) is None
    assert inside(only, Configuration(architecture=NaiveForecast())) is None


def test_what_a_user_narrowed_counts_first() -> None:
    narrow = space(families=(MLP,), overrides={"architecture/MLP/blocks/length": Int(1, 1), "recipe/optimizer/kind": "SGD"})
    tried = portfolio_for(narrow, TABLE, CLASSES)
    assert tried
    for one in tried:
        assert len(one.architecture.blocks) == 1
        assert type(one.recipe.optimizer).__name__ == "SGD"


def test_a_space_of_one_configuration_has_nothing_to_try() -> None:
    only = space(families=(MLP,)).default()
    assert portfolio_for(Space(Configuration, dict(fixed(only))), TABLE, CLASSES) == ()


def fixed(configuration):
    yield from space(families=(MLP,)).overrides.items()
    yield from configuration.decisions()


def test_the_batch_follows_the_rows_of_the_task() -> None:
    many = replace(TABLE, rows=100_000)
    searched = space(many)
    assert {one.recipe.batch_size for one in portfolio_for(searched, many, CLASSES)} == {searched.default().recipe.batch_size}


def test_numbers_move_to_the_nearest_and_names_to_the_default() -> None:
    wanted = Configuration(architecture=MLP(dropout=0.5, activation="tanh"))
    searched = space(
        overrides={"architecture/MLP/dropout": Choice(0.0, 0.2), "architecture/MLP/activation": Choice("silu", "gelu")}
    )
    moved = inside(searched, wanted)
    assert moved is not None
    assert (moved.architecture.dropout, moved.architecture.activation) == (0.2, "silu")


def test_entries_are_data() -> None:
    entry = Entry(("Table", "Values"), Configuration(architecture=MLP()))
    assert list(from_data(json.loads(json.dumps(to_data([entry]))))) == [entry]
