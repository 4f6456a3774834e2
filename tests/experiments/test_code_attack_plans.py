"""Attacks on codes in a plan: what they become, what is refused, and how they are made and reported."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from advae.errors import UsageError
from advae.records import CodeAttackRecipe
from advae.registry import Registry
from tests.calls import succeed
from tests.experiments.test_plans import SMALL, lay_out_plan

ATTACKS = """
[[code-attacks]]
autoencoders = ["vanilla"]
"""

ALONE = SMALL.partition("[[attacks]]")[0]


def test_a_plan_attacks_the_codes_of_its_autoencoders(tmp_path: Path) -> None:
    own = ATTACKS + 'pairs = 3\npoints = 5\ntarget = 2\nlimit = 99\noptimizer = "l-bfgs-b"\nsteps = 7\n'
    cells = lay_out_plan(tmp_path, f"seeds = [3]{ALONE}{ATTACKS}{own}")
    made = [cell.recipe for cell in cells if isinstance(cell.recipe, CodeAttackRecipe)]
    first, second = made
    assert (first.pairs, first.points, first.optimizer, first.steps, first.seed) == (25, 41, "adam", 500, 3)
    assert (first.target, first.limit) == (None, None)
    assert (second.pairs, second.points, second.target, second.limit) == (3, 5, 2, 99)
    assert (second.optimizer, second.steps) == ("l-bfgs-b", 7)
    assert first.autoencoder == second.autoencoder == cells[0].id
    assert {cell.level for cell in cells} == {"autoencoders", "code attacks"}
    assert cells[-1].cost > 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("piars = 1", "code-attacks[0]: unknown key 'piars'; did you mean 'pairs'?"),
        ("pairs = 0", "code-attacks[0]: bad --pairs 0"),
        ("pairs = true", "code-attacks[0].pairs"),
        ("points = 1", "code-attacks[0]: bad --points 1"),
        ("target = 10", "an attack on the code of vanilla: bad --target 10: a class from 0 to 9"),
        ("optimizer = 'adma'", "an attack on the code of vanilla: unknown optimizer 'adma'; did you mean 'adam'?"),
    ],
)
def test_a_bad_attack_on_a_code_is_one_line(tmp_path: Path, options: str, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)) as error:
        lay_out_plan(tmp_path, f"{ALONE}{ATTACKS}{options}")
    assert "\n" not in str(error.value)


def test_an_autoencoder_that_the_plan_does_not_have_or_that_has_no_code_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=re.escape("code-attacks[0].autoencoders: unknown name 'vanila'")):
        lay_out_plan(tmp_path, ALONE + ATTACKS.replace('"vanilla"', '"vanila"'))
    blur = ALONE.replace("[autoencoders]", '[autoencoders]\nblur = { type = "blur" }', 1)
    with pytest.raises(UsageError, match=re.escape("the code of blur: attack-code takes autoencoders with a code")):
        lay_out_plan(tmp_path, blur + ATTACKS.replace('"vanilla"', '"blur"'))


def test_a_plan_of_nothing_but_attacks_on_codes_is_run_and_reported(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(f"{ALONE}{ATTACKS}pairs = 3\npoints = 5\nsteps = 5\n")
    options = ("--plan", plan, "--home", tmp_path / "home", "--out", tmp_path / "out", "--jobs", 1)
    outcome = succeed("reproduce", *options)
    assert outcome.out == f"{tmp_path / 'out' / 'report.html'}\n"
    found = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [one["code_attack"] for one in found["code_attacks"]] == Registry(tmp_path / "home").ids("code")
    again = succeed("reproduce", *options[:4], "--dry-run", "--json").json
    assert again["missing"] == 0
