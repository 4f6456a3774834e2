"""What is broken is not attacked again: within an attack, and from eps to eps; and that changes no outcome."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from advae import batching
from advae.attacks import ATTACKS, iterative, leaving
from advae.attacks.ensemble_members import Member
from advae.evaluation.attacker import Attacker, stops_at_success
from advae.evaluation.carrying import score_upwards
from advae.evaluation.evaluate import evaluate
from advae.evaluation.run_artifacts import EpsScores, SavedSamples
from advae.threats import THREATS, Pipeline, Surface, list_threats
from tests.attacks.models import small_network
from tests.evaluation.test_evaluate import SIDE, N, make_recipe

EPS = (0.4, 0.1, 0.2)
"""Not in their order."""


@pytest.fixture(scope="module")
def images() -> tuple[Any, Any]:
    """Images, and labels that a small network is right about nine times in ten."""
    x = np.random.default_rng(3).random((N, SIDE * SIDE)).astype("f4")
    y = small_network(3)(x).numpy()[:, :4].argmax(axis=1)
    y[::10] = (y[::10] + 1) % 4
    return x, y


def view(threat: str = "adaptive", seen: list[int] | None = None, scale: float = 1.0) -> Surface:
    """Return an undefended network of four classes; seen: takes the number of rows of each look of the attacker.

    scale: of the logits.
    """
    import tensorflow as tf

    network = small_network(3)

    def classify(x: Any) -> Any:
        return scale * network(x)[:, :4]

    def look(x: Any, draw: Any) -> Any:
        assert seen is not None
        counted = tf.py_function(lambda rows: seen.append(int(rows)), [tf.shape(x)[0]], [])
        with tf.control_dependencies([counted]):
            return classify(tf.identity(x))

    surface = THREATS[threat].view(Pipeline(classify, undefended=classify, surrogate=lambda x, draw: classify(x)))
    return surface if seen is None else dataclasses.replace(surface, craft=look)


def propose(
    method: str, images: Any, rows: Any = None, seen: list[int] | None = None, scale: float = 1.0, **changes: Any
) -> Any:
    """Return the adversarial examples of some rows, float32 (m, d), at an eps that breaks about half of them."""
    recipe = make_recipe(method, **{"steps": 12, "restarts": ATTACKS[method].restarts} | changes)
    attacker = Attacker(view(seen=seen, scale=scale), recipe, *images, lambda: None)
    rows = np.arange(N) if rows is None else rows
    return np.concatenate([one.x_adv for one in attacker.propose(1.2 if recipe.norm == "l2" else 0.2, rows, None)])


def find_wrong(x_adv: Any, y: Any) -> Any:
    return view().craft(x_adv, 0).numpy().argmax(axis=1) != y


@pytest.mark.parametrize(("method", "norm"), [("pgd", "linf"), ("mim", "l2"), ("apgd", "linf")])
def test_leaving_changes_no_image_and_saves_work(
    method: str, norm: str, images: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    early, whole = list[int](), list[int]()
    left = propose(method, images, seen=early, norm=norm)
    monkeypatch.setattr(leaving, "LEAST_SHARE", 0)
    stayed = propose(method, images, seen=whole, norm=norm)
    np.testing.assert_allclose(left, stayed, atol=1e-6)
    wrong = find_wrong(left, images[1])
    assert 0.2 < wrong.mean() < 0.95
    # What succeeds remains a success in a file of 8 bits, unless no iterate of the attack does.
    undone = wrong & ~find_wrong(np.round(left * 255) / 255, images[1])
    assert undone.sum() <= 1
    assert sum(early) < 0.8 * sum(whole)


@pytest.mark.parametrize("method", ["pgd", "apgd"])
def test_an_image_that_no_further_step_moves_leaves(method: str, images: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    early, whole = list[int](), list[int]()
    # Cross-entropy of such large logits is exactly 0, and so is its gradient.
    saturated: dict[str, Any] = {"loss": "ce", "scale": 1e4}
    left = propose(method, images, seen=early, **saturated)
    monkeypatch.setattr(iterative, "keep_still", lambda kept, x_adv, *points: kept)
    np.testing.assert_array_equal(propose(method, images, seen=whole, **saturated), left)
    assert sum(early) < 0.5 * sum(whole)


@pytest.mark.parametrize("method", ["pgd", "mim", "apgd", "apgd-t", "fab", "square", "hop-skip-jump"])
def test_the_network_is_never_asked_about_no_images(method: str, images: Any) -> None:
    # Convolutions raise for a batch of no images. Every image is a success from the start.
    x = images[0]
    wrong = (small_network(3)(x).numpy()[:, :4].argmax(axis=1) + 1) % 4
    asked = list[int]()
    queries = {"steps": None, "queries": 20, "threat": "black-box"} if ATTACKS[method].queries else {}
    propose(method, (x, wrong), seen=asked, **queries)
    assert min(asked) > 0


@pytest.mark.parametrize("method", ["pgd", "apgd", "square"])
def test_an_image_is_attacked_alike_in_any_batch_and_beside_any_others(
    method: str, images: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: dict[str, Any] = (
        {"steps": None, "queries": 60, "threat": "black-box"} if method == "square" else {"restarts": 3}
    )
    whole = propose(method, images, **changes)
    some = np.array([5, 11, 12, 40, 41, 77])
    np.testing.assert_allclose(propose(method, images, some, **changes), whole[some], atol=1e-6)
    monkeypatch.setattr(batching, "BATCH", 32)
    np.testing.assert_allclose(propose(method, images, **changes), whole, atol=1e-6)


def test_images_leave_only_where_the_attacker_asks_the_very_function_that_is_scored() -> None:
    pgd = make_recipe("pgd")
    stops = {threat: stops_at_success(view(threat), pgd) for threat in list_threats(purified=True)}
    assert stops["adaptive"]
    assert stops["black-box"]
    assert not any(stops[threat] for threat in ("oblivious", "transfer", "gray-box", "encoded"))
    random = THREATS["adaptive"].view(Pipeline(lambda x: x, lambda x, draw: x, samples=True))
    assert not stops_at_success(random, pgd)
    assert not stops_at_success(view(), make_recipe("pgd", clip=False))
    left = {method for method in ATTACKS if stops_at_success(view(), make_recipe(method))}
    assert {"pgd", "mim", "apgd", "worst"} <= left
    assert not left & {"fgsm", "bim", "cw", "square", "noise", "from-file"}


def test_a_sweep_breaks_what_any_smaller_eps_breaks_alone_in_the_users_order(images: Any) -> None:
    x, y = images
    recipe = make_recipe("pgd", eps=EPS, steps=8, save_adversarial=True)
    found = evaluate(view(), recipe, x, y)
    alone = [
        evaluate(view(), recipe.model_copy(update={"eps": (eps,)}), x, y).arrays["outcomes.npz"]["predictions"][0] != y
        for eps in EPS
    ]
    expected = np.stack([alone[0] | alone[1] | alone[2], alone[1], alone[1] | alone[2]])
    outcomes = found.arrays["outcomes.npz"]
    np.testing.assert_array_equal(outcomes["predictions"] != y, expected)
    results = found.metrics.results
    assert [result.eps for result in results] == list(EPS)
    assert results[1].carried == 0
    assert 0 < (results[2].carried or 0) < (results[0].carried or 0) < N
    assert [result.carried for result in results] == outcomes["carried"].sum(axis=1).tolist()
    # Each image is the one that was scored, also where it is carried.
    stored = found.arrays["adversarial.npz"]["x_adv"]
    np.testing.assert_array_equal(np.stack([find_wrong(one, y) for one in stored]), expected)
    np.testing.assert_allclose(np.abs(stored - x).max(axis=2), outcomes["linf"], atol=1e-6)
    carried = outcomes["carried"]
    np.testing.assert_array_equal(stored[2][carried[2]], stored[1][carried[2]])
    for k, result in enumerate(results):
        assert result.accuracy_8bit == (~find_wrong(np.round(stored[k] * 255) / 255, y)).mean()
    smallest = np.where(alone[1], 0.1, np.where(alone[2], 0.2, np.where(alone[0], 0.4, np.inf)))
    np.testing.assert_array_equal(outcomes["smallest_eps"], smallest)
    median = np.sort(smallest)[(N - 1) // 2]
    assert found.metrics.median_smallest_eps == (median if np.isfinite(median) else None)


def test_the_loss_curve_ends_at_the_margins_of_the_images_that_are_returned(images: Any) -> None:
    x, y = images
    found = evaluate(view(), make_recipe("pgd", eps=(0.03, 0.06), steps=8, save_adversarial=True), x, y)
    for result, x_adv in zip(found.metrics.results, found.arrays["adversarial.npz"]["x_adv"], strict=True):
        logits = view().craft(x_adv, 0).numpy()
        own = logits[np.arange(N), y]
        logits[np.arange(N), y] = -np.inf
        assert result.loss_curve is not None
        assert [steps for steps, _ in result.loss_curve] == [0, 1, 2, 4, 8]
        assert result.loss_curve[-1][1] == pytest.approx((logits.max(axis=1) - own).mean(), abs=1e-4)
        assert result.loss_curve[-1][1] > result.loss_curve[1][1] > result.loss_curve[0][1]
        assert result.lost_fraction == 0.0


def test_a_sweep_of_an_attack_that_stays_carries_nothing(images: Any) -> None:
    found = evaluate(view(), make_recipe("bim", eps=(0.02, 0.05)), *images)
    stored = found.metrics.model_dump(mode="json")
    assert "median_smallest_eps" not in stored
    assert all("carried" not in result for result in stored["results"])
    assert not {"carried", "smallest_eps"} & set(found.arrays["outcomes.npz"])


def test_an_ensemble_attacks_what_no_member_and_no_smaller_eps_broke(
    images: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = {"linf": (Member("fgsm"), Member("pgd"))}
    monkeypatch.setitem(ATTACKS, "worst", dataclasses.replace(ATTACKS["worst"], members=members))
    asked: list[tuple[str, float, int]] = []
    whole = Attacker.propose

    def count(self: Attacker, eps: float, rows: Any, targets: Any, **named: Any) -> Any:
        asked.append((self.recipe.method, eps, len(rows)))
        return whole(self, eps, rows, targets, **named)

    monkeypatch.setattr(Attacker, "propose", count)
    found = evaluate(view(), make_recipe("worst", eps=(0.4, 0.2), steps=None), *images)
    (_, _, first), (_, _, second), (_, _, third), (_, _, fourth) = asked
    assert [(method, eps) for method, eps, _ in asked] == [
        ("fgsm", 0.2), ("pgd", 0.2), ("fgsm", 0.4), ("pgd", 0.4)
    ]  # fmt: skip
    assert N == first > second >= third > fourth
    large, small = found.metrics.results
    assert large.carried == N - third
    assert large.accuracy < small.accuracy
    outcomes = found.arrays["outcomes.npz"]
    broken_by, wrong = outcomes["broken_by"], outcomes["predictions"] != images[1]
    np.testing.assert_array_equal(broken_by >= 0, wrong)
    assert first - second <= (broken_by[1] == 0).sum() < wrong[1].sum()
    np.testing.assert_array_equal(broken_by[0][outcomes["carried"][0]], broken_by[1][outcomes["carried"][0]])
    for index, result in enumerate((large, small)):
        members = result.members or ()
        assert [one.broken for one in members] == [(broken_by[index] == k).sum() for k in range(2)]


def test_an_image_that_rounding_saves_is_attacked_again_and_never_lost() -> None:
    """Broken at 0.1, but not in 8 bits: attacked again at 0.2, where the attack fails, and carried then."""
    y = np.zeros(3, np.int64)
    tried: list[list[int]] = []

    def score(eps: float, rows: Any) -> EpsScores:
        tried.append(rows.tolist())
        small = eps < 0.15
        wrong = np.array([1, 1, 0] if small else [0, 0, 1])[rows]
        lasting = np.array([1, 0, 0] if small else [0, 0, 1])[rows]
        length = np.full(len(rows), eps, "f4")
        measured: dict[str, Any] = {"predictions": wrong, "rounded": lasting, "linf": length, "l2": length}
        absent: dict[str, Any] = {"success_rate": None, "wrong_draws": None, "targets": None}
        images = {"x_adv": length[:, None], "seen": length[:, None]}
        return EpsScores(**measured, **absent, **images, pixel_range=(0.0, eps), finite=True)

    every = np.arange(3)
    large, small = score_upwards(score, (0.2, 0.1), y, SavedSamples(every, every))
    assert tried == [[0, 1, 2], [1, 2]]
    assert (large.predictions.tolist(), small.predictions.tolist()) == ([1, 1, 1], [1, 1, 0])
    assert large.carried is not None
    assert large.carried.tolist() == [True, True, False]
    np.testing.assert_allclose(large.linf, [0.1, 0.1, 0.2])
    np.testing.assert_allclose(large.x_adv[:, 0], [0.1, 0.1, 0.2])
    assert large.pixel_range == (0.0, 0.2)


def test_first_gradients_are_measured_once_for_all_eps(images: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    measured, measure = list[Any](), Attacker.zero_gradients
    monkeypatch.setattr(
        Attacker, "zero_gradients", lambda self, targets: measured.append(targets) or measure(self, targets)
    )
    evaluate(view(), make_recipe("bim", eps=EPS, steps=2), *images)
    assert measured == [None]
