"""Plans that name entries of the registry: models that other programs trained, attacked as the commands do."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from advae.errors import AdvaeError, NotFoundError, UsageError
from advae.experiments import read_experiment
from advae.experiments.cells import ExperimentCell, list_cells
from advae.experiments.runner import make_cells, survey
from advae.records import RunRecipe
from advae.registry import Registry
from advae.requests import AddRequest
from advae.workflows import Workspace, add_classifier
from tests.calls import call, succeed

ADDED = """
datasets = ["digits"]
[autoencoders]
vanilla = { type = "vanilla", epochs = 1 }
same = { entry = "same" }
robust = { type = "robust", epochs = 1, train-steps = 1, body = "dense", protect = "mine" }
[classifiers]
mine = { entry = "mine" }
nn = { model = "nn", epochs = 1 }
forest = { entry = "forest" }
[[attacks]]
classifiers = ["mine", "nn"]
behind = ["none", "same"]
methods = ["fgsm"]
eps = [0.1]
limit = 20
[[attacks]]
classifiers = ["mine"]
behind = ["robust"]
methods = ["fgsm"]
threats = ["oblivious"]
eps = [0.1]
limit = 20
[[attacks]]
classifiers = ["forest"]
behind = ["vanilla"]
methods = ["fgsm"]
threats = ["transfer"]
eps = [0.1]
limit = 20
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with a pipeline of scikit-learn, a forest, and a network that returns the images."""
    import keras
    import skops.io
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from advae.datasets.load import load_dataset

    folder, data = tmp_path_factory.mktemp("added"), load_dataset("digits")
    x, y = data.x_train.astype(np.float64), data.y_train
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=50))
    for name, model in (("mine", pipeline), ("forest", RandomForestClassifier(5, max_depth=6, random_state=0))):
        skops.io.dump(model.fit(x, y), folder / f"{name}.skops")
        succeed("add-clf", folder / f"{name}.skops", "--dataset", "digits", "--tag", name, "--home", folder / "home")
    keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Activation("linear")]).save(folder / "same.keras")
    succeed("add-ae", folder / "same.keras", "--dataset", "digits", "--tag", "same", "--home", folder / "home")
    return folder / "home"


def lay_out_plan(home: Path, tmp_path: Path, text: str, data_dir: Path | None = None) -> tuple[ExperimentCell, ...]:
    (tmp_path / "plan.toml").write_text(text)
    return list_cells(Workspace(Registry(home), data_dir), read_experiment(tmp_path / "plan.toml"))


def test_added_models_are_attacked_as_the_commands_attack_them(home: Path, tmp_path: Path) -> None:
    """A plan that is interrupted after its classifiers and continued, beside the same by hand."""
    cells, workspace = lay_out_plan(home, tmp_path, ADDED), Workspace(Registry(home))
    levels = {"autoencoders": 2, "classifiers": 4, "defences": 1, "behind defences": 3, "surrogates": 1, "attacks": 6}
    assert Counter(cell.level for cell in cells) == levels
    first = survey(workspace.registry, [cell for cell in cells if cell.level in ("autoencoders", "classifiers")])
    assert {cell.level: cell.name for cell in cells if cell.id in first.cached}.keys() == {
        "autoencoders",
        "classifiers",
    }
    assert len(first.cached) == 3
    assert make_cells(workspace, first, jobs=1, watch=lambda finished: None) == []
    before = {entry.id: entry.created for entry in workspace.registry.entries()}
    place = ("--home", home, "--out", tmp_path / "report", "-q")
    succeed("reproduce", "--plan", tmp_path / "plan.toml", "--jobs", 2, *place)
    after = {entry.id: entry.created for entry in workspace.registry.entries()}
    assert {id_: after[id_] for id_ in before} == before
    assert after.keys() == {cell.id for cell in cells}
    mine, forest = (Registry(home).resolve(tag, "clf").id for tag in ("mine", "forest"))
    robust = next(cell for cell in cells if cell.level == "defences")
    assert robust.recipe.parents == (mine,)
    behind = succeed("train-clf", "--from", "mine", "--ae", robust.id, "--home", home, "--json").json
    assert behind["cached"] is True
    options = ("--method", "fgsm", "--threat", "oblivious", "--eps", 0.1, "--limit", 20)
    run = succeed("attack", "--clf", behind["id"], *options, "--home", home, "--json").json
    assert run["id"] in after
    document = json.loads((tmp_path / "report" / "report.json").read_text())
    (shown,) = [one for one in document["runs"] if one["id"] == run["id"]]
    assert (shown["recipe"]["classifier"], shown["recipe"]["twin"]) == (run["classifier"], mine)
    assert any(line.startswith("advae add-clf FILE") for line in document["commands"])
    assert any(line.startswith(f"advae train-clf --from {forest} --ae ") for line in document["commands"])
    assert any(line.startswith("advae add-ae FILE") for line in document["commands"])


def test_two_added_models_of_one_library_have_different_names(home: Path, tmp_path: Path) -> None:
    names = [cell.name for cell in lay_out_plan(home, tmp_path, ADDED) if cell.level == "classifiers"]
    assert len(set(names)) == len(names) == 4
    assert any(name.startswith("digits: sklearn undefended, clf-") for name in names)


def test_a_protected_classifier_is_made_where_no_attack_names_the_autoencoder(home: Path, tmp_path: Path) -> None:
    text = ADDED.partition('[[attacks]]\nclassifiers = ["mine"]')[0].replace('protect = "mine"', 'protect = "lone"')
    cells = lay_out_plan(home, tmp_path, text.replace("[classifiers]", '[classifiers]\nlone = { model = "lr" }'))
    (robust,) = [cell for cell in cells if cell.level == "defences"]
    assert set(robust.recipe.parents) <= {cell.id for cell in cells}


SMALL = """
datasets = ["digits"]
[autoencoders]
vanilla = { type = "vanilla", epochs = 1 }
[classifiers]
mine = { entry = "mine" }
[[attacks]]
classifiers = ["mine"]
behind = ["none", "vanilla"]
methods = ["fgsm"]
eps = [0.1]
"""


@pytest.mark.parametrize(
    ("old", "new", "kind", "said"),
    [
        ('entry = "mine"', 'entry = "nime"', NotFoundError, "classifiers.mine: no classifier 'nime' in"),
        ('entry = "mine"', 'entry = "same"', NotFoundError, "classifiers.mine: ae-"),
        ('entry = "mine"', 'entry = "a:b"', UsageError, "classifiers.mine: a:b is your own code"),
        ('entry = "mine"', "entry = 3", UsageError, "classifiers.mine: entry: an id or a tag, in quotes, got 3"),
        ('entry = "mine"', 'entry = "mine", seed = 1', UsageError, "entry takes no other options, got seed"),
        ('entry = "mine"', 'entry = "forest"', UsageError, "'fgsm' needs gradients, and this classifier gives scores"),
        ('"digits"', '"photos"', UsageError, "is of dataset 'digits', the plan attacks 'photos': they do not fit"),
        ('type = "vanilla", epochs = 1', 'entry = "mine"', NotFoundError, "autoencoders.vanilla: clf-"),
        ('"vanilla", epochs = 1', '"vanilla", protect = "mine"', UsageError, "--protect does not fit --type vanilla"),
        ('datasets = ["digits"]', 'datasets = ["digits"]\nresize = [8, 8]', UsageError, "resize is for folders"),
        ('datasets = ["digits"]', 'datasets = ["x"]\nresize = [0, 8]', UsageError, "resize[0]: input should be great"),
    ],
)
def test_an_entry_that_does_not_fit_is_refused_in_a_line_before_anything_is_trained(
    home: Path, tmp_path: Path, old: str, new: str, kind: type[AdvaeError], said: str
) -> None:
    assert old in SMALL
    with pytest.raises(kind) as error:
        lay_out_plan(home, tmp_path, SMALL.replace(old, new, 1))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_no_robust_autoencoder_is_trained_in_front_of_scores(home: Path, tmp_path: Path) -> None:
    text = ADDED.replace('protect = "mine"', 'protect = "forest"')
    with pytest.raises(UsageError, match="gives scores only, and training in front of it needs gradients"):
        lay_out_plan(home, tmp_path, text)
    outcome = call("train-ae", "--type", "robust", "--protect", "forest", "--home", home)
    assert (outcome.code, outcome.out) == (2, "")
    assert "gives scores only, and training in front of it needs gradients" in outcome.err


def test_a_classifier_behind_an_autoencoder_is_no_classifier_of_a_plan(home: Path, tmp_path: Path) -> None:
    registry = Registry(home)
    same = registry.resolve("same", "ae").id
    behind = succeed("train-clf", "--from", "mine", "--ae", same, "--home", home).id
    with pytest.raises(UsageError, match=f"classifiers.mine: {behind} is behind {same}; take an undefended classifier"):
        lay_out_plan(home, tmp_path, SMALL.replace('"mine" }', f'"{behind}" }}'))


def test_a_function_of_the_users_own_code_is_refused(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_logits.py").write_text("def answer(x):\n    return x.reshape(len(x), -1)[:, 20:30]\n")
    monkeypatch.chdir(tmp_path)
    workspace = Workspace(Registry(tmp_path / "home"))
    added = add_classifier(workspace, "own_logits:answer", "digits", AddRequest(input_range=(0.0, 1.0)))
    with pytest.raises(UsageError, match=f"{added.manifest.id} is the function own_logits:answer, your own code"):
        lay_out_plan(tmp_path / "home", tmp_path, SMALL.replace('"mine" }', f'"{added.manifest.id}" }}'))


def test_a_plan_says_how_the_images_of_its_folders_are_resized(tmp_path: Path) -> None:
    """Named datasets are as they are; the recipes are those of ``--resize`` on the command line."""
    from PIL import Image

    random = np.random.default_rng(0)
    for part in ("train", "test"):
        for name in ("cats", "dogs"):
            (tmp_path / "pets" / part / name).mkdir(parents=True)
            for number in range(4):
                pixels = random.integers(0, 256, (12, 10, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "pets" / part / name / f"{number}.png")
    text = SMALL.replace('entry = "mine"', 'model = "nn"')
    resized = text.replace('["digits"]', '["digits", "pets"]\nresize = [6, 8]')
    cells = lay_out_plan(tmp_path / "home", tmp_path, resized)
    runs = [cell.recipe for cell in cells if isinstance(cell.recipe, RunRecipe)]
    assert {run.dataset.shape for run in runs} == {(8, 8, 1), (6, 8, 3)}
    (tmp_path / "plan.toml").write_text(text.replace('["digits"]', '["pets"]'))
    line = ("reproduce", "--plan", tmp_path / "plan.toml", "--home", tmp_path / "home", "--resize", "6,8", "--dry-run")
    assert set(succeed(*line).out.split()) == {cell.id for cell in cells if "pets" in cell.place}
