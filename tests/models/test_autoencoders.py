"""Every kind of autoencoder keeps one contract; losses and noises against closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from advae.batching import apply
from advae.errors import CorruptError, UsageError
from advae.models.autoencoder_networks import rescale_to_intensity
from advae.models.autoencoders import AUTOENCODERS
from advae.models.baselines import BASELINES
from advae.models.contracts import Purifier
from advae.models.heads import build_head
from advae.models.layers import Weight, collect_weights
from advae.models.model_kinds import Behind, TrainingData
from advae.models.noises import NOISES, add_unclipped_noise
from advae.models.purified_examples import collect_examples
from advae.models.purifiers import (
    count_code,
    fit_autoencoder,
    make_autoencoder_recipe,
    needs_classifier,
    restore_purifier,
)
from advae.models.reconstruction import RECONSTRUCTION_LOSSES, gaussian_kl, kl_sparsity
from advae.models.robust_networks import build_robust
from advae.records import AutoencoderRecipe, Dataset, entry_id
from advae.requests import AutoencoderRequest, NetworkRequest
from tests.entries import forbid_building, spoil

AS_THEY_ARE = {*BASELINES, "robust", "certified", "kl", "cascade"}
"""Kinds whose output is never rescaled."""

NO_DERIVATIVE = {"binary", "bit-depth", "jpeg", "total-variation"}
"""Kinds through which attacks use BPDA."""

QUICK = NetworkRequest(epochs=2, batch_size=64)


def ask(kind: str, **changes: Any) -> AutoencoderRequest:
    """Return a request that is quickly met: few epochs, and few steps of training attacks, where there are any.

    Of a cascade the reduction alone, which needs no classifier; test_cascade.py has the others.
    """
    if kind == "cascade":
        changes["options"] = {"stages": "reduce"} | changes.get("options", {})
    if kind == "robust":
        changes["options"] = {"train_steps": 1} | changes.get("options", {})
    return AutoencoderRequest(type=kind, network=NetworkRequest() if kind in BASELINES else QUICK, **changes)


PROTECTED = "clf-000000000000"
"""Id of the frozen classifier of kinds that need one."""


def describe(request: AutoencoderRequest, dataset: Dataset, protects: str = PROTECTED) -> AutoencoderRecipe:
    """Return the recipe of a request, in front of a frozen classifier where the kind needs one."""
    needed = AUTOENCODERS[request.type].needs_protected(request.options)
    return make_autoencoder_recipe(request, dataset, protects if needed else None)


def find_behind(recipe: AutoencoderRecipe) -> Behind | None:
    """Return the classifier that an autoencoder is trained in front of: a new one, or a linear one of fixed weights."""
    import tensorflow as tf

    if recipe.protects:
        weights = np.random.default_rng(0).normal(0, 1, (recipe.dataset.shape.size, len(recipe.dataset.classes)))
        return Behind(lambda x: tf.matmul(x, weights.astype("f4")))
    head = build_head(recipe) if needs_classifier(recipe) else None
    return Behind(head, (head,)) if head else None


FITTED: dict[str, tuple[Any, Any, Any]] = {}


def fit(dataset: Dataset, request: AutoencoderRequest) -> tuple[Any, Any, Any]:
    """Return (recipe, arrays, history), trained once for all tests."""
    key = dataset.ref.digest + str(len(dataset.x_train)) + request.model_dump_json()
    if key not in FITTED:
        FITTED[key] = fit_anew(dataset, request)
    return FITTED[key]


def fit_anew(dataset: Dataset, request: AutoencoderRequest) -> tuple[Any, Any, Any]:
    recipe = describe(request, dataset)
    lesson = TrainingData(dataset.x_train, dataset.y_train, lambda epoch: None, find_behind(recipe))
    arrays, history = fit_autoencoder(recipe, lesson)
    return recipe, arrays, history


@pytest.mark.parametrize("kind", AUTOENCODERS)
def test_every_kind_keeps_its_contract(kind: str, digits: Dataset) -> None:
    """Same recipe, same bits; shapes; range; restored from arrays alone; a history where something is trained."""
    recipe, arrays, history = fit(digits, ask(kind))
    _, again, retold = fit_anew(digits, ask(kind))
    assert {name: array.tobytes() for name, array in arrays.items()} == {n: a.tobytes() for n, a in again.items()}
    purify = restore_purifier(recipe, arrays)
    x = digits.x_test
    purified = apply(purify, x)
    assert purified.shape == x.shape
    assert purified.dtype == np.float32
    assert purified.min() >= 0
    assert purified.max() <= 1
    np.testing.assert_array_equal(purified, apply(restore_purifier(recipe, arrays), x))
    if kind in BASELINES:
        assert history is None
        return
    assert history.loss == retold.loss
    assert len(history.loss) == len(history.validation_loss) == 2
    assert history.loss[1] < history.loss[0]


def test_every_code_has_the_size_that_follows_from_the_recipe(digits: Dataset) -> None:
    asked = [*map(ask, AUTOENCODERS), ask("sparse", options={"body": "conv"}), ask("robust", options={"body": "dense"})]
    without = set()
    for request in asked:
        recipe, arrays, _ = fit(digits, request)
        encode = restore_purifier(recipe, arrays).encode
        size = count_code(recipe)
        assert (encode is None) is (size is None)
        if encode is None:
            without.add(request.type)
        else:
            assert encode(digits.x_test[:3]).shape == (3, size)
    assert without == {"certified", *BASELINES} - {"pca"}


def test_only_what_rounds_or_is_outside_the_graph_is_not_differentiable_and_has_no_gradient(digits: Dataset) -> None:
    import tensorflow as tf

    x = tf.constant(digits.x_test[:5])
    for kind in AUTOENCODERS:
        recipe, arrays, _ = fit(digits, ask(kind))
        purifier = restore_purifier(recipe, arrays)
        with tf.GradientTape() as tape:
            tape.watch(x)
            purified = purifier(x, 0)
        gradient = tape.gradient(purified, x, output_gradients=tf.random.stateless_normal(x.shape, [0, 0]))
        assert purifier.differentiable == (kind not in NO_DERIVATIVE)
        assert (gradient is not None and bool(gradient.numpy().any())) == purifier.differentiable


def test_a_kind_is_trained_alike_where_compiling_pays(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """One kind for all: what chooses is the loop that they share, and this one draws noise in what is compiled."""
    _, _, as_graph = fit(digits, ask("variational"))
    monkeypatch.setattr("advae.models.fitting.XLA_PAYS", 0)
    _, _, compiled = fit_anew(digits, ask("variational"))
    np.testing.assert_allclose(compiled.loss, as_graph.loss, rtol=1e-3)


def test_another_seed_gives_another_autoencoder(digits: Dataset) -> None:
    requests = [AutoencoderRequest(type="vanilla", network=QUICK, seed=seed) for seed in (0, 1)]
    assert not np.array_equal(*(fit(digits, request)[1]["0.0"] for request in requests))


def test_the_papers_layers_are_the_defaults(digits: Dataset) -> None:
    recipe = make_autoencoder_recipe(AutoencoderRequest(type="vanilla"), digits)
    assert (recipe.network.hidden, recipe.network.code) == (41, 8)
    assert recipe.network.activations == ("relu", "relu", "exponential", "softplus")
    assert recipe.loss == "categorical-crossentropy"
    assert recipe.rescale == "intensity"
    variational = make_autoencoder_recipe(AutoencoderRequest(type="variational"), digits)
    assert (variational.network.code, variational.loss, variational.rescale) == (2, "binary-crossentropy", "none")
    assert make_autoencoder_recipe(AutoencoderRequest(type="sparse"), digits).network.activations[1] == "sigmoid"
    l1 = make_autoencoder_recipe(AutoencoderRequest(type="sparse", options={"penalty": "l1"}), digits)
    assert l1.network.activations[1] == "relu"


def test_an_overcomplete_sparse_code_trains(digits: Dataset) -> None:
    request = AutoencoderRequest(type="sparse", network=NetworkRequest(epochs=1, code=100), options={"penalty": "l1"})
    _, arrays, _ = fit(digits, request)
    assert arrays["0.2"].shape == (41, 100)


def test_the_ids_of_the_papers_kinds_do_not_change(digits: Dataset) -> None:
    """As they lie in people's registries."""
    asked = {
        "ae-6cdd05c0b357": AutoencoderRequest(type="vanilla"),
        "ae-caece61c098b": AutoencoderRequest(type="sparse"),
        "ae-cf0ec96d3fd7": AutoencoderRequest(type="denoising"),
        "ae-706cea576fea": AutoencoderRequest(type="variational"),
        "ae-1283d0704654": AutoencoderRequest(type="robust"),
        "ae-30754806377c": AutoencoderRequest(type="robust", options={"body": "dense"}),
        "ae-24276c4dca76": AutoencoderRequest(
            type="sparse",
            options={"penalty": "l1"},
            network=NetworkRequest(epochs=3, code=5),
            seed=4,
            rescale="none",
        ),
    }
    assert [entry_id(make_autoencoder_recipe(request, digits)) for request in asked.values()] == list(asked)


