"""The Square Attack against what is optimal on linear models, its budget, its queries and its own formulas."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from advae.attacks.goals import Goal
from advae.attacks.square import _both_ways, _place_bump, _window, _window_size, square
from advae.tracing import trace
from tests.attacks.models import binary_model, linear_model, make_goal, run_attack, small_network


def run(goal: Goal, x: Any, eps: float, queries: int) -> Any:
    return run_attack(square, goal, x, eps, queries)


def margins_of(goal: Goal, x: Any) -> Any:
    return goal.look(x, 0)[1].numpy()


def make_safe_samples(n: int, pixels: int, *, bias: float) -> tuple[Any, Any, Any]:
    """Return images, the weights of a linear model that no small perturbation fools, and its logits."""
    rng = np.random.default_rng(0)
    w = rng.normal(size=pixels).astype("f4")
    x = rng.uniform(0.4, 0.6, size=(n, pixels)).astype("f4")
    return x, w, _shift(binary_model(w), bias)


@cache
def _shift(binary: Any, bias: float) -> Any:
    """Return the logits of a model of two classes with a bias: the same function for the same model and bias."""
    import tensorflow as tf

    return lambda images: binary(images) + tf.constant([0.0, bias])


@pytest.mark.parametrize("side", [3, 4, 5])
def test_linf_windows_find_the_corner_that_lowers_a_linear_margin_most(side: int) -> None:
    """eps * ||w||_1 is the most that any attack can do; flips of single pixels reach it, on every edge too."""
    x, w, logits = make_safe_samples(30, side * side, bias=50.0)
    goal = make_goal(logits, np.ones(30))
    moved = run(goal, x, 0.1, 600)
    drop = margins_of(goal, x) - margins_of(goal, moved)
    np.testing.assert_allclose(drop, 0.1 * np.abs(w).sum(), rtol=1e-4)


def test_l2_windows_come_near_the_steepest_direction_of_a_linear_margin() -> None:
    x, w, logits = make_safe_samples(30, 36, bias=50.0)
    goal = make_goal(logits, np.ones(30), norm="l2")
    dual = 0.5 * np.linalg.norm(w)
    few, many = (margins_of(goal, x) - margins_of(goal, run(goal, x, 0.5, queries)) for queries in (20, 1500))
    assert (many <= dual * (1 + 1e-4)).all()
    assert many.mean() > 0.75 * dual
    assert few.mean() < 0.6 * dual


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_ball_is_kept_and_spent(norm: str) -> None:
    x, _w, logits = make_safe_samples(40, 64, bias=50.0)
    goal = make_goal(logits, np.ones(40), norm=norm)
    for eps in (0.01, 0.3):
        change = run(goal, x, eps, 50) - x
        length = np.abs(change).max(axis=1) if norm == "linf" else np.linalg.norm(change, axis=1)
        np.testing.assert_allclose(length, eps, rtol=2e-5)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_black_and_white_pixels_stay_in_the_valid_range(norm: str) -> None:
    rng = np.random.default_rng(1)
    x = rng.integers(0, 2, size=(20, 64)).astype("f4")
    _, _, logits = linear_model(rng, 6, 64)
    moved = run(make_goal(logits, logits(x).numpy().argmax(axis=1), norm=norm), x, 0.3, 60)
    assert moved.min() >= 0.0
    assert moved.max() <= 1.0
    length = np.abs(moved - x).max() if norm == "linf" else np.linalg.norm(moved - x, axis=1).max()
    assert length <= 0.3 + 1e-6


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_model_without_gradient_is_attacked_all_the_same(norm: str) -> None:
    import tensorflow as tf

    rng = np.random.default_rng(2)
    network = small_network(2)
    x = rng.random((40, 36)).astype("f4")
    y = network(x).numpy().argmax(axis=1)

    def opaque(images: Any) -> Any:
        logits = tf.numpy_function(lambda given: network(given).numpy(), [images], tf.float32)
        return tf.ensure_shape(logits, (None, 10))

    eps = 0.2 if norm == "linf" else 1.0
    through, direct = (run(make_goal(model, y, norm=norm), x, eps, 200) for model in (opaque, network))
    np.testing.assert_array_equal(through, direct)
    assert (network(through).numpy().argmax(axis=1) != y).mean() > 0.5


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_misclassified_sample_gets_no_more_queries(norm: str) -> None:
    """Counts the rows of every query: each sample's last one is the one that is a success."""
    import tensorflow as tf

    rng = np.random.default_rng(3)
    _, _, logits = linear_model(rng, 5, 36)
    x = rng.random((50, 36)).astype("f4")
    y = logits(x).numpy().argmax(axis=1)
    y[:10] = (y[:10] + 1) % 5
    asked: list[Any] = []

    def note(images: Any) -> Any:
        asked.append(images)
        return images

    def noted(images: Any) -> Any:
        return logits(tf.ensure_shape(tf.numpy_function(note, [images], tf.float32), (None, 36)))

    moved = run(make_goal(noted, y, norm=norm), x, 0.1 if norm == "linf" else 0.4, 80)
    np.testing.assert_array_equal(moved[:10], x[:10])
    assert [len(images) for images in asked[:2]] == [50, 40]
    left = [len(images) for images in asked[1:]]
    assert left == sorted(left, reverse=True)
    misclassified = int((logits(moved).numpy().argmax(axis=1) != y).sum())
    assert 10 < misclassified < 50
    assert len(asked) == 81
    assert left[-1] >= 50 - misclassified


