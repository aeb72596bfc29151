"""The parts of a model card that speak of images."""

from __future__ import annotations

from automl.card_base import OPENED, PREAMBLE, Manifest, Part, shown_result

_MODES = {1: "L", 3: "RGB"}  # of Pillow, by channels


def _described(_: Manifest) -> str:
    return "images"


def _images(manifest: Manifest) -> str:
    inputs, images = manifest["members"][0]["inputs"], manifest["images"]
    colours = {1: "grey", 3: "red, green, blue"}.get(images["channels"], f"{images['channels']} channels")
    means = ", ".join(f"{mean:.4g}" for mean in inputs["mean"])
    stds = ", ".join(f"{std:.4g}" for std in inputs["std"])
    fits = {
        "crop": "those of another shape are scaled until they cover it, and their middle is taken",
        "pad": "those of another shape are scaled until they fit, with black around them",
        "stretch": "those of another shape are stretched",
    }
    return f"""## Images

{images["height"]} x {images["width"]} pixels (height x width), {colours}, {images["dtype"]}; {fits[images["fit"]]}.
Pixels of the training images have mean {means} and standard deviation {stds} (by channel); the network standardises by them.
"""


def _use(manifest: Manifest) -> tuple[str, str, str]:
    has_files = manifest["images"]["channels"] in _MODES  # of other channels there are arrays only
    given = f"{'paths of images, a folder of them, or ' if has_files else ''}arrays (n, height, width[, channels])"
    return "images", "*.png" if has_files else "images.npy", given


def _decoding(images: Manifest) -> tuple[str, str, str]:
    """Return the imports that the example needs, what pixels are, and how an image becomes an array."""
    shape = f"{images['height']}, {images['width']}, {images['channels']}"
    mode = _MODES.get(images["channels"])
    if mode is None or images["dtype"] != "uint8":
        units = "pixels in the units of the training images (files of 16 bits divided by 257)"
        return "", units, f"images = np.zeros((1, {shape}), np.{images['dtype']})  # yours"
    scaled = {"crop": "ImageOps.fit(image, ", "pad": "ImageOps.pad(image, ", "stretch": "image.resize("}[images["fit"]]
    decode = f"""image = ImageOps.exif_transpose(Image.open("image.png")).convert("RGBA")
image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("{mode}")
image = {scaled}({images["width"]}, {images["height"]}), Image.Resampling.BILINEAR)
images = np.asarray(image).reshape(1, {shape})"""
    return "from PIL import Image, ImageOps\n", "pixels as decoders write them", decode


def _onnx(manifest: Manifest) -> str:
    images = manifest["images"]
    imports, units, decode = _decoding(images)
    return f"""## Without automl

`model.onnx` runs wherever ONNX does, for any number of images. It takes {units}, {images["dtype"]}
`(batch, height, width, channels)`; standardising is inside. automl itself reads 16-bit images and large photographs in ways of
its own, so that figures for these may differ a little.

```python
{PREAMBLE}{imports}
{OPENED}{decode}
feed = {{"images": images}}
{shown_result(manifest)}
```
"""


IMAGES = Part("images", _described, _images, _use, _onnx)
