import io
import struct
import zlib

import numpy as np
import pandas as pd
import pytest
from PIL import Image


class ImageMaker:
    """Makes images of two classes, cat and dog, in memory or in files of a folder of its own, as strange as its caller wants."""

    n = 24
    labels = ("cat", "dog") * 12

    def __init__(self, root):
        self.root = root

    def pixels(self, *shape, dtype=np.uint8):
        """Return `n` images of noise."""
        return np.random.default_rng(0).integers(0, 256, (self.n, *(shape or (12, 16, 3)))).astype(dtype)

    def file(self, name, image, **options):
        """Write an image, or the bytes of a file, and return its path."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image if isinstance(image, bytes) else self.encoded(image, **options))
        return path

    def photos(self, images=None, odd=None, kind="PNG", **options):
        """Make a folder with a subfolder for each class; `odd` maps paths of further files in it to images or bytes."""
        for position, image in enumerate(self.pixels() if images is None else images):
            self.file(f"photos/{self.labels[position]}/{position:02}.{kind.lower()}", image, kind=kind, **options)
        for name, image in (odd or {}).items():
            self.file(f"photos/{name}", image)
        return self.root / "photos"

    def frame(self, **columns):
        """Return a table of photos: paths relative to the folder of all files, labels, further columns."""
        self.photos()
        names = [f"photos/{label}/{position:02}.png" for position, label in enumerate(self.labels)]
        return pd.DataFrame({"photo": names, "animal": self.labels, **columns})

    def csv(self, frame):
        frame.to_csv(self.root / "animals.csv", index=False)
        return self.root / "animals.csv"

    def npz(self, **arrays):
        np.savez(self.root / "animals.npz", **arrays)
        return self.root / "animals.npz"

    @staticmethod
    def encoded(image, kind="PNG", **options):
        """Return the bytes of an image file."""
        file = io.BytesIO()
        (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(file, kind, **options)
        return file.getvalue()

    def jpeg(self):
        return self.encoded(self.pixels()[0], "JPEG")

    def damaged(self):
        """Return a PNG with bytes in its middle overwritten."""
        content = self.encoded(self.pixels()[0])
        return content[: len(content) // 2] + b"\xff" * 40 + content[len(content) // 2 + 40 :]

    def turned(self):
        """Return JPEGs 12 high and 16 wide, dark on the left, whose EXIF data say that they are to be turned to the right."""
        exif = Image.Exif()
        exif[0x0112] = 6
        half = np.repeat([[[0]], [[255]]], 8, axis=0).reshape(1, 16, 1).repeat(12, 0).repeat(3, 2).astype(np.uint8)
        return [self.encoded(half, "JPEG", exif=exif)] * self.n

    def animated(self):
        """Return GIFs of a black and a white frame."""
        black, white = Image.new("L", (16, 12)), Image.new("L", (16, 12), 255)
        return [self.encoded(black, "GIF", save_all=True, append_images=[white], duration=9)] * self.n

    def palette(self, transparent=None):
        """Return PNGs of two colours, red on the left and blue on the right; one of these may be transparent."""
        image = Image.fromarray(np.repeat(np.arange(2, dtype=np.uint8), 8)[None].repeat(12, 0))
        image.putpalette([255, 0, 0, 0, 0, 255])
        options = {} if transparent is None else {"transparency": transparent}
        return [self.encoded(image, **options)] * self.n

    def see_through(self, channels):
        """Return black images whose right half is transparent."""
        image = np.zeros((12, 16, channels), dtype=np.uint8)
        image[:, :8, -1] = 255
        return [image] * self.n

    @staticmethod
    def bomb():
        """Return a PNG of few bytes that says it has 30,000 x 30,000 pixels."""

        def chunk(kind, content):
            return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

        header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")


@pytest.fixture
def make(tmp_path):
    return ImageMaker(tmp_path)
