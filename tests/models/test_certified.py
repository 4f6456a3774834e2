"""The certified kind: what it proves holds, what is frozen stays, a stopped training goes on as if it had not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advae.batching import apply
from advae.errors import CorruptError, UsageError
from advae.evaluation.pipelines import load_pipeline
from advae.intervals import bound_margins, make_box, trace_network
from advae.models.certified_networks import CERTIFIED_BODIES, build_certified, compose, draw_initial_weights
from advae.models.heads import build_head, describe_head
from advae.models.layers import collect_weights
from advae.models.model_kinds import Behind, TrainingData
from advae.models.normalised_training import NormalisedClassifier
from advae.models.purifiers import fit_autoencoder, make_autoencoder_recipe, restore_purifier
from advae.models.robust_training import perturb
from advae.records import Dataset, DatasetRef, ImageShape
from advae.registry import Registry
from advae.requests import AutoencoderRequest, NetworkRequest
from tests.calls import call, succeed
from tests.models.test_robust import Kept, make_images

EPS = 0.1
"""Radius at which the small networks of these tests are certified."""


def ask(*, epochs: int = 2, **options: Any) -> AutoencoderRequest:
    return AutoencoderRequest(type="certified", network=NetworkRequest(epochs=epochs, batch_size=64), options=options)


def fit(dataset: Dataset, request: AutoencoderRequest, kept: Kept | None = None) -> tuple[Any, Any, Any, Any]:
    """Return (recipe, arrays, trained head, history)."""
    recipe = make_autoencoder_recipe(request, dataset)
    head = build_head(recipe)
    lesson = TrainingData(dataset.x_train, dataset.y_train, lambda epoch: None, Behind(head, (head,)))
    arrays, history = fit_autoencoder(recipe, replace(lesson, checkpoint=kept) if kept else lesson)
    return recipe, arrays, head, history


def trace(recipe: Any, arrays: Any, classify: Any) -> Any:
    purify = restore_purifier(recipe, arrays).mean
    return trace_network(lambda x: classify(purify(x)), recipe.dataset.shape.size)


def certify(network: Any, x: Any, y: Any, eps: float) -> Any:
    """Return which images are proved, bool (n,), by the sound bounds."""
    import tensorflow as tf

    margins = bound_margins(network, make_box(tf.constant(x), eps, sound=True), tf.constant(y), sound=True).numpy()
    return (margins > 0).sum(1) == margins.shape[1] - 1


# ---------------------------------------------------------------- what it proves


@pytest.fixture(scope="module")
def proved(digits: Dataset) -> tuple[Any, ...]:
    """A certified purifier of the digits with its classifier: (recipe, arrays, head, history)."""
    return fit(digits, ask(epochs=8, train_eps=1.2 * EPS))


def test_training_on_bounds_certifies_and_no_attack_breaks_what_is_certified(
    digits: Dataset, proved: tuple[Any, ...]
) -> None:
    import tensorflow as tf

    recipe, arrays, head, history = proved
    network, x, y = trace(recipe, arrays, head), digits.x_test, digits.y_test
    certified = certify(network, x, y, EPS)
    clean = network(x).numpy().argmax(1) == y
    assert certified.mean() > 0.4
    assert clean[certified].all()

    def losses(images: Any) -> Any:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(tf.constant(y), network(images))

    attacked = clean.copy()
    for seed in range(3):
        x_adv = perturb(losses, tf.constant(x), eps=EPS, steps=20, seed=[seed, 1])
        attacked &= network(x_adv).numpy().argmax(1) == y
    assert attacked[certified].all()
    assert certified.mean() <= attacked.mean() <= clean.mean()
    assert attacked.mean() < clean.mean()
    assert history.certified_accuracy[-1] > 0.3
    assert len(history.clean_accuracy) == len(history.unstable_relus) == 8
    # A plain training of the same layers proves next to nothing.
    plain = fit(digits, ask(epochs=2, train_eps=1.2 * EPS, kappa=1.0))
    assert certify(trace(*plain[:3]), x, y, EPS).mean() < certified.mean() / 2


def test_its_images_are_those_of_a_threshold(digits: Dataset, proved: tuple[Any, ...]) -> None:
    """Black stays black and white stays white, inside the radius, and brighter pixels never become darker."""
    recipe, arrays, *_ = proved
    purify = restore_purifier(recipe, arrays)
    ramp = np.repeat(np.linspace(0, 1, 101, dtype="f4")[:, None], 64, 1)
    purified = apply(purify, ramp)
    assert (np.diff(purified, axis=0) >= 0).all()
    assert (purified[[0, -1], 0] == [0, 1]).all()
    assert purify.clips


def test_relu_stability_lowers_the_share_of_unstable_relus(digits: Dataset, proved: tuple[Any, ...]) -> None:
    recipe, _, _, history = proved
    assert "relu_stability" not in recipe.options
    asked = fit(digits, ask(epochs=8, train_eps=1.2 * EPS, relu_stability=30.0))
    assert asked[0].options["relu_stability"] == 30.0
    assert asked[3].unstable_relus[-1] < 0.8 * history.unstable_relus[-1]


@pytest.mark.parametrize("body", ["conv", "dense"])
def test_a_body_with_a_code_learns_under_bounds(body: str, digits: Dataset) -> None:
    """From the usual initial weights its bounds or its signal vanish, and all images get one label."""
    request = ask(epochs=6, train_eps=0.05, body=body)
    quick = request.network.model_copy(update={"batch_size": 16})
    recipe, *_, history = fit(digits, request.model_copy(update={"network": quick}))
    assert recipe.options["reconstruction_weight"] == 5.0
    assert history.clean_accuracy[-1] > 0.5
    assert history.certified_accuracy[-1] > 0.3


# ---------------------------------------------------------------- its parts


def test_the_folded_weights_are_those_of_batch_normalisation(digits: Dataset) -> None:
    """Training sees the statistics of the batch, padding left out; what is stored has the running ones inside."""
    import keras

    recipe = make_autoencoder_recipe(ask(), digits)
    head = build_head(recipe)
    rng = np.random.default_rng(3)
    x, ones = rng.random((10, 64)).astype("f4"), np.ones(10, "f4")
    trained = NormalisedClassifier(head)
    for variable in (*trained.scales, *(layer.bias for layer in trained.hidden)):
        variable.assign(rng.uniform(0.5, 1.5, variable.shape).astype("f4"))

    def expect(images: Any, statistics: Any) -> Any:
        value, hidden = images, iter(zip(trained.hidden, trained.scales, statistics, strict=True))
        for layer in head.layers:
            if layer not in trained.hidden:
                value = layer(value)
                continue
            _, scale, (mean, variance) = next(hidden)
            weigh = keras.ops.matmul if isinstance(layer, keras.layers.Dense) else layer.convolution_op
            raw = np.asarray(weigh(value, layer.kernel))
            mean, variance = (
                (raw.mean(tuple(range(raw.ndim - 1))), raw.var(tuple(range(raw.ndim - 1))))
                if mean is None
                else (mean, variance)
            )
            value = np.maximum((raw - mean) / np.sqrt(variance + 1e-5) * scale.numpy() + layer.bias.numpy(), 0)
        return np.asarray(value)

    logits, folded = trained.run(x, ones)
    np.testing.assert_allclose(logits, expect(x, [(None, None)] * 3), rtol=1e-3, atol=1e-4)
    with keras.StatelessScope(state_mapping=folded):
        np.testing.assert_allclose(head(x), logits, rtol=1e-3, atol=1e-4)
    padded = np.concatenate([x, np.repeat(x[:1], 6, 0)])
    again = trained.run(padded, np.concatenate([ones, np.zeros(6, "f4")]))[0][:10]
    np.testing.assert_allclose(again, logits, rtol=1e-3, atol=1e-4)
    running = [(m.numpy(), v.numpy()) for m, v in zip(trained.means, trained.variances, strict=True)]
    wanted = expect(x, running)
    trained.settle()
    np.testing.assert_allclose(head(x), wanted, rtol=1e-3, atol=1e-4)


def test_initial_bounds_neither_explode_nor_vanish(digits: Dataset) -> None:
    """With Keras' own initial weights they grow from layer to layer."""
    import tensorflow as tf

    recipe = make_autoencoder_recipe(ask(), digits)
    widths = []
    for redraw in (False, True):
        head = build_head(recipe)
        if redraw:
            draw_initial_weights((head,), 0)
        seen: list[Any] = []
        box = make_box(tf.constant(digits.x_test[:50]), EPS, sound=False)
        bound_margins(trace_network(head, 64), box, tf.constant(digits.y_test[:50]), sound=False, see_relu=seen.append)
        widths.append([float(tf.reduce_mean(one.high - one.low)) for one in seen])
    assert widths[0][-1] > 5 * widths[0][0]
    assert 0.1 < widths[1][-1] / widths[1][0] < 3


