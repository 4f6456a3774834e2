"""Which test images are attacked: in proportion, one of each class where there is room, always the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from advae.run_options import STRATIFIED
from advae.sampling import choose_pairs, choose_samples, share_out

PINNED = [11, 196, 269, 340, 403, 504, 600, 781, 855, 921]

COUNTS = st.lists(st.integers(0, 60), min_size=1, max_size=8)


@given(COUNTS, st.integers(1, 400))
def test_shares_add_up_and_no_class_that_there_is_stays_out(counts: list[int], n: int) -> None:
    assume(n <= sum(counts))
    shares = share_out(counts, n)
    present = sum(map(bool, counts))
    assert sum(shares) == n
    assert all(0 <= share <= count for share, count in zip(shares, counts, strict=True))
    assert sum(map(bool, shares)) == min(n, present)


def test_shares_are_in_proportion_by_largest_remainders() -> None:
    assert share_out([50, 30, 20], 10) == [5, 3, 2]
    assert share_out([5, 5, 5], 10) == [4, 3, 3]
    assert share_out([46, 34, 20], 5) == [2, 2, 1]
    assert share_out([98, 1, 1], 10) == [8, 1, 1]
    assert share_out([5, 3, 2], 2) == [1, 1, 0]


def test_of_a_sorted_test_set_the_first_are_of_one_class_and_the_draw_is_of_all() -> None:
    y = np.repeat(np.arange(10), 100)
    assert {*y[choose_samples(y, 50, None)].tolist()} == {0}
    drawn = choose_samples(y, 50, STRATIFIED)
    assert np.bincount(y[drawn]).tolist() == [5] * 10
    assert drawn.dtype == np.int64
    assert (np.diff(drawn) > 0).all()
    # Part of what a recipe means: the draw must not change with this code, or numpy's version.
    assert choose_samples(y, 10, STRATIFIED).tolist() == PINNED


def test_all_images_are_all_images_however_they_are_chosen() -> None:
    y = np.arange(20) % 3
    for limit, sample in ((None, None), (20, STRATIFIED), (None, STRATIFIED), (30, None)):
        assert choose_samples(y, limit, sample).tolist() == [*range(20)]


# ---------------------------------------------------------------- pairs

LABELS = np.arange(30) % 3


def test_pairs_are_of_two_classes_and_no_original_comes_twice() -> None:
    originals, targets = choose_pairs(LABELS, 30, 0, None)
    assert (LABELS[originals] != LABELS[targets]).all()
    assert len(set(originals.tolist())) == 30
    assert len(set(LABELS[targets].tolist())) == 3
    again = choose_pairs(LABELS, 30, 0, None)
    assert all(np.array_equal(*both) for both in zip(again, (originals, targets), strict=True))
    assert not np.array_equal(choose_pairs(LABELS, 30, 1, None)[0], originals)


def test_all_targets_are_of_the_class_that_is_asked_for() -> None:
    originals, targets = choose_pairs(LABELS, 20, 0, 2)
    assert set(LABELS[targets].tolist()) == {2}
    assert 2 not in LABELS[originals]


def test_more_pairs_than_originals_are_refused() -> None:
    with pytest.raises(ValueError, match="there are 20 originals"):
        choose_pairs(LABELS, 21, 0, 2)


@pytest.mark.parametrize(("labels", "target"), [([1, 1, 1], None), ([1, 1, 1], 1), ([1, 1, 1], 0), ([0, 1], 2)])
def test_without_two_classes_there_is_no_pair(labels: list[int], target: int | None) -> None:
    with pytest.raises(ValueError, match="no two images of different classes"):
        choose_pairs(np.array(labels), 5, 0, target)
