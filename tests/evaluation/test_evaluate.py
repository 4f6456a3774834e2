"""The scorer: projects, measures again, refuses, counts; one trace for everything."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from advae.attacks import ATTACKS, list_attacks
from advae.attacks.ensemble_members import Member
from advae.errors import AdvaeError
from advae.evaluation.evaluate import evaluate
from advae.records import DatasetRef, RunRecipe
from advae.threats import THREATS, Pipeline, list_threats

SIDE, CLASSES, N = 6, 4, 90

STEPS = {"cw": 40}
"""Of attacks that five steps leave where they were."""

OTHERS = [name for name in list_threats(purified=True) if name != "adaptive" and THREATS[name].methods is None]
"""Of a purifier that does not sample."""
PAIRS = [
    *(("fgsm", threat) for threat in OTHERS),
    *((method, ATTACKS[method].threat or "adaptive") for method in list_attacks()),
]
"""The first attack under every threat model, and every other one under its own or the adaptive one: an attack takes a
Goal, whatever the view of the pipeline."""

REPEATED = ("fgsm", "pgd", "natural")
"""Attacks that are evaluated twice: without and with random numbers, and along a line. That every attack by itself
repeats itself is tested in tests/test_attacks."""

SMALL = {"linf": (Member("noise"), Member("fgsm"))}
"""Members of an ensemble that is quickly traced."""


def make_recipe(method: str = "bim", **changes: Any) -> RunRecipe:
    row = ATTACKS[method]
    values: dict[str, Any] = {
        "method": method,
        "threat": "adaptive",
        "classifier": "clf-000000000000",
        "twin": None,
        "dataset": DatasetRef(name="toy", digest="0", side=SIDE, classes=tuple("abcd")),
        "eps": (0.1,),
        "target": 1 if row.target is not None else None,
        "norm": row.norms[0],
        "steps": STEPS.get(method, 5) if row.iterative else None,
        "step_size": None,
        "loss": row.loss,
        "restarts": row.restarts,
        "clip": True,
        "limit": None,
        "save_adversarial": False,
        "seed": 0,
        "recipe_rev": 1,
    }
    return RunRecipe(**(values | changes))


@pytest.fixture(scope="module")
def toy() -> tuple[Any, Any, Pipeline]:
    """A linear classifier, a purifier that blends towards grey, and labels that are right nine times in ten."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    weights = rng.normal(size=(SIDE * SIDE, CLASSES)).astype("f4")
    x = rng.random((N, SIDE * SIDE)).astype("f4")
    pipeline = Pipeline(
        classify=lambda images: images @ tf.constant(weights),
        purify=lambda images, draw: 0.8 * images + 0.1,
        undefended=lambda images: images @ tf.constant(weights),
        surrogate=lambda images, draw: (0.8 * images + 0.1) @ tf.constant(weights),
    )
    y = ((0.8 * x + 0.1) @ weights).argmax(1)
    y[::10] = (y[::10] + 1) % CLASSES
    return x, y, pipeline


@pytest.mark.parametrize(("method", "threat"), PAIRS)
def test_every_attack_under_every_threat_keeps_the_contract(method: str, threat: str, toy: Any) -> None:
    """Budget, range, counts, intervals, determinism, monotone in eps for these linear models."""
    x, y, pipeline = toy
    recipe = make_recipe(method, threat=threat, eps=(0.0, 0.05, 0.3))
    found = evaluate(THREATS[threat].view(pipeline), recipe, x, y)
    outcomes, samples = found.arrays["outcomes.npz"], found.arrays["samples.npz"]
    metrics = found.metrics
    assert metrics.n == N
    assert metrics.clean_accuracy == pytest.approx(0.9)
    assert [result.eps for result in metrics.results] == [0.0, 0.05, 0.3]
    assert metrics.results[0].accuracy == metrics.clean_accuracy
    assert metrics.results[0].attack_success_rate == 0.0
    for row, result in enumerate(metrics.results):
        assert result.linf_max <= result.eps + 1e-6
        assert result.within_budget
        assert result.accuracy == (outcomes["predictions"][row] == y).mean()
        assert result.accuracy_interval[0] <= result.accuracy <= result.accuracy_interval[1]
        assert outcomes["linf"][row].max() == pytest.approx(result.linf_max)
        right = outcomes["predictions"][row] == y
        by_class = [right[y == label].mean() if label in y else None for label in range(CLASSES)]
        assert result.class_accuracy == tuple(by_class)
        assert (result.target_hit_rate is not None) == ATTACKS[method].targeted
    assert metrics.results[2].accuracy < metrics.results[0].accuracy
    assert ((samples["x_adv"] >= 0) & (samples["x_adv"] <= 1)).all()
    np.testing.assert_array_equal(samples["x"], x[samples["ids"]])
    np.testing.assert_array_equal(outcomes["sample_ids"], np.arange(N))
    if method in REPEATED:
        again = evaluate(THREATS[threat].view(pipeline), recipe, x, y)
        assert again.metrics == metrics
        np.testing.assert_array_equal(again.arrays["samples.npz"]["x_adv"], samples["x_adv"])