@pytest.mark.parametrize("body", CERTIFIED_BODIES)
@pytest.mark.parametrize("shape", [ImageShape(9, 7, 1), ImageShape(8, 8, 3)], ids=str)
def test_every_body_takes_grey_and_colour_images_of_any_side(body: str, shape: ImageShape) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random((40, shape.size)).astype("f4"), np.arange(40) % 2
    data = Dataset(DatasetRef.make("own", "0" * 64, shape, ("a", "b")), x, y, x[:9], y[:9])
    recipe, arrays, head, history = fit(data, ask(epochs=1, body=body, train_eps=0.01))
    purified = apply(restore_purifier(recipe, arrays), x)
    assert purified.shape == x.shape
    assert 0 <= purified.min() <= purified.max() <= 1
    assert (body == "none") == np.array_equal(purified, x)
    assert len(history.certified_accuracy) == 1
    assert describe_head(recipe).options.filters == tuple(
        layer.filters for layer in head.layers if hasattr(layer, "filters")
    )
    # The bounds hold for what is restored: the network on a random point of the box.
    network = trace(recipe, arrays, head)
    certified = certify(network, x, y, 0.005)
    moved = np.clip(x + rng.uniform(-0.005, 0.005, x.shape), 0, 1).astype("f4")
    assert (network(moved).numpy().argmax(1) == y)[certified].all()


