"""Autoencoders conform, rebuild what has fewer numbers than columns, and give back codes and rows."""

import itertools

import pytest
import torch

from search_spaces.autoencoder import (
    Autoencoder,
    CodeKind,
    DenoisingCode,
    LinearAutoencoder,
    PlainCode,
    RebuildingNetwork,
    VariationalCode,
)
from search_spaces.base import Infeasible
from search_spaces.layers import ACTIVATIONS, NORMALISATIONS, set_dropout_generator
from search_spaces.made_up import INPUTS, OUTPUTS, made_up_batch
from search_spaces.rebuilt import Rebuilt
from search_spaces.spec import CategoricalColumn, NumericColumn, Reconstruction, Table
from search_spaces.testing import check_family

KINDS = (PlainCode(), DenoisingCode(), VariationalCode())
LINE = tuple(i / 24 - 1 for i in range(49))
COLUMNS = Table(tuple(NumericColumn(name, 0.0, 0.6, LINE, 0.0) for name in "abcd"), (CategoricalColumn("e", (0, 100, 100)),), 200)


def build(family: Autoencoder | LinearAutoencoder, inputs: Table = COLUMNS, code: int = 2, seed: int = 0) -> RebuildingNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return family.build(inputs, Reconstruction(code))


def rows(number: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return rows of four numbers and a category that two numbers say all of, one of them not linearly."""
    first, second = torch.rand(2, number, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    numeric = torch.stack([first, first.square() * 2 - 1, second, 0.5 * (second - first)], 1)
    return numeric, (second > 0).long().unsqueeze(1) + 1


@pytest.mark.slow  # in the registry's tests by its default
@pytest.mark.parametrize("family", [Autoencoder, LinearAutoencoder])
@pytest.mark.parametrize("name", ["both", "missing values", "unseen codes"])
def test_families_conform(family: type[Autoencoder], name: str) -> None:
    check_family(family, {name: INPUTS[name]}, samples=1)


@pytest.mark.parametrize("kind", KINDS, ids=lambda each: type(each).__name__)
def test_each_kind_rebuilds_what_two_numbers_say(kind: CodeKind) -> None:
    network, batch = build(Autoencoder(kind=kind, width=64)), rows(512, 0)
    set_dropout_generator(network, torch.Generator().manual_seed(0))
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3, fused=True)
    for _ in range(150):
        network(*batch).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    network.eval()
    with torch.no_grad():
        fresh = rows(200, 1)
        error = network(*fresh)
        assert error.shape == (200, 1)
        assert error.mean() < 0.25  # of the mean row's 1
        assert network.encode(*fresh).shape == (200, 2)
        numeric, categorical = network.reconstruct(*fresh)
        assert (numeric - fresh[0]).abs().mean() < 0.25
        assert (categorical == fresh[1]).float().mean() > 0.9
        odd = fresh[0].clone()
        odd[:, 3] = -odd[:, 3]  # each value is usual, the row isn't
        assert network(odd, fresh[1]).mean() > 2 * error.mean()


def test_kinds_differ_in_training_alone() -> None:
    networks = [build(Autoencoder(kind=kind)) for kind in (PlainCode(), DenoisingCode(noise=0.4), VariationalCode(beta=1.0))]
    plain, *others = networks
    for network in others:
        network.load_state_dict(plain.state_dict(), strict=False)
        set_dropout_generator(network, torch.Generator().manual_seed(0))
    batch = rows(50, 0)
    with torch.no_grad():
        errors = [network.eval()(*batch) for network in networks]
        losses = [network.train()(*batch).mean() for network in networks]
    assert all(torch.equal(errors[0], other) for other in errors[1:])
    assert losses[1] > losses[0]
    assert losses[2] > losses[0]


def test_noise_exchanges_so_many_cells_within_their_columns() -> None:
    coding = DenoisingCode(noise=0.25).build(4, 2, 4.0)
    set_dropout_generator(coding, torch.Generator().manual_seed(0))
    numbers = torch.arange(4000.0).view(1000, 4)
    (noisy,) = coding.corrupted((numbers,))
    assert ((noisy - numbers) % 4 == 0).all()
    assert (noisy != numbers).float().mean().item() == pytest.approx(0.25, abs=0.02)
    empty = torch.zeros(3, 0)
    assert coding.corrupted((empty,))[0].shape == (3, 0)


@pytest.mark.parametrize(("activation", "normalisation"), list(itertools.product(list(ACTIVATIONS)[:2], NORMALISATIONS)))
def test_activations_and_normalisations(activation: str, normalisation: str) -> None:
    network = build(Autoencoder(activation=activation, normalisation=normalisation, width=16))
    assert network(*rows(8, 0)).isfinite().all()


def test_components_are_those_of_the_rows() -> None:
    network, batch = LinearAutoencoder().build(COLUMNS, Reconstruction(3)), rows(300, 0)
    values, _ = Rebuilt(COLUMNS).targets(*batch)
    mean = values.mean(0)
    network.set(mean, torch.zeros(0, values.shape[1]))
    alone = network(*batch).mean()
    assert alone.item() == pytest.approx(((values - mean).square().sum(1) / 5).mean().item(), rel=1e-3)
    _, _, components = torch.linalg.svd(values - mean, full_matrices=False)
    network.set(mean, components[:3])
    assert network(*batch).mean() < 0.3 * alone
    assert network.encode(*batch).shape == (300, 3)


def test_other_outputs_are_infeasible() -> None:
    for family in (Autoencoder(), LinearAutoencoder()):
        with pytest.raises(Infeasible, match="outputs must be Reconstruction, got Classes"):
            family.build(COLUMNS, OUTPUTS["binary"])


def test_a_row_of_which_nothing_is_known_has_no_error() -> None:
    inputs = INPUTS["both"]
    assert isinstance(inputs, Table)
    numeric, categorical = made_up_batch(inputs)
    nothing = torch.full_like(numeric, float("nan")), torch.zeros_like(categorical)
    assert build(Autoencoder(), inputs).eval()(*nothing).abs().max() == 0
