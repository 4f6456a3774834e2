"""The cascade: layers, the denoiser's attack and loss, its two autoencoders as entries, and refusals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from advae.batching import apply
from advae.errors import CorruptError, UsageError
from advae.models.autoencoders import AUTOENCODERS
from advae.models.cascade import perturb_once
from advae.models.contracts import Purifier
from advae.models.layers import Weight
from advae.models.model_kinds import Behind, TrainingData
from advae.models.purifiers import (
    count_passes,
    count_products,
    fit_autoencoder,
    list_stages,
    make_autoencoder_recipe,
    needs_classifier,
    restore_purifier,
)
from advae.records import AutoencoderRecipe, Dataset, entry_id
from advae.requests import AutoencoderRequest, NetworkRequest
from tests.entries import forbid_building, spoil

CLF = "clf-000000000000"
SLOPE = np.random.default_rng(0).normal(0, 1, (64, 10)).astype("f4")


def ask(stages: str = "both", **network: Any) -> AutoencoderRequest:
    network = {"epochs": 2, "batch_size": 64} | network
    return AutoencoderRequest(type="cascade", network=NetworkRequest(**network), options={"stages": stages})


def make(dataset: Dataset, request: AutoencoderRequest) -> AutoencoderRecipe:
    protects = None if request.options["stages"] == "reduce" else CLF
    return make_autoencoder_recipe(request, dataset, protects)


def classify(x: Any) -> Any:
    return x @ SLOPE


def fit(dataset: Dataset, recipe: AutoencoderRecipe) -> tuple[Any, Any]:
    lesson = TrainingData(dataset.x_train, dataset.y_train, lambda epoch: None, Behind(classify))
    parts = tuple(fit(dataset, stage)[0] for stage in list_stages(recipe))
    return fit_autoencoder(recipe, replace(lesson, parts=parts))


def restore(dataset: Dataset, recipe: AutoencoderRecipe) -> Purifier:
    return restore_purifier(recipe, fit(dataset, recipe)[0])


def test_its_layers_are_those_of_the_authors(digits: Dataset) -> None:
    recipe = make(digits, ask(hidden=256, code=20))
    shapes = [weight.shape for weight in AUTOENCODERS["cascade"].weights(recipe).values() if len(weight.shape) == 2]
    narrowing = [(64, 256), (256, 128), (128, 64)]
    assert shapes == [*narrowing, *(shape[::-1] for shape in narrowing[::-1]), (64, 20), (20, 64)]
    assert make(digits, ask()).network.hidden == 256
    assert recipe.network.activations == ("linear", "sigmoid", "relu", "sigmoid")
    assert (recipe.loss, recipe.rescale, recipe.options["train_eps"]) == ("squared-error", "none", 0.25)
    assert count_products(recipe) == sum(rows * columns for rows, columns in shapes)


def test_cascades_of_several_codes_have_one_denoiser_and_a_reduction_that_needs_no_classifier(digits: Dataset) -> None:
    small, large = (make(digits, ask(code=code)) for code in (5, 9))
    denoiser, reduction = list_stages(small)
    assert denoiser == list_stages(large)[0] == make(digits, ask("denoise"))
    assert reduction == make(digits, ask("reduce", code=5))
    assert (small.denoiser, small.reduction) == (entry_id(denoiser), entry_id(reduction))
    assert small.parents == (CLF, entry_id(denoiser), entry_id(reduction))
    assert (denoiser.parents, reduction.parents) == ((CLF,), ())
    assert [needs_classifier(one) for one in (small, denoiser, reduction)] == [True, True, False]
    assert [count_passes(one) for one in (small, denoiser, reduction)] == [0, 2, 1]
    assert list_stages(denoiser) == list_stages(reduction) == ()


def test_one_step_lowers_a_margin_by_eps_times_the_slope_and_stays_in_the_range() -> None:
    """On a linear classifier of two classes, whose gradient has one sign everywhere."""
    import tensorflow as tf

    slope = np.random.default_rng(1).normal(0, 1, 30).astype("f4")
    two = np.stack([slope, -slope], axis=1)
    x = np.random.default_rng(2).uniform(0.3, 0.7, (8, 30)).astype("f4")
    y = tf.constant(np.arange(8, dtype="i4") % 2)
    moved = perturb_once(lambda images: images @ two, tf.constant(x), y, 0.25).numpy()
    sign = np.where(np.arange(8) % 2, 1, -1)
    np.testing.assert_allclose((moved - x) @ slope, sign * 0.25 * np.abs(slope).sum(), rtol=1e-4)
    far = perturb_once(lambda images: images @ two, tf.constant(x), y, 1.0).numpy()
    assert set(np.unique(far)) == {0.0, 1.0}


def test_the_denoiser_takes_attacked_images_back_and_the_cascade_is_its_two_parts(digits: Dataset) -> None:
    import tensorflow as tf

    recipe = make(digits, ask(code=5, epochs=12))
    arrays, history = fit(digits, recipe)
    assert history is None
    denoiser, reduction = (restore(digits, stage) for stage in list_stages(recipe))
    whole, x = restore_purifier(recipe, arrays), digits.x_test
    np.testing.assert_array_equal(apply(whole, x), apply(reduction, apply(denoiser, x)))
    code = whole.encode(x[:4]).numpy()
    assert code.shape == (4, 5)
    np.testing.assert_allclose(whole.decode(code).numpy(), whole(x[:4], 0).numpy(), atol=1e-6)
    moved = perturb_once(classify, tf.constant(x), tf.constant(digits.y_test.astype("i4")), 0.25).numpy()
    assert np.square(apply(denoiser, moved) - x).mean() < np.square(moved - x).mean() / 2


@pytest.mark.parametrize("stages", ["both", "denoise"])
def test_it_keeps_the_contract_of_a_purifier(stages: str, digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Same recipe, same bits; shapes; other arrays are refused before anything is built."""
    recipe = make(digits, ask(stages, **({"code": 5} if stages == "both" else {}), epochs=1))
    arrays, _ = fit(digits, recipe)
    again, _ = fit(digits, recipe)
    assert {name: array.tobytes() for name, array in arrays.items()} == {n: a.tobytes() for n, a in again.items()}
    assert AUTOENCODERS["cascade"].weights(recipe) == {name: Weight(array.shape) for name, array in arrays.items()}
    purified = apply(restore_purifier(recipe, arrays), digits.x_test)
    assert purified.shape == digits.x_test.shape
    assert 0 <= purified.min() <= purified.max() <= 1
    forbid_building(monkeypatch)
    for changed in spoil(arrays):
        with pytest.raises(CorruptError, match="do not fit the recipe"):
            restore_purifier(recipe, changed)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (ask("all"), "unknown stages 'all'"),
        (ask("denoise", code=5), "--code-size does not fit --stages denoise"),
        (ask("reduce", hidden=5), "--hidden-size does not fit --stages reduce"),
        (ask("reduce", activations=("relu", "sigmoid", "relu", "sigmoid")), "does not have the first two"),
        (ask("denoise", activations=("relu", "sigmoid", "tanh", "sigmoid")), "does not have the last two"),
        (ask(activations=("relu", "relu", "relu", "sigmoid")), "needs outputs in"),
        (ask().model_copy(update={"rescale": "intensity"}), "--rescale intensity does not fit"),
        (ask().model_copy(update={"loss": "categorical-crossentropy"}), "--loss categorical-crossentropy"),
        (ask().model_copy(update={"options": {"train_eps": 8.0}}), "bad --train-eps 8.0.*did you mean 8/255"),
        (
            AutoencoderRequest(type="cascade", options={"stages": "reduce", "train_eps": 0.2}),
            "--train-eps does not fit --stages reduce",
        ),
    ],
)
def test_what_does_not_fit_is_a_usage_error(request_: AutoencoderRequest, message: str, digits: Dataset) -> None:
    with pytest.raises(UsageError, match=message):
        make_autoencoder_recipe(request_, digits, CLF)


