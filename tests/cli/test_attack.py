"""``advae attack`` beyond one attack: all threat models, the checks, seeds, thresholds, and what it hands to others."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advae.backend import compare_precisions
from advae.batching import apply
from advae.checks import NOT_VALID, list_made_checks
from advae.evaluation.pipelines import load_pipeline
from advae.identity import SAMPLES
from advae.records import ADVERSARIAL, OUTCOMES, Dataset
from advae.registry import Registry
from advae.sampling import choose_samples
from advae.threats import list_threats
from advae.workflows import computing_runs
from tests.calls import Outcome, call, succeed
from tests.conftest import Trained
from tests.entries import watch_garbage


@pytest.fixture(scope="module")
def home(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that these tests share: what one of them trains, another finds."""
    return Path(shutil.copytree(trained.home, tmp_path_factory.mktemp("attack") / "home"))


def attack(home: Path, *arguments: object) -> Outcome:
    return call("attack", "--home", home, "--limit", 60, *arguments)


def test_all_runs_every_threat_model_on_the_same_samples(home: Path, trained: Trained) -> None:
    before = Registry(home).latest("clf")
    with watch_garbage(trained.nn_behind, trained.nn, trained.ae) as taken:
        outcome = attack(home, "--clf", trained.nn_behind, "--method", "bim", "--eps", 0.1, "--threat", "all", "--json")
    assert outcome.code == 0, outcome.err
    assert taken == set(), "gc would take what is needed later"
    runs = outcome.json["runs"]
    assert [run["threat"] for run in runs] == list_threats(purified=True)
    assert {run["n"] for run in runs} == {60}
    assert {run["clean_accuracy"] for run in runs} == {runs[0]["clean_accuracy"]}
    by_threat = {run["threat"]: run for run in runs}
    assert by_threat["oblivious"]["twin"] == trained.nn
    assert by_threat["black-box"]["queries"] == 1000
    surrogate = Registry(home).manifest(by_threat["transfer"]["surrogate"]).recipe
    original = Registry(home).manifest(trained.nn_behind).recipe
    assert surrogate.seed != original.seed
    assert surrogate.model_copy(update={"seed": 0, "autoencoder": None}) == original.model_copy(
        update={"seed": 0, "autoencoder": None}
    )
    # An entry that a command only needs is not made `latest`.
    assert Registry(home).latest("clf") == before
    again = attack(home, "--clf", trained.nn_behind, "--method", "bim", "--eps", "0.1", "--threat", "all", "--json")
    assert [run["id"] for run in again.json["runs"]] == [run["id"] for run in runs]
    assert {run["cached"] for run in again.json["runs"]} == {True}
    refuse_forged(home, runs[0])


def refuse_forged(home: Path, run: dict[str, Any]) -> None:
    """Hold that no command gives out a run whose outcomes say something else; it is there again afterwards."""
    registry = Registry(home)
    stored = registry.manifest(run["id"])
    recipe, metrics = stored.as_run()
    arrays = {name: registry.read_arrays(stored, name) for name in stored.artifacts}
    forged = metrics.model_copy(update={"clean_accuracy": 0.125})
    registry.publish(recipe, forged, arrays, source=stored.source, replace=True)
    command = ("--clf", recipe.classifier, "--method", "bim", "--eps", "0.1", "--threat", recipe.threat)
    for more in ((), ("--json",), ("--fail-under", "0.01")):
        outcome = attack(home, *command, *more)
        assert (outcome.code, outcome.out) == (4, "")
        assert f"{run['id']} contradicts itself: its manifest says clean_accuracy 0.125" in outcome.err
    registry.publish(recipe, metrics, arrays, source=stored.source, replace=True)


