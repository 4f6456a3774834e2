"""Each threat differentiates and scores the functions that it says, in toy arithmetic that shows which."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from advae.errors import UsageError
from advae.threats import THREATS, THREATS_BY_KNOWLEDGE, Pipeline, find_threat, fix_draw, list_threats

PIPELINE = Pipeline(
    classify=lambda x: ("classify", x),
    purify=lambda x, draw: ("purify", x, draw),
    undefended=lambda x: ("undefended", x),
    surrogate=lambda x, draw: ("surrogate", x, draw),
)
DEFENDED = ("classify", ("purify", "x", 1))


@pytest.mark.parametrize(
    ("name", "start", "craft", "decided"),
    [
        ("adaptive", "x", DEFENDED, DEFENDED),
        ("black-box", "x", DEFENDED, DEFENDED),
        ("noise", "x", DEFENDED, DEFENDED),
        ("transfer", "x", ("surrogate", "x", 1), DEFENDED),
        ("gray-box", "x", ("classify", "x"), DEFENDED),
        ("oblivious", "x", ("undefended", "x"), DEFENDED),
        ("encoded", ("purify", "x", 1), ("classify", "x"), ("classify", "x")),
    ],
)
def test_what_each_threat_differentiates_and_what_decides(
    name: str, start: object, craft: object, decided: object
) -> None:
    surface = THREATS[name].view(PIPELINE)
    assert surface.start("x", 1) == start
    assert surface.craft("x", 1) == craft
    assert surface.classify(surface.see("x", 1)) == decided
    assert surface.upper == 1.0


def test_only_encoded_raw_output_has_no_upper_end() -> None:
    raw = replace(PIPELINE, unit_range=False)
    uppers = {name: threat.view(replace(raw, samples=threat.needs_sampling)).upper for name, threat in THREATS.items()}
    assert uppers == dict.fromkeys(THREATS, 1.0) | {"encoded": math.inf}


def test_the_order_by_knowledge_has_every_threat_once_whose_knowledge_is_known() -> None:
    assert sorted([*THREATS_BY_KNOWLEDGE, "elsewhere"]) == sorted(THREATS)
    assert list_threats(purified=True, samples=True) == list(THREATS_BY_KNOWLEDGE)
    assert list_threats(purified=True) == [name for name in THREATS_BY_KNOWLEDGE if name != "fixed-randomness"]
    assert list_threats(purified=False) == ["noise", "transfer", "adaptive", "black-box"]


def test_fixed_randomness_needs_a_purifier_that_samples() -> None:
    with pytest.raises(UsageError, match="needs a purifier that samples"):
        find_threat("fixed-randomness", purified=True)
    with pytest.raises(UsageError, match="needs a purifier that samples"):
        THREATS["fixed-randomness"].view(PIPELINE)
    assert find_threat("fixed-randomness", purified=True, samples=True) is THREATS["fixed-randomness"]


def test_a_fixed_draw_takes_the_place_of_all_and_is_the_same_for_every_image_of_any_batch() -> None:
    import tensorflow as tf

    def purify(x: Any, draw: Any) -> Any:
        return x + tf.random.stateless_normal(tf.shape(x), tf.stack([3, draw]))

    pipeline = Pipeline(lambda x: 2.0 * x, purify, samples=True)
    surface = fix_draw(THREATS["fixed-randomness"].view(pipeline), tf.constant(7))
    x = tf.random.stateless_uniform((5, 4), (1, 2))
    alone = purify(x[3:4], tf.constant(7))
    np.testing.assert_allclose(surface.see(x, tf.constant(1))[3:4], alone, rtol=1e-6)
    np.testing.assert_allclose(surface.see(x[2:], tf.constant(2))[1:2], alone, rtol=1e-6)
    np.testing.assert_allclose(surface.craft(x, tf.constant(3))[3:4], 2 * alone, rtol=1e-6)
    assert (surface.samples, surface.craft_samples) == (False, False)
    other = THREATS["adaptive"].view(pipeline)
    assert fix_draw(other, tf.constant(7)) is other


def test_a_classifier_without_purifier_knows_only_some() -> None:
    surface = find_threat("adaptive", purified=False).view(Pipeline(PIPELINE.classify))
    assert surface.craft("x", 1) == surface.classify(surface.see("x", 1)) == ("classify", "x")
    for name, threat in THREATS.items():
        if threat.needs_purifier or threat.needs_sampling:
            with pytest.raises(UsageError, match="has only noise, transfer, adaptive, black-box"):
                find_threat(name, purified=False)
    with pytest.raises(UsageError, match="did you mean 'gray-box'"):
        find_threat("graybox", purified=True)
    bare = Pipeline(PIPELINE.classify, PIPELINE.purify)
    for name, word in (("oblivious", "undefended"), ("transfer", "surrogate")):
        with pytest.raises(UsageError, match=word):
            THREATS[name].view(bare)


def test_a_purifier_without_derivative_is_taken_for_the_identity_on_the_way_back() -> None:
    import numpy as np
    import tensorflow as tf

    weights = tf.constant([[2.0], [-3.0]])
    pipeline = Pipeline(lambda x: x @ weights, lambda x, draw: tf.round(x), differentiable=False)
    x = tf.constant([[0.2, 0.7], [0.9, 0.4]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        logits = THREATS["adaptive"].view(pipeline).craft(x, 0)
    np.testing.assert_array_equal(logits, pipeline.defend(x, 0))
    np.testing.assert_array_equal(tape.gradient(logits, x), [[2.0, -3.0]] * 2)
