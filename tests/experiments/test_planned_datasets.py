"""Classes in a plan: each model's images are restricted as it asks, and models that belong together must agree."""

from __future__ import annotations

from pathlib import Path

import pytest

from advae.errors import UsageError
from advae.experiments import read_experiment
from advae.experiments.cells import ExperimentCell, list_cells
from advae.experiments.planned_datasets import PlannedDatasets
from advae.experiments.runner import make_cells, survey
from advae.records import Dataset, RunRecipe
from advae.registry import Registry
from advae.workflows import Workspace
from tests.calls import succeed

PLAN = """
datasets = ["digits"]
[autoencoders]
part = { type = "pca", classes = [7, 3] }
whole = { type = "pca" }
[classifiers]
lr = { model = "lr", classes = ["3", "7"] }
nn = { model = "nn", epochs = 1 }
[[attacks]]
classifiers = ["lr"]
behind = ["none", "part"]
methods = ["fgsm"]
eps = [0.1]
[[attacks]]
classifiers = ["nn"]
behind = ["whole"]
methods = ["fgsm"]
eps = [0.1]
limit = 20
"""


def lay_out(home: Path, folder: Path, text: str = PLAN) -> tuple[ExperimentCell, ...]:
    (folder / "plan.toml").write_text(text)
    return list_cells(Workspace(Registry(home)), read_experiment(folder / "plan.toml"))


def test_each_model_has_its_own_classes(tmp_path: Path) -> None:
    cells = lay_out(tmp_path / "home", tmp_path)
    found = {(cell.recipe.kind, cell.recipe.dataset.kept) for cell in cells}
    assert found == {(kind, kept) for kind in ("ae", "clf", "run") for kept in (None, (3, 7))}
    assert any(cell.name.startswith("digits, classes 3 and 7: fgsm, adaptive, lr") for cell in cells)
    # The same ids as from the command line.
    clf = succeed("train-clf", "--model", "lr", "--classes", "3,7", "--home", tmp_path / "home").id
    assert clf in {cell.id for cell in cells}


def test_the_classes_of_a_plan_are_those_of_all_models(tmp_path: Path) -> None:
    text = PLAN.replace(", classes = [7, 3]", "").replace('classes = ["3", "7"]', "classes = [3, 8]")
    text = text.replace("datasets =", "classes = [3, 8]\ndatasets =")
    cells = lay_out(tmp_path / "home", tmp_path, text)
    assert {cell.recipe.dataset.kept for cell in cells} == {(3, 8)}


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        (
            "[7, 3]",
            "[7, 4]",
            r"classifiers.lr: it is of digits, classes 3 and 7, autoencoder 'part' of digits, classes 4",
        ),
        ("[7, 3]", "[7]", "autoencoders.part: bad --classes: 7 is one class"),
        ("[7, 3]", '[7, "x"]', "autoencoders.part: bad --classes: unknown class 'x'"),
        ("[7, 3]", "7", r"autoencoders.part: classes: a list of numbers or names of classes, such as \[3, 7\], got 7"),
        ("[7, 3]", "[7, true]", "autoencoders.part: classes: a list"),
        (
            '"pca" }',
            '"robust", protect = "lr" }',
            "autoencoders.whole: it is of digits, 'lr', which it protects, of digits, cl",
        ),
    ],
)
def test_classes_that_do_not_fit_are_refused(tmp_path: Path, old: str, new: str, error: str) -> None:
    with pytest.raises(UsageError, match=error):
        lay_out(tmp_path / "home", tmp_path, PLAN.replace(old, new, 1))


def test_cells_of_a_part_are_computed(tmp_path: Path) -> None:
    registry, text = Registry(tmp_path / "home"), PLAN.partition('[[attacks]]\nclassifiers = ["nn"]')[0]
    cells = lay_out(tmp_path / "home", tmp_path, text)
    make_cells(Workspace(registry), survey(registry, cells), jobs=1, watch=lambda finished: None)
    runs = [registry.manifest(cell.id).as_run() for cell in cells if isinstance(cell.recipe, RunRecipe)]
    assert [metrics.n for _, metrics in runs] == [73, 73]


def test_an_entry_of_a_part_keeps_its_classes(tmp_path: Path) -> None:
    home = ("--home", tmp_path / "home")
    ids = [succeed("train-ae", "--type", "pca", "--classes", "3,7", *home).id]
    ids.append(succeed("train-clf", "--model", "lr", "--classes", "3,7", *home).id)
    text = PLAN.partition('[[attacks]]\nclassifiers = ["nn"]')[0]
    text = text.replace('type = "pca", classes = [7, 3]', f'entry = "{ids[0]}"')
    cells = lay_out(
        tmp_path / "home", tmp_path, text.replace('model = "lr", classes = ["3", "7"]', f'entry = "{ids[1]}"')
    )
    assert {*ids} <= {cell.id for cell in cells}


def test_a_dataset_is_read_once_for_equal_classes(digits: Dataset, tmp_path: Path) -> None:
    datasets = PlannedDatasets(Workspace(Registry(tmp_path)), "digits", None)
    part = datasets.load((3, 7))
    assert datasets.load(("7", "3")) is part
    assert datasets.find(part.ref) is part
    assert datasets.find(digits.ref).ref == digits.ref