def test_a_certificate_is_shown_beside_the_attack_and_is_not_broken(home: Path, trained: Trained) -> None:
    """Behind an affine pipeline the certificate is exact: the best attack meets it."""
    certify = ("certify", "--home", home, "--clf", trained.lr, "--limit", 60, "--eps", "0.02,0.05", "--json")
    certificate = succeed(*certify).json
    command = ("--clf", trained.lr, "--method", "non-targeted", "--eps", "0.02,0.04,0.3", "--check", "--json")
    outcome = attack(home, *command)
    assert outcome.code == 0, outcome.err
    run = next(one for one in outcome.json["runs"] if one["method"] == "non-targeted")
    first, second, third = run["certified"]
    assert first["id"] == certificate["id"]
    assert first["accuracy"] == certificate["results"][0]["certified_accuracy"]
    assert first["accuracy"] <= run["results"][0]["accuracy"] == first["robust_accuracy"]
    # At 0.04 the certificate for 0.05 counts, at 0.3 there is none.
    assert (second["eps"], third) == (0.05, None)
    lines = [line for line in outcome.err.splitlines() if line.split()[:2] == ["certified", "exact"]]
    assert next(line.split()[2:4] for line in lines) == ["0.02", f"{first['accuracy']:.2%}"]
    assert max(map(len, lines)) <= 80
    (checked,) = outcome.json["verdicts"]
    found = {result["check"]: result for result in checked["verdicts"]}
    assert found["certificate"]["status"] == "PASS", found["certificate"]
    assert found["certificate"]["number"] > 0


def test_a_missing_undefended_counterpart_is_trained_for_all_and_asked_for_by_name(
    home: Path, trained: Trained, tmp_path: Path
) -> None:
    new = Path(shutil.copytree(trained.home, tmp_path / "home"))
    for id_ in (trained.nn, trained.lr):
        succeed("registry", "rm", id_, "--recursive", "--home", new)
    command = ("--clf", trained.lr_behind, "--method", "fgsm", "--eps", "0.1", "--threat")
    refused = attack(new, *command, "oblivious")
    assert refused.code == 3
    assert "advae train-clf --model lr" in refused.err
    outcome = attack(new, *command, "all", "--json")
    assert outcome.code == 0, outcome.err
    assert trained.lr in {run["twin"] for run in outcome.json["runs"]}


def test_check_runs_everything_and_fails_where_the_report_does(home: Path, trained: Trained, tmp_path: Path) -> None:
    command = ("--clf", trained.nn_behind, "--method", "bim", "--eps", "0.05,0.2", "--queries", "1")
    assert attack(home, *command).code == 2
    outcome = attack(home, *command[:-2], "--check", "--json")
    assert outcome.code == 0, outcome.err
    (checked,) = outcome.json["verdicts"]
    assert checked["classifier"] == trained.nn_behind
    found = {result["check"]: result for result in checked["verdicts"]}
    assert list(found) == list_made_checks(random=False)
    # The strongest attack is one whose sweep carries what is broken, so that its accuracy cannot rise with eps.
    unknown = [name for name, result in found.items() if result["status"] == "NOT RUN"]
    assert unknown == ["monotone", "ensemble", "certificate"]
    assert found["budget"]["status"] == found["samples"]["status"] == "PASS"
    assert found["sample-size"]["status"] == "WARN"
    assert outcome.json["runs"][0]["method"] == "bim"
    assert "Checks of run-" in outcome.err
    failing = sorted(failure["check"] for failure in outcome.json["failures"])
    assert {check for check, result in found.items() if result["status"] == "FAIL"} <= {*failing}
    runs = (run["id"] for run in outcome.json["runs"])
    report = call("report", *runs, "--home", home, "--out", tmp_path, "--format", "json", "--strict", "-q")
    told = json.loads((tmp_path / "report.json").read_text("utf-8"))["failures"]
    assert sorted(failure["check"] for failure in told) == failing
    enough = attack(home, *command[:-2], "--check", "--fail-under", "0")
    assert enough.code == report.code == (7 if failing else 0)