@pytest.mark.parametrize("changes", [{"network": None}, {"loss": None}, {"loss": "magic"}, {"options": {"sigma": 1.0}}])
def test_a_network_without_what_networks_have_is_refused(changes: dict[str, Any], digits: Dataset) -> None:
    recipe, arrays, _ = fit(digits, ask("vanilla"))
    with pytest.raises(CorruptError, match=r"^the recipe"):
        restore_purifier(recipe.model_copy(update=changes), arrays)


def test_raw_output_has_a_range_of_its_own_and_rescaled_output_the_inputs_intensity(digits: Dataset) -> None:
    purified = {}
    for rescale in ("none", "intensity"):
        recipe, arrays, _ = fit(digits, AutoencoderRequest(type="vanilla", network=QUICK, rescale=rescale))
        purified[rescale] = apply(restore_purifier(recipe, arrays), digits.x_test)
    raw, scaled = purified["none"], purified["intensity"]
    expected = raw * digits.x_test.sum(1, keepdims=True) / raw.sum(1, keepdims=True)
    np.testing.assert_allclose(scaled, np.clip(expected, 0, 1), atol=1e-5)


def test_rescaling_keeps_the_intensity_and_leaves_zero_zero() -> None:
    import tensorflow as tf

    rng = np.random.default_rng(0)
    x = rng.random((4, 9)).astype("f4")
    x[0] = 0
    made = rng.uniform(5, 6, (4, 9)).astype("f4")
    scaled = rescale_to_intensity(tf.constant(x), tf.constant(made)).numpy()
    np.testing.assert_allclose(scaled.sum(1), x.sum(1), rtol=1e-5)
    assert (scaled[0] == 0).all()
    from_nothing = rescale_to_intensity(tf.constant(x), tf.zeros((4, 9))).numpy()
    assert (from_nothing == 0).all()


