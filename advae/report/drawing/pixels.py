"""Images as crisp pixels: as they are, as coloured differences, and as PNG within the page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from advae.records import ImageShape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
    Images = NDArray[np.floating[Any]]

LOSS_COLOUR = (0, 114, 178)
GAIN_COLOUR = (213, 94, 0)

SHADES = 20
"""Steps of either colour of a difference: with a palette an image takes a third of what three channels take."""


@dataclass(frozen=True)
class Tiles:
    """Images of one scale."""

    title: str
    """Title of the row of images."""
    scale: str
    """Meaning of its colours; empty where clear."""
    uris: tuple[str, ...]
    """A PNG data URI for each image."""


def tile_images(title: str, images: Images, shape: ImageShape) -> Tiles:
    """Return images on one scale: 0 to 1, widened where the values leave it. images: float32 (m, d)."""
    low, high = find_range(images)
    scale = "" if (low, high) == (0.0, 1.0) else f"black {low:.3g}, white {high:.3g}"
    pixels = paint(images, low, high).reshape(-1, *shape.stored)
    return Tiles(title, scale, tuple(encode_png_uri(image) for image in pixels))


def tile_differences(delta: Images, shape: ImageShape) -> Tiles:
    """Return differences as colours.

    Grey images: white for none, orange for brighter, blue for darker. Colour images: each channel by itself, grey for
    none, lighter for more of it, darker for less.
    """
    import numpy as np

    reach = max(float(np.abs(delta).max()), 1e-12)
    if not shape.is_grey:
        pixels = paint(delta, -reach, reach).reshape(-1, *shape)
        scale = f"each channel: black \N{MINUS SIGN}{reach:.3g}, grey 0, full +{reach:.3g}"
        return Tiles("difference", scale, tuple(encode_png_uri(image) for image in pixels))
    steps = np.rint(delta / reach * SHADES).reshape(-1, *shape.stored)
    share = np.arange(-SHADES, SHADES + 1)[:, None] / SHADES
    colours = np.where(share > 0, np.array(GAIN_COLOUR), np.array(LOSS_COLOUR))
    palette = np.rint(255 + np.abs(share) * (colours - 255)).astype(np.uint8)
    scale = f"blue \N{MINUS SIGN}{reach:.3g}, white 0, orange +{reach:.3g}"
    pixels = (steps + SHADES).astype(np.uint8)
    return Tiles("difference", scale, tuple(encode_png_uri(image, palette) for image in pixels))


def find_range(images: Images) -> tuple[float, float]:
    """Return 0 and 1, or what the values reach where they leave that range."""
    return min(0.0, float(images.min())), max(1.0, float(images.max()))


def paint(images: Images, low: float, high: float) -> Pixels:
    """Return values as uint8, ``low`` as 0 and ``high`` as 255."""
    import numpy as np

    painted: Pixels = np.rint((images - low) / (high - low) * 255).astype(np.uint8)
    return painted


def encode_png_uri(pixels: Pixels, palette: Pixels | None = None) -> str:
    """Return an image as a PNG data URI.

    pixels: uint8 (h, w) of greys, or of places in the palette, uint8 (colours, 3); or (h, w, 3) of colours.
    """
    from PIL import Image

    image = Image.fromarray(pixels)
    if palette is not None:
        image.putpalette(palette.tobytes())
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
