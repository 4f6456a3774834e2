"""Restriction of datasets to some classes: which labels are meant, and which images are kept under which labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from advae.datasets.decoded import Decoded
from advae.datasets.load import load_dataset
from advae.datasets.restriction import WantedClasses, find_labels, restrict
from advae.errors import DatasetError, UsageError
from advae.records import Dataset

from .samples import make_idx_files, write_folder

PETS = ("ant", "10", "bee", "1")
"""Names of classes, two of which are the numbers of others."""


@pytest.mark.parametrize(
    ("wanted", "labels"),
    [
        (("ant", "bee"), (0, 2)),
        (("bee", "ant"), (0, 2)),
        ((2, 0), (0, 2)),
        (("2", "0"), (0, 2)),
        # A name comes before a number; a number that is no text is always a label.
        (("1", "0"), (0, 3)),
        ((1, 0), (0, 1)),
        (("10", "1"), (1, 3)),
    ],
)
def test_classes_are_found_by_name_or_number(wanted: WantedClasses, labels: tuple[int, ...]) -> None:
    assert find_labels(wanted, "pets", PETS) == labels


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        ((), "no class is given, expected two or more of pets, such as ant,10"),
        (("bee",), "'bee' is one class, expected two or more"),
        (("ant", "bee", 0), "class 'ant' .label 0. is given twice"),
        (("ant", "be"), "unknown class 'be'; did you mean 'bee'.*, or a label, 0 to 3"),
        (("ant", "4"), "unknown class '4'"),
        (("ant", "-1"), "unknown class '-1'"),
        (("ant", "²"), "unknown class '²'"),
        (("ant", "9" * 10_000), "unknown class '999"),
        ((0, 4), "unknown class '4'; the labels of pets are 0 to 3"),
        ((0, -1), "unknown class '-1'"),
    ],
)
def test_other_classes_are_refused(wanted: WantedClasses, error: str) -> None:
    with pytest.raises(UsageError, match=f"^bad --classes: {error}"):
        find_labels(wanted, "pets", PETS)


def test_kept_images_are_those_of_the_classes_in_their_order(digits: Dataset) -> None:
    part = load_dataset("digits", classes=("7", "3"))
    for x, y, x_all, y_all in (
        (part.x_train, part.y_train, digits.x_train, digits.y_train),
        (part.x_test, part.y_test, digits.x_test, digits.y_test),
    ):
        kept = (y_all == 3) | (y_all == 7)
        assert np.array_equal(x, x_all[kept])
        assert np.array_equal(y, (y_all[kept] == 7).astype(np.int64))
        assert y.dtype == np.int64
    assert (part.ref.kept, part.ref.classes, part.ref.side) == ((3, 7), ("3", "7"), 8)
    assert (part.ref.name, part.ref.title) == ("digits", "digits, classes 3 and 7")
    assert (part.ref.whole, part.ref.whole_digest) == (digits.ref.digest,) * 2
    assert part.ref.digest != digits.ref.digest


def test_the_order_decides_nothing_and_all_classes_are_the_whole_dataset(digits: Dataset) -> None:
    assert load_dataset("digits", classes=(3, 7)).ref == load_dataset("digits", classes=("7", "3")).ref
    assert load_dataset("digits", classes=tuple(range(10))).ref == digits.ref
    assert "kept" not in digits.ref.model_dump(mode="json")


@pytest.mark.parametrize("classes", [(0, 1), (1, 3, 4)])
def test_the_option_names_the_same_classes_again(classes: tuple[int, ...]) -> None:
    """Also where a name is another class's number, or has a comma."""
    names = ("1", "0", "x", "b,c", "a b")
    arrays = Decoded(*(np.zeros((5, 2, 2), np.uint8), np.arange(5)) * 2)
    assert restrict(arrays, classes, "pets", names).y_train.tolist() == list(range(len(classes)))
    ref = load_dataset("digits", classes=(0, 1)).ref
    part = ref.model_copy(update={"kept": classes, "classes": tuple(names[label] for label in classes)})
    assert part.classes_option is not None
    assert find_labels(part.classes_option.split(","), "pets", names) == classes
    assert load_dataset("digits").ref.classes_option is None


def test_a_class_without_training_image_is_missing() -> None:
    x, y = np.zeros((4, 2, 2), np.uint8), np.array([0, 1, 1, 3])
    with pytest.raises(DatasetError, match=r"f.npz has no training image of class 'bee' \(label 2\)"):
        restrict(Decoded(x, y, x, y), (0, 2), "f.npz", PETS)
    with pytest.raises(DatasetError, match="no test image of the classes"):
        restrict(Decoded(x, y, x, np.full(4, 3)), (0, 1), "f.npz", PETS)
    # As in a whole dataset, a class may be without test image.
    part = restrict(Decoded(x, y, x, np.array([0, 0, 3, 3])), (0, 1), "f.npz", PETS)
    assert (part.y_train.tolist(), part.y_test.tolist()) == ([0, 1, 1], [0, 0])


def test_published_files_are_restricted(tmp_path: Path) -> None:
    write_folder(tmp_path / "fashion_mnist", make_idx_files())
    part = load_dataset("fashion-mnist", data_dir=tmp_path, classes=("Bag", "1"))
    assert part.ref.classes == ("Trouser", "Bag")
    assert set(part.y_train.tolist()) == {0, 1}
    assert part.ref.title == "fashion-mnist, classes Trouser and Bag"