def rescale_in_tensorflow(x: Any, reconstruction: Any) -> Any:
    """Return what rescale_to_intensity does in the terms of TensorFlow, in which stored results were computed."""
    import tensorflow as tf

    totals = [tf.reduce_sum(images, axis=-1, keepdims=True) for images in (x, reconstruction)]
    return tf.clip_by_value(reconstruction * tf.math.divide_no_nan(*totals), 0.0, 1.0)


@pytest.mark.parametrize("compiled", ["eager", "graph", "XLA"])
def test_rescaling_and_its_gradient_are_those_of_tensorflow_bit_by_bit(compiled: str, digits: Dataset) -> None:
    """Also where the clip saturates, at a black image, and where nothing was reconstructed."""
    import tensorflow as tf

    x = np.concatenate([digits.x_test[:50], np.zeros((2, 64)), np.ones((2, 64))]).astype("f4")
    made = np.random.default_rng(0).exponential(size=x.shape).astype("f4")
    made[[7, 51]] = 0
    upstream = np.random.default_rng(1).normal(size=x.shape).astype("f4")

    def differentiate(rescale: Any) -> Any:
        def run(x: Any, made: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch([x, made])
                scaled = rescale(x, made)
            return [scaled, *tape.gradient(scaled, [x, made], output_gradients=upstream)]

        traced = run if compiled == "eager" else tf.function(run, jit_compile=compiled == "XLA")
        return [array.numpy() for array in traced(tf.constant(x), tf.constant(made))]

    ours, theirs = differentiate(rescale_to_intensity), differentiate(rescale_in_tensorflow)
    for found, expected in zip(ours, theirs, strict=True):
        assert np.isfinite(found).all()
        np.testing.assert_array_equal(found, expected)
    scaled, gradient, _ = ours
    assert (scaled == 1).any()
    assert (scaled[50:52] == 0).all()
    # A black image is no dead end for an attacker where something is reconstructed from it.
    assert gradient[50].all()
    assert not gradient[51].any()


@pytest.mark.parametrize(
    ("kind", "rescale"),
    [
        (kind, rescale)
        for kind in AUTOENCODERS
        if kind not in BASELINES or BASELINES[kind].in_graph
        for rescale in ("intensity", "none")[kind in AS_THEY_ARE :]
    ],
)
def test_a_keras_input_can_take_the_place_of_images(kind: str, rescale: Any, digits: Dataset) -> None:
    import keras

    recipe, arrays, _ = fit(digits, ask(kind))
    purify = restore_purifier(recipe.model_copy(update={"rescale": rescale}), arrays)
    images = keras.Input((64,))
    model = keras.Model(images, purify.mean(images))
    assert purify.samples is False
    x = digits.x_test[:20]
    np.testing.assert_array_equal(model(x).numpy(), purify(x, 0).numpy())


def test_gaussian_kl_equals_its_integral() -> None:
    """KL(N(m, s^2) || N(0, 1)) by quadrature, one dimension at a time, since it adds over dimensions."""
    rng = np.random.default_rng(1)
    mean, log_variance = rng.normal(size=(3, 2)).astype("f4"), rng.normal(size=(3, 2)).astype("f4")
    closed = gaussian_kl(mean, log_variance).numpy()
    z = np.linspace(-40, 40, 400_001)
    for row in range(3):
        total = 0.0
        for m, v in zip(mean[row], np.exp(log_variance[row]), strict=True):
            log_q = -0.5 * np.log(2 * np.pi * v) - (z - m) ** 2 / (2 * v)
            log_p = -0.5 * np.log(2 * np.pi) - z**2 / 2
            total += np.trapezoid(np.exp(log_q) * (log_q - log_p), z)
        assert closed[row] == pytest.approx(total, rel=1e-4)


def test_kl_sparsity_is_zero_at_rho_and_equals_its_formula_elsewhere() -> None:
    rho = 0.05
    at = np.full(7, rho, "f4")
    assert float(kl_sparsity(at, rho)) == pytest.approx(0, abs=1e-6)
    rho_hat = np.array([0.2, 0.01, 0.9], "f4")
    expected = sum(rho * np.log(rho / r) + (1 - rho) * np.log((1 - rho) / (1 - r)) for r in rho_hat.astype("f8"))
    assert float(kl_sparsity(rho_hat, rho)) == pytest.approx(expected, rel=1e-5)
    assert np.isfinite(float(kl_sparsity(np.array([0.0, 1.0], "f4"), rho)))


def test_noises_have_their_level_and_stay_in_range() -> None:
    import tensorflow as tf

    x = tf.fill((500, 100), 0.5)
    seed = tf.constant([1, 2])
    noisy = {name: noise(x, 0.2, seed).numpy() for name, noise in NOISES.items()}
    assert all(((array >= 0) & (array <= 1)).all() for array in noisy.values())
    assert (noisy["gaussian"] - 0.5).std() == pytest.approx(0.2, rel=0.05)
    assert (noisy["masking"] == 0).mean() == pytest.approx(0.2, rel=0.05)
    assert (noisy["salt-and-pepper"] == 0).mean() == pytest.approx(0.1, rel=0.07)
    assert (noisy["salt-and-pepper"] == 1).mean() == pytest.approx(0.1, rel=0.07)
    for name, noise in NOISES.items():
        assert not np.array_equal(noisy[name], noise(x, 0.2, tf.constant([1, 3])).numpy())


def test_noise_that_is_not_clipped_is_in_the_recipe_only_where_it_was_asked_for(digits: Dataset) -> None:
    import tensorflow as tf

    plain, clipped, free = (
        make_autoencoder_recipe(AutoencoderRequest(type="denoising", network=QUICK, options=options), digits)
        for options in ({}, {"no_noise_clip": False}, {"no_noise_clip": True})
    )
    assert plain == clipped
    assert "no_noise_clip" not in plain.options
    assert free.options == plain.options | {"no_noise_clip": True}
    noisy = add_unclipped_noise(tf.fill((500, 100), 0.5), 0.5, tf.constant([1, 2])).numpy()
    assert noisy.min() < -0.5
    assert noisy.max() > 1.5
    assert (noisy - 0.5).std() == pytest.approx(0.5, rel=0.02)
    # It reaches the loss: the same weights and seed, another noise.
    x, weights, seed = tf.constant(digits.x_train[:64]), tf.ones(64), tf.constant([1, 2])
    losses = [float(AUTOENCODERS["denoising"].build(recipe).loss(x, weights, seed)) for recipe in (plain, free)]
    assert losses[0] != losses[1]


def test_losses_are_per_image_and_summed_over_pixels() -> None:
    rng = np.random.default_rng(2)
    x, made = rng.random((5, 12)), rng.uniform(0.05, 0.95, (5, 12))
    x, made = x.astype("f4"), made.astype("f4")
    share = made / made.sum(1, keepdims=True)
    expected = {
        "categorical-crossentropy": -(x * np.log(share)).sum(1),
        "binary-crossentropy": -(x * np.log(made) + (1 - x) * np.log(1 - made)).sum(1),
        "squared-error": ((x - made) ** 2).sum(1),
    }
    assert expected.keys() == RECONSTRUCTION_LOSSES.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(RECONSTRUCTION_LOSSES[name](x, made), values, rtol=1e-4)
    # The paper's loss does not see the scale of a reconstruction: the reason for --rescale.
    name = "categorical-crossentropy"
    np.testing.assert_allclose(
        RECONSTRUCTION_LOSSES[name](x, 10 * made), RECONSTRUCTION_LOSSES[name](x, made), rtol=1e-4
    )


def test_a_sampling_purifier_differs_from_draw_to_draw_and_repeats_itself(digits: Dataset) -> None:
    import tensorflow as tf

    request = AutoencoderRequest(type="variational", network=QUICK, options={"sample": True})
    recipe, arrays, _ = fit(digits, request)
    purify = restore_purifier(recipe, arrays)
    x = tf.constant(digits.x_test[:5])
    first, second, again = (purify(x, tf.constant(draw)).numpy() for draw in (0, 1, 0))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, again)
    assert purify.samples is True


