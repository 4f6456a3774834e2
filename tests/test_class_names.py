"""How a dataset that is restricted to some classes is called."""

from __future__ import annotations

import pytest

from advae.class_names import CLASSES_IN_TITLE, name_restricted


@pytest.mark.parametrize(
    ("classes", "title"),
    [
        (("3", "7"), "mnist, classes 3 and 7"),
        (("1", "3", "7"), "mnist, classes 1, 3 and 7"),
        (tuple(map(str, range(CLASSES_IN_TITLE + 1))), "mnist, classes 0, 1, 2 and 8 more"),
    ],
)
def test_the_classes_are_named(classes: tuple[str, ...], title: str) -> None:
    assert name_restricted("mnist", classes) == title
