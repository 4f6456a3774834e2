"""The checks on a single run: the check meant for each planted fault finds it, and passes the sound counterpart."""

from __future__ import annotations

from typing import Any

import pytest

from advae.checks import CHECKS, NOT_VALID, SINGLE, check_run
from advae.checks.single_run import SEARCH
from advae.datasets.table import DATASETS
from advae.records import DatasetRef, ImageRanges
from tests.checks.builder import attack


def run_checks(**planted: Any) -> dict[str, tuple[str, str]]:
    """Return status and sentence of each check on a run with something planted in it."""
    rows = attack(planted.pop("left", (0.6, 0.2)), **planted)
    return {result.check: (result.status, result.sentence) for result in rows[0].metrics.verdicts}


def test_an_accuracy_with_images_of_a_smaller_eps_says_nothing_of_a_rise() -> None:
    """Such an accuracy cannot rise; what was attacked at every eps is compared as ever."""
    status, sentence = run_checks(left=(0.2, 0.6), result={"carried": 5})["monotone"]
    assert status == "NOT RUN"
    assert "not attacked again" in sentence
    assert run_checks(left=(0.2, 0.6), result={"carried": 0})["monotone"][0] == "FAIL"


def test_a_healthy_run_passes_every_check_that_one_run_can_answer() -> None:
    found = run_checks()
    assert [*found] == [name for name in SINGLE if name != "eot"]
    assert [found.pop(check)[0] for check in ("convergence", "clean-accuracy")] == ["NOT RUN", "NOT RUN"]
    assert {status for status, _ in found.values()} == {"PASS"}


def span(train: float, test: float) -> dict[str, Any]:
    """Return a run on a dataset whose pixels lie between 0 and these."""
    return {"metrics": {"image_ranges": ImageRanges(train=(0, train), test=(0, test)), "start_range": (0, test)}}


DIVIDED = {"image_ranges": None, "start_range": (0.0, 1 / 255)}
CONSTANT = [4] * 1000
COUNTS = (0, 200, *(100,) * 8)
MNIST = DatasetRef(name="mnist", digest=DATASETS["mnist"].digest, side=28, classes=tuple("0123456789"))

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
    "gradients that are mostly noise": (
        "eot",
        "WARN",
        {"metrics": {"stochastic": True, "eot_agreement": (0.2, 0.33)}, "draws": 8},
    ),
    "few samples": ("sample-size", "WARN", {"n": 990}),
    "the paper's raw output": (
        "proportion",
        "FAIL",
        {"threat": "encoded", "metrics": {"start_range": (0.0, 45.0)}},
    ),
    "a range a little stretched": (
        "proportion",
        "WARN",
        {"threat": "encoded", "metrics": {"start_range": (0.0, 1.2)}, "result": {"pixel_range": (0.0, 1.2)}},
    ),
    "images divided by 255 twice": ("proportion", "FAIL", span(train=1 / 255, test=1 / 255)),
    "images divided by 255 twice, from before it was kept": ("proportion", "FAIL", {"metrics": DIVIDED}),
    "images of one grey": ("proportion", "FAIL", span(train=1.0, test=0.0)),
    "dim images": ("proportion", "WARN", span(train=0.4, test=0.4)),
    "test images in another scale": ("proportion", "FAIL", span(train=0.2, test=1.0)),
    "training images that are dimmer": ("proportion", "WARN", span(train=0.6, test=1.0)),
    "one class for every image": ("clean-accuracy", "FAIL", {"clean": CONSTANT}),
    "one class for all but a few images": ("clean-accuracy", "FAIL", {"clean": [1, 2, 7, *CONSTANT[3:]]}),
    "one class for the whole test set": ("clean-accuracy", "FAIL", {"metrics": {"classes_predicted": 1}}),
    "one class, from before it was counted": (
        "clean-accuracy",
        "FAIL",
        {"clean": CONSTANT, "metrics": {"classes_predicted": None, "test_counts": None}},
    ),
    "few classes": ("clean-accuracy", "WARN", {"metrics": {"classes_predicted": 5}}),
    "few classes, from before it was counted": (
        "clean-accuracy",
        "WARN",
        {"clean": [i % 3 for i in range(1000)], "metrics": {"classes_predicted": None}},
    ),
    "too few images for all classes": ("sample-size", "FAIL", {"n": 3, "clean": 1.0, "left": (0.6, 0.3)}),
    "a class that the test set has": ("sample-size", "FAIL", {"metrics": {"class_counts": COUNTS}}),
    "a class that a test set may have": (
        "sample-size",
        "WARN",
        {"limit": 1000, "metrics": {"class_counts": COUNTS, "test_counts": None}},
    ),
    "a class that a published test set has": (
        "sample-size",
        "FAIL",
        {"limit": 1000, "dataset": MNIST, "metrics": {"class_counts": COUNTS, "test_counts": None}},
    ),
}