@pytest.mark.parametrize("rescale", ["intensity", "none"])
def test_the_mean_of_a_random_purifier_equals_the_output_of_the_same_purifier_without_sampling(
    rescale: Any, digits: Dataset
) -> None:
    request = AutoencoderRequest(type="variational", network=QUICK)
    recipe, arrays, _ = fit(digits, request)
    sampled = recipe.model_copy(update={"options": recipe.options | {"sample": True}, "rescale": rescale})
    steady = restore_purifier(recipe.model_copy(update={"rescale": rescale}), arrays)
    purify = restore_purifier(sampled, arrays)
    x = digits.x_test[:20]
    np.testing.assert_array_equal(purify.mean(x).numpy(), steady(x, 0).numpy())
    assert not np.allclose(purify(x, 0).numpy(), steady(x, 0).numpy(), atol=1e-3)
    # A code without variance is its mean, whatever is drawn.
    certain = {name: array.copy() for name, array in arrays.items()}
    certain["0.2"][:, 2:], certain["0.3"][2:] = 0, -100
    purify = restore_purifier(sampled, certain)
    np.testing.assert_allclose(purify(x, 5).numpy(), purify.mean(x).numpy(), rtol=1e-5)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (AutoencoderRequest(type="spare"), "did you mean 'sparse'"),
        (AutoencoderRequest(type="vanilla", options={"rho": 0.1}), "--rho does not fit --type vanilla"),
        (AutoencoderRequest(type="sparse", options={"rho": 1.5}), "bad --rho"),
        (AutoencoderRequest(type="sparse", options={"penalty": "l3"}), "unknown penalty"),
        (AutoencoderRequest(type="sparse", options={"sparsity_weight": -1.0}), "bad --sparsity-weight"),
        (AutoencoderRequest(type="denoising", options={"noise": "gausian"}), "did you mean 'gaussian'"),
        (AutoencoderRequest(type="denoising", options={"noise_level": 2.0}), "bad --noise-level"),
        (
            AutoencoderRequest(type="denoising", options={"noise": "masking", "no_noise_clip": True}),
            "--no-noise-clip does not fit --noise masking",
        ),
        (AutoencoderRequest(type="variational", options={"kl_weight": -1.0}), "bad --kl-weight"),
        (AutoencoderRequest(type="vanilla", loss="mse"), "unknown loss"),
        (
            AutoencoderRequest(type="vanilla", network=NetworkRequest(activations=("relu", "relu", "exp", "softplus"))),
            "did you mean 'exponential'",
        ),
    ],
)
def test_what_does_not_exist_or_fit_is_a_usage_error(
    request_: AutoencoderRequest, message: str, digits: Dataset
) -> None:
    with pytest.raises(UsageError, match=message):
        make_autoencoder_recipe(request_, digits)


