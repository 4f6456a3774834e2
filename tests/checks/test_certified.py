"""No attack breaks a certified image: planted breaks are found, and what says nothing of a proof is not compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from advae.checks import ScoredRun, bound_accuracy, check_certificates, check_together
from advae.records import CheckResult
from tests.checks.builder import N, attack, build_pipeline_runs, certify

SMOOTHED = {"method": "smoothing", "norm": "l2", "sigma": 0.5, "samples": 100, "select": 10, "alpha": 0.001, "seed": 0}
PROOF = certify((0.4, 0.1))


def compare(*runs: list[ScoredRun], **changes: Any) -> CheckResult:
    return check_certificates([certify((0.4, 0.1), **changes)], [row for run in runs for row in run])


def test_pairs_of_certified_images_and_attacks_are_counted() -> None:
    result = compare(attack((0.6, 0.2)), attack((0.9,), eps=(0.2,), name="between"))
    assert result.status == "PASS"
    # At 0.2 the certificate for 0.3 counts.
    assert result.number == 0.4 * N + 0.1 * N + 0.1 * N
    assert "no attack breaks one" in result.sentence


def test_a_run_that_breaks_a_certified_image_fails_and_names_the_image() -> None:
    broken = attack((0.6, 0.2), name="run-broken")
    broken[1].predictions[17] += 1
    result = compare(attack((0.7, 0.3), name="weak"), broken)
    assert result.status == "FAIL"
    assert (
        result.sentence
        == "image 17, certified at eps 0.3 by proof, is misclassified under bim at eps 0.3 of run-broken"
    )
    (found,) = (
        one
        for one in check_together(build_pipeline_runs(attack((0.6, 0.2)), broken, certificates=[PROOF]))
        if one.check == "certificate"
    )
    assert found == result


def test_several_breaks_are_counted() -> None:
    result = compare(attack((0.05, 0.0)))
    assert result.sentence.endswith(f"and {0.35 * N + 0.1 * N - 1:.0f} more such cases")


def test_a_certificate_holds_for_a_smaller_eps() -> None:
    """Image 17 is broken at 0.01: proved for 0.1 it must not be."""
    broken = attack((0.6,), eps=(0.01,))
    broken[0].predictions[17] += 1
    assert compare(broken).sentence.startswith("image 17, certified at eps 0.1 by proof")


NOT_COMPARED: dict[str, dict[str, Any]] = {
    "a larger eps": {"eps": (0.31,)},
    "not projected": {"clip": False, "result": {"within_budget": False}},
    "behind the purifier": {"threat": "encoded"},
    "another norm": {"norm": "l2"},
    "another classifier": {"classifier": "other"},
    "a pipeline that samples": {"metrics": {"stochastic": True}},
    "a run that did not look whether it samples": {"metrics": {"stochastic": None}},
}


@pytest.mark.parametrize("changes", NOT_COMPARED.values(), ids=NOT_COMPARED)
def test_another_function_or_perturbation_is_not_compared(changes: dict[str, Any]) -> None:
    run = attack((0.0,), **({"eps": (0.3,)} | changes))
    assert compare(run).status == "NOT RUN"
    assert bound_accuracy([PROOF], run[0]) is None
    # Without the change it would be a break.
    assert compare(attack((0.0,), eps=(0.3,))).status == "FAIL"


def test_images_are_compared_by_their_position_in_the_test_set() -> None:
    """The proof has images 500 to 999 from the last on, and 500 to 599 of them are certified."""
    ids = [*range(999, 499, -1)]
    proof = certify((0.6, 0.6), ids=ids)
    assert check_certificates([proof], attack((0.6, 0.6))).number == 200
    result = check_certificates([certify((0.6, 0.6), ids=ids)], attack((0.59, 0.59)))
    assert result.sentence.startswith("image 590, certified at eps 0.1 by proof, is misclassified")
    assert compare(attack((0.6, 0.2), n=100), ids=ids).status == "NOT RUN"


def test_a_certified_image_that_is_misclassified_without_an_attack_fails() -> None:
    run = attack((0.0,), eps=(1.0,))
    run[0].clean_predictions[3] += 1
    result = compare(run)
    assert (result.status, result.number) == ("FAIL", 1)
    assert result.sentence == "image 3, certified at eps 0.1 by proof, is misclassified without an attack in subject"


def test_other_labels_fail_and_other_predictions_of_uncertified_images_warn() -> None:
    run = attack((0.6, 0.2))
    for row in run:
        row.clean_predictions[999] = 5
    result = compare(run)
    assert (result.status, result.number) == ("WARN", 1)
    assert result.sentence == "image 999 has another predicted class without an attack in proof than in subject"
    run[0].labels[998] = 0
    assert compare(run).status == "FAIL"
    assert "image 998 has another label" in compare(run).sentence


def test_a_certificate_of_the_smoothed_pipeline_is_compared_with_no_attack() -> None:
    run = attack((0.0, 0.0), norm="l2")
    assert compare(run, norm="l2").status == "FAIL"
    result = compare(run, **SMOOTHED)
    assert result.status == "NOT RUN"
    assert "smoothed pipeline" in result.sentence
    assert bound_accuracy([certify((0.4, 0.1), **SMOOTHED)], run[0]) is None


def test_without_a_certificate_the_check_says_that_none_is_needed() -> None:
    result = check_certificates([], attack((0.6, 0.2)))
    assert result.status == "NOT RUN"
    assert "optional" in result.sentence


def test_bounds_are_of_the_common_images_only() -> None:
    row = attack((0.6,), eps=(0.3,))[0]
    bounds = bound_accuracy([PROOF, certify((0.5, 0.5), name="few", ids=range(10))], row)
    assert bounds is not None
    assert (bounds.certificate.id, bounds.lower, bounds.upper, bounds.n, bounds.whole) == ("proof", 0.1, 0.6, N, True)
    bounds = bound_accuracy([certify((0.4, 0.1), ids=range(550, 650))], row)
    assert bounds is not None
    assert (bounds.lower, bounds.upper, bounds.n, bounds.whole) == (0.0, 0.5, 100, False)


def test_the_certificate_that_proves_most_counts() -> None:
    row = attack((0.6,), eps=(0.2,))[0]
    bounds = bound_accuracy(
        [PROOF, certify((0.3,), eps=(0.2,), name="better"), certify((0.2,), eps=(0.3,), name="wide")], row
    )
    assert bounds is not None
    assert (bounds.certificate.id, bounds.eps, bounds.lower) == ("better", 0.2, 0.3)
    assert np.allclose(bounds.lower_interval, (0.2724, 0.3291), atol=1e-3)
