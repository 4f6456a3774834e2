"""Small image files and folders of them."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


def draw(seed: int, *shape: int) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, shape or (6, 4), np.uint8)


def encode(image: Pixels | Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(stream, kind, **options)
    return stream.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def claim_png(width: int, height: int, packed: bytes = b"") -> bytes:
    """Return a grey PNG that claims a size, and holds what ``packed`` unpacks to."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def make_files(*shape: int) -> dict[str, bytes]:
    """Return the files of a small dataset by path: 2 classes, 3 + 2 training and 1 + 1 test images."""
    places = ["train/cat/a", "train/cat/b", "train/cat/c", "train/dog/1", "train/dog/2", "test/cat/a", "test/dog/1"]
    return {f"{place}.png": encode(draw(seed, *shape)) for seed, place in enumerate(places)}


def write_files(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder
