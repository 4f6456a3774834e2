"""What one run says of itself: each planted fault is found by the check meant for it, and its healthy twin passes."""

from __future__ import annotations

from typing import Any

import pytest

from advae.verdicts import CHECKS, NOT_VALID, SINGLE, judge_run, read_verdicts
from advae.verdicts.single import SEARCH
from tests.verdicts.builder import attack


def judge(**planted: Any) -> dict[str, tuple[str, str]]:
    """Return status and sentence of each check on a run with something planted in it."""
    rows = attack(planted.pop("left", (0.6, 0.2)), **planted)
    return {verdict.check: (verdict.status, verdict.sentence) for verdict in rows[0].metrics.verdicts}


def test_a_healthy_run_passes_every_check_that_one_run_can_answer() -> None:
    found = judge()
    assert [*found] == [*SINGLE]
    assert found.pop("convergence")[0] == "NOT RUN"
    assert {status for status, _ in found.values()} == {"PASS"}


FAULTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "outside its budget": ("budget", "FAIL", {"result": {"norm_max": 0.31}}),
    "neither projected nor clipped": ("budget", "FAIL", {"result": {"within_budget": False}}),
    "a pixel that is no number": ("budget", "FAIL", {"result": {"finite": False}}),
    "a pixel above white": ("budget", "FAIL", {"result": {"pixel_range": (0.0, 1.2)}}),
    "a pixel below black": ("budget", "FAIL", {"result": {"pixel_range": (-0.1, 1.0)}}),
    "accuracy that rises with eps": ("monotone", "FAIL", {"left": (0.2, 0.6)}),
    "no gradient for a tenth": ("gradients", "FAIL", {"result": {"zero_gradient_fraction": 0.1}}),
    "no gradient for one in fifty": ("gradients", "WARN", {"result": {"zero_gradient_fraction": 0.02}}),
    "clipping in the gradient's way": ("gradients", "WARN", {"metrics": {"clipped_fraction": 0.6}}),
    "an objective that falls": ("convergence", "FAIL", {"result": {"loss_curve": ((0, 1.0), (10, 0.5))}}),
    "successes lost on the way": ("best-iterate", "WARN", {"result": {"lost_fraction": 0.05}}),
    "softmax outputs": ("logits", "FAIL", {"metrics": {"probabilities": True}}),
    "one draw of a pipeline that samples": ("logits", "FAIL", {"metrics": {"stochastic": True}}),
    "few samples": ("sample-size", "WARN", {"n": 990}),
    "the paper's raw output": (
        "proportion",
        "FAIL",
        {"threat": "encoded", "metrics": {"start_range": (0.0, 45.0)}},
    ),
    "a range a little stretched": ("proportion", "WARN", {"metrics": {"start_range": (0.0, 1.2)}}),
}


@pytest.mark.parametrize(("check", "status", "planted"), FAULTS.values(), ids=FAULTS)
def test_a_planted_fault_is_found_by_its_check_alone(check: str, status: str, planted: dict[str, Any]) -> None:
    found = judge(**planted)
    assert found[check][0] == status
    others = {name for name, (status, _) in found.items() if status in ("FAIL", "WARN")} - {check}
    assert not others


HEALTHY: dict[str, tuple[str, dict[str, Any]]] = {
    "at the edge of its budget": ("budget", {"result": {"norm_max": 0.1}, "eps": (0.1,), "left": (0.2,)}),
    "beyond white behind a purifier": (
        "budget",
        {"threat": "encoded", "metrics": {"start_range": (0.0, 45.0)}, "result": {"pixel_range": (0.0, 45.3)}},
    ),
    "a rise within the interval": ("monotone", {"left": (0.200, 0.204)}),
    "a gradient for nearly all": ("gradients", {"result": {"zero_gradient_fraction": 0.009}}),
    "the mean over many draws": ("logits", {"metrics": {"stochastic": True}, "draws": 8}),
    "a sampling pipeline that is not differentiated": (
        "logits",
        {"metrics": {"stochastic": True}, "threat": "oblivious"},
    ),
    "samples enough": ("sample-size", {"n": 1000}),
    "the range of an image": ("proportion", {"threat": "encoded", "metrics": {"start_range": (0.0, 1.0)}}),
}


@pytest.mark.parametrize(("check", "planted"), HEALTHY.values(), ids=HEALTHY)
def test_the_healthy_twin_passes(check: str, planted: dict[str, Any]) -> None:
    assert judge(**planted)[check][0] == "PASS"


def test_sentences_name_their_numbers() -> None:
    assert judge(result={"within_budget": False, "norm_max": 0.5})["budget"][1] == (
        f"{NOT_VALID} (neither projected nor clipped, linf 0.5 at eps 0.1)"
    )
    encoded = judge(threat="encoded", metrics={"start_range": (0.0, 45.0)})["proportion"][1]
    assert "from 0 to 45, 45 times the range of an image: a budget 45 times smaller than it looks" in encoded
    assert judge(n=500)["sample-size"][1].startswith("small sample (n = 500 < 1000)")


def test_a_run_from_before_there_were_verdicts_is_judged_as_far_as_it_goes() -> None:
    """Revision 1 has None in every later field; a missing number is NOT RUN, never a PASS."""
    absent = {"samples_digest", "start_range", "clipped_fraction", "probabilities", "stochastic", "backward"}
    missing = {"norm_max", "pixel_range", "finite", "accuracy_8bit", "loss_curve", "lost_fraction"}
    row = attack((0.6, 0.2), metrics=dict.fromkeys(absent), result=dict.fromkeys(missing))[0]
    found = {verdict.check: verdict for verdict in judge_run(row.recipe, row.metrics)}
    not_run = {check for check, verdict in found.items() if verdict.status == "NOT RUN"}
    assert not_run == {"convergence", "best-iterate", "logits", "proportion"}
    assert all(found[check].sentence for check in not_run)


def test_every_check_is_made_somewhere() -> None:
    from advae.verdicts import TOGETHER

    assert {*SINGLE, *TOGETHER} == {*CHECKS}


@pytest.mark.parametrize(
    ("changes", "absent"),
    [
        ({"method": "square", "threat": "black-box", "steps": None, "queries": 1000}, {"gradients"}),
        ({"method": "noise", "threat": "noise", "steps": None, "loss": None}, {"gradients", *SEARCH}),
        ({"method": "worst", "steps": None, "queries": 1000}, set()),
        ({"method": "of-a-later-version"}, set()),
    ],
)
def test_a_check_is_not_run_where_it_says_nothing_of_the_attack(changes: dict[str, Any], absent: set[str]) -> None:
    """Also where a stored record has a FAIL: what was stored before needs no new id to be right."""
    bad = {"zero_gradient_fraction": 1.0, "loss_curve": ((0, 1.0), (1, 0.5)), "lost_fraction": 0.5}
    row = attack((0.2, 0.6), metrics={"probabilities": True}, result=bad, **changes)[0]
    old = tuple(judge(row.recipe, row.metrics) for judge in SINGLE.values())
    read = read_verdicts(row.recipe, row.metrics.model_copy(update={"verdicts": old}))
    for found in (judge_run(row.recipe, row.metrics), read):
        told = {verdict.check: verdict for verdict in found}
        assert {check for check in {"gradients", *SEARCH} if told[check].status == "NOT RUN"} == absent
        assert all(row.recipe.method in told[check].sentence for check in absent)


def test_budgets_that_are_one_float32_are_no_pair_that_must_fall() -> None:
    assert judge(eps=(0.3, 0.1 + 0.2), left=(0.2, 0.6))["monotone"][0] == "NOT RUN"
