"""Colour images made of two photographs: their digests, regions and pixels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from advae.datasets import fetch, photos
from advae.datasets.decoded import Decoded
from advae.datasets.fetch import fetch_dataset
from advae.datasets.load import load_dataset, verify_dataset
from advae.datasets.search import find_dataset
from advae.datasets.table import DATASETS
from advae.errors import DatasetError
from advae.records import ImageShape

from .samples import TEST, TRAIN, load_line, make_idx_files, make_images, make_labels, write_folder

PIXELS = 32 * 32 * 3


def read_photo(name: str) -> np.ndarray:
    from sklearn.datasets import load_sample_image

    return load_sample_image(f"{name}.jpg")


def make_digits() -> Decoded:
    y_train, y_test = (make_labels(n).astype(np.int64) for n in (TRAIN, TEST))
    return Decoded(make_images(TRAIN), y_train, make_images(TEST), y_test)


def test_photos_need_no_file() -> None:
    data = load_dataset("photos", data_dir=Path("/nowhere"))
    assert (data.ref.shape, data.ref.classes) == (ImageShape(16, 16, 3), ("china", "flower"))
    assert (len(data.x_train), len(data.x_test)) == DATASETS["photos"].counts
    assert [np.bincount(labels).tolist() for labels in (data.y_train, data.y_test)] == [[832, 832], [208, 208]]
    assert verify_dataset("photos") == (None, data.ref.digest, None)
    assert {*data.y_test[:20]} == {0, 1}, "the first images of a --limit are of both classes"


def test_patches_are_those_of_the_photographs_and_their_regions_disjoint() -> None:
    decoded = photos.read_photos()
    for label, name in enumerate(photos.PHOTOS):
        photo = read_photo(name)[:416]
        grid = [(x, photo[y : y + 16, x : x + 16].tobytes()) for y in range(0, 416, 16) for x in range(0, 640, 16)]
        for images, labels, right in (
            (decoded.x_train, decoded.y_train, False),
            (decoded.x_test, decoded.y_test, True),
        ):
            found = sorted(image.tobytes() for image in images[labels == label])
            assert found == sorted(patch for x, patch in grid if (x >= 512) == right)


def blend_one(digit: np.ndarray, window: np.ndarray, colour: np.ndarray, strength: int) -> np.ndarray:
    """Return a blended image, pixel by pixel in Python's whole numbers."""
    out = window.copy()
    for y, x in np.argwhere(digit):
        weight = int(digit[y, x]) * strength >> 8
        for c in range(3):
            out[y, x, c] = (int(window[y, x, c]) * (255 - weight) + int(colour[c]) * weight + 127) // 255
    return out


def test_digits_are_blended_over_windows_of_their_region() -> None:
    digits = make_digits()
    blended = photos.blend_digits(digits)
    assert (blended.x_train.shape, blended.x_train.dtype) == ((TRAIN, 32, 32, 3), np.uint8)
    assert np.array_equal(blended.y_test, digits.y_test)
    words = np.random.PCG64(3).random_raw(TEST * 9).reshape(TEST, 9).tolist()
    for image, digit, drawn in zip(blended.x_test, digits.x_test, words, strict=True):
        photo, y, x, top, left = (w % n for w, n in zip(drawn, (2, 396, 97, 5, 5), strict=False))
        window = read_photo(photos.PHOTOS[photo])[y : y + 32, 512 + x : 544 + x]
        colour = (window.reshape(-1, 3).sum(0, dtype=np.int64) // 1024 + [80 + w % 97 for w in drawn[6:]]) % 256
        placed = np.zeros((32, 32), np.uint8)
        placed[top : top + 28, left : left + 28] = digit
        assert np.array_equal(image, blend_one(placed, window, colour, 176 + drawn[5] % 80))


def test_a_digit_depends_on_its_place_alone() -> None:
    """Fewer digits are the first ones of more."""
    digits = make_digits()
    fewer = replace(digits, x_train=digits.x_train[:7], y_train=digits.y_train[:7])
    assert np.array_equal(photos.blend_digits(fewer).x_train, photos.blend_digits(digits).x_train[:7])


def test_photo_digits_are_found_where_mnist_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_line("photo-digits", cache_dir=tmp_path) == load_line("mnist", cache_dir=tmp_path)
    assert find_dataset("photo-digits", cache_dir=tmp_path).problem == load_line("mnist", cache_dir=tmp_path)
    folder = write_folder(tmp_path / "mnist", make_idx_files())
    data = load_dataset("photo-digits", data_dir=tmp_path)
    assert (data.ref.shape, data.source) == (ImageShape(32, 32, 3), str(folder))
    assert data.x_test.shape == (TEST, PIXELS)
    found = find_dataset("photo-digits", data_dir=tmp_path)
    assert (found.name, found.path, found.train, found.test) == ("photo-digits", str(folder), TRAIN, TEST)
    with pytest.raises(DatasetError, match=r"not the published photo-digits: 20 \+ 10 images .* another decoder"):
        verify_dataset("photo-digits", data_dir=tmp_path)
    asked: list[str] = []
    monkeypatch.setattr(fetch, "_fetch_file", lambda file, *_: asked.append(file.name))
    assert fetch_dataset("photo-digits", cache_dir=tmp_path / "cache") == tmp_path / "cache" / "mnist"
    assert asked == [file.name for file in DATASETS["mnist"].files]


@pytest.mark.real_data
def test_real_photo_digits(real_dir: Path) -> None:
    verified = verify_dataset("photo-digits", data_dir=real_dir)
    assert verified == (str(real_dir.absolute() / "mnist"), DATASETS["photo-digits"].digest, None)
