"""The shared loop: padded batches, held-out images, divergence, one trace."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from advae.errors import DivergedError
from advae.models import classifiers, purifiers
from advae.models.fitting import WARMUP_PARTS, Epoch, _warm_up_and_decay, train
from advae.models.held_out import needs_each_class, split
from advae.models.layers import dense_stack
from advae.records import Dataset, NetworkOptions
from advae.requests import AutoencoderRequest, ClassifierRequest


def make_options(**changes: Any) -> NetworkOptions:
    activations = ("relu", "relu", "relu", "relu")
    defaults = {"hidden": 4, "code": 2, "epochs": 3, "batch_size": 32, "learning_rate": 1e-3}
    return NetworkOptions(activations=activations, **(defaults | changes))


def fit_mean(x: Any, options: NetworkOptions, seed: int = 0, labels: Any = None) -> tuple[Any, list[Epoch], list[int]]:
    """Train one dense layer to reproduce x, and count how often its loss is traced. labels: None for one class."""
    import tensorflow as tf

    network = dense_stack((x.shape[1],) * 2, ("linear",), seed=seed)
    epochs: list[Epoch] = []
    traces = []

    def loss(batch: Any, weights: Any, seed: Any) -> Any:
        traces.append(1)
        errors = tf.reduce_mean(tf.square(network(batch[0]) - batch[0]), axis=-1)
        return tf.reduce_sum(errors * weights) / tf.reduce_sum(weights)

    classes = np.zeros(len(x), int) if labels is None else labels
    history = train(loss, (network,), (x,), classes, options=options, seed=seed, on_epoch=epochs.append)
    return (network, history), epochs, traces


def test_history_and_progress_say_the_same_and_the_loss_falls() -> None:
    x = np.random.default_rng(0).random((200, 6)).astype("f4")
    (_, history), epochs, traces = fit_mean(x, make_options(epochs=5, learning_rate=0.05))
    assert [epoch.loss for epoch in epochs] == list(history.loss)
    assert [epoch.number for epoch in epochs] == [1, 2, 3, 4, 5]
    assert history.loss[-1] < history.loss[0]
    # One trace to train, one to measure: epochs, and the short last batch, add none.
    assert len(traces) == 2


@pytest.mark.parametrize("n", [21, 33, 97])
def test_the_short_last_batch_counts_by_its_size(n: int) -> None:
    """At a vanishing learning rate the epoch's loss is the mean over all trained-on images, whatever the batch.

    After the held-out ones are taken away, 20, 32 and 93: less than a batch of 32, exactly one, and a short third one.
    """
    x = np.random.default_rng(n).random((n, 5)).astype("f4")
    losses = [
        fit_mean(x, make_options(epochs=1, learning_rate=1e-12, batch_size=size))[0][1].loss[0] for size in (7, 32, 500)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert losses[0] == pytest.approx(losses[2], rel=1e-5)


def test_held_out_images_are_a_twentieth_and_not_trained_on() -> None:
    """An image seen only in validation must not move the weights."""
    rng = np.random.default_rng(5)
    x = rng.random((100, 4)).astype("f4")
    held_out = np.random.default_rng([0, 0]).permutation(100)[:5]
    changed = x.copy()
    changed[held_out] += 100
    (first, history), _, _ = fit_mean(x, make_options())
    (second, other), _, _ = fit_mean(changed, make_options())
    np.testing.assert_array_equal(first.get_weights()[0], second.get_weights()[0])
    assert history.loss == other.loss
    assert history.validation_loss != other.validation_loss
    # Unless it is all that there is of its class.
    labels = np.isin(np.arange(100), held_out[2]).astype(int)
    (third, _), _, _ = fit_mean(changed, make_options(), labels=labels)
    assert not np.array_equal(first.get_weights()[0], third.get_weights()[0])


def draw_as_before(n: int, seed: int) -> tuple[Any, Any]:
    order, held_out = np.random.default_rng([seed, 0]).permutation(n), max(1, n // 20)
    return order[held_out:], order[:held_out]


@pytest.mark.parametrize("seed", range(20))
def test_each_class_is_trained_on_and_no_other_split_changes(seed: int) -> None:
    """A class of one image, and one of two, among 60: three are held out."""
    labels = np.array([0] * 30 + [1] * 27 + [2] * 2 + [3])
    kept, held_out = split(labels, seed)
    assert sorted([*kept, *held_out]) == list(range(60))
    assert len(held_out) == 3
    assert set(labels[kept]) == {0, 1, 2, 3}
    before = draw_as_before(60, seed)
    fair = set(labels[before[0]]) == {0, 1, 2, 3}
    assert needs_each_class(labels, seed) is (None if fair else True)
    assert fair == (np.array_equal(kept, before[0]) and np.array_equal(held_out, before[1]))


def test_some_of_these_splits_held_out_a_whole_class() -> None:
    labels = np.array([0] * 30 + [1] * 27 + [2] * 2 + [3])
    assert 0 < sum(needs_each_class(labels, seed) is True for seed in range(20)) < 20


def test_where_each_class_has_one_image_it_is_trained_on_and_held_out() -> None:
    kept, held_out = split(np.arange(3), 0)
    assert sorted(kept) == [0, 1, 2]
    assert len(held_out) == 1


def test_the_recipe_says_where_the_split_changed_and_no_other_changes(digits: Dataset) -> None:
    """Also of what was trained along: it is named after its autoencoder."""
    rare = digits.y_train.copy()
    rare[rare == 9] = 8
    rare[draw_as_before(len(rare), 0)[1][0]] = 9
    changed = dataclasses.replace(digits, y_train=rare)
    for type_, expected in (("vanilla", True), ("robust", True), ("pca", None), ("blur", None)):
        asked = AutoencoderRequest(type=type_)
        assert "each_class" not in purifiers.make_autoencoder_recipe(asked, digits).model_dump()
        assert purifiers.make_autoencoder_recipe(asked, changed).each_class is expected
    for model, expected in (("nn", True), ("mlp", True), ("lr", None)):
        request = ClassifierRequest(model=model)
        assert "each_class" not in classifiers.make_classifier_recipe(request, digits, None).model_dump()
        assert classifiers.make_classifier_recipe(request, changed, None).each_class is expected


def test_divergence_names_the_epoch() -> None:
    x = np.full((100, 4), 1e30, "f4")
    with pytest.raises(DivergedError, match="in epoch 1 of 3"):
        fit_mean(x, make_options())
    assert DivergedError.exit_code == 8


def test_same_seed_same_bits_and_another_seed_another_order() -> None:
    x = np.random.default_rng(6).random((120, 4)).astype("f4")
    weights = [fit_mean(x, make_options(), seed)[0][0].get_weights()[0] for seed in (1, 1, 2)]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])
    assert not math.isnan(weights[0].sum())


def test_the_learning_rate_rises_first_and_falls_to_nothing() -> None:
    steps = 200
    schedule = _warm_up_and_decay(3e-3, steps)
    rates = [float(schedule(step)) for step in range(steps + 1)]
    top = steps // WARMUP_PARTS
    assert rates[0] == 0
    assert rates[top] == max(rates) == pytest.approx(3e-3)
    np.testing.assert_allclose(rates[: top + 1], np.linspace(0, 3e-3, top + 1), rtol=1e-5)
    # Half a cosine: half of it half way, and nothing at the end.
    assert rates[(top + steps) // 2] == pytest.approx(1.5e-3, rel=0.02)
    assert all(later < earlier for earlier, later in zip(rates[top:], rates[top + 1 :], strict=False))
    assert rates[-1] == pytest.approx(0, abs=1e-9)


def test_a_training_of_fewer_steps_than_it_would_rise_in_begins_at_the_top() -> None:
    schedule = _warm_up_and_decay(1e-3, WARMUP_PARTS - 1)
    assert float(schedule(0)) == pytest.approx(1e-3)
    assert float(schedule(WARMUP_PARTS - 1)) == pytest.approx(0, abs=1e-9)