def test_the_search_ends_with_the_last_sample() -> None:
    import tensorflow as tf

    x, y = np.full((4, 9), 0.5, "f4"), np.zeros(4)
    looks = tf.Variable(0)

    def logits(images: Any) -> Any:
        looks.assign_add(1)
        mean = tf.reduce_mean(images, axis=-1, keepdims=True)
        return tf.concat([0.0 * mean, tf.abs(mean - 0.5) - 0.01], axis=-1)

    run(make_goal(logits, y), x, 0.2, 1000)
    assert looks.numpy() < 20


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_more_queries_never_leave_a_higher_margin(norm: str) -> None:
    """Sample by sample against x itself and a single query; on the mean for every longer search."""
    rng = np.random.default_rng(4)
    network = small_network(2)
    x = rng.random((60, 36)).astype("f4")
    goal = make_goal(network, network(x).numpy().argmax(axis=1), norm=norm)
    found = [margins_of(goal, run(goal, x, 0.02 if norm == "linf" else 0.1, n)) for n in (1, 10, 100, 1000)]
    assert (found[0] <= margins_of(goal, x)).all()
    assert (found[-1] <= found[0]).all()
    means = [margins.mean() for margins in found]
    assert means == sorted(means, reverse=True)
    assert means[-1] < means[0]


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_same_seed_gives_the_same_bits_with_any_other_samples(norm: str) -> None:
    x, _w, logits = make_safe_samples(20, 36, bias=50.0)
    goal = make_goal(logits, np.ones(20), norm=norm)
    once = run(goal, x, 0.1, 40)
    np.testing.assert_array_equal(once, run(goal, x, 0.1, 40))
    assert (once != run(make_goal(logits, np.ones(20), norm=norm, seed=1), x, 0.1, 40)).any(axis=1).all()
    half = make_goal(logits, np.arange(20) % 2, norm=norm)
    np.testing.assert_allclose(run(half, x, 0.1, 40)[1::2], once[1::2], atol=1e-6)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_one_trace_serves_every_eps_and_every_number_of_queries(norm: str) -> None:
    import tensorflow as tf

    x, _w, logits = make_safe_samples(10, 36, bias=50.0)
    traces = []

    def attack(eps: Any, steps: Any) -> Any:
        traces.append(1)
        return square(make_goal(logits, np.ones(10), norm=norm), tf.constant(x), eps=eps, step_size=eps, steps=steps)

    compiled = trace(attack)
    for eps, queries in ((0.1, 3), (0.2, 3), (0.2, 30)):
        compiled(tf.constant(eps), tf.constant(queries))
    assert len(traces) == 1


def test_a_targeted_goal_and_bounds_of_each_sample_are_kept() -> None:
    """The most that a linear margin can fall where some pixels may rise by less than eps."""
    import tensorflow as tf

    x, w, logits = make_safe_samples(30, 16, bias=-50.0)
    room = np.random.default_rng(5).uniform(0.0, 0.2, size=x.shape).astype("f4")
    goal = replace(make_goal(logits, np.ones(30), targeted=True), upper=tf.constant(x + room))
    moved = run(goal, x, 0.1, 600)
    most = np.where(w > 0, w * np.minimum(room, 0.1), -0.1 * w).sum(axis=1)
    np.testing.assert_allclose(margins_of(goal, x) - margins_of(goal, moved), most, rtol=1e-4)


def test_windows_shrink_as_the_paper_says() -> None:
    """p = 0.8, halved after 10, 50, 200, 500, 1000, 2000, 4000, 6000 and 8000 of 10,000 queries."""
    import tensorflow as tf

    def size(query: int, steps: int) -> int:
        return int(_window_size(tf.constant(query), tf.constant(steps), (28, 28, 1)))

    for halvings, after in enumerate((0, 11, 51, 201, 501, 1001, 2001, 4001, 6001, 8001)):
        expected = max(round(np.sqrt(0.8 / 2**halvings) * 28), 1)
        assert size(after + 1, 10_000) == expected
    assert size(502, 10_000) == size(52, 1000) == size(7, 100)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 6, 9])
