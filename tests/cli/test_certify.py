"""``advae certify``: what is proved, what it prints, what it refuses."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from advae.certificates import CERTIFICATES
from advae.records import OUTCOMES, PROVED
from advae.registry import Registry
from tests.calls import Outcome, call, succeed
from tests.conftest import Trained
from tests.entries import watch_garbage


@pytest.fixture(scope="module")
def home(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that these tests share: what one of them proves, another finds."""
    return Path(shutil.copytree(trained.home, tmp_path_factory.mktemp("certify") / "home"))


def certify(home: Path, *arguments: object) -> Outcome:
    return call("certify", "--home", home, "--limit", 60, *arguments)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_an_affine_classifier_is_certified_exactly_and_no_attack_breaks_a_certified_image(
    home: Path, trained: Trained, norm: str
) -> None:
    eps = "0.02,0.05" if norm == "linf" else "0.1,0.4"
    outcome = certify(home, "--clf", trained.lr, "--norm", norm, "--eps", eps, "--json")
    assert outcome.code == 0, outcome.err
    found = outcome.json
    assert (found["method"], found["norm"], found["n"], found["sigma"]) == ("exact", norm, 60, None)
    shares = [result["certified_accuracy"] for result in found["results"]]
    assert found["clean_accuracy"] > shares[0] > shares[1] > 0
    low, high = found["results"][0]["certified_accuracy_interval"]
    assert low < shares[0] < high
    attacked = succeed(
        *("attack", "--home", home, "--clf", trained.lr, "--method", "pgd", "--norm", norm, "--eps", eps),
        *("--limit", 60, "--json"),
    ).json
    registry = Registry(home)
    proved = registry.read_arrays(registry.manifest(found["id"]), PROVED)
    outcomes = registry.read_arrays(registry.manifest(attacked["id"]), OUTCOMES)
    assert np.array_equal(proved["sample_ids"], outcomes["sample_ids"])
    right = outcomes["predictions"] == outcomes["labels"]
    assert not (proved["certified"] & ~right).any()
    if norm == "linf":
        # The bound is exact, and the attack of an affine model too, up to its last step.
        assert abs(int(proved["certified"].sum()) - int(right.sum())) <= 4


def test_a_network_is_certified_by_intervals_in_one_pass_and_found_again(home: Path, trained: Trained) -> None:
    options = ("--clf", trained.nn, "--eps", "0,0.001,1/255", "--json")
    with watch_garbage(trained.nn) as taken:
        first, again = certify(home, *options).json, certify(home, *options).json
    assert taken == set(), "gc would take what the certificate needs"
    assert (first["method"], first["cached"], again["cached"]) == ("ibp", False, True)
    assert first["id"] == again["id"]
    shares = [result["certified_accuracy"] for result in first["results"]]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == first["clean_accuracy"], "at eps 0 nothing but rounding is in the way"
    listed = succeed("registry", "ls", "--home", home, "--kind", "cert").out.split()
    assert first["id"] in listed
    shown = succeed("registry", "show", "--home", home, first["id"]).json
    assert shown["recipe"]["method"] == "ibp"
    assert shown["ancestors"] == [trained.nn]


def test_backward_bounds_prove_more_of_a_network_and_no_attack_breaks_what_they_prove(
    home: Path, trained: Trained
) -> None:
    options = ("--clf", trained.nn, "--eps", "0.001,0.01,0.03")
    planned = certify(home, *options, "--method", "crown", "--dry-run", "--json").json
    found, less = (certify(home, *options, "--method", method, "--json").json for method in ("crown", "ibp"))
    assert (planned["id"], found["method"]) == (found["id"], "crown")
    assert planned["estimated_seconds"] > 0
    registry = Registry(home)
    proved, before = (registry.read_arrays(registry.manifest(one["id"]), PROVED)["certified"] for one in (found, less))
    assert (proved >= before).all()
    assert proved[1].sum() >= before[1].sum() + 20
    attacked = succeed(
        *("attack", "--home", home, "--clf", trained.nn, "--method", "pgd", "--eps", "0.001,0.01,0.03,0.1"),
        *("--limit", 60, "--json"),
    ).json
    outcomes = registry.read_arrays(registry.manifest(attacked["id"]), OUTCOMES)
    right = outcomes["predictions"] == outcomes["labels"]
    assert not (proved & ~right[:3]).any()
    # Beyond its radius the proof says nothing: there the attack breaks what it certifies.
    assert (proved[1] & ~right[3]).any()


