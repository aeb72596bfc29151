"""The parts of a network are found whatever family it is of: what comes before the last layer, as a whole or stage by stage."""

import pytest
import torch
from torch import nn

from automl.training.networks import build_network
from automl.training.stages import stages_of
from search_spaces.configuration import FAMILIES, serves
from search_spaces.convnet import VGG
from search_spaces.domains import Infeasible
from search_spaces.language import Space
from search_spaces.linear import Linear
from search_spaces.made_up import INPUTS, OUTPUTS, made_up_batch
from search_spaces.mlp import MLP, Plain, Residual

NAMES = ("both", "one number", "texts beside columns", "grey images", "oblong images")
CASES = [(name, family) for name in NAMES for family in FAMILIES if serves(family, INPUTS[name], OUTPUTS["binary"])]


def network_of(family, name, outputs=OUTPUTS["binary"]):
    narrow = getattr(family, "narrow", None)
    space = Space(family, narrow(INPUTS[name], outputs) if narrow else {})
    return build_network(space.default(), INPUTS[name], outputs, seed=0)


def found(network, name="numbers", *, layerwise=True):
    return stages_of(network, made_up_batch(INPUTS[name]), layerwise=layerwise)


def names(network, stage):
    return [name for name, parameter in network.named_parameters() if any(parameter is own for own in stage.parameters)]


@pytest.mark.parametrize(("name", "family"), CASES, ids=lambda value: getattr(value, "__name__", value))
def test_every_family_has_a_part_before_its_last_layer(name, family):
    network = network_of(family, name)
    (whole,) = found(network, name, layerwise=False)
    parts = found(network, name)
    assert whole.last.module is parts[-1].last.module
    assert [part.first for part in parts] == [None, *(part.last for part in parts[:-1])]
    together = [id(parameter) for part in parts for parameter in part.parameters]
    assert sorted(together) == sorted(id(parameter) for parameter in whole.parameters)
    left = [one for one in network.parameters() if id(one) not in set(together)]
    assert left
    assert all(any(one is parameter for parameter in whole.last.module.parameters()) for one in left)


def test_the_blocks_of_a_perceptron_are_stages():
    blocks = (Plain(width=16), Residual(width=16), Plain(width=24))
    network = build_network(MLP(blocks=blocks), INPUTS["both"], OUTPUTS["binary"], seed=0)
    stages = found(network, "both")
    assert [stage.last.shape for stage in stages] == [(16,), (16,), (24,)]
    assert all(name.startswith(("input.", "blocks.0.")) for name in names(network, stages[0]))
    assert all(name.startswith("blocks.2.") for name in names(network, stages[2]))


def test_a_residual_perceptron_ends_with_its_norm():
    network = build_network(MLP(blocks=(Residual(width=16),) * 2), INPUTS["both"], OUTPUTS["binary"], seed=0)
    assert [len(names(network, stage)) for stage in found(network, "both")][1] == 4 + 2 + 2


def test_the_stages_of_a_convolutional_network_return_maps():
    network = build_network(VGG(opening=1, hidden=0), INPUTS["grey images"], OUTPUTS["binary"], seed=0)
    assert [len(stage.last.shape) for stage in found(network, "grey images")] == [3, 3, 3, 1]


@pytest.mark.parametrize("layerwise", [False, True])
@pytest.mark.parametrize("name", ["both", "colour images"])
def test_nothing_can_be_pretrained_of_a_linear_model(name, layerwise):
    network = build_network(Linear(), INPUTS[name], OUTPUTS["binary"], seed=0)
    with pytest.raises(Infeasible, match="recipe/pretraining must be NoPretraining for a network without layers before the last"):
        found(network, name, layerwise=layerwise)


class Odd(nn.Module):
    """Tied weights, parts side by side, one that isn't used, one that is frozen, and a norm behind the last layer."""

    def __init__(self):
        super().__init__()
        columns = len(INPUTS["numbers"].numeric)
        self.free = nn.Parameter(torch.zeros(columns))
        self.beside = nn.ModuleList([nn.Linear(columns, 4), nn.Linear(columns, 4)])
        self.tied, self.unused, self.frozen = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4).requires_grad_(False)
        self.last, self.norm = nn.Linear(4, 2), nn.LayerNorm(2)

    def forward(self, numeric, categorical):
        numeric = numeric.nan_to_num() + self.free
        x = self.beside[0](numeric) + self.beside[1](numeric)
        return self.norm(self.last(self.tied(self.frozen(self.tied(x)))))


def test_a_network_of_any_make_is_one_stage():
    network = Odd()
    for layerwise in (False, True):
        (stage,) = found(network, layerwise=layerwise)
        assert stage.last.module is network.last
        expected = {"free", *(f"{part}.{name}" for part in ("beside.0", "beside.1", "tied") for name in ("weight", "bias"))}
        assert set(names(network, stage)) - {"unused.weight", "unused.bias"} == expected
        assert not {network.norm, network.last} & set(stage.own)


def test_layers_in_a_plain_sequence_are_stages_with_what_follows_them():
    columns = len(INPUTS["numbers"].numeric)

    class Plainest(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(columns, 8), nn.Tanh(), nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, 2))

        def forward(self, numeric, categorical):
            return self.layers(numeric.nan_to_num())

    network = Plainest()
    stages = found(network)
    assert [stage.last.shape for stage in stages] == [(8,), (4,)]
    assert [names(network, stage) for stage in stages] == [
        ["layers.0.weight", "layers.0.bias"],
        ["layers.2.weight", "layers.2.bias"],
    ]
    assert network.layers[1] in stages[0].own
    assert network.layers[3] in stages[1].own


def test_no_layer_at_all():
    class Nothing(nn.Module):
        def __init__(self):
            super().__init__()
            self.slope = nn.Parameter(torch.zeros(1))

        def forward(self, numeric, categorical):
            return self.slope * numeric[:, :2].nan_to_num()

    with pytest.raises(Infeasible, match="got Nothing"):
        found(Nothing())


def test_the_axis_of_the_batch_is_found():
    columns = len(INPUTS["numbers"].numeric)

    class Members(nn.Module):
        """Three members side by side, before the axis of the batch."""

        def __init__(self):
            super().__init__()
            self.layers, self.head = nn.Sequential(nn.Linear(columns, 8), nn.ReLU(), nn.Linear(8, 4)), nn.Linear(4, 2)

        def forward(self, numeric, categorical):
            return self.head(self.layers(numeric.nan_to_num().expand(3, -1, -1))).mean(0)

    points = [stage.last for stage in found(Members())]
    assert [(point.axis, point.shape) for point in points] == [(1, (3, 8)), (1, (3, 4))]
