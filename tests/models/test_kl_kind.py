"""The autoencoder that keeps a frozen classifier's answers: its loss in closed form, its training, and its commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advae.errors import CorruptError, DivergedError, UsageError
from advae.models.kl_kind import KL_OPTIONS, KlObjective
from advae.models.model_kinds import Behind, TrainingData
from advae.models.purifiers import fit_autoencoder, make_autoencoder_recipe, restore_purifier
from advae.records import Dataset
from advae.registry import Registry
from advae.requests import AutoencoderRequest, NetworkRequest
from tests.calls import call, succeed
from tests.models.test_autoencoders import PROTECTED, QUICK, ask, describe, fit

# ---------------------------------------------------------------- the loss


def compute_loss(digits: Dataset, logits: tuple[Any, Any], weights: Any, **options: float) -> Any:
    """Return loss and clean accuracy of a batch whose answers before and behind the autoencoder are these logits."""
    import tensorflow as tf

    x, purified = np.full((len(weights), 64), 0.25, "f4"), np.full((len(weights), 64), 0.75, "f4")
    recipe = describe(AutoencoderRequest(type="kl", options=options), digits)
    answers = [tf.constant(one, tf.float32) for one in logits]
    objective = KlObjective(
        recipe, lambda images: tf.constant(purified), lambda images: answers[int(images[0, 0] > 0.5)]
    )
    batch = (tf.constant(x), tf.constant(np.argmax(logits[0], -1), tf.int32))
    measured = objective.measure(batch, tf.constant(weights), None).numpy()
    assert measured[0] == pytest.approx(float(objective.loss(batch, tf.constant(weights), None)))
    return measured


def soften(logits: Any, temperature: float = 1.0) -> Any:
    powers = np.exp(logits / temperature)
    return powers / powers.sum(-1, keepdims=True)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_loss_is_the_divergence_of_the_answers_of_which_the_first_has_a_temperature(
    temperature: float, digits: Dataset
) -> None:
    rng = np.random.default_rng(0)
    before, behind, weights = rng.normal(size=(4, 10)), rng.normal(size=(4, 10)), np.array([1, 1, 0, 1], "f4")
    wanted, found = soften(before, temperature), soften(behind)
    each = (wanted * np.log(wanted / found)).sum(-1)
    kept = weights > 0
    loss, accuracy = compute_loss(digits, (before, behind), weights, temperature=temperature)
    assert loss == pytest.approx(each[kept].mean(), rel=1e-5)
    assert accuracy == pytest.approx((before.argmax(-1) == behind.argmax(-1))[kept].mean())


def test_the_same_answers_cost_nothing_but_the_weighted_reconstruction(digits: Dataset) -> None:
    logits = np.random.default_rng(1).normal(size=(3, 10))
    weights = np.ones(3, "f4")
    assert compute_loss(digits, (logits, logits), weights)[0] == pytest.approx(0, abs=1e-6)
    # The squared error of images that differ by one half.
    found = compute_loss(digits, (logits, logits), weights, reconstruction_weight=4.0)
    assert found[0] == pytest.approx(4 * 0.25, rel=1e-5)


def test_answers_that_are_certain_are_no_infinite_loss(digits: Dataset) -> None:
    before, behind = np.eye(10)[:2] * 1e4, np.eye(10)[2:4] * 1e4
    assert compute_loss(digits, (before, behind), np.ones(2, "f4"))[0] == pytest.approx(1e4, rel=1e-3)


# ---------------------------------------------------------------- training


def test_the_answers_come_back_and_the_images_need_not(digits: Dataset) -> None:
    """In front of a classifier that looks at a quarter of the pixels: only those matter, until images do."""
    import tensorflow as tf

    weights = np.zeros((64, 10), "f4")
    weights[:16] = np.random.default_rng(0).normal(0, 3, (16, 10))
    network = NetworkRequest(epochs=60, batch_size=64, hidden=64, code=32)
    errors = {}
    for weight in (0.0, 100.0):
        options = {"reconstruction_weight": weight}
        recipe = describe(AutoencoderRequest(type="kl", network=network, options=options), digits)
        lesson = TrainingData(
            digits.x_train, digits.y_train, lambda epoch: None, Behind(lambda x: tf.matmul(x, weights))
        )
        arrays, history = fit_autoencoder(recipe, lesson)
        assert history is not None
        assert history.clean_accuracy is not None
        assert history.loss[-1] < 0.5 * history.loss[0]
        purified = restore_purifier(recipe, arrays).mean(tf.constant(digits.x_test)).numpy()
        kept = (purified @ weights).argmax(-1) == (digits.x_test @ weights).argmax(-1)
        errors[weight] = np.square(purified - digits.x_test)[:, 16:].mean()
        if not weight:
            assert kept.mean() > 0.8
    assert errors[0.0] > 2 * errors[100.0]


def test_without_a_classifier_there_is_nothing_to_train(digits: Dataset) -> None:
    recipe = describe(ask("kl"), digits)
    with pytest.raises(CorruptError, match="needs a classifier behind it"):
        fit_autoencoder(recipe, TrainingData(digits.x_train, digits.y_train, lambda epoch: None))


def test_a_training_that_diverges_is_an_error(digits: Dataset) -> None:
    network = NetworkRequest(epochs=2, batch_size=64)
    recipe = describe(AutoencoderRequest(type="kl", network=network), digits)
    lesson = TrainingData(
        digits.x_train, digits.y_train, lambda epoch: None, Behind(lambda x: x[:, :10] * float("inf"))
    )
    with pytest.raises(DivergedError):
        fit_autoencoder(recipe, lesson)


# ---------------------------------------------------------------- recipes


def test_a_request_without_a_classifier_is_refused_with_what_to_do(digits: Dataset) -> None:
    with pytest.raises(UsageError, match="--type kl needs --protect REF, the trained classifier"):
        make_autoencoder_recipe(ask("kl"), digits)


def test_the_defaults_are_alibi_detects(digits: Dataset) -> None:
    recipe = describe(AutoencoderRequest(type="kl"), digits)
    assert recipe.options == {"temperature": 1.0, "reconstruction_weight": 0.0}
    assert (recipe.loss, recipe.rescale, recipe.protects) == ("squared-error", "none", PROTECTED)
    assert KL_OPTIONS.keys() == recipe.options.keys()


@pytest.mark.parametrize(
    "changes",
    [
        {"protects": None},
        {"rescale": "intensity"},
        {"loss": "categorical-crossentropy"},
        {"options": {"temperature": 0.0, "reconstruction_weight": 0.0}},
        {"options": {"temperature": 1.0, "reconstruction_weight": -1.0}},
        {"options": {"temperature": 1.0}},
        {"options": {"temperature": "hot", "reconstruction_weight": 0.0}},
        {"options": {"temperature": 1.0, "reconstruction_weight": 0.0, "body": "deep"}},
        {"network": None},
    ],
    ids=str,
)
def test_a_recipe_that_no_request_makes_is_refused(changes: dict[str, Any], digits: Dataset) -> None:
    recipe, arrays, _ = fit(digits, ask("kl"))
    assert restore_purifier(recipe, arrays)
    with pytest.raises(CorruptError):
        restore_purifier(recipe.model_copy(update=changes), arrays)


# ---------------------------------------------------------------- from the command line

EPOCHS = ("--epochs", str(QUICK.epochs), "--batch-size", "64")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with a regression and a kl autoencoder in front of it."""
    home = tmp_path_factory.mktemp("kl") / "home"
    succeed("train-clf", "--model", "lr", "--home", home, "--tag", "lr")
    succeed("train-ae", "--type", "kl", "--protect", "lr", *EPOCHS, "--home", home, "--tag", "guard")
    return home


