"""A classifier of a purifier's code: with the encoder it is one classifier of images, everywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

import advae
from advae.batching import apply
from advae.errors import CorruptError, UsageError
from advae.evaluation.pipelines import list_weights, load_pipeline, require_code
from advae.models import purifiers
from advae.models.autoencoders import AUTOENCODERS
from advae.models.classifiers import make_classifier_recipe
from advae.records import Dataset, LayersOptions
from advae.registry import Registry
from advae.report.data.commands import describe_command
from advae.requests import ClassifierRequest, LogisticRequest, NetworkRequest, RetrainRequest
from advae.threats import THREATS, list_threats
from advae.workflows.counterparts import describe_reseeded, describe_undefended, read_recipes
from tests.calls import call, succeed

SHORT = ("--epochs", "15")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A registry, and the ids in it: undefended classifier, cascade, classifier of its code."""
    home = tmp_path_factory.mktemp("home")

    def train(*words: str) -> str:
        return succeed(*words, *SHORT, "--home", home).out.strip()

    mlp = ("train-clf", "--model", "mlp", "--layers", "20,10")
    ids = {"undefended": train(*mlp)}
    ids["ae"] = train(
        "train-ae", "--type", "cascade", "--hidden-size", "64", "--code-size", "6", "--protect", ids["undefended"]
    )
    ids["clf"] = train(*mlp, "--on", "code", "--ae", ids["ae"])
    return home, ids


def find(scene: tuple[Path, dict[str, str]], name: str) -> Any:
    return Registry(scene[0]).manifest(scene[1][name])


def test_the_encoder_is_part_of_the_classifier(scene: tuple[Path, dict[str, str]], digits: Dataset) -> None:
    registry, manifest = Registry(scene[0]), find(scene, "clf")
    recipe = manifest.recipe
    assert recipe.code == 6
    assert isinstance(recipe.options, LayersOptions)
    assert list_weights(recipe)["0.0"].shape == (6, 20)
    pipeline = load_pipeline(registry, manifest)
    assert (pipeline.purify, pipeline.affine, pipeline.samples) == (None, False, False)
    logits = apply(pipeline.defend, digits.x_test)
    assert logits.shape == (len(digits.x_test), 10)
    accuracy = float((logits.argmax(1) == digits.y_test).mean())
    assert accuracy == pytest.approx(manifest.metrics.test_accuracy)
    loaded = advae.open_registry(scene[0]).load(scene[1]["clf"])
    np.testing.assert_array_equal(loaded.predict(digits.x_test[:20].reshape(-1, 8, 8)), logits[:20].argmax(1))


def test_threat_models_that_need_an_image_do_not_fit(scene: tuple[Path, dict[str, str]]) -> None:
    home, ids = scene
    for threat in ("gray-box", "encoded"):
        refused = call(
            "attack", "--method", "fgsm", "--eps", "0.1", "--clf", ids["clf"], "--threat", threat, "--home", home
        )
        assert (refused.code, refused.out) == (2, "")
        assert f"threat '{threat}' does not fit a classifier of a code" in refused.err
    assert set(THREATS) - set(list_threats(purified=True, on_code=True)) == {
        *("gray-box", "encoded", "fixed-randomness", "elsewhere"),
    }


def test_oblivious_attacks_the_undefended_model_and_adaptive_all_of_it(scene: tuple[Path, dict[str, str]]) -> None:
    home, ids = scene
    words = ("attack", "--method", "fgsm", "--eps", "0.1", "--clf", ids["clf"], "--home", home, "--json")
    made = json.loads(succeed(*words, "--threat", "oblivious").out)
    assert Registry(home).manifest(made["id"]).recipe.twin == ids["undefended"]
    adaptive = json.loads(succeed(*words, "--threat", "adaptive").out)
    assert adaptive["results"][0]["accuracy"] < made["results"][0]["accuracy"]
    table = call(*words[:-1], "--threat", "adaptive").err
    assert f"mlp on the code of {ids['ae']}" in table