@pytest.mark.parametrize(("check", "status", "planted"), FAULTS.values(), ids=FAULTS)
def test_a_planted_fault_is_found_by_its_check_alone(check: str, status: str, planted: dict[str, Any]) -> None:
    found = run_checks(**planted)
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
    "an average over EOT samples that has converged": (
        "eot",
        {"metrics": {"stochastic": True, "eot_agreement": (0.95, 0.97)}, "draws": 8},
    ),
    "samples enough": ("sample-size", {"n": 1000}),
    "a class that the test set has not": (
        "sample-size",
        {"metrics": {"class_counts": COUNTS, "test_counts": (0, *(200,) * 9)}},
    ),
    "a class that is missing from all there is": (
        "sample-size",
        {"limit": None, "metrics": {"class_counts": COUNTS, "test_counts": None}},
    ),
    "half the range": ("proportion", span(train=0.5, test=0.6)),
    "a dark image of a test set that is not": ("proportion", {"metrics": {"start_range": (0.0, 0.01)}}),
    "the range of an image": ("proportion", {"threat": "encoded", "metrics": {"start_range": (0.0, 1.0)}}),
}


@pytest.mark.parametrize(("check", "planted"), HEALTHY.values(), ids=HEALTHY)
def test_the_healthy_counterpart_passes(check: str, planted: dict[str, Any]) -> None:
    assert run_checks(**planted)[check][0] == "PASS"


def test_sentences_name_their_numbers() -> None:
    assert run_checks(result={"within_budget": False, "norm_max": 0.5})["budget"][1] == (
        f"{NOT_VALID} (neither projected nor clipped, linf 0.5 at eps 0.1)"
    )
    encoded = run_checks(threat="encoded", metrics={"start_range": (0.0, 45.0)})["proportion"][1]
    assert "from 0 to 45, 45 times the range of an image: the budget is 45 times smaller than eps suggests" in encoded
    assert run_checks(n=500)["sample-size"][1].startswith("small sample (n = 500 < 1000)")
    assert run_checks(sample="stratified")["sample-size"][1].startswith("n = 1000 of 10000, stratified, Wilson")
    twice = run_checks(**span(train=1 / 255, test=1 / 255))["proportion"][1]
    assert (
        "from 0 to 0.00392, 0.00392 times the range of an image: the budget is 255 times larger than eps suggests"
        in twice
    )
    assert run_checks(**span(train=0.2, test=1.0))["proportion"][1].endswith(
        "training images range from 0 to 0.2, test images from 0 to 1"
    )
    assert run_checks(clean=CONSTANT)["clean-accuracy"][1].startswith(
        "collapsed: class 4 is predicted for 1000 of 1000 unchanged images"
    )
    assert "only 5 of 10 classes" in run_checks(metrics={"classes_predicted": 5})["clean-accuracy"][1]
    assert run_checks(n=3)["sample-size"][1] == (
        "no image of 7 of 10 classes (3, 4, 5, 6, 7, ...) is among the 3 attacked ones, so the accuracy is not that of "
        "the test set; --limit 10 --sample stratified draws of each class"
    )


def test_few_images_of_other_classes_do_not_prove_a_collapse() -> None:
    """Of four, a good one may by accident take all for another; where the whole test set was looked at, it says."""
    counts = {"class_counts": (8, 1, 1, 1, 1, *(0,) * 5), "predicted_counts": (12, *(0,) * 9)}
    assert run_checks(n=12, metrics=counts)["clean-accuracy"][0] == "WARN"
    assert run_checks(n=12, metrics=counts | {"classes_predicted": 1})["clean-accuracy"][0] == "FAIL"
    alone = {"class_counts": (12, *(0,) * 9), "predicted_counts": (12, *(0,) * 9)}
    assert run_checks(n=12, metrics=alone)["clean-accuracy"][0] == "NOT RUN"


def test_a_run_from_before_there_were_checks_is_checked_as_far_as_its_record_goes() -> None:
    """Revision 1 has None in every later field; a missing number is NOT RUN, never a PASS."""
    absent = {"samples_digest", "start_range", "clipped_fraction", "probabilities", "stochastic", "backward"}
    absent |= {"class_counts", "predicted_counts", "test_counts", "classes_predicted", "image_ranges"}
    missing = {"norm_max", "pixel_range", "finite", "accuracy_8bit", "loss_curve", "lost_fraction"}
    row = attack((0.6, 0.2), metrics=dict.fromkeys(absent), result=dict.fromkeys(missing))[0]
    found = {result.check: result for result in check_run(row.recipe, row.metrics)}
    not_run = {check for check, result in found.items() if result.status == "NOT RUN"}
    assert not_run == {"clean-accuracy", "convergence", "best-iterate", "logits", "proportion"}
    assert all(found[check].sentence for check in not_run)


def test_every_check_is_made_somewhere() -> None:
    from advae.checks import TOGETHER

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
def test_a_check_is_not_run_where_it_does_not_apply_to_the_attack(changes: dict[str, Any], absent: set[str]) -> None:
    bad = {"zero_gradient_fraction": 1.0, "loss_curve": ((0, 1.0), (1, 0.5)), "lost_fraction": 0.5}
    row = attack((0.2, 0.6), metrics={"probabilities": True}, result=bad, **changes)[0]
    told = {result.check: result for result in check_run(row.recipe, row.metrics)}
    assert {check for check in {"gradients", *SEARCH} if told[check].status == "NOT RUN"} == absent
    assert all(row.recipe.method in told[check].sentence for check in absent)


def test_budgets_that_are_one_float32_are_no_pair_that_must_fall() -> None:
    assert run_checks(eps=(0.3, 0.1 + 0.2), left=(0.2, 0.6))["monotone"][0] == "NOT RUN"
