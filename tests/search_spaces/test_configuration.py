"""One root for what is searched: filled with families, narrowed to the task, overridden by the user."""

import json
import random
from collections.abc import Iterable
from pathlib import Path

import pytest

from search_spaces import configuration
from search_spaces.configuration import FAMILIES, KNOWN, Configuration, space_for
from search_spaces.domains import Sequence, Variant
from search_spaces.ft_transformer import FTTransformer
from search_spaces.language import Architecture, Choice, Int, OneOf, Searchable, SpaceError
from search_spaces.linear import Linear
from search_spaces.losses import losses_for
from search_spaces.mlp import MLP
from search_spaces.optimizers import CLASS_LOSSES, VALUE_LOSSES, AdamW
from search_spaces.tabm import TabM
from search_spaces.testing import INPUTS, OUTPUTS
from search_spaces.variation import sample

SNAPSHOTS = Path(__file__).parents[1] / "snapshots"
BOTH, BINARY = INPUTS["both"], OUTPUTS["binary"]


class Mine(Architecture):
    width: int = Int(1, 9)

    def build(self, inputs, outputs):
        raise NotImplementedError

    @staticmethod
    def narrow(inputs, _outputs):
        return {"width": Int(1, max(1, len(inputs.numeric)))}


def reachable(families: Iterable[type[Searchable]]) -> dict[str, list[str]]:
    """The fields of every family that a file may name, by the family's name."""
    found: dict[str, list[str]] = {}
    for family in families:
        found[family.__name__] = sorted(family.domains)
        for domain in family.domains.values():
            inner = domain.item if isinstance(domain, Sequence) else domain
            found |= reachable(inner.concrete()) if isinstance(inner, Variant) else {}
    return dict(sorted(found.items()))


def test_families_and_formats_are_those_of_older_files():
    known = json.loads((SNAPSHOTS / "families.json").read_text())
    assert known == {
        "searched": [family.__name__ for family in FAMILIES],
        "known": [family.__name__ for family in KNOWN],
        "fields": reachable((Configuration, *KNOWN)),
    }


@pytest.mark.parametrize("file", sorted(SNAPSHOTS.glob("configuration*.json")), ids=lambda file: file.stem)
def test_files_of_older_versions_load(file):
    member = Configuration.from_dict(json.loads(file.read_text()), KNOWN)
    again = Configuration.from_dict(json.loads(json.dumps(member.to_dict())), KNOWN)
    assert member == again


def test_the_default_is_written_as_in_the_snapshot():
    assert Configuration().to_dict() == json.loads((SNAPSHOTS / "configuration.json").read_text())


def test_a_linear_baseline_can_stand_in_a_file():
    member = Configuration(architecture=Linear())
    assert Configuration.from_dict(member.to_dict(), KNOWN) == member
    with pytest.raises(SpaceError, match=r"must be one of MLP, VGG, .*, got 'Linear'"):
        Configuration.from_dict(member.to_dict(), FAMILIES)


def test_paths_are_short():
    paths = dict(Configuration().decisions())
    assert paths["architecture/kind"] == "MLP"
    assert {"architecture/MLP/blocks/0/Plain/width", "recipe/optimizer/AdamW/lr", "recipe/batch_size"} <= set(paths)


def test_losses_are_those_of_the_task():
    for inputs, outputs, losses in ((BOTH, BINARY, CLASS_LOSSES), (BOTH, OUTPUTS["regression"], VALUE_LOSSES)):
        space = space_for(inputs, outputs, losses)
        assert type(space.default().recipe.loss).__name__ == losses[0]
        rng = random.Random(0)
        assert {type(sample(space, rng).recipe.loss).__name__ for _ in range(60)} == set(losses)


@pytest.mark.parametrize(("rows", "largest", "usual"), [(50_000, 1024, 256), (3000, 512, 128), (300, 64, 32), (20, 32, 32)])
def test_batches_are_small_against_the_rows(rows, largest, usual):
    from dataclasses import replace

    space = space_for(replace(BOTH, rows=rows), BINARY, CLASS_LOSSES)
    assert max(space.leaves()["recipe/batch_size"].values) == largest
    assert space.default().recipe.batch_size == usual


