"""A folder of images: what is read, in which order and which colours, and the one wrong file that an error names."""

from __future__ import annotations

import io
import os
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from PIL import Image

from advae.datasets.load import load_dataset, verify_dataset
from advae.datasets.search import find_dataset
from advae.errors import UsageError
from advae.records import ImageShape

from .pictures import chunk, claim_png, draw, encode, make_files, write_files
from .samples import FUZZ, MUTATIONS, load_line, load_or_refuse, mutate

WRONG = "train/cat/b.png"


@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 3)], ids=str)
def test_a_folder_is_read(tmp_path: Path, shape: tuple[int, ...]) -> None:
    folder = write_files(tmp_path / "pets", make_files(*shape))
    data = load_dataset(str(folder))
    assert (data.ref.name, data.ref.shape, data.ref.classes) == ("pets/", ImageShape(*(*shape, 1)[:3]), ("cat", "dog"))
    assert (data.ref.resize, data.source) == (None, str(folder))
    expected = np.stack([draw(seed, *shape) for seed in range(7)]).reshape(7, -1) / np.float32(255)
    assert np.array_equal(data.x_train, expected[:5])
    assert np.array_equal(data.x_test, expected[5:])
    assert (data.y_train.tolist(), data.y_test.tolist()) == ([0, 0, 0, 1, 1], [0, 1])
    assert data.y_train.dtype == np.int64
    found = find_dataset(str(folder))
    assert (found.origin, found.path, found.train, found.test) == ("file", str(folder), 5, 2)
    assert verify_dataset(str(folder)) == (str(folder), data.ref.digest, None)


def test_classes_and_files_are_sorted_by_name_and_others_passed_over(tmp_path: Path) -> None:
    names = ["10.png", "2.PNG", "B.JPG", "a.jpeg", "z.png"]
    files = {
        f"{part}/{label}/{name}": encode(np.full((2, 2), value, np.uint8), "PNG" if "png" in name.lower() else "JPEG")
        for part in ("train", "test")
        for label in ("10", "9", "Z", "a")
        for value, name in zip((16, 32, 48, 64, 80), names, strict=True)
    }
    others = {"train/9/notes.txt": b"x", "train/9/._a.png": b"x", "train/.cache/a.png": b"x", "train/list.csv": b"x"}
    data = load_dataset(str(write_files(tmp_path, files | others)))
    assert data.ref.classes == ("10", "9", "Z", "a")
    assert np.round(data.x_train[:5, 0] * 255).tolist() == [16, 32, 48, 64, 80]
    assert len(data.x_train) == 20


