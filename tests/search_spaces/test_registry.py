"""Every family that we ship keeps what families promise, for every kind of inputs that it takes and every kind of target."""

import pytest

from search_spaces.configuration import FAMILIES, KNOWN
from search_spaces.spec import Image, Table
from search_spaces.testing import INPUTS, OUTPUTS, check_family

COMBINATIONS = [
    pytest.param(family, name, id=f"{family.__name__}, {name}")
    for family in KNOWN
    for name, inputs in INPUTS.items()
    if isinstance(inputs, family.takes)
]


@pytest.mark.parametrize("kind", [Table, Image])
def test_every_kind_of_inputs_has_families(kind):
    assert [family for family in FAMILIES if kind in family.takes]


@pytest.mark.parametrize("family", KNOWN)
def test_defaults_conform_everywhere(family):
    check_family(family, samples=0)


@pytest.mark.slow
@pytest.mark.parametrize("outputs", OUTPUTS)
@pytest.mark.parametrize(("family", "inputs"), COMBINATIONS)
def test_random_members_conform(family, inputs, outputs):
    check_family(family, {inputs: INPUTS[inputs]}, {outputs: OUTPUTS[outputs]}, samples=3, seed=1)