def read_headline(home: Path, out: Path) -> tuple[int, Any, list[tuple[str, str]]]:
    """Return how ``report --strict`` ends, what it says is left, and what fails."""
    code = call("report", "--home", home, "--out", out, "--format", "json", "--strict", "-q").code
    document = json.loads((out / "report.json").read_text("utf-8"))
    failures = [(failure["check"], failure["run"]) for failure in document["failures"] if failure["headline"]]
    return code, document["headlines"][0]["adaptive"], failures


def test_a_quick_run_does_not_change_the_report_of_a_full_one(tmp_path: Path) -> None:
    """Neither ten images nor another norm hides what 360 images say, and that a check fails on it."""
    home = tmp_path / "home"
    blur = succeed("train-ae", "--type", "blur", "--home", home, "-q").id
    clf = succeed("train-clf", "--model", "lr", "--ae", blur, "--home", home, "-q").id
    command = ("attack", "--home", home, "--clf", clf, "--method", "pgd", "-q")
    for steps in (6, 12):
        succeed(*command, "--eps", "0.1", "--steps", steps, "--step-size", "0.01")
    full = read_headline(home, tmp_path / "full")
    code, strongest, failures = full
    assert (code, strongest["n"], [check for check, _ in failures]) == (7, 360, ["convergence"])
    quick = succeed(*command, "--eps", "0.1", "--limit", "10", "--json").json
    assert quick["results"][0]["accuracy"] < strongest["robust_accuracy"]
    assert read_headline(home, tmp_path / "quick") == full
    succeed(*command, "--eps", "1.5", "--norm", "l2", "--steps", "6")
    assert read_headline(home, tmp_path / "l2") == full


@pytest.mark.parametrize(("least", "code"), [("0", 0), ("1", 7)])
def test_fail_under_is_exit_7_after_all_is_stored_and_printed(
    least: str, code: int, home: Path, trained: Trained
) -> None:
    command = ("--clf", trained.nn, "--method", "pgd", "--eps", "0.2", "--fail-under", least)
    outcome = attack(home, *command)
    assert outcome.code == code, outcome.err
    assert Registry(home).manifest(outcome.id).kind == "run"
    if code:
        last = outcome.err.splitlines()[-1]
        assert last.startswith(f"advae: {outcome.id}: ")
        assert last.endswith("at eps 0.2; --fail-under asks for 100.00%")


def test_fail_under_does_not_pass_an_attack_that_is_not_reliable(home: Path, trained: Trained) -> None:
    command = ("--clf", trained.lr, "--method", "non-targeted", "--eps", "0.2", "--no-clip", "--fail-under", "0")
    outcome = attack(home, *command)
    assert outcome.code == 7
    assert "budget failed: " in outcome.err.splitlines()[-1]