@pytest.mark.parametrize(
    "asked",
    [
        *map(ask, AUTOENCODERS),
        ask("robust", options={"body": "dense"}),
        ask("variational", options={"sample": True}),
    ],
    ids=lambda request: "-".join((request.type, *map(str, request.options.values()))),
)
def test_weights_follow_from_the_recipe_and_others_are_refused_before_anything_is_built(
    asked: AutoencoderRequest, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    if asked.options.get("body") == "dense":
        # No training changes a shape, and this one would take longer than all the others.
        recipe = make_autoencoder_recipe(asked, digits)
        arrays = collect_weights(build_robust(recipe))
    else:
        recipe, arrays, _ = fit(digits, asked)
    declared = AUTOENCODERS[asked.type].weights(recipe)
    assert declared == {name: Weight(array.shape) for name, array in arrays.items()}
    forbid_building(monkeypatch)
    assert AUTOENCODERS[asked.type].weights(recipe) == declared
    for changed in spoil(arrays):
        with pytest.raises(CorruptError, match="do not fit the recipe"):
            restore_purifier(recipe, changed)


@pytest.mark.parametrize("side", range(1, 8))
def test_the_weights_of_a_convolution_follow_from_any_side(side: int, digits: Dataset) -> None:
    """And it purifies images of that side."""
    recipe = make_autoencoder_recipe(ask("robust"), digits)
    small = recipe.model_copy(update={"dataset": recipe.dataset.model_copy(update={"side": side})})
    arrays = collect_weights(build_robust(small))
    assert AUTOENCODERS["robust"].weights(small) == {name: Weight(array.shape) for name, array in arrays.items()}
    x = np.random.default_rng(side).random((4, side * side), dtype="f4")
    purified = apply(restore_purifier(small, arrays), x)
    assert purified.shape == x.shape
    assert 0 <= purified.min() <= purified.max() <= 1


# ---------------------------------------------------------------- what a report shows of one


def test_a_plane_is_kept_with_images_generated_from_it() -> None:
    rng = np.random.default_rng(0)
    x = rng.random((40, 4), dtype=np.float32)
    purifier = Purifier(
        lambda x: x, encode=lambda x: x[:, :2], decode=lambda code: code @ np.eye(2, 4, dtype="float32")
    )
    views = collect_examples(purifier, x, np.arange(40), 1 - x)
    assert views["x"].shape == views["purified"].shape == (15, 4)
    np.testing.assert_array_equal(views["codes"], x[:, :2])
    low, high = np.percentile(x[:, :2], (1, 99), axis=0)
    np.testing.assert_allclose(views["axes"][:, [0, -1]], np.stack([low, high], axis=1), rtol=1e-6)
    # The second axis changes fastest, and the decoder here puts the code into the first two pixels.
    np.testing.assert_array_equal(views["generated"][:15, 1], views["axes"][1])
    np.testing.assert_array_equal(views["generated"][::15, 0], views["axes"][0])


def test_a_code_of_another_dimension_is_no_plane() -> None:
    x = np.zeros((20, 4), np.float32)
    purifier = Purifier(lambda x: x, encode=lambda x: x[:, :3], decode=lambda code: code)
    assert collect_examples(purifier, x, np.arange(20), x).keys() == {"labels", "x", "purified"}
