"""``advae attack-code``: what it measures, what it prints, what it refuses."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from advae.attacks.code_steering import CODE_OPTIMIZERS
from advae.checks.steered_codes import CODE_CHECKS
from advae.records import SAMPLES, STEERED
from advae.registry import Registry
from tests.calls import Outcome, call, succeed
from tests.conftest import Trained
from tests.entries import make_autoencoder_recipe, publish, watch_garbage


@pytest.fixture(scope="module")
def home(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that these tests share, with a variational autoencoder and a baseline beside the trained ones."""
    home = Path(shutil.copytree(trained.home, tmp_path_factory.mktemp("code") / "home"))
    for type_ in ("variational", "blur"):
        options = ("--epochs", 25, "--code-size", 8) if type_ == "variational" else ()
        succeed("train-ae", "--type", type_, *options, "--home", home, "--tag", type_, "-q")
    return home


def attack(home: Path, *arguments: object) -> Outcome:
    return call("attack-code", "--home", home, *arguments)


def test_a_gaussian_code_is_steered_towards_the_target(home: Path) -> None:
    with watch_garbage(succeed("registry", "show", "variational", "--home", home).json["id"]) as taken:
        found = attack(home, "--ae", "variational", "--json").json
    assert taken == set(), "gc would take what the attack needs"
    assert (found["n"], found["left_out"], found["optimizer"], found["points"], found["steps"]) == (
        25,
        0,
        "adam",
        41,
        500,
    )
    low, high = found["area_interval"]
    assert 0 < low < found["area"] < high < 0.5
    assert 0 < found["half_distortion"] < 0.6
    assert [check["check"] for check in found["checks"]] == list(CODE_CHECKS)
    assert {check["status"] for check in found["checks"]} <= {"PASS", "WARN"}
    registry = Registry(home)
    arrays = registry.read_arrays(registry.manifest(found["id"]), STEERED)
    assert arrays["distortion"].shape == arrays["reached"].shape == (25, 41)
    assert (arrays["labels"] != arrays["target_labels"]).all()
    # A large weight leaves the image as it is, a small one reaches the target's reconstruction.
    assert arrays["distortion"][:, -1].max() < 1e-3
    assert np.allclose(arrays["reached"][:, -1], arrays["before"], rtol=1e-3)
    assert (arrays["code_distances"][:, 0] < 0.05 * arrays["codes_apart"]).all()
    shown = registry.read_arrays(registry.manifest(found["id"]), SAMPLES)
    assert shown["x_adv"].shape == shown["purified_target"].shape == (5, 64)
    moved = np.linalg.norm(shown["x_adv"] - shown["x"], axis=1)
    assert moved == pytest.approx(arrays["distortion"][shown["pairs"], shown["shown"]], rel=1e-5)


def test_the_paper_s_optimizer_finds_the_same_area(home: Path) -> None:
    options = ("--ae", "variational", "--pairs", 3, "--points", 11, "--json")
    ours, theirs = (attack(home, *options, "--optimizer", name).json for name in CODE_OPTIMIZERS)
    assert ours["pairs_digest"] == theirs["pairs_digest"]
    assert ours["area"] == pytest.approx(theirs["area"], abs=0.02)


def test_a_target_class_and_fewer_images_are_kept_to(home: Path, trained: Trained) -> None:
    options = ("--pairs", 6, "--points", 3, "--steps", 5)
    found = attack(home, "--ae", trained.ae, *options, "--target", 3, "--limit", 50, "--json").json
    registry = Registry(home)
    arrays = registry.read_arrays(registry.manifest(found["id"]), STEERED)
    assert set(arrays["target_labels"].tolist()) == {3}
    assert 3 not in arrays["labels"]
    assert max(*arrays["original_ids"], *arrays["target_ids"]) < 50
    other = attack(home, "--ae", trained.ae, *options, "--target", 3, "--limit", 50, "--seed", 1, "--json").json
    assert other["pairs_digest"] != found["pairs_digest"]


def test_it_is_found_again_listed_shown_and_travels(home: Path, trained: Trained, tmp_path: Path) -> None:
    options = ("--ae", trained.ae, "--pairs", 4, "--points", 5, "--steps", 20)
    first = attack(home, *options, "--tag", "steered")
    assert first.id.startswith("code-")
    assert "area under the curve" in first.err
    assert "harder to steer" in first.err
    assert all(len(line) <= 100 for line in first.err.splitlines() if not line.startswith("next: "))
    assert attack(home, *options, "--json").json["cached"] is True
    assert succeed("registry", "ls", "--home", home, "--kind", "code", "--tag", "steered").out.split() == [first.id]
    shown = succeed("registry", "show", "steered", "--home", home).json
    assert (shown["ancestors"], shown["recipe"]["pairs"]) == ([trained.ae], 4)
    before = shown["metrics"]
    forced = attack(home, *options, "--force", "--json").json
    assert {name: forced[name] for name in ("area", "n", "half_distortion")}.items() <= before.items()
    succeed("registry", "export", "--home", home, first.id, tmp_path / "code.tar")
    succeed("registry", "import", "--home", tmp_path / "other", tmp_path / "code.tar")
    assert succeed("registry", "show", "--home", tmp_path / "other", first.id).json["imported"]
    assert succeed("registry", "verify", "--home", tmp_path / "other").code == 0


MISTAKES = {
    "no autoencoder": ((), 2, "--ae"),
    "one that is not there": (("--ae", "ae-ffffffffffff"), 3, "no autoencoder 'ae-ffffffffffff'"),
    "a purifier without a code": (("--ae", "blur"), 2, "--type blur is a baseline"),
    "a class that is not there": (("--ae", "variational", "--target", "10"), 2, "a class from 0 to 9 of digits"),
    "an unknown optimizer": (("--ae", "variational", "--optimizer", "adma"), 2, "did you mean 'adam'?"),
    "too few images": (("--ae", "variational", "--limit", "1"), 2, "no two images of different classes"),
    "too many pairs": (("--ae", "variational", "--pairs", "10001"), 2, "bad --pairs 10001"),
    "more than memory": (("--ae", "variational", "--pairs", "10000", "--points", "1001"), 2, "at most 3121"),
    "a single weight": (("--ae", "variational", "--points", "1"), 2, "--points"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line(home: Path, name: str) -> None:
    options, code, line = MISTAKES[name]
    outcome = attack(home, *options)
    assert (outcome.code, outcome.out) == (code, "")
    assert line in outcome.err
    assert outcome.err.count("\n") == 1


def test_every_optimizer_is_offered() -> None:
    help_ = " ".join(succeed("attack-code", "--help").out.split())
    assert all(name in help_ for name in CODE_OPTIMIZERS)


@pytest.mark.parametrize("changes", [{"type": "magic"}, {"network": None, "loss": None}, {"loss": "magic"}])
def test_an_impossible_recipe_is_corrupt_before_anything_is_built(tmp_path: Path, changes: dict[str, object]) -> None:
    registry = Registry(tmp_path)
    impossible = publish(registry, make_autoencoder_recipe(**changes))
    outcome = attack(tmp_path, "--ae", impossible.id)
    assert (outcome.code, outcome.out) == (4, ""), outcome.err
    assert outcome.err.count("\n") == 1
