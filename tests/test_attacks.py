"""Attacks against exact oracles: margins of linear models, CleverHans' own loop, the paper's formulas."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from advae.attacks import ATTACKS, find_attack, find_loss, list_attacks
from advae.attacks.gradient_sign import bim, fgsm
from advae.attacks.linear import (
    linear_direction,
    natural_targets,
    non_natural_targets,
    paper_direction,
    scaled_direction,
)
from advae.attacks.losses import LOSSES
from advae.errors import UsageError
from advae.tracing import trace
from tests.attacks.models import linear_model, make_goal, small_network


def test_fgsm_lowers_the_margin_of_a_linear_model_by_eps_times_the_l1_norm() -> None:
    import tensorflow as tf

    rng = np.random.default_rng(0)
    w = rng.normal(size=(50, 1)).astype("f4")
    x = rng.uniform(0.3, 0.7, size=(20, 50)).astype("f4")
    y = rng.integers(0, 2, size=20)

    def logits(images: Any) -> Any:
        z = images @ tf.constant(w)
        return tf.concat([tf.zeros_like(z), z], axis=-1)

    eps = 0.05
    moved = fgsm(make_goal(logits, y), tf.constant(x), eps=tf.constant(eps)).numpy()
    sign = np.where(y == 1, 1.0, -1.0)
    drop = sign * (x @ w)[:, 0] - sign * (moved @ w)[:, 0]
    np.testing.assert_allclose(drop, eps * np.abs(w).sum(), rtol=1e-5)


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("eps", [0.0, 0.1, 0.5])
def test_bim_is_bit_equal_to_cleverhans_own_eager_loop(eps: float, targeted: bool) -> None:
    import tensorflow as tf
    from cleverhans.tf2.attacks.projected_gradient_descent import projected_gradient_descent

    rng = np.random.default_rng(1)
    network = small_network(1)
    x, y = tf.constant(rng.random((30, 36)).astype("f4")), rng.integers(0, 10, 30)
    goal = make_goal(network, y, targeted=targeted, loss="ce")
    steps, size = 7, eps / 7
    compiled = trace(lambda e, s, n: bim(goal, x, eps=e, step_size=s, steps=n))
    ours = compiled(tf.constant(eps), tf.constant(size), tf.constant(steps))
    theirs = projected_gradient_descent(
        network,
        x,
        tf.constant(eps),
        tf.constant(size),
        steps,
        np.inf,
        loss_fn=LOSSES["ce"],
        clip_min=0.0,
        clip_max=1.0,
        y=tf.constant(y),
        targeted=targeted,
    )
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def loop_over_the_formula(w: Any, b: Any, x: Any, y: int, target: int | None) -> Any:
    """g for one sample, as the paper writes it, in float64 and with loops."""
    z = w @ x + b
    p = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
    mean = sum(p[c] * w[c] for c in range(len(w)))
    if target is not None:
        return w[target] - mean
    return sum(((1.0 if k != y else 0.0) * (w[k] - mean) for k in range(len(w))), start=np.zeros_like(x))


@pytest.mark.parametrize("target", [None, 3])
@pytest.mark.parametrize("unclipped", [False, True])
def test_linear_attacks_equal_the_per_sample_formula(target: int | None, unclipped: bool) -> None:
    import tensorflow as tf

    rng = np.random.default_rng(2)
    weights, bias, logits = linear_model(rng, 5, 40)
    x, y = rng.random((25, 40)).astype("f4"), rng.integers(0, 5, 25)
    labels = y if target is None else np.full(25, target)
    goal = make_goal(logits, labels, targeted=target is not None)
    direct = paper_direction if unclipped else scaled_direction
    moved = x + 0.2 * direct(goal, tf.constant(x)).numpy()
    for i in range(25):
        g = loop_over_the_formula(weights.astype("f8"), bias.astype("f8"), x[i].astype("f8"), int(y[i]), target)
        expected = x[i] + 0.2 * g / (g.max() if unclipped else np.abs(g).max())
        np.testing.assert_allclose(moved[i], expected, atol=2e-5)


def test_linear_direction_through_a_purifier_agrees_with_finite_differences() -> None:
    """The vector-Jacobian product through an autoencoder, rescaling included, in a smooth case."""
    import tensorflow as tf

    from advae.models.autoencoder_networks import rescale_to_intensity
    from advae.models.layers import dense_stack

    rng = np.random.default_rng(3)
    _weights, _bias, logits = linear_model(rng, 4, 16)
    coder = dense_stack((16, 12, 16), ("tanh", "softplus"), seed=3)
    x = rng.uniform(0.4, 0.6, size=(6, 16)).astype("f4")
    y = rng.integers(0, 4, 6)

    def pipeline(images: Any) -> Any:
        return logits(rescale_to_intensity(images, coder(images)))

    def objective(images: Any) -> Any:
        log_p = tf.nn.log_softmax(pipeline(tf.constant(images.astype("f4")))).numpy().astype("f8")
        return (log_p * (np.arange(4) != y[:, None])).sum(axis=1)

    g = linear_direction(make_goal(pipeline, y), tf.constant(x)).numpy()
    for _ in range(5):
        direction = rng.normal(size=x.shape)
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        h = 0.02
        slope = (objective(x + h * direction) - objective(x - h * direction)) / (2 * h)
        np.testing.assert_allclose((g * direction).sum(axis=1), slope, rtol=0.02, atol=0.02)


def test_the_default_loss_keeps_its_gradient_where_plain_cross_entropy_saturates() -> None:
    import tensorflow as tf

    rng = np.random.default_rng(4)
    weights, _bias, _ = linear_model(rng, 10, 30)
    x = tf.constant(rng.random((40, 30)).astype("f4"))
    huge = tf.constant(1e5 * weights.T)

    def logits(images: Any) -> Any:
        return images @ huge

    y = logits(x).numpy().argmax(axis=1)
    zero = {
        name: (ATTACKS["fgsm"].gradient(make_goal(logits, y, loss=name), x).numpy() == 0).all(axis=1).mean()
        for name in ("ce", "scaled")
    }
    assert zero["ce"] > 0.9
    assert zero["scaled"] == 0.0


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_are_per_example_and_finite_for_zero_logits(loss: str) -> None:
    import tensorflow as tf

    values = LOSSES[loss](tf.constant([0, 1]), tf.zeros((2, 3))).numpy()
    np.testing.assert_allclose(values, np.log(3) if loss in ("ce", "scaled") else 0.0, rtol=1e-6)


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_margin_and_dlr_are_their_formulas(classes: int) -> None:
    import tensorflow as tf

    rng = np.random.default_rng(6)
    logits, labels = rng.normal(size=(40, classes)).astype("f4"), rng.integers(0, classes, 40)
    for z, y, margin, dlr in zip(
        logits,
        labels,
        LOSSES["margin"](tf.constant(labels), tf.constant(logits)).numpy(),
        LOSSES["dlr"](tf.constant(labels), tf.constant(logits)).numpy(),
        strict=True,
    ):
        expected = max(np.delete(z, y)) - z[y]
        ranked = np.sort(z)[::-1]
        assert margin == pytest.approx(expected, abs=1e-6)
        # With two classes the ratio would be constant.
        assert dlr == pytest.approx(expected / (ranked[0] - ranked[2]) if classes > 2 else expected, rel=1e-4)
    if classes > 2:
        moved = LOSSES["dlr"](tf.constant(labels), tf.constant(1e4 * logits + 7)).numpy()
        np.testing.assert_allclose(moved, LOSSES["dlr"](tf.constant(labels), tf.constant(logits)).numpy(), rtol=1e-2)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_has_a_gradient_with_few_classes(loss: str, classes: int) -> None:
    import tensorflow as tf

    logits = tf.constant([[2.0, 0.5, 1.0][:classes]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = LOSSES[loss](tf.constant([0]), logits)
    assert np.abs(tape.gradient(value, logits).numpy()).max() > 1e-2


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("name", ["pgd", "mim", "apgd"])
def test_an_iterative_attack_lowers_a_linear_margin_by_eps_times_the_dual_norm(name: str, norm: str) -> None:
    """The most that any attack can do, and on a linear model every one of them must do it."""
    import tensorflow as tf

    rng = np.random.default_rng(7)
    w = rng.normal(size=(50, 1)).astype("f4")
    x, y = rng.uniform(0.4, 0.6, size=(20, 50)).astype("f4"), rng.integers(0, 2, size=20)

    def logits(images: Any) -> Any:
        z = images @ tf.constant(w)
        return tf.concat([tf.zeros_like(z), z], axis=-1)

    eps, steps = 0.05, 60
    goal = replace(make_goal(logits, y, loss="margin"), norm=norm, seed=tf.constant([1, 2]))
    # A step that does not shorten with their number, so that what a random start put aside is walked off.
    loop = {"step_size": tf.constant(eps / 2), "steps": tf.constant(steps)}
    compiled = trace(lambda images: ATTACKS[name].run(goal, images, eps=tf.constant(eps), **loop))
    moved = compiled(tf.constant(x)).numpy()
    sign = np.where(y == 1, 1.0, -1.0)
    drop = sign * (x @ w)[:, 0] - sign * (moved @ w)[:, 0]
    dual = np.abs(w).sum() if norm == "linf" else np.linalg.norm(w)
    np.testing.assert_allclose(drop, eps * dual, rtol=0.01)


@pytest.mark.parametrize("name", ["pgd", "mim", "apgd"])
def test_a_success_during_the_iterations_is_returned(name: str) -> None:
    """A class that is met only half-way: the last iterate is back where the label is right."""
    import tensorflow as tf

    x, y = np.full((4, 9), 0.1, "f4"), np.zeros(4, "i8")

    def logits(images: Any) -> Any:
        mean = tf.reduce_mean(images, axis=-1, keepdims=True)
        return tf.concat([tf.where((mean > 0.3) & (mean < 0.4), 0.0, 5.0) + 0.0 * mean, 1.0 + mean], axis=-1)

    goal = replace(make_goal(logits, y, loss="margin"), seed=tf.constant([0, 0]))
    moved = ATTACKS[name].run(
        goal, tf.constant(x), eps=tf.constant(0.5), step_size=tf.constant(0.05), steps=tf.constant(16)
    )
    if name != "apgd":
        assert (logits(moved).numpy().argmax(axis=1) == 1).all()
    else:
        assert (goal.look(moved, 0)[1].numpy() <= goal.look(tf.constant(x), 0)[1].numpy()).all()


def test_natural_targets_are_the_most_and_the_least_frequent_mistake_ties_to_the_lowest_label() -> None:
    confusion = np.array([[50, 2, 7, 7], [0, 9, 0, 0], [5, 1, 90, 1], [4, 4, 4, 0]])
    assert natural_targets(confusion) == (2, 0, 0, 0)
    assert non_natural_targets(confusion) == (1, 0, 1, 0)


@pytest.mark.parametrize("name", list_attacks())
def test_every_attack_keeps_its_contract(name: str) -> None:
    """Shape, finiteness, movement bounded by eps before projection, exactly where nothing is drawn, determinism."""
    import tensorflow as tf

    rng = np.random.default_rng(5)
    _, _, logits = linear_model(rng, 8, 25)
    x = tf.constant(rng.uniform(0.3, 0.7, size=(15, 25)).astype("f4"))
    row = ATTACKS[name]
    # Of an ensemble its first attack.
    row = ATTACKS[row.list_members("linf")[0].attack] if row.members else row
    # Labels that are right: some attacks do not change misclassified samples.
    goal = make_goal(logits, logits(x).numpy().argmax(axis=1), targeted=row.targeted, norm=row.norms[0])

    @tf.function
    def attack(eps: Any) -> Any:
        loop = {"step_size": eps / 4, "steps": tf.constant(4)} if row.iterative else {}
        return row.run(goal, x, eps=eps, **loop)

    def run(eps: float) -> Any:
        return attack(tf.constant(eps)).numpy()

    for eps in (0.0, 0.1, 0.25):
        moved = run(eps)
        assert moved.shape == x.shape
        assert np.isfinite(moved).all()
        worst = np.abs(moved - x.numpy()).max(axis=1)
        # These look for the nearest point that fools, wherever it is: what is too far away the caller cuts off.
        assert name in ("cw", "hop-skip-jump") or (worst <= eps + 1e-6).all()
        # What draws at random need not end, or go, as far as it may, nor what looks for the nearest success.
        if row.restarts is None and not row.queries and not row.in_turn and row.norms[0] == "linf":
            np.testing.assert_allclose(worst, eps, atol=1e-6)
        np.testing.assert_array_equal(moved, run(eps))
    assert row.gradient(goal, x).shape == x.shape


def test_unknown_and_unfit_attacks_are_usage_errors() -> None:
    with pytest.raises(UsageError, match="did you mean 'fgsm'"):
        find_attack("fgms", model="nn", linear=False)
    with pytest.raises(UsageError, match="logistic regression"):
        find_attack("natural", model="nn", linear=False)
    with pytest.raises(UsageError, match="scaled"):
        find_loss("scald")
