"""Every family that we ship keeps what families promise, for every kind of inputs that it takes and every kind of target."""

import pytest

from search_spaces.configuration import FAMILIES, KNOWN
from search_spaces.linear import Linear
from search_spaces.made_up import agree
from search_spaces.mlp import MLP
from search_spaces.series_mlp import SeriesMLP
from search_spaces.spec import Image, Table, Text, TimeSeries
from search_spaces.tabm import TabM
from search_spaces.testing import INPUTS, OUTPUTS, check_family

COMBINATIONS = [
    pytest.param(family, inputs, outputs, id=f"{family.__name__}, {inputs}, {outputs}")
    for family in KNOWN
    for inputs, taken in INPUTS.items()
    for outputs, given in OUTPUTS.items()
    if isinstance(taken, family.takes) and isinstance(given, family.gives) and agree(taken, given)
]
OWN_OUTPUTS = {Linear, MLP, SeriesMLP, TabM}  # the last layer of all others is that of MLP
FIRST = {type(inputs): {name: inputs} for name, inputs in reversed(INPUTS.items())}  # of each kind


@pytest.mark.parametrize("kind", [Table, Image, TimeSeries, Text])
def test_every_kind_of_inputs_has_families(kind):
    assert [family for family in FAMILIES if kind in family.takes]


@pytest.mark.parametrize("family", KNOWN)
def test_defaults_conform_for_all_inputs(family):
    outputs = {name: OUTPUTS[name] for name in ("multiclass", "reconstruction")}
    check_family(family, outputs=outputs, samples=0)


@pytest.mark.parametrize(
    "family",
    [pytest.param(family, marks=[] if family in OWN_OUTPUTS else pytest.mark.slow, id=family.__name__) for family in KNOWN],
)
def test_defaults_conform_for_all_outputs(family):
    for kind in family.takes:
        check_family(family, FIRST[kind], samples=0)


@pytest.mark.slow
@pytest.mark.parametrize(("family", "inputs", "outputs"), COMBINATIONS)
def test_random_members_conform(family, inputs, outputs):
    check_family(family, {inputs: INPUTS[inputs]}, {outputs: OUTPUTS[outputs]}, samples=3, seed=1)
