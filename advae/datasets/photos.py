"""Colour images made of the two photographs that scikit-learn contains: their patches, and digits blended over them.

Training images come from the left four fifths of a photograph, test images from the right fifth. Whole numbers and raw
PCG64 words alone decide the pixels, so that every version of NumPy makes the same ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from advae.datasets.decoded import Decoded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]

PHOTOS = ("china", "flower")
"""Names of the photographs, which are 427 pixels high and 640 wide."""

SPLIT = 512
"""Column at which the region of the test images begins."""

PATCH = 16
"""Side of a patch, in pixels."""

CANVAS = 32
"""Side of an image with a digit, in pixels."""

AT_ONCE = 250
"""Images that are blended at once, few enough for a processor's cache."""


def read_photos() -> Decoded:
    """Return all 16 x 16 x 3 patches of the photographs that do not overlap, shuffled. Labels: 0 china, 1 flower."""
    train, test = (_cut_patches(_read_regions(right), seed=right) for right in (False, True))
    return Decoded(*train, *test)


def blend_digits(digits: Decoded) -> Decoded:
    """Return each 28 x 28 digit at a random place over a random 32 x 32 x 3 window of a photograph.

    Colour and strength of a digit are random, too; in each channel its colour differs from the window's mean by 80 or
    more of 255 levels.
    """
    return Decoded(
        _blend(digits.x_train, _read_regions(False), seed=2),
        digits.y_train,
        _blend(digits.x_test, _read_regions(True), seed=3),
        digits.y_test,
    )


def _read_regions(right: bool) -> list[Bytes]:
    """Return the right fifth of each photograph, or the rest of it, uint8 (h, w, 3)."""
    from sklearn.datasets import load_sample_image

    photos = [load_sample_image(f"{name}.jpg") for name in PHOTOS]
    return [photo[:, SPLIT:] if right else photo[:, :SPLIT] for photo in photos]


def _cut_patches(regions: list[Bytes], *, seed: int) -> tuple[Bytes, NDArray[np.int64]]:
    """Return the patches of each region and the regions' numbers, both in one random order."""
    import numpy as np

    patches = []
    for region in regions:
        rows, columns = region.shape[0] // PATCH, region.shape[1] // PATCH
        grid = region[: rows * PATCH, : columns * PATCH].reshape(rows, PATCH, columns, PATCH, 3)
        patches.append(grid.transpose(0, 2, 1, 3, 4).reshape(-1, PATCH, PATCH, 3))
    labels = np.repeat(np.arange(len(patches), dtype=np.int64), [len(each) for each in patches])
    order = np.argsort(_draw_words(seed, len(labels), 1)[:, 0], kind="stable")
    return np.concatenate(patches)[order], labels[order]


def _draw_words(seed: int, n: int, columns: int) -> NDArray[np.uint64]:
    import numpy as np

    return np.random.PCG64(seed).random_raw(n * columns).reshape(n, columns)


def _blend(digits: Bytes, regions: list[Bytes], *, seed: int) -> Bytes:
    """Return uint8 (n, 32, 32, 3). digits: uint8 (n, h, w), 255 is the stroke."""
    import numpy as np

    n, side = len(digits), digits.shape[1]
    height, width = regions[0].shape[:2]
    words = _draw_words(seed, n, 9)
    sizes = np.array([len(regions), height - CANVAS + 1, width - CANVAS + 1, *[CANVAS - side + 1] * 2], np.uint64)
    places = words[:, :5] % sizes
    images, masks = np.empty((n, CANVAS, CANVAS, 3), np.uint8), np.zeros((n, CANVAS, CANVAS), np.uint8)
    for i, (photo, y, x, top, left) in enumerate(places.tolist()):
        images[i] = regions[photo][y : y + CANVAS, x : x + CANVAS]
        masks[i, top : top + side, left : left + side] = digits[i]
    strengths = (176 + words[:, 5] % 80).astype(np.uint16)
    distances = (80 + words[:, 6:] % 97).astype(np.uint32)
    sums = np.stack([_sum_windows(region) for region in regions])
    photos, ys, xs = places[:, :3].T
    colours = ((sums[photos, ys, xs] // CANVAS**2 + distances) % 256).astype(np.uint16)
    for start in range(0, n, AT_ONCE):
        now = slice(start, start + AT_ONCE)
        _paint(images[now], masks[now], strengths[now], colours[now])
    return images


def _sum_windows(region: Bytes) -> NDArray[np.uint32]:
    """Return the sum of each channel over every window of an image's size, by the window's first row and column."""
    import numpy as np

    corners = np.zeros((region.shape[0] + 1, region.shape[1] + 1, 3), np.uint32)
    corners[1:, 1:] = region.cumsum(0, dtype=np.uint32).cumsum(1, dtype=np.uint32)
    rows: NDArray[np.uint32] = corners[CANVAS:] - corners[:-CANVAS]
    return rows[:, CANVAS:] - rows[:, :-CANVAS]


def _paint(images: Bytes, masks: Bytes, strengths: NDArray[np.uint16], colours: NDArray[np.uint16]) -> None:
    """Blend a colour over the stroke of each image, in place. strengths: the colour's weight there, of 256."""
    import numpy as np

    stroke = np.flatnonzero(masks)
    owners = stroke // CANVAS**2
    weights = (masks.reshape(-1)[stroke] * strengths[owners] >> 8)[:, None]
    pixels = images.reshape(-1, 3)
    mixed = pixels[stroke] * (255 - weights) + colours[owners] * weights + np.uint16(127)
    # Division by 255, rounded down; the sums stay below 2 ** 16.
    pixels[stroke] = mixed + (mixed >> 8) + 1 >> 8
