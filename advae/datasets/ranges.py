"""Checks that the pixels of a dataset span [0, 1], the range that an eps refers to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from advae.records import Dataset, ImageRanges

    Range = tuple[float, float]

DARK, NARROW = 16 / 255, 0.5
"""Smallest shares of [0, 1] that pixels should span. Below the first an image is nearly one grey and the usual eps
exceeds its range: a failure. Below the second an eps is, relative to the range, more than twice as large as on other
datasets: a warning."""

UNLIKE, FAR_APART = 1.5, 4.0
"""Ratios of the ranges of training and test images: above the first there is a warning, above the second a failure."""

ADVICE = "store them as float from 0 to 1, or as uint8 from 0 to 255"


def compare_ranges(ranges: ImageRanges) -> tuple[Literal["WARN", "FAIL"], str] | None:
    """Return WARN or FAIL and a sentence if training and test images were scaled differently; None if not."""
    small, large = sorted(high - low for low, high in (ranges.train, ranges.test))
    if large <= UNLIKE * small:
        return None
    sentence = f"training images range {describe_range(ranges.train)}, test images {describe_range(ranges.test)}"
    return "FAIL" if large > FAR_APART * small else "WARN", sentence


def describe_range(found: Range) -> str:
    """Return ``from 0 to 0.00392``."""
    return f"from {found[0]:.3g} to {found[1]:.3g}"


def describe_trouble(dataset: Dataset) -> str | None:
    """Return one line on a wrong range of a dataset's pixels and what to do; None for a good range."""
    ranges, where = dataset.ranges, dataset.source or dataset.ref.name
    if unlike := compare_ranges(ranges):
        return f"{where}: {unlike[1]}, as if they were scaled in two ways; scale both alike: {ADVICE}"
    low, high = min(ranges.train[0], ranges.test[0]), max(ranges.train[1], ranges.test[1])
    if DARK <= high - low < NARROW:
        larger = f"an eps is a budget {1 / (high - low):.3g} times larger than on images from 0 to 1"
        return f"{_say_range(where, (low, high))}: {larger}; if the images are meant to span all greys, {ADVICE}"
    return describe_dark(where, (low, high))


def describe_dark(where: str, found: Range) -> str | None:
    """Return one line on images that are nearly one grey; None where they are not."""
    if found[1] - found[0] >= DARK:
        return None
    dark = "as if divided by 255 twice, or 0 and 1 stored as uint8"
    return f"{_say_range(where, found)}, {dark if found[1] < DARK else 'so each image is nearly one grey'}; {ADVICE}"


def _say_range(where: str, found: Range) -> str:
    return f"{where}: pixels range only {describe_range(found)}, where 1 is white"
