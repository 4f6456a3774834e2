"""Images as crisp pixels: on a grey scale, as coloured differences, and as PNG within the page."""

from __future__ import annotations

import base64
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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


def tile_grey(title: str, images: Images, side: int) -> Tiles:
    """Return images on one grey scale: 0 to 1, widened where the values leave it. images: float32 (m, side * side)."""
    low, high = find_range(images)
    scale = "" if (low, high) == (0.0, 1.0) else f"black {low:.3g}, white {high:.3g}"
    pixels = paint_grey(images, low, high).reshape(-1, side, side)
    return Tiles(title, scale, tuple(encode_png_uri(image) for image in pixels))


def tile_differences(delta: Images, side: int) -> Tiles:
    """Return differences as colours: white for none, orange for brighter, blue for darker."""
    import numpy as np

    reach = max(float(np.abs(delta).max()), 1e-12)
    steps = np.rint(delta / reach * SHADES).reshape(-1, side, side)
    share = np.arange(-SHADES, SHADES + 1)[:, None] / SHADES
    colours = np.where(share > 0, np.array(GAIN_COLOUR), np.array(LOSS_COLOUR))
    palette = np.rint(255 + np.abs(share) * (colours - 255)).astype(np.uint8)
    scale = f"blue \N{MINUS SIGN}{reach:.3g}, white 0, orange +{reach:.3g}"
    pixels = (steps + SHADES).astype(np.uint8)
    return Tiles("difference", scale, tuple(encode_png_uri(image, palette) for image in pixels))


def find_range(images: Images) -> tuple[float, float]:
    """Return 0 and 1, or what the values reach where they leave that range."""
    return min(0.0, float(images.min())), max(1.0, float(images.max()))


def paint_grey(images: Images, low: float, high: float) -> Pixels:
    """Return values as uint8 greys, ``low`` black and ``high`` white."""
    import numpy as np

    grey: Pixels = np.rint((images - low) / (high - low) * 255).astype(np.uint8)
    return grey


def encode_png_uri(pixels: Pixels, palette: Pixels | None = None) -> str:
    """Return an image as a PNG data URI.

    pixels: uint8 (h, w) of greys, or of places in the palette, uint8 (colours, 3).
    """
    height, width = pixels.shape
    # Each line begins with its filter; 0 is none. https://www.w3.org/TR/png-3/
    lines = b"".join(b"\0" + line.tobytes() for line in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, 0 if palette is None else 3, 0, 0, 0)
    colours = [] if palette is None else [(b"PLTE", palette.tobytes())]
    chunks = ((b"IHDR", header), *colours, (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
    png = b"\x89PNG\r\n\x1a\n" + b"".join(_frame_chunk(name, content) for name, content in chunks)
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _frame_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
