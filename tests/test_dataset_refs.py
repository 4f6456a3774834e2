"""The reference to a dataset in a recipe: one field for the shape of its images, by which ids of grey squares stay."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pydantic import ValidationError

from advae.records import DatasetRef, ImageShape

STORED = {"name": "mine", "digest": "ab" * 32, "classes": ["a", "b"]}
SHAPES = {
    "grey square": (ImageShape(8, 8, 1), {"side": 8}),
    "grey oblong": (ImageShape(8, 6, 1), {"image": [8, 6, 1]}),
    "colour square": (ImageShape(8, 8, 3), {"image": [8, 8, 3]}),
    "colour oblong": (ImageShape(1, 4096, 3), {"image": [1, 4096, 3]}),
}
"""Shape, and the field that it is stored in."""


@pytest.mark.parametrize("case", SHAPES)
def test_a_shape_is_stored_in_one_field(case: str) -> None:
    shape, stored = SHAPES[case]
    ref = DatasetRef.make("mine", "ab" * 32, shape, ("a", "b"))
    assert ref.model_dump(mode="json") == STORED | stored
    assert DatasetRef.model_validate_json(ref.model_dump_json()) == ref
    assert ref.shape == shape
    assert ref.key == ("ab" * 32, shape, 2)


def test_a_resize_is_stored_only_where_there_was_one() -> None:
    ref = DatasetRef.make("mine", "ab" * 32, ImageShape(8, 8, 1), ("a", "b"), resize=(8, 8))
    assert ref.model_dump(mode="json") == STORED | {"side": 8, "resize": [8, 8]}
    assert DatasetRef.model_validate_json(ref.model_dump_json()).resize == (8, 8)


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"side": 8, "image": [8, 6, 1]},
        {"image": [8, 8, 1]},
        {"image": [8, 8, 4]},
        {"image": [8, 8]},
        {"image": [0, 8, 3]},
        {"image": [8, 4097, 3]},
        {"side": 0},
        {"side": 4097},
        {"side": 8, "resize": [8]},
        {"side": 8, "resize": [0, 8]},
    ],
    ids=str,
)
def test_a_shape_that_cannot_be_is_refused(stored: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DatasetRef.model_validate(STORED | stored)


def test_an_image_shape_knows_its_size_and_how_it_is_stored() -> None:
    grey, colour = ImageShape(2, 3, 1), ImageShape(2, 3, 3)
    assert (grey.size, colour.size) == (6, 18)
    assert (grey.diameter, colour.diameter) == (math.sqrt(6), math.sqrt(18))
    assert (grey.stored, colour.stored) == ((2, 3), (2, 3, 3))
    assert (str(grey), str(colour)) == ("2 x 3", "2 x 3 x 3")
    assert (grey.is_grey, colour.is_grey) == (True, False)