def test_seeds_train_and_attack_again_and_show_the_spread(home: Path, trained: Trained) -> None:
    command = ("--clf", trained.lr_behind, "--method", "fgsm", "--eps", "0.1", "--seeds", "2")
    outcome = attack(home, *command, "--json")
    assert outcome.code == 0, outcome.err
    first, second = outcome.json["runs"]
    assert first["classifier"] == trained.lr_behind != second["classifier"]
    assert first["autoencoder"] != second["autoencoder"]
    (spread,) = outcome.json["spread"]
    left = [run["results"][0]["accuracy"] for run in (first, second)]
    assert (spread["seeds"], spread["least"], spread["most"]) == (2, min(left), max(left))
    assert spread["mean"] == pytest.approx(sum(left) / 2)
    assert "over seeds" in attack(home, *command).err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--method", "bim", "--queries", "5"), "--queries does not fit attack 'bim'"),
        (("--method", "square", "--steps", "5"), "--steps does not fit attack 'square'"),
        (("--method", "apgd", "--step-size", "0.1"), "--step-size does not fit attack 'apgd'"),
        (("--method", "pgd", "--step-size", "1.5"), "--step-size 1.5: more than 0 and at most 1, the largest linf"),
        (("--method", "pgd", "--norm", "l2", "--step-size", "8.5"), "--step-size 8.5: more than 0 and at most 8, the"),
        (("--method", "pgd", "--step-size", "0"), "--step-size 0.0: more than 0 and at most 1"),
        (("--method", "worst", "--loss", "ce"), "--loss does not fit attack 'worst'"),
        (("--method", "autoattack", "--steps", "5"), "--steps does not fit attack 'autoattack'"),
        (("--method", "autoattack", "--restarts", "2"), "--restarts does not fit attack 'autoattack'"),
        (("--method", "autoattack", "--loss", "ce"), "--loss does not fit attack 'autoattack'"),
        (("--method", "autoattack", "--queries", "9"), "--queries does not fit attack 'autoattack'"),
        (("--method", "autoattack", "--draws", "9"), "--draws does not fit attack 'autoattack', whose settings are"),
        (("--method", "cw"), "attack 'cw' has no --norm linf"),
        (("--method", "bim", "--draws", "4"), "--draws does not fit"),
        (("--method", "bim", "--seeds", "0"), "--seeds"),
        (("--method", "bim", "--fail-under", "2"), "--fail-under"),
        (("--method", "bim", "--threat", "alll"), "did you mean 'all'"),
        (("--method", "bim", "--eps", "0.3,0.30000000000000004"), "an eps is given twice: 0.3, 0.30000000000000004; "),
        (("--method", "bim", "--sample", "stratifed"), "did you mean 'stratified'"),
    ],
)
def test_what_does_not_fit_is_one_line_and_exit_2(
    arguments: tuple[str, ...], words: str, home: Path, trained: Trained
) -> None:
    outcome = attack(home, "--clf", trained.nn_behind, "--eps", "0.1", *arguments)
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert words in outcome.err


@pytest.mark.parametrize("eps", ["0.1", "0.1,0.2"])
def test_adversarial_examples_are_exported_as_npy(eps: str, home: Path, trained: Trained, tmp_path: Path) -> None:
    made = attack(home, "--clf", trained.nn, "--method", "fgsm", "--eps", eps, "--save-adversarial", "--json")
    run = made.json
    out = succeed("registry", "export", run["id"], tmp_path / "adv.npy", "--format", "npy", "--home", home)
    assert out.out == f"{tmp_path / 'adv.npy'}\n"
    arrays: dict[str, Any] = {
        name: np.load(tmp_path / f"adv{name}.npy", allow_pickle=False)
        for name in ("", "-ids", "-labels", "-predictions")
    }
    stack = (2,) if "," in eps else ()
    assert (arrays[""].dtype, arrays[""].shape) == (np.float32, (*stack, 60, 8, 8))
    assert arrays["-predictions"].shape == (*stack, 60)
    np.testing.assert_array_equal(arrays["-ids"], np.arange(60))
    for index, result in enumerate(run["results"]):
        predictions = arrays["-predictions"][index] if stack else arrays["-predictions"]
        assert (predictions == arrays["-labels"]).mean() == pytest.approx(result["accuracy"])
        assert 0 <= result["accuracy_8bit"] <= 1
    assert out.err == ""
    again = ("registry", "export", run["id"], tmp_path / "adv.npy", "--format", "npy", "--home", home)
    assert f"{tmp_path}/adv-ids.npy: it exists already" in call(*again).err
    (tmp_path / "adv-labels.npy").write_text("mine")
    for name in ("", "-ids"):
        (tmp_path / f"adv{name}.npy").unlink()
    assert call(*again).code == 2
    assert {path.name for path in tmp_path.glob("adv*")} == {"adv-labels.npy", "adv-predictions.npy"}
    assert succeed(*again, "--force").out == out.out
    if not stack:
        succeed("predict", "--clf", trained.nn, tmp_path / "adv.npy", "--home", home)


