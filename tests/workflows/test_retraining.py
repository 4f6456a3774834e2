"""Retraining on adversarial examples: what each round adds, when it ends, and that its numbers are an attack's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advae.batching import apply
from advae.errors import CorruptError, UsageError
from advae.evaluation.pipelines import WEIGHTS, load_pipeline, load_purifier, place_behind
from advae.metrics import decide
from advae.models import classifiers
from advae.models.contracts import Purifier
from advae.records import ClassifierMetrics, Dataset, Manifest, Retraining, entry_id
from advae.registry import Registry
from advae.requests import AttackRequest, AutoencoderRequest, ClassifierRequest, NetworkRequest, RetrainRequest
from advae.threats import Pipeline
from advae.workflows import Workspace, train_autoencoder, train_classifier
from advae.workflows.attacking import AttackCommand, run_attacks
from advae.workflows.counterparts import (
    PipelineRecipes,
    describe_surrogate,
    describe_undefended,
    find_counterpart_of,
)
from advae.workflows.retraining import ExampleSet, describe_classifier
from advae.workflows.training import make_classifier
from tests.calls import succeed
from tests.conftest import Trained

EPS = 0.1
SHORT = NetworkRequest(epochs=2)


def ask(model: str = "nn", **options: Any) -> ClassifierRequest:
    """Return a request to retrain at EPS, once unless the options say otherwise."""
    retraining = RetrainRequest(**({"retrain": 1, "retrain_eps": EPS, "retrain_method": "fgsm"} | options))
    return ClassifierRequest(model=model, network=None if model == "lr" else SHORT, retraining=retraining)


def find_rounds(manifest: Manifest) -> Retraining:
    metrics = manifest.metrics
    assert isinstance(metrics, ClassifierMetrics)
    assert metrics.retraining
    return metrics.retraining


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace(Registry(tmp_path_factory.mktemp("retrained") / "home"))


# ---------------------------------------------------------------- the set


def test_the_set_has_each_adversarial_example_with_its_label_once() -> None:
    x, y = np.zeros((2, 4), np.float32), np.array([0, 1])
    examples = ExampleSet(x, y, 6)
    one, two = np.full((1, 4), 0.5, np.float32), np.full((1, 4), 0.25, np.float32)
    # A training image is no adversarial example of the set.
    assert examples.take(x[:1], y[:1]) == 1
    assert examples.take(np.concatenate([one, one, two]), np.array([1, 1, 1])) == 2
    assert examples.take(one, np.array([1])) == 0
    assert examples.take(one, np.array([0]), keep=False) == 1
    assert examples.take(one, np.array([0])) == 0
    assert examples.examples == 3
    assert examples.x.tolist() == [[0] * 4, [0] * 4, [0] * 4, [0.5] * 4, [0.25] * 4]
    assert examples.y.tolist() == [0, 1, 0, 1, 1]


def test_a_set_that_could_take_too_much_memory_is_refused(digits: Dataset) -> None:
    with pytest.raises(UsageError, match=r"--retrain 1000 could add up to 1437000 images, .* --retrain-limit"):
        describe_classifier(ask(retrain=1000), replace(digits, x_train=digits.x_train, ref=_make_large(digits)), None)
    assert describe_classifier(ask(retrain=1000, retrain_limit=10), digits, None).retrained


def _make_large(dataset: Dataset) -> Any:
    return dataset.ref.model_copy(update={"side": 200})


# ---------------------------------------------------------------- rounds


def test_where_nothing_evades_it_ends_with_the_classifier_that_is_not_retrained(workspace: Workspace) -> None:
    made = train_classifier(workspace, "digits", ask("lr", retrain=3, retrain_eps=1e-6), None).manifest
    plain = train_classifier(workspace, "digits", ClassifierRequest(model="lr"), None).manifest
    found = find_rounds(made)
    assert made.id != plain.id
    assert [(one.examples, one.evading, one.new) for one in found.rounds] == [(0, 0, 0)]
    assert found.finished
    assert found.attacked == 1437
    for name, array in workspace.registry.read_arrays(plain, WEIGHTS).items():
        np.testing.assert_array_equal(workspace.registry.read_arrays(made, WEIGHTS)[name], array)


@pytest.mark.parametrize(("model", "method"), [("lr", "bim"), ("nn", "bim"), ("lr", "pgd")])
def test_the_robust_accuracies_are_those_of_the_same_attack_on_the_same_classifiers(
    workspace: Workspace, model: str, method: str
) -> None:
    """The first round is the classifier that is not retrained, the last one the stored classifier."""
    request = ask(model, retrain_method=method, retrain_steps=3)
    made = train_classifier(workspace, "digits", request, None).manifest
    plain = train_classifier(workspace, "digits", request.model_copy(update={"retraining": None}), None).manifest
    first, last = find_rounds(made).rounds
    assert (first.examples, last.examples) == (0, first.new)
    assert first.new == first.evading > 0
    attack = AttackRequest(method=method, threat="adaptive", eps=(EPS,), steps=3)
    for classifier, found in ((plain, first), (made, last)):
        run = run_attacks(workspace, classifier.id, None, AttackCommand([attack])).requested[0].manifest
        _, metrics = run.as_run()
        assert metrics.results[0].accuracy == found.robust_accuracy
        assert metrics.results[0].accuracy_interval == found.robust_accuracy_interval
        assert metrics.clean_accuracy == found.clean_accuracy
    assert isinstance(made.metrics, ClassifierMetrics)
    assert made.metrics.test_accuracy == last.clean_accuracy


def test_behind_a_purifier_purified_images_are_added_that_the_classifier_before_gets_wrong(
    workspace: Workspace, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    front = train_autoencoder(workspace, "digits", AutoencoderRequest(type="blur", options={"sigma": 1.0}))[0].manifest
    fits: list[tuple[Any, Any, Any]] = []
    kind = classifiers.CLASSIFIERS["nn"]
    original = type(kind).fit

    def fit(self: Any, recipe: Any, x: Any, y: Any, *rest: Any) -> Any:
        found = original(self, recipe, x, y, *rest)
        fits.append((x.copy(), y.copy(), classifiers.restore_classifier(recipe, found.arrays)))
        return found

    monkeypatch.setattr(type(kind), "fit", fit)
    made = train_classifier(workspace, "digits", ask(retrain_limit=300), front.id).manifest
    (x_first, y_first, before), (x, y, _) = fits
    purified = apply(load_purifier(workspace.registry, front), digits.x_train)
    np.testing.assert_array_equal(x_first, purified)
    np.testing.assert_array_equal(x[: len(purified)], purified)
    np.testing.assert_array_equal(y_first, digits.y_train)
    added, labels = x[len(purified) :], y[len(purified) :]
    first, last = find_rounds(made).rounds
    assert len(added) == first.new == last.examples
    assert find_rounds(made).attacked == 300
    assert (decide(apply(lambda batch, draw: before(batch), added)) != labels).all()
    # Within eps of a training image, and then blurred: nearer to a purified training image of the class than eps.
    pairs = zip(added, labels, strict=True)
    nearest = [np.abs(purified[digits.y_train == label] - image).max(1).min() for image, label in pairs]
    assert max(nearest) <= EPS + 1e-6


def test_a_purifier_without_derivative_is_attacked_as_an_adaptive_attacker_does() -> None:
    blur = Purifier(lambda x: x, differentiable=False, stand_in=lambda x: x)
    placed = place_behind(Pipeline(lambda x: x), blur)
    assert (placed.backward, placed.stand_in) == ("blur", blur.stand_in)


def test_the_same_recipe_gives_the_same_classifier_and_another_seed_attacks_other_images(
    workspace: Workspace, digits: Dataset
) -> None:
    request = ask(retrain_limit=100)
    made = train_classifier(workspace, "digits", request, None).manifest
    again = train_classifier(replace(workspace, force=True), "digits", request, None).manifest
    other = train_classifier(workspace, "digits", request.model_copy(update={"seed": 1}), None).manifest
    one, two, three = (workspace.registry.read_arrays(entry, WEIGHTS) for entry in (made, again, other))
    assert all((one[name] == two[name]).all() for name in one)
    assert any((one[name] != three[name]).any() for name in one)
    assert find_rounds(made) == find_rounds(again) != find_rounds(other)


def test_each_round_is_told(workspace: Workspace) -> None:
    lines: list[str] = []
    made = train_classifier(replace(workspace, tell=lines.append, force=True), "digits", ask("mlp"), None).manifest
    first, last = find_rounds(made).rounds
    told = [line for line in lines if "round" in line]
    assert [line.split(": ")[1] for line in told] == ["round 0 of 1", "round 1 of 1"]
    assert f"{first.new} of them new" in told[0]
    assert f"robust accuracy {last.robust_accuracy:.4f} (n = 360)" in told[1]


# ---------------------------------------------------------------- its counterparts


def test_an_oblivious_attacker_knows_neither_purifier_nor_retraining_and_a_surrogate_is_retrained(
    digits: Dataset, workspace: Workspace
) -> None:
    recipe = describe_classifier(ask(), digits, None)
    plain = describe_classifier(ask().model_copy(update={"retraining": None}), digits, None)
    assert describe_undefended(PipelineRecipes(recipe)).classifier == plain
    surrogate = describe_surrogate(PipelineRecipes(recipe)).classifier
    assert surrogate.retrained == recipe.retrained
    assert surrogate.seed != recipe.seed
    assert plain.model_dump(mode="json").keys() == recipe.model_dump(mode="json").keys() - {"retrained"}


def test_a_retrained_classifier_is_nobodys_undefended_counterpart(tmp_path: Path) -> None:
    workspace = Workspace(Registry(tmp_path / "home"))
    made = train_classifier(workspace, "digits", ask(), None).manifest
    wanted = describe_undefended(PipelineRecipes(made.as_classifier()[0]))
    assert find_counterpart_of(workspace.registry, made, wanted, on_demand=True) == wanted.id


def test_an_oblivious_attack_on_a_retrained_classifier_needs_no_purifier(workspace: Workspace) -> None:
    made = train_classifier(workspace, "digits", ask(), None).manifest
    requests = [AttackRequest(method="fgsm", threat="all", eps=(EPS,), limit=100)]
    runs = run_attacks(workspace, made.id, None, AttackCommand(requests)).requested
    threats = [run.manifest.as_run()[0].threat for run in runs]
    assert threats == ["noise", "oblivious", "transfer", "adaptive", "black-box"]
    twin = workspace.registry.manifest(str(runs[1].manifest.as_run()[0].twin)).as_classifier()[0]
    assert twin == made.as_classifier()[0].model_copy(update={"retrained": None})


# ---------------------------------------------------------------- stored recipes and other workflows


def test_a_stored_recipe_that_would_take_too_much_memory_is_corrupt(digits: Dataset, workspace: Workspace) -> None:
    recipe = describe_classifier(ask(), digits, None)
    assert recipe.retrained
    huge = recipe.model_copy(update={"retrained": recipe.retrained.model_copy(update={"rounds": 1000})})
    large = replace(digits, ref=_make_large(digits))
    with pytest.raises(CorruptError, match="impossible recipe"):
        make_classifier(workspace, huge, large)


def test_a_retrained_classifier_is_put_behind_a_purifier_without_more_rounds(trained: Trained, tmp_path: Path) -> None:
    home = tmp_path / "home"
    options = ("--home", home, "-q")
    ae = succeed("train-ae", "--type", "blur", *options).id
    retrain = ("--retrain", 1, "--retrain-eps", "25/255", "--retrain-method", "fgsm", "--retrain-limit", 200)
    first = succeed("train-clf", "--model", "nn", "--epochs", 2, *retrain, "--json", *options).json
    assert first["recipe"]["retrained"]["eps"] == 25 / 255
    assert len(first["metrics"]["retraining"]["rounds"]) == 2
    moved = succeed("train-clf", "--from", first["id"], "--ae", ae, "--json", *options).json
    assert "retraining" not in moved["metrics"]
    assert moved["recipe"]["retrained"] == first["recipe"]["retrained"]
    registry = Registry(home)
    assert entry_id(registry.manifest(moved["id"]).as_classifier()[0]) == moved["id"]
    one, two = (registry.read_arrays(registry.manifest(id_), WEIGHTS) for id_ in (first["id"], moved["id"]))
    assert all((one[name] == two[name]).all() for name in one)
    assert load_pipeline(registry, registry.manifest(moved["id"])).purify