def test_its_counterparts_follow_from_its_recipe(scene: tuple[Path, dict[str, str]]) -> None:
    recipes = read_recipes(Registry(scene[0]), find(scene, "clf").recipe)
    assert describe_undefended(recipes).id == scene[1]["undefended"]
    other = describe_reseeded(recipes, 1000)
    denoiser, reduction = purifiers.list_stages(other.autoencoder)
    assert (denoiser.seed, reduction.seed) == (1000, 1000)
    assert {denoiser.protects} == {other.needed[0] and other.autoencoder.protects}
    assert other.classifier.autoencoder in other.ids
    purifiers.AUTOENCODERS["cascade"].weights(other.autoencoder)


def test_the_commands_of_a_report_make_the_same_entries(scene: tuple[Path, dict[str, str]]) -> None:
    registry = Registry(scene[0])
    parents = [registry.manifest(id_) for id_ in find(scene, "ae").parents]
    for entry in (find(scene, "clf"), find(scene, "ae"), *parents):
        _, *words = describe_command(entry).split()
        assert succeed(*words, "--home", scene[0]).out.strip() == entry.id


def test_it_is_exported_certified_and_named(
    scene: tuple[Path, dict[str, str]], digits: Dataset, tmp_path: Path
) -> None:
    import keras

    home, ids = scene
    file = tmp_path / "model.keras"
    succeed("registry", "export", ids["clf"], file, "--format", "keras", "--home", home)
    model = keras.models.load_model(file)
    pipeline = load_pipeline(Registry(home), find(scene, "clf"))
    x = digits.x_test[:10]
    np.testing.assert_allclose(model(x.reshape(-1, 8, 8, 1)).numpy(), apply(pipeline.defend, x), atol=1e-5)
    proved = json.loads(
        succeed("certify", "--clf", ids["clf"], "--eps", "0.001", "--limit", "20", "--home", home, "--json").out
    )
    assert 0 <= proved["results"][0]["certified_accuracy"] <= proved["clean_accuracy"]
    succeed("report", ids["clf"], "--home", home, "--out", tmp_path / "out", "--format", "md")
    assert "mlp on the code of cascade, code 6" in (tmp_path / "out" / "report.md").read_text()


@pytest.mark.parametrize(
    ("request_", "ae", "code", "message"),
    [
        (ClassifierRequest(model="mlp", on="pixels"), None, None, "unknown on 'pixels'"),
        (ClassifierRequest(model="mlp", on="code"), None, None, "--on code needs --ae REF"),
        (ClassifierRequest(model="mlp", on="code"), "ae-1", None, "ae-1, which has no code"),
        (ClassifierRequest(model="mlp", on="code", retraining=RetrainRequest()), "ae-1", 5, "--retrain does not fit"),
        (ClassifierRequest(model="cnn", on="code"), "ae-1", 5, "--on code does not fit --model cnn"),
        (ClassifierRequest(model="lr", on="code"), "ae-1", 5, "--on code does not fit --model lr"),
        (ClassifierRequest(model="nn", layers=(5,)), None, None, "--layers does not fit --model nn"),
        (
            ClassifierRequest(model="mlp", layers=(5,), network=NetworkRequest(hidden=3)),
            None,
            None,
            "--hidden-size and --layers exclude each other",
        ),
    ],
)
def test_what_does_not_fit_is_a_usage_error(
    request_: ClassifierRequest, ae: str | None, code: int | None, message: str, digits: Dataset
) -> None:
    with pytest.raises(UsageError, match=message):
        make_classifier_recipe(request_, digits, ae, code=code)


def test_sizes_that_are_none_are_refused(scene: tuple[Path, dict[str, str]]) -> None:
    for layers in ("100,", "0", "-3", "a", "9" * 30, ",".join(["1"] * 17)):
        refused = call("train-clf", "--model", "mlp", f"--layers={layers}", "--home", scene[0])
        assert (refused.code, refused.out) == (2, "")
        assert "bad --layers" in refused.err
    refused = call("train-clf", "--ae", scene[1]["ae"], "--on", "code", "--home", scene[0])
    assert (refused.code, "need --model" in refused.err) == (2, True)


