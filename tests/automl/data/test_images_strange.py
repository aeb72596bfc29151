"""Strange images, and what each gives: images of some form, perhaps with a notice, or one error that says what to do."""

import re

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from automl.data.assemble import assemble
from automl.data.options import DataOptions
from automl.errors import DataError, OptionError

Y = [0, 1] * 12
DEEP = np.arange(24 * 12 * 16, dtype=np.uint16).reshape(24, 12, 16) * 14
FLAT = [np.full((12, 16), value, dtype=np.uint8) for value in range(24)]
PAIRS = [*zip(map(torch.tensor, FLAT), Y, strict=True)]


class Items(Dataset):
    """A Dataset of whatever it is given; None can't be read."""

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, position):
        if self.items[position] is None:
            raise OSError("disk on fire")
        return self.items[position]


class Stream(IterableDataset):
    def __iter__(self):
        return iter(())


def ok(shape, dtype="uint8", says="", first=None):
    """What is expected: the shape of all images, words of a notice or reason, the pixel at the top left of the first image."""
    return shape, dtype, says, first


# what comes, as a function of a maker of images (see conftest.py): what it gives, or the words of the error
STRANGE = {
    # how colours are stored
    "files of grey": (lambda make: make.photos(FLAT), ok((24, 12, 16, 1), says="grey", first=[0])),
    "one file in colour among grey ones": (
        lambda make: make.photos([make.pixels()[0], *FLAT[1:]]),
        ok((24, 12, 16, 3), says="in colour"),
    ),
    "palettes": (lambda make: make.photos(make.palette()), ok((24, 12, 16, 3), first=[255, 0, 0])),
    "palettes with a transparent colour": (
        lambda make: make.photos(make.palette(transparent=0)),
        ok((24, 12, 16, 3), first=[255, 255, 255]),
    ),
    "1 bit": (lambda make: make.photos([Image.new("1", (16, 12), 1)] * 24), ok((24, 12, 16, 1), first=[255])),
    "grey with opacity": (lambda make: make.photos(make.see_through(2)), ok((24, 12, 16, 1), first=[0])),
    "colour with opacity": (
        lambda make: make.photos([image[:, ::-1] for image in make.see_through(4)]),
        ok((24, 12, 16, 3), first=[255, 255, 255]),
    ),
    "16 bits": (lambda make: make.photos(list(DEEP[:, ::-1, ::-1])), ok((24, 12, 16, 1), "float32", first=[191 * 14 / 257])),
    "16 bits among 8 bits": (
        lambda make: make.photos([DEEP[-1], *FLAT[1:]]),
        ok((24, 12, 16, 1), says="1 of 24 .* more than 8 bits a value; they become 8, as others"),
    ),
    "floats in TIFF": (
        lambda make: make.photos([image / np.float32(7) - 9 for image in FLAT], kind="TIFF"),
        ok((24, 12, 16, 1), "float32", first=[-9]),
    ),
    "CMYK": (
        lambda make: make.photos([Image.new("CMYK", (16, 12), (0, 0, 0, 0))] * 24, kind="JPEG"),
        ok((24, 12, 16, 3), first=[255, 255, 255]),
    ),
    "turned by EXIF": (lambda make: make.photos(make.turned()), ok((24, 16, 12, 3), first=[0, 0, 0])),
    "animated GIF": (lambda make: make.photos(make.animated()), ok((24, 12, 16, 1), says="several frames", first=[0])),
    "JPEG named .png": (lambda make: make.photos(odd={"dog/x.png": make.jpeg()}), ok((25, 12, 16, 3))),
    # sizes
    "one pixel": (lambda make: make.photos([image[:1, :1] for image in FLAT]), ok((24, 1, 1, 1), says="1 x 1 .* as they came")),
    "of several sizes": (
        lambda make: make.photos([image[: 6 + position % 5] for position, image in enumerate(FLAT)]),
        ok((24, 8, 16, 1), says="scaled and cut from 6 x 16 to 10 x 16"),
    ),
    "large": (
        lambda make: make.photos([Image.new("RGB", (400, 300))] * 24),
        ok((24, 56, 72, 3), says="from 300 x 400; image_size="),
    ),
    "long and thin": (lambda make: make.photos([Image.new("L", (900, 4))] * 24), ok((24, 4, 900, 1), says="4 x 900")),
    # files that can't be read
    "empty file": (
        lambda make: make.photos(odd={"cat/x.png": b""}),
        ok((24, 12, 16, 3), says=r"1 of 25 images can't be read: .*cat/x\.png \(empty file\); left out"),
    ),
    "text named .png": (
        lambda make: make.photos(odd={"cat/x.png": b"hello"}),
        ok((24, 12, 16, 3), says=r"x\.png \(no image that Pillow knows\)"),
    ),
    "truncated JPEG": (
        lambda make: make.photos(odd={"cat/x.jpg": make.jpeg()[:-99]}),
        ok((24, 12, 16, 3), says=r"x\.jpg \(.*truncated"),
    ),
    "damaged PNG": (lambda make: make.photos(odd={"cat/x.png": make.damaged()}), ok((24, 12, 16, 3), says=r"x\.png \(")),
    "decompression bomb": (
        lambda make: make.photos(odd={"cat/x.png": make.bomb()}),
        ok((24, 12, 16, 3), says=r"x\.png \(more than 89,478,485 pixels"),
    ),
    "more broken files than may be": (
        lambda make: make.photos(odd={f"cat/x{i}.png": b"?" for i in range(7)}),
        r"at most 1 of 31 images may be unreadable \(max_broken=0.01\), but 7 are: .*x0\.png .*x4\.png \(.*\) and 2 more",
    ),
    "nothing but broken files": (
        lambda make: make.photos([b"?"] * 24),
        r"images must be readable, but .*00\.png \(no image that Pillow knows\).* and 19 more can't be read",
    ),
    # folders
    "hidden files and other files": (
        lambda make: make.photos(odd={"cat/.DS_Store": b"x", "dog/Thumbs.db": b"x", "read me.txt": b"x"}),
        ok((24, 12, 16, 3), says="3 files are left out: 'read me.txt', 'dog/Thumbs.db' .* and 1 hidden"),
    ),
    "a class without images": (
        lambda make: make.photos(odd={"cow/notes.txt": b"x"}),
        ok((24, 12, 16, 3), says="the folders 'cow' hold no images"),
    ),
    "folders in the folder of a class": (
        lambda make: make.photos(odd={"dog/puppies/small/1.png": make.pixels()[0]}),
        ok((25, 12, 16, 3)),
    ),
    "images beside each other": (
        lambda make: make.photos() / "cat",
        "must hold a subfolder of images for each class, got 12 files beside each other; give a table",
    ),
    "one folder too high": (
        lambda make: make.photos().parent,
        "must hold a folder for each class, but has 'photos' alone, with folders in it; name that one",
    ),
    "an empty folder": (lambda make: make.root, "must hold a subfolder of images for each class, got none"),
    "train and test": (
        lambda make: [make.photos().rename(make.root / "train"), make.photos().rename(make.root / "test")][0].parent,
        ok((48, 12, 16, 3)),
    ),
    "a class called train": (
        lambda make: make.photos(odd={"train/1.png": make.pixels()[0], "test/1.png": make.pixels()[0]}),
        ok((26, 12, 16, 3)),
    ),
    "train and test, no classes": (
        lambda make: [make.file(f"{part}/1.png", make.pixels()[0]) for part in ("train", "test")] and make.root,
        "train: must hold a subfolder of images for each class, got 1 files",
    ),
    "classes of training beside another folder": (
        lambda make: [make.photos().rename(make.root / "train"), make.file("notes/1.png", make.pixels()[0])][0].parent,
        ok((24, 12, 16, 3), says="the folders 'notes' are neither train, val nor test"),
    ),
    # .npz files
    "names of classes": (
        lambda make: make.npz(x=make.pixels(), y=Y, classes=["cat", "dog"]),
        ok((24, 12, 16, 3), says="'cat' and 'dog'"),
    ),
    "labels beyond the names of classes": (
        lambda make: make.npz(x=make.pixels(), y=[1, 2] * 12, classes=["cat", "dog"]),
        "y must hold positions in classes, 0 to 1, got 1 to 2",
    ),
    "train, val and test": (
        lambda make: make.npz(
            **{
                f"{part}_{name}": value
                for part in ("train", "val", "test")
                for name, value in {"images": FLAT, "labels": Y}.items()
            }
        ),
        ok((72, 12, 16, 1)),
    ),
    "no labels": (lambda make: make.npz(x=make.pixels()), "images need their labels beside them"),
    "other names": (lambda make: make.npz(a=make.pixels(), b=Y), "must hold arrays x and y, .*got 'a', 'b'"),
    "pickled objects": (
        lambda make: make.npz(x=np.array([{}] * 24, dtype=object), y=Y),
        "must hold arrays without objects, .* as text: y.astype",
    ),
    "no zip": (lambda make: make.file("a.npz", b"hello"), "must be an .npz file, as np.savez writes it"),
    "no file": (lambda make: make.npz(x=1).with_name("animal.npz"), "none of this name.*did you mean 'animals.npz'"),
    # arrays
    "channels first": (
        lambda make: (make.pixels(3, 12, 16), Y),
        ok((24, 12, 16, 3), says=r"\(24, 3, 12, 16\) is taken as \(n, channels, height, width\)"),
    ),
    "thirteen channels": (lambda make: (make.pixels(32, 32, 13), Y), ok((24, 32, 32, 13), says="of 13 channels")),
    "truth values": (lambda make: (make.pixels(12, 16) > -1, Y), ok((24, 12, 16, 1), first=[255])),
    "whole floats": (lambda make: (make.pixels(12, 16, dtype=np.float64), Y), ok((24, 12, 16, 1), first=[217])),
    "floats from 0 to 1": (lambda make: (make.pixels(12, 16) / np.float32(255), Y), ok((24, 12, 16, 1), first=[217])),
    "floats around 0": (lambda make: (make.pixels(12, 16) / 51 - 3, Y), ok((24, 12, 16, 1), "float32", first=[217 / 51 - 3])),
    "whole numbers beyond 255": (
        lambda make: (make.pixels(12, 16, dtype=np.int32) * 9, Y),
        ok((24, 12, 16, 1), "float32", first=[1953]),
    ),
    "all pixels the same": (lambda _: (np.zeros((24, 12, 16)), Y), ok((24, 12, 16, 1), first=[0])),
    "missing pixels": (
        lambda make: (np.where(np.arange(24)[:, None, None] > 20, np.nan, make.pixels(12, 16)), Y),
        r"finite numbers, but 3 of 24 .*\(the first is row 21\).*nan_to_num",
    ),
    "no pixels": (lambda _: (np.zeros((24, 12, 0)), Y), r"got shape \(24, 12, 0\)"),
    "five dimensions": (lambda _: (np.zeros((24, 2, 2, 2, 2)), Y), r"must have the shape .*got \(24, 2, 2, 2, 2\)"),
    "complex numbers": (lambda _: (np.zeros((24, 2, 2), complex), Y), "images must be numbers, got an array of complex128"),
    "images last": (
        lambda _: (np.zeros((12, 16, 3, 24)), Y),
        r"same length, got 12 images and 24 labels; .*np.moveaxis\(X, -1, 0\)",
    ),
    "a column for each class": (
        lambda make: (make.pixels(), np.eye(2)[Y]),
        r"one value for each row, got shape \(24, 2\); use y.argmax\(1\)",
    ),
    "a list of both": (lambda make: [make.pixels(), np.array(Y)], r"images and labels must be a tuple, \(X, y\)"),
    "a bfloat16 tensor": (
        lambda _: (torch.zeros(24, 3, 12, 16, dtype=torch.bfloat16), torch.tensor(Y)),
        ok((24, 12, 16, 3), first=[0, 0, 0]),
    ),
    # many in a list
    "PIL images of several modes": (
        lambda _: ([Image.new(("L", "RGBA", "P", "CMYK")[position % 4], (16, 12)) for position in range(24)], Y),
        ok((24, 12, 16, 3)),
    ),
    "arrays of several sizes": (
        lambda _: ([image[: 6 + position % 5] for position, image in enumerate(FLAT)], Y),
        ok((24, 8, 16, 1)),
    ),
    "arrays of 2 and 3 channels": (
        lambda _: ([np.zeros((12, 16, 2 + position % 2)) for position in range(24)], Y),
        "must all have the same channels, got 2, 3",
    ),
    "lists in lists": (lambda _: ([image.tolist() for image in FLAT], Y), ok((24, 12, 16, 1))),
    # torch
    "a TensorDataset": (
        lambda make: TensorDataset(torch.tensor(make.pixels(3, 12, 16)) / 255, torch.tensor(Y)),
        ok((24, 12, 16, 3)),
    ),
    "a Dataset of PIL images": (
        lambda _: Items([(Image.fromarray(image), label) for image, label in zip(FLAT, Y, strict=True)]),
        ok((24, 12, 16, 1)),
    ),
    **{
        f"a Dataset that fails at {place}": (
            lambda _, place=place: Items([*PAIRS[:place], None, *PAIRS[place:]]),
            ok((24, 12, 16, 1), says=rf"1 of 25 images can't be read: row {place} \(disk on fire\)"),
        )
        for place in (0, 12, 24)
    },
    "a Dataset that always fails": (lambda _: Items([None] * 24), r"images must be readable, but row 0 \(disk on fire\)"),
    "a Dataset that fails at first, of rows": (
        lambda _: Items([None, *[(torch.zeros(5), 1)] * 23]),
        r"must be \(image, label\), .*shape \(5,\)",
    ),
    "a Dataset of three": (lambda _: Items([(FLAT[0], 1, 2)] * 24), r"must be \(input, label\), got 3 parts"),
    "a Dataset of rows": (lambda _: Items([(torch.zeros(5), 1)] * 24), r"must be \(image, label\), .*shape \(5,\)"),
    "a DataLoader": (lambda _: DataLoader(Items([(FLAT[0], 1)])), "got a DataLoader.*give loader.dataset"),
    "a stream": (lambda _: Stream(), "must have a length"),
    # tables of paths
    "paths relative to the table": (
        lambda make: make.csv(make.frame(weather="sun")),
        ok((24, 12, 16, 3), says="columns 'weather' are set aside"),
    ),
    "a row without a path": (
        lambda make: make.csv(make.frame().assign(photo=lambda frame: frame["photo"].where(frame.index != 5))),
        ok((23, 12, 16, 3), says=r"row 5 \(no path\)"),
    ),
    "a path of nothing": (
        lambda make: make.csv(make.frame().replace("photos/cat/02.png", "photos/cat/2.png")),
        ok((23, 12, 16, 3), says=r"photos/cat/2.png \(no such file\)"),
    ),
    "paths of nothing": (
        lambda make: make.csv(make.frame().assign(photo=lambda frame: "old/" + frame["photo"])),
        "column 'photo' names images, but there is no 'old/photos/cat/00.png' .looked in",
    ),
    "addresses": (
        lambda make: make.csv(make.frame().assign(photo=lambda frame: "https://example.org/" + frame["photo"])),
        "download them first",
    ),
    "two columns of paths": (
        lambda make: make.csv(make.frame().assign(mask=lambda frame: frame["photo"])),
        "one column must hold the paths of images, got 'photo', 'mask'; columns={'mask': 'ignored'}",
    ),
    "rows without a label": (
        lambda make: make.csv(make.frame().assign(animal=lambda frame: frame["animal"].where(frame.index != 5))),
        ok((23, 12, 16, 3), says="1 of 24 images have no target 'animal'"),
    ),
    "one class": (lambda make: make.csv(make.frame().assign(animal="cat")), "at least two different values, got 'cat' alone"),
}


@pytest.mark.parametrize(("what", "outcome"), STRANGE.values(), ids=STRANGE.keys())
def test_strange_images(make, what, outcome):
    data = what(make)
    options = DataOptions(target="animal" if str(data).endswith(".csv") else None)
    if isinstance(outcome, str):
        with pytest.raises((DataError, OptionError), match=outcome):
            assemble(data, options)
        return
    shape, dtype, says, first = outcome
    made = assemble(data, options)
    (images,) = made.features
    assert (images.shape, images.dtype.name) == (shape, dtype)
    assert len(made.target) == len(images)
    assert made.encoder.shape == images.shape[1:]
    assert re.search(says, "\n".join((*made.reasons, *made.notices)), re.DOTALL)
    if first is not None:
        np.testing.assert_allclose(images[0, 0, 0], first, rtol=1e-5)
