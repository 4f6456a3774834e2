"""``advae attack --from-file``: adversarial examples that were made elsewhere, from the file to the report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advae.errors import UsageError
from advae.experiments import read_experiment
from advae.metrics import BUDGET_TOLERANCE, digest_examples
from advae.records import OUTCOMES, Dataset
from advae.registry import Registry
from advae.report.wording import MISPLACED, UPPER_BOUND
from tests.calls import Outcome, call, succeed
from tests.conftest import Trained

EPS = 0.1


@pytest.fixture(scope="module")
def home(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(trained.home, tmp_path_factory.mktemp("given") / "home"))


@pytest.fixture(scope="module")
def images(digits: Dataset) -> np.ndarray[Any, Any]:
    """All test images, float32 (n, 8, 8)."""
    return digits.x_test.reshape(-1, 8, 8)


def score(home: Path, path: Path, *arguments: object, clf: str) -> Outcome:
    return call("attack", "--home", home, "--clf", clf, "--from-file", path, *arguments)


def save(path: Path, array: np.ndarray[Any, Any]) -> Path:
    np.save(path, array)
    return path


@pytest.mark.parametrize(
    ("options", "defended"),
    [
        ((), False),
        ((), True),
        (("--limit", 50), True),
        (("--limit", 40, "--sample", "stratified"), True),
        (("--norm", "l2"), True),
    ],
)
def test_examples_of_an_attack_have_its_robust_accuracy(
    options: tuple[object, ...], defended: bool, home: Path, trained: Trained, tmp_path: Path
) -> None:
    """What one command made, stored and wrote, another reads: at every eps the same numbers."""
    clf = trained.nn_behind if defended else trained.nn
    method, eps = ("pgd", (0.5, 1.0)) if "l2" in options else ("fgsm", (0.05, 0.2))
    effort = ("--steps", 3) if method == "pgd" else ()
    command = ("--clf", clf, "--method", method, "--eps", ",".join(map(str, eps)), *effort, *options)
    made = succeed("attack", "--home", home, *command, "--save-adversarial", "--json").json
    stack = tmp_path / "stack.npy"
    succeed("registry", "export", made["id"], stack, "--format", "npy", "--home", home)
    for one, images, expected in zip(eps, np.load(stack), made["results"], strict=True):
        path = save(tmp_path / f"{one}.npy", images)
        again = score(home, path, "--eps", one, *options, "--json", clf=clf)
        assert again.code == 0, again.err
        found, result = again.json, again.json["results"][0]
        assert (found["method"], found["threat"], found["n"]) == ("from-file", "elsewhere", made["n"])
        assert result["accuracy"] == expected["accuracy"]
        assert result["attack_success_rate"] == expected["attack_success_rate"]
        assert result["norm_max"] == pytest.approx(expected["norm_max"])
        assert result["over_budget"] == 0
        assert found["distances"]["most"] == pytest.approx(result["norm_max"])
        assert found["examples"] == digest_examples(images.reshape(found["n"], -1))


def test_the_budget_is_counted_for_each_example(
    home: Path, trained: Trained, images: np.ndarray[Any, Any], tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    reach = rng.choice([0.05, 0.1, 0.25], size=(len(images), 1, 1)).astype("f4")
    path = save(tmp_path / "adv.npy", np.clip(images + reach * rng.choice([-1, 1], images.shape), 0, 1).astype("f4"))
    distance = np.abs(np.load(path) - images).max(axis=(1, 2))
    outcome = score(home, path, "--eps", "0.05,0.1,0.3", "--json", clf=trained.nn_behind)
    found = outcome.json
    for result in found["results"]:
        assert result["over_budget"] == (distance > result["eps"] + BUDGET_TOLERANCE).sum()
        assert result["linf_max"] <= result["eps"] + BUDGET_TOLERANCE
        assert result["within_budget"]
    assert found["results"][0]["over_budget"] > found["results"][1]["over_budget"] > 0
    assert found["results"][2]["over_budget"] == 0
    assert found["distances"] == pytest.approx(
        {"least": distance.min(), "median": np.median(distance), "most": distance.max()}
    )
    outcomes = Registry(home).read_arrays(Registry(home).manifest(found["id"]), OUTCOMES)
    np.testing.assert_allclose(outcomes["distance"], distance, rtol=1e-6)
    # What is farther is scored as the unchanged image.
    far = distance > 0.05 + BUDGET_TOLERANCE
    np.testing.assert_array_equal(outcomes["predictions"][0][far], outcomes["clean_predictions"][far])
    assert (outcomes["linf"][0][far] == 0).all()
    lines = outcome.err.splitlines()
    assert UPPER_BOUND in lines
    assert f"eps 0.05: {far.sum()} of {len(far)} are farther and count as unchanged" in lines
    assert MISPLACED not in lines
    assert {one["status"] for one in found["verdicts"] if one["check"] in ("monotone", "gradients", "logits")} == {
        "NOT RUN"
    }


def test_examples_in_another_order_are_asked_about(
    home: Path, trained: Trained, images: np.ndarray[Any, Any], tmp_path: Path
) -> None:
    outcome = score(home, save(tmp_path / "adv.npy", images[::-1]), "--eps", EPS, clf=trained.nn)
    assert outcome.code == 0
    assert MISPLACED in outcome.err.splitlines()


def test_the_id_follows_the_values_not_the_file(
    home: Path, trained: Trained, images: np.ndarray[Any, Any], tmp_path: Path
) -> None:
    grey = np.round(images * 255).astype("u1")
    forms = {"a": grey, "b": (grey / np.float32(255)).astype("f4"), "c": grey.reshape(-1, 64), "d": grey[..., None]}
    ids = {
        score(home, save(tmp_path / f"{name}.npy", array), "--eps", EPS, clf=trained.nn).id
        for name, array in forms.items()
    }
    assert len(ids) == 1
    grey[0, 0, 0] ^= 1
    assert score(home, save(tmp_path / "e.npy", grey), "--eps", EPS, clf=trained.nn).id not in ids
    # Only the examples that are scored count.
    few = [
        score(home, save(tmp_path / "f.npy", array), "--eps", EPS, "--limit", 20, clf=trained.nn).id
        for array in (grey, grey[:20], grey[:30])
    ]
    assert len(set(few)) == 1


def test_the_report_shows_it_beside_attacks_and_never_as_the_headline(
    home: Path, trained: Trained, images: np.ndarray[Any, Any], tmp_path: Path
) -> None:
    """A lower robust accuracy than under the adaptive attack makes that one not reliable."""
    path = tmp_path / "adv.npy"
    strong = ("--method", "pgd", "--steps", 20, "--eps", EPS, "--save-adversarial")
    made = succeed("attack", "--home", home, "--clf", trained.nn_behind, *strong).id
    succeed("registry", "export", made, path, "--format", "npy", "--home", home)
    given = score(home, path, "--eps", EPS, clf=trained.nn_behind).id
    lone = report(home, tmp_path / "lone", given)
    (headline,) = [one for one in lone["headlines"] if one["classifier_id"] == trained.nn_behind]
    assert (headline["adaptive"]["status"], headline["reliable"]) == ("NOT RUN", False)
    assert headline["strongest"]["run"] == given
    (row,) = [one for one in lone["accuracy"] if one["run"] == given]
    assert row["over_budget"] == 0
    assert any(note.startswith(UPPER_BOUND) for note in row["notes"])
    assert "--from-file ADV.npy" in (tmp_path / "lone" / "report.html").read_text()
    # Beside an attack that is as strong nothing is wrong; beside a weaker one at the same eps the check fails.
    assert check_adaptive(report(home, tmp_path / "both", given, made), trained.nn_behind) == "NOT RUN"
    noise = succeed("attack", "--home", home, "--clf", trained.nn_behind, "--method", "noise", "--eps", EPS).id
    assert check_adaptive(report(home, tmp_path / "three", given, made, noise), trained.nn_behind) == "PASS"
    slow = ("--method", "bim", "--steps", 1, "--step-size", 0.001, "--eps", EPS)
    feeble = succeed("attack", "--home", home, "--clf", trained.nn_behind, *slow).id
    found = report(home, tmp_path / "feeble", given, feeble)
    assert check_adaptive(found, trained.nn_behind) == "FAIL"
    (headline,) = [one for one in found["headlines"] if one["classifier_id"] == trained.nn_behind]
    assert (headline["adaptive"]["run"], headline["reliable"]) == (feeble, False)


def report(home: Path, folder: Path, *runs: str) -> Any:
    succeed("report", *runs, "--home", home, "--out", folder, "--format", "html,json,csv,md")
    return json.loads((folder / "report.json").read_text())


def check_adaptive(document: Any, classifier: str) -> str:
    (found,) = [one for one in document["checks"] if one["classifier_id"] == classifier and one["check"] == "adaptive"]
    return str(found["status"])


def test_it_is_verified_and_bundled_like_any_run(
    home: Path, trained: Trained, images: np.ndarray[Any, Any], tmp_path: Path
) -> None:
    path = save(tmp_path / "adv.npy", np.clip(images + 0.07, 0, 1))
    id_ = score(home, path, "--eps", EPS, clf=trained.nn_behind).id
    assert score(home, path, "--eps", EPS, "--json", clf=trained.nn_behind).json["cached"]
    succeed("registry", "verify", "--home", home)
    bundle, other = tmp_path / "run.tar", tmp_path / "other"
    succeed("registry", "export", id_, bundle, "--home", home)
    succeed("registry", "import", bundle, "--home", other)
    imported = score(other, path, "--eps", EPS, "--json", clf=trained.nn_behind).json
    assert (imported["id"], imported["cached"]) == (id_, True)
    # A number that does not follow from the stored distances is refused.
    registry = Registry(other)
    stored = registry.manifest(id_)
    recipe, metrics = stored.as_run()
    arrays = {name: registry.read_arrays(stored, name) for name in stored.artifacts}
    results = tuple(one.model_copy(update={"over_budget": 3}) for one in metrics.results)
    for changes in ({"results": results}, {"distances": (0.0, 0.0, 0.1)}):
        registry.publish(recipe, metrics.model_copy(update=changes), arrays, replace=True)
        refused = score(other, path, "--eps", EPS, clf=trained.nn_behind)
        assert refused.code == 4
        assert "contradicts itself: its manifest says" in refused.err


def test_checks_and_seeds_go_along(home: Path, trained: Trained, images: np.ndarray[Any, Any], tmp_path: Path) -> None:
    path = save(tmp_path / "adv.npy", np.clip(images[:30] + 0.07, 0, 1))
    found = score(home, path, "--eps", EPS, "--check", "--json", clf=trained.nn).json
    assert found["runs"][0]["method"] == "from-file"
    assert {run["n"] for run in found["runs"]} == {30}
    (checked,) = [one for one in found["verdicts"] if one["classifier"] == trained.nn]
    assert checked["run"] != found["runs"][0]["id"]
    assert "examples made elsewhere" in next(
        one["sentence"] for one in checked["verdicts"] if one["check"] == "adaptive"
    )


BAD: list[tuple[str, tuple[object, ...], int, str]] = [
    ("all", ("--method", "fgsm"), 2, "--method fgsm does not fit --from-file"),
    ("all", ("--threat", "adaptive"), 2, "--threat adaptive does not fit --from-file"),
    ("all", ("--steps", 3), 2, "--steps does not fit attack 'from-file'"),
    ("all", ("--no-clip",), 2, "--no-clip does not fit"),
    ("all", ("--draws", 3), 2, "--draws does not fit"),
    ("all", ("--sample", "stratified"), 2, "--sample stratified needs --limit N"),
    ("few", ("--limit", 20, "--sample", "stratified"), 2, "few.npy has 30 examples, --limit 20 --sample stratified"),
    ("many", (), 2, "many.npy has 361 examples, the test set has 360 images"),
    ("gone", (), 6, "gone.npy does not exist"),
    ("nan", (), 6, "replace what is not a finite number"),
    ("grey", (), 6, "range from 0 to 255; divide them by 255"),
    ("outside", (), 6, "range from -0.5 to 1"),
    ("first", (), 6, "move its channels to the end, images.transpose(0, 2, 3, 1)"),
    ("several", (), 6, "are these several eps? save those of one, images[0]"),
    ("wide", (), 6, "the model takes (n, 8, 8)"),
    ("whole", (), 6, "has dtype int64"),
    ("text", (), 6, "is not a readable .npy file"),
]


@pytest.mark.parametrize(("name", "options", "code", "said"), BAD, ids=lambda value: str(value))
def test_a_mistake_is_one_line_that_names_the_mend(
    name: str,
    options: tuple[object, ...],
    code: int,
    said: str,
    home: Path,
    trained: Trained,
    images: np.ndarray[Any, Any],
    tmp_path: Path,
) -> None:
    path = tmp_path / f"{name}.npy"
    files = {
        "all": images,
        "few": images[:30],
        "many": np.concatenate([images, images[:1]]),
        "nan": np.where(images == images.max(), np.nan, images),
        "grey": images * 255,
        "outside": np.where(images == 0, -0.5, images),
        "first": images[:, None],
        "several": np.stack([images, images]),
        "wide": images[:, :, :7],
        "whole": (images * 255).astype("i8"),
    }
    if name in files:
        np.save(path, files[name])
    elif name == "text":
        path.write_text("0.1,0.2\n")
    before = Registry(home).ids()
    outcome = score(home, path, "--eps", EPS, *options, clf=trained.nn_behind)
    assert (outcome.code, outcome.out) == (code, ""), outcome.err
    assert said in outcome.err
    assert outcome.err.count("\n") == 1
    assert Registry(home).ids() == before


@pytest.mark.parametrize("words", [("--method", "from-file"), ("--method", "fgsm", "--threat", "elsewhere")])
def test_without_a_file_there_are_no_examples(words: tuple[str, ...], home: Path, trained: Trained) -> None:
    refused = call("attack", "--home", home, "--clf", trained.nn, "--eps", EPS, *words)
    assert refused.code == 2
    assert "`advae attack --from-file ADV.npy --eps E`, without --method and --threat" in refused.err
    missing = call("attack", "--home", home, "--clf", trained.nn, "--eps", EPS)
    assert (missing.code, "missing option '--method'" in missing.err) == (2, True)


@pytest.mark.parametrize("line", ['methods = ["fgsm", "from-file"]', 'methods = ["fgsm"]\nthreats = ["elsewhere"]'])
def test_a_plan_refuses_examples_from_a_file(line: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(
        'datasets = ["digits"]\n[classifiers]\nnn = { model = "nn" }\n[[attacks]]\nclassifiers = ["nn"]\n'
        f'behind = ["none"]\neps = [0.1]\n{line}\n'
    )
    with pytest.raises(UsageError, match=r"a plan has no '(from-file|elsewhere)', .*`advae attack --from-file ADV"):
        read_experiment(path)