def test_ids_made_before_do_not_change(digits: Dataset) -> None:
    plain = make_classifier_recipe(ClassifierRequest(model="mlp"), digits, None)
    assert not {"code", "layers"} & plain.model_dump(mode="json").keys()
    logistic = ClassifierRequest(model="lr", logistic=LogisticRequest())
    assert "code" not in make_classifier_recipe(logistic, digits, None).model_dump(mode="json")


def test_a_stored_recipe_that_cannot_classify_a_code_is_corrupt(scene: tuple[Path, dict[str, str]]) -> None:
    recipe, autoencoder = find(scene, "clf").recipe, find(scene, "ae").recipe
    for change in ({"model": "nn"}, {"autoencoder": None}, {"origin": scene[1]["undefended"]}):
        with pytest.raises(CorruptError):
            list_weights(recipe.model_copy(update=change))
    require_code(autoencoder, recipe)
    with pytest.raises(CorruptError, match="classifies a code of 7 numbers"):
        require_code(autoencoder, recipe.model_copy(update={"code": 7}))


def test_noise_is_added_before_the_encoder(scene: tuple[Path, dict[str, str]]) -> None:
    home, ids = scene
    noisy = ("--on", "code", "--noise-level", "0.2", "--layers", "8")
    id_ = succeed("train-clf", "--model", "mlp", "--ae", ids["ae"], *noisy, *SHORT, "--home", home).out.strip()
    assert Registry(home).manifest(id_).recipe.noise_level == 0.2


def test_a_notebook_evaluates_all_of_it(scene: tuple[Path, dict[str, str]], digits: Dataset) -> None:
    """With the numbers of the command line, whose attack is on the same images."""
    home, ids = scene
    loaded = advae.open_registry(home).load(ids["clf"])
    assert f"on the code of {ids['ae']}" in repr(loaded)
    x, y = digits.x_test[:60].reshape(-1, 8, 8), digits.y_test[:60]
    result = advae.evaluate(loaded, x, y, methods=["fgsm"], eps=0.1)
    words = (
        "attack",
        "--method",
        "fgsm",
        "--eps",
        "0.1",
        "--clf",
        ids["clf"],
        "--limit",
        "60",
        "--home",
        home,
        "--json",
    )
    stored = json.loads(succeed(*words).out)
    assert result.clean_accuracy == pytest.approx(stored["clean_accuracy"])
    assert result.robust_accuracy == pytest.approx(stored["results"][0]["accuracy"])
    assert result.report(home.parent / "out").name
    with pytest.raises(UsageError, match="does not fit a classifier of a code"):
        advae.evaluate(loaded, x, y, methods=["fgsm"], eps=0.1, threat="gray-box")


def test_it_cannot_be_moved_behind_another_purifier(scene: tuple[Path, dict[str, str]]) -> None:
    home, ids = scene
    refused = call("train-clf", "--from", ids["clf"], "--ae", ids["ae"], "--home", home)
    assert (refused.code, refused.out) == (2, "")
    assert f"is on the code of {ids['ae']}; take an undefended classifier" in refused.err
    listed = succeed("registry", "ls", "-l", "--home", home).out
    assert f"mlp on the code of {ids['ae']}" in listed
    assert "cascade, stages both, code 6, 15 epochs" in listed


def test_a_purifier_of_an_unknown_type_is_corrupt_to_trainings(tmp_path: Path) -> None:
    options = ("--home", tmp_path / "home", "-q")
    ae = succeed("train-ae", "--type", "blur", *options).id
    # Unlike monkeypatch.delitem, it puts the row back in its place: other tests read the order of the rows.
    with patch.dict(AUTOENCODERS):
        del AUTOENCODERS["blur"]
        for model in (("--model", "lr"), ()):
            refused = call("train-clf", *model, "--ae", ae, *options)
            assert (refused.code, refused.out) == (4, "")
            assert "is of type 'blur', which this advae does not know" in refused.err
