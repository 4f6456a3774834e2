"""Pixels that do not span the range that an eps is a share of, told when a dataset is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from advae.datasets.load import load_dataset
from advae.datasets.ranges import describe_trouble
from tests.calls import call

from .samples import make_own, save_npz

TOLD = {
    "divided twice": ("from 0 to 0.00392, where 1 is white, as if divided by 255 twice", (1 / 255, 1 / 255)),
    "0 and 1 in uint8": ("or 0 and 1 stored as uint8; store them as float from 0 to 1", ("uint8", "uint8")),
    "dim": (
        "from 0 to 0.4, where 1 is white: an eps is a budget 2.5 times larger than on images from 0 to 1",
        (0.4, 0.4),
    ),
    "of one grey": ("test images from 0 to 0, as if they were scaled in two ways", (1.0, 0.0)),
    "training dimmer": ("training images range from 0 to 0.1, test images from 0 to 1", (0.1, 1.0)),
    "as it should be": (None, (1.0, 0.9)),
    "a little dim": (None, (0.6, 0.55)),
}


@pytest.mark.parametrize(("told", "scales"), TOLD.values(), ids=TOLD)
def test_a_range_that_gives_eps_another_meaning_is_warned_of(
    told: str | None, scales: tuple[float | str, float | str], tmp_path: Path
) -> None:
    own = make_own()
    for name, scale in zip(("x_train", "x_test"), scales, strict=True):
        black_or_white = (np.indices(own[name].shape).sum(axis=0) % 2).astype(np.float32)
        own[name] = black_or_white.astype(np.uint8) if scale == "uint8" else black_or_white * np.float32(scale)
    path = save_npz(tmp_path / "own.npz", own)
    found = describe_trouble(load_dataset(str(path)))
    if told is None:
        assert found is None
    else:
        assert found is not None
        assert found.startswith(f"{path}: ")
        assert told in found
    verified = call("data", "verify", path)
    assert verified.code == 0
    assert (found or "") in verified.err
    assert len(verified.err.splitlines()) == 1 + bool(found)


def test_images_of_one_light_grey_are_not_taken_for_dark_ones(tmp_path: Path) -> None:
    own = {name: np.full(values.shape, 0.5) if name[0] == "x" else values for name, values in make_own().items()}
    found = describe_trouble(load_dataset(str(save_npz(tmp_path / "own.npz", own))))
    assert found is not None
    assert "from 0.5 to 0.5, where 1 is white, so each image is nearly one grey; store them" in found


def test_published_datasets_have_a_good_range() -> None:
    assert describe_trouble(load_dataset("digits")) is None
