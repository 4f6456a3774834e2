"""Decision surfaces: the plane of an affine pipeline against its formula, and which images are looked at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from advae.errors import AdvaeError
from advae.evaluation.decision_surface import (
    LARGEST_MARGIN,
    PlaneImages,
    choose_images,
    fix_randomness,
    measure_surfaces,
    place_steps,
)
from advae.records import Dataset
from advae.threats import Pipeline
from tests.entries import make_surface_recipe

PIXELS, CLASSES = 20, 3


def make_affine(seed: int = 0) -> tuple[Pipeline, np.ndarray[Any, Any]]:
    """Return an affine pipeline and its weights."""
    import tensorflow as tf

    weights = np.random.default_rng(seed).normal(size=(PIXELS, CLASSES)).astype("float32")
    return Pipeline(lambda x: tf.matmul(x, weights)), weights


def draw_images(weights: np.ndarray[Any, Any], n: int = 4) -> PlaneImages:
    """Return random images in the middle of the range, labelled as the weights classify them."""
    x = np.random.default_rng(1).uniform(0.4, 0.6, (n, PIXELS)).astype("float32")
    return PlaneImages(np.arange(n) * 7, x, (x @ weights).argmax(axis=1), ())


def test_the_surface_of_an_affine_pipeline_is_its_formula() -> None:
    pipeline, weights = make_affine()
    images = draw_images(weights)
    found = measure_surfaces(pipeline, images, make_surface_recipe(points=5, radius=0.3))
    steps, own = place_steps(0.3, 5), np.eye(CLASSES)[images.y]
    logits = images.x.astype(float) @ weights
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    up = np.sign((chances - own) @ weights.T)
    for place, label in enumerate(images.y):
        row = found.margins[place]
        # Nothing is clipped within 0.3 along one axis alone.
        for a, value in zip(steps, row[2], strict=True):
            z = (images.x[place] + a * up[place]) @ weights
            assert value == pytest.approx(z[label] - np.delete(z, label).max(), abs=1e-4)
        z = (images.x[place] + 0.0) @ weights
        assert row[2, 2] == pytest.approx(z[label] - np.delete(z, label).max(), abs=1e-4)
    assert not found.zero_gradient.any()
    assert (found.margins[:, 2, 0] > found.margins[:, 2, 4]).all(), "up the gradient the class loses its lead"


def test_the_random_direction_has_signs_only_and_belongs_to_the_image_and_the_seed() -> None:
    pipeline, weights = make_affine()
    images = draw_images(weights)
    first = measure_surfaces(pipeline, images, make_surface_recipe(seed=1))
    again = measure_surfaces(
        pipeline, PlaneImages(images.ids[1:], images.x[1:], images.y[1:], ()), make_surface_recipe(seed=1)
    )
    other = measure_surfaces(pipeline, images, make_surface_recipe(seed=2))
    np.testing.assert_allclose(first.margins[1:], again.margins, atol=1e-5)
    assert np.abs(first.margins[:, 0, 2] - other.margins[:, 0, 2]).max() > 1e-3
    # Along b = 0 the random direction does not matter.
    np.testing.assert_allclose(first.margins[:, 2], other.margins[:, 2], atol=1e-5)


def test_points_are_clipped_to_valid_images_unless_asked_otherwise() -> None:
    pipeline, weights = make_affine()
    images = draw_images(weights)
    clipped = measure_surfaces(pipeline, images, make_surface_recipe(radius=1.0))
    free = measure_surfaces(pipeline, images, make_surface_recipe(radius=1.0, clip=False))
    assert clipped.outside == free.outside > 0.5
    assert np.abs(free.margins).max() > np.abs(clipped.margins).max()
    inside = measure_surfaces(pipeline, images, make_surface_recipe(radius=0.1))
    assert inside.outside == 0.0


def test_points_in_several_batches_are_the_same_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline, weights = make_affine()
    images, done = draw_images(weights), list[tuple[int, int]]()
    once = measure_surfaces(pipeline, images, make_surface_recipe())
    monkeypatch.setattr("advae.evaluation.decision_surface.PLANE_VALUES", 7 * PIXELS)
    several = measure_surfaces(pipeline, images, make_surface_recipe(), lambda *place: done.append(place))
    np.testing.assert_allclose(once.margins, several.margins, atol=1e-5)
    assert once.outside == pytest.approx(several.outside)
    assert done == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_masked_gradient_is_counted_and_its_plane_is_a_line() -> None:
    import tensorflow as tf

    pipeline, weights = make_affine()
    masked = Pipeline(lambda x: tf.round(pipeline.classify(x) * 4))
    found = measure_surfaces(masked, draw_images(weights), make_surface_recipe())
    assert found.zero_gradient.all()
    assert (found.margins == found.margins[:, :, :1]).all()


def test_a_gradient_or_a_logit_that_is_not_finite_is_no_number_of_the_surface() -> None:
    import tensorflow as tf

    pipeline, weights = make_affine()
    broken = Pipeline(lambda x: tf.where(x[:, :1] > 0.61, float("nan"), pipeline.classify(x)))
    found = measure_surfaces(broken, draw_images(weights), make_surface_recipe())
    assert np.isfinite(found.margins).all()
    assert found.margins.min() == np.float32(-LARGEST_MARGIN)
    endless = Pipeline(lambda x: pipeline.classify(x) * (1.0 + tf.sqrt(tf.nn.relu(x[:, :1] - 1.0))))
    assert measure_surfaces(endless, draw_images(weights), make_surface_recipe()).zero_gradient.all()


def test_a_random_purifier_has_one_draw_for_all_points() -> None:
    import tensorflow as tf

    pipeline, weights = make_affine()

    def purify(x: Any, draw: Any) -> Any:
        return x + 0.3 * tf.random.stateless_normal(tf.shape(x), (draw, 5))

    random = Pipeline(pipeline.classify, purify=purify, samples=True)
    images = draw_images(weights)
    first = measure_surfaces(random, images, make_surface_recipe(seed=3))
    again = measure_surfaces(random, images, make_surface_recipe(seed=3))
    np.testing.assert_array_equal(first.margins, again.margins)
    drawn = images.x[:1] + 0.3 * tf.random.stateless_normal((1, PIXELS), (3, 5)).numpy()
    z = (drawn @ weights)[0]
    assert first.margins[0, 2, 2] == pytest.approx(z[images.y[0]] - np.delete(z, images.y[0]).max(), abs=1e-4)
    assert not fix_randomness(random).samples
    assert fix_randomness(pipeline) is pipeline


def test_the_first_image_of_each_class_that_all_classify_correctly_is_looked_at(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow as tf

    # In batches, of which the first ones may have all classes.
    monkeypatch.setattr("advae.evaluation.decision_surface.BATCH", 50)
    first_ids = [int(np.flatnonzero(digits.y_test == label)[0]) for label in range(10)]
    x = digits.x_test
    table = tf.constant(x)
    labels = tf.constant(digits.y_test)

    def know(misses: list[int], never: int | None = None) -> Pipeline:
        """Return a pipeline that knows the label of each test image, but for some images and one class."""
        known = np.array(digits.y_test)
        known[misses] = (known[misses] + 1) % 10
        if never is not None:
            known[known == never] = (never + 1) % 10

        def answer(asked: Any) -> Any:
            far = tf.reduce_sum((asked[:, None] - table[None]) ** 2, axis=-1)
            return tf.one_hot(tf.gather(tf.constant(known), tf.argmin(far, axis=1)), 10)

        return Pipeline(answer)

    assert len(labels) == len(x)
    everything = choose_images([know([])], digits, range(10), 0)
    assert everything.ids.tolist() == first_ids
    assert everything.missing == ()
    two = choose_images([know([first_ids[2]]), know([first_ids[5]], never=7)], digits, range(10), 0)
    seconds = {label: int(np.flatnonzero(digits.y_test == label)[1]) for label in (2, 5)}
    assert two.ids.tolist() == [seconds.get(label, first_ids[label]) for label in range(10) if label != 7]
    assert two.missing == (7,)
    assert two.y.tolist() == [label for label in range(10) if label != 7]


def test_what_gives_scores_only_and_no_image_at_all_are_no_surface() -> None:
    pipeline, weights = make_affine()
    with pytest.raises(AdvaeError, match="scores only"):
        measure_surfaces(Pipeline(pipeline.classify, scores_only=True), draw_images(weights), make_surface_recipe())
    nothing = PlaneImages(np.empty(0, int), np.empty((0, PIXELS), np.float32), np.empty(0, int), (0, 1, 2))
    assert measure_surfaces(pipeline, nothing, make_surface_recipe()).margins.shape == (0, 5, 5)


def test_the_image_itself_is_the_middle_of_the_steps() -> None:
    for radius in (0.3, 8 / 255, 1 / 3):
        steps = place_steps(radius, 41)
        assert steps[20] == 0.0
        assert steps[-1] == pytest.approx(radius)
        np.testing.assert_array_equal(steps, -steps[::-1])
