"""Rows of CORPUS: folders of images, CIFAR-10's archive, and MedMNIST's .npz."""

from __future__ import annotations

import gzip
import os
import pickle
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.datasets.pictures import chunk, claim_png, make_files, write_files
from tests.datasets.samples import encode_tar, make_batches
from tests.entries import BAD_NPY, encode_npy, encode_npz
from tests.hostile.rows import CIFAR, CORPUS, DATASET, FOLDER, Hostile, add_bundle
from tests.hostile.scene import TIB8, Scene

WRONG = "train/cat/b.png"


def add_folder(name: str, change: Callable[[Path], object]) -> None:
    """Add a folder of good images that was changed."""

    def lay(scene: Scene) -> Scene:
        folder = write_files(scene.folder / "pictures", make_files())
        change(folder)
        return replace(scene, file=folder)

    CORPUS[f"folder: {name}"] = Hostile(lay, FOLDER)


def add_image(name: str, content: bytes) -> None:
    """Add a folder of images, one of which is hostile."""
    add_folder(name, lambda folder: (folder / WRONG).write_bytes(content))


GOOD = make_files()[WRONG]
"""A PNG; its header ends at byte 33."""

add_image("claims 4 Ei pixels", claim_png(2**31 - 1, 2**31 - 1))
add_image("bomb of 81 million pixels", claim_png(9_000, 9_000, zlib.compress(bytes(9_001 * 9_000))))
add_image("text bomb", GOOD[:33] + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(64 << 20))) + GOOD[33:])
add_image("profile bomb", GOOD[:33] + chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(64 << 20))) + GOOD[33:])
add_image("cut", GOOD[:60])
add_image("pickle", pickle.dumps([1, 2, 3]))
add_image("PostScript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%id) (r) file\n")
add_image("unprintable", b"\x89PNG\r\n\x1a\n" + chunk(b"\x1b[2J", b"\x1b[2J") + GOOD[8:])


def replace_with(make: Callable[[Path], object]) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        (folder / WRONG).unlink()
        make(folder / WRONG)

    return change


add_folder("a fifo", replace_with(os.mkfifo))
add_folder("a link to a device", replace_with(lambda path: path.symlink_to("/dev/zero")))
add_folder("a link to itself", replace_with(lambda path: path.symlink_to(path.name)))
add_folder("8 TiB of nothing", lambda folder: os.truncate(folder / WRONG, TIB8))
add_folder("a name that moves the cursor", lambda folder: (folder / "train/cat/\x1b[2J\n.png").write_bytes(b""))
add_folder("a name that is not UTF-8", lambda folder: (folder / "train/cat/\udcff.png").write_bytes(b""))
add_folder("a class that moves the cursor", lambda folder: (folder / "train/cat").rename(folder / "train/\x1b[2J\n"))
add_folder("a class that is a link to its parent", lambda folder: (folder / "train/up").symlink_to(".."))


def add_archive(name: str, content: bytes) -> None:
    """Add an archive under the name of CIFAR-10's."""

    def lay(scene: Scene) -> None:
        (scene.folder / "cifar-10-binary.tar.gz").write_bytes(content)

    CORPUS[f"CIFAR-10: {name}"] = Hostile(lay, CIFAR)


BATCHES = {f"cifar-10-batches-bin/{name}": content for name, content in make_batches().items()}

add_archive("not the published one", encode_tar(BATCHES))
add_archive("bomb", encode_tar({"x": b""})[:-40] + gzip.compress(bytes(250 << 20), 9))
add_archive("bomb of a member", encode_tar({"x": bytes(250 << 20)}))
add_archive("bomb of a long name", encode_tar({"x": bytes(64 << 20)}, b"L"))
add_archive("pax header", encode_tar({"x": b"99 path=/etc/passwd\n"}, b"x"))
add_archive("links", encode_tar(dict.fromkeys(BATCHES, b""), b"2"))
add_archive("devices", encode_tar(dict.fromkeys(BATCHES, b""), b"3"))
add_archive("above", encode_tar({f"../{name}": content for name, content in BATCHES.items()}))
add_archive("unprintable", encode_tar({"\x1b[2J": b"x"}))
add_archive("pickle", pickle.dumps([1, 2, 3]))
add_archive("empty members", gzip.compress(b"") * 50_000)

MEDMNIST_KEYS = [f"{part}_{what}.npy" for part in ("train", "val", "test") for what in ("images", "labels")]


def encode_medmnist(images: bytes) -> bytes:
    """Return MedMNIST's .npz, whose images are hostile."""
    labels = encode_npy("(1, 1)", b"\0", "|u1")
    return encode_npz({name: images if "images" in name else labels for name in MEDMNIST_KEYS}, 8)


for _name, _content in BAD_NPY.items():
    add_bundle(f"MedMNIST: {_name}", lambda scene, content=_content: encode_medmnist(content), DATASET)
add_bundle(
    "MedMNIST: claims 8 TiB", lambda scene: encode_medmnist(encode_npy(f"({TIB8 // 4}, 2, 2)", descr="|u1")), DATASET
)
BOMB = encode_npy("(8000000, 2, 2)", bytes(32_000_000), "|u1")
add_bundle("MedMNIST: bomb", lambda scene: encode_medmnist(BOMB), DATASET)
