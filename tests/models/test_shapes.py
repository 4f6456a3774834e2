"""Images of any shape, grey and colour: every kind of autoencoder, of baseline and of classifier takes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from advae.batching import apply
from advae.errors import CorruptError, UsageError
from advae.models.autoencoder_networks import describe_coder
from advae.models.autoencoders import AUTOENCODERS
from advae.models.baselines import BASELINES
from advae.models.classifiers import (
    CLASSIFIERS,
    describe_head,
    make_classifier_recipe,
    restore_classifier,
)
from advae.models.convolutions import ConvolutionalCoder, ConvolutionalStack
from advae.models.layers import Weight, collect_weights, name_weights
from advae.models.purifiers import (
    TrainingData,
    fit_autoencoder,
    make_autoencoder_recipe,
    restore_purifier,
)
from advae.models.robust_networks import list_robust_weights
from advae.records import Dataset, DatasetRef, ImageShape, entry_id
from advae.requests import AutoencoderRequest, ClassifierRequest, NetworkRequest
from tests.entries import forbid_building, spoil
from tests.models.test_autoencoders import describe, find_behind

SHAPES = [ImageShape(5, 7, 1), ImageShape(6, 6, 3), ImageShape(4, 9, 3), ImageShape(1, 1, 3)]
GREY, WIDE, SMALLEST = SHAPES[0], SHAPES[2], SHAPES[3]
NETWORKS = [kind for kind in AUTOENCODERS if kind not in (*BASELINES, "cascade")]

CASES = [
    *((kind, shape) for kind in ("vanilla", *BASELINES) for shape in SHAPES),
    *(("vanilla dense", shape) for shape in SHAPES if shape is not GREY),
    *((kind, shape) for kind in NETWORKS[1:] for shape in (GREY, WIDE)),
    *((f"{kind} dense", WIDE) for kind in NETWORKS[1:]),
    *((kind, SMALLEST) for kind in ("variational", "robust")),
    *(("cascade", shape) for shape in SHAPES),
]
"""Kind and body, and a shape. All kinds have the same bodies: one kind has all shapes, and each kind both bodies,
on grey and colour images. That of grey images is dense. A cascade has dense layers only; here its reduction."""

CLASSIFIED = [
    *((model, shape) for model in CLASSIFIERS for shape in (GREY, WIDE)),
    *((model, shape) for model in ("lr", "nn", "cnn") for shape in (SHAPES[1], SMALLEST)),
]
"""All but one network begins with flat images: one of these has all shapes."""


def make_images(shape: ImageShape, n: int = 60) -> Dataset:
    rng = np.random.default_rng(shape.size)
    x, y = rng.random((n, shape.size)).astype("f4"), np.arange(n) % 2
    return Dataset(DatasetRef.make("own", "0" * 64, shape, ("a", "b")), x, y, x[:9], y[:9])


def ask(kind: str, **options: Any) -> AutoencoderRequest:
    # A threshold has no code.
    code = None if kind == "certified" and "body" not in options else 3
    hidden = None if kind == "cascade" else 6
    network = NetworkRequest() if kind in BASELINES else NetworkRequest(epochs=1, hidden=hidden, code=code)
    return AutoencoderRequest(type=kind, network=network, options=options)


def fit(dataset: Dataset, request: AutoencoderRequest) -> tuple[Any, Any]:
    recipe = describe(request, dataset)
    lesson = TrainingData(dataset.x_train, dataset.y_train, lambda epoch: None, find_behind(recipe))
    return recipe, fit_autoencoder(recipe, lesson)[0]


@pytest.mark.parametrize(("kind", "shape"), CASES, ids=str)
def test_every_autoencoder_takes_images_of_any_shape(
    kind: str, shape: ImageShape, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, _, body = kind.partition(" ")
    dataset = make_images(shape)
    quick = {"robust": {"train_steps": 1}, "cascade": {"stages": "reduce"}}.get(name, {})
    recipe, arrays = fit(dataset, ask(name, **quick, **({"body": body} if body else {})))
    assert AUTOENCODERS[name].weights(recipe) == {name: Weight(array.shape) for name, array in arrays.items()}
    purified = apply(restore_purifier(recipe, arrays), dataset.x_test)
    assert purified.shape == dataset.x_test.shape
    assert 0 <= purified.min() <= purified.max() <= 1
    forbid_building(monkeypatch)
    for changed in spoil(arrays):
        with pytest.raises(CorruptError, match="do not fit the recipe"):
            restore_purifier(recipe, changed)


@pytest.mark.parametrize(("model", "shape"), CLASSIFIED, ids=str)
def test_every_classifier_takes_images_of_any_shape(model: str, shape: ImageShape) -> None:
    dataset = make_images(shape)
    network = None if model == "lr" else NetworkRequest(epochs=1, hidden=6)
    recipe = make_classifier_recipe(ClassifierRequest(model=model, network=network), dataset, None)
    fitted = CLASSIFIERS[model].fit(recipe, dataset.x_train, dataset.y_train, lambda epoch: None)
    classify = restore_classifier(recipe, fitted.arrays)
    logits = apply(lambda x, draw: classify(x), dataset.x_test)
    assert logits.shape == (9, 2)
    assert np.isfinite(logits).all()


def test_the_body_is_in_the_recipe_only_where_it_is_convolutional() -> None:
    """So that no id of a recipe from before there was another body changes."""
    small, large, colour = (make_images(ImageShape(*shape), 4) for shape in ((31, 32, 1), (32, 32, 1), (8, 8, 3)))

    def find(dataset: Dataset, **options: Any) -> Any:
        return make_autoencoder_recipe(ask("vanilla", **options), dataset).options.get("body")

    assert [find(dataset) for dataset in (small, large, colour)] == [None, "conv", "conv"]
    assert [find(dataset, body="dense") for dataset in (small, large, colour)] == [None] * 3
    assert find(small, body="conv") == "conv"
    with pytest.raises(UsageError, match="unknown body 'deep'"):
        find(small, body="deep")
    with pytest.raises(UsageError, match="--body does not fit --type blur; it is for vanilla"):
        make_autoencoder_recipe(ask("blur", body="conv"), small)


def test_robust_autoencoders_of_colour_images_and_their_heads_are_convolutional_unless_asked_otherwise() -> None:
    """Those of grey images of any size have the layers of before, and the ids of both."""
    colour, grey = make_images(ImageShape(8, 8, 3)), make_images(ImageShape(40, 40, 1))
    plain = AutoencoderRequest(type="robust")
    asked = {"body": "dense", "train_eps": 0.2}
    ours, dense, large = (
        make_autoencoder_recipe(*one)
        for one in ((plain, colour), (AutoencoderRequest(type="robust", options=asked), colour), (plain, grey))
    )
    assert list_robust_weights(ours) == name_weights(*describe_coder(ours).list_shapes())
    assert len(list_robust_weights(dense)["1.2"].shape) == len(list_robust_weights(large)["1.2"].shape) == 2
    heads = [describe_head(recipe) for recipe in (ours, dense, large)]
    assert [head.model for head in heads] == ["cnn", "mlp", "mlp"]
    assert [recipe.options["train_eps"] for recipe in (ours, dense, large)] == [8 / 255, 0.2, 0.3]
    assert (entry_id(large), entry_id(heads[2])) == ("ae-3fd400aa03c0", "clf-005c6572ad3a")


@pytest.mark.parametrize("body", ["deep", 3, True])
def test_a_stored_body_that_no_request_makes_is_refused(body: Any) -> None:
    recipe = make_autoencoder_recipe(ask("vanilla"), make_images(ImageShape(6, 6, 3)))
    with pytest.raises(CorruptError):
        AUTOENCODERS["vanilla"].weights(recipe.model_copy(update={"options": {"body": body}}))


@pytest.mark.parametrize("kind", [kind for kind in BASELINES if kind != "jpeg"])
def test_a_baseline_works_channel_by_channel(kind: str) -> None:
    """Blur and threshold give for each channel what they give for a grey image; PCA sees all values at once.

    JPEG codes colour as brightness and chroma.
    """
    shape = ImageShape(6, 5, 3)
    colour, grey = make_images(shape), make_images(ImageShape(6, 5, 1))
    # The default of colour images is another one.
    options = {"bits": 3} if kind == "bit-depth" else {}
    recipe, arrays = fit(colour, ask(kind, **options))
    purified = apply(restore_purifier(recipe, arrays), colour.x_test).reshape(-1, *shape)
    if kind == "pca":
        from sklearn.decomposition import PCA

        peer = PCA(recipe.options["code_size"], svd_solver="full").fit(colour.x_train.astype("f8"))
        expected = np.clip(peer.inverse_transform(peer.transform(colour.x_test.astype("f8"))), 0, 1)
        np.testing.assert_allclose(purified.reshape(9, -1), expected, atol=1e-5)
        return
    recipe, arrays = fit(grey, ask(kind, **options))
    alone = restore_purifier(recipe, arrays)
    for channel in range(3):
        one = np.ascontiguousarray(colour.x_test.reshape(-1, *shape)[..., channel]).reshape(9, -1)
        np.testing.assert_allclose(purified[..., channel].reshape(9, -1), apply(alone, one), atol=1e-6)


@pytest.mark.parametrize("shape", [*SHAPES, ImageShape(32, 32, 3)], ids=str)
def test_what_convolutions_cost_is_counted_as_keras_builds_them(shape: ImageShape) -> None:
    coder = ConvolutionalCoder(shape, 6, 3, ("relu", "relu", "relu", "sigmoid"), 2)
    encoder, decoder = coder.build(0)
    # A code of means only goes into the decoder.
    assert encoder.output_shape[-1] == 2 * decoder.input_shape[-1]
    stack = ConvolutionalStack(shape, (4, 5, 6), 7, 3, "relu")
    for networks, described in (((encoder, decoder), coder), ((stack.build(0),), stack)):
        assert described.count_products() == sum(count(layer) for network in networks for layer in network.layers)
    assert [array.shape for array in collect_weights((stack.build(0),)).values()] == stack.list_shapes()


def count(layer: Any) -> int:
    """Return the multiplications of a layer: its kernel, at each place of its output, or input where it enlarges."""
    if not hasattr(layer, "kernel"):
        return 0
    places = layer.input.shape if type(layer).__name__ == "Conv2DTranspose" else layer.output.shape
    return int(np.prod(layer.kernel.shape)) * int(np.prod(places[1:-1]))


def test_a_variational_code_has_means_and_variances_of_the_same_places() -> None:
    """The mean of a place comes from the filters of means, whatever the row."""
    shape = ImageShape(8, 8, 3)
    coder = ConvolutionalCoder(shape, 4, 2, ("relu", "linear", "relu", "sigmoid"), 2)
    encoder, _ = coder.build(0)
    last = encoder.layers[3]
    last.set_weights([np.zeros(last.kernel.shape), np.array([1.0, 2.0, -5.0, -6.0])])
    code = encoder(np.zeros((1, shape.size), "f4")).numpy()[0]
    np.testing.assert_array_equal(code, np.repeat([1.0, 2.0, -5.0, -6.0], 4))