def test_it_needs_a_classifier_and_its_reduction_takes_none(digits: Dataset) -> None:
    for stages in ("both", "denoise"):
        with pytest.raises(UsageError, match=f"--type cascade --stages {stages} needs --protect REF"):
            make_autoencoder_recipe(ask(stages), digits)
    with pytest.raises(UsageError, match="--protect does not fit --type cascade --stages reduce"):
        make_autoencoder_recipe(ask("reduce"), digits, CLF)


@pytest.mark.parametrize(
    ("stages", "change"),
    [
        ("both", {"denoiser": None}),
        ("both", {"reduction": "ae-000000000000"}),
        ("both", {"protects": None}),
        ("both", {"options": {"stages": "both"}}),
        ("both", {"options": {"stages": "all", "train_eps": 0.25}}),
        ("both", {"options": {"stages": "both", "train_eps": 2.0}}),
        ("denoise", {"denoiser": "ae-000000000000"}),
        ("reduce", {"protects": CLF}),
        ("reduce", {"options": {"stages": "reduce", "train_eps": 0.25}}),
        ("reduce", {"rescale": "intensity"}),
        ("denoise", {"network": None}),
    ],
)
def test_a_stored_recipe_that_no_request_can_have_made_is_corrupt(
    stages: str, change: dict[str, Any], digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = make(digits, ask(stages))
    AUTOENCODERS["cascade"].weights(recipe)
    forbid_building(monkeypatch)
    with pytest.raises(CorruptError):
        restore_purifier(recipe.model_copy(update=change), {})


def test_a_stage_with_the_size_of_another_one_is_corrupt(digits: Dataset) -> None:
    recipe = make(digits, ask("reduce", code=5))
    other = recipe.model_copy(update={"network": recipe.network.model_copy(update={"hidden": 7})})
    with pytest.raises(CorruptError, match="names other stages"):
        AUTOENCODERS["cascade"].weights(other)
