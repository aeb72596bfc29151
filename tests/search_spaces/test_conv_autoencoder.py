"""Autoencoders of images conform, rebuild what has fewer numbers than pixels, and give back codes and images."""

import pytest
import torch

from search_spaces.autoencoder import CodeKind, DenoisingCode, PlainCode, VariationalCode
from search_spaces.base import Infeasible
from search_spaces.conv_autoencoder import ConvAutoencoder
from search_spaces.layers import IMAGE_NORMALISATIONS, set_dropout_generator
from search_spaces.made_up import INPUTS, OUTPUTS, made_up_batch
from search_spaces.spec import Image, Reconstruction
from search_spaces.testing import check_family

IMAGE = Image(16, 12, 1, "float32", (0.3,), (0.4,), (), 200)


def bars(number: int, seed: int) -> torch.Tensor:
    """Return images of a bright bar, of which its place and its width say all."""
    place, width = torch.rand(2, number, 1, 1, 1, generator=torch.Generator().manual_seed(seed))
    distance = (torch.linspace(0, 1, 16).view(1, 1, 16, 1) - place).abs()
    return torch.sigmoid((0.1 + 0.2 * width - distance) * 30).expand(number, 1, 16, 12).contiguous()


def test_the_family_conforms() -> None:
    check_family(ConvAutoencoder, {"oblong images": INPUTS["oblong images"]}, samples=1)


@pytest.mark.parametrize("kind", [PlainCode(), DenoisingCode(), VariationalCode()], ids=lambda each: type(each).__name__)
def test_each_kind_rebuilds_bars(kind: CodeKind) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = ConvAutoencoder(kind=kind, width=8).build(IMAGE, Reconstruction(3))
    set_dropout_generator(network, torch.Generator().manual_seed(0))
    optimizer, images = torch.optim.AdamW(network.parameters(), lr=5e-3, fused=True), bars(64, 0)
    for _ in range(100):
        network(images).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    network.eval()
    with torch.no_grad():
        fresh = bars(50, 1)
        assert network.encode(fresh).shape == (50, 3)
        (again,) = network.reconstruct(fresh)
        assert again.shape == fresh.shape
        assert network(fresh).mean() < 0.35 * network(bars(50, 2).transpose(2, 3).repeat(1, 1, 2, 1)[:, :, :16, :12]).mean()


@pytest.mark.parametrize("normalisation", IMAGE_NORMALISATIONS)
@pytest.mark.parametrize("stages", [1, 3])
@pytest.mark.parametrize("name", ["one pixel", "grey images"])
def test_any_depth_suits_any_size(normalisation: str, stages: int, name: str) -> None:
    network = ConvAutoencoder(normalisation=normalisation, stages=stages, width=8).build(INPUTS[name], Reconstruction(3))
    assert network.eval()(*made_up_batch(INPUTS[name])).isfinite().all()


def test_tables_and_other_outputs_are_infeasible() -> None:
    with pytest.raises(Infeasible, match="must be Image, got Table"):
        ConvAutoencoder().build(INPUTS["both"], OUTPUTS["reconstruction"])
    with pytest.raises(Infeasible, match="must be Reconstruction, got Values"):
        ConvAutoencoder().build(IMAGE, OUTPUTS["regression"])