def test_exported_images_that_are_no_valid_result_have_a_note(home: Path, trained: Trained, tmp_path: Path) -> None:
    """Data attacked behind the purifier is no image, and the paper's protocol leaves no valid one."""
    options = ("--eps", "0.1", "--save-adversarial")
    encoded = attack(home, "--clf", trained.nn_behind, "--method", "fgsm", "--threat", "encoded", *options).id
    free = attack(home, "--clf", trained.lr, "--method", "non-targeted", "--no-clip", *options).id
    for run, told in ((encoded, "this is purified data, attacked behind the purifier"), (free, NOT_VALID)):
        out = succeed("registry", "export", run, tmp_path / f"{run}.npy", "--format", "npy", "--home", home, "--json")
        assert out.err.startswith(f"{tmp_path / run}.npy: {told}")
        assert [told in note for note in out.json["notes"]] == [True]


def test_a_run_without_images_and_other_entries_are_not_written_as_npy(
    home: Path, trained: Trained, tmp_path: Path
) -> None:
    run = attack(home, "--clf", trained.nn, "--method", "fgsm", "--eps", "0.1").id
    for ref in (run, trained.nn):
        refused = call("registry", "export", ref, tmp_path / "a.npy", "--format", "npy", "--home", home)
        assert refused.code == 2
        assert "--save-adversarial" in refused.err
    assert not list(tmp_path.iterdir())


def test_apgd_attacks_two_classes(tmp_path: Path, digits: Dataset) -> None:
    """The ratio of logits is constant there: it left 92 % where PGD leaves nothing."""
    parts = {}
    for name, x, y in (("train", digits.x_train, digits.y_train), ("test", digits.x_test, digits.y_test)):
        kept = np.isin(y, (3, 8))
        parts |= {f"x_{name}": x[kept].reshape(-1, 8, 8), f"y_{name}": (y[kept] == 8).astype(np.int64)}
    np.savez(tmp_path / "two.npz", **parts)
    data, home = ("--dataset", tmp_path / "two.npz"), tmp_path / "home"
    succeed("train-clf", "--model", "lr", *data, "--home", home, "-q")
    command = ("attack", "--home", home, *data, "--eps", "0.4", "--limit", 40, "--json", "-q")
    apgd, natural = succeed(*command, "--method", "apgd,natural").json["runs"]
    assert max(run["results"][0]["accuracy"] for run in (apgd, natural)) < 0.1
    assert natural["results"][0]["targets"] == [1, 0]