def test_an_ensemble_repeats_itself(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, pipeline = toy
    monkeypatch.setitem(ATTACKS, "worst", dataclasses.replace(ATTACKS["worst"], members=SMALL))
    one, other = (
        evaluate(THREATS["adaptive"].view(pipeline), make_recipe("worst", eps=(0.05, 0.3)), x, y) for _ in range(2)
    )
    assert one.metrics == other.metrics
    np.testing.assert_array_equal(*(found.arrays["samples.npz"]["x_adv"] for found in (one, other)))


def test_success_counts_initially_correct_samples_and_hits_leave_out_the_targets_own_class(toy: Any) -> None:
    x, y, pipeline = toy
    recipe = make_recipe("tfgsm", eps=(0.2,), target=2)
    found = evaluate(THREATS["adaptive"].view(pipeline), recipe, x, y)
    clean, attacked = (found.arrays["outcomes.npz"][key] for key in ("clean_predictions", "predictions"))
    correct, others = clean == y, y != 2
    result = found.metrics.results[0]
    assert result.attack_success_rate == pytest.approx((attacked[0][correct] != y[correct]).mean())
    assert result.target_hit_rate == pytest.approx((attacked[0][others] == 2).mean())


def test_natural_targets_come_from_the_non_targeted_attack_at_the_same_eps(toy: Any) -> None:
    x, y, pipeline = toy
    eps = (0.05, 0.3)
    source = evaluate(THREATS["adaptive"].view(pipeline), make_recipe("non-targeted", eps=eps), x, y)
    natural = evaluate(THREATS["adaptive"].view(pipeline), make_recipe("natural", eps=eps), x, y)
    for row, result in enumerate(natural.metrics.results):
        mistaken = source.arrays["outcomes.npz"]["predictions"][row]
        for true in range(CLASSES):
            counts = np.bincount(mistaken[y == true], minlength=CLASSES)
            counts[true] = -1
            assert result.targets is not None
            assert result.targets[true] == counts.argmax()


def test_no_clip_is_marked_where_it_is_outside_the_budget_or_the_range(toy: Any) -> None:
    x, y, pipeline = toy
    recipe = make_recipe("non-targeted", eps=(0.2,), clip=False)
    result = evaluate(THREATS["adaptive"].view(pipeline), recipe, x, y).metrics.results[0]
    assert not result.within_budget
    assert result.linf_max > 0.2


def test_an_unclipped_run_is_never_within_budget(toy: Any) -> None:
    x, y, pipeline = toy
    recipe = make_recipe("non-targeted", eps=(0.0,), clip=False)
    assert not evaluate(THREATS["adaptive"].view(pipeline), recipe, x, y).metrics.results[0].within_budget


def test_encoded_data_may_start_below_0_and_keep_its_budget(toy: Any) -> None:
    """A raw purifier with a linear output: clipping must not move what no attack touched."""
    x, y, pipeline = toy
    raw = dataclasses.replace(pipeline, purify=lambda images, draw: 3.0 * images - 1.0, unit_range=False)
    for method in ("fgsm", "bim", "non-targeted"):
        recipe = make_recipe(method, threat="encoded", eps=(0.0, 0.05))
        still, moved = evaluate(THREATS["encoded"].view(raw), recipe, x, y).metrics.results
        assert still.linf_max == 0
        assert moved.linf_max <= 0.05 + 1e-6
        assert moved.within_budget


# One attack of each place where such gradients are replaced, and of each loop; square needs none, and the rest share.
@pytest.mark.parametrize("method", ["bim", "pgd", "mim", "apgd", "cw", "square", "worst", "non-targeted"])
def test_gradients_that_are_not_numbers_leave_their_samples_alone(
    method: str, toy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As behind an exponential layer that overflows: counted, not a crash, and the other samples are attacked."""
    import tensorflow as tf

    monkeypatch.setitem(ATTACKS, "worst", dataclasses.replace(ATTACKS["worst"], members=SMALL))
    x, y, pipeline = toy

    def overflow(images: Any) -> Any:
        return pipeline.classify(images) * tf.exp(tf.where(images[:, :1] > 0.9, 1e3, 0.0) * images[:, :1])

    # DLR is flat by itself where the label is third.
    recipe = make_recipe(method, eps=(0.2,), loss="scaled" if ATTACKS[method].loss else None)
    found = evaluate(THREATS["adaptive"].view(Pipeline(overflow)), recipe, x, y)
    result, broken = found.metrics.results[0], x[:, 0] > 0.9
    assert broken.any()
    assert result.zero_gradient_fraction == pytest.approx(broken.mean())
    np.testing.assert_array_equal(found.arrays["outcomes.npz"]["zero_gradient"][0], broken)
    assert result.accuracy < result.zero_gradient_fraction + 0.9


@pytest.mark.parametrize(
    ("method", "threat"),
    [("non-targeted", "adaptive"), ("natural", "adaptive"), ("natural", "encoded"), ("one-target", "encoded")],
)
def test_logits_that_are_affine_in_eps_are_scored_like_built_images(method: str, threat: str, toy: Any) -> None:
    """--no-clip on a linear classifier: nothing is built, and nothing comes out otherwise but what only images have."""
    x, y, pipeline = toy
    linear = dataclasses.replace(pipeline, purify=pipeline.purify if threat == "encoded" else None, linear=True)
    surfaces = [THREATS[threat].view(one) for one in (linear, dataclasses.replace(linear, linear=False))]
    assert [surface.affine for surface in surfaces] == [True, False]
    recipe = make_recipe(method, threat=threat, clip=False, eps=(0.0, 0.05, 0.3))
    short, long = (evaluate(surface, recipe, x, y) for surface in surfaces)
    for name in ("predictions", "zero_gradient", "clean_predictions"):
        np.testing.assert_array_equal(*(found.arrays["outcomes.npz"][name] for found in (short, long)))
    for name in ("linf", "l2"):
        np.testing.assert_allclose(*(found.arrays["outcomes.npz"][name] for found in (short, long)), atol=1e-6)
    for name in ("x_adv", "seen", "start"):
        np.testing.assert_allclose(*(found.arrays["samples.npz"][name] for found in (short, long)), atol=1e-6)
    for mine, theirs in zip(short.metrics.results, long.metrics.results, strict=True):
        assert (mine.accuracy_8bit, mine.pixel_range) == (None, None)
        assert theirs.pixel_range is not None
        assert (theirs.accuracy_8bit is None) == (threat == "encoded")
        assert (mine.accuracy, mine.targets, mine.finite) == (theirs.accuracy, theirs.targets, theirs.finite)


@pytest.mark.parametrize(("method", "behind"), [("non-targeted", False), ("natural", True)])
def test_one_gradient_serves_every_eps_of_an_attack_along_a_line(
    method: str, behind: bool, toy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its traces are as many for one eps as for ten, for one batch as for three of which the last is short."""
    from advae import batching

    x, y, pipeline = toy
    traces: list[int] = []

    def classify(images: Any) -> Any:
        traces.append(1)
        return pipeline.classify(images)

    whole = dataclasses.replace(pipeline, classify=classify, purify=pipeline.purify if behind else None)
    counted, results = [], []
    for batch, eps in ((1000, (0.1,)), (40, (0.1,)), (40, tuple(k / 20 for k in range(1, 11)))):
        monkeypatch.setattr(batching, "BATCH", batch)
        traces.clear()
        results.append(evaluate(THREATS["adaptive"].view(whole), make_recipe(method, eps=eps), x, y).metrics.results)
        counted.append(len(traces))
    assert counted[0] == counted[1] == counted[2]
    assert results[0][0].accuracy == results[1][0].accuracy == results[2][1].accuracy


def test_one_trace_serves_every_eps_and_batch(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from advae import batching

    x, y, pipeline = toy
    traces = []

    def classify(images: Any) -> Any:
        traces.append(1)
        return pipeline.classify(images)

    monkeypatch.setattr(batching, "BATCH", 40)
    counted = {}
    for eps in ((0.1,), (0.05, 0.1, 0.2, 0.3)):
        traces.clear()
        surface = THREATS["adaptive"].view(dataclasses.replace(pipeline, classify=classify))
        found = evaluate(surface, make_recipe(eps=eps), x, y)
        counted[len(eps)] = len(traces)
    assert counted[1] == counted[4]
    whole = evaluate(THREATS["adaptive"].view(pipeline), make_recipe(eps=eps), x, y)
    assert [result.accuracy for result in found.metrics.results] == [
        result.accuracy for result in whole.metrics.results
    ]


def test_an_image_that_projection_cannot_save_is_refused(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, pipeline = toy
    broken = dataclasses.replace(ATTACKS["fgsm"], run=lambda goal, x, eps: x * float("nan"))
    monkeypatch.setitem(ATTACKS, "fgsm", broken)
    with pytest.raises(AdvaeError, match="left its budget"):
        evaluate(THREATS["adaptive"].view(pipeline), make_recipe("fgsm"), x, y)


def test_an_attack_that_overshoots_is_projected_and_scored_inside(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, pipeline = toy
    wild = dataclasses.replace(ATTACKS["fgsm"], run=lambda goal, x, eps: x + 5.0)
    monkeypatch.setitem(ATTACKS, "fgsm", wild)
    found = evaluate(THREATS["adaptive"].view(pipeline), make_recipe("fgsm", eps=(0.1,)), x, y)
    assert found.metrics.results[0].linf_max <= 0.1 + 1e-6
    samples = found.arrays["samples.npz"]
    np.testing.assert_allclose(samples["x_adv"][0], np.minimum(samples["x"] + 0.1, 1), atol=1e-6)


# cw and fab look for the nearest success, and spend no more than that takes. The last attack of an ensemble is square,
# which may find no window that helps; the others run alone.
SPARING = ("cw", "fab", "autoattack", "worst")
SPENDING = [name for name in list_attacks() if "l2" in ATTACKS[name].norms and name not in SPARING]


@pytest.mark.parametrize("method", SPENDING)
def test_an_l2_budget_is_kept_and_spent(method: str, toy: Any) -> None:
    x, y, pipeline = toy
    recipe = make_recipe(method, norm="l2", eps=(0.0, 0.01, 1.5), steps=20 if ATTACKS[method].iterative else None)
    found = evaluate(THREATS["adaptive"].view(pipeline), recipe, x, y)
    still, small, large = found.metrics.results
    assert (still.l2_mean, still.accuracy) == (0.0, pytest.approx(0.9))
    outcomes = found.arrays["outcomes.npz"]
    assert (outcomes["l2"] <= np.array([[0.0], [0.01], [1.5]]) + 1e-6).all()
    # An image that is broken leaves the attack, and may have spent less.
    spent = outcomes["l2"][1][outcomes["predictions"][1] == y]
    assert spent.mean() > 0.5 * 0.01
    assert large.accuracy < small.accuracy <= still.accuracy


def test_more_restarts_never_find_less(toy: Any) -> None:
    """On a landscape of many hills, where one start is not enough; and the first start is the same."""
    import tensorflow as tf

    x, y, pipeline = toy

    def hilly(images: Any) -> Any:
        return pipeline.classify(images) + 8.0 * tf.sin(40.0 * pipeline.classify(images))

    left = []
    for restarts in (1, 2, 6):
        recipe = make_recipe("pgd", eps=(0.03,), restarts=restarts, steps=3)
        left.append(evaluate(THREATS["adaptive"].view(Pipeline(hilly)), recipe, x, y).metrics.results[0].accuracy)
    assert left[0] >= left[1] >= left[2]
    assert left[0] > left[2]


def test_zero_gradients_are_counted(toy: Any) -> None:
    import tensorflow as tf

    x, y, pipeline = toy

    def half_dead(images: Any) -> Any:
        return tf.where(images[:, :1] > 0.5, pipeline.classify(images), tf.constant([[1.0, 0, 0, 0]]))

    surface = THREATS["adaptive"].view(Pipeline(half_dead))
    result = evaluate(surface, make_recipe(), x, y).metrics.results[0]
    assert result.zero_gradient_fraction == pytest.approx((x[:, 0] <= 0.5).mean())


def test_the_attack_never_uses_the_draws_of_the_score(toy: Any) -> None:
    """A purifier that samples: the draws asked for while crafting and while scoring do not meet."""
    import tensorflow as tf

    x, y, pipeline = toy
    seen: dict[str, list[int]] = {"craft": [], "score": []}

    def note(kind: str) -> Any:
        def record(draw: Any) -> Any:
            seen[kind].append(int(draw))
            return draw

        return record

    surface = THREATS["adaptive"].view(pipeline)

    def spy(kind: str, function: Any) -> Any:
        def wrapped(images: Any, draw: Any) -> Any:
            noted = tf.py_function(note(kind), [draw], tf.int32)
            with tf.control_dependencies([noted]):
                return function(tf.identity(images), draw)

        return wrapped

    spied = dataclasses.replace(surface, craft=spy("craft", surface.craft), see=spy("score", surface.see))
    for seed in (0, 7):
        evaluate(spied, make_recipe(seed=seed), x, y)
    assert len(set(seen["craft"])) >= 10
    assert not set(seen["craft"]) & set(seen["score"])


def test_save_adversarial_keeps_every_image(toy: Any) -> None:
    x, y, pipeline = toy
    found = evaluate(THREATS["adaptive"].view(pipeline), make_recipe(save_adversarial=True, eps=(0.1, 0.2)), x, y)
    kept = found.arrays["adversarial.npz"]
    assert kept["x_adv"].shape == (2, N, SIDE * SIDE)
    np.testing.assert_allclose(np.abs(kept["x_adv"] - x).max(axis=2), found.arrays["outcomes.npz"]["linf"], atol=1e-7)
    np.testing.assert_array_equal(
        kept["x_adv"][:, found.arrays["samples.npz"]["ids"]], found.arrays["samples.npz"]["x_adv"]
    )