def test_families_narrow_themselves():
    space = space_for(INPUTS["codes"], BINARY, CLASS_LOSSES)
    assert space.leaves()["architecture/MLP/input/numeric/kind"].values == ("NoEmbedding",)
    space.check(space.default())


def test_own_families_are_searched_beside_or_instead():
    alone = space_for(INPUTS["numbers"], BINARY, CLASS_LOSSES, (Mine,))
    assert isinstance(alone.default().architecture, Mine)
    assert alone.leaves()["architecture/Mine/width"].high == 3
    beside = space_for(BOTH, BINARY, CLASS_LOSSES, (*FAMILIES, Mine))
    assert isinstance(beside.default().architecture, MLP)
    rng = random.Random(0)
    assert {type(sample(beside, rng).architecture) for _ in range(80)} == {MLP, FTTransformer, TabM, Mine}


def test_the_users_overrides_win():
    overrides = {
        "recipe/batch_size": 1024,
        "architecture/Mine/width": 9,
        "recipe/optimizer": OneOf(AdamW),
        "architecture/MLP/*/scaling": Choice("standard"),
    }
    space = space_for(INPUTS["numbers"], BINARY, CLASS_LOSSES, (*FAMILIES, Mine), overrides)
    leaves = space.leaves()
    assert leaves["recipe/batch_size"].values == (1024,)
    assert leaves["architecture/Mine/width"].values == (9,)
    assert leaves["architecture/MLP/input/scaling"].values == ("standard",)
    assert leaves["recipe/optimizer/kind"].values == ("AdamW",)


def test_globs_of_the_user_win_over_narrowing():
    space = space_for(INPUTS["numbers"], BINARY, CLASS_LOSSES, (Mine,), {"*/width": 7})
    assert space.default().architecture == Mine(width=7)


def test_a_wrong_override_is_named():
    with pytest.raises(SpaceError, match="recipe/batchsize"):
        space_for(BOTH, BINARY, CLASS_LOSSES, overrides={"recipe/batchsize": 32})


def test_every_sample_is_in_the_space():
    space, rng = space_for(BOTH, BINARY, CLASS_LOSSES), random.Random(0)
    for _ in range(50):
        member = sample(space, rng)
        space.check(member)
        assert Configuration.from_dict(json.loads(json.dumps(member.to_dict())), KNOWN) == member


def test_public_names():
    assert {"FAMILIES", "KNOWN", "Configuration", "space_for"} <= set(vars(configuration))


@pytest.mark.parametrize(("inputs", "augmentations", "batch"), [
    ("both", {"NoAugmentation"}, 32), ("colour images", {"ImageAugmentation"}, 32), ("texts", {"NoAugmentation"}, 16),
    ("long sequences", {"NoAugmentation", "SeriesAugmentation"}, 8),
])  # fmt: skip
def test_recipes_and_augmentations_are_those_of_the_inputs(inputs, augmentations, batch):
    space, rng = space_for(INPUTS[inputs], BINARY, CLASS_LOSSES), random.Random(0)
    members = [sample(space, rng) for _ in range(60)]
    assert {type(member.augmentation).__name__ for member in members} == augmentations
    assert space.default().recipe.batch_size == batch
    for member in members:
        space.check(member)


@pytest.mark.parametrize(("inputs", "outputs", "family"), [
    ("both", "binary", "MLP"), ("colour images", "binary", "VGG"), ("texts", "labels", "TextCNN"),
    ("long sequences", "multiclass", "TCN"), ("long sequences", "forecast", "SeriesMLP"),
])  # fmt: skip
def test_the_default_family_is_that_of_the_task(inputs, outputs, family):
    space = space_for(INPUTS[inputs], OUTPUTS[outputs], losses_for(OUTPUTS[outputs]))
    assert type(space.default().architecture).__name__ == family


def test_texts_are_trained_in_larger_steps():
    rates = [space_for(INPUTS[name], BINARY, CLASS_LOSSES).default().recipe.optimizer.lr for name in ("texts", "long sequences")]
    assert rates == [5e-3, AdamW().lr]