@pytest.fixture(scope="module")
def sampling(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose newest classifier is behind a purifier that samples."""
    home = tmp_path_factory.mktemp("sampling") / "home"
    ae = succeed("train-ae", "--type", "variational", "--sample", "--epochs", 1, "--home", home, "-q").id
    succeed("train-clf", "--model", "lr", "--ae", ae, "--home", home, "-q")
    return home


def test_behind_a_purifier_that_samples_the_accuracy_over_many_draws_is_shown(sampling: Path) -> None:
    home = sampling
    outcome = attack(home, "--method", "fgsm", "--eps", "0.1", "--json")
    run = outcome.json
    outcomes = Registry(home).read_arrays(Registry(home).manifest(run["id"]), OUTCOMES)
    assert outcomes["success_rate"].shape == (1, 60)
    assert run["results"][0]["expected_accuracy"] == pytest.approx(1 - outcomes["success_rate"].mean(), abs=1e-6)
    assert run["clean_expected_accuracy"] == pytest.approx(1 - outcomes["clean_success_rate"].mean(), abs=1e-6)
    shown = attack(home, "--method", "fgsm", "--eps", "0.1").err
    assert f"mean of {run['fresh_draws']} draws" in shown
    k, result, least = run["k_draws"], run["results"][0], run["results"][0]["any_of_k_accuracy"]
    assert least == (~outcomes["wrong_draws"][0].any(axis=1)).mean()
    assert least <= result["majority_of_k_accuracy"] <= run["clean_majority_of_k_accuracy"]
    assert least <= result["accuracy"]
    assert re.search(rf"any of {k} +{100 * least:.2f}% \[", shown)
    assert f"majority of {k} " in shown
    clean = 100 * run["clean_any_of_k_accuracy"]
    assert f"clean, any of {k} {clean:.2f}% [" in " ".join(shown.split())


def test_a_threshold_is_for_all_draws_of_a_purifier_that_samples(sampling: Path) -> None:
    """One draw may be above a threshold that the pipeline does not reach on every one of ten."""
    home = sampling
    command = ("--method", "fgsm", "--eps", "0.05", "--json")
    result = attack(home, *command).json["results"][0]
    assert result["any_of_k_accuracy"] < result["accuracy"]
    between = (result["any_of_k_accuracy"] + result["accuracy"]) / 2
    outcome = attack(home, *command, "--fail-under", between)
    assert outcome.code == 7
    assert f"robust accuracy is {result['any_of_k_accuracy']:.2%} on every one of 10 draws under fgsm" in outcome.err
    assert attack(home, *command, "--fail-under", result["any_of_k_accuracy"]).code == 0


def test_fixed_randomness_is_for_a_purifier_that_samples(sampling: Path, home: Path, trained: Trained) -> None:
    command = ("--method", "fgsm", "--eps", "0.1", "--threat", "fixed-randomness", "--json")
    run = attack(sampling, *command).json
    assert (run["threat"], run["draws"], run["fresh_draws"]) == ("fixed-randomness", None, None)
    assert "any_of_k_accuracy" not in run["results"][0]
    assert run["clean_accuracy"] > run["results"][0]["accuracy"]
    for classifier, reason in (
        (trained.nn_behind, "threat 'fixed-randomness' needs a purifier that samples, such as that of `train-ae "),
        (trained.nn, "threat 'fixed-randomness' needs a classifier behind a purifier"),
    ):
        refused = attack(home, "--clf", classifier, *command)
        assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
        assert refused.err.startswith(f"advae: {reason}")


# ---------------------------------------------------------------- which images


def test_a_draw_has_all_classes_of_a_test_set_whose_first_images_have_not(tmp_path: Path, digits: Dataset) -> None:
    """What is drawn is in the recipe, the record, the report and the command that makes it again."""
    order, train = np.argsort(digits.y_test, kind="stable"), slice(500)
    file, home = tmp_path / "sorted.npz", tmp_path / "home"
    arrays = {"x_train": digits.x_train[train], "x_test": digits.x_test[order]}
    np.savez(
        file,
        **{name: x.reshape(-1, 8, 8) for name, x in arrays.items()},
        y_train=digits.y_train[train],
        y_test=digits.y_test[order],
    )
    clf = succeed("train-clf", "--model", "lr", "--max-iter", 30, "--dataset", file, "--home", home).id
    options = ("attack", "--clf", clf, "--method", "fgsm", "--eps", "0.1", "--limit", 20, "--home", home, "--json")
    first = succeed(*options)
    missing = "no image of 9 of 10 classes (1, 2, 3, 4, 5, ...) is among the 20 attacked ones"
    assert f"sample-size FAIL: {missing}" in first.err
    assert call(*options, "--fail-under", 0).code == 7
    drawn = succeed(*options, "--sample", "stratified", "--fail-under", 0, "--check")
    assert "n = 20 of 360, stratified, clean" in drawn.err
    runs = drawn.json["runs"]
    assert {(run["n"], run["n_test"], run["sample"]) for run in runs} == {(20, 360, "stratified")}
    assert (first.json["n_test"], first.json["sample"]) == (360, None)
    registry = Registry(home)
    outcomes = registry.read_arrays(registry.manifest(runs[0]["id"]), OUTCOMES)
    ids, labels = outcomes["sample_ids"], outcomes["labels"]
    np.testing.assert_array_equal(ids, choose_samples(digits.y_test[order], 20, "stratified"))
    np.testing.assert_array_equal(labels, digits.y_test[order][ids])
    assert np.bincount(labels).tolist() == [2] * 10
    shown = registry.read_arrays(registry.manifest(runs[0]["id"]), SAMPLES)
    np.testing.assert_array_equal(shown["x"], digits.x_test[order][shown["ids"]])
    succeed("report", "--home", home, "--out", tmp_path / "out", "--format", "md,json")
    report = (tmp_path / "out" / "report.md").read_text()
    assert "n = 20 of 360, stratified" in report
    assert "--limit 20 --sample stratified" in report
    results = json.loads((tmp_path / "out" / "report.json").read_text())["checks"]
    assert {one["check"]: one["status"] for one in results if one["headline"]}["samples"] == "PASS"


def test_a_draw_of_all_is_all_and_of_none_is_a_mistake(home: Path, trained: Trained) -> None:
    options = ("attack", "--clf", trained.lr, "--method", "fgsm", "--eps", "0.1", "--home", home)
    assert succeed(*options, "--limit", 360, "--sample", "stratified").id == succeed(*options).id
    refused = call(*options, "--sample", "stratified")
    assert (refused.code, refused.err) == (
        2,
        "advae: --sample stratified needs --limit N, how many test images to draw; without either all are attacked\n",
    )


# ---------------------------------------------------------------- precision


@pytest.fixture(scope="module")
def wide(home: Path) -> str:
    """A network with layers that are wide enough for a lower precision."""
    options = ("--hidden-size", 96, "--epochs", 4)
    return succeed("train-clf", "--home", home, "--model", "nn", *options).out.strip()


def test_bfloat16_crafts_and_float32_scores(home: Path, wide: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(computing_runs, "compare_precisions", lambda: 2.0)
    command = ("--clf", wide, "--method", "bim", "--eps", "0.1,0.3", "--save-adversarial", "--limit", 300, "--json")
    full, low = (call("attack", "--home", home, *command, *more).json for more in ((), ("--precision", "bfloat16")))
    assert (full["precision"], low["precision"]) == ("float32", "bfloat16")
    registry = Registry(home)
    arrays = [registry.read_arrays(registry.manifest(run["id"]), ADVERSARIAL) for run in (full, low)]
    # Other images, which proves that other numbers made them, and within what float32 leaves of 8 bits about as strong.
    assert (arrays[0]["x_adv"] != arrays[1]["x_adv"]).any()
    for mine, theirs in zip(low["results"], full["results"], strict=True):
        assert mine["accuracy"] == pytest.approx(theirs["accuracy"], abs=0.02)
        assert mine["linf_max"] <= mine["eps"] + 1e-6
    pipeline = load_pipeline(registry, registry.manifest(wide))
    for x_adv, predicted in zip(arrays[1]["x_adv"], arrays[1]["predictions"], strict=True):
        np.testing.assert_array_equal(apply(pipeline.defend, x_adv).argmax(axis=1), predicted)


def test_bfloat16_is_refused_where_it_gains_nothing(home: Path, wide: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(computing_runs, "compare_precisions", lambda: 0.8)
    before = Registry(home).ids()
    refused = attack(home, "--clf", wide, "--method", "pgd", "--eps", "0.1", "--precision", "bfloat16")
    assert refused.code == 2
    assert "would gain nothing here: its matrix products run at 0.80 times the speed of float32's" in refused.err
    assert refused.err.count("\n") == 1
    assert Registry(home).ids() == before


@pytest.mark.parametrize("method", ["square", "noise", "cw", "worst"])
def test_what_follows_no_loss_has_one_precision(method: str, home: Path, wide: str) -> None:
    norm = "l2" if method == "cw" else "linf"
    refused = attack(home, "--clf", wide, "--method", method, "--norm", norm, "--eps", "0.1", "--precision", "bfloat16")
    assert (refused.code, refused.err) == (2, f"advae: --precision bfloat16 does not fit attack {method!r}\n")


def test_how_much_bfloat16_gains_is_measured() -> None:
    assert 0.01 < compare_precisions(rounds=1) < 100