def test_a_certificate_travels_in_a_bundle(home: Path, trained: Trained, tmp_path: Path) -> None:
    id_ = certify(home, "--clf", trained.nn, "--eps", "0,0.001,1/255").id
    succeed("registry", "export", "--home", home, id_, tmp_path / "proof.tar")
    succeed("registry", "import", "--home", tmp_path / "other", tmp_path / "proof.tar")
    shown = succeed("registry", "show", "--home", tmp_path / "other", id_)
    assert shown.json["imported"]
    assert succeed("registry", "verify", "--home", tmp_path / "other").code == 0


def test_the_table_and_the_threshold_are_for_people_and_pipelines(home: Path, trained: Trained) -> None:
    options = ("--clf", trained.lr, "--eps", "0.02,0.05")
    outcome = certify(home, *options, "--fail-under", "0.99")
    assert outcome.code == 7
    assert "certified accuracy is" in outcome.err
    assert "--fail-under asks for 99.00%" in outcome.err
    table = certify(home, *options).err
    assert "certified accuracy" in table
    assert "0.05 (12.75/255)" in table
    # The next command is not wrapped, so that it can be copied.
    assert all(len(line) <= 80 for line in table.splitlines() if not line.startswith("next: "))


def test_a_dry_run_says_how_long_and_computes_nothing(home: Path, trained: Trained) -> None:
    before = Registry(home).ids("cert")
    options = ("--clf", trained.nn, "--eps", "0.123")
    found = certify(home, *options, "--dry-run", "--json").json
    assert found["estimated_seconds"] >= 0
    assert found["made"] is False
    assert Registry(home).ids("cert") == before
    made = certify(home, *options).id
    assert made == found["id"]
    assert "already in the registry" in certify(home, *options, "--dry-run").out


MISTAKES = {
    "an unknown method": (("--method", "ipb"), 2, "unknown method 'ipb'; did you mean 'ibp'?"),
    "exact bounds of a network": (("--method", "exact"), 2, "its logits are not affine in the image"),
    "a norm that a method lacks": (("--method", "ibp", "--norm", "l2"), 2, "--method ibp has no --norm l2"),
    "an L2 proof without noise": (("--norm", "l2"), 2, "--method smoothing --sigma S"),
    "smoothing without noise": (("--method", "smoothing"), 2, "--method smoothing needs --sigma S"),
    "noise of a proof without": (("--method", "ibp", "--samples", "5"), 2, "--samples does not fit --method ibp"),
    "an eps too large": (("--eps", "3"), 2, "did you mean 3/255?"),
    "a sample without its size": (("--sample", "stratified"), 2, "--sample stratified needs --limit N"),
    "a share that is none": (("--sigma", "0.1", "--alpha", "2"), 2, "input should be in [0, 1]"),
    "a classifier that is not there": (("--clf", "clf-ffffffffffff"), 3, "no classifier 'clf-ffffffffffff'"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line(home: Path, trained: Trained, name: str) -> None:
    options, code, line = MISTAKES[name]
    given = {"--clf": trained.nn, "--eps": "0.1"}
    words = [word for option, value in given.items() if option not in options for word in (option, value)]
    outcome = call("certify", "--home", home, *words, *options)
    assert (outcome.code, outcome.out) == (code, "")
    assert line in outcome.err
    assert outcome.err.count("\n") == 1


def test_every_method_is_offered() -> None:
    help_ = " ".join(succeed("certify", "--help").out.split())
    assert all(name in help_ for name in CERTIFICATES)