def test_a_bump_is_the_papers_eta(size: int) -> None:
    """Loops over the nested rectangles of algorithm 3, for the half above and the half below."""
    expected = np.zeros((size, size))
    for top, height, sign in ((0, size // 2, 1.0), (size // 2, size - size // 2, -1.0)):
        half = np.zeros((height, size))
        for k in range(size + 1):
            if k > max(height // 2, size // 2):
                break
            rows = range(max(height // 2 - k, 0), min(height // 2 + k + 1, height))
            for row in rows:
                half[row, max(size // 2 - k, 0) : min(size // 2 + k + 1, size)] += 1.0 / (k + 1) ** 2
        if height:
            expected[top : top + height] = sign * half / np.linalg.norm(half)
    expected /= np.linalg.norm(expected)
    upright, lying = _both_ways(size)
    np.testing.assert_allclose(upright, expected, atol=1e-6)
    np.testing.assert_array_equal(lying, upright.T)


def test_a_bump_lies_in_its_window_and_nowhere_else() -> None:
    import tensorflow as tf

    down, right = tf.constant([0, 1, 3, 3]), tf.constant([0, 2, 0, 3])
    for size in (3, 5):
        corners = (tf.minimum(down, 7 - size), tf.minimum(right, 7 - size))
        placed = _place_bump(*corners, tf.constant(size), (7, 7, 1), tf.constant([0.9, 0.1, 0.9, 0.1]))
        window = _window(*corners, tf.constant(size), (7, 7, 1))
        np.testing.assert_array_equal(placed.numpy() != 0.0, window.numpy())
        for i, way in enumerate((0, 1, 0, 1)):
            image = np.zeros((7, 7), "f4")
            top, left = int(corners[0][i]), int(corners[1][i])
            image[top : top + size, left : left + size] = _both_ways(size)[way]
            np.testing.assert_array_equal(placed[i].numpy().reshape(7, 7), image)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("side", [1, 2, 3, 8])
def test_images_of_every_size_are_attacked(norm: str, side: int) -> None:
    x, _w, logits = make_safe_samples(5, side * side, bias=50.0)
    goal = make_goal(logits, np.ones(5), norm=norm)
    moved = run(goal, x, 0.1, 100)
    assert np.isfinite(moved).all()
    assert (margins_of(goal, moved) < margins_of(goal, x)).all()


SHAPES = [(4, 4, 3), (3, 6, 1), (5, 3, 3), (1, 4, 3), (12, 7, 3)]


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_colour_and_oblong_images_are_attacked(norm: str, shape: tuple[int, int, int]) -> None:
    x, _w, logits = make_safe_samples(5, int(np.prod(shape)), bias=50.0)
    goal = make_goal(logits, np.ones(5), norm=norm, shape=shape)
    moved = run(goal, x, 0.1, 100)
    change = moved - x
    length = np.abs(change).max(axis=1) if norm == "linf" else np.linalg.norm(change, axis=1)
    np.testing.assert_allclose(length, 0.1, rtol=2e-5)
    assert (margins_of(goal, moved) < margins_of(goal, x)).all()


@pytest.mark.parametrize("shape", [(3, 3, 3), (4, 3, 3), (2, 5, 3)], ids=str)
def test_windows_over_all_channels_find_the_corner_that_lowers_a_linear_margin_most(shape: tuple[int, ...]) -> None:
    """A channel has a sign of its own, so that flips of single pixels reach every corner of the ball."""
    x, w, logits = make_safe_samples(30, int(np.prod(shape)), bias=50.0)
    goal = make_goal(logits, np.ones(30), shape=shape)
    drop = margins_of(goal, x) - margins_of(goal, run(goal, x, 0.1, 1500))
    np.testing.assert_allclose(drop, 0.1 * np.abs(w).sum(), rtol=1e-4)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_step_changes_whole_windows_of_all_channels(norm: str) -> None:
    """Of the second query only: where a pixel changes, its channels change; what changes is a rectangle or two."""
    shape = (6, 8, 3)
    x, _w, logits = make_safe_samples(40, 144, bias=50.0)
    goal = make_goal(logits, np.ones(40), norm=norm, shape=shape)
    first, second = (run(goal, x, 0.1, queries).reshape(-1, *shape) for queries in (1, 2))
    changed = np.abs(second - first) > 1e-6
    improved = changed.any(axis=(1, 2, 3))
    assert improved.sum() > 5
    for pixels in changed.any(axis=-1)[improved]:
        rows, columns = pixels.any(axis=1), pixels.any(axis=0)
        if norm == "linf":
            np.testing.assert_array_equal(pixels, rows[:, None] & columns[None])


def test_l2_windows_in_colour_come_near_the_steepest_direction_of_a_linear_margin() -> None:
    """Less near than in grey, since a query of algorithm 3 changes all channels, for better or worse, at once."""
    x, w, logits = make_safe_samples(30, 48, bias=50.0)
    goal = make_goal(logits, np.ones(30), norm="l2", shape=(4, 4, 3))
    drop = margins_of(goal, x) - margins_of(goal, run(goal, x, 0.5, 2000))
    dual = 0.5 * np.linalg.norm(w)
    assert (drop <= dual * (1 + 1e-4)).all()
    assert drop.mean() > 0.55 * dual
