"""One PNG or JPEG file through Pillow: its size from the header, and its pixels."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from advae.arrayfiles import DAMAGED

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

DEEP_GREYS = ("I", "I;16", "I;16B", "I;16L", "I;16N")
"""Pillow's modes of a grey image with 16 bits a pixel."""

GREYS = ("1", "L", *DEEP_GREYS)
"""Pillow's modes of a grey image; everything else is colour."""

ORIENTATION = 0x0112
"""EXIF's tag of how the camera was held."""


@dataclass(frozen=True)
class Picture:
    """What the header of an image file says."""

    size: tuple[int, int]
    """Height and width in pixels, after the turn that EXIF asks for."""
    grey: bool
    """Whether it is grey and has no transparency."""
    packed: int
    """Bytes of the file."""


@contextmanager
def open_picture(file: Path | io.BytesIO) -> Iterator[Image.Image]:
    """Give an image whose header alone was read.

    file: to decode the pixels, the content in memory, of which Pillow cannot ask for more than there is.
    Raises OSError for another format, and Pillow's DecompressionBombError or DecompressionBombWarning for more pixels
    than Pillow takes to be safe.
    """
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        # No other format of Pillow is tried: some start programs.
        with Image.open(file, formats=("PNG", "JPEG")) as picture:
            yield picture


def describe_picture(path: Path, packed: int) -> Picture:
    """Return what the header says. Raises as ``open_picture`` does. packed: bytes of the file."""
    with open_picture(path) as picture:
        height, width = picture.height, picture.width
        turned = _read_orientation(picture) >= 5
        grey = picture.mode in GREYS and "transparency" not in picture.info
    return Picture((width, height) if turned else (height, width), grey, packed)


def to_pixels(picture: Image.Image, *, grey: bool, resize: tuple[int, int] | None) -> NDArray[np.uint8]:
    """Return the pixels, uint8 (h, w), or (h, w, 3) where ``grey`` is false.

    The turn that EXIF asks for is made; transparency is laid over white; of 16 bits the upper 8 are kept. resize:
    height and width, reached by Pillow's bilinear filter.
    """
    import numpy as np
    from PIL import Image

    turn = _list_turns()[_read_orientation(picture)]
    picture.load()
    if picture.mode in DEEP_GREYS:
        plain = Image.fromarray((np.asarray(picture).astype(np.int64).clip(0, 65_535) >> 8).astype(np.uint8))
    elif picture.mode in ("LA", "PA", "RGBA") or "transparency" in picture.info:
        over = picture.convert("RGBA")
        plain = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
    else:
        plain = picture
    plain = plain.convert("L" if grey else "RGB")
    if turn is not None:
        plain = plain.transpose(turn)
    if resize:
        plain = plain.resize(resize[::-1], Image.Resampling.BILINEAR)
    return np.asarray(plain)


def _read_orientation(picture: Image.Image) -> int:
    """Return EXIF's orientation, 1 to 8; 1, upright, where it is absent, damaged, or behind the pixels."""
    # Pillow would decode a PNG in search of EXIF behind its pixels.
    if picture.format == "PNG" and "exif" not in picture.info:
        return 1
    try:
        found = picture.getexif().get(ORIENTATION)
    except DAMAGED:
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def _list_turns() -> dict[int, Image.Transpose | None]:
    """Return the transposition that undoes each orientation of EXIF."""
    from PIL.Image import Transpose

    return {
        1: None,
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