WHITE_HALF = np.array([[[200, 100, 0, 255], [200, 100, 0, 0]]], np.uint8)
PALETTE = Image.new("P", (2, 1))
PALETTE.putpalette([10, 20, 30, 40, 50, 60])
PALETTE.putdata([0, 1])
MODES: dict[str, tuple[bytes, list[int]]] = {
    "black and white": (encode(Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1")), [0, 255]),
    "16 bits": (encode(Image.fromarray(np.array([[256, 65_535]], np.uint16))), [1, 255]),
    "grey": (encode(np.array([[7, 8]], np.uint8)), [7, 8]),
    "grey and transparent": (
        encode(Image.fromarray(np.array([[[9, 255], [9, 0]]], np.uint8), "LA")),
        [9, 9, 9, 255, 255, 255],
    ),
    "transparent is white": (encode(WHITE_HALF), [200, 100, 0, 255, 255, 255]),
    "palette": (encode(PALETTE), [10, 20, 30, 40, 50, 60]),
    "palette with transparency": (encode(PALETTE, transparency=1), [10, 20, 30, 255, 255, 255]),
    "CMYK": (encode(Image.new("CMYK", (2, 1)), "JPEG"), [255] * 6),
}
"""A file of 1 x 2 pixels, and its values."""


@pytest.mark.parametrize("case", MODES)
def test_grey_stays_grey_and_everything_else_becomes_colour(tmp_path: Path, case: str) -> None:
    content, values = MODES[case]
    data = load_dataset(str(write_files(tmp_path, dict.fromkeys(make_files(), content))))
    assert data.ref.shape == ImageShape(1, 2, len(values) // 2)
    assert np.round(data.x_test[0] * 255).tolist() == values


def test_one_colour_image_makes_all_colour(tmp_path: Path) -> None:
    files = make_files()
    data = load_dataset(str(write_files(tmp_path, files | {WRONG: encode(draw(1, 6, 4, 3))})))
    assert data.ref.shape == ImageShape(6, 4, 3)
    assert np.array_equal(data.x_train[0], np.repeat(draw(0).ravel(), 3) / np.float32(255))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_the_turn_of_exif_is_made(tmp_path: Path, orientation: int, kind: str) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encode(draw(0), kind, exif=exif, **({"quality": 100} if kind == "JPEG" else {}))
    data = load_dataset(str(write_files(tmp_path, dict.fromkeys(make_files(), content))))
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    assert data.ref.shape == ImageShape(expected.height, expected.width, 1)
    assert np.array_equal(data.x_train[0], np.asarray(expected).ravel() / np.float32(255))


def test_a_resize_is_part_of_the_reference(tmp_path: Path) -> None:
    sizes = [(6, 4), (8, 8), (3, 9), (5, 5), (2, 2), (6, 4), (7, 3)]
    files = {name: encode(draw(0, *size)) for name, size in zip(make_files(), sizes, strict=True)}
    folder = write_files(tmp_path, files)
    line = load_line(folder)
    assert line == (
        f"{folder / WRONG}: is 8 x 8 pixels, and {folder / 'train/cat/a.png'} is 6 x 4; "
        "make all images of one size, or pass --resize HEIGHT,WIDTH"
    )
    data = load_dataset(str(folder), resize=(5, 3))
    assert (data.ref.shape, data.ref.resize) == (ImageShape(5, 3, 1), (5, 3))
    resized = Image.fromarray(draw(0, 8, 8)).resize((3, 5), Image.Resampling.BILINEAR)
    assert np.array_equal(data.x_train[1], np.asarray(resized).ravel() / np.float32(255))
    assert verify_dataset(str(folder), resize=(5, 3)).digest == data.ref.digest


@pytest.mark.parametrize("name", ["digits", "mnist", "own.npz"])
def test_only_a_folder_is_resized(name: str) -> None:
    with pytest.raises(UsageError, match=f"--resize 8,8 is for a folder of images, and {name} is none"):
        load_dataset(name, resize=(8, 8))


def test_a_folder_that_is_gone_is_an_error_of_the_dataset(tmp_path: Path) -> None:
    assert f"{tmp_path / 'gone'}: cannot be read: No such file" in load_line(tmp_path / "gone")
    (tmp_path / "a.png").touch()
    for name in (tmp_path / "a.png", "no/such/folder"):
        with pytest.raises(UsageError, match=r"or a path that ends in \.npz, or a folder"):
            load_dataset(str(name))


def remove(folder: Path, pattern: str) -> None:
    for path in folder.glob(pattern):
        path.unlink()


STRUCTURES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no train": (lambda f: (f / "train").rename(f / "training"), "no train/; it holds test/, training/; expected DIR/"),
    "no test": (lambda f: (f / "test").rename(f / "val"), "no test/; it holds train/, val/; expected DIR/train/CLASS/"),
    "no classes": (lambda f: [path.rename(f / "train" / path.name) for path in f.glob("train/cat/*")], "cat"),
    "one class": (
        lambda f: [(f / part / "dog").rename(f / f".{part}") for part in ("train", "test")],
        "one class, 'cat', expected at least 2",
    ),
    "a class in train alone": (
        lambda f: (f / "test/dog").rename(f / "other"),
        "class 'dog' is in train/ and not in test/, expected it in both",
    ),
    "a class in test alone": (
        lambda f: (f / "train/cat").rename(f / "train/cats"),
        "class 'cat' is in test/ and not in train/",
    ),
    "no image": (lambda f: remove(f, "train/dog/*"), "dog: no image (.png, .jpg, .jpeg)"),
    "no test image": (lambda f: remove(f, "test/*/*"), "test/cat: no image"),
    "other files": (
        lambda f: [path.rename(path.with_suffix(".gif")) for path in f.glob("train/dog/*")],
        "train/dog: no image (.png, .jpg, .jpeg); it holds 2 other files, such as '1.gif'",
    ),
    "an unprintable class": (
        lambda f: [(f / part / "cat").rename(f / part / "c\x1b[2Jat") for part in ("train", "test")],
        r"the class 'c\x1b[2Jat' has unprintable characters; rename its folder",
    ),
}


@pytest.mark.parametrize("case", STRUCTURES)
def test_what_is_wrong_with_the_folders_is_named(tmp_path: Path, case: str) -> None:
    change, expected = STRUCTURES[case]
    folder = write_files(tmp_path / "pets", make_files())
    change(folder)
    assert expected in load_line(folder)
    (tmp_path / "empty").mkdir()
    assert f"{tmp_path / 'empty'}: no train/; it holds nothing" in load_line(tmp_path / "empty")


GOOD = encode(draw(1, 64, 64))
FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "it is neither PNG nor JPEG, or damaged"),
    "text": (b"<html>", "it is neither PNG nor JPEG, or damaged"),
    "another format": (encode(draw(1), "GIF"), "it is neither PNG nor JPEG, or damaged"),
    "a program": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run\n", "neither PNG nor JPEG"),
    "truncated": (GOOD[: len(GOOD) // 2], "truncated"),
    "truncated JPEG": (encode(draw(1, 64, 64), "JPEG")[:-900], "truncated"),
    "a header alone": (GOOD[:33], "cannot be read as an image"),
    "a damaged checksum": (GOOD[:29] + b"\0\0\0\0" + GOOD[33:], "cannot be read as an image"),
    "no pixels": (claim_png(0, 4), "cannot be read as an image"),
    "huge": (claim_png(2**31 - 1, 2**31 - 1), "cannot be read as an image: Image size"),
    "many pixels": (claim_png(9_000, 9_000, zlib.compress(bytes(99))), "claim 9000 x 9000 pixels; leave it out"),
    "wide": (claim_png(4_097, 1), "is 1 x 4097 pixels, and"),
    "text that unpacks": (
        GOOD[:33] + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(99 << 20))) + GOOD[33:],
        "cannot be read as an image",
    ),
}


