"""AutoAttack as a row of ATTACKS: its members, its version for random pipelines, and what it records."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from advae.attacks import ATTACKS
from advae.attacks.ensemble_members import AUTOATTACK, AUTOATTACK_EOT, explain_departure
from advae.evaluation.attacker import Attacker
from advae.evaluation.ensemble import list_members
from advae.evaluation.evaluate import evaluate
from advae.evaluation.purifier_draws import SCORING_DRAWS
from advae.records import DatasetRef
from advae.threats import THREATS, Pipeline
from tests.evaluation.test_evaluate import make_recipe

SIDE, CLASSES, N = 6, 5, 40


def make_toy(*, scale: float = 4.0) -> tuple[Any, Any, Any]:
    """Return images, their labels, and a network of two layers that is right on nine in ten."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    hidden, out = rng.normal(size=(SIDE * SIDE, 40)), rng.normal(size=(40, CLASSES))
    first, second = (tf.constant(scale * w / np.sqrt(len(w)), tf.float32) for w in (hidden, out))

    def classify(x: Any) -> Any:
        return tf.nn.softplus((x - 0.5) @ first) @ second

    x = rng.uniform(0.2, 0.8, size=(N, SIDE * SIDE)).astype("f4")
    y = classify(tf.constant(x)).numpy().argmax(axis=1)
    y[::10] = (y[::10] + 1) % CLASSES
    return x, y, classify


def make_set(method: str, **changes: Any) -> Any:
    dataset = DatasetRef(name="toy", digest="0", side=SIDE, classes=tuple("abcde"))
    return make_recipe(method, dataset=dataset, **changes)


def test_the_standard_set_has_the_published_settings() -> None:
    for norm in ("linf", "l2"):
        recipes = [recipe for recipe, _ in list_members(make_set("autoattack", norm=norm))]
        found = [(one.method, one.loss, one.steps, one.queries, one.restarts, one.draws) for one in recipes]
        assert found == [
            ("apgd", "ce", 100, None, 1, None),
            ("apgd-t", None, 100, None, 1, None),
            ("fab", None, 100, None, None, None),
            ("square", None, None, 5000, None, None),
        ]


def test_a_random_pipeline_gets_the_randomised_set() -> None:
    recipes = [recipe for recipe, _ in list_members(make_set("autoattack", draws=AUTOATTACK_EOT))]
    assert [(one.method, one.loss, one.steps, one.restarts, one.draws) for one in recipes] == [
        ("apgd", "ce", 100, 1, 20),
        ("apgd", "dlr", 100, 1, 20),
    ]
    asked = list_members(make_set("autoattack", draws=AUTOATTACK_EOT), scores_only=True)
    assert [recipe.method for recipe, _ in asked] == ["square"]


@pytest.mark.parametrize(
    ("classes", "sampling", "scores_only", "departs"),
    [
        (10, False, False, False),
        (4, False, False, False),
        (3, False, False, True),
        (2, False, False, True),
        (3, True, False, False),
        (2, True, False, True),
        (10, False, True, True),
    ],
)
def test_what_is_not_the_published_set_is_said(classes: int, sampling: bool, scores_only: bool, departs: bool) -> None:
    found = explain_departure(classes, sampling=sampling, scores_only=scores_only)
    assert (found is not None) is departs


def test_the_set_is_never_above_its_members_and_tells_what_each_added(monkeypatch: pytest.MonkeyPatch) -> None:
    short = {"linf": tuple(one._replace(queries=one.queries and 200) for one in AUTOATTACK["linf"])}
    monkeypatch.setitem(ATTACKS, "autoattack", replace(ATTACKS["autoattack"], members=short))
    x, y, classify = make_toy()
    view = THREATS["adaptive"].view(Pipeline(classify))
    together = evaluate(view, make_set("autoattack", eps=(0.03,)), x, y).metrics.results[0]
    assert together.members is not None
    assert [one.attack for one in together.members] == ["apgd", "apgd-t", "fab", "square"]
    accuracies = [one.accuracy for one in together.members]
    assert accuracies == sorted(accuracies, reverse=True)
    assert together.accuracy == pytest.approx(accuracies[-1])
    assert 0 < together.accuracy < accuracies[0] + 1e-9
    # Each attacks what those before it left.
    attacked = [one.attacked for one in together.members]
    assert attacked == [N, *(round(N * accuracy) for accuracy in accuracies[:-1])]
    for recipe, row in list_members(make_set("autoattack", eps=(0.03,)))[1:3]:
        alone = Attacker(view, recipe, x, y, lambda: None, row=row)
        (found,) = alone.propose(0.03, np.arange(N), None)
        assert together.accuracy <= (classify(found.x_adv).numpy().argmax(axis=1) == y).mean() + 1e-9


def test_a_random_pipeline_is_scored_on_many_draws() -> None:
    import tensorflow as tf

    x, y, classify = make_toy()

    def purify(images: Any, draw: Any) -> Any:
        seed = tf.stack([7, tf.cast(draw, tf.int32)])
        return images + tf.random.stateless_normal(tf.shape(images), seed, stddev=0.02)

    pipeline = Pipeline(classify, purify, samples=True)
    recipe = make_set("autoattack", eps=(0.02,), draws=AUTOATTACK_EOT)
    found = evaluate(THREATS["adaptive"].view(pipeline), recipe, x[:20], y[:20])
    result = found.metrics.results[0]
    assert [(one.attack, one.loss) for one in result.members or ()] == [("apgd", "ce"), ("apgd", "dlr")]
    rates = found.arrays["outcomes.npz"]["success_rate"][0]
    assert found.metrics.fresh_draws == SCORING_DRAWS
    assert result.expected_accuracy == pytest.approx(1 - rates.mean())
    # Some images are misclassified on some draws only: neither always right nor always wrong.
    assert ((rates > 0) & (rates < 1)).any()
    np.testing.assert_allclose(rates * SCORING_DRAWS, np.round(rates * SCORING_DRAWS), atol=1e-3)


def test_windows_of_square_shrink_as_in_the_published_code() -> None:
    from advae.attacks.square import _window_size

    shape = (28, 28, 1)
    # p = 0.8, halved after 10, 50, 200, ... of 10,000 queries, however few are made.
    sizes = {query: int(_window_size(query, 10_000, shape)) for query in (1, 12, 52, 202, 502, 1002, 2002, 4002)}
    expected = [round((0.8 * 784 / 2**k) ** 0.5) for k in range(8)]
    assert list(sizes.values()) == expected
    assert ATTACKS["autoattack"].list_members("linf")[-1].queries == 5000
