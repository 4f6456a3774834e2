"""The robust kind: its attacks stay in the ball, what is frozen stays, a stopped training goes on as if it had not."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advae.batching import apply
from advae.errors import CorruptError, UsageError
from advae.evaluation.pipelines import HEAD, load_classifier
from advae.models.fitting import Moment
from advae.models.heads import build_head, describe_head
from advae.models.layers import collect_weights
from advae.models.model_kinds import Behind, TrainingData
from advae.models.purifiers import fit_autoencoder, make_autoencoder_recipe, restore_purifier
from advae.models.robust_networks import BODIES, build_robust
from advae.models.robust_training import RobustObjective, perturb
from advae.records import Dataset, DatasetRef, entry_id
from advae.registry import Registry
from advae.requests import AutoencoderRequest, NetworkRequest
from advae.workflows.counterparts import describe_reseeded, describe_undefended, read_recipes
from tests.calls import call, succeed

QUICK = ("--epochs", "2", "--body", "dense", "--train-steps", "1")
"""Options of a training from the command line whose weights do not matter."""


def ask(*, epochs: int = 2, **options: Any) -> AutoencoderRequest:
    return AutoencoderRequest(type="robust", network=NetworkRequest(epochs=epochs, batch_size=64), options=options)


def make_images(side: int, n: int = 120) -> Dataset:
    rng = np.random.default_rng(side)
    x, y = rng.random((n, side * side)).astype("f4"), np.arange(n) % 3
    ref = DatasetRef(name="own", digest="0" * 64, side=side, classes=("a", "b", "c"))
    return Dataset(ref=ref, x_train=x, y_train=y, x_test=x[:9], y_test=y[:9], source=None)


@dataclass
class Kept:
    """A checkpoint in memory. arrays: what a training goes on from; saved: what was saved after each epoch."""

    arrays: dict[str, Any] | None = None
    saved: list[dict[str, Any]] = field(default_factory=list)

    def load(self) -> dict[str, Any] | None:
        return self.arrays

    def save(self, arrays: dict[str, Any]) -> None:
        self.saved.append({name: array.copy() for name, array in arrays.items()})


def fit(dataset: Dataset, request: AutoencoderRequest, kept: Kept | None = None) -> tuple[Any, Any, Any, Any]:
    """Return (recipe, arrays, head's weights, history)."""
    recipe = make_autoencoder_recipe(request, dataset)
    head = build_head(recipe)
    lesson = TrainingData(dataset.x_train, dataset.y_train, lambda epoch: None, Behind(head, (head,)))
    arrays, history = fit_autoencoder(recipe, replace(lesson, checkpoint=kept) if kept else lesson)
    return recipe, arrays, head.get_weights(), history


# ---------------------------------------------------------------- the attack that it is trained on


def test_an_attack_stays_in_its_ball_and_in_the_range_and_finds_the_corner() -> None:
    """On a linear loss every pixel ends at its bound, whatever the random start."""
    import tensorflow as tf

    x = np.random.default_rng(0).random((20, 9)).astype("f4")
    slope = tf.constant(np.where(np.arange(9) % 2, 1.0, -1.0).astype("f4"))
    moved = perturb(lambda images: tf.linalg.matvec(images, slope), tf.constant(x), eps=0.3, steps=3, seed=[1, 2])
    corner = np.where(np.arange(9) % 2, np.minimum(x + np.float32(0.3), 1), np.maximum(x - np.float32(0.3), 0))
    np.testing.assert_array_equal(moved.numpy(), corner)


def test_the_loss_is_that_of_trades_and_the_distance_of_the_output(digits: Dataset) -> None:
    """Before a linear classifier attacks end at one of two corners, whose losses are known."""
    import tensorflow as tf

    rng = np.random.default_rng(1)
    slope, eps = rng.normal(0, 1, 64).astype("f4"), np.float32(0.1)
    recipe = make_autoencoder_recipe(ask(train_eps=0.1, warmup=0.0, trades_beta=3.0, reconstruction_weight=7.0), digits)

    def classify(images: Any) -> Any:
        one = tf.linalg.matvec(images, tf.constant(slope))
        return tf.stack([one, tf.zeros_like(one)], -1)

    def expect(x: Any, y: int, moved: Any) -> float:
        logits = (x / 2 @ slope, moved / 2 @ slope)
        clean, attacked = (np.array([-np.logaddexp(0, -one), -np.logaddexp(0, one)]) for one in logits)
        divergence = np.exp(clean) @ (clean - attacked)
        return float(-clean[y] + 3 * divergence + 7 * ((x - moved / 2) ** 2).mean())

    goal = RobustObjective(recipe, lambda images: images / 2, classify)
    for y in (0, 1):
        x = rng.uniform(0.3, 0.7, 64).astype("f4")
        moment = Moment(seed=tf.constant([3, y]), progress=tf.constant(0.5))
        batch = (tf.constant(np.stack([x, x[::-1]])), tf.constant([y, y]))
        # The second image is there to fill up the batch.
        loss = float(goal.loss(batch, tf.constant([1.0, 0.0]), moment))
        corners = [expect(x, y, x + sign * eps * np.sign(slope)) for sign in (-1, 1)]
        assert min(abs(loss - corner) for corner in corners) < 1e-4
        assert abs(loss - expect(x, y, x)) > 0.1


# ---------------------------------------------------------------- what it makes


@pytest.mark.parametrize(("body", "side"), [("dense", 3), ("conv", 10)])
def test_images_of_any_side_will_do(side: int, body: str) -> None:
    data = make_images(side)
    recipe, arrays, _, history = fit(data, ask(epochs=1, body=body, train_steps=1))
    purified = apply(restore_purifier(recipe, arrays), data.x_test)
    assert purified.shape == data.x_test.shape
    assert 0 <= purified.min() <= purified.max() <= 1
    assert [len(values) for values in (history.clean_accuracy, history.attacked_accuracy)] == [1, 1]


@pytest.mark.parametrize("body", BODIES)
def test_recipes_from_before_trades_beta_are_read_and_not_trained_again(body: str) -> None:
    """Revision 1 had no ``trades_beta``, and its first layer had the network's own activation."""
    import keras

    data = make_images(5)
    current = make_autoencoder_recipe(ask(body=body), data)
    older = {name: value for name, value in current.options.items() if name != "trades_beta"}
    network = current.network.model_copy(update={"activations": ("elu", "relu", "relu", "sigmoid")})
    recipe = current.model_copy(update={"options": older, "network": network, "recipe_rev": 1})
    built = build_robust(recipe)
    purified = apply(restore_purifier(recipe, collect_weights(built)), data.x_test)
    np.testing.assert_allclose(purified, built[1](built[0](data.x_test)).numpy(), atol=1e-6)
    first = next(layer for layer in built[0].layers if hasattr(layer, "activation"))
    assert first.activation is keras.activations.elu
    with pytest.raises(UsageError, match=r"revision 1 of --type robust, this advae trains revision 2"):
        fit_autoencoder(recipe, TrainingData(data.x_train, data.y_train, lambda epoch: None))
    for forged in (recipe.model_copy(update={"recipe_rev": 2}), current.model_copy(update={"recipe_rev": 1})):
        with pytest.raises(CorruptError, match="options are not those"):
            restore_purifier(forged, collect_weights(built))


def test_training_on_adversarial_examples_makes_it_robust(digits: Dataset) -> None:
    """Accuracy on unchanged images and, at the radius of training, on attacked ones."""
    history = fit(digits, ask(epochs=12, train_eps=0.1, train_steps=2))[3]
    assert history.clean_accuracy[-1] > 0.8
    assert history.attacked_accuracy[-1] > 0.4


# ---------------------------------------------------------------- going on


def test_an_interrupted_training_goes_on_as_if_it_had_not_been_and_no_other_does(digits: Dataset) -> None:
    asked = ask(epochs=3, body="dense", train_steps=2)
    kept = Kept()
    whole = fit(digits, asked, kept)
    # The last epoch is not saved: the entry itself comes next.
    assert [len(one["losses"]) for one in kept.saved] == [1, 2]
    left = Kept(kept.saved[0])
    resumed = fit(digits, asked, left)
    assert [len(one["losses"]) for one in left.saved] == [2]
    for one, other in zip(whole[2], resumed[2], strict=True):
        assert one.tobytes() == other.tobytes()
    assert {name: array.tobytes() for name, array in whole[1].items()} == {
        name: array.tobytes() for name, array in resumed[1].items()
    }
    assert resumed[3].loss == whole[3].loss
    assert resumed[3].attacked_accuracy == whole[3].attacked_accuracy
    with pytest.raises(CorruptError, match="of another training"):
        fit(digits, ask(), left)


def test_checkpoints_lie_beside_the_entries_until_there_is_one(tmp_path: Path) -> None:
    told: list[str] = []
    registry = Registry(tmp_path)
    checkpoint = registry.checkpoint("ae-000000000000", told.append)
    assert checkpoint.load() is None
    checkpoint.save({"a": np.arange(3.0)})
    np.testing.assert_array_equal((checkpoint.load() or {})["a"], np.arange(3.0))
    checkpoint.path.write_bytes(checkpoint.path.read_bytes()[:-40])
    assert checkpoint.load() is None
    assert "damaged" in told[0]
    checkpoint.clear()
    assert list((tmp_path / "checkpoints").iterdir()) == list((tmp_path / "tmp").iterdir()) == []


# ---------------------------------------------------------------- from the command line


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("robust") / "home"


def run(home: Path, *words: str) -> Any:
    return json.loads(succeed(*words, "--home", str(home), "--json").out)


@pytest.fixture(scope="module")
def made(home: Path) -> Any:
    """What ``train-ae --type robust`` prints, and beside it a logistic regression with one that protects it."""
    own = run(home, "train-ae", "--type", "robust", *QUICK, "--tag", "holds")
    lr = run(home, "train-clf", "--model", "lr")
    guard = run(home, "train-ae", "--type", "robust", *QUICK, "--protect", lr["id"])
    return {"own": own, "lr": lr, "guard": guard}


def test_the_head_is_published_with_its_purifier(home: Path, made: Any) -> None:
    registry, own = Registry(home), made["own"]
    autoencoder = registry.manifest(own["id"])
    head = registry.manifest(own["classifier"])
    assert head.recipe == describe_head(autoencoder.as_autoencoder()[0])
    assert head.parents == (autoencoder.id,)
    for name, array in registry.read_arrays(autoencoder, HEAD).items():
        np.testing.assert_array_equal(array, registry.read_arrays(head, "weights.npz")[name])
    # Found again by the purifier alone, and by the one tag.
    assert run(home, "train-clf", "--ae", "holds") | {"tag": None} == run(home, "train-clf", "--ae", own["id"])
    assert run(home, "train-clf", "--ae", own["id"])["id"] == own["classifier"]
    assert registry.resolve("holds", "clf").id == own["classifier"]
    assert list((home / "checkpoints").iterdir()) == []


def test_what_is_protected_stays_as_it_was(home: Path, made: Any) -> None:
    registry, guard, lr = Registry(home), made["guard"], made["lr"]["id"]
    behind = registry.manifest(guard["classifier"])
    assert registry.manifest(guard["id"]).parents == (lr,)
    assert behind.parents == (guard["id"], lr)
    before, after = (registry.read_arrays(registry.manifest(id_), "weights.npz") for id_ in (lr, behind.id))
    assert {name: array.tobytes() for name, array in before.items()} == {n: a.tobytes() for n, a in after.items()}
    assert run(home, "train-clf", "--from", lr, "--ae", guard["id"])["id"] == behind.id
    assert HEAD not in registry.manifest(guard["id"]).artifacts


def test_a_classifier_can_be_put_behind_what_has_never_seen_it(home: Path, made: Any) -> None:
    registry = Registry(home)
    moved = run(home, "train-clf", "--from", made["lr"]["id"], "--ae", made["own"]["id"])
    assert moved["recipe"]["origin"] == made["lr"]["id"]
    x = np.linspace(0, 1, 64, dtype="f4")[None]
    logits = [load_classifier(registry, registry.manifest(id_))(x) for id_ in (made["lr"]["id"], moved["id"])]
    np.testing.assert_array_equal(*map(np.asarray, logits))


def test_its_undefended_counterpart_is_the_protected_classifier_and_its_surrogate_protects_another(
    home: Path, made: Any
) -> None:
    registry = Registry(home)
    recipes = read_recipes(registry, registry.manifest(made["guard"]["classifier"]).as_classifier()[0])
    assert describe_undefended(recipes).id == made["lr"]["id"]
    reseeded = describe_reseeded(recipes, 7)
    (protected,), purifier = reseeded.needed, reseeded.autoencoder
    assert purifier is not None
    assert (protected.seed, purifier.seed, reseeded.classifier.seed) == (7, 7, 7)
    assert purifier.protects == reseeded.classifier.origin == entry_id(protected)
    assert reseeded.classifier.autoencoder == entry_id(purifier)
    own = read_recipes(registry, registry.manifest(made["own"]["classifier"]).as_classifier()[0])
    undefended, other = describe_undefended(own).classifier, describe_reseeded(own, 7)
    assert (undefended.model, undefended.autoencoder, undefended.origin) == ("mlp", None, None)
    assert other.autoencoder is not None
    assert other.classifier == describe_head(other.autoencoder)


def test_it_is_attacked_like_every_other_and_reported_with_its_commands(home: Path, made: Any, tmp_path: Path) -> None:
    for id_ in (made["own"]["classifier"], made["guard"]["classifier"]):
        done = run(home, "attack", "--clf", id_, "--method", "fgsm", "--eps", "0.1", "--threat", "adaptive")
        assert done["classifier"] == id_
    succeed("report", "--home", str(home), "--out", str(tmp_path), "--format", "json")
    commands = json.loads((tmp_path / "report.json").read_text())["commands"]
    for command in commands:
        words = command.split()[1:]
        if words[0].startswith("train"):
            again = run(home, *words)
            assert again["cached"], command


def test_a_bundle_takes_along_what_was_protected(home: Path, made: Any, tmp_path: Path) -> None:
    bundle = str(tmp_path / "bundle.tar")
    succeed("registry", "export", made["guard"]["classifier"], bundle, "--home", str(home))
    succeed("registry", "import", bundle, "--home", str(tmp_path / "other"))
    ids = {made["lr"]["id"], made["guard"]["id"], made["guard"]["classifier"]}
    assert set(Registry(tmp_path / "other").ids()) == ids
    removed = call("registry", "rm", made["lr"]["id"], "--home", str(tmp_path / "other"))
    assert (removed.code, "is needed by" in removed.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("train-ae", "--type", "vanilla", "--train-eps", "0.1"), 2, "--train-eps does not fit --type vanilla"),
        (("train-ae", "--type", "vanilla", "--protect", "{lr}"), 2, "--protect does not fit --type vanilla"),
        (("train-ae", "--type", "robust", "--train-eps", "0"), 2, "bad --train-eps 0.0: above 0"),
        (("train-ae", "--type", "robust", "--train-steps", "0"), 2, "bad --train-steps 0: 1 to 1000"),
        (("train-ae", "--type", "robust", "--warmup", "1.5"), 2, "bad --warmup 1.5"),
        (("train-ae", "--type", "robust", "--reconstruction-weight", "-1"), 2, "bad --reconstruction-weight -1.0"),
        (("train-ae", "--type", "robust", "--trades-beta", "nan"), 2, "bad --trades-beta nan"),
        (("train-ae", "--type", "robust", "--body", "cnv"), 2, "did you mean 'conv'"),
        (("train-ae", "--type", "robust", "--rescale", "intensity"), 2, "does not fit --type robust"),
        (("train-ae", "--type", "robust", "--activations", "relu,relu,relu,relu"), 2, "a sigmoid, not relu"),
        (("train-ae", "--type", "robust", "--protect", "unknown"), 3, "unknown"),
        (("train-ae", "--type", "robust", "--protect", "{behind}"), 2, "take an undefended classifier"),
        (("train-clf",), 2, "train-clf needs --model"),
        (("train-clf", "--from", "{lr}"), 2, "train-clf needs --model"),
        (("train-clf", "--from", "{lr}", "--ae", "{ae}", "--model", "nn"), 2, "exclude each other"),
        (("train-clf", "--from", "{lr}", "--ae", "{ae}", "--epochs", "3"), 2, "need --model"),
        (("train-clf", "--from", "{behind}", "--ae", "{ae}"), 2, "take an undefended classifier"),
        (("train-clf", "--model", "mlp", "--C", "1"), 2, "they are for lr"),
    ],
)
def test_what_cannot_be_is_one_line(words: tuple[str, ...], code: int, says: str, home: Path, made: Any) -> None:
    known = {"lr": made["lr"]["id"], "behind": made["guard"]["classifier"], "ae": made["own"]["id"]}
    before = sorted(Registry(home).ids())
    done = call(*(word.format(**known) for word in words), "--home", str(home))
    assert (done.code, done.out, done.err.count("\n")) == (code, "", 1), done.err
    assert says in done.err
    assert sorted(Registry(home).ids()) == before


def test_an_autoencoder_without_a_classifier_of_its_own_says_so(home: Path) -> None:
    blur = run(home, "train-ae", "--type", "blur")["id"]
    done = call("train-clf", "--ae", blur, "--home", str(home))
    assert (done.code, "was trained without a classifier; --model" in done.err) == (2, True)


def test_a_recipe_that_no_request_makes_is_refused(digits: Dataset) -> None:
    recipe = make_autoencoder_recipe(ask(epochs=1), digits)
    arrays = collect_weights(build_robust(recipe))
    assert restore_purifier(recipe, arrays)
    changed = {"train_eps": 2.0}
    with pytest.raises(CorruptError):
        restore_purifier(recipe.model_copy(update={"options": dict(recipe.options) | changed}), arrays)
    with pytest.raises(UsageError):
        make_autoencoder_recipe(AutoencoderRequest(type="robust", loss="categorical-crossentropy"), digits)