def test_images_of_few_pixels_have_a_smaller_radius_and_slope_unless_these_are_given(digits: Dataset) -> None:
    def choose(data: Dataset, **options: Any) -> tuple[Any, Any]:
        chosen = make_autoencoder_recipe(ask(**options), data).options
        return chosen["train_eps"], chosen.get("slope")

    assert choose(digits) == choose(make_images(15)) == (0.1, 2.0)
    assert choose(digits, body="conv") == choose(digits, body="none") == (0.1, None)
    assert choose(digits, train_eps=0.2, slope=20.0) == (0.2, None)
    # The recipes of MNIST and Fashion-MNIST, and their ids, stay.
    assert choose(make_images(16)) == choose(make_images(28)) == (0.34, None)


def test_the_slope_is_in_the_recipe_only_where_it_is_given() -> None:
    data = make_images(16)
    assert "slope" not in make_autoencoder_recipe(ask(), data).options
    flat = make_autoencoder_recipe(ask(slope=1.0), data)
    assert flat.options["slope"] == 1.0
    images = data.x_test
    np.testing.assert_allclose(compose(build_certified(flat))(images), images, atol=1e-6)


# ---------------------------------------------------------------- going on


def test_an_interrupted_training_goes_on_as_if_it_had_not_been(digits: Dataset) -> None:
    asked, kept = ask(epochs=3, train_eps=EPS), Kept()
    whole = fit(digits, asked, kept)
    left = Kept(kept.saved[0])
    resumed = fit(digits, asked, left)
    assert [len(one["losses"]) for one in left.saved] == [2]
    for one, other in zip(whole[2].get_weights(), resumed[2].get_weights(), strict=True):
        assert one.tobytes() == other.tobytes()
    assert {name: array.tobytes() for name, array in whole[1].items()} == {
        name: array.tobytes() for name, array in resumed[1].items()
    }
    for field in ("loss", "clean_accuracy", "certified_accuracy", "unstable_relus"):
        assert getattr(resumed[3], field) == getattr(whole[3], field)
    with pytest.raises(CorruptError, match="of another training"):
        fit(digits, ask(body="dense"), left)


# ---------------------------------------------------------------- from the command line


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certified") / "home"


def run(home: Path, *words: str) -> Any:
    return json.loads(succeed(*words, "--home", str(home), "--json").out)


QUICK = ("--epochs", "1", "--train-eps", "0.05")


