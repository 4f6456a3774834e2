"""Rows of CORPUS: damaged files of an entry, and files of images and datasets."""

from __future__ import annotations

import gzip
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.entries import (
    BAD_NPY,
    WEIGHTS,
    encode_npy,
    encode_npz,
    repeat_member,
)
from tests.hostile.bundles import ZEROS, flip
from tests.hostile.rows import CORPUS, DATASET, IMAGES, MNIST, Hostile, add_bundle, add_damage
from tests.hostile.scene import MANIFEST, TIB8, Scene


def make_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def link_to(target: str) -> Callable[[Path], None]:
    return lambda path: (path.unlink(), path.symlink_to(target), None)[2]


def grow_sparse(path: Path) -> None:
    """Make a file of 8 TiB that takes no room."""
    with path.open("r+b") as stream:
        stream.truncate(TIB8)


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "gone": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "one bit": lambda path: path.write_bytes(flip(path.read_bytes(), path.stat().st_size // 2)),
    "grown": lambda path: path.write_bytes(path.read_bytes() + b"\n"),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "8 TiB of nothing": grow_sparse,
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a fifo": make_fifo,
    "a link to a device": link_to("/dev/zero"),
    "a link to nothing": link_to("/nowhere/at/all"),
    "a link to itself": link_to(WEIGHTS),
}
for _name, _damage in DAMAGES.items():
    add_damage(f"weights: {_name}", WEIGHTS, _damage)
    if _name != "a link to itself":
        add_damage(f"manifest: {_name}", MANIFEST, _damage)

# ---------------------------------------------------------------- images and datasets

NPYS: dict[str, Callable[[Scene], bytes]] = {
    f"npy, {name}": lambda scene, content=content: content for name, content in BAD_NPY.items()
} | {
    "npy claims 8 TiB": lambda scene: encode_npy(f"({TIB8 // 16}, 2, 2)"),
    "npy claims 8 TiB in version 1": lambda scene: b"\x93NUMPY\x01\0v\0" + encode_npy(f"({TIB8},)")[12:],
    "npy of Python 2": lambda scene: encode_npy("(9L, 2L, 2L)", bytes(4)),
    "npy of NaN": lambda scene: encode_npy("(1, 2, 2)", struct.pack("<4f", *[float("nan")] * 4)),
}
NPZS: dict[str, Callable[[Scene], bytes]] = {
    f"npz, {name}": lambda scene, content=content: encode_dataset(content) for name, content in BAD_NPY.items()
} | {
    "npz claims 8 TiB": lambda scene: encode_dataset(encode_npy(f"({TIB8 // 4}, 2, 2)", descr="|u1")),
    "npz of Python 2": lambda scene: encode_dataset(encode_npy("(9L, 2L, 2L)", bytes(4))),
    "npz of NaN": lambda scene: encode_dataset(encode_npy("(1, 2, 2)", struct.pack("<4f", *[float("nan")] * 4))),
    "npz, deflated bomb": lambda scene: encode_npz(
        dict.fromkeys(DATASET_KEYS, encode_npy("(8000000, 2, 2)", bytes(32_000_000), "|u1")), 8
    ),
    "npz of members that overlap": lambda scene: repeat_member(encode_npy("(25000,)", bytes(100_000)), 100),
}
DATASET_KEYS = ("x_train.npy", "y_train.npy", "x_test.npy", "y_test.npy")


def encode_dataset(images: bytes) -> bytes:
    """Return an .npz with the four keys of a dataset, whose images are hostile."""
    labels = encode_npy("(1,)", b"\0", "|u1")
    return encode_npz(dict(zip(DATASET_KEYS, (images, labels, images, labels), strict=True)))


for _name, _make in NPYS.items():
    add_bundle(f"images: {_name}", _make, IMAGES)
for _name, _make in NPZS.items():
    add_bundle(f"dataset: {_name}", _make, DATASET)


def add_place(name: str, make: Callable[[Path], Any], code: int | None) -> None:
    """Add what is no file, where a file is expected. code: of ``import``, None where that is right to wait."""
    offers = IMAGES | DATASET | ({} if code is None else {"import": code, "import --force": code})
    CORPUS[name] = Hostile(lambda scene: (make(scene.file), None)[1], offers)


# A path that is no file is a wrong argument to import, as one that is not there; no bundle was read.
add_place("file: a fifo", os.mkfifo, None)
add_place("file: a link to a device", lambda path: path.symlink_to("/dev/zero"), 4)
add_place("file: a folder", Path.mkdir, 2)
add_place("file: a link to nothing", lambda path: path.symlink_to("/nowhere/at/all"), 2)
add_place("file: a link to itself", lambda path: path.symlink_to(path.name), 2)
add_place("file: 8 TiB of nothing", lambda path: (path.touch(), grow_sparse(path)), 4)


def add_idx(name: str, content: bytes, suffix: str = "") -> None:
    """Add a folder of MNIST whose training images are hostile."""

    def lay(scene: Scene) -> None:
        folder = scene.folder / "mnist"
        folder.mkdir()
        (folder / f"train-images-idx3-ubyte{suffix}").write_bytes(content)
        for other in ("train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
            (folder / other).write_bytes(b"")

    CORPUS[f"IDX: {name}"] = Hostile(lay, MNIST)


IDX_BOMB = gzip.compress(struct.pack(">4I", 0x803, 1000, 28, 28)) + ZEROS * 64
add_idx("bomb, by gzip", IDX_BOMB, ".gz")
add_idx("bomb, by gzip, misnamed", IDX_BOMB)
add_idx("claims 8 EiB", struct.pack(">4I", 0x803, *[0xFFFFFFFF] * 3))
add_idx("claims 8 TiB of the right images", struct.pack(">4I", 0x803, 0xFFFFFFFF, 28, 28))
add_idx("pickle", pickle.dumps([1, 2, 3]))
add_idx("255 axes", b"\0\0\x08\xff" + b"\xff" * 1020)