def test_the_protected_classifier_stays_and_stands_behind_it(home: Path) -> None:
    registry = Registry(home)
    lr, guard = registry.resolve("lr"), registry.resolve("guard", "ae")
    assert guard.parents == (lr.id,)
    behind = succeed("train-clf", "--ae", guard.id, "--home", home, "--json").json
    assert behind["recipe"]["origin"] == lr.id
    arrays = [registry.read_arrays(registry.manifest(id_), "weights.npz") for id_ in (lr.id, behind["id"])]
    assert {name: one.tobytes() for name, one in arrays[0].items()} == {n: a.tobytes() for n, a in arrays[1].items()}
    again = succeed("train-ae", "--type", "kl", "--protect", lr.id, *EPOCHS, "--home", home, "--json").json
    assert (again["id"], again["cached"]) == (guard.id, True)


def test_it_is_attacked_obliviously_and_adaptively_and_its_commands_make_it_again(home: Path, tmp_path: Path) -> None:
    attack = ("attack", "--clf", "guard", "--method", "pgd", "--steps", 3, "--eps", 0.1, "--limit", 60, "--home", home)
    runs = succeed(*attack, "--threat", "oblivious,adaptive,transfer", "--json").json["runs"]
    assert len({run["clean_accuracy"] for run in runs}) == 1
    # Gradients pass through the autoencoder.
    assert all(run["results"][0]["zero_gradient_fraction"] == 0 for run in runs)
    succeed("report", "--home", home, "--out", tmp_path, "--format", "json")
    report = json.loads((tmp_path / "report.json").read_text())
    trained = [command.split()[1:] for command in report["commands"] if " train-" in command]
    assert any("kl" in words for words in trained)
    for words in trained:
        assert succeed(*words, "--home", home, "--json").json["cached"], words


def test_it_protects_networks_and_models_of_other_programs(home: Path, shared_models: Path) -> None:
    cnn = succeed("train-clf", "--model", "cnn", "--epochs", 1, "--home", home).id
    added = succeed("add-clf", shared_models / "sk_pca_mlp_digits.skops", "--dataset", "digits", "--home", home).id
    for id_, body in ((cnn, "conv"), (added, "dense")):
        words = ("train-ae", "--type", "kl", "--protect", id_, "--body", body, *EPOCHS, "--home", home, "--json")
        made = succeed(*words).json
        assert made["recipe"]["protects"] == id_
        losses = made["metrics"]["history"]["loss"]
        assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ((), 2, "--type kl needs --protect REF"),
        (("--protect", "nobody"), 3, "nobody"),
        (("--protect", "guard"), 2, "take an undefended classifier"),
        (("--protect", "lr", "--temperature", "0"), 2, "bad --temperature 0.0: above 0"),
        (("--protect", "lr", "--temperature", "inf"), 2, "bad --temperature"),
        (("--protect", "lr", "--reconstruction-weight", "-1"), 2, "bad --reconstruction-weight -1.0: 0 or more"),
        (("--protect", "lr", "--rescale", "intensity"), 2, "--rescale intensity does not fit --type kl"),
        (("--protect", "lr", "--loss", "categorical-crossentropy"), 2, "does not fit --type kl"),
        (("--protect", "lr", "--activations", "relu,relu,relu,softplus"), 2, "a sigmoid, not softplus"),
        (("--protect", "lr", "--rho", "0.1"), 2, "--rho does not fit --type kl; it is for sparse"),
    ],
)
def test_what_cannot_be_is_one_line(words: tuple[str, ...], code: int, says: str, home: Path) -> None:
    done = call("train-ae", "--type", "kl", *words, "--home", home)
    assert (done.code, done.out, done.err.count("\n")) == (code, "", 1), done.err
    assert says in done.err
