"""Calibration of eps: the grid, the eps that is chosen, and a plan whose attacks are known after the sweep only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from advae.errors import UsageError
from advae.experiments import read_experiment
from advae.experiments.calibration import Calibration, choose_result
from advae.experiments.cells import ExperimentCell, list_cells
from advae.records import EpsResult, RunRecipe
from advae.registry import Registry
from advae.workflows import Workspace
from tests.calls import succeed

PLAN = """
datasets = ["digits"]
classes = [3, 7]
[autoencoders]
front = { type = "pca", code-size = 8 }
[classifiers]
lr = { model = "lr" }
behind = { from = "lr" }
[[attacks]]
classifiers = ["behind"]
behind = ["front"]
methods = ["fgsm"]
threats = ["oblivious", "adaptive"]
calibrate = { accuracy = 0.5, most = 0.4, steps = 8 }
"""


def sweep(*pairs: tuple[float, float]) -> list[EpsResult]:
    return [
        EpsResult.model_construct(eps=eps, accuracy=accuracy, accuracy_interval=(0.0, 1.0)) for eps, accuracy in pairs
    ]


@pytest.mark.parametrize(
    ("pairs", "chosen"),
    [
        ([(0.1, 0.9), (0.2, 0.45), (0.3, 0.1)], 0.2),
        ([(0.1, 0.54), (0.2, 0.4), (0.3, 0.1)], 0.1),
        # The order of the eps decides nothing; of equally near ones the smallest counts.
        ([(0.3, 0.375), (0.2, 0.625), (0.1, 0.875)], 0.2),
        # Beyond the first that reaches it, the accuracy may rise again.
        ([(0.1, 0.9), (0.2, 0.3), (0.3, 0.5)], 0.2),
        # Where none reaches it, the lowest.
        ([(0.1, 0.9), (0.2, 0.7), (0.3, 0.8), (0.4, 0.7)], 0.2),
    ],
)
def test_the_nearest_accuracy_decides(pairs: Sequence[tuple[float, float]], chosen: float) -> None:
    assert choose_result(sweep(*pairs), 0.5).eps == chosen


def test_the_grid_is_even_and_short_to_write() -> None:
    assert Calibration(accuracy=0.1, most=0.5, steps=5).grid == (0.1, 0.2, 0.3, 0.4, 0.5)
    grid = Calibration(accuracy=0.1).grid
    assert (len(grid), grid[0], grid[-1]) == (100, 0.005, 0.5)
    assert all(len(str(eps)) <= 5 for eps in grid)
    assert Calibration.model_validate({"accuracy": 0.1, "most": "128/256"}).grid == grid


def lay_out(tmp_path: Path, text: str = PLAN) -> tuple[tuple[ExperimentCell, ...], list[str]]:
    (tmp_path / "plan.toml").write_text(text)
    waiting: list[str] = []
    experiment = read_experiment(tmp_path / "plan.toml")
    return list_cells(Workspace(Registry(tmp_path / "home")), experiment, waiting.append), waiting


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("accuracy = 0.5, ", "", "calibrate.accuracy: field required"),
        ("accuracy = 0.5", "accuracy = 1.0", "calibrate.accuracy: input should be less than 1"),
        ("steps = 8", "steps = 1", "calibrate.steps: input should be greater than or equal to 2"),
        ("steps = 8", "step = 8", r"calibrate: unknown key 'step'; did you mean 'steps'\? \(accuracy, method, most"),
        ("most = 0.4", "most = 0", "calibrate.most: input should be greater than 0"),
        ("most = 0.4", 'method = "fgms"', r"calibrate: unknown method 'fgms'; did you mean 'fgsm'"),
        ("most = 0.4", 'method = "noise"', "calibrate: unknown method 'noise'"),
        ("calibrate", "eps = [0.1]\ncalibrate", r"attacks\[0\]: it has either eps, a list of radii, or calibrate"),
        ("calibrate = { accuracy = 0.5, most = 0.4, steps = 8 }", "", r"attacks\[0\]: it has either eps"),
    ],
)
def test_a_bad_search_is_refused(tmp_path: Path, old: str, new: str, error: str) -> None:
    with pytest.raises(UsageError, match=error):
        lay_out(tmp_path, PLAN.replace(old, new))


def test_the_other_attacks_wait_for_the_sweep(tmp_path: Path) -> None:
    cells, waiting = lay_out(tmp_path)
    (run,) = [cell.recipe for cell in cells if isinstance(cell.recipe, RunRecipe)]
    assert run.eps == (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4)
    assert [line.split(",")[:2] for line in waiting] == [["fgsm", " oblivious"], ["fgsm", " adaptive"]]
    # All that the waiting attacks need is trained before.
    assert {cell.level for cell in cells} == {"autoencoders", "classifiers", "behind defences", "attacks"}
    (undefended,) = [cell.id for cell in cells if cell.level == "classifiers"]
    assert run.classifier == undefended


def test_a_plan_is_calibrated_and_then_attacked(tmp_path: Path) -> None:
    _, waiting = lay_out(tmp_path)
    common = ("reproduce", "--plan", tmp_path / "plan.toml", "--home", tmp_path / "home")
    dry = succeed(*common, "--dry-run", "--json").json
    assert (dry["missing"], dry["waiting"]) == (4, waiting)
    assert "2 attacks at that eps are listed and computed after it" in succeed(*common, "--dry-run").err
    out = tmp_path / "report"
    succeed(*common, "--jobs", 1, "--out", out, "--format", "json")
    cells, waiting = lay_out(tmp_path)
    registry = Registry(tmp_path / "home")
    assert waiting == []
    runs = [registry.manifest(cell.id).as_run() for cell in cells if isinstance(cell.recipe, RunRecipe)]
    (swept,) = [metrics for recipe, metrics in runs if len(recipe.eps) > 1]
    fitted = choose_result(swept.results, 0.5)
    assert abs(fitted.accuracy - 0.5) < 0.35
    assert {(recipe.threat, recipe.eps) for recipe, _ in runs if len(recipe.eps) == 1} == {
        ("oblivious", (fitted.eps,)),
        ("adaptive", (fitted.eps,)),
    }
    assert len(json.loads((out / "report.json").read_text())["runs"]) == 3
    assert succeed(*common, "--dry-run", "--json").json["missing"] == 0
