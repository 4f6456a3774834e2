"""The plans that come with advae: each is read, has a quick form, and is known by its name everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from advae.errors import UsageError
from advae.experiments import find_plan, read_experiment
from advae.experiments.cells import list_cells
from advae.named_plans import FOLDER, PAPER_PLAN, PLANS, QUICK
from advae.registry import Registry
from advae.workflows import Workspace
from tests.calls import call, succeed

OTHERS = [name for name in PLANS if name != PAPER_PLAN]


def test_every_file_has_a_row() -> None:
    assert {plan.path for plan in PLANS.values()} == set(FOLDER.glob("*.toml"))


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_is_read(name: str) -> None:
    assert read_experiment(find_plan(name)).datasets


@pytest.mark.parametrize("name", OTHERS)
def test_a_plan_says_what_it_does(name: str) -> None:
    about = read_experiment(PLANS[name].path).about
    assert about
    assert ("Quick form" in about) is name.endswith(QUICK)


@pytest.mark.parametrize("name", [name for name in OTHERS if not name.endswith(QUICK)])
def test_a_plan_has_a_quick_form_on_digits(name: str, tmp_path: Path) -> None:
    quick = read_experiment(PLANS[name + QUICK].path)
    assert quick.datasets == ("digits",)
    assert list_cells(Workspace(Registry(tmp_path)), quick)


def test_a_name_that_is_no_plan_is_refused() -> None:
    with pytest.raises(UsageError, match=r"unknown plan 'papr'; did you mean 'paper'\?"):
        find_plan("papr")
    assert find_plan("papr.toml") == Path("papr.toml")


def test_reproduce_prints_a_plan_by_name() -> None:
    assert succeed("reproduce", "--show-plan", "--plan", PAPER_PLAN).out == PLANS[PAPER_PLAN].path.read_text()
    refused = call("reproduce", "--plan", "papr", "--dry-run")
    assert (refused.code, refused.out) == (2, "")
    assert "unknown plan 'papr'" in refused.err
