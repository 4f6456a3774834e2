"""The metrics against scipy and scikit-learn, and norms against exact numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, norm
from sklearn.metrics import classification_report
from sklearn.metrics import confusion_matrix as reference_matrix

from advae.metrics import Z_95, accuracy, confusion_matrix, perturbation_norms, report_classes, wilson_interval

# ---------------------------------------------------------------- rates


def test_z_is_the_normal_quantile() -> None:
    assert pytest.approx(norm.ppf(0.975), abs=1e-15) == Z_95


@st.composite
def counts(draw: st.DrawFn) -> tuple[int, int]:
    """Draw (k, n) with 0 <= k <= n, the ends often."""
    n = draw(st.integers(1, 100_000))
    return draw(st.one_of(st.just(0), st.just(n), st.integers(0, n))), n


@settings(max_examples=200)
@given(counts())
def test_the_interval_is_wilsons(count: tuple[int, int]) -> None:
    k, n = count
    low, high = wilson_interval(k, n)
    expected = binomtest(k, n).proportion_ci(0.95, method="wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= low <= k / n <= high <= 1
    assert low < high


def test_the_interval_is_closed_at_the_ends() -> None:
    assert wilson_interval(0, 17)[0] == 0.0
    assert wilson_interval(17, 17)[1] == 1.0
    assert wilson_interval(0, 10_000)[1] > 0


def test_the_interval_without_samples_is_0_to_1() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_accuracy_counts_equal_entries() -> None:
    rate, interval = accuracy(np.array([0, 1, 2, 3]), np.array([0, 1, 2, 0]))
    assert rate == 0.75
    assert interval == wilson_interval(3, 4)
    assert type(rate) is float


# ---------------------------------------------------------------- confusion


def test_rows_are_the_true_class() -> None:
    matrix = confusion_matrix(np.array([0, 0, 1]), np.array([2, 0, 1]), 3)
    assert matrix.tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 0]]
    assert matrix.dtype == np.int64


@st.composite
def decisions(draw: st.DrawFn) -> tuple[list[int], list[int], int]:
    """Draw labels and predictions of equal length over some classes."""
    classes = draw(st.integers(2, 11))
    pairs = draw(st.lists(st.tuples(*[st.integers(0, classes - 1)] * 2), min_size=1, max_size=60))
    return [label for label, _ in pairs], [prediction for _, prediction in pairs], classes


@settings(max_examples=60)
@given(decisions())
def test_the_matrix_is_scikit_learns(drawn: tuple[list[int], list[int], int]) -> None:
    labels, predictions, classes = drawn
    matrix = confusion_matrix(np.array(labels), np.array(predictions), classes)
    np.testing.assert_array_equal(matrix, reference_matrix(labels, predictions, labels=list(range(classes))))
    assert np.trace(matrix) / len(labels) == accuracy(np.array(labels), np.array(predictions))[0]


@settings(max_examples=60)
@given(decisions())
def test_the_report_is_scikit_learns(drawn: tuple[list[int], list[int], int]) -> None:
    labels, predictions, classes = drawn
    report = report_classes(np.array(labels), np.array(predictions), classes)
    reference = classification_report(labels, predictions, labels=range(classes), output_dict=True, zero_division=0)
    assert [*report] == [*reference]
    assert report.pop("accuracy") == reference.pop("accuracy")
    for key, scores in report.items():
        assert scores == pytest.approx(reference[key], abs=1e-15)
        assert scores["support"] == reference[key]["support"]


# ---------------------------------------------------------------- norms


def test_norms_are_exact() -> None:
    x = np.array([[0.0, 0.0, 0.5], [1.0, 1.0, 1.0], [0.25, 0.5, 0.0]], dtype=np.float32)
    x_adv = np.array([[0.375, 0.5, 0.5], [1.0, 1.0, 1.0], [0.0, 0.5, 0.0]], dtype=np.float32)
    linf, l2 = perturbation_norms(x, x_adv)
    assert linf.tolist() == [0.5, 0.0, 0.25]
    assert l2.tolist() == [0.625, 0.0, 0.25]


def test_norms_are_taken_in_float64() -> None:
    small = np.float32(1e-9)
    x, x_adv = np.full((1, 4), small), np.ones((1, 4), dtype=np.float32)
    assert np.float32(1) - small == 1
    linf, l2 = perturbation_norms(x, x_adv)
    assert (linf.dtype, l2.dtype) == (np.float64, np.float64)
    assert linf[0] == 1 - float(small)
    assert l2[0] == 2 * (1 - float(small))


def test_norms_see_either_sign_and_keep_the_order_of_samples() -> None:
    rng = np.random.default_rng(0)
    x, x_adv = (rng.random((50, 7), dtype=np.float32) for _ in range(2))
    linf, l2 = perturbation_norms(x, x_adv)
    delta = x_adv.astype(np.float64) - x.astype(np.float64)
    np.testing.assert_array_equal(linf, np.linalg.norm(delta, np.inf, axis=1))
    np.testing.assert_allclose(l2, np.linalg.norm(delta, 2, axis=1), rtol=1e-14)
    for mine, mirrored in zip((linf, l2), perturbation_norms(x_adv, x), strict=True):
        np.testing.assert_array_equal(mine, mirrored)


def test_norms_of_nothing_are_empty() -> None:
    linf, l2 = perturbation_norms(np.zeros((0, 4), np.float32), np.zeros((0, 4), np.float32))
    assert linf.shape == l2.shape == (0,)


def test_a_perturbation_that_is_not_a_number_is_not_hidden() -> None:
    x_adv = np.array([[0.0, np.nan]], dtype=np.float32)
    linf, l2 = perturbation_norms(np.zeros((1, 2), np.float32), x_adv)
    assert np.isnan(linf[0])
    assert np.isnan(l2[0])
