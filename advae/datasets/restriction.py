"""The restriction of a dataset to some of its classes, whose labels are numbered anew from 0 on."""

from __future__ import annotations

from collections.abc import Sequence

from advae.datasets.decoded import Decoded
from advae.errors import DatasetError, UsageError, printable, unknown

WantedClasses = Sequence[str | int]
"""Classes by their names, or by their labels in the whole dataset, which are numbers or text such as "3"."""

CLASSES_LISTED = 20
"""Most names of classes that an error line lists."""


def find_labels(wanted: WantedClasses, dataset: str, classes: Sequence[str]) -> tuple[int, ...]:
    """Return the labels of the wanted classes, ascending, so that the order in which they are given decides nothing.

    dataset: its name, for errors; classes: the names of all its classes, by label. A text that is the name of a class
    means that class, also where it is another one's number. Raises UsageError for an unknown class, one that is given
    twice, and fewer than two.
    """
    labels = [_find_label(one, dataset, classes) for one in wanted]
    if len(labels) < 2:
        given = f"{wanted[0]!r} is one class" if wanted else "no class is given"
        raise UsageError(f"bad --classes: {given}, expected two or more of {dataset}, such as {_show_two(classes)}")
    twice = next((label for index, label in enumerate(labels) if label in labels[:index]), None)
    if twice is not None:
        raise UsageError(f"bad --classes: {_show(classes[twice], twice)} is given twice; give each class once")
    return tuple(sorted(labels))


def _find_label(wanted: str | int, dataset: str, classes: Sequence[str]) -> int:
    if isinstance(wanted, str) and wanted in classes:
        return classes.index(wanted)
    try:
        # Other digits, such as those of Arabic, and 1_0 are numbers to Python only.
        label = int(wanted) if isinstance(wanted, int) or (wanted.isascii() and wanted.isdigit()) else -1
    except ValueError:
        label = -1
    if 0 <= label < len(classes):
        return label
    most = len(classes) - 1
    if len(classes) > CLASSES_LISTED or isinstance(wanted, int):
        raise UsageError(f"bad --classes: unknown class {str(wanted)[:100]!r}; the labels of {dataset} are 0 to {most}")
    numbers = "" if classes[most] == str(most) else f", or a label, 0 to {most}"
    raise UsageError(f"bad --classes: {unknown('class', wanted[:100], map(printable, classes))}{numbers}")


def _show(name: str, label: int) -> str:
    return f"class {printable(name)!r}" if name == str(label) else f"class {printable(name)!r} (label {label})"


def _show_two(classes: Sequence[str]) -> str:
    return ",".join(map(printable, classes[:2]))


def restrict(decoded: Decoded, labels: Sequence[int], where: str, classes: Sequence[str]) -> Decoded:
    """Return the arrays of some classes alone, in their order, label i being the class ``labels[i]`` of before.

    where: what was read, for errors. Raises DatasetError where a class has no training image, or none of them has a
    test image.
    """
    import numpy as np

    for label in labels:
        if not (decoded.y_train == label).any():
            raise DatasetError(f"{where} has no training image of {_show(classes[label], label)}, expected one or more")
    train, test = (np.isin(y, labels) for y in (decoded.y_train, decoded.y_test))
    if not test.any():
        raise DatasetError(f"{where} has no test image of the classes that are kept, expected one or more")
    # The labels are ascending, so that the place of each is where it would be inserted.
    kept = decoded.y_train[train], decoded.y_test[test]
    y_train, y_test = (np.searchsorted(labels, y).astype(np.int64) for y in kept)
    return Decoded(decoded.x_train[train], y_train, decoded.x_test[test], y_test)
