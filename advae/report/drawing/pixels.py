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
    from PIL.Image import Image

    Pixels = NDArray[np.uint8]
    Images = NDArray[np.floating[Any]]

LOSS_COLOUR = (0, 114, 178)
GAIN_COLOUR = (213, 94, 0)

SHADES = 20
"""Steps of either colour of a difference: with a palette an image takes a third of what three channels take."""


@dataclass(frozen=True, eq=False)
class Tiles:
    """Images of one scale, in a row."""

    title: str
    """Title of the row of images."""
    scale: str
    """Meaning of its colours; empty where clear."""
    pixels: Pixels
    """uint8 (m, h, w) of greys, or of places in the palette, or (m, h, w, 3) of colours."""
    palette: Pixels | None = None
    """uint8 (colours, 3); None where the pixels are colours themselves."""

    @property
    def uri(self) -> str:
        """The images side by side as one PNG data URI: one alone has a third of the bytes of many."""
        return encode_png_uri(join_images(self.pixels), self.palette)

    def open_images(self) -> list[Image]:
        """Return each image by itself, in colours."""
        return [open_image(pixels, self.palette).convert("RGB") for pixels in self.pixels]


def tile_images(title: str, images: Images, shape: ImageShape) -> Tiles:
    """Return images on one scale: 0 to 1, widened where the values leave it. images: float32 (m, d)."""
    low, high = find_range(images)
    scale = "" if (low, high) == (0.0, 1.0) else f"black {low:.3g}, white {high:.3g}"
    return Tiles(title, scale, paint(images, low, high).reshape(-1, *shape.stored))


def tile_differences(delta: Images, shape: ImageShape) -> Tiles:
    """Return differences as colours.

    Grey images: white for none, orange for brighter, blue for darker. Colour images: each channel by itself, grey for
    none, lighter for more of it, darker for less.
    """
    import numpy as np

    reach = max(float(np.abs(delta).max()), 1e-12)
    if not shape.is_grey:
        scale = f"each channel: black \N{MINUS SIGN}{reach:.3g}, grey 0, full +{reach:.3g}"
        return Tiles("difference", scale, paint(delta, -reach, reach).reshape(-1, *shape))
    steps = np.rint(delta / reach * SHADES).reshape(-1, *shape.stored)
    share = np.arange(-SHADES, SHADES + 1)[:, None] / SHADES
    colours = np.where(share > 0, np.array(GAIN_COLOUR), np.array(LOSS_COLOUR))
    palette = np.rint(255 + np.abs(share) * (colours - 255)).astype(np.uint8)
    scale = f"blue \N{MINUS SIGN}{reach:.3g}, white 0, orange +{reach:.3g}"
    return Tiles("difference", scale, (steps + SHADES).astype(np.uint8), palette)


def join_images(pixels: Pixels) -> Pixels:
    """Return images side by side. pixels: uint8 (m, h, w) or (m, h, w, 3) -> (h, m w) or (h, m w, 3)."""
    import numpy as np

    joined: Pixels = np.concatenate(list(pixels), axis=1)
    return joined


def find_range(images: Images) -> tuple[float, float]:
    """Return 0 and 1, or what the values reach where they leave that range."""
    return min(0.0, float(images.min())), max(1.0, float(images.max()))


def paint(images: Images, low: float, high: float) -> Pixels:
    """Return values as uint8, ``low`` as 0 and ``high`` as 255."""
    import numpy as np

    painted: Pixels = np.rint((images - low) / (high - low) * 255).astype(np.uint8)
    return painted


def open_image(pixels: Pixels, palette: Pixels | None = None) -> Image:
    """Return pixels as an image.

    pixels: uint8 (h, w) of greys, or of places in the palette, uint8 (colours, 3); or (h, w, 3) of colours.
    """
    from PIL import Image

    image = Image.fromarray(pixels)
    if palette is not None:
        image.putpalette(palette.tobytes())
    return image


def encode_png(image: Image) -> bytes:
    """Return an image as the bytes of a PNG."""
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def encode_png_uri(pixels: Pixels, palette: Pixels | None = None) -> str:
    """Return pixels, as ``open_image`` takes them, as a PNG data URI."""
    content = encode_png(open_image(pixels, palette))
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"
