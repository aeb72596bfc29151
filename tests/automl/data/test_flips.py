"""Which flips are offered: where labels survive them, on made-up images and on real ones."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from automl.data.flips import flips_line, flips_that_keep_labels
from search_spaces.spec import Classes, Values

IMAGES = Path(__file__).parents[4] / "shared" / "data" / "images"


def arrows(rng, rows):
    """Arrows in the middle that point left or right."""
    labels, images = rng.integers(0, 2, rows), rng.normal(0, 40, (rows, 16, 16, 1))
    for image, label in zip(images, labels, strict=True):
        across, down = rng.integers(-1, 2, 2)
        for step in range(5):
            column = 8 + across + (step if label else -step)
            image[[7 + down - step, 7 + down + step], column] += 200
    return images, labels


def skies(rng, rows):
    """Images whose upper half is brighter in one class."""
    labels, images = rng.integers(0, 2, rows), rng.normal(100, 40, (rows, 16, 16, 3))
    images[:, :8] += 30 * labels[:, None, None, None]
    return images, labels


def lights(rng, rows):
    """Images that are brighter in one class."""
    labels = rng.integers(0, 2, rows)
    return rng.normal(100, 40, (rows, 9, 7, 1)) + 10 * labels[:, None, None, None], labels


def letters(rng, rows):
    """Twenty classes of whole rows, and two that are each other's mirror image, so that on average little is lost."""
    labels, images = rng.integers(0, 22, rows), rng.normal(0, 5, (rows, 22, 8, 1))
    images[np.arange(rows), labels // 2 * 2] += np.where(labels >= 20, 0, 100 + labels % 2 * 100)[:, None, None]
    half = np.where(labels == 20, 0, 4)
    for image, label, start in zip(images, labels, half, strict=True):
        if label >= 20:
            image[20, start : start + 4] += 200
    return images, labels


def noise(rng, rows):
    return rng.integers(0, 256, (rows, 16, 16, 3)).astype(np.uint8), rng.integers(0, 3, rows)


def digits(rng, rows):
    data = load_digits()
    chosen = rng.permutation(len(data.images))[:rows]
    return data.images[chosen][..., None], data.target[chosen]


def real(name):
    def draw(rng, rows):
        if not (IMAGES / name).exists():
            pytest.skip("real images are not at hand")
        with np.load(IMAGES / name) as file:
            images, labels = file["x_train"], file["y_train"]
        chosen = rng.permutation(len(images))[:rows]
        return images[chosen].reshape(len(chosen), *images.shape[1:3], -1), labels[chosen].astype(np.int64)

    return draw


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("draw", "rows", "flips"),
    [
        (arrows, 300, ("vertical",)),
        (skies, 300, ("horizontal",)),
        (lights, 300, ("horizontal", "vertical")),
        (letters, 2000, ()),
        (noise, 1000, ()),
        (digits, 1700, ()),
        (real("mnist_small.npz"), 2000, ()),
        (real("cifar10_small.npz"), 2000, ("horizontal",)),
        (lights, 30, ()),
    ],
)
def test_flips_that_change_labels_are_not_offered(draw, rows, flips, seed):
    images, labels = draw(np.random.default_rng(seed), rows)
    assert flips_that_keep_labels(images, labels, Classes(tuple(np.bincount(labels).tolist()))) == flips


def test_values_may_hang_on_a_side():
    images, _ = skies(np.random.default_rng(0), 800)
    right = images[:, :, 8:].mean((1, 2, 3)) - images[:, :, :8].mean((1, 2, 3))
    assert flips_that_keep_labels(images, right, Values(0.0, 1.0)) == ("vertical",)
    assert flips_that_keep_labels(images, images.mean((1, 2, 3)), Values(0.0, 1.0)) == ("horizontal", "vertical")
    assert flips_that_keep_labels(images, np.random.default_rng(1).normal(size=800), Values(0.0, 1.0)) == ()
    assert flips_that_keep_labels(images, np.ones(800), Values(1.0, 1.0)) == ()


def test_what_can_not_be_mirrored_is_not():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 300)
    thin = rng.normal(size=(300, 1, 5, 1)) + labels[:, None, None, None]
    assert flips_that_keep_labels(thin, labels, Classes((150, 150))) == ("horizontal",)
    assert flips_that_keep_labels(np.zeros((300, 4, 4, 1)), labels, Classes((150, 150))) == ()


def test_flips_are_said():
    assert "not mirrored" in flips_line(())
    assert "horizontal and vertical" in flips_line(("horizontal", "vertical"))
