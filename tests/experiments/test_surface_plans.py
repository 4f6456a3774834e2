"""Decision surfaces in a plan: which images they share, what is refused, and how they are made."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from advae.errors import UsageError
from advae.records import SurfaceRecipe
from tests.calls import succeed
from tests.experiments.test_plans import SMALL, lay_out_plan, write

SURFACES = """
[[surfaces]]
classifiers = ["nn"]
behind = ["none", "vanilla"]
"""

ALONE = SMALL.partition("[[attacks]]")[0]


def test_the_surfaces_of_a_plan_are_on_images_that_all_of_them_share(tmp_path: Path) -> None:
    own = SURFACES.replace('"none", ', "") + 'shared = false\nradius = "50/255"\npoints = 5\nclip = false\n'
    cells = lay_out_plan(tmp_path, f"seeds = [3]{ALONE}{SURFACES}{own}")
    made = [cell.recipe for cell in cells if isinstance(cell.recipe, SurfaceRecipe)]
    ids = {recipe.classifier for recipe in made}
    assert len(ids) == 2
    shared = made[:2]
    assert [set(one.alongside or ()) for one in shared] == [ids - {one.classifier} for one in shared]
    assert {(one.radius, one.points, one.clip, one.seed) for one in shared} == {(0.3, 41, True, 3)}
    assert (made[2].alongside, made[2].radius, made[2].points, made[2].clip) == (None, 50 / 255, 5, False)
    assert Counter(cell.level for cell in cells) == {"autoencoders": 2, "classifiers": 2, "surfaces": 3}
    assert cells[-1].name == "digits: surface, nn behind autoencoder (vanilla), seed 3"
    assert cells[-1].cost > 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("raduis = 1", "surfaces[0]: unknown key 'raduis'; did you mean 'radius'? (behind, classifiers, clip, points"),
        ("points = 4", "a decision surface of nn undefended: bad --points 4: an odd number"),
        ("points = 1", "surfaces[0]: bad --points 1"),
        ("radius = 0", "surfaces[0]: bad --radius 0"),
        ("radius = 2.0", "surfaces[0]: bad --radius 2.0"),
        ("clip = 1", "surfaces[0].clip"),
        ("shared = 'yes'", "surfaces[0].shared"),
    ],
)
def test_a_bad_surface_of_a_plan_is_one_line(tmp_path: Path, options: str, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)) as error:
        lay_out_plan(tmp_path, f"{ALONE}{SURFACES}{options}")
    assert "\n" not in str(error.value)


def test_a_name_that_the_plan_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=re.escape("surfaces[0].behind: unknown name 'vanila'; did you mean")):
        lay_out_plan(tmp_path, ALONE + SURFACES.replace('"vanilla"', '"vanila"'))


def test_a_plan_of_surfaces_alone_runs_and_is_reported(tmp_path: Path) -> None:
    text = 'datasets = ["digits"]\n[autoencoders]\nbinary = { type = "binary" }\n[classifiers]\nlr = { model = "lr" }\n'
    both = SURFACES.replace('["nn"]', '["lr"]').replace("vanilla", "binary") + "points = 5\n"
    out = tmp_path / "report"
    arguments = ("reproduce", "--plan", write(tmp_path, text + both), "--home", tmp_path / "home", "--out", out)
    succeed(*arguments, "--jobs", 1)
    found = json.loads((out / "report.json").read_text())["surfaces"]
    assert [(one["autoencoder"], one["group"], one["n"], one["backward"]) for one in found] == [
        ("none", 1, 10, "exact"),
        ("binary", 1, 10, "identity"),
    ]
    again = succeed(*arguments, "--dry-run", "--json").json
    assert again["missing"] == 0
    assert [cell["level"] for cell in again["cells"]][-2:] == ["surfaces"] * 2