@pytest.fixture(scope="module")
def made(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A certified purifier with its own classifier, and two that protect: a network, and an added Keras model."""
    import keras

    file = tmp_path_factory.mktemp("added") / "model.keras"
    layers = [keras.layers.Reshape((8, 8, 1)), keras.layers.Conv2D(4, 3), keras.layers.ReLU(), keras.layers.Flatten()]
    keras.Sequential([keras.Input((64,)), *layers, keras.layers.Dense(10)]).save(file)
    own = run(home, "train-ae", "--type", "certified", *QUICK)
    mlp = run(home, "train-clf", "--model", "mlp", "--epochs", "2")["id"]
    added = run(home, "add-clf", str(file), "--dataset", "digits", "--input-range", "0,1")["id"]
    guards = {
        id_: run(home, "train-ae", "--type", "certified", "--body", "dense", *QUICK, "--protect", id_)
        for id_ in (mlp, added)
    }
    return {"own": own, "mlp": mlp, "added": added, "guards": guards}


def test_the_stored_pipeline_is_the_one_that_was_trained(home: Path, made: Any, digits: Dataset) -> None:
    registry, own = Registry(home), made["own"]
    head = registry.manifest(own["classifier"])
    assert head.recipe == describe_head(registry.manifest(own["id"]).as_autoencoder()[0])
    accuracy = own["metrics"]["history"]["clean_accuracy"][-1]
    assert 0 <= accuracy <= 1
    pipeline = load_pipeline(registry, head)
    assert np.isfinite(apply(pipeline.defend, digits.x_test)).all()
    assert run(home, "train-ae", "--type", "certified", *QUICK)["cached"]


@pytest.mark.parametrize("which", ["mlp", "added"])
def test_what_is_protected_stays_as_it_was(which: str, home: Path, made: Any) -> None:
    registry, id_ = Registry(home), made[which]
    guard = made["guards"][id_]
    behind = registry.manifest(guard["classifier"])
    assert behind.parents == (guard["id"], id_)
    before, after = (registry.read_arrays(registry.manifest(one), "weights.npz") for one in (id_, behind.id))
    assert {name: array.tobytes() for name, array in before.items()} == {n: a.tobytes() for n, a in after.items()}
    assert len(guard["metrics"]["history"]["certified_accuracy"]) == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--train-eps", "0"), "bad --train-eps 0.0: above 0"),
        (("--kappa", "1.5"), "bad --kappa 1.5: between 0 and 1"),
        (("--warmup", "-0.1"), "bad --warmup -0.1: between 0 and 1"),
        (("--relu-stability", "-1"), "bad --relu-stability -1.0: 0 or more"),
        (("--reconstruction-weight", "nan"), "bad --reconstruction-weight nan"),
        (("--slope", "0.5"), "bad --slope 0.5: 1 to 1000"),
        (("--slope", "3", "--body", "conv"), "--slope does not fit --body conv"),
        (("--body", "treshold"), "did you mean 'threshold'"),
        (("--rescale", "intensity"), "the bounds of a quotient of two sums are loose"),
        (("--code-size", "3"), "--code-size does not fit --body threshold"),
        (("--body", "dense", "--activations", "relu,relu,relu,relu"), "a sigmoid, not relu"),
        (("--train-steps", "3"), "--train-steps does not fit --type certified"),
        (("--body", "none", "--protect", "{mlp}"), "nothing to train in front of a classifier"),
        (("--protect", "{odd}"), "no interval bounds"),
    ],
)
def test_what_cannot_be_is_one_line(words: tuple[str, ...], says: str, home: Path, made: Any, tmp_path: Path) -> None:
    known = {"mlp": made["mlp"]}
    if "{odd}" in words:
        import keras

        keras.Sequential([keras.Input((64,)), keras.layers.Dense(10), keras.layers.LayerNormalization()]).save(
            tmp_path / "odd.keras"
        )
        known["odd"] = run(home, "add-clf", str(tmp_path / "odd.keras"), "--dataset", "digits", "--input-range", "0,1")[
            "id"
        ]
    before = sorted(Registry(home).ids())
    asked = (word.format(**known) for word in words)
    done = call("train-ae", "--type", "certified", "--epochs", "1", *asked, "--home", str(home))
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1), done.err
    assert says in done.err
    assert sorted(Registry(home).ids()) == before


def test_a_recipe_that_no_request_makes_is_refused(digits: Dataset) -> None:
    recipe = make_autoencoder_recipe(ask(epochs=1), digits)
    arrays = collect_weights(build_certified(recipe))
    assert restore_purifier(recipe, arrays)
    for changed in ({"train_eps": 2.0}, {"body": "magic"}, {"slope": 0.0}, {"body": "dense", "slope": 3.0}):
        with pytest.raises(CorruptError):
            restore_purifier(recipe.model_copy(update={"options": dict(recipe.options) | changed}), arrays)
    with pytest.raises(UsageError):
        make_autoencoder_recipe(AutoencoderRequest(type="certified", loss="categorical-crossentropy"), digits)
