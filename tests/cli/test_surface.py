"""``advae surface``: what is computed and stored, what it prints, what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from advae.records import SURFACES
from advae.registry import Registry
from tests.calls import Outcome, call, succeed
from tests.conftest import Trained
from tests.entries import watch_garbage


@pytest.fixture(scope="module")
def home(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that these tests share: what one of them computes, another finds."""
    return Path(shutil.copytree(trained.home, tmp_path_factory.mktemp("surface") / "home"))


def surface(home: Path, *arguments: object) -> Outcome:
    return call("surface", "--home", home, "--points", 9, *arguments)


def test_a_surface_is_stored_with_its_shares_and_found_again(home: Path, trained: Trained) -> None:
    with watch_garbage(trained.nn) as taken:
        first, again = (surface(home, "--clf", trained.nn, "--json").json for _ in range(2))
    assert taken == set(), "gc would take what the surface needs"
    assert (first["cached"], again["cached"], again["id"]) == (False, True, first["id"])
    assert (first["n"], first["radius"], first["points"], first["clip"]) == (10, 0.3, 9, True)
    assert first["alongside"] == []
    registry = Registry(home)
    found = registry.read_arrays(registry.manifest(first["id"]), SURFACES)
    assert found["margins"].shape == (10, 9, 9)
    assert (found["margins"][:, 4, 4] > 0).all(), "the image itself is classified correctly"
    assert first["right_share"] == pytest.approx((found["margins"] > 0).mean())
    assert found["labels"].tolist() == list(range(10)) == [one["label"] for one in first["images"]]
    assert found["sample_ids"].tolist() == [one["sample_id"] for one in first["images"]]
    assert first["gradient_share"] < first["random_share"]
    assert first["check"]["status"] == "PASS"
    assert first["harm_ratio"] == pytest.approx((1 - first["random_share"]) / (1 - first["gradient_share"]))
    assert first["id"] in succeed("registry", "ls", "--home", home, "--kind", "surface").out.split()
    assert succeed("registry", "show", "--home", home, first["id"], "--json").json["ancestors"] == [trained.nn]
    assert succeed("registry", "verify", "--home", home, first["id"]).code == 0


def test_several_pipelines_are_shown_on_the_images_that_all_classify_correctly(home: Path, trained: Trained) -> None:
    outcome = surface(home, "--clf", f"{trained.nn},{trained.nn_behind},{trained.nn}", "--json")
    both = outcome.json["surfaces"]
    assert [one["classifier"] for one in both] == [trained.nn, trained.nn_behind]
    assert [one["alongside"] for one in both] == [[trained.nn_behind], [trained.nn]]
    images = [[(one["label"], one["sample_id"]) for one in surface["images"]] for surface in both]
    assert images[0] == images[1]
    registry = Registry(home)
    digests = {registry.manifest(one["id"]).as_surface()[1].samples_digest for one in both}
    assert len(digests) == 1
    people = surface(home, "--clf", f"{trained.nn},{trained.nn_behind}")
    assert people.out.split() == [one["id"] for one in both]
    assert "nn behind" in people.err
    assert "next: advae report" in people.err
    for width in people.err.splitlines():
        assert len(width) <= 80 or "next:" in width


def test_an_affine_pipeline_falls_up_its_gradient_and_other_seeds_have_other_directions(
    home: Path, trained: Trained
) -> None:
    first, other = (surface(home, "--clf", trained.lr, "--seed", seed, "--json").json for seed in (0, 1))
    assert first["id"] != other["id"]
    registry = Registry(home)
    planes = [registry.read_arrays(registry.manifest(one["id"]), SURFACES)["margins"] for one in (first, other)]
    np.testing.assert_allclose(planes[0][:, 4], planes[1][:, 4], atol=1e-4)
    assert np.abs(planes[0] - planes[1]).max() > 0.1
    free = surface(home, "--clf", trained.lr, "--no-clip", "--json").json
    assert not free["clip"]
    # Without clipping every pixel moves: a step up the gradient harms more.
    assert free["gradient_share"] <= first["gradient_share"]


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--radius", "2"), 2, "bad --radius 2.0"),
        (("--radius", "0"), 2, "bad --radius 0.0"),
        (("--radius", "x"), 2, "input should be a number, got 'x'"),
        (("--points", "8"), 2, "bad --points 8: an odd number"),
        (("--points", "1"), 2, "bad --points 1"),
        (("--points", "103"), 2, "bad --points 103"),
        (("--seed", "-1"), 2, "--seed"),
        (("--clf", ","), 2, "--clf is empty"),
        (("--clf", "nobody"), 3, "nobody"),
        (("--dataset", "fashion-mnist", "--data-dir", "/nowhere"), 6, "/nowhere does not exist"),
    ],
)
def test_a_bad_request_is_one_line(home: Path, options: tuple[str, ...], code: int, said: str) -> None:
    outcome = call("surface", "--home", home, *options)
    assert outcome.code == code, outcome.err
    assert said in outcome.err
    assert outcome.out == ""
    assert "Traceback" not in outcome.err


def test_a_surface_that_was_made_impossible_is_corrupt(home: Path, trained: Trained, tmp_path: Path) -> None:
    from advae.identity import name_recipe
    from advae.registry.manifest_files import decode
    from tests.entries import seal_document

    made = surface(home, "--clf", trained.nn, "--json").json["id"]
    stored = json.loads((home / "entries" / made / "manifest.json").read_bytes())
    stored.pop("sha256")
    changes = ({"points": 8}, {"radius": 7}, {"alongside": [trained.nn]}, {"alongside": ["run-0123456789ab"]})
    for change in changes:
        forged = json.loads(json.dumps(stored))
        forged["recipe"] |= change
        forged["id"] = name_recipe(forged["recipe"])
        forged["parents"] = [forged["recipe"]["classifier"], *change.get("alongside", ())]
        forged["parent_digests"] = dict.fromkeys(forged["parents"], "0" * 64)
        with pytest.raises(ValueError, match=r"it is no manifest|is no id of kind"):
            decode(seal_document(forged))


def test_the_last_of_several_classifiers_is_completed(home: Path, trained: Trained) -> None:
    import typer

    from advae.cli.surface import _complete_several

    context: typer.Context = SimpleNamespace(params={"home": str(home)})
    found = [name for name, _ in map(tuple, _complete_several(context, f"{trained.lr},{trained.nn[:6]}"))]
    assert f"{trained.lr},{trained.nn}" in found
    assert all(name.startswith(f"{trained.lr},{trained.nn[:6]}") for name in found)
