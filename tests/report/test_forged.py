"""A run with intact digests and wrong numbers: refused by name, omitted by id, never shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advae.errors import CorruptError
from advae.experiments.paper.section import find_counterparts
from advae.metrics import BROKEN_BY, find_smallest_eps, wilson_interval
from advae.records import CheckResult, Manifest, MemberResult
from advae.report.analysis.check_results import list_failures
from advae.report.analysis.collecting import compare_runs
from advae.report.data.entry_arrays import fit_arrays
from advae.report.data.run_reader import open_run
from tests.calls import call
from tests.report_fixtures import DIGITS, MNIST, Lab, print_summary, read_files

Arrays = dict[str, dict[str, np.ndarray[Any, Any]]]


def forge(
    lab: Lab,
    run: Manifest,
    metrics: dict[str, Any] | None = None,
    result: dict[str, Any] | None = None,
    spoil: Callable[[Arrays], object] = lambda arrays: None,
) -> Manifest:
    """Publish a run again with other numbers, of itself and of its first eps, and other arrays, all seals right."""
    recipe, stored = run.as_run()
    first, *others = stored.results
    results = (first.model_copy(update=result or {}), *others)
    arrays = {name: lab.registry.read_arrays(run, name) for name in run.artifacts}
    spoil(arrays)
    changed = stored.model_copy(update={"results": results} | (metrics or {}))
    return lab.registry.publish(recipe, changed, arrays, replace=True)


def put(file: str, name: str, value: Callable[[np.ndarray[Any, Any]], Any]) -> Callable[[Arrays], object]:
    return lambda arrays: arrays[file].update({name: np.asarray(value(arrays[file][name]))})


def add_good(lab: Lab) -> Manifest:
    return lab.add_run(lab.add_classifier(seed=9), checked=True)


def add_bad(lab: Lab, **changes: Any) -> Manifest:
    return lab.add_run(lab.add_classifier(lab.add_autoencoder()), **({"n": 60, "checked": True} | changes))


# ---------------------------------------------------------------- for readers of the report


def forge_accuracy(lab: Lab) -> Manifest:
    run = add_bad(lab, eps=(0.3,), keep=(0.0,), n=360, clean=1.0)
    assert run.as_run()[1].results[0].accuracy == 0
    return forge(lab, run, result={"accuracy": 0.961, "accuracy_interval": wilson_interval(346, 360)})


def forge_another_dataset(lab: Lab) -> Manifest:
    lab.dataset = DIGITS.model_copy(update={"digest": "a" * 64})
    purifier = lab.add_autoencoder()
    lab.dataset = DIGITS
    return lab.add_run(lab.add_classifier(purifier), checked=True)


FORGED: dict[str, tuple[Callable[[Lab], Manifest], str]] = {
    "96.1 % over 0 of 360": (forge_accuracy, "accuracy 0.961 at eps 0.3, its outcomes.npz 0"),
    "700 %": (lambda lab: forge(lab, add_bad(lab), result={"accuracy": 7.0}), "less than or equal to 1"),
    "another dataset's purifier": (forge_another_dataset, "on another dataset"),
}


@pytest.mark.parametrize(("make", "reason"), FORGED.values(), ids=FORGED)
def test_a_forged_run_is_refused_by_name_and_otherwise_excluded(
    make: Callable[[Lab], Manifest], reason: str, lab: Lab, tmp_path: Path
) -> None:
    good, bad = add_good(lab), make(lab)
    command = ("report", "--home", lab.registry.home, "--out", tmp_path / "out", "--json", "--format", "json")
    named = call(*command, bad.id)
    assert (named.code, named.out) == (4, "")
    assert reason in named.err
    whole = call(*command)
    assert whole.code == 0, whole.err
    assert f"{bad.id} is excluded: " in whole.err
    assert json.loads(whole.out)["runs"] == [good.id]
    assert call(*command, "--strict").code == 7


def test_a_stored_check_result_is_not_shown_but_computed_again(lab: Lab, tmp_path: Path) -> None:
    run = add_bad(lab, found={"probabilities": True})
    praise = tuple(
        CheckResult(check=check, status="PASS", sentence="all is well") for check in ("logits", "unheard-of")
    )
    for results in (praise, ()):
        forged = forge(lab, run, metrics={"verdicts": results})
        assert any("logits FAIL" in reason for reason in list_failures(compare_runs(lab.registry, [forged])))
        text = "".join(read_files(lab, [forged], tmp_path).values())
        assert "all is well" not in text
        assert "unheard-of" not in text


@pytest.mark.parametrize("foreign", [False, True])
def test_images_that_are_not_those_of_mnist_are_not_called_so(lab: Lab, tmp_path: Path, foreign: bool) -> None:
    lab.dataset = MNIST.model_copy(update={"digest": "e" * 64}) if foreign else MNIST
    raw = lab.add_classifier(lab.add_autoencoder(rescale="none", reach=(0.0, 40.0)))
    run = lab.add_run(raw, eps=(0.3,), keep=(0.9,), threat="encoded")
    comparison = compare_runs(lab.registry, [run])
    assert comparison.runs[0].dataset == ("mnist (not as published, eeeeee)" if foreign else "mnist")
    assert bool(find_counterparts(comparison)) is not foreign
    document = json.loads(read_files(lab, [run], tmp_path)["json"])
    assert document["accuracy"][0]["dataset"] == comparison.runs[0].dataset
    assert ("not as published" in print_summary(comparison)) is foreign


# ---------------------------------------------------------------- every number that follows from what is stored


def add_sweep(*, carried: bool) -> Callable[[Arrays], object]:
    """Return what adds the arrays of a sweep to a run: all images carried, and the smallest eps that breaks each."""

    def spoil(arrays: Arrays) -> None:
        outcomes = arrays["outcomes.npz"]
        shape = outcomes["predictions"].shape
        smallest = np.full(shape[1], 0.05)
        if carried:
            smallest = find_smallest_eps(outcomes["labels"], outcomes["predictions"], (0.1, 0.3))
        outcomes |= {"carried": np.full(shape, carried), "smallest_eps": smallest}

    return spoil


def add_member(member: int) -> dict[str, Any]:
    """Return the changes by which an ensemble of one attack says that a member broke every image, robust ones too."""
    one = MemberResult(attack="pgd", loss=None, attacked=60, accuracy=0.0)

    def spoil(arrays: Arrays) -> None:
        outcomes = arrays["outcomes.npz"]
        outcomes["broken_by"] = np.full(outcomes["predictions"].shape, member)

    return {"result": {"members": (one,)}, "spoil": spoil}


NUMBERS: dict[str, dict[str, Any]] = {
    "clean_accuracy": {"metrics": {"clean_accuracy": 0.5}},
    "clean_accuracy_interval": {"metrics": {"clean_accuracy_interval": (0.0, 1.0)}},
    "class_counts": {"metrics": {"class_counts": (6,) * 9 + (5,)}},
    "predicted_counts": {"metrics": {"predicted_counts": (60, *(0,) * 9)}},
    "classes_predicted": {"metrics": {"classes_predicted": 1}},
    "n": {"metrics": {"n": 61}},
    "clean_expected_accuracy": {"metrics": {"clean_expected_accuracy": 0.9}},
    "test_counts": {"metrics": {"test_counts": (1,) * 10}},
    "start_range": {"metrics": {"start_range": (0.2, 0.3)}},
    "accuracy_interval": {"result": {"accuracy_interval": (0.0, 1.0)}},
    "attack_success_rate": {"result": {"attack_success_rate": 0.01}},
    "no attack_success_rate": {"result": {"attack_success_rate": None}},
    "target_hit_rate": {"result": {"target_hit_rate": 0.01}},
    "expected_accuracy": {"result": {"expected_accuracy": 0.9}},
    "class_accuracy": {"result": {"class_accuracy": (0.01,) * 10}},
    "class_accuracy of fewer classes": {"result": {"class_accuracy": (0.5,)}},
    "clean_class_accuracy": {"metrics": {"clean_class_accuracy": (0.01,) * 10}},
    "a member that broke robust images": add_member(0),
    "a member that is none": add_member(1),
    "broken without the images": {"result": {"members": (MemberResult(
        attack="pgd", loss=None, attacked=60, accuracy=0.0, broken=3),)}},
    "carried": {"result": {"carried": 5}},
    "median_smallest_eps": {"metrics": {"median_smallest_eps": 0.1}},
    "carried from no smaller eps": {"spoil": add_sweep(carried=True)},
    "another smallest eps": {"spoil": add_sweep(carried=False)},
    "linf_max": {"result": {"linf_max": 0.01}},
    "l2_mean": {"result": {"l2_mean": 0.01}},
    "norm_max": {"result": {"norm_max": 0.01}},
    "zero_gradient_fraction": {"result": {"zero_gradient_fraction": 0.5}},
    "within_budget": {"result": {"within_budget": False}},
    "pixel_range": {"result": {"pixel_range": (0.4, 0.6)}},
    "eps": {"result": {"eps": 0.2}},
    "targets of no class": {"result": {"targets": (10,) * 10}},
    "targets of another number": {"result": {"targets": (1,)}},
    "an image twice": {"spoil": put("outcomes.npz", "sample_ids", lambda ids: ids * 0)},
    "other labels of what is shown": {"spoil": put("samples.npz", "labels", lambda labels: labels[::-1])},
    "other predictions of what is shown": {"spoil": put("samples.npz", "predictions", lambda found: (found + 1) % 10)},
    "an image that was not attacked": {"spoil": put("samples.npz", "ids", lambda ids: ids + 1000)},
    "another image": {"spoil": put("samples.npz", "x_adv", lambda x: 1 - x)},
    "lengths that are not there": {"spoil": lambda arrays: arrays["outcomes.npz"].pop("l2")},
    "labels of no class": {"spoil": put("outcomes.npz", "labels", lambda labels: labels + 10)},
    "pixels that are truth values": {"spoil": put("samples.npz", "x", lambda x: x > 0)},
    "pixels that are no numbers": {"spoil": put("samples.npz", "seen", lambda x: x * np.nan)},
}  # fmt: skip


@pytest.mark.parametrize("changes", NUMBERS.values(), ids=NUMBERS)
def test_a_number_that_its_arrays_contradict_is_refused(changes: dict[str, Any], lab: Lab) -> None:
    run = add_bad(lab)
    open_run(lab.registry, run)
    forged = forge(lab, run, **changes)
    with pytest.raises(CorruptError, match=rf"{run.id}.*`advae attack \.\.\. --force` replaces it") as caught:
        open_run(lab.registry, lab.registry.manifest(forged.id))
    assert str(caught.value).isprintable()


DRAWN: dict[str, dict[str, Any]] = {
    "any_of_k_accuracy": {"result": {"any_of_k_accuracy": 0.9}},
    "no any_of_k_accuracy": {"result": {"any_of_k_accuracy": None}},
    "any_of_k_accuracy_interval": {"result": {"any_of_k_accuracy_interval": (0.0, 1.0)}},
    "majority_of_k_accuracy": {"result": {"majority_of_k_accuracy": 0.01}},
    "clean_any_of_k_accuracy": {"metrics": {"clean_any_of_k_accuracy": 1.0}},
    "clean_majority_of_k_accuracy": {"metrics": {"clean_majority_of_k_accuracy": 0.01}},
    "expected_accuracy": {"result": {"expected_accuracy": 0.99}},
    "k_draws": {"metrics": {"k_draws": 9}},
    "k_draws of fewer": {"metrics": {"fresh_draws": 9}},
    "draws that are all right": {"spoil": put("outcomes.npz", "wrong_draws", np.zeros_like)},
    "rates that the draws contradict": {"spoil": put("outcomes.npz", "clean_success_rate", lambda rates: 1 - rates)},
    "draws that are no truth values": {"spoil": put("outcomes.npz", "wrong_draws", lambda wrong: wrong.astype("f4"))},
}


@pytest.mark.parametrize("changes", DRAWN.values(), ids=DRAWN)
def test_a_number_of_draws_that_their_outcomes_contradict_is_refused(changes: dict[str, Any], lab: Lab) -> None:
    run = lab.add_run(lab.add_classifier(lab.add_autoencoder("variational", options={"sample": True})), luck=0.1)
    assert open_run(lab.registry, run).metrics.k_draws == 10
    forged = forge(lab, run, **changes)
    with pytest.raises(CorruptError, match=rf"{run.id}.*`advae attack \.\.\. --force` replaces it"):
        open_run(lab.registry, lab.registry.manifest(forged.id))


def test_labels_of_another_width_are_read_as_they_are(lab: Lab) -> None:
    run = add_bad(lab)
    narrow = forge(lab, run, spoil=put("outcomes.npz", "labels", lambda labels: labels.astype(np.uint8)))
    assert open_run(lab.registry, narrow).outcomes["labels"].dtype == np.int64


def test_who_broke_an_image_is_read_as_whole_numbers() -> None:
    found = fit_arrays({BROKEN_BY: np.array([[-1, 2]], np.int64)}, {BROKEN_BY: (1, 2)}, classes=10)
    assert found[BROKEN_BY].tolist() == [[-1, 2]]
    with pytest.raises(ValueError, match="whole numbers from -1"):
        fit_arrays({BROKEN_BY: np.array([[-2, 2]], np.int64)}, {BROKEN_BY: (1, 2)}, classes=10)