@pytest.mark.parametrize(
    ("case", "resize"),
    # A wide image can be resized.
    [(case, resize) for case in FILES for resize in (None, (8, 8)) if not (resize and case == "wide")],
)
def test_the_one_wrong_image_is_named(tmp_path: Path, case: str, resize: tuple[int, int] | None) -> None:
    content, expected = FILES[case]
    folder = write_files(tmp_path, make_files(64, 64) | {WRONG: content})
    load_line(folder / "warm", resize=resize)
    tracemalloc.start()
    try:
        line = load_line(folder, resize=resize)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert line.startswith(f"{folder / WRONG}: ")
    assert expected in line


def test_what_is_no_regular_file_is_named(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "pets", make_files())
    wrong = folder / WRONG
    for make in (
        lambda: wrong.symlink_to("/dev/zero"),
        lambda: wrong.symlink_to("/nowhere/at/all"),
        lambda: wrong.symlink_to(wrong.name),
        lambda: os.mkfifo(wrong),
        wrong.mkdir,
    ):
        wrong.unlink()
        make()
        assert load_line(folder).startswith(f"{wrong}: cannot be read as an image: ")
        if wrong.is_dir():
            break
    wrong.rmdir()
    write_files(tmp_path, {"elsewhere.png": encode(draw(1))})
    wrong.symlink_to(tmp_path / "elsewhere.png")
    assert len(load_dataset(str(folder)).x_train) == 5, "a link to an image is an image"


def test_many_images_that_claim_much_are_refused(tmp_path: Path) -> None:
    content = claim_png(4_096, 4_096, zlib.compress(bytes(4_097 * 4_096)))
    folder = write_files(tmp_path, dict.fromkeys(make_files(), content))
    tracemalloc.start()
    try:
        line = load_line(folder)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert line.startswith(f"{folder}: 7 images of {7 * len(content)} bytes would take {7 << 24}")
    assert load_dataset(str(folder), resize=(4, 4)).x_train.shape == (5, 16)


@FUZZ
@given(MUTATIONS)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_random_images(tmp_path: Path, kind: str, mutations: list[tuple[int, bytes]]) -> None:
    content = mutate(encode(draw(1, 6, 4, 3), kind), mutations)
    folder = write_files(tmp_path, make_files() | {WRONG: content})
    load_or_refuse(lambda: load_dataset(str(folder)))
    load_or_refuse(lambda: load_dataset(str(folder), resize=(3, 3)))


def test_reading_keeps_no_file_open(tmp_path: Path) -> None:
    folder = write_files(tmp_path, make_files())
    before = len([*Path("/proc/self/fd").iterdir()])
    load_dataset(str(folder))
    assert len([*Path("/proc/self/fd").iterdir()]) == before
